"""The child in which foreign DLLs are loaded: run by the interpreter that is being diagnosed, which has no depwalk.

Standard library only, in the syntax of Python 3.5. It reads one JSON request from its standard input, loads the core by
its path and lets it call the loader; each step is one JSON line in the record file, so that a step that ends the
process shows as a missing line.
"""

import ctypes
import json
import os
import sys
import time
from typing import Any, List, Tuple


class Request(ctypes.Structure):
    """dw_load_request of depwalk.h."""

    _fields_ = [
        ("path", ctypes.c_wchar_p),
        ("directories", ctypes.POINTER(ctypes.c_wchar_p)),
        ("directory_count", ctypes.c_uint32),
        ("default_flags", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
    ]


class Result(ctypes.Structure):
    """dw_load_result of depwalk.h."""

    _fields_ = [
        ("module", ctypes.c_void_p),
        ("code", ctypes.c_uint32),
        ("call", ctypes.c_uint32),
        ("directory", ctypes.c_uint32),
    ]


def modules(core: Any) -> List[str]:
    """Paths of the modules of this process in load order."""
    room = 4096
    handles = (ctypes.c_void_p * room)()
    core.dw_modules.argtypes = [ctypes.POINTER(ctypes.c_void_p), ctypes.c_uint32]
    core.dw_module_path.argtypes = [ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_uint32]
    name = ctypes.create_unicode_buffer(32768)
    paths = []
    for index in range(min(core.dw_modules(handles, room), room)):
        if core.dw_module_path(handles[index], name, 32768):
            paths.append(name.value)
    return paths


def load(core: Any, path: str, directories: List[str], flags: int) -> Tuple[int, int]:
    """Call the loader once: (Win32 code or 0, which call failed)."""
    names = (ctypes.c_wchar_p * max(len(directories), 1))(*directories)
    request = Request(path, names, len(directories), 0, flags)
    result = Result()
    core.dw_load(ctypes.byref(request), ctypes.byref(result))
    return result.code, result.call


def main() -> None:
    """Do what the request says: load each of its files, the directories being added before the first."""
    request = json.loads(sys.stdin.readline())
    if request["path"] is not None:
        os.environ["PATH"] = request["path"]
    core = ctypes.CDLL(request["core"])
    directories = request["directories"]
    with open(request["record"], "a", encoding="utf-8") as record:

        def note(**fields: Any) -> None:
            record.write(json.dumps(fields) + "\n")
            record.flush()

        note(ready=True)
        before = set(modules(core))
        for path in request["files"]:
            note(loading=path)
            started = time.perf_counter()
            code, call = load(core, path, directories, request["flags"])
            elapsed = (time.perf_counter() - started) * 1000
            directories = []
            loaded = [name for name in modules(core) if name not in before] if request["list_modules"] else []
            note(path=path, code=code, call=call, modules=loaded, ms=elapsed)
            if code:
                break
        note(done=True)
    sys.stdin.close()
    os._exit(0)  # DllMain at process end is not what was asked about


if __name__ == "__main__":
    main()
