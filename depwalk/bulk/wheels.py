"""A wheel as the directory that it would be unpacked to, alone or together with other wheels that it needs."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from depwalk import suppliers, wheel
from depwalk.archive import Archive, UnreadableArchive

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from depwalk.archive import Member
    from depwalk.target.python import Python

_REQUIRES = re.compile(r"^Requires-Dist:\s*([\w.-]+)(.*)$", re.IGNORECASE | re.ASCII | re.MULTILINE)
_EXACT = re.compile(r"cp3(\d+)", re.ASCII)
_SUFFIXES = {"win_amd64": "", "win32": "-32", "win_arm64": "-arm64"}
_REQUIREMENT = re.compile(r"[\w.-]+", re.ASCII)
_SHORTEST_WORD = 3
_COMMON_WORDS = {"python", "lib", "core", "deps", "win", "dll"}
_LONGEST_METADATA = 1_000_000  # bytes
_MOST_TOGETHER = 40  # wheels
_NAME = re.compile(r"([^-]+)-([^-]+)(?:-\d[^-]*)?-([^-]+)-([^-]+)-([^-]+)\.whl", re.IGNORECASE)


class Together:
    """Several wheels unpacked into one directory, under the path of the first. What it has is not replaced."""

    def __init__(self, archives: Sequence[Archive], absent: frozenset[str]) -> None:
        self.path = archives[0].path
        self.absent = absent  # normalised names of what else is required
        self._archives = archives
        self._holder: dict[str, tuple[Archive, str]] = {}
        self.members: dict[str, Member] = {}
        self.directories: dict[str, dict[str, str]] = {}
        data = next((name for name in archives[0].directories if _is_data(name)), "all.data")
        for archive in reversed(archives):
            for name, member in archive.members.items():
                placed = _into(data, name)
                self.members[placed] = member._replace(name=_into(data, member.name)) if placed != name else member
                self._holder[placed] = archive, name
            for name, entries in archive.directories.items():
                own = {_into(data, key): _into(data, entry) for key, entry in entries.items()} if not name else entries
                self.directories.setdefault(_into(data, name), {}).update(own)

    def read(self, name: str, most: int | None = None) -> bytes:
        """As Archive.read."""
        archive, own = self._of(name)
        return archive.read(own, most)

    def content(self, name: str) -> bytes | str:
        """As Archive.content."""
        archive, own = self._of(name)
        return archive.content(own)

    def brings(self, dll: str) -> str:
        """The other wheel, or else the required distribution that is not there, that may bring a DLL; empty if none."""
        for name, (archive, _) in self._holder.items():
            if archive is not self._archives[0] and name.rpartition("/")[2] == dll.lower():
                return distribution_of(archive.path)[0]
        supplier = suppliers.supplier(dll)
        supplied = _REQUIREMENT.match(supplier.pip) if supplier else None
        if supplied and wheel.normalised(supplied[0]) in self.absent:
            return supplied[0]
        stem = dll.lower().partition(".")[0]
        return next((name for name in sorted(self.absent) if any(word in stem for word in _words(name))), "")

    def close(self) -> None:
        """As Archive.close."""
        for archive in self._archives:
            archive.close()

    def _of(self, name: str) -> tuple[Archive, str]:
        return self._holder.get(name.lower(), (self._archives[0], name))


def _words(name: str) -> list[str]:
    """What of a distribution's name may be in the names of its DLLs: torch, sdl2 of kivy-deps-sdl2."""
    return [word for word in name.split("-") if len(word) >= _SHORTEST_WORD and word not in _COMMON_WORDS]


def _is_data(name: str) -> bool:
    return name.lower().endswith(".data") and "/" not in name


def _into(data: str, name: str) -> str:
    """What each wheel has in its own NAME.data goes into one place: that of the first."""
    top, slash, rest = name.partition("/")
    return f"{data}{slash}{rest}" if _is_data(top) and top.lower() != data.lower() else name


