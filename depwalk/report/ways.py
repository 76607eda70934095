"""The ways from the file that was asked about to what is at fault, the worst first."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from depwalk.graph import Edge
    from depwalk.report.outline import Outline
    from depwalk.result import Result

MOST_WAYS = 8  # that are drawn, and unfolded
LONGEST, END = 9, 4  # modules of one way; of a longer one, those at both ends

_STATES = {
    "missing": "is missing",
    "wrong-architecture": "has the wrong architecture",
    "corrupt": "is damaged",
    "blocked": "cannot be read",
    "api-set": "is not known",
}


class Ways:
    """`parents` has the edge at which each module hangs; `chains` are modules, from the file to what is at fault."""

    def __init__(self, result: Result, outline: Outline) -> None:
        self.graph = result.graph
        self.modules = result.graph.modules
        self.parents = self._parents()
        faults = self._ordered(result, outline.faults)
        self._hang(result, faults)
        self.chains = [self._chain(fault) for fault in faults]

    @property
    def drawn(self) -> set[int]:
        """The modules of the first of them."""
        return {module for chain in self.chains[:MOST_WAYS] for module in chain}

    def told(self) -> str:
        """The first of them in sentences."""
        return " ".join(map(self.words, self.chains[:MOST_WAYS]))

    def words(self, chain: Sequence[int]) -> str:
        """One way in a sentence."""
        fault = self.modules[chain[-1]]
        lacks = any(edge.unresolved for edge in self.graph.needed_by(fault))
        state = _STATES.get(fault.status, "lacks a function" if lacks else "is at fault")
        told, left_out = shortened(chain)
        parts = []
        for index, key in enumerate(told[1:], 1):
            verb = "loads at a first call" if self.parents[key].kind == "delay" else "needs"
            through = f", through {left_out:,} others," if left_out and index == END else ""
            parts.append(f"{verb}{through} {self.modules[key].name}")
        return f"{self.modules[chain[0]].name} {', which '.join([*parts, state])}."

    def _parents(self) -> dict[int, Edge]:
        """The edge by which each module is met first."""
        parents: dict[int, Edge] = {}
        for edge in self.graph.edges:
            if self.modules[edge.importer].depth == self.modules[edge.imported].depth - 1:
                parents.setdefault(edge.imported, edge)
        return parents

    def _ordered(self, result: Result, faults: Set[int]) -> list[int]:
        told = {finding.module.lower(): index for index, finding in reversed(list(enumerate(result.findings)))}
        last = len(result.findings)
        known = [fault for fault in faults if fault == 0 or fault in self.parents]
        return sorted(known, key=lambda key: (told.get(self.modules[key].name.lower(), last), key))

    def _hang(self, result: Result, faults: Sequence[int]) -> None:
        """What is at fault hangs at the module that a finding names, or that asks for what is not there."""
        named = {(found.module.lower(), found.needed_by.lower()) for found in result.findings}
        for fault in faults:
            name = self.modules[fault].name.lower()
            for edge in self.graph.needed_by(self.modules[fault]):
                asks = bool(edge.unresolved) and edge.kind != "delay"
                if (asks or (name, self.modules[edge.importer].name.lower()) in named) and not self._is_above(
                    fault, edge.importer
                ):
                    self.parents[fault] = edge
                    break

    def _is_above(self, module: int, other: int) -> bool:
        """Whether one hangs at the other, or is it."""
        while other != module and other in self.parents:
            other = self.parents[other].importer
        return other == module

    def _chain(self, module: int) -> list[int]:
        chain = [module]
        while chain[-1] in self.parents and chain[-1] != 0:
            chain.append(self.parents[chain[-1]].importer)
        return chain[::-1]


def shortened(chain: Sequence[int]) -> tuple[list[int], int]:
    """The modules of a way that are shown, and how many in its middle are not."""
    if len(chain) <= LONGEST:
        return list(chain), 0
    return [*chain[:END], *chain[-END:]], len(chain) - 2 * END
