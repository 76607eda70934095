"""Image: the facts of one PE file, read once through the core.

Field names are those of the PE format; sizes are bytes, addresses are relative to the image base (RVA) unless said.
"""

from __future__ import annotations

import os
import re
import struct
import sys
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from depwalk import core, files

if TYPE_CHECKING:
    from collections.abc import Iterable

Kind = Literal["import", "delay"]
_DIRECTORY = {"import": core.IMPORT, "delay": core.DELAY_IMPORT}

_MACHINES = {0x14C: "x86", 0x8664: "x64", 0xAA64: "arm64", 0x1C0: "arm", 0x1C2: "arm", 0x1C4: "arm", 0x200: "ia64"}
_HYBRIDS = {"x64": "arm64ec", "arm64": "arm64x"}

# Which images a process takes, by its architecture (windows-loader 2, ARM64EC).
_ACCEPTED = {
    "x86": {"x86"},
    "x64": {"x64"},
    "x64 on arm64": {"x64", "arm64ec", "arm64x"},
    "arm64": {"arm64", "arm64x"},
}

_IMAGE_FILE_DLL = 0x2000
_CLR_IL_ONLY, _CLR_32BIT_REQUIRED = 1, 2
_RT_VERSION, _RT_MANIFEST = 16, 24
_PE32 = 0x10B
_ORDINAL = re.compile(r"#0*(\d{1,6})", re.ASCII)
_HIGHEST_ORDINAL = 0xFFFF
_FIXED_FILE_INFO = struct.pack("<I", 0xFEEF04BD)
_LONGEST_TEXT = 100  # characters of a text of the version resource

# kind -> (what is wrong, whether the loader refuses the file for it), in the words of a report.
_DEFECTS = {
    core.lib.DW_DEFECT_CUT_DOS_HEADER: ("the file ends inside its DOS header", True),
    core.lib.DW_DEFECT_NO_PE_SIGNATURE: ("there is no PE signature where the DOS header points", True),
    core.lib.DW_DEFECT_CUT_HEADERS: ("the file ends inside its PE headers", True),
    core.lib.DW_DEFECT_CUT_SECTION_TABLE: ("the file ends inside its section table", True),
    core.lib.DW_DEFECT_CUT_SECTION: ("the file ends before the last byte of its sections", True),
    core.lib.DW_DEFECT_BAD_MAGIC: ("the optional header is neither PE32 nor PE32+", True),
    core.lib.DW_DEFECT_MACHINE_AND_MAGIC_DISAGREE: ("machine type and PE32/PE32+ format contradict each other", True),
    core.lib.DW_DEFECT_BAD_ALIGNMENT: ("section or file alignment is not a valid power of two", True),
    core.lib.DW_DEFECT_BAD_SECTION_ADDRESS: ("a section does not begin where the one before it ends", True),
    core.lib.DW_DEFECT_BAD_IMAGE_SIZE: ("sections reach beyond the declared image size", True),
    core.lib.DW_DEFECT_UNREADABLE_IMPORTS: ("the import table cannot be read to its end", True),
    core.lib.DW_DEFECT_UNREADABLE_EXPORTS: ("the export table cannot be read to its end", False),
    core.lib.DW_DEFECT_UNREADABLE_DELAY_IMPORTS: ("the delay-import table cannot be read to its end", False),
    core.lib.DW_DEFECT_UNREADABLE_RESOURCES: ("the resources cannot be read to their end", False),
    core.lib.DW_DEFECT_UNREADABLE_LOAD_CONFIG: ("the load configuration cannot be read", False),
    core.lib.DW_DEFECT_UNREADABLE_CLR_HEADER: ("the .NET header cannot be read", False),
    core.lib.DW_DEFECT_UNREADABLE_BOUND_IMPORTS: ("the bound-import table cannot be read to its end", False),
    core.lib.DW_DEFECT_UNSORTED_EXPORTS: ("the export names are not sorted", False),
}


class UnreadableFile(Exception):  # noqa: N818  (it names what the file is, as FileNotFound does)
    """A file that is no image: missing, unreadable, empty or of another kind. The text says which, for a person.

    `by_content`: what is in it decides that, and not the system that refuses it.
    """

    def __init__(self, message: str, *, by_content: bool) -> None:
        super().__init__(message)
        self.by_content = by_content


