"""Side-by-side assemblies that nobody provides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk import runtimes
from depwalk.diagnosis.evidence import Finding, Remedy
from depwalk.diagnosis.runtimes import install

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depwalk.diagnosis.evidence import Evidence


def side_by_side(evidence: Evidence) -> Iterable[Finding]:
    """`side-by-side`: a manifest asks for an assembly that is not installed: 14001 (Wine ignores it)."""
    wine = evidence.target.windows.emulator is not None
    for module in evidence.graph.modules:
        for assembly in module.missing_assemblies:
            supplier = runtimes.assembly_supplier(assembly, evidence.target.architecture)
            yield Finding(
                "side-by-side",
                "warning" if wine or module.delayed else "error",
                assembly,
                f"The manifest of {module.name} asks for the side-by-side assembly {assembly}, which is not installed.",
                needed_by=module.name,
                evidence=("a DLL of the same name in a searched directory does not count", *evidence.chain(module)),
                remedy=install(supplier) if supplier else Remedy(f"Install what provides the assembly {assembly}."),
            )
