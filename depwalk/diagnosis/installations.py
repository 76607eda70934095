"""Files that are not as their package installed them: gone, changed, or left over from another version."""

from __future__ import annotations

import ntpath
import os
from typing import TYPE_CHECKING

from depwalk import wheel
from depwalk.diagnosis import commands, elsewhere
from depwalk.finding import Finding, Remedy
from depwalk.target import environment

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.host.events import Event
    from depwalk.installation import Installation
    from depwalk.wheel import Distribution

_FOUND, _ACTED = 1116, 1117  # Microsoft Defender: malware was found, something was done about it
_REPORT = "https://www.microsoft.com/wdsi/filesubmission"

# What a file does that is not the one its package installed; each of these has a better explanation in that.
_CONSEQUENCES = {"missing-dll", "missing-export", "init-failed", "crash-on-load"}


def absent_file(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`modified-file` or `quarantined`: the package had brought what is missing now."""
    for module in missing:
        for installation in evidence.installations:
            gone = [path for path in installation.absent if os.path.basename(path).lower() == module.name.lower()]
            if gone:
                yield _absent(gone[0], installation, evidence, module)
                break


def taken_out(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`missing-dll`: a name that a packaging tool made, needed by a file that lies in no package."""
    path = evidence.graph.root.path or ""
    if evidence.installations or environment.site_of(path) is not None:
        return
    hashed = [module for module in missing if elsewhere.HASHED.fullmatch(module.name)]
    if not hashed:
        return
    first, also = hashed[0], tuple(module.name for module in hashed[1:])
    importer = evidence.importer(first)
    yield Finding(
        "missing-dll",
        "error",
        first.name,
        f"{importer} is in no installed package, and needs {first.name}, which only its own package brings.",
        needed_by=importer,
        evidence=(
            f"file: {path}",
            "the letters and digits at the end of the name are a hash, which the tool that made the wheel put there",
            *((f"also missing: {', '.join(also)}",) if also else ()),
            *evidence.chain(first),
            *evidence.searched(first),
        ),
        remedy=Remedy(
            "Import the package where it is installed: a file that is copied out of it leaves its DLLs behind. A "
            "program that was made of the package has to take them along."
        ),
        also=also,
    )


def in_place_of_consequences(evidence: Evidence, findings: Iterable[Finding]) -> list[Finding]:
    """The findings, where a file that is not the installed one explains an error; and what else is wrong there."""
    found = [_explained(finding, evidence) for finding in findings]
    told = {name.lower() for finding in found for name in (finding.module, finding.needed_by)}
    failed = evidence.load is not None and not evidence.load.loaded
    for installation in evidence.installations:
        found += _quarantined_beside(installation, evidence, told)
        found += _changed(installation, evidence, told, failed=failed)
        if not any(finding.code == "modified-file" for finding in found):
            found += _twice(installation, evidence)
    return found


def _absent(path: str, installation: Installation, evidence: Evidence, module: Module | None) -> Finding:
    owner, name = installation.distribution, ntpath.basename(os.path.basename(path))
    events = _defender(path, evidence)
    listed = f"{path} is in the RECORD of {owner}, and is not there"
    needed_by = evidence.importer(module) if module else ""
    facts = (listed, *(evidence.chain(module) if module else ()))
    again = commands.reinstall(evidence, owner)
    if events:
        return Finding(
            "quarantined",
            "error",
            name,
            f"{name}, which {owner.name} had installed, was taken away by Microsoft Defender.",
            needed_by=needed_by,
            evidence=(*map(_told, events), *facts),
            remedy=Remedy(
                "If you trust it, allow it in Windows Security, Protection history (and report it as wrongly "
                "detected), then install it again:",
                again,
                _REPORT,
            ),
            proof="inferred",
        )
    return Finding(
        "modified-file",
        "error",
        name,
        f"{name}, which {owner.name} had installed, is gone.",
        needed_by=needed_by,
        evidence=(*facts, *(evidence.searched(module) if module else ())),
        remedy=Remedy(
            "Install the package again; if the file disappears once more, look what your security program did:", again
        ),
    )


def _defender(path: str, evidence: Evidence) -> list[Event]:
    """Events of Microsoft Defender about a file, the newest first."""
    events = evidence.host.events
    return events.about(path, _FOUND, _ACTED) if events is not None else []


def _told(event: Event) -> str:
    did = "found" if event.id == _FOUND else "acted on"
    threat = event.field("Threat Name") or "it"
    return f"{event.when}: Microsoft Defender {did} {threat} (event {event.id})"


def _explained(finding: Finding, evidence: Evidence) -> Finding:
    """The same error as `modified-file`, if it is about a file that its package did not install like this."""
    if finding.severity != "error" or finding.code not in _CONSEQUENCES:
        return finding
    names = {finding.module.lower(), finding.needed_by.lower()}
    for module in evidence.graph.modules:
        reason = _reason(module, evidence) if module.name.lower() in names and module.path else None
        if reason is None:
            continue
        what, fact, remedy = reason
        return finding._replace(
            code="modified-file",
            module=module.name,
            message=f"{module.name} {what}, and it does not work.",
            evidence=(finding.message, fact, *finding.evidence),
            remedy=remedy,
        )
    return finding


def _reason(module: Module, evidence: Evidence) -> tuple[str, str, Remedy] | None:
    """(what is wrong with a file, the fact, the remedy); None if it is as it was installed."""
    path = os.path.normcase(os.path.abspath(module.path or ""))
    for found in evidence.installations:
        owner = found.distribution
        changed = {os.path.normcase(name): difference for name, difference in found.changed}
        if path in map(os.path.normcase, found.extra):
            fact = f"{module.path} lies among the files of {owner}, whose RECORD does not list it"
            text = f"Uninstall {owner.name}, see that this file is gone too, and install it again:"
            return (
                "is no part of the installed package, but left over or added",
                fact,
                Remedy(text, _uninstall(evidence, owner)),
            )
        if path in changed:
            fact = f"{module.path} is not as {owner} installed it: {changed[path]}"
            remedy = Remedy("Install the package again:", commands.reinstall(evidence, owner))
            return "is not the file that its package installed", fact, remedy
        if found.others and wheel.distribution_of(path) == owner:
            return (
                f"is of {owner.name}, which is installed twice in one place",
                _versions(found),
                _once(found, evidence),
            )
    return None


def _versions(found: Installation) -> str:
    return f"in {found.site}: {found.distribution} and {', '.join(map(str, found.others))}"


def _once(found: Installation, evidence: Evidence) -> Remedy:
    name = found.distribution.name
    text = f"Uninstall {name} as often as it takes until it is said not to be installed, then install it once:"
    return Remedy(text, _uninstall(evidence, found.distribution))


def _uninstall(evidence: Evidence, owner: Distribution) -> str:
    return (
        f"conda remove {owner.name}"
        if owner.installer == "conda"
        else f"{commands.pip(evidence)} uninstall {owner.name}"
    )


def _quarantined_beside(installation: Installation, evidence: Evidence, told: set[str]) -> Iterator[Finding]:
    """What Defender took away though no DLL needs it: Python finds no module there."""
    imported = evidence.imported
    fails = imported is not None and not imported.ended_well and imported.fatal is None
    for path in installation.absent:
        if os.path.basename(path).lower() not in told and _defender(path, evidence):
            yield _absent(path, installation, evidence, None)._replace(severity="error" if fails else "warning")


def _changed(installation: Installation, evidence: Evidence, told: set[str], *, failed: bool) -> Iterator[Finding]:
    """Files of the tree; and all of the package if the load failed, for it may load more than it imports."""
    if not installation.changed:
        return
    owner = installation.distribution
    tree = {os.path.normcase(os.path.abspath(module.path)) for module in evidence.graph.modules if module.path}
    for path, difference in installation.changed:
        name = os.path.basename(path)
        if name.lower() in told or not (failed or os.path.normcase(path) in tree):
            continue
        yield Finding(
            "modified-file",
            "warning",
            name,
            f"{name} is not the file that {owner.name} installed.",
            evidence=(f"{path} is not as {owner} installed it: {difference}",),
            remedy=Remedy(
                "Unless you changed it yourself, install the package again:", commands.reinstall(evidence, owner)
            ),
        )


def _twice(installation: Installation, evidence: Evidence) -> Iterator[Finding]:
    owner = installation.distribution
    if installation.others:
        yield Finding(
            "modified-file",
            "warning",
            owner.name,
            f"{owner.name} is installed twice in one place, so files of two versions may lie among each other.",
            evidence=(_versions(installation),),
            remedy=_once(installation, evidence),
        )
