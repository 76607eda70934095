"""A finding: what, who needs it, what shows it, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk.report.html.elements import badge, name, tag

if TYPE_CHECKING:
    from collections.abc import Iterator

    from depwalk.finding import Finding, Remedy
    from depwalk.report.html.elements import Html

_SEVERITIES = {"error": ("Error", "bad"), "warning": ("Warning", "warn"), "note": ("Note", "")}
_PROOFS = {"loader": "the real loader", "static": "the files", "inferred": "what can be inferred from the files"}


def finding(found: Finding) -> Html:
    """The whole of it."""
    word, style = _SEVERITIES[found.severity]
    return tag(
        "article",
        tag("h3", badge(word, style), " ", tag("code", found.code)),
        tag("p", found.message, class_="message"),
        tag("dl", *_about(found)),
        *([tag("ul", *(tag("li", fact) for fact in found.evidence), class_="facts")] if found.evidence else []),
        *([remedy(found.remedy)] if found.remedy else []),
        class_=f"card {style}".rstrip(),
    )


def remedy(what: Remedy) -> Html:
    """What to do; a command on a line of its own, whole."""
    parts = [tag("h4", "What to do"), tag("p", what.text)]
    if what.command:
        copy = tag("button", "Copy", type="button", class_="copy", hidden=True)
        parts.append(tag("div", tag("pre", tag("code", what.command)), copy, class_="command"))
    if what.url:
        is_link = what.url.startswith(("https://", "http://"))
        link = tag("a", what.url, href=what.url, rel="noopener noreferrer") if is_link else what.url
        parts.append(tag("p", link))
    return tag("div", *parts, class_="remedy")


def _about(found: Finding) -> Iterator[Html]:
    pairs = [("Module", found.module), ("Needed by", found.needed_by), ("Explains, too", ", ".join(found.also))]
    for term, value in pairs:
        if value:
            yield tag("div", tag("dt", term), tag("dd", name(value)))
    yield tag("div", tag("dt", "Shown by"), tag("dd", _PROOFS[found.proof]))
