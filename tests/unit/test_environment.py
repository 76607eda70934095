"""The Python environment around an interpreter or a file: where it is, and its directories for DLLs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from depwalk.target import Directory, environment, python
from depwalk.target.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path


def at(directory: Path, launcher: Path | None = None) -> python.Python:
    """A CPython 3.11 whose python.exe lies there; `launcher` is that of a virtual environment."""
    found = python.assumed(11)._replace(directory=Directory(str(directory)))
    return found._replace(launcher=str(launcher)) if launcher else found


def made(root: Path, *directories: str) -> list[str]:
    for name in directories:
        (root / name).mkdir(parents=True, exist_ok=True)
    return [str(root / name) for name in directories]


def places(around: Environment) -> list[str]:
    return [path for path, _ in around.dll_directories()]


# ---- where it is -------------------------------------------------------------------------------------------------


def test_an_installation_is_its_own_prefix(tmp_path: Path) -> None:
    found = environment.around(at(tmp_path), None, {})
    assert found is not None
    assert (found.prefix, found.base, found.is_virtual) == (str(tmp_path), str(tmp_path), False)


def test_a_virtual_environment_has_its_prefix_above_scripts(tmp_path: Path) -> None:
    found = environment.around(at(tmp_path / "base", tmp_path / "venv" / "Scripts" / "python.exe"), None, {})
    assert found is not None
    assert (found.prefix, found.base) == (str(tmp_path / "venv"), str(tmp_path / "base"))
    assert found.is_virtual


def test_a_file_in_site_packages_tells_its_environment_where_no_python_is_there(tmp_path: Path) -> None:
    found = environment.around(None, str(tmp_path / "Lib" / "site-packages" / "p" / "m.pyd"), {})
    assert found is not None
    assert found.prefix == str(tmp_path)


@pytest.mark.parametrize("folder", ["Python311", "Python311-32", "Python39"])
def test_a_file_in_the_users_site_packages_tells_nothing_of_the_environment(folder: str, tmp_path: Path) -> None:
    assert environment.around(None, str(tmp_path / folder / "site-packages" / "p" / "m.pyd"), {}) is None


def test_a_loose_file_for_an_assumed_python_has_no_environment(tmp_path: Path) -> None:
    assert environment.around(python.assumed(11), str(tmp_path / "m.pyd"), {}) is None


@pytest.mark.parametrize(("has", "conda", "manager"), [("conda-meta", True, "conda"), ("Lib", False, "pip")])
def test_conda_meta_tells_who_installs_packages(has: str, conda: bool, manager: str, tmp_path: Path) -> None:
    made(tmp_path, has)
    found = environment.around(at(tmp_path), None, {})
    assert found is not None
    assert (found.conda, found.package_manager) == (conda, manager)


def test_the_users_packages_lie_below_appdata(tmp_path: Path) -> None:
    made(tmp_path, "Python/Python311/site-packages")
    found = environment.around(at(tmp_path), None, {"APPDATA": str(tmp_path)})
    assert found is not None
    assert found.user_base == str(tmp_path / "Python" / "Python311")
    assert found.sites == (str(tmp_path / "Python" / "Python311" / "site-packages"),)


def test_only_variables_that_matter_are_kept() -> None:
    kept = environment.kept({"Cuda_Path_V12_4": "x", "SystemDrive": "C:", "SECRET": "y", "PATH": "z"})
    assert kept == {"CUDA_PATH_V12_4": "x", "SYSTEMDRIVE": "C:"}


@pytest.mark.parametrize(("prefix", "active"), [("", False), ("/other", False), ("own", True)])
def test_a_conda_environment_is_active_if_conda_prefix_names_it(prefix: str, active: bool, tmp_path: Path) -> None:
    named = str(tmp_path) if prefix == "own" else prefix
    around = Environment(str(tmp_path), str(tmp_path), conda=True, sites=(), variables={"CONDA_PREFIX": named})
    assert around.is_active == active


# ---- its directories for DLLs ------------------------------------------------------------------------------------


def test_directories_that_are_not_there_are_not_told(tmp_path: Path) -> None:
    assert places(Environment(str(tmp_path), str(tmp_path), conda=True, sites=(str(tmp_path),))) == []


@pytest.mark.parametrize(
    "directory",
    ["pywin32_system32", "torch/lib", "nvidia/cudnn/bin", "nvidia/cu13/bin/x86_64", "Library/bin"],
)
def test_packages_have_directories_for_dlls(directory: str, tmp_path: Path) -> None:
    (wanted,) = made(tmp_path, directory)
    around = Environment(str(tmp_path / "prefix"), str(tmp_path / "prefix"), conda=False, sites=(str(tmp_path),))
    assert wanted in places(around)


def test_case_does_not_matter(tmp_path: Path) -> None:
    (wanted,) = made(tmp_path, "library/BIN")
    assert places(Environment(str(tmp_path), str(tmp_path), conda=False, sites=())) == [wanted]


def test_the_users_library_lies_above_that_of_the_version(tmp_path: Path) -> None:
    (wanted, user) = made(tmp_path, "Python/Library/bin", "Python/Python311")
    around = Environment(str(tmp_path / "p"), str(tmp_path / "p"), conda=False, sites=(), user_base=user)
    assert places(around) == [wanted]


def test_every_cuda_toolkit_is_told(tmp_path: Path) -> None:
    wanted = made(tmp_path, "v11/bin", "v12/bin")
    variables = {"CUDA_PATH_V11_8": str(tmp_path / "v11"), "CUDA_PATH_V12_4": str(tmp_path / "v12"), "CUDA_PATHS": ""}
    around = Environment(str(tmp_path), str(tmp_path), conda=False, sites=(), variables=variables)
    assert places(around) == wanted


def test_the_installation_behind_a_virtual_environment_is_told(tmp_path: Path) -> None:
    wanted = made(tmp_path, "base/Library/bin", "venv/Scripts", "base/DLLs")
    around = Environment(str(tmp_path / "venv"), str(tmp_path / "base"), conda=False, sites=())
    assert sorted(places(around)) == sorted(wanted)
