"""What the real loader does with a file, in disposable child processes.

This is the only room that lets foreign code run. A child belongs to the interpreter that is being diagnosed, sits in a
job that ends with this process, has a time limit, no way to show a dialog, and its output is read and bounded.
"""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from depwalk import core, cpu, search, snaps, tables
from depwalk.loader.story import Mapped, Raised
from depwalk.target.python import running_architecture

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depwalk.graph import Graph, Module
    from depwalk.loader.processes import Ran
    from depwalk.snaps import Snap
    from depwalk.target import Target

__all__ = ["Failure", "LoadTrace", "Mapped", "Raised", "can_load", "describe", "look_closer", "test_load", "trace_load"]

MODULE_NOT_FOUND = 126

# Statuses with which a process ends that could not even begin (windows-loader 3).
CANNOT_BEGIN = (0xC0000135, 0xC0000138, 0xC0000139, 0xC0000142, 0xC000007B)
PYTHON_FLAGS = ("-I", "-S", "-B")
_SHORTEST_STEP = 2.0  # seconds that one dependency may take to load, at least
_ATTEMPTS = 3  # to start a child: an interpreter can fail for a reason of the moment
_PAUSE = 0.2  # seconds before the second, and twice as long before the third
_STEPS = 3  # hanging dependencies that the time limit is enough for


class Failure(NamedTuple):
    """How the load of one module, alone, failed."""

    path: str
    code: int | None  # GetLastError; None if the child died or hung
    exit_code: int | None = None  # of that child; None if it hung
    circle: tuple[str, ...] = ()  # names of modules that need it and that it needs: they fail together


class LoadTrace(NamedTuple):
    """How one load ended: one of `code` (0: loaded), `exit_code` and `timed_out` tells."""

    code: int | None  # GetLastError; 0: it loaded
    exit_code: int | None = None  # of a child that died before it could answer
    timed_out: bool = False  # it had to be stopped
    modules: tuple[str, ...] = ()  # paths of the modules that the load brought, and preloads before it, in load order
    mapped: tuple[Mapped, ...] = ()  # the same with times, if it was traced
    raised: tuple[Raised, ...] = ()  # exceptions, in their order
    failures: tuple[Failure, ...] = ()  # modules that fail alone although all they need loads, deepest first
    snaps: tuple[Snap, ...] = ()  # what the loader itself told
    messages: tuple[str, ...] = ()  # OutputDebugString
    output: str = ""  # the end of what the child wrote
    traced: bool = False  # with the debug API: `modules` are in the order of mapping, also those of a failed load
    elapsed_ms: float = 0.0  # milliseconds of the load; of the whole child if that did not answer

    @property
    def loaded(self) -> bool:
        """The loader took the file."""
        return self.code == 0

    @property
    def ending_unknown(self) -> bool:
        """It failed, and how is not known: a Python whose ctypes does not load cannot be asked for the code."""
        return self.code is None and self.exit_code is None and not self.timed_out

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
    """Whether this machine can be asked: it runs Windows, the file is a DLL, and the child has a core to load."""
    return can_start(target) and not path.lower().endswith(".exe")


def can_start(target: Target) -> bool:
    """Whether the target's Python can be started here, on the processor that is asked about, with a core for it."""
    python = target.python
    if target.cpu is not None and target.cpu.name != cpu.LIVE:
        return False
    if sys.platform != "win32" or not target.windows.live or python is None or python.executable is None:
        return False
    if getattr(sys, "frozen", False) and python.executable == sys.executable:  # no interpreter: it would start again
        return False
    return core.library_for(python.architecture, running_architecture()) is not None


def test_load(path: str, target: Target, timeout: float) -> LoadTrace:
    """Load a file as the target's Python would import it; `timeout` in seconds. Raises OSError if no child starts."""
    return _told(_run(target, _request(path, target), timeout), traced=False)


def trace_load(path: str, target: Target, timeout: float, *, with_snaps: bool = False) -> LoadTrace:
    """The same, followed by the debug API: every file that is mapped, every exception, what the loader itself tells.

    Raises OSError where the target's Python cannot be debugged.
    """
    from depwalk.loader import processes

    assert target.python is not None
    if not processes.can_debug(target.python.architecture, running_architecture()):
        raise OSError("a 32-bit process cannot debug a 64-bit one")
    ran = _run(target, _request(path, target), timeout, debug=True, with_snaps=with_snaps)
    return _told(ran, traced=True)


def look_closer(trace: LoadTrace, path: str, graph: Graph, target: Target, timeout: float) -> LoadTrace:
    """Add to a load that failed what only more children tell: the story of the failure, and the modules at fault."""
    found = trace._replace(failures=tuple(failures(graph, probe(graph, target, timeout))))
    if trace.timed_out:
        return found  # the story of waiting for ever
    try:
        told = trace_load(path, target, timeout, with_snaps=True)
    except OSError:
        return found  # under an emulated processor, or a policy, there is no debug API
    return found._replace(
        modules=told.modules or found.modules,
        mapped=told.mapped,
        raised=found.raised or told.raised,  # the child's own are not changed by a debugger
        snaps=told.snaps,
        messages=told.messages,
        traced=True,
    )


