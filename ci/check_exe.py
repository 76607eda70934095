"""Build what installers use, with zig: depwalk-check-x64.exe (x86, arm64), and the core as a DLL with its .lib.

python3 ci/check_exe.py DIRECTORY [ARCHITECTURE...]
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKOUT = Path(__file__).resolve().parent.parent
CORE = CHECKOUT / "csrc"
ZIG = {"x64": "x86_64", "x86": "x86", "arm64": "aarch64"}

COMPILE = ("-std=c11", "-Os", "-DDW_BUILD", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-pedantic", "-Werror")
FREESTANDING = ("-ffreestanding", "-fno-stack-protector", "-fno-sanitize=all", "-ffunction-sections", "-fdata-sections")
LINK = ("-nostdlib", "-s", "-Wl,--gc-sections")
PROGRAM = ("-Wl,--subsystem,console", "-Wl,--entry=mainCRTStartup")
LIBRARY = ("-shared", "-Wl,--entry=DllMain")
LIBRARIES = ("-lkernel32", "-lntdll")
ONLY_PROGRAM = ("check_main_windows", "check_child_windows")


def name(architecture: str) -> str:
    """Return the file name of the program for one architecture."""
    return f"depwalk-check-{architecture}.exe"


def library_name(architecture: str) -> str:
    """Return the file name of the library for one architecture."""
    return f"depwalk-{architecture}.dll"


def sources(*, program: bool) -> list[Path]:
    """Return the core's files for Windows, with those of the program or without."""
    found = [path for path in sorted(CORE.glob("*.c")) if not path.stem.endswith("_other")]
    return [path for path in found if program or path.stem not in ONLY_PROGRAM]


def version() -> str:
    """Return the version of depwalk."""
    found = re.search(r'^version = "(.+)"', (CHECKOUT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def build(compiler: Sequence[str], architecture: str, target: Path) -> None:
    """Build the program for "x64", "x86" or "arm64" as `target`; `compiler` is zig's ("python -m ziglang cc").

    Raises subprocess.CalledProcessError.
    """
    flags = ["-DDW_STATIC", f'-DCHECK_VERSION="{version()}"']
    _build(compiler, architecture, sources(program=True), flags, PROGRAM, target)


def build_library(compiler: Sequence[str], architecture: str, target: Path) -> None:
    """Build the core as the DLL `target`, and beside it the import library, which ends with .lib. Raises as build()."""
    implib = f"-Wl,--out-implib,{target.with_suffix('.lib')}"
    _build(compiler, architecture, sources(program=False), [], [*LIBRARY, implib], target)


def _build(
    compiler: Sequence[str],
    architecture: str,
    sources: Sequence[Path],
    flags: Sequence[str],
    link: Sequence[str],
    target: Path,
) -> None:
    command = [*compiler, "-target", f"{ZIG[architecture]}-windows-gnu"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        for table in sorted(CORE.glob("*_table.py")):
            subprocess.run([sys.executable, table, Path(folder, f"{table.stem}.h")], check=True)
        objects = [Path(folder, f"{source.stem}.o") for source in sources]

        def compile_one(source: Path, made: Path) -> None:
            options = [*COMPILE, *FREESTANDING, *flags, f"-I{folder}"]
            subprocess.run([*command, *options, "-c", source, "-o", made], check=True)

        list(pool.map(compile_one, sources, objects))
        made = Path(folder, target.name)  # named as the target, which the export table repeats
        subprocess.run([*command, *LINK, *link, *objects, "-o", made, *LIBRARIES], check=True)
        shutil.copyfile(made, target)


def main(arguments: Sequence[str]) -> None:
    """Build everything for these architectures, or for all, into a directory."""
    directory, *architectures = arguments
    compiler = (sys.executable, "-m", "ziglang", "cc")
    for architecture in architectures or ZIG:
        build(compiler, architecture, Path(directory, name(architecture)).resolve())
        build_library(compiler, architecture, Path(directory, library_name(architecture)).resolve())


if __name__ == "__main__":
    main(sys.argv[1:])
