"""Where an import finds its modules: the rules of importlib's FileFinder on Windows, for any site directory."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from typing import TYPE_CHECKING

from depwalk import files
from depwalk.tables import table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PLATFORMS = {"x64": "win_amd64", "x86": "win32", "arm64": "win_arm64"}
_FOREIGN = (".so", ".dylib")


@dataclass(frozen=True)
class Place:
    """A module: "package", "namespace", "source", "extension", or "foreign" (an extension for another system).

    `path` is the file that an import runs, "" for a namespace; `directories` are those of a package.
    """

    kind: str
    path: str
    directories: tuple[str, ...] = ()


@cache
def standard_modules() -> frozenset[str]:
    """The top-level modules that come with Python."""
    if sys.version_info >= (3, 10):
        return sys.stdlib_module_names
    names = {name.partition(".")[0] for name in os.listdir(os.path.dirname(os.__file__))}
    return frozenset(names | set(sys.builtin_module_names) | {"_winapi", "msvcrt", "nt", "winreg", "winsound"})


@cache
def former_modules() -> frozenset[str]:
    """The top-level modules that came with an older Python."""
    return frozenset(name for names in table("package_former.toml").values() for name in names)


@cache
def loaders() -> Mapping[str, Sequence[str]]:
    """Modules that load the DLLs of other packages -> patterns of the directories below a site that have these."""
    return {name: row["directories"] for name, row in table("package_loaders.toml").items()}


@files.remembered
def matching(site: str, pattern: str) -> tuple[str, ...]:
    """The directories below a site that match a pattern, in which * is any one name."""
    found = [site]
    for part in pattern.split("/"):
        below = (
            os.path.join(one, name) for one in found for name in files.names_in(one) if fnmatchcase(name.lower(), part)
        )
        found = [directory for directory in below if files.is_directory(directory)]
    return tuple(found)


class Finder:
    """Finds modules. Of several extensions of one module the one for Python 3.`minor` on `architecture` is taken."""

    def __init__(self, minor: int | None, architecture: str | None) -> None:
        self._minor = minor
        self._platform = _PLATFORMS.get(architecture or "", "")

    def look(self, directories: tuple[str, ...], name: str) -> Place | None:
        """The module `name` in these directories: a package, before an extension, before a source."""
        namespace = []
        foreign = None
        for directory in directories:
            names = _by_stem(directory).get(name, [])
            if name in names and files.is_directory(os.path.join(directory, name)):
                path = os.path.join(directory, name)
                if "__init__.py" in _by_stem(path).get("__init__", []):
                    return Place("package", os.path.join(path, "__init__.py"), (path,))
                namespace.append(path)
            best = self.best([one for one in names if one.lower().endswith(".pyd")])
            if best is not None:
                return Place("extension", os.path.join(directory, best))
            if name + ".py" in names:
                return Place("source", os.path.join(directory, name + ".py"))
            foreign = next((os.path.join(directory, one) for one in names if one.endswith(_FOREIGN)), foreign)
        if foreign is not None:
            return Place("foreign", foreign)
        return Place("namespace", "", tuple(namespace)) if namespace else None

    def best(self, names: list[str]) -> str | None:
        """The extension that Python would take, else the nearest: name.cp311-win_amd64.pyd, name.pyd."""
        return min(names, key=self._rank) if names else None

    def _rank(self, name: str) -> tuple[int, str]:
        tag = re.search(r"\.(cp3(\d+)\w*)-(\w+)\.pyd$", name.lower())
        if tag is None:
            return (1, name) if name.count(".") == 1 else (4, name)
        same_platform = tag.group(3) == self._platform or not self._platform
        same_python = tag.group(1) == f"cp3{self._minor}" or self._minor is None
        return (0 if same_python and same_platform else 2 if same_python else 3, name)


@files.remembered
def _by_stem(directory: str) -> Mapping[str, list[str]]:
    """The names in a directory, by what stands before the first dot."""
    found: dict[str, list[str]] = {}
    for name in files.names_in(directory):
        found.setdefault(name.partition(".")[0], []).append(name)
    return found


def extensions_below(directory: str, finder: Finder, *, most: int = 1000) -> tuple[list[str], bool]:
    """Every extension below a directory, sorted, one file per module; and whether there are some for other systems."""
    found: list[str] = []
    foreign = False
    for folder, _, names in files.walk(directory):
        modules: dict[str, list[str]] = {}
        for name in names:
            if name.lower().endswith(".pyd"):
                modules.setdefault(name.partition(".")[0], []).append(name)
            foreign = foreign or name.endswith(_FOREIGN)
        found += [os.path.join(folder, best) for best in map(finder.best, modules.values()) if best is not None]
        if len(found) >= most:
            break
    return sorted(found)[:most], foreign
