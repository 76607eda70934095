"""Microsoft's runtimes that are found, and older than the code that uses them can work with."""

from __future__ import annotations

import ntpath
import os
from typing import TYPE_CHECKING, NamedTuple

from depwalk import runtimes, tables
from depwalk.diagnosis import conflicts
from depwalk.diagnosis import runtimes as missing
from depwalk.finding import Finding, Remedy
from depwalk.host import events
from depwalk.target import environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Edge, Module
    from depwalk.image import Image
    from depwalk.loader import LoadTrace

_ASSUMED = "--with-runtime"  # source of the rule that finds what the option assumes
_CRASHES = (0xC0000005, 0xC0000409)
_SHOWN = 5  # names of functions
_MODULE, _CODE = 3, 6  # fields of an event of Application Error


# ---- mutexes -----------------------------------------------------------------------------------------------------


class _Pair(NamedTuple):
    """A module whose mutexes an msvcp140.dll does not understand."""

    importer: Module
    taken: Module
    version: tuple[int, ...]


def too_old(evidence: Evidence) -> Iterable[Finding]:
    """`msvc-runtime-too-old`, as a warning: code of a newer compiler gets an msvcp140.dll without its mutexes."""
    told = set()
    for pair in _pairs(evidence):
        if pair.taken.id not in told:
            told.add(pair.taken.id)
            yield _too_old(evidence, pair)


def in_the_load(evidence: Evidence, load: LoadTrace) -> Iterator[Finding]:
    """The same as the cause of a load that ended as such a crash ends it."""
    end = load.code if load.code is not None else load.exit_code
    if end not in tables.table("runtimes.toml")["mutex"]["ends_with"]:
        return
    crashes = list(_crashes(evidence, load))
    for pair in _pairs(evidence):
        name = pair.taken.name.lower()
        if any(where != name for where, _ in crashes) or not _is_at_fault(pair, load):
            continue
        code = f"0x{end:08X}" if end in _CRASHES else str(end)
        facts = (f"the load ended with code {code}, as such a crash ends it", *(fact for _, fact in crashes))
        yield _as_error(_too_old(evidence, pair), facts, seen=bool(crashes))
        return


def in_this_process(evidence: Evidence, findings: Sequence[Finding]) -> list[Finding]:
    """The same as the cause of a load that only fails where an old copy was loaded before."""
    if not evidence.loads_elsewhere or any(finding.severity == "error" for finding in findings):
        return list(findings)
    for pair in _pairs(evidence):
        if conflicts.is_loaded_before(pair.taken):
            fact = "in a fresh process, without this copy, the file loads"
            own = _too_old(evidence, pair)
            return [_as_error(own, (fact,), seen=False), *(one for one in findings if one != own)]
    return list(findings)


def _pairs(evidence: Evidence) -> Iterator[_Pair]:
    row = tables.table("runtimes.toml")["mutex"]
    modules = evidence.graph.modules
    for taken in (module for module in modules if module.name.lower() == row["dll"]):
        version = _version(taken, evidence)
        if version is None or list(version[:2]) >= row["needs"]:
            continue
        for edge in evidence.graph.needed_by(taken):
            importer = modules[edge.importer]
            if edge.kind != "import" or importer.delayed or importer.image is None:
                continue
            if _has_new_mutexes(importer.image, edge):
                yield _Pair(importer, taken, version)


def _has_new_mutexes(importer: Image, edge: Edge) -> bool:
    """Whether it locks mutexes that the compiler set up: other linkers than Microsoft's write smaller versions."""
    row = tables.table("runtimes.toml")["mutex"]
    if list(importer.linker_version) < row["linker"] or edge.source is None:
        return False
    symbols = {str(symbol) for symbol in importer.symbols(edge.source)}
    return not symbols.isdisjoint(row["locks"]) and row["sets_up"] not in symbols


def _version(taken: Module, evidence: Evidence) -> tuple[int, ...] | None:
    """Of the file, or as it is assumed; an emulator's own DLL imitates no version."""
    if taken.image is None:
        assumed = taken.rule is not None and taken.rule.source == _ASSUMED
        choices = [choice for choice in evidence.target.runtimes if choice.startswith("vc14=")] if assumed else []
        return runtimes.assumed_version(choices[0]) if choices else None
    is_imitation = evidence.target.windows.emulator is not None and conflicts.is_foreign(taken, evidence)
    return None if is_imitation else taken.image.version


