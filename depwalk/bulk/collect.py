"""Which files a scan is about: what the paths given hold, unit by unit. Files are listed here, and not read."""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from depwalk import core
from depwalk.bulk.rows import File, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from depwalk.bulk.rows import FileKind, UnitKind

KINDS: dict[str, FileKind] = {".pyd": "extension", ".exe": "program", ".dll": "dll"}
WHEEL, LIST = ".whl", ".txt"
_LOOKED_AT = {*KINDS, WHEEL}
_PASSED_OVER = {"__pycache__", ".git"}
_CACHES = {"pkgs", "envs"}  # in a prefix: packages that are kept, and other environments
_LONGEST_LIST = 10_000_000  # bytes
_TAG = re.compile(r"\.cp3(\d{1,2})t?-win\w+\.pyd$", re.IGNORECASE | re.ASCII)


class NothingToScan(ValueError):  # noqa: N818  (as FileNotFound)
    """A path that is not there, or that has nothing to judge in it; the text is a sentence for a person."""


class Site(dict[str, list[str]]):
    """The files of a unit by their base names, in lower case."""

    @cached_property
    def paths(self) -> frozenset[str]:
        """All of them."""
        return frozenset(path for paths in self.values() for path in paths)

    @cached_property
    def usual_minor(self) -> int | None:
        """The CPython that most extension modules are tagged for."""
        found = Counter(minor for name, paths in self.items() if (minor := _tagged_for(name)) for _ in paths)
        return found.most_common(1)[0][0] if found else None


@dataclass
class Listed:
    """A unit, its files, and why some of what is in it could not be listed.

    `whole`: the files are all that the unit has, so that a DLL that is not among them is not in it.
    """

    unit: Unit
    files: list[File] = field(default_factory=list)
    unreadable: list[tuple[File, str]] = field(default_factory=list)
    whole: bool = True


def collect(paths: Iterable[str]) -> list[Listed]:
    """What is to be judged, each file once. Raises NothingToScan."""
    found: dict[str, Listed] = {}
    for path in paths:
        if not _collect(path, found, followed=False):
            raise NothingToScan(f"{path}: there is no .pyd, .dll, .exe or .whl file in it")
    return _each_once(list(found.values()))


def _each_once(found: list[Listed]) -> list[Listed]:
    """Each file in the outermost unit that has it: there is what it needs."""
    seen: set[str] = set()
    for listed in sorted(found, key=lambda listed: len(listed.unit.path)):
        listed.files = [file for file in listed.files if os.path.normcase(file.path) not in seen]
        listed.unreadable = [pair for pair in listed.unreadable if os.path.normcase(pair[0].path) not in seen]
        seen.update(os.path.normcase(file.path) for file in listed.files)
        seen.update(os.path.normcase(file.path) for file, _ in listed.unreadable)
    return [listed for listed in found if listed.files or listed.unreadable or listed.unit.kind == "wheel"]


def site_of(listed: Sequence[File]) -> Site:
    """The files of a unit by their base names."""
    found = Site()
    for file in listed:
        found.setdefault(os.path.basename(file.path).lower(), []).append(file.path)
    return found


def _tagged_for(name: str) -> int | None:
    tag = _TAG.search(name)
    return int(tag[1]) if tag else None


def _collect(path: str, found: dict[str, Listed], *, followed: bool) -> bool:
    """Add what a path holds; whether that is anything."""
    full = os.path.abspath(path)
    ending = os.path.splitext(full)[1].lower()
    if path and os.path.isdir(core.extended_path(full)):
        return _directory(full, found)
    if not path or not os.path.lexists(core.extended_path(full)):
        raise NothingToScan(f"{path or 'an empty name'}: there is no such file or directory")
    if ending == LIST and not followed:
        held = [_collect(entry, found, followed=True) for entry in _entries(full)]
        return any(held)
    if ending == WHEEL:
        _wheel(full, found)
    else:
        _one(full, found)
    return True


def _entries(path: str) -> Iterator[str]:
    """The paths that a list names, one on each line, relative to the list; `#` begins a comment."""
    with open(core.extended_path(path), encoding="utf-8-sig", errors="surrogateescape") as file:
        content = file.read(_LONGEST_LIST + 1)
    if len(content) > _LONGEST_LIST:
        raise NothingToScan(f"{path}: it has more than {_LONGEST_LIST:,} characters, too many for a list of paths")
    for line in content.split("\n"):
        text = line.partition(" #")[0].strip()
        if text and not text.startswith("#"):
            yield os.path.join(os.path.dirname(path), text)


