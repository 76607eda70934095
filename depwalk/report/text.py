"""The text report: the answer first, then each cause and what to do, then the tree, then notes.

`render` makes lines of styled words; who prints them decides about colour.
"""

from __future__ import annotations

import textwrap
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from depwalk.target.api_sets import is_api_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from depwalk.diagnosis import Finding
    from depwalk.graph import Edge, Module
    from depwalk.result import Result


class Line(NamedTuple):
    """One line of output. `style` is bad, warn, good, head or empty."""

    text: str
    style: str = ""


@dataclass(frozen=True)
class Glyphs:
    """What the tree is drawn with."""

    branch: str
    last: str
    bar: str
    space: str


ASCII = Glyphs("+-- ", "`-- ", "|   ", "    ")
UNICODE = Glyphs("├── ", "└── ", "│   ", "    ")

_BAD = ("missing", "wrong-architecture", "corrupt", "blocked")
_MARKS = {
    "missing": "MISSING",
    "wrong-architecture": "WRONG ARCHITECTURE",
    "corrupt": "DAMAGED",
    "blocked": "CANNOT BE READ",
    "api-set": "NOT KNOWN",
}
_VERDICTS = {"loads": ("loads", "good"), "fails": ("does NOT load", "bad"), "unknown": ("may or may not load", "warn")}
_LABELS = {"error": "ERROR", "warning": "WARNING", "note": "NOTE"}
_STYLES = {"error": "bad", "warning": "warn", "note": ""}


def render(
    result: Result, *, width: int = 80, glyphs: Glyphs = ASCII, everything: bool = False, verbose: bool = False
) -> list[Line]:
    """The whole report in lines of at most `width` columns, except for paths and commands, which stay whole."""
    lines = [*verdict(result, width)]
    for finding in result.findings:
        if finding.severity == "error":
            lines += [Line(""), *_finding(finding, width, verbose=verbose)]
    lines += [
        Line(""),
        Line("Dependencies", "head"),
        *_Tree(result, width, glyphs, everything=everything, verbose=verbose).lines(),
    ]
    for finding in result.findings:
        if finding.severity != "error":
            lines += [Line(""), *_finding(finding, width, verbose=verbose)]
    return [*lines, Line(""), *_wrap(_summary(result), width)]


def verdict(result: Result, width: int = 80) -> Iterator[Line]:
    """The answer, and who says so."""
    words, style = _VERDICTS[result.verdict]
    errors = [finding for finding in result.findings if finding.severity == "error"]
    reason = f": {_headline(errors[0])}" if errors else ""
    yield from _wrap(f"{result.name} {words}{reason}", width, style=style)
    yield from _wrap(_basis(result), width)


def _headline(finding: Finding) -> str:
    words = {
        "missing-dll": "is missing",
        "missing-msvc-runtime": "is missing",
        "missing-python-dll": "is missing",
        "missing-windows-feature": "is missing",
        "not-searched": "is not searched for where it is",
        "wrong-architecture": "has the wrong architecture",
        "corrupt-file": "is damaged",
        "missing-export": "lacks a function",
        "access-denied": "cannot be read",
        "wrong-python": "belongs to another Python",
        "shadowed": "is found in the wrong place",
        "already-loaded": "is in the process in another version",
        "side-by-side": "asks for an assembly that is not installed",
        "windows-too-old": "is not that of a newer Windows",
    }
    if finding.code in words:
        return f"{finding.module} {words[finding.code]}"
    return finding.code.replace("-", " ")


def _basis(result: Result) -> str:
    where = result.target.windows.label
    process = result.target.python.label if result.target.python else f"a {result.target.architecture} process"
    if result.load is None:
        return f"Predicted from the files alone, for {process} on {where}; the file was not loaded."
    if result.load.timed_out:
        answer = "it did not answer in time"
    elif result.load.code is None:
        answer = f"the process ended with 0x{result.load.exit_code or 0:08X}"
    elif result.load.loaded:
        answer = f"it loaded the file in {result.load.elapsed_ms:.0f} ms"
    else:
        answer = f"code {result.load.code}" + (f" ({result.load.status})" if result.load.status else "")
    return f"Asked the loader of {where}, for {process}: {answer}."


def _finding(finding: Finding, width: int, *, verbose: bool) -> Iterator[Line]:
    yield Line(f"{_LABELS[finding.severity]} {finding.code}", _STYLES[finding.severity])
    yield from _wrap(finding.message, width, "  ")
    for fact in finding.evidence:
        yield from _wrap(fact, width, "  - ", "    ")
    if finding.proof != "static" or verbose:
        yield Line(f"  - proof: {finding.proof}")
    if finding.remedy is not None:
        yield from _wrap(f"What to do: {finding.remedy.text}", width, "  ", "    ")
        for whole in (finding.remedy.command, finding.remedy.url):
            if whole:
                yield Line(f"      {whole}", "head")


def _wrap(text: str, width: int, first: str = "", rest: str | None = None, style: str = "") -> Iterator[Line]:
    indent = first if rest is None else rest
    wrapped = textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    yield from (Line(line, style) for line in wrapped or [first.rstrip()])


