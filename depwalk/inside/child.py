"""The child in which foreign DLLs are loaded: run by the interpreter that is being diagnosed, which has no depwalk.

Standard library only, in the syntax of Python 3.5. It is told what to do by a JSON file, and each step is one JSON line
in the record file, so that a step that ends the process shows as a missing line. ctypes is imported only where it is
needed: in a traced program it would bring DLLs that the program itself does not load.
"""

import json
import os
import sys
import time
from typing import Any, Dict, List, Optional

DEFAULT_DIRS = 0x1000  # LOAD_LIBRARY_SEARCH_DEFAULT_DIRS
PYTHON_IMPORT = 0x1100  # the same and LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR: an import since 3.8
ALTERED = 0x8  # LOAD_WITH_ALTERED_SEARCH_PATH, before
LONGEST = 500  # characters of an exception's text
EVENTS = ("import", "os.add_dll_directory", "ctypes.dlopen")  # audit events that are recorded


class Record:
    """The record file: one JSON object per line, each written through at once."""

    def __init__(self, path: str) -> None:
        self.file = open(path, "a", encoding="ascii")  # noqa: SIM115  (for the life of the process)
        self.started = time.perf_counter()

    def note(self, **fields: Any) -> None:
        """Write one line; `ms` counts from the beginning of the record."""
        fields["ms"] = round((time.perf_counter() - self.started) * 1000, 2)
        self.file.write(json.dumps(fields) + "\n")
        self.file.flush()


def structures() -> Any:
    """dw_load_request and dw_load_result of depwalk.h, as classes of ctypes."""
    import ctypes

    class Request(ctypes.Structure):
        _fields_ = [
            ("path", ctypes.c_wchar_p),
            ("directories", ctypes.POINTER(ctypes.c_wchar_p)),
            ("directory_count", ctypes.c_uint32),
            ("default_flags", ctypes.c_uint32),
            ("flags", ctypes.c_uint32),
        ]

    class Result(ctypes.Structure):
        _fields_ = [
            ("module", ctypes.c_void_p),
            ("code", ctypes.c_uint32),
            ("call", ctypes.c_uint32),
            ("directory", ctypes.c_uint32),
        ]

    return Request, Result


class Core:
    """The core library, by ctypes. Raises OSError or ImportError where the one or the other does not load."""

    def __init__(self, path: str) -> None:
        import ctypes

        self.ctypes = ctypes
        self.Request, self.Result = structures()
        self.library = ctypes.CDLL(path)
        self.room = None  # type: Any

    def bases(self) -> List[int]:
        """Where the modules of this process lie, in load order."""
        ctypes = self.ctypes
        room = 16384
        handles = (ctypes.c_void_p * room)()
        self.library.dw_modules.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_uint32]
        return [handle for handle in handles[: min(self.library.dw_modules(handles, room), room)] if handle]

    def modules(self) -> List[str]:
        """Paths of the modules of this process in load order."""
        ctypes = self.ctypes
        self.library.dw_module_path.argtypes = [ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_uint32]
        name = ctypes.create_unicode_buffer(32768)
        return [name.value for base in self.bases() if self.library.dw_module_path(base, name, 32768)]

    def load(self, path: str, directories: List[str], flags: int) -> Dict[str, int]:
        """Call the loader once: its Win32 code or 0, and which call failed."""
        names = (self.ctypes.c_wchar_p * max(len(directories), 1))(*directories)
        request = self.Request(path, names, len(directories), 0, flags)
        result = self.Result()
        self.library.dw_load(self.ctypes.byref(request), self.ctypes.byref(result))
        return {"code": result.code, "call": result.call}

    def watch(self, path: str) -> None:
        """Let every exception of this process be written to a file."""
        import msvcrt

        self.room = self.ctypes.create_string_buffer(72 + 2 * 4096)  # dw_event; stays in use
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_BINARY)  # type: ignore[attr-defined,unused-ignore]  # Windows only
        handle = msvcrt.get_osfhandle(file)  # type: ignore[attr-defined,unused-ignore]  # Windows only
        self.library.dw_watch.argtypes = [self.ctypes.c_void_p, self.ctypes.c_void_p]
        self.library.dw_watch(self.room, handle)


