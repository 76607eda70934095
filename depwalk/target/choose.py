"""From what a user asked for, and what this machine is, to one Target."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from depwalk import choices, cpu, runtimes, tables, wheel
from depwalk.target import Target, environment, python, windows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from depwalk.cpu import Cpu
    from depwalk.image import Image
    from depwalk.target.python import Python
    from depwalk.target.windows import Windows

OLDEST_MINOR, FIRST_FOR_ARM64, FIRST_FREE_THREADED = 5, 11, 13  # of python.org's installers
NEWEST_MINOR = 14  # assumed where nothing says which CPython: a stable-ABI module, or a DLL that knows no Python


@dataclass(frozen=True)
class Machine:
    """What this machine is, where it runs Windows."""

    system_root: str
    executable: str  # the interpreter that really runs, not a venv's redirector
    path: tuple[str, ...]
    cwd: str
    variables: Mapping[str, str] = field(default_factory=dict)  # as environment.kept gives them


class Choice(NamedTuple):
    """What a user asked for, in the words of the command line; None is the default."""

    windows: str | None = None
    root: str | None = None
    python: str | None = None
    dll_dirs: tuple[str, ...] = ()
    path: tuple[str, ...] | None = None
    runtimes: tuple[str, ...] = ()
    cpu: str | None = None
    otherwise: int | None = None  # minor version of the CPython, where neither the user nor the file says which


def choose(file: Image | None, choice: Choice, machine: Machine | None) -> Target:
    """The target for a file, or for an import of which no file is known yet. `machine` is None off Windows.

    Raises ValueError with a sentence for a person.
    """
    system = _windows(choice, machine)
    interpreter = _python(file, choice, machine if system.live else None, system)
    architecture = interpreter.architecture if interpreter else _process_of(file)
    for name in choice.runtimes:
        runtimes.assumed_dlls(name, architecture)
    for directory in choice.dll_dirs:
        if not os.path.isdir(directory):
            raise ValueError(f"{directory}: no such directory (--dll-dir)")
    here = machine if system.live else None
    path = choice.path if choice.path is not None else here.path if here else ()
    return Target(
        windows=system,
        architecture=architecture,
        python=interpreter,
        dll_dirs=tuple(os.path.abspath(directory) for directory in choice.dll_dirs),
        path=path,
        cwd=here.cwd if here else None,
        environment=environment.around(interpreter, file.path if file else None, here.variables if here else {}),
        runtimes=choice.runtimes,
        cpu=_cpu(choice, architecture, live=system.live),
    )


def python_names() -> list[str]:
    """What --python takes as X.Y, as far as there are such Pythons today."""
    names = []
    for minor in range(NEWEST_MINOR, OLDEST_MINOR - 1, -1):
        kinds = ("", "t") if minor >= FIRST_FREE_THREADED else ("",)
        architectures = ("", "-32", "-arm64") if minor >= FIRST_FOR_ARM64 else ("", "-32")
        names += [f"3.{minor}{kind}{suffix}" for kind in kinds for suffix in architectures]
    return names


def _windows(choice: Choice, machine: Machine | None) -> Windows:
    if choice.root is not None:
        return windows.at_root(choice.root)
    name = choice.windows or ("live" if machine else "11")
    if name != "live":
        return windows.named(name)
    if machine is None:
        raise ValueError("this machine does not run Windows: choose a version with --windows, or a drive with --root")
    return windows.live(machine.system_root)


def _cpu(choice: Choice, architecture: str, *, live: bool) -> Cpu | None:
    found = cpu.named(choice.cpu) if choice.cpu is not None else cpu.live() if live else None
    return None if architecture == "arm64" else found  # an Arm64 process executes no x86 instruction


def _python(file: Image | None, choice: Choice, machine: Machine | None, system: Windows) -> Python | None:
    if choice.python is None:
        if machine:
            return python.running(machine.executable)
        return _read_off(file, choice.otherwise or _newest_on(system)) if file else None
    version = python.parse(choice.python)
    if version is None:
        if not os.path.isfile(choice.python):
            meant = choices.meant(choice.python, python_names())
            raise ValueError(f"unknown Python {choice.python!r}: {meant} is {choices.PYTHON}")
        return python.at(choice.python)
    minor, architecture, free_threaded = version
    if machine is None:
        return python.assumed(minor, architecture, free_threaded=free_threaded)
    return _on_this_machine(minor, architecture, free_threaded, python.running(machine.executable))


def _on_this_machine(minor: int, architecture: str, free_threaded: bool, own: Python) -> Python:
    if (own.minor, own.architecture, own.free_threaded) == (minor, architecture, free_threaded):
        return own
    found = python.installed(minor, architecture, free_threaded=free_threaded)
    if found:
        return python.at(found)
    # Not installed here: loads are tried in this interpreter's process, by the rules of that version.
    return own._replace(minor=minor, free_threaded=free_threaded, stand_in=True)


def _read_off(file: Image, otherwise: int) -> Python | None:
    """The CPython a file is for, as far as the file, or its distribution, tells; else the one that is named."""
    if not file.is_dll and file.path.lower().endswith(".exe"):
        return None
    build = python.built_for(file)
    minor = build.minor if build and build.minor is not None else _told_by_its_wheel(file) or otherwise
    return python.assumed(minor, _process_of(file), free_threaded=bool(build and build.free_threaded))


def _newest_on(system: Windows) -> int:
    """The newest CPython that a Windows runs, as far as one is known here."""
    releases = {row["id"]: tuple(row["version"]) for row in windows.releases()}
    too_new = [
        int(row["since"])
        for row in tables.table("pythons.toml")["supports"]
        if system.version < releases[row["windows"]] and system.version[0]
    ]
    return min(too_new, default=NEWEST_MINOR + 1) - 1


def _told_by_its_wheel(file: Image) -> int | None:
    """The minor version that its distribution was built for; none if that fits several."""
    found = wheel.distribution_of(file.path)
    return found.only_minor if found else None


def _process_of(file: Image | None) -> str:
    return {"x86": "x86", "arm64": "arm64", "arm64x": "arm64"}.get(file.architecture if file else "", "x64")
