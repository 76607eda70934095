"""Makes wheels as no builder would: each lie of the zip format by keyword, the rest healthy.

HOSTILE has one of each kind: what it is -> (what writes it to a path, a word that must be said about it). The word is
in the sentence of UnreadableArchive, in the problems of the archive, in why a member is refused, or in the OSError of
reading one of its binaries. Where the kind allows, EXTENSION is there besides, and in order.
"""

from __future__ import annotations

import stat
import struct
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Callable, Union

from pe_maker import pe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

EXTENSION = "evil/ext.cp311-win_amd64.pyd"
INFO = "evil-1.0.dist-info"
PE = pe()
STORED, DEFLATED = 0, 8
UTF8 = 0x800
NONE_16, NONE_32 = 0xFFFF, 0xFFFFFFFF
LINK = stat.S_IFLNK | 0o777

Header = dict[str, Union[int, bytes]]


@dataclass
class Part:
    """A member. `central` and `local` replace fields in its two headers: name, method, crc, ..."""

    name: str | bytes
    data: bytes = b""
    method: int = DEFLATED
    mode: int = 0
    packed: bytes | None = None  # what lies in the archive, if not `data` as `method` says
    central: Mapping[str, int | bytes] = field(default_factory=dict)
    local: Mapping[str, int | bytes] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        return self.name if isinstance(self.name, bytes) else self.name.encode()


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def zipped(
    parts: Iterable[Part],
    *,
    prefix: bytes = b"",
    comment: bytes = b"",
    end: Mapping[str, int] | None = None,  # replaces disk, count, size, offset in the end record
    end64: Mapping[str, int] | None = None,  # makes a zip64 end record; replaces count, size, offset, where
) -> bytes:
    body, directory, count = bytearray(), bytearray(), 0
    for part in parts:
        packed = part.packed
        if packed is None:
            packed = part.data if part.method == STORED else deflated(part.data)
        header: Header = {"name": part.raw, "flags": UTF8, "method": part.method, "extra": b"", "offset": len(body)}
        header.update(crc=zlib.crc32(part.data), packed=len(packed), size=len(part.data))
        local, central = {**header, **part.local}, {**header, **part.central}
        body += struct.pack("<4s5H", b"PK\3\4", 20, local["flags"], local["method"], 0, 33)
        body += _sizes(local) + local["name"] + local["extra"] + packed
        directory += struct.pack("<4s6H", b"PK\1\2", 0x314, 20, central["flags"], central["method"], 0, 33)
        directory += _sizes(central) + struct.pack("<3H2L", 0, 0, 0, part.mode << 16, central["offset"])
        directory += central["name"] + central["extra"]
        count += 1
    told = {"disk": 0, "count": count, "size": len(directory), "offset": len(body)}
    ending = b""
    if end64 is not None:
        told64 = {**told, "where": len(body) + len(directory), **end64}
        counts = (told64["count"], told64["count"], told64["size"], told64["offset"])
        ending = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, *counts)
        ending += struct.pack("<4sLQL", b"PK\6\7", 0, told64["where"], 1)
        told.update(count=NONE_16, size=NONE_32, offset=NONE_32)
    told.update(end or {})
    ending += struct.pack(
        "<4s4H2LH", b"PK\5\6", told["disk"], 0, *[told["count"]] * 2, told["size"], told["offset"], len(comment)
    )
    return prefix + bytes(body + directory) + ending + comment


def _sizes(header: Header) -> bytes:
    lengths = len(header["name"]), len(header["extra"])
    return struct.pack("<3L2H", header["crc"], header["packed"], header["size"], *lengths)


def healthy(
    *more: Part, record: str | None = None, without: Sequence[str] = (), extension: Part | None = None
) -> list[Part]:
    """The members of a small wheel and some more; its RECORD is right unless it is given."""
    parts = [
        Part("evil/__init__.py", b"from evil import ext\n"),
        extension or Part(EXTENSION, PE),
        *more,
        Part(f"{INFO}/METADATA", b"Metadata-Version: 2.1\nName: evil\nVersion: 1.0\n"),
        Part(f"{INFO}/WHEEL", b"Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-win_amd64\n"),
    ]
    if record is None:
        record = record_of(parts)
    parts.append(Part(f"{INFO}/RECORD", record.encode()))
    return [part for part in parts if part.raw.decode("latin-1").rpartition("/")[2] not in without]


