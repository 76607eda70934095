"""A directory that the loader would search: a real one, listed once, or one that is assumed to hold certain names."""

from __future__ import annotations

import ntpath
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from depwalk import files

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Directory:
    """A directory of this machine, or one that is assumed to hold certain files."""

    path: str
    assumed: Mapping[str, str] | None = field(default=None, compare=False)  # lower-case name -> name; None: a real one
    system: bool = False  # one of Windows's own

    def find(self, name: str) -> str | None:
        """Path of a file by its name, matched as Windows does: without regard to case. None if it is not there."""
        plain = "\\" not in name and "/" not in name and name not in (".", "..")
        head, _, tail = (name, "", "") if plain else ntpath.normpath(name).partition("\\")
        if head == "..":
            return Directory(os.path.dirname(self.path)).find(tail) if tail else None
        found = self._names.get(head.lower())
        if found is None:
            return None
        path = f"{self.path}\\{found}" if self.assumed is not None else os.path.join(self.path, found)
        return Directory(path).find(tail) if tail else path

    @property
    def is_real(self) -> bool:
        """The files are on this machine and can be read."""
        return self.assumed is None

    @property
    def exists(self) -> bool:
        """Whether there is such a directory."""
        return self.assumed is not None or files.is_directory(self.path)

    @property
    def _names(self) -> Mapping[str, str]:
        return self.assumed if self.assumed is not None else _listing(self.path)


@files.remembered
def _listing(path: str) -> Mapping[str, str]:
    """Lower-case name -> name of all entries; empty if a directory cannot be read: the loader passes over it too."""
    try:
        return files.listing(path)
    except OSError:
        return {}
