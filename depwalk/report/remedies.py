"""What to do, in lines: a sentence, a command and a link."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from depwalk.report.lines import Line, columns, shown, wrap

if TYPE_CHECKING:
    from depwalk.finding import Remedy

_SENTENCE = re.compile(r"(?<=[.?]) (?=[A-Z])")


def remedy_lines(remedy: Remedy | None, width: int, *, shorter: int = 0) -> list[Line]:
    """What to do; a link, or a command alone, on the same line if it fits.

    Shorter: 1 leaves out what is said behind the first sentence; 2 also the link, if there is a command.
    """
    if remedy is None:
        return []
    text = _SENTENCE.split(remedy.text)[0] if shorter and not remedy.text.endswith(":") else remedy.text
    lines = [*wrap(f"What to do: {text}", width, "  ", "    ")]
    whole = [shown(one) for one in (remedy.command, remedy.url) if one][: 1 if shorter > 1 else 2]
    if whole and text.endswith("." if len(whole) > 1 else (".", ":")):  # nothing may stand behind a command
        beside = f"{lines[-1].text[:-1]}: {whole[-1]}"
        if columns(beside) <= width:
            lines[-1] = Line(beside)
            whole.pop()
    return [*lines, *(Line(f"    {one}", "head") for one in whole)]
