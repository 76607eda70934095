"""Result: the one object that leaves the analysis, and the way to it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from depwalk import choices, cpu, diagnosis, graph, image, loader, wheel
from depwalk.target import python

if TYPE_CHECKING:
    from collections.abc import Callable

    from depwalk.diagnosis import Basis, Finding, Verdict
    from depwalk.graph import Graph
    from depwalk.image import Image
    from depwalk.loader import LoadTrace
    from depwalk.target import Target
    from depwalk.target.python import Build
    from depwalk.wheel import Distribution


@dataclass(frozen=True)
class Result:
    """The answer for one file."""

    path: str
    verdict: Verdict
    basis: Basis
    findings: tuple[Finding, ...]
    graph: Graph
    target: Target
    built_for: Build | None
    distribution: Distribution | None
    load: LoadTrace | None
    elapsed_ms: float
    cpu: str | None = None  # brand of this machine's processor, if it is the one in question

    @property
    def name(self) -> str:
        """Base name of the file."""
        return os.path.basename(self.path)


def diagnose(
    path: str | os.PathLike[str],
    target: Callable[[Image], Target],
    *,
    load: bool = True,
    timeout: float = choices.TIMEOUT,
) -> Result:
    """Walk a file and, where this machine can and `load` allows it, let the real loader decide.

    `target` makes the target from the file's image; `timeout` is in seconds. Raises image.UnreadableFile for what is no
    PE file, and ValueError for a target that does not fit.
    """
    started = time.perf_counter()
    name = os.fspath(path)
    file = image.read(name)
    chosen = target(file)
    walked = graph.walk(name, file, chosen)
    evidence = diagnosis.Evidence(walked, chosen, python.built_for(file), wheel.distribution_of(name))
    if load and loader.can_load(name, chosen):
        try:
            evidence = replace(evidence, load=_load(name, evidence, timeout))
        except OSError as error:
            evidence = replace(evidence, not_asked=str(error))
    findings = diagnosis.diagnose(evidence)
    verdict, basis = diagnosis.verdict(evidence, findings)
    elapsed = (time.perf_counter() - started) * 1000
    return Result(
        name,
        verdict,
        basis,
        findings,
        walked,
        chosen,
        evidence.built_for,
        evidence.distribution,
        evidence.load,
        elapsed,
        cpu.brand() if chosen.windows.live else None,
    )


def _load(path: str, evidence: diagnosis.Evidence, timeout: float) -> LoadTrace:
    """Ask the loader; if it refuses a file in which nothing is wrong, ask it for each dependency."""
    trace = loader.test_load(path, evidence.target, timeout)
    if trace.loaded or trace.timed_out:
        return trace
    if any(finding.severity == "error" for finding in diagnosis.diagnose(evidence)):
        return trace  # the files explain it
    return replace(trace, deepest=loader.deepest_failure(evidence.graph, evidence.target, timeout))
