"""What the real loader's answer adds to, confirms or contradicts in the static findings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk import loader
from depwalk.diagnosis import crashes, old_runtimes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.finding import Finding
    from depwalk.loader import LoadTrace

# Codes with which the loader ends before it runs any code of the tree: a static finding can be their cause.
BEFORE_CODE_RUNS = {2, 3, 5, 32, 87, 126, 127, 182, 193, 487, 1920, 14001}

# Errors that the loader cannot know: it loads the file, and Python refuses it afterwards (windows-loader 5.4).
AFTER_LOADING = {"wrong-python"}


def reconcile(evidence: Evidence, findings: Sequence[Finding]) -> list[Finding]:
    """Static findings in the light of the load, and what only the load shows."""
    load = evidence.load
    if load is None or not _is_about_a_load(evidence):
        return old_runtimes.in_this_process(evidence, findings)
    errors = [finding for finding in findings if finding.severity == "error"]
    if load.loaded:
        return [_contradicted(finding) for finding in findings]
    if errors and load.ending_unknown:
        return list(findings)
    if errors and (load.code in BEFORE_CODE_RUNS or load.exit_code in loader.CANNOT_BEGIN):
        return list(_confirmed(evidence, load, findings))
    proven = [finding for finding in errors if finding.proof == "loader"]
    if proven:  # by what the load itself said
        return [finding if finding in proven else _contradicted(finding) for finding in findings]
    return _while_code_ran(evidence, load, findings)


def _confirmed(evidence: Evidence, load: LoadTrace, findings: Sequence[Finding]) -> Iterable[Finding]:
    """An error that leads to the code which the loader returned is proven by it; another one is not its cause.

    Wine answers 126 for nearly everything (windows-loader 4).
    """
    wine = evidence.target.windows.emulator is not None
    causes = None if wine or load.code is None else loader.describe(load.code).get("causes")
    errors = [finding for finding in findings if finding.severity == "error"]
    agree = [finding for finding in errors if causes is None or finding.code in causes]
    fact = f"the loader answered {load.code}, and this cause leads to another code"
    for finding in findings:
        if finding in agree:
            yield finding._replace(proof="loader")
        elif finding in errors:
            told = finding._replace(evidence=(*finding.evidence, fact))
            yield told._replace(severity="warning") if agree else told
        else:
            yield finding


def _while_code_ran(evidence: Evidence, load: LoadTrace, findings: Sequence[Finding]) -> list[Finding]:
    """The cause is what code of the tree did: with a runtime that it cannot work with, or by itself."""
    outdated = list(old_runtimes.in_the_load(evidence, load))
    rest = [finding for finding in findings if not outdated or finding.code != outdated[0].code]
    return [*(outdated or crashes.from_load(evidence, load)), *(_contradicted(finding) for finding in rest)]


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
    return finding._replace(severity="warning", evidence=(*finding.evidence, fact))