def _summary(result: Result) -> str:
    counts: defaultdict[str, int] = defaultdict(int)
    for module in result.graph.modules:
        counts[module.status] += 1
    named = len({edge.name.lower() for edge in result.graph.needs(result.graph.root)})
    parts = [f"{counts[status]} {_COUNTED[status]}" for status in _COUNTED if counts[status]]
    return f"{result.name} imports from {named} DLL names. Modules: {', '.join(parts)}. {result.elapsed_ms:.0f} ms."


_COUNTED = {
    "found": "found",
    "system": "of Windows",
    "missing": "missing",
    "wrong-architecture": "of the wrong architecture",
    "corrupt": "damaged",
    "blocked": "unreadable",
    "api-set": "not known",
}


class _Tree:
    """The graph as a tree: a module's own needs are shown where it comes first, failing ones before all others."""

    def __init__(self, result: Result, width: int, glyphs: Glyphs, *, everything: bool, verbose: bool) -> None:
        self.graph = result.graph
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

    def _failing(self) -> set[int]:
        """Modules that are at fault, and those through which they are needed."""
        failing = {module.id for module in self.graph.modules if module.status in _BAD or self._is_blamed(module)}
        failing |= {edge.imported for edge in self.graph.edges if edge.unresolved and edge.kind != "delay"}
        while True:
            above = {edge.importer for edge in self.graph.edges if edge.imported in failing} - failing
            if not above:
                return failing
            failing |= above

    def _is_blamed(self, module: Module) -> bool:
        return module.name.lower() in self.blamed

    def lines(self) -> Iterator[Line]:
        root = self.graph.root
        yield Line(f"{root.name}{self._facts(root)}", "bad" if root.status in _BAD else "")
        yield from self._below(root, "")

    def _below(self, module: Module, prefix: str) -> Iterator[Line]:
        self.shown.add(module.id)
        rows = list(self._rows(module))
        for index, (text, style, child) in enumerate(rows):
            last = index == len(rows) - 1
            start = prefix + (self.glyphs.last if last else self.glyphs.branch)
            below = prefix + (self.glyphs.space if last else self.glyphs.bar)
            yield from (
                _wrap(text, self.width, start, below + "  ", style) if child is None else [Line(start + text, style)]
            )
            if child is not None and child.id not in self.shown:
                yield from self._below(child, below)

    def _rows(self, module: Module) -> Iterator[tuple[str, str, Module | None]]:
        """(text, style, module to unfold below it) for each thing a module needs."""
        by_module: defaultdict[int, list[Edge]] = defaultdict(list)
        for edge in self.edges[module.id]:
            by_module[edge.imported].append(edge)
        found = [self.graph.modules[identifier] for identifier in by_module]
        folded = (
            [] if self.everything else [one for one in found if one.status == "system" and one.id not in self.failing]
        )
        for one in sorted(found, key=lambda one: (one.id not in self.failing, one.status not in _BAD, one.delayed)):
            if one not in folded:
                lacking = any(edge.unresolved for edge in by_module[one.id])
                bad = one.status in _BAD or lacking or self._is_blamed(one)
                style = "" if not bad else "warn" if one.delayed else "bad"
                yield self._row(one, by_module[one.id]), style, one
        if folded:
            yield self._fold(folded, by_module), "", None

    def _row(self, module: Module, edges: list[Edge]) -> str:
        names = _written(module, edges)
        kinds = {edge.kind for edge in edges}
        kind = " (delay-loaded)" if kinds == {"delay"} else " (forwarded to)" if kinds == {"forward"} else ""
        lacking = [name for edge in edges for name in edge.unresolved]
        lacks = f"  LACKS {', '.join(lacking[:2])}{', ...' if len(lacking) > 2 else ''}" if lacking else ""
        blamed = "  AT FAULT" if self._is_blamed(module) and module.status == "found" and not lacks else ""
        return f"{names}{kind}{self._facts(module)}{lacks}{blamed}"

    def _facts(self, module: Module) -> str:
        if module.status in _MARKS:
            return f"  {_MARKS[module.status]}" + (f" ({module.reason})" if module.reason and self.verbose else "")
        if module.id == 0 or module.path is None:
            return f"  {module.image.architecture}" if module.image else ""
        rule = f" [{module.rule.name}]" if module.rule and self.verbose else ""
        return f"  {module.path}{rule}"

    def _fold(self, modules: Iterable[Module], by_module: dict[int, list[Edge]]) -> str:
        names = [_written(module, by_module[module.id]) for module in sorted(modules, key=lambda one: one.name.lower())]
        return f"{len(names)} of Windows: {', '.join(names)}"


def _written(module: Module, edges: list[Edge]) -> str:
    """The module's name, and through how many API sets it is meant."""
    sets = sum(is_api_set(edge.name) for edge in edges)
    if sets and not is_api_set(module.name):
        return f"{module.name} (for {sets} API set{'s' if sets > 1 else ''})"
    return edges[0].name if edges and not is_api_set(edges[0].name) else module.name
