"""Scans on Windows: what the real loader says of many files, and what is predicted of them, in this very process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from loading import Animal

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="there is no Windows loader here")


@pytest.fixture
def folder(tmp_path: Path, animal: Animal) -> Path:
    """A directory with an animal that loads, one of which the initialisation fails, and one that lacks a DLL."""
    for name in ("nothing-needed", "init-false", "missing-direct"):
        shutil.copytree(os.path.dirname(animal(name)), tmp_path / name)
    return tmp_path


def scan(folder: Path, *options: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit status, and the row of each extension module by the name of its directory."""
    command = [sys.executable, "-m", "depwalk", "scan", str(folder), "--format", "json", *options]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert not ran.stderr, ran.stderr.decode(errors="replace")
    rows = [json.loads(line) for line in ran.stdout.decode("utf-8").splitlines()]
    found = {row["target"]["path"].split(os.sep)[-2]: row for row in rows if row["target"]["kind"] == "extension"}
    return ran.returncode, found


def test_without_load_nothing_is_loaded(folder: Path) -> None:
    status, rows = scan(folder)
    assert {name: (row["verdict"], row["basis"]) for name, row in rows.items()} == {
        "nothing-needed": ("loads", "static"),
        "init-false": ("loads", "static"),
        "missing-direct": ("fails", "static"),
    }
    assert status == 1


def test_with_load_the_loader_decides_each_file(folder: Path) -> None:
    status, rows = scan(folder, "--load", "--jobs", "2")
    assert {name: (row["verdict"], row["basis"]) for name, row in rows.items()} == {
        "nothing-needed": ("loads", "loader"),
        "init-false": ("fails", "loader"),
        "missing-direct": ("fails", "loader"),
    }
    assert status == 1


def test_in_two_processes_the_rows_are_the_same(folder: Path) -> None:
    def verdicts(jobs: str) -> dict[str, str]:
        return {name: row["verdict"] for name, row in scan(folder, "--jobs", jobs)[1].items()}

    assert verdicts("2") == verdicts("1")
