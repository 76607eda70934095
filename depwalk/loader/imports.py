"""What happens when a name is imported, or a program run: in a traced child, step by step."""

from __future__ import annotations

import os
import re
import shutil
from typing import TYPE_CHECKING, Any, Callable, NamedTuple

from depwalk import core, snaps
from depwalk.loader import LoadTrace, processes
from depwalk.target.python import running_architecture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from depwalk.loader.processes import Ran
    from depwalk.target import Target


_PYTHON_DLL = re.compile(r"\\python3\d+t?\.dll$", re.IGNORECASE)


class FailedLoad(NamedTuple):
    """An extension module, or a file given to ctypes, that did not load."""

    path: str
    code: int | None  # GetLastError of loading it once more; 0: then it loaded; None if that could not be tried
    error: str  # the exception, as a traceback's last line shows it
    modules: tuple[str, ...] = ()  # that were in the process
    flags: int | None = None  # with which it was loaded once more
    search_path: str = ""  # PATH at that time
    cwd: str | None = None  # the current directory at that time
    by_ctypes: bool = False  # a file that was given to ctypes


class ImportTrace(NamedTuple):
    """How an import or a program ended, and what led there."""

    name: str  # what was imported, or the command line
    ended_well: bool
    is_program: bool = False
    python: str = ""  # sys.version of it; empty if no Python told
    executable: str = ""  # of that, if it is a program
    unheard: bool = False  # a Python ran and told nothing: -I, -E and -S keep the recording out
    not_there: bool = False  # there is no module of that name
    imported: tuple[str, ...] = ()  # names, in the order in which their import began
    extensions: tuple[str, ...] = ()  # paths of extension modules, in the order in which their load began
    directories: tuple[str, ...] = ()  # given to os.add_dll_directory, in that order
    by_ctypes: tuple[str, ...] = ()  # names given to ctypes
    failed: tuple[FailedLoad, ...] = ()  # every extension that did not load, also those that the program got over
    fatal: FailedLoad | None = None  # the one that ended it
    unfinished: str = ""  # path of the extension that was being loaded or run when the process ended
    uncaught: tuple[str, ...] = ()  # the exception that ended it, and those behind it
    load: LoadTrace | None = None  # the process as the loader saw it, and the code of the fatal load
    exit_code: int = 0
    timed_out: bool = False  # it had to be stopped
    output: str = ""  # the end of what it wrote
    elapsed_ms: float = 0.0  # milliseconds


def trace_import(name: str, target: Target, timeout: float, sites: Sequence[str] = ()) -> ImportTrace:
    """Import a name in the target's Python. `sites` go to the front of its path. Raises OSError if no child starts."""
    python = target.python
    assert python is not None
    assert python.executable is not None
    own = running_architecture()
    request: dict[str, Any] = {
        "core": str(core.library_for(python.architecture, own)),
        "import": name,
        "sites": list(sites),
        "directories": list(target.dll_dirs),
        "path": os.pathsep.join(target.path),
    }
    command = [python.executable, "-B", str(processes.SCRIPT)]
    debug = processes.can_debug(python.architecture, own)
    # As a venv's python.exe tells the interpreter that it starts: without it, that is not in the venv.
    variables = {"__PYVENV_LAUNCHER__": python.launcher} if python.launcher else {}
    ran = processes.run(command, {**request, "watch": not debug}, timeout=timeout, debug=debug, variables=variables)
    if debug and not ran.began and not ran.timed_out:  # an emulated processor has no debug API
        request["watch"] = True
        ran = processes.run(command, request, timeout=timeout, variables=variables)
    ran.check()
    return _told(name, ran, ran.records, ended_well=any("imported" in record for record in ran.records))


