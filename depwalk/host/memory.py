"""The memory that programs can still ask Windows for."""

from __future__ import annotations

from typing import NamedTuple

from depwalk import core


class Commit(NamedTuple):
    """Bytes."""

    limit: int  # physical memory and paging files
    available: int  # of it, not yet promised to a program


def commit() -> Commit | None:
    """Of this machine now; None off Windows."""
    found = core.commit()
    return Commit(*found) if found else None
