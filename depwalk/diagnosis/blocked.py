"""Files that are there and that Windows does not hand out: rights, policies, security programs, too little memory."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from depwalk import files, loader
from depwalk.finding import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.host.events import Event
    from depwalk.host.origin import Origin
    from depwalk.loader import LoadTrace

_LOGGED = ("access-denied", "blocked-by-policy", "blocked-by-antivirus")  # of which the event logs can tell more
HANDLED = (*_LOGGED, "out-of-memory")

_IN_USE = 32
_CLOUD = (362, 389, 395)
_SIGNATURE = 577
_OF_POLICY, _OF_ANTIVIRUS = (3077, 3033, 8004), (1116, 1117)
# The policy of Smart App Control, by its GUID: unslothai/unsloth#10408, Rem0o/FanControl.Releases#3782.
_SMART_APP_CONTROL = "{0283ac0f-fff1-49ae-ada1-8a933130cad6}"
_APPLOCKER = 8004
# Action IDs of Microsoft Defender's events; their names are in the language of the user.
_ALLOWED = "6"
_ACTIONS = {"1": "cleaned", "2": "moved to quarantine", "3": "removed", "10": "blocked"}
_STORE = re.compile(r"[\\/]WindowsApps[\\/]", re.IGNORECASE)
_LOWEST_STATUS = 0x40000000  # smaller codes are Win32 codes, and written in decimal
_GB = 1e9


def by_events(evidence: Evidence, load: LoadTrace) -> Iterable[Finding]:
    """The files that the event logs name as blocked, for a code with which a blocked file ends a load."""
    code = load.code if load.code is not None else load.exit_code
    if code is None or evidence.host.events is None or loader.describe(code).get("finding") not in _LOGGED:
        return
    for module in evidence.graph.modules:
        if module.path and (
            _events(evidence, module.path, _OF_POLICY) or _events(evidence, module.path, _OF_ANTIVIRUS)
        ):
            yield refusal(evidence, module, code, ())


def refusal(evidence: Evidence, module: Module, code: int, facts: Sequence[str]) -> Finding:
    """What a code of these families says of a file. What the logs tell of it goes before the code."""
    path = module.path or module.name
    policy, antivirus = _events(evidence, path, _OF_POLICY), _events(evidence, path, _OF_ANTIVIRUS)
    finding = loader.describe(code)["finding"]
    if finding == "out-of-memory":
        message, remedy = _out_of_memory(evidence, module, code)
        facts = (*_memory(evidence), *facts)
    elif antivirus or (finding == "blocked-by-antivirus" and not policy):
        finding = "blocked-by-antivirus"
        message, remedy = _by_antivirus(evidence, module, antivirus)
    elif policy or finding == "blocked-by-policy":
        finding = "blocked-by-policy"
        message, remedy = _by_policy(evidence, module, code, policy)
    else:
        message, remedy = _denied(evidence, module, code)
    return Finding(
        finding,
        "error",
        module.name,
        message,
        needed_by=evidence.importer(module),
        evidence=(
            *((f"the file is there: {module.path}",) if module.path else ()),
            f"code: {_shown(code)}",
            *(_told(event) for event in (*antivirus, *policy)),
            *(_unread(evidence) if finding in _LOGGED else ()),
            *_origin_facts(evidence, path),
            *facts,
            *evidence.chain(module),
        ),
        remedy=remedy,
        proof="loader",
    )


def access_denied(evidence: Evidence) -> Iterable[Finding]:
    """`access-denied`: the file that the search chooses cannot be opened, and the search does not go on."""
    for module in evidence.problems("blocked"):
        path = module.path or module.name
        message, remedy = _unreadable(module)
        yield Finding(
            "access-denied",
            "error",
            module.name,
            message,
            needed_by=evidence.importer(module),
            evidence=(f"file: {path}", *_origin_facts(evidence, path), *evidence.chain(module)),
            remedy=remedy,
        )


# ---- rights


def _unreadable(module: Module) -> tuple[str, Remedy]:
    path = module.path or module.name
    if files.is_directory(path):
        message = f"{module.name} is a folder, and a DLL of that name is needed."
        return message, Remedy("Rename or move that folder, and reinstall the package that the DLL belongs to.")
    return _store(module) or (
        f"{module.name} cannot be read: {module.reason}.",
        Remedy("Give the account that runs Python the right to read and execute this file."),
    )


def _store(module: Module) -> tuple[str, Remedy] | None:
    if not _STORE.search(module.path or ""):
        return None
    message = (
        f"{module.name} belongs to an app of the Microsoft Store, and Windows keeps other programs from loading it."
    )
    return message, Remedy(
        "Use the Python from python.org in place of the one from the Store, or keep the file in a folder of your own.",
        url="https://www.python.org/downloads/windows/",
    )


def _denied(evidence: Evidence, module: Module, code: int) -> tuple[str, Remedy]:
    path = module.path or module.name
    origin = _origin(evidence, path)
    if code in _CLOUD or (origin is not None and origin.in_cloud):
        return (
            f"The content of {module.name} is not on this disk: a cloud program such as OneDrive did not fetch it.",
            Remedy(
                "Let the cloud program always keep this folder on the device, or move the environment to another "
                "folder."
            ),
        )
    if code == _IN_USE:
        message = f"Another program has {module.name} open and lets nobody else use it."
        return message, Remedy(
            "Close the program that holds the file, wait until a running installation ends, or restart."
        )
    if module.image is None or files.is_directory(path):
        return _unreadable(module)
    return _store(module) or (
        f"Windows lets this user read {module.name}, but does not let it be loaded ({loader.describe(code)['text']}).",
        Remedy(
            "Give the account that runs Python the right to read and execute this file. If it has that, look whether "
            "an antivirus program or a policy of this machine names the file."
        ),
    )


# ---- policies and security programs


def _by_policy(evidence: Evidence, module: Module, code: int, events: Sequence[Event]) -> tuple[str, Remedy]:
    if any(_SMART_APP_CONTROL in value.lower() for event in events for _, value in event.data):
        return (
            f"Smart App Control, which lets only signed and well-known files run, blocked {module.name}.",
            Remedy(
                "Use a version of the package whose files are signed or better known: Smart App Control has no "
                "exceptions for single files. Report the block to the authors; the same file may be let pass later."
            ),
        )
    if any(event.id == _APPLOCKER for event in events):
        who = "A rule of AppLocker, with which this machine is administered, blocked"
    elif code == _SIGNATURE and not events:
        who = "Windows lets this process load only files with a digital signature that it accepts, and refused"
    else:
        who = "A policy of this machine, which says what programs may run, blocked"
    remedies = {
        True: "Allow this file (by its signer or its hash) in the policy, if you trust the package.",
        False: "Ask the administrator of this machine to allow this file.",
        None: "Ask whoever administers this machine to allow this file.",
    }
    return f"{who} {module.name}.", Remedy(remedies[evidence.host.administrator])


def _by_antivirus(evidence: Evidence, module: Module, events: Sequence[Event]) -> tuple[str, Remedy]:
    threat = next((event.field("Threat Name") for event in events if event.field("Threat Name")), "")
    who = "Microsoft Defender" if events else "An antivirus program"
    what = f" as {threat}" if threat else ""
    owner = "" if evidence.host.administrator is not False else ", or ask the administrator of this machine to"
    return (
        f"{who} blocked {module.name}{what}.",
        Remedy(
            "If the package is the real one, restore the file from the protection history of the antivirus "
            f"program{owner}. Report the false alarm to its makers and to the authors of the package."
        ),
    )


def _events(evidence: Evidence, path: str, identifiers: Sequence[int]) -> list[Event]:
    """Events that tell of a block: the antivirus program also tells what a person allowed."""
    found = evidence.host.events.about(path, *identifiers) if evidence.host.events else []
    return [event for event in found if event.field("Action ID") != _ALLOWED]


def _told(event: Event) -> str:
    action = _ACTIONS.get(event.field("Action ID"), "")
    return f"event {event.id} of {event.log} at {event.when} names it{action and f': {action}'}"


def _unread(evidence: Evidence) -> Iterator[str]:
    for log in evidence.host.events.unread if evidence.host.events else ():
        yield f"this event log could not be read: {log}"


def _origin(evidence: Evidence, path: str) -> Origin | None:
    return next((origin for origin in evidence.host.origins if origin.path.lower() == path.lower()), None)


def _origin_facts(evidence: Evidence, path: str) -> Iterator[str]:
    origin = _origin(evidence, path)
    if origin is not None and origin.zone is not None:
        yield f"marked as coming from zone {origin.zone}{_ZONES.get(origin.zone, '')}{origin.url and f', {origin.url}'}"
    if origin is not None and origin.in_cloud:
        yield "it is a placeholder: its content is not on this disk"


_ZONES = {3: " (the internet)", 4: " (a restricted site)"}


# ---- memory


def _out_of_memory(evidence: Evidence, module: Module, code: int) -> tuple[str, Remedy]:
    why = loader.describe(code)["text"]
    message = (
        f"Windows had not enough memory left to load {module.name}{'' if why == 'not enough memory' else f': {why}'}."
    )
    if evidence.target.architecture == "x86":
        return message, Remedy(
            "Close programs, or use a 64-bit Python: a 32-bit process has at most 4 GB for everything."
        )
    may = evidence.host.administrator is not False
    enlarge = "Enlarge the paging file" if may else "Ask the administrator of this machine to enlarge the paging file"
    return message, Remedy(
        f"{enlarge}, close programs, or start fewer worker processes: each of them needs this memory once more."
    )


def _memory(evidence: Evidence) -> Iterator[str]:
    """What there is, and what the files of the tree that are not in the process yet need at most."""
    loaded = {path.lower() for path in evidence.target.loaded}
    new = [
        module
        for module in evidence.graph.modules
        if module.image
        and module.status == "found"
        and not module.delayed
        and (module.path or "").lower() not in loaded
    ]
    needed = sum(module.image.size_of_image for module in new if module.image)
    commit = evidence.host.commit
    if commit is not None:
        yield (
            f"Windows can promise {commit.limit / _GB:.1f} GB to programs (memory and paging file); "
            f"{commit.available / _GB:.1f} GB of it are left"
        )
    yield f"files still to be loaded: {len(new)}, which take {needed / _GB:.1f} GB of memory at most"
    if commit is not None and commit.available > needed:
        yield "by now this would be enough: other programs, or other processes of this one, had the memory at that time"


def _shown(code: int) -> str:
    row = loader.describe(code)
    number = f"0x{code:08X}" if code >= _LOWEST_STATUS else str(code)
    return f"{number} ({row.get('status') or row.get('name')})"
