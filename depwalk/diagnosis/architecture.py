"""A file for another processor architecture."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk.diagnosis.evidence import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depwalk.diagnosis.evidence import Evidence

_BITS = {"x86": "32-bit x86", "x64": "64-bit x64", "arm64": "Arm64", "arm64x": "Arm64", "arm64ec": "Arm64EC"}


def wrong_architecture(evidence: Evidence) -> Iterable[Finding]:
    """`wrong-architecture`: the file itself, or the only copy of a DLL, is for another processor architecture."""
    target = evidence.target
    process = _BITS.get(target.architecture, target.architecture)
    loader = target.python.label if target.python else f"a {process} process"
    roots = [evidence.graph.root] if evidence.graph.root.status == "wrong-architecture" else []
    for module in [*roots, *evidence.problems("wrong-architecture")]:
        own = _BITS.get(module.image.architecture, module.image.architecture) if module.image else "of another kind"
        importer = evidence.importer(module)
        subject = "" if module.id == 0 else f", and it is the only {module.name} that is found"
        yield Finding(
            "wrong-architecture",
            "error",
            module.name,
            f"{module.name} is {own}; the process that would load it is {process}{subject}.",
            needed_by=importer,
            evidence=(
                *((f"file: {module.path}",) if module.path else ()),
                f"loaded by: {loader}",
                *evidence.chain(module),
            ),
            remedy=Remedy(
                f"Install the {target.architecture} build of {'the package' if module.id == 0 else module.name}, "
                f"or use a {own} Python."
            ),
        )
