"""What several tests use."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any, Callable

import pytest
from pe_maker import pe

if TYPE_CHECKING:
    from pathlib import Path

MakePE = Callable[..., "Path"]


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