def record_of(parts: Iterable[Part]) -> str:
    """A RECORD that lists everything once; members with a hostile name have no line."""
    names = {part.raw.decode("latin-1"): part for part in parts if not part.raw.endswith(b".dist-info/RECORD")}
    lines = [f"{name},,{len(part.data)}\n" for name, part in names.items() if name.isprintable() and name[-1:] != "/"]
    return "".join([*lines, f"{INFO}/RECORD,,\n"])


def patched(data: bytes, mark: bytes, offset: int, value: bytes) -> bytes:
    """`data` with `value` at an offset from the last `mark`."""
    at = data.rindex(mark) + offset
    return data[:at] + value + data[at + len(value) :]


Make = Callable[["Path"], object]
HOSTILE: dict[str, tuple[Make, str]] = {}


def _put(name: str, word: str, *more: Part, data: bytes | None = None, **how: object) -> None:
    """A case: a healthy wheel with more members, or the very bytes."""

    def write(path: Path) -> None:
        path.write_bytes(zipped(healthy(*more, **how)) if data is None else data)  # type: ignore[arg-type]  # the keywords of healthy()

    HOSTILE[name] = (write, word)


def _named(name: str | bytes, **how: int) -> Part:
    return Part(name, PE, central=how, local=how)


def _extension(**how: object) -> Part:
    return Part(EXTENSION, PE, **how)  # type: ignore[arg-type]


def _moved(data: bytes) -> bytes:
    """The header of the extension says that an extra field of 200 bytes follows."""
    at = data.index(EXTENSION.encode()) - 2
    return data[:at] + struct.pack("<H", 200) + data[at + 2 :]


def _unicode_name(raw: bytes, name: bytes) -> bytes:
    """The extra field of Info-ZIP."""
    return struct.pack("<2HBL", 0x7075, 5 + len(name), 1, zlib.crc32(raw)) + name


WHOLE = zipped(healthy())
DIRECTORY_AT = WHOLE.index(b"PK\1\2")

