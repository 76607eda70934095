"""What is published, as `python3 ci/run.py` has built it: DEPWALK_DIST. Without it nothing here is tested."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from from_ci import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Finished = subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def dist() -> Path:
    """The directory of the files that are published."""
    return _told("DEPWALK_DIST")


@pytest.fixture(scope="session")
def needed() -> Path:
    """Wheels of what an installation of depwalk asks an index for."""
    return _told("DEPWALK_NEEDED")


@pytest.fixture(scope="session")
def tools() -> Path:
    """The Python of the environment with the tools of a release."""
    return _told("DEPWALK_RELEASE_PYTHON")


def _told(variable: str) -> Path:
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set: python3 ci/run.py sets it")
    return Path(os.environ[variable])


@pytest.fixture(scope="session")
def ci() -> Any:
    """ci/wheels.py as a module."""
    return _module("wheels")


@pytest.fixture(scope="session")
def artifacts() -> Any:
    """ci/artifacts.py as a module."""
    return _module("artifacts")


def _module(name: str) -> Any:
    if str(CHECKOUT / "ci") not in sys.path:
        sys.path.append(str(CHECKOUT / "ci"))
    return importlib.import_module(name)


@dataclass(frozen=True)
class Clean:
    """A new environment with nothing in it, not even pip; no index is asked, and nobody's settings are read."""

    home: Path
    needed: Path

    @property
    def programs(self) -> Path:
        return self.home / "bin"

    def install(self, *what: str | Path, path: str = os.defpath, **variables: str) -> Finished:
        """Install with the pip of the tests; PATH is where the build finds a compiler."""
        pip = [sys.executable, "-m", "pip", "--python", self.programs / "python", "install"]
        return self.run([*pip, "--no-index", "--find-links", self.needed, *what], PATH=path, **variables)

    def run(self, command: Sequence[str | Path], **variables: str) -> Finished:
        """Run a program in a directory where nothing of depwalk is."""
        return finished(command, {**self.variables, **variables}, self.home)

    @property
    def variables(self) -> Mapping[str, str]:
        return {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PATH": os.defpath,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }


@pytest.fixture
def clean(tmp_path: Path, needed: Path) -> Clean:
    home = tmp_path / "clean"
    venv.create(home)
    return Clean(home, needed)


def finished(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None, directory: Path | None = None
) -> Finished:
    """A program that has ended, with what it wrote as one text."""
    return subprocess.run(
        command,
        env=environment,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
