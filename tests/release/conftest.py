"""What is published, as `python3 ci/run.py` has built it: DEPWALK_DIST. Without it nothing here is tested."""

from __future__ import annotations

import importlib
import os
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from clean import Clean
from from_ci import CHECKOUT


@pytest.fixture(scope="session")
def dist() -> Path:
    """The directory of the files that are published."""
    return _told("DEPWALK_DIST")


@pytest.fixture(scope="session")
def needed() -> Path:
    """Wheels of what an installation of depwalk asks an index for. Without it nothing is built or installed anew."""
    return _told("DEPWALK_NEEDED")


@pytest.fixture(scope="session")
def tools() -> Path:
    """The Python of the environment with the tools of a release."""
    return _told("DEPWALK_RELEASE_PYTHON")


def _told(variable: str) -> Path:
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set: python3 ci/run.py wheels sets it")
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


@pytest.fixture
def clean(tmp_path: Path, needed: Path) -> Clean:
    home = tmp_path / "clean"
    venv.create(home)
    return Clean(home, needed)
