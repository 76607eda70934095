"""What several tests use."""

from __future__ import annotations

import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any, Callable

import pytest
from pe_maker import pe

if TYPE_CHECKING:
    from pathlib import Path

MakePE = Callable[..., "Path"]

if sys.platform == "win32":
    import _winapi

    _begin = _winapi.CreateProcess

    def _begin_again(*arguments: Any, left: int = 2) -> Any:
        """Begin a process; Wine now and then fails at that with an internal error (1359)."""
        try:
            return _begin(*arguments)
        except OSError as error:
            if error.winerror != 1359 or not left:
                raise
        time.sleep(0.5)
        return _begin_again(*arguments, left=left - 1)

    _winapi.CreateProcess = _begin_again


@pytest.fixture
def make_pe(tmp_path: Path) -> MakePE:
    """make_pe("sub/a.dll", imports=...) writes a PE file below tmp_path and returns its path."""

    def make(name: str, **facts: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pe(**facts))
        return path

    return make


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder
