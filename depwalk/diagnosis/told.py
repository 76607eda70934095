"""What the Windows loader itself told of a failed load (loader snaps). Not yet confirmed on a real Windows."""

from __future__ import annotations

import ntpath
from typing import TYPE_CHECKING

from depwalk import loader, snaps
from depwalk.diagnosis import blocked
from depwalk.finding import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.loader import LoadTrace
    from depwalk.snaps import Snap

_SHOWN = 5  # of one kind

# The kind of snap that tells the cause of a code: other snaps may be of things that the process got over.
_KINDS = {
    loader.MODULE_NOT_FOUND: (snaps.NOT_FOUND,),
    127: (snaps.MISSING_PROCEDURE,),
    182: (snaps.MISSING_PROCEDURE,),
    193: (snaps.NO_EXPORT_TABLE,),
    1114: (snaps.INIT_FAILED,),
}


def from_snaps(evidence: Evidence, load: LoadTrace) -> Iterable[Finding]:
    """A finding for each DLL that the loader names as the cause of the code that it returned."""
    code = load.code or 0
    refused = _refused(evidence, load, code)
    if refused is not None:
        yield blocked.refusal(evidence, refused, code, ("told by the loader itself (loader snaps)",))
    wanted = _KINDS.get(code, ())
    told = [snap for snap in load.snaps if snap.kind in wanted]
    named = [snap for snap in dict.fromkeys(told) if snap.kind != snaps.MISSING_PROCEDURE or snap.parent]
    for snap in named[:_SHOWN]:
        yield _finding(evidence, load, snap)


def _refused(evidence: Evidence, load: LoadTrace, code: int) -> Module | None:
    """The module that the loader could not load for the status behind its code: the first told, others need it."""
    row = loader.describe(code)
    if row.get("finding") not in blocked.HANDLED:
        return None
    names = [
        ntpath.basename(snap.module).lower()
        for snap in load.snaps
        if snap.kind == snaps.NOT_LOADED and loader.describe(snap.status or 0).get("name") == row["status"]
    ]
    return next((module for module in evidence.graph.modules if names and module.name.lower() == names[0]), None)


def _finding(evidence: Evidence, load: LoadTrace, snap: Snap) -> Finding:
    parent = ntpath.basename(snap.parent) or evidence.loading
    module = ntpath.basename(snap.module or _at(snap.base, load)) or "a DLL"
    status = f", status 0x{snap.status:08X}" if snap.status is not None else ""
    facts = (f"told by the loader itself (loader snaps{status})",)
    if snap.kind == snaps.NOT_FOUND:
        message = f"The loader did not find {module}; {parent} needs it."
        remedy = Remedy(f"Reinstall the package that {parent} belongs to. Do not download single DLLs.")
        return Finding("missing-dll", "error", module, message, parent, facts, remedy, "loader")
    if snap.kind == snaps.INIT_FAILED:
        message = f"The start-up code of {module} failed."
        remedy = Remedy("Install another version of its package, and report this to its authors.")
        return Finding("init-failed", "error", module, message, "", facts, remedy, "loader")
    lacks = f"lacks {snap.procedure}, which {parent} imports"
    if snap.kind == snaps.NO_EXPORT_TABLE:
        lacks = f"offers no functions (it has no export table), and {parent} imports some"
    message = f"{module} {lacks}: the two do not belong together."
    remedy = Remedy(f"Install versions of {parent} and {module} that were made for each other.")
    return Finding("missing-export", "error", module, message, parent, facts, remedy, "loader")


def _at(base: int | None, load: LoadTrace) -> str:
    """The file that was mapped at an address; empty if none was."""
    return next((module.path for module in reversed(load.mapped) if module.base == base), "")
