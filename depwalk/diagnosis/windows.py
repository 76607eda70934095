"""A Windows that is too old, or an edition that lacks a part."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from typing import TYPE_CHECKING, Any

from depwalk import tables
from depwalk.diagnosis.evidence import Finding, Remedy
from depwalk.target import windows
from depwalk.target.api_sets import is_api_set, is_named_as_one

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Edge, Module

_SHOWN = 5


def missing_system_dll(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`windows-too-old` by DLL: a later Windows has it, this one does not."""
    by_release: dict[str, list[Module]] = {}
    for module in missing:
        release = _first_release(module.name, evidence.target.architecture)
        if release is not None and tuple(release["version"]) > evidence.target.windows.version:
            by_release.setdefault(release["id"], []).append(module)
        elif release is not None and not is_api_set(module.name):
            yield _gone(evidence, module, release)
        elif release is None and not module.reason and is_named_as_one(module.name):
            yield _unknown_api_set(evidence, module)
    for identifier, modules in by_release.items():
        first, *rest = modules
        name, others = first.name, tuple(module.name for module in rest)
        what = f"{name} and {len(others)} more DLLs" if others else name
        facts = (*(("also missing: " + ", ".join(others),) if others else ()), *evidence.chain(first))
        yield _too_old(evidence, name, evidence.importer(first), what, _releases()[identifier], facts, others)


def _gone(evidence: Evidence, module: Module, release: Mapping[str, Any]) -> Finding:
    """`missing-windows-feature`: this Windows should have it; an emulated one may not, a damaged one neither."""
    name, importer = module.name, evidence.importer(module)
    emulator = evidence.target.windows.emulator
    remedy = Remedy(f"{emulator} does not have it: use a newer one, or a real Windows.")
    if emulator is None:
        remedy = Remedy("Let Windows repair its own files (as administrator), then restart.", "sfc /scannow")
    return Finding(
        "missing-windows-feature",
        "error",
        name,
        f"{name} is a part of Windows since {release['label']}, and this one does not have it; {importer} needs it.",
        needed_by=importer,
        evidence=(f"Windows: {evidence.target.windows.label}", *evidence.chain(module), *evidence.searched(module)),
        remedy=remedy,
    )


def _unknown_api_set(evidence: Evidence, module: Module) -> Finding:
    """Only Microsoft names DLLs so: one that no table here has came with a Windows newer than they are."""
    name, importer = module.name, evidence.importer(module)
    return Finding(
        "windows-too-old",
        "error",
        name,
        f"{importer} needs the API set {name}, which this Windows does not have; a newer one may.",
        needed_by=importer,
        evidence=(f"Windows: {evidence.target.windows.label}", *evidence.chain(module)),
        remedy=_update(importer),
        proof="inferred",
    )


