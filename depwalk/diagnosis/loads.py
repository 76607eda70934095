"""What the real loader's answer adds to, confirms or contradicts in the static findings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from depwalk import loader
from depwalk.diagnosis import crashes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from depwalk.diagnosis.evidence import Evidence, Finding

# Codes with which the loader ends before it runs any code of the tree: a static finding can be their cause.
BEFORE_CODE_RUNS = {2, 3, 5, 32, 87, 126, 127, 182, 193, 487, 577, 1260, 1920, 4551, 14001}

# Errors that the loader cannot know: it loads the file, and Python refuses it afterwards (windows-loader 5.4).
AFTER_LOADING = {"wrong-python"}


def reconcile(evidence: Evidence, findings: Sequence[Finding]) -> list[Finding]:
    """Static findings in the light of the load, and what only the load shows."""
    load = evidence.load
    if load is None or not _is_about_a_load(evidence):
        return list(findings)
    errors = [finding for finding in findings if finding.severity == "error"]
    if load.loaded:
        return [_contradicted(finding) for finding in findings]
    if errors and load.ending_unknown:
        return list(findings)
    if errors and (load.code in BEFORE_CODE_RUNS or load.exit_code in loader.CANNOT_BEGIN):
        return [replace(finding, proof="loader") if finding in errors else finding for finding in findings]
    return [*crashes.from_load(evidence, load), *(_contradicted(finding) for finding in findings)]


def _is_about_a_load(evidence: Evidence) -> bool:
    """A program, or an import, can also end for reasons of its own."""
    trace = evidence.imported
    if trace is None or trace.fatal is not None or trace.unfinished:
        return True
    return trace.exit_code in loader.CANNOT_BEGIN and not trace.python


def _contradicted(finding: Finding) -> Finding:
    if finding.severity != "error" or finding.code in AFTER_LOADING:
        return finding
    fact = "the loader did not stop at this"
    return replace(finding, severity="warning", evidence=(*finding.evidence, fact))
