"""Builds the installers of examples/nsis with makensis, and the custom action of examples/wix, for tests/installer.

python ci/installers.py CHECK TARGET    CHECK: what ci/check_exe.py made; TARGET: where the installers go
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import bed
from steps import CHECKOUT, STAMP, Command, SetupError, run_logged, step, tree_hash

SOURCES = CHECKOUT / "examples" / "nsis"
ACTION = CHECKOUT / "examples" / "wix" / "check_action.c"
STAND_IN = CHECKOUT / "tests" / "installer" / "stand_in.c"
RUNTIME_NAMES = ("_Thrd_hardware_concurrency",)  # what the example product imports from msvcp140.dll
UNDECLARED = "-DREQUIREMENTS="  # the product needs AVX2, and its author did not say so


def prepare(host_python: Path, check: Path, target: Path) -> int:
    """Make `target` with the example product, and its installers in the variants that tests ask for."""
    program, library = check / "depwalk-check-x64.exe", check / "depwalk-x64.dll"
    if not program.exists() or not shutil.which("makensis"):
        raise SetupError(f"installers: {program} and makensis (Debian: nsis) are needed")

    def build(directory: Path) -> None:
        product, stand_in = directory / "product", directory / "stand_in.exe"
        product.mkdir()
        build_product(host_python, product)
        compile_with_headers(host_python, STAND_IN, ["-Wl,-e,start", "-Wl,--subsystem,console", "-o", stand_in])
        action = ["-shared", "-Wl,-e,DllMainCRTStartup", "-lmsi", "-o", directory / "check_action.dll"]
        compile_with_headers(host_python, ACTION, action)
        shutil.copy(program, directory)
        for unasked in directory.rglob("*.lib"):
            unasked.unlink()  # zig makes one beside every DLL
        variants: dict[str, Command] = {
            "example-product-setup.exe": (f"-DCHECK={program}", "product.nsi"),
            "undeclared.exe": (f"-DCHECK={program}", UNDECLARED, "product.nsi"),
            "32-bit.exe": (f"-DCHECK={program}", "-DTARGET=x86-unicode", "product.nsi"),
            "answers.exe": (f"-DCHECK={stand_in}", "product.nsi"),
            "with-runtime.exe": (f"-DCHECK={stand_in}", f"-DVC_REDIST={stand_in}", "product.nsi"),
            "by-dll.exe": (f"-DTOOLS={check}", "by_dll.nsi"),
        }
        for name, arguments in variants.items():
            command: Command = ["makensis", "-V2", "-WX", f"-DPRODUCT={product}", f"-DOUTPUT={directory / name}"]
            run_logged([*command, *arguments], f"makensis-{name}", cwd=SOURCES)

    inputs = [tree_hash([SOURCES, ACTION, STAND_IN, program, library], (STAMP,)), *RUNTIME_NAMES]
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


def compile_with_headers(host_python: Path, source: Path, options: Command) -> None:
    """Compile and link a source that includes windows.h, which zig finds only where it does not link."""
    with tempfile.TemporaryDirectory() as name:
        compiled = Path(name, "source.o")
        compiler: Command = [host_python, "-m", "ziglang", "cc", "-target", f"{bed.X64.zig}-windows-gnu"]
        flags = ["-std=c11", "-ffreestanding", "-fno-stack-protector", "-fno-sanitize=all", "-O2"]
        warnings = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"]
        command: Command = [*compiler, *flags, *warnings, "-c", source, "-o", compiled]
        run_logged(command, f"zig-{source.stem}", env=bed.zig_environment())
        bed.zig(host_python, bed.X64, [compiled, *options, "-lkernel32"])


if __name__ == "__main__":
    prepare(Path(sys.executable), Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
