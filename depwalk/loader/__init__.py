"""What the real loader does with a file, in a disposable child process.

This is the only module that lets foreign code run. The child belongs to the interpreter that is being diagnosed, sits
in a job that ends with this process, has a time limit and no way to show a dialog.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from depwalk import core, search, tables
from depwalk.target.python import running_architecture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from depwalk.graph import Graph
    from depwalk.target import Target

_CHILD = Path(__file__).with_name("_child.py")
_CREATE_NO_WINDOW = 0x08000000
MODULE_NOT_FOUND = 126
PYTHON_FLAGS = ("-I", "-S", "-B")


@dataclass(frozen=True)
class Failure:
    """A module that fails when it is loaded alone, although all that it needs loads."""

    path: str
    code: int | None  # GetLastError; None if the child died
    exit_code: int = 0  # of that child


@dataclass(frozen=True)
class LoadTrace:
    """How one load ended. Exactly one of `code` (0: loaded), `exit_code` and `timed_out` tells."""

    code: int | None  # GetLastError
    exit_code: int | None = None  # of a child that died before it could answer
    timed_out: bool = False
    modules: tuple[str, ...] = ()  # paths of the modules that the load brought, in load order
    deepest: Failure | None = None  # the deepest module that fails, if the dependencies were tried one by one
    elapsed_ms: float = 0.0  # of the load; of the whole child if that did not answer

    @property
    def loaded(self) -> bool:
        """The loader took the file."""
        return self.code == 0

    @property
    def status(self) -> str | None:
        """Name of the NTSTATUS or exception behind the code, if it is known."""
        number = self.code if self.code is not None else self.exit_code
        if number is None:
            return None
        found = describe(number)
        return str(found.get("status") or found.get("name")) if found else None


def describe(code: int) -> dict[str, Any]:
    """The row of data/codes.toml for a Win32 code, an exception or an exit code; empty if it is not listed."""
    codes = tables.table("codes.toml")
    row: dict[str, Any] = codes["win32"].get(str(code)) or codes["exception"].get(f"0x{code:08X}") or {}
    return row


def can_load(path: str, target: Target) -> bool:
    """Whether this machine can be asked: it runs Windows, and the file is a DLL for a process it can start.

    The child loads this process's own core, so that both must be of one architecture.
    """
    python = target.python
    live = target.windows.live and python is not None and python.executable is not None
    own = python is not None and python.architecture == running_architecture()
    return sys.platform == "win32" and live and own and not path.lower().endswith(".exe")


def test_load(path: str, target: Target, timeout: float) -> LoadTrace:
    """Load a file as the target's Python would import it; `timeout` in seconds. Raises OSError if no child starts."""
    flags = search.load_flags(target, path)
    searches_added = bool(flags & search.PYTHON_IMPORT)
    directories = list(target.dll_dirs) if searches_added else []
    search_path = target.path if searches_added else search.legacy_path(target)
    ran = _run(target, [os.path.abspath(path)], directories, flags, search_path, timeout, list_modules=True)
    answers = [record for record in ran.records if "code" in record]
    if not answers:
        return LoadTrace(None, ran.exit_code, ran.timed_out, elapsed_ms=ran.elapsed_ms)
    answer = answers[0]
    return LoadTrace(answer["code"], modules=tuple(answer["modules"]), elapsed_ms=answer["ms"])


def deepest_failure(graph: Graph, target: Target, timeout: float) -> Failure | None:
    """Load every dependency alone, leaves first, and return the first that fails; None if none does.

    Each is loaded with the search list of the top-level file, given as directories of its own (windows-loader 4), so
    that none sees its own directory in place of it.
    """
    modules = [
        module for module in graph.modules[1:] if module.status == "found" and module.path and not module.delayed
    ]
    files = [str(module.path) for module in sorted(modules, key=lambda module: -module.depth)]
    rules = [rule.directory for rule in graph.rules if rule.directory is not None]
    directories = [found.path for found in reversed(rules) if found.is_real and found.exists]
    ran = _run(target, files, directories, search.USER_DIRS, target.path, timeout, list_modules=False)
    for record in ran.records:
        if record.get("code"):
            return Failure(record["path"], record["code"], ran.exit_code)
    last = ran.records[-1] if ran.records else {}
    return Failure(last["loading"], None, ran.exit_code) if "loading" in last else None


@dataclass(frozen=True)
class _Ran:
    records: list[dict[str, Any]]
    exit_code: int
    timed_out: bool
    elapsed_ms: float


def _run(
    target: Target,
    files: Sequence[str],
    directories: Sequence[str],
    flags: int,
    search_path: Sequence[str],
    timeout: float,
    *,
    list_modules: bool,
) -> _Ran:
    python = target.python
    assert python is not None
    assert python.executable is not None
    with tempfile.TemporaryDirectory(prefix="depwalk-") as folder:
        record = os.path.join(folder, "record")
        request = {
            "core": str(core.LIBRARY),
            "record": record,
            "path": os.pathsep.join(search_path),
            "directories": list(directories),
            "flags": flags,
            "files": list(files),
            "list_modules": list_modules,
        }
        started = time.perf_counter()
        exit_code, timed_out = _supervise([python.executable, *PYTHON_FLAGS, str(_CHILD)], json.dumps(request), timeout)
        elapsed = (time.perf_counter() - started) * 1000
        try:
            lines = Path(record).read_text("utf-8").splitlines()
        except OSError:
            lines = []
    records = [json.loads(line) for line in lines if line.endswith("}")]
    if not records and not timed_out:
        raise OSError(f"the child process ended with {exit_code} before it began")
    return _Ran(records, exit_code, timed_out, elapsed)


def _supervise(command: Sequence[str], request: str, timeout: float) -> tuple[int, bool]:
    """Run the child to its end or to the time limit: (exit code, whether it was ended by the limit)."""
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        creationflags=_CREATE_NO_WINDOW,
    )
    guard = _guard(child)  # the child waits for its request: nothing foreign runs before
    try:
        child.communicate(request + "\n", timeout=timeout)
    except subprocess.TimeoutExpired:
        return 0, True
    except OSError:  # it died before it read its request
        child.wait(timeout)
    finally:
        if guard is not None:
            guard.close()
        child.kill()
        child.wait()
    return child.returncode, False


def _guard(child: subprocess.Popen[str]) -> core.Guard | None:
    """Put the child into a job of its own; Windows 7 refuses that to a process that is in a job itself."""
    try:
        return core.Guard(int(child._handle))  # type: ignore[attr-defined]  # noqa: SLF001  (it has no public name)
    except OSError:
        return None
