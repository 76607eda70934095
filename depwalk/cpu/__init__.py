"""What a processor is and offers, from its raw answers to CPUID and XGETBV; the features are a table (data/cpu.toml).

The leaves and XCR0 are all there is to know: a processor of which somebody wrote them down is judged like this one.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from depwalk import choices, core, tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from depwalk.cpu.dump import Leaf, Registers

LIVE = "live"
"""The name of the processor that runs this."""

_EXTENDED, _HYPERVISOR = 0x80000000, 0x40000000
_RANGE = 0xFFFF0000  # the first leaf of each range says in EAX which is its last
_COUNTED = (0x7, 0x1E, 0x24)  # leaves whose EAX says which subleaf is the last
_BRAND: tuple[Leaf, ...] = tuple((0x80000002 + index, 0) for index in range(3))
# What a Cpu needs in order to know everything. No look-up in the table: this is asked at every start.
_WANTED: tuple[Leaf, ...] = (
    *((0x0, 0), (0x1, 0), (0x7, 0), (0x7, 1), (0x1E, 0), (0x1E, 1), (0x24, 0), (_HYPERVISOR, 0)),
    *((_EXTENDED, 0), (0x80000001, 0), *_BRAND),
)
_REGISTERS = ("eax", "ebx", "ecx", "edx")
_ABSENT: Registers = (0, 0, 0, 0)
_OSXSAVE = 27  # of ECX of leaf 1: XGETBV may be executed


class Feature(NamedTuple):
    """One instruction set: has the processor got it, and has the system switched on the registers it works on."""

    in_cpu: bool
    enabled: bool  # by the system; what works on no registers of its own always is

    @property
    def usable(self) -> bool:
        """A program may execute it."""
        return self.in_cpu and self.enabled


class Lack(NamedTuple):
    """A feature that is not usable."""

    name: str
    in_cpu: bool  # True: the system did not switch it on; False: the processor has not got it


class Emulation(NamedTuple):
    """What a Windows for Arm offers to processes of another architecture: features that it may have, or has not."""

    process: str  # x64 or x86
    windows: tuple[str, ...]  # the versions that run such processes
    may_have: tuple[str, ...]
    has_not: tuple[str, ...]


class Cpu(NamedTuple):
    """An x86 processor by its answers. A leaf that was not recorded counts as one that the processor has not got.

    `xcr0` is None where it cannot be read (no OSXSAVE) or is not known: then no state that it switches on is.
    """

    leaves: Mapping[Leaf, Registers]  # (leaf, subleaf) -> EAX, EBX, ECX, EDX
    xcr0: int | None = None  # the register that says which states the system saves and restores
    name: str = ""  # as --cpu takes it
    xcr0_assumed: bool = False  # nobody recorded XCR0: it is all that the processor supports

    @property
    def vendor(self) -> str:
        """The vendor's twelve letters, such as "GenuineIntel"; "" if leaf 0 was not recorded."""
        _, ebx, ecx, edx = self._answer(0, 0)
        return _text(ebx, edx, ecx)

    @property
    def family(self) -> int:
        """As people write it: the extended family is added (SDM vol. 2, CPUID, leaf 1)."""
        base = self._signature >> 8 & 0xF
        return base + (self._signature >> 20 & 0xFF) if base == 0xF else base

    @property
    def model(self) -> int:
        """As people write it: the extended model is put in front. Zhaoxin's family 7 counts as Intel's 6 and 15 do."""
        base = self._signature >> 4 & 0xF
        return (self._signature >> 16 & 0xF) << 4 | base if self.family >= 6 else base

    @property
    def stepping(self) -> int:
        """The revision of the model."""
        return self._signature & 0xF

    @property
    def hypervisor(self) -> str | None:
        """The hypervisor's twelve letters, such as "Microsoft Hv", "" if it gives none; None without a hypervisor."""
        if not self.feature("hypervisor").in_cpu:
            return None
        return _text(*self._answer(_HYPERVISOR, 0)[1:])

    @property
    def avx10(self) -> int | None:
        """The version of AVX10; None without it, and where its leaf was not recorded."""
        return (self._answer(0x24, 0)[1] & 0xFF or None) if self.feature("avx10").in_cpu else None

    def feature(self, name: str) -> Feature:
        """What there is of a feature of data/cpu.toml. Raises KeyError for any other name."""
        row = _features()[name]
        answer = self._answer(row["leaf"], row.get("subleaf", 0))
        state = row.get("state")
        return Feature(_bit(answer[_REGISTERS.index(row["register"])], row["bit"]), not state or self._is_on(state))

    def brand(self) -> str | None:
        """The brand string, such as "AMD EPYC 7763"; None if it has none."""
        return _text(*(register for leaf in _BRAND for register in self._answer(*leaf))).strip() or None

    def level(self) -> str | None:
        """The highest of x86-64-v1 to v4 that is usable; None for a processor of 32 bits, or one with less than v1."""
        return next((level for level in reversed(levels()) if not self.why_not(level)), None)

    def why_not(self, level: str) -> tuple[Lack, ...]:
        """What is not usable of a level, which includes those below it. Raises KeyError for a name that is no level."""
        features = {name: self.feature(name) for name in features_of(level)}
        return tuple(Lack(name, feature.in_cpu) for name, feature in features.items() if not feature.usable)

    @property
    def _signature(self) -> int:
        return self._answer(1, 0)[0]

    def _is_on(self, state: str) -> bool:
        """Whether the system saves and restores a state: OSXSAVE, then XCR0 (SDM vol. 1, "Detection of AVX")."""
        xcr0 = self.xcr0
        if xcr0 is None or not _bit(self._answer(1, 0)[2], _OSXSAVE):
            return False
        return all(_bit(xcr0, bit) for bit in tables.table("cpu.toml")["state"][state])

    def _answer(self, leaf: int, subleaf: int) -> Registers:
        """The registers of a leaf; zeros beyond the last one, where old processors repeat another leaf's answer."""
        if leaf > self._first(leaf & _RANGE) or (leaf in _COUNTED and subleaf > self._first(leaf)):
            return _ABSENT
        return self.leaves.get((leaf, subleaf), _ABSENT)

    def _first(self, leaf: int) -> int:
        """EAX of a leaf that says in it how many follow."""
        return self.leaves.get((leaf, 0), _ABSENT)[0]


