"""What x86 code needs of a processor: one instruction, and all that an image contains.

The decoder is the core's; which instruction set an opcode belongs to is a table (data/isa.toml). What no row of the table
covers is None: better unknown than guessed, since the bytes at a faulting address need not be an instruction at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from depwalk import core, cpu, tables

if TYPE_CHECKING:
    from collections.abc import Mapping

BASE = "base"
"""What an instruction needs that every processor has."""

_LONGEST = 15  # bytes of an instruction, prefixes included
_ENCODINGS = ("legacy", "VEX", "EVEX", "XOP", "REX2")
_REX2 = 4


@dataclass(frozen=True)
class Instruction:
    """What an instruction needs: names of data/cpu.toml, the set it belongs to first; (BASE,) if they all have it.

    `label` is what people call that. `encoding` is "legacy", "VEX", "EVEX", "XOP" or "REX2". `kind` is "" or what is
    special: "ud2" (undefined on purpose: the program stops itself), "int3", "privileged" (for the system alone),
    "question" (asks what the processor offers), "falls-back" (another instruction where it is not known).
    """

    needs: tuple[str, ...]
    label: str
    encoding: str
    kind: str = ""

    @property
    def feature(self) -> str:
        """The instruction set it belongs to."""
        return self.needs[0]


def instruction(code: bytes, bits: int) -> Instruction | None:
    """The instruction that `code` begins with, in a process of 32 or 64 bits; None if it is unknown or cut off."""
    found = next(iter(core.instructions(code[:_LONGEST], bits)), None)
    if found is None or found.row is None:
        return None
    row = _rows()[found.row]
    needs = tuple(row["is"].split())
    if found.encoding == _REX2:
        needs = ("apx", *(name for name in needs if name != BASE))
    return Instruction(needs, row.get("label") or label(needs), _ENCODINGS[found.encoding], row.get("kind", ""))


def label(needs: tuple[str, ...]) -> str:
    """What people call what an instruction needs."""
    return " with ".join("x86" if name == BASE else cpu.label(name) for name in needs)


@cache
def _rows() -> list[Mapping[str, Any]]:
    """The rows by their number in the core."""
    return [row for rows in tables.table("isa.toml")["rows"].values() for row in rows]


@cache
def _sets() -> list[tuple[str, ...]]:
    """What is needed, by the number of its set in the core; APX is a prefix, so in no row."""
    return [*(tuple(needs.split()) for needs in dict.fromkeys(row["is"] for row in _rows())), ("apx",)]
