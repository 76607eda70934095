"""Completion, as a shell asks for it through argcomplete: the line so far in, the words that could follow out."""

from __future__ import annotations

import importlib.util
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scanned import lay
from test_cli import HOME, LOADS, run

from depwalk import __main__ as program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytest.importorskip("argcomplete")

Complete = "Callable[..., set[str]]"


@pytest.fixture
def complete(tmp_path: Path) -> Complete:
    """What a line could go on with, in a directory with files of some kinds."""
    lay(tmp_path / "here", {"one.pyd": "", "two.dll": "", "three.whl": "", "notes.txt": "", "site/a.pyd": ""})

    def ask(line: str, point: int | None = None) -> set[str]:
        start = line.split().index("depwalk") + 1
        environment = {
            **os.environ,
            "PYTHONPATH": HOME,
            "_ARGCOMPLETE": str(start),
            "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "words"),  # as PowerShell does; bash opens file 8
            "_ARGCOMPLETE_IFS": "\v",
            "_ARGCOMPLETE_SUPPRESS_SPACE": "1",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line) if point is None else point),
        }
        subprocess.run(
            [sys.executable, "-m", "depwalk"],
            env=environment,
            cwd=tmp_path / "here",
            check=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            capture_output=True,
        )
        return set((tmp_path / "words").read_text("utf-8").split("\v"))

    return ask


def test_the_first_word_is_a_command_or_a_target(complete: Callable[..., set[str]]) -> None:
    assert complete("depwalk ") == {"scan", "run", "cpu", "one.pyd", "two.dll", "three.whl", "site/"}


def test_a_later_word_is_a_target_only(complete: Callable[..., set[str]]) -> None:
    assert complete("depwalk one.pyd ") == {"one.pyd", "two.dll", "three.whl", "site/"}


def test_a_file_below_a_directory_keeps_its_directory(complete: Callable[..., set[str]]) -> None:
    assert complete("depwalk site/") == {"site/a.pyd"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("depwalk --win", {"--windows"}),
        ("depwalk run --ti", {"--timeout"}),
        ("depwalk cpu --d", {"--dump"}),
        ("depwalk scan --also", {"--also-without-runtime"}),
        ("python -m depwalk scan --also", {"--also-without-runtime"}),
        ("python3.11 -m depwalk --win", {"--windows"}),
        ("depwalk --windows 8.", {"8.1", "8.1-N", "8.1-core", "8.1-x86"}),
        ("depwalk --windows=7", {f"--windows={name}" for name in ("7", "7-N", "7-core", "7-x86")}),
        ("depwalk scan --windows 7 --windows 11-a", {"11-arm64"}),
        ("depwalk --python 3.13t", {"3.13t", "3.13t-32", "3.13t-arm64"}),
        ("depwalk --with-runtime vc1", {"vc14", "vc12", "vc11", "vc10"}),
        ("depwalk --cpu x86-64-v", {f"x86-64-v{level}" for level in range(1, 5)}),
        ("depwalk --cpu hasw", {"Haswell"}),
        ("depwalk cpu --from nehal", {"Nehalem"}),
        ("depwalk --format ", {"text", "json", "html", "dot", "sarif"}),
        ("depwalk scan --format ", {"text", "json", "html", "sarif"}),
        ("depwalk scan --fail-on missing-d", {"missing-dll"}),
        ("depwalk scan --fail-on corrupt-file,missing-d", {"corrupt-file,missing-dll"}),
        ("depwalk scan --ignore quara", {"quarantined"}),
        ("depwalk scan --dll-dir ", {"site/"}),
        ("depwalk scan ", {"one.pyd", "two.dll", "three.whl", "notes.txt", "site/"}),
        ("depwalk scan --baseline ", {"one.pyd", "two.dll", "three.whl", "notes.txt", "site/"}),
    ],
)
def test_a_word_is_completed(line: str, words: set[str], complete: Callable[..., set[str]]) -> None:
    assert complete(line) == words


def test_what_stands_behind_the_cursor_does_not_count(complete: Callable[..., set[str]]) -> None:
    assert complete("depwalk --win x.pyd", point=len("depwalk --win")) == {"--windows"}


@pytest.mark.skipif(sys.platform == "win32", reason="bash hands over an open file there")
def test_bash_gets_the_words_through_file_8() -> None:
    line = "depwalk --wind"
    said = subprocess.run(
        ["sh", "-c", '"$0" -m depwalk 8>&1 9>/dev/null 1>/dev/null', sys.executable],
        env={
            **os.environ,
            "PYTHONPATH": HOME,
            "_ARGCOMPLETE": "1",
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        },
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )
    assert said.stdout.decode().strip() == "--windows"


