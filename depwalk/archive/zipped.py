"""The zip format, of which wheels use little: the list of entries, and the data of one; bounded, and nothing trusted.

Not zipfile: it makes an object for each entry before anyone can count them, compares only the name with the header in
front of the data, and differs by version. What pip would find through it is found here too.
"""

from __future__ import annotations

import errno
import itertools
import stat
import struct
import zlib
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from io import FileIO

_MIB = 1 << 20
MOST_ENTRIES = 200_000  # the largest wheels have some 30,000
LARGEST_DIRECTORY = 16 * _MIB  # of the archive: 200,000 entries of 80 bytes
LARGEST_MEMBER = 2 << 30  # bytes: a PE image cannot be larger
BOMB_SIZE, BOMB_RATIO = 16 * _MIB, 100  # DLLs shrink to a twentieth at most, and deflate goes down to a thousandth
_PACKED_CHUNK, _CHUNK = 256 << 10, _MIB  # bytes that are read, and that are unpacked, at once

_STORED, _DEFLATED = 0, 8
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "LZMA", 93: "Zstandard", 95: "XZ"}
_ENCRYPTED, _SIZES_FOLLOW, _PATCH, _UTF8 = 0x2041, 0x8, 0x20, 0x800  # general purpose flags
_NONE_16, _NONE_32 = 0xFFFF, 0xFFFFFFFF  # "it is in the zip64 record"
_ZIP64, _UNICODE_NAME = 1, 0x7075  # extra fields
_LONGEST_COMMENT = 0xFFFF
_DECODED = 4096  # bytes of a name: more than any that can be installed

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_END_MARK, _END64_MARK, _LOCATOR_MARK = b"PK\5\6", b"PK\6\6", b"PK\6\7"
_CENTRAL_MARK, _LOCAL_MARK = b"PK\1\2", b"PK\3\4"

OVERLAPS = "its data overlap those of another member"
_REACHES = "its data would reach into the directory of the archive"
NOT_UTF8 = "names that are said to be UTF-8 and are not"
TWO_NAMES = "names with another spelling in an extra field, which some installers follow"


class UnreadableArchive(Exception):  # noqa: N818 - the name says it
    """Not an archive, or one that cannot be read as a whole; its text is one sentence for a person."""


class Entry(NamedTuple):
    """A member as the directory of the archive describes it."""

    raw: bytes  # its name
    name: str
    fault: str  # what is wrong with the encoding of its name; empty if nothing is
    flags: int
    method: int
    crc: int
    packed: int  # bytes in the archive
    size: int  # bytes unpacked
    offset: int  # of the header in front of its data, in the file
    end: int  # of its data, at least: the header in front of them may hold more than its name
    is_folder: bool
    is_link: bool


class Listing(NamedTuple):
    """The directory of an archive."""

    entries: list[Entry]
    end: int  # of all data, in the file
    remarks: list[str]  # what is odd about the archive as a whole, for a person


class _End(NamedTuple):
    """Where the directory of the archive lies, in the file."""

    start: int
    size: int
    declared: int  # entries
    prefix: int  # bytes in front of the archive, which offsets do not count
    behind: int  # bytes behind the archive


def listing(file: FileIO) -> Listing:
    """The entries of an archive, in its order."""
    end = _end_of(file, file.seek(0, 2))
    entries = list(itertools.islice(_entries(_at(file, end.start, end.size), end.prefix), MOST_ENTRIES + 1))
    if len(entries) > MOST_ENTRIES:
        raise UnreadableArchive(f"it has more than {MOST_ENTRIES:,} members, and is not read")
    remarks = []
    first = min((entry.offset for entry in entries), default=end.start)
    if first > 0:
        remarks.append(f"{first:,} bytes in front of its first member, as in a program that unpacks itself")
    if end.behind > 0:
        remarks.append(f"{end.behind:,} bytes behind its end")
    if end.behind < 0:
        remarks.append("the comment at its end is cut off")
    if len(entries) != end.declared:
        remarks.append(f"its end record speaks of {end.declared:,} members, and its directory lists {len(entries):,}")
    return Listing(entries, end.start, remarks)


def refusals(entries: Sequence[Entry], end: int) -> list[str]:
    """Why each entry is not read, for a person; empty for one that can be. `end` is that of all data."""
    overlapping = _overlapping(entries, end)
    return [OVERLAPS if at in overlapping else _refusal(entry, end) for at, entry in enumerate(entries)]


