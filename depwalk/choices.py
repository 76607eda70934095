"""What the options accept and the exit statuses, for help, messages and code alike. It imports nothing heavy."""

from __future__ import annotations

TYPE_CHECKING = False  # typing has the same, and takes a fifth of the start to import

if TYPE_CHECKING:
    from collections.abc import Iterable

WINDOWS = "live|11|10|8.1|8|7[-N][-core][-x86|-arm64]"
PYTHON = "a python.exe, or X.Y[t][-32|-arm64]"
RUNTIME = "vc14[=14.38], vc12, vc11, vc10, vc9, vc8 or ucrt"
CPU = "live, x86-64-v1 to v4, a model such as Nehalem, or the file of a dump"
FORMATS = ("text", "json", "html", "dot", "sarif")
FORMATS_OF_MANY = ("text", "json", "html", "sarif")  # of a scan: no graph of thousands of files can be read
FORMATS_OF_CPU = ("text", "json")
DOCUMENTS = ("html", "dot", "sarif")  # whole documents, to which nothing can be added
LOADS, FAILS, USAGE, UNKNOWN = 0, 1, 2, 3  # exit statuses
STATUSES = {
    LOADS: "what counts loads",
    FAILS: "something does not load",
    USAGE: "wrong usage, or something that cannot be read",
    UNKNOWN: "of something it is not known",
}
TIMEOUT = 30.0  # seconds that a load may take

# From best to worst: what cannot be read at all is worse than what is known to fail.
_SEVERITY = (LOADS, UNKNOWN, FAILS, USAGE)


def worst(statuses: list[int]) -> int:
    """The exit status of several."""
    return max(statuses, key=_SEVERITY.index, default=LOADS)


def meant(given: str, known: Iterable[str]) -> str:
    """How a complaint goes on: "did you mean 11? It", or "it" where no known word is near what was given."""
    near = nearest(given, known)
    return f"did you mean {near}? It" if near else "it"


def nearest(given: str, known: Iterable[str]) -> str:
    """The known word that was most likely meant; empty if none is near."""
    import difflib

    words = {word.lower(): word for word in known}
    near = difflib.get_close_matches(given.lower(), words, 1, 0.5 if len(given) == 2 else 0.6)  # "12": half of "11"
    return words[near[0]] if near else ""
