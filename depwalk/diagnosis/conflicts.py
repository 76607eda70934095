"""Two files of one name: the one that the loader takes is not the one that is needed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from depwalk import image
from depwalk.diagnosis.evidence import Finding, Remedy
from depwalk.target.directory import Directory

if TYPE_CHECKING:
    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Edge, Module
    from depwalk.image import Image


def better_copy(edge: Edge, taken: Module, evidence: Evidence) -> Finding | None:
    """`already-loaded` or `shadowed`: the copy that is taken lacks a symbol that another one in reach has."""
    better = _copy_with(edge, taken, evidence)
    if better is None:
        return None
    importer = evidence.graph.modules[edge.importer]
    loaded = any(_same(path, taken.path) for path in evidence.target.loaded)
    rule = taken.rule.name if taken.rule else "its full path"
    why = "the process has loaded it before" if loaded else f"it is found first, by the rule: {rule}"
    wine = evidence.target.windows.emulator is not None
    return Finding(
        "already-loaded" if loaded else "shadowed",
        "warning" if wine else "error",
        taken.name,
        f"{importer.name} needs {edge.unresolved[0]} of {taken.name}; the copy that is taken lacks it, another has it.",
        needed_by=importer.name,
        evidence=(
            f"taken: {taken.path}{_version(taken.image)}, because {why}",
            f"it would work with: {better}",
            *evidence.chain(taken),
        ),
        remedy=Remedy(
            f"Import the package that brings {better} first."
            if loaded
            else f"Update or remove what {taken.path} belongs to, or take its directory off the search."
        ),
    )


def _copy_with(edge: Edge, taken: Module, evidence: Evidence) -> str | None:
    """Path of another file of the same name, in a directory of the search or beside the importer, that would do."""
    importer = evidence.graph.modules[edge.importer].image
    if importer is None or edge.source is None:
        return None
    places = [rule.directory for rule in evidence.graph.rules if rule.directory is not None]
    for place in [*places, Directory(os.path.dirname(importer.path))]:
        path = place.find(taken.name)
        if path is None or _same(path, taken.path):
            continue
        if not place.is_real:
            return f"{path}, as every Windows of this kind has it"
        try:
            copy = image.read(path)
        except image.UnreadableFile:
            continue
        target = evidence.target
        fits = copy.has_exports and copy.runs_in(target.architecture, target.windows.architecture)
        if fits and not importer.match(edge.source, copy)[0]:
            return f"{path}{_version(copy)}"
    return None


def _same(path: str, other: str | None) -> bool:
    return other is not None and os.path.normcase(path) == os.path.normcase(other)


def _version(file: Image | None) -> str:
    return f" (version {'.'.join(map(str, file.version))})" if file and file.version else ""
