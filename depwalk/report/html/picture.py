"""The picture of a tree: a column for each depth, and the way to what fails as a straight line.

Every module hangs at one other, so that no lines cross. What leads to nothing that fails is folded where it is much.
"""

from __future__ import annotations

import os
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from depwalk.report.html.elements import Html, joined, tag
from depwalk.report.lines import shown
from depwalk.report.outline import MARKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from depwalk.graph import Edge, Module
    from depwalk.report.outline import Outline
    from depwalk.result import Result

MOST = 40  # modules that are drawn besides the ways to what fails
_WAYS = 8  # of these
_LONGEST, _END = 9, 4  # modules of one way; of a longer one, those at both ends
_WIDEST = 34  # characters of a label
_HEIGHT, _PITCH, _GAP, _MARGIN = 42, 54, 40, 8
_LETTER, _PADDING = 7.4, 24  # how wide a character, and what is beside the text of a box

_STATES = {
    "missing": "is missing",
    "wrong-architecture": "has the wrong architecture",
    "corrupt": "is damaged",
    "blocked": "cannot be read",
    "api-set": "is not known",
}


@dataclass
class _Box:
    """Something that is drawn; `style` is bad, warn, fold or empty."""

    label: str
    told: str
    style: str = ""
    way: str = ""  # the style of the line to it
    dashed: bool = False
    below: list[_Box] = field(default_factory=list)
    column: int = 0
    row: int = 0