def test_a_shell_that_looks_for_the_mark_finds_it() -> None:
    package = importlib.util.find_spec("argcomplete")
    assert package is not None
    ran = subprocess.run(
        [sys.executable, "-m", "argcomplete._check_module", "depwalk"],
        env={**os.environ, "PYTHONPATH": HOME},
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0
    assert "PYTHON_ARGCOMPLETE_OK" in Path(str(program.__file__)).read_text("utf-8")[:1024]


def test_argcomplete_is_imported_for_a_shell_only() -> None:
    ran = run("--help", python=("-X", "importtime"))
    assert ran.returncode == LOADS
    assert "argcomplete" not in ran.stderr
    assert "completion" not in ran.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="asks a shell of POSIX systems")
@pytest.mark.parametrize("shell", ["bash", "zsh", "powershell"])
def test_the_page_names_the_command_that_switches_it_on(shell: str) -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "completion.md").read_text("utf-8")
    command = f"register-python-argcomplete --shell {shell} depwalk"
    assert command in page
    script = Path(sys.executable).with_name("register-python-argcomplete")
    made = subprocess.run([sys.executable, script, *command.split()[1:]], capture_output=True, check=True, timeout=60)
    assert b"depwalk" in made.stdout


# ---- a real shell -------------------------------------------------------------------------------------------------

SHOWS = {  # what the page does not say: Ctrl-T writes the line as it is by then into a file
    "bash": """bind -x '"\\C-t": printf "%s" "$READLINE_LINE" > l; mv l line'\n""",
    "zsh": "show() { print -r -- $BUFFER > l; mv l line }; zle -N show; bindkey '^T' show\n",
}
STARTED = {"bash": ("bash", "--noprofile", "-i"), "zsh": ("zsh", "-i")}


def of_the_page(shell: str) -> str:
    """The lines that the page has for the start-up file of a shell."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "completion.md").read_text("utf-8")
    block = page.partition(f"**{shell}**")[2].split("\n\n")[1]
    return "".join(f"{line.strip()}\n" for line in block.splitlines())


@pytest.mark.skipif(sys.platform == "win32", reason="drives a shell of POSIX systems")
@pytest.mark.parametrize("shell", sorted(SHOWS))
def test_a_real_shell_completes_with_the_lines_of_the_page(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    lay(tmp_path, {"one.pyd": "", ".bashrc": "", ".zshrc": ""})
    program = tmp_path / "bin" / "depwalk"
    lay(tmp_path, {"bin/depwalk": f'#!/bin/sh\nexec "{sys.executable}" -m depwalk "$@"\n'})
    program.chmod(0o755)
    (tmp_path / f".{shell}rc").write_text(of_the_page(shell) + SHOWS[shell], "utf-8")
    with started(shell, tmp_path) as keyboard:
        keyboard("depwalk --wind", "depwalk --windows")
        keyboard("depwalk sc", "depwalk scan")
        keyboard("depwalk o", "depwalk one.pyd")
        keyboard("depwalk --windows 11-a", "depwalk --windows 11-arm64")


@contextmanager
def started(shell: str, home: Path) -> Iterator[Callable[[str, str], None]]:
    """A shell in a terminal; within it, a function that types the beginning of a line and Tab, and expects a line."""
    import pty  # there is none on Windows

    process, terminal = pty.fork()
    if process == 0:
        path = os.pathsep.join((str(home / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]))
        variables = {"HOME": str(home), "ZDOTDIR": str(home), "PATH": path, "TERM": "xterm", "PYTHONPATH": HOME}
        os.chdir(home)
        os.execvpe(shell, STARTED[shell], variables)

    def keyboard(typed: str, expected: str) -> None:
        (home / "line").unlink(missing_ok=True)
        os.write(terminal, f"\x15{typed}\t\x14".encode())  # Ctrl-U, the line, Tab, Ctrl-T
        said = b""
        end = time.monotonic() + 60
        while not (home / "line").exists() and time.monotonic() < end:
            if select.select([terminal], [], [], 0.05)[0]:  # a terminal that nobody reads stops the shell
                said += os.read(terminal, 65536)
        assert (home / "line").exists(), said
        assert (home / "line").read_text("utf-8").strip() == expected

    try:
        yield keyboard
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)
