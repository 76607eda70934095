"""Writing an answer, with one line and a status if that cannot be done."""

from __future__ import annotations

import os
import sys

from depwalk import choices

TYPE_CHECKING = False  # typing has the same, and takes a fifth of the start to import

if TYPE_CHECKING:
    from collections.abc import Callable


def deliver(write: Callable[[], None], output: str | None) -> int:
    """Call what writes to standard output or a file; the exit status says whether that could be done."""
    try:
        write()
        sys.stdout.flush()
    except OSError as error:
        _give_up_standard_output()
        print(f"depwalk: {output or 'standard output'}: {error.strerror}", file=sys.stderr)
        return choices.USAGE
    return choices.LOADS


def print_plain(content: str, output: str | None, *, append: bool = False) -> None:
    """Write text for a program: in UTF-8 and as it is. Raises OSError."""
    if output is not None:
        with open(output, "a" if append else "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(content)
        return
    sys.stdout.buffer.write(content.encode("utf-8", "backslashreplace"))
    sys.stdout.flush()


def _give_up_standard_output() -> None:
    """What could not be written would be tried again at exit, with a second complaint."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
