"""What no linker writes: a minimal PE editor, and one small function for each kind of damage.

A recipe names a patch and its arguments, separated by spaces: "hint dep.dll f_a 4".
"""

from __future__ import annotations

import struct

EXPORT, IMPORT, BOUND_IMPORT, DELAY_IMPORT = 0, 1, 11, 13
DLL_FLAG = 0x2000
IMPORT_DESCRIPTOR, DELAY_DESCRIPTOR = 20, 32


class Image:
    """A PE file in memory, read and written by RVA."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        (self.header,) = struct.unpack_from("<I", data, 0x3C)
        self.optional = self.header + 24
        self.is_64 = self.number_at(self.optional, 2) == 0x20B
        self.pointer = 8 if self.is_64 else 4
        self.sections = self.optional + self.number_at(self.header + 20, 2)
        self.directories = self.optional + (112 if self.is_64 else 96)

    def number_at(self, offset: int, size: int) -> int:
        return int.from_bytes(self.data[offset : offset + size], "little")

    def put_at(self, offset: int, size: int, value: int) -> None:
        self.data[offset : offset + size] = value.to_bytes(size, "little")

    def offset(self, rva: int) -> int:
        for index in range(self.number_at(self.header + 6, 2)):
            size, start, _, raw = struct.unpack_from("<4I", self.data, self.sections + 40 * index + 8)
            if start <= rva < start + size:
                return int(raw + rva - start)
        raise ValueError(f"no section holds RVA {rva:#x}")

    def read(self, rva: int, size: int = 4) -> int:
        return self.number_at(self.offset(rva), size)

    def write(self, rva: int, value: int, size: int = 4) -> None:
        self.put_at(self.offset(rva), size, value)

    def text(self, rva: int) -> str:
        start = self.offset(rva)
        return self.data[start : self.data.index(0, start)].decode("ascii")

    def directory(self, index: int) -> tuple[int, int]:
        rva, size = struct.unpack_from("<II", self.data, self.directories + 8 * index)
        return rva, size

    def import_descriptor(self, dll: str) -> int:
        """Return the RVA of the import descriptor that names `dll`."""
        rva, _ = self.directory(IMPORT)
        while name := self.read(rva + 12):
            if self.text(name) == dll:
                return rva
            rva += IMPORT_DESCRIPTOR
        raise ValueError(f"no import of {dll}")


def clear_dll_flag(image: Image) -> None:
    """A linker sets IMAGE_FILE_DLL on whatever it links as a DLL."""
    offset = image.header + 22
    image.put_at(offset, 2, image.number_at(offset, 2) & ~DLL_FLAG)


def machine(image: Image, value: str) -> None:
    """A linker links for machines that exist."""
    image.put_at(image.header + 4, 2, int(value, 0))


def linker(image: Image, version: str) -> None:
    """Another linker writes another version."""
    major, minor = version.split(".")
    image.put_at(image.optional + 2, 1, int(major))
    image.put_at(image.optional + 3, 1, int(minor))


def truncate(image: Image, size: str) -> None:
    """A download that stopped early."""
    del image.data[int(size, 0) :]


def zero_first_iat_slot(image: Image, dll: str) -> None:
    """Some post-processors strip imports this way; a linker never writes an import list without imports."""
    image.write(image.read(image.import_descriptor(dll) + 16), 0, image.pointer)


def zero_first_name_slot(image: Image, dll: str) -> None:
    """The counterpart: the name table is empty, the address table is not."""
    image.write(image.read(image.import_descriptor(dll)), 0, image.pointer)


def no_name_table(image: Image, dll: str) -> None:
    """Old Borland linkers left OriginalFirstThunk 0; those at hand always write it."""
    image.write(image.import_descriptor(dll), 0)


def no_address_table(image: Image, dll: str) -> None:
    """FirstThunk 0 ends the import list, as Name 0 does; only damage or malice writes it."""
    image.write(image.import_descriptor(dll) + 16, 0)


def shorten_import(image: Image, dll: str, name: str) -> None:
    """dlltool appends .dll to a name that has no extension."""
    place = image.offset(image.read(image.import_descriptor(dll) + 12))
    image.data[place : place + len(dll)] = name.encode("ascii").ljust(len(dll), b"\0")


def hint(image: Image, dll: str, symbol: str, value: str) -> None:
    """The import library decides on the hint; with dlltool it is always 0."""
    slot = image.read(image.import_descriptor(dll))
    while name := image.read(slot, image.pointer):
        if image.text(name + 2) == symbol:
            image.write(name, int(value), 2)
            return
        slot += image.pointer
    raise ValueError(f"no import of {symbol} from {dll}")


def swap_export_names(image: Image, first: str, second: str) -> None:
    """A linker sorts the name table; here two entries, with their ordinals, change places."""
    rva, _ = image.directory(EXPORT)
    count, names, ordinals = image.read(rva + 24), image.read(rva + 32), image.read(rva + 36)
    places = {image.text(image.read(names + 4 * index)): index for index in range(count)}
    one, two = places[first], places[second]
    for table, size in ((names, 4), (ordinals, 2)):
        kept = image.read(table + size * one, size)
        image.write(table + size * one, image.read(table + size * two, size), size)
        image.write(table + size * two, kept, size)


def forward_without_dot(image: Image, symbol: str) -> None:
    """A linker needs the dot to see a forwarder; here the export's RVA is that of its own name."""
    rva, _ = image.directory(EXPORT)
    functions, names, ordinals = (image.read(rva + field) for field in (28, 32, 36))
    for index in range(image.read(rva + 24)):
        name = image.read(names + 4 * index)
        if image.text(name) == symbol:
            image.write(functions + 4 * image.read(ordinals + 2 * index, 2), name)
            return
    raise ValueError(f"no export {symbol}")


def delay_by_address(image: Image) -> None:
    """Linkers before Visual C++ 7 wrote addresses, not RVAs, into delay-import descriptors (attributes bit 0 clear)."""
    rva, _ = image.directory(DELAY_IMPORT)
    base = image.number_at(image.optional + 28, 4)  # PE32 only
    while image.read(rva + 4):
        name = image.read(rva + 16)
        while by_name := image.read(name):
            image.write(name, by_name + base)
            name += 4
        image.write(rva, 0)
        for field in range(4, DELAY_DESCRIPTOR - 4, 4):
            if value := image.read(rva + field):
                image.write(rva + field, value + base)
        rva += DELAY_DESCRIPTOR


def bind(image: Image, dll: str) -> None:
    """bind.exe is gone; it wrote this directory behind the section headers, where there is room."""
    start = image.sections + 40 * image.number_at(image.header + 6, 2)
    entry = struct.pack("<IHH", 0x3F000000, 16, 0) + bytes(8) + dll.encode("ascii") + b"\0"
    if any(image.data[start : start + len(entry)]) or start + len(entry) > image.number_at(image.optional + 60, 4):
        raise ValueError("no room behind the section headers")
    image.data[start : start + len(entry)] = entry
    struct.pack_into("<II", image.data, image.directories + 8 * BOUND_IMPORT, start, len(entry))
