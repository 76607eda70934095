"""Looking at files: on the disk, and in wheels, each of which stands for the directory that it would be unpacked to.

While a question is being answered nothing is looked at twice: see `remembering`.
"""

from __future__ import annotations

import errno
import functools
import os
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from depwalk import core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any, Protocol

    from depwalk.archive import Member

    Function = TypeVar("Function", bound=Callable[..., Any])

    class Tree(Protocol):
        """What a wheel, or several, would be unpacked to: an archive.Archive, or what has the same of it."""

        path: str

        @property
        def members(self) -> Mapping[str, Member]: ...
        @property
        def directories(self) -> Mapping[str, Mapping[str, str]]: ...
        def read(self, name: str, most: int | None = None) -> bytes: ...
        def content(self, name: str) -> bytes | str: ...
        def close(self) -> None: ...

    AnyTree = TypeVar("AnyTree", bound=Tree)

_SUFFIX = ".whl"
_mounted: dict[str, Tree] = {}  # by the wheel's path

# ---- remembering


class _Questions:
    """How many are being answered, in all threads, and what was learned for them: arguments -> answer by function."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.count = 0
        self.memories: list[dict[Any, Any]] = []


_questions = _Questions()


@contextmanager
def remembering() -> Iterator[None]:
    """Within it, what `remembered` functions say of the disk is taken to stay as it is.

    After the outermost one everything is forgotten, so that no file stays mapped.
    """
    with _questions.lock:
        _questions.count += 1
    try:
        yield
    finally:
        with _questions.lock:
            _questions.count -= 1
        if not _questions.count:
            forget()


def remembered(function: Function) -> Function:
    """A function that is asked once for the same arguments, while a question is being answered."""
    memory: dict[Any, Any] = {}
    _questions.memories.append(memory)

    @functools.wraps(function)
    def ask(*arguments: Any) -> Any:
        if not _questions.count:
            return function(*arguments)
        try:
            return memory[arguments]
        except KeyError:
            pass
        answer = memory[arguments] = function(*arguments)
        return answer

    return ask  # type: ignore[return-value]  # wraps() keeps the signature


def forget() -> None:
    """Forget everything: files may have changed since."""
    for memory in _questions.memories:
        memory.clear()


# ---- wheels


@contextmanager
def mounted(archive: AnyTree) -> Iterator[AnyTree]:
    """Within it, the paths below a wheel's own lead into it."""
    _mounted[archive.path] = archive
    try:
        yield archive
    finally:
        del _mounted[archive.path]
        forget()
        archive.close()


def _inside(path: str) -> tuple[Tree, str] | None:
    """The wheel that a path leads into, and the name there; None for one on the disk."""
    if not _mounted:
        return None
    end = path.lower().find(_SUFFIX + os.sep)
    wheel = path if end < 0 else path[: end + len(_SUFFIX)]
    archive = _mounted.get(wheel)
    return None if archive is None else (archive, path[len(wheel) + 1 :].rstrip(os.sep).replace(os.sep, "/").lower())


def prefix_of(path: str) -> str | None:
    """Where in its wheel a file has what would be unpacked into sys.prefix; None for one on the disk, or without."""
    inside = _inside(path)
    data = next((name for name in inside[0].directories if name.endswith(".data/data")), "") if inside else ""
    return os.path.join(inside[0].path, *data.split("/")) if inside and data else None


# ---- looking


@remembered
def listing(path: str) -> dict[str, str]:
    """Lower-case name -> name of all entries of a directory. Raises OSError."""
    inside = _inside(path)
    if inside is not None:
        archive, name = inside
        if name not in archive.directories:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return dict(archive.directories[name])
    return {name.lower(): name for name in os.listdir(core.extended_path(path or "."))}


@remembered
def names(path: str) -> tuple[str, ...]:
    """The entries of a directory, sorted. Raises OSError."""
    return tuple(sorted(listing(path).values()))


def names_in(path: str) -> tuple[str, ...]:
    """The entries of a directory, sorted; none of one that cannot be listed."""
    try:
        return names(path)
    except OSError:
        return ()


@remembered
def is_directory(path: str) -> bool:
    """Whether there is such a directory."""
    inside = _inside(path)
    return inside[1] in inside[0].directories if inside else os.path.isdir(core.extended_path(path))


def is_file(path: str) -> bool:
    """Whether there is such a file."""
    inside = _inside(path)
    return inside[1] in inside[0].members if inside else os.path.isfile(core.extended_path(path))


def exists(path: str) -> bool:
    """Whether there is such a file or directory."""
    return is_file(path) or is_directory(path)


def is_readable(path: str) -> bool:
    """Whether this process may read a file."""
    inside = _inside(path)
    return inside[1] in inside[0].members if inside else os.access(path, os.R_OK)


def stamp(path: str) -> tuple[int, int]:
    """(size in bytes, time of the last change in nanoseconds since 1970; in a wheel the wheel's). Raises OSError."""
    inside = _inside(path)
    if inside is not None:
        archive, name = inside
        if name not in archive.members:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
        return archive.members[name].size, os.stat(archive.path).st_mtime_ns
    facts = os.stat(core.extended_path(path))
    return facts.st_size, facts.st_mtime_ns


@remembered
def identity(path: str) -> object:
    """What two paths of one file have in common."""
    if _inside(path) is None:
        try:
            facts = os.stat(path)
        except OSError:
            return os.path.normcase(path)
        if facts.st_ino:
            return facts.st_dev, facts.st_ino
    return os.path.normcase(path)


def content(path: str, most: int = -1) -> bytes:
    """What is in a file, or its first `most` bytes. Raises OSError."""
    inside = _inside(path)
    if inside is not None:
        archive, name = inside
        return archive.read(name, None if most < 0 else most)
    with open(core.extended_path(path), "rb") as file:
        found: bytes = file.read(most)
        return found


def text(path: str, most: int = -1) -> str:
    """The text in a file, each line end a single one; of what is longer, its first `most` bytes. Raises OSError."""
    return as_text(content(path, most))


def as_text(found: bytes) -> str:
    """The text in what a file has, each line end a single one."""
    return found.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")


def walk(path: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """As os.walk, sorted; what cannot be listed is passed over."""
    if _inside(path) is None:
        for folder, folders, found in os.walk(path):
            folders.sort()
            yield folder, folders, sorted(found)
        return
    directories = [path] if is_directory(path) else []
    while directories:
        folder = directories.pop()
        entries = names(folder)
        folders = [name for name in entries if is_directory(os.path.join(folder, name))]
        yield folder, folders, [name for name in entries if name not in folders]
        directories += [os.path.join(folder, name) for name in reversed(folders)]


def image(path: str) -> core.File:
    """Open a PE file. Raises core.CoreError, and OSError for a member of a wheel that cannot be read."""
    inside = _inside(path)
    if inside is None:
        return core.File(path)
    archive, name = inside
    found = archive.content(name)
    return core.File(None, found) if isinstance(found, bytes) else core.File(found)
