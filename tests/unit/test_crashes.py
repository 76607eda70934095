"""Crashes: what is said of a load that failed although nothing is wrong with the files."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from targets import judging_for, target
from test_cpu import AVX, EPYC, HASWELL, NEHALEM, SANDY_BRIDGE, SSE
from test_diagnosis import evidence

from depwalk import diagnosis, graph, image, snaps
from depwalk.cpu import Cpu
from depwalk.loader import Failure, LoadTrace, Mapped, Raised

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.diagnosis import Finding
    from depwalk.target import Target

ILLEGAL_INSTRUCTION, ACCESS_VIOLATION, STACK_OVERFLOW = 0xC000001D, 0xC0000005, 0xC00000FD
FAST_FAIL, CPP_EXCEPTION = 0xC0000409, 0xE06D7363
UD2 = bytes.fromhex("0f 0b")
VMOVDQU = bytes.fromhex("c5 fa 6f 06")  # AVX
VPADDD = bytes.fromhex("62 f1 7d 48 fe c1")  # AVX-512F
NTDLL = r"C:\Windows\System32\ntdll.dll"


@pytest.fixture
def root(make_pe: MakePE) -> Path:
    """root.pyd imports a.dll, that b.dll, and in the files nothing is wrong."""
    make_pe("a.dll", imports={"b.dll": ["f"]}, exports=["f"])
    make_pe("b.dll", imports={"kernel32.dll": ["Sleep"]}, exports=["f"])
    return make_pe("root.pyd", imports={"a.dll": ["f"]})


def raised(code: int, module: object = None, rva: int | None = None, **more: Any) -> Raised:
    return Raised(code, 0x10000 + (rva or 0), None if module is None else str(module), rva, True, **more)


def findings(path: Path, load: LoadTrace, place: Target | None = None) -> list[Finding]:
    return list(diagnosis.diagnose(evidence(path, place, load)))


def finding(path: Path, load: LoadTrace, place: Target | None = None) -> Finding:
    (found,) = findings(path, load, place)
    return found


def exceptions(found: Finding) -> list[str]:
    """The facts about exceptions."""
    return [fact for fact in found.evidence if fact.startswith("exception ")]


# ---- the place of an exception -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("load", "exception"),
    [
        (LoadTrace(None, exit_code=ACCESS_VIOLATION), ACCESS_VIOLATION),
        (LoadTrace(998), ACCESS_VIOLATION),
        (LoadTrace(999), 0xC0000006),
        (LoadTrace(1001), STACK_OVERFLOW),
        (LoadTrace(CPP_EXCEPTION), CPP_EXCEPTION),
        (LoadTrace(None, exit_code=FAST_FAIL), FAST_FAIL),
    ],
)
def test_the_exception_that_a_code_or_an_exit_status_stands_for_is_told_with_its_place(
    load: LoadTrace, exception: int, root: Path
) -> None:
    (fact,) = exceptions(finding(root, load._replace(raised=(raised(exception, root, 0x1234),))))
    assert fact.startswith(f"exception 0x{exception:08X} ")
    assert fact.endswith(" at root.pyd+0x1234")


def test_an_access_violation_is_told_with_what_was_accessed(root: Path) -> None:
    load = LoadTrace(998, raised=(raised(ACCESS_VIOLATION, root, 0x10, access="write", target=0x20),))
    expected = "exception 0xC0000005 (STATUS_ACCESS_VIOLATION) at root.pyd+0x10, write of address 0x20"
    assert expected in finding(root, load).evidence


def test_an_exception_outside_of_every_module_is_told_by_its_address(root: Path) -> None:
    load = LoadTrace(998, raised=(Raised(ACCESS_VIOLATION, 0xDEAD, None, None, True),))
    assert "exception 0xC0000005 (STATUS_ACCESS_VIOLATION) at 0xDEAD" in finding(root, load).evidence


def test_of_several_exceptions_of_the_kind_the_last_ended_the_load(root: Path) -> None:
    both = (raised(ACCESS_VIOLATION, root, 0x1), raised(ACCESS_VIOLATION, root, 0x2))
    found = finding(root, LoadTrace(None, exit_code=ACCESS_VIOLATION, raised=both))
    assert [fact.rpartition("+")[2] for fact in exceptions(found)] == ["0x2"]


def test_an_exception_of_another_kind_did_not_end_the_load(root: Path) -> None:
    load = LoadTrace(None, exit_code=ACCESS_VIOLATION, raised=(raised(CPP_EXCEPTION, root, 0x1),))
    assert exceptions(finding(root, load)) == []


def test_a_process_that_ended_itself_is_told_with_its_status(root: Path) -> None:
    found = finding(root, LoadTrace(None, exit_code=3))
    assert found.code == "crash-on-load"
    assert "its code ended the process with status 3" in found.message


def test_a_stack_that_was_used_up_is_told_although_the_process_ended_with_0(root: Path) -> None:
    load = LoadTrace(None, exit_code=0, raised=(raised(STACK_OVERFLOW, root, 0x40),))
    found = finding(root, load)
    assert (found.code, "it used up its stack" in found.message) == ("crash-on-load", True)
    assert "exception 0xC00000FD (STATUS_STACK_OVERFLOW) at root.pyd+0x40" in found.evidence


def test_the_last_words_of_the_process_are_told(root: Path) -> None:
    found = finding(
        root, LoadTrace(None, exit_code=3, output="one\ntwo\n\nno licence\nsorry\n", messages=("DEBUG: 7",))
    )
    assert "it wrote: no licence / sorry" in found.evidence
    assert "it said to a debugger: DEBUG: 7" in found.evidence


def test_a_traceback_is_pythons_and_no_words_of_the_dll(root: Path) -> None:
    output = "Traceback (most recent call last):\n  File ...\nImportError: DLL load failed\n"
    facts = finding(root, LoadTrace(126, output=output)).evidence
    assert [fact for fact in facts if fact.startswith("it wrote")] == []


# ---- how it ended is not known -----------------------------------------------------------------------------------

UNKNOWN = LoadTrace(None)  # ctypes does not load either: nobody could ask for the code


def test_a_load_of_which_nobody_knows_how_it_ended_is_not_explained(root: Path) -> None:
    found = finding(root, UNKNOWN)
    assert (found.severity, found.code, found.module) == ("error", "analysis-incomplete", "root.pyd")
    assert "the code is not known" in found.message


def test_what_the_files_lack_explains_a_load_of_which_nobody_knows_how_it_ended(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports={"gone.dll": ["f"]})
    found = finding(path, UNKNOWN)
    assert (found.severity, found.code, found.proof) == ("error", "missing-dll", "static")
    assert diagnosis.is_explained(evidence(path, None, UNKNOWN))


# ---- a load that never ended -------------------------------------------------------------------------------------


def test_a_load_that_never_ended_is_told_with_the_time_it_was_given(root: Path) -> None:
    found = finding(root, LoadTrace(None, timed_out=True, elapsed_ms=30_040))
    assert (found.code, found.module, found.severity) == ("hang-on-load", "root.pyd", "error")
    assert "stopped after 30.0 s" in found.evidence


def test_the_dependency_that_never_ends_loading_is_blamed(root: Path) -> None:
    load = LoadTrace(None, timed_out=True, failures=(Failure(str(root.with_name("b.dll")), None),))
    found = finding(root, load)
    assert (found.code, found.module, found.needed_by) == ("hang-on-load", "b.dll", "a.dll")


# ---- modules that fail alone -------------------------------------------------------------------------------------


def alone(root: Path, *failures: tuple[str, int | None, int | None], load: LoadTrace) -> list[tuple[str, str, str]]:
    failed = tuple(Failure(str(root.with_name(name)), code, status) for name, code, status in failures)
    found = findings(root, load._replace(failures=failed))
    return [(one.severity, one.code, one.module) for one in found]


def test_a_module_that_fails_alone_as_the_whole_load_did_is_the_error_and_another_a_warning(root: Path) -> None:
    failed = [("a.dll", 1114, None), ("b.dll", None, 3)]
    assert alone(root, *failed, load=LoadTrace(1114)) == [
        ("error", "init-failed", "a.dll"),
        ("warning", "crash-on-load", "b.dll"),
    ]


def test_two_modules_that_fail_alone_as_the_whole_load_did_are_both_errors(root: Path) -> None:
    failed = [("a.dll", 1114, None), ("b.dll", 1114, None)]
    assert {severity for severity, _, _ in alone(root, *failed, load=LoadTrace(1114))} == {"error"}


def test_where_none_fails_alone_as_the_whole_load_did_all_are_errors(root: Path) -> None:
    failed = [("a.dll", 998, None), ("b.dll", None, 3)]
    assert {severity for severity, _, _ in alone(root, *failed, load=LoadTrace(1114))} == {"error"}


def test_a_crash_with_another_status_is_not_the_same_end(root: Path) -> None:
    failed = [("a.dll", None, FAST_FAIL), ("b.dll", None, ACCESS_VIOLATION)]
    assert alone(root, *failed, load=LoadTrace(None, exit_code=ACCESS_VIOLATION)) == [
        ("error", "crash-on-load", "b.dll"),
        ("warning", "crash-on-load", "a.dll"),
    ]


def test_a_module_that_fails_alone_is_told_with_its_path_and_the_way_to_it(root: Path) -> None:
    path = root.with_name("b.dll")
    found = finding(root, LoadTrace(1114, failures=(Failure(str(path), 1114),)))
    assert (found.needed_by, found.proof) == ("a.dll", "loader")
    for fact in (
        f"the file is there: {path}",
        "loaded alone it fails, and everything it needs loads",
        "needed through: root.pyd -> a.dll -> b.dll",
    ):
        assert fact in found.evidence


def test_of_modules_that_need_each_other_the_others_are_named(root: Path) -> None:
    failure = Failure(str(root.with_name("b.dll")), 1114, circle=("a.dll", "c.dll"))
    found = finding(root, LoadTrace(1114, failures=(failure,)))
    assert found.also == ("a.dll", "c.dll")
    assert any(fact.startswith("it and a.dll and c.dll need each other") for fact in found.evidence)


def test_the_exception_in_a_module_that_fails_alone_is_told(root: Path) -> None:
    path = root.with_name("b.dll")
    load = LoadTrace(998, raised=(raised(ACCESS_VIOLATION, path, 0x9),), failures=(Failure(str(path), 998),))
    assert any(fact.endswith("at b.dll+0x9") for fact in finding(root, load).evidence)


def test_an_exception_in_another_module_is_not_told_of_one_that_fails_alone(root: Path) -> None:
    failure = Failure(str(root.with_name("b.dll")), 998)
    load = LoadTrace(998, raised=(raised(ACCESS_VIOLATION, root, 0x9),), failures=(failure,))
    assert exceptions(finding(root, load)) == []


def test_an_exception_in_windows_own_code_is_told_of_the_module_that_fails_alone(root: Path) -> None:
    failure = Failure(str(root.with_name("b.dll")), 998)
    load = LoadTrace(998, raised=(raised(ACCESS_VIOLATION, NTDLL, 0x9),), failures=(failure,))
    assert any(fact.endswith("at ntdll.dll+0x9") for fact in finding(root, load).evidence)


def test_a_part_of_a_runtime_that_is_there_and_does_not_load_is_a_missing_runtime(make_pe: MakePE) -> None:
    part = make_pe("msvcp140.dll", exports=["f"])
    path = make_pe("root.pyd", imports={"MSVCP140.dll": ["f"]})
    found = finding(path, LoadTrace(126, failures=(Failure(str(part), 126),)))
    assert (found.code, found.module, found.needed_by) == ("missing-msvc-runtime", "MSVCP140.dll", "root.pyd")
    assert found.remedy is not None
    assert found.remedy.url.endswith("vc_redist.x64.exe")


def test_what_is_missing_to_a_dll_that_the_code_loads_by_itself_is_told(root: Path, make_pe: MakePE) -> None:
    plugin = make_pe("plugins/plugin.dll", imports={"gone.dll": ["f"]})
    walked = graph.walk(str(plugin), image.read(plugin), target(), by_code=True)
    known = replace(evidence(root, None, LoadTrace(1114)), loaded_by_code=(walked,))
    (found,) = diagnosis.diagnose(known)
    assert f"its code loads {plugin}, and gone.dll, which that needs, is missing" in found.evidence


# ---- what the loader itself told ---------------------------------------------------------------------------------


def said(*texts: str) -> tuple[snaps.Snap, ...]:
    return snaps.parse(f"1a2b:3c4d @ 567 - LdrpSomeFunction - ERROR: {text}" for text in texts)


NOT_FOUND = 'Unable to load DLL: "gone.dll", Parent Module: "C:\\lib\\b.dll", Status: 0xc0000135'
NO_PROCEDURE = (
    'Procedure "f" could not be located in DLL at base 0x10000.',
    'Locating export "f" for DLL "C:\\lib\\b.dll" failed with status: 0xc0000139.',
)


def test_a_dll_that_the_loader_did_not_find_is_missing_and_its_parent_needs_it(root: Path) -> None:
    found = finding(root, LoadTrace(126, snaps=said(NOT_FOUND)))
    assert (found.code, found.module, found.needed_by, found.proof) == ("missing-dll", "gone.dll", "b.dll", "loader")
    assert "told by the loader itself (loader snaps, status 0xC0000135)" in found.evidence


def test_a_dll_that_a_call_asked_for_is_needed_by_the_file(root: Path) -> None:
    text = 'Unable to load DLL: "gone.dll", Parent Module: "(null)", Status: 0xc0000135'
    assert finding(root, LoadTrace(126, snaps=said(text))).needed_by == "root.pyd"


def test_what_the_loader_said_twice_is_one_finding(root: Path) -> None:
    assert finding(root, LoadTrace(126, snaps=said(NOT_FOUND, NOT_FOUND))).module == "gone.dll"


def test_of_very_many_names_five_are_told(root: Path) -> None:
    texts = [NOT_FOUND.replace("gone", f"gone{number}") for number in range(9)]
    found = findings(root, LoadTrace(126, snaps=said(*texts)))
    assert [one.module for one in found] == [f"gone{number}.dll" for number in range(5)]


def test_a_name_that_was_not_found_is_not_the_cause_of_another_code(root: Path) -> None:
    assert finding(root, LoadTrace(1114, snaps=said(NOT_FOUND))).code == "init-failed"


def test_what_the_loader_told_comes_before_what_fails_alone(root: Path) -> None:
    failure = Failure(str(root.with_name("a.dll")), 126)
    assert finding(root, LoadTrace(126, failures=(failure,), snaps=said(NOT_FOUND))).code == "missing-dll"


def test_a_function_that_the_loader_did_not_find_is_missing_from_the_dll_at_that_address(root: Path) -> None:
    mapped = (Mapped(r"C:\lib\old.dll", 0x10000, 1.0),)
    found = finding(root, LoadTrace(127, mapped=mapped, snaps=said(*NO_PROCEDURE)))
    assert (found.code, found.module, found.needed_by) == ("missing-export", "old.dll", "b.dll")
    assert "old.dll lacks f, which b.dll imports" in found.message


def test_a_function_that_getprocaddress_did_not_find_is_no_cause(root: Path) -> None:
    optional = NO_PROCEDURE[1].replace("C:\\lib\\b.dll", "Unknown")
    assert finding(root, LoadTrace(127, snaps=said(NO_PROCEDURE[0], optional))).code == "analysis-incomplete"


def test_the_initialisation_that_the_loader_says_failed_is_the_cause(root: Path) -> None:
    text = 'Init routine 00007FFDC331100A for DLL "C:\\lib\\b.dll" failed during DLL_PROCESS_ATTACH'
    found = finding(root, LoadTrace(1114, snaps=said(text)))
    assert (found.code, found.module) == ("init-failed", "b.dll")


def test_an_export_table_that_the_loader_misses_is_the_cause(root: Path) -> None:
    found = finding(root, LoadTrace(193, snaps=said('DLL "C:\\lib\\b.dll" does not contain an export table')))
    assert (found.code, found.module) == ("missing-export", "b.dll")
    assert "has no export table" in found.message


# ---- the processor -----------------------------------------------------------------------------------------------

NO_AVX, AVX_OFF, AVX_ON = NEHALEM, Cpu(SANDY_BRIDGE, SSE), Cpu(SANDY_BRIDGE, AVX)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Any:
    """on(processor): judge for this one, not for the one that runs the tests."""
    return judging_for(monkeypatch)


def illegal(module: object, code: bytes, load: LoadTrace | None = None) -> LoadTrace:
    exception = raised(ILLEGAL_INSTRUCTION, module, 0x4D7F, code_bytes=code)
    return (load or LoadTrace(ILLEGAL_INSTRUCTION))._replace(raised=(exception,))


def test_an_instruction_that_the_processor_does_not_have_names_the_instruction_set(on: Any, root: Path) -> None:
    on(NO_AVX)
    found = finding(root, illegal(root, VMOVDQU))
    assert (found.code, found.module, found.proof) == ("cpu-feature-missing", "root.pyd", "loader")
    assert "does not have AVX" in found.message
    assert "exception 0xC000001D (STATUS_ILLEGAL_INSTRUCTION) at root.pyd+0x4D7F" in found.evidence
    assert "instruction there: c5 fa 6f 06 (AVX, VEX encoding)" in found.evidence


def test_an_instruction_that_windows_did_not_switch_on_is_disabled_and_not_missing(on: Any, root: Path) -> None:
    on(AVX_OFF)
    found = finding(root, illegal(root, VMOVDQU))
    assert found.code == "cpu-feature-disabled"
    assert found.remedy is not None
    assert "Enable AVX" in found.remedy.text


def test_an_instruction_that_the_processor_executes_is_no_cause(on: Any, root: Path) -> None:
    on(AVX_ON)
    assert finding(root, illegal(root, VMOVDQU)).code == "crash-on-load"


@pytest.mark.parametrize(("processor", "code"), [(HASWELL, "cpu-feature-missing"), (EPYC, "crash-on-load")])
def test_avx_512_is_told_from_avx(on: Any, processor: Cpu, code: str, root: Path) -> None:
    on(processor)
    found = finding(root, illegal(root, VPADDD))
    assert (found.code, "AVX-512" in found.message) == (code, code == "cpu-feature-missing")


def test_a_process_that_died_of_an_instruction_is_explained_like_a_load_that_was_refused(on: Any, root: Path) -> None:
    on(NO_AVX)
    dead = illegal(root, VMOVDQU, LoadTrace(None, exit_code=ILLEGAL_INSTRUCTION))
    assert finding(root, dead).code == "cpu-feature-missing"


def test_an_instruction_that_the_dll_caught_before_it_gave_up_is_the_cause(on: Any, root: Path) -> None:
    on(NO_AVX)
    assert finding(root, illegal(root, VMOVDQU, LoadTrace(1114))).code == "cpu-feature-missing"


def test_an_instruction_that_was_caught_before_another_failure_is_not_the_cause(on: Any, root: Path) -> None:
    on(NO_AVX)
    assert finding(root, illegal(root, VMOVDQU, LoadTrace(998))).code == "crash-on-load"


def test_the_dependency_that_holds_the_instruction_is_blamed_and_not_the_one_that_fails_alone(
    on: Any, root: Path
) -> None:
    on(NO_AVX)
    load = illegal(root.with_name("b.dll"), VMOVDQU)._replace(failures=(Failure(str(root.with_name("a.dll")), 1114),))
    found = finding(root, load)
    assert (found.code, found.module, found.needed_by) == ("cpu-feature-missing", "b.dll", "a.dll")
    assert "needed through: root.pyd -> a.dll -> b.dll" in found.evidence


def test_an_instruction_outside_of_every_module_is_told_of_the_file_itself(on: Any, root: Path) -> None:
    on(NO_AVX)
    assert finding(root, illegal(None, VMOVDQU)).module == "root.pyd"


@pytest.mark.parametrize("code", [UD2, b"", b"\xc5"], ids=["ud2", "unreadable", "cut"])
def test_an_instruction_that_says_nothing_of_the_processor_is_a_crash(on: Any, code: bytes, root: Path) -> None:
    on(NO_AVX)
    assert finding(root, illegal(root, code)).code == "crash-on-load"


def test_an_instruction_that_every_processor_has_is_a_crash(on: Any, root: Path) -> None:
    on(NO_AVX)
    assert finding(root, illegal(root, b"\x90")).code == "crash-on-load"


def test_on_a_processor_that_is_no_x86_nothing_is_said_of_its_instructions(on: Any, root: Path) -> None:
    on(None)
    assert finding(root, illegal(root, VMOVDQU)).code == "crash-on-load"


@pytest.mark.parametrize(
    ("machine", "loader", "code"),
    [("x64", "3.11", "cpu-feature-missing"), ("x86", "3.11-32", "crash-on-load")],
)
def test_bytes_are_read_as_the_process_would_read_them(
    on: Any, machine: str, loader: str, code: str, make_pe: MakePE
) -> None:
    on(NO_AVX)
    path = make_pe("root.pyd", machine=machine, imports={"kernel32.dll": ["Sleep"]})
    load = illegal(path, bytes.fromhex("66 41 0f 38 dc c1"))  # aesenc; in 32 bits "inc cx"
    assert finding(path, load, target("10", loader)).code == code


def test_a_load_that_the_processor_explains_needs_no_closer_look(on: Any, root: Path) -> None:
    on(NO_AVX)
    assert diagnosis.is_explained(evidence(root, None, illegal(root, VMOVDQU)))
    on(AVX_ON)
    assert not diagnosis.is_explained(evidence(root, None, illegal(root, VMOVDQU)))
