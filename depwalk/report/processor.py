"""What a processor offers, for a person and for a program: pure functions of a Cpu."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from depwalk import __version__, cpu
from depwalk.report.lines import Line, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator

    from depwalk.cpu import Cpu

SCHEMA = "depwalk-cpu/1"
NOT_X86 = "This is not an x86 processor: it has none of the instruction sets that x64 and x86 DLLs are built for."

_NO_SET = ("osxsave", "hypervisor")  # bits that are no instruction set
_HEADINGS = ("usable", "disabled", "missing")
_TITLES = {"usable": "Usable", "disabled": "In the processor, and not enabled by the system", "missing": "Not there"}
_STYLES = {"usable": "good", "disabled": "warn", "missing": ""}
_COLUMN = 11  # of the names of the groups


def render(processor: Cpu, width: int) -> list[Line]:
    """Who it is, its level and why no higher one, then every feature."""
    lines = [*wrap(_name(processor), width, style="head")]
    for fact in _facts(processor):
        lines += wrap(fact, width, "  ", "    ")
    listed = _by_heading(processor)
    for heading in _HEADINGS:
        if listed[heading]:
            lines += [Line(""), Line(_TITLES[heading], _STYLES[heading]), *_groups(listed[heading], width)]
    return lines


def not_x86(width: int) -> list[Line]:
    """What is said on a processor of another kind, such as Arm64: what emulation offers."""
    lines = [*wrap(NOT_X86, width)]
    for offered in cpu.emulations():
        fact = f"{offered.process} processes are emulated by Windows {' and '.join(offered.windows)} for Arm"
        if offered.may_have:
            fact += f"; they may have {_labels(offered.may_have)}"
        if offered.has_not:
            fact += f"; they do not have {_labels(offered.has_not, ' or ')}"
        lines += wrap(f"{fact}.", width, "  - ", "    ")
    told = "In an x64 or x86 Python `python -m depwalk cpu` shows what this Windows really offers to such a process."
    return [*lines, *wrap(told, width)]


def as_dict(processor: Cpu | None) -> dict[str, Any]:
    """The processor as plain values; `cpu` is null where it is no x86."""
    return {
        "schema": SCHEMA,
        "tool": {"name": "depwalk", "version": __version__},
        "cpu": None if processor is None else _cpu(processor),
        "emulation": [offered._asdict() for offered in cpu.emulations()] if processor is None else [],
    }


def _cpu(processor: Cpu) -> dict[str, Any]:
    following = _next_level(processor)
    return {
        "name": processor.name,
        "brand": processor.brand(),
        "vendor": processor.vendor,
        "family": processor.family,
        "model": processor.model,
        "stepping": processor.stepping,
        "hypervisor": processor.hypervisor,
        "level": processor.level(),
        "why_not": {following: [lack.name for lack in processor.why_not(following)]} if following else {},
        "xcr0": processor.xcr0,
        "xcr0_assumed": processor.xcr0_assumed,
        "avx10": processor.avx10,
        "features": {
            name: {"in_cpu": feature.in_cpu, "enabled": feature.enabled, "usable": feature.usable}
            for name, feature in ((name, processor.feature(name)) for name in cpu.names() if name not in _NO_SET)
        },
    }


def _name(processor: Cpu) -> str:
    if processor.name in cpu.levels():
        return f"What {processor.name} asks for, and nothing more"
    return processor.brand() or f"A processor without a name ({processor.name})"


def _facts(processor: Cpu) -> Iterator[str]:
    if processor.vendor:
        yield f"{processor.vendor}, family {processor.family}, model {processor.model}, stepping {processor.stepping}"
    if processor.hypervisor is not None:
        yield "in a virtual machine" + (f" ({processor.hypervisor})" if processor.hypervisor else "")
    if processor.avx10 is not None:
        yield f"AVX10 version {processor.avx10}"
    following = _next_level(processor)
    level = processor.level()
    here = f"level {level}, " if level else ""
    yield here + (f"not {following}: {_why_not(processor, following)}" if following else "the highest")
    if processor.xcr0_assumed:
        yield "assumed: the system enabled all register states that the processor has (XCR0 is not in the dump)"
    elif processor.xcr0 is None and processor.feature("xsave").in_cpu:
        told = "not known" if processor.feature("osxsave").in_cpu else "switched off by the system"
        yield f"register states beyond SSE: {told}, so nothing that needs them counts as enabled"


def _next_level(processor: Cpu) -> str | None:
    return next((level for level in cpu.levels() if processor.why_not(level)), None)


def _why_not(processor: Cpu, level: str) -> str:
    lacks = processor.why_not(level)
    missing = [lack.name for lack in lacks if not lack.in_cpu]
    disabled = [lack.name for lack in lacks if lack.in_cpu]
    reasons = [f"it has no {_labels(missing, ' or ')}"] if missing else []
    reasons += [f"the system has not enabled {_labels(disabled)}"] if disabled else []
    return "; ".join(reasons)


def _labels(names: list[str] | tuple[str, ...], last: str = " and ") -> str:
    labels = [cpu.label(name) for name in names]
    return last.join([", ".join(labels[:-1]), labels[-1]]) if len(labels) > 1 else labels[0]


def _by_heading(processor: Cpu) -> dict[str, list[str]]:
    listed: dict[str, list[str]] = {heading: [] for heading in _HEADINGS}
    for name in cpu.names():
        feature = processor.feature(name)
        if name not in _NO_SET:
            listed["usable" if feature.usable else "disabled" if feature.in_cpu else "missing"].append(name)
    return listed


def _groups(names: list[str], width: int) -> Iterator[Line]:
    """One paragraph for each level and family: its name in a column of its own."""
    groups = [*cpu.levels(), "AVX", "AVX-512", "AMX", ""]
    for group in groups:
        labels = [_in_column(cpu.label(name), group) for name in names if cpu.group(name) == group]
        if labels:
            first = f"  {group or 'other':{_COLUMN}}"
            for line in wrap(", ".join(labels), width, first, " " * len(first)):
                yield Line(line.text.replace("\N{NO-BREAK SPACE}", " "), line.style)


def _in_column(label: str, group: str) -> str:
    """A label that is not broken at the end of a line, without what the name of the group says already."""
    return label.removeprefix(f"{group} ").replace(" ", "\N{NO-BREAK SPACE}")
