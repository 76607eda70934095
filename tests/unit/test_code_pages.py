"""Output that is piped has the code page of Windows: what that cannot show is escaped, and nothing breaks."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

CODE_PAGES = ["cp437", "cp850", "cp1252", "utf-8"]


def piped(path: Path, encoding: str, *options: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    command = [sys.executable, "-m", "depwalk", str(path), "--windows", "10", "--no-load", *options]
    return subprocess.run(command, capture_output=True, check=False, timeout=60, env=environment)


@pytest.mark.parametrize(
    ("encoding", "options"), [*((encoding, ()) for encoding in CODE_PAGES), ("ascii", ("-v",)), ("ascii", ("-q",))]
)
def test_names_of_any_language_are_printed_in_any_code_page(
    encoding: str, options: tuple[str, ...], make_pe: MakePE
) -> None:
    path = make_pe("größe/日本語.pyd", imports={"gone.dll": ["f"]})
    ended = piped(path, encoding, *options)
    assert (ended.returncode, ended.stderr) == (1, b"")
    assert "does NOT load: gone.dll is missing" in ended.stdout.decode(encoding)


@pytest.mark.parametrize("encoding", ["cp437", "ascii"])
def test_a_complaint_is_printed_in_any_code_page(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "größe" / "日本語.pyd"
    ended = piped(path, encoding)
    assert ended.returncode == 2
    assert ended.stderr.decode(encoding).startswith("depwalk: ")
    assert len(ended.stderr.splitlines()) <= 2


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_json_is_utf_8_whatever_the_code_page(encoding: str, make_pe: MakePE) -> None:
    ended = piped(make_pe("日本語.pyd", imports={"kernel32.dll": ["f"]}), encoding, "--format", "json")
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert "日本語.pyd" in ended.stdout.decode("utf-8")
