"""The directories of a search themselves: those that are none, and those that cannot be searched."""

from __future__ import annotations

import ntpath
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from depwalk import files
from depwalk.finding import Finding, Remedy
from depwalk.target.directory import Directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.search import Rule
    from depwalk.target import Target

LONGEST = 260  # characters of a path, with the NUL at its end, that the loader takes
_INVALID = 87
_TOO_LONG = 206
_NOT_FOUND = 126
_BITLOCKER = 0x80310000  # the codes of BitLocker are this and its last 16 bits
_VARIABLE = re.compile(r"%([^%]+)%")


class Entry(NamedTuple):
    """One entry of PATH as it is written."""

    text: str
    problem: str = ""  # for a person; empty if there is none
    meant: str = ""  # the directory that it should have named, where the loader does not see it
    code: int = 0  # with which its directory cannot be read


def entries(target: Target) -> Iterator[Entry]:
    """PATH, each entry with the first thing that is wrong with it."""
    seen: set[str] = set()
    for text in target.path:
        key = os.path.normcase(os.path.normpath(text))
        found = _entry(text, target)
        yield Entry(text, "is listed before") if key in seen and not found.problem else found
        seen.add(key)


def is_searched(target: Target) -> bool:
    """Whether PATH counts: not for an import by CPython 3.8 or later."""
    return target.python is None or not target.python.restricts_search


