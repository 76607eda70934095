"""DLLs that are nowhere, or somewhere that is not searched."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from depwalk import image, runtimes
from depwalk.diagnosis.evidence import Finding, Remedy
from depwalk.graph import SEARCH_FLAGS
from depwalk.target.directory import Directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module


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
            evidence=(*evidence.chain(module), *evidence.searched(module)),
            remedy=Remedy(
                f"Reinstall the package that {importer} belongs to. If that does not bring {name}, the package lacks "
                "it: use another version, and report this to its authors. Do not download single DLLs."
            ),
        )


def not_searched(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`not-searched`: the file exists, in a directory that this search leaves out."""
    for module in missing:
        name = module.name
        place = _elsewhere(module, evidence)
        if place is None:
            continue
        directory, why, remedy = place
        yield Finding(
            "not-searched",
            "error",
            name,
            f"{name} is in {directory}, which is not searched: {why}.",
            needed_by=evidence.importer(module),
            evidence=(*evidence.chain(module), *evidence.searched(module)),
            remedy=remedy,
        )


def delay_load_missing(evidence: Evidence) -> Iterable[Finding]:
    """`delay-load-missing`: the file loads without it, and fails when it first calls into it."""
    for module in evidence.problems("missing", "wrong-architecture", "corrupt", "blocked", delayed=True):
        name, importer = module.name, evidence.importer(module)
        beside = _beside(module, evidence)
        yield Finding(
            "delay-load-missing",
            "warning",
            name,
            f"{importer} loads without {name}, and fails with 0xC06D007E at its first call into it.",
            needed_by=importer,
            evidence=(
                *(
                    (f"{beside} exists, but a delayed load does not search the directory of its importer",)
                    if beside
                    else ()
                ),
                *evidence.searched(module),
            ),
            remedy=_only_if_used(module, name, evidence),
        )


def _only_if_used(module: Module, name: str, evidence: Evidence) -> Remedy:
    supplier = runtimes.supplier(module.name, evidence.target.architecture)
    if supplier is None:
        return Remedy(f"Only needed if you use the feature that calls {name}; then install what supplies it.")
    text = f"Only needed if you use the feature that calls {name}; then install {supplier.name}."
    return Remedy(text, supplier.install, supplier.url)


def _elsewhere(module: Module, evidence: Evidence) -> tuple[str, str, Remedy] | None:
    """(directory, why it is not searched, remedy) of a file of this name that is out of reach."""
    if module.reason:  # an API set without a host: a file of its name does not count
        return None
    python = evidence.target.python
    for entry in evidence.target.path if python is not None and python.restricts_search else ():
        if _is_usable(Directory(entry).find(module.name), evidence):
            own = python.name if python else ""
            why = f"it is on PATH, which CPython {own} does not use for imports (only versions before 3.8 do)"
            return entry, why, _add(entry)
    beside = _beside(module, evidence)
    if beside is None or not _is_usable(beside, evidence):
        return None
    directory, importer = os.path.dirname(beside), evidence.importer(module)
    if _restricts_itself(module, evidence):
        why = f"{importer} is linked with DependentLoadFlags, which restrict the search for its own imports"
        return (
            directory,
            why,
            Remedy(f"Use a build of {importer} without /DEPENDENTLOADFLAG, or load {module.name} first."),
        )
    if importer == evidence.graph.root.name:
        why = "LoadLibrary without flags leaves out the directory of the file it loads"
        return directory, why, Remedy("Load it with LoadLibraryEx and LOAD_WITH_ALTERED_SEARCH_PATH, or by an import.")
    why = f"only the directory of {evidence.graph.root.name} itself is, not that of the DLLs it needs"
    return directory, why, _add(directory)


def _restricts_itself(module: Module, evidence: Evidence) -> bool:
    """Whether an importer's load configuration replaced the search list (windows-loader 1.3; not on Wine)."""
    if evidence.target.windows.emulator is not None:
        return False
    importers = [evidence.graph.modules[edge.importer].image for edge in evidence.graph.needed_by(module)]
    return any(image is not None and image.dependent_load_flags & SEARCH_FLAGS for image in importers)


def _is_usable(path: str | None, evidence: Evidence) -> bool:
    """Whether there is such a file, and the process could load it."""
    if path is None:
        return False
    try:
        found = image.read(path)
    except image.UnreadableFile:
        return False
    target = evidence.target
    return not found.fatal_defects and found.runs_in(target.architecture, target.windows.architecture)


def _beside(module: Module, evidence: Evidence) -> str | None:
    """Path of a file of this name beside one of its importers."""
    for edge in evidence.graph.needed_by(module):
        importer = evidence.graph.modules[edge.importer]
        if importer.image is not None and importer.path:
            found = Directory(os.path.dirname(importer.path)).find(module.name)
            if found:
                return found
    return None


def _add(directory: str) -> Remedy:
    return Remedy(
        "Add the directory before the import, in Python:",
        command=f"import os; os.add_dll_directory({directory!r})",
        url="https://docs.python.org/3/library/os.html#os.add_dll_directory",
    )
