"""Scan, the command line: what it answers to good and bad input, its settings, and a directory as TARGET."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from installed import install
from pe_maker import pe
from scanned import EXT, lay, make_wheel
from test_cli import HOME, quiet, run

from depwalk import cli, tables

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the files are read as elsewhere; tests/loader asks on Windows"
)

LOADS, FAILS, USAGE, UNKNOWN = 0, 1, 2, 3
FIXED = ("--windows", "10")  # the same answer on every machine
GOOD, BAD = pe(imports={"kernel32.dll": ["Sleep"]}), pe(imports={"gone.dll": ["f"]})
SCHEMA = json.loads(tables.path("scan.schema.json").read_text("utf-8"))


class Said(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Its output as JSON Lines."""
        return [json.loads(line) for line in self.out.splitlines()]


Depwalk = "Callable[..., Said]"


@pytest.fixture
def depwalk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]) -> Depwalk:
    """The command line, in this process and in an empty directory: what it answers."""
    monkeypatch.chdir(lay(tmp_path / "here", {"x": ""}))

    def answer(*arguments: object) -> Said:
        try:
            status = cli.main([str(argument) for argument in arguments])
        except SystemExit as ended:
            status = int(str(ended.code))
        sys.stdout.flush()
        out, err = capfdbinary.readouterr()
        return Said(status, out.decode(), err.decode())

    return answer


