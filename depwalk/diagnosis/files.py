"""Damaged files, and what an export table lacks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from depwalk.diagnosis import commands, conflicts, old_runtimes
from depwalk.finding import Finding, Remedy
from depwalk.target.python import build_of_dll

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

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
        reason = module.reason.removeprefix(f"{module.path}: ")
        facts = [f"{defect.message} (file offset {defect.offset:,})" for defect in defects] or [reason]
        size = [f"the file has {module.image.size:,} bytes"] if module.image else []
        effect = "the loader refuses it" if fatal else "it may load, and what depends on that part will not work"
        yield Finding(
            "corrupt-file",
            "error" if fatal else "warning",
            module.name,
            f"{module.name} is damaged: {defects[0].message if defects else reason}; {effect}.",
            needed_by=evidence.importer(module),
            evidence=(
                *((f"file: {module.path}",) if module.path else ()),
                *facts,
                *size,
                *_recorded(module, evidence),
                *evidence.chain(module),
            ),
            remedy=_fetch_again(module, evidence),
        )


def _recorded(module: Module, evidence: Evidence) -> Iterator[str]:
    """What the file should be, by the RECORD of its distribution."""
    for found in evidence.installations:
        for path, difference in found.changed:
            if module.path and os.path.normcase(path) == os.path.normcase(module.path):
                yield f"it is not as {found.distribution} installed it: {difference}"


def _fetch_again(module: Module, evidence: Evidence) -> Remedy:
    owner = conflicts.whose(module.path, evidence) or evidence.distribution
    text = "Reinstall the package it belongs to without the cache, so that the file is fetched again."
    return Remedy(text, commands.reinstall(evidence, owner) if owner else "")


def missing_export(evidence: Evidence) -> Iterable[Finding]:
    """`missing-export`: the DLL that is found lacks a function; the loader answers 127, 182 or 193.

    One finding for each such DLL. Windows' own and Python's are told of by the modules of their families.
    """
    lacking: dict[int, list[Edge]] = {}
    for edge in evidence.graph.unresolved:
        importer, exporter = evidence.graph.modules[edge.importer], evidence.graph.modules[edge.imported]
        skipped = edge.kind == "delay" or importer.delayed or exporter.status == "system"
        if not skipped and build_of_dll(exporter.name) is None:
            lacking.setdefault(exporter.id, []).append(edge)
    for identifier, edges in lacking.items():
        exporter = evidence.graph.modules[identifier]
        yield (
            old_runtimes.lacks_symbols(edges, exporter, evidence)
            or conflicts.better_copy(edges, exporter, evidence)
            or _missing_export(edges, exporter, evidence)
        )


def _missing_export(edges: Sequence[Edge], exporter: Module, evidence: Evidence) -> Finding:
    edge = edges[0]
    importer = evidence.graph.modules[edge.importer]
    total = len(edge.unresolved)
    more = f" and {total - 1} more" if total > 1 else ""
    lacks = f"lacks {conflicts.named(edge.unresolved[0])}{more}, which {importer.name} imports"
    if exporter.image and not exporter.image.has_exports:
        lacks = f"offers no functions (it has no export table), and {importer.name} imports some"
    listed = ", ".join(edge.unresolved[:_SHOWN]) + (f", ... ({total})" if total > _SHOWN else "")
    others = [evidence.graph.modules[other.importer].name for other in edges[1:]]
    wine = evidence.target.windows.emulator is not None
    effect = " Wine loads it all the same and stops the program at the first call." if wine else ""
    return Finding(
        "missing-export",
        "warning" if wine else "error",
        exporter.name,
        f"{exporter.name} {lacks}: the two do not belong together.{effect}",
        needed_by=importer.name,
        evidence=(
            *_file(exporter, evidence),
            *conflicts.foreign_facts(exporter, evidence),
            *_imported_by(importer, evidence),
            f"not exported: {listed}",
            *conflicts.by_number(edges),
            *((f"{importer.name} forwards these functions there",) if edge.kind == "forward" else ()),
            *((f"functions of it are also missing to: {', '.join(dict.fromkeys(others))}",) if others else ()),
            *conflicts.copy_facts(conflicts.copies(exporter, importer, evidence), edges, evidence),
            *evidence.chain(exporter),
        ),
        remedy=_that_fit(importer, exporter, evidence),
    )


def _file(exporter: Module, evidence: Evidence) -> Iterator[str]:
    before = ", which the process has loaded before" if conflicts.is_loaded_before(exporter) else ""
    yield f"file: {exporter.path}{conflicts.of_whom(exporter.path, evidence)}{before}"
    if exporter.image and exporter.image.version:
        yield "file version: " + ".".join(map(str, exporter.image.version))


def _imported_by(importer: Module, evidence: Evidence) -> Iterator[str]:
    found = conflicts.whose(importer.path, evidence)
    if found is not None:
        yield f"imported by: {importer.path} of {found}"


def _that_fit(importer: Module, exporter: Module, evidence: Evidence) -> Remedy:
    """Two packages are brought to versions that fit; the files of one are brought together again."""
    if conflicts.is_foreign(exporter, evidence):
        return Remedy(
            f"Update or uninstall the program that put this file into System32{conflicts.owner(exporter)}. One that "
            f"fits has to come with the package of {importer.name}."
        )
    mine, theirs = conflicts.whose(importer.path, evidence), conflicts.whose(exporter.path, evidence)
    if mine is None or theirs is None:
        return Remedy(f"Install versions of {importer.name} and {exporter.name} that were made for each other.")
    if mine == theirs:
        text = f"Reinstall {mine.name}, whose files do not fit each other. If that does not help, use another version."
        return Remedy(text, commands.reinstall(evidence, mine))
    names = f"{mine.name} and {theirs.name}" if mine.name != theirs.name else f"{mine} and {theirs}"
    text = f"Install versions of {names} that were made for each other."
    return Remedy(text, conflicts.update([mine, theirs], evidence))
