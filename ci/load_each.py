"""Load files in children of this Windows Python, many in one, and tell of each how its load ended.

Runs in the bed, there also on another processor: `python load_each.py REQUEST ANSWERS`. REQUEST is a JSON list of
groups of files that have the same `directories` and `preloads`; ANSWERS gets one JSON line for each file, at once.
A start takes seconds on an emulated processor. So a child loads up to `together` files, one after the other; but only
loads that end well count in such company, and only up to the first one that does not: what that leaves behind can
change the next. It is repeated, and told, in a child of its own.
"""

from __future__ import annotations

import json
import sys
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from depwalk import core, search
from depwalk.loader import PYTHON_FLAGS, processes
from depwalk.target.python import running_architecture

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.loader.processes import Ran
    from depwalk.loader.story import Raised

ILLEGAL_INSTRUCTION = 0xC000001D
STARTING, LOADING, LOADING_ALONE = 60.0, 8.0, 180.0  # seconds, on an emulated processor
ATTEMPTS = 2  # to start a child


def main() -> None:
    request, answers = sys.argv[1:]
    groups = json.loads(Path(request).read_text("utf-8"))
    with open(answers, "a", encoding="utf-8") as file:
        for group in groups:
            for row in load_group(group):
                file.write(json.dumps({"key": group["key"], **row}) + "\n")
                file.flush()


def load_group(group: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A row for each file of a group."""
    waiting = list(group["paths"])
    while waiting:
        together = waiting[: group["together"]]
        well = loaded_in_company(together, run(group, together, STARTING + LOADING * len(together)))
        yield from (row(path, "loaded", code=0) for path in well)
        waiting = waiting[len(well) :]
        if len(well) < len(together):
            yield load_alone(group, waiting.pop(0))


def loaded_in_company(paths: Sequence[str], ran: Ran) -> list[str]:
    """The files before the first one that did not end well; none if one met an illegal instruction, and which?"""
    codes = {record["path"]: record["code"] for record in ran.records if "code" in record}
    if any(one.code == ILLEGAL_INSTRUCTION for one in ran.story.raised) and all(code == 0 for code in codes.values()):
        return []
    return list(takewhile(lambda path: codes.get(path) == 0, paths))


def load_alone(group: dict[str, Any], path: str) -> dict[str, Any]:
    """How the load of one file in a child of its own ended; what its preloads raised is not its doing."""
    ran = run(group, [path], STARTING + LOADING_ALONE)
    before = len(run(group, [], STARTING + LOADING_ALONE).story.raised) if group["preloads"] and ran.story.raised else 0
    return of_one(path, ran, ran.story.raised[before:])


def of_one(path: str, ran: Ran, raised: Sequence[Raised]) -> dict[str, Any]:
    code = next((record["code"] for record in ran.records if "code" in record), None)
    if code is not None:
        return row(path, "refused" if code else "loaded", code=code, raised=raised)
    if ran.timed_out:
        return row(path, "hung", raised=raised)
    if not any("loading" in record for record in ran.records):
        return row(path, "not-reached", end=ran.exit_code, raised=raised)  # a preload ended the child
    return row(path, "died", end=ran.exit_code, raised=raised)


def row(
    path: str, outcome: str, *, code: int | None = None, end: int | None = None, raised: Sequence[Raised] = ()
) -> dict[str, Any]:
    exceptions = [
        {"code": one.code, "module": one.module, "rva": one.rva, "bytes": one.code_bytes.hex()} for one in raised
    ]
    return {"path": path, "outcome": outcome, "code": code, "exit": end, "exceptions": exceptions}


def run(group: dict[str, Any], paths: Sequence[str], timeout: float) -> Ran:
    """Start a child that loads files in that order."""
    request = {
        "core": str(core.library_for(running_architecture(), running_architecture())),
        "preload": group["preloads"],
        "watch": True,
        "load": list(paths),
        "directories": group["directories"],
        "flags": search.PYTHON_IMPORT,
        "path": None,
        "list_modules": False,
    }
    command = [sys.executable, *PYTHON_FLAGS, str(processes.SCRIPT)]
    for _ in range(ATTEMPTS):
        ran = processes.run(command, request, timeout=timeout)
        if ran.began:
            break
    return ran


if __name__ == "__main__":
    main()
