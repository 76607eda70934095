"""What is in the files that are published, and the table of them in docs/release.md.

python ci/artifacts.py DIRECTORY     writes the table of the files in DIRECTORY
"""

from __future__ import annotations

import re
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import lief

lief.logging.disable()  # it has notes on every Mach-O file

PAGE = Path(__file__).resolve().parent.parent / "docs" / "release.md"
BEGIN, END = "<!-- table of files -->\n", "<!-- end -->\n"
COMPILED = (".whl", ".exe", ".zip")
HEAD = "| file | kB | for (kB of each core) | imports | needs |\n|---|---|---|---|---|\n"
MACHINES = {
    "AMD64": "x64", "I386": "x86", "ARM64": "arm64",
    "X86_64": "x86-64", "AARCH64": "aarch64",
}  # fmt: skip


@dataclass(frozen=True)
class Library:
    """One shared library or program: what its header says."""

    name: str
    size: int  # bytes
    machine: str
    imports: tuple[str, ...]
    oldest: str  # the oldest system that it is for, as it says itself
    content: bytes


def libraries(file: Path) -> list[Library]:
    """The cores in an archive, in a wheel that of its own platform first, or the program that a file is."""
    if file.suffix == ".exe":
        return [read(file.name, file.read_bytes())]
    with zipfile.ZipFile(file) as archive:
        names = [name for name in archive.namelist() if re.search(r"\.(dll|so|dylib)$", name)]
        return [read(name, archive.read(name)) for name in sorted(names, key=lambda name: ("_core-" in name, name))]


def read(name: str, content: bytes) -> Library:
    """What one file says of itself. Raises TypeError when it is of no format that is published."""
    binary = lief.parse(list(content))
    if isinstance(binary, lief.PE.Binary):
        imports = sorted({entry.name.lower() for entry in binary.imports})
        optional = binary.optional_header
        oldest = f"Windows NT {optional.major_subsystem_version}.{optional.minor_subsystem_version}"
        machine = binary.header.machine.name
    elif isinstance(binary, lief.ELF.Binary):
        imports = [str(name) for name in binary.libraries]
        versions = {aux.name for need in binary.symbols_version_requirement for aux in need.get_auxiliary_symbols()}
        oldest = max(versions, key=version_of, default="")
        machine = binary.header.machine_type.name
    elif isinstance(binary, lief.MachO.Binary):
        own = {command.name for command in binary.commands if command.command.name == "ID_DYLIB"}
        imports = sorted(library.name for library in binary.libraries if library.name not in own)
        version = binary.build_version.minos if binary.has_build_version else binary.version_min.version
        oldest = f"macOS {version[0]}.{version[1]}"
        machine = binary.header.cpu_type.name
    else:
        raise TypeError(f"{name} is neither PE nor ELF nor Mach-O")
    return Library(name, len(content), MACHINES.get(machine, machine.lower()), tuple(imports), oldest, content)


def version_of(name: str) -> tuple[int, ...]:
    """The numbers of a name like GLIBC_2.17."""
    return tuple(int(number) for number in re.findall(r"\d+", name))


def table(directory: Path) -> str:
    """The table of what is compiled; the archive of the sources holds the page itself, and so has no size in it."""
    return HEAD + "".join(row(file) for file in sorted(directory.iterdir()) if file.suffix in COMPILED)


def row(file: Path) -> str:
    """One file: a wheel by its tag, which is the end of its name."""
    name = file.stem.rpartition("-")[2] if file.suffix == ".whl" else file.name
    held = libraries(file)
    cells = (
        f"`{name}`",
        f"{file.stat().st_size / 1000:.0f}",
        ", ".join(f"{library.machine} ({library.size / 1000:.0f})" for library in held),
        ", ".join(dict.fromkeys(Path(dll).name for library in held for dll in library.imports)),
        ", ".join(dict.fromkeys(library.oldest for library in held)),
    )
    return f"| {' | '.join(cells)} |\n"


def main() -> int:
    """Write the table."""
    text = PAGE.read_text("utf-8")
    begin = text.index(BEGIN) + len(BEGIN)
    written = text[:begin] + table(Path(sys.argv[1])) + text[text.index(END, begin) :]
    PAGE.write_text(written, encoding="utf-8", newline="\n")
    print(f"written: {PAGE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
