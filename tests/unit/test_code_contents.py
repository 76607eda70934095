"""What an image contains is what its instructions need one by one: the quick way through code takes no other turn."""

from __future__ import annotations

import itertools
import struct

import pytest

from depwalk import core, isa

RVA, OFFSET, ROOM = 0x1000, 0x200, 0x200
NEEDS_NOTHING = "90" * 64  # behind the code: its end must not be near


def image_of(code: bytes, bits: int) -> bytes:
    """A file whose entry point is `code`, listed as a function if there is a directory for that."""
    wide = bits == 64
    content = code + bytes.fromhex(NEEDS_NOTHING)
    directory = struct.pack("<3I", RVA, RVA + len(code), 0)
    directories = [(0, 0)] * 3 + [(RVA + ROOM - len(directory), len(directory) * wide)] + [(0, 0)] * 12
    header = struct.pack("<HBB5I", 0x20B if wide else 0x10B, 14, 0, ROOM, 0, 0, RVA, RVA)
    header += struct.pack("<Q" if wide else "<II", *((1 << 32,) if wide else (0, 1 << 22)))
    header += struct.pack("<II6H4I2H", RVA, OFFSET, 6, 0, 0, 0, 6, 0, 0, RVA * 2, OFFSET, 0, 3, 0)
    header += struct.pack("<4QII" if wide else "<4III", 0, 0, 0, 0, 0, 16)
    header += b"".join(struct.pack("<II", *one) for one in directories)
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0"
    head += struct.pack("<HHIIIHH", 0x8664 if wide else 0x14C, 1, 0, 0, 0, len(header), 0x2022)
    section = struct.pack("<8s6I2HI", b".text", ROOM, RVA, ROOM, OFFSET, 0, 0, 0, 0, 0x60000020)
    text = content.ljust(ROOM - len(directory), b"\0") + directory
    return (head + header + section).ljust(OFFSET, b"\0") + text


def contained(code: bytes, bits: int) -> tuple[int, int, dict[tuple[str, ...], int]]:
    """Instructions, those that are unknown, and how many there are of each set."""
    sets = isa._sets()
    contents, uses = core.File(None, image_of(code, bits)).contained(len(sets))
    return (
        contents.instructions,
        contents.unknown,
        {sets[i]: use.instructions for i, use in enumerate(uses) if use.instructions},
    )


PREFIXES = ["", "66", "f3", "f2"]
REX = ["", "48"]
LEGACY = [prefix + rex + escape for prefix in PREFIXES for rex in REX for escape in ("", "0f", "0f38", "0f3a")]
VEX = ["c5f8", "c5fd", "c4e178", "c4e2f9", "c4e27d", "c4e37d", "8fe878", "c4e579", "66c5f8", "48c5f8", "d518", "d598"]
EVEX = ["62f17c08", "62f17d48", "62f27d28", "62f2fd49", "62f37d58", "62f57c18", "62f17e68", "62f17848", "62f97c48"]
FORMS = [(64, "01"), (64, "d1"), (64, "f9"), (64, "8425"), (32, "c1"), (32, "0425")]  # bits; ModRM and SIB


@pytest.mark.parametrize(("bits", "tail"), FORMS)
def test_an_image_contains_what_its_one_instruction_needs(bits: int, tail: str) -> None:
    for head, opcode in itertools.product(LEGACY + VEX + EVEX, range(256)):
        code = bytes.fromhex(f"{head}{opcode:02x}{tail}").ljust(isa._LONGEST, b"\x11")
        found = isa.instruction(code, bits)
        if found is None:
            continue
        needs = found.needs[:1] if found.feature == "apx" else found.needs  # of a prefix, what else is not told
        wanted = {} if needs == (isa.BASE,) or found.kind == "falls-back" else {needs: 1}
        code = code[: found.length] + b"\xc3"
        instructions, unknown, uses = contained(code, bits)
        assert {needs: uses.get(needs, 0) for needs in wanted} == wanted, code.hex(" ")
        if bits == 64:  # all of the function is read, and nothing else but what it leads to
            assert (instructions >= 2, unknown, uses) == (True, 0, wanted), code.hex(" ")
