"""What a processor is and offers, from its raw answers to CPUID and XGETBV; the features are a table (data/cpu.toml).

The leaves and XCR0 are all there is to know: a processor of which somebody wrote them down is judged like this one.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from depwalk import core, tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Leaf = tuple[int, int]
"""(leaf, subleaf): EAX and ECX of a CPUID."""
Registers = tuple[int, int, int, int]
"""EAX, EBX, ECX, EDX of its answer."""

_EXTENDED = 0x80000000
_STRUCTURED = 7  # the leaf whose EAX says how many subleaves it has
_LIMITS: tuple[Leaf, ...] = ((0, 0), (_STRUCTURED, 0), (_EXTENDED, 0))
_BRAND: tuple[Leaf, ...] = tuple((0x80000002 + index, 0) for index in range(3))
_REGISTERS = ("eax", "ebx", "ecx", "edx")
_ABSENT: Registers = (0, 0, 0, 0)


@dataclass(frozen=True)
class Feature:
    """One instruction set: has the processor got it, and has the system switched on the registers it works on."""

    in_cpu: bool
    enabled: bool

    @property
    def usable(self) -> bool:
        """A program may execute it."""
        return self.in_cpu and self.enabled


@dataclass(frozen=True)
class Cpu:
    """An x86 processor by its answers. A leaf that was not recorded counts as one that the processor has not got.

    `xcr0` is None where it cannot be read (no OSXSAVE) or is not known: then no state that it switches on is.
    """

    leaves: Mapping[Leaf, Registers]
    xcr0: int | None = None

    def feature(self, name: str) -> Feature:
        """What there is of a feature of data/cpu.toml. Raises KeyError for any other name."""
        row = _features()[name]
        answer = self._answer(row["leaf"], row.get("subleaf", 0))
        state = row.get("state")
        return Feature(_bit(answer[_REGISTERS.index(row["register"])], row["bit"]), not state or self._is_on(state))

    def brand(self) -> str | None:
        """The brand string, such as "AMD EPYC 7763"; None if it has none."""
        text = b"".join(struct.pack("<4I", *self._answer(*leaf)) for leaf in _BRAND)
        return text.partition(b"\0")[0].decode("latin-1").strip() or None

    def _is_on(self, state: str) -> bool:
        """Whether the system saves and restores a state: OSXSAVE, then XCR0 (SDM vol. 1, "Detection of AVX")."""
        xcr0 = self.xcr0
        if xcr0 is None or not self.feature("osxsave").in_cpu:
            return False
        return all(_bit(xcr0, bit) for bit in tables.table("cpu.toml")["state"][state])

    def _answer(self, leaf: int, subleaf: int) -> Registers:
        """The registers of a leaf; zeros beyond the last one, where old processors repeat another leaf's answer."""
        if leaf > self._first(leaf & _EXTENDED) or (leaf == _STRUCTURED and subleaf > self._first(leaf)):
            return _ABSENT
        return self.leaves.get((leaf, subleaf), _ABSENT)

    def _first(self, leaf: int) -> int:
        """EAX of a leaf that says in it how many follow."""
        return self.leaves.get((leaf, 0), _ABSENT)[0]


def live() -> Cpu | None:
    """The processor that runs this; None if it is no x86."""
    here = _ask(wanted_leaves())
    if here is None or not here.feature("osxsave").in_cpu:
        return here
    return Cpu(here.leaves, core.xgetbv())


def brand() -> str | None:
    """The brand string of the processor that runs this; None if it has none or is no x86."""
    here = _ask((*_LIMITS, *_BRAND))
    return here.brand() if here else None


def label(name: str) -> str:
    """What people call a feature. Raises KeyError for a name that is not in data/cpu.toml."""
    text: str = _features()[name]["label"]
    return text


def names() -> tuple[str, ...]:
    """Every feature that is known, in the order of the table."""
    return tuple(_features())


def wanted_leaves() -> list[Leaf]:
    """The leaves to record of a processor so that a Cpu of them knows everything."""
    return sorted({*_LIMITS, *_BRAND, *((row["leaf"], row.get("subleaf", 0)) for row in _features().values())})


def _features() -> dict[str, Any]:
    rows: dict[str, Any] = tables.table("cpu.toml")["feature"]
    return rows


def _ask(leaves: Iterable[Leaf]) -> Cpu | None:
    answers: dict[Leaf, Registers] = {}
    for leaf in leaves:
        answer = core.cpuid(*leaf)
        if answer is None:
            return None
        answers[leaf] = answer
    return Cpu(answers)


def _bit(register: int, bit: int) -> bool:
    return bool(register >> bit & 1)
