"""Where text goes: a terminal with colour and tree glyphs if it has them, else plain text of 80 columns."""

from __future__ import annotations

import os
import shutil
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from depwalk.report import tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from depwalk.report.lines import Line
    from depwalk.report.tree import Glyphs

_PLAIN_WIDTH = 80
_NARROWEST, _WIDEST = 40, 200
_STYLES = {"bad": "bold red", "warn": "yellow", "good": "bold green", "head": "bold"}


class Terminal:
    """The output of one run: standard output, or a file."""

    def __init__(self, output: str | None, *, append: bool = False) -> None:
        self.output = output
        self._mode = "a" if append else "w"
        self.is_terminal = output is None and sys.stdout.isatty()

    @property
    def width(self) -> int:
        """Columns to use: those of the terminal; elsewhere 80, or what COLUMNS says."""
        told = os.environ.get("COLUMNS", "")
        if self.is_terminal:
            columns = shutil.get_terminal_size((_PLAIN_WIDTH, 24)).columns - 1
        else:
            columns = int(told) if told.isdecimal() and int(told) else _PLAIN_WIDTH
        return max(_NARROWEST, min(columns, _WIDEST))

    @property
    def glyphs(self) -> Glyphs:
        """Tree glyphs that the output can encode; plain ones where nobody looks at a terminal."""
        if not self.is_terminal:
            return tree.ASCII
        try:
            tree.UNICODE.branch.encode(sys.stdout.encoding or "ascii")
        except UnicodeEncodeError:
            return tree.ASCII
        return tree.UNICODE

    def show(self, lines: Iterable[Line]) -> None:
        """Print lines, in colour if a person looks at them. Raises OSError if a file cannot be written."""
        if self.output is not None:
            with open(self.output, self._mode, encoding="utf-8", errors="backslashreplace", newline="\n") as file:
                file.writelines(f"{line.text}\n" for line in lines)
        elif self.is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb":
            self._show_styled(lines)
        else:
            for line in lines:
                print(_encodable(line.text))

    def _show_styled(self, lines: Iterable[Line]) -> None:
        from rich.console import Console
        from rich.text import Text

        console = Console(highlight=False, soft_wrap=True)
        for line in lines:
            text = Text(_encodable(line.text))
            text.stylize(_STYLES.get(line.style, ""), 0, line.styled)
            console.print(text)


@contextmanager
def progress(total: int) -> Iterator[Callable[[int], None]]:
    """A line on standard error that says how far something is; within it, a function that is told what is done."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    shown = Progress(
        TextColumn("judging"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
    )
    started = time.monotonic()
    with shown:
        task = shown.add_task("", total=total, rate="")

        def advance(done: int) -> None:
            rate = done / max(time.monotonic() - started, 0.001)
            shown.update(task, completed=done, total=max(total, done), rate=f"{rate:,.0f} files/s")

        yield advance


def _encodable(line: str) -> str:
    """What standard output can show of a line: other characters are escaped, never an error."""
    encoding = sys.stdout.encoding or "ascii"
    return line.encode(encoding, "backslashreplace").decode(encoding)