def _too_old(evidence: Evidence, pair: _Pair) -> Finding:
    importer, taken = pair.importer, pair.taken
    needs, has = missing.dotted(tables.table("runtimes.toml")["mutex"]["needs"]), missing.dotted(pair.version)
    return Finding(
        "msvc-runtime-too-old",
        "warning",
        taken.name,
        f"{importer.name} needs {taken.name} {needs} or later, and gets {has}, with which it may crash.",
        needed_by=importer.name,
        evidence=(
            *conflicts.taken_facts(taken, evidence),
            f"{_linked(importer)}, and locks a std::mutex",
            *_brought_by(evidence, taken),
            *_behind_registry(evidence, pair),
            *evidence.chain(taken),
        ),
        remedy=_newer(evidence, pair),
    )


def _as_error(finding: Finding, facts: tuple[str, ...], *, seen: bool) -> Finding:
    return finding._replace(
        severity="error",
        message=finding.message.replace("may crash", "crashes"),
        evidence=(*finding.evidence, *facts),
        proof="loader" if seen else "inferred",
    )


def _brought_by(evidence: Evidence, taken: Module) -> Iterator[str]:
    """The package in whose directory a copy lies, if no metadata tells whose it is."""
    site = environment.site_of(taken.path) if taken.path else None
    if site and taken.path and conflicts.whose(taken.path, evidence) is None:
        yield f"it lies in the package {os.path.relpath(taken.path, site).split(os.sep)[0]} of {site}"


def _behind_registry(evidence: Evidence, pair: _Pair) -> Iterator[str]:
    """That a DLL of System32 is older than its package, which is damaged then."""
    supplier = runtimes.supplier(pair.taken.name, evidence.target.architecture)
    noted = missing.in_registry(evidence, supplier) if supplier else None
    if noted is not None and noted.version[:2] > pair.version[:2] and conflicts.is_foreign(pair.taken, evidence):
        yield f"{missing.listed(noted)}, whose DLLs are newer than this one"


def _crashes(evidence: Evidence, load: LoadTrace) -> Iterator[tuple[str, str]]:
    """(lower-case name of the module, fact) of the crash that was seen, or that Windows reported."""
    seen = [raised for raised in load.raised if raised.code in _CRASHES]
    for raised in seen[-1:]:
        yield ntpath.basename(raised.module or "").lower(), f"exception 0x{raised.code:08X} at {raised.place}"
    if load.raised and not seen:  # it was watched, and nothing of this kind happened
        yield "", "no crash was seen"
    if not load.raised and load.code is None:
        yield from _reported(evidence, load.exit_code)


def _reported(evidence: Evidence, exit_code: int | None) -> Iterator[tuple[str, str]]:
    """The same from the newest report of such a crash in the event log."""
    for event in evidence.host.events.found if evidence.host.events else ():
        values = [value for _, value in event.data]
        alike = len(values) > _CODE and values[_CODE].lower().endswith(f"{exit_code or 0:08x}")
        if event.provider == events.CRASH and alike:
            module = " ".join(values[_MODULE : _MODULE + 2])  # and its version
            yield values[_MODULE].lower(), f"Windows reported at {event.when} (event {event.id}) a crash in {module}"
            return


def _is_at_fault(pair: _Pair, load: LoadTrace) -> bool:
    """Whether the modules that failed alone, if any did, are of this pair."""
    failed = {failure.path.lower() for failure in load.failures}
    return not failed or bool(failed & {(pair.importer.path or "").lower(), (pair.taken.path or "").lower()})


def lacks_symbols(edges: Sequence[Edge], taken: Module, evidence: Evidence) -> Finding | None:
    """`msvc-runtime-too-old`: what a runtime DLL lacks came with a later one; None if it is no matter of age."""
    importer = evidence.graph.modules[edges[0].importer]
    supplier = runtimes.supplier(taken.name, evidence.target.architecture)
    version = _version(taken, evidence)
    of_another = conflicts.is_loaded_before(taken) and environment.site_of(taken.path or "")  # then order matters
    if supplier is None or supplier.id != "vc14" or version is None or of_another:
        return None
    if _linker(importer) <= version[:2]:
        return None
    symbols = ", ".join(symbol for edge in edges[:1] for symbol in edge.unresolved[:_SHOWN])
    return Finding(
        "msvc-runtime-too-old",
        "warning" if evidence.target.windows.emulator else "error",  # which makes stubs of what is lacking
        taken.name,
        f"{importer.name} needs a newer {taken.name}: version {missing.dotted(version)} lacks functions that it uses.",
        needed_by=importer.name,
        evidence=(
            f"not exported: {symbols}",
            *conflicts.taken_facts(taken, evidence),
            _linked(importer),
            *_newer_in_windows(evidence, taken, version),
            *_behind_registry(evidence, _Pair(importer, taken, version)),
            *evidence.chain(taken),
        ),
        remedy=_newer(evidence, _Pair(importer, taken, version)),
    )


