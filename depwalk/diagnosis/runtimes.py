"""Microsoft's C and C++ runtimes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk import runtimes
from depwalk.diagnosis.evidence import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.runtimes import Runtime


def missing_msvc_runtime(evidence: Evidence) -> Iterable[Finding]:
    """`missing-msvc-runtime`: a DLL that a Microsoft redistributable supplies is not there."""
    architecture = evidence.target.architecture
    for module in evidence.problems("missing"):
        supplier = runtimes.supplier(module.name, architecture)
        if supplier is None:
            continue
        name, importer = evidence.written_name(module), evidence.importer(module)
        yield Finding(
            "missing-msvc-runtime",
            "error",
            name,
            f"{name}, a part of {supplier.short}, is not installed; {importer} needs it.",
            needed_by=importer,
            evidence=(*evidence.chain(module), *_facts(supplier, evidence), *evidence.searched(module)),
            remedy=install(supplier),
        )


def install(supplier: Runtime) -> Remedy:
    """The one remedy for a missing runtime: its own installer."""
    return Remedy(f"Install {supplier.name}.", command=supplier.install, url=supplier.url)


def _facts(supplier: Runtime, evidence: Evidence) -> Iterable[str]:
    if supplier.since:
        yield f"packages before {supplier.since} lack this DLL: an older one, which may be installed, is not enough"
    if evidence.target.architecture == "x86" and evidence.target.windows.architecture != "x86":
        yield "the process is 32-bit: it needs the x86 package, also on a 64-bit Windows"
