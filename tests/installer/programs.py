"""Builds what the tests of the C interface run: python tests/installer/programs.py DIRECTORY.

The directory has the DLLs with their import libraries (ci/check_exe.py). The examples in C and C++ are compiled with
every warning an error, and a program that prints the layout of every struct as the C compiler has it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CHECKOUT = Path(__file__).resolve().parents[2]
HEADERS = CHECKOUT / "csrc"
EXAMPLES = CHECKOUT / "examples"
ZIG = (sys.executable, "-m", "ziglang", "cc")
WINDOWS = {"x64": "x86_64-windows-gnu", "x86": "x86-windows-gnu"}
STRICT = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wold-style-cast", "-pedantic", "-Werror")
SMALL = ("-Os", "-s", "-fno-sanitize=undefined")  # zig's runtime for what that finds takes minutes to build
C = ("-std=c99", *(option for option in STRICT if option != "-Wold-style-cast"))
CPP = ("-x", "c++", "-std=c++11", *STRICT)


def structs() -> dict[str, list[str]]:
    """The fields of every struct of the header, as cffi reads it."""
    from depwalk.core import ffi

    names = [name for name in ffi.list_types()[0] if ffi.typeof(name).kind == "struct"]
    return {name: [field for field, _ in ffi.typeof(name).fields] for name in names}


def layout_source() -> str:
    """A program that prints "STRUCT FIELD OFFSET SIZE" for every field, and "STRUCT - 0 SIZE"."""
    lines = ["#include <stdio.h>", '#include "depwalk.h"', "int main(void)", "{"]
    for name, fields in structs().items():
        lines.append(f'    printf("{name} - 0 %u\\n", (unsigned)sizeof({name}));')
        for field in fields:
            numbers = f"(unsigned)offsetof({name}, {field}), (unsigned)sizeof((({name} *)0)->{field})"
            lines.append(f'    printf("{name} {field} %u %u\\n", {numbers});')
    return "\n".join([*lines, "    return 0;", "}", ""])


def layout_of_cffi() -> Iterator[str]:
    """The same lines of cffi in this process."""
    from depwalk.core import ffi

    for name in structs():
        kind = ffi.typeof(name)
        yield f"{name} - 0 {ffi.sizeof(kind)}"
        for field, facts in kind.fields:
            yield f"{name} {field} {facts.offset} {ffi.sizeof(facts.type)}"


def build_layout(compiler: Sequence[str], target: Path) -> None:
    """Compile the program that prints the layout."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "layout.c")
        source.write_text(layout_source(), "ascii")
        subprocess.run([*compiler, *C, f"-I{HEADERS}", source, "-o", target], check=True)


def build_example(compiler: Sequence[str], source: Path, library: Path, target: Path) -> None:
    """Compile an example and link it with the import library."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "example.o")
        standard = CPP if source.suffix == ".cpp" else C
        subprocess.run([*compiler, *standard, f"-I{HEADERS}", "-c", source, "-o", made], check=True)
        subprocess.run([*compiler, made, library, "-municode", "-o", target], check=True)


def build(directory: Path) -> None:
    """Build everything for x64 and x86 beside the DLLs."""
    for architecture, target in WINDOWS.items():
        compiler = [*ZIG, "-target", target, *SMALL]
        library = directory / f"depwalk-{architecture}.lib"
        build_layout(compiler, directory / f"layout-{architecture}.exe")
        for source in (EXAMPLES / "c" / "check.c", EXAMPLES / "cpp" / "check.cpp"):
            build_example(compiler, source, library, directory / f"example-{source.parent.name}-{architecture}.exe")


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve())
