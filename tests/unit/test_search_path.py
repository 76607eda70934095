"""The search path: what is wrong with an entry, when that is a cause, and when it is nobody's business."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from targets import target

from depwalk import diagnosis, graph, image
from depwalk.diagnosis import Evidence, Finding, search_path
from depwalk.loader import LoadTrace
from depwalk.loader.imports import FailedLoad, ImportTrace
from depwalk.report import text
from depwalk.result import diagnose
from depwalk.target.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.target import Target

BITLOCKER = 0x80310000


def evidence(path: Path, place: Target, **known: Any) -> Evidence:
    return Evidence(graph.walk(str(path), image.read(path), place), place, None, **known)


def findings(path: Path, place: Target, **known: Any) -> list[tuple[str, str]]:
    return [(found.severity, found.code) for found in diagnosis.diagnose(evidence(path, place, **known))]


def root(make_pe: MakePE) -> Path:
    return make_pe("root.pyd", imports={"dep.dll": ["f"]})


def problem(entry: str, *before: str, **variables: str) -> str:
    around = Environment("p", "p", conda=False, sites=(), variables=variables)
    return list(search_path.entries(target(path=[*before, entry], environment=around)))[-1].problem


# ---- what is wrong with an entry ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('"C:\\Program Files\\x"', "quotation marks"),
        ("%CUDA_PATH%\\bin", "a variable that was not replaced"),
        ("$HOME/bin", "no path of Windows"),
        ("~/bin", "no path of Windows"),
        ("/usr/nowhere/bin", "no path of Windows"),
        ("bin", "relative to the current directory"),
        (".", "relative to the current directory"),
        ("C:\\" + "x" * 260, "263 characters"),
        ("C:\\nowhere\\at\\all", "does not exist"),
    ],
)
def test_an_entry_that_leads_nowhere_says_why(entry: str, words: str) -> None:
    assert words in problem(entry)


def test_an_entry_that_is_a_directory_is_right(tmp_path: Path) -> None:
    assert problem(str(tmp_path)) == ""


def test_an_entry_that_is_a_file_does_not_exist_as_a_directory(make_pe: MakePE) -> None:
    assert problem(str(root(make_pe))) == "does not exist"


@pytest.mark.parametrize("spelling", ["{}", "{}" + os.sep, "{}" + os.sep + "."])
def test_an_entry_that_comes_again_says_so(spelling: str, tmp_path: Path) -> None:
    assert problem(spelling.format(tmp_path), str(tmp_path)) == "is listed before"


def test_an_entry_that_cannot_be_read_tells_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_to_list(tmp_path, monkeypatch)
    assert problem(str(tmp_path)) == f"cannot be read: code {BITLOCKER}"


def refuse_to_list(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a locked drive does; the code of Windows comes as a signed number."""
    listed = os.scandir

    def scandir(path: str) -> Any:
        if os.fspath(path) == str(directory):
            error = OSError()
            error.winerror = BITLOCKER - (1 << 32)  # type: ignore[attr-defined,unused-ignore]  # Windows only
            raise error
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)


# ---- when it is the cause ----------------------------------------------------------------------------------------


def mistaken(kind: str, directory: Path) -> tuple[str, dict[str, str]]:
    """An entry that means this directory and does not name it, and the variables of the process."""
    if kind == "quoted":
        return f'"{directory}"', {}
    return "%CUDA_PATH%" + str(directory)[len(str(directory.parent)) :], {"CUDA_PATH": str(directory.parent)}


@pytest.mark.parametrize("kind", ["quoted", "variable"])
@pytest.mark.parametrize("loader", ["3.7", None])
def test_a_dll_in_the_directory_that_a_wrong_entry_means_is_the_entrys_fault(
    kind: str, loader: str | None, make_pe: MakePE, tmp_path: Path
) -> None:
    make_pe("meant/dep.dll", exports=["f"])
    entry, variables = mistaken(kind, tmp_path / "meant")
    around = Environment("p", "p", conda=False, sites=(), variables=variables)
    place = target("10", loader, path=[entry], environment=around)
    (found,) = diagnosis.diagnose(evidence(root(make_pe), place))
    assert (found.severity, found.code, found.module) == ("error", "search-path-problem", "dep.dll")
    assert str(tmp_path / "meant") in found.message
    assert f"the entry: {entry}" in found.evidence


