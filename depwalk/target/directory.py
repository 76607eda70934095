"""A directory that the loader would search: a real one, listed once, or one that is assumed to hold certain names."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Directory:
    """`assumed` is None for a real directory, else lower-case name -> name of the files it is taken to hold."""

    path: str
    assumed: Mapping[str, str] | None = field(default=None, compare=False)
    system: bool = False  # one of Windows's own

    def find(self, name: str) -> str | None:
        """Path of a file by its name, matched as Windows does: without regard to case. None if it is not there."""
        head, _, tail = name.replace("/", "\\").rpartition("\\")
        if head:
            return Directory(os.path.join(self.path, *head.split("\\"))).find(tail)
        found = self._names.get(tail.lower())
        if found is None:
            return None
        return str(PureWindowsPath(self.path, found)) if self.assumed is not None else os.path.join(self.path, found)

    @property
    def is_real(self) -> bool:
        """The files are on this machine and can be read."""
        return self.assumed is None

    @cached_property
    def exists(self) -> bool:
        """Whether there is such a directory."""
        return self.assumed is not None or os.path.isdir(self.path)

    @cached_property
    def _names(self) -> Mapping[str, str]:
        return self.assumed if self.assumed is not None else _listing(self.path)


@lru_cache(maxsize=4096)
def _listing(path: str) -> Mapping[str, str]:
    """Lower-case name -> name of all entries; empty if a directory cannot be read: the loader passes over it too."""
    try:
        with os.scandir(path or ".") as entries:
            return {entry.name.lower(): entry.name for entry in entries}
    except OSError:
        return {}


def forget() -> None:
    """Forget all listings: files may have changed since."""
    _listing.cache_clear()
