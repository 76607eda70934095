"""Builds what the tests of the C interface run: python tests/installer/programs.py DIRECTORY.

The directory has the DLLs with their import libraries (ci/check_exe.py). The examples in C and C++ are compiled with
every warning an error, and for each architecture a DLL that holds the layout of every struct as the C compiler has it.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKOUT = Path(__file__).resolve().parents[2]
HEADERS = CHECKOUT / "csrc"
EXAMPLES = CHECKOUT / "examples"
ZIG = (sys.executable, "-m", "ziglang", "cc")
WINDOWS = {"x64": "x86_64-windows-gnu", "x86": "x86-windows-gnu"}
STRICT = ("-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Wold-style-cast", "-pedantic", "-Werror")
SMALL = ("-Os", "-s", "-fno-sanitize=undefined")
WITHOUT_RUNTIME = ("-nostdlib", "-ffreestanding", "-Wl,--entry=DllMain")
C = ("-std=c99", *(option for option in STRICT if option != "-Wold-style-cast"))
CPP = ("-x", "c++", "-std=c++11", *STRICT)


def own_ffi() -> Any:
    """The header as the depwalk that is being tested reads it."""
    from depwalk.core import ffi

    return ffi


def ffi_of_checkout() -> Any:
    """The header as setup.py reads it: nothing has to be built."""
    specification = importlib.util.spec_from_file_location("setup", CHECKOUT / "setup.py")
    assert specification is not None
    assert specification.loader is not None
    setup = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(setup)
    with contextlib.chdir(CHECKOUT):
        return setup.binding("win")


def structs(ffi: Any) -> dict[str, list[str]]:
    """The fields of every struct of the header."""
    names = [name for name in ffi.list_types()[0] if ffi.typeof(name).kind == "struct"]
    return {name: [field for field, _ in ffi.typeof(name).fields] for name in names}


def layout_source(ffi: Any) -> str:
    """A library with `layout`: for every struct its size, then offset and size of each field."""
    numbers = []
    for name, fields in structs(ffi).items():
        numbers.append(f"sizeof({name})")
        for field in fields:
            numbers += [f"offsetof({name}, {field})", f"sizeof((({name} *)0)->{field})"]
    export = "#ifdef _WIN32\n__declspec(dllexport)\n#endif"
    entry = "int __stdcall DllMain(void *a, unsigned long b, void *c);\n"
    entry += (
        "int __stdcall DllMain(void *a, unsigned long b, void *c)\n{\n    (void)a, (void)b, (void)c;\n    return 1;\n}"
    )
    table = "extern const unsigned layout[];\nconst unsigned layout[] = {\n    " + ",\n    ".join(numbers) + "\n};"
    return f'#include "depwalk.h"\n{export}\n{table}\n#ifdef _WIN32\n{entry}\n#endif\n'


def layout_of_cffi() -> list[int]:
    """The same numbers of cffi in this process."""
    ffi = own_ffi()
    found = []
    for name in structs(ffi):
        kind = ffi.typeof(name)
        found.append(ffi.sizeof(kind))
        for _, facts in kind.fields:
            found += [facts.offset, ffi.sizeof(facts.type)]
    return found


def layout_in(library: Path) -> list[int]:
    """The numbers in a library for this process."""
    count = len(layout_of_cffi())
    return list((ctypes.c_uint * count).in_dll(ctypes.CDLL(str(library)), "layout"))


def build_layout(compiler: Sequence[str], target: Path, ffi: Any) -> None:
    """Compile the library with the layout."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "layout.c")
        source.write_text(layout_source(ffi), "ascii")
        subprocess.run([*compiler, *C, f"-I{HEADERS}", "-shared", source, "-o", target], check=True)


def build_example(compiler: Sequence[str], source: Path, library: Path, target: Path) -> None:
    """Compile an example and link it with the import library."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder, "example.o")
        standard = CPP if source.suffix == ".cpp" else C
        subprocess.run([*compiler, *standard, f"-I{HEADERS}", "-c", source, "-o", made], check=True)
        subprocess.run([*compiler, made, library, "-municode", "-o", target], check=True)


def build(directory: Path) -> None:
    """Build the layouts, and the examples for x64: the C runtime that they need takes zig minutes the first time."""
    ffi = ffi_of_checkout()
    for architecture, target in WINDOWS.items():
        options = ["-target", target, *SMALL, *WITHOUT_RUNTIME]
        build_layout([*ZIG, *options], directory / f"layout-{architecture}.dll", ffi)
    for source in (EXAMPLES / "c" / "check.c", EXAMPLES / "cpp" / "check.cpp"):
        compiler = [*ZIG, "-target", WINDOWS["x64"], *SMALL]
        build_example(compiler, source, directory / "depwalk-x64.lib", directory / f"example-{source.parent.name}.exe")


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve())
