"""The dependency tree of the text report.

What is at fault, and the way to it, comes first and is unfolded, once, where it is nearest to the file. Of the rest,
what the file itself needs has a line each, and the others are counted.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from depwalk.graph import paths_to
from depwalk.report.lines import Line, shown, wrap
from depwalk.target.api_sets import is_api_set

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.graph import Edge, Module
    from depwalk.result import Result

DEEPEST = 60  # levels that are drawn

_BAD = ("missing", "wrong-architecture", "corrupt", "blocked")
_MARKS = {
    "missing": "MISSING",
    "wrong-architecture": "WRONG ARCHITECTURE",
    "corrupt": "DAMAGED",
    "blocked": "CANNOT BE READ",
    "api-set": "NOT KNOWN",
}


@dataclass(frozen=True)
class Glyphs:
    """What the tree is drawn with."""

    branch: str
    last: str
    bar: str
    space: str


ASCII = Glyphs("+-- ", "`-- ", "|   ", "    ")
UNICODE = Glyphs("├── ", "└── ", "│   ", "    ")


class _Row(NamedTuple):
    """One line below a module; `module` is what to unfold under it, None for a line that stands for several."""

    text: str
    style: str
    module: Module | None
    why: str = ""  # how the search came to it


class Tree:
    """Draws the graph of one result. `everything` unfolds all of it; `verbose` tells how each module was found."""

    def __init__(self, result: Result, width: int, glyphs: Glyphs, *, everything: bool, verbose: bool) -> None:
        self.graph = result.graph
        self.home = os.path.dirname(result.graph.root.path or "")
        self.width = width
        self.glyphs = glyphs
        self.everything = everything
        self.verbose = verbose
        self.edges: defaultdict[int, list[Edge]] = defaultdict(list)
        for edge in self.graph.edges:
            if edge.importer != edge.imported:
                self.edges[edge.importer].append(edge)
        self.blamed = {finding.module.lower() for finding in result.findings if finding.severity == "error"}
        at_fault = self._at_fault()
        self.failing = self._with_importers({key for key in at_fault if not self.graph.modules[key].delayed})
        self.chains = self._nearest(at_fault)
        self.shown: set[int] = set()

    def lines(self) -> Iterator[Line]:
        """The tree, from the file that was asked about down."""
        root = self.graph.root
        yield Line(shown(f"{root.name}{self._facts(root)}"), "bad" if root.status in _BAD else "")
        yield from self._below(root, "")

    def _at_fault(self) -> set[int]:
        found = {module.id for module in self.graph.modules if module.status in _BAD or self._is_blamed(module)}
        return found | {edge.imported for edge in self.graph.edges if edge.unresolved and edge.kind != "delay"}

    def _nearest(self, at_fault: set[int]) -> set[int]:
        """Those modules, and the ones on the shortest way to each."""
        chains = (paths_to(self.graph, self.graph.modules[key]) for key in at_fault)
        return at_fault | {edge.imported for chain in chains for edge in chain}

    def _with_importers(self, at_fault: set[int]) -> set[int]:
        """Those modules, and all that need them, directly or through others."""
        failing = set(at_fault)
        importers = defaultdict(set)
        for edge in self.graph.edges:
            importers[edge.imported].add(edge.importer)
        pending = list(failing)
        while pending:
            above = importers[pending.pop()] - failing
            failing |= above
            pending += above
        return failing

    def _is_blamed(self, module: Module) -> bool:
        return module.name.lower() in self.blamed

    def _below(self, module: Module, prefix: str) -> Iterator[Line]:
        self.shown.add(module.id)
        rows = self._rows(module)
        if rows and module.depth >= DEEPEST:
            yield Line(f"{prefix}{self.glyphs.last}... (--format json has all)")
            return
        for index, row in enumerate(rows):
            last = index == len(rows) - 1
            start = prefix + (self.glyphs.last if last else self.glyphs.branch)
            below = prefix + (self.glyphs.space if last else self.glyphs.bar)
            yield from wrap(row.text, self.width, start, below + "  ", row.style)
            if row.why:
                yield from wrap(row.why, self.width, below + "  ", below + "    ")
            if row.module is not None and self._unfolds(row.module, module):
                yield from self._below(row.module, below)

    def _unfolds(self, module: Module, importer: Module) -> bool:
        is_wanted = self.everything or module.id in self.chains
        return is_wanted and module.id not in self.shown and module.depth == importer.depth + 1

    def _rows(self, module: Module) -> list[_Row]:
        needed: defaultdict[int, list[Edge]] = defaultdict(list)
        for edge in self.edges[module.id]:
            needed[edge.imported].append(edge)
        rows, windows, found = [], [], []
        for one in sorted((self.graph.modules[key] for key in needed), key=self._rank):
            folds = not self.everything and one.id not in self.failing | self.chains
            if folds and one.status == "system":
                windows.append(_written(one, needed[one.id]))
            elif folds and module.depth > 0:
                found.append(_written(one, needed[one.id]))
            else:
                why = self._why(one) if self.verbose else ""
                rows.append(_Row(self._text(one, needed[one.id]), self._style(one, needed[one.id]), one, why))
        return rows + _folded(f"{len(found)} found: ", found) + _folded(f"{len(windows)} of Windows: ", windows)

    def _why(self, module: Module) -> str:
        """Which rule found it, and where the search had been before."""
        places = [f"{tried.rule.directory.path} ({tried.reason})" for tried in module.tried if tried.rule.directory]
        before = "; ".join(places)
        if module.rule is None:
            return f"looked for in: {before}" if before else ""
        return f"found by: {module.rule.name}" + (f"; tried before: {before}" if before else "")

    def _number_below(self, module: Module) -> int:
        """How many modules it brings that are not drawn, those of Windows not counted."""
        reached, pending = {module.id}, [module.id]
        while pending:
            needed = {edge.imported for edge in self.edges[pending.pop()]} - reached
            reached |= needed
            pending += needed
        return sum(self.graph.modules[key].status != "system" for key in reached) - 1

    def _rank(self, module: Module) -> tuple[bool, bool, bool, bool]:
        return module.id not in self.chains, module.id not in self.failing, module.status not in _BAD, module.delayed

    def _style(self, module: Module, edges: Sequence[Edge]) -> str:
        if module.delayed:
            return "warn" if module.status in _BAD else ""
        lacking = any(edge.unresolved for edge in edges)
        return "bad" if module.status in _BAD or lacking or self._is_blamed(module) else ""

    def _text(self, module: Module, edges: Sequence[Edge]) -> str:
        kinds = {edge.kind for edge in edges}
        kind = " (delay-loaded)" if kinds == {"delay"} else " (forwarded to)" if kinds == {"forward"} else ""
        lacking = [name for edge in edges for name in edge.unresolved]
        lacks = f"  LACKS {', '.join(lacking[:2])}{', ...' if len(lacking) > 2 else ''}" if lacking else ""
        blamed = "  AT FAULT" if self._is_blamed(module) and module.status == "found" and not lacks else ""
        more = ""
        if not self.everything and module.id not in self.chains and module.status != "system":
            below = self._number_below(module)
            more = "  (needs it, too)" if module.id in self.failing else f"  (+{below} below it)" if below else ""
        return f"{_written(module, edges)}{kind}{self._facts(module)}{lacks}{blamed}{more}"

    def _facts(self, module: Module) -> str:
        if module.status in _MARKS:
            return f"  {_MARKS[module.status]}" + (f" ({module.reason})" if module.reason and self.verbose else "")
        if module.id == 0:
            return f"  {module.image.architecture}" if module.image else ""
        return f"  {module.path if self.verbose else self._place(module.path or '')}"

    def _place(self, path: str) -> str:
        """Where a file is, as seen from the directory of the file that was asked about, if it is below that."""
        if os.path.dirname(path) == self.home:
            return "beside it"
        below = os.path.join(self.home, "")
        return path.removeprefix(below) if path.startswith(below) else path


def _folded(label: str, names: list[str]) -> list[_Row]:
    return [_Row(label + ", ".join(sorted(names, key=str.lower)), "", None)] if names else []


def _written(module: Module, edges: Sequence[Edge]) -> str:
    """The module's name, and through how many API sets it is meant."""
    sets = sum(is_api_set(edge.name) for edge in edges)
    if sets and not is_api_set(module.name):
        return f"{module.name} (for {sets} API set{'s' if sets > 1 else ''})"
    return edges[0].name if edges and not is_api_set(edges[0].name) else module.name
