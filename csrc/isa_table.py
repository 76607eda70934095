"""Makes the decoder's tables, a C header, of depwalk/data/isa.toml: python csrc/isa_table.py FILE."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SOURCE = Path(__file__).resolve().parent.parent / "depwalk" / "data" / "isa.toml"
PREFIXES = ("np", "66", "f3", "f2")
KINDS = ("", "ud2", "int3", "privileged", "question", "falls-back")
MODES = {None: 3, 32: 1, 64: 2}
ANY_LENGTH, ANY_FIELD = "012", "01234567"


def opcodes(ranges: str) -> Iterator[int]:
    """Every number of a list of hexadecimal ranges, such as "10-12 16"."""
    for part in ranges.split():
        first, _, last = part.partition("-")
        yield from range(int(first, 16), int(last or first, 16) + 1)


def bits(numbers: Iterable[str]) -> int:
    """A mask with these bits set."""
    return sum(1 << int(number) for number in numbers)


def name(text: str) -> str:
    """The part of a C name that stands for a word of the table."""
    return "".join(letter if letter.isalnum() else "_" for letter in text).upper() or "PLAIN"


class Tables:
    """The tables, row by row and map by map."""

    def __init__(self, source: dict[str, Any]) -> None:
        self.shapes: dict[str, dict[str, str]] = source["shape"]
        self.rows = [(key, row) for key, rows in source["rows"].items() for row in rows]
        self.sets = [*dict.fromkeys(row["is"] for _, row in self.rows), "apx"]  # a prefix, so in no row
        self.maps = list(self.shapes)
        self.chains: list[tuple[int, ...]] = [()]  # number 0: no row
        self.direct: dict[tuple[int, str], int] = {}  # by chain and vector length

    def cells(self, key: str) -> list[list[int]]:
        """The number of the chain of rows of each opcode, by mandatory prefix."""
        return [self._cells_of(key, prefix) for prefix in PREFIXES]

    def _cells_of(self, key: str, prefix: str) -> list[int]:
        chains: list[tuple[int, ...]] = [()] * 256
        for number, (where, row) in enumerate(self.rows):
            for opcode in opcodes(row.get(prefix, row.get("any", ""))) if where == key else ():
                chains[opcode] += (number,)
        self.chains += [chain for chain in dict.fromkeys(chains) if chain not in self.chains]
        return [self.chains.index(chain) for chain in chains]


def table(numbers: Iterable[object]) -> str:
    """The initialiser of an array."""
    words = [str(number) for number in numbers]
    lines = [", ".join(words[at : at + 24]) for at in range(0, len(words), 24)]
    return "{\n    " + ",\n    ".join(lines) + "\n}"


def nested(parts: Iterable[Iterable[str]]) -> str:
    """The initialiser of an array of arrays of what has been written."""
    return "{" + ",\n".join("{" + ",\n".join(part) + "}" for part in parts) + "}"


def row_text(row: dict[str, Any], sets: list[str]) -> str:
    """One row as an isa_row."""
    modes = {"mem": 1, "reg": 2}.get(row.get("mod", ""), 3)
    has_modrm = int(bool(row.keys() & {"mod", "reg", "rm"}))
    w = {0: 1, 1: 2}.get(row.get("w", -1), 3)
    fields = (
        sets.index(row["is"]),
        f"ISA_KIND_{name(row.get('kind', ''))}",
        MODES[row.get("bits")],
        w,
        bits(row.get("l", ANY_LENGTH)),
        has_modrm,
        modes,
        bits(row.get("reg", ANY_FIELD)),
        bits(row.get("rm", ANY_FIELD)),
    )
    return "{" + ", ".join(map(str, fields)) + "}"


def shape_names(shape: dict[str, str]) -> list[list[str]]:
    """What follows each opcode of a map."""
    parts: list[list[str]] = [[] for _ in range(256)]
    for what, ranges in shape.items():
        for opcode in opcodes(ranges):
            parts[opcode].append(what)
    return parts


def shape_of(shape: dict[str, str]) -> list[str]:
    """The same as expressions."""
    return [" | ".join(f"ISA_SHAPE_{name(what)}" for what in found) or "0" for found in shape_names(shape)]


SLOW, MODRM, LEADS, FLOW = 0x80, 0x40, 0x20, 0x10  # of the tables isa_quick
QUICK = {"modrm": MODRM, "imm8": 1, "imm16": 2, "immz": 4, "immv": 4}
LEADING = {"one-byte": (0x8D, 0xE8, 0xE9), "0f": ()}  # LEA, CALL and JMP: where they lead may be code
# What jumps or returns, in a form without a limit: RET, JMP, and jumps with a condition.
FLOWING = {"one-byte": (*range(0x70, 0x80), 0xC2, 0xC3, *range(0xE0, 0xE4), 0xE9, 0xEB), "0f": (*range(0x80, 0x90),)}
SIZED = {"one-byte": (0xF6, 0xF7), "0f": (0x20, 0x21, 0x22, 0x23)}  # of which ModRM tells the size: TEST, MOV CR


def quick(tables: Tables, key: str, mode: int) -> list[str]:
    """What follows an opcode that needs nothing, in any form and without a prefix but REX: a MODRM bit and the size.

    SLOW for every other opcode, and for those whose size depends on more.
    """
    found = [SLOW] * 256
    shapes = shape_names(tables.shapes[key])
    for opcode, chain in enumerate(tables.cells(key)[0]):
        rows = [tables.rows[number][1] for number in tables.chains[chain]]
        limits = {"reg", "rm", "kind", "w"} | (set() if opcode in LEADING[key] else {"mod"})
        plain = rows and rows[0]["is"] == "base" and not rows[0].keys() & limits and rows[0].get("bits", mode) == mode
        sizes = QUICK | ({"moffs": 4} if mode == 32 else {})
        if plain and set(shapes[opcode]) <= set(sizes) and opcode not in SIZED[key]:
            found[opcode] = sum(sizes[what] for what in shapes[opcode])
            found[opcode] += LEADS * (opcode in LEADING[key]) + FLOW * (opcode in FLOWING[key])
    return [str(number) for number in found]


NOT_DIRECT = 255
ASKED = {"w": (0, 1), "mod": ("mem", "reg"), "reg": ANY_FIELD, "rm": ANY_FIELD, "bits": (32, 64)}


def direct(tables: Tables, key: str) -> list[list[list[int]]]:
    """The set of an opcode whose form does not matter, by vector length and mandatory prefix; else NOT_DIRECT."""
    cells = tables.cells(key)
    return [[[_direct_set(tables, chain, length) for chain in row] for row in cells] for length in ANY_LENGTH]


def _direct_set(tables: Tables, chain: int, length: str) -> int:
    if (chain, length) not in tables.direct:
        rows = [tables.rows[number][1] for number in tables.chains[chain]]
        rows = [row for row in rows if length in row.get("l", ANY_LENGTH)]
        asked = [name for name in ASKED if any(name in row for row in rows)]
        forms = [dict(zip(asked, form)) for form in itertools.product(*(ASKED[name] for name in asked))]
        found = {next((set_of(row) for row in rows if _fits(row, form)), None) for form in forms}
        only = found.pop() if len(found) == 1 else None
        tables.direct[chain, length] = NOT_DIRECT if only is None else tables.sets.index(only)
    return tables.direct[chain, length]


def set_of(row: dict[str, Any]) -> str | None:
    """What it needs, if that is all there is to say."""
    return None if "kind" in row else str(row["is"])


def _fits(row: dict[str, Any], form: dict[str, Any]) -> bool:
    exact = all(row[name] == form[name] for name in ("w", "mod", "bits") if name in row)
    return exact and all(form[name] in row[name] for name in ("reg", "rm") if name in row)


def modrm_sizes() -> list[str]:
    """Bytes of ModRM, SIB and displacement in 32-bit addressing, but for the displacement of a SIB without a base."""
    sizes = []
    for modrm in range(256):
        mod, rm = modrm >> 6, modrm & 7
        displacement = {0: 4 * (rm == 5), 1: 1, 2: 4, 3: 0}[mod]
        sizes.append(1 + (mod != 3 and rm == 4) + displacement)
    return [str(size) for size in sizes]


def header(source: dict[str, Any]) -> str:
    """The whole file."""
    tables = Tables(source)
    cells = {key: tables.cells(key) for key in tables.maps}
    starts: list[int] = []
    flat: list[object] = []
    for chain in tables.chains:
        starts.append(len(flat))
        flat += [*chain, "ISA_NO_ROW"]
    shapes = {key: shape_of(shape) for key, shape in tables.shapes.items()}
    parts = [
        "/* Made by csrc/isa_table.py of depwalk/data/isa.toml. */",
        "enum {\n    " + ",\n    ".join(f"ISA_MAP_{name(key)}" for key in tables.maps) + ",\n    ISA_MAPS\n};",
        "enum {\n    " + ",\n    ".join(f"ISA_KIND_{name(kind)}" for kind in KINDS) + "\n};",
        f"enum {{\n    ISA_ROWS = {len(tables.rows)},\n    ISA_SETS = {len(tables.sets)}\n}};",
        f"enum {{\n    ISA_SET_CX16 = {tables.sets.index('cx16')},\n    ISA_SET_APX = {tables.sets.index('apx')}\n}};",
        "static const isa_row isa_rows[ISA_ROWS] = {\n    "
        + ",\n    ".join(row_text(row, tables.sets) for _, row in tables.rows)
        + "\n};",
        f"static const uint16_t isa_chains[{len(flat)}] = {table(flat)};",
        "/* Where in isa_chains the rows of an opcode begin, by map and mandatory prefix. */",
        "static const uint16_t isa_cells[ISA_MAPS][4][256] = {"
        + ",\n".join(
            "{" + ",\n".join(table(starts[chain] for chain in row) for row in cells[key]) + "}" for key in tables.maps
        )
        + "};",
        "static const uint8_t isa_shapes[ISA_MAPS][256] = {"
        + ",\n".join(table(shapes[key]) for key in tables.maps)
        + "};",
    ]
    old = source["old_vectors"]["is"]
    parts.append(f"static const uint8_t isa_old_vectors[ISA_SETS] = {table(int(each in old) for each in tables.sets)};")
    questions = source["questions"]["functions"]
    longest = max(map(len, questions)) + 1
    parts.append(f"enum {{\n    ISA_QUESTIONS = {len(questions)},\n    ISA_LONGEST_QUESTION = {longest}\n}};")
    names = table(f'"{question}"' for question in questions)
    parts.append(f"static const char isa_questions[ISA_QUESTIONS][ISA_LONGEST_QUESTION] = {names};")
    parts.append("/* By map, vector length, mandatory prefix and opcode. */")
    parts.append(f"enum {{\n    ISA_NOT_DIRECT = {NOT_DIRECT}\n}};")
    sets = ",\n".join(nested([[table(row) for row in rows] for rows in direct(tables, key)]) for key in tables.maps)
    parts.append(f"static const uint8_t isa_direct[ISA_MAPS][3][4][256] = {{{sets}}};")
    parts.append(f"static const uint8_t isa_modrm_sizes[256] = {table(modrm_sizes())};")
    for c_name, key in (("isa_quick", "one-byte"), ("isa_quick_0f", "0f")):
        both = ",\n".join(table(quick(tables, key, mode)) for mode in (32, 64))
        parts.append(f"static const uint8_t {c_name}[2][256] = {{{both}}};")
    return "\n\n".join(parts) + "\n"


def main(target: str) -> None:
    """Write the header."""
    with SOURCE.open("rb") as source:
        text = header(tomllib.load(source))
    with open(target, "w", encoding="ascii", newline="\n") as file:
        file.write(text)


if __name__ == "__main__":
    main(sys.argv[1])
