"""Makes small, valid PE files: everything by keyword, nothing that was not asked for.

A file has its headers (HEADERS bytes), then the section .data with everything in it, then any further sections.
Symbols are written as in a .def file: an import is "name", 7 (an ordinal) or ("name", hint); an export is "name",
"@7", "name@7" or "name=DLL.symbol".
"""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any, Union

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

Symbol = Union[str, int, "tuple[str, int]"]

PE_AT, FILE_HEADER, OPTIONAL = 64, 68, 88  # file offsets
HEADERS, BOUND_AT = 0x400, 0x300  # bytes before the first section; where bound imports lie among them
DATA_RVA = 0x1000
IMAGE_BASE = 0x10000000
EXPORT, IMPORT, RESOURCE, LOAD_CONFIG, BOUND, DELAY, CLR = 0, 1, 2, 10, 11, 13, 14
MACHINES = {"x64": 0x8664, "x86": 0x14C, "arm64": 0xAA64}
PE32, PE32_PLUS = 0x10B, 0x20B
_ALIGNMENT = 0x200


class _Section:
    """Bytes that grow; what is put says where it lies in the loaded image."""

    def __init__(self) -> None:
        self.data = bytearray()

    def put(self, data: bytes, align: int = 1) -> int:
        self.data += bytes(-len(self.data) % align)
        self.data += data
        return DATA_RVA + len(self.data) - len(data)

    def text(self, text: str) -> int:
        return self.put(text.encode("cp1252") + b"\0")


def pe(
    *,
    machine: str = "x64",
    dll: bool = True,
    imports: Mapping[str, Sequence[Symbol]] | None = None,
    name_table: int | None = None,  # OriginalFirstThunk of every descriptor, in place of the right one
    empty_tables: Collection[str] = (),  # imported DLLs whose address table begins with 0
    delay: Mapping[str, Sequence[Symbol]] | None = None,
    delay_addresses: bool = False,  # descriptors of the old form, which hold addresses and no RVAs
    exports: Sequence[str] | None = None,
    export_base: int = 1,
    linked_as: str = "linked.dll",
    bound: Mapping[str, Sequence[str]] | None = None,  # DLL -> DLLs that it forwards to
    load_flags: int | None = None,  # DependentLoadFlags
    chpe: bool = False,
    clr: int | None = None,  # COMIMAGE_FLAGS_...
    manifests: Mapping[int, bytes] | None = None,  # resource id -> XML
    version: tuple[int, int, int, int] | None = None,
    version_texts: Mapping[str, str] | None = None,  # ProductName and so on, beside a version
    sections: Mapping[str, bytes] | None = None,
    timestamp: int = 0x5E000000,
    linker: tuple[int, int] = (14, 0),
    os_version: tuple[int, int] = (6, 0),
    subsystem_version: tuple[int, int] = (6, 0),
    subsystem: int = 2,
    checksum: int = 0,
    dll_characteristics: int = 0x160,
    entry_point: int = 0,
) -> bytes:
    """The bytes of a file."""
    plus, data = machine != "x86", _Section()
    directories: dict[int, tuple[int, int]] = {}
    if imports is not None:
        directories[IMPORT] = _imports(data, imports, plus=plus, name_table=name_table, empty=empty_tables)
    if delay is not None:
        directories[DELAY] = _delay_imports(data, delay, plus=plus, base=IMAGE_BASE if delay_addresses else 0)
    if exports is not None:
        directories[EXPORT] = _exports(data, exports, export_base, linked_as)
    in_headers = _bound_imports(bound) if bound is not None else b""
    if in_headers:
        directories[BOUND] = BOUND_AT, len(in_headers)
    if load_flags is not None or chpe:
        directories[LOAD_CONFIG] = _load_config(data, load_flags or 0, plus=plus, chpe=chpe)
    if clr is not None:
        directories[CLR] = data.put(struct.pack("<IHH2II", 72, 2, 5, 0, 0, clr) + bytes(52), 4), 72
    resources = {24: dict(manifests or {}), 16: {1: _version_info(version, version_texts or {})} if version else {}}
    if manifests or version:
        directories[RESOURCE] = _resources(data, {kind: found for kind, found in resources.items() if found})
    contents = {".data": bytes(data.data) or bytes(4), **(sections or {})}
    table, size_of_image, body = _sections(contents)
    file_header = struct.pack(
        "<HHIIIHH", MACHINES[machine], len(contents), timestamp, 0, 0, 240 if plus else 224, 0x2002 if dll else 2
    )
    optional = struct.pack("<HBBIIIII", PE32_PLUS if plus else PE32, *linker, 0, 0, 0, entry_point, 0)
    optional += struct.pack("<Q", IMAGE_BASE) if plus else struct.pack("<II", 0, IMAGE_BASE)
    optional += struct.pack("<IIHHHHHH", 0x1000, _ALIGNMENT, *os_version, 0, 0, *subsystem_version)
    optional += struct.pack("<IIIIHH", 0, size_of_image, HEADERS, checksum, subsystem, dll_characteristics)
    optional += struct.pack("<4QII" if plus else "<6I", 0, 0, 0, 0, 0, 16)
    optional += b"".join(struct.pack("<II", *directories.get(index, (0, 0))) for index in range(16))
    dos_header = b"MZ" + bytes(58) + struct.pack("<I", PE_AT)
    headers = (dos_header + b"PE\0\0" + file_header + optional + table).ljust(BOUND_AT, b"\0") + in_headers
    return headers.ljust(HEADERS, b"\0") + body