def missing_feature(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`missing-windows-feature`: this edition of Windows leaves the DLL out, others have it."""
    lacks = dict(evidence.target.windows.lacks)
    for module in missing:
        edition = lacks.get(module.name.lower())
        if edition is None:
            continue
        name, importer = module.name, evidence.importer(module)
        row = tables.table("windows.toml")["edition"][edition]
        yield Finding(
            "missing-windows-feature",
            "error",
            name,
            f"{name} is a part of Windows that the {row['label']} does not have; {importer} needs it.",
            needed_by=importer,
            evidence=(f"assumed: {evidence.target.windows.label}", *evidence.chain(module)),
            remedy=Remedy(row["remedy"]),
        )


def missing_system_function(evidence: Evidence) -> Iterable[Finding]:
    """`windows-too-old` by function: a DLL of Windows lacks a function that later versions have."""
    for edge in evidence.graph.edges:
        importer, exporter = evidence.graph.modules[edge.importer], evidence.graph.modules[edge.imported]
        if exporter.status != "system" or edge.kind == "delay" or importer.delayed:
            continue
        if exporter.image is not None:
            yield from _not_exported(edge, importer, exporter, evidence)
        else:
            yield from _too_new(edge, importer, exporter, evidence)


def _not_exported(edge: Edge, importer: Module, exporter: Module, evidence: Evidence) -> Iterable[Finding]:
    if not edge.unresolved:
        return
    names = ", ".join(edge.unresolved[:_SHOWN]) + (", ..." if len(edge.unresolved) > _SHOWN else "")
    wine = evidence.target.windows.emulator is not None
    releases = [_function_release(edge.name, exporter.name, symbol) for symbol in edge.unresolved]
    known = [release for release in releases if release is not None]
    since = f", which came with {max(known, key=lambda row: row['version'])['label']}" if known else ""
    effect = " Wine loads it all the same and stops the program at the first call." if wine else ""
    yield Finding(
        "windows-too-old",
        "warning" if wine else "error",
        exporter.name,
        f"{exporter.name} of this Windows lacks {names}{since}; {importer.name} imports it.{effect}",
        needed_by=importer.name,
        evidence=(f"file: {exporter.path}", f"Windows: {evidence.target.windows.label}", *evidence.chain(exporter)),
        remedy=_update(importer.name),
    )


def _too_new(edge: Edge, importer: Module, exporter: Module, evidence: Evidence) -> Iterable[Finding]:
    """One finding per release, for an exporter that is only assumed: its functions are known from a table."""
    if importer.image is None or edge.source is None:
        return
    by_release: defaultdict[str, list[str]] = defaultdict(list)
    for symbol in importer.image.symbols(edge.source):
        release = _function_release(edge.name, exporter.name, str(symbol))
        if release and tuple(release["version"]) > evidence.target.windows.version:
            by_release[release["id"]].append(str(symbol))
    for release in windows.releases():
        symbols = by_release.get(release["id"])
        if symbols:
            what = f"{symbols[0]} in {exporter.name}" + (f" (and {len(symbols) - 1} more)" if len(symbols) > 1 else "")
            listed = "imports: " + ", ".join(symbols[:_SHOWN]) + (", ..." if len(symbols) > _SHOWN else "")
            yield _too_old(evidence, exporter.name, importer.name, what, release, (listed,))


def _too_old(
    evidence: Evidence,
    module: str,
    importer: str,
    what: str,
    release: Mapping[str, Any],
    facts: tuple[str, ...],
    also: tuple[str, ...] = (),
) -> Finding:
    return Finding(
        "windows-too-old",
        "error",
        module,
        f"{importer} needs {what}, which came with {release['label']}.",
        needed_by=importer,
        evidence=(f"Windows: {evidence.target.windows.label}", *facts),
        remedy=_update(importer),
        also=also,
    )


def _update(importer: str) -> Remedy:
    return Remedy(f"Use a newer Windows, or the last version of the package of {importer} that supports this one.")


@cache
def _functions() -> Mapping[tuple[str, str], str]:
    """(lower-case DLL, function) -> id of the first release that has it."""
    rows = (line.split("\t") for line in tables.lines("functions.tsv"))
    return {(dll.lower(), function): release for dll, function, release in rows}


@cache
def _releases() -> Mapping[str, Mapping[str, Any]]:
    return {row["id"]: row for row in windows.releases()}


def _function_release(written: str, exporter: str, symbol: str) -> Mapping[str, Any] | None:
    """The release that brought a function; documentation files kernelbase's functions under kernel32."""
    names = [written.lower(), exporter.lower()] + (["kernel32.dll"] if exporter.lower() == "kernelbase.dll" else [])
    for name in names:
        release = _functions().get((name, symbol))
        if release:
            return _releases()[release]
    return None


def _first_release(name: str, architecture: str) -> Mapping[str, Any] | None:
    """The first Windows whose System32 has a DLL, or whose map has an API set; None if none is known to."""
    lowered = name.lower()
    since = tables.table("windows.toml")["since"].get(lowered)
    if since:
        return _releases()[since]
    suffix = "-x86" if architecture == "x86" else ""
    for profile in ("7", "8", "8.1", "10", "11"):
        wanted = profile + (suffix if profile != "11" else "")
        found = windows.named(wanted)
        if is_api_set(name):
            has = (
                bool(found.api_sets.host(name, "")) or found.system_directories(architecture)[0].find(name) is not None
            )
        else:
            has = found.system_directories(architecture)[0].find(name) is not None
        if has:
            return next(row for row in windows.releases() if tuple(row["version"]) >= _start_of(profile))
    return None


def _start_of(profile: str) -> tuple[int, int, int]:
    starts = {"7": (6, 1, 0), "8": (6, 2, 0), "8.1": (6, 3, 0), "10": (10, 0, 0), "11": (10, 0, 22000)}
    return starts[profile]
