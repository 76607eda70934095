"""Windows: named versions and editions, and one found on a mounted drive (windows-loader 1.5, 1.6, 1.9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pe_maker import pe
from test_api_sets import MAP, map_v6

from depwalk.target import windows

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("name", "label", "version", "architecture"),
    [
        ("11", "Windows 11 (x64)", (10, 0, 22000), "x64"),
        ("11-arm64", "Windows 11 (arm64)", (10, 0, 22000), "arm64"),
        ("10", "Windows 10 (as of version 1803) (x64)", (10, 0, 17134), "x64"),
        ("10-x86", "Windows 10 (as of version 1803) (x86)", (10, 0, 17134), "x86"),
        ("8.1", "Windows 8.1 (x64)", (6, 3, 9600), "x64"),
        ("8", "Windows 8 (x64)", (6, 2, 9200), "x64"),
        ("7", "Windows 7 SP1 (x64)", (6, 1, 7601), "x64"),
        ("7-x86", "Windows 7 SP1 (x86)", (6, 1, 7601), "x86"),
        ("10-N", "Windows 10 (as of version 1803), N edition (x64)", (10, 0, 17134), "x64"),
        ("10-n", "Windows 10 (as of version 1803), N edition (x64)", (10, 0, 17134), "x64"),
        ("10-core", "Windows 10 (as of version 1803), Server Core (x64)", (10, 0, 17134), "x64"),
        ("10-N-core-x86", "Windows 10 (as of version 1803), N edition, Server Core (x86)", (10, 0, 17134), "x86"),
    ],
)
def test_named(name: str, label: str, version: tuple[int, int, int], architecture: str) -> None:
    found = windows.named(name)
    assert (found.label, found.version, found.architecture) == (label, version, architecture)
    assert (found.name, found.live, found.emulator, found.root) == (name, False, None, None)


@pytest.mark.parametrize(
    "name",
    ["", "12", "9", "8.2", "XP", "10-core-N", "10-x64", "10N", "11-x86", "7-arm64", "live ", "windows-10", "10\n"],
)
def test_an_unknown_version_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(ValueError, match=r"^unknown Windows ") as refused:
        windows.named(name)
    assert "\n" not in str(refused.value)
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize(
    ("name", "dll", "there"),
    [
        ("11", "kernel32.dll", True),
        ("11", "icu.dll", True),
        ("10", "icu.dll", False),
        ("10", "d3d12.dll", True),
        ("8.1", "d3d12.dll", False),
        ("10", "ucrtbase.dll", True),
        ("7", "ucrtbase.dll", False),
        ("7", "api-ms-win-core-file-l1-1-0.dll", True),
        ("7", "msvcrt.dll", True),
        ("10", "vcruntime140.dll", False),
        ("10", "msvcp140.dll", False),
        ("10", "mfplat.dll", True),
        ("10-N", "mfplat.dll", False),
        ("10-N", "opengl32.dll", True),
        ("10-core", "opengl32.dll", False),
        ("10-core", "mfplat.dll", False),
        ("10-core", "kernel32.dll", True),
        ("7", "bthprops.cpl", True),
    ],
)
def test_what_is_in_system32(name: str, dll: str, there: bool) -> None:
    assert (windows.named(name).system_directories("x64")[0].find(dll) is not None) is there


@pytest.mark.parametrize(
    ("name", "process", "path"),
    [
        ("10", "x64", "C:\\Windows\\System32"),
        ("10", "x86", "C:\\Windows\\SysWOW64"),
        ("10-x86", "x86", "C:\\Windows\\System32"),
        ("11-arm64", "arm64", "C:\\Windows\\System32"),
        ("11-arm64", "x64", "C:\\Windows\\System32"),
        ("11-arm64", "x86", "C:\\Windows\\SysWOW64"),
    ],
)
def test_what_a_process_sees_as_system32(name: str, process: str, path: str) -> None:
    found = windows.named(name).system_directories(process)
    assert [one.path for one in found] == [path, "C:\\Windows\\System", "C:\\Windows"]
    assert [one.system for one in found] == [True, True, True]
    assert found[0].find("kernel32.dll") == f"{path}\\kernel32.dll"


@pytest.mark.parametrize("dll", ["kernel32.dll", "ntdll.dll", "kernelbase.dll", "ucrtbase.dll", "msvcrt.dll"])
def test_known_dlls_are_the_seeds_and_what_they_import(dll: str) -> None:
    assert dll in windows.named("10").known_dlls


@pytest.mark.parametrize("dll", ["version.dll", "vcruntime140.dll", "msvcp140.dll", "python3.dll"])
def test_what_is_no_known_dll(dll: str) -> None:
    assert dll not in windows.named("10").known_dlls


def test_releases_are_in_order() -> None:
    versions = [tuple(row["version"]) for row in windows.releases()]
    assert versions == sorted(versions)


# ---- a drive -----------------------------------------------------------------------------------------------------


def drive(root: Path, *, folders: tuple[str, str, str] = ("Windows", "System32", "SysWOW64"), **kernel: object) -> Path:
    """A Windows drive with a kernel32.dll that has the facts given."""
    name, system32, wow64 = folders
    (root / name / system32).mkdir(parents=True)
    (root / name / wow64).mkdir()
    kernel.setdefault("version", (10, 0, 19041, 1))
    (root / name / system32 / "Kernel32.DLL").write_bytes(pe(exports=["CreateFileW"], **kernel))
    return root


@pytest.mark.parametrize("folders", [("Windows", "System32", "SysWOW64"), ("WINDOWS", "system32", "syswow64")])
def test_a_drive_is_found_whatever_its_case(folders: tuple[str, str, str], tmp_path: Path) -> None:
    found = windows.at_root(str(drive(tmp_path, folders=folders)))
    system32 = tmp_path / folders[0] / folders[1]
    assert (found.version, found.architecture) == ((10, 0, 19041), "x64")
    assert found.system_directories("x64")[0].path == str(system32)
    assert found.system_directories("x86")[0].path == str(tmp_path / folders[0] / folders[2])
    assert found.system_directories("x64")[0].find("KERNEL32.dll") == str(system32 / "Kernel32.DLL")


@pytest.mark.parametrize(
    ("version", "label"),
    [
        ((10, 0, 19041, 1), "Windows 10 version 2004"),
        ((10, 0, 22631, 1), "Windows 11"),
        ((6, 1, 7601, 17514), "Windows 7 SP1"),
        ((6, 1, 7600, 16385), "Windows 7"),
        ((6, 3, 9600, 1), "Windows 8.1"),
    ],
)
def test_the_version_of_a_drive_is_that_of_its_kernel32(
    version: tuple[int, int, int, int], label: str, tmp_path: Path
) -> None:
    found = windows.at_root(str(drive(tmp_path, version=version)))
    assert (found.version, found.label) == (version[:3], f"{label} (x64) in {tmp_path}")


@pytest.mark.parametrize(("machine", "chpe", "architecture"), [("x86", False, "x86"), ("arm64", True, "arm64")])
def test_the_architecture_of_a_drive_is_that_of_its_kernel32(
    machine: str, chpe: bool, architecture: str, tmp_path: Path
) -> None:
    assert windows.at_root(str(drive(tmp_path, machine=machine, chpe=chpe))).architecture == architecture


def test_the_api_sets_of_a_drive_are_those_of_its_schema(tmp_path: Path) -> None:
    drive(tmp_path)
    schema = pe(sections={".apiset": map_v6(MAP)})
    (tmp_path / "Windows" / "System32" / "apisetschema.dll").write_bytes(schema)
    found = windows.at_root(str(tmp_path)).api_sets
    assert (found.host("api-ms-win-core-file-l1-2-0.dll", "any.dll"), found.complete) == ("kernelbase.dll", True)


@pytest.mark.parametrize("schema", [None, pe(), pe(sections={".apiset": b"\5\0\0\0"}), b"no DLL"])
def test_without_a_schema_api_sets_are_not_known(schema: bytes | None, tmp_path: Path) -> None:
    drive(tmp_path)
    if schema is not None:
        (tmp_path / "Windows" / "System32" / "apisetschema.dll").write_bytes(schema)
    found = windows.at_root(str(tmp_path)).api_sets
    assert (found.hosts, found.complete) == ({}, False)


def test_a_wine_prefix_is_told_by_its_ntdll(tmp_path: Path) -> None:
    drive(tmp_path / "drive_c")
    ntdll = pe(exports=["wine_get_version"])
    (tmp_path / "drive_c" / "Windows" / "System32" / "ntdll.dll").write_bytes(ntdll)
    found = windows.at_root(str(tmp_path))
    assert (found.emulator, found.known_dlls) == ("Wine", frozenset())


def test_a_drive_that_is_no_wine_prefix_has_known_dlls(tmp_path: Path) -> None:
    found = windows.at_root(str(drive(tmp_path)))
    assert found.emulator is None
    assert "kernel32.dll" in found.known_dlls


@pytest.mark.parametrize("folder", ["", "Windows", "drive_c/Windows"])
def test_a_directory_without_a_windows_is_refused_in_one_line(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    with pytest.raises(ValueError, match=r"there is no Windows\\System32 in it") as refused:
        windows.at_root(str(tmp_path))
    assert str(refused.value).startswith(str(tmp_path))
