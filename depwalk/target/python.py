"""The Python that would load the file: this interpreter, another python.exe, or one that is only assumed."""

from __future__ import annotations

import os
import re
import struct
import sys
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from depwalk import image, tables
from depwalk.target.directory import Directory

if TYPE_CHECKING:
    from depwalk.image import Image

_PATTERN = re.compile(r"3\.([5-9]|[1-9]\d)(t?)(-32|-arm64)?", re.ASCII)
_TAG = re.compile(r"(_d)?\.cp3(\d{1,2})(t?)-(win32|win_amd64|win_arm64)\.pyd$", re.IGNORECASE | re.ASCII)
_DLL = re.compile(r"python3(\d{0,2})(t?)(_d)?\.dll", re.IGNORECASE | re.ASCII)
_ARCHITECTURES = {
    None: "x64",
    "-32": "x86",
    "-arm64": "arm64",
    "win32": "x86",
    "win_amd64": "x64",
    "win_arm64": "arm64",
}

# What conda's builds of CPython 3.10 and later add, in the order of the search (windows-loader 1.12).
_CONDA_DIRECTORIES = ("Library\\mingw-w64\\bin", "Library\\usr\\bin", "Library\\bin", "Scripts", "bin")


class Python(NamedTuple):
    """A CPython for Windows."""

    minor: int  # of its version: 11 for CPython 3.11
    architecture: str  # x64, x86 or arm64
    directory: Directory  # its application directory: that of the python.exe that really runs
    free_threaded: bool = False
    executable: str | None = None  # None if it is only assumed
    stand_in: bool = False  # this version is not installed: `executable`, another one, takes its place in a test-load
    conda: bool = False
    launcher: str | None = None  # a virtual environment's python.exe, which starts `executable`

    @property
    def name(self) -> str:
        """As --python takes it."""
        suffix = {"x86": "-32", "arm64": "-arm64"}.get(self.architecture, "")
        return f"3.{self.minor}{'t' if self.free_threaded else ''}{suffix}"

    @property
    def label(self) -> str:
        """For a person."""
        bits = {"x86": "32-bit", "x64": "64-bit", "arm64": "Arm64"}.get(self.architecture, self.architecture)
        kind = "free-threaded, " if self.free_threaded else ""
        where = f" at {self.executable}" if self.executable else ""
        if self.stand_in:
            where = ", not installed here"
        return f"CPython 3.{self.minor} ({kind}{bits}){where}"

    @property
    def dll(self) -> str:
        """Its own DLL."""
        return f"python3{self.minor}{'t' if self.free_threaded else ''}.dll"

    @property
    def restricts_search(self) -> bool:
        """Since 3.8 an import searches neither PATH nor the current directory (windows-loader 1.12)."""
        return self.minor >= 8

    @property
    def added_directories(self) -> tuple[str, ...]:
        """Directories this build adds by itself, first searched first."""
        if not (self.conda and self.minor >= 10):
            return ()
        return tuple(os.path.join(self.directory.path, *part.split("\\")) for part in _CONDA_DIRECTORIES)

    def passes_over(self, name: str) -> bool:
        """Whether an import passes over an extension module of this file name, which is tagged for another Python."""
        tag = _TAG.search(name)
        wanted = self.minor, self.free_threaded, self.architecture
        return tag is not None and (int(tag[2]), bool(tag[3]), _ARCHITECTURES[tag[4].lower()]) != wanted

    def own_dlls(self) -> list[str]:
        """What is loaded from its directory before the first import of an extension."""
        return [self._fill(name) for name in tables.table("pythons.toml")["loaded"]["own"]]

    def _fill(self, name: str) -> str:
        return name.format(version=f"3{self.minor}", t="t" if self.free_threaded else "")


class Build(NamedTuple):
    """What Python an extension module was built for."""

    minor: int | None  # of its version; None for the stable ABI
    free_threaded: bool
    debug: bool  # a debug build of Python

    @property
    def dll(self) -> str:
        """The Python DLL that such a module imports."""
        version = "" if self.minor is None else str(self.minor)
        return f"python3{version}{'t' if self.free_threaded else ''}{'_d' if self.debug else ''}.dll"


def running(base_executable: str) -> Python:
    """The interpreter that runs depwalk. A venv's python.exe starts its base interpreter: that one counts."""
    in_venv = os.path.normcase(base_executable) != os.path.normcase(sys.executable)
    return Python(
        minor=sys.version_info[1],
        architecture=running_architecture(),
        directory=Directory(os.path.dirname(base_executable)),
        free_threaded=not getattr(sys, "_is_gil_enabled", lambda: True)() or "free-threading" in sys.version,
        executable=base_executable,
        conda=os.path.isdir(os.path.join(sys.base_prefix, "conda-meta")),
        launcher=sys.executable if in_venv else None,
    )


