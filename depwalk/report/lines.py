"""Lines of styled text, and their wrapping."""

from __future__ import annotations

import re
import textwrap
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Line(NamedTuple):
    """One line of output. `style` is bad, warn, good, head or empty; who prints decides about colour."""

    text: str
    style: str = ""


# A path, up to what ends it in a sentence: it stays whole, so that it can be copied.
_PATH = re.compile(r"(?:\b[A-Za-z]:[\\/]|\\\\|(?<!\S)/).*?(?=; |, |: | \(| \[|  |$)")
_NO_BREAK = "\0"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def shown(text: str) -> str:
    """Without what would steer a terminal: names come from files that may be hostile."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def wrap(text: str, width: int, first: str = "", rest: str | None = None, style: str = "") -> Iterator[Line]:
    """Wrap at `width` columns; words and paths stay whole."""
    indent = first if rest is None else rest
    wrapped = textwrap.wrap(
        _PATH.sub(lambda path: path[0].replace(" ", _NO_BREAK), shown(text)),
        width,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    yield from (Line(line.replace(_NO_BREAK, " "), style) for line in wrapped or [first.rstrip()])
