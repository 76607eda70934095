"""Build depwalk-check-x64.exe, depwalk-check-x86.exe and depwalk-check-arm64.exe with zig.

python3 ci/check_exe.py DIRECTORY [ARCHITECTURE...]
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

CHECKOUT = Path(__file__).resolve().parent.parent
CORE = CHECKOUT / "csrc"
ZIG = {"x64": "x86_64", "x86": "x86", "arm64": "aarch64"}

COMPILE = ("-std=c11", "-Os", "-DDW_BUILD", "-DDW_STATIC", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-pedantic")
FREESTANDING = ("-ffreestanding", "-fno-stack-protector", "-fno-sanitize=all", "-ffunction-sections", "-fdata-sections")
LINK = ("-nostdlib", "-s", "-Wl,--gc-sections", "-Wl,--subsystem,console", "-Wl,--entry=mainCRTStartup")
LIBRARIES = ("-lkernel32", "-lntdll")


def name(architecture: str) -> str:
    """Return the file name of the program for one architecture."""
    return f"depwalk-check-{architecture}.exe"


def sources() -> list[Path]:
    """Return the core's files for Windows, and the program's."""
    return [path for path in sorted(CORE.glob("*.c")) if not path.stem.endswith("_other")]


def version() -> str:
    """Return the version of depwalk."""
    found = re.search(r'^version = "(.+)"', (CHECKOUT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert found is not None
    return found[1]


def build(compiler: Sequence[str], architecture: str, target: Path) -> None:
    """Build the program for "x64", "x86" or "arm64" as `target`; `compiler` is zig's ("python -m ziglang cc").

    Raises subprocess.CalledProcessError.
    """
    command = [*compiler, "-target", f"{ZIG[architecture]}-windows-gnu"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for table in ("isa_table", "check_table"):
            subprocess.run([sys.executable, CORE / f"{table}.py", place / f"{table}.h"], check=True)
        flags = [*COMPILE, *FREESTANDING, f'-DCHECK_VERSION="{version()}"', f"-I{place}"]
        objects = []
        for source in sources():
            objects.append(place / f"{source.stem}.o")
            subprocess.run([*command, *flags, "-c", source, "-o", objects[-1]], check=True)
        subprocess.run([*command, *LINK, *objects, "-o", place / "program.exe", *LIBRARIES], check=True)
        target.write_bytes((place / "program.exe").read_bytes())


def main(arguments: Sequence[str]) -> None:
    """Build the programs of these architectures, or of all, into a directory."""
    directory, *architectures = arguments
    for architecture in architectures or ZIG:
        build((sys.executable, "-m", "ziglang", "cc"), architecture, Path(directory, name(architecture)))


if __name__ == "__main__":
    main(sys.argv[1:])