def _newer_in_windows(evidence: Evidence, taken: Module, version: tuple[int, ...]) -> Iterator[str]:
    system32 = evidence.target.system_directories[0]
    path = system32.find(taken.name) if system32.is_real else None
    file = conflicts.read(path) if path else None
    if file is not None and file.version and file.version > version:
        yield f"newer: {path}{conflicts.version_of(file)}"


# ---- older than System32's ----------------------------------------------------------------------------------------


def older_than_windows(evidence: Evidence) -> Iterable[Finding]:
    """`msvc-runtime-too-old`, as a warning under a crash: a runtime beside python.exe hides a newer one of System32."""
    load, own = evidence.load, evidence.target.python
    end = None if load is None else load.code if load.code is not None else load.exit_code
    if own is None or end not in tables.table("runtimes.toml")["mutex"]["ends_with"]:
        return
    for taken in evidence.graph.modules[1:]:
        supplier = runtimes.supplier(taken.name, evidence.target.architecture)
        version = taken.image.version if taken.image else None
        beside = os.path.normcase(os.path.dirname(taken.path or "")) == os.path.normcase(own.directory.path)
        newer = list(_newer_in_windows(evidence, taken, version)) if version and beside else []
        importers = [evidence.graph.modules[edge.importer] for edge in evidence.graph.needed_by(taken)]
        newest = max(importers, key=_linker)
        if supplier is None or version is None or not newer or _linker(newest) <= version[:2]:
            continue
        yield Finding(
            "msvc-runtime-too-old",
            "warning",
            taken.name,
            f"{newest.name} gets the {taken.name} beside python.exe, which is older than that of Windows and than its "
            "compiler.",
            needed_by=newest.name,
            evidence=(*conflicts.taken_facts(taken, evidence), *newer, _linked(newest)),
            remedy=_newer(evidence, _Pair(newest, taken, version)),
        )


def _linked(module: Module) -> str:
    return f"{module.path} was linked by Microsoft's linker {missing.dotted(_linker(module))}"


def _linker(module: Module) -> tuple[int, int]:
    return module.image.linker_version if module.image else (0, 0)


# ---- remedies ----------------------------------------------------------------------------------------------------


def _newer(evidence: Evidence, pair: _Pair) -> Remedy:
    """How to get a newer copy in the place of the one that is taken."""
    taken, around = pair.taken, evidence.target.environment
    supplier = runtimes.supplier(taken.name, evidence.target.architecture)
    path, needs = taken.path or "", missing.dotted(_linker(pair.importer))
    if supplier is None or (taken.image is None and taken.rule is not None and taken.rule.source == _ASSUMED):
        return missing.install(supplier) if supplier else Remedy(f"Update what {path} belongs to.")
    if environment.site_of(path):
        return _of_package(evidence, pair)
    place = os.path.normcase(os.path.dirname(path))
    if place == os.path.normcase(evidence.target.system_directories[0].path):
        damaged = list(_behind_registry(evidence, pair))
        return missing.repair(evidence, supplier) if damaged else missing.supply(evidence, supplier)
    if around is not None and around.conda and place == os.path.normcase(around.prefix):
        return Remedy(
            "Update the runtime of this conda environment, in a prompt in which it is active:",
            f'conda install "{missing.conda_package()}>={needs}"',
        )
    owner = conflicts.whose(path, evidence)
    if owner is not None:
        return Remedy(f"Update {owner.name}, which brought this copy:", conflicts.update([owner], evidence))
    return Remedy(f"Update what brought this old copy of {supplier.short}: {path}")


def _of_package(evidence: Evidence, pair: _Pair) -> Remedy:
    """A copy that a Python package brought along."""
    path = pair.taken.path or ""
    theirs, mine = conflicts.whose(path, evidence), conflicts.whose(pair.importer.path, evidence)
    folder = os.path.basename(os.path.dirname(path))
    text = f"Update {theirs.name if theirs else f'the package {folder}'}, which brought this copy"
    if conflicts.is_loaded_before(pair.taken):
        text += f"; until then, import {mine.name if mine else pair.importer.name} before it"
    return Remedy(f"{text}.", conflicts.update([theirs] if theirs else [], evidence))
