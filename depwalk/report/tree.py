"""The dependency tree of the text report.

What is at fault, and the way to it, comes first and is unfolded. Of the rest, what the file itself needs has a line
each, and the others are counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from depwalk.report.lines import Line, shown, wrap
from depwalk.report.outline import BAD, DEEPEST, MARKS, Need, Outline
from depwalk.report.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.graph import Module
    from depwalk.result import Result


class Glyphs(NamedTuple):
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
        self.outline = Outline(result, everything=everything)
        self.ways = Ways(result, self.outline).drawn
        self.graph = result.graph
        self.width = width
        self.glyphs = glyphs
        self.everything = everything
        self.verbose = verbose

    def lines(self) -> Iterator[Line]:
        """The tree, from the file that was asked about down."""
        root = self.graph.root
        yield Line(shown(f"{root.name}{self._facts(root)}"), "bad" if root.status in BAD else "")
        yield from self._below(root, "")

    def _below(self, module: Module, prefix: str) -> Iterator[Line]:
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
        return (self.everything or module.id in self.ways) and self.outline.unfolds(module, importer)

    def _rows(self, module: Module) -> list[_Row]:
        below = self.outline.below(module)
        rows, found = [], []
        for need in sorted((*below.own, *below.elsewhere), key=self._rank):
            key = need.module.id
            if self.everything or module.depth == 0 or key in self.ways or key in self.outline.failing:
                why = self._why(need.module) if self.verbose else ""
                rows.append(_Row(self._text(need), self.outline.style(need), need.module, why))
            else:
                found.append(need)
        windows = f"{len(below.windows)} of Windows: "
        return rows + _folded(f"{len(found)} found: ", found) + _folded(windows, below.windows)

    def _rank(self, need: Need) -> tuple[bool, bool]:
        return need.module.id not in self.ways, need.module.delayed

    def _text(self, need: Need) -> str:
        module = need.module
        kind = f" ({need.kind})" if need.kind else ""
        lacking = need.lacking
        lacks = f"  LACKS {', '.join(lacking[:2])}{', ...' if len(lacking) > 2 else ''}" if lacking else ""
        blamed = "  AT FAULT" if self.outline.is_blamed(module) and module.status == "found" and not lacks else ""
        return f"{need.written}{kind}{self._facts(module)}{lacks}{blamed}{self._more(module)}"

    def _more(self, module: Module) -> str:
        """What is not drawn below a module."""
        if self.everything or module.id in self.ways or module.status != "found":
            return ""
        if module.id in self.outline.failing:
            return "  (needs it, too)"
        number = self.outline.number_below(module)
        return f"  (+{number} below it)" if number else ""

    def _facts(self, module: Module) -> str:
        if module.status in MARKS:
            return f"  {MARKS[module.status]}" + (f" ({module.reason})" if module.reason and self.verbose else "")
        if module.id == 0:
            return f"  {module.image.architecture}" if module.image else ""
        path, place = module.path or "", self.outline.place(module)
        return f"  {path if self.verbose or path.startswith(place) else place}"

    def _why(self, module: Module) -> str:
        """Which rule found it, and where the search had been before."""
        before = "; ".join(
            f"{tried.rule.directory.path} ({tried.reason})" for tried in module.tried if tried.rule.directory
        )
        if module.rule is None:
            return f"looked for in: {before}" if before else ""
        return f"found by: {module.rule.name}" + (f"; tried before: {before}" if before else "")


def _folded(label: str, needs: Sequence[Need]) -> list[_Row]:
    names = sorted((need.written for need in needs), key=str.lower)
    return [_Row(label + ", ".join(names), "", None)] if names else []
