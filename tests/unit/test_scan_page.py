"""docs/scan.md: its settings are read, its example tells what fails. Its commands run in test_docs_commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pe_maker import pe

import depwalk

if TYPE_CHECKING:
    from collections.abc import Mapping

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the files are read as elsewhere; tests/loader asks on Windows"
)

ROOT = Path(depwalk.__file__).resolve().parents[1]
PAGE = Path(__file__).resolve().parents[2] / "docs" / "scan.md"
TEXT = PAGE.read_text("utf-8")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with what the commands name, in which nothing fails."""
    for directory in ("dist", "Lib/site-packages", "site-packages"):
        (tmp_path / directory / "pkg").mkdir(parents=True)
        (tmp_path / directory / "pkg" / "ext.pyd").write_bytes(pe(imports={"kernel32.dll": ["Sleep"]}))
    return tmp_path


def run(project: Path, *arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
    environment: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=cwd or project, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
    )


def test_the_settings_of_the_page_are_read(project: Path) -> None:
    settings = re.search(r"```toml\n(.*?)```", TEXT, re.DOTALL)
    assert settings is not None
    run(project, "-m", "depwalk", "scan", "dist", "--write-baseline", "depwalk-baseline.json")
    (project / "pyproject.toml").write_text(settings[1], "utf-8")
    ran = run(project, "-m", "depwalk", "scan")
    assert ran.returncode == 0, ran.stderr
    assert b"Windows 10 + vc14, 11 + vc14" in ran.stdout


def test_the_example_of_the_page_tells_what_fails(project: Path) -> None:
    example = re.search(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert example is not None
    (project / "dist" / "pkg" / "bad.pyd").write_bytes(pe(imports={"nowhere.dll": ["f"]}))
    ran = run(project, "-c", example[1])
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert b"bad.pyd" in ran.stdout
    assert b"nowhere.dll" in ran.stdout


def test_the_hook_for_pre_commit_is_one_that_the_page_names() -> None:
    hooks = (PAGE.parents[1] / ".pre-commit-hooks.yaml").read_text("utf-8")
    (identifier,) = re.findall(r"- id: (\S+)", hooks)
    assert f"id: {identifier}" in TEXT
    assert "entry: depwalk scan" in hooks
