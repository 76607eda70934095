"""Blocked: files that are there and that Windows does not hand out, each cause with its near misses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from logged import logged
from targets import target
from test_crashes import said
from test_diagnosis import evidence

from depwalk import diagnosis
from depwalk.host import Host
from depwalk.host.events import Events
from depwalk.host.memory import Commit
from depwalk.host.origin import Origin
from depwalk.loader import Failure, LoadTrace

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.diagnosis import Finding
    from depwalk.target import Target

POLICY, ANTIVIRUS, DENIED, MEMORY = "blocked-by-policy", "blocked-by-antivirus", "access-denied", "out-of-memory"
GB = 10**9


@pytest.fixture
def root(make_pe: MakePE) -> Path:
    """root.pyd imports a.dll, that b.dll, and in the files nothing is wrong."""
    make_pe("a.dll", imports={"b.dll": ["f"]}, exports=["f"])
    make_pe("b.dll", imports={"kernel32.dll": ["Sleep"]}, exports=["f"])
    return make_pe("root.pyd", imports={"a.dll": ["f"]})


def findings(path: Path, load: LoadTrace, place: Target | None = None, **host: Any) -> list[Finding]:
    return list(diagnosis.diagnose(replace(evidence(path, place, load), host=Host(**host))))


def primary(path: Path, load: LoadTrace, place: Target | None = None, **host: Any) -> Finding:
    return findings(path, load, place, **host)[0]


def remedy(found: Finding) -> str:
    assert found.remedy is not None
    return found.remedy.text


# ---- which finding a code is -------------------------------------------------------------------------------------

CODES = [
    (5, 0xC0000022, DENIED),
    (32, None, DENIED),
    (362, None, DENIED),
    (389, None, DENIED),
    (395, None, DENIED),
    (1920, None, DENIED),
    (225, 0xC0000906, ANTIVIRUS),
    (226, 0xC0000907, ANTIVIRUS),
    (577, 0xC0000428, POLICY),
    (1260, 0xC0000361, POLICY),
    (4551, 0xC0E90002, POLICY),
    (4556, None, POLICY),
    (4559, None, POLICY),
    (8, 0xC0000017, MEMORY),
    (1450, None, MEMORY),
    (1455, 0xC000012D, MEMORY),
]


@pytest.mark.parametrize(("code", "status", "finding"), CODES)
def test_a_code_of_the_loader_alone_is_told_with_its_meaning(
    code: int, status: int | None, finding: str, root: Path
) -> None:
    found = primary(root, LoadTrace(code))
    assert (found.code, found.severity, found.module, found.proof) == (finding, "error", "root.pyd", "loader")
    assert any(fact.startswith(f"code: {code} (STATUS_") for fact in found.evidence)
    assert found.remedy is not None


@pytest.mark.parametrize(("code", "status", "finding"), [row for row in CODES if row[1]])
def test_the_status_behind_a_code_is_told_alike_of_a_process_that_ended_with_it(
    code: int, status: int, finding: str, root: Path
) -> None:
    assert primary(root, LoadTrace(None, exit_code=status)).code == finding


@pytest.mark.parametrize(("code", "status", "finding"), CODES)
def test_a_dependency_that_is_refused_alone_is_named_in_place_of_the_file(
    code: int, status: int | None, finding: str, root: Path
) -> None:
    found = primary(root, LoadTrace(code, failures=(Failure(str(root.with_name("b.dll")), code),)))
    assert (found.code, found.module, found.needed_by) == (finding, "b.dll", "a.dll")


@pytest.mark.parametrize(("code", "status", "finding"), [row for row in CODES if row[1]])
def test_the_module_that_the_loader_names_with_the_status_of_its_code_is_the_one(
    code: int, status: int, finding: str, root: Path
) -> None:
    text = f'Unable to load DLL: "b.dll", Parent Module: "C:\\lib\\a.dll", Status: 0x{status:x}'
    found = primary(root, LoadTrace(code, snaps=said(text)))
    assert (found.code, found.module) == (finding, "b.dll")


def test_near_miss_a_module_that_the_loader_names_with_another_status_is_not_the_one(root: Path) -> None:
    text = 'Unable to load DLL: "b.dll", Parent Module: "C:\\lib\\a.dll", Status: 0xc0000022'
    assert primary(root, LoadTrace(4551, snaps=said(text))).module == "root.pyd"


def test_a_file_that_is_missing_as_well_is_not_the_cause_of_a_block(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports={"gone.dll": ["f"]})
    found = findings(path, LoadTrace(4551))
    assert [(one.severity, one.code) for one in found] == [("error", POLICY), ("warning", "missing-dll")]


def test_no_remedy_switches_a_protection_off(root: Path) -> None:
    for code, _, _ in CODES:
        for administrator in (True, False, None):
            text = remedy(primary(root, LoadTrace(code), administrator=administrator)).lower()
            assert not [word for word in ("disable", "turn off", "switch off", "exclusion", "system32") if word in text]


# ---- policies ----------------------------------------------------------------------------------------------------


def test_an_event_of_the_policy_of_smart_app_control_names_it_and_the_file(root: Path) -> None:
    path = root.with_name("b.dll")
    found = primary(root, LoadTrace(4551), events=logged("smart-app-control", path))
    assert (found.code, found.module, found.needed_by) == (POLICY, "b.dll", "a.dll")
    assert "Smart App Control" in found.message
    log = "Microsoft-Windows-CodeIntegrity/Operational"
    assert f"event 3077 of {log} at 2026-03-02 10:15:04 UTC names it" in found.evidence
    assert "no exceptions for single files" in remedy(found)


@pytest.mark.parametrize(
    ("administrator", "words"),
    [(True, "Allow this file"), (False, "Ask the administrator"), (None, "Ask whoever administers")],
)
def test_what_to_do_about_a_policy_depends_on_who_may_change_it(
    administrator: bool | None, words: str, root: Path
) -> None:
    found = primary(root, LoadTrace(4551), administrator=administrator, events=logged("app-control", root))
    assert "Smart App Control" not in found.message
    assert remedy(found).startswith(words.format(path=root))


def test_an_event_of_applocker_names_it(root: Path) -> None:
    found = primary(root, LoadTrace(1260), events=logged("applocker", root))
    assert (found.code, "AppLocker" in found.message) == (POLICY, True)


def test_access_that_a_policy_denied_is_told_of_the_policy(root: Path) -> None:
    assert primary(root, LoadTrace(5), events=logged("applocker", root)).code == POLICY


def test_a_signature_that_was_not_accepted_is_told_as_such(root: Path) -> None:
    assert "digital signature" in primary(root, LoadTrace(577)).message


def test_a_log_that_could_not_be_read_is_told(root: Path) -> None:
    found = primary(root, LoadTrace(4551), events=Events(unread=("CodeIntegrity",)))
    assert "this event log could not be read: CodeIntegrity" in found.evidence


def test_near_miss_an_event_of_a_file_of_that_name_in_another_directory_proves_nothing(root: Path) -> None:
    other = root.parent / "other" / root.name
    found = primary(root, LoadTrace(5), events=logged("smart-app-control", other))
    assert found.code == DENIED
    assert not [fact for fact in found.evidence if fact.startswith("event ")]


def test_near_miss_an_event_of_an_audit_is_no_block(root: Path) -> None:
    found = primary(root, LoadTrace(5), events=logged("audit", root))
    assert found.code == DENIED


@pytest.mark.parametrize("load", [LoadTrace(126), LoadTrace(1114), LoadTrace(None, exit_code=3)])
def test_near_miss_a_block_that_was_logged_is_not_the_cause_of_another_failure(load: LoadTrace, root: Path) -> None:
    assert primary(root, load, events=logged("smart-app-control", root)).code != POLICY


def test_near_miss_a_block_that_was_logged_is_nothing_once_the_file_loads(root: Path) -> None:
    assert findings(root, LoadTrace(0), events=logged("smart-app-control", root)) == []


# ---- security programs -------------------------------------------------------------------------------------------


def test_an_event_of_defender_names_the_threat_and_what_was_done(root: Path) -> None:
    found = primary(root, LoadTrace(225), events=logged("defender", root))
    assert found.message == "Microsoft Defender blocked root.pyd as Trojan:Win32/Wacatac.B!ml."
    assert any(fact.endswith("names it: moved to quarantine") for fact in found.evidence)
    assert remedy(found).startswith("If the package is the real one, restore the file")


def test_words_of_an_event_that_are_in_the_language_of_the_user_are_not_repeated(root: Path) -> None:
    found = primary(root, LoadTrace(225), events=logged("defender", root))
    assert not [fact for fact in found.evidence if "Quarantäne" in fact]


def test_who_is_no_administrator_is_told_to_ask_one(root: Path) -> None:
    assert "ask the administrator" in remedy(primary(root, LoadTrace(225), administrator=False))
    assert "ask the administrator" not in remedy(primary(root, LoadTrace(225), administrator=True))


def test_access_that_the_antivirus_program_denied_is_told_of_it(root: Path) -> None:
    assert primary(root, LoadTrace(5), events=logged("defender", root)).code == ANTIVIRUS


def test_near_miss_a_threat_that_a_person_allowed_is_no_block(root: Path) -> None:
    known = logged("defender", root).found
    allowed = tuple(
        replace(event, data=tuple((name, "6" if name == "Action ID" else value) for name, value in event.data))
        for event in known
    )
    assert primary(root, LoadTrace(5), events=Events(allowed)).code == DENIED


# ---- the mark of the web -----------------------------------------------------------------------------------------


def test_the_mark_of_the_web_is_a_fact_of_a_block(root: Path) -> None:
    found = primary(root, LoadTrace(4551), origins=(Origin(str(root), 3, "https://a.example/w.zip"),))
    assert "marked as coming from zone 3 (the internet), https://a.example/w.zip" in found.evidence


def test_near_miss_a_mark_on_a_file_that_loads_is_nothing(root: Path) -> None:
    assert findings(root, LoadTrace(0), origins=(Origin(str(root), 3),)) == []


def test_near_miss_a_mark_on_another_file_is_not_told(root: Path) -> None:
    found = primary(root, LoadTrace(4551), origins=(Origin(str(root.with_name("other.dll")), 3),))
    assert not [fact for fact in found.evidence if "zone" in fact]


# ---- rights, the Store, the cloud --------------------------------------------------------------------------------


def test_a_file_that_may_be_read_and_not_loaded_is_told_as_such(root: Path) -> None:
    found = primary(root, LoadTrace(5))
    assert "lets this user read root.pyd" in found.message
    assert f"the file is there: {root}" in found.evidence
    assert "right to read and execute this file" in remedy(found)


@pytest.mark.parametrize("code", [5, 1920])
def test_a_file_of_a_store_app_is_told_as_such(code: int, make_pe: MakePE) -> None:
    path = make_pe("WindowsApps/PythonSoftwareFoundation.Python.3.11_x64/root.pyd", imports={"kernel32.dll": ["f"]})
    found = primary(path, LoadTrace(code))
    assert (found.code, "Microsoft Store" in found.message) == (DENIED, True)
    assert "python.org" in remedy(found)


def test_near_miss_another_folder_of_apps_is_not_the_stores(make_pe: MakePE) -> None:
    path = make_pe("MyWindowsApps/root.pyd", imports={"kernel32.dll": ["f"]})
    assert "Microsoft Store" not in primary(path, LoadTrace(5)).message


def test_a_file_that_is_in_use_is_told_as_such(root: Path) -> None:
    found = primary(root, LoadTrace(32))
    assert "Another program has root.pyd open" in found.message


@pytest.mark.parametrize("code", [362, 389, 395])
def test_a_cloud_program_that_does_not_fetch_the_file_is_told_by_its_code(code: int, root: Path) -> None:
    assert "not on this disk" in primary(root, LoadTrace(code)).message


@pytest.mark.parametrize("code", [5, 1920])
def test_a_placeholder_is_told_by_its_attributes(code: int, root: Path) -> None:
    found = primary(root, LoadTrace(code), origins=(Origin(str(root), in_cloud=True),))
    assert "not on this disk" in found.message
    assert "it is a placeholder: its content is not on this disk" in found.evidence


def test_near_miss_a_placeholder_elsewhere_is_not_the_cause(root: Path) -> None:
    found = primary(root, LoadTrace(5), origins=(Origin(str(root.with_name("other.dll")), in_cloud=True),))
    assert "not on this disk" not in found.message


def test_near_miss_a_folder_in_the_place_of_a_dll_is_no_matter_of_rights(make_pe: MakePE, tmp_path: Path) -> None:
    (tmp_path / "dep.dll").mkdir()
    path = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    found = primary(path, LoadTrace(5))
    assert found.message == "dep.dll is a folder, and a DLL of that name is needed."
    assert "right" not in remedy(found)


# ---- memory ------------------------------------------------------------------------------------------------------


def test_what_memory_there_is_and_what_is_needed_is_told(root: Path) -> None:
    found = primary(root, LoadTrace(1455), commit=Commit(20 * GB, 0))
    fact = "Windows can promise 20.0 GB to programs (memory and paging file); 0.0 GB of it are left"
    assert fact in found.evidence
    assert any(fact.startswith("files still to be loaded: 3, which take") for fact in found.evidence)
    assert not [fact for fact in found.evidence if fact.startswith("by now")]


def test_a_shortage_that_has_passed_is_told(root: Path) -> None:
    found = primary(root, LoadTrace(1455), commit=Commit(20 * GB, 9 * GB))
    assert any(fact.startswith("by now this would be enough") for fact in found.evidence)


def test_files_that_the_process_has_loaded_before_are_not_counted_again(root: Path) -> None:
    place = target(loaded=[root.with_name("b.dll")])
    found = primary(root, LoadTrace(1455), place)
    assert any(fact.startswith("files still to be loaded: 2,") for fact in found.evidence)


def test_near_miss_without_facts_of_the_memory_no_number_is_told_of_it(root: Path) -> None:
    found = primary(root, LoadTrace(1455))
    assert (found.code, [fact for fact in found.evidence if "promise" in fact]) == (MEMORY, [])


def test_who_is_no_administrator_is_told_to_ask_for_a_larger_paging_file(root: Path) -> None:
    assert remedy(primary(root, LoadTrace(1455), administrator=False)).startswith("Ask the administrator")
    assert remedy(primary(root, LoadTrace(1455), administrator=True)).startswith("Enlarge the paging file")


def test_a_32_bit_process_is_told_of_its_own_limit(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", machine="x86", imports={"kernel32.dll": ["Sleep"]})
    assert "64-bit Python" in remedy(primary(path, LoadTrace(8), target("10", "3.11-32")))


# ---- a crash that Windows reported -------------------------------------------------------------------------------

CRASHED = LoadTrace(None, exit_code=0xC0000005)


@pytest.mark.parametrize("name", ["application-error", "application-error-unnamed"])
def test_what_windows_reported_of_a_crash_is_told(name: str, root: Path) -> None:
    found = primary(root, CRASHED, events=logged(name))
    assert (
        "Windows reported at 2026-03-02 10:15:04 UTC (event 1000): python.exe failed in MSVCP140.dll "
        "14.28.29334.0 at offset 0x12F58"
    ) in found.evidence


@pytest.mark.parametrize("load", [LoadTrace(None, exit_code=0xC0000409), LoadTrace(None, exit_code=3), LoadTrace(1114)])
def test_near_miss_a_crash_of_another_kind_is_not_the_one(load: LoadTrace, root: Path) -> None:
    found = primary(root, load, events=logged("application-error"))
    assert not [fact for fact in found.evidence if fact.startswith("Windows reported")]


def test_near_miss_a_process_that_called_abort_did_not_use_invalid_memory(root: Path) -> None:
    found = primary(root, LoadTrace(None, exit_code=3))
    assert "ended the process with status 3, as abort does" in found.message
    assert "memory" not in found.message


# ---- a load that never ended -------------------------------------------------------------------------------------


def test_near_miss_a_file_that_loads_in_a_fresh_process_does_not_hang(root: Path) -> None:
    known = replace(evidence(root), loads_elsewhere=True)
    assert [(one.severity, one.code) for one in diagnosis.diagnose(known)] == [("warning", "analysis-incomplete")]


def test_near_miss_a_dependency_that_hangs_alone_where_the_whole_load_failed_is_only_a_warning(root: Path) -> None:
    failed = (Failure(str(root.with_name("a.dll")), 1114), Failure(str(root.with_name("b.dll")), None))
    found = findings(root, LoadTrace(1114, failures=failed))
    assert [(one.severity, one.code) for one in found] == [("error", "init-failed"), ("warning", "hang-on-load")]