@pytest.fixture
def scan(depwalk: Callable[..., Said]) -> Depwalk:
    return lambda *arguments: depwalk("scan", *arguments)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site-packages with something of every kind."""
    site = tmp_path / "site-packages"
    needs = pe(imports={"dep.dll": ["f"]}, delay={"late.dll": ["f"]})
    install(site, {f"demo/{EXT}": needs, "demo/dep.dll": pe(exports=["f"], version=(1, 2, 3, 4)), "demo/a.pyd": BAD})
    return lay(
        site, {"tool.exe": pe(dll=False), "t-arm.exe": pe(dll=False, machine="arm64"), "b.pyd": b"", "c.dll": BAD}
    )


@pytest.fixture
def fine(tmp_path: Path) -> Path:
    """A directory in which everything loads."""
    return lay(tmp_path / "fine", {f"demo/{EXT}": GOOD})


def refused(said: Said, *words: object) -> None:
    """It ended with the status for bad input, after one clear line on standard error, and nothing else."""
    complaint = [line for line in said.err.splitlines() if not line.startswith("Try: ")]
    assert (said.status, said.out, len(complaint)) == (USAGE, "", 1), said
    assert complaint[0].startswith("depwalk: ")
    assert "Errno" not in complaint[0]
    for word in words:
        assert str(word) in complaint[0]


# ---- JSON Lines


def validated(rows: list[dict[str, Any]]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for row in rows:
        jsonschema.validate(row, SCHEMA)


def required(schema: dict[str, Any], value: Any) -> None:
    """Every key that is there is one that the schema requires, at every level."""
    if isinstance(value, dict) and schema.get("properties"):
        assert set(value) == set(schema["required"])
        for key, one in value.items():
            required(schema["properties"][key], one)
    elif isinstance(value, list) and "items" in schema:
        for one in value:
            required(schema["items"], one)


@pytest.mark.parametrize("options", [(), ("--hash",), ("--windows", "7", "--cpu", "x86-64-v2", "--python", "3.11")])
def test_every_row_follows_the_schema_which_requires_what_is_always_there(
    options: tuple[str, ...], site: Path, tmp_path: Path, scan: Callable[..., Said]
) -> None:
    make_wheel(tmp_path / "dist", {f"demo/{EXT}": BAD, "demo/e.dll": b""})
    make_wheel(tmp_path / "dist", {}, name="empty")
    (tmp_path / "dist" / "bad.whl").write_bytes(b"")
    rows = scan(site, tmp_path / "dist", *FIXED, *options, "--format", "json").rows
    assert {row["verdict"] for row in rows} == {"loads", "fails", None}
    validated(rows)
    for row in rows:
        required(SCHEMA, row)


@pytest.mark.parametrize("part", ["findings", "edges", "tool"])
def test_the_schema_says_of_findings_and_edges_what_that_of_one_file_says(part: str) -> None:
    of_one_file = json.loads(tables.path("schema.json").read_text("utf-8"))
    assert SCHEMA["properties"][part] == of_one_file["properties"][part]


def test_each_file_has_one_line_for_each_case(site: Path, scan: Callable[..., Said]) -> None:
    rows = scan(site, "--windows", "7", "--windows", "11", "--format", "json").rows
    found = [(os.path.basename(row["target"]["path"]), row["case"]["windows"]) for row in rows]
    names = (EXT, "dep.dll", "a.pyd", "tool.exe", "t-arm.exe", "b.pyd", "c.dll")
    assert sorted(found) == sorted((name, windows) for name in names for windows in ("7", "11"))


def test_a_row_says_what_the_report_of_the_file_says(site: Path, depwalk: Callable[..., Said]) -> None:
    path = site / "demo" / EXT
    (alone,) = depwalk(path, *FIXED, "--python", "3.11", "--no-load", "--format", "json").rows
    row = next(
        row for row in depwalk("scan", site, *FIXED, "--format", "json").rows if row["target"]["path"] == str(path)
    )
    assert [row[key] for key in ("verdict", "basis", "findings", "edges")] == [
        alone[key] for key in ("verdict", "basis", "findings", "edges")
    ]
    for one, other in zip(row["modules"], alone["modules"]):
        assert one == {key: other[key] for key in one}


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
@pytest.mark.parametrize("options", [("--format", "json"), ("--db", "scans.db"), ("-o", "report"), ("--all",)])
def test_a_file_name_that_is_no_text_is_no_accident(
    options: tuple[str, ...], tmp_path: Path, scan: Callable[..., Said]
) -> None:
    lay(tmp_path / "odd", {os.fsdecode(b"r\xff.pyd"): BAD})
    said = scan(tmp_path / "odd", *FIXED, *options)
    assert (said.status, said.err) == (FAILS, "")
    if "--db" in options:
        assert "1 of 1 verdicts" in scan(tmp_path / "odd", *FIXED, *options).out


# ---- output


@pytest.mark.parametrize("form", ["text", "json"])
def test_output_goes_to_a_file_on_demand(form: str, site: Path, tmp_path: Path, scan: Callable[..., Said]) -> None:
    said = scan(site, *FIXED, "--format", form, "-o", tmp_path / "report")
    assert (said.status, said.out, said.err) == (USAGE, "", "")
    assert "gone.dll" in (tmp_path / "report").read_text("utf-8")


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("output", ["nothere/report", ""])
def test_an_output_that_cannot_be_written_is_refused(
    form: str, output: str, fine: Path, tmp_path: Path, scan: Callable[..., Said]
) -> None:
    path = tmp_path / output if output else tmp_path
    refused(scan(fine, *FIXED, "--format", form, "-o", path), path)


def test_quiet_is_the_answer_in_one_line(fine: Path, scan: Callable[..., Said]) -> None:
    assert scan(fine, *FIXED, "-q") == (LOADS, "1 extension module: 1 loads\n", "")


def test_the_answer_is_the_first_line(site: Path, scan: Callable[..., Said]) -> None:
    said = scan(site, *FIXED)
    assert said.out.splitlines()[0] == "2 extension modules: 1 loads, 1 does NOT load; 1 file could not be read"
    assert max(len(line) for line in said.out.splitlines() if str(site) not in line) <= 80


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_reader_that_has_gone_away_is_no_accident(form: str, site: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        quiet(run("scan", site, *FIXED, "--format", form, stdout=writer))
    finally:
        os.close(writer)


@pytest.mark.skipif(sys.platform == "win32", reason="what the system says of it there differs")
def test_a_reader_may_take_the_first_row_and_go(tmp_path: Path) -> None:
    lay(tmp_path, {f"{number}.pyd": BAD for number in range(100)})
    command = [sys.executable, "-m", "depwalk", "scan", str(tmp_path), *FIXED, "--format", "json"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": HOME}
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["verdict"] == "fails"
        process.stdout.close()
        complaint = process.stderr.read().decode()
    assert (process.returncode, complaint) == (USAGE, "depwalk: standard output: Broken pipe\n")


def test_where_nobody_looks_no_progress_is_shown(fine: Path, scan: Callable[..., Said]) -> None:
    assert scan(fine, *FIXED).err == ""


@pytest.mark.skipif(sys.platform == "win32", reason="a terminal as on POSIX systems")
def test_on_a_terminal_progress_is_shown_while_the_answer_goes_elsewhere(fine: Path, tmp_path: Path) -> None:
    import pty

    master, slave = pty.openpty()
    command = [sys.executable, "-m", "depwalk", "scan", str(fine), *FIXED, "-o", str(tmp_path / "report")]
    environment = {**os.environ, "PYTHONPATH": HOME, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(command, stderr=slave, stdin=subprocess.DEVNULL, env=environment)
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert process.wait(60) == LOADS
    assert b"judging" in shown
    assert b"Traceback" not in shown


def test_help_is_instant_and_names_every_option() -> None:
    ran = run("scan", "--help", python=("-X", "importtime"))
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert imported & {"cffi", "_cffi_backend", "rich", "depwalk.core", "depwalk.bulk", "sqlite3"} == set()
    options = (
        "--python --windows --also-without-runtime --root --dll-dir --path --with-runtime --cpu --load --timeout "
        "--jobs --db --hash --since --fail-on --ignore --baseline --write-baseline --format --output --all --quiet"
    )
    assert [option for option in options.split() if option not in ran.stdout] == []
    assert "Exit status" in ran.stdout


# ---- bad input


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--jobs", "0"), "'0' is no number between 1 and 1024"),
        (("--jobs", "many"), "'many'"),
        (("--jobs", "-1"), "--jobs"),
        (("--timeout", "0"), "'0'"),
        (("--format", "yaml"), "yaml"),
        (("--since", "1"), "--db FILE"),
        (("--since", "last"), "--db FILE"),
        (("--fail-on", "missing-dlls"), "missing-dlls"),
        (("--baseline", "nothere.json"), "nothere.json"),
        (("--windows", "95"), "95"),
        (("--python", "2.7"), "2.7"),
        (("--with-runtime", "vc13"), "vc13"),
        (("--cpu", "8086"), "8086"),
        (("--root", "nothere"), "nothere"),
        (("--dll-dir", "nothere"), "nothere"),
        (("--nonsense",), "--nonsense"),
    ],
)
def test_wrong_usage_is_refused(arguments: tuple[str, ...], word: str, fine: Path, scan: Callable[..., Said]) -> None:
    refused(scan(fine, *arguments), word)


@pytest.mark.parametrize("arguments", [(), ("--db", "x.db"), ("--since", "1")])
def test_without_anything_to_scan_or_to_compare_it_says_what_is_needed(
    arguments: tuple[str, ...], scan: Callable[..., Said]
) -> None:
    refused(scan(*arguments), "nothing to scan: give a PATH, or --db FILE with --since RUN")


def test_a_path_with_nothing_to_judge_is_refused(tmp_path: Path, scan: Callable[..., Said]) -> None:
    refused(scan(tmp_path / "here"), tmp_path / "here", "there is no .pyd, .dll, .exe or .whl file in it")


def test_a_path_that_is_not_there_is_refused(scan: Callable[..., Said]) -> None:
    refused(scan("nothere"), "nothere: there is no such file or directory")


def test_a_list_that_cannot_be_read_is_refused(tmp_path: Path, scan: Callable[..., Said]) -> None:
    (tmp_path / "list.txt").write_text("", encoding="utf-8")
    (tmp_path / "list.txt").chmod(0)
    if os.access(tmp_path / "list.txt", os.R_OK):
        pytest.skip("this user may read every file, or this system has no such permission")
    refused(scan(tmp_path / "list.txt"), tmp_path / "list.txt")


@pytest.mark.parametrize("content", [b"no database" * 100, b"SQLite format 3\0" + bytes(84)])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(
    content: bytes, fine: Path, tmp_path: Path, scan: Callable[..., Said]
) -> None:
    (tmp_path / "bad.db").write_bytes(content)
    refused(scan(fine, *FIXED, "--db", tmp_path / "bad.db"), tmp_path / "bad.db")
    assert (tmp_path / "bad.db").read_bytes() == content


@pytest.mark.parametrize("name", ["nothere/scans.db", "."])
def test_a_database_that_cannot_be_made_is_refused(
    name: str, fine: Path, tmp_path: Path, scan: Callable[..., Said]
) -> None:
    refused(scan(fine, *FIXED, "--db", tmp_path / name), tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="here it can be done")
def test_loading_off_windows_is_refused(fine: Path, scan: Callable[..., Said]) -> None:
    refused(scan(fine, "--load"), "--load needs Windows")


# ---- databases and baselines


def test_a_second_scan_takes_what_has_not_changed_from_the_database(
    site: Path, tmp_path: Path, scan: Callable[..., Said]
) -> None:
    options = (*FIXED, "--format", "json", "--db", tmp_path / "scans.db")
    first, second = scan(site, *options), scan(site, *options)
    assert [row["reused"] for row in first.rows] == [False] * 7
    assert [row["reused"] for row in second.rows] == [True] * 7
    assert (first.status, first.err) == (second.status, second.err) == (USAGE, "")

    def plain(said: Said) -> list[dict[str, Any]]:
        rows = [{**row, "reused": None, "elapsed_ms": None} for row in said.rows]
        return sorted(rows, key=lambda row: row["target"]["path"])

    assert plain(first) == plain(second)


def test_what_broke_since_a_run_is_shown(tmp_path: Path, scan: Callable[..., Said]) -> None:
    folder = lay(tmp_path / "lib", {"a.pyd": GOOD, "b.pyd": BAD})
    options = (*FIXED, "--db", tmp_path / "scans.db")
    scan(folder, *options)
    lay(folder, {"a.pyd": pe(imports={"gone.dll": ["f"], "kernel32.dll": ["Sleep"]}), "b.pyd": GOOD + bytes(512)})
    said = scan(folder, *options, "--since", "last")
    assert "From run 1 to run 2: 1 broke, 1 mended." in said.out
    alone = scan(*options, "--since", "1")
    assert (alone.status, alone.out.strip().splitlines()[0]) == (FAILS, "From run 1 to run 2: 1 broke, 1 mended.")


def test_quiet_a_scan_and_its_comparison_are_one_line(tmp_path: Path, scan: Callable[..., Said]) -> None:
    folder = lay(tmp_path / "lib", {"a.pyd": GOOD})
    options = (*FIXED, "--db", tmp_path / "scans.db", "--quiet")
    scan(folder, *options)
    lay(folder, {"a.pyd": BAD})
    said = scan(folder, *options, "--since", "last")
    assert said.out.splitlines() == ["1 extension module: 1 does NOT load. From run 1 to run 2: 1 broke."]
    assert scan(*options, "--since", "1").out.splitlines() == ["From run 1 to run 2: 1 broke."]


def test_a_run_that_is_not_in_the_database_is_refused(fine: Path, tmp_path: Path, scan: Callable[..., Said]) -> None:
    scan(fine, *FIXED, "--db", tmp_path / "scans.db")
    refused(scan(fine, *FIXED, "--db", tmp_path / "scans.db", "--since", "7"), "'7'", "there are: 1")


def test_a_baseline_accepts_what_was_there_and_not_what_is_new(tmp_path: Path, scan: Callable[..., Said]) -> None:
    folder, known = lay(tmp_path / "lib", {"a.pyd": BAD}), tmp_path / "known.json"
    assert scan(folder, *FIXED, "--write-baseline", known).status == FAILS
    accepted = scan(folder, *FIXED, "--baseline", known)
    assert (accepted.status, accepted.out.splitlines()[0]) == (LOADS, "1 extension module: 1 accepted")
    lay(folder, {"b.pyd": BAD})
    assert scan(folder, *FIXED, "--baseline", known).status == FAILS


def test_a_baseline_that_cannot_be_written_is_told(fine: Path, tmp_path: Path, scan: Callable[..., Said]) -> None:
    said = scan(fine, *FIXED, "-q", "--write-baseline", tmp_path / "nothere" / "known.json")
    assert (said.status, said.err.count("\n")) == (USAGE, 1)
    assert str(tmp_path / "nothere" / "known.json") in said.err


def test_what_is_ignored_does_not_count(tmp_path: Path, scan: Callable[..., Said]) -> None:
    folder = lay(tmp_path / "lib", {"a.pyd": BAD})
    assert scan(folder, *FIXED, "--ignore", "gone.dll", "-q") == (LOADS, "1 extension module: 1 accepted\n", "")


def test_only_what_it_is_to_fail_on_makes_it_fail(tmp_path: Path, scan: Callable[..., Said]) -> None:
    folder = lay(tmp_path / "lib", {"a.pyd": BAD, "b.pyd": pe(delay={"late.dll": ["f"]})})
    statuses = {code: scan(folder, *FIXED, "--fail-on", code).status for code in ("wrong-python", "delay-load-missing")}
    assert statuses == {"wrong-python": LOADS, "delay-load-missing": FAILS}


# ---- settings


def settle(text: str) -> None:
    """Write [tool.depwalk] of the current directory."""
    Path("pyproject.toml").write_text(f"[tool.depwalk]\n{text}\n", encoding="utf-8")


def cases_of(said: Said) -> list[str]:
    return sorted({row["case"]["windows"] for row in said.rows})


@pytest.mark.parametrize(
    ("setting", "windows"), [('windows = ["7", "10"]', ["10", "7"]), ('windows = "8"', ["8"]), ("windows = []", ["11"])]
)
@pytest.mark.skipif(sys.platform == "win32", reason="without a choice it is the live one")
def test_a_list_may_be_a_setting(setting: str, windows: list[str], fine: Path, scan: Callable[..., Said]) -> None:
    settle(setting)
    assert cases_of(scan(fine, "--format", "json")) == windows


def test_a_list_on_the_command_line_replaces_that_of_the_settings(fine: Path, scan: Callable[..., Said]) -> None:
    settle('windows = ["7", "10"]')
    assert cases_of(scan(fine, "--format", "json", "--windows", "8", "--windows", "11")) == ["11", "8"]


def test_a_word_may_be_a_setting_and_the_command_line_goes_before_it(fine: Path, scan: Callable[..., Said]) -> None:
    settle('format = "json"\nwindows = "10"\npython = "3.9"')
    assert [row["case"]["python"] for row in scan(fine).rows] == ["3.9"]
    assert [row["case"]["python"] for row in scan(fine, "--python", "3.12").rows] == ["3.12"]
    assert scan(fine, "--python", "3.11", "--format", "text", "-q").out == "1 extension module: 1 loads\n"


def test_a_switch_may_be_a_setting(fine: Path, scan: Callable[..., Said]) -> None:
    settle('quiet = true\nall = false\nwindows = "10"')
    assert scan(fine).out == "1 extension module: 1 loads\n"


def test_a_number_may_be_a_setting(fine: Path, scan: Callable[..., Said]) -> None:
    settle('jobs = 1\ntimeout = 2.5\nwindows = "10"\nquiet = true')
    assert scan(fine).status == LOADS


def test_paths_may_be_a_setting_relative_to_the_current_directory(scan: Callable[..., Said], tmp_path: Path) -> None:
    lay(tmp_path / "here" / "dist", {"a.pyd": BAD})
    settle('paths = ["dist"]\nwindows = "10"\nquiet = true')
    assert scan().out == "1 extension module: 1 does NOT load\n"


def test_paths_on_the_command_line_replace_those_of_the_settings(fine: Path, scan: Callable[..., Said]) -> None:
    settle('paths = ["nothere"]\nwindows = "10"\nquiet = true')
    assert scan(fine).out == "1 extension module: 1 loads\n"


def test_policy_may_be_settings(tmp_path: Path, scan: Callable[..., Said]) -> None:
    settle('ignore = ["gone.dll"]\nfail-on = "missing-dll"\nwindows = "10"')
    assert scan(lay(tmp_path / "lib", {"a.pyd": BAD})).status == LOADS
    assert scan(lay(tmp_path / "lib", {"a.pyd": BAD}), "--ignore", "other.dll").status == FAILS


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("windows = 10", "windows is a list of strings"),
        ("windows = [10]", "windows is a list of strings"),
        ("python = 3.11", "python is a string"),
        ('quiet = "yes"', "quiet is true or false"),
        ("quiet = 1", "quiet is true or false"),
        ('jobs = "4"', "jobs is a number"),
        ("jobs = true", "jobs is a number"),
        ("jobs = 0", "jobs: '0' is no number between 1 and 1024"),
        ("timeout = -1", "timeout: '-1' is no number of seconds"),
        ('format = "yaml"', "format is text or json"),
        ("nonsense = 1", "has no setting 'nonsense'"),
        ("help = true", "has no setting 'help'"),
        ('version = "1"', "has no setting 'version'"),
        ('dll_dir = ["x"]', "has no setting 'dll_dir'"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(
    setting: str, complaint: str, fine: Path, scan: Callable[..., Said]
) -> None:
    settle(setting)
    refused(scan(fine), f"pyproject.toml: [tool.depwalk] {complaint}")


@pytest.mark.parametrize(
    "text", ["tool = 3", "[tool]\ndepwalk = 3", "[[tool.depwalk]]\nquiet = true", "[tool", "x = 1\nx = 2"]
)
def test_a_file_without_such_a_table_is_refused_or_has_no_settings(
    text: str, fine: Path, scan: Callable[..., Said]
) -> None:
    Path("pyproject.toml").write_text(text, encoding="utf-8")
    said = scan(fine, *FIXED, "-q")
    if text == "tool = 3":
        assert said.status == LOADS
    else:
        refused(said, "pyproject.toml: ")


def test_settings_that_are_no_text_are_refused(fine: Path, scan: Callable[..., Said]) -> None:
    Path("pyproject.toml").write_bytes(b"[tool.depwalk]\n# \xff\n")
    refused(scan(fine), "pyproject.toml: ")


# ---- a directory or a wheel as TARGET


def same(one: Said, other: Said) -> bool:
    return (one.status, re.sub(r'"elapsed_ms": [\d.]+', "", one.out), one.err) == (
        other.status,
        re.sub(r'"elapsed_ms": [\d.]+', "", other.out),
        other.err,
    )


@pytest.mark.parametrize(
    "options",
    [
        (*FIXED,),
        (*FIXED, "-q"),
        (*FIXED, "--all"),
        (*FIXED, "--format", "json"),
        ("--windows", "7", "--python", "3.9", "--with-runtime", "vc14"),
        ("--windows", "10", "--cpu", "x86-64-v1", "--path", "x;y"),
    ],
)
@pytest.mark.parametrize("kind", ["directory", "wheel"])
def test_a_target_that_holds_files_is_scanned(
    kind: str, options: tuple[str, ...], site: Path, tmp_path: Path, depwalk: Callable[..., Said]
) -> None:
    target = site if kind == "directory" else make_wheel(tmp_path, {f"demo/{EXT}": BAD, "demo/b.pyd": GOOD})
    scanned = depwalk("scan", target, *options)
    assert scanned.out
    assert same(depwalk(target, *options), scanned)


def test_several_of_them_are_scanned_together(site: Path, fine: Path, depwalk: Callable[..., Said]) -> None:
    assert same(depwalk(site, fine, *FIXED), depwalk("scan", site, fine, *FIXED))


def test_what_only_a_single_file_has_to_do_with_is_left_out(fine: Path, depwalk: Callable[..., Said]) -> None:
    assert depwalk(fine, *FIXED, "-q", "-v", "--no-load", "--timeout", "3").out == "1 extension module: 1 loads\n"


@pytest.mark.parametrize(
    ("folder", "file", "status"), [(GOOD, GOOD, LOADS), (BAD, GOOD, FAILS), (GOOD, BAD, FAILS), (GOOD, b"", USAGE)]
)
def test_beside_files_the_worst_counts(
    folder: bytes, file: bytes, status: int, tmp_path: Path, depwalk: Callable[..., Said]
) -> None:
    lay(tmp_path, {"lib/a.pyd": folder, "b.dll": file})
    said = depwalk(tmp_path / "b.dll", tmp_path / "lib", *FIXED, "--no-load", "-q")
    assert said.status == status
    assert said.out.splitlines()[0].startswith("1 extension module: ")
    assert (len(said.out.splitlines()), said.err.count("\n")) == ((1, 1) if file == b"" else (2, 0))


@pytest.mark.parametrize("form", ["text", "json"])
def test_beside_files_both_go_to_the_output(
    form: str, fine: Path, tmp_path: Path, depwalk: Callable[..., Said]
) -> None:
    lay(tmp_path, {"b.dll": BAD, "report": "former\n"})
    options = (*FIXED, "--no-load", "--format", form, "-o", tmp_path / "report")
    assert depwalk(fine, tmp_path / "b.dll", *options) == (FAILS, "", "")
    text = (tmp_path / "report").read_text("utf-8")
    assert "former" not in text
    if form == "json":
        assert [json.loads(line)["schema"] for line in text.splitlines()] == ["depwalk-scan/1", "depwalk/1"]
    else:
        assert text.index("1 extension module: 1 loads") < text.index("b.dll does NOT load")


def test_a_target_with_nothing_in_it_is_told_and_the_files_are_checked(
    tmp_path: Path, depwalk: Callable[..., Said]
) -> None:
    lay(tmp_path, {"empty/x.txt": "", "b.dll": GOOD})
    said = depwalk(tmp_path / "empty", tmp_path / "b.dll", *FIXED, "--no-load", "-q")
    assert (said.status, said.out.strip()) == (USAGE, "b.dll loads")
    assert said.err == f"depwalk: {tmp_path / 'empty'}: there is no .pyd, .dll, .exe or .whl file in it\n"


def test_settings_hold_for_a_target_too(fine: Path, depwalk: Callable[..., Said]) -> None:
    settle('windows = "10"\nformat = "json"')
    assert cases_of(depwalk(fine)) == ["10"]
    assert depwalk(fine, "--format", "text", "-q").out == "1 extension module: 1 loads\n"
    assert cases_of(depwalk(fine, "--windows", "7")) == ["7"]


def test_settings_do_not_matter_to_a_single_file(fine: Path, depwalk: Callable[..., Said]) -> None:
    settle("nonsense = 1")
    assert depwalk(fine / "demo" / EXT, *FIXED, "--no-load", "-q").status == LOADS


def test_a_wheel_that_is_not_there_is_refused(depwalk: Callable[..., Said]) -> None:
    refused(depwalk("nothere-1.0-py3-none-any.whl", *FIXED), "nothere-1.0-py3-none-any.whl")


def test_the_database_has_each_row(site: Path, tmp_path: Path, scan: Callable[..., Said]) -> None:
    scan(site, *FIXED, "--db", tmp_path / "scans.db")
    connection = sqlite3.connect(tmp_path / "scans.db")
    try:
        assert connection.execute("SELECT count(*) FROM results").fetchone() == (7,)
    finally:
        connection.close()
