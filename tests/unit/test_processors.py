"""Processors: which load counts as a crash, what a finding predicts, and which pairs of them are wrong."""

from __future__ import annotations

import importlib.util
import json
import os
import struct
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from pe_maker import OPTIONAL, patched

from depwalk.diagnosis import Finding
from depwalk.loader.processes import Ran
from depwalk.loader.story import Raised, Story

if TYPE_CHECKING:
    from conftest import MakePE

CI = Path(__file__).parents[2] / "ci"
ILLEGAL, ACCESS_VIOLATION = 0xC000001D, 0xC0000005
VMOVDQU, UD2 = "c5fa6f05", "0f0b9090"


def _module(name: str) -> Any:
    specification = importlib.util.spec_from_file_location(name, CI / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look there for the types of their fields
    sys.path.insert(0, str(CI))
    try:
        specification.loader.exec_module(module)
    finally:
        sys.path.remove(str(CI))
    return module


processors, load_each = _module("processors"), _module("load_each")


def exception(code: int = ILLEGAL, content: str = VMOVDQU, module: str | None = r"Z:\site\a.pyd") -> dict[str, Any]:
    return {"code": code, "module": module, "rva": 0x1234, "bytes": content}


def seen(outcome: str, *exceptions: dict[str, Any], code: int | None = None, end: int | None = None) -> Any:
    return processors.seen({"outcome": outcome, "code": code, "exit": end, "exceptions": list(exceptions)})


def finding(code: str, *evidence: str, severity: Any = "error") -> Finding:
    return Finding(code, severity, "a.pyd", "a.pyd needs AVX.", evidence=evidence)


CRASHED = seen("refused", exception(), code=ILLEGAL)
LOADED = seen("loaded", code=0)
OTHERWISE = seen("died", end=3)
CRASH = processors.Predicted(True, (("a.pyd", 0x1234),), ("a.pyd needs AVX.",))
MAYBE = replace(CRASH, crash=False, maybe=True)
NOTHING = processors.Predicted(False)


def predicted(verdict: str, *findings: Finding) -> Any:
    return processors.predicted(SimpleNamespace(verdict=verdict, findings=findings))


def row(one: Any, predicted: Any, name: str = "site/a.pyd") -> Any:
    return processors.Row("Nehalem", name, one, predicted)


# ---- what was seen -----------------------------------------------------------------------------------------------


def test_a_load_that_an_illegal_instruction_ended_is_a_crash() -> None:
    assert CRASHED.crashed
    assert seen("died", exception(), end=ILLEGAL).crashed


def test_the_file_of_the_host_behind_the_instruction_is_told() -> None:
    assert CRASHED.illegal == processors.Instruction("/site/a.pyd", 0x1234, VMOVDQU)
    assert str(CRASHED) == f"refused 0xC000001D, illegal instruction at a.pyd+0x1234 [{VMOVDQU}]"


def test_an_illegal_instruction_that_the_file_handles_is_no_crash() -> None:
    loaded = seen("loaded", exception(), code=0)

    assert loaded.illegal is not None
    assert not loaded.crashed


def test_an_instruction_that_is_illegal_on_purpose_is_no_crash() -> None:
    assert not seen("died", exception(content=UD2), end=ILLEGAL).crashed


def test_another_exception_is_no_crash() -> None:
    assert not seen("died", exception(ACCESS_VIOLATION), end=ACCESS_VIOLATION).crashed


def test_what_follows_an_illegal_instruction_does_not_hide_it() -> None:
    followed = seen(
        "refused", exception(), exception(ACCESS_VIOLATION), exception(content="00", module=None), code=1114
    )

    assert followed.crashed
    assert followed.illegal.content == VMOVDQU


def test_an_instruction_in_no_file_has_no_place() -> None:
    nowhere = seen("died", {"code": ILLEGAL, "module": None, "rva": None, "bytes": ""}, end=ILLEGAL)

    assert nowhere.crashed
    assert str(nowhere.illegal) == "no module"


def test_answers_are_read_by_key_and_name_without_a_torn_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "CACHE", Path("/cache"))
    whole = {"key": "K", "path": r"Z:\cache\site\a\b.pyd", "outcome": "loaded", "code": 0, "exit": None}
    lines = json.dumps({**whole, "exceptions": []}) + '\n{"key": "K", "path'
    (tmp_path / "answers-0").write_text(lines, "utf-8")

    assert processors.read_answers(tmp_path) == {"Ksite/a/b.pyd": LOADED}


