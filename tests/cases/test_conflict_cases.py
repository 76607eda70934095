"""Cases of two files of one name, and of files that do not fit, on a drive made for each."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import expect_primary
from pe_maker import pe
from targets import target

from depwalk import diagnosis, graph, image, wheel
from depwalk.diagnosis import Evidence
from depwalk.loader import LoadTrace, Mapped
from depwalk.target import python, windows
from depwalk.target.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from depwalk.diagnosis import Finding

OMP = "OMP: Error #15: Initializing libiomp5md.dll, but found libiomp5md.dll already initialized."


class Machine:
    """A system drive with a Windows and a Python in the directory env, conda's or not."""

    def __init__(self, drive: Path) -> None:
        self.drive = drive
        self.site = drive / "env" / "Lib" / "site-packages"
        (drive / "Windows" / "System32").mkdir(parents=True)

    def has(self, name: str, **facts: Any) -> Path:
        """A file on the drive; `site/` stands for site-packages."""
        path = self.drive / name if not name.startswith("site/") else self.site / name[5:]
        path.parent.mkdir(parents=True, exist_ok=True)
        if "exports" in facts:  # as linkers write them
            facts["exports"] = sorted(facts["exports"])
        path.write_bytes(pe(**facts))
        return path

    def install(self, name: str, version: str, *files: Path) -> None:
        """A distribution to which files belong."""
        metadata = self.site / f"{name}-{version}.dist-info"
        metadata.mkdir(parents=True)
        listed = [os.path.relpath(file, self.site).replace(os.sep, "/") for file in files]
        (metadata / "RECORD").write_text("".join(f"{file},,\n" for file in listed))
        (metadata / "INSTALLER").write_text("pip")

    def install_by_conda(self, name: str, version: str, *files: Path) -> None:
        """A package of conda to which files belong."""
        records = self.drive / "env" / "conda-meta"
        records.mkdir(exist_ok=True)
        listed = [os.path.relpath(file, records.parent).replace(os.sep, "/") for file in files]
        (records / f"{name}-{version}-h0_0.json").write_text(json.dumps({"files": listed}))

    def findings(
        self, root: Path, loader: str = "3.11", load: LoadTrace | None = None, *, conda: bool = False, **fields: Any
    ) -> tuple[Finding, ...]:
        prefix = str(self.drive / "env")
        around = Environment(prefix, prefix, conda=conda, sites=(str(self.site),))
        place = target("10", loader, app=self.drive / "env", environment=around, **fields)
        place = place._replace(windows=windows.at_root(str(self.drive)))
        if conda and place.python is not None:
            place = place._replace(python=place.python._replace(conda=True))
        file = image.read(root)
        walked = graph.walk(str(root), file, place)
        found = wheel.distribution_of(str(root))
        return diagnosis.diagnose(Evidence(walked, place, python.built_for(file), found, load))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def evidence_of(finding: Finding) -> str:
    return "\n".join(finding.evidence)


def test_case_D1_old_openmp_in_system32_before_that_of_conda(machine: Machine) -> None:
    intel = {"ProductName": "Intel(R) OMP Runtime Library", "CompanyName": "Intel Corporation"}
    machine.has("Windows/System32/libiomp5md.dll", exports=["old"], version=(5, 0, 2009, 903), version_texts=intel)
    machine.has("env/Library/bin/libiomp5md.dll", exports=["kmp_new"], version=(5, 0, 2019, 328))
    mkl = machine.has("env/Library/bin/mkl_intel_thread.dll", exports=["f"], imports={"libiomp5md.dll": ["kmp_new"]})
    findings = machine.findings(mkl, "3.7", LoadTrace(127), conda=True)
    found = expect_primary("D1", findings)
    assert "Intel(R) OMP Runtime Library, Intel Corporation" in evidence_of(found)
    assert found.remedy is not None
    assert "CONDA_DLL_SEARCH_MODIFICATION_ENABLE" in found.remedy.command


