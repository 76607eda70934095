"""A file for another processor architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk import wheel
from depwalk.diagnosis import commands, wheels
from depwalk.finding import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.wheel import Distribution

_BITS = {"x86": "32-bit x86", "x64": "64-bit x64", "arm64": "Arm64", "arm64x": "Arm64", "arm64ec": "Arm64EC"}


def wrong_architecture(evidence: Evidence) -> Iterable[Finding]:
    """`wrong-architecture`: the file itself, or the only copy of a DLL, is for another processor architecture."""
    roots = [evidence.graph.root] if evidence.graph.root.status == "wrong-architecture" else []
    for module in [*roots, *evidence.problems("wrong-architecture")]:
        own = _kind(module)
        owner = wheel.distribution_of(module.path) if module.path else None
        if owner and evidence.built_for and evidence.target.architecture in owner.architectures:
            yield wheels.packed_wrongly(module, owner, own, evidence)
        else:
            yield _wrong(module, own, owner, evidence)


def _kind(module: Module) -> str:
    """For what processor a file is."""
    found = module.image.architecture if module.image else ""
    return _BITS.get(found, f"for another kind of processor ({found})" if found else "for another kind of processor")


def _wrong(module: Module, own: str, owner: Distribution | None, evidence: Evidence) -> Finding:
    target = evidence.target
    process = _BITS.get(target.architecture, target.architecture)
    known = own in _BITS.values()
    subject = "" if module.id == 0 else f", and it is the only {module.name} that is found"
    what = owner.name if owner else "the package" if module.id == 0 else module.name
    return Finding(
        "wrong-architecture",
        "error",
        module.name,
        f"{module.name} is {own}; the process that would load it is {process}{subject}.",
        needed_by=evidence.importer(module),
        evidence=(
            *((f"file: {module.path}",) if module.path else ()),
            *wheels.wheel_facts(owner),
            *_added(module, evidence),
            f"loaded by: {target.python.label if target.python else f'a {process} process'}",
            *_emulated(evidence),
            *evidence.chain(module),
        ),
        remedy=Remedy(
            f"Install the {target.architecture} build of {what}" + (f", or use a Python for {own}." if known else "."),
            _command(owner, evidence) if owner and target.python else "",
        ),
    )


def _added(module: Module, evidence: Evidence) -> Iterator[str]:
    for found in evidence.installations:
        if module.path in found.extra:
            yield f"it lies among the files of {found.distribution}, whose RECORD does not list it: somebody added it"


def _emulated(evidence: Evidence) -> Iterator[str]:
    target = evidence.target
    if target.windows.architecture == "arm64" and target.architecture != "arm64":
        yield f"this Windows is for Arm64 and emulates {target.architecture}: the process counts, not the machine"


def _command(owner: Distribution, evidence: Evidence) -> str:
    return f"{commands.pip(evidence)} install --force-reinstall --no-cache-dir --only-binary :all: {owner.name}"
