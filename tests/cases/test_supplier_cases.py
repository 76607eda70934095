"""Cases of DLLs that somebody else supplies, and of graphics cards, replayed on files and on what a process said."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from catalogue import expect_primary
from targets import target

from depwalk import diagnosis, graph, image, wheel
from depwalk.diagnosis import Evidence, Finding
from depwalk.loader import LoadTrace
from depwalk.loader.imports import FailedLoad, ImportTrace
from depwalk.target import python
from depwalk.target.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.target import Target

SITE = "env/Lib/site-packages"
NO_ZLIB = "Could not locate zlibwapi.dll. Please make sure it is in your library path!\n"
ABORTED = 0xC0000409


def findings(path: Path, place: Target | None = None, **facts: Any) -> tuple[Finding, ...]:
    place, file = place or target(), image.read(path)
    walked = graph.walk(str(path), file, place)
    return diagnosis.diagnose(
        Evidence(walked, place, python.built_for(file), wheel.distribution_of(str(path)), **facts)
    )


def of_a_name(program: str, asked: str, place: Target | None = None) -> tuple[Finding, ...]:
    """The findings where ctypes, or cffi, did not find what it was asked for by name."""
    place = place or target()
    fatal = FailedLoad(asked, 126, "OSError: ...", by_ctypes=True)
    trace = ImportTrace(program, ended_well=False, fatal=fatal, uncaught=("OSError: ...",), exit_code=1)
    walked = graph.of_names(program, [asked], place)
    return diagnosis.diagnose(Evidence(walked, place, None, load=LoadTrace(126), imported=trace))


def install(tmp_path: Path, name: str, *files: str) -> None:
    folder = tmp_path / SITE / f"{name}.dist-info"
    folder.mkdir(parents=True)
    (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    (folder / "INSTALLER").write_text("pip")


def env(tmp_path: Path, *, conda: bool = False, **variables: str) -> Environment:
    (tmp_path / SITE).mkdir(parents=True, exist_ok=True)
    prefix = str(tmp_path / "env")
    return Environment(prefix, prefix, conda, (str(tmp_path / SITE),), None, variables)


# ---- what a package should have brought --------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "dlls"), [("1.7.0", ["flang.dll", "flangrti.dll"]), ("1.7.1", ["openblas.dll"])])
def test_case_B2_faiss_without_its_libraries(version: str, dlls: list[str], make_pe: MakePE, tmp_path: Path) -> None:
    install(tmp_path, f"faiss_cpu-{version}", "faiss/_swigfaiss.cp38-win_amd64.pyd")
    path = make_pe(f"{SITE}/faiss/_swigfaiss.cp38-win_amd64.pyd", imports={dll: ["f"] for dll in dlls})
    found = expect_primary("B2", findings(path, target("10", "3.8"), load=LoadTrace(126)))
    assert found.module == dlls[0]
    assert f"faiss_cpu {version}" in found.message
    assert found.remedy is not None
    assert found.remedy.command.endswith(f'"faiss_cpu!={version}"')


def test_case_B4_mingw_and_the_delayed_loads_that_are_no_cause(make_pe: MakePE) -> None:
    dlls = ["libgcc_s_seh-1.dll", "libstdc++-6.dll", "libwinpthread-1.dll"]
    path = make_pe("_message.pyd", imports={dll: ["f"] for dll in dlls}, delay={"ieshims.dll": ["f"]})
    found = findings(path)
    assert expect_primary("B4", found).also == tuple(dlls[1:])
    assert len(found) == 1


def test_case_B6_the_deepest_name_is_told_and_not_the_first(make_pe: MakePE) -> None:
    make_pe("pkgs/tcl86t.dll", exports=["Tcl_Init"], imports={"zlib1.dll": ["inflate"]})
    make_pe("pkgs/tk86t.dll", exports=["Tk_Init"], imports={"tcl86t.dll": ["Tcl_Init"]})
    path = make_pe("pkgs/_tkinter.pyd", imports={"tcl86t.dll": ["Tcl_Init"], "tk86t.dll": ["Tk_Init"]})
    found = expect_primary("B6", findings(path, target("11", "3.14"), load=LoadTrace(126)))
    assert (found.module, found.needed_by) == ("zlib1.dll", "tcl86t.dll")
    assert found.remedy is not None
    assert "pack it with a newer version" in found.remedy.text


def test_case_B8_a_dll_that_was_never_built(tmp_path: Path) -> None:
    (tmp_path / SITE / "llvmlite" / "binding").mkdir(parents=True)
    asked = str(tmp_path / SITE / "llvmlite" / "binding" / "llvmlite.dll")
    found = expect_primary("B8", of_a_name("llvmlite.binding", asked, target("10", "3.7-32")))
    assert found.module == "llvmlite.dll"


@pytest.mark.parametrize("asked", ["gobject-2.0-0", "libgobject-2.0-0", "libpango-1.0-0.dll"])
def test_case_C10_weasyprint_without_gtk(asked: str) -> None:
    found = expect_primary("C10", of_a_name("weasyprint", asked))
    assert "GTK, Pango and Cairo" in found.message
    assert found.remedy is not None
    assert "WEASYPRINT_DLL_DIRECTORIES" in found.remedy.text


def test_near_miss_gtk_that_is_there_and_not_searched(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("gtk/bin/libgobject-2.0-0.dll", exports=["f"])
    place = target(environment=env(tmp_path), path=[tmp_path / "gtk" / "bin"])
    assert of_a_name("weasyprint", "libgobject-2.0-0.dll", place)[0].code == "not-searched"


# ---- graphics cards ----------------------------------------------------------------------------------------------


def test_case_B3_torchvision_without_nvjpeg(make_pe: MakePE, tmp_path: Path) -> None:
    install(tmp_path, "torchvision-0.11.1+cu102", "torchvision/image.pyd")
    path = make_pe(f"{SITE}/torchvision/image.pyd", imports={"nvjpeg64_10.dll": ["nvjpegCreate"]})
    found = expect_primary("B3", findings(path, target("10", "3.8")))
    assert "torchvision 0.11.1+cu102" in found.message
    assert "CUDA Toolkit 10.1 or 10.2" in found.message


def test_case_B7_pytorch_of_conda_without_nvtx(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"{SITE}/torch/lib/torch_cpu.dll", exports=["f"], imports={"nvToolsExt64_1.dll": ["nvtxMarkA"]})
    path = make_pe(f"{SITE}/torch/lib/shm.dll", imports={"torch_cpu.dll": ["f"]})
    found = expect_primary("B7", findings(path, target(environment=env(tmp_path, conda=True))))
    assert found.remedy is not None
    assert "conda" in found.remedy.text


def test_case_C14_pynvrtc_asks_for_the_compiler_of_another_cuda(make_pe: MakePE, tmp_path: Path) -> None:
    there = make_pe("cuda/bin/nvrtc64_100_0.dll", exports=["nvrtcVersion"])
    place = target("10", "3.7", environment=env(tmp_path, CUDA_PATH=str(tmp_path / "cuda")))
    found = expect_primary("C14", of_a_name("pynvrtc", "nvrtc64_94.dll", place))
    assert f"this machine has the CUDA Toolkit 10.0: {there}" in found.evidence


@pytest.mark.parametrize("by_name", [True, False])
def test_case_K1_no_driver_of_nvidia(by_name: bool, make_pe: MakePE) -> None:
    path = make_pe("_pywrap_tensorflow_internal.pyd", imports={"nvcuda.dll": ["cuInit"]})
    place = target("10", "3.6")
    found = expect_primary("K1", of_a_name("tensorflow", "nvcuda.dll", place) if by_name else findings(path, place))
    assert found.remedy is not None
    assert "driver" in found.remedy.text
    assert found.remedy.url == "https://www.nvidia.com/drivers"


@pytest.mark.parametrize("conda", [True, False])
def test_case_K2_cudnn_ends_the_process_for_want_of_zlib(conda: bool, make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"{SITE}/thing/cudnn_cnn_infer64_8.dll", exports=["f"])
    path = make_pe(f"{SITE}/thing/thing.pyd", imports={"cudnn_cnn_infer64_8.dll": ["f"]})
    load = LoadTrace(None, exit_code=ABORTED, output=NO_ZLIB)
    found = expect_primary("K2", findings(path, target(environment=env(tmp_path, conda=conda)), load=load))
    assert (found.module, found.needed_by) == ("zlibwapi.dll", "cudnn_cnn_infer64_8.dll")
    assert found.remedy is not None
    assert found.remedy.command == ("conda install -c conda-forge libzlib-wapi" if conda else "")


def test_case_K2_in_a_program_all_of_whose_imports_went_well() -> None:
    place = target()
    trace = ImportTrace("python app.py", ended_well=False, is_program=True, exit_code=ABORTED, output=NO_ZLIB)
    walked = graph.of_names("python app.py", [], place)
    known = Evidence(walked, place, None, imported=trace)
    found = diagnosis.diagnose(known)
    expect_primary("K2", found)
    assert diagnosis.verdict(known, found)[0] == "fails"


def test_case_K3_cupy_for_another_cuda(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("cuda/bin/cudart64_12.dll", exports=["cudaFree"])
    install(tmp_path, "cupy_cuda11x-13.3.0", "cupy_backends/cublas.pyd")
    path = make_pe(f"{SITE}/cupy_backends/cublas.pyd", imports={"cudart64_110.dll": ["f"], "cufft64_10.dll": ["f"]})
    place = target(environment=env(tmp_path, CUDA_PATH=str(tmp_path / "cuda")))
    found = expect_primary("K3", findings(path, place))
    assert "CUDA Toolkit 11" in found.message
    assert f"this machine has the CUDA Toolkit 12: {tmp_path / 'cuda' / 'bin' / 'cudart64_12.dll'}" in found.evidence
    assert found.also == ("cufft64_10.dll",)


def test_case_K4_bitsandbytes_for_a_cuda_that_is_not_there(make_pe: MakePE) -> None:
    path = make_pe(
        f"{SITE}/bitsandbytes/libbitsandbytes_cuda116.dll",
        imports={"cublas64_11.dll": ["f"], "cudart64_110.dll": ["f"]},
    )
    assert "CUDA Toolkit 11" in expect_primary("K4", findings(path)).message


def test_case_K5_dlib_without_cudnn(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("cuda/bin/cudart64_101.dll", exports=["f"])
    path = make_pe(f"{SITE}/_dlib.pyd", imports={"cudart64_101.dll": ["f"], "cudnn64_7.dll": ["f"]})
    found = expect_primary("K5", findings(path, target("10", "3.8", dll_dirs=[tmp_path / "cuda" / "bin"])))
    assert found.module == "cudnn64_7.dll"
    assert found.remedy is not None
    assert found.remedy.url == "https://developer.nvidia.com/cudnn-archive"


def test_near_miss_cudnn_that_is_where_the_toolkit_is(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("cuda/bin/cudnn64_7.dll", exports=["f"])
    path = make_pe(f"{SITE}/_dlib.pyd", imports={"cudnn64_7.dll": ["f"]})
    assert findings(path, target("10", "3.8", dll_dirs=[tmp_path / "cuda" / "bin"])) == ()


# ---- programs that were packed with their Python -----------------------------------------------------------------


def test_case_P1_a_packed_program_without_python3_dll(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("app/python38.dll", exports=["f"])
    path = make_pe("app/PyQt5/QtCore.pyd", imports={"python3.dll": ["f"]})
    expect_primary("P1", findings(path, target("10", "3.8", app=tmp_path / "app")))


def test_case_P2_a_packed_program_without_vcomp140(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("app/python38.dll", exports=["f"])
    path = make_pe("app/sklearn/utils/_openmp_helpers.pyd", imports={"VCOMP140.DLL": ["f"]})
    expect_primary("P2", findings(path, target("10", "3.8", app=tmp_path / "app")))
