"""Every command and every example of the README and of the documentation runs, or stands in a list with the reason."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import written
from pe_maker import pe

import depwalk
from depwalk import cli, cpu

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the files are read as elsewhere; tests/loader asks on Windows"
)

USAGE = 2
ROOT = Path(depwalk.__file__).resolve().parents[1]
TEXTS = written.texts()

# What begins so is not run here, and why not.
NOT_HERE = {
    "pip install depwalk": "it asks a package index",
    'pip install "depwalk[completion]"': "it asks a package index",
    "pip wheel ": "it builds the package of whoever reads this",
    "python -m depwalk run ": "it traces a program of Windows: tests/loader/test_run.py",
    "python -m depwalk _pywrap_tensorflow_internal.pyd ": "it reads a real wheel: tests/wheels/test_first_page.py",
    "python3 ci/run.py ": "it sets the test bed up; that there is such a command is tested below",
    "python3 ci/wheels.py": "it compiles for all platforms: tests/release looks at what it builds",
    "git ": "it publishes, or needs a version that was: there is none yet",
    "gh ": "it asks a server about a release: there is none yet",
    "mkdir -p .github": "it puts the workflow in place: tests/release/test_release_workflow.py reads it",
    "cp ci/release.yml": "as mkdir",
    "python bench/scan.py": "it measures for minutes or hours: tests/unit/test_bench.py",
    "python post_install.py ": "it loads files on Windows: tests/installer/test_python_installer.py",
    "CC=": "it compiles the core: ci/run.py does so before every test",
}
# Blocks that begin so are no lines for a shell; who tests them. Commands in them are run all the same.
NO_COMMANDS = {
    "SELECT ": "test_database_queries.py",
    "depwalk-check-x64.exe ": "tests/installer/test_check_exe.py",
    "/* Does a file load": "tests/installer/test_c_programs.py",
    "// What does the machine offer": "tests/installer/test_c_programs.py",
    '"""Does a file load': "tests/installer/test_c_programs.py",
    "[tool.depwalk]": "test_scan_page.py",
    "- repo: ": "test_scan_page.py",
    "jobs:": "test_formats.py",
    "eval ": "test_completion.py",
    "autoload ": "test_completion.py",
    "register-python-argcomplete ": "test_completion.py",
    "!define CHECK ": "tests/installer/test_installer_docs.py",
    "makensis product.nsi": "tests/installer/test_nsis.py: ci/installers.py compiles it",
    "example-product-setup.exe /S": "tests/installer/test_nsis.py",
    "Example Product": "tests/installer/test_python_installer.py, tests/processor/test_installer_on_nehalem.py",
    "Source: ": "tests/installer/test_installer_docs.py",
    "zig cc ": "tests/installer/test_wix.py: ci/installers.py does it with these options",
    "<Binary ": "tests/installer/test_installer_docs.py",
    "extra_files:": "nothing here reads it: docs/installers.md says so",
    "import startup": "tests/installer/test_installer_docs.py",
    "pyinstaller ": "ci/run.py frozen",
}
COMMAND = re.compile(r"(?:\$ | *- run: )?((?:python3? |pip |depwalk |CC=|git |gh |mkdir |cp ).*?)(?:  .*)?")


def commands(block: written.Block) -> list[str]:
    """The commands of a block, without what is said of them behind two spaces."""
    lines = block.lines[:1] if is_session(block) else block.lines
    return [match[1] for line in lines if (match := COMMAND.fullmatch(line))]


def is_session(block: written.Block) -> bool:
    """A command, and below it what is printed."""
    return block.lines[0].startswith("$ ")


def words(command: str) -> list[str]:
    """The arguments of a command of depwalk; none for another one."""
    program = re.match(r"(python -m depwalk|depwalk)(?= |$)", command)
    return shlex.split(command[program.end() :].replace("\\", "/")) if program else []


def is_listed(command: str) -> bool:
    return command.startswith(tuple(NOT_HERE))