# ---- files


def load_files(request: Dict[str, Any], record: Record, folder: str) -> None:
    """Load each file of the request, the directories being added before the first."""
    core = Core(request["core"])
    directories = request["directories"]
    if request["watch"]:
        core.watch(os.path.join(folder, "exceptions"))
    known = set(core.modules())
    record.note(ready=True, bases=core.bases())
    for path in request["preload"]:  # by its full path, or by its name alone
        core.load(path, [], PYTHON_IMPORT if os.path.isabs(path) else DEFAULT_DIRS)
    for path in request["load"]:
        record.note(loading=path)
        started = time.perf_counter()
        answer = core.load(path, directories, request["flags"])
        took = round((time.perf_counter() - started) * 1000, 2)
        directories = []
        loaded = [name for name in core.modules() if name not in known] if request["list_modules"] else []
        record.note(path=path, code=answer["code"], call=answer["call"], modules=loaded, took=took)


# ---- programs


class Program:
    """Records what a program imports and loads, and what fails."""

    def __init__(self, record: Record, core: Optional[str]) -> None:
        self.record = record
        self.core = core
        self.depth = 0  # of depwalk's own work: nothing that it does is recorded

    def begin(self) -> None:
        """Listen from now on. Before 3.8 there are no audit events; the extensions are recorded all the same."""
        import importlib.machinery

        add_hook = getattr(sys, "addaudithook", None)  # type: Any
        if add_hook is not None:
            add_hook(self.audit)
        loader = importlib.machinery.ExtensionFileLoader
        for name, stage in (("create_module", "load"), ("exec_module", "run")):
            setattr(loader, name, self.recorded(getattr(loader, name), stage))

    def audit(self, event: str, arguments: Any) -> None:
        """sys.audit calls this for everything that happens: it must be quick, and must not raise."""
        if event in EVENTS and not self.depth:
            self.record.note(event=event, name=str(arguments[0]))

    def recorded(self, function: Any, stage: str) -> Any:
        """A method of ExtensionFileLoader that tells before, and if it fails after."""

        def method(loader: Any, argument: Any) -> Any:
            if self.depth:
                return function(loader, argument)
            self.record.note(extension=loader.name, path=loader.path, stage=stage)
            try:
                result = function(loader, argument)
            except BaseException as error:
                self.record.note(
                    failed=loader.name, path=loader.path, stage=stage, error=describe(error), **self.state(loader.path)
                )
                raise
            self.record.note(done=loader.name, stage=stage)
            return result

        if hasattr(method.__code__, "replace"):  # the import system keeps its own frames out of tracebacks
            method.__code__ = method.__code__.replace(co_filename="<frozen importlib._bootstrap_external>")
        return method

    def state(self, path: str) -> Dict[str, Any]:
        """What the process is like at a failure, and the loader's code: by loading once more."""
        found = {"search_path": os.environ.get("PATH", ""), "cwd": os.getcwd()}  # type: Dict[str, Any]
        self.depth += 1
        try:
            if self.core is not None:
                core = Core(self.core)
                found["modules"] = core.modules()
                found["flags"] = self.flags(path)
                found.update(core.load(path, [], found["flags"]))
        except Exception:  # noqa: BLE001, S110  (ctypes may be what does not load, or half loaded)
            pass
        finally:
            self.depth -= 1
        return found

    def flags(self, path: str) -> int:
        """With which this Python loads a file: imports, and ctypes with a path; ctypes with a bare name."""
        if sys.version_info < (3, 8):
            return ALTERED if path.lower().endswith(".pyd") else 0
        return PYTHON_IMPORT if os.path.isabs(path) else DEFAULT_DIRS

    def uncaught(self, error: BaseException) -> None:
        """Record the exception that ended the program, with those that led to it, the first one last."""
        chain = []
        seen = []  # type: List[BaseException]
        current = error  # type: Optional[BaseException]
        while current is not None and all(current is not other for other in seen):
            seen.append(current)
            chain.append(describe(current))
            current = current.__cause__ or current.__context__
        loaded = next((item["dlopen"] for item in reversed(chain) if "dlopen" in item), None)
        self.record.note(uncaught=chain, **(self.state(loaded) if loaded else {}))


