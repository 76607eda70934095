"""What a scan comes to, row by row: how many files load, and for which causes the others do not."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from depwalk import choices, wheel

if TYPE_CHECKING:
    from depwalk.bulk.policy import Entry, Outcome, Policy
    from depwalk.bulk.rows import Case, File, Row
    from depwalk.finding import Finding


@dataclass
class Cause:
    """One root cause: a finding as it was met first, and what it breaks, case by case."""

    finding: Finding
    modules: Counter[str] = field(default_factory=Counter)  # at fault
    files: dict[str, File] = field(default_factory=dict)
    cases: list[Case] = field(default_factory=list)

    def groups(self) -> Counter[str]:
        """How many of its files each distribution has; those that belong to none go by their directory."""
        return Counter(map(group_of, self.files.values()))


@dataclass
class Summary:
    """Counts and causes.

    `cells` counts the outcomes of extension modules by group and case; `others` those of programs and of DLLs that
    nothing needs, by case.
    """

    policy: Policy
    cases: list[Case] = field(default_factory=list)
    cells: dict[str, dict[Case, Counter[Outcome]]] = field(default_factory=dict)
    others: dict[Case, Counter[Outcome]] = field(default_factory=dict)
    causes: dict[tuple[str, str, str], Cause] = field(default_factory=dict)
    causes_of_others: dict[tuple[str, str, str], Cause] = field(default_factory=dict)
    undecided: dict[str, tuple[File, str]] = field(default_factory=dict)  # extension modules, and why
    unreadable: dict[str, tuple[File, str]] = field(default_factory=dict)
    passed_over: dict[str, tuple[File, str]] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)  # wheel -> what is odd about it
    accepted: set[str] = field(default_factory=set)  # files that cannot be read, which is ignored
    files: set[str] = field(default_factory=set)
    parts: set[str] = field(default_factory=set)
    rows: int = 0
    reused: int = 0
    loaded: int = 0  # rows that the real loader decided
    baseline: bool = False  # whether `met` is wanted
    met: set[Entry] = field(default_factory=set)  # what a baseline of this scan has
    _statuses: dict[str, tuple[set[int], set[int]]] = field(default_factory=dict)  # unit -> of extensions, of others
    _others: dict[str, Counter[Outcome]] = field(default_factory=dict)  # unit -> programs and DLLs

    def add(self, row: Row) -> Outcome:
        """Count a row."""
        outcome = self.policy.outcome(row)
        file = row.file
        self.rows += 1
        self.reused += row.reused
        self.loaded += row.basis == "loader"
        if row.case not in self.cases:
            self.cases.append(row.case)
        if file.kind != "wheel":
            self.files.add(file.path)
        self._note_status(row, outcome)
        if self.baseline:
            self.met |= self.policy.entries(row)
        if outcome == "part":
            self.parts.add(file.path)
        elif outcome == "unreadable":
            self.unreadable[file.path] = file, row.reason
        elif row.unreadable:
            self.accepted.add(file.path)
        elif row.verdict is None and file.kind == "wheel":
            self.remarks[file.path] = row.reason
        elif row.verdict is None:
            self.passed_over[file.path] = file, row.reason
        else:
            self._count(row, outcome)
        return outcome

    def _count(self, row: Row, outcome: Outcome) -> None:
        is_extension = row.file.kind == "extension"
        if is_extension:
            self.cells.setdefault(group_of(row.file), {}).setdefault(row.case, Counter())[outcome] += 1
        else:
            self.others.setdefault(row.case, Counter())[outcome] += 1
            self._others.setdefault(row.file.unit.path, Counter())[outcome] += 1
        if outcome == "fails":
            self._blame(row, self.causes if is_extension else self.causes_of_others)
        elif outcome == "unknown" and is_extension:
            why = next((finding.message for finding in row.findings), "")
            self.undecided.setdefault(row.file.path, (row.file, why))

    def _blame(self, row: Row, causes: dict[tuple[str, str, str], Cause]) -> None:
        errors = (finding for finding in row.findings if finding.severity == "error")
        finding = next((found for found in errors if not self.policy.accepts(row, found)), None)
        if finding is None:
            return
        remedy = finding.remedy
        is_one = remedy is not None and bool(remedy.command or remedy.url)  # whatever the modules: they come together
        key = finding.code, "" if is_one else finding.module.lower(), remedy.text if remedy else ""
        cause = causes.setdefault(key, Cause(finding))
        cause.modules[finding.module] += row.file.path not in cause.files
        cause.files[row.file.path] = row.file
        if row.case not in cause.cases:
            cause.cases.append(row.case)

    def _note_status(self, row: Row, outcome: Outcome) -> None:
        of_extensions, of_others = self._statuses.setdefault(row.file.unit.path, (set(), set()))
        status = self.policy.status(row, outcome)
        is_counted = row.file.kind == "extension" or outcome == "unreadable"
        (of_extensions if is_counted else of_others).add(status)

    @property
    def counting_others(self) -> Counter[Outcome]:
        """Programs and DLLs of units without extension modules, where they count."""
        found: Counter[Outcome] = Counter()
        for unit, counts in self._others.items():
            if not self._statuses[unit][0]:
                found.update(counts)
        return found

    @property
    def status(self) -> int:
        """The exit status: the worst of the extension modules; where a unit has none, of its programs and DLLs."""
        return choices.worst([status for ones, others in self._statuses.values() for status in ones or others])


def group_of(file: File) -> str:
    """The distribution of a file with its version, else the directory below the unit in which it lies."""
    if file.distribution:
        return f"{file.distribution} {file.version}".rstrip()
    inside = os.path.relpath(file.path, file.unit.path)
    top = inside.partition(os.sep)[0] if os.sep in inside else os.path.basename(file.unit.path)
    return wheel.normalised(top) if top.endswith(".libs") else top
