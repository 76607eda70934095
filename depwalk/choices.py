"""What the options accept and the exit statuses, for help, messages and code alike. It imports nothing heavy."""

from __future__ import annotations

WINDOWS = "live|11|10|8.1|8|7[-N][-core][-x86|-arm64]"
PYTHON = "a python.exe, or X.Y[t][-32|-arm64]"
RUNTIME = "vc14[=14.38], vc12, vc11, vc10, vc9, vc8 or ucrt"
CPU = "live, x86-64-v1 to v4, a model such as Nehalem, or the file of a dump"
FORMATS = ("text", "json")
LOADS, FAILS, USAGE, UNKNOWN = 0, 1, 2, 3  # exit statuses
TIMEOUT = 30.0  # seconds that a load may take

# From best to worst: what cannot be read at all is worse than what is known to fail.
_SEVERITY = (LOADS, UNKNOWN, FAILS, USAGE)


def worst(statuses: list[int]) -> int:
    """The exit status of several."""
    return max(statuses, key=_SEVERITY.index, default=LOADS)
