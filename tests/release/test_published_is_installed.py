"""A wheel in an environment that has nothing but it and what it asks for."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

import pytest
from from_ci import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

    from clean import Clean

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or platform.machine() != "x86_64", reason="the wheel is for Linux on x86-64"
)


def test_the_wheel_for_this_machine_is_chosen_installed_and_used(clean: Clean, dist: Path) -> None:
    installed = clean.install("--find-links", dist, "--only-binary", "depwalk", "--pre", "depwalk")
    assert installed.returncode == 0, installed.stdout

    used = clean.run([clean.programs / "python", CHECKOUT / "tests" / "release" / "use.py"])
    assert (used.returncode, used.stdout) == (0, "used\n")
    script = clean.run([clean.programs / "depwalk", "--version"])
    assert (script.returncode, script.stdout.split()[0]) == (0, "depwalk")
