"""The pages of the documentation as a reader of the site has them: their blocks of code, headings and links."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from from_ci import CHECKOUT, load

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCS = CHECKOUT / "docs"
pages = load("pages")
_FENCE = re.compile(r"^```(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
_INDENTED = re.compile(r"(?<=\n\n)(?:(?: {4}.*)?\n)+")
_SPAN = re.compile(r"`([^`\n]+)`")


class Block(NamedTuple):
    """A block of code: its language, "" for one that is indented or has none."""

    language: str
    lines: list[str]


def texts() -> dict[str, str]:
    """Every page by its path in the checkout, with what is generated filled in."""
    paths = [CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
    return {path.relative_to(CHECKOUT).as_posix(): pages.filled(path.read_text("utf-8")) for path in paths}


def blocks(text: str) -> Iterator[Block]:
    """Every block of code, in its order."""
    found = [(match.start(), match[1], match[2]) for match in _FENCE.finditer(text)]
    rest = _FENCE.sub(lambda match: re.sub(r"[^\n]", "x", match[0]), text)
    indented = (match for match in _INDENTED.finditer(rest) if match[0].strip())
    found += [(match.start(), "", re.sub(r"^ {4}", "", match[0], flags=re.MULTILINE)) for match in indented]
    for _, language, code in sorted(found):
        yield Block(language.split(" ")[0], code.strip("\n").splitlines())


def without_blocks(text: str) -> str:
    """What is written between the fenced blocks."""
    return _FENCE.sub("", text)


def spans(text: str) -> list[str]:
    """Code within sentences and tables."""
    return _SPAN.findall(without_blocks(text))


def anchors(text: str) -> set[str]:
    """What a link can name behind "#", by the rule of GitHub, which is also that of the site."""
    headings = re.findall(r"^#+ (.*)$", without_blocks(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(text: str) -> list[str]:
    """Where the page's links and pictures lead, other sites left out."""
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", without_blocks(text)))
    return [link for link in found if not re.match(r"[a-z]+:", link)]