def data_of(file: FileIO, entry: Entry, end: int) -> int:
    """Where the data of a member begin. OSError if the header in front of them says something else than the directory.

    `end` is where they must have ended: at the next member, or at the end of all data.
    """
    header = _at(file, entry.offset, _LOCAL.size + len(entry.raw))
    if len(header) < _LOCAL.size + len(entry.raw) or header[:4] != _LOCAL_MARK:
        raise damaged("there is no header in front of its data")
    _, _, flags, method, _, _, crc, packed, size, name_length, extra_length = _LOCAL.unpack_from(header)
    start: int = entry.offset + _LOCAL.size + name_length + extra_length
    if name_length != len(entry.raw) or header[_LOCAL.size :] != entry.raw:
        raise _contradiction("name")
    if method != entry.method:
        raise _contradiction("compression method")
    if (flags ^ entry.flags) & _ENCRYPTED:
        raise _contradiction("encryption")
    if _NONE_32 in (packed, size):
        extra = _extra_fields(_at(file, start - extra_length, extra_length))
        size, packed = _from_zip64(extra, (size, packed))
    followed = flags & _SIZES_FOLLOW
    if (size, packed) != (entry.size, entry.packed) and not (followed and (size, packed) == (0, 0)):
        raise _contradiction("size")
    if crc != entry.crc and not (followed and crc == 0):
        raise _contradiction("CRC")
    if start + entry.packed > end:
        raise damaged(OVERLAPS)
    return start


def unpacked(file: FileIO, entry: Entry, start: int, most: int) -> Iterator[bytes]:
    """The content of a member, or its first `most` bytes, in pieces. OSError if it is not what the directory says."""
    whole = most >= entry.size
    if not (whole or most):
        return
    pieces = _packed(file, start, entry.packed)
    made = crc = 0
    for piece in pieces if entry.method == _STORED else _inflated(pieces, min(_CHUNK, most + 1)):
        made += len(piece)
        if made > entry.size:
            raise damaged(f"it unpacks to more than the {entry.size:,} bytes that the archive declares")
        if not whole and made >= most:
            yield piece[: len(piece) - (made - most)]
            return
        crc = zlib.crc32(piece, crc)
        yield piece
    if made < entry.size:
        raise damaged(f"it unpacks to {made:,} bytes, and the archive declares {entry.size:,}")
    if crc != entry.crc:
        raise damaged("its content does not have the CRC that the archive declares")


def damaged(why: str) -> OSError:
    """What reading a member raises."""
    return OSError(errno.EIO, why)


def _at(file: FileIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)


def _end_of(file: FileIO, length: int) -> _End:
    """The end record, which zipfile looks for in the same way: an exact one first, else the last mark in the tail."""
    tail_at = max(length - _LONGEST_COMMENT - 1 - _END.size, 0)
    tail = _at(file, tail_at, length - tail_at)
    at = len(tail) - _END.size
    if at < 0 or not (tail.startswith(_END_MARK, at) and tail.endswith(b"\0\0")):
        at = tail.rfind(_END_MARK)
    if not 0 <= at <= len(tail) - _END.size:
        raise UnreadableArchive(_what_it_is(_at(file, 0, 4)))
    *told, comment = _END.unpack_from(tail, at)[1:]
    behind = len(tail) - at - _END.size - comment
    stop, (disk, first_disk, here, count, size, offset), wanted = _end64_of(file, tail_at + at, tuple(told))
    if disk or first_disk or here != count:
        raise UnreadableArchive("it is one part of an archive in several files")
    start, prefix = stop - size, stop - size - offset
    if prefix < 0 or wanted not in (None, stop - prefix):
        raise UnreadableArchive("its directory is not where its end record says: it is cut off or damaged")
    if size > LARGEST_DIRECTORY or count > MOST_ENTRIES:
        raise UnreadableArchive(
            f"it has {count:,} members, and a directory of {size:,} bytes: more than are read"
            f" ({MOST_ENTRIES:,} and {LARGEST_DIRECTORY:,})"
        )
    return _End(start, size, count, prefix, behind)


def _end64_of(file: FileIO, at: int, told: tuple[int, ...]) -> tuple[int, tuple[int, ...], int | None]:
    """Where the end records begin, what they say, and where zip64's is said to lie, if there is one."""
    locator_at = at - _LOCATOR.size
    locator = _at(file, locator_at, _LOCATOR.size) if locator_at >= 0 else b""
    if not locator.startswith(_LOCATOR_MARK):
        return at, told, None
    _, disk, wanted, disks = _LOCATOR.unpack(locator)
    if disk or disks > 1:
        raise UnreadableArchive("it is one part of an archive in several files")
    for start in (locator_at - _END64.size, wanted):
        record = _at(file, start, _END64.size) if 0 <= start <= locator_at - _END64.size else b""
        if record.startswith(_END64_MARK):
            told64 = _END64.unpack(record)[4:]
            break
    else:
        raise UnreadableArchive("its zip64 end record is not where its end says: it is cut off or damaged")
    nones = (*[_NONE_16] * 4, *[_NONE_32] * 2)
    if any(old not in (new, none) for old, new, none in zip(told, told64, nones)):
        raise UnreadableArchive("its two end records, the old one and that of zip64, contradict each other")
    return start, told64, wanted


def _what_it_is(beginning: bytes) -> str:
    if not beginning:
        return "it is empty"
    if beginning == _LOCAL_MARK:
        return "the record at the end of every zip archive is missing: it is cut off or damaged"
    return "it is no zip archive"


