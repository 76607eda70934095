"""Target: the Windows, the process and the directories in which a file would be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from depwalk.target.directory import Directory

if TYPE_CHECKING:
    from depwalk.cpu import Cpu
    from depwalk.target.environment import Environment
    from depwalk.target.python import Python
    from depwalk.target.windows import Windows

__all__ = ["Directory", "Inferred", "Setting", "Target"]


class Inferred(NamedTuple):
    """A directory that a package adds when it is imported, by its own source."""

    path: str
    source: str  # file and line


class Target(NamedTuple):
    """Where a file would run."""

    windows: Windows
    architecture: str  # of the process: x64, x86 or arm64
    python: Python | None = None  # None for a process that is no Python
    dll_dirs: tuple[str, ...] = ()  # as os.add_dll_directory, in the order they were added
    inferred: tuple[Inferred, ...] = ()  # directories that the file's package adds, in that order, before the others
    preloads: tuple[str, ...] = ()  # files that the file's package loads before it, by its own source
    path: tuple[str, ...] = ()  # entries of PATH
    cwd: str | None = None  # the current directory, None if it is not known
    loaded: tuple[str, ...] = ()  # files that the process has loaded before, in that order
    environment: Environment | None = None  # around that Python, None if nothing is known of it
    runtimes: tuple[str, ...] = ()  # redistributables assumed to be installed, as --with-runtime names them
    cpu: Cpu | None = None  # None: nothing is assumed of the processor

    @property
    def added_directories(self) -> tuple[str, ...]:
        """Everything that is added as by os.add_dll_directory, in that order: the last is searched first."""
        return (*(found.path for found in self.inferred), *self.dll_dirs)

    @property
    def system_directories(self) -> tuple[Directory, Directory, Directory]:
        """System32, System and the Windows directory, as the process sees them."""
        return self.windows.system_directories(self.architecture)


class Setting(tuple[object, ...]):  # noqa: SLOT001  (a tuple can have no slots, and the target needs a place)
    """A target as a key, by what decides a question: two are equal if these parts are.

    Of Windows and Python it is asked whether they are the same objects: each is made once.
    """

    target: Target

    def __new__(cls, target: Target, *parts: object) -> Setting:
        made = super().__new__(cls, (id(target.windows), id(target.python), target.architecture, parts))
        made.target = target
        return made