def test_case_D2_onnxruntime_of_system32_is_older_than_that_of_the_wheel(machine: Machine) -> None:
    machine.has("Windows/System32/onnxruntime.dll", exports=["OrtGetApiBase"], version=(1, 17, 2024, 0))
    own = machine.has("site/sherpa_onnx/lib/onnxruntime.dll", exports=["OrtGetApiBase"], version=(1, 23, 2025, 0))
    root = machine.has("site/sherpa_onnx/lib/_sherpa_onnx.pyd", delay={"onnxruntime.dll": ["OrtGetApiBase"]})
    found = expect_primary("D2", machine.findings(root))
    assert found.severity == "warning"  # it loads: what fails is the first call that asks for a newer interface
    assert f"newer, and its own: {own} (version 1.23.2025.0)" in evidence_of(found)
    assert found.remedy is not None
    assert found.remedy.command == f"import ctypes; ctypes.WinDLL({str(own)!r})"


def test_case_D3_openssl_of_system32_before_that_of_conda(machine: Machine) -> None:
    machine.has("Windows/System32/libcrypto-1_1-x64.dll", exports=["OPENSSL_init"], version=(1, 1, 0, 9))
    machine.has("env/Library/bin/libcrypto-1_1-x64.dll", exports=["OPENSSL_init", "EVP_PKEY_new"])
    root = machine.has("env/DLLs/_ssl.pyd", imports={"libcrypto-1_1-x64.dll": ["OPENSSL_init", "EVP_PKEY_new"]})
    expect_primary("D3", machine.findings(root, "3.7", LoadTrace(127), conda=True))


def test_case_D4_ordinals_of_a_foreign_openssl(machine: Machine) -> None:
    foreign = machine.has("Intel/iCLS Client/libeay32.dll", exports=["@1", "@2"])
    machine.has("env/Library/bin/libeay32.dll", exports=["@1", "@2", "@4500"])
    root = machine.has("site/cryptography/_openssl.pyd", imports={"libeay32.dll": [4500]})
    path = [foreign.parent, machine.drive / "env" / "Library" / "bin"]
    found = expect_primary("D4", machine.findings(root, "3.6", LoadTrace(182), conda=True, path=path))
    assert "function number 4500" in found.message


def test_case_D5_old_pywintypes_beside_python(machine: Machine) -> None:
    machine.has("env/pywintypes312.dll", exports=["old"], version=(3, 12, 306, 0))
    own = machine.has("site/pywin32_system32/pywintypes312.dll", exports=["old", "new"], version=(3, 12, 309, 0))
    root = machine.has("site/win32/win32api.pyd", imports={"pywintypes312.dll": ["new"]})
    machine.install("pywin32", "309", root, own)
    found = expect_primary("D5", machine.findings(root, "3.12", LoadTrace(127)))
    assert f"{own} (version 3.12.309.0) of pywin32 309" in evidence_of(found)


def test_case_D6_qt_of_conda_before_that_of_the_wheel(machine: Machine) -> None:
    taken = machine.has("env/Library/bin/Qt6Core.dll", exports=["qt_version_tag_6_7"], version=(6, 7, 3, 0))
    own = machine.has("site/PyQt6/Qt6/bin/Qt6Core.dll", exports=["qt_version_tag_6_11"], version=(6, 11, 0, 0))
    root = machine.has("site/PyQt6/QtCore.pyd", imports={"Qt6Core.dll": ["qt_version_tag_6_11"]})
    machine.install("PyQt6", "6.11.0", root)
    machine.install_by_conda("qt6-main", "6.7.3", taken)
    dll_dirs = [own.parent, machine.drive / "env" / "Library" / "bin"]
    found = expect_primary("D6", machine.findings(root, "3.11", LoadTrace(127), conda=True, dll_dirs=dll_dirs))
    assert found.remedy is not None
    assert "Install PyQt6 with conda too" in found.remedy.text