class Defect(NamedTuple):
    """Something wrong with a file: a sentence, and the file offset in bytes where the data should have been."""

    message: str
    offset: int
    fatal: bool  # the loader refuses the file for it
    damage: bool = True  # False for what is only unusual


class Symbol(NamedTuple):
    """An imported symbol: `name` is None for an import by ordinal."""

    name: str | None
    hint: int
    ordinal: int

    def __str__(self) -> str:
        return self.name if self.name is not None else f"#{self.ordinal}"


class Export(NamedTuple):
    """An exported symbol: `name` is None for one that has an ordinal only; `forwarder` is "DLL.name" or None."""

    name: str | None
    ordinal: int
    rva: int
    forwarder: str | None


class Binding(NamedTuple):
    """What an exporter does not simply satisfy: it lacks the symbol, or forwards it."""

    symbol: str
    forwarder: str | None


class Import(NamedTuple):
    """One imported DLL, as written in the file."""

    dll: str
    kind: Kind
    first: int  # of its symbols, among those of its directory
    symbols: int  # how many
    skipped: bool  # its address table is empty, so the loader passes over it
    bound: bool


@dataclass(frozen=True)
class Image:
    """The facts of one PE file. The file stays mapped while the object lives."""

    path: str
    size: int
    architecture: str  # x86, x64, arm64, arm64ec, arm64x, arm, ia64, or "machine 0x...."
    machine: int
    magic: int
    characteristics: int
    dll_characteristics: int
    subsystem: int
    os_version: tuple[int, int]
    subsystem_version: tuple[int, int]
    linker_version: tuple[int, int]
    timestamp: int  # seconds since 1970, or a hash of a reproducible build
    checksum: int
    size_of_image: int
    entry_point: int
    dependent_load_flags: int
    clr_flags: int | None  # None: not a .NET image
    imports: tuple[Import, ...]  # static ones first, then delay-loaded ones, each in file order
    defects: tuple[Defect, ...]
    file: core.File = field(repr=False, compare=False)

    @property
    def is_dll(self) -> bool:
        """IMAGE_FILE_DLL is set. Without it the loader maps a file and resolves nothing (windows-loader 2)."""
        return bool(self.characteristics & _IMAGE_FILE_DLL)

    @property
    def is_pure_dotnet(self) -> bool:
        """Holds .NET code only: the native import table is ignored and mscoree used (windows-loader 2)."""
        return self.clr_flags is not None and bool(self.clr_flags & _CLR_IL_ONLY)

    def resolves_imports(self) -> bool:
        """Whether the loader follows its imports: it maps a DLL that is marked as no DLL, and does nothing more."""
        return self.is_dll or self.path.lower().endswith(".exe")

    @property
    def fatal_defects(self) -> tuple[Defect, ...]:
        """Those the loader refuses the file for."""
        return tuple(defect for defect in self.defects if defect.fatal)

    @property
    def has_exports(self) -> bool:
        """There is an export directory."""
        return bool(self.file.export_info.present)

    @cached_property
    def exports(self) -> tuple[Export, ...]:
        """Named exports in the order of the name table, then those that have an ordinal only."""
        base = int(self.file.export_info.base)
        addresses = self.file.export_addresses()
        named = set()
        found = []
        for name, index in self.file.export_names():
            rva, forwarder = addresses[index] if index < len(addresses) else (0, b"")
            found.append(Export(name.decode("latin-1"), base + index, rva, _text(forwarder) if forwarder else None))
            named.add(index)
        for index, (rva, forwarder) in enumerate(addresses):
            if rva and index not in named:
                found.append(Export(None, base + index, rva, _text(forwarder) if forwarder else None))
        return tuple(found)

    @property
    def export_dll_name(self) -> str | None:
        """The name the file was linked as; packagers rename files, so it may differ from the file's name."""
        return _text(self.file.export_dll_name()) if self.has_exports else None

    @property
    def bound_imports(self) -> tuple[str, ...]:
        """Names in the bound-import directory: information only, the loader ignores it."""
        return tuple(_dll_name(name) for name in self.file.bound_imports())

    @cached_property
    def version(self) -> tuple[int, int, int, int] | None:
        """The file version of the version resource, None if there is none."""
        content = self._version_resource
        at = content.find(_FIXED_FILE_INFO)
        if 0 <= at <= len(content) - 16:
            high, low = struct.unpack_from("<II", content, at + 8)
            return high >> 16, high & 0xFFFF, low >> 16, low & 0xFFFF
        return None

    def version_text(self, key: str) -> str:
        """A text of the version resource, such as ProductName or CompanyName; empty if it has none."""
        content, name = self._version_resource, f"{key}\0".encode("utf-16-le")
        at = content.find(name)
        if at < 0:
            return ""
        start = -(-(at + len(name)) // 4) * 4  # texts begin at a multiple of four bytes
        text = content[start : start + 2 * _LONGEST_TEXT].decode("utf-16-le", "replace")
        return text.partition("\0")[0].strip()

    @cached_property
    def _version_resource(self) -> bytes:
        found = next(iter(self.file.resources(_RT_VERSION)), None)
        return bytes(self.file.content[found[2] : found[2] + found[3]]) if found else b""

    def manifest(self, identifier: int) -> bytes | None:
        """The manifest resource with this id: 2 governs a DLL's own imports (windows-loader 1.7)."""
        for found, _, offset, size in self.file.resources(_RT_MANIFEST):
            if found == identifier:
                return bytes(self.file.content[offset : offset + size])
        return None

    def at(self, rva: int, size: int) -> bytes:
        """The bytes of the file from an RVA on, at most `size`; empty if the file has none for it."""
        return self.file.at(rva, size)

    def section(self, name: str) -> bytes:
        """Content of the first section of this name; empty if there is none."""
        for found, offset, size in self.file.sections():
            if found.rstrip(b"\0") == name.encode("ascii"):
                return bytes(self.file.content[offset : offset + size])
        return b""

    def symbols(self, imported: Import) -> tuple[Symbol, ...]:
        """Every symbol imported from one DLL, in file order."""
        return tuple(
            Symbol(name.decode("latin-1") if name else None, hint, ordinal)
            for name, hint, ordinal in self.file.symbols(_DIRECTORY[imported.kind], imported.first, imported.symbols)
        )

    def names(self, imported: Import) -> list[str]:
        """Those of the symbols imported from one DLL that have a name, in file order."""
        found = self.file.symbols(_DIRECTORY[imported.kind], imported.first, imported.symbols)
        return [name.decode("latin-1") for name, _, _ in found if name]

    def match(self, imported: Import, exporter: Image) -> tuple[list[Binding], list[Binding]]:
        """What the exporter does for the symbols of one import: (missing, forwarded)."""
        key = (imported.kind, imported.first, exporter.file.number)
        if key not in self.file.asked:
            self.file.asked[key] = self._match(imported, exporter)
        found: tuple[list[Binding], list[Binding]] = self.file.asked[key]
        return found

    def _match(self, imported: Import, exporter: Image) -> tuple[list[Binding], list[Binding]]:
        missing, forwarded = [], []
        found = self.file.match(_DIRECTORY[imported.kind], imported.first, imported.symbols, exporter.file)
        names = self.symbols(imported) if found else ()
        texts: dict[bytes, str] = {}  # many imports may meet one forwarder
        for binding in found:
            name = str(names[binding.symbol])
            if binding.result == core.lib.DW_FORWARDED:
                forwarded.append(Binding(name, texts.setdefault(binding.forwarder, _text(binding.forwarder))))
            else:
                missing.append(Binding(name, None))
        return missing, forwarded

    def lookup(self, symbol: str) -> Binding | None:
        """One export by name or "#ordinal": None if it is not there, its forwarder if it has one."""
        ordinal = _ORDINAL.fullmatch(symbol)
        if ordinal and int(ordinal[1]) > _HIGHEST_ORDINAL:
            return None
        name = b"" if ordinal else symbol.encode("latin-1", "replace")
        found = self.file.lookup(name, int(ordinal[1]) if ordinal else 0)
        if found.result == core.lib.DW_FORWARDED:
            return Binding(symbol, _text(found.forwarder))
        return Binding(symbol, None) if found.result == core.lib.DW_RESOLVED else None

    def runs_in(self, architecture: str, windows_architecture: str = "") -> bool:
        """Whether a process of this architecture can map the file (windows-loader 2)."""
        process = "x64 on arm64" if (architecture, windows_architecture) == ("x64", "arm64") else architecture
        if self.is_pure_dotnet and self.magic == _PE32 and not (self.clr_flags or 0) & _CLR_32BIT_REQUIRED:
            return True  # it is compiled for whatever process it is in
        return self.architecture in _ACCEPTED.get(process, {process})


def read(path: str | os.PathLike[str]) -> Image:
    """Read a PE file. Raises UnreadableFile with a sentence for a person."""
    return _read(os.fspath(path))


@files.remembered
def _read(name: str) -> Image:
    try:
        return _image(name, files.image(name))
    except core.CoreError as error:
        by_content = error.status in (core.lib.DW_EMPTY, core.lib.DW_NOT_PE)
        raise UnreadableFile(_reason(name, error), by_content=by_content) from None
    except OSError as error:  # of a wheel
        raise UnreadableFile(f"{name}: {error.strerror}", by_content=False) from None


def parse(data: bytes, path: str = "<memory>") -> Image:
    """Read a PE file that is in memory. Raises UnreadableFile."""
    try:
        return _image(path, core.File(None, data))
    except core.CoreError as error:
        raise UnreadableFile(_reason(path, error, data[:16]), by_content=True) from None


def _image(path: str, file: core.File) -> Image:
    facts = file.facts
    imports = tuple(_imports(file, "import")) + tuple(_imports(file, "delay"))
    file.check()
    architecture = _MACHINES.get(facts.machine, f"machine 0x{facts.machine:04x}")
    return Image(
        path=path,
        size=facts.size,
        architecture=_HYBRIDS.get(architecture, architecture) if facts.chpe_metadata else architecture,
        machine=facts.machine,
        magic=facts.magic,
        characteristics=facts.characteristics,
        dll_characteristics=facts.dll_characteristics,
        subsystem=facts.subsystem,
        os_version=(facts.os_major, facts.os_minor),
        subsystem_version=(facts.subsystem_major, facts.subsystem_minor),
        linker_version=(facts.linker_major, facts.linker_minor),
        timestamp=facts.timestamp,
        checksum=facts.checksum,
        size_of_image=facts.size_of_image,
        entry_point=facts.entry_point,
        dependent_load_flags=facts.dependent_load_flags,
        clr_flags=facts.clr_flags if facts.has_clr else None,
        imports=imports,
        defects=tuple(_defects(file)),
        file=file,
    )


def _imports(file: core.File, kind: Kind) -> Iterable[Import]:
    for dll in file.imports(_DIRECTORY[kind]):
        yield Import(_dll_name(dll.name), kind, dll.first, dll.symbols, dll.skipped, dll.bound)


def _defects(file: core.File) -> Iterable[Defect]:
    for kind, offset, _ in file.defects():
        if kind in _DEFECTS:
            message, fatal = _DEFECTS[kind]
            yield Defect(message, offset, fatal, kind != core.lib.DW_DEFECT_UNSORTED_EXPORTS)


def _dll_name(name: bytes) -> str:
    """A DLL name in an import table is in the process's ANSI code page (windows-loader 1.1, step 0)."""
    if name.isascii():
        return name.decode("ascii")
    try:
        return name.decode("mbcs" if os.name == "nt" else "cp1252")
    except UnicodeDecodeError:
        return name.decode("latin-1")


def _text(name: bytes) -> str:
    return name.decode("latin-1")


_FOREIGN = {b"\x7fELF": "an ELF file (for Linux)", b"PK\x03\x04": "a zip archive", b"!<arch>": "a static library"}
_FOREIGN.update(dict.fromkeys([b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"\xce\xfa\xed\xfe"], "a macOS binary"))


def _reason(path: str, error: core.CoreError, start: bytes | None = None) -> str:
    if error.status == core.lib.DW_CANNOT_OPEN:
        return f"{path}: {_os_reason(error.os_error)}"
    if error.status == core.lib.DW_EMPTY:
        return f"{path}: the file is empty"
    if error.status == core.lib.DW_NOT_A_FILE:
        return f"{path}: a device or a pipe, not a file"
    if error.status == core.lib.DW_TOO_LARGE:
        return f"{path}: the file is too large for this process to map"
    if start is None:
        start = files.content(path, 16)
    kind = next((what for magic, what in _FOREIGN.items() if start.startswith(magic)), "not a Windows DLL or program")
    return f"{path}: {kind}" if kind.startswith("not") else f"{path}: not a Windows DLL or program but {kind}"


def _os_reason(code: int) -> str:
    if sys.platform == "win32":
        import ctypes

        return ctypes.FormatError(code)
    return os.strerror(code)
