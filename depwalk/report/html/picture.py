"""The picture of a tree: a column for each depth, and the way to what fails as a straight line.

Every module hangs at one other, so that no lines cross. What leads to nothing that fails is folded where it is much.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from depwalk.report.html.elements import joined, tag
from depwalk.report.lines import shown
from depwalk.report.outline import MARKS
from depwalk.report.ways import END, MOST_WAYS, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from depwalk.graph import Module
    from depwalk.report.html.elements import Html
    from depwalk.report.outline import Outline
    from depwalk.report.ways import Ways

MOST = 40  # modules that are drawn besides the ways to what fails
_WIDEST = 34  # characters of a label
_HEIGHT, _PITCH, _GAP, _MARGIN = 42, 54, 40, 8
_LETTER, _PADDING = 7.4, 24  # how wide a character, and what is beside the text of a box


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
    """The picture of one result."""

    def __init__(self, outline: Outline, ways: Ways) -> None:
        self.graph = outline.graph
        self.outline = outline
        self.modules = outline.graph.modules
        self.ways = ways
        self.parents = ways.parents
        self.lines: dict[int, str] = {}  # module -> style of the line to it
        self.between: set[int] = set()  # modules in the middle of a long way
        self.hung: dict[int, tuple[int, int]] = {}  # module -> at which it hangs, and how many are left out between
        for chain in ways.chains[:MOST_WAYS]:
            self._hang_chain(chain)
        self._hang_others()

    def svg(self, identifier: str) -> Html:
        """The picture. Whoever cannot see it is told the ways."""
        boxes = list(self._boxes())
        widths: defaultdict[int, float] = defaultdict(float)
        for box in boxes:
            wide = max(_width(box.label), _width(box.told) * 0.86)
            widths[box.column] = max(widths[box.column], wide * _LETTER + _PADDING)
        starts = {0: float(_MARGIN)}
        for column in range(max(widths) + 1):
            starts[column + 1] = starts[column] + widths[column] + _GAP
        width = round(starts[max(widths) + 1] - _GAP + _MARGIN)
        height = (max(box.row for box in boxes) + 1) * _PITCH - (_PITCH - _HEIGHT) + 2 * _MARGIN
        lines = sorted(
            ((below.way, _line(box, below, starts, widths)) for box in boxes for below in box.below),
            key=lambda line: line[0] != "",  # the ways over the others
        )
        return tag(
            "svg",
            tag("title", f"What {self.graph.root.name} needs", id=f"{identifier}-title"),
            tag("desc", self.ways.told() or "Nothing in it fails.", id=f"{identifier}-desc"),
            *(drawn for _, drawn in lines),
            *(_drawn(box, starts[box.column], widths[box.column]) for box in boxes),
            role="img",
            aria_labelledby=f"{identifier}-title {identifier}-desc",
            viewBox=f"0 0 {width} {height}",
            width=width,
            height=height,
        )

    # ---- what hangs at what

    def _hang_chain(self, chain: list[int]) -> None:
        style = self._style(chain[-1])
        drawn, left_out = shortened(chain)
        for index, (above, module) in enumerate(zip(drawn, drawn[1:]), 1):
            if module not in self.hung:
                self.hung[module] = above, left_out if index == END else 0
                self.lines[module] = style
        self.between |= set(chain[END:-END]) if left_out else set()

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
            ordered = sorted(below[module], key=lambda key: key not in self.lines and 1 + (not below[key]))
            for key in ordered:  # the ways first, the worst of them as a straight line
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
            root.below.append(_Box(f"{windows:,} of Windows", "needed here or deeper", "fold"))
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
        return f"{faults:,} of them at fault" if faults else "none of them at fault"

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
        return self.outline.place(module)


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
    on_way = f"on-way {box.way}" if box.way and box.style in ("", "fold") else ""
    return tag("g", *parts, transform=place, class_=" ".join(filter(None, ("box", box.style, on_way))))


def _width(text: str) -> int:
    """In columns of a fixed-width font; letters of East Asia take two."""
    return sum(1 + (unicodedata.east_asian_width(letter) in "WF") for letter in _short(text))


def _short(text: str) -> str:
    """With the middle left out, if it is long."""
    plain = shown(text)
    return plain if len(plain) <= _WIDEST else f"{plain[: _WIDEST - 15]}…{plain[-14:]}"