def dead_entry(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`search-path-problem`: the DLL is in a directory that PATH means to name, and names wrongly."""
    if not missing or not is_searched(evidence.target):
        return
    dead = [entry for entry in entries(evidence.target) if entry.meant]
    for module in missing:
        entry = next((entry for entry in dead if Directory(entry.meant).find(module.name)), None)
        if entry is not None and not module.reason:
            yield Finding(
                "search-path-problem",
                "error",
                module.name,
                f"{module.name} is in {entry.meant}, which is not searched: its entry on PATH {entry.problem}.",
                needed_by=evidence.importer(module),
                evidence=(f"the entry: {entry.text}", *evidence.chain(module), *evidence.searched(module)),
                remedy=Remedy(f"Write the entry on PATH like this, and start the program anew: {entry.meant}"),
            )


def unusable_entries(evidence: Evidence) -> Iterable[Finding]:
    """`search-path-problem`, as a warning: entries that name nothing, where something is missing and PATH counts."""
    missing = evidence.problems("missing")
    if not missing or not is_searched(evidence.target) or any(dead_entry(evidence, missing)):
        return
    found = [entry for entry in entries(evidence.target) if _is_mistaken(entry)]
    if found:
        yield Finding(
            "search-path-problem",
            "warning",
            evidence.loading,
            "PATH has entries in which Windows finds nothing; what is missing may be where they should lead.",
            evidence=tuple(f"{entry.text}: {entry.problem}" for entry in found),
            remedy=Remedy("Correct these entries, and start the program anew."),
        )


def locked_drive(evidence: Evidence) -> Iterable[Finding]:
    """`search-path-problem`: a drive that BitLocker locks ends every search that comes by it."""
    code = evidence.load.code if evidence.load else None
    if code is None or code & 0xFFFF0000 != _BITLOCKER:
        return
    locked = [entry.text for entry in entries(evidence.target) if entry.code & 0xFFFF0000 == _BITLOCKER]
    where = f": {locked[0]}" if locked else ""
    yield Finding(
        "search-path-problem",
        "error",
        evidence.loading,
        f"A directory that was searched for {evidence.loading} is on a drive that BitLocker has locked{where}.",
        evidence=(f"code: 0x{code:08X}", *(f"on PATH: {text}" for text in locked)),
        remedy=Remedy("Unlock the drive, or take its directories off PATH and start the program anew."),
        proof="loader",
    )


def invalid_path(evidence: Evidence) -> Iterable[Finding]:
    """`search-path-problem`: code 87, because the loader was given a path or a directory that is not absolute."""
    load, fatal = evidence.load, evidence.imported.fatal if evidence.imported else None
    if load is None or load.code != _INVALID:
        return
    given = [fatal.path] if fatal else []
    for path in [*given, *evidence.target.dll_dirs]:
        if not _is_absolute(path):
            yield Finding(
                "search-path-problem",
                "error",
                evidence.loading,
                f"The loader was given {path}, which is relative to the current directory: it takes whole paths only.",
                evidence=(f"code: {_INVALID}", *((f"current directory: {fatal.cwd}",) if fatal and fatal.cwd else ())),
                remedy=Remedy("Give the whole path, in Python os.path.abspath(...)."),
                proof="loader",
            )
            return


def refused_directory(evidence: Evidence) -> Iterable[Finding]:
    """`search-path-problem`: the program ended because os.add_dll_directory refused what it was given."""
    trace = evidence.imported
    if trace is None or trace.ended_well or trace.fatal is not None or not trace.directories:
        return
    last = trace.directories[-1]
    if not any(error.startswith(("FileNotFoundError:", "OSError:")) for error in trace.uncaught):
        return
    relative = not _is_absolute(last)
    if not relative and Directory(last).exists:
        return
    twice = ntpath.basename(ntpath.dirname(last)).lower() == ntpath.basename(last).lower() == "bin"
    cause = "it ends in \\bin twice" if twice else "it is not absolute" if relative else "there is no such directory"
    yield Finding(
        "search-path-problem",
        "error",
        trace.name,
        f"The program adds the directory {last} to the search, and Windows refuses it: {cause}.",
        evidence=tuple(f"{name} is {value}" for name, value in _variables_with(last, evidence.target)),
        remedy=Remedy("Correct the environment variable or the setting that the directory comes from."),
        proof="loader",
    )


def path_too_long(evidence: Evidence) -> Iterable[Finding]:
    """`path-too-long`: an import gives the loader a path without its prefix for long ones."""
    load = evidence.load
    if load is not None and load.code not in (_TOO_LONG, _NOT_FOUND):
        return
    if load is not None and load.code == _NOT_FOUND and evidence.problems("missing"):
        return
    for module in evidence.graph.modules:
        path = module.path or ""
        if len(path) >= LONGEST and ntpath.splitdrive(path)[0] and not path.startswith("\\\\?\\"):
            yield Finding(
                "path-too-long",
                "error" if load is not None else "warning",
                module.name,
                f"The path of {module.name} has {len(path)} characters; Windows loads DLLs from paths of up to "
                f"{LONGEST - 1}.",
                needed_by=evidence.importer(module),
                evidence=(f"file: {path}", "LongPathsEnabled helps programs that open files, not the loader"),
                remedy=Remedy("Move the environment to a directory with a shorter path, such as C:\\venv."),
                proof="loader" if load is not None else "static",
            )
            return


def listing(target: Target, rules: Iterable[Rule]) -> Iterator[str]:
    """Every step of a search in its order, with the state of its directory; then PATH, entry by entry."""
    for number, rule in enumerate(rules, 1):
        if rule.directory is None:
            yield f"{number}. {rule.name}"
        else:
            yield f"{number}. {rule.name}: {rule.directory.path} {_state(rule.directory)}"
    if target.path:
        yield "PATH, which this search uses:" if is_searched(target) else "PATH, which this search does not use:"
    for entry in entries(target):
        state = f"({entry.problem})" if entry.problem else _state(Directory(entry.text))
        yield f"  {entry.text} {state}"


def _state(directory: Directory) -> str:
    if not directory.is_real:
        return "(assumed)"
    if not directory.exists:
        return "(does not exist)"
    try:
        count = sum(name.endswith(".dll") for name in files.listing(directory.path))
    except OSError as error:
        return f"(cannot be read: code {_code(error)})"
    return f"({count} DLL{'' if count == 1 else 's'})"


def _entry(text: str, target: Target) -> Entry:
    if '"' in text:
        return Entry(text, "has quotation marks, which Windows takes for a part of the name", text.replace('"', ""))
    if _VARIABLE.search(text):
        return Entry(text, "has a variable that was not replaced by its value", _expanded(text, target))
    if text.startswith(("$", "~")) or (text.startswith("/") and not os.path.exists(text)):
        return Entry(text, "is no path of Windows")
    if not _is_absolute(text):
        return Entry(text, "is relative to the current directory")
    return _on_disk(text)


def _on_disk(text: str) -> Entry:
    if len(text) >= LONGEST:
        return Entry(text, f"has {len(text)} characters, more than the loader takes")
    if os.path.isfile(text):  # Wine has a code of its own for it
        return Entry(text, "does not exist")
    try:
        os.scandir(text).close()
    except (FileNotFoundError, NotADirectoryError):
        return Entry(text, "does not exist")
    except OSError as error:
        return Entry(text, f"cannot be read: code {_code(error)}", code=_code(error))
    return Entry(text)


def _is_mistaken(entry: Entry) -> bool:
    """Not one that only has no directory, or that is there twice: every PATH has some of those."""
    return bool(entry.problem) and entry.problem not in ("does not exist", "is listed before")


def _expanded(text: str, target: Target) -> str:
    """With the values of variables; empty if one of them is not known."""
    values = {name: target.environment.variable(name) if target.environment else "" for name in _VARIABLE.findall(text)}
    return _VARIABLE.sub(lambda found: values[found[1]], text) if all(values.values()) else ""


def _variables_with(directory: str, target: Target) -> Iterable[tuple[str, str]]:
    """Environment variables that a directory was made from."""
    variables = target.environment.variables if target.environment else {}
    return [(name, value) for name, value in variables.items() if value and directory.startswith(value)]


def _is_absolute(path: str) -> bool:
    return os.path.isabs(path) or ntpath.isabs(path)


def _code(error: OSError) -> int:
    """Of Windows where it gave one."""
    return (getattr(error, "winerror", None) or error.errno or 0) & 0xFFFFFFFF