def live() -> Cpu | None:
    """The processor that runs this; None if it is no x86."""
    leaves = _ask(_WANTED)
    return None if leaves is None else Cpu(leaves, _live_xcr0(leaves), LIVE)


def live_in_full() -> Cpu | None:
    """The processor that runs this with every leaf that it has, for a dump; None if it is no x86."""
    from depwalk.cpu import dump

    leaves = dump.every_leaf(core.cpuid)
    return None if leaves is None else Cpu(leaves, _live_xcr0(leaves), LIVE)


def of_level(level: str) -> Cpu:
    """A processor that has what a level of data/cpu.toml names, usable, and nothing else. Raises KeyError."""
    leaves: dict[Leaf, list[int]] = {(0x0, 0): [0x7, 0, 0, 0], (_EXTENDED, 0): [0x80000001, 0, 0, 0]}
    xcr0 = 0
    for name in (*features_of(level), "xsave", "osxsave"):  # the last two are how the system switches a state on
        row = _features()[name]
        registers = leaves.setdefault((row["leaf"], row.get("subleaf", 0)), [0, 0, 0, 0])
        registers[_REGISTERS.index(row["register"])] |= 1 << row["bit"]
        for bit in tables.table("cpu.toml")["state"].get(row.get("state"), ()):
            xcr0 |= 1 << bit
    eax, ebx, ecx, edx = leaves[1, 0]
    if not xcr0:
        ecx &= ~(1 << _features()["xsave"]["bit"] | 1 << _OSXSAVE)
    leaves[1, 0] = [eax, ebx, ecx, edx]
    return Cpu({leaf: (a, b, c, d) for leaf, (a, b, c, d) in leaves.items()}, xcr0 or None, level)


