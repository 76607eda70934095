"""A process without the rights of an administrator, started by one that may have them (Windows)."""

from __future__ import annotations

import ctypes
import subprocess
from ctypes import wintypes
from typing import Any

TOKEN_ALL_ACCESS = 0xF01FF
NO_PRIVILEGES_AND_LUA = 1 | 4
ADMINISTRATORS = "S-1-5-32-544"
SECOND = 1000


class Sid(ctypes.Structure):
    """SID_AND_ATTRIBUTES."""

    _fields_ = (("sid", ctypes.c_void_p), ("attributes", wintypes.DWORD))


class Startup(ctypes.Structure):
    """STARTUPINFOW."""

    _fields_ = (
        ("size", wintypes.DWORD), ("texts", wintypes.LPWSTR * 3), ("numbers", wintypes.DWORD * 8),
        ("show", wintypes.WORD), ("unused", wintypes.WORD), ("more", ctypes.c_void_p), ("handles", wintypes.HANDLE * 3),
    )  # fmt: skip


class Started(ctypes.Structure):
    """PROCESS_INFORMATION."""

    _fields_ = (
        ("process", wintypes.HANDLE), ("thread", wintypes.HANDLE),
        ("process_id", wintypes.DWORD), ("thread_id", wintypes.DWORD),
    )  # fmt: skip


def run_limited(command: list[str], seconds: int = 60) -> int:
    """The exit code of a command that runs with a token in which the group of administrators is only denied."""
    windll: Any = ctypes.WinDLL  # type: ignore[attr-defined] # of Windows only
    advapi, kernel = windll("advapi32", use_last_error=True), windll("kernel32", use_last_error=True)
    kernel.GetCurrentProcess.restype = wintypes.HANDLE
    token, limited, sid, started = wintypes.HANDLE(), wintypes.HANDLE(), ctypes.c_void_p(), Started()
    own = wintypes.HANDLE(kernel.GetCurrentProcess())
    assert advapi.OpenProcessToken(own, TOKEN_ALL_ACCESS, ctypes.byref(token))
    assert advapi.ConvertStringSidToSidW(ADMINISTRATORS, ctypes.byref(sid))
    denied = Sid(sid.value, 0)
    made = (1, ctypes.byref(denied), 0, None, 0, None, ctypes.byref(limited))
    assert advapi.CreateRestrictedToken(token, NO_PRIVILEGES_AND_LUA, *made)
    startup = Startup(size=ctypes.sizeof(Startup))
    line = ctypes.create_unicode_buffer(subprocess.list2cmdline(command))
    about = (None, None, ctypes.byref(startup), ctypes.byref(started))
    assert advapi.CreateProcessAsUserW(limited, None, line, None, None, False, 0, *about)
    code = wintypes.DWORD()
    kernel.WaitForSingleObject(wintypes.HANDLE(started.process), seconds * SECOND)
    assert kernel.GetExitCodeProcess(wintypes.HANDLE(started.process), ctypes.byref(code))
    for handle in (started.process, started.thread, token.value, limited.value):
        kernel.CloseHandle(wintypes.HANDLE(handle))
    return code.value
