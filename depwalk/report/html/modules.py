"""The table of all modules of a tree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk.report.html.elements import badge, tag
from depwalk.report.html.page import scrolled

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depwalk.graph import Module
    from depwalk.report.html.elements import Html
    from depwalk.report.outline import Outline

_STATES = {
    "found": "found",
    "system": "of Windows",
    "api-set": "not known",
    "missing": "missing",
    "wrong-architecture": "wrong architecture",
    "corrupt": "damaged",
    "blocked": "cannot be read",
}
_COLUMNS = ("Name", "Status", "Architecture", "Version", "Depth", "Needed by", "Found by", "Path")
_FEW = 3  # importers that are named


def modules(outline: Outline) -> Html:
    """All of them, those at fault first."""
    ordered = sorted(outline.graph.modules, key=lambda module: (_rank(outline, module), module.depth, module.id))
    rows = [_row(outline, module) for module in ordered]
    return scrolled("All modules", table("modules", _COLUMNS, rows))


def table(kind: str, columns: Iterable[str], rows: Iterable[Html]) -> Html:
    """A table that a script makes sortable."""
    head = tag("thead", tag("tr", *(tag("th", column, scope="col") for column in columns)))
    return tag("table", head, tag("tbody", *rows), class_=kind, data_sortable=True)


def _rank(outline: Outline, module: Module) -> int:
    if module.id in outline.faults:
        return 0
    return 2 if module.status == "system" else 1


def _row(outline: Outline, module: Module) -> Html:
    image = module.image
    rank = _rank(outline, module)
    state = _STATES[module.status]
    if module.status in ("found", "system"):
        state += ", at fault" if rank == 0 else ""
        style = "bad" if rank == 0 else "good"
    else:
        style = "warn" if module.delayed or module.status == "api-set" else "bad"
    cells = [
        tag("td", module.name),
        tag("td", badge(state, style), *([tag("small", "delay-loaded")] if module.delayed else []), data_k=rank),
        tag("td", image.architecture if image else ""),
        tag("td", ".".join(map(str, image.version)) if image and image.version else ""),
        tag("td", str(module.depth)),
        tag("td", _needed_by(outline, module)),
        tag("td", module.rule.name if module.rule else ""),
        tag("td", module.path or ""),
    ]
    return tag("tr", *cells, data_m=module.id)


def _needed_by(outline: Outline, module: Module) -> str:
    all_modules = outline.graph.modules
    names = list(dict.fromkeys(all_modules[edge.importer].name for edge in outline.graph.needed_by(module)))
    more = f" and {len(names) - _FEW:,} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more
