"""Which instruction set one instruction belongs to: prefixes, opcode map and opcode, looked up in data/isa.toml.

No disassembler: operands and lengths are of no interest. What no row of the table covers is None: better unknown than
guessed, since the bytes at a faulting address need not be an instruction at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from depwalk import cpu, tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

BASE = "base"
"""What an instruction needs that every processor has."""

_LONGEST = 15  # bytes of an instruction, prefixes included
_LOCK, _OPERAND_SIZE = 0xF0, 0x66
_REPEAT = {0xF3: "f3", 0xF2: "f2"}
_PREFIXES = {*_REPEAT, _LOCK, _OPERAND_SIZE, 0x67, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65}
_LOCKABLE = {BASE, "cx16"}
_PP = ("np", "66", "f3", "f2")  # the field pp of VEX, XOP and EVEX
_VEX2, _VEX3, _EVEX, _XOP, _REX2 = 0xC5, 0xC4, 0x62, 0x8F, 0xD5
_MAPS = {  # by lead byte and field mmmmm or mmm
    _VEX3: {1: "vex 0f", 2: "vex 0f38", 3: "vex 0f3a"},
    _XOP: {8: "xop 08", 9: "xop 09", 10: "xop 0a"},
    _EVEX: {1: "evex 0f", 2: "evex 0f38", 3: "evex 0f3a", 5: "evex 05", 6: "evex 06"},
}


@dataclass(frozen=True)
class Instruction:
    """What an instruction needs: names of data/cpu.toml, the set it belongs to first; (BASE,) if they all have it.

    `label` is what people call that. `encoding` is "legacy", "VEX", "EVEX", "XOP" or "REX2". `kind` is "" or what is
    special: "ud2" (undefined on purpose: the program stops itself), "int3", "privileged" (for the system alone).
    """

    needs: tuple[str, ...]
    label: str
    encoding: str
    kind: str = ""

    @property
    def feature(self) -> str:
        """The instruction set it belongs to."""
        return self.needs[0]


class _Fields(NamedTuple):
    """What selects a row of the table. `rest` begins with ModRM, if there is one; it may be cut off."""

    map: str
    pp: str
    opcode: int
    w: int
    length: int
    rest: bytes


def instruction(code: bytes, bits: int) -> Instruction | None:
    """The instruction that `code` begins with, in a process of 32 or 64 bits; None if it is unknown or cut off."""
    try:
        return _decode(code[:_LONGEST], bits)
    except IndexError:
        return None


def _decode(code: bytes, bits: int) -> Instruction | None:
    at, rex = 0, 0
    while code[at] in _PREFIXES or (bits == 64 and code[at] & 0xF0 == 0x40):
        rex = 0 if code[at] in _PREFIXES else code[at]  # a REX counts only right before the opcode
        at += 1
    seen, code = code[:at], code[at:]
    encoding = _encoding(code, bits)
    if encoding in ("legacy", "REX2"):
        fields = _legacy(code, seen, rex) if encoding == "legacy" else None if rex else _rex2(code, seen)
    else:
        # Undefined after a REX or one of these prefixes: SDM vol. 2, 2.3.2 and 2.3.3.
        fields = None if rex or {*_REPEAT, _LOCK, _OPERAND_SIZE} & {*seen} else _vector(code)
    row = _row(fields, bits) if fields else None
    if row is None:
        return None
    needs = tuple(row["is"].split())
    if _LOCK in seen and needs[0] not in _LOCKABLE:
        return None
    if encoding == "REX2":
        needs = ("apx", *(name for name in needs if name != BASE))
    label = row.get("label") or " with ".join("x86" if name == BASE else cpu.label(name) for name in needs)
    return Instruction(needs, label, encoding, row.get("kind", ""))


def _encoding(code: bytes, bits: int) -> str:
    lead = code[0]
    if lead in (_VEX2, _VEX3, _EVEX) and (bits == 64 or code[1] >= 0xC0):  # else LDS, LES, BOUND: no register forms
        return "EVEX" if lead == _EVEX else "VEX"
    if lead == _XOP and code[1] & 0x1F in _MAPS[_XOP]:  # else POP
        return "XOP"
    return "REX2" if lead == _REX2 and bits == 64 else "legacy"  # else AAD


def _legacy(code: bytes, seen: bytes, rex: int) -> _Fields:
    repeats = [_REPEAT[byte] for byte in seen if byte in _REPEAT]
    pp = repeats[-1] if repeats else "66" if _OPERAND_SIZE in seen else "np"
    at = 0 if code[0] != 0x0F else 2 if code[1] in (0x38, 0x3A) else 1
    return _Fields(code[:at].hex() or "one-byte", pp, code[at], rex >> 3 & 1, 0, code[at + 1 :])


def _rex2(code: bytes, seen: bytes) -> _Fields | None:
    """APX: one byte instead of REX and 0F (its specification, "REX2 prefix"); bit 7 is the map, bit 3 W."""
    return _legacy(b"\x0f" * (code[1] >> 7) + code[2:], seen, code[1])


def _vector(code: bytes) -> _Fields | None:
    lead, first = code[0], code[1]
    if lead == _VEX2:
        return _Fields("vex 0f", _PP[first & 3], code[2], 0, first >> 2 & 1, code[3:])
    name = _MAPS[lead].get(first & (0xF if lead == _EVEX else 0x1F))
    second = code[2]
    pp, w = _PP[second & 3], second >> 7
    if name is None:
        return None
    if lead != _EVEX:
        return _Fields(name, pp, code[3], w, second >> 2 & 1, code[4:])
    third, opcode, rest = code[3], code[4], code[5:]
    if not second & 4:  # reserved, before APX and AVX10.2
        return None
    rounds = third & 0x10 and rest[0] >= 0xC0  # then the length field is the rounding mode
    return _Fields(name, pp, opcode, w, 2 if rounds else third >> 5 & 3, rest)


def _row(fields: _Fields, bits: int) -> Mapping[str, Any] | None:
    rows = _table().get((fields.map, fields.pp, fields.opcode), ())
    return next((row for row in rows if _fits(row, fields, bits)), None)


def _fits(row: Mapping[str, Any], fields: _Fields, bits: int) -> bool:
    length = str(fields.length)
    if row.get("bits", bits) != bits or row.get("w", fields.w) != fields.w or length not in row.get("l", "012"):
        return False
    if not row.keys() & {"mod", "reg", "rm"}:
        return True
    modrm = fields.rest[0]
    mod, reg, rm = "reg" if modrm >= 0xC0 else "mem", str(modrm >> 3 & 7), str(modrm & 7)
    return row.get("mod", mod) == mod and reg in row.get("reg", reg) and rm in row.get("rm", rm)


@cache
def _table() -> dict[tuple[str, str, int], list[Mapping[str, Any]]]:
    """The rows by map, mandatory prefix and opcode."""
    table: dict[tuple[str, str, int], list[Mapping[str, Any]]] = {}
    for name, rows in tables.table("isa.toml").items():
        for row in rows:
            for pp in _PP:
                for opcode in _opcodes(row.get(pp, row.get("any", ""))):
                    table.setdefault((name, pp, opcode), []).append(row)
    return table


def _opcodes(ranges: str) -> Iterator[int]:
    """Every number of a list of hexadecimal ranges, such as "10-12 16"."""
    for part in ranges.split():
        first, _, last = part.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1)
