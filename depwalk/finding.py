"""A cause, in the form in which it is told: what, how bad, which module, what shows it, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "note"]
Proof = Literal["loader", "static", "inferred"]


@dataclass(frozen=True)
class Remedy:
    """What to do: a sentence, and where there is one a command and a link."""

    text: str
    command: str = ""
    url: str = ""


@dataclass(frozen=True)
class Finding:
    """One cause. `code` is of the closed list in docs/findings; `evidence` are facts, one per line."""

    code: str
    severity: Severity
    module: str
    message: str
    needed_by: str = ""
    evidence: tuple[str, ...] = ()
    remedy: Remedy | None = None
    proof: Proof = "static"
    also: tuple[str, ...] = ()  # other modules that the same cause and remedy explain