def _entries(directory: bytes, prefix: int) -> Iterator[Entry]:
    at, length = 0, len(directory)
    while at < length:
        if at + _CENTRAL.size > length or not directory.startswith(_CENTRAL_MARK, at):
            raise UnreadableArchive(f"its directory is damaged at byte {at:,}")
        fields = _CENTRAL.unpack_from(directory, at)
        flags, method, _, _, crc, packed, size, name_length, extra_length, comment_length = fields[3:13]
        mode, offset = fields[15] >> 16, fields[16]
        name_at = at + _CENTRAL.size
        extra_at = name_at + name_length
        at = extra_at + extra_length + comment_length
        if at > length:
            raise UnreadableArchive("its directory is cut off in its last entry")
        raw, second = directory[name_at:extra_at], ""
        if extra_length:
            extra = _extra_fields(directory[extra_at : extra_at + extra_length])
            try:
                size, packed, offset = _from_zip64(extra, (size, packed, offset))
            except OSError as error:
                raise UnreadableArchive(f"its directory is damaged: {error.strerror}") from None
            second = _second_name(extra, raw)
        name, fault = _decoded(raw, flags)
        if second and second != name:
            fault = fault or TWO_NAMES
        offset += prefix
        end = offset + _LOCAL.size + name_length + packed
        is_folder, is_link = raw.endswith(b"/"), stat.S_ISLNK(mode)
        yield Entry(raw, name, fault, flags, method, crc, packed, size, offset, end, is_folder, is_link)


def _decoded(raw: bytes, flags: int) -> tuple[str, str]:
    if len(raw) > _DECODED:
        return raw[:_DECODED].decode("latin-1"), ""
    if not flags & _UTF8:
        return raw.decode("cp437"), ""
    try:
        return raw.decode("utf-8"), ""
    except UnicodeDecodeError:
        return raw.decode("latin-1"), NOT_UTF8


def _extra_fields(extra: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        found.setdefault(kind, extra[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _from_zip64(extra: dict[int, bytes], values: tuple[int, ...]) -> Iterable[int]:
    """Values with those that do not fit in 32 bits taken from the zip64 field, where they come in the same order."""
    if _NONE_32 not in values:
        return values
    field = extra.get(_ZIP64, b"")
    wide = iter(struct.unpack_from(f"<{len(field) // 8}Q", field))
    found = [next(wide, -1) if value == _NONE_32 else value for value in values]
    if -1 in found:
        raise damaged("a zip64 field that has its size is missing")
    return found


def _second_name(extra: dict[int, bytes], raw: bytes) -> str:
    """The name in the extra field of Info-ZIP, which is meant for the name that has the CRC in it."""
    field = extra.get(_UNICODE_NAME, b"")
    if len(field) < 5 or struct.unpack_from("<BL", field) != (1, zlib.crc32(raw)):
        return ""
    return field[5:].decode("utf-8", "replace")


def _overlapping(entries: Sequence[Entry], end: int) -> set[int]:
    """The indexes of entries whose data overlap: in the order of their offsets, each with the one that ends last.

    Those that reach beyond all data count for nothing: they are not read, and would take the healthy ones with them.
    """
    found: set[int] = set()
    spans = sorted((entry.offset, entry.end, at) for at, entry in enumerate(entries) if not entry.is_folder)
    last, last_end = -1, -1
    for offset, its_end, at in spans:
        if its_end > end:
            continue
        if offset < last_end:
            found.update((at, last))
        if its_end > last_end:
            last, last_end = at, its_end
    return found


def _refusal(entry: Entry, end: int) -> str:
    size, packed, method = entry.size, entry.packed, entry.method
    if entry.flags & _ENCRYPTED:
        return "it is encrypted"
    if method not in (_STORED, _DEFLATED) or entry.flags & _PATCH:
        return f"it is compressed by a method that is not read here ({_METHODS.get(method, f'number {method}')})"
    if size > LARGEST_MEMBER:
        return f"it would have {size:,} bytes, more than a PE file can have"
    if method == _STORED and size != packed:
        return f"it is stored as it is, and yet has two sizes: {packed:,} and {size:,} bytes"
    if size > BOMB_SIZE and size > BOMB_RATIO * packed:
        return f"{packed:,} bytes would unpack to {size:,}, as in a zip bomb"
    return _REACHES if entry.end > end else ""


def _contradiction(what: str) -> OSError:
    return damaged(f"the header in front of its data gives another {what} than the directory of the archive")


def _packed(file: FileIO, start: int, size: int) -> Iterator[bytes]:
    end = start + size
    while start < end:
        piece = _at(file, start, min(_PACKED_CHUNK, end - start))
        if not piece:
            raise damaged("the archive ends within its data")
        start += len(piece)
        yield piece


def _inflated(pieces: Iterable[bytes], step: int) -> Iterator[bytes]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    for piece in itertools.chain(pieces, (b"",)):  # the last call gives what zlib still holds back
        rest = piece
        while True:
            try:
                made = inflater.decompress(rest, step)
            except zlib.error:
                raise damaged("its compressed data are damaged") from None
            yield made
            if inflater.eof:
                return
            rest = inflater.unconsumed_tail
            if not rest and len(made) < step:
                break
    raise damaged("its compressed data are cut off")
