"""What the real loader's answer adds to, confirms or contradicts in the static findings."""

from __future__ import annotations

import ntpath
from dataclasses import replace
from typing import TYPE_CHECKING

from depwalk import loader, runtimes
from depwalk.diagnosis.evidence import Finding, Remedy
from depwalk.diagnosis.runtimes import install

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.loader import Failure, LoadTrace

# Codes with which the loader ends before it runs any code of the tree: a static finding can be their cause.
_BEFORE_CODE_RUNS = {2, 3, 5, 32, 87, 126, 127, 182, 193, 487, 577, 1260, 1920, 4551, 14001}

# Errors that the loader cannot know: it loads the file, and Python refuses it afterwards (windows-loader 5.4).
AFTER_LOADING = {"wrong-python"}

_UNPROVEN = Remedy(
    "Run depwalk again with -v, and report what it prints: this failure is not explained by the files alone.",
)


def reconcile(evidence: Evidence, findings: Sequence[Finding]) -> list[Finding]:
    """Static findings in the light of the load, and what only the load shows."""
    load = evidence.load
    if load is None:
        return list(findings)
    errors = [finding for finding in findings if finding.severity == "error"]
    if load.loaded:
        return [_contradicted(finding) for finding in findings]
    if load.code in _BEFORE_CODE_RUNS and errors:
        return [replace(finding, proof="loader") if finding in errors else finding for finding in findings]
    return [*_from_load(evidence, load), *(_contradicted(finding) for finding in findings)]


def _contradicted(finding: Finding) -> Finding:
    if finding.severity != "error" or finding.code in AFTER_LOADING:
        return finding
    fact = "the loader did not stop at this"
    return replace(finding, severity="warning", evidence=(*finding.evidence, fact))


def _from_load(evidence: Evidence, load: LoadTrace) -> Iterable[Finding]:
    root = evidence.graph.root.name
    if load.timed_out:
        yield Finding(
            "hang-on-load",
            "error",
            root,
            f"Loading {root} did not end within the time limit; it was stopped.",
            evidence=(f"stopped after {load.elapsed_ms / 1000:.1f} s",),
            remedy=Remedy(
                "Try a longer --timeout; if that does not help, code of this DLL waits for something that never comes."
            ),
            proof="loader",
        )
    elif load.deepest is not None:
        yield _deepest(evidence, load.deepest)
    elif load.exit_code is not None:
        yield _died(root, load.exit_code)
    elif load.code is not None:
        yield _by_code(root, load.code)


def _died(module: str, code: int) -> Finding:
    row = loader.describe(code)
    what = str(row.get("text", "its code ended the process"))
    return Finding(
        "crash-on-load",
        "error",
        module,
        f"The process that loaded {module} ended while it was loading: {what}.",
        evidence=(f"exit code: 0x{code:08X}" + (f" ({row['name']})" if "name" in row else f" ({code})"),),
        remedy=Remedy(
            f"Install another version of the package that {module} belongs to, and report this to its authors."
        ),
        proof="loader",
    )


def _deepest(evidence: Evidence, failure: Failure) -> Finding:
    """The first module that fails although everything it needs loads."""
    path, code = failure.path, failure.code
    name = ntpath.basename(path)
    module = next((found for found in evidence.graph.modules if found.path == path), evidence.graph.root)
    importer = evidence.importer(module)
    facts = (
        f"the file is there: {path}",
        f"loaded alone it fails with code {code}, and everything it needs loads",
        *evidence.chain(module),
    )
    supplier = runtimes.supplier(name, evidence.target.architecture)
    written = evidence.written_name(module)
    if code == loader.MODULE_NOT_FOUND and supplier is not None:
        return Finding(
            "missing-msvc-runtime",
            "error",
            written,
            f"{written}, a part of {supplier.short}, does not load on this machine; {importer} needs it.",
            needed_by=importer,
            evidence=facts,
            remedy=install(supplier),
            proof="loader",
        )
    if code is None:
        return replace(_died(name, failure.exit_code), needed_by=importer)
    return replace(_by_code(name, code), needed_by=importer, evidence=facts)


def _by_code(module: str, code: int) -> Finding:
    row = loader.describe(code)
    is_exception = code >= 0x40000000
    finding = row.get("finding") or ("crash-on-load" if is_exception else "analysis-incomplete")
    shown = f"0x{code:08X}" if is_exception else str(code)
    what = row.get("text", "the loader gave no reason that is known")
    return Finding(
        finding,
        "error",
        module,
        f"The loader refused {module} with code {shown}: {what}.",
        evidence=(f"code: {shown}" + (f" ({row.get('status') or row.get('name')})" if row else ""),),
        remedy=_REMEDIES.get(finding, _UNPROVEN),
        proof="loader",
    )


_REMEDIES = {
    "access-denied": Remedy(
        "Give the account that runs Python the right to read and execute the file; close programs that hold it open."
    ),
    "out-of-memory": Remedy("Enlarge the paging file, or start fewer processes at once."),
    "path-too-long": Remedy("Move the environment to a directory with a shorter path."),
    "search-path-problem": Remedy(
        "Check the directories given with --dll-dir: each must be an absolute path that exists."
    ),
    "blocked-by-antivirus": Remedy(
        "Let the antivirus program restore the file, and report the false alarm to its makers."
    ),
    "blocked-by-policy": Remedy(
        "Ask the administrator of this machine to allow the file; its signature or origin was not accepted."
    ),
    "side-by-side": Remedy("Install the redistributable that the event log (SideBySide, event 33 or 59) names."),
    "init-failed": Remedy(
        "Code of this DLL gave up. Install another version of its package, and report this to its authors."
    ),
    "crash-on-load": Remedy(
        "Code of this DLL crashed. Install another version of its package, and report this to its authors."
    ),
}
