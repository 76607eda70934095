"""The dependency tree of the text report.

Every module is unfolded once, where it is nearest to the file; what is at fault, and the way to it, comes first.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

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


class Tree:
    """Draws the graph of one result. `everything` unfolds the DLLs of Windows, too."""

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
        self.failing = self._failing()
        self.shown: set[int] = set()

    def lines(self) -> Iterator[Line]:
        """The tree, from the file that was asked about down."""
        root = self.graph.root
        yield Line(shown(f"{root.name}{self._facts(root)}"), "bad" if root.status in _BAD else "")
        yield from self._below(root, "")

    def _failing(self) -> set[int]:
        """Modules that are at fault, and those through which they are needed."""
        failing = {module.id for module in self.graph.modules if module.status in _BAD or self._is_blamed(module)}
        failing |= {edge.imported for edge in self.graph.edges if edge.unresolved and edge.kind != "delay"}
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
            if row.module is not None and self._unfolds(row.module, module):
                yield from self._below(row.module, below)

    def _unfolds(self, module: Module, importer: Module) -> bool:
        return module.id not in self.shown and module.depth == importer.depth + 1

    def _rows(self, module: Module) -> list[_Row]:
        needed: defaultdict[int, list[Edge]] = defaultdict(list)
        for edge in self.edges[module.id]:
            needed[edge.imported].append(edge)
        rows, windows, elsewhere = [], [], []
        for one in sorted((self.graph.modules[key] for key in needed), key=self._rank):
            folds = not self.everything and one.id not in self.failing
            if folds and one.status == "system":
                windows.append(_written(one, needed[one.id]))
            elif folds and module.depth > 0 and not self._unfolds(one, module):
                elsewhere.append(_written(one, needed[one.id]))
            else:
                rows.append(_Row(self._text(one, needed[one.id]), self._style(one, needed[one.id]), one))
        return rows + _folded("shown elsewhere: ", elsewhere) + _folded(f"{len(windows)} of Windows: ", windows)

    def _rank(self, module: Module) -> tuple[bool, bool, bool]:
        return module.id not in self.failing, module.status not in _BAD, module.delayed

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
        return f"{_written(module, edges)}{kind}{self._facts(module)}{lacks}{blamed}"

    def _facts(self, module: Module) -> str:
        rule = f" [{module.rule.name}]" if module.rule and self.verbose else ""
        if module.status in _MARKS:
            return f"  {_MARKS[module.status]}" + (f" ({module.reason})" if module.reason and self.verbose else "")
        if module.id == 0:
            return f"  {module.image.architecture}" if module.image else ""
        directory = os.path.dirname(module.path or "")
        where = "beside it" if directory == self.home and not self.verbose else module.path
        return f"  {where}{rule}"


def _folded(label: str, names: list[str]) -> list[_Row]:
    return [_Row(label + ", ".join(sorted(names, key=str.lower)), "", None)] if names else []


def _written(module: Module, edges: Sequence[Edge]) -> str:
    """The module's name, and through how many API sets it is meant."""
    sets = sum(is_api_set(edge.name) for edge in edges)
    if sets and not is_api_set(module.name):
        return f"{module.name} (for {sets} API set{'s' if sets > 1 else ''})"
    return edges[0].name if edges and not is_api_set(edges[0].name) else module.name