# ---- loads in company --------------------------------------------------------------------------------------------


def ran(*codes: int, raised: tuple[int, ...] = (), loading: str = "") -> Ran:
    """A child that answered with these codes for a.pyd, b.pyd, ... and then ended, `loading` another one if given."""
    records = [{"path": f"{name}.pyd", "code": code} for name, code in zip("abc", codes, strict=False)]
    story = Story(raised=tuple(Raised(code, 0, None, None, first_chance=True) for code in raised))
    return Ran((*records, *([{"loading": loading}] if loading else [])), story, 3, False, "", 0.0)


FILES = ["a.pyd", "b.pyd", "c.pyd"]


def test_loads_that_all_end_well_count() -> None:
    assert load_each.loaded_in_company(FILES, ran(0, 0, 0)) == FILES


def test_only_what_comes_before_the_first_failure_counts() -> None:
    assert load_each.loaded_in_company(FILES, ran(0, ILLEGAL, 0, raised=(ILLEGAL,))) == ["a.pyd"]
    assert load_each.loaded_in_company(FILES, ran(0, raised=(ILLEGAL,), loading="b.pyd")) == []


def test_nothing_counts_if_one_of_them_met_an_illegal_instruction_and_went_on() -> None:
    assert load_each.loaded_in_company(FILES, ran(0, 0, 0, raised=(ILLEGAL,))) == []
    assert load_each.loaded_in_company(FILES, ran(0, 0, 0, raised=(ACCESS_VIOLATION,))) == FILES


def test_how_a_load_alone_ended_is_told() -> None:
    outcomes = [
        load_each.of_one("a.pyd", ran(0), ())["outcome"],
        load_each.of_one("a.pyd", ran(126), ())["outcome"],
        load_each.of_one("a.pyd", ran(loading="a.pyd"), ())["outcome"],
        load_each.of_one("a.pyd", ran(), ())["outcome"],
    ]

    assert outcomes == ["loaded", "refused", "died", "not-reached"]


# ---- what is predicted -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["cpu-feature-missing", "cpu-feature-disabled"])
def test_an_error_of_the_processor_predicts_a_crash_at_the_places_it_names(code: str) -> None:
    found = predicted("fails", finding(code, "vmovdqu at A.pyd+0x1234", "and at lib-1.dll+0xAB"))

    assert found == processors.Predicted(True, (("a.pyd", 0x1234), ("lib-1.dll", 0xAB)), ("a.pyd needs AVX.",))


@pytest.mark.parametrize(("code", "severity"), [("missing-dll", "error"), ("cpu-feature-missing", "warning")])
def test_another_cause_or_a_warning_beside_a_verdict_predicts_none(code: str, severity: str) -> None:
    assert predicted("loads", finding(code, "a.pyd+0x1", severity=severity)) == NOTHING


def test_a_warning_that_leaves_the_verdict_open_predicts_neither() -> None:
    assert predicted("unknown", finding("cpu-feature-missing", "a.pyd+0x1234", severity="warning")) == MAYBE


# ---- both --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "predicted", "kind"),
    [
        (CRASHED, CRASH, "crash found"),
        (CRASHED, NOTHING, "crash missed"),
        (LOADED, CRASH, "false alarm"),
        (LOADED, NOTHING, "loads as predicted"),
        (OTHERWISE, CRASH, "fails otherwise"),
        (OTHERWISE, NOTHING, "fails otherwise"),
        (CRASHED, MAYBE, "crash not decided"),
        (LOADED, MAYBE, "load not decided"),
    ],
)
def test_each_pair_has_its_kind(one: Any, predicted: Any, kind: str) -> None:
    assert row(one, predicted).kind == kind


def test_only_a_missed_crash_and_a_false_alarm_are_wrong() -> None:
    assert processors.WRONG == ("crash missed", "false alarm")


