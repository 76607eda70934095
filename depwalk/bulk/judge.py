"""Judging the files of a unit: a row for each file and each case.

What several files need is read once, as long as this process remembers it: see files.remembering.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from depwalk import image, result, wheel
from depwalk.bulk import wheels
from depwalk.bulk.rows import JUDGED_WITH, File, Link, Node, Row
from depwalk.target import python
from depwalk.target.choose import choose

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from depwalk.bulk.collect import Site
    from depwalk.bulk.rows import Case, Unit
    from depwalk.diagnosis import Basis
    from depwalk.graph import Edge, Graph, Module
    from depwalk.image import Image
    from depwalk.result import Result
    from depwalk.target import Target
    from depwalk.target.choose import Choice, Machine
    from depwalk.target.python import Python


class Question(NamedTuple):
    """What is asked of every file."""

    cases: tuple[tuple[Case, Choice], ...]
    machine: Machine | None
    load: bool
    timeout: float  # seconds that a load may take
    hashed: bool = False
    trees: bool = True  # rows shall have nodes and links

    def shows_trees(self, unit: Unit) -> bool:
        """Whether rows are made with them: what a wheel lacks is looked at again."""
        return self.trees or unit.kind == "wheel"


@dataclass
class Judged:
    """Rows, and DLLs that were met in the trees of other files of the unit: `parts`, by path and case's number."""

    rows: list[Row] = field(default_factory=list)
    parts: dict[tuple[str, int], Row] = field(default_factory=dict)


def judge(listed: Sequence[File], site: Site | None, question: Question) -> Judged:
    """The rows of some files of one unit, whose files are `site` if all are known."""
    known = {file.path for file in listed} | (site.paths if site else set())
    judged = Judged()
    choices = _choices(listed[0].unit, site, question) if listed else []
    for file in listed:
        judged.rows += _rows_of(file, site, question, choices, known, judged.parts)
    return judged


def unread(file: File, reason: str, question: Question, *, by_content: bool = False) -> list[Row]:
    """The rows of a file that cannot be read: for what is in it, or for a reason that may pass."""
    basis: Basis | None = "static" if by_content else None
    return [Row(file, case, None, basis, reason=reason, unreadable=True) for case, _ in question.cases]


def asked_python(question: Question) -> Python | None:
    """The Python that was asked for, None if none was."""
    choice = question.cases[0][1]
    return choose(None, choice, question.machine).python if choice.python else None


def _choices(unit: Unit, site: Site | None, question: Question) -> list[tuple[Case, Choice]]:
    """The cases, where nothing else is asked for in the Python to which a unit belongs, as far as that is known."""
    if unit.kind == "wheel":
        own = wheels.python_of(unit.path, sys.version_info[1] if question.machine else None)
    else:
        own = _python_of(unit.path)
    minor = site.usual_minor if site else None
    return [(case, choice._replace(python=choice.python or own, otherwise=minor)) for case, choice in question.cases]


def _python_of(directory: str) -> str | None:
    """The interpreter of the environment that a directory is, or whose site-packages it is; None if none is there."""
    prefix = os.path.dirname(os.path.dirname(directory)) if directory.lower().endswith("site-packages") else directory
    for path in (os.path.join(prefix, "python.exe"), os.path.join(prefix, "Scripts", "python.exe")):
        if os.path.isfile(path):
            try:
                python.at(path)
            except ValueError:
                continue
            return path
    return None


def _rows_of(
    file: File,
    site: Mapping[str, Collection[str]] | None,
    question: Question,
    choices: Sequence[tuple[Case, Choice]],
    known: set[str],
    parts: dict[tuple[str, int], Row],
) -> Iterator[Row]:
    try:
        own = image.read(file.path)
        file = _described(file, own, hashed=question.hashed)
    except (image.UnreadableFile, OSError) as error:
        reason = str(error).removeprefix(f"{file.path}: ")
        by_content = isinstance(error, image.UnreadableFile) and error.by_content
        yield from unread(file, reason, question, by_content=by_content)
        return
    for number, (case, choice) in enumerate(choices):
        row, graph = _row(file, own, case, choice, site, question)
        for module in _parts(graph, known) if graph is not None else ():
            if graph is not None and (module.path, number) not in parts:
                parts[module.path or "", number] = _part(module, graph, file, case, question)
        yield row