def trace_command(
    command: Sequence[str],
    *,
    python_path: str,
    timeout: float | None,
    pass_on: Callable[[bytes], None],
) -> ImportTrace:
    """Run a program, and every process that it starts; Pythons among them tell what they import.

    `python_path` is the PYTHONPATH that they are to have; `pass_on` gets everything that they write. Raises OSError if
    it cannot be started.
    """
    own = running_architecture()
    cores = {name: core.library_for(name, own) for name in core.ARCHITECTURES}
    program = shutil.which(command[0]) or command[0]  # CreateProcess would look beside this interpreter first
    path = os.pathsep.join(filter(None, [str(processes.INSIDE), python_path]))
    ran = processes.run(
        [program, *command[1:]],
        {"cores": {name: str(library) for name, library in cores.items() if library is not None}},
        timeout=timeout,
        debug=True,
        children=True,
        variables={"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},  # what it writes shows at once, and is not lost
        pass_on=pass_on,
    )
    records = _of_one_process(ran.records)
    told = _told(" ".join(command), ran, records, ended_well=ran.exit_code == 0 and not ran.timed_out)
    ran_python = any(_PYTHON_DLL.search(module.path) for module in ran.story.modules)
    return told._replace(is_program=True, unheard=ran_python and not told.python)


def _of_one_process(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those of the process that ended with an exception; else of one in which a load failed; else of the first."""
    for key in ("uncaught", "failed", "ready"):
        for record in records:
            if key in record:
                return [other for other in records if other.get("process") == record.get("process")]
    return []


def _told(name: str, ran: Ran, records: Sequence[dict[str, Any]], *, ended_well: bool) -> ImportTrace:
    uncaught: list[dict[str, Any]] = next((record["uncaught"] for record in records if "uncaught" in record), [])
    failed = list(_failed(records))
    fatal = None if ended_well else _fatal(records, uncaught, failed)
    died = not ended_well and not uncaught
    unfinished = _unfinished(records) if died else ""
    ready = next((record for record in records if "ready" in record), {})
    return ImportTrace(
        name=name,
        ended_well=ended_well,
        python=ready.get("version", ""),
        executable=ready.get("executable", ""),
        not_there=bool(uncaught) and uncaught[0]["type"] == "ModuleNotFoundError" and uncaught[0].get("name") == name,
        imported=tuple(_first_of_each(_audited(records, "import"))),
        extensions=tuple(_first_of_each(record["path"] for record in records if "extension" in record)),
        directories=tuple(_audited(records, "os.add_dll_directory")),
        by_ctypes=tuple(_audited(records, "ctypes.dlopen")),
        failed=tuple(failed),
        fatal=fatal,
        unfinished=unfinished,
        uncaught=tuple(f"{item['type']}: {item['text']}" for item in uncaught),
        load=_load(ran, fatal, died=died),
        exit_code=ran.exit_code,
        timed_out=ran.timed_out,
        output=ran.output,
        elapsed_ms=ran.elapsed_ms,
    )


def _load(ran: Ran, fatal: FailedLoad | None, *, died: bool) -> LoadTrace:
    return LoadTrace(
        fatal.code if fatal else None if died else 0,
        exit_code=ran.exit_code if died and not ran.timed_out else None,
        timed_out=ran.timed_out,
        modules=tuple(module.path for module in ran.story.modules),
        mapped=ran.story.modules,
        raised=ran.story.raised,
        snaps=snaps.parse(ran.story.output),
        messages=tuple(line for line in ran.story.output if not snaps.is_snap(line)),
        output=ran.output,
        traced=bool(ran.story.modules),
        elapsed_ms=ran.elapsed_ms,
    )


def _audited(records: Iterable[dict[str, Any]], event: str) -> Iterator[str]:
    return (record["name"] for record in records if record.get("event") == event)


def _first_of_each(names: Iterable[str]) -> Iterator[str]:
    return iter(dict.fromkeys(names))


def _failed(records: Iterable[dict[str, Any]]) -> Iterator[FailedLoad]:
    """Extensions that the loader, or Python right after it, refused."""
    for record in records:
        if "failed" in record and record["stage"] == "load":
            error = record["error"]
            yield _failed_load(record, record["path"], f"{error['type']}: {error['text']}")


def _failed_load(record: dict[str, Any], path: str, error: str, *, by_ctypes: bool = False) -> FailedLoad:
    return FailedLoad(
        path,
        record.get("code"),
        error,
        tuple(record.get("modules", ())),
        record.get("flags"),
        record.get("search_path", ""),
        record.get("cwd"),
        by_ctypes,
    )


def _fatal(
    records: Sequence[dict[str, Any]], uncaught: Sequence[dict[str, Any]], failed: Sequence[FailedLoad]
) -> FailedLoad | None:
    """The failed load behind the exception that ended the program: the last link of its chain that names one."""
    by_path = {load.path: load for load in failed}
    for item in reversed(uncaught):
        same = [load for load in failed if load.error == f"{item['type']}: {item['text']}"]
        if item.get("path") in by_path or same:  # not every exception that a load ends with names the file
            return by_path.get(item.get("path"), same[-1] if same else None)
        if "dlopen" in item:
            record = next(record for record in records if "uncaught" in record)
            return _failed_load(record, item["dlopen"], f"{item['type']}: {item['text']}", by_ctypes=True)
    return None


def _unfinished(records: Iterable[dict[str, Any]]) -> str:
    """The extension whose load, or whose own start, did not come to an end. They nest: the innermost one."""
    open_: list[tuple[str, str]] = []
    for record in records:
        if "extension" in record:
            open_.append((record["extension"], record["path"]))
        elif "done" in record or "failed" in record:
            name = record.get("done") or record.get("failed")
            if open_ and open_[-1][0] == name:
                open_.pop()
    return open_[-1][1] if open_ else ""
