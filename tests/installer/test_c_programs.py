"""Programs in C, C++ and Python that ask through the C interface, as docs/c-api.md shows them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import programs
import pytest
from checking import CHECK, CREATE_NO_WINDOW, IS_64_BIT, OWN, built, on_windows

from depwalk import core

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

pytestmark = [built, on_windows]
ABSENT = "nowhere.dll"
C_EXAMPLES = pytest.mark.parametrize("example", ["c", "cpp"])
only_x64 = pytest.mark.skipif(not IS_64_BIT, reason="the examples are built for x64")


@pytest.fixture
def healthy(make_pe: MakePE) -> str:
    return str(make_pe("healthy.dll", machine=OWN))


@pytest.fixture
def broken(make_pe: MakePE) -> str:
    return str(make_pe("broken.dll", machine=OWN, imports={ABSENT: ["f"]}))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with all that a product ships: its program, the DLL, and what tries a file."""
    made = tmp_path_factory.mktemp("product")
    for name in (f"depwalk-{OWN}.dll", f"depwalk-check-{OWN}.exe", "example-c.exe", "example-cpp.exe"):
        shutil.copy(CHECK / name, made)
    return made


def run(command: list[str]) -> tuple[int, str]:
    ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, creationflags=CREATE_NO_WINDOW)
    return ran.returncode, ran.stdout


@only_x64
@C_EXAMPLES
def test_a_program_learns_that_a_file_loads(place: Path, healthy: str, example: str) -> None:
    code, printed = run([str(place / f"example-{example}.exe"), healthy])
    assert (code, printed.splitlines()[-1]) == (0, "loads: ")


@only_x64
@C_EXAMPLES
def test_a_program_learns_why_a_file_does_not_load(place: Path, broken: str, example: str) -> None:
    code, printed = run([str(place / f"example-{example}.exe"), broken])
    assert code == core.lib.DW_FAMILY_MISSING_DLL
    assert printed.splitlines()[-1].startswith(f"missing-dll: {ABSENT} is in none of the directories")


def ctypes_example(place: Path, file: str) -> tuple[int, str]:
    script = programs.EXAMPLES / "ctypes" / "check.py"
    return run([sys.executable, str(script), str(place / f"depwalk-{OWN}.dll"), file])


def test_a_script_learns_that_a_file_loads(place: Path, healthy: str) -> None:
    assert ctypes_example(place, healthy) == (0, "loads\n")


def test_a_script_learns_why_a_file_does_not_load(place: Path, broken: str) -> None:
    code, printed = ctypes_example(place, broken)
    assert code == core.lib.DW_FAMILY_MISSING_DLL
    assert printed.startswith(f"{ABSENT} is in none of the directories")


def test_without_the_program_beside_the_dll_the_answer_is_unknown(tmp_path: Path, healthy: str) -> None:
    shutil.copy(CHECK / f"depwalk-{OWN}.dll", tmp_path)
    code, printed = ctypes_example(tmp_path, healthy)
    assert code == core.lib.DW_FAMILY_UNKNOWN
    assert f"depwalk-check-{OWN}.exe" in printed


@pytest.mark.parametrize("example", ["c/check.c", "cpp/check.cpp", "ctypes/check.py"])
def test_an_example_has_at_most_20_lines(example: str) -> None:
    assert len((programs.EXAMPLES / example).read_text("utf-8").splitlines()) <= 20


def test_the_compiler_lays_structs_out_as_cffi_does() -> None:
    assert programs.layout_in(CHECK / f"layout-{OWN}.dll") == programs.layout_of_cffi()


def test_the_sentence_is_cut_to_the_room_there_is(place: Path, broken: str) -> None:
    library = core.ffi.dlopen(str(place / f"depwalk-{OWN}.dll"))
    text = core.ffi.new("wchar_t[12]")
    assert library.dw_check_text(broken, core.ffi.NULL, 0, text, 12) == core.lib.DW_FAMILY_MISSING_DLL
    assert core.ffi.string(text) == ABSENT


def test_several_threads_may_check_at_once(place: Path, healthy: str, broken: str) -> None:
    from concurrent.futures import ThreadPoolExecutor

    library = core.ffi.dlopen(str(place / f"depwalk-{OWN}.dll"))

    def family(file: str) -> int:
        text = core.ffi.new("wchar_t[1]")
        return int(library.dw_check_text(file, core.ffi.NULL, 0, text, 1))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(family, [healthy, broken] * 4)) == [0, core.lib.DW_FAMILY_MISSING_DLL] * 4


def test_the_windows_version_is_that_of_the_system() -> None:
    found = sys.getwindowsversion()  # type: ignore[attr-defined] # of Windows only
    assert core.lib.dw_windows_version() == found[0] << 24 | found[1] << 16 | found[2]
