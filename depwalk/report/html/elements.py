"""Elements of HTML: whatever is not made here is text, and is escaped."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from depwalk.report.lines import shown

if TYPE_CHECKING:
    from collections.abc import Iterable

_VOID = frozenset({"input"})


class Html(str):
    """What may stand in a page as it is."""

    __slots__ = ()


def text(value: str) -> Html:
    """A text of any content, for an element or between the quotes of an attribute."""
    plain = shown(value).encode("utf-8", "backslashreplace").decode("utf-8")  # a name may have a lone surrogate
    return Html(escape(plain))


def tag(name: str, *inner: str, **attributes: str | bool | int) -> Html:
    """An element. `class_` is class, `data_m` is data-m; True is an attribute without a value, False is none."""
    written = "".join(_attribute(key, value) for key, value in attributes.items() if value is not False)
    return Html(f"<{name}{written}>" if name in _VOID else f"<{name}{written}>{joined(inner)}</{name}>")


def joined(parts: Iterable[str], between: str = "") -> Html:
    """Elements and texts, one after the other."""
    return Html(text(between).join(part if isinstance(part, Html) else text(part) for part in parts))


def _attribute(key: str, value: str | bool | int) -> str:
    name = key.rstrip("_").replace("_", "-")
    return f" {name}" if value is True else f' {name}="{text(str(value))}"'


def badge(words: str, style: str) -> Html:
    """A state in a word; the style adds a sign to it, and a colour."""
    return tag("span", words, class_=f"badge {style}".rstrip())


def name(value: str) -> Html:
    """A file name: its letters may run from right to left, the page does not."""
    return tag("bdi", value)


def folded(summary: str, *inner: str, is_open: bool = False, **attributes: str | bool | int) -> Html:
    """What can be unfolded, also from the keyboard and without a script."""
    return tag("details", tag("summary", summary), *inner, open=is_open, **attributes)
