"""What the package around a file, or the program that imports it, adds to the answer."""

from __future__ import annotations

import ntpath
from typing import TYPE_CHECKING

from depwalk import loader, search
from depwalk.diagnosis import crashes
from depwalk.finding import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.loader.imports import ImportTrace

_SHOWN = 4  # names in a sentence


def only_by_import(evidence: Evidence) -> Iterable[Finding]:
    """`not-searched`, as a note: DLLs that are found only because the package adds their directory when imported."""
    found = [
        module
        for module in evidence.graph.modules[1:]
        if module.rule is not None and module.rule.name == search.INFERRED and module.path
    ]
    if not found:
        return
    names = ", ".join(module.name for module in found[:_SHOWN])
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    directories = dict.fromkeys(
        (module.rule.directory.path, module.rule.source) for module in found if module.rule and module.rule.directory
    )
    root = evidence.graph.root.name
    yield Finding(
        "not-searched",
        "note",
        found[0].name,
        f"{root} finds {names}{more} only when its package is imported: loaded by itself, it would not.",
        needed_by=evidence.importer(found[0]),
        evidence=tuple(f"{path}: added by {source}" for path, source in directories),
        proof="inferred",
    )


def of_the_program(evidence: Evidence, errors: Sequence[Finding]) -> Iterable[Finding]:
    """How the import or the program ended, where no DLL is the cause; and the failed loads that it got over."""
    trace = evidence.imported
    if trace is None:
        return
    for failed in trace.failed:
        if failed is trace.fatal:
            continue
        name = ntpath.basename(failed.path)
        code = f" (code {failed.code})" if failed.code else ""
        caught = "went on without it" if trace.ended_well else "caught that"
        yield Finding(
            "analysis-incomplete",
            "note" if trace.ended_well else "warning",
            name,
            f"{name} did not load{code}, and the program {caught}.",
            evidence=(failed.error,),
            remedy=Remedy("To see why, run depwalk on it.", f'python -m depwalk "{failed.path}"'),
            proof="loader",
        )
    if trace.unheard:
        yield Finding(
            "analysis-incomplete",
            "warning",
            trace.name,
            "A Python that was started tells nothing of its imports: its options -I, -E or -S keep depwalk out.",
            remedy=Remedy("Run it without these options."),
            proof="loader",
        )
    if trace.ended_well or errors:
        return
    refused = trace.fatal is not None
    if trace.uncaught:
        what = "Python refused the file that the loader had loaded" if refused else "no DLL failed to load"
        yield Finding(
            "analysis-incomplete",
            "warning" if trace.is_program and not refused else "error",
            ntpath.basename(trace.fatal.path) if trace.fatal else trace.name,
            f"{trace.name} ended with {trace.uncaught[0]}, and {what}.",
            evidence=trace.uncaught[1:],
            remedy=Remedy("Read the traceback, which says what Python could not do: the loader had no part in it."),
            proof="loader",
        )
    elif not trace.unheard:
        yield Finding(
            "analysis-incomplete",
            "warning",
            trace.name,
            f"{trace.name} {_ending(trace)}"
            + ("; that may be why." if trace.failed else ", and no DLL failed to load."),
            evidence=tuple(crashes.exception_facts(trace.load)) if trace.load else (),
            proof="loader",
        )


def _ending(trace: ImportTrace) -> str:
    if trace.timed_out:
        return "was stopped at the time limit"
    row = loader.describe(trace.exit_code)
    name = f" ({row['name']})" if "name" in row else ""
    return (
        f"ended with status {trace.exit_code}" if trace.exit_code < 256 else f"ended with 0x{trace.exit_code:08X}{name}"
    )
