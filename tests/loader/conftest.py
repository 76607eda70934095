"""What the tests of real loads share."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from loading import IS_64_BIT

from depwalk.cli.options import machine
from depwalk.result import diagnose_import
from depwalk.target.choose import Choice, choose

if TYPE_CHECKING:
    from loading import Animal, Imported, Package

    from depwalk.result import Result

_IN_32_BITS = {"missing-direct": "missing-32", "nothing-needed": "all-32"}  # where it is not just name-32


@pytest.fixture
def animal() -> Animal:
    """animal("init-false") is the path of its module, for the architecture of this process; skips if there is none."""
    zoo = os.environ.get("DEPWALK_ZOO")
    if zoo is None:
        assert not os.environ.get("CI"), "DEPWALK_ZOO is not set"
        pytest.skip("DEPWALK_ZOO is not set (ci/run.py builds the zoo)")

    def path(name: str) -> str:
        here = name if IS_64_BIT else _IN_32_BITS.get(name, f"{name}-32")
        found = Path(zoo, here, "user.pyd")
        if not found.is_file() and not IS_64_BIT:
            pytest.skip(f"no {name} in 32 bits")
        assert found.is_file(), name
        return str(found)

    return path


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A directory for packages, first on the path of what is imported."""
    made = tmp_path / "site"
    made.mkdir()
    return made


@pytest.fixture
def package(site: Path, animal: Animal) -> Package:
    """package("name", "code", "missing-deep", ...) makes a package with the files of these animals beside its code."""

    def make(name: str, code: str, *animals: str) -> Path:
        made = site / name
        made.mkdir()
        (made / "__init__.py").write_text(code, "ascii")
        for one in animals:
            shutil.copytree(Path(animal(one)).parent, made, dirs_exist_ok=True)
        return made

    return make


@pytest.fixture
def imported(site: Path) -> Imported:
    """imported("name") is the result of importing a name from the site directory, and from others behind it."""

    def result(name: str, *sites: str, python: str | None = None, timeout: float = 20) -> Result:
        choice = Choice(python=python)
        found = diagnose_import(
            name, lambda file: choose(file, choice, machine()), sites=[str(site), *sites], timeout=timeout
        )
        assert len(found) == 1
        return found[0]

    return result


@pytest.fixture
def tensorflow() -> str:
    """The module of TensorFlow 2.0, for CPython 3.7."""
    patients = os.environ["DEPWALK_PATIENTS"]
    folder = Path(patients, "tensorflow-2.0.0-cp37-win_amd64", "tensorflow_core", "python")
    return str(folder / "_pywrap_tensorflow_internal.pyd")


@pytest.fixture
def pythons() -> list[str]:
    """Every CPython of this machine that tests may start."""
    listed = os.environ.get("DEPWALK_PYTHONS")
    if listed:
        return listed.split(";")
    return [str(found) for found in sorted(Path("C:\\").glob("Python3*/python.exe"))]


@pytest.fixture
def folder(tmp_path: Path, animal: Animal) -> Path:
    """Where programs run: user.pyd there lacks nowhere.dll."""
    made = tmp_path / "program"
    made.mkdir()
    shutil.copy(animal("missing-direct"), made / "user.pyd")
    return made