def named(text: str) -> Cpu:
    """A processor as --cpu takes it: "live", a level, a model, or the path of a dump.

    Raises ValueError with a sentence for a person.
    """
    known = {name.lower(): name for name in (LIVE, *levels(), *models())}
    name = known.get(text.lower())
    if name is None:
        return _of_file(text, known)
    if name in levels():
        return of_level(name)
    if name != LIVE:
        return read(tables.path("cpus", f"{_model_files()[name]}.txt"), name)
    here = live()
    if here is None:
        raise ValueError("this is not an x86 processor: choose another one with --cpu")
    return here


def read(path: str | os.PathLike[str], name: str) -> Cpu:
    """The processor of a dump. Raises ValueError with a sentence for a person, also for a file that cannot be read."""
    from depwalk.cpu import dump

    leaves, xcr0 = dump.read(path)
    if xcr0 is None and _bit(leaves[1, 0][2], _OSXSAVE):
        low, _, _, high = leaves.get((0xD, 0), _ABSENT)  # what the processor supports
        return Cpu(leaves, high << 32 | low, name, xcr0_assumed=True) if low else Cpu(leaves, None, name)
    return Cpu(leaves, xcr0, name)


def levels() -> tuple[str, ...]:
    """x86-64-v1 to v4, from the least to the most."""
    return tuple(tables.table("cpu.toml")["level"])


def models() -> tuple[str, ...]:
    """The processors that --cpu knows by name."""
    return tuple(sorted(_model_files(), key=str.lower))


def emulations() -> tuple[Emulation, ...]:
    """What emulation on an Arm64 processor offers, as far as that is published."""
    return tuple(
        Emulation(row["process"], tuple(row["windows"]), tuple(row.get("may_have", ())), tuple(row.get("has_not", ())))
        for row in tables.table("cpu.toml")["emulation"]
    )


def group(name: str) -> str:
    """The heading under which a person looks for a feature: a level, AVX, AVX-512, AMX, or "" for all others."""
    for level, features in tables.table("cpu.toml")["level"].items():
        if name in features:
            return str(level)
    return {"avx": "AVX", "avx512": "AVX-512", "amx": "AMX"}.get(_features()[name].get("state"), "")


def label(name: str) -> str:
    """What people call a feature. Raises KeyError for a name that is not in data/cpu.toml."""
    text: str = _features()[name]["label"]
    return text


def names() -> tuple[str, ...]:
    """Every feature that is known, in the order of the table."""
    return tuple(_features())


def wanted_leaves() -> list[Leaf]:
    """The leaves to record of a processor so that a Cpu of them knows everything."""
    return list(_WANTED)


def _of_file(text: str, known: Mapping[str, str]) -> Cpu:
    if os.path.isfile(text):
        return read(text, text)  # as it was given: no path is a name that --cpu knows
    meant = choices.meant(text, known.values())
    raise ValueError(f"unknown processor {text!r}: {meant} is {choices.CPU}; models: {', '.join(models())}")


def _model_files() -> dict[str, str]:
    """The stem of the file in data/cpus by name; some have a second name."""
    stems = [name[: -len(".txt")] for name in tables.names("cpus")]
    return {**{stem: stem for stem in stems}, **tables.table("cpu.toml")["also"]}


def features_of(level: str) -> tuple[str, ...]:
    """The features of a level and of those below it."""
    rows = tables.table("cpu.toml")["level"]
    index = list(rows).index(level) if level in rows else None
    if index is None:
        raise KeyError(level)
    return tuple(name for row in list(rows.values())[: index + 1] for name in row)


def _features() -> dict[str, Any]:
    rows: dict[str, Any] = tables.table("cpu.toml")["feature"]
    return rows


def _live_xcr0(leaves: Mapping[Leaf, Registers]) -> int | None:
    return core.xgetbv() if _bit(leaves[1, 0][2], _OSXSAVE) else None


def _ask(leaves: Iterable[Leaf]) -> dict[Leaf, Registers] | None:
    answers: dict[Leaf, Registers] = {}
    for leaf in leaves:
        answer = core.cpuid(*leaf)
        if answer is None:
            return None
        answers[leaf] = answer
    return answers


def _text(*registers: int) -> str:
    return struct.pack(f"<{len(registers)}I", *registers).partition(b"\0")[0].decode("latin-1")


def _bit(register: int, bit: int) -> bool:
    return bool(register >> bit & 1)