@cache
def module(*names: str) -> bytes:
    """A DLL that imports from these DLLs, beside one of Windows."""
    return pe(imports={"kernel32.dll": ["Sleep"], **{name: ["f"] for name in names}})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with what the commands of the pages name."""
    files = {
        "module.pyd": module("MSVCP140.dll"),
        "path/to/module.pyd": module(),
        "product/engine.dll": module("MSVCP140.dll"),
        "build/product/engine.exe": pe(dll=False, imports={"kernel32.dll": ["Sleep"]}),
        "dist/pkg/ext.pyd": module("MSVCP140_1.dll"),
        "site-packages/pkg/ext.pyd": module(),
        "Lib/site-packages/pkg/ext.pyd": module(),
        "WHEELHOUSE/pkg/ext.pyd": module(),
        "tensorflow/__init__.py": b"from tensorflow import _pywrap\n",
        "tensorflow/_pywrap.pyd": module("MSVCP140.dll"),
        "my-cpu.txt": (Path(depwalk.__file__).parent / "data" / "cpus" / "Nehalem.txt").read_bytes(),
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    monkeypatch.chdir(tmp_path)
    baseline = tmp_path / "depwalk-baseline.json"
    assert run(["scan", "dist", "--write-baseline", str(baseline), "-o", os.devnull]) == 1
    return tmp_path


def run(arguments: list[str]) -> int:
    """The exit status of depwalk."""
    try:
        return cli.main(arguments)
    except SystemExit as end:
        return int(end.code or 0)


def all_blocks() -> Iterator[tuple[str, written.Block]]:
    return ((page, block) for page, text in TEXTS.items() for block in written.blocks(text))


def test_no_block_is_left_out() -> None:
    unknown = [
        (page, block)
        for page, block in all_blocks()
        if block.language != "python"
        and not is_session(block)
        and len(commands(block)) != len(block.lines)
        and not block.lines[0].startswith(tuple(NO_COMMANDS))
    ]
    assert unknown == []


def test_every_reason_is_needed() -> None:
    given = [command for _, block in all_blocks() for command in commands(block)]
    assert [start for start in NOT_HERE if not any(command.startswith(start) for command in given)] == []
    begun = [block.lines[0] for _, block in all_blocks()]
    assert [start for start in NO_COMMANDS if not any(line.startswith(start) for line in begun)] == []


@pytest.mark.parametrize("page", [page for page, text in TEXTS.items() if any(written.blocks(text))])
def test_every_command_and_example_of_a_page_runs(page: str, project: Path, capfd: pytest.CaptureFixture[str]) -> None:
    if cpu.live() is None:
        pytest.skip("pages tell of x86 processors, and this is none")
    capfd.readouterr()
    for block in written.blocks(TEXTS[page]):
        if block.language == "python":
            run_python(block, project)
            continue
        for command in commands(block):
            if is_listed(command):
                continue
            status = run(words(command))
            told = capfd.readouterr()
            assert status != USAGE, (command, told.err)
            assert told.err == "", command
            if is_session(block):
                assert_printed(block.lines[1:], told.out)


def run_python(block: written.Block, project: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(block.lines)],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


def assert_printed(lines: list[str], printed: str) -> None:
    """The lines of a page are printed in this order; where it leaves some out, it has "  ..."."""
    rest = iter(printed.splitlines())
    left_out = False
    for line in lines:
        if line == "  ...":
            left_out = True
        elif left_out:
            assert line in rest
            left_out = False
        else:
            assert next(rest) == line


def parsed(arguments: list[str]) -> None:
    """Parse as the command does. Raises SystemExit."""
    parsers = written.pages.commands()
    name = arguments[0] if arguments[0] in parsers else ""
    parsers[name].parse_args(arguments[1:] if name else arguments)


@pytest.mark.parametrize("command", sorted(start for start in NOT_HERE if "depwalk " in start))
def test_commands_that_are_not_run_here_are_parsed(command: str) -> None:
    given = {found for _, block in all_blocks() for found in commands(block) if found.startswith(command)}
    for line in given:
        parsed(words(line))


def test_commands_within_sentences_and_tables_are_parsed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)  # settings are read where one is
    named = {span for text in TEXTS.values() for span in written.spans(text) if words(span) and "[" not in span}
    assert len(named) > 10
    for command in sorted(named - {"depwalk run", "python -m depwalk run", "depwalk scan --since"}):  # names of them
        parsed(words(command))


def test_every_command_of_the_bed_exists() -> None:
    program = (written.CHECKOUT / "ci" / "run.py").read_text("utf-8").split('"""')[1]
    known = set(re.findall(r"^python3 ci/run\.py (\w+)", program, re.MULTILINE))
    named = {name for text in TEXTS.values() for name in re.findall(r"ci/run\.py (\w+)", text)}
    assert named - known == set()
