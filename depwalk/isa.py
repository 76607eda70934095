"""What x86 code needs of a processor: one instruction, all that an image contains, and what of it runs at load.

The decoder and the walk through the code are the core's (csrc/isa.c, csrc/reach.c); which instruction set an opcode
belongs to is a table (data/isa.toml). What no row of the table covers is None: better unknown than guessed, since the
bytes at a faulting address need not be an instruction at all.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from depwalk import core, cpu, tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from depwalk.cpu import Cpu
    from depwalk.image import Image

BASE = "base"
"""What an instruction needs that every processor has."""

_LONGEST = 15  # bytes of an instruction, prefixes included
_ENCODINGS = ("legacy", "VEX", "EVEX", "XOP", "REX2")
_REX2 = 4
_X86 = ("x64", "x86")
_ROOTS = ("", "TLS callback", "entry point", "initialiser", "export")  # by DW_ROOT_...


class Instruction(NamedTuple):
    """What an instruction needs: names of data/cpu.toml, the set it belongs to first; (BASE,) if they all have it.

    `label` is what people call that. `encoding` is "legacy", "VEX", "EVEX", "XOP" or "REX2". `kind` is "" or what is
    special: "ud2" (undefined on purpose: the program stops itself), "int3", "privileged" (for the system alone),
    "question" (asks what the processor offers), "falls-back" (another instruction where it is not known).
    """

    needs: tuple[str, ...]
    label: str
    encoding: str
    kind: str = ""
    length: int = 0  # bytes

    @property
    def feature(self) -> str:
        """The instruction set it belongs to."""
        return self.needs[0]


class Use(NamedTuple):
    """How much of an image's code needs an instruction set. `first` is the RVA of the first such instruction."""

    needs: tuple[str, ...]
    functions: int
    instructions: int
    first: int


class Contents(NamedTuple):
    """All the code of an image. `functions` are pieces of code, `listed` of them by the exception directory.

    `unknown` instructions are in no row of the table; `asking` functions execute CPUID or XGETBV.
    """

    size: int  # bytes
    instructions: int
    unknown: int
    functions: int
    listed: int
    asking: int
    uses: tuple[Use, ...]  # in the order of the table, without what every processor has


class Need(NamedTuple):
    """An instruction that runs before the processor was asked: the first of its set in its function.

    Addresses are RVAs. `root` is what the loader or the C runtime calls, of the kind `by`; `caller` is the function
    that led to this one, 0 if that is the root. A `mixed` one stands in a function that has the older encodings, too;
    a `certain` one is run whatever branches are taken on the way to its function and in it.
    """

    needs: tuple[str, ...]
    rva: int
    function: int
    caller: int
    root: int
    by: str  # "TLS callback", "entry point", "initialiser" or "export"
    mixed: bool
    certain: bool


class Reached(NamedTuple):
    """The code that runs at load: its needs in the order in which a walk meets them.

    Of `functions`, `asking` ask the processor or read what was asked; `through_pointers` calls were not followed.
    """

    needs: tuple[Need, ...]
    functions: int
    asking: int
    instructions: int
    through_pointers: int
    complete: bool


def contents(image: Image) -> Contents | None:
    """What the code of an image contains; None if it is no x86 code."""
    if image.architecture not in _X86:
        return None
    facts, uses = image.file.contained(len(_sets()))
    return Contents(
        facts.code,
        facts.instructions,
        facts.unknown,
        facts.functions,
        facts.listed,
        facts.asking,
        tuple(
            Use(needs, use.functions, use.instructions, use.first)
            for needs, use in zip(_sets(), uses)
            if use.instructions
        ),
    )


def at_load(image: Image) -> Reached | None:
    """What the code needs that runs when an image is loaded; None if it is no x86 code."""
    return _reached(image, from_exports=False)


def exported(image: Image) -> Reached | None:
    """The same of the code that runs at load or that other modules can call: what the image was compiled for."""
    return _reached(image, from_exports=True)


def baseline(found: Reached) -> tuple[str, ...]:
    """The features that code needs unasked, in the order of data/cpu.toml: of `exported`, those it was compiled for."""
    needed = {name for need in found.needs if not need.mixed for name in need.needs}
    return tuple(name for name in cpu.names() if name in needed)


def level_of(features: Iterable[str]) -> str | None:
    """The lowest of x86-64-v1 to v4 that has these features; None if none has them all."""
    wanted = set(features)
    return next((level for level in cpu.levels() if wanted <= {*cpu.features_of(level)}), None)


def first_of_each(needs: Iterable[Need]) -> list[Need]:
    """The first of each set, those of functions that choose by themselves apart."""
    found: dict[tuple[tuple[str, ...], bool], Need] = {}
    for need in needs:
        found.setdefault((need.needs, need.mixed), need)
    return list(found.values())


def lacking(needs: tuple[str, ...], processor: Cpu) -> str | None:
    """The first feature of `needs` that is not usable on a processor; None if all are."""
    return next((name for name in needs if name != BASE and not processor.feature(name).usable), None)


def unusable(needs: Iterable[Need], processor: Cpu) -> list[Need]:
    """Those that end the process where they run. What a function chooses by itself may not run."""
    return [need for need in needs if not need.mixed and lacking(need.needs, processor)]


def instruction(code: bytes, bits: int) -> Instruction | None:
    """The instruction that `code` begins with, in a process of 32 or 64 bits; None if it is unknown or cut off."""
    found = next(iter(core.instructions(code[:_LONGEST], bits)), None)
    if found is None or found.row is None:
        return None
    row = _rows()[found.row]
    needs = tuple(row["is"].split())
    if found.encoding == _REX2:
        needs = ("apx", *(name for name in needs if name != BASE))
    encoding = _ENCODINGS[found.encoding]
    return Instruction(needs, row.get("label") or label(needs), encoding, row.get("kind", ""), found.length)


def label(needs: tuple[str, ...]) -> str:
    """What people call what an instruction needs."""
    return " with ".join("x86" if name == BASE else cpu.label(name) for name in needs)


def _reached(image: Image, *, from_exports: bool) -> Reached | None:
    if image.architecture not in _X86:
        return None
    facts, needs = image.file.reached(from_exports=from_exports)
    found = (
        Need(
            needs=_sets()[need.set],
            rva=need.rva,
            function=need.function,
            caller=need.caller,
            root=need.root,
            by=_ROOTS[need.kind],
            mixed=bool(need.mixed),
            certain=bool(need.certain),
        )
        for need in needs
    )
    return Reached(
        tuple(found), facts.functions, facts.asking, facts.instructions, facts.through_pointers, not facts.incomplete
    )


@cache
def _rows() -> list[Mapping[str, Any]]:
    """The rows by their number in the core."""
    return [row for rows in tables.table("isa.toml")["rows"].values() for row in rows]


@cache
def _sets() -> list[tuple[str, ...]]:
    """What is needed, by the number of its set in the core; APX is a prefix, so in no row."""
    return [*(tuple(needs.split()) for needs in dict.fromkeys(row["is"] for row in _rows())), ("apx",)]