def probe(graph: Graph, target: Target, timeout: float) -> list[Failure]:
    """Load every dependency alone, leaves first: those that fail. What ends or hangs its child is left out of the next.

    Each is loaded with the search list of the top-level file, given as directories of its own (windows-loader 4), so
    that none sees its own directory in place of it. `timeout` in seconds is for all of them together.
    """
    deepest_first = sorted(_loadable(graph), key=lambda module: -module.depth)
    waiting = [str(module.path) for module in deepest_first]
    rules = [rule.directory for rule in graph.rules if rule.directory is not None]
    directories = [found.path for found in reversed(rules) if found.is_real and found.exists]
    request = {"directories": directories, "flags": search.USER_DIRS, "path": os.pathsep.join(target.path)}
    until = time.perf_counter() + timeout
    step = max(_SHORTEST_STEP, timeout / _STEPS)
    failed: list[Failure] = []
    while waiting and time.perf_counter() < until:
        limit = min(step, until - time.perf_counter())
        ran = _run(target, {**request, "load": waiting, "list_modules": False}, limit)
        answered = [record for record in ran.records if "code" in record]
        failed += [Failure(record["path"], record["code"]) for record in answered if record["code"]]
        waiting = waiting[len(answered) :]
        started = next((record["ms"] for record in reversed(ran.records) if "loading" in record), 0.0)
        if waiting and not (ran.timed_out and ran.elapsed_ms - started < limit * 500):  # it was the last one's doing
            failed.append(Failure(waiting.pop(0), None, None if ran.timed_out else ran.exit_code))
    return failed


def failures(graph: Graph, failed: Sequence[Failure]) -> Iterable[Failure]:
    """Of modules that fail alone, those that do not fail because of another one below them.

    In a circle of imports each fails because of the other: then the first that was tried stands for them.
    """
    ids = {module.path: module.id for module in _loadable(graph)}
    failing = {ids[failure.path] for failure in failed}
    below = {identifier: _below(graph, identifier) & failing for identifier in failing}
    done: set[int] = set()
    for failure in failed:
        own = ids[failure.path]
        circle = {other for other in below[own] if own in below[other]}
        if below[own] - circle - {own} or own in done:
            continue
        done |= circle
        others = sorted(graph.modules[other].name for other in circle - {own})
        yield failure._replace(circle=tuple(others))


def _below(graph: Graph, identifier: int) -> set[int]:
    """Every module that one needs to load, and what that needs."""
    found: set[int] = set()
    pending = [identifier]
    while pending:
        importer = pending.pop()
        new = {edge.imported for edge in graph.edges if edge.importer == importer and edge.kind != "delay"} - found
        found |= new
        pending += new
    return found


def _loadable(graph: Graph) -> list[Module]:
    return [module for module in graph.modules[1:] if module.status == "found" and module.path and not module.delayed]


def _request(path: str, target: Target) -> dict[str, Any]:
    flags = search.load_flags(target, path)
    searches_added = bool(flags & search.PYTHON_IMPORT)
    search_path = target.path if searches_added else search.legacy_path(target)
    return {
        "load": [os.path.abspath(path)],
        "directories": list(target.added_directories) if searches_added else [],
        "flags": flags,
        "path": os.pathsep.join(search_path),
        "list_modules": True,
    }


def _run(
    target: Target, request: dict[str, Any], timeout: float, *, debug: bool = False, with_snaps: bool = False
) -> Ran:
    from depwalk.loader import processes  # only where a process is started

    python = target.python
    assert python is not None
    assert python.executable is not None
    whole = {
        **request,
        "core": str(core.library_for(python.architecture, running_architecture())),
        "preload": list(target.preloads),
        "watch": not debug,
    }
    command = [python.executable, *PYTHON_FLAGS, str(processes.SCRIPT)]
    for attempt in range(_ATTEMPTS):
        time.sleep(attempt * _PAUSE)
        ran = processes.run(command, whole, timeout=timeout, debug=debug, snaps=with_snaps)
        if ran.began or ran.timed_out:
            break
    ran.check()
    return ran


def _told(ran: Ran, *, traced: bool) -> LoadTrace:
    answer = next((record for record in ran.records if "code" in record), None)
    before = {base for record in ran.records for base in record.get("bases", ())}
    last = max((index for index, module in enumerate(ran.story.modules) if module.base in before), default=-1)
    mapped = ran.story.modules[last + 1 :]
    loaded = tuple(answer["modules"]) if answer else ()
    trace = LoadTrace(
        answer["code"] if answer else None,
        modules=tuple(module.path for module in mapped) if traced else loaded,
        mapped=mapped,
        raised=ran.story.raised,
        snaps=snaps.parse(ran.story.output),
        messages=tuple(line for line in ran.story.output if not snaps.is_snap(line)),
        output=ran.output,
        traced=traced,
        elapsed_ms=answer["took"] if answer else ran.elapsed_ms,
    )
    if answer:
        return trace
    return trace._replace(exit_code=None if ran.timed_out else ran.exit_code, timed_out=ran.timed_out)
