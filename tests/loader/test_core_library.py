"""The core itself must load everywhere: it imports only what every Windows since 7 has, and needs no C runtime."""

from __future__ import annotations

import subprocess
import sys

import pytest

from depwalk import core, image
from depwalk.result import diagnose
from depwalk.target import Target, windows

on_windows = pytest.mark.skipif(sys.platform != "win32", reason="the core of this machine is no DLL")


@on_windows
def test_it_imports_kernel32_and_ntdll_only() -> None:
    names = {imported.dll.lower() for imported in image.read(core.LIBRARY).imports}

    assert names == {"kernel32.dll", "ntdll.dll"}


@on_windows
def test_it_loads_in_a_plain_process_on_windows_7() -> None:
    architecture = image.read(core.LIBRARY).architecture
    windows_7 = windows.named("7" if architecture == "x64" else "7-x86")
    result = diagnose(core.LIBRARY, lambda _: Target(windows_7, architecture), load=False)

    assert (result.verdict, result.findings) == ("loads", ())


@on_windows
def test_it_is_built_to_be_moved_in_memory_and_not_executed_as_data() -> None:
    characteristics = image.read(core.LIBRARY).dll_characteristics

    assert characteristics & 0x40  # DYNAMIC_BASE
    assert characteristics & 0x100  # NX_COMPAT


def test_its_interface_has_the_version_of_the_header() -> None:
    assert core.lib.dw_abi_version() == core.lib.DW_ABI_VERSION


@pytest.mark.skipif(sys.platform == "win32" or core.cpuid(0) is None, reason="asks a POSIX system on an x86 processor")
def test_cpuid_and_xgetbv_agree_with_the_kernel() -> None:
    leaf = core.cpuid(1)
    assert leaf is not None
    osxsave = bool(leaf[2] & (1 << 27))
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        flags = next(line for line in file if line.startswith("flags")).split()

    assert osxsave == ("osxsave" in flags or "xsave" in flags)
    if osxsave:
        state = core.xgetbv(0)
        assert state is not None
        assert bool(state & 0b110 == 0b110) == ("avx" in flags)


def test_a_child_dies_with_its_guard() -> None:
    if sys.platform != "win32":
        pytest.skip("jobs are a thing of Windows")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    guard = core.Guard(int(child._handle))

    guard.close()

    child.wait(timeout=10)  # raises if it is still there


@on_windows
def test_the_api_set_map_of_the_process_resolves_the_c_runtime() -> None:
    from depwalk.target import api_sets

    own = api_sets.from_map(core.api_set_map())

    assert own.host("api-ms-win-crt-runtime-l1-1-0.dll", "python.exe") == "ucrtbase.dll"


@on_windows
def test_known_dlls_are_listed_where_windows_has_them() -> None:
    names = [name.lower() for name in core.known_dlls()]

    assert not names or "kernel32.dll" in names


@on_windows
@pytest.mark.parametrize(
    ("path", "extended"),
    [
        ("C:\\short\\x.dll", "C:\\short\\x.dll"),
        ("C:\\" + "d" * 260 + "\\x.dll", "\\\\?\\C:\\" + "d" * 260 + "\\x.dll"),
        ("\\\\server\\share\\" + "d" * 260, "\\\\?\\UNC\\server\\share\\" + "d" * 260),
        ("\\\\?\\C:\\" + "d" * 260, "\\\\?\\C:\\" + "d" * 260),
    ],
)
def test_a_long_path_is_written_so_that_windows_takes_it(path: str, extended: str) -> None:
    assert core.extended_path(path) == extended