def by_name(paths: Sequence[str]) -> dict[str, list[str]]:
    """Wheels by the normalised names of their distributions."""
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(wheel.normalised(distribution_of(path)[0]), []).append(path)
    return found


def distribution_of(path: str) -> tuple[str, str]:
    """Name and version of a wheel's distribution, by the wheel's file name; the version is empty if it has none."""
    name = _NAME.fullmatch(os.path.basename(path))
    return (name[1], name[2]) if name else (os.path.splitext(os.path.basename(path))[0], "")


def with_required(path: str, known: Mapping[str, Sequence[str]]) -> Together:
    """A wheel with those of the known ones that it requires, and these in turn. Raises as Archive."""
    archives = [Archive(path)]
    seen = {path}
    absent: set[str] = set()
    for archive in archives:  # grows
        for name in _required(archive):
            fitting = [other for other in known.get(name, ()) if _go_together(path, other)]
            if not fitting:
                absent.add(name)
            elif fitting[0] not in seen and len(archives) < _MOST_TOGETHER:
                seen.add(fitting[0])
                try:
                    archives.append(Archive(fitting[0]))
                except (UnreadableArchive, OSError):
                    absent.add(name)
    return Together(archives, frozenset(absent))


def _required(archive: Archive) -> Iterator[str]:
    """Normalised names of the distributions that it always requires; those of an extra may be missing."""
    for name in archive.members:
        if name.endswith(".dist-info/metadata") and name.count("/") == 1:
            try:
                text = archive.read(name, _LONGEST_METADATA).decode("utf-8", "replace")
            except OSError:
                return
            head = text.replace("\r\n", "\n").partition("\n\n")[0]
            yield from (wheel.normalised(found[1]) for found in _REQUIRES.finditer(head) if "extra" not in found[2])


def python_of(path: str, otherwise: int | None) -> str | None:
    """The Python that a wheel is for, as --python takes it; for one that fits several, 3.`otherwise` of its platform.

    None for a wheel of no platform, and for one that fits several if nothing else is said.
    """
    name = _NAME.fullmatch(os.path.basename(path))
    if name is None or name[5].lower() not in _SUFFIXES:
        return None
    exact = _EXACT.fullmatch(name[3].lower()) if "abi3" not in name[4].lower() else None
    free_threaded = "t" if name[4].lower().endswith("t") and exact else ""
    minor = int(exact[1]) if exact else otherwise
    return f"3.{minor}{free_threaded}{_SUFFIXES[name[5].lower()]}" if minor else None


def fits(path: str, python: Python) -> bool:
    """Whether a Python would install a wheel, by the wheel's tags; one whose name is none of a wheel may fit."""
    name = _NAME.fullmatch(os.path.basename(path))
    if name is None:
        return True
    suffix = {"x86": "win32", "x64": "win_amd64", "arm64": "win_arm64"}.get(python.architecture)
    if name[5].lower() != "any" and suffix not in name[5].lower().split("."):
        return False
    minors = [int(match[1]) for tag in name[3].lower().split(".") if (match := _EXACT.fullmatch(tag))]
    if "abi3" in name[4].lower():
        return not python.free_threaded and any(minor <= python.minor for minor in minors)
    free_threaded = name[4].lower().endswith("t")
    return not minors or (python.minor in minors and free_threaded == python.free_threaded)


def _go_together(one: str, other: str) -> bool:
    """Whether two wheels can be in one environment, by their tags."""
    first, second = _NAME.fullmatch(os.path.basename(one)), _NAME.fullmatch(os.path.basename(other))
    if not first or not second:
        return False
    platform = second[5] == "any" or second[5] == first[5]
    versions = {first[3].lower(), second[3].lower()}
    exact = len(versions) == 1 or any(not version.startswith("cp") for version in versions)
    stable = "abi3" in (first[4].lower(), second[4].lower())
    return platform and (exact or stable)