def test_near_miss_an_import_since_3_8_does_not_use_path_at_all(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("meant/dep.dll", exports=["f"])
    assert findings(root(make_pe), target(path=[f'"{tmp_path / "meant"}"'])) == [("error", "missing-dll")]


def test_near_miss_a_quoted_entry_without_the_dll_is_only_a_warning(make_pe: MakePE, tmp_path: Path) -> None:
    place = target("10", "3.7", path=[f'"{tmp_path}"', "%NOWHERE%\\bin"])
    assert findings(root(make_pe), place) == [("error", "missing-dll"), ("warning", "search-path-problem")]


def test_near_miss_a_quoted_entry_is_nothing_where_nothing_is_missing(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["f"])
    assert findings(root(make_pe), target("10", "3.7", path=[f'"{tmp_path}"'])) == []


@pytest.mark.parametrize("entries", [["C:\\gone"], ["{0}", "{0}"], ["{0}"]])
def test_near_miss_entries_that_every_path_has_are_not_worth_a_word(
    entries: list[str], make_pe: MakePE, tmp_path: Path
) -> None:
    place = target("10", "3.7", path=[entry.format(tmp_path) for entry in entries])
    assert findings(root(make_pe), place) == [("error", "missing-dll")]


def test_a_locked_drive_ends_the_load(make_pe: MakePE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_pe("dep.dll", exports=["f"])
    (tmp_path / "locked").mkdir()
    refuse_to_list(tmp_path / "locked", monkeypatch)
    place = target(path=[tmp_path / "locked"])
    found = diagnosis.diagnose(evidence(root(make_pe), place, load=LoadTrace(BITLOCKER)))
    assert (found[0].severity, found[0].code, found[0].proof) == ("error", "search-path-problem", "loader")
    assert str(tmp_path / "locked") in found[0].message


def test_near_miss_another_code_of_its_own_is_no_locked_drive(make_pe: MakePE) -> None:
    make_pe("dep.dll", exports=["f"])
    found = diagnosis.diagnose(evidence(root(make_pe), target(), load=LoadTrace(0x80070020)))
    assert "search-path-problem" not in [one.code for one in found]


# ---- directories that a program adds -----------------------------------------------------------------------------


def refused(*directories: str, error: str = "FileNotFoundError: [WinError 3]", **variables: str) -> tuple[Finding, ...]:
    """A program that ends with an exception after it gave these directories to os.add_dll_directory."""
    trace = ImportTrace("program", ended_well=False, directories=directories, uncaught=(error,), exit_code=1)
    around = Environment("p", "p", conda=False, sites=(), variables=variables)
    place = target(environment=around)
    known = Evidence(graph.of_names("program", [], place), place, None, load=LoadTrace(0), imported=trace)
    return diagnosis.diagnose(known)


def test_a_directory_with_bin_twice_is_told_with_the_variable_that_it_comes_from() -> None:
    (found,) = refused("C:\\CUDA\\bin\\bin", CUDA_PATH="C:\\CUDA\\bin")
    assert (found.severity, found.code) == ("error", "search-path-problem")
    assert "bin twice" in found.message
    assert found.evidence == ("CUDA_PATH is C:\\CUDA\\bin",)


@pytest.mark.parametrize(
    ("directory", "error", "words"),
    [
        ("C:\\nowhere", "FileNotFoundError: [WinError 2]", "no such directory"),
        ("libs", "OSError: [WinError 87]", "not absolute"),
    ],
)
def test_a_directory_that_windows_refuses_is_told(directory: str, error: str, words: str) -> None:
    (found,) = refused(directory, error=error)
    assert found.code == "search-path-problem"
    assert words in found.message


@pytest.mark.parametrize("error", ["ValueError: x", "ModuleNotFoundError: x"])
def test_near_miss_a_program_that_ended_for_another_reason(error: str) -> None:
    assert [found.code for found in refused("C:\\nowhere", error=error)] == ["analysis-incomplete"]


def test_near_miss_the_last_directory_that_was_added_is_there(tmp_path: Path) -> None:
    assert [found.code for found in refused(str(tmp_path))] == ["analysis-incomplete"]


# ---- paths that the loader does not take -------------------------------------------------------------------------


def imported(path: Path, given: str, code: int) -> dict[str, Any]:
    fatal = FailedLoad(given, code, "OSError: ...", cwd="C:\\here", by_ctypes=True)
    return {"load": LoadTrace(code), "imported": ImportTrace("p", ended_well=False, fatal=fatal, uncaught=("OSError",))}


def test_a_relative_path_that_is_refused_with_87_is_the_cause(make_pe: MakePE) -> None:
    path = make_pe("root.dll")
    found = diagnosis.diagnose(evidence(path, target(), **imported(path, "root.dll", 87)))
    assert (found[0].severity, found[0].code, found[0].proof) == ("error", "search-path-problem", "loader")
    assert "current directory: C:\\here" in found[0].evidence


def test_near_miss_87_for_a_whole_path_is_not_blamed_on_it(make_pe: MakePE) -> None:
    path = make_pe("root.dll")
    found = diagnosis.diagnose(evidence(path, target(), **imported(path, str(path), 87)))
    assert "relative" not in found[0].message


def test_near_miss_a_relative_path_that_fails_otherwise(make_pe: MakePE) -> None:
    path = root(make_pe)
    assert findings(path, target(), **imported(path, "root.pyd", 126))[0] == ("error", "missing-dll")


def at_length(make_pe: MakePE, length: int, prefix: str = "C:\\", *, load: LoadTrace | None = None) -> Evidence:
    """A file whose path on Windows has so many characters, and nothing else wrong with it."""
    known = evidence(make_pe("root.pyd"), target(), load=load)
    path = prefix + "x" * (length - len(prefix) - 5) + "\\r.pyd"[1:]
    first = known.graph.root._replace(path=path)
    return replace(known, graph=replace(known.graph, modules=(first, *known.graph.modules[1:])))


@pytest.mark.parametrize(
    ("code", "severity"), [(None, "warning"), (206, "error"), (126, "error")], ids=["unasked", "206", "126"]
)
def test_a_path_of_260_characters_is_too_long(code: int | None, severity: str, make_pe: MakePE) -> None:
    known = at_length(make_pe, 260, load=LoadTrace(code) if code else None)
    found = diagnosis.diagnose(known)[0]
    assert (found.severity, found.code, found.module) == (severity, "path-too-long", "root.pyd")
    assert "260 characters" in found.message


def test_near_miss_a_path_of_259_characters_is_not(make_pe: MakePE) -> None:
    assert diagnosis.diagnose(at_length(make_pe, 259)) == ()


def test_near_miss_a_path_with_the_prefix_for_long_ones(make_pe: MakePE) -> None:
    assert diagnosis.diagnose(at_length(make_pe, 300, prefix="\\\\?\\C:\\")) == ()


def test_near_miss_a_long_path_that_the_loader_took(make_pe: MakePE) -> None:
    assert diagnosis.diagnose(at_length(make_pe, 300, load=LoadTrace(0))) == ()


def test_near_miss_a_long_path_on_a_system_that_is_not_windows(make_pe: MakePE) -> None:
    assert diagnosis.diagnose(at_length(make_pe, 300, prefix="/home/")) == ()


def test_a_missing_dll_below_a_long_path_is_the_missing_dll(make_pe: MakePE) -> None:
    known = evidence(root(make_pe), target(), load=LoadTrace(126))
    first = known.graph.root._replace(path="C:\\" + "x" * 300)
    known = replace(known, graph=replace(known.graph, modules=(first, *known.graph.modules[1:])))
    assert [found.code for found in diagnosis.diagnose(known)] == ["missing-dll"]


# ---- delayed loads that ended a load -----------------------------------------------------------------------------

DELAY: dict[str, dict[str, Any]] = {
    "exit status": {"code": None, "exit_code": 0xC06D007E},
    "code of the loader": {"code": 0xC06D007E},
}


@pytest.mark.parametrize("ending", list(DELAY))
def test_a_delayed_load_that_ended_the_load_is_its_cause(ending: str, make_pe: MakePE) -> None:
    path = make_pe("root.pyd", delay={"gone.dll": ["f"]})
    found = diagnosis.diagnose(evidence(path, target(), load=LoadTrace(**DELAY[ending])))[0]
    assert (found.severity, found.code, found.module) == ("error", "delay-load-missing", "gone.dll")
    assert found.proof == "loader"
    assert found.remedy is not None
    assert not found.remedy.text.startswith("Only needed")


def test_a_function_that_a_delay_loaded_dll_lacks_is_the_cause_of_the_other_status(
    make_pe: MakePE, tmp_path: Path
) -> None:
    make_pe("app/dep.dll", exports=["g"])
    path = make_pe("root.pyd", delay={"dep.dll": ["f"]})
    place = target(app=tmp_path / "app")
    found = diagnosis.diagnose(evidence(path, place, load=LoadTrace(None, exit_code=0xC06D007F)))[0]
    assert (found.severity, found.code, found.module) == ("error", "delay-load-missing", "dep.dll")
    assert "calls f, which dep.dll lacks" in found.message


def test_of_several_delayed_loads_the_first_is_named_and_the_others_are_told(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", delay={"one.dll": ["f"], "two.dll": ["f"]})
    found = diagnosis.diagnose(evidence(path, target(), load=LoadTrace(None, exit_code=0xC06D007E)))
    assert [(one.severity, one.module) for one in found] == [("error", "one.dll"), ("warning", "two.dll")]
    assert "the load ended with this code; it may also be for two.dll" in found[0].evidence


def test_near_miss_a_load_that_died_of_something_else_leaves_the_delayed_load_a_warning(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", delay={"gone.dll": ["f"]})
    found = findings(path, target(), load=LoadTrace(None, exit_code=0xC0000005))
    assert ("warning", "delay-load-missing") in found
    assert ("error", "delay-load-missing") not in found


def test_near_miss_the_status_of_a_missing_dll_where_all_delayed_loads_are_found(
    make_pe: MakePE, tmp_path: Path
) -> None:
    make_pe("app/dep.dll", exports=["f"])
    path = make_pe("root.pyd", delay={"dep.dll": ["f"]})
    found = findings(path, target(app=tmp_path / "app"), load=LoadTrace(None, exit_code=0xC06D007E))
    assert "delay-load-missing" not in [code for _, code in found]


@pytest.mark.parametrize(
    "dll", ["IESHIMS.dll", "dcomp.dll", "GPSVC.dll", "WINRT-foo.dll", "ext-ms-win-gone-l1-1-0.dll", "api-x.dll"]
)
def test_near_miss_delayed_loads_that_are_absent_everywhere_are_never_named(dll: str, make_pe: MakePE) -> None:
    assert findings(make_pe("root.pyd", delay={dll: ["f"]}), target("7")) == []


def test_near_miss_the_concurrency_runtime_of_msvcp140_is_not_named(make_pe: MakePE) -> None:
    make_pe("msvcp140-1a2b3c4d.dll", exports=["f"], delay={"concrt140.dll": ["f"]})
    assert findings(make_pe("root.pyd", imports={"msvcp140-1a2b3c4d.dll": ["f"]}), target()) == []


# ---- the full listing --------------------------------------------------------------------------------------------


def shown(path: Path, place: Target, *, verbose: bool) -> str:
    result = diagnose(path, lambda _: place, load=False)
    return "\n".join(line.text for line in text.render(result, verbose=verbose, width=200))


def test_the_listing_has_every_step_and_the_state_of_its_directory(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("added/one.dll")
    place = target(dll_dirs=[tmp_path / "added", tmp_path / "gone"])
    page = shown(root(make_pe), place, verbose=True)
    assert f"7. added directory: {tmp_path / 'gone'} (does not exist)" in page
    assert f"8. added directory: {tmp_path / 'added'} (1 DLL)" in page
    assert "9. System32: C:\\Windows\\System32 (assumed)" in page


@pytest.mark.parametrize(
    ("loader", "words"), [("3.7", "which this search uses"), ("3.8", "which this search does not")]
)
def test_the_listing_says_whether_path_counts(loader: str, words: str, make_pe: MakePE, tmp_path: Path) -> None:
    page = shown(root(make_pe), target("10", loader, path=[tmp_path, '"C:\\x"']), verbose=True)
    assert f"PATH, {words}" in page
    assert '"C:\\x" (has quotation marks' in page


def test_the_listing_comes_only_when_it_is_asked_for(make_pe: MakePE) -> None:
    assert "\nSearch\n" not in shown(root(make_pe), target(), verbose=False)
