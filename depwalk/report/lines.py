"""Lines of styled text, their wrapping, and the columns that they take."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Line(NamedTuple):
    """One line of output. `style` is bad, warn, good, head or empty; who prints decides about colour."""

    text: str
    style: str = ""
    styled: int | None = None  # characters from the beginning that have the style; None: all


# A path, up to what ends it in a sentence: it stays whole, so that it can be copied.
_PATH = re.compile(r"(?:\b[A-Za-z]:[\\/]|\\\\|(?<!\S)/).*?(?=; |, |: | \(| \[|  |$)")
_NO_BREAK = "\0"
_WORD = re.compile(r" *[^ ]+")  # with what is in front of it
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_WIDE = ("W", "F")  # East Asian Width, UAX #11: letters that take two columns
_NOTHING = ("Mn", "Me", "Cf")  # marks on the letter before them, and what only joins or directs


def shown(text: str) -> str:
    """Without what would steer a terminal: names come from files that may be hostile."""
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.category(letter) in _NOTHING else 1 + (unicodedata.east_asian_width(letter) in _WIDE)
        for letter in text
    )


def padded(text: str, width: int) -> str:
    """A text of at least that many columns."""
    return text + " " * (width - columns(text))


def wrap(text: str, width: int, first: str = "", rest: str | None = None, style: str = "") -> Iterator[Line]:
    """Wrap at `width` columns; words and paths stay whole."""
    indent = first if rest is None else rest
    whole = _PATH.sub(lambda path: path[0].replace(" ", _NO_BREAK), shown(text))
    line, is_empty = first, True
    for word in _WORD.findall(whole.strip(" ")):
        if is_empty or columns(line) + columns(word) <= width:
            line += word
        else:
            yield Line(line.replace(_NO_BREAK, " "), style)
            line = indent + word.lstrip(" ")
        is_empty = False
    yield Line(line.replace(_NO_BREAK, " ") if not is_empty else line.rstrip(), style)
