"""Cases in which the processor, or its Windows, lacks an instruction set: replayed with the processors of the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from catalogue import expect_primary
from targets import judging_for, target
from test_cpu import AVX, HASWELL, INTEL, NEHALEM, SANDY_BRIDGE, SSE
from test_diagnosis import evidence

from depwalk import diagnosis
from depwalk.cpu import Cpu
from depwalk.loader import LoadTrace, Raised

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.diagnosis import Finding

ILLEGAL_INSTRUCTION, INIT_FAILED = 0xC000001D, 1114
VMOVDQU = bytes.fromhex("c5 fa 6f 06")  # AVX
VPADDD = bytes.fromhex("c5 fd fe c0")  # AVX2
VPADDD_512 = bytes.fromhex("62 f1 7d 48 fe c1")  # AVX-512F
ADDSUBPS = bytes.fromhex("f2 0f d0 c1")  # SSE3
OSXSAVE = 1 << 27
# A Pentium 4 (Northwood); the first Sandy Bridge under a Windows that never asked for its AVX.
NORTHWOOD = Cpu({(0, 0): (2, *INTEL), (1, 0): (0x00000F29, 0x00020809, 0x00004400, 0xBFEBFBFF)})
WITHOUT_XSAVE = Cpu(
    SANDY_BRIDGE | {(1, 0): (0x000206A6, 0x00100800, SANDY_BRIDGE[1, 0][2] & ~OSXSAVE, 0xBFEBFBFF)},
)


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Any:
    """on(processor): judge for this one, not for the one that runs the tests."""
    return judging_for(monkeypatch)


def findings(path: Path, code: bytes, load: int | None, loader: str = "3.7") -> tuple[Finding, ...]:
    """What is found where `path` executes `code` while it is loaded, which ends with `load`."""
    exception = Raised(ILLEGAL_INSTRUCTION, 0x14D7F, str(path), 0x4D7F, True, code_bytes=code)
    ended = LoadTrace(load, exit_code=None if load else ILLEGAL_INSTRUCTION, raised=(exception,))
    return diagnosis.diagnose(evidence(path, target("10", loader), ended))


def test_case_G1_tensorflow_on_a_processor_without_avx(on: Any, make_pe: MakePE) -> None:
    on(NEHALEM)
    found = expect_primary("G1", findings(make_pe("_pywrap_tensorflow_internal.pyd"), VMOVDQU, ILLEGAL_INSTRUCTION))
    assert "does not have AVX" in found.message
    assert found.remedy is not None
    assert "No DLL that could be installed helps" in found.remedy.text


def test_case_G2_paddle_catches_the_exception_and_gives_up(on: Any, make_pe: MakePE) -> None:
    on(NEHALEM)
    found = expect_primary("G2", findings(make_pe("core_avx.pyd"), VMOVDQU, INIT_FAILED))
    assert found.proof == "loader"


def test_case_G2_a_build_for_avx2_on_a_processor_that_has_avx_only(on: Any, make_pe: MakePE) -> None:
    on(Cpu(SANDY_BRIDGE, AVX))
    found = expect_primary("G2", findings(make_pe("_pywrap_tensorflow_internal.pyd"), VPADDD, INIT_FAILED))
    assert "does not have AVX2" in found.message


def test_case_G3_numpy_in_a_32_bit_python_on_an_old_pentium(on: Any, make_pe: MakePE) -> None:
    on(NORTHWOOD)
    path = make_pe("_multiarray_umath.cp311-win32.pyd", machine="x86")
    assert "SSE3" in expect_primary("G3", findings(path, ADDSUBPS, None, "3.11-32")).message


@pytest.mark.parametrize("processor", [Cpu(SANDY_BRIDGE, SSE), WITHOUT_XSAVE], ids=["xcr0", "no xsave"])
def test_case_G4_windows_does_not_let_programs_use_avx(processor: Cpu, on: Any, make_pe: MakePE) -> None:
    on(processor)
    found = expect_primary("G4", findings(make_pe("_pywrap_tensorflow_internal.pyd"), VMOVDQU, ILLEGAL_INSTRUCTION))
    assert found.remedy is not None
    assert "Enable AVX" in found.remedy.text


def test_case_G6_torch_has_avx_512_where_every_processor_runs_it(on: Any, make_pe: MakePE) -> None:
    on(HASWELL)
    found = expect_primary("G6", findings(make_pe("torch_cpu.dll"), VPADDD_512, ILLEGAL_INSTRUCTION))
    assert "AVX-512" in found.message


def test_near_miss_an_illegal_instruction_that_this_processor_has(on: Any, make_pe: MakePE) -> None:
    on(HASWELL)
    (found,) = findings(make_pe("a.pyd"), VPADDD, ILLEGAL_INSTRUCTION)
    assert found.code == "crash-on-load"


def test_near_miss_a_trap_on_a_processor_without_avx(on: Any, make_pe: MakePE) -> None:
    on(NEHALEM)
    (found,) = findings(make_pe("a.pyd"), bytes.fromhex("0f 0b"), ILLEGAL_INSTRUCTION)
    assert found.code == "crash-on-load"
