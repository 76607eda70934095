"""Scan, the summary: the numbers, each root cause once, and lines that a person can read and a terminal can show."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from test_scan_policy import DELAYED, GONE, INCOMPLETE, OTHER, SITE, TEN, found, row, unreadable

from depwalk.bulk.policy import Policy, words
from depwalk.bulk.rows import Case
from depwalk.bulk.summary import Summary
from depwalk.finding import Remedy
from depwalk.report import summary as report

if TYPE_CHECKING:
    from depwalk.bulk.rows import Row
    from depwalk.finding import Finding

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the files are read as elsewhere; tests/loader asks on Windows"
)

SEVEN, ELEVEN = Case("7", "7"), Case("11", "11")


def summary_of(*rows: Row, policy: Policy | None = None) -> Summary:
    summary = Summary(policy or Policy())
    for one in rows:
        summary.add(one)
    return summary


def page(*rows: Row, policy: Policy | None = None, **how: Any) -> list[str]:
    return [line.text for line in report.render(summary_of(*rows, policy=policy), **how)]


def verdict(*rows: Row) -> tuple[str, str]:
    """The answer, and how it is shown."""
    line = report.verdict(summary_of(*rows))
    return line.text, line.style


def several(count: int, *findings: Finding, **facts: Any) -> list[Row]:
    return [
        row(*findings, path=f"demo/{findings[0].module if findings else 'fine'}{n}.pyd", **facts) for n in range(count)
    ]


LOADING = row(verdict="loads", path="demo/good.pyd")


# ---- the answer in one line


@pytest.mark.parametrize(
    ("rows", "answer", "style"),
    [
        ([LOADING], "1 extension module: 1 loads", "good"),
        ([LOADING, row(GONE)], "2 extension modules: 1 loads, 1 does NOT load", "bad"),
        (several(3, GONE), "3 extension modules: 3 do NOT load", "bad"),
        ([row(INCOMPLETE, verdict="unknown")], "1 extension module: 1 may or may not", "warn"),
        ([LOADING, unreadable()], "1 extension module: 1 loads; 1 file could not be read", "bad"),
        ([unreadable()], "0 extension modules: nothing to judge; 1 file could not be read", "bad"),
        ([], "0 extension modules: nothing to judge", "good"),
        ([LOADING, row(GONE, kind="dll", path="x.dll")], "1 extension module: 1 loads", "good"),
        ([row(GONE, kind="dll", path="x.dll")], "1 program or DLL: 1 does NOT load", "bad"),
        (
            [LOADING, *(row(GONE, kind="dll", path=f"{n}.dll", unit="/app") for n in range(2))],
            "1 extension module: 1 loads; 2 programs and DLLs: 2 do NOT load",
            "bad",
        ),
        (
            [LOADING._replace(case=SEVEN), LOADING._replace(case=TEN)],
            "2 verdicts on extension modules in 2 cases: 2 load",
            "good",
        ),
    ],
)
def test_the_answer_is_one_line(rows: list[Row], answer: str, style: str) -> None:
    assert verdict(*rows) == (answer, style)


def test_what_is_accepted_is_counted_as_that() -> None:
    summary = summary_of(LOADING, row(GONE), policy=Policy(words(["gone.dll"])))
    assert report.verdict(summary).text == "2 extension modules: 1 loads, 1 accepted"


def test_large_numbers_can_be_read() -> None:
    rows = [row(verdict="loads", path=f"{n}.pyd") for n in range(1234)]
    assert verdict(*rows)[0] == "1,234 extension modules: 1,234 load"


def test_the_answer_comes_first_and_then_what_it_is_based_on() -> None:
    assert page(LOADING)[:2] == ["1 extension module: 1 loads", "Predicted from the files alone, for Windows 10."]


def test_where_the_real_loader_was_asked_that_is_said() -> None:
    assert page(LOADING._replace(basis="loader"))[1].startswith("Asked the real loader")


# ---- root causes


def causes(lines: list[str]) -> list[str]:
    """The lines that name a cause."""
    return [line for line in lines if re.search(" breaks? [0-9]", line)]


def test_each_root_cause_is_named_once_with_the_number_of_files_the_worst_first() -> None:
    lines = page(*several(2, OTHER), *several(5, GONE), LOADING)
    assert causes(lines) == [
        "missing-dll: Gone.dll breaks 5 extension modules",
        "missing-dll: other.dll breaks 2 extension modules",
    ]


def test_a_file_counts_once_however_many_cases_it_fails_in() -> None:
    lines = page(*(row(GONE)._replace(case=case) for case in (SEVEN, TEN, ELEVEN)))
    assert causes(lines) == ["missing-dll: Gone.dll breaks 1 extension module"]
    assert "  - in: 7, 10, 11; of: Demo_Pkg 1.0" in lines


def test_modules_that_come_together_are_one_cause() -> None:
    vc = Remedy("Install the Visual C++ runtime.", "winget install it")
    rows = [
        row(found("missing-msvc-runtime", name)._replace(remedy=vc), path=f"{name}.pyd")
        for name in ("msvcp140.dll", "vcruntime140.dll")
    ]
    assert causes(page(*rows)) == ["missing-msvc-runtime: msvcp140.dll, vcruntime140.dll break 2 extension modules"]


def test_the_same_module_for_another_reason_is_another_cause() -> None:
    lines = page(row(GONE), row(found("wrong-architecture", "gone.dll"), path="b.pyd"))
    assert len(causes(lines)) == 2


def test_a_cause_says_whose_files_it_breaks_how_many_and_one_of_them() -> None:
    rows = [*several(3, GONE), row(GONE, path="x/y.pyd", distribution="")]
    lines = page(*rows)
    assert "  - of: Demo_Pkg 1.0 (3), x" in lines
    # A path that is too long for the line has one of its own.
    assert f"- for instance {rows[0].file.path} " in " ".join(map(str.strip, lines))


def test_a_cause_says_what_to_do() -> None:
    remedy = Remedy("Install it.", "pip install it", "https://example.org/it")
    lines = page(row(GONE._replace(remedy=remedy)))
    at = lines.index("  What to do: Install it: https://example.org/it")
    assert lines[at + 1] == "    pip install it"


def test_a_finding_that_is_ignored_is_no_cause() -> None:
    lines = page(row(GONE, OTHER), policy=Policy(words(["gone.dll"])))
    assert causes(lines) == ["missing-dll: other.dll breaks 1 extension module"]


def test_causes_of_programs_and_dlls_stand_apart() -> None:
    lines = page(LOADING, row(GONE, kind="dll", path="x.dll"))
    assert "What prevents it" not in lines
    assert "Programs, and DLLs that no extension module needs" in lines
    assert causes(lines) == ["missing-dll: Gone.dll breaks 1 file"]


def test_only_some_causes_are_shown_and_how_many_there_are_more() -> None:
    rows = [row(found("missing-dll", f"{n}.dll"), path=f"{n}.pyd") for n in range(14)]
    assert len(causes(page(*rows))) == 10
    assert "  ... and 4 more causes (--all shows them)" in page(*rows)


def test_all_causes_and_files_are_shown_on_demand() -> None:
    rows = [row(found("missing-dll", f"{n % 14}.dll"), path=f"{n}.pyd") for n in range(28)]
    lines = page(*rows, everything=True)
    assert len(causes(lines)) == 14
    assert [one.file.path for one in rows if not any(one.file.path in line for line in lines)] == []
    assert not any("--all" in line for line in lines)


# ---- distributions


def distributions(lines: list[str]) -> list[str]:
    at = next(number for number, line in enumerate(lines) if line.startswith("By distribution"))
    return lines[at : lines.index("", at)] if "" in lines[at:] else lines[at:]


def test_distributions_in_which_something_does_not_load_are_listed() -> None:
    fine = row(verdict="loads", distribution="fine", path="fine/a.pyd")
    assert distributions(page(*several(2, GONE), LOADING, fine)) == [
        "By distribution (1 more load as a whole)",
        "  Demo_Pkg 1.0  1 loads, 2 do NOT load",
    ]


def test_all_distributions_are_listed_on_demand() -> None:
    fine = [row(verdict="loads", distribution="fine", path=f"fine/{n}.pyd") for n in range(2)]
    assert distributions(page(row(GONE), *fine, everything=True)) == [
        "By distribution",
        "  Demo_Pkg 1.0  1 does NOT load",
        "  fine 1.0      all 2 load",
    ]


def test_names_with_wide_letters_keep_the_numbers_in_one_column() -> None:
    rows = [row(GONE, distribution=name, path=f"{name}/a.pyd") for name in ("数据库", "plain")]
    assert distributions(page(*rows)) == [
        "By distribution",
        "  plain 1.0   1 does NOT load",
        "  数据库 1.0  1 does NOT load",
    ]


def test_of_a_matrix_each_case_has_its_numbers() -> None:
    rows = [row(GONE)._replace(case=SEVEN), *(row(verdict="loads")._replace(case=case) for case in (TEN, ELEVEN))]
    lines = page(*rows)
    assert lines[3:6] == ["  7   1 does NOT load", "  10  1 loads", "  11  1 loads"]


def test_of_a_matrix_cases_that_come_to_the_same_stand_together() -> None:
    rows = [row(GONE)._replace(case=SEVEN), *(row(verdict="loads")._replace(case=case) for case in (TEN, ELEVEN))]
    assert distributions(page(*rows)) == [
        "By distribution",
        "  Demo_Pkg 1.0",
        "      1 does NOT load: 7",
        "      1 loads: 10, 11",
    ]


@pytest.mark.parametrize(
    ("path", "group"),
    [("pkg/sub/a.pyd", "pkg"), ("a.pyd", "site-packages"), ("Some_Pkg.libs/a.pyd", "some-pkg-libs")],
)
def test_files_of_no_distribution_go_by_their_directory(path: str, group: str) -> None:
    assert distributions(page(row(GONE, path=path, distribution="")))[1].split("  ")[1] == group


# ---- the rest of the page


def test_what_may_or_may_not_load_is_listed_with_the_reason() -> None:
    lines = page(row(INCOMPLETE, verdict="unknown"))
    at = lines.index("May or may not load")
    assert lines[at + 1 : at + 3] == [f"  {row().file.path}", f"      {INCOMPLETE.message}"]


def test_what_could_not_be_read_is_listed_with_the_reason() -> None:
    lines = page(unreadable())
    at = lines.index("Could not be read")
    assert lines[at + 1 : at + 3] == [f"  {row().file.path}", "      the file is empty"]


@pytest.mark.parametrize(
    ("rows", "note"),
    [
        ([row(verdict="loads", kind="dll", path="x.dll")], "Programs, and DLLs that nothing needs: 1 loads."),
        ([row(verdict=None, reason="judged with a.pyd, which needs it")], "1 DLL was judged with what needs it."),
        ([row(verdict=None, reason="it is for arm64")], "1 file is not meant to be loaded there: it is for arm64."),
        (
            [row(verdict=None, reason="it is for arm64", path=f"{n}.exe") for n in range(2)],
            "2 files are not meant to be loaded there: it is for arm64 (2).",
        ),
        (
            [row(verdict=None, kind="wheel", reason="it has no .pyd, .dll or .exe file")],
            "1 wheel has no .pyd, .dll or .exe file.",
        ),
        (
            [row(verdict=None, kind="wheel", reason="it is not for Python 3.12", path=f"{n}.whl") for n in range(2)],
            "2 wheels are not for the Python that was asked for.",
        ),
        ([LOADING._replace(reused=True)], "Of an earlier scan, since nothing has changed: 1 of 1 verdicts."),
    ],
)
def test_what_else_there_was_is_noted(rows: list[Row], note: str) -> None:
    assert note in page(*rows)


def test_what_is_odd_about_archives_is_listed() -> None:
    lines = page(row(verdict=None, kind="wheel", reason="members whose data overlap", path="a.whl"))
    at = lines.index("Odd about the archives")
    assert lines[at + 2] == "      members whose data overlap"


def test_words_that_met_nothing_are_noted() -> None:
    policy = Policy(words([f"{n}.dll" for n in range(12)]))
    lines = page(LOADING, policy=policy)
    assert "Nothing was met of what is to be accepted: 0.dll." in lines
    assert lines[-1] == "  ... and 2 more (--all shows them)"
    assert sum(line.startswith("Nothing was met") for line in page(LOADING, policy=policy, everything=True)) == 12


def test_what_is_unreadable_and_accepted_is_noted_as_that() -> None:
    lines = page(unreadable(), policy=Policy(words(["unreadable"])))
    assert "1 file could not be read, which is accepted." in lines
    assert "Could not be read" not in lines


# ---- lines


def everything() -> list[Row]:
    """Rows of all kinds, with long names and sentences."""
    long = found("missing-dll", "a_dll_with_a_name_that_is_rather_long.dll")
    long = long._replace(
        message="Many words. " * 30, remedy=Remedy("Do this and that. " * 9, "pip install " + "x " * 60)
    )
    rows = [row(long, path=f"deep/down/below/{n}.pyd", distribution=f"dist-{n % 12}") for n in range(40)]
    rows += [row(DELAYED, verdict="loads"), row(INCOMPLETE, verdict="unknown", path="u.pyd"), unreadable("r.pyd")]
    rows += [row(GONE, kind="dll", path=f"{n}.dll") for n in range(3)]
    rows += [row(verdict=None, reason="it is for arm64, which is not what was asked about", path="t.exe")]
    rows += [row(verdict=None, kind="wheel", reason="names that are odd: " + "x.py, " * 40, path="w.whl")]
    labels = ["7 + vc14", "8.1 + vc14=14.38", "10-core", "11", "11-core", "7-x86"]
    return [one._replace(case=Case(label, label)) for one in rows for label in labels]


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("whole", [False, True])
def test_no_line_is_longer_than_asked_for_but_for_paths_and_commands(width: int, whole: bool) -> None:
    lines = page(*everything(), width=width, everything=whole)
    too_long = [line for line in lines if len(line) > width and SITE not in line and "pip install" not in line]
    assert too_long == []
    assert max(map(len, lines)) > 60


HOSTILE = "\x1b[2J\x07\r\n\u202e\x9b.dll"


def test_no_control_character_of_a_name_reaches_the_terminal() -> None:
    bad = found("missing-dll", HOSTILE)._replace(message=HOSTILE, remedy=Remedy(HOSTILE, HOSTILE, HOSTILE))
    kinds = [row(bad, path=HOSTILE, distribution=HOSTILE), row(bad, path=HOSTILE, distribution="", unit=f"/{HOSTILE}")]
    kinds += [row(bad, path=HOSTILE, kind="dll"), row(bad, verdict="unknown", path=f"x/{HOSTILE}")]
    kinds += [unreadable(f"y/{HOSTILE}"), unreadable(f"z/{HOSTILE}")._replace(reason=HOSTILE)]
    kinds += [row(verdict=None, kind="wheel", reason=HOSTILE, path=HOSTILE), row(verdict=None, reason=HOSTILE)]
    cases = [Case(HOSTILE, "10"), Case("11", "11")]
    policy = Policy(words([f"{HOSTILE}.dll"]))
    for chosen in (cases, cases[:1]):
        rows = [one._replace(case=case) for one in kinds for case in chosen]
        lines = page(*rows, policy=policy, everything=True)
        assert [line for line in lines if re.search(r"[\x00-\x1f\x7f-\x9f\u202e]", line)] == []
        assert any("\\x1b[2J" in line for line in lines)


@pytest.mark.skipif(os.name == "nt", reason="file names are text there")
def test_a_name_that_is_no_text_is_shown() -> None:
    assert page(row(GONE, path=os.fsdecode(b"r\xff.pyd")))
