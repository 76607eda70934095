"""DLLs that are nowhere, or somewhere that is not searched."""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from depwalk import runtimes, tables
from depwalk.diagnosis import conflicts, elsewhere
from depwalk.finding import Finding, Remedy
from depwalk.target.directory import Directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Edge, Module
    from depwalk.loader import LoadTrace

# What the helper for delayed loads raises: the DLL is not there, or it lacks the function (delayimp.h).
_DLL_NOT_FOUND, _FUNCTION_NOT_FOUND = 0xC06D007E, 0xC06D007F
_UNMAPPED = 317  # into which the loader turns them, if they come out of an initialisation


def missing_dll(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`missing-dll`: nothing on this machine is known to supply it. Every more special finding replaces this one."""
    for module in missing:
        name, importer = module.name, evidence.importer(module)
        yield Finding(
            "missing-dll",
            "error",
            name,
            f"{name} is in none of the directories that are searched, and {importer} needs it.",
            needed_by=importer,
            evidence=(*evidence.chain(module), *_facts(module, evidence), *evidence.searched(module)),
            remedy=Remedy(
                f"Reinstall the package that {importer} belongs to. If that does not bring {name}, the package lacks "
                "it: use another version, and report this to its authors. Do not download single DLLs."
            ),
        )


def in_environment(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`not-searched`: the environment itself has the file, so that nothing has to be installed."""
    for module in missing:
        yield from _not_searched(module, evidence, own=True)


def not_searched(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`not-searched`: the file exists, in a directory that this search leaves out."""
    for module in missing:
        yield from _not_searched(module, evidence, own=False)


def delay_load_missing(evidence: Evidence) -> Iterable[Finding]:
    """`delay-load-missing`: the file loads without it, and fails when it first calls into it."""
    load = evidence.load
    not_there = [
        module
        for module in evidence.problems("missing", "wrong-architecture", "corrupt", "blocked", delayed=True)
        if not _is_normal(evidence.importer(module), module.name)
    ]
    died = load is not None and _failed_with(load, _DLL_NOT_FOUND)
    yield from _of_the_load([_without(module, evidence, died=died) for module in not_there], died=died)
    if load is not None and _failed_with(load, _FUNCTION_NOT_FOUND):
        lacking = [edge for edge in evidence.graph.edges if edge.kind == "delay" and edge.unresolved]
        yield from _of_the_load([_lacks(edge, evidence) for edge in lacking], died=True)


# ---- not searched ------------------------------------------------------------------------------------------------


def _not_searched(module: Module, evidence: Evidence, *, own: bool) -> Iterable[Finding]:
    usable = [copy for copy in elsewhere.copies(module, evidence) if not copy.flaw and (copy.place.own or not own)]
    if not usable:
        return
    place, name, python = usable[0].place, module.name, evidence.target.python
    adds_itself = python is not None and python.restricts_search
    told = elsewhere.told(name, place.path, on_path=False) if adds_itself else None
    yield Finding(
        "not-searched",
        "error",
        name,
        f"{name} is in {place.path}, which is not searched: {place.why}.",
        needed_by=evidence.importer(module),
        evidence=(
            *evidence.chain(module),
            *(f"another one is {copy.path}" for copy in usable[1:2]),
            *_facts(module, evidence),
            *evidence.searched(module),
        ),
        remedy=told or place.remedy,
    )


def _facts(module: Module, evidence: Evidence) -> Iterable[str]:
    """What looks like the file, or like a place for it, and is not."""
    for copy in elsewhere.copies(module, evidence):
        if copy.flaw:
            yield f"{copy.path} does not count: {copy.flaw}"
    yield from elsewhere.renamed(module.name, evidence)
    for rule in evidence.graph.rules:
        if rule.name == "added directory" and rule.directory is not None and not rule.directory.exists:
            yield f"the added directory {rule.directory.path} does not exist"
    yield from elsewhere.named_by_ctypes(evidence)


# ---- delayed loads -----------------------------------------------------------------------------------------------


def _is_normal(importer: str, name: str) -> bool:
    return any(
        fnmatchcase(importer.lower(), row["importer"]) and any(fnmatchcase(name.lower(), dll) for dll in row["dlls"])
        for row in tables.table("delay_loads.toml")["normal"]
    )


def _failed_with(load: LoadTrace, status: int) -> bool:
    """Whether a load ended with an exception of the helper for delayed loads."""
    hidden = load.code == _UNMAPPED and any(exception.code == status for exception in load.raised)
    return hidden or status in (load.code, load.exit_code)


def _of_the_load(found: Sequence[Finding], *, died: bool) -> Iterable[Finding]:
    """Warnings; but the first is the cause if the load died so. Of several, the exception does not say which."""
    for index, finding in enumerate(found):
        if died and index == 0:
            others = ", ".join(other.module for other in found[1:])
            ended = "the load ended with this code"
            facts = (f"{ended}; it may also be for {others}" if others else ended,)
            yield finding._replace(severity="error", proof="loader", evidence=(*facts, *finding.evidence))
        else:
            yield finding


def _without(module: Module, evidence: Evidence, *, died: bool) -> Finding:
    name, importer = module.name, evidence.importer(module)
    beside = _beside(module, evidence)
    fact = f"{beside} exists, but a delayed load does not search the directory of its importer"
    return Finding(
        "delay-load-missing",
        "warning",
        name,
        f"{importer} loads without {name}, and fails at its first call into it (0x{_DLL_NOT_FOUND:08X}).",
        needed_by=importer,
        evidence=(*((fact,) if beside else ()), *evidence.searched(module)),
        remedy=_supply(name, importer, beside, evidence, died=died),
    )


def _lacks(edge: Edge, evidence: Evidence) -> Finding:
    importer, exporter = evidence.graph.modules[edge.importer], evidence.graph.modules[edge.imported]
    return Finding(
        "delay-load-missing",
        "warning",
        exporter.name,
        f"{importer.name} calls {conflicts.named(edge.unresolved[0])}, which {exporter.name} lacks, and fails then "
        f"(0x{_FUNCTION_NOT_FOUND:08X}).",
        needed_by=importer.name,
        evidence=(f"file: {exporter.path}", "delay-loaded: it is looked for at its first call only"),
        remedy=Remedy(f"Install versions of {importer.name} and {exporter.name} that were made for each other."),
    )


def _supply(name: str, importer: str, beside: str | None, evidence: Evidence, *, died: bool) -> Remedy:
    install, put, again = (
        ("Install", "Put", "Reinstall")
        if died
        else (f"If you use what calls {name}, {verb}" for verb in ("install", "put", "reinstall"))
    )
    supplier = runtimes.supplier(name, evidence.target.architecture)
    if supplier is not None:
        return Remedy(f"{install} {supplier.name}.", supplier.install, supplier.url)
    if beside is not None:
        text = f"{put} its directory on PATH before the program is started, which a delayed load does search:"
        return Remedy(text, f"set PATH={os.path.dirname(beside)};%PATH%")
    return Remedy(f"{again} the package that {importer} belongs to, or install what supplies {name}.")


def _beside(module: Module, evidence: Evidence) -> str | None:
    """Path of a file of this name beside one of its importers."""
    for edge in evidence.graph.needed_by(module):
        importer = evidence.graph.modules[edge.importer]
        if importer.image is not None and importer.path:
            found = Directory(os.path.dirname(importer.path)).find(module.name)
            if found:
                return found
    return None
