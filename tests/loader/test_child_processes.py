"""A child process: what runs in it stays in it, ends in time, leaves nothing behind, and is understood."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import pytest
from animals import on_wine
from loading import errors

import depwalk
from depwalk import core, image, loader
from depwalk.cli.options import machine
from depwalk.target.choose import Choice, choose

if TYPE_CHECKING:
    from pathlib import Path

    from loading import Animal

    from depwalk.loader import Raised

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="there is no Windows loader here")

ACCESS_VIOLATION = 0xC0000005
FAST_FAIL = 0xC0000409
LEAVES_NOTHING = ["init-false", "init-fail-fast", "init-exit-process", "init-hang", "init-thread-wait"]


class ProcessEntry(ctypes.Structure):
    """PROCESSENTRY32W."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("usage", ctypes.c_uint32),
        ("process", ctypes.c_uint32),
        ("heap", ctypes.c_size_t),
        ("module", ctypes.c_uint32),
        ("threads", ctypes.c_uint32),
        ("parent", ctypes.c_uint32),
        ("priority", ctypes.c_int32),
        ("flags", ctypes.c_uint32),
        ("program", ctypes.c_wchar * 260),
    )


def processes() -> dict[int, tuple[int, str]]:
    """(parent, program) of every process that runs, by its id."""
    if sys.platform != "win32":
        return {}
    kernel32 = ctypes.WinDLL("kernel32")
    kernel32.CreateToolhelp32Snapshot.restype = ctypes.c_void_p
    snapshot = ctypes.c_void_p(kernel32.CreateToolhelp32Snapshot(2, 0))  # TH32CS_SNAPPROCESS
    entry = ProcessEntry(ctypes.sizeof(ProcessEntry))
    found = {}
    more = kernel32.Process32FirstW(snapshot, ctypes.byref(entry))
    while more:
        found[entry.process] = (entry.parent, entry.program)
        more = kernel32.Process32NextW(snapshot, ctypes.byref(entry))
    kernel32.CloseHandle(snapshot)
    return found


def left_behind(before: dict[int, tuple[int, str]], wait: float = 2) -> list[str]:
    """Programs that run now and did not before, if this process started them or whoever did is gone."""
    until = time.perf_counter() + wait  # a process that was ended is not gone at once
    while True:
        now = processes()
        new = {process: now[process] for process in now.keys() - before.keys()}
        found = [program for parent, program in new.values() if parent == os.getpid() or parent not in now]
        if not found or time.perf_counter() > until:
            return found
        time.sleep(0.05)


def peak_memory() -> int:
    """The most memory that this process ever had, in bytes."""
    if sys.platform != "win32":
        return 0

    class Counters(ctypes.Structure):
        _fields_ = [
            ("size", ctypes.c_uint32),
            ("faults", ctypes.c_uint32),
            ("peak", ctypes.c_size_t),
            ("others", ctypes.c_size_t * 7),
        ]

    counters = Counters(ctypes.sizeof(Counters))
    kernel32 = ctypes.WinDLL("kernel32")
    assert kernel32.K32GetProcessMemoryInfo(ctypes.c_void_p(-1), ctypes.byref(counters), counters.size)
    return int(counters.peak)


def raised(path: str, code: int) -> list[Raised]:
    load = depwalk.diagnose(path).load
    assert load is not None
    return [exception for exception in load.raised if exception.code == code]


# ---- what runs in it stays in it


@pytest.mark.parametrize("name", ["nothing-needed", "init-false"])
def test_a_file_is_loaded_into_a_child_and_not_into_this_process(animal: Animal, name: str) -> None:
    path = animal(name)
    result = depwalk.diagnose(path)

    assert result.basis == "loader"
    assert path.lower() not in [module.lower() for module in core.modules()]


def test_100_mb_on_standard_output_are_read_and_not_kept(animal: Animal) -> None:
    before = peak_memory()
    result = depwalk.diagnose(animal("init-flood"))

    assert (result.verdict, result.basis) == ("loads", "loader"), result.findings
    assert result.load is not None
    assert 0 < len(result.load.output) <= 16_384
    assert peak_memory() - before < 20_000_000


