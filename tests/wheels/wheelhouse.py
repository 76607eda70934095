"""The wheelhouse: its wheels, what has to be said of them in each case, and what a scan of them says."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tomllib

from depwalk import bulk
from depwalk.target.choose import Choice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from depwalk.bulk.rows import Row
    from depwalk.diagnosis import Finding

HERE = Path(__file__).parent
WINDOWS = ("7", "10", "10-N", "11", "11-core")
RUNTIME = "vc14"
JUDGED_WITH_ANOTHER = "judged with "


@dataclass(frozen=True)
class Told:
    """A row of a scan: which file of which wheel, and the row itself."""

    wheel: str
    file: str
    row: Row

    @property
    def windows(self) -> str:
        return self.row.case.windows

    @property
    def runtime(self) -> str:
        return "with" if self.row.case.runtimes else "without"

    @property
    def errors(self) -> list[Finding]:
        return [finding for finding in self.row.findings if finding.severity == "error"]

    def says(self, finding: str, modules: list[str]) -> bool:
        """Whether an error of that code names one of the modules."""
        return any(
            module in " ".join([error.module, error.message, *error.evidence, *error.also]).lower()
            for error in self.errors
            if error.code == finding
            for module in modules
        )


def read(name: str) -> list[dict[str, Any]]:
    """The wheels of wheelhouse.toml or matrix.toml."""
    told: list[dict[str, Any]] = tomllib.loads((HERE / name).read_text("utf-8"))["wheel"]
    return told


def scan(wheelhouse: Path) -> dict[str, list[Told]]:
    """What a scan of a directory of wheels says, by the names of the wheels."""
    cases = bulk.cases(Choice(runtimes=(RUNTIME,)), WINDOWS, live=False, also_without_runtime=True)
    found: dict[str, list[Told]] = {path.name: [] for path in sorted(wheelhouse.glob("*.whl"))}
    for row in bulk.Scan.of([str(wheelhouse)], cases).rows():
        wheel, _, file = os.path.relpath(row.file.path, wheelhouse).replace(os.sep, "/").partition("/")
        found[wheel].append(Told(wheel, file, row))
    return found


def causes(expected: dict[str, Any], told: Told, wheelhouse: dict[str, list[Told]]) -> list[dict[str, Any]]:
    """Why a file does not load in a case; nothing if it does."""
    listed = [
        cause
        for cause in expected.get("fails", ())
        if _is_about(cause, told) and not any(wheel.startswith(cause.get("unless", "?")) for wheel in wheelhouse)
    ]
    return [*listed, *_without_a_python(told)]


def _without_a_python(told: Told) -> list[dict[str, Any]]:
    """From 3.9 on no CPython runs on Windows 7: what is for such a one cannot be imported there."""
    newer = re.search(r"-cp3(9|1\d)-", told.wheel)
    if told.windows != "7" or not told.row.file.python or newer is None:
        return []
    return [{"finding": "windows-too-old", "module": told.file.rpartition("/")[2].lower()}]


def is_for_arm(told: Told) -> bool:
    """There is no Windows 7 for Arm, and the others of the cases are for x64."""
    return told.wheel.endswith("win_arm64.whl")


def differences(expected: dict[str, Any], told: Told) -> list[dict[str, Any]]:
    """What is known to be said wrongly of a file in a case."""
    return [differs for differs in expected.get("differs", ()) if _is_about(differs, told)]


def complaints(expected: dict[str, Any], told: Told, wheelhouse: dict[str, list[Told]]) -> Iterator[str]:
    """What is not said of a file in a case as it should be, or, where it is known not to be, as it was."""
    if is_for_arm(told):
        yield from (f"{told.row.verdict}, where it is not to be judged" for _ in [0] if told.row.verdict is not None)
        return
    true = causes(expected, told, wheelhouse)
    known = differences(expected, told)
    if told.row.reason.startswith(JUDGED_WITH_ANOTHER) or any("finding" not in differs for differs in known):
        return
    if told.row.verdict is None and (not expected["files"] or _fits(expected.get("foreign", ()), told.file)):
        return
    undecided = _fits(expected.get("undecided", ()), told.file)
    unseen = not true and _fits(expected.get("unseen", ()), told.file)
    may_come = bool(true) and all("may_come" in cause for cause in true)
    verdict = "fails" if true or known else "loads"
    if told.row.verdict == "unknown" and (undecided or unseen or may_come):
        return
    if told.row.verdict != verdict:
        yield f"{told.row.verdict}, not {verdict}: {told.row.reason or [error.message for error in told.errors]}"
    elif told.row.verdict == "fails":
        wanted = known or true  # a wrong cause may hide a true one
        silent = [
            cause for cause in wanted if not told.says(cause["finding"], _names(cause)) and "may_come" not in cause
        ]
        if len(silent) > (len(wanted) - 1 if undecided else 0):
            yield from (f"{cause['finding']} of {cause['module']} is not said" for cause in silent)
        codes = {cause["finding"] for cause in [*true, *known]}
        if not undecided:
            yield from (f"{error.code}: {error.message}" for error in told.errors if error.code not in codes)


def _names(cause: dict[str, Any]) -> list[str]:
    return [cause["module"], *cause.get("also", ())]


def _is_about(told_of: dict[str, Any], told: Told) -> bool:
    return (
        _fits(told_of["on"], told.file)
        and told.windows in told_of.get("windows", WINDOWS)
        and told.runtime == told_of.get("runtime", told.runtime)
    )


def _fits(patterns: Any, file: str) -> bool:
    return any(fnmatchcase(file, pattern) for pattern in patterns)
