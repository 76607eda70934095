"""The tree of a page: it folds without a script, and what fails is unfolded."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from depwalk.report.html.elements import badge, folded, joined, name, tag
from depwalk.report.outline import BAD, DEEPEST, MARKS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.graph import Module
    from depwalk.report.html.elements import Html
    from depwalk.report.outline import Need, Outline

MANY = 40  # modules at which nothing is at fault, below one


def nested(outline: Outline) -> Html:
    """The tree from the file that was asked about down."""
    root = outline.graph.root
    line = [name(root.name), *_marks(outline, root, "bad" if root.status in BAD else "")]
    below = _below(outline, root)
    return tag("ul", tag("li", tag("div", *line, class_="line"), below, data_m=root.id), class_="tree")


def _below(outline: Outline, module: Module) -> Html:
    found = outline.below(module)
    if any(found) and module.depth >= DEEPEST:
        return tag("ul", tag("li", "What is deeper stands in the list of modules only.", class_="fold"))
    failing = [need for need in found.own if need.module.id in outline.failing]
    fine = [need for need in found.own if need.module.id not in outline.failing]
    items = [_item(outline, need, module) for need in failing]
    others = [_item(outline, need, module) for need in fine]
    if len(others) > MANY:
        others = [tag("li", folded(f"{len(others):,} more, in which nothing fails", tag("ul", *others)))]
    items += [*others, *_names("shown elsewhere", found.elsewhere), *_names("of Windows", found.windows)]
    return tag("ul", *items) if items else joined([])


def _item(outline: Outline, need: Need, importer: Module) -> Html:
    module = need.module
    line = [name(need.written), *_kind(need.kind), *_marks(outline, module, outline.style(need), need.lacking)]
    below = _below(outline, module) if outline.unfolds(module, importer) else ""
    if not below:
        return tag("li", tag("div", *line, class_="line"), data_m=module.id)
    return tag("li", folded(joined(line), below, is_open=module.id in outline.failing), data_m=module.id)


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
    if module.path and module.id:
        directory = os.path.dirname(module.path)
        is_beside = directory == os.path.dirname(outline.graph.root.path or "")
        yield tag("small", "beside it" if is_beside else directory)


def _names(what: str, needs: Sequence[Need]) -> Iterator[Html]:
    if needs:
        names = sorted((need.written for need in needs), key=str.lower)
        yield tag("li", folded(f"{len(names):,} {what}", tag("p", name(", ".join(names)))), class_="fold")