@pytest.mark.parametrize("name", LEAVES_NOTHING)
def test_no_process_and_no_temporary_file_is_left_behind(
    animal: Animal, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = animal(name)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = processes()

    assert depwalk.diagnose(path, timeout=1).verdict == "fails"
    assert left_behind(before) == []
    assert os.listdir(tmp_path) == []


def test_a_process_that_is_left_behind_would_be_seen() -> None:
    before = processes()
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        assert os.path.basename(sys.executable) in left_behind(before, wait=0)
    finally:
        child.kill()
        child.communicate()


# ---- it ends in time


@pytest.mark.parametrize(("name", "module"), [("init-hang", "user.pyd"), ("init-hang-deep", "a.dll")])
def test_what_hangs_is_stopped_in_time_and_named(animal: Animal, name: str, module: str) -> None:
    path = animal(name)
    started = time.perf_counter()
    result = depwalk.diagnose(path, timeout=2)

    assert time.perf_counter() - started < 3 * 2  # the load, and a second look at what it needs
    assert result.load is not None
    assert (result.load.timed_out, result.load.code, result.load.exit_code) == (True, None, None)
    assert [(code, name) for code, name, _ in errors(result)] == [("hang-on-load", module)]


# ---- how it ended is understood


@pytest.mark.parametrize(("name", "access"), [("init-read-null", "read"), ("init-access-violation", "write")])
def test_an_access_violation_is_told_with_its_place_its_kind_and_its_target(
    animal: Animal, name: str, access: str
) -> None:
    path = animal(name)
    (exception,) = raised(path, ACCESS_VIOLATION)

    assert exception.module is not None
    assert os.path.normcase(exception.module) == os.path.normcase(path)
    assert exception.place == f"user.pyd+0x{exception.rva:X}"
    assert (exception.access, exception.target) == (access, 0)


def test_a_call_of_address_0_lies_in_no_module(animal: Animal) -> None:
    (exception,) = raised(animal("init-call-null"), ACCESS_VIOLATION)

    assert (exception.module, exception.rva, exception.place) == (None, None, "0x0")
    assert (exception.access, exception.target) == ("execute", 0)


def test_a_fast_fail_which_only_a_debugger_sees_is_told_with_its_place(animal: Animal) -> None:
    path = animal("init-fail-fast")
    result = depwalk.diagnose(path)

    assert result.load is not None
    assert (result.load.exit_code, result.load.code) == (FAST_FAIL, None)
    last = result.load.raised[-1]
    assert (last.code, last.first_chance) == (FAST_FAIL, False)
    assert last.place.startswith("user.pyd+0x")
    assert errors(result) == [("crash-on-load", "user.pyd", "")]


def test_a_process_that_ends_itself_with_status_0_has_failed(animal: Animal) -> None:
    result = depwalk.diagnose(animal("init-exit-process-0"))

    assert result.load is not None
    assert (result.load.code, result.load.exit_code, result.load.loaded) == (None, 0, False)
    assert result.verdict == "fails"
    assert errors(result) == [("crash-on-load", "user.pyd", "")]


def test_a_stack_overflow_is_told_with_its_place(animal: Animal) -> None:
    result = depwalk.diagnose(animal("init-stack-overflow"))

    assert result.load is not None
    assert [exception.code for exception in result.load.raised] == [0xC00000FD]
    assert result.load.raised[0].place.startswith("user.pyd+0x")
    (finding,) = [finding for finding in result.findings if finding.severity == "error"]
    assert any("STATUS_STACK_OVERFLOW" in fact for fact in finding.evidence)


def test_a_cpp_exception_is_named_as_one(animal: Animal) -> None:
    path = animal("init-cxx-exception")
    target = choose(image.read(path), Choice(), machine())
    load = loader.test_load(path, target, timeout=10)  # only this: Wine's unwinder takes seconds under a debugger

    assert (load.code, load.status) == (0xE06D7363, "C++ exception")


def test_abort_is_a_crash_with_the_exit_status_of_this_c_runtime(animal: Animal) -> None:
    result = depwalk.diagnose(animal("init-abort"))

    assert result.load is not None
    assert result.load.exit_code == (3 if on_wine() else FAST_FAIL)
    assert errors(result) == [("crash-on-load", "user.pyd", "")]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("init-says-why", "it wrote: zoo: looking for a licence / zoo: no licence found, giving up"),
        ("init-debug-string", "it said to a debugger: zoo: no licence found, giving up"),
    ],
)
def test_what_the_dll_said_before_it_gave_up_is_evidence(animal: Animal, name: str, said: str) -> None:
    (finding,) = [found for found in depwalk.diagnose(animal(name)).findings if found.severity == "error"]

    assert (finding.code, finding.module) == ("init-failed", "user.pyd")
    assert said in finding.evidence


# ---- which module it was


@pytest.mark.parametrize(("name", "other"), [("init-two-fail", "b.dll"), ("init-two-fail-deep", "c.dll")])
def test_after_a_module_that_ended_its_child_the_others_are_tried_in_the_next(
    animal: Animal, name: str, other: str
) -> None:
    result = depwalk.diagnose(animal(name))

    assert result.load is not None
    failed = {os.path.basename(failure.path): (failure.code, failure.exit_code) for failure in result.load.failures}
    assert failed == {"a.dll": (None, 77), other: (1114, None)}
    assert errors(result) == [("crash-on-load", "a.dll", "user.pyd")]
    assert [(finding.severity, finding.code) for finding in result.findings if finding.module == other] == [
        ("warning", "init-failed")
    ]


@pytest.mark.parametrize(
    ("name", "error", "chain"),
    [
        ("init-crash-deep", ("crash-on-load", "c.dll", "b.dll"), "user.pyd -> a.dll -> b.dll -> c.dll"),
        (
            "missing-deeper",
            ("missing-dll", "nowhere.dll", "c.dll"),
            "user.pyd -> a.dll -> b.dll -> c.dll -> nowhere.dll",
        ),
    ],
)
def test_three_levels_down_the_module_and_the_one_that_needs_it_are_named(
    animal: Animal, name: str, error: tuple[str, str, str], chain: str
) -> None:
    result = depwalk.diagnose(animal(name))

    assert errors(result) == [error]
    assert f"needed through: {chain}" in result.findings[0].evidence


# ---- which Python it is


def test_every_python_of_this_machine_loads_a_file_in_a_child_of_its_own(pythons: list[str]) -> None:
    assert sys.executable in pythons
    answers = {}
    for program in pythons:
        folder = "all-32" if image.read(program).architecture == "x86" else "nothing-needed"
        path = os.path.join(os.environ["DEPWALK_ZOO"], folder, "user.pyd")
        result = depwalk.diagnose(path, python=program)
        assert result.load is not None, program
        answers[program] = (result.verdict, result.basis, path in result.load.modules)

    assert answers == dict.fromkeys(pythons, ("loads", "loader", True))