class Picture:
    """The picture of one result. `ways` tells each way to what fails in words, the worst first."""

    def __init__(self, result: Result, outline: Outline) -> None:
        self.graph = result.graph
        self.outline = outline
        self.modules = result.graph.modules
        self.home = os.path.dirname(result.graph.root.path or "")
        self.parents = self._parents()
        self.faults = self._ordered_faults(result)
        self._hang_faults(result)
        self.lines: dict[int, str] = {}  # module -> style of the line to it
        self.between: set[int] = set()  # modules in the middle of a long way
        self.hung: dict[int, tuple[int, int]] = {}  # module -> at which it hangs, and how many are left out between
        chains = [self._chain(fault) for fault in self.faults]
        self.ways = [self._words(chain) for chain in chains]
        for chain in chains[:_WAYS]:
            self._hang_chain(chain)
        self._hang_others()

    def svg(self, identifier: str) -> Html:
        """The picture. Whoever cannot see it is told the ways."""
        boxes = list(self._boxes())
        widths = defaultdict(float)
        for box in boxes:
            wide = max(_width(box.label), _width(box.told) * 0.86)
            widths[box.column] = max(widths[box.column], wide * _LETTER + _PADDING)
        starts = {0: float(_MARGIN)}
        for column in range(max(widths) + 1):
            starts[column + 1] = starts[column] + widths[column] + _GAP
        width = round(starts[max(widths) + 1] - _GAP + _MARGIN)
        height = (max(box.row for box in boxes) + 1) * _PITCH - (_PITCH - _HEIGHT) + 2 * _MARGIN
        lines = sorted(
            ((box.way, _line(box, below, starts, widths)) for box in boxes for below in box.below),
            key=lambda line: line[0],
        )
        return tag(
            "svg",
            tag("title", f"What {self.graph.root.name} needs", id=f"{identifier}-title"),
            tag("desc", " ".join(self.ways[:_WAYS]) or "Nothing in it fails.", id=f"{identifier}-desc"),
            *(drawn for _, drawn in lines),
            *(_drawn(box, starts[box.column], widths[box.column]) for box in boxes),
            role="img",
            aria_labelledby=f"{identifier}-title {identifier}-desc",
            viewBox=f"0 0 {width} {height}",
            width=width,
            height=height,
        )

    # ---- what hangs at what

    def _parents(self) -> dict[int, Edge]:
        """The edge by which each module is met first."""
        parents: dict[int, Edge] = {}
        for edge in self.graph.edges:
            if self.modules[edge.importer].depth == self.modules[edge.imported].depth - 1:
                parents.setdefault(edge.imported, edge)
        return parents

    def _ordered_faults(self, result: Result) -> list[int]:
        told = {finding.module.lower(): index for index, finding in reversed(list(enumerate(result.findings)))}
        last = len(result.findings)
        faults = [fault for fault in self.outline.faults if fault == 0 or fault in self.parents]
        return sorted(faults, key=lambda key: (told.get(self.modules[key].name.lower(), last), key))

    def _hang_faults(self, result: Result) -> None:
        """What is at fault hangs at the module that a finding names, or that asks for what is not there."""
        named = {(found.module.lower(), found.needed_by.lower()) for found in result.findings}
        for fault in self.faults:
            name = self.modules[fault].name.lower()
            for edge in self.graph.needed_by(self.modules[fault]):
                asks = bool(edge.unresolved) and edge.kind != "delay"
                if (asks or (name, self.modules[edge.importer].name.lower()) in named) and not self._is_above(
                    fault, edge.importer
                ):
                    self.parents[fault] = edge
                    break

    def _is_above(self, module: int, other: int) -> bool:
        """Whether one hangs at the other, or is it."""
        while other != module and other in self.parents:
            other = self.parents[other].importer
        return other == module

    def _chain(self, module: int) -> list[int]:
        chain = [module]
        while chain[-1] in self.parents and chain[-1] != 0:
            chain.append(self.parents[chain[-1]].importer)
        return chain[::-1]

    def _hang_chain(self, chain: list[int]) -> None:
        style = self._style(chain[-1])
        drawn = [*chain[:_END], *chain[-_END:]] if len(chain) > _LONGEST else chain
        left_out = len(chain) - len(drawn)
        for index, (above, module) in enumerate(zip(drawn, drawn[1:]), 1):
            if module not in self.hung:
                self.hung[module] = above, left_out if index == _END else 0
                self.lines[module] = style
        self.between |= set(chain[_END:-_END]) if left_out else set()

    def _hang_others(self) -> None:
        """Level by level, as long as a whole one has room."""
        levels: defaultdict[int, list[int]] = defaultdict(list)
        for module in self.modules[1:]:
            if module.status != "system" and module.id in self.parents and module.id not in self.hung:
                levels[module.depth].append(module.id)
        room = MOST
        for depth in sorted(levels):
            level = [key for key in levels[depth] if self._is_drawn(self.parents[key].importer)]
            room -= len(level)
            if room < 0:
                break
            self.hung.update((key, (self.parents[key].importer, 0)) for key in level if key not in self.between)

    def _is_drawn(self, module: int) -> bool:
        return module == 0 or module in self.hung

    # ---- boxes

    def _boxes(self) -> Iterator[_Box]:
        """From left to right; each line of boxes that begins anew has a row of its own."""
        below: defaultdict[int, list[int]] = defaultdict(list)
        for module, (above, _) in self.hung.items():
            below[above].append(module)
        folded = self._folded()
        rows = 0

        def place(box: _Box, column: int) -> Iterator[_Box]:
            nonlocal rows
            box.column, box.row = column, rows
            yield box
            for index, next_box in enumerate(box.below):
                rows += index > 0
                yield from place(next_box, column + 1)

        def box_of(module: int) -> _Box:
            box = self._box(self.modules[module])
            ordered = sorted(below[module], key=lambda key: (key not in self.lines, not below[key]))
            for key in ordered:
                next_box = box_of(key)
                next_box.way = self.lines.get(key, "")
                next_box.dashed = self.parents[key].kind == "delay"
                left_out = self.hung[key][1]
                if left_out:
                    way = next_box.way
                    next_box = _Box(f"{left_out:,} modules", "between", "fold", way, below=[next_box])
                box.below.append(next_box)
            if folded[module]:
                box.below.append(_Box(f"{folded[module]:,} more", self._told_of_folded(module), "fold"))
            return box

        root = box_of(0)
        windows = sum(module.status == "system" and module.id not in self.hung for module in self.modules)
        if windows:
            root.below.append(_Box(f"{windows:,} of Windows", "needed here or below", "fold"))
        yield from place(root, 0)

    def _folded(self) -> Counter[int]:
        """How many modules that are not drawn hang at each that is, or below it."""
        found: Counter[int] = Counter()
        self.faults_folded: Counter[int] = Counter()
        for module in self.modules[1:]:
            key = module.id
            if module.status == "system" or self._is_drawn(key) or key in self.between or key not in self.parents:
                continue
            while not self._is_drawn(key) and key in self.parents:
                key = self.parents[key].importer
            found[key] += 1
            self.faults_folded[key] += module.id in self.outline.faults
        return found

    def _told_of_folded(self, module: int) -> str:
        faults = self.faults_folded[module]
        return f"{faults:,} of them at fault" if faults else "nothing in them fails"

    def _style(self, module: int) -> str:
        if module not in self.outline.faults:
            return ""
        return "warn" if self.modules[module].delayed else "bad"

    def _box(self, module: Module) -> _Box:
        return _Box(module.name, self._told(module), self._style(module.id))

    def _told(self, module: Module) -> str:
        if module.status in MARKS:
            return MARKS[module.status]
        if module.id in self.outline.faults:
            lacking = [name for edge in self.graph.needed_by(module) for name in edge.unresolved]
            return f"LACKS {lacking[0]}" if lacking else "AT FAULT"
        if module.id == 0:
            return module.image.architecture if module.image else ""
        directory = os.path.dirname(module.path or "")
        return "beside it" if directory == self.home else f"in {os.path.basename(directory)}" if directory else ""

    # ---- words

    def _words(self, chain: list[int]) -> str:
        """A way in a sentence."""
        fault = self.modules[chain[-1]]
        names = [self.modules[key].name for key in chain]
        lacks = any(edge.unresolved for edge in self.graph.needed_by(fault))
        state = _STATES.get(fault.status, "lacks a function" if lacks else "is at fault")
        if len(chain) == 1:
            return f"{names[0]} {state}."
        verbs = ["loads at a first call" if self.parents[key].kind == "delay" else "needs" for key in chain[1:]]
        parts = [f"{verb} {name}" for verb, name in zip(verbs, names[1:])]
        if len(parts) > _LONGEST:
            parts = [*parts[:_END], f"after {len(parts) - 2 * _END:,} more {parts[-_END]}", *parts[1 - _END :]]
        return f"{names[0]} {', which '.join(parts)}, which {state}."


