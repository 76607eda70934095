"""Loads modules of ci/, which is no package."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


def load(name: str) -> Any:
    """ci/NAME.py as a module."""
    specification = importlib.util.spec_from_file_location(name, CHECKOUT / "ci" / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module
