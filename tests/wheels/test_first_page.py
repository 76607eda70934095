"""What the first page shows is what depwalk prints; lines that depend on the machine are left out there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import depwalk

PAGE = Path(__file__).resolve().parents[2] / "docs" / "index.md"


def test_the_example_of_the_first_page_is_what_is_printed() -> None:
    patients = os.environ.get("DEPWALK_PATIENTS")
    if patients is None:
        assert not os.environ.get("CI"), "DEPWALK_PATIENTS is not set: ci/run.py downloads the wheels"
        pytest.skip("DEPWALK_PATIENTS is not set (ci/run.py downloads the wheels)")
    block = re.search(r"^```\n\$ python (.*?)\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert block is not None
    folder = Path(patients, "tensorflow-2.0.0-cp37-win_amd64", "tensorflow_core", "python")
    ran = subprocess.run(
        [sys.executable, *block[1].split()],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(depwalk.__file__).parents[1])},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    printed = iter(ran.stdout.decode("utf-8").splitlines())
    left_out = [line for line in block[2].splitlines() if line != "  ..." and line not in printed]

    assert left_out == []
    assert ran.returncode == 1