def _line(above: _Box, below: _Box, starts: dict[int, float], widths: dict[int, float]) -> Html:
    begin = starts[above.column] + widths[above.column]
    end = starts[below.column]
    top, bottom = (_MARGIN + box.row * _PITCH + _HEIGHT / 2 for box in (above, below))
    bend = begin + _GAP / 2
    path = f"M{begin:g} {top:g}H{end:g}" if top == bottom else f"M{begin:g} {top:g}H{bend:g}V{bottom:g}H{end:g}"
    style = f"line {below.way}{' dashed' if below.dashed else ''}"
    return tag("path", d=path, class_=style)


def _drawn(box: _Box, left: float, width: float) -> Html:
    top = _MARGIN + box.row * _PITCH
    place = f"translate({left:g} {top})"
    parts = [
        tag("title", joined([box.label, ": ", box.told])),
        tag("rect", width=f"{width:g}", height=_HEIGHT, rx=6),
        tag("text", _short(box.label), x=12, y=18, class_="label"),
        tag("text", _short(box.told), x=12, y=33, class_="told"),
    ]
    return tag("g", *parts, transform=place, class_=f"box {box.style or box.way and 'on-way ' + box.way}".rstrip())


def _width(text: str) -> int:
    """In columns of a fixed-width font; letters of East Asia take two."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in _short(text))


def _short(text: str) -> str:
    """With the middle left out, if it is long."""
    plain = shown(text)
    return plain if len(plain) <= _WIDEST else f"{plain[: _WIDEST - 15]}…{plain[-14:]}"
