"""Load animals of a built zoo with the real loader, each in a process of its own, and say what happened.

    python observe.py ZOO [--expect wine|windows] [ANIMAL...]

Runs under a Python for Windows (3.9 or later), on Windows or Wine; animals of the other architecture are left out.
Prints one line of JSON for each animal: code (the Win32 error, 0 if it loads), found (loaded DLL -> its file in the
animal's folder, "" if from elsewhere) and, for one that has a `call`, the exception of that; or exit, the status of the
process that the load ended; or hangs. With --expect it compares, and the status is 1 if something differs; for animals
that ask for a processor this needs depwalk, which knows what this one has.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

TIMEOUT = 10
ARCH = "x64" if struct.calcsize("P") == 8 else "x86"
NO_DIALOGS = 0x8003  # SEM_FAILCRITICALERRORS | SEM_NOGPFAULTERRORBOX | SEM_NOOPENFILEERRORBOX
ALTERED_SEARCH_PATH = 0x8
DLL_LOAD_DIR, USER_DIRS, SYSTEM32, DEFAULT_DIRS = 0x100, 0x400, 0x800, 0x1000
BUILTIN = b"Wine builtin DLL"


def kernel32() -> Any:
    library = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined,unused-ignore]  # Windows only
    library.LoadLibraryExW.restype = ctypes.c_void_p
    library.LoadLibraryExW.argtypes = [ctypes.c_wchar_p, ctypes.c_void_p, ctypes.c_uint32]
    library.AddDllDirectory.restype = ctypes.c_void_p
    library.AddDllDirectory.argtypes = [ctypes.c_wchar_p]
    library.GetCurrentProcess.restype = ctypes.c_void_p
    library.K32EnumProcessModules.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_void_p]
    library.GetModuleFileNameW.argtypes = [ctypes.c_void_p, ctypes.c_wchar_p, ctypes.c_uint32]
    library.SetErrorMode(NO_DIALOGS)
    return library


def last_error() -> int:
    error: int = ctypes.get_last_error()  # type: ignore[attr-defined,unused-ignore]  # Windows only
    return error & 0xFFFFFFFF


def search_flags(windows: Any, folder: Path, animal: dict[str, Any]) -> int:
    """Add directories as told, and return the flags with which the Python told loads an extension."""
    if animal["python"] == "none":
        return 0
    if animal["python"] == "3.7":
        return ALTERED_SEARCH_PATH
    flags = DLL_LOAD_DIR | DEFAULT_DIRS
    added = list(animal["dll_dirs"])
    if animal["app_dir"]:  # stands in for the real one: of the directories added, the last one is searched first
        flags = DLL_LOAD_DIR | USER_DIRS | SYSTEM32
        added.append(animal["app_dir"])
    for directory in added:
        if not windows.AddDllDirectory(str(folder / directory)):
            raise OSError(f"cannot add {directory}: {last_error()}")
    return flags


def load(folder: Path, animal: dict[str, Any], answer: Path) -> None:
    """Load the target as its Python would, and write what comes of it to a file. Runs in the child."""
    windows = kernel32()
    flags = search_flags(windows, folder, animal)
    for name in animal["loaded_first"]:
        if not windows.LoadLibraryExW(str(folder / name), None, flags):
            raise OSError(f"cannot load {name}: {last_error()}")
    handle = windows.LoadLibraryExW(str(folder / animal["target"]), None, flags)
    report: dict[str, Any] = {"code": 0 if handle else last_error()}
    if handle:
        report["found"] = found(windows, folder, animal)
    if handle and "call" in animal["windows"]:
        function = ctypes.CDLL(animal["target"], handle=handle).call
        try:
            report["call"] = function()
        except OSError as error:  # ctypes turns the exception into one of ours
            report["call"] = getattr(error, "winerror", 0) & 0xFFFFFFFF
    answer.write_text(json.dumps(report), encoding="utf-8")
    os._exit(0)  # what DllMains do at the end is not of interest


def found(windows: Any, folder: Path, animal: dict[str, Any]) -> dict[str, str]:
    """Return where each loaded module comes from that has the name of a file of the animal's."""
    names = {Path(file["out"]).name.lower() for file in animal["files"]}
    modules = (ctypes.c_void_p * 1024)()
    size = ctypes.c_uint32()
    windows.K32EnumProcessModules(windows.GetCurrentProcess(), modules, ctypes.sizeof(modules), ctypes.byref(size))
    result: dict[str, str] = {}
    for module in modules[: size.value // ctypes.sizeof(ctypes.c_void_p)]:
        buffer = ctypes.create_unicode_buffer(32768)
        windows.GetModuleFileNameW(module, buffer, len(buffer))
        path = Path(buffer.value)
        name = path.name.lower()
        if name not in names or name in result:
            continue  # of two modules of one name, imports got the one loaded first
        # Wine may say the path of the file that its own DLL replaces
        builtin = ctypes.string_at((module or 0) + 0x40, len(BUILTIN)) == BUILTIN
        inside = str(path).lower().startswith(str(folder).lower() + os.sep)
        result[name] = str(path)[len(str(folder)) + 1 :].replace(os.sep, "/") if inside and not builtin else ""
    return result


def observe(zoo: Path, animal: dict[str, Any]) -> dict[str, Any]:
    """Load one animal in a child and return what is to be said of it."""
    with tempfile.TemporaryDirectory(prefix="zoo-") as name:
        work = Path(name)
        folder = zoo / animal["name"]
        if animal["changes"]:
            folder = Path(shutil.copytree(folder, work / animal["name"]))
        return observe_in(folder, animal, work / "answer.json")


def observe_in(folder: Path, animal: dict[str, Any], answer: Path) -> dict[str, Any]:
    path = animal["path"] if animal["python"] == "3.11" else [*animal["dll_dirs"], *animal["path"]]
    entries = [*(str(folder / directory) for directory in path), os.environ.get("PATH", "")]
    script = str(Path(__file__).resolve())
    try:
        child = subprocess.run(  # which ends the child whatever ends the wait
            [sys.executable, script, "--child", str(folder), json.dumps(animal), str(answer)],
            env={**os.environ, "PATH": os.pathsep.join(entries)},
            cwd=os.environ.get("SYSTEMROOT"),  # holds no DLL of the zoo
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,  # a DllMain may write there, too
            timeout=TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {"hangs": True}
    if answer.exists():
        report: dict[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
        return report
    return {"exit": child.returncode & 0xFFFFFFFF}


def expected_here(animal: dict[str, Any]) -> dict[str, Any]:
    if not animal["cpu"]:
        return animal
    from animals import on_this_processor

    return on_this_processor(animal)


def differences(animal: dict[str, Any], system: str, seen: dict[str, Any]) -> list[str]:
    """Compare with what the recipes says of a system ("wine" or "windows"); empty if all agrees."""
    expected = {"found": animal["windows"].get("found", {}), **animal[system]}
    result = []
    for key in ("code", "exit", "hangs", "call"):
        wanted = expected.get(key)
        if seen.get(key) != wanted and not (isinstance(wanted, list) and seen.get(key) in wanted):
            result.append(f"{key}: expected {wanted}, seen {seen.get(key)}")
    if seen.get("code") == 0:
        for name, place in expected["found"].items():
            if (actual := seen["found"].get(name, "")).lower() != place.lower():
                result.append(f"{name}: expected from {place!r}, seen from {actual!r}")
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("zoo", type=Path)
    parser.add_argument("animals", nargs="*")
    parser.add_argument("--expect", choices=["wine", "windows"])
    options = parser.parse_args()
    zoo = Path(os.path.abspath(options.zoo))
    status = 0
    for animal in json.loads((zoo / "zoo.json").read_text(encoding="ascii"))["animals"]:
        if animal["arch"] != ARCH or (options.animals and animal["name"] not in options.animals):
            continue
        seen = observe(zoo, animal)
        line = {"name": animal["name"], **seen}
        if options.expect and (wrong := differences(expected_here(animal), options.expect, seen)):
            line["differs"] = wrong
            status = 1
        print(json.dumps(line), flush=True)
    return status


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        load(Path(sys.argv[2]), json.loads(sys.argv[3]), Path(sys.argv[4]))
    sys.exit(main())
