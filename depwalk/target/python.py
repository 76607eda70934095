"""The Python that would load the file: this interpreter, another python.exe, or one that is only assumed."""

from __future__ import annotations

import os
import re
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from depwalk import image, tables
from depwalk.target.directory import Directory

if TYPE_CHECKING:
    from depwalk.image import Image

NAMES = "a python.exe, or X.Y[t][-32|-arm64]"
_PATTERN = re.compile(r"3\.(\d{1,2})(t?)(-32|-arm64)?")
_TAG = re.compile(r"(_d)?\.cp3(\d{1,2})(t?)-(win32|win_amd64|win_arm64)\.pyd$", re.IGNORECASE)
_DLL = re.compile(r"python3(\d{1,2})(t?)(_d)?\.dll", re.IGNORECASE)
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


@dataclass(frozen=True)
class Python:
    """A CPython for Windows. `directory` is its application directory: that of the python.exe that really runs."""

    minor: int
    architecture: str
    directory: Directory
    free_threaded: bool = False
    executable: str | None = None  # None if it is only assumed
    running: bool = False  # the interpreter that runs depwalk
    stand_in: bool = False  # this version is not installed: `executable`, another one, takes its place in a test-load
    conda: bool = False

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

    def own_dlls(self) -> list[str]:
        """What is loaded from its directory before the first import of an extension."""
        return [self._fill(name) for name in tables.table("pythons.toml")["loaded"]["own"]]

    def _fill(self, name: str) -> str:
        return name.format(version=f"3{self.minor}", t="t" if self.free_threaded else "")


@dataclass(frozen=True)
class Build:
    """What Python an extension module was built for; `minor` is None for the stable ABI."""

    minor: int | None
    free_threaded: bool
    debug: bool


def running(base_executable: str) -> Python:
    """The interpreter that runs depwalk. A venv's python.exe starts its base interpreter: that one counts."""
    return Python(
        minor=sys.version_info[1],
        architecture=_running_architecture(),
        directory=Directory(os.path.dirname(base_executable)),
        free_threaded=not getattr(sys, "_is_gil_enabled", lambda: True)() or "free-threading" in sys.version,
        executable=base_executable,
        running=True,
        conda=os.path.isdir(os.path.join(sys.base_prefix, "conda-meta")),
    )


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
    try:
        program = image.read(executable)
    except image.UnreadableFile as error:
        raise ValueError(str(error)) from None
    base = _base_of(executable)
    directory = Directory(os.path.dirname(os.path.abspath(base)))
    match = next((match for name in program.imports if (match := _DLL.fullmatch(name.dll))), None)
    if match is None or int(match[1]) < 5:
        raise ValueError(f"{executable}: not the python.exe of CPython 3.5 or later")
    return Python(
        minor=int(match[1]),
        architecture=program.architecture,
        directory=directory,
        free_threaded=bool(match[2]),
        executable=base,
        conda=os.path.isdir(os.path.join(directory.path, "conda-meta")),
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
    found = [match for name in file.imports if (match := _DLL.fullmatch(name.dll))]
    if found:
        return Build(int(found[0][1]), bool(found[0][2]), bool(found[0][3]))
    tag = _TAG.search(os.path.basename(file.path))
    if tag:
        return Build(int(tag[2]), bool(tag[3]), bool(tag[1]))
    stable = [name.dll.lower() for name in file.imports if name.dll.lower() in ("python3.dll", "python3t.dll")]
    return Build(None, stable[0] == "python3t.dll", debug=False) if stable else None


def _running_architecture() -> str:
    if struct.calcsize("P") == 4:
        return "x86"
    return "arm64" if "ARM64" in sys.version else "x64"


def _base_of(executable: str) -> str:
    """The interpreter behind a venv's python.exe (windows-loader 1.12); the same one if it is no venv."""
    for directory in (os.path.dirname(executable), os.path.dirname(os.path.dirname(executable))):
        try:
            with open(os.path.join(directory, "pyvenv.cfg"), encoding="utf-8") as file:
                keys = dict(line.replace(" ", "").strip().split("=", 1) for line in file if "=" in line)
        except OSError:
            continue
        home = keys.get("home", "")
        return os.path.join(home, os.path.basename(executable)) if home else executable
    return executable
