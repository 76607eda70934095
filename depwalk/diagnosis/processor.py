"""Instructions that a processor, or its Windows, does not have: where a load ended, or where the code itself leads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk import cpu, isa
from depwalk.finding import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depwalk.cpu import Cpu
    from depwalk.diagnosis.evidence import Code, Evidence
    from depwalk.finding import Proof
    from depwalk.isa import Contents, Need
    from depwalk.loader import Raised

CODES = ("cpu-feature-missing", "cpu-feature-disabled")
ILLEGAL_INSTRUCTION = 0xC000001D
_SHOWN = 3  # places, or sets, that are named
_LONGEST = 15  # bytes of an instruction


def illegal_instruction(evidence: Evidence, name: str, exception: Raised, facts: tuple[str, ...]) -> Finding | None:
    """`cpu-feature-missing` or `cpu-feature-disabled`: an instruction at which a load ended, and that is not usable.

    None for another exception, an instruction that every processor has, and one that this processor can execute.
    """
    if exception.code != ILLEGAL_INSTRUCTION:
        return None
    found = isa.instruction(exception.code_bytes, _bits(evidence))
    processor = evidence.target.cpu
    if found is None or found.kind or processor is None:
        return None
    lacking = isa.lacking(found.needs, processor)
    if lacking is None:
        return None
    told = (*facts, f"instruction there: {exception.code_bytes.hex(' ')} ({found.label}, {found.encoding} encoding)")
    return _finding(name, lacking, processor, told, "loader")


def run_at_load(evidence: Evidence) -> Iterable[Finding]:
    """The same, predicted: code that is run at load needs what is not usable, and nothing has asked for it before.

    A warning if every way to such an instruction has a branch that may be taken or not: the verdict is then unknown.
    """
    processor = evidence.target.cpu
    for code in evidence.code if processor else ():
        assert processor is not None
        needs = isa.unusable(code.at_load.needs, processor)
        if needs:
            certain = next((need for need in needs if need.certain), None)
            lacking = isa.lacking((certain or needs[0]).needs, processor) or ""
            told = (*evidence.chain(code.module), *_places(code, needs, _bits(evidence)))
            found = _finding(code.module.name, lacking, processor, told, "static")
            found = found._replace(needed_by=evidence.importer(code.module))
            yield found if certain else _maybe(found, lacking, processor)


def is_undecided(evidence: Evidence) -> bool:
    """Whether it depends on a branch that the files do not decide if a file runs what is not usable."""
    processor = evidence.target.cpu
    found = [isa.unusable(code.at_load.needs, processor) for code in evidence.code if processor]
    return any(needs and not any(need.certain for need in needs) for needs in found)


def _maybe(found: Finding, lacking: str, processor: Cpu) -> Finding:
    label = cpu.label(lacking)
    message = (
        f"{found.module} may run {label} instructions while it is loaded, which {_who(processor)} cannot execute; "
        "whether it does is decided only then."
    )
    return found._replace(severity="warning", message=message)


def run_when_called(evidence: Evidence) -> Iterable[Finding]:
    """A warning: the file loads, but what it exports needs what is not usable, and does not ask for it."""
    processor = evidence.target.cpu
    for code in evidence.code:
        needs = isa.unusable(code.exported.needs, processor) if processor and code.exported else []
        if needs and processor and not isa.unusable(code.at_load.needs, processor):
            label = isa.label(needs[0].needs)
            yield Finding(
                "cpu-feature-missing",
                "warning",
                code.module.name,
                f"{code.module.name} loads, but functions that it exports run {label} instructions, which "
                f"{_who(processor)} cannot execute.",
                evidence=(*_places(code, needs, _bits(evidence)), _brand(processor)),
                remedy=_remedy(label),
            )


def only_contained(evidence: Evidence) -> Iterable[Finding]:
    """A note: code that is not usable is there, and nothing that runs at load leads to it unasked."""
    processor = evidence.target.cpu
    held = {code.module.name: _held(code, processor) for code in evidence.code if processor}
    names = [name for name, facts in held.items() if facts]
    if not names or processor is None:
        return
    others = "another file" if len(names) == 2 else f"{len(names) - 1} other files"
    several = f" and {others} have" if len(names) > 1 else " has"
    yield Finding(
        "cpu-feature-missing",
        "note",
        names[0],
        f"{names[0]}{several} code that {_who(processor)} cannot execute; nothing was found that runs it at load "
        "without asking the processor first.",
        evidence=tuple(f"{name}: {fact}" for name in names for fact in held[name]),
        also=tuple(names[1:]),
    )


def asking(contents: Contents) -> str:
    """How many functions ask the processor what it has, in words."""
    count = contents.asking
    return f"{count:,} ask{'s' if count == 1 else ''} what the processor has" if count else "none asks what it has"


def _held(code: Code, processor: Cpu) -> list[str]:
    """What of a module is not usable, and what could not be told of it; empty if all is, or if it may run at load."""
    if isa.unusable(code.at_load.needs, processor):
        return []
    uses = [use for use in code.contents.uses if isa.lacking(use.needs, processor)] if code.contents else []
    if not uses or code.contents is None:
        return []
    uses.sort(key=lambda use: use.functions, reverse=True)
    counted = ", ".join(f"{isa.label(use.needs)} in {use.functions:,}" for use in uses[:_SHOWN])
    more = f" and {len(uses) - _SHOWN} more sets" if len(uses) > _SHOWN else ""
    facts = [f"of {code.contents.functions:,} functions, {counted}{more}; {asking(code.contents)}"]
    mixed = next((need for need in code.at_load.needs if need.mixed and isa.lacking(need.needs, processor)), None)
    if mixed is not None:
        facts.append(
            f"not proven: it runs the function at 0x{mixed.function:X}, which has {isa.label(mixed.needs)} beside "
            "older encodings, as code has that chooses by itself"
        )
    if not code.at_load.complete:
        facts.append("not proven: it runs more code at load than was followed")
    return facts


def _places(code: Code, needs: Sequence[Need], bits: int) -> Iterable[str]:
    """Where the first instruction is, who leads there, and where others are."""
    first, name = needs[0], code.module.name
    content = code.module.image.at(first.rva, _LONGEST) if code.module.image else b""
    found = isa.instruction(content, bits)
    if found is not None:
        shown = content[: found.length].hex(" ")
        yield f"instruction at {name}+0x{first.rva:X}: {shown} ({found.label}, {found.encoding} encoding)"
    if first.function != first.root:
        yield f"in the function at 0x{first.function:X}, to which the {first.by} at 0x{first.root:X} leads"
    else:
        yield f"in the {first.by} at 0x{first.root:X}"
    yield "no CPUID, XGETBV or IsProcessorFeaturePresent was found on the way there"
    if len(needs) > 1:
        others = ", ".join(f"{name}+0x{need.rva:X} (function 0x{need.function:X})" for need in needs[1 : 1 + _SHOWN])
        more = f" and {len(needs) - 1 - _SHOWN:,} more" if len(needs) > 1 + _SHOWN else ""
        yield f"next on the same way: {others}{more}"
    certain = [need for need in needs if need.certain]
    if certain and len(needs) > 1:
        counted = f"{len(certain):,} of these {len(needs):,} functions run" if len(certain) > 1 else "one of them runs"
        yield f"{counted} it whatever branches are taken, such as that at 0x{certain[0].function:X}"


def _finding(name: str, lacking: str, processor: Cpu, facts: tuple[str, ...], proof: Proof) -> Finding:
    label = cpu.label(lacking)
    told = (*facts, _brand(processor))
    if processor.feature(lacking).in_cpu:
        return Finding(
            "cpu-feature-disabled",
            "error",
            name,
            f"{name} runs {label} instructions while it is loaded; {_who(processor)} has them, but Windows does not "
            "let programs use them.",
            evidence=told,
            remedy=Remedy(
                f"Enable {label}: update Windows, undo `bcdedit /set xsavedisable`, or let the virtual machine "
                f"pass {label} on. Otherwise use a build of the package without {label}."
            ),
            proof=proof,
        )
    return Finding(
        "cpu-feature-missing",
        "error",
        name,
        f"{name} runs {label} instructions while it is loaded, and {_who(processor)} does not have {label}.",
        evidence=told,
        remedy=_remedy(label),
        proof=proof,
    )


def _remedy(label: str) -> Remedy:
    return Remedy(
        f"Use a build of the package for processors without {label}, or an older version that has one. "
        "No DLL that could be installed helps."
    )


def _who(processor: Cpu) -> str:
    if processor.name == cpu.LIVE:
        return "this processor"
    return f"a processor of {processor.name}" if processor.name in cpu.levels() else f"the processor {processor.name}"


def _brand(processor: Cpu) -> str:
    name = "this processor" if processor.name == cpu.LIVE else f"processor {processor.name}"
    return f"{name}: {processor.brand() or 'without a name'}, level {processor.level() or 'below x86-64-v1'}"


def _bits(evidence: Evidence) -> int:
    return 32 if evidence.target.architecture == "x86" else 64
