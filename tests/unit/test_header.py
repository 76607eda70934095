"""The header: C and C++ compilers take it without a word, and see its structs as cffi does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from depwalk import core

sys.path.append(str(Path(__file__).resolve().parents[1] / "installer"))
import programs

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="compiled on the host; tests/installer asks on Windows")
pytest.importorskip("ziglang")

ONLY_LOOK = ("-fsyntax-only", f"-I{programs.HEADERS}")
TARGETS = ["x86_64-linux-musl", "aarch64-linux-musl", "x86_64-windows-gnu", "x86-windows-gnu", "aarch64-windows-gnu"]


def compile_text(text: str, *options: str) -> str:
    """What the compiler says of a source."""
    command = [*programs.ZIG, *options, *ONLY_LOOK, "-"]
    ran = subprocess.run(command, input=text, capture_output=True, text=True, check=False, env=environment())
    return ran.stderr


def environment() -> dict[str, str]:
    cache = os.environ.get("ZIG_GLOBAL_CACHE_DIR")
    return dict(os.environ) | ({"ZIG_LOCAL_CACHE_DIR": cache} if cache else {})


@pytest.mark.parametrize("target", TARGETS)
def test_c_takes_it_without_a_warning(target: str) -> None:
    text = '#include "depwalk.h"\nextern int used;\nint used = DW_VERSION(10, 0, 19045) > 0;\n'
    assert compile_text(text, "-target", target, *programs.C, "-x", "c") == ""


@pytest.mark.parametrize("target", TARGETS)
def test_cpp_takes_it_without_a_warning(target: str) -> None:
    text = '#include "depwalk.h"\nextern int used;\nint used = sizeof(dw_check_result) > 0;\n'
    assert compile_text(text, "-target", target, *programs.CPP) == ""


def test_the_compiler_lays_structs_out_as_cffi_does(tmp_path: Path) -> None:
    library = tmp_path / "layout.so"
    programs.build_layout([*programs.ZIG, "-fPIC", "-nostdlib"], library)
    assert programs.layout_in(library) == programs.layout_of_cffi()


def test_64_bit_arm_lays_structs_out_alike() -> None:
    numbers = ", ".join(map(str, programs.layout_of_cffi()))
    text = programs.layout_source() + f"static const unsigned expected[] = {{{numbers}}};\n"
    text += "_Static_assert(sizeof expected == sizeof layout, \"fields\");\n"
    source = programs.layout_source().partition("layout[] = {\n")[2].partition("\n};")[0]
    terms = [term.strip() for term in source.split(",\n")]
    text += "\n".join(
        f'_Static_assert({term} == {number}, "{index}");'
        for index, (term, number) in enumerate(zip(terms, programs.layout_of_cffi()))
    )
    assert compile_text(text, "-target", "aarch64-linux-musl", "-std=c11", "-x", "c") == ""


def test_every_struct_is_compared() -> None:
    header = (programs.HEADERS / "depwalk.h").read_text("ascii")
    assert len(programs.structs()) == header.count("typedef struct ") > 20


def test_a_family_has_one_name_and_one_number() -> None:
    numbers = [getattr(core.lib, name) for name in dir(core.lib) if name.startswith("DW_FAMILY_")]
    names = [core.ffi.string(core.lib.dw_family_name(number)) for number in numbers]
    assert len(set(numbers)) == len(set(names)) == len(numbers)


def test_what_is_no_family_has_no_name() -> None:
    assert core.lib.dw_family_name(4) == core.ffi.NULL
