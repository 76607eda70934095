"""The Windows that would load the file: this one, a named version, or the one on some system drive."""

from __future__ import annotations

import ntpath
import os
import re
import sys
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from depwalk import choices, core, image, tables
from depwalk.target import api_sets
from depwalk.target.api_sets import ApiSets
from depwalk.target.directory import Directory

if TYPE_CHECKING:
    from collections.abc import Iterable

_PATTERN = re.compile(r"(11|10|8\.1|8|7)(-N)?(-core)?(-x86|-arm64)?", re.IGNORECASE)
_ROOT = "C:\\Windows"
_RUN = {
    "x86": {"x86"},
    "x64": {"x86", "x64"},
    "arm64": {"x86", "x64", "arm", "arm64", "arm64ec", "arm64x"},
}


@dataclass(frozen=True)
class Windows:
    """A Windows version."""

    name: str  # as --windows takes it
    label: str  # for a person
    version: tuple[int, int, int]  # major, minor, build
    architecture: str  # of the system, not of a process: x64, x86 or arm64
    api_sets: ApiSets = field(repr=False)  # which DLL stands behind an API set
    known_dlls: frozenset[str] = field(repr=False)  # lower-case names
    live: bool = False  # this machine's
    emulator: str | None = None  # "Wine"
    root: str | None = None  # the Windows directory, None if this Windows is only assumed
    dlls: str = ""  # which of depwalk/data/windows is assumed
    editions: tuple[str, ...] | None = None  # of windows.toml, () for a full one, None if it is not known
    _directories: dict[str, tuple[Directory, Directory, Directory]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def absent(self) -> frozenset[str]:
        """Lower-case names of the DLLs that its edition leaves out."""
        rows = tables.table("windows.toml")["edition"]
        return frozenset(name for key in self.editions or () for name in rows[key]["absent"])

    def runs(self, architecture: str) -> bool:
        """Whether it starts programs of an architecture, as they are or by emulating them; not known for others."""
        return architecture in _RUN.get(self.architecture, {architecture})

    def system_directories(self, process: str) -> tuple[Directory, Directory, Directory]:
        """System32, System and the Windows directory as a process of this architecture sees them."""
        if process not in self._directories:
            self._directories[process] = self._directories_of(process)
        return self._directories[process]

    def _directories_of(self, process: str) -> tuple[Directory, Directory, Directory]:
        narrow = process == "x86" and self.architecture != "x86"
        if self.root is not None:
            system32 = _child(self.root, "SysWOW64" if narrow else "System32")
            return _own(system32), _own(_child(self.root, "System")), _own(self.root)
        system32 = ntpath.join(_ROOT, "SysWOW64" if narrow else "System32")
        # An x64 process on Arm64 shares its system DLLs, which hold code for both (windows-loader 2, ARM64X).
        listed = _listed(f"windows/{self.dlls}-{'x86' if process == 'x86' else self.architecture}.txt", self.absent)
        return (
            Directory(system32, listed, system=True),
            Directory(ntpath.join(_ROOT, "System"), {}, system=True),
            Directory(_ROOT, {}, system=True),
        )


@cache
def named(name: str) -> Windows:
    """A Windows version by the name that --windows takes. Raises ValueError with a sentence for a person."""
    match = _PATTERN.fullmatch(name)
    if not match:
        bare = name.lower().removeprefix("windows").removeprefix("win").strip(" -")
        raise ValueError(f"unknown Windows {name!r}: {choices.meant(bare, names())} is one of {choices.WINDOWS}")
    base, n, core_edition, suffix = match.groups()
    profile = tables.table("windows.toml")["profile"][base]
    architecture = suffix[1:].lower() if suffix else "x64"
    if architecture not in profile["architectures"]:
        raise ValueError(f"unknown Windows {name!r}: {profile['label']} was not made for {architecture}")
    editions = (*(("N",) if n else ()), *(("core",) if core_edition else ()))
    rows = tables.table("windows.toml")["edition"]
    labels = [profile["label"], *(rows[key]["label"] for key in editions)]
    return Windows(
        name=name,
        label=", ".join(labels) + f" ({architecture})",
        version=_triple(profile["version"]),
        architecture=architecture,
        api_sets=api_sets.from_table(profile["api_sets"], complete=profile["api_sets_complete"]),
        known_dlls=_assumed_known_dlls(),
        dlls=profile["dlls"],
        editions=editions,
    )


def names() -> list[str]:
    """What --windows takes, without the editions of other architectures."""
    found = ["live"]
    for base, profile in tables.table("windows.toml")["profile"].items():
        others = [f"-{architecture}" for architecture in profile["architectures"] if architecture != "x64"]
        found += [f"{base}{suffix}" for suffix in ("", "-N", "-core", *others)]
    return found


def live(system_root: str) -> Windows:
    """The Windows of this machine; `system_root` is its SystemRoot. Only to be called on Windows."""
    if sys.platform != "win32":
        raise ValueError("this machine does not run Windows: choose a version with --windows")
    version = sys.getwindowsversion().platform_version or (0, 0, 0)
    own = core.api_set_map()
    wine = _is_wine(system_root)
    architecture = _architecture_of(system_root)
    editions = None if wine else editions_of(_registered("InstallationType"), _registered("EditionID"))
    label = f"{live_label(version, editions)} ({architecture})" + (", emulated by Wine" if wine else "")
    return Windows(
        name="live",
        label=label,
        version=version,
        architecture=architecture,
        api_sets=api_sets.from_map(own) if own else ApiSets(),
        known_dlls=frozenset(name.lower() for name in core.known_dlls()),
        live=True,
        emulator="Wine" if wine else None,
        root=system_root,
        editions=editions,
    )


def at_root(root: str) -> Windows:
    """The Windows on a mounted system drive or in a Wine prefix. Raises ValueError with a sentence for a person."""
    for drive in (root, _child(root, "drive_c")):
        windows = _child(drive, "Windows")
        if os.path.isdir(_child(windows, "System32")):
            break
    else:
        raise ValueError(f"{root}: there is no Windows\\System32 in it")
    wine = _is_wine(windows)
    version = _system_version(windows)
    architecture = _architecture_of(windows)
    return Windows(
        name=root,
        label=f"{_release_label(version)} ({architecture}) in {root}" + (", a Wine prefix" if wine else ""),
        version=version,
        architecture=architecture,
        api_sets=_schema_of(windows),
        known_dlls=frozenset() if wine else _assumed_known_dlls(),
        emulator="Wine" if wine else None,
        root=windows,
    )


def editions_of(installation_type: str, edition_id: str) -> tuple[str, ...] | None:
    """The edition of windows.toml by what the registry says: () for a full one, None if it says nothing."""
    kinds: dict[str, str] = tables.table("windows.toml")["installation_type"]
    if installation_type in kinds:
        return (kinds[installation_type],)
    is_n = re.fullmatch(r".+N(Eval)?", edition_id) is not None  # ProfessionalN, CoreKN, EnterpriseSNEval
    return ("N",) if is_n else () if installation_type else None


def live_label(version: tuple[int, int, int], editions: tuple[str, ...] | None) -> str:
    """A Windows by its version and edition, for a person."""
    server = not {"server", "core", "nano"}.isdisjoint(editions or ())
    rows = tables.table("windows.toml")["edition"]
    labels = [f"{_release_label(version, server=server)} build {version[2]}"]
    return ", ".join([*labels, *(rows[key]["label"] for key in editions or () if key != "server")])


def releases() -> list[dict[str, Any]]:
    """The releases of Windows that functions.tsv names, oldest first: id, label, version."""
    rows: list[dict[str, Any]] = tables.table("windows.toml")["release"]
    return rows


@cache
def _listed(table: str, absent: frozenset[str]) -> dict[str, str]:
    """Lower-case name -> name of the DLLs of an assumed Windows, less what its edition leaves out."""
    unlisted = tables.table("windows.toml")["unlisted"]["names"]
    return {name: name for name in (*tables.lines(table), *unlisted) if name not in absent}


def _triple(numbers: Iterable[int]) -> tuple[int, int, int]:
    major, minor, build = numbers
    return major, minor, build


def _own(path: str) -> Directory:
    return Directory(path, system=True)


def _child(directory: str, name: str) -> str:
    """Path of an entry of a directory whatever its case: a Windows drive may be mounted where case matters."""
    return Directory(directory).find(name) or os.path.join(directory, name)


def _assumed_known_dlls() -> frozenset[str]:
    rows = tables.table("windows.toml")["known_dlls"]
    return frozenset(rows["seeds"]) | frozenset(rows["added"])


def _release_label(version: tuple[int, int, int], *, server: bool = False) -> str:
    rows = [row for row in releases() if ("Server" in row["label"]) == server and tuple(row["version"]) <= version]
    return rows[-1]["label"] if rows else "Windows"


def _registered(name: str) -> str:
    """What the registry says of this Windows; empty if it does not."""
    if sys.platform != "win32":
        return ""
    import winreg

    try:
        with winreg.OpenKey(
            winreg.HKEY_LOCAL_MACHINE,
            "SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion",
            0,
            winreg.KEY_READ | winreg.KEY_WOW64_64KEY,
        ) as key:
            value, _ = winreg.QueryValueEx(key, name)
    except OSError:
        return ""
    return str(value)


def _system_dll(windows: str, name: str) -> image.Image | None:
    path = Directory(_child(windows, "System32")).find(name)
    try:
        return image.read(path) if path else None
    except image.UnreadableFile:
        return None


def _is_wine(windows: str) -> bool:
    ntdll = _system_dll(windows, "ntdll.dll")
    return ntdll is not None and ntdll.lookup("wine_get_version") is not None


def _architecture_of(windows: str) -> str:
    """Of the system: a 32-bit process is shown SysWOW64 in place of System32, so that one counts only if alone."""
    if os.path.isdir(_child(windows, "Sysnative")):
        kernel = image.read(os.path.join(windows, "Sysnative", "kernel32.dll"))
    else:
        found = _system_dll(windows, "kernel32.dll")
        if found is None:
            return "x64"
        kernel = found
    return {"arm64x": "arm64", "arm64ec": "arm64"}.get(kernel.architecture, kernel.architecture)


def _system_version(windows: str) -> tuple[int, int, int]:
    kernel = _system_dll(windows, "kernel32.dll")
    return kernel.version[:3] if kernel and kernel.version else (0, 0, 0)


def _schema_of(windows: str) -> ApiSets:
    schema = _system_dll(windows, "apisetschema.dll")
    section = schema.section(".apiset") if schema else b""
    try:
        return api_sets.from_map(section)
    except ValueError:
        return ApiSets(complete=False)
