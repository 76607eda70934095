"""Cases of DLLs that are there and not searched for, of wrong directories and of paths, replayed on files and codes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from catalogue import expect_primary
from targets import target
from test_search_path import at_length, refuse_to_list

from depwalk import diagnosis, graph, image
from depwalk.diagnosis import Evidence, Finding
from depwalk.loader import LoadTrace, Raised
from depwalk.loader.imports import FailedLoad, ImportTrace
from depwalk.target import python
from depwalk.target.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.target import Target

SITE = "env/Lib/site-packages"


def known(path: Path, place: Target, **facts: Any) -> Evidence:
    file = image.read(path)
    return Evidence(graph.walk(str(path), file, place), place, python.built_for(file), **facts)


def findings(path: Path, place: Target, **facts: Any) -> tuple[Finding, ...]:
    return diagnosis.diagnose(known(path, place, **facts))


def env(tmp_path: Path, *, conda: bool = False, user: str = "", **variables: str) -> Environment:
    """The environment in the directory env; `user` is where `pip install --user` puts things."""
    (tmp_path / SITE).mkdir(parents=True, exist_ok=True)
    sites = (str(tmp_path / SITE),)
    prefix, base = str(tmp_path / "env"), str(tmp_path / user / "Python312") if user else None
    return Environment(prefix, prefix, conda, sites, base, variables)


def command(found: Finding) -> str:
    assert found.remedy is not None
    return found.remedy.command


def by_ctypes(path: Path, code: int, given: str = "") -> dict[str, Any]:
    """What is known when ctypes could not load a file, and said that it was not found."""
    fatal = FailedLoad(given or str(path), code, "FileNotFoundError: ...", cwd="C:\\here", by_ctypes=True)
    trace = ImportTrace("torch", ended_well=False, fatal=fatal, uncaught=("FileNotFoundError: ...",), exit_code=1)
    return {"load": LoadTrace(code), "imported": trace}


# ---- there, and not searched for ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dll", ["curand64_10.dll", "libstdc++-6.dll", "geos_c.dll"])
def test_case_C1_what_python_3_7_found_on_path(dll: str, make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"on_path/{dll}", exports=["f"])
    path = make_pe(f"{SITE}/package/core.pyd", imports={dll: ["f"]})
    found = expect_primary("C1", findings(path, target("10", "3.8", path=[tmp_path / "on_path"])))
    assert "PATH" in found.message
    assert findings(path, target("10", "3.7", path=[tmp_path / "on_path"])) == ()


def test_case_C2_the_toolkit_is_added_without_its_bin(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("cuda/bin/nvrtc64_112_0.dll", exports=["f"])
    path = make_pe(f"{SITE}/cupy/core.pyd", imports={"nvrtc64_112_0.dll": ["f"]})
    place = target(dll_dirs=[tmp_path / "cuda"], environment=env(tmp_path, CUDA_PATH=str(tmp_path / "cuda")))
    found = expect_primary("C2", findings(path, place))
    assert f"{tmp_path / 'cuda'} is added in its place" in found.message


def test_case_C2_a_directory_with_bin_twice(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("cuda/bin/cudnn64_7.dll", exports=["f"])
    path = make_pe(f"{SITE}/_dlib.pyd", imports={"cudnn64_7.dll": ["f"]})
    found = expect_primary("C2", findings(path, target(dll_dirs=[tmp_path / "cuda" / "bin" / "bin"])))
    assert f"the added directory {tmp_path / 'cuda' / 'bin' / 'bin'} does not exist" in found.evidence


def test_case_C3_the_gdal_bindings_use_path_when_they_are_told_to(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("gdal/bin/gdal304.dll", exports=["GDALAllRegister"])
    path = make_pe(f"{SITE}/osgeo/_gdal.pyd", imports={"gdal304.dll": ["GDALAllRegister"]})
    found = expect_primary("C3", findings(path, target(path=[tmp_path / "gdal" / "bin"])))
    assert command(found) == "set USE_PATH_FOR_GDAL_PYTHON=YES"


def test_case_C4_mkl_that_was_installed_with_user(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("user/Library/bin/mkl_intel_thread.2.dll", exports=["f"])
    path = make_pe(f"{SITE}/torch/lib/shm.dll", imports={"mkl_intel_thread.2.dll": ["f"]})
    place = target("11", "3.12", environment=env(tmp_path, user="user"))
    found = expect_primary("C4", findings(path, place, **by_ctypes(path, 126)))
    assert found.remedy is not None
    assert "without --user" in found.remedy.text
    assert str(tmp_path / "user" / "Library" / "bin") in command(found)


def test_case_A4_ctypes_says_that_the_file_was_not_found(make_pe: MakePE, tmp_path: Path) -> None:
    path = make_pe(f"{SITE}/torch/lib/c10.dll", imports={"msvcp140.dll": ["f"]})
    place = target("10", "3.8", environment=env(tmp_path))
    assert expect_primary("A4", findings(path, place, **by_ctypes(path, 126))).module == "msvcp140.dll"


def test_case_C5_a_conda_environment_that_is_not_activated(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("env/Library/bin/mkl_rt.dll", exports=["f"])
    path = make_pe(f"{SITE}/numpy/core/_multiarray_umath.pyd", imports={"mkl_rt.dll": ["f"]})
    found = expect_primary("C5", findings(path, target("10", "3.7", environment=env(tmp_path, conda=True))))
    assert command(found).startswith("conda activate ")


def test_case_C7_a_pywin32_that_does_not_add_its_directory(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"{SITE}/pywin32_system32/pywintypes38.dll", exports=["f"])
    path = make_pe(f"{SITE}/win32/win32api.pyd", imports={"pywintypes38.dll": ["f"], "python38.dll": ["f"]})
    found = expect_primary("C7", findings(path, target("10", "3.8", environment=env(tmp_path))))
    assert command(found) == "python -m pip install --upgrade pywin32"


def test_case_C9_the_home_of_a_python_in_another_program(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Notepad++/notepad++.exe", dll=False)
    inside = make_pe("Python311/python311.dll", exports=["f"])
    make_pe("Python311/python3.dll", exports=["f"])
    path = make_pe(f"{SITE}/cryptography/_rust.pyd", imports={"python3.dll": ["f"]})
    place = target(app=tmp_path / "Notepad++", loaded=[inside])
    found = expect_primary("C9", findings(path, place))
    assert str(tmp_path / "Python311") in " ".join((found.message, *found.evidence))


# ---- directories and paths ---------------------------------------------------------------------------------------


def test_case_C11_a_relative_path_for_the_loader(make_pe: MakePE) -> None:
    path = make_pe("bmi.dll")
    found = expect_primary("C11", findings(path, target(), **by_ctypes(path, 87, "bmi.dll")))
    assert "current directory: C:\\here" in found.evidence


def test_case_C12_a_locked_drive_on_path(make_pe: MakePE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    refuse_to_list(tmp_path / "locked", monkeypatch)
    path = make_pe(f"{SITE}/win32/win32api.pyd", imports={"kernel32.dll": ["Sleep"]})
    place = target("10", "3.7", path=[tmp_path / "locked"])
    found = expect_primary("C12", findings(path, place, load=LoadTrace(0x80310000)))
    assert str(tmp_path / "locked") in found.message


def test_case_C13_the_directory_of_a_repaired_wheel_is_not_added(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"{SITE}/package.libs/libgfortran-1a2b3c4d.dll", exports=["f"], imports={"libquadmath-5e6f.dll": ["f"]})
    make_pe(f"{SITE}/package.libs/libquadmath-5e6f.dll", exports=["f"])
    path = make_pe(f"{SITE}/package/core.pyd", imports={"libgfortran-1a2b3c4d.dll": ["f"]})
    found = expect_primary("C13", findings(path, target(environment=env(tmp_path))))
    assert str(tmp_path / SITE / "package.libs") in found.message


@pytest.mark.parametrize("code", [206, 126])
def test_case_M2_a_path_of_more_than_260_characters(code: int, make_pe: MakePE) -> None:
    found = expect_primary("M2", diagnosis.diagnose(at_length(make_pe, 284, load=LoadTrace(code))))
    assert "284 characters" in found.message


# ---- delayed loads -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("died", ["as an exit status", "in an initialisation"])
def test_case_O2_a_delayed_load_that_ends_the_import(died: str, make_pe: MakePE) -> None:
    make_pe(f"{SITE}/numpy/_core/mkl_rt.2.dll", exports=["f"], delay={"mkl_core.2.dll": ["f"]})
    path = make_pe(f"{SITE}/numpy/_core/_multiarray_umath.pyd", imports={"mkl_rt.2.dll": ["f"]})
    load = LoadTrace(None, exit_code=0xC06D007E)
    if died == "in an initialisation":
        load = LoadTrace(317, raised=(Raised(0xC06D007E, 0, "KernelBase.dll", 0, first_chance=True),))
    found = expect_primary("O2", findings(path, target(), load=load))
    assert (found.module, found.needed_by) == ("mkl_core.2.dll", "mkl_rt.2.dll")


def test_case_O2_a_function_that_the_delay_loaded_dll_lacks(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("app/mkl_def.2.dll", exports=["other"])
    path = make_pe(f"{SITE}/numpy/_core/_multiarray_umath.pyd", delay={"mkl_def.2.dll": ["mkl_blas_def_dgemm"]})
    found = expect_primary("O2", findings(path, target(app=tmp_path / "app"), load=LoadTrace(0xC06D007F)))
    assert "calls mkl_blas_def_dgemm, which mkl_def.2.dll lacks" in found.message


# ---- near misses -------------------------------------------------------------------------------------------------


def test_near_miss_mkl_of_the_user_that_the_program_added(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("user/Library/bin/mkl_intel_thread.2.dll", exports=["f"])
    path = make_pe(f"{SITE}/torch/lib/shm.dll", imports={"mkl_intel_thread.2.dll": ["f"]})
    added = tmp_path / "user" / "Library" / "bin"
    assert findings(path, target("11", "3.12", environment=env(tmp_path, user="user"), dll_dirs=[added])) == ()


def test_near_miss_a_python_inside_a_program_that_has_python3_dll_itself(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("host/python3.dll", exports=["f"])
    inside = make_pe("Python311/python311.dll", exports=["f"])
    path = make_pe(f"{SITE}/cryptography/_rust.pyd", imports={"python3.dll": ["f"]})
    assert findings(path, target(app=tmp_path / "host", loaded=[inside])) == ()


def test_near_miss_a_file_that_ctypes_calls_missing_and_that_is(make_pe: MakePE) -> None:
    path = make_pe("there.dll")
    place = target()._replace(dll_dirs=())
    gone = graph.of_names("program", ["C:\\gone.dll"], place)
    found = diagnosis.diagnose(Evidence(gone, place, None, **by_ctypes(path, 126, "C:\\gone.dll")))
    assert not any("itself is there" in fact for one in found for fact in one.evidence)