def _one(path: str, found: dict[str, Listed]) -> None:
    unit = Unit(os.path.dirname(path), "directory")
    listed = found.setdefault(os.path.normcase(unit.path), Listed(unit, whole=False))
    if all(file.path != path for file in listed.files):
        _add(listed, path)


def _wheel(path: str, found: dict[str, Listed]) -> None:
    key = os.path.normcase(path)
    if key in found:
        return
    try:
        facts = os.stat(core.extended_path(path))
    except OSError as error:
        file = File(path, Unit(path, "wheel"), "wheel", 0, 0)
        found[key] = Listed(file.unit, unreadable=[(file, error.strerror or "it cannot be read")])
        return
    found[key] = Listed(Unit(path, "wheel", facts.st_size, facts.st_mtime_ns))


def _directory(path: str, found: dict[str, Listed]) -> bool:
    """A directory, and those in it; links to directories are not followed, so that there is an end."""
    unit = _unit_of(path)
    listed = Listed(unit)
    open_ones, wheels = [unit.path], 0
    while open_ones:
        folder = open_ones.pop()
        try:
            with os.scandir(core.extended_path(folder)) as entries:
                directories, others = _sorted(entries)
        except OSError as error:
            listed.unreadable.append((File(folder, unit, "dll", 0, 0), error.strerror or "it cannot be read"))
            continue
        for entry in others:
            full = os.path.join(folder, entry.name)
            if entry.name[-4:].lower() == WHEEL:
                _wheel(full, found)
                wheels += 1
            else:
                _add(listed, full, entry)
        entered = [name for name in directories if _is_entered(name, folder, unit)]
        open_ones += [os.path.join(folder, name) for name in reversed(entered)]
    if listed.files or listed.unreadable:
        found[os.path.normcase(unit.path)] = listed  # in place of single files of it
    return bool(listed.files or listed.unreadable or wheels)


def _sorted(entries: Iterable[os.DirEntry[str]]) -> tuple[list[str], list[os.DirEntry[str]]]:
    """The directories that are no links, and what may be judged: most of what there is are sources and data."""
    directories, others = [], []
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            directories.append(entry.name)
        elif entry.name[-4:].lower() in _LOOKED_AT and entry.name[:-4] and not _is_directory(entry):
            others.append(entry)
    return sorted(directories), sorted(others, key=lambda entry: entry.name)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    """Also of a link to one; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_entered(name: str, folder: str, unit: Unit) -> bool:
    return name not in _PASSED_OVER and not (unit.kind == "prefix" and folder == unit.path and name in _CACHES)


def _add(listed: Listed, path: str, entry: os.DirEntry[str] | None = None) -> None:
    kind = KINDS.get(os.path.splitext(path)[1].lower(), "dll")
    try:
        facts = entry.stat() if entry is not None else os.stat(core.extended_path(path))
    except OSError as error:  # it has just gone, or is a link to nowhere
        reason = error.strerror or "it cannot be read"
        listed.unreadable.append((File(path, listed.unit, kind, 0, 0), reason))
        return
    file = File(path, listed.unit, kind, facts.st_size, facts.st_mtime_ns)
    if stat.S_ISREG(facts.st_mode):
        listed.files.append(file)
    else:
        listed.unreadable.append((file, "a device or a pipe, not a file"))


def _unit_of(path: str) -> Unit:
    """What a directory is, by what it holds; of a virtual environment that is its site-packages."""
    names = {name.lower() for name in _names(path)}
    site = os.path.join(path, "Lib", "site-packages")
    kind: UnitKind = "directory"
    if "conda-meta" in names:
        kind = "prefix"
    elif "pyvenv.cfg" in names and os.path.isdir(site):
        return Unit(site, "site")
    elif os.path.basename(path).lower() == "site-packages" or any(name.endswith(".dist-info") for name in names):
        kind = "site"
    return Unit(path, kind)


def _names(path: str) -> list[str]:
    try:
        return os.listdir(core.extended_path(path))
    except OSError:
        return []