def _row(
    file: File,
    own: Image,
    case: Case,
    choice: Choice,
    site: Mapping[str, Collection[str]] | None,
    question: Question,
) -> tuple[Row, Graph | None]:
    try:
        target = choose(own, choice._replace(python=None) if file.kind == "program" else choice, question.machine)
        reason = _not_for(file, own, target, site or {})
        if reason:
            return Row(file, case, None, reason=reason), None
        found = result.diagnose(file.path, lambda _: target, load=question.load, timeout=question.timeout, site=site)
    except (image.UnreadableFile, OSError, ValueError) as error:  # it has gone meanwhile, or does not fit
        return Row(file, case, None, reason=str(error), unreadable=True), None
    except RecursionError:
        return Row(file, case, None, reason="it is nested too deeply to be judged", unreadable=True), None
    verdict = "unknown" if _depends_on_who_loads_it(found, file, site or {}) else found.verdict
    shown = found.graph if question.shows_trees(file.unit) else None
    nodes = tuple(map(_node, shown.modules)) if shown else ()
    links = tuple(map(_link, shown.edges)) if shown else ()
    row = Row(
        file,
        case,
        verdict,
        found.basis,
        found.findings,
        nodes,
        links,
        (*found.sources, *_metadata(file)),
        elapsed_ms=found.elapsed_ms,
    )
    return row, found.graph


def _depends_on_who_loads_it(found: Result, file: File, site: Mapping[str, Collection[str]]) -> bool:
    """Whether all that a program or plug-in lacks is installed with it: who starts or loads it makes that be found.

    Such a process is not known. An extension module is loaded by its import, which is.
    """
    if file.kind == "extension" or found.verdict != "fails" or found.basis == "loader":
        return False
    at_fault = [module for module in found.graph.modules[1:] if module.status == "missing" and not module.delayed]
    return bool(at_fault) and all(module.name.lower() in site for module in at_fault)


def _not_for(file: File, own: Image, target: Target, site: Mapping[str, Collection[str]]) -> str:
    """Why a file is not meant to be loaded there, although it is installed; empty if it is."""
    system = target.windows
    if not system.runs(target.architecture):
        return f"it is for {target.architecture}, which Windows {system.name} does not run"
    if file.kind != "extension" and not (
        system.runs(own.architecture) and own.runs_in(target.architecture, system.architecture)
    ):
        return f"it is for {own.architecture}, and the process asked about is {target.architecture}"
    if target.python is None or not target.python.passes_over(os.path.basename(file.path)):
        return ""
    folder, name = os.path.split(file.path)
    stem = name.partition(".")[0].lower() + "."
    beside = (os.path.split(path) for base, paths in site.items() if base.startswith(stem) for path in paths)
    other = next((name for where, name in beside if where == folder and not target.python.passes_over(name)), "")
    return f"it is for another Python, and {other} is there for {target.python.name}" if other else ""


def _metadata(file: File) -> tuple[str, ...]:
    """What the distribution of a file says of it, on the disk."""
    owner = wheel.owners([file.path]).get(file.path) if file.unit.kind != "wheel" else None
    return tuple(os.path.join(owner.folder, name) for name in ("RECORD", "WHEEL")) if owner else ()


def _described(file: File, own: Image, *, hashed: bool) -> File:
    owner = wheel.owners([file.path]).get(file.path)
    distribution = wheel.read(owner.folder) if owner else None
    build = python.built_for(own) if file.kind == "extension" else None
    version = "" if build is None else "abi3" if build.minor is None else f"3.{build.minor}"
    return file._replace(
        sha256=file.sha256 or (_sha256(own) if hashed else ""),
        distribution=distribution.name if distribution else "",
        version=distribution.version if distribution else "",
        architecture=own.architecture,
        python=f"{version}t" if build is not None and build.free_threaded else version,
    )


def _sha256(own: Image) -> str:
    import hashlib

    return hashlib.sha256(own.file.content).hexdigest()


def _node(module: Module) -> Node:
    own = module.image
    return Node(
        module.name,
        module.path,
        module.status,
        own.architecture if own else "",
        ".".join(map(str, own.version)) if own and own.version else "",
        module.depth,
        module.delayed,
        module.rule.name if module.rule else "",
    )


def _link(edge: Edge) -> Link:
    return Link(edge.importer, edge.imported, edge.kind, edge.name, edge.symbols, edge.unresolved)


def _parts(graph: Graph, known: set[str]) -> list[Module]:
    """The unit's own DLLs in the tree of a file."""
    return [
        module for module in graph.modules[1:] if module.path in known and module.image and module.status == "found"
    ]


def _part(module: Module, graph: Graph, file: File, case: Case, question: Question) -> Row:
    """The row of a DLL in the tree of a file, with what it needs itself."""
    assert module.path is not None
    assert module.image is not None
    shown = [module] if question.shows_trees(file.unit) else []
    edges = graph.needs(module) if shown else []
    nodes = [*shown, *(graph.modules[edge.imported] for edge in edges)]
    own = File(module.path, file.unit, "dll", module.image.size, 0)
    return Row(
        _described(own, module.image, hashed=question.hashed),
        case,
        None,
        nodes=tuple(map(_node, nodes)),
        links=tuple(
            Link(0, index, edge.kind, edge.name, edge.symbols, edge.unresolved) for index, edge in enumerate(edges, 1)
        ),
        reason=f"{JUDGED_WITH}{file.path}, which needs it",
    )
