"""The command line: what it answers to good and bad input, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pe_maker import pe

import depwalk
from depwalk import cli, tables

if TYPE_CHECKING:
    from conftest import MakePE

LOADS, FAILS, USAGE, UNKNOWN = 0, 1, 2, 3
HOME = str(Path(depwalk.__file__).parent.parent)
FIXED = ("--windows", "10", "--python", "3.11", "--no-load")  # the same answer on every machine
Ran = subprocess.CompletedProcess


def run(
    *arguments: object, encoding: str = "utf-8", read_as: str = "", python: tuple[str, ...] = (), **options: Any
) -> Ran[str]:
    """Run depwalk in a process of its own, whose output has an encoding, and read that output."""
    environment = {**os.environ, "PYTHONPATH": HOME, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    environment.pop("PYTHONUNBUFFERED", None)  # a person's Python writes when it ends
    options.setdefault("stdout", subprocess.PIPE)
    return subprocess.run(
        [sys.executable, *python, "-m", "depwalk", *map(str, arguments)],
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        encoding=read_as or encoding,
        env=environment,
        timeout=60,
        check=False,
        **options,
    )


def refused(ran: Ran[str], *words: object) -> None:
    """It ended with the status for bad input, after one clear line on standard error."""
    complaint = [line for line in ran.stderr.splitlines() if not line.startswith("Try: ")]
    assert (ran.returncode, len(complaint)) == (USAGE, 1), ran.stderr
    assert complaint[0].startswith("depwalk: ")
    for word in words:
        assert str(word) in complaint[0]


# ---- exit status -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dll", "system", "status"),
    [
        ("kernel32.dll", "10", LOADS),
        ("gone.dll", "10", FAILS),
        ("api-ms-win-future-thing-l1-1-0.dll", "11", UNKNOWN),
    ],
)
def test_exit_status(dll: str, system: str, status: int, make_pe: MakePE) -> None:
    ran = run(make_pe("root.pyd", imports={dll: ["f"]}), *FIXED, "--windows", system)
    assert (ran.returncode, ran.stderr) == (status, "")
    assert ran.stdout.startswith("root.pyd ")


@pytest.mark.parametrize(
    ("files", "status"),
    [
        (["good.pyd", "unsure.pyd"], UNKNOWN),
        (["unsure.pyd", "bad.pyd"], FAILS),
        (["bad.pyd", "nothere.pyd"], USAGE),
    ],
)
def test_of_several_targets_the_worst_counts(files: list[str], status: int, make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("good.pyd")
    make_pe("bad.pyd", imports={"gone.dll": ["f"]})
    make_pe("unsure.pyd", imports={"api-ms-win-future-thing-l1-1-0.dll": ["f"]})
    ran = run(*(tmp_path / name for name in files), *FIXED, "--windows", "11", "-q")
    assert ran.returncode == status
    assert len(ran.stdout.splitlines()) == sum(name != "nothere.pyd" for name in files)


def test_one_bad_target_does_not_hide_the_others(make_pe: MakePE, tmp_path: Path) -> None:
    ran = run(tmp_path / "nothere.pyd", make_pe("root.pyd"), *FIXED)
    refused(ran, "nothere.pyd")
    assert ran.stdout.startswith("root.pyd loads")


# ---- bad input ---------------------------------------------------------------------------------------------------


def test_each_file_of_another_kind_is_refused_in_one_line(tmp_path: Path) -> None:
    kinds = {
        "empty.dll": (b"", "the file is empty"),
        "text.pyd": (b"hello\n", "not a Windows DLL or program"),
        "elf.dll": (b"\x7fELF" + bytes(60), "not a Windows DLL or program but an ELF file (for Linux)"),
        "zip.dll": (b"PK\x03\x04" + bytes(60), "not a Windows DLL or program but a zip archive"),
    }
    for name, (content, _) in kinds.items():
        (tmp_path / name).write_bytes(content)
    ran = run(*(tmp_path / name for name in kinds))
    assert (ran.returncode, ran.stdout) == (USAGE, "")
    assert ran.stderr.splitlines() == [f"depwalk: {tmp_path / name}: {why}" for name, (_, why) in kinds.items()]


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    refused(run(tmp_path / "nothere.pyd"), tmp_path / "nothere.pyd")


def test_an_empty_name_is_refused() -> None:
    refused(run(""))


def test_a_directory_without_dlls_is_refused(tmp_path: Path) -> None:
    refused(run(tmp_path), tmp_path, "there is no .pyd, .dll, .exe or .whl file in it")


def test_a_file_that_may_not_be_read_is_refused(make_pe: MakePE) -> None:
    path = make_pe("secret.pyd")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file, or this system has no such permission")
    refused(run(path), path)


def test_a_truncated_dll_is_judged_and_not_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.dll"
    path.write_bytes(pe()[:700])
    ran = run(path, *FIXED)
    assert (ran.returncode, ran.stderr) == (FAILS, "")
    assert "cut.dll is damaged" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "TARGET"),
        (("--nonsense", "x"), "--nonsense"),
        (("x", "--format", "yaml"), "yaml"),
        (("x", "--timeout", "soon"), "soon"),
        (("x", "--timeout", "nan"), "nan"),
    ],
)
def test_wrong_usage_is_refused(arguments: tuple[str, ...], words: str) -> None:
    ran = run(*arguments)
    refused(ran, words)
    assert ran.stderr.splitlines()[1:] == ["Try: python -m depwalk --help"]
    assert "_" not in ran.stderr  # names of functions are no words for a person


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--windows", "95"),
        ("--python", "3.4"),
        ("--with-runtime", "vc13"),
        ("--root", "nothere"),
        ("--cpu", "8086"),
    ],
)
def test_an_option_that_makes_no_target_is_refused(option: str, value: str, make_pe: MakePE) -> None:
    ran = run(make_pe("root.pyd"), "--no-load", option, value)
    refused(ran, value)
    assert ran.stdout == ""


@pytest.mark.parametrize("output", ["nothere/report.txt", ""])
def test_an_output_that_cannot_be_written_is_refused(output: str, make_pe: MakePE, tmp_path: Path) -> None:
    path = tmp_path / output if output else tmp_path
    refused(run(make_pe("root.pyd"), *FIXED, "-o", path), path)


# ---- output ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["text", "json"])
def test_output_goes_to_a_file_on_demand(form: str, make_pe: MakePE, tmp_path: Path) -> None:
    report = tmp_path / "report"
    ran = run(make_pe("r\xf6\xf6t.pyd"), *FIXED, "--format", form, "-o", report)
    assert (ran.returncode, ran.stdout, ran.stderr) == (LOADS, "", "")
    assert "r\xf6\xf6t.pyd" in report.read_text("utf-8")


def test_quiet_is_the_verdict_in_one_line(make_pe: MakePE) -> None:
    ran = run(make_pe("root.pyd", imports={"gone.dll": ["f"]}), *FIXED, "-q")
    assert ran.stdout == "root.pyd does NOT load: gone.dll is missing\n"


def test_quiet_is_the_whole_verdict_for_long_names_too(make_pe: MakePE) -> None:
    long = "a_module_with_a_name_that_takes_up_most_of_a_line_of_output.pyd"
    ran = run(make_pe(long, imports={"gone.dll": ["f"]}), *FIXED, "-q")
    assert " ".join(ran.stdout.split()) == f"{long} does NOT load: gone.dll is missing"


def test_several_targets_are_json_lines(make_pe: MakePE) -> None:
    ran = run(make_pe("a.pyd"), make_pe("b.pyd"), *FIXED, "--format", "json")
    reports = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [os.path.basename(report["target"]["path"]) for report in reports] == ["a.pyd", "b.pyd"]


@pytest.mark.parametrize(("encoding", "form"), [("ascii", "text"), ("cp437", "text"), ("ascii", "json")])
def test_any_path_is_shown_in_any_encoding(encoding: str, form: str, make_pe: MakePE) -> None:
    path = make_pe("D\xe9p\xf4t \u4f9d\u5b58/\u0434\u0435\u043b\u043e.pyd", imports={"gone.dll": ["f"]})
    ran = run(path, *FIXED, "--format", form, encoding=encoding, read_as="utf-8" if form == "json" else "")
    assert (ran.returncode, ran.stderr) == (FAILS, "")
    assert "gone.dll" in ran.stdout
    if form == "json":
        assert json.loads(ran.stdout)["target"]["path"] == str(path)


def test_a_complaint_about_any_path_is_shown_in_any_encoding(tmp_path: Path) -> None:
    refused(run(tmp_path / "\u4f9d\u5b58.pyd", encoding="cp437"))


@pytest.mark.skipif(sys.platform == "win32", reason="file names are text there")
@pytest.mark.parametrize("form", [("--format", "text"), ("--format", "json"), ("-o", "report")])
def test_a_file_name_that_is_no_text_is_shown_escaped(form: tuple[str, str], tmp_path: Path) -> None:
    path = os.path.join(os.fsencode(tmp_path), b"r\xff.pyd")
    with open(path, "wb") as file:
        file.write(pe())
    ran = run(os.fsdecode(path), *FIXED, *form, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (LOADS, "")


def quiet(ran: Ran[str]) -> None:
    """It ended with a documented status and said at most one line."""
    assert ran.returncode in (LOADS, FAILS, USAGE, UNKNOWN), ran.stderr
    assert len(ran.stderr.splitlines()) <= 1, ran.stderr


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_reader_that_has_gone_away_is_no_accident(form: str, make_pe: MakePE) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        quiet(run(make_pe("root.pyd"), *FIXED, "--format", form, stdout=writer))
    finally:
        os.close(writer)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
@pytest.mark.parametrize("form", ["text", "json"])
def test_a_full_disk_is_told_in_one_line(form: str, make_pe: MakePE) -> None:
    with open("/dev/full", "w") as full:
        refused(run(make_pe("root.pyd"), *FIXED, "--format", form, stdout=full))


@pytest.mark.parametrize("words", ["--help", "-h", "--version", "scan --help", "run --version"])
def test_help_and_version_need_no_parser(words: str) -> None:
    ran = run(*words.split(), python=("-X", "importtime"))
    assert ran.returncode == LOADS
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "depwalk.cli" in imported
    assert imported & {"argparse", "re", "typing", "pathlib", "depwalk.core"} == set()


@pytest.mark.parametrize("command", ["", *cli.COMMANDS])
def test_the_help_that_is_kept_is_what_the_parser_says(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    kept = tables.path("help", f"{command or 'depwalk'}.txt").read_text("utf-8")
    assert kept == cli.parser_of(command)[0].format_help(), "python3 ci/help.py writes it anew"


def test_in_a_narrow_terminal_the_help_is_wrapped_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    shown = run("--help").stdout.partition("where it would run")[2].splitlines()
    assert max(map(len, shown)) < 60


def test_help_names_every_option_and_the_exit_status() -> None:
    shown = run("--help").stdout
    options = (
        "--python --windows --root --dll-dir --path --with-runtime --cpu --no-load --timeout --format --output --all "
        "--quiet --verbose --version"
    )
    assert [option for option in options.split() if option not in shown] == []
    assert "Exit status: 0" in shown


@pytest.mark.parametrize(("command", "lines"), [((), 40), (("scan",), 50), (("run",), 24), (("cpu",), 24)])
def test_help_fits_a_screen(command: tuple[str, ...], lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = run(*command, "--help").stdout.splitlines()
    assert len(shown) <= lines
    assert max(map(len, shown)) < 80
    assert shown[0].startswith(" ".join(("usage: depwalk", *command)))


@pytest.mark.parametrize("command", [(), ("scan",), ("run",), ("cpu",)])
def test_help_says_what_is_done_without_an_option(command: tuple[str, ...]) -> None:
    shown = " ".join(run(*command, "--help").stdout.split())
    assert "(default: text)" in shown
    assert "(default: standard output)" in shown
    assert ("default: live on Windows, else 11" in shown) == (command in ((), ("scan",)))
    assert "positional arguments" not in shown


def test_version() -> None:
    assert run("--version").stdout == f"depwalk {depwalk.__version__}\n"


def test_path_and_dll_dir_are_used(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("added/a.dll", exports=["f"])
    make_pe("on_path/b.dll", exports=["f"])
    root = make_pe("root.pyd", imports={"a.dll": ["f"], "b.dll": ["f"]})
    added, path = tmp_path / "added", f"{tmp_path / 'nothere'};{tmp_path / 'on_path'}"
    old = ("--windows", "10", "--python", "3.7", "--no-load", "-q")
    assert run(root, *old).returncode == FAILS
    assert run(root, *old, "--dll-dir", added, "--path", path).returncode == LOADS
