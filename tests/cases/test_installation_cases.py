"""Cases of wrong wheels, of installations that are not whole, and of environments that are mixed."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import expect_primary
from installed import findings, install
from logged import logged
from pe_maker import pe
from targets import target

from depwalk import diagnosis, graph
from depwalk.diagnosis import Evidence
from depwalk.host import Host
from depwalk.loader import Failure, LoadTrace
from depwalk.loader.imports import FailedLoad, ImportTrace
from depwalk.target import windows
from depwalk.target.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from depwalk.diagnosis import Finding
    from depwalk.target import Target

BUILT = 1_700_000_000  # when a linker ran


def extension(python: str = "python311.dll", *dlls: str, **facts: Any) -> bytes:
    imports = {python: ["PyModule_Create2"], **{dll: ["f"] for dll in dlls}}
    return pe(imports=imports, exports=["PyInit__ext"], **facts)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "env" / "Lib" / "site-packages"


def real(tmp_path: Path, loader: str, **dlls: bytes) -> Target:
    """A Python whose own DLLs are files."""
    app = tmp_path / "env"
    app.mkdir(exist_ok=True)
    for name, content in dlls.items():
        (app / f"{name}.dll").write_bytes(content)
    return target("10", loader, app=app)


def conda(place: Target, prefix: Path, **facts: Any) -> Target:
    sites = (str(prefix / "Lib" / "site-packages"),)
    return place._replace(environment=Environment(str(prefix), str(prefix), conda=True, sites=sites, **facts))


def test_case_B5_stable_abi_in_a_distribution_without_python3_dll(site: Path, tmp_path: Path) -> None:
    name = "PyQt5/QtCore.pyd"
    install(site, {name: pe(imports={"python3.dll": ["PyModule_Create2"]})}, named="PyQt5-5.7.1")
    place = real(tmp_path, "3.5", python35=pe(exports=["PyModule_Create2"]), vcruntime140=pe(exports=["memcpy"]))
    found = expect_primary("B5", findings(site / name, conda(place, tmp_path / "env")))
    assert found.module == "python3.dll"
    assert found.remedy is not None
    assert found.remedy.command == "conda update python"


def test_case_D10_a_package_of_the_users_site_of_another_python(tmp_path: Path) -> None:
    user = tmp_path / "Roaming" / "Python" / "Python37"
    files = {"zmq/backend/cython/constants.pyd": extension("python37.dll", machine="x86")}
    install(user / "site-packages", files, named="pyzmq-16.0", tags=["cp37-cp37m-win32"])
    place = target("10", "3.7", environment=Environment("C:\\Anaconda3", "C:\\Anaconda3", conda=True, sites=()))
    assert place.environment is not None
    place = place._replace(environment=replace(place.environment, user_base=str(user)))
    found = findings(user / "site-packages" / "zmq" / "backend" / "cython" / "constants.pyd", place)
    expect_primary("D10", found)
    assert any(one.code == "mixed-environment" and str(user) in one.message for one in found)


def test_case_H1_a_32_bit_extension_in_a_64_bit_python(site: Path) -> None:
    install(site, {"demo/_ext.pyd": extension(machine="x86")}, tags=["cp311-cp311-win32"])
    expect_primary("H1", findings(site / "demo" / "_ext.pyd"))


def test_case_H1_a_dependency_is_the_first_that_does_not_fit(site: Path) -> None:
    files = {"demo/_ext.pyd": extension("python311.dll", "sdk.dll"), "demo/sdk.dll": pe(machine="x86", exports=["f"])}
    install(site, files, tags=["py3-none-any"])
    found = expect_primary("H1", findings(site / "demo" / "_ext.pyd"))
    assert (found.module, found.needed_by) == ("sdk.dll", "_ext.pyd")


def test_case_H2_a_win32_wheel_with_a_64_bit_extension(site: Path) -> None:
    install(site, {"winrt/_winrt.pyd": extension("python39.dll")}, named="winrt-1.0", tags=["cp39-cp39-win32"])
    found = expect_primary("H2", findings(site / "winrt" / "_winrt.pyd", target("10", "3.9-32")))
    assert "packed wrongly" in found.message


def asked_by_ctypes(path: Path, name: str, place: Target) -> tuple[Finding, ...]:
    """What is said of an import that ends because ctypes does not find a file."""
    failed = FailedLoad(str(path), 126, "FileNotFoundError: Could not find module", by_ctypes=True)
    trace = ImportTrace(name, ended_well=False, imported=(name,), failed=(failed,), fatal=failed, load=LoadTrace(126))
    walked = graph.of_names(name, [str(path)], place)
    return diagnosis.diagnose(Evidence(walked, place, None, load=trace.load, imported=trace))


def test_case_H3_a_wheel_for_every_platform_without_the_dll(site: Path) -> None:
    install(site, {"pyzbar/__init__.py": b""}, named="pyzbar-0.1.8", tags=["py2-none-any", "py3-none-any"])
    found = expect_primary("H3", asked_by_ctypes(site / "pyzbar" / "libzbar-64.dll", "pyzbar", target("10", "3.8")))
    assert found.module == "libzbar-64.dll"


def test_case_H4_the_machine_is_arm64_and_the_python_is_not(site: Path) -> None:
    name = "_sounddevice_data/portaudio-binaries/libportaudioarm64.dll"
    install(site, {name: pe(machine="arm64", exports=["f"])}, named="sounddevice-0.5.5", tags=["py3-none-any"])
    place = target("11", "3.11")._replace(windows=windows.named("11-arm64"))
    found = expect_primary("H4", findings(site / name, place))
    assert any("emulates x64" in fact for fact in found.evidence)


def test_case_H5_a_dll_of_the_wrong_architecture_that_was_dropped_in(site: Path) -> None:
    files = {"demo/_ext.pyd": extension("python311.dll", "zlibwapi.dll"), "demo/zlibwapi.dll": pe(machine="x86")}
    install(site, files, unlisted=["demo/zlibwapi.dll"])
    found = expect_primary("H5", findings(site / "demo" / "_ext.pyd"))
    assert found.module == "zlibwapi.dll"


def test_case_H6_no_wheel_for_this_python_so_pip_compiled_it(site: Path, tmp_path: Path) -> None:
    name = "psycopg2/_psycopg.cp313-win_amd64.pyd"
    files = {name: extension("python313.dll", "libpq.dll", timestamp=BUILT)}
    folder = install(site, files, named="psycopg2-2.9.9", tags=["cp313-cp313-win_amd64"])
    os.utime(folder / "INSTALLER", (BUILT + 5, BUILT + 5))
    (tmp_path / "pgsql").mkdir()
    (tmp_path / "pgsql" / "libpq.dll").write_bytes(pe(exports=["f"]))
    found = expect_primary("H6", findings(site / name, target("10", "3.13", path=[tmp_path / "pgsql"])))
    assert found.module == "libpq.dll"
    assert "compiled on this machine" in found.message


def test_case_B8_what_pip_built_has_no_library(site: Path) -> None:
    install(site, {"llvmlite/__init__.py": b""}, named="llvmlite-0.35.0", tags=["cp37-cp37m-win32"])
    library = site / "llvmlite" / "binding" / "llvmlite.dll"
    found = expect_primary("B8", asked_by_ctypes(library, "llvmlite", target("10", "3.7-32")))
    assert found.module == "llvmlite.dll"


def test_case_H7_an_extension_for_another_minor_version(site: Path) -> None:
    install(site, {"winrt/_winrt.pyd": extension("python39.dll")}, named="winrt-1.0", tags=["py3-none-any"])
    found = expect_primary("H7", findings(site / "winrt" / "_winrt.pyd", target("10", "3.10")))
    assert "CPython 3.9" in found.message


def test_case_H7_pythonpath_names_another_installation(tmp_path: Path) -> None:
    other, own = tmp_path / "Python38" / "Lib" / "site-packages", str(tmp_path / "Python311")
    install(other, {"psutil/_psutil_windows.pyd": extension("python38.dll")}, named="psutil-5.0")
    around = Environment(own, own, conda=False, sites=(), variables={"PYTHONPATH": str(other)})
    found = findings(other / "psutil" / "_psutil_windows.pyd", target("10", "3.11", environment=around))
    expect_primary("H7", found)
    assert "PYTHONPATH" in found[1].message


def test_case_H8_a_function_that_the_first_release_of_a_version_lacks(site: Path, tmp_path: Path) -> None:
    name = "numpy/core/multiarray.cp36-win_amd64.pyd"
    files = {name: pe(imports={"python36.dll": ["PyModule_Create2", "PySlice_Unpack", "PySlice_AdjustIndices"]})}
    install(site, files, named="numpy-1.13.0", tags=["cp36-none-win_amd64"])
    place = real(tmp_path, "3.6", python36=pe(exports=["PyModule_Create2"], version=(3, 6, 150, 1013)))
    found = expect_primary("H8", findings(site / name, place))
    assert "CPython 3.6.0 lacks" in found.message
    assert any("PySlice_AdjustIndices" in fact for fact in found.evidence)


@pytest.mark.parametrize("release", [0, 1])
def test_case_H9_a_stable_abi_extension_on_the_first_releases_of_3_9(release: int, site: Path, tmp_path: Path) -> None:
    name = "cryptography/hazmat/bindings/_rust.pyd"
    files = {name: pe(imports={"python3.dll": ["PyModule_Create2", "PyCMethod_New"]})}
    install(site, files, named="cryptography-42.0.2", tags=["cp37-abi3-win_amd64"])
    version = (3, 9, release * 1000 + 150, 1013)
    stable = pe(exports=["PyModule_Create2=python39.PyModule_Create2"], version=version)
    place = real(tmp_path, "3.9", python3=stable, python39=pe(exports=["PyModule_Create2"], version=version))
    found = expect_primary("H9", findings(site / name, place))
    assert f"CPython 3.9.{release} lacks" in found.message
    assert found.remedy is not None
    assert "newest release of CPython 3.9" in found.remedy.text


def test_case_C6_a_package_of_pip_takes_its_dll_from_conda(site: Path, tmp_path: Path) -> None:
    install(site, {"shapely/__init__.py": b"", "shapely/geos.py": b""}, named="Shapely-1.7.0")
    wanted = tmp_path / "env" / "Library" / "bin" / "geos_c.dll"
    place = conda(target("10", "3.8"), tmp_path / "env")
    found = expect_primary("C6", asked_by_ctypes(wanted, "shapely.geos", place))
    assert found.module == "geos_c.dll"
    assert found.remedy is not None
    assert found.remedy.command == "conda install -c conda-forge shapely"


def test_case_I5_a_package_of_pip_among_those_of_conda(site: Path, tmp_path: Path) -> None:
    install(site, {"numpy/core/_multiarray.pyd": extension("python311.dll", "mkl_rt.2.dll")}, named="numpy-1.16.0")
    library = tmp_path / "env" / "Library" / "bin"
    library.mkdir(parents=True)
    (library / "mkl_rt.2.dll").write_bytes(pe(exports=["f"]))
    (tmp_path / "env" / "conda-meta").mkdir()
    (tmp_path / "env" / "conda-meta" / "mkl-2023.1.0-h6a75c08_48682.json").write_text(
        '{"files": ["Library/bin/mkl_rt.2.dll"]}'
    )
    place = conda(target("10", "3.11", dll_dirs=[library]), tmp_path / "env")
    load = LoadTrace(1114, failures=(Failure(str(library / "mkl_rt.2.dll"), 1114),))
    found = findings(site / "numpy" / "core" / "_multiarray.pyd", place, load)
    first = expect_primary("I5", found)
    assert (first.severity, first.proof) == ("error", "inferred")


def test_case_I7_a_dll_of_the_version_before_is_still_there(site: Path) -> None:
    files = {
        "torch/lib/caffe2.dll": pe(imports={"torch_cpu.dll": ["removed"]}, exports=["f"]),
        "torch/lib/torch_cpu.dll": pe(exports=["kept"]),
    }
    install(site, files, named="torch-1.9.0", unlisted=["torch/lib/caffe2.dll"])
    found = expect_primary("I7", findings(site / "torch" / "lib" / "caffe2.dll", load=LoadTrace(127)))
    assert found.module == "caffe2.dll"
    assert "left over" in found.message


def test_case_L2_defender_took_an_extension_away(site: Path) -> None:
    gone = "pandas/_libs/missing.cp311-win_amd64.pyd"
    install(site, {"pandas/_libs/lib.cp311-win_amd64.pyd": extension(), gone: extension()}, named="pandas-2.0.3")
    (site / gone).unlink()
    trace = ImportTrace("pandas", ended_well=False, uncaught=("ModuleNotFoundError: pandas._libs.missing",))
    host = Host(events=logged("defender", site / gone))
    known = findings(site / "pandas" / "_libs" / "lib.cp311-win_amd64.pyd", host=host, imported=trace)
    found = expect_primary("L2", known)
    assert found.module == "missing.cp311-win_amd64.pyd"


def test_case_L2_defender_took_a_dll_away(site: Path) -> None:
    files = {"demo/_ext.pyd": extension("python311.dll", "dep.dll"), "demo/dep.dll": pe(exports=["f"])}
    install(site, files)
    (site / "demo" / "dep.dll").unlink()
    host = Host(events=logged("defender", site / "demo" / "dep.dll"))
    expect_primary("L2", findings(site / "demo" / "_ext.pyd", load=LoadTrace(126), host=host))


def test_case_M6_a_download_that_was_cut_off(site: Path) -> None:
    library = pe(exports=["f"])
    install(site, {"demo/_ext.pyd": extension("python311.dll", "cublas64_12.dll"), "demo/cublas64_12.dll": library})
    (site / "demo" / "cublas64_12.dll").write_bytes(library[:-200])
    found = expect_primary("M6", findings(site / "demo" / "_ext.pyd", load=LoadTrace(193)))
    assert any("RECORD" in fact for fact in found.evidence)
