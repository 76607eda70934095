"""What is published, as `python3 ci/run.py` has built it: DEPWALK_DIST. Without it nothing here is tested."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest
from from_ci import CHECKOUT, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Run = Callable[..., "subprocess.CompletedProcess[str]"]


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
    sys.path.append(str(CHECKOUT / "ci"))
    return load("wheels")


@pytest.fixture(scope="session")
def artifacts() -> Any:
    """ci/artifacts.py as a module."""
    return load("artifacts")


@pytest.fixture
def clean(tmp_path: Path, needed: Path) -> Run:
    """clean("pip", "install", ...) runs a module of a new environment, where nothing is installed and no index asked."""
    home = tmp_path / "clean"
    venv.create(home, with_pip=True)
    programs = home / "bin"

    def run(
        *command: str | Path, program: str = "python", path: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": path or os.pathsep.join([str(programs), os.defpath]),
            "HOME": str(tmp_path),
            "LANG": "C.UTF-8",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(needed),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_CONFIG_FILE": os.devnull,
        }
        return finished([programs / program, *command], environment | variables, tmp_path)

    return run


def finished(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None, directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
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
