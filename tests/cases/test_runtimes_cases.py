"""Cases of Microsoft's runtimes, on a drive made for each: what is installed, what was loaded, how the load ended.

Versions, linkers and codes are those of the threads; the imports of mutexes are those of the wheels that are named.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import expect_primary
from pe_maker import pe
from targets import target

from depwalk import diagnosis, graph, image, wheel
from depwalk.diagnosis import Evidence, Finding
from depwalk.host import Host
from depwalk.host.events import Event, Events
from depwalk.host.redistributables import Redistributable
from depwalk.loader import Failure, LoadTrace, Raised
from depwalk.target import Directory, python, windows
from depwalk.target.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

INIT_FAILED, ACCESS_VIOLATION = 1114, 0xC0000005
LOCKS = {"MSVCP140.dll": ["_Mtx_lock", "_Mtx_unlock"]}
MUTEX = ["_Mtx_init_in_situ", "_Mtx_lock", "_Mtx_unlock"]
SITE = "Python/Lib/site-packages"


class Machine:
    """A system drive with Windows, and a Python in the directory Python."""

    def __init__(self, drive: Path) -> None:
        self.drive = drive
        for name in ("Windows/System32", "Windows/SysWOW64", SITE):
            (drive / name).mkdir(parents=True)

    def has(self, name: str, **facts: Any) -> Path:
        path = self.drive / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pe(**facts))
        return path

    def installs(self, name: str, version: str, *files: Path) -> None:
        """A distribution with these files."""
        metadata = self.drive / SITE / f"{name}-{version}.dist-info"
        metadata.mkdir()
        listed = [os.path.relpath(file, self.drive / SITE).replace(os.sep, "/") for file in files]
        (metadata / "RECORD").write_text("".join(f"{file},,\n" for file in listed))
        (metadata / "INSTALLER").write_text("pip")

    def findings(
        self, root: Path, loader: str = "3.11", *, conda: bool = False, loaded: tuple[Path, ...] = (), **known: Any
    ) -> tuple[Finding, ...]:
        prefix = str(self.drive / "Python")
        place = target("10", loader, loaded=loaded)
        assert place.python is not None
        place = place._replace(
            windows=replace(windows.at_root(str(self.drive)), version=(10, 0, 19045)),
            python=place.python._replace(directory=Directory(prefix), conda=conda),
            environment=Environment(prefix, prefix, conda=conda, sites=(str(self.drive / SITE),)),
        )
        file = image.read(root)
        walked = graph.walk(str(root), file, place)
        return diagnosis.diagnose(
            Evidence(walked, place, python.built_for(file), wheel.distribution_of(str(root)), **known)
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def facts(found: Finding) -> str:
    return "\n".join(found.evidence)


def remedy(found: Finding) -> str:
    assert found.remedy is not None
    return f"{found.remedy.text} {found.remedy.command}"


def crashed_in(path: Path) -> Raised:
    return Raised(ACCESS_VIOLATION, 0x12F58, str(path), 0x12F58, first_chance=True, access="read")


def reported(*fields: str) -> Host:
    """An event of Application Error."""
    event = Event("Application", "Application Error", 1000, "2025-01-05", tuple(("", field) for field in fields))
    return Host(events=Events((event,)))


# ---- A: missing ---------------------------------------------------------------------------------------------------


def test_case_A1_the_file_in_system32_is_older_than_the_dll(machine: Machine) -> None:
    machine.has("Windows/System32/msvcp140.dll", exports=["f"], version=(14, 0, 24215, 1))
    root = machine.has(
        f"{SITE}/tensorflow_core/python/_pywrap_tensorflow_internal.pyd",
        imports={"MSVCP140.dll": ["f"], "MSVCP140_1.dll": ["f"]},
    )
    found = expect_primary("A1", machine.findings(root, "3.7", load=LoadTrace(126)))
    assert found.module == "MSVCP140_1.dll"
    assert "the Visual C++ runtime here is older than 2018" in found.message


def test_case_A7_only_the_64_bit_package_is_installed(machine: Machine) -> None:
    machine.has("Windows/System32/msvcp140.dll", exports=["f"], version=(14, 0, 24215, 1))
    machine.has("Python/vcruntime140.dll", exports=["f"], machine="x86")
    root = machine.has(f"{SITE}/zmq/libzmq.cp35-win32.pyd", imports={"MSVCP140.dll": ["f"]}, machine="x86")
    host = Host(redistributables=(Redistributable("vc14", "x64", (14, 0, 24215)),))
    found = expect_primary("A7", machine.findings(root, "3.5-32", load=LoadTrace(126), host=host))
    assert "14.0.24215 (x64), which is not for this process" in facts(found)
    assert remedy(found).endswith("winget install Microsoft.VCRedist.2015+.x86")


def test_case_A8_a_new_windows_without_any_redistributable(machine: Machine) -> None:
    machine.has("Python/vcruntime140.dll", exports=["f"])
    root = machine.has(f"{SITE}/jaxlib/xla_extension.pyd", imports={"MSVCP140.dll": ["f"]})
    found = expect_primary("A8", machine.findings(root, load=LoadTrace(126), host=Host(redistributables=())))
    assert found.proof == "loader"


def test_case_A9_an_update_of_python_removed_its_vcruntime140(machine: Machine) -> None:
    root = machine.has("Python/DLLs/_socket.pyd", imports={"VCRUNTIME140.dll": ["f"]})
    found = expect_primary("A9", machine.findings(root, load=LoadTrace(126)))
    assert "belongs beside python.exe" in found.message
    assert remedy(found).startswith("Repair Python")


def test_near_miss_case_A10_a_dll_beside_python_counts_whatever_system32_has(machine: Machine) -> None:
    machine.has("Python/vcruntime140_1.dll", exports=["f"])
    root = machine.has(f"{SITE}/onnxruntime/capi/onnxruntime_pybind11_state.pyd", imports={"VCRUNTIME140_1.dll": ["f"]})
    assert machine.findings(root, "3.8") == ()


def test_case_A11_an_old_virtualenv_did_not_copy_vcruntime140(machine: Machine) -> None:
    machine.has("Python35/vcruntime140.dll", exports=["f"])
    (machine.drive / "Lib").mkdir()  # of the environment: its Scripts directory is Python here
    (machine.drive / "Lib" / "orig-prefix.txt").write_text(str(machine.drive / "Python35"))
    root = machine.has(f"{SITE}/user.pyd", imports={"VCRUNTIME140.dll": ["f"]})
    found = expect_primary("A11", machine.findings(root, "3.5", load=LoadTrace(126)))
    assert "old virtual environment" in found.message
    assert remedy(found).endswith("-m venv NEW_ENVIRONMENT")


# ---- F: too old ---------------------------------------------------------------------------------------------------


def test_case_F0_a_program_that_only_locks_later_is_warned(machine: Machine) -> None:
    machine.has("Windows/System32/msvcp140.dll", exports=MUTEX, version=(14, 32, 31326, 0))
    root = machine.has(f"{SITE}/module.pyd", imports=LOCKS, linker=(14, 40))
    assert expect_primary("F0", machine.findings(root)).severity == "warning"


def test_case_F1_torch_with_the_runtime_of_14_36(machine: Machine) -> None:
    old = machine.has("Windows/System32/msvcp140.dll", exports=MUTEX, version=(14, 36, 32532, 0))
    root = machine.has(f"{SITE}/torch/lib/c10.dll", imports=LOCKS, linker=(14, 42))
    load = LoadTrace(INIT_FAILED, raised=(crashed_in(old),))
    found = expect_primary("F1", machine.findings(root, load=load))
    assert (found.severity, found.proof, found.needed_by) == ("error", "loader", "c10.dll")
    assert f"{root} was linked by Microsoft's linker 14.42" in facts(found)
    assert f"{old} (version 14.36.32532.0)" in facts(found)
    assert "Microsoft Visual C++ v14 Redistributable (x64)" in remedy(found)


def test_case_F1_torch_python_fails_for_the_library_below_it(machine: Machine) -> None:
    machine.has("Windows/System32/msvcp140.dll", exports=MUTEX, version=(14, 36, 32532, 0))
    c10 = machine.has(f"{SITE}/torch/lib/c10.dll", imports=LOCKS, linker=(14, 42), exports=["f"])
    root = machine.has(f"{SITE}/torch/lib/torch_python.dll", imports={"c10.dll": ["f"]}, linker=(14, 42))
    load = LoadTrace(INIT_FAILED, failures=(Failure(str(c10), INIT_FAILED),))
    assert expect_primary("F1", machine.findings(root, load=load)).needed_by == "c10.dll"


def test_case_F2_llvmlite_in_a_conda_environment_of_14_29(machine: Machine) -> None:
    machine.has("Python/msvcp140.dll", exports=MUTEX, version=(14, 29, 30139, 0))
    root = machine.has(f"{SITE}/llvmlite/binding/llvmlite.dll", imports=LOCKS, linker=(14, 44))
    found = expect_primary("F2", machine.findings(root, conda=True, load=LoadTrace(INIT_FAILED)))
    assert found.severity == "error"
    assert remedy(found).endswith('conda install "vc14_runtime>=14.44"')


def test_case_F3_onnxruntime_in_a_conda_environment_of_14_27(machine: Machine) -> None:
    machine.has("Python/msvcp140.dll", exports=MUTEX, version=(14, 27, 29016, 0))
    root = machine.has(f"{SITE}/onnxruntime/capi/onnxruntime_pybind11_state.pyd", imports=LOCKS, linker=(14, 40))
    found = expect_primary("F3", machine.findings(root, conda=True, load=LoadTrace(INIT_FAILED)))
    assert found.severity == "error"
    assert remedy(found).endswith('conda install "vc14_runtime>=14.40"')


def test_case_F4_tensorflow_with_an_old_redistributable(machine: Machine) -> None:
    machine.has("Windows/System32/msvcp140.dll", exports=MUTEX, version=(14, 38, 33135, 0))
    root = machine.has(f"{SITE}/tensorflow/_pywrap_tensorflow_internal.pyd", imports=LOCKS, linker=(14, 40))
    assert expect_primary("F4", machine.findings(root, load=LoadTrace(INIT_FAILED))).severity == "error"


def test_case_D11_an_old_vcruntime_of_conda_hides_that_of_windows(machine: Machine) -> None:
    machine.has("Python/vcruntime140.dll", exports=["memset"], version=(14, 16, 27012, 6))
    newer = machine.has("Windows/System32/vcruntime140.dll", exports=["memset", "new"], version=(14, 44, 35211, 0))
    root = machine.has(f"{SITE}/PySide6/QtWidgets.pyd", imports={"VCRUNTIME140.dll": ["new"]}, linker=(14, 44))
    found = expect_primary("D11", machine.findings(root, conda=True, load=LoadTrace(127)))
    assert (found.severity, found.proof) == ("error", "loader")
    assert f"newer: {newer} (version 14.44.35211.0)" in found.evidence


# ---- E: another package's copy ------------------------------------------------------------------------------------


def test_case_E1_onnx_after_pyarrow(machine: Machine) -> None:
    machine.has("Windows/System32/msvcp140.dll", exports=MUTEX, version=(14, 44, 35211, 0))
    old = machine.has(f"{SITE}/pyarrow/msvcp140.dll", exports=MUTEX, version=(14, 28, 29334, 0))
    root = machine.has(f"{SITE}/onnx/onnx_cpp2py_export.cp311-win_amd64.pyd", imports=LOCKS, linker=(14, 41))
    machine.installs("pyarrow", "18.0.0", old)
    machine.installs("onnx", "1.17.0", root)
    load = LoadTrace(INIT_FAILED)
    found = expect_primary("E1", machine.findings(root, loaded=(old,), load=load))
    assert f"{old} (version 14.28.29334.0) of pyarrow 18.0.0\nthe process has loaded it before" in facts(found)
    assert "Update pyarrow" in remedy(found)
    assert "import onnx before it" in remedy(found)


def test_case_E1_where_onnx_loads_in_a_fresh_process(machine: Machine) -> None:
    machine.has("Windows/System32/msvcp140.dll", exports=MUTEX, version=(14, 44, 35211, 0))
    old = machine.has(f"{SITE}/pyarrow/msvcp140.dll", exports=MUTEX, version=(14, 28, 29334, 0))
    root = machine.has(f"{SITE}/onnx/onnx_cpp2py_export.cp311-win_amd64.pyd", imports=LOCKS, linker=(14, 41))
    found = expect_primary("E1", machine.findings(root, loaded=(old,), loads_elsewhere=True))
    assert (found.severity, found.proof) == ("error", "inferred")


def test_near_miss_case_E1_the_reverse_order(machine: Machine) -> None:
    new = machine.has("Windows/System32/msvcp140.dll", exports=MUTEX, version=(14, 44, 35211, 0))
    machine.has(f"{SITE}/pyarrow/msvcp140.dll", exports=MUTEX, version=(14, 28, 29334, 0))
    root = machine.has(f"{SITE}/onnx/onnx_cpp2py_export.cp311-win_amd64.pyd", imports=LOCKS, linker=(14, 41))
    assert machine.findings(root, loaded=(new,)) == ()


def test_case_E2_the_copy_of_shiboken(machine: Machine) -> None:
    old = machine.has(f"{SITE}/shiboken2/msvcp140.dll", exports=MUTEX, version=(14, 26, 28720, 3))
    root = machine.has(f"{SITE}/newer.pyd", imports=LOCKS, linker=(14, 41))
    load = LoadTrace(None, ACCESS_VIOLATION, raised=(crashed_in(old),))
    found = expect_primary("E2", machine.findings(root, loaded=(old,), load=load))
    assert found.proof == "loader"
    assert f"it lies in the package shiboken2 of {machine.drive / SITE}" in found.evidence
    assert "Update the package shiboken2" in remedy(found)


def test_case_E3_the_concrt140_of_pyzmq(machine: Machine) -> None:
    machine.has("Windows/System32/concrt140.dll", exports=["new", "old"], version=(14, 28, 29334, 0))
    old = machine.has(f"{SITE}/pyzmq.libs/concrt140.dll", exports=["old"], version=(14, 0, 23026, 0))
    root = machine.has(f"{SITE}/other.pyd", imports={"concrt140.dll": ["new"]}, linker=(14, 28))
    machine.installs("pyzmq", "21.0.1", old)
    found = expect_primary("E3", machine.findings(root, loaded=(old,), load=LoadTrace(127)))
    assert "of pyzmq 21.0.1" in facts(found)


# ---- N, O ---------------------------------------------------------------------------------------------------------


def test_case_N1_the_event_that_names_the_assembly(machine: Machine) -> None:
    manifest = (
        b'<assembly xmlns="urn:schemas-microsoft-com:asm.v1"><dependency><dependentAssembly><assemblyIdentity '
        b'name="Microsoft.VC90.DebugCRT" version="9.0.21022.8" publicKeyToken="1fc8b3b9a1e18e3b"/>'
        b"</dependentAssembly></dependency></assembly>"
    )
    root = machine.has(
        f"{SITE}/flycapture.pyd", machine="x86", imports={"MSVCR90D.dll": ["abort"]}, manifests={2: manifest}
    )
    found = expect_primary("N1", machine.findings(root, "3.7-32", load=LoadTrace(14001)))
    assert "only Visual Studio has" in found.message
    assert found.proof == "loader"


def test_case_O3_only_an_event_tells_of_the_crash(machine: Machine) -> None:
    machine.has(f"{SITE}/chroma/msvcp140.dll", exports=["f"], version=(14, 28, 29334, 0))
    root = machine.has(f"{SITE}/chroma/hnswlib.pyd", imports={"MSVCP140.dll": ["f"]}, linker=(14, 29))
    host = reported(
        "python.exe", "3.11.9150.1013", "660bda91", "MSVCP140.dll", "14.28.29334.0", "5fb95a48", "c0000005", "12f58"
    )
    found = expect_primary("O3", machine.findings(root, load=LoadTrace(None, ACCESS_VIOLATION), host=host))
    assert "MSVCP140.dll 14.28.29334.0" in facts(found)
