"""Damaged and unreadable files, and what an export table lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk.diagnosis import conflicts
from depwalk.diagnosis.evidence import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Edge, Module

_SHOWN = 5  # names listed before "and N more"


def corrupt_file(evidence: Evidence) -> Iterable[Finding]:
    """`corrupt-file`: a file that is cut off or contradicts itself; the loader answers 193."""
    root = evidence.graph.root
    for module in [root, *evidence.problems("corrupt")]:
        defects = [defect for defect in module.image.defects if defect.damage] if module.image else []
        fatal = module.status == "corrupt"
        if not fatal and not defects:
            continue
        facts = [f"{defect.message} (file offset {defect.offset:,})" for defect in defects] or [module.reason]
        size = [f"the file has {module.image.size:,} bytes"] if module.image else []
        effect = "the loader refuses it" if fatal else "it may load, and what depends on that part will not work"
        yield Finding(
            "corrupt-file",
            "error" if fatal else "warning",
            module.name,
            f"{module.name} is damaged: {defects[0].message if defects else module.reason}; {effect}.",
            needed_by=evidence.importer(module),
            evidence=(*((f"file: {module.path}",) if module.path else ()), *facts, *size, *evidence.chain(module)),
            remedy=Remedy(
                "Reinstall the package it belongs to without the cache, so that the file is fetched again.",
                command=f"python -m pip install --force-reinstall --no-cache-dir {evidence.package}",
            ),
        )


def access_denied(evidence: Evidence) -> Iterable[Finding]:
    """`access-denied`: the file that the search chooses cannot be opened, and the search does not go on."""
    for module in evidence.problems("blocked"):
        yield Finding(
            "access-denied",
            "error",
            module.name,
            f"{module.name} cannot be read: {module.reason}.",
            needed_by=evidence.importer(module),
            evidence=(f"file: {module.path}", *evidence.chain(module)),
            remedy=Remedy("Give the account that runs Python the right to read and execute this file."),
        )


def missing_export(evidence: Evidence) -> Iterable[Finding]:
    """`missing-export`: the DLL that is found lacks a function; the loader answers 127, 182 or 193."""
    for edge in evidence.graph.edges:
        importer, exporter = evidence.graph.modules[edge.importer], evidence.graph.modules[edge.imported]
        if not edge.unresolved or edge.kind == "delay" or importer.delayed or exporter.status == "system":
            continue
        yield _missing_export(edge, importer, exporter, evidence)


def _missing_export(edge: Edge, importer: Module, exporter: Module, evidence: Evidence) -> Finding:
    conflict = conflicts.better_copy(edge, exporter, evidence)
    if conflict is not None:
        return conflict
    total = len(edge.unresolved)
    first = edge.unresolved[0]
    more = f" and {total - 1} more" if total > 1 else ""
    what = "has no export table" if exporter.image and not exporter.image.has_exports else f"lacks {first}{more}"
    version = exporter.image.version if exporter.image else None
    facts = [f"file: {exporter.path}"]
    if version:
        facts.append("file version: " + ".".join(map(str, version)))
    facts.append(
        "not exported: " + ", ".join(edge.unresolved[:_SHOWN]) + (f", ... ({total})" if total > _SHOWN else "")
    )
    if edge.kind == "forward":
        facts.append(f"{importer.name} forwards these functions there")
    wine = evidence.target.windows.emulator is not None
    effect = " Wine loads it all the same and stops the program at the first call." if wine else ""
    return Finding(
        "missing-export",
        "warning" if wine else "error",
        exporter.name,
        f"{exporter.name} {what}, which {importer.name} imports: the two do not belong together.{effect}",
        needed_by=importer.name,
        evidence=(*facts, *evidence.chain(exporter)),
        remedy=Remedy(f"Install versions of {importer.name} and {exporter.name} that were made for each other."),
    )
