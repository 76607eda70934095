"""The dependency tree of the text report."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from depwalk.report.lines import Line, shown, wrap
from depwalk.report.outline import BAD, DEEPEST, MARKS, Need, Outline

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.graph import Module
    from depwalk.result import Result


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
        self.outline = Outline(result, everything=everything)
        self.root = result.graph.root
        self.home = os.path.dirname(self.root.path or "")
        self.width = width
        self.glyphs = glyphs
        self.verbose = verbose

    def lines(self) -> Iterator[Line]:
        """The tree, from the file that was asked about down."""
        root = self.root
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
            if row.module is not None and self.outline.unfolds(row.module, module):
                yield from self._below(row.module, below)

    def _rows(self, module: Module) -> list[_Row]:
        found = self.outline.below(module)
        rows = [_Row(self._text(need), self.outline.style(need), need.module) for need in found.own]
        windows = f"{len(found.windows)} of Windows: "
        return rows + _folded("shown elsewhere: ", found.elsewhere) + _folded(windows, found.windows)

    def _text(self, need: Need) -> str:
        module = need.module
        kind = f" ({need.kind})" if need.kind else ""
        lacking = need.lacking
        lacks = f"  LACKS {', '.join(lacking[:2])}{', ...' if len(lacking) > 2 else ''}" if lacking else ""
        blamed = "  AT FAULT" if self.outline.is_blamed(module) and module.status == "found" and not lacks else ""
        return f"{need.written}{kind}{self._facts(module)}{lacks}{blamed}"

    def _facts(self, module: Module) -> str:
        rule = f" [{module.rule.name}]" if module.rule and self.verbose else ""
        if module.status in MARKS:
            return f"  {MARKS[module.status]}" + (f" ({module.reason})" if module.reason and self.verbose else "")
        if module.id == 0:
            return f"  {module.image.architecture}" if module.image else ""
        directory = os.path.dirname(module.path or "")
        where = "beside it" if directory == self.home and not self.verbose else module.path
        return f"  {where}{rule}"


def _folded(label: str, needs: Sequence[Need]) -> list[_Row]:
    names = sorted((need.written for need in needs), key=str.lower)
    return [_Row(label + ", ".join(names), "", None)] if names else []