@pytest.mark.parametrize(
    ("place", "match"),
    [
        (("a.pyd", 0x1234), "same instruction"),
        (("a.pyd", 0x1300), "same function"),
        (("a.pyd", 0x9000), "same module"),
        (("b.dll", 0x1234), "elsewhere"),
    ],
)
def test_a_crash_that_was_found_tells_how_near(
    place: tuple[str, int], match: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processors, "function_of", lambda _, rva: rva >> 12)

    assert row(CRASHED, processors.Predicted(True, (place,))).match == match


def test_places_in_no_function_are_not_in_the_same_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processors, "function_of", lambda *_: None)

    assert row(CRASHED, processors.Predicted(True, (("a.pyd", 0x1300),))).match == "same module"


def test_what_is_no_crash_matches_nothing() -> None:
    assert row(LOADED, CRASH).match == ""


# ---- functions ---------------------------------------------------------------------------------------------------

PDATA = 0x2000  # RVA of the second section


@pytest.fixture
def two_functions(make_pe: MakePE) -> str:
    """Functions at 0x100 and 0x200, and a part of the first one that lies at 0x300."""
    unwind = PDATA + 36
    chained = struct.pack("<4B", 1 | 4 << 3, 0, 1, 0) + bytes(4) + struct.pack("<III", 0x100, 0x180, unwind)
    parts = [(0x100, 0x180, unwind), (0x200, 0x280, unwind), (0x300, 0x340, unwind + 4)]
    table = b"".join(struct.pack("<III", *part) for part in parts)
    path = make_pe("a.pyd", sections={".pdata": table + struct.pack("<4B", 1, 0, 0, 0) + chained})
    path.write_bytes(patched(path.read_bytes(), OPTIONAL + 112 + 8 * 3, "<II", PDATA, len(table)))
    return str(path)


@pytest.mark.parametrize(
    ("rva", "begin"), [(0x100, 0x100), (0x17F, 0x100), (0x180, None), (0x210, 0x200), (0x310, 0x100), (0x40, None)]
)
def test_the_function_around_a_place_is_found_also_from_a_part_of_it(
    two_functions: str, rva: int, begin: int | None
) -> None:
    assert processors.function_of(two_functions, rva) == begin


# ---- what is shown -----------------------------------------------------------------------------------------------


def test_the_table_counts_pairs_and_tells_what_is_wrong() -> None:
    rows = [
        row(CRASHED, CRASH, "site/found.pyd"),
        row(CRASHED, NOTHING, "site/missed.pyd"),
        row(LOADED, CRASH, "site/alarm.pyd"),
        row(CRASHED, MAYBE, "site/open.pyd"),
        *(row(LOADED, NOTHING, f"site/{index}.pyd") for index in range(3)),
    ]

    told = list(processors.table(rows))

    assert told[0] == "Nehalem: 7 files that load on the processor of this machine"
    assert [line.split()[-3:] for line in told[2:5]] == [["1", "1", "1"], ["1", "0", "3"], ["0", "0", "0"]]
    assert "  crash not decided: site/open.pyd" in told
    assert "  1 of the crashes found: same instruction" in told
    assert "  CRASH MISSED: site/missed.pyd" in told
    assert "  FALSE ALARM: site/alarm.pyd" in told
    assert "      predicted: a.pyd needs AVX. [a.pyd+0x1234: same instruction]" in told
    assert not any("site/1.pyd" in line for line in told)


# ---- what is loaded together -------------------------------------------------------------------------------------


def test_files_are_loaded_in_one_process_only_with_their_own_package_and_directories() -> None:
    site = processors.Site("site", "site.txt")
    one, same, other, added = (
        processors.File(site, path, directories)
        for path, directories in [("a/x.pyd", ()), ("a/y.pyd", ()), ("b/x.pyd", ()), ("a/x.pyd", (f"{os.sep}libs",))]
    )

    assert one.group == same.group
    assert len({file.group for file in (one, other, added)}) == 3
    assert one.key == same.key
    assert len({file.key for file in (one, other, added)}) == 3


def test_what_a_package_preloads_is_a_file_or_a_name() -> None:
    assert processors.preload("msvcp140.dll") == "msvcp140.dll"