def describe(error: BaseException) -> Dict[str, Any]:
    """An exception in plain values."""
    found = {"type": type(error).__name__, "text": str(error)[:LONGEST]}  # type: Dict[str, Any]
    for name in ("name", "path", "winerror"):
        value = getattr(error, name, None)
        if isinstance(value, (str, int)):
            found[name] = value
    library = dlopened(error) if isinstance(error, OSError) else None
    if library:
        found["dlopen"] = library
    return found


def dlopened(error: BaseException) -> Optional[str]:
    """The name that ctypes was asked to load when it raised this exception; None if it was not ctypes."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or not trace.tb_frame.f_code.co_filename.replace("\\", "/").endswith("ctypes/__init__.py"):
        return None
    name = trace.tb_frame.f_locals.get("name")
    return str(name) if name else None


def add_sites(directories: List[str]) -> None:
    """Put site-packages directories in front of the others, with what their .pth files add."""
    import site

    before = sys.path[1:]
    for directory in directories:
        site.addsitedir(directory)
    added = [entry for entry in sys.path[1:] if entry not in before]
    sys.path[1:] = added + before


def import_name(request: Dict[str, Any], record: Record, folder: str) -> None:
    """Import a name as `python -c "import name"` would."""
    sys.argv[:] = [""]
    sys.path[0] = ""
    add_sites(request["sites"])
    add_directory = getattr(os, "add_dll_directory", None)  # type: Any
    for path in request["directories"] if add_directory is not None else []:
        add_directory(path)
    if request["watch"]:
        Core(request["core"]).watch(os.path.join(folder, "exceptions"))
    program = Program(record, request["core"])
    record.note(ready=True, version=sys.version)
    program.begin()
    try:
        __import__(request["import"])
    except BaseException as error:  # noqa: BLE001  (SystemExit, too, is how an import can end)
        program.uncaught(error)
        import traceback

        traceback.print_exc()
    else:
        record.note(imported=request["import"])


def architecture() -> str:
    """Of this process."""
    if sys.maxsize < 2**32:
        return "x86"
    return "arm64" if "ARM64" in sys.version else "x64"


def record_program(folder: str) -> None:
    """Record the program that this process is about to run, in a file of its own."""
    with open(os.path.join(folder, "request"), encoding="utf-8") as file:
        request = json.load(file)
    record = Record(os.path.join(folder, "record-{}".format(os.getpid())))
    program = Program(record, request["cores"].get(architecture()))
    executable = getattr(sys, "_base_executable", "") or sys.executable
    record.note(ready=True, version=sys.version, executable=executable)
    program.begin()
    before = sys.excepthook

    def hook(kind: Any, error: Any, trace: Any) -> None:
        program.uncaught(error)
        before(kind, error, trace)

    sys.excepthook = hook


def no_dialogs() -> None:
    """A message box in a process without a window would wait for ever. Inherited by what this process starts."""
    import msvcrt  # part of pythonXY.dll

    set_mode = getattr(msvcrt, "SetErrorMode", None)  # type: Any
    if set_mode is not None:
        set_mode(0x8003)  # SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX


def main() -> None:
    """Do what the request in the folder given says."""
    folder = sys.argv[1]
    no_dialogs()
    sys.stdin.readline()  # the parent has this process in its job now
    with open(os.path.join(folder, "request"), encoding="utf-8") as file:
        request = json.load(file)
    if request["path"] is not None:
        os.environ["PATH"] = request["path"]
    record = Record(os.path.join(folder, "record"))
    if "import" in request:
        import_name(request, record, folder)
    else:
        load_files(request, record, folder)
    record.note(end=True)
    sys.stdin.close()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)  # DllMain at process end is not what was asked about


if __name__ == "__main__":
    main()