def test_case_D7_icu_of_anaconda_before_that_of_windows(machine: Machine) -> None:
    windows_own = machine.has("Windows/System32/icuuc.dll", exports=["ucnv_open"], version=(10, 0, 22621, 1))
    taken = machine.has("env/Library/bin/icuuc.dll", exports=["ucnv_open_73"], version=(73, 1, 0, 0))
    qt = machine.has("site/PySide6/Qt6Core.dll", exports=["qVersion"], imports={"icuuc.dll": ["ucnv_open"]})
    root = machine.has("site/PySide6/QtCore.pyd", imports={"Qt6Core.dll": ["qVersion"]})
    machine.install("PySide6_Essentials", "6.10.0", root, qt)
    machine.install_by_conda("icu", "73.1", taken)
    found = expect_primary("D7", machine.findings(root, "3.11", LoadTrace(127), conda=True))
    assert f"it would work with: {windows_own} (version 10.0.22621.1)" in evidence_of(found)
    assert (found.module, found.needed_by) == ("icuuc.dll", "Qt6Core.dll")


def test_case_D9_a_runtime_that_was_downloaded_into_system32(machine: Machine) -> None:
    machine.has("Windows/System32/libomp140.x86_64.dll", exports=["__kmpc_fork_call"])
    library = machine.has(
        "site/llama_cpp/lib/ggml-cpu.dll", imports={"libomp140.x86_64.dll": ["__kmpc_dispatch_deinit"]}
    )
    found = expect_primary("D9", machine.findings(library, load=LoadTrace(127)))
    assert "it is no part of Windows; another program put it into System32" in found.evidence
    assert found.remedy is not None
    assert "Update or uninstall the program that put" in found.remedy.text


def test_case_D12_cudnn_of_a_toolkit_before_that_of_torch(machine: Machine) -> None:
    toolkit = machine.has("CUDA/bin/cudnn_ops_infer64_8.dll", exports=["ops_8_2"], version=(6, 14, 11, 8020))
    machine.has("site/torch/lib/cudnn_ops_infer64_8.dll", exports=["ops_8_2", "ops_8_7"])
    library = machine.has(
        "site/torch/lib/cudnn_adv_infer64_8.dll", exports=["f"], imports={"cudnn_ops_infer64_8.dll": ["ops_8_7"]}
    )
    found = expect_primary(
        "D12", machine.findings(library, "3.7", LoadTrace(127), path=[toolkit.parent, library.parent])
    )
    assert found.needed_by == library.name


def test_case_E4_hdf5_of_gdal_is_loaded_first(machine: Machine) -> None:
    before = machine.has("site/osgeo/hdf5.dll", exports=["H5open"], version=(1, 10, 6, 0))
    own = machine.has("site/h5py/hdf5.dll", exports=["H5open", "H5Pset_file_locking"], version=(1, 12, 2, 0))
    root = machine.has("site/h5py/defs.pyd", imports={"hdf5.dll": ["H5open", "H5Pset_file_locking"]})
    machine.install("GDAL", "3.4.3", before)
    machine.install("h5py", "3.10.0", own, root)
    found = expect_primary("E4", machine.findings(root, load=LoadTrace(127), loaded=[before]))
    assert "of GDAL 3.4.3\nthe process has loaded it before" in evidence_of(found)
    assert found.remedy is not None
    assert found.remedy.command == "py -3.11 -m pip install --upgrade GDAL"


def test_case_E5_cudnn_of_torch_is_loaded_first(machine: Machine) -> None:
    before = machine.has("site/torch/lib/cudnn_ops_infer64_8.dll", exports=["ops_8_7"])
    machine.has("site/nvidia/cudnn/bin/cudnn_ops_infer64_8.dll", exports=["ops_8_9"])
    library = machine.has(
        "site/nvidia/cudnn/bin/cudnn_adv_infer64_8.dll", imports={"cudnn_ops_infer64_8.dll": ["ops_8_9"]}
    )
    expect_primary("E5", machine.findings(library, load=LoadTrace(127), loaded=[before]))


def test_case_E6_two_openmp_runtimes_end_the_process(machine: Machine) -> None:
    torch = machine.has("site/torch/lib/libiomp5md.dll", exports=["f"], version=(5, 0, 2021, 1005))
    mkl = machine.has("env/Library/bin/libiomp5md.dll", exports=["f"], version=(5, 0, 2019, 328))
    root = machine.has("site/torch/_C.pyd")
    machine.install("torch", "2.1.0", torch, root)
    mapped = tuple(Mapped(str(path), 0, 0.0, process=4) for path in (mkl, torch))
    ended = LoadTrace(None, exit_code=3, mapped=mapped, output=OMP)
    found = expect_primary("E6", machine.findings(root, load=ended))
    assert (found.severity, found.proof) == ("error", "loader")
    assert f"loaded: {torch} (version 5.0.2021.1005) of torch 2.1.0" in found.evidence


