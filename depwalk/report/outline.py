"""What a tree shows below each module, whether it is drawn in a terminal or on a page.

Every module is unfolded once, where it is nearest to the file; what is at fault, and the way to it, comes first.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

from depwalk.target.api_sets import is_api_set

if TYPE_CHECKING:
    from depwalk.graph import Edge, Module
    from depwalk.result import Result

DEEPEST = 60  # levels that are drawn
BAD = ("missing", "wrong-architecture", "corrupt", "blocked")
MARKS = {
    "missing": "MISSING",
    "wrong-architecture": "WRONG ARCHITECTURE",
    "corrupt": "DAMAGED",
    "blocked": "CANNOT BE READ",
    "api-set": "NOT KNOWN",
}
_KINDS = {"delay": "delay-loaded", "forward": "forwarded to"}


class Need(NamedTuple):
    """A module, and the edges by which another one needs it."""

    module: Module
    edges: list[Edge]

    @property
    def written(self) -> str:
        """The module's name, and through how many API sets it is meant."""
        sets = sum(is_api_set(edge.name) for edge in self.edges)
        if sets and not is_api_set(self.module.name):
            return f"{self.module.name} (for {sets} API set{'s' if sets > 1 else ''})"
        return self.edges[0].name if self.edges and not is_api_set(self.edges[0].name) else self.module.name

    @property
    def kind(self) -> str:
        """What is special about the edges, if it is true of all of them."""
        kinds = {edge.kind for edge in self.edges}
        return _KINDS.get(kinds.pop(), "") if len(kinds) == 1 else ""

    @property
    def lacking(self) -> list[str]:
        """Functions that are asked for and are not there."""
        return [name for edge in self.edges for name in edge.unresolved]


class Below(NamedTuple):
    """What one module needs: in lines of their own, and what is folded."""

    own: list[Need]
    elsewhere: list[Need]  # unfolded at another module
    windows: list[Need]


class Outline:
    """The tree of one result, asked for from the top down. `everything` unfolds the DLLs of Windows, too."""

    def __init__(self, result: Result, *, everything: bool = False) -> None:
        self.graph = result.graph
        self.everything = everything
        self._edges: defaultdict[int, list[Edge]] = defaultdict(list)
        for edge in self.graph.edges:
            if edge.importer != edge.imported:
                self._edges[edge.importer].append(edge)
        self._blamed = {finding.module.lower() for finding in result.findings if finding.severity == "error"}
        self.faults = self._faults()
        self.failing = self._failing()
        self._shown: set[int] = set()

    def is_blamed(self, module: Module) -> bool:
        """Whether an error is about it."""
        return module.name.lower() in self._blamed

    def below(self, module: Module) -> Below:
        """What a module needs. Asking for it unfolds the module."""
        self._shown.add(module.id)
        needed: defaultdict[int, list[Edge]] = defaultdict(list)
        for edge in self._edges[module.id]:
            needed[edge.imported].append(edge)
        found = Below([], [], [])
        for one in sorted((self.graph.modules[key] for key in needed), key=self._rank):
            folds = not self.everything and one.id not in self.failing
            if folds and one.status == "system":
                place = found.windows
            elif folds and module.depth > 0 and not self.unfolds(one, module):
                place = found.elsewhere
            else:
                place = found.own
            place.append(Need(one, needed[one.id]))
        return found

    def unfolds(self, module: Module, importer: Module) -> bool:
        """Whether what a module needs is shown at this importer."""
        return module.id not in self._shown and module.depth == importer.depth + 1

    def place(self, module: Module) -> str:
        """Where a module lies, as seen from the file that was asked about; empty if it is nowhere."""
        home, directory = folder(self.graph.root.path or ""), folder(module.path or "")
        if not directory:
            return ""
        if directory == home:
            return "beside it"
        return (
            f"in {directory[len(home) + 1 :]}"
            if home and directory.startswith((f"{home}/", f"{home}\\"))
            else directory
        )

    def style(self, need: Need) -> str:
        """Of a line: bad, warn or empty."""
        module = need.module
        if module.delayed:
            return "warn" if module.status in BAD else ""
        return "bad" if module.status in BAD or need.lacking or self.is_blamed(module) else ""

    def _faults(self) -> set[int]:
        """Modules that are at fault themselves."""
        faults = {module.id for module in self.graph.modules if module.status in BAD or self.is_blamed(module)}
        return faults | {edge.imported for edge in self.graph.edges if edge.unresolved and edge.kind != "delay"}

    def _failing(self) -> set[int]:
        """Modules that are at fault, and those that do not load because of them."""
        importers = defaultdict(set)
        for edge in self.graph.edges:
            importers[edge.imported].add(edge.importer)
        failing = {key for key in self.faults if not self.graph.modules[key].delayed}
        pending = list(failing)
        while pending:
            above = importers[pending.pop()] - failing
            failing |= above
            pending += above
        return failing | self.faults

    def number_below(self, module: Module) -> int:
        """How many modules it brings, directly or through others, those of Windows not counted."""
        reached, pending = {module.id}, [module.id]
        while pending:
            needed = {edge.imported for edge in self._edges[pending.pop()]} - reached
            reached |= needed
            pending += needed
        return sum(self.graph.modules[key].status != "system" for key in reached) - 1

    def _rank(self, module: Module) -> tuple[bool, bool, bool]:
        return module.id not in self.failing, module.status not in BAD, module.delayed


def folder(path: str) -> str:
    """The directory of a path of this system or of Windows."""
    return path[: max(path.rfind("/"), path.rfind("\\"), 0)]
