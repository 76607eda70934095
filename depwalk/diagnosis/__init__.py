"""Diagnosis: from the evidence to findings in order, and to one verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from depwalk.diagnosis import (
    architecture,
    assemblies,
    blocked,
    conflicts,
    environments,
    files,
    installations,
    loads,
    missing,
    old_runtimes,
    packages,
    processor,
    pythons,
    runtimes,
    search_path,
    suppliers,
    wheels,
    windows,
)
from depwalk.diagnosis.evidence import Evidence
from depwalk.finding import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Basis", "Evidence", "Finding", "Remedy", "Verdict", "diagnose", "is_explained", "verdict"]

Verdict = Literal["loads", "fails", "unknown"]
Basis = Literal["loader", "static"]

# Why a name resolves to nothing: the first that claims a module is its cause.
_CAUSES_OF_MISSING = (
    pythons.wrong_python,
    installations.absent_file,
    missing.in_environment,
    pythons.missing_python_dll,
    windows.missing_feature,
    runtimes.debug_runtime,
    runtimes.missing_msvc_runtime,
    environments.conda_lacks,
    wheels.built_here,
    search_path.dead_entry,
    missing.not_searched,
    installations.taken_out,
    runtimes.unsupplied,
    suppliers.missing_gpu_runtime,
    windows.missing_system_dll,
    suppliers.missing_of_family,
    suppliers.not_in_its_package,
    missing.missing_dll,
)
_CAUSES = (
    files.corrupt_file,
    blocked.access_denied,
    architecture.wrong_architecture,
    assemblies.side_by_side,
    old_runtimes.too_old,
    old_runtimes.older_than_windows,
    files.missing_export,
    pythons.older_python,
    conflicts.older_copy,
    conflicts.openmp_twice,
    suppliers.ended_without,
    windows.missing_system_function,
    windows.program_too_new,
    windows.no_search_flags,
    windows.python_too_new,
    missing.delay_load_missing,
    search_path.locked_drive,
    search_path.invalid_path,
    search_path.refused_directory,
    search_path.path_too_long,
    search_path.unusable_entries,
    packages.only_by_import,
    suppliers.absent_at_run_time,
    processor.run_at_load,
    processor.run_when_called,
    processor.only_contained,
)
_SEVERITIES = {"error": 0, "warning": 1, "note": 2}


def diagnose(evidence: Evidence) -> tuple[Finding, ...]:
    """Every cause the evidence shows, errors first; among equals the one nearest to the file."""
    found = [finding for cause in _CAUSES for finding in cause(evidence)]
    folded = {name.lower() for finding in found for name in finding.also}
    unexplained = [module for module in evidence.problems("missing") if module.name.lower() not in folded]
    for cause in _CAUSES_OF_MISSING:
        new = list(cause(evidence, unexplained))
        explained = {name.lower() for finding in new for name in (finding.module, *finding.also)}
        unexplained = [module for module in unexplained if module.name.lower() not in explained]
        found += new
        if not unexplained:  # the first cause is not about missing modules alone
            break
    found = [*windows.folded(evidence, found), *_incomplete(evidence)]
    reconciled = installations.in_place_of_consequences(evidence, loads.reconcile(evidence, found))
    reconciled = environments.mixed_environment(evidence, reconciled)
    reconciled += packages.of_the_program(evidence, [finding for finding in reconciled if finding.severity == "error"])
    if len(reconciled) < 2:
        return tuple(reconciled)
    depths: dict[str, int] = {}
    for module in reversed(evidence.graph.modules):
        depths[module.name.lower()] = module.depth
    return tuple(
        sorted(reconciled, key=lambda finding: (_SEVERITIES[finding.severity], depths.get(finding.module.lower(), 0)))
    )


def is_explained(evidence: Evidence) -> bool:
    """Whether a failed load needs no closer look: the files, or what was seen of it, tell the cause."""
    if evidence.load is None or evidence.load.loaded:
        return True
    if any(finding.code in processor.CODES for finding in diagnose(evidence)):
        return True
    static = diagnose(replace(evidence, load=None, imported=None))
    in_files = any(finding.severity == "error" for finding in static)
    return in_files and (evidence.load.ending_unknown or evidence.load.code in loads.BEFORE_CODE_RUNS)


def verdict(evidence: Evidence, findings: Iterable[Finding]) -> tuple[Verdict, Basis]:
    """Whether the file loads, and who says so. What Python refuses after a successful load fails all the same."""
    errors = [finding for finding in findings if finding.severity == "error"]
    if evidence.imported is not None:
        failed: Verdict = "fails" if errors else "unknown"
        return ("loads" if evidence.imported.ended_well else failed), "loader"
    if evidence.load is not None:
        if not evidence.load.loaded:
            return "fails", "loader"
        refused = any(finding.code in loads.AFTER_LOADING for finding in errors)
        return ("fails", "static") if refused else ("loads", "loader")
    if errors:
        return "fails", "static"
    unsure = not evidence.graph.complete or bool(evidence.problems("api-set")) or evidence.loads_elsewhere
    return ("unknown" if unsure or processor.is_undecided(evidence) else "loads"), "static"


def _incomplete(evidence: Evidence) -> Iterable[Finding]:
    """`analysis-incomplete`: what could not be judged."""
    for module in evidence.problems("api-set"):
        yield Finding(
            "analysis-incomplete",
            "warning",
            module.name,
            f"{evidence.importer(module)} needs {module.name}, and it is {module.reason}.",
            needed_by=evidence.importer(module),
            evidence=evidence.chain(module),
            remedy=Remedy("Run depwalk on the Windows in question, which knows."),
        )
    if not evidence.graph.complete:
        name = evidence.graph.root.name
        yield Finding("analysis-incomplete", "warning", name, "The tree has more modules than depwalk follows.")
    root = evidence.graph.root
    if evidence.loads_elsewhere:
        message = (
            f"{root.name} loads in a fresh process: what this one has loaded, added or changed before prevents it."
        )
        yield Finding("analysis-incomplete", "warning", root.name, message, proof="loader")
    if evidence.not_asked:
        message = f"The loader could not be asked ({evidence.not_asked}): this is a prediction."
        yield Finding("analysis-incomplete", "note", root.name, message)
    if root.image is not None and not root.image.resolves_imports():
        yield Finding(
            "analysis-incomplete",
            "note",
            root.name,
            f"{root.name} is not marked as a DLL: the loader maps it, but resolves no imports and runs no code.",
        )
