"""Says why a program of PyInstaller cannot import what it needs: see product.py. A start that works costs nothing."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TITLE = "Example Product does not start"


@contextlib.contextmanager
def explained() -> Iterator[None]:
    """End the program with status 1 and the reason if a DLL does not load; other exceptions pass."""
    try:
        yield
    except (ImportError, OSError) as error:
        why = explanation(error)
        if not why:
            raise
        show(why)
        raise SystemExit(1) from error


def explanation(error: ImportError | OSError) -> str:
    """What is at fault, and what to do; empty if that is not known."""
    import depwalk

    try:
        result = depwalk.explain(error)
    except Exception:  # noqa: BLE001  (whatever goes wrong in here, the program's own error is the one to be seen)
        return ""
    lines = []
    for finding in result.findings:
        if finding.severity == "error":
            lines.append(finding.message)
            if finding.remedy:
                lines += filter(None, (finding.remedy.text, finding.remedy.command, finding.remedy.url))
    return "\n".join(lines)


def show(why: str) -> None:
    """Print it, or show it where the program has no console."""
    if sys.stderr is not None:
        print(f"{TITLE}\n{why}", file=sys.stderr)
    else:
        ctypes.windll.user32.MessageBoxW(None, why, TITLE, 0x10)  # MB_ICONERROR