def patched(data: bytes, offset: int, layout: str, *values: Any) -> bytes:
    """The same file with some values written over it."""
    changed = bytearray(data)
    struct.pack_into(layout, changed, offset, *values)
    return bytes(changed)


def directory(data: bytes, index: int) -> tuple[int, int]:
    """(file offset of the entry that says where a directory lies, file offset of the directory)."""
    entry = OPTIONAL + (112 if data[OPTIONAL + 1] == PE32_PLUS >> 8 else 96) + 8 * index
    return entry, offset_of(struct.unpack_from("<I", data, entry)[0])


def offset_of(rva: int) -> int:
    """File offset of an RVA in the section .data."""
    return rva - DATA_RVA + HEADERS


def section_header(data: bytes, index: int) -> int:
    """File offset of a section's header."""
    return int(OPTIONAL + struct.unpack_from("<H", data, FILE_HEADER + 16)[0] + 40 * index)


def _sections(contents: Mapping[str, bytes]) -> tuple[bytes, int, bytes]:
    table, rva, body = b"", DATA_RVA, b""
    for name, content in contents.items():
        raw = content.ljust(-(-len(content) // _ALIGNMENT) * _ALIGNMENT, b"\0")
        place = (len(content), rva, len(raw), HEADERS + len(body))
        table += struct.pack("<8s6I2HI", name.encode(), *place, 0, 0, 0, 0, 0xC0000040)
        body += raw
        rva += -(-len(content) // 0x1000) * 0x1000
    return table, rva, body


def _thunks(data: _Section, symbols: Sequence[Symbol], *, plus: bool, base: int = 0) -> bytes:
    table = []
    for symbol in symbols:
        if isinstance(symbol, int):
            table.append(symbol | 1 << (63 if plus else 31))
            continue
        name, hint = (symbol, 0) if isinstance(symbol, str) else symbol
        table.append(base + data.put(struct.pack("<H", hint) + name.encode("cp1252") + b"\0", 2))
    return struct.pack(f"<{len(table) + 1}{'Q' if plus else 'I'}", *table, 0)


def _imports(
    data: _Section,
    imports: Mapping[str, Sequence[Symbol]],
    *,
    plus: bool,
    name_table: int | None,
    empty: Collection[str],
) -> tuple[int, int]:
    descriptors = b""
    for dll, symbols in imports.items():
        thunks, name = _thunks(data, symbols, plus=plus), data.text(dll)
        names = data.put(thunks, 8) if name_table is None else name_table
        addresses = data.put(bytes(len(thunks)) if dll in empty else thunks, 8)
        descriptors += struct.pack("<5I", names, 0, 0, name, addresses)
    return data.put(descriptors + bytes(20), 4), len(descriptors) + 20


def _delay_imports(
    data: _Section, imports: Mapping[str, Sequence[Symbol]], *, plus: bool, base: int
) -> tuple[int, int]:
    descriptors = b""
    for dll, symbols in imports.items():
        thunks, name = _thunks(data, symbols, plus=plus, base=base), data.text(dll)
        handle, names, addresses = data.put(bytes(8), 8), data.put(thunks, 8), data.put(thunks, 8)
        fields = [base + rva for rva in (name, handle, addresses, names)]
        descriptors += struct.pack("<8I", 0 if base else 1, *fields, 0, 0, 0)
    return data.put(descriptors + bytes(32), 4), len(descriptors) + 32


def _exports(data: _Section, exports: Sequence[str], base: int, linked_as: str) -> tuple[int, int]:
    """The directory covers its tables and texts; what is exported by code lies before it."""
    code = data.put(bytes(4), 4)
    parsed = [re.fullmatch(r"([^@=]*)(?:@(\d+))?(?:=(.*))?", export, re.DOTALL) for export in exports]
    start = data.put(bytes(40), 4)
    addresses: dict[int, int] = {}
    names = []
    for match in parsed:
        assert match is not None
        index = int(match[2]) - base if match[2] else len(addresses)
        addresses[index] = data.text(match[3]) if match[3] is not None else code
        if match[1]:
            names.append((data.text(match[1]), index))
    count = max(addresses, default=-1) + 1
    table = data.put(struct.pack(f"<{count}I", *(addresses.get(index, 0) for index in range(count))), 4)
    name_table = data.put(struct.pack(f"<{len(names)}I", *(rva for rva, _ in names)), 4)
    ordinals = data.put(struct.pack(f"<{len(names)}H", *(index for _, index in names)), 2)
    name = data.text(linked_as)
    fields = struct.pack("<IIHHIIIIIII", 0, 0, 0, 0, name, base, count, len(names), table, name_table, ordinals)
    data.data[start - DATA_RVA : start - DATA_RVA + 40] = fields
    return start, DATA_RVA + len(data.data) - start


def _bound_imports(bound: Mapping[str, Sequence[str]]) -> bytes:
    rows = [row for dll, forwards in bound.items() for row in [(dll, len(forwards)), *((name, 0) for name in forwards)]]
    at, table, texts = 8 * (len(rows) + 1), b"", b""
    for dll, forwards in rows:
        table += struct.pack("<IHH", 0x5E000000, at + len(texts), forwards)
        texts += dll.encode("cp1252") + b"\0"
    return table + bytes(8) + texts


def _load_config(data: _Section, flags: int, *, plus: bool, chpe: bool) -> tuple[int, int]:
    size, flags_at, chpe_at = (0x108, 0x4E, 0xC8) if plus else (0xB8, 0x36, 0x7C)
    config = patched(patched(bytes(size), 0, "<I", size), flags_at, "<H", flags)
    return data.put(patched(config, chpe_at, "<I", IMAGE_BASE if chpe else 0), 8), size


def _resources(data: _Section, kinds: Mapping[int, Mapping[int, bytes]]) -> tuple[int, int]:
    """Type, id, language (always 1033), each level a directory of 16 bytes and entries of 8."""
    leaves = {content: data.put(content, 4) for ids in kinds.values() for content in ids.values()}
    below, later = b"", 16 + 8 * len(kinds)
    root = struct.pack("<12xHH", 0, len(kinds))
    for kind, ids in kinds.items():
        root += struct.pack("<II", kind, 0x80000000 | later + len(below))
        languages = later + len(below) + 16 + 8 * len(ids)
        below += struct.pack("<12xHH", 0, len(ids))
        below += b"".join(struct.pack("<II", i, 0x80000000 | languages + 40 * n) for n, i in enumerate(ids))
        for n, content in enumerate(ids.values()):
            below += struct.pack("<12xHHII", 0, 1, 1033, languages + 40 * n + 24)
            below += struct.pack("<4I", leaves[content], len(content), 0, 0)
    return data.put(root + below, 4), len(root + below)


def _version_info(version: tuple[int, int, int, int], texts: Mapping[str, str]) -> bytes:
    high, low = version[0] << 16 | version[1], version[2] << 16 | version[3]
    fixed = struct.pack("<13I", 0xFEEF04BD, 0x10000, high, low, high, low, 0x3F, 0, 0x40004, 2, 0, 0, 0)
    strings = b"".join(_block(key, f"{text}\0".encode("utf-16-le"), 1) for key, text in texts.items())
    tables = _block("StringFileInfo", b"", 1, _block("040904B0", b"", 1, strings)) if texts else b""
    return _block("VS_VERSION_INFO", fixed, 0, tables)


def _block(key: str, value: bytes, kind: int, children: bytes = b"") -> bytes:
    """One block of a version resource: its length, that of its value (in characters if it is text), kind, key."""
    head = bytes(6) + f"{key}\0".encode("utf-16-le")
    body = head + bytes(-len(head) % 4) + value
    body += bytes(-len(body) % 4) + children
    length = struct.pack("<3H", len(body), len(value) // 2 if kind else len(value), kind)
    return length + body[6:] + bytes(-len(body) % 4)
