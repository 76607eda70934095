"""Scan, what counts: findings that are ignored or known already, those that make it fail, and the exit status."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import pytest

from depwalk.bulk.policy import Policy, UnknownCode, codes_in, entry_of, read_baseline, words, written_baseline
from depwalk.bulk.rows import Case, File, Row, Unit
from depwalk.bulk.summary import Summary
from depwalk.finding import Finding

if TYPE_CHECKING:
    from pathlib import Path

    from depwalk.bulk.rows import FileKind, UnitKind
    from depwalk.finding import Severity

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the files are read as elsewhere; tests/loader asks on Windows"
)

LOADS, FAILS, USAGE, UNKNOWN = 0, 1, 2, 3
TEN = Case("10", "10")
SITE = os.path.abspath(os.path.join("env", "Lib", "site-packages"))


def found(code: str, module: str, severity: Severity = "error") -> Finding:
    return Finding(code, severity, module, f"There is something about {module}.", "a.pyd")


GONE = found("missing-dll", "Gone.dll")
OTHER = found("missing-dll", "other.dll")
OLD = found("windows-too-old", "a.pyd")
DELAYED = found("delay-load-missing", "late.dll", "warning")
INCOMPLETE = found("analysis-incomplete", "a.pyd", "warning")
NOTE = found("not-searched", "x.dll", "note")


def row(
    *findings: Finding,
    verdict: str | None = "fails",
    path: str = "demo/a.pyd",
    unit: str = SITE,
    unit_kind: UnitKind = "site",
    kind: FileKind = "extension",
    distribution: str = "Demo_Pkg",
    **facts: Any,
) -> Row:
    """The row of a file below a unit, in the words of its findings."""
    file = File(
        os.path.join(unit, *path.split("/")),
        Unit(unit, unit_kind),
        kind,
        10,
        20,
        distribution=distribution,
        version="1.0",
    )
    return Row(file, TEN, verdict, findings=findings, **facts)  # type: ignore[arg-type]  # the fields of a row


def unreadable(path: str = "demo/a.pyd", **facts: Any) -> Row:
    return row(verdict=None, path=path, reason="the file is empty", unreadable=True, **facts)


def ignoring(*given: str) -> Policy:
    return Policy(words(given))


# ---- what is ignored


@pytest.mark.parametrize(
    "word",
    ["missing-dll", "gone.dll", "GONE.DLL", "demo-pkg", "Demo.Pkg", "demo_pkg", "x, gone.dll ,y", " missing-dll "],
)
def test_a_finding_is_ignored_by_its_code_its_module_or_the_distribution(word: str) -> None:
    assert ignoring(word).outcome(row(GONE)) == "accepted"


@pytest.mark.parametrize("word", ["windows-too-old", "one.dll", "gone", "demo", "1.0", "demo/a.pyd", "", ","])
def test_a_finding_is_not_ignored_by_other_words(word: str) -> None:
    assert ignoring(word).outcome(row(GONE)) == "fails"


def test_a_file_is_accepted_only_if_all_that_prevents_it_is() -> None:
    assert ignoring("gone.dll").outcome(row(GONE, OTHER)) == "fails"
    assert ignoring("gone.dll", "other.dll").outcome(row(GONE, OTHER)) == "accepted"


def test_warnings_beside_an_error_need_not_be_accepted() -> None:
    assert ignoring("gone.dll").outcome(row(GONE, DELAYED)) == "accepted"


def test_what_is_not_known_is_accepted_if_what_is_odd_about_it_is() -> None:
    assert ignoring("analysis-incomplete").outcome(row(INCOMPLETE, verdict="unknown")) == "accepted"


@pytest.mark.parametrize("findings", [(), (NOTE,)])
def test_what_is_not_known_without_a_finding_cannot_be_accepted(findings: tuple[Finding, ...]) -> None:
    assert ignoring("demo-pkg", "not-searched").outcome(row(*findings, verdict="unknown")) == "unknown"


def test_what_loads_loads_whatever_is_ignored() -> None:
    assert ignoring("delay-load-missing").outcome(row(DELAYED, verdict="loads")) == "loads"


@pytest.mark.parametrize("word", ["unreadable", "a.pyd", "A.PYD", "demo-pkg"])
def test_a_file_that_cannot_be_read_is_ignored_by_that_word_its_name_or_its_distribution(word: str) -> None:
    assert ignoring(word).outcome(unreadable()) == "accepted"


def test_a_file_that_cannot_be_read_is_not_ignored_by_other_words() -> None:
    assert ignoring("missing-dll", "b.pyd", "demo").outcome(unreadable()) == "unreadable"


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [("judged with x.pyd, which needs it", "part"), ("it is for another Python", "passed over")],
)
def test_what_was_not_judged_is_a_part_or_passed_over(reason: str, outcome: str) -> None:
    assert Policy().outcome(row(verdict=None, reason=reason)) == outcome


# ---- what was said and never met


def test_a_word_that_was_met_by_nothing_is_told() -> None:
    policy = ignoring("gone.dll", "never.dll", "unreadable")
    policy.outcome(row(GONE))
    assert policy.unused == ["never.dll", "unreadable"]


@pytest.mark.parametrize("verdict", ["loads", "fails", "unknown"])
def test_a_word_was_met_whatever_the_verdict(verdict: str) -> None:
    policy = ignoring("delay-load-missing")
    policy.outcome(row(DELAYED, GONE, verdict=verdict))
    assert policy.unused == []


def test_an_entry_of_a_baseline_that_was_not_met_is_told() -> None:
    policy = Policy(known=frozenset({entry_of(row(), GONE), entry_of(row(), OTHER)}))
    policy.outcome(row(GONE))
    assert policy.unused == ["missing-dll of other.dll in demo/a.pyd"]


# ---- what makes it fail


@pytest.mark.parametrize(
    ("one", "status"),
    [
        (row(GONE), FAILS),
        (row(OLD), LOADS),
        (row(OLD, GONE), FAILS),
        (row(INCOMPLETE, verdict="unknown"), LOADS),
        (row(verdict="loads"), LOADS),
    ],
)
def test_with_codes_to_fail_on_only_these_count(one: Row, status: int) -> None:
    policy = Policy(fail_on=codes_in(["missing-dll"]))
    assert policy.status(one, policy.outcome(one)) == status


@pytest.mark.parametrize("verdict", ["loads", "fails"])
def test_a_warning_counts_if_it_is_to(verdict: str) -> None:
    policy, one = Policy(fail_on=codes_in(["wrong-python,delay-load-missing"])), row(DELAYED, verdict=verdict)
    assert policy.status(one, policy.outcome(one)) == FAILS


def test_what_is_ignored_does_not_make_it_fail() -> None:
    policy, one = Policy(words(["gone.dll"]), codes_in(["missing-dll"])), row(GONE)
    assert policy.status(one, policy.outcome(one)) == LOADS


def test_a_code_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownCode, match=r"unknown finding 'missing-dlls' \(--fail-on\)"):
        codes_in(["missing-dll,missing-dlls"])


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ([], LOADS),
        ([row(verdict="loads")], LOADS),
        ([row(verdict="loads"), row(GONE)], FAILS),
        ([row(verdict="loads"), row(INCOMPLETE, verdict="unknown")], UNKNOWN),
        ([row(INCOMPLETE, verdict="unknown"), row(GONE)], FAILS),
        ([row(GONE), unreadable()], USAGE),
        ([row(verdict="loads"), unreadable("x.dll", kind="dll")], USAGE),
        ([row(verdict="loads"), row(GONE, kind="dll", path="x.dll")], LOADS),
        ([row(verdict="loads"), row(GONE, kind="program", path="x.exe")], LOADS),
        ([row(GONE, kind="dll", path="x.dll")], FAILS),
        ([row(GONE, verdict="unknown", kind="program", path="x.exe")], UNKNOWN),
        ([row(verdict="loads"), row(GONE, kind="dll", path="x.dll", unit=f"{SITE}2")], FAILS),
        ([row(verdict=None, reason="it is for another Python")], LOADS),
    ],
    ids=[
        "nothing",
        "all load",
        "one fails",
        "one is not known",
        "one fails and one is not known",
        "one cannot be read",
        "a DLL cannot be read",
        "a DLL fails beside extension modules",
        "a program fails beside extension modules",
        "only DLLs, and one fails",
        "only programs, and one is not known",
        "a DLL fails in another unit that has no extension modules",
        "what is passed over",
    ],
)
def test_exit_status(rows: list[Row], status: int) -> None:
    summary = Summary(Policy(), baseline=True)
    for one in rows:
        summary.add(one)
    assert summary.status == status


# ---- baselines


def baseline(path: Path, *rows: Row, policy: Policy | None = None) -> Policy:
    """What a scan with these rows wrote, read again."""
    summary = Summary(policy or Policy(), baseline=True)
    for one in rows:
        summary.add(one)
    path.write_text(written_baseline(summary.met), encoding="utf-8", errors="backslashreplace")
    return Policy(known=read_baseline(str(path)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "known.json"


@pytest.mark.parametrize("one", [row(GONE), row(GONE, OTHER), row(GONE, DELAYED), row(INCOMPLETE, verdict="unknown")])
def test_what_a_baseline_was_written_of_is_accepted(one: Row, path: Path) -> None:
    assert baseline(path, one, row(verdict="loads", path="b.pyd")).outcome(one) == "accepted"


@pytest.mark.parametrize(
    "other",
    [
        row(GONE, OTHER),
        row(OTHER),
        row(found("wrong-architecture", "gone.dll")),
        row(GONE, path="demo/b.pyd"),
        row(GONE, path="other/a.pyd"),
    ],
    ids=["one more", "another DLL", "another cause", "another file", "another directory"],
)
def test_what_is_new_is_not_accepted(other: Row, path: Path) -> None:
    assert baseline(path, row(GONE)).outcome(other) == "fails"


def test_what_loads_leaves_nothing_in_a_baseline(path: Path) -> None:
    assert baseline(path, row(DELAYED, verdict="loads"), unreadable("b.pyd")).known == frozenset()


def test_where_it_is_installed_does_not_count(path: Path) -> None:
    assert baseline(path, row(GONE)).outcome(row(GONE, unit=os.path.abspath("elsewhere"))) == "accepted"


def test_case_does_not_count(path: Path) -> None:
    assert baseline(path, row(GONE)).outcome(row(found("missing-dll", "GONE.DLL"), path="Demo/A.pyd")) == "accepted"


def in_wheel(version: str, name: str = "Demo_Pkg", path: str = "demo/a.pyd", folder: str = "dist") -> Row:
    unit = os.path.abspath(os.path.join(folder, f"{name}-{version}-cp311-cp311-win_amd64.whl"))
    return row(GONE, unit=unit, unit_kind="wheel", path=path, distribution=name)


def test_the_version_of_a_wheel_and_its_directory_do_not_count(path: Path) -> None:
    assert baseline(path, in_wheel("1.0")).outcome(in_wheel("2.0", name="demo.pkg", folder="other")) == "accepted"


def test_the_version_does_not_count_for_what_is_not_in_site_packages_either(path: Path) -> None:
    one, two = (in_wheel(version, path=f"Demo_Pkg-{version}.data/scripts/a.pyd") for version in ("1.0", "2.0"))
    assert baseline(path, one).outcome(two) == "accepted"


def test_a_file_of_the_same_name_in_another_wheel_is_new(path: Path) -> None:
    assert baseline(path, in_wheel("1.0")).outcome(in_wheel("1.0", name="other")) == "fails"


def test_a_baseline_that_replaces_another_has_what_both_have(path: Path) -> None:
    first = baseline(path, row(GONE))
    assert baseline(path, row(GONE), row(OTHER, path="b.pyd"), policy=first).outcome(row(GONE)) == "accepted"


def test_what_is_ignored_is_not_written_into_a_baseline(path: Path) -> None:
    assert baseline(path, row(GONE, OTHER), policy=ignoring("gone.dll")).known == {entry_of(row(), OTHER)}


def test_a_baseline_is_text_that_can_be_compared(path: Path) -> None:
    baseline(path, row(OTHER, GONE), row(OLD, path="b\xe9.pyd"))
    assert path.read_text("utf-8").splitlines()[:3] == ["{", ' "schema": "depwalk-baseline/1",', ' "known": [']
    assert [one["file"] for one in json.loads(path.read_text("utf-8"))["known"]] == [
        "b\xe9.pyd",
        "demo/a.pyd",
        "demo/a.pyd",
    ]


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_a_file_name_that_is_no_text_can_be_written(path: Path) -> None:
    one = row(GONE, path=os.fsdecode(b"r\xff.pyd"))
    assert baseline(path, one).outcome(one) == "accepted"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "no baseline that depwalk wrote"),
        (b"[]", "no baseline that depwalk wrote"),
        (b"{}", "no baseline that depwalk wrote"),
        (b"\xff", "no baseline that depwalk wrote"),
        (b'{"schema": "depwalk-baseline/1", "known": [{}]}', "no baseline that depwalk wrote"),
        (b'{"schema": "depwalk-baseline/1", "known": 7}', "no baseline that depwalk wrote"),
        (b'{"schema": "depwalk-baseline/1", "known": [{"file": [], "code": "a", "module": "b"}]}', "no baseline"),
        (b'{"schema": "depwalk-baseline/9", "known": []}', "it is of another version, 'depwalk-baseline/9'"),
        (b"[" * 100_000, "no baseline that depwalk wrote"),
    ],
)
def test_what_is_no_baseline_is_refused(content: bytes, words: str, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"known\.json: ") as caught:
        read_baseline(str(path))
    assert words in str(caught.value)


def test_a_baseline_that_is_not_there_is_refused(path: Path) -> None:
    with pytest.raises(ValueError, match=r"known\.json: .*\(--baseline\)"):
        read_baseline(str(path))
