"""What the C interface for installers answers about a machine, and where there is no Windows."""

from __future__ import annotations

import sys

import pytest

from depwalk import core, cpu

elsewhere = pytest.mark.skipif(sys.platform == "win32", reason="of other systems; tests/installer asks on Windows")


@pytest.mark.parametrize("feature", cpu.names())
def test_a_feature_is_there_if_a_program_may_use_it(feature: str) -> None:
    live = cpu.live()
    expected = live is not None and live.feature(feature).usable
    assert core.lib.dw_cpu_has(feature.encode()) == expected


@pytest.mark.parametrize("name", [b"", b"avx3", b"AVX", b"avx "])
def test_an_unknown_feature_is_not_one_that_is_absent(name: bytes) -> None:
    assert core.lib.dw_cpu_has(name) == -1


def test_the_level_is_that_of_the_package() -> None:
    live = cpu.live()
    level = live.level() if live else None
    assert core.lib.dw_cpu_level() == (int(level[-1]) if level else 0)


@elsewhere
def test_a_load_cannot_be_checked_off_windows() -> None:
    result = core.ffi.new("dw_check_result *")
    result.size = core.ffi.sizeof("dw_check_result")
    assert core.lib.dw_check(b"x.dll", core.ffi.NULL, 0, result) == core.lib.DW_NOT_HERE
    assert (result.status, result.family) == (core.lib.DW_NOT_HERE, core.lib.DW_FAMILY_UNKNOWN)


def test_a_result_that_is_too_small_is_not_written() -> None:
    result = core.ffi.new("dw_check_result *")
    result.size, result.family = 8, 99
    path = "x.dll" if sys.platform == "win32" else b"x.dll"
    assert core.lib.dw_check(path, core.ffi.NULL, 0, result) == core.lib.DW_INVALID
    assert result.family == 99


@elsewhere
def test_the_text_is_empty_off_windows() -> None:
    text = core.ffi.new("char[8]", b"before")
    assert core.lib.dw_check_text(b"x.dll", core.ffi.NULL, 0, text, 8) == core.lib.DW_FAMILY_UNKNOWN
    assert core.ffi.string(text) == b""


@elsewhere
def test_there_are_no_versions_off_windows() -> None:
    assert (core.lib.dw_vc_runtime_version(b"x64"), core.lib.dw_windows_version()) == (0, 0)
