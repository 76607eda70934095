"""Wheels: what a package says of itself against its files and the Python; each cause with its near misses."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from installed import findings, install, said
from pe_maker import pe
from targets import target

from depwalk.target import Directory, windows
from depwalk.target.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from depwalk.target import Target

BUILT = 1_700_000_000  # when the linker ran
PYTHON = pe(exports=["PyModule_Create2"], version=(3, 11, 1150, 1013))


def extension(*dlls: str, python: str = "python311.dll", machine: str = "x64", timestamp: int = 0) -> bytes:
    imports = {python: ["PyModule_Create2"], **{dll: ["f"] for dll in dlls}}
    return pe(imports=imports, machine=machine, timestamp=timestamp, exports=["PyInit__ext"])


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "Lib" / "site-packages"


# ---- packed wrongly ----------------------------------------------------------------------------------------------


def test_a_wheel_for_this_process_with_a_file_for_another_was_packed_wrongly(site: Path) -> None:
    install(site, {"demo/_ext.pyd": extension()}, tags=["cp311-cp311-win32"])
    (found,) = findings(site / "demo" / "_ext.pyd", target("10", "3.11-32"))
    assert (found.code, found.module) == ("wrong-wheel", "_ext.pyd")
    assert "packed wrongly" in found.message
    assert "it belongs to demo 1.0, a wheel for cp311-cp311-win32" in found.evidence
    assert found.remedy is not None
    assert found.remedy.command == 'py -3.11-32 -m pip install --only-binary :all: "demo!=1.0"'


def test_a_dll_in_such_a_wheel_that_the_extension_needs_counts_too(site: Path) -> None:
    install(site, {"demo/_ext.pyd": extension("dep.dll"), "demo/dep.dll": pe(machine="x86", exports=["f"])})
    assert said(findings(site / "demo" / "_ext.pyd")) == [("error", "wrong-wheel", "dep.dll")]


def test_a_wheel_for_another_architecture_that_says_so_is_of_the_wrong_architecture(site: Path) -> None:
    install(site, {"demo/_ext.pyd": extension(machine="x86")}, tags=["cp311-cp311-win32"])
    (found,) = findings(site / "demo" / "_ext.pyd")
    assert found.code == "wrong-architecture"
    assert "it belongs to demo 1.0, a wheel for cp311-cp311-win32" in found.evidence
    assert found.remedy is not None
    assert found.remedy.command.endswith("--only-binary :all: demo")


def test_near_miss_a_helper_dll_for_32_bit_in_a_64_bit_wheel_is_packed_on_purpose(site: Path) -> None:
    install(site, {"demo/attach_x86.dll": pe(machine="x86", exports=["f"])})
    assert said(findings(site / "demo" / "attach_x86.dll")) == [("error", "wrong-architecture", "attach_x86.dll")]


def test_near_miss_a_wheel_for_any_platform_with_a_dll_says_nothing_of_architectures(site: Path) -> None:
    install(site, {"demo/_ext.pyd": extension(machine="x86")}, tags=["py3-none-any"])
    assert said(findings(site / "demo" / "_ext.pyd")) == [("error", "wrong-architecture", "_ext.pyd")]


def test_near_miss_a_file_that_was_dropped_into_a_package_is_not_the_wheels_fault(site: Path) -> None:
    files = {"demo/_ext.pyd": extension("zlibwapi.dll"), "demo/zlibwapi.dll": pe(machine="x86", exports=["f"])}
    install(site, files, unlisted=["demo/zlibwapi.dll"])
    (found,) = findings(site / "demo" / "_ext.pyd")
    assert (found.code, found.module) == ("wrong-architecture", "zlibwapi.dll")
    assert any("somebody added it" in fact for fact in found.evidence)


def test_an_x64_process_on_arm64_is_told_that_the_process_counts(site: Path) -> None:
    install(site, {"demo/libarm64.dll": pe(machine="arm64", exports=["f"])}, tags=["py3-none-any"])
    place = target("11", "3.11")._replace(windows=windows.named("11-arm64"))
    (found,) = findings(site / "demo" / "libarm64.dll", place)
    assert found.code == "wrong-architecture"
    assert any("emulates x64" in fact for fact in found.evidence)


# ---- a Python that is older than the file ------------------------------------------------------------------------


def old_python(tmp_path: Path, stable: bytes | None = None, *, conda: bool = False) -> Target:
    """CPython 3.11.1 with real DLLs; its python3.dll passes on what they have."""
    app = tmp_path / "Python"
    app.mkdir()
    (app / "python311.dll").write_bytes(PYTHON)
    (app / "python3.dll").write_bytes(stable or pe(exports=["PyModule_Create2=python311.PyModule_Create2"]))
    place = target(app=app)
    assert place.python is not None
    return place._replace(python=place.python._replace(conda=conda))


def needing(symbol: str, dll: str) -> bytes:
    return pe(imports={dll: [symbol]}, exports=["PyInit__ext"])


def test_a_function_that_this_release_lacks_needs_a_later_one(make: Path, tmp_path: Path) -> None:
    (make / "_ext.cp311-win_amd64.pyd").write_bytes(needing("PySlice_Later", "python311.dll"))
    (found,) = findings(make / "_ext.cp311-win_amd64.pyd", old_python(tmp_path))
    assert (found.code, found.module, found.severity) == ("wrong-python", "python311.dll", "error")
    assert "PySlice_Later, which this CPython 3.11.1 lacks: a later release of CPython 3.11 has it" in found.message
    assert found.proof == "inferred"
    assert found.remedy is not None
    assert "newest release of CPython 3.11" in found.remedy.text


@pytest.fixture
def make(tmp_path: Path) -> Path:
    (tmp_path / "files").mkdir()
    return tmp_path / "files"


def test_conda_updates_its_python_by_itself(make: Path, tmp_path: Path) -> None:
    (make / "_ext.pyd").write_bytes(needing("PySlice_Later", "python311.dll"))
    (found,) = findings(make / "_ext.pyd", old_python(tmp_path, conda=True))
    assert found.remedy is not None
    assert found.remedy.command == "conda update python"


def test_a_stable_abi_wheel_for_this_version_needs_a_later_release_of_it(site: Path, tmp_path: Path) -> None:
    install(site, {"demo/_ext.pyd": needing("PyCMethod_New", "python3.dll")}, tags=["cp37-abi3-win_amd64"])
    (found,) = findings(site / "demo" / "_ext.pyd", old_python(tmp_path))
    assert (found.code, found.module, found.needed_by) == ("wrong-python", "python3.dll", "_ext.pyd")
    assert "later release of CPython 3.11" in found.message


def test_a_function_that_python3_dll_passes_on_is_missed_by_the_extension(site: Path, tmp_path: Path) -> None:
    install(site, {"demo/_ext.pyd": needing("PyCMethod_New", "python3.dll")}, tags=["cp37-abi3-win_amd64"])
    stable = pe(exports=["PyCMethod_New=python311.PyCMethod_New"])
    (found,) = findings(site / "demo" / "_ext.pyd", old_python(tmp_path, stable))
    assert (found.code, found.module, found.needed_by) == ("wrong-python", "python311.dll", "_ext.pyd")


def test_a_stable_abi_wheel_for_a_newer_version_is_the_wrong_wheel(site: Path, tmp_path: Path) -> None:
    install(site, {"demo/_ext.pyd": needing("PyType_New312", "python3.dll")}, tags=["cp312-abi3-win_amd64"])
    (found,) = findings(site / "demo" / "_ext.pyd", old_python(tmp_path))
    assert (found.code, found.proof) == ("wrong-wheel", "static")
    assert "its wheel is for CPython 3.12 and later" in found.message
    assert found.remedy is not None
    assert found.remedy.command.startswith("py -3.11 -m pip install --force-reinstall")


def test_without_a_wheel_the_version_that_has_the_function_is_not_guessed(make: Path, tmp_path: Path) -> None:
    (make / "_ext.pyd").write_bytes(needing("PyType_New312", "python3.dll"))
    (found,) = findings(make / "_ext.pyd", old_python(tmp_path))
    assert "a later release of CPython has it" in found.message


def test_near_miss_a_stable_abi_wheel_for_an_older_version_has_all_it_needs(site: Path, tmp_path: Path) -> None:
    install(site, {"demo/_ext.pyd": needing("PyModule_Create2", "python3.dll")}, tags=["cp37-abi3-win_amd64"])
    assert findings(site / "demo" / "_ext.pyd", old_python(tmp_path)) == []


def test_near_miss_a_stable_abi_wheel_for_a_newer_version_that_needs_nothing_new_loads(
    site: Path, tmp_path: Path
) -> None:
    install(site, {"demo/_ext.pyd": needing("PyModule_Create2", "python3.dll")}, tags=["cp312-abi3-win_amd64"])
    assert findings(site / "demo" / "_ext.pyd", old_python(tmp_path)) == []


def test_near_miss_an_assumed_python_is_not_asked_for_functions(site: Path) -> None:
    install(site, {"demo/_ext.pyd": needing("PyType_New312", "python3.dll")}, tags=["cp312-abi3-win_amd64"])
    assert findings(site / "demo" / "_ext.pyd") == []


def test_near_miss_a_free_threaded_wheel_fits_a_free_threaded_python(site: Path) -> None:
    name = "demo/_ext.cp313t-win_amd64.pyd"
    install(site, {name: extension(python="python313t.dll")}, tags=["cp313-cp313t-win_amd64"])
    assert findings(site / name, target("10", "3.13t")) == []


def test_a_wheel_for_another_version_is_evidence_of_the_wrong_python(site: Path) -> None:
    name = "demo/_ext.cp38-win_amd64.pyd"
    install(site, {name: extension(python="python38.dll")}, tags=["cp38-cp38-win_amd64"])
    (found,) = findings(site / name)
    assert found.code == "wrong-python"
    assert "it belongs to demo 1.0, a wheel for cp38-cp38-win_amd64" in found.evidence


# ---- compiled on this machine ------------------------------------------------------------------------------------


def built(site: Path, *dlls: str, seconds_before: int = 40, installer: str = "pip", origin: str = "") -> Path:
    """An extension that was linked some seconds before it was installed."""
    files = {"demo/_ext.pyd": extension(*dlls, timestamp=BUILT)}
    folder = install(site, files, installer=installer, origin=origin)
    os.utime(folder / "INSTALLER", (BUILT + seconds_before, BUILT + seconds_before))
    return site / "demo" / "_ext.pyd"


def test_a_package_that_pip_compiled_here_misses_the_dll_that_its_wheel_would_bring(site: Path) -> None:
    (found,) = findings(built(site, "libpq.dll"))
    assert (found.code, found.module, found.needed_by) == ("wrong-wheel", "libpq.dll", "_ext.pyd")
    assert found.proof == "inferred"
    assert "compiled on this machine" in found.message
    assert found.remedy is not None
    assert found.remedy.command == "py -3.11 -m pip install --upgrade --force-reinstall --only-binary :all: demo"


def test_where_the_compiler_found_the_dll_is_a_fact(site: Path, tmp_path: Path) -> None:
    (tmp_path / "pgsql").mkdir()
    (tmp_path / "pgsql" / "libpq.dll").write_bytes(pe(exports=["f"]))
    found = findings(built(site, "libpq.dll"), target(path=[tmp_path / "pgsql"]))[0]
    assert found.code == "wrong-wheel"
    assert any(str(tmp_path / "pgsql" / "libpq.dll") in fact for fact in found.evidence)


NOT_BUILT = {
    "linked long before, as a published wheel is": {"seconds_before": 86_400},
    "linked after it was installed: built in place": {"seconds_before": -100},
    "installed from a directory: meant to be compiled": {"origin": "file:///C:/src/demo"},
    "installed by conda": {"installer": "conda"},
    "not known what installed it": {"installer": ""},
}


@pytest.mark.parametrize("how", NOT_BUILT.values(), ids=NOT_BUILT)
def test_near_miss_a_missing_dll_of_a_package_that_was_not_compiled_for_want_of_a_wheel(
    how: dict[str, int | str], site: Path
) -> None:
    (found,) = findings(built(site, "libpq.dll", **how))  # type: ignore[arg-type]
    assert found.code == "missing-dll"


@pytest.mark.parametrize(
    ("dll", "code"),
    [
        ("msvcp140.dll", "missing-msvc-runtime"),
        ("nvcuda.dll", "missing-gpu-runtime"),
    ],
)
def test_near_miss_what_has_a_supplier_is_not_what_a_wheel_would_bring(dll: str, code: str, site: Path) -> None:
    assert said(findings(built(site, dll))) == [("error", code, dll)]


# ---- commands ----------------------------------------------------------------------------------------------------


def test_a_command_names_the_interpreter_that_is_there(site: Path, tmp_path: Path) -> None:
    install(site, {"demo/_ext.pyd": extension(machine="x86")}, tags=["cp311-cp311-win32"])
    place = target(app=tmp_path, environment=Environment(str(tmp_path), str(tmp_path), conda=False, sites=(str(site),)))
    assert place.python is not None
    there = place.python._replace(executable="C:\\Py\\python.exe", directory=Directory(str(tmp_path)))
    (found,) = findings(site / "demo" / "_ext.pyd", place._replace(python=there))
    assert found.remedy is not None
    assert found.remedy.command.startswith('"C:\\Py\\python.exe" -m pip install')