# What is no archive, or not all of one
_put("a file that is no archive", "no zip archive", data=PE)
_put("an empty file", "empty", data=b"")
_put("no end record", "cut off", data=WHOLE[:-22])
_put("cut off in a member", "cut off", data=WHOLE[: DIRECTORY_AT // 2])
_put("cut off in the directory", "cut off", data=WHOLE[: (DIRECTORY_AT + len(WHOLE)) // 2])
_put("cut off in the end record", "cut off", data=WHOLE[:-5])
_put("cut off in front", "directory", data=WHOLE[100:])
_put("a hole in the directory", "directory", data=WHOLE[: DIRECTORY_AT + 50] + WHOLE[DIRECTORY_AT + 60 :])
_put("a damaged directory", "damaged", data=patched(WHOLE, b"PK\1\2", 0, b"XX"))
_put("a huge directory declared", "directory", data=zipped(healthy(), end={"size": 1 << 30}))
_put("a directory behind the end", "directory", data=zipped(healthy(), end={"offset": 1 << 30}))
_put("one of several parts", "several files", data=zipped(healthy(), end={"disk": 1}))
_put("a zip64 end record that is not there", "zip64", data=patched(zipped(healthy(), end64={}), b"PK\6\6", 0, b"XX"))
_put("a zip64 end record said to be elsewhere", "end record", data=zipped(healthy(), end64={"where": 1 << 60}))
_put("two end records that differ", "contradict", data=zipped(healthy(), end64={}, end={"count": 1}))
_put("a million members in zip64", "more than", data=zipped(healthy(), end64={"count": 1_000_000}))
_put("a count of members that is wrong", "speaks of 9", data=zipped(healthy(), end={"count": 9}))
_put("a program in front", "in front", data=zipped(healthy(), prefix=PE))
_put("bytes behind the end", "behind", data=WHOLE + b"garbage")
_put("a comment that is cut off", "comment", data=zipped(healthy(), comment=b"x" * 100)[:-50])

# Sizes
_put("a zip bomb", "bomb", Part("evil/bomb.dll", bytes(17 << 20)))
_put(
    "a member of 4 GiB",
    "more than a PE",
    Part(
        "evil/large.dll",
        PE,
        local={"size": NONE_32, "packed": NONE_32, "extra": struct.pack("<2H2Q", 1, 16, 1 << 32, len(deflated(PE)))},
        central={"size": NONE_32, "extra": struct.pack("<2HQ", 1, 8, 1 << 32)},
    ),
)
_put("a zip64 field that is missing", "more than a PE", Part("evil/large.dll", PE, central={"size": NONE_32}))
_put(
    "a zip64 field that is too short",
    "zip64",
    Part("evil/large.dll", PE, central={"size": NONE_32, "extra": struct.pack("<2HL", 1, 4, 1 << 20)}),
)
_put("a size that is too small", "more than the", extension=_extension(central={"size": 100}, local={"size": 100}))
_put("a size that is too large", "unpacks to", extension=_extension(central={"size": 1 << 20}, local={"size": 1 << 20}))
_put("a stored member of two sizes", "two sizes", Part("evil/two.dll", PE, STORED, central={"size": 1 << 20}))
_put("a member that reaches into the directory", "reach into", Part("evil/long.dll", PE, central={"packed": 1 << 24}))
_put("a member behind the end", "reach into", Part("evil/away.dll", PE, central={"offset": 1 << 30}))

# Members in each other
_put(
    "two members of the same data",
    "overlap",
    Part("evil/first.dll", PE),
    Part("evil/again.dll", PE, central={"offset": 0}),
)


def _overlapping_bomb(path: Path, count: int = 50) -> None:
    """Each member's data begin with the header of the next as a stored block, and all end with the same kernel."""
    kernel = bytes(1 << 20)
    inner, size, crc = deflated(kernel), len(kernel), zlib.crc32(kernel)
    data, content, parts = inner, kernel, []
    for number in reversed(range(count)):
        name = b"evil/%04d.dll" % number
        header = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 8, 0, 33, crc, len(data), size, len(name), 0) + name
        parts.append((name, crc, len(data), size))
        if number:
            data = struct.pack("<B2H", 0, len(header), len(header) ^ NONE_16) + header + data
            content = header + content
            size, crc = len(content), zlib.crc32(content)
    start, quoted = 0, []
    for name, crc, packed, size in reversed(parts):
        central = {"offset": start, "crc": crc, "packed": packed, "size": size, "flags": 0}
        quoted.append(Part(name, packed=b"", central=central))
        start += 30 + len(name) + 5
    whole = bytearray(header + data)
    ending = zipped(quoted)
    directory = ending[ending.index(b"PK\1\2") : ending.rindex(b"PK\5\6")]
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), len(whole), 0)
    path.write_bytes(whole + directory + end)


HOSTILE["members that quote each other"] = (_overlapping_bomb, "overlap")

# What the two headers of a member say, and its data
_put("encrypted", "encrypted", extension=_extension(central={"flags": UTF8 | 1}, local={"flags": UTF8 | 1}))
_put("encrypted in one header", "encryption", extension=_extension(local={"flags": UTF8 | 1}))
_put("LZMA", "LZMA", extension=_extension(central={"method": 14}, local={"method": 14}))
_put("an unknown method", "number 77", extension=_extension(central={"method": 77}, local={"method": 77}))
_put("a header with another method", "another compression method", extension=_extension(local={"method": STORED}))
_put("a header with another size", "another size", extension=_extension(local={"size": 1}))
_put("a header with another name", "another name", extension=_extension(local={"name": EXTENSION[::-1].encode()}))
_put("a header with another CRC", "another CRC", extension=_extension(local={"crc": 1}))
_put("no header", "no header", data=WHOLE.replace(b"PK\3\4", b"XXXX"))
_put("a header that moves its data into the next member", "overlap", data=_moved(WHOLE))
_put("a wrong CRC", "CRC", extension=_extension(central={"crc": 1}, local={"crc": 1}))
_put("compressed data that are damaged", "damaged", extension=_extension(packed=b"\xff" * 100))
_put("compressed data that are cut off", "cut off", extension=_extension(packed=deflated(PE)[:-9]))

# Names
for _kind, _name, _word in (
    ("an absolute name", "/evil/x.pyd", "out of"),
    ("a parent directory in a name", "evil/../../x.pyd", "out of"),
    ("a parent directory behind a backslash", "evil\\..\\..\\x.pyd", "out of"),
    ("a drive letter", "C:/evil/x.pyd", "out of"),
    ("a drive letter without a slash", "c:x.pyd", "out of"),
    ("a backslash", "evil\\x.pyd", "backslash"),
    ("another stream of a file", "evil/x.dll:y.dll", "not allow"),
    ("a wildcard", "evil/*.dll", "not allow"),
    ("a NUL in a name", "evil/x.pyd\0.txt", "control"),
    ("an escape sequence in a name", "evil/\x1b[2Jx.pyd", "control"),
    ("a device", "evil/aux.pyd", "reserves"),
    ("a device as a directory", "con/x.pyd", "reserves"),
    ("a device with a space", "evil/LPT1 .dll", "reserves"),
    ("a dot at the end", "evil/x.pyd.", "drops"),
    ("a space at the end of a directory", "evil /x.pyd", "drops"),
    ("a name of 65,535 bytes", "x" * 65_531 + ".dll", "too long"),
    ("a name with 10,000 levels", "x/" * 10_000 + "x.dll", "too long"),
    ("a name longer than NTFS has", "x" * 300 + ".dll", "too long"),
    ("an empty name", "", "empty"),
):
    _put(_kind, _word, _named(_name))
_put("a name that is not UTF-8", "UTF-8", _named(b"evil/\xff.pyd"))
_put(
    "a second name",
    "another spelling",
    Part("evil/read.me", PE, central={"extra": _unicode_name(b"evil/read.me", b"evil/x.pyd")}),
)
_put("a name twice", "more than once", Part("evil/x.dll", b"first"), Part("evil/x.dll", PE))
_put("names that differ in case", "case only", Part("evil/x.dll", PE), Part("Evil/X.DLL", PE))
_put(
    "a name in site-packages twice",
    "more than once",
    Part("evil-1.0.data/platlib/evil/x.dll", PE),
    Part("evil/x.dll", PE),
)
_put("a file that is a directory too", "at once", Part("evil/x", PE), Part("evil/x/y.dll", PE))
_put("a directory with content", "content of their own", Part("evil/x.dll/", PE))
_put("a symbolic link", "symbolic", Part("evil/x.dll", b"../../x.dll", mode=LINK))
_put("too many levels", "too deep", *(_named(f"{number}/" + "x/" * 500 + "x.dll") for number in range(100)))

# RECORD and its neighbours
_put("a RECORD with a file that is not there", "not there", record=record_of(healthy()) + "evil/gone.dll,,1\n")
_put("a RECORD with another size", "another size", record=record_of(healthy()).replace(f",{len(PE)}", ",7"))
_put("a RECORD with a size of 5,000 digits", "another size", record=f"{EXTENSION},,{'9' * 5000}\n")
_put("a RECORD without a DLL", "does not list", Part("evil/x.dll", PE), record=record_of(healthy()))
_put(
    "a RECORD of 9 MiB",
    "was not read",
    record=record_of(healthy()) + ("evil/__init__.py," + " " * 80 + ",\n") * 100_000,
)
_put("a RECORD of 250,000 lines", "was not read", record=record_of(healthy()) + "x\n" * 250_000)
_put("a RECORD that is no table", "no table", record='"' + "x" * 200_000)
_put("no RECORD", "RECORD", without=["RECORD"])
_put("no WHEEL", "WHEEL", without=["WHEEL"])
_put("no metadata", "no .dist-info", without=["RECORD", "WHEEL", "METADATA"])
_put("two distributions", "more than one .dist-info", Part("other-1.0.dist-info/RECORD", b""))


def tiny(count: int) -> bytes:
    """Many members with nothing in them, and no RECORD."""
    return zipped([Part(EXTENSION, PE), *(Part(f"evil/{number}.py", b"", STORED) for number in range(count))], end64={})


HOSTILE["100,000 members"] = (lambda path: path.write_bytes(tiny(100_000)), "no .dist-info")