@cache
def assumed(minor: int, architecture: str = "x64", *, free_threaded: bool = False) -> Python:
    """A CPython from python.org that is not there: its directory holds what such an installation brings."""
    version, t = f"3{minor}", "t" if free_threaded else ""
    brings = [
        row["dll"].format(version=version, t=t)
        for row in tables.table("pythons.toml")["brings"]
        if minor >= row["since"] and architecture in row.get("architectures", [architecture])
    ]
    suffix = {"x86": "-32", "arm64": "-arm64"}.get(architecture, "")
    directory = Directory(f"C:\\Python{version}{t}{suffix}", {name.lower(): name for name in brings})
    return Python(minor, architecture, directory, free_threaded=free_threaded)


def parse(name: str) -> tuple[int, str, bool] | None:
    """(minor version, architecture, free-threaded) of "3.Y[t][-32|-arm64]"; None if it is no such name."""
    match = _PATTERN.fullmatch(name)
    return (int(match[1]), _ARCHITECTURES[match[3]], bool(match[2])) if match else None


def at(executable: str) -> Python:
    """Another interpreter, by its python.exe. Raises ValueError with a sentence for a person."""
    base = _base_of(executable)
    try:
        program = image.read(base)
    except image.UnreadableFile as error:
        raise ValueError(str(error)) from None
    directory = Directory(os.path.dirname(os.path.abspath(base)))
    build = built_for(program)
    if build is None or build.minor is None or build.minor < 5:
        raise ValueError(f"{executable}: not the python.exe of CPython 3.5 or later")
    return Python(
        minor=build.minor,
        architecture=program.architecture,
        directory=directory,
        free_threaded=build.free_threaded,
        executable=base,
        conda=os.path.isdir(os.path.join(directory.path, "conda-meta")),
        launcher=executable if base != executable else None,
    )


def installed(minor: int, architecture: str, *, free_threaded: bool) -> str | None:
    """The python.exe of an installed CPython, by the registry (PEP 514). None if there is none."""
    if sys.platform != "win32":
        return None
    import winreg

    suffix = {"x86": "-32", "arm64": "-arm64"}.get(architecture, "")
    key = f"Software\\Python\\PythonCore\\3.{minor}{'t' if free_threaded else ''}{suffix}\\InstallPath"
    for hive in (winreg.HKEY_CURRENT_USER, winreg.HKEY_LOCAL_MACHINE):
        for view in (winreg.KEY_WOW64_64KEY, winreg.KEY_WOW64_32KEY):
            try:
                with winreg.OpenKey(hive, key, 0, winreg.KEY_READ | view) as found:
                    path, _ = winreg.QueryValueEx(found, "ExecutablePath")
            except OSError:
                continue
            if os.path.isfile(path):
                return str(path)
    return None


def built_for(file: Image) -> Build | None:
    """What an image was built for, by the Python DLL it imports, else by its file name. None if by neither."""
    builds = [build for imported in file.imports if (build := build_of_dll(imported.dll))]
    versioned = next((build for build in builds if build.minor is not None), None)
    if versioned is not None:
        return versioned
    tag = _TAG.search(os.path.basename(file.path))
    if tag:
        return Build(int(tag[2]), bool(tag[3]), bool(tag[1]))
    return builds[0] if builds else None


@lru_cache(maxsize=65536)
def build_of_dll(name: str) -> Build | None:
    """The build that a Python DLL belongs to: "python37.dll", "python3.dll", "python313t_d.dll". None if it is none."""
    match = _DLL.fullmatch(name)
    return Build(int(match[1]) if match[1] else None, bool(match[2]), bool(match[3])) if match else None


def running_architecture() -> str:
    """Of this process."""
    if struct.calcsize("P") == 4:
        return "x86"
    return "arm64" if "ARM64" in sys.version else "x64"


def _base_of(executable: str) -> str:
    """The interpreter behind a venv's python.exe (windows-loader 1.12); the same one if it is no venv."""
    for directory in (os.path.dirname(executable), os.path.dirname(os.path.dirname(executable))):
        try:
            with open(os.path.join(directory, "pyvenv.cfg"), encoding="utf-8", errors="replace") as file:
                pairs = [line.partition("=") for line in file]
        except OSError:
            continue
        home = next((value.strip() for key, _, value in pairs if key.strip().lower() == "home"), "")
        return os.path.join(home, os.path.basename(executable)) if home else executable
    return executable
