"""LIEF and pefile behind one face: each answers a question about a PE file in the words of depwalk's Image."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pefile
import pytest

from depwalk.image import Export

if TYPE_CHECKING:
    from pathlib import Path

    from depwalk.image import Kind

# The test bed's Windows Pythons have no LIEF; elsewhere its absence is an error.
lief: Any = pytest.importorskip("lief") if sys.platform == "win32" else importlib.import_module("lief")

_NO_LIMIT = 2**31
_LONGEST_NAME = 8192  # the longest name in the wheels has 3243 bytes; pefile would cut it off at 512
_EXPORT, _IMPORT, _RESOURCE, _DELAY_IMPORT = 0, 1, 2, 13
_MANIFEST = 24

lief.logging.disable()
pefile.MAX_IMPORT_SYMBOLS = _NO_LIMIT
pefile.MAX_DLL_LENGTH = pefile.MAX_IMPORT_NAME_LENGTH = pefile.MAX_SYMBOL_NAME_LENGTH = _LONGEST_NAME


class Imported(NamedTuple):
    """One line of an import table. A DLL without any symbol has one line, with `name` and `ordinal` None."""

    dll: str
    name: str | None
    hint: int
    ordinal: int | None


class Header(NamedTuple):
    """The header facts that depwalk reports."""

    machine: int
    magic: int
    characteristics: int
    dll_characteristics: int
    subsystem: int
    os_version: tuple[int, int]
    subsystem_version: tuple[int, int]
    linker_version: tuple[int, int]
    timestamp: int
    checksum: int
    size_of_image: int
    entry_point: int


class Oracle(Protocol):
    """A reader of one PE file."""

    def __init__(self, path: Path) -> None: ...

    def header(self) -> Header: ...

    def imports(self, kind: Kind) -> list[Imported]: ...

    def exports(self) -> list[Export]: ...

    def export_dll_name(self) -> str | None: ...


class Lief:
    """What LIEF says."""

    def __init__(self, path: Path) -> None:
        config = lief.PE.ParserConfig()
        config.parse_signature = config.parse_rsrc = config.parse_reloc = False
        binary = lief.PE.parse(str(path), config)
        assert binary is not None
        self._binary: Any = binary

    def header(self) -> Header:
        file, optional = self._binary.header, self._binary.optional_header
        return Header(
            machine=file.machine.value,
            magic=optional.magic.value,
            characteristics=file.characteristics,
            dll_characteristics=optional.dll_characteristics,
            subsystem=optional.subsystem.value,
            os_version=(optional.major_operating_system_version, optional.minor_operating_system_version),
            subsystem_version=(optional.major_subsystem_version, optional.minor_subsystem_version),
            linker_version=(optional.major_linker_version, optional.minor_linker_version),
            timestamp=file.time_date_stamps,
            checksum=optional.checksum,
            size_of_image=optional.sizeof_image,
            entry_point=optional.addressof_entrypoint,
        )

    def imports(self, kind: Kind) -> list[Imported]:
        table = self._binary.imports if kind == "import" else self._binary.delay_imports
        return [row for dll in table for row in self._symbols(dll)]

    def _symbols(self, dll: Any) -> list[Imported]:
        return [
            Imported(dll.name, None, entry.hint, entry.ordinal)
            if entry.is_ordinal
            else Imported(dll.name, entry.name, entry.hint, None)
            for entry in dll.entries
        ] or [Imported(dll.name, None, 0, None)]

    def exports(self) -> list[Export]:
        table = self._binary.get_export()
        return [self._exported(entry) for entry in table.entries] if table else []

    def _exported(self, entry: Any) -> Export:
        target = entry.forward_information if entry.is_forwarded else None
        forwarder = f"{target.library}.{target.function}" if target else None
        return Export(entry.name or None, entry.ordinal, entry.function_rva, forwarder)

    def export_dll_name(self) -> str | None:
        table = self._binary.get_export()
        return str(table.name) if table else None


class Pefile:
    """What pefile says."""

    def __init__(self, path: Path) -> None:
        self._pe: Any = pefile.PE(
            str(path), fast_load=True, max_symbol_exports=_NO_LIMIT, max_repeated_symbol=_NO_LIMIT
        )
        self._pe.parse_data_directories([_EXPORT, _IMPORT, _RESOURCE, _DELAY_IMPORT])

    def header(self) -> Header:
        file, optional = self._pe.FILE_HEADER, self._pe.OPTIONAL_HEADER
        return Header(
            machine=file.Machine,
            magic=optional.Magic,
            characteristics=file.Characteristics,
            dll_characteristics=optional.DllCharacteristics,
            subsystem=optional.Subsystem,
            os_version=(optional.MajorOperatingSystemVersion, optional.MinorOperatingSystemVersion),
            subsystem_version=(optional.MajorSubsystemVersion, optional.MinorSubsystemVersion),
            linker_version=(optional.MajorLinkerVersion, optional.MinorLinkerVersion),
            timestamp=file.TimeDateStamp,
            checksum=optional.CheckSum,
            size_of_image=optional.SizeOfImage,
            entry_point=optional.AddressOfEntryPoint,
        )

    def imports(self, kind: Kind) -> list[Imported]:
        table = "DIRECTORY_ENTRY_IMPORT" if kind == "import" else "DIRECTORY_ENTRY_DELAY_IMPORT"
        return [row for dll in getattr(self._pe, table, []) for row in self._symbols(dll)]

    def _symbols(self, dll: Any) -> list[Imported]:
        name = dll.dll.decode("ascii")
        return [
            Imported(name, _text(entry.name), 0, entry.ordinal)
            if entry.import_by_ordinal
            else Imported(name, _text(entry.name), entry.hint, None)
            for entry in dll.imports
        ] or [Imported(name, None, 0, None)]

    def exports(self) -> list[Export]:
        table = getattr(self._pe, "DIRECTORY_ENTRY_EXPORT", None)
        return [
            Export(_text(symbol.name), symbol.ordinal, symbol.address, _text(symbol.forwarder))
            for symbol in (table.symbols if table else [])
        ]

    def export_dll_name(self) -> str | None:
        table = getattr(self._pe, "DIRECTORY_ENTRY_EXPORT", None)
        return _text(table.name) if table else None

    def version(self) -> tuple[int, int, int, int] | None:
        """The file version in VS_FIXEDFILEINFO."""
        for fixed in getattr(self._pe, "VS_FIXEDFILEINFO", []):
            high, low = fixed.FileVersionMS, fixed.FileVersionLS
            return high >> 16, high & 0xFFFF, low >> 16, low & 0xFFFF
        return None

    def manifest(self, identifier: int) -> bytes | None:
        """The first manifest of that id."""
        root = getattr(self._pe, "DIRECTORY_ENTRY_RESOURCE", None)
        for kind in root.entries if root else []:
            for named in kind.directory.entries if kind.id == _MANIFEST else []:
                if named.id == identifier:
                    place = named.directory.entries[0].data.struct
                    return bytes(self._pe.get_data(place.OffsetToData, place.Size))
        return None


def _text(name: bytes | None) -> str | None:
    return None if name is None else name.decode("ascii")
