"""What every set-up step shares: the cache, stamps, logs, progress lines and the lock."""

from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import inspect
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

CHECKOUT = Path(__file__).resolve().parent.parent
Command: TypeAlias = "Sequence[str | Path]"
STAMP = ".depwalk-ci-stamp"
LOG_TAIL_LINES = 40


class SetupError(Exception):
    """A step failed; the message says which, and what was seen."""


def cache_directory() -> Path:
    """Return the platform's cache directory for depwalk's test bed."""
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base.resolve() / "depwalk-ci"


CACHE = cache_directory()


def say(text: str) -> None:
    """Print a progress line; flushed, so that it stays in order with child output."""
    print(text, flush=True)


@contextlib.contextmanager
def progress(what: str, duration: str = "") -> Iterator[None]:
    """Say when a long step starts and when it has ended."""
    say(f"[ci] {what}{f' (about {duration})' if duration else ''} ...")
    start = time.monotonic()
    yield
    say(f"[ci] {what}: done in {time.monotonic() - start:.1f} s")


def file_hash(path: Path) -> str:
    """Return the sha256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def tree_hash(paths: Iterable[Path], ignored: Sequence[str]) -> str:
    """Hash files by name and content, directories with everything below them, but no `ignored` names."""
    digest = hashlib.sha256()
    for path in paths:
        members = sorted(path.rglob("*")) if path.is_dir() else [path]
        for member in members:
            parts = member.relative_to(path.parent).parts
            if member.is_file() and not any(fnmatch.fnmatch(part, glob) for part in parts for glob in ignored):
                digest.update(f"{'/'.join(parts)}\0{file_hash(member)}\n".encode())
    return digest.hexdigest()


def step(
    target: Path,
    what: str,
    duration: str,
    inputs: Sequence[str],
    build: Callable[[Path], None],
    *,
    in_place: bool = False,
) -> Path:
    """Make the directory `target` with `build` unless its stamp says that this was done.

    The key is made of `inputs` and of the source of `build`. The work is done under another
    name and the stamp is written last, so an interrupted step is simply done again.
    `in_place` is for what cannot be moved afterwards.
    """
    key = hashlib.sha256("\0".join([*inputs, inspect.getsource(build)]).encode()).hexdigest()
    stamp = target / STAMP
    if stamp.is_file() and stamp.read_text() == key:
        return target
    workplace = target if in_place else target.with_name(target.name + ".new")
    with progress(what, duration):
        remove_tree(workplace)
        workplace.mkdir(parents=True)
        build(workplace)
        (workplace / STAMP).write_text(key)
        if not in_place:
            remove_tree(target)
            workplace.rename(target)
    return target


def remove_tree(directory: Path) -> None:
    """Delete a directory of the cache, refusing to follow a mount out of it."""
    if not directory.exists():
        return
    mounts = Path("/proc/self/mountinfo")
    if mounts.exists():
        points = [Path(line.split()[4]) for line in mounts.read_text().splitlines()]
        if any(point.is_relative_to(directory) for point in points):
            message = f"{directory} has something mounted in it; not deleting it"
            raise SetupError(message)
    shutil.rmtree(directory)


def run_logged(
    command: Command,
    log: str,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> None:
    """Run a command with its output in a log file; show the tail of that when it fails."""
    log_file = CACHE / "logs" / f"{log}.log"
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("wb") as stream:
        status = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            check=False,
        ).returncode
    if status:
        lines = log_file.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "\n".join(lines[-LOG_TAIL_LINES:])
        words = " ".join(map(str, command))
        message = f"exit status {status} of: {words}\n{tail}\n(whole log: {log_file})"
        raise SetupError(message)


@contextlib.contextmanager
def only_run() -> Iterator[None]:
    """Hold the cache's lock: two runs would share one wineserver and one set of packages."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield
        return
    import fcntl  # not there on Windows

    with (CACHE / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("[ci] another run uses the test bed; waiting for it to end ...")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
