"""Builds the installers of examples/nsis with makensis, for tests/installer.

python ci/installers.py CHECK TARGET    CHECK: the directory of depwalk-check-x64.exe; TARGET: where the installers go
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import bed
from steps import CHECKOUT, STAMP, Command, SetupError, run_logged, step, tree_hash

SOURCES = CHECKOUT / "examples" / "nsis"
STAND_IN = CHECKOUT / "tests" / "installer" / "stand_in.c"
RUNTIME_NAMES = ("_Thrd_hardware_concurrency",)  # what the example product imports from msvcp140.dll
UNDECLARED = "-DREQUIREMENTS="  # the product needs AVX2, and its author did not say so


def prepare(host_python: Path, check: Path, target: Path) -> int:
    """Make `target` with the example product, and its installers in the variants that tests ask for."""
    program = check / "depwalk-check-x64.exe"
    if not program.exists() or not shutil.which("makensis"):
        raise SetupError(f"installers: {program} and makensis (Debian: nsis) are needed")

    def build(directory: Path) -> None:
        product, stand_in = directory / "product", directory / "stand_in.exe"
        product.mkdir()
        build_product(host_python, product)
        build_stand_in(host_python, stand_in)
        variants: dict[str, Command] = {
            "example-product-setup.exe": (f"-DCHECK={program}",),
            "undeclared.exe": (f"-DCHECK={program}", UNDECLARED),
            "answers.exe": (f"-DCHECK={stand_in}",),
            "with-runtime.exe": (f"-DCHECK={stand_in}", f"-DVC_REDIST={stand_in}"),
        }
        for name, defines in variants.items():
            command: Command = ["makensis", "-V2", "-WX", f"-DPRODUCT={product}", f"-DOUTPUT={directory / name}"]
            run_logged([*command, *defines, SOURCES / "product.nsi"], f"makensis-{name}")

    inputs = [tree_hash([SOURCES, STAND_IN, program], (STAMP,)), *RUNTIME_NAMES]
    step(target, "installers of the example product", "3 s", inputs, build)
    return 0


def build_product(host_python: Path, target: Path) -> None:
    """Compile engine.dll and vectors.dll."""
    source = SOURCES / "product"
    with tempfile.TemporaryDirectory() as name:
        libraries = Path(name)
        runtime = bed.import_library(host_python, bed.X64, "msvcp140.dll", RUNTIME_NAMES, libraries)
        vectors = libraries / "vectors.lib"
        options = ["-mavx2", "-shared", f"-Wl,--out-implib,{vectors}"]
        bed.zig(host_python, bed.X64, [*options, source / "vectors.c", "-o", target / "vectors.dll"])
        bed.zig(host_python, bed.X64, ["-shared", source / "engine.c", runtime, vectors, "-o", target / "engine.dll"])
    (target / "engine.lib").unlink(missing_ok=True)  # zig makes it unasked


def build_stand_in(host_python: Path, target: Path) -> None:
    """Compile a program that takes the place of the check, and answers what a test wants it to."""
    compiled = target.with_suffix(".o")
    compiler: Command = [host_python, "-m", "ziglang", "cc", "-target", "x86_64-windows-gnu", "-ffreestanding", "-O2"]
    run_logged([*compiler, "-c", STAND_IN, "-o", compiled], "zig-stand-in", env=bed.zig_environment())
    options = ["-lkernel32", "-Wl,-e,start", "-Wl,--subsystem,console"]
    bed.zig(host_python, bed.X64, [compiled, *options, "-o", target])
    compiled.unlink()


if __name__ == "__main__":
    prepare(Path(sys.executable), Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
