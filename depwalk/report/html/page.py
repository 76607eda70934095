"""The frame of every page: one file that fetches nothing and runs no script but its own."""

from __future__ import annotations

import base64
import hashlib
from string import Template
from typing import TYPE_CHECKING

from depwalk import __version__, tables
from depwalk.report.html.elements import joined, tag, text

if TYPE_CHECKING:
    from depwalk.report.html.elements import Html


def page(title: str, *body: Html) -> str:
    """A whole HTML document."""
    style, script = _read("page.css"), _read("page.js")
    return Template(_read("page.html")).substitute(
        title=text(title),
        style=style,
        style_hash=_hash(style),
        script=script,
        script_hash=_hash(script),
        body=joined(body),
        version=text(__version__),
    )


def search_bar(what: str, *more: Html) -> Html:
    """What searches the trees and tables below it; a page without scripts does not show it."""
    field = tag("input", type="search", id="search", autocomplete="off", spellcheck="false", placeholder=what)
    label = tag("label", "Search", for_="search")
    count = tag("output", for_="search", aria_live="polite")
    return tag("div", label, field, *more, count, class_="bar", role="search", hidden=True)


def scrolled(label: str, inner: Html) -> Html:
    """What may be wider than the page: it scrolls by itself, from the keyboard, too."""
    return tag("div", inner, class_="scroll", role="region", tabindex=0, aria_label=label)


def _read(name: str) -> str:
    return tables.path("html", name).read_text("utf-8")


def _hash(content: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(content.encode("utf-8")).digest()).decode("ascii")
