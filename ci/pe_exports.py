"""The export table of a PE file, just enough to generate a forwarding DLL."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PE32_PLUS = 0x20B


def exported_names(file: Path) -> list[str]:
    """Return the names that a PE file exports, in the order of its table."""
    data = file.read_bytes()
    (header,) = struct.unpack_from("<I", data, 0x3C)
    sections, optional_size = struct.unpack_from("<H12xH", data, header + 6)
    optional = header + 24
    (magic,) = struct.unpack_from("<H", data, optional)
    directories = optional + (112 if magic == PE32_PLUS else 96)
    (table_rva,) = struct.unpack_from("<I", data, directories)
    section_table = [
        struct.unpack_from("<IIII", data, optional + optional_size + 40 * number + 8) for number in range(sections)
    ]

    def offset(rva: int) -> int:
        for virtual_size, start, raw_size, raw_start in section_table:
            if start <= rva < start + max(virtual_size, raw_size):
                return int(rva - start + raw_start)
        message = f"{file.name}: no section holds RVA {rva:#x}"
        raise ValueError(message)

    count, names_rva = struct.unpack_from("<I4xI", data, offset(table_rva) + 24)
    name_rvas = struct.unpack_from(f"<{count}I", data, offset(names_rva))
    starts = [offset(rva) for rva in name_rvas]
    return [data[start : data.index(b"\0", start)].decode("ascii") for start in starts]
