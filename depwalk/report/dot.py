"""The graph of what a file needs, for Graphviz."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from depwalk import __version__
from depwalk.report.lines import shown

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.graph import Edge, Module
    from depwalk.result import Result

_AT_FAULT = ("missing", "wrong-architecture", "corrupt", "blocked")
_FEW = 3  # names of functions at an edge
_LISTED = 30  # names of DLLs in a tooltip
_HEAD = f"""\
// What DLLs need each other, as depwalk {__version__} found it. To see it:  dot -Tsvg FILE -o graph.svg
// Red and bold: what keeps the file from loading, and the way to it. Dashed: delay-loaded. Grey: DLLs of Windows.
"""


def render(results: Sequence[Result], *, everything: bool = False) -> str:
    """One graph with a cluster for each result. `everything` draws every DLL of Windows, and not their number."""
    lines = [_HEAD, "digraph depwalk {"]
    lines += ["  rankdir=LR;", "  fontname=Helvetica;", "  node [shape=box, fontname=Helvetica];"]
    lines += ["  edge [fontname=Helvetica];"]
    for number, result in enumerate(results):
        lines += _Cluster(number, result, everything=everything).lines()
    return "\n".join([*lines, "}", ""])


class _Cluster:
    """One result. Names of nodes are numbers: what a file is called is only ever a label."""

    def __init__(self, number: int, result: Result, *, everything: bool) -> None:
        self.number = number
        self.result = result
        self.graph = result.graph
        self.needs: defaultdict[int, dict[int, list[Edge]]] = defaultdict(dict)
        for edge in self.graph.edges:
            if edge.importer != edge.imported:
                self.needs[edge.importer].setdefault(edge.imported, []).append(edge)
        self.blamed = {finding.module.lower() for finding in result.findings if finding.severity == "error"}
        self.failing = self._failing() if result.verdict == "fails" else set()
        self.folded = set() if everything else self._folded()

    def lines(self) -> Iterator[str]:
        """The statements."""
        yield f"  subgraph cluster_{self.number} {{"
        yield f"    label={_quoted(f'{self.result.name}: {_VERDICTS[self.result.verdict]}')};"
        for module in self.graph.modules:
            if module.id not in self.folded:
                yield f"    {self._name(module.id)} [{self._module(module)}];"
        for importer, needed in self.needs.items():
            if importer not in self.folded:
                yield from self._edges(importer, needed)
        yield "  }"

    def _failing(self) -> set[int]:
        """Modules at fault, and those that need them at their load."""
        failing = {module.id for module in self.graph.modules if module.status in _AT_FAULT and not module.delayed}
        failing |= {module.id for module in self.graph.modules if module.name.lower() in self.blamed}
        importers = defaultdict(set)
        for edge in self.graph.edges:
            if edge.kind != "delay":
                importers[edge.imported].add(edge.importer)
                if edge.unresolved:
                    failing.add(edge.imported)
        pending = [*failing]
        while pending:
            above = importers[pending.pop()] - failing
            failing |= above
            pending += above
        return failing

    def _folded(self) -> set[int]:
        """DLLs of Windows, of which only a number is drawn."""
        return {
            module.id
            for module in self.graph.modules[1:]
            if module.status == "system" and module.id not in self.failing
        }

    def _name(self, module: int) -> str:
        return f"m{self.number}_{module}"

    def _module(self, module: Module) -> str:
        image = module.image
        version = ".".join(map(str, image.version)) if image and image.version else ""
        said = "at fault" if module.id in self.failing and module.name.lower() in self.blamed else ""
        if module.status in (*_AT_FAULT, "api-set"):
            said = module.status
        label = _quoted(module.name, *filter(None, (said, version)))
        style = 'color="red", penwidth=2' if module.id in self.failing else ""
        if not style and module.status in _AT_FAULT:
            style = 'color="darkorange"'
        elif not style and module.status == "system":
            style = 'color="grey", fontcolor="grey"'
        tooltip = f"tooltip={_quoted(module.path or module.name)}"
        return ", ".join(filter(None, (f"label={label}", style, tooltip)))

    def _edges(self, importer: int, needed: dict[int, list[Edge]]) -> Iterator[str]:
        folded = []
        for imported, edges in needed.items():
            if imported in self.folded:
                folded.append((self.graph.modules[imported].name, edges))
            else:
                yield f"    {self._name(importer)} -> {self._name(imported)}{self._edge(importer, imported, edges)};"
        if folded:
            names = sorted((name for name, _ in folded), key=str.lower)
            node = f"{self._name(importer)}_windows"
            more = [f"and {len(names) - _LISTED} more"] if len(names) > _LISTED else []
            tooltip = _quoted(*names[:_LISTED], *more)
            yield f'    {node} [label="{len(names)} of Windows", color="grey", fontcolor="grey", tooltip={tooltip}];'
            late = all(edge.kind == "delay" for _, edges in folded for edge in edges)
            yield f'    {self._name(importer)} -> {node} [color="grey"{", style=dashed" if late else ""}];'

    def _edge(self, importer: int, imported: int, edges: list[Edge]) -> str:
        kinds = {edge.kind for edge in edges}
        late = kinds == {"delay"}
        facts = []
        if importer in self.failing and imported in self.failing and not late:
            facts.append('color="red", penwidth=2, style=bold')
        elif late:
            facts.append("style=dashed")
        lacking = [name for edge in edges for name in edge.unresolved]
        if lacking:
            names = ", ".join(lacking[:_FEW]) + (", ..." if len(lacking) > _FEW else "")
            facts.append(f"label={_quoted(f'lacks {names}')}")
        elif kinds == {"forward"}:
            facts.append('label="forwards"')
        return f" [{', '.join(facts)}]" if facts else ""


_VERDICTS = {"loads": "loads", "fails": "does NOT load", "unknown": "may or may not load"}


def _quoted(*lines: str) -> str:
    """A string whose text is taken as it is, in lines: Graphviz knows escapes in it, and entities as HTML has them."""
    whole = (shown(line).replace("\\", "\\\\").replace('"', '\\"').replace("&", "&amp;") for line in lines)
    return '"' + "\\n".join(whole) + '"'
