"""A cause, in the form in which it is told: what, how bad, which module, what shows it, and what to do."""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["error", "warning", "note"]
Proof = Literal["loader", "static", "inferred"]


class Remedy(NamedTuple):
    """What to do. Nothing of it is ever done by depwalk."""

    text: str  # for a person
    command: str = ""  # that does it; empty if there is none
    url: str = ""  # that tells more, or where to get it; empty if there is none


class Finding(NamedTuple):
    """One cause."""

    code: str  # of the closed list in docs/findings
    severity: Severity
    module: str  # name of the module at fault
    message: str  # one sentence
    needed_by: str = ""  # name of its importer; empty if there is none
    evidence: tuple[str, ...] = ()  # facts
    remedy: Remedy | None = None  # None: nothing can be said
    proof: Proof = "static"  # what it rests on
    also: tuple[str, ...] = ()  # other modules that the same cause and remedy explain
