"""Microsoft's C and C++ runtimes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk import runtimes
from depwalk.diagnosis.evidence import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.runtimes import Runtime


def missing_msvc_runtime(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`missing-msvc-runtime`: a DLL that a Microsoft redistributable supplies is not there."""
    by_package: dict[str, list[tuple[Module, Runtime]]] = {}
    for module in missing:
        supplier = runtimes.supplier(module.name, evidence.target.architecture)
        if supplier is not None:
            by_package.setdefault(supplier.id, []).append((module, supplier))
    for found in by_package.values():
        yield _missing(evidence, found)


def _missing(evidence: Evidence, found: list[tuple[Module, Runtime]]) -> Finding:
    """One finding for all DLLs of one package: there is one remedy."""
    module, supplier = found[0]
    name, importer = module.name, evidence.importer(module)
    others = tuple(other.name for other, _ in found[1:])
    message = f"{name}, a part of {supplier.short}, is not installed; {importer} needs it."
    if others:
        message = f"{name} and {len(others)} more parts of {supplier.short} are not installed; {importer} needs them."
    return Finding(
        "missing-msvc-runtime",
        "error",
        name,
        message,
        needed_by=importer,
        evidence=(
            *(("also missing: " + ", ".join(others),) if others else ()),
            *evidence.chain(module),
            *_facts([supplier for _, supplier in found], evidence),
            *evidence.searched(module),
        ),
        remedy=install(supplier),
        also=others,
    )


def debug_runtime(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`debug-runtime`: a DLL that only Visual Studio installs, and that no redistributable contains."""
    for module in missing:
        if runtimes.is_for_developers(module.name):
            name, importer = module.name, evidence.importer(module)
            yield Finding(
                "debug-runtime",
                "error",
                name,
                f"{name} is only for developers, and no redistributable has it; {importer} was built against it.",
                needed_by=importer,
                evidence=evidence.chain(module),
                remedy=Remedy(
                    f"Use another version of the package that {importer} belongs to, and report this to its authors: "
                    "it must be built in release mode, against a runtime that may be passed on."
                ),
            )


def install(supplier: Runtime) -> Remedy:
    """The one remedy for a missing runtime: its own installer."""
    return Remedy(f"Install {supplier.name}.", command=supplier.install, url=supplier.url)


def _facts(suppliers: Iterable[Runtime], evidence: Evidence) -> Iterable[str]:
    since = max((supplier.since for supplier in suppliers), default="")
    if since:
        yield f"packages before {since} do not have all of this: an older one, which may be installed, is not enough"
    if evidence.target.architecture == "x86" and evidence.target.windows.architecture != "x86":
        yield "the process is 32-bit: it needs the x86 package, also on a 64-bit Windows"
