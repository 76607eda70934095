"""The tree of a page: it folds without a script, and what fails is unfolded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk.report.html.elements import badge, folded, joined, name, tag
from depwalk.report.outline import BAD, DEEPEST, MARKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence, Set

    from depwalk.graph import Module
    from depwalk.report.html.elements import Html
    from depwalk.report.outline import Need, Outline

MANY = 40  # modules at which nothing is at fault, below one


def nested(outline: Outline, ways: Set[int]) -> Html:
    """The tree from the file that was asked about down; `ways` are modules that are unfolded."""
    return _Nested(outline, ways).tree()


class _Nested:
    def __init__(self, outline: Outline, ways: Set[int]) -> None:
        self.outline = outline
        self.ways = ways

    def tree(self) -> Html:
        root = self.outline.graph.root
        line = [name(root.name), *_marks(self.outline, root, "bad" if root.status in BAD else "")]
        inner = tag("div", joined(line, " "), class_="line"), self._below(root)
        return tag("ul", tag("li", *inner, data_m=root.id), class_="tree")

    def _below(self, module: Module) -> Html:
        outline = self.outline
        found = outline.below(module)
        if any(found) and module.depth >= DEEPEST:
            return tag("ul", tag("li", "What is deeper stands in the list of modules only.", class_="fold"))
        failing, fine, elsewhere = [], [], found.elsewhere
        for need in sorted(found.own, key=lambda need: need.module.id not in self.ways):
            key = need.module.id
            if key not in outline.failing:
                fine.append(need)
            elif not module.depth or key in outline.faults or outline.unfolds(need.module, module):
                failing.append(need)
            else:
                elsewhere.append(need)
        items = [self._item(need, module) for need in failing]
        others = [self._item(need, module) for need in fine]
        if len(others) > MANY:
            others = [tag("li", folded(f"{len(others):,} more, in which nothing fails", tag("ul", *others)))]
        items += [
            *others,
            *self._names("shown elsewhere", elsewhere, module),
            *self._names("of Windows", found.windows, module),
        ]
        return tag("ul", *items) if items else joined([])

    def _item(self, need: Need, importer: Module) -> Html:
        module, outline = need.module, self.outline
        style = outline.style(need)
        line = joined([name(need.written), *_kind(need.kind), *_marks(outline, module, style, need.lacking)], " ")
        below = self._below(module) if outline.unfolds(module, importer) else ""
        if not below:
            return tag("li", tag("div", line, class_="line"), data_m=module.id)
        return tag("li", folded(line, below, is_open=module.id in self.ways), data_m=module.id)

    def _names(self, what: str, needs: Sequence[Need], importer: Module) -> Iterator[Html]:
        """Folded where the importer itself is unfolded: a fold in a fold hides nothing more."""
        if not needs:
            return
        names = name(", ".join(sorted((need.written for need in needs), key=str.lower)))
        count = f"{len(needs):,} {what}"
        is_seen = importer.id in self.ways or importer.id == 0
        inner = [folded(count, tag("p", names))] if is_seen else [f"{count}: ", names]
        yield tag("li", *inner, class_="fold")


def _kind(kind: str) -> Iterator[Html]:
    if kind:
        yield tag("small", kind)


def _marks(outline: Outline, module: Module, style: str, lacking: Sequence[str] = ()) -> Iterator[Html]:
    if module.status in MARKS:
        yield badge(MARKS[module.status].lower(), style or "warn")
    elif lacking:
        named = ", ".join(lacking[:2]) + (", ..." if len(lacking) > 2 else "")
        yield badge(f"lacks {named}", style or "warn")
    elif outline.is_blamed(module):
        yield badge("at fault", style or "bad")
    place = outline.place(module)
    if place and module.id:
        yield tag("small", place)
