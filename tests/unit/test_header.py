"""The header: C and C++ compilers take it without a word, and see its structs as cffi does."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Callable

import programs
import pytest

from depwalk import core

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="compiled on the host; tests/installer asks on Windows")
pytest.importorskip("ziglang")

TARGETS = ["x86_64-linux-musl", "aarch64-linux-musl", "x86_64-windows-gnu", "x86-windows-gnu", "aarch64-windows-gnu"]
Said = Callable[..., str]


@pytest.fixture
def said(tmp_path: Path) -> Said:
    """said("text", options...) is what the compiler says of a source."""

    def of(text: str, *options: str) -> str:
        source = tmp_path / "source.c"
        source.write_text(text, "ascii")
        command = [*programs.ZIG, *options, f"-I{programs.HEADERS}", "-c", str(source), "-o", str(tmp_path / "made.o")]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert (ran.returncode == 0) == (ran.stderr == "")
        return ran.stderr

    return of


@pytest.mark.parametrize("target", TARGETS)
def test_c_takes_it_without_a_warning(said: Said, target: str) -> None:
    text = '#include "depwalk.h"\nextern int used;\nint used = DW_VERSION(10, 0, 19045) > 0;\n'
    assert said(text, "-target", target, *programs.C) == ""


@pytest.mark.parametrize("target", TARGETS)
def test_cpp_takes_it_without_a_warning(said: Said, target: str) -> None:
    text = '#include "depwalk.h"\nextern int used;\nint used = sizeof(dw_check_result) > 0;\n'
    assert said(text, "-target", target, *programs.CPP) == ""


def test_the_compiler_lays_structs_out_as_cffi_does(tmp_path: Path) -> None:
    library = tmp_path / "layout.so"
    programs.build_layout([*programs.ZIG, *programs.SMALL, "-fPIC", "-nostdlib"], library, core.ffi)
    assert programs.layout_in(library) == programs.layout_of_cffi()


def test_64_bit_arm_lays_structs_out_alike(said: Said) -> None:
    numbers = ", ".join(map(str, programs.layout_of_cffi()))
    text = programs.layout_source(core.ffi) + f"static const unsigned expected[] = {{{numbers}}};\n"
    text += '_Static_assert(sizeof expected == sizeof layout, "fields");\n'
    source = programs.layout_source(core.ffi).partition("layout[] = {\n")[2].partition("\n};")[0]
    terms = [term.strip() for term in source.split(",\n")]
    text += "\n".join(
        f'_Static_assert({term} == {number}, "{index}");'
        for index, (term, number) in enumerate(zip(terms, programs.layout_of_cffi()))
    )
    assert said(text, "-target", "aarch64-linux-musl", "-std=c11") == ""


def test_every_struct_is_compared() -> None:
    header = (programs.HEADERS / "depwalk.h").read_text("ascii")
    assert len(programs.structs(core.ffi)) == header.count("typedef struct ") > 20


def test_a_family_has_one_name_and_one_number() -> None:
    numbers = [getattr(core.lib, name) for name in dir(core.lib) if name.startswith("DW_FAMILY_")]
    names = [core.ffi.string(core.lib.dw_family_name(number)) for number in numbers]
    assert len(set(numbers)) == len(set(names)) == len(numbers)


def test_what_is_no_family_has_no_name() -> None:
    assert core.lib.dw_family_name(4) == core.ffi.NULL