def test_case_I1_pyqt_with_the_qt_of_another_version(machine: Machine) -> None:
    qt = machine.has("site/PyQt6/Qt6/bin/Qt6Gui.dll", exports=["QFont_6_7"], version=(6, 7, 0, 0))
    root = machine.has("site/PyQt6/QtGui.pyd", imports={"Qt6Gui.dll": ["QFont_6_6"]})
    machine.install("PyQt6", "6.6.0", root)
    machine.install("PyQt6_Qt6", "6.7.0", qt)
    found = expect_primary("I1", machine.findings(root, load=LoadTrace(127), dll_dirs=[qt.parent]))
    assert found.remedy is not None
    assert found.remedy.text.startswith("Install versions of PyQt6 and PyQt6_Qt6 ")


def test_case_I2_h5py_with_another_hdf5_of_conda(machine: Machine) -> None:
    machine.has("env/Library/bin/hdf5.dll", exports=["H5open"], version=(1, 10, 6, 0))
    root = machine.has("site/h5py/defs.pyd", imports={"hdf5.dll": ["H5open", "H5Ssel_iter_create"]})
    expect_primary("I2", machine.findings(root, load=LoadTrace(127), conda=True))


def test_case_I3_fiona_with_a_newer_gdal(machine: Machine) -> None:
    machine.has("env/Library/bin/gdal.dll", exports=["OSRNewSpatialReference"], version=(3, 0, 0, 0))
    root = machine.has("site/fiona/_crs.pyd", imports={"gdal.dll": ["OSRNewSpatialReference", "OSRFixup"]})
    found = expect_primary("I3", machine.findings(root, load=LoadTrace(127), conda=True))
    assert "file version: 3.0.0.0" in found.evidence


def test_case_I6_torchvision_for_a_newer_torch(machine: Machine) -> None:
    core = machine.has("site/torch/lib/c10.dll", exports=["old"])
    root = machine.has("site/torchvision/_C.pyd", imports={"c10.dll": ["?infer_schema@c10@@"]})
    machine.install("torch", "1.1.0", core)
    machine.install("torchvision", "0.4.0", root)
    found = expect_primary("I6", machine.findings(root, load=LoadTrace(127), dll_dirs=[core.parent]))
    assert found.remedy is not None
    assert found.remedy.command == "py -3.11 -m pip install --upgrade torchvision torch"


def test_case_I8_a_wheel_whose_own_files_do_not_fit(machine: Machine) -> None:
    gdal = machine.has("site/pyogrio.libs/gdal-0a1b2c3d.dll", exports=["GDALOpen"])
    root = machine.has("site/pyogrio/_io.pyd", imports={"gdal-0a1b2c3d.dll": ["GDALOpen", "OGR_L_GetArrowStream"]})
    machine.install("pyogrio", "0.13.0", gdal, root)
    found = expect_primary("I8", machine.findings(root, load=LoadTrace(127), dll_dirs=[gdal.parent]))
    assert found.remedy is not None
    assert found.remedy.command == "py -3.11 -m pip install --force-reinstall --no-deps --no-cache-dir pyogrio==0.13.0"


def test_case_M6_a_large_dll_of_a_wheel_is_cut_off(machine: Machine) -> None:
    library = machine.has("site/torch/lib/cublas64_12.dll", exports=["cublasCreate_v2"])
    library.write_bytes(library.read_bytes()[:-100])
    root = machine.has("site/torch/_C.pyd", imports={"cublas64_12.dll": ["cublasCreate_v2"]})
    machine.install("torch", "2.1.0", root, library)
    found = expect_primary("M6", machine.findings(root, load=LoadTrace(193), dll_dirs=[library.parent]))
    assert found.remedy is not None
    assert found.remedy.command == "py -3.11 -m pip install --force-reinstall --no-deps --no-cache-dir torch==2.1.0"
