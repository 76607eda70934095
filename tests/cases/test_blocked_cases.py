"""Cases of blocked files, of memory, crashes and hangs, replayed from codes, events and facts of the machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import expect_primary
from logged import logged
from targets import target
from test_crashes import raised
from test_diagnosis import evidence

from depwalk import diagnosis
from depwalk.host import Host
from depwalk.host.memory import Commit
from depwalk.host.origin import Origin
from depwalk.loader import Failure, LoadTrace
from depwalk.loader.imports import ImportTrace

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.diagnosis import Finding
    from depwalk.target import Target

GB = 10**9
STORE = "WindowsApps/PythonSoftwareFoundation.Python.3.11_3.11.2544.0_x64__qbz5n2kfra8p0"


@pytest.fixture
def extension(make_pe: MakePE) -> Any:
    """extension("pkg/_a.pyd") is an extension in whose files nothing is wrong."""
    return lambda name: make_pe(f"site-packages/{name}", imports={"kernel32.dll": ["Sleep"]})


def findings(path: Path, load: LoadTrace, place: Target | None = None, **host: Any) -> tuple[Finding, ...]:
    return diagnosis.diagnose(replace(evidence(path, place, load), host=Host(**host)))


def test_case_L1_smart_app_control_and_its_events(extension: Any) -> None:
    path = extension("scipy/special/_specfun.cp314-win_amd64.pyd")
    place = target("11", "3.14")
    found = expect_primary("L1", findings(path, LoadTrace(4551), place, events=logged("smart-app-control", path)))
    assert "Smart App Control" in found.message
    assert [fact.split()[1] for fact in found.evidence if fact.startswith("event ")] == ["3077", "3033"]


def test_case_L1_without_a_log_that_can_be_read(extension: Any) -> None:
    found = expect_primary("L1", findings(extension("scipy/special/_specfun.pyd"), LoadTrace(4551)))
    assert "Smart App Control" not in found.message


def test_case_L3_a_virus_that_is_none(extension: Any) -> None:
    path = extension("pytransform_vax/pytransform_vax.pyd")
    found = expect_primary("L3", findings(path, LoadTrace(225), events=logged("defender", path)))
    assert "Trojan:Win32/Wacatac.B!ml" in found.message


def test_case_L3_by_its_code_alone(extension: Any) -> None:
    found = expect_primary("L3", findings(extension("brainways/nct_ufunc.pyd"), LoadTrace(225)))
    assert found.message.startswith("An antivirus program")


def test_case_M1_a_worker_that_loads_cuda_once_more(make_pe: MakePE) -> None:
    cudnn = make_pe("torch/lib/cudnn_adv_infer64_8.dll", imports={"kernel32.dll": ["Sleep"]}, exports=["f"])
    path = make_pe("torch/lib/torch_cuda.dll", imports={"cudnn_adv_infer64_8.dll": ["f"]})
    load = LoadTrace(1455, failures=(Failure(str(cudnn), 1455),))
    found = expect_primary("M1", findings(path, load, commit=Commit(24 * GB, 0)))
    assert found.module == "cudnn_adv_infer64_8.dll"
    assert any("24.0 GB" in fact for fact in found.evidence)
    assert found.remedy is not None
    assert "fewer worker processes" in found.remedy.text


@pytest.mark.parametrize("code", [5, 1920])
def test_case_M3_the_python_of_the_store(code: int, make_pe: MakePE) -> None:
    path = make_pe(f"{STORE}/python311.dll", imports={"kernel32.dll": ["Sleep"]}, exports=["Py_Main"])
    found = expect_primary("M3", findings(path, LoadTrace(code), target("10", None)))
    assert "Microsoft Store" in found.message


def test_case_M4_a_folder_of_onedrive(make_pe: MakePE) -> None:
    path = make_pe("OneDrive/WPy64/python/_a.pyd", imports={"kernel32.dll": ["Sleep"]})
    found = expect_primary("M4", findings(path, LoadTrace(5), origins=(Origin(str(path), in_cloud=True),)))
    assert "OneDrive" in found.message


def test_case_M5_998_in_a_frozen_application(make_pe: MakePE) -> None:
    path = make_pe("app/torch/lib/cufft64_10.dll", imports={"kernel32.dll": ["Sleep"]}, exports=["f"])
    load = LoadTrace(998, raised=(raised(0xC0000005, path, 0x1234, access="read", target=0x8),))
    found = expect_primary("M5", findings(path, load, target("10", None)))
    assert any("cufft64_10.dll+0x1234, read of address 0x8" in fact for fact in found.evidence)


def test_case_O1_an_import_in_a_thread_that_never_ends(extension: Any) -> None:
    path = extension("numpy/_core/_multiarray_umath.cp312-win_amd64.pyd")
    load = LoadTrace(None, timed_out=True, elapsed_ms=30_000)
    trace = ImportTrace("python server.py", False, is_program=True, python="3.12", unfinished=str(path), timed_out=True)
    known = replace(evidence(path, target("10", "3.12"), load), imported=trace)
    found = expect_primary("O1", diagnosis.diagnose(known))
    assert found.remedy is not None
    assert "main thread" in found.remedy.text


def test_near_miss_case_O1_a_file_that_loads_in_a_process_of_its_own(extension: Any) -> None:
    path = extension("numpy/_core/_multiarray_umath.cp312-win_amd64.pyd")
    assert findings(path, LoadTrace(0), target("10", "3.12")) == ()


def test_case_C12_the_code_of_a_locked_drive(extension: Any) -> None:
    found = expect_primary("C12", findings(extension("win32/win32api.pyd"), LoadTrace(0x80310000), target("10", "3.7")))
    assert found.remedy is not None
    assert "PATH" in found.remedy.text


def test_case_O3_a_crash_of_which_only_the_event_log_tells(extension: Any) -> None:
    path = extension("pyarrow/lib.cp311-win_amd64.pyd")
    load = LoadTrace(None, exit_code=0xC0000005)
    found = expect_primary("O3", findings(path, load, events=logged("application-error")))
    assert any("python.exe failed in MSVCP140.dll 14.28.29334.0" in fact for fact in found.evidence)


def test_case_N1_only_the_event_names_the_file_and_the_assembly(make_pe: MakePE) -> None:
    make_pe("flycapture2d_v90.dll", machine="x86", imports={"kernel32.dll": ["Sleep"]}, exports=["f"])
    path = make_pe("pyfly2.pyd", machine="x86", imports={"flycapture2d_v90.dll": ["f"]})
    logs = logged("side-by-side", path.with_name("flycapture2d_v90.dll"))
    found = expect_primary("N1", findings(path, LoadTrace(14001), target("10", "3.7-32"), events=logs))
    assert (found.module, found.needed_by) == ("Microsoft.VC90.DebugCRT", "flycapture2d_v90.dll")
