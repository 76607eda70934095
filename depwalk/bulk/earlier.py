"""What earlier runs found and still holds, so that a scan judges again only what has changed."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

import depwalk
from depwalk.bulk import stored, writing
from depwalk.bulk.stored import JUDGED, Details, Judged, base_name, in_chunks

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from depwalk.bulk.rows import Case, File, Row, Unit
    from depwalk.bulk.stored import Known, StoredFile

    Listed = Callable[[Sequence[File], Sequence[Unit]], None]
    Facts = tuple[int | None, int | None]

MOST_RUNS = 200  # the newest that are looked at


class _Candidate(NamedTuple):
    """A judgement, the newest run that has it, and the newest complete one."""

    judged: Judged
    run: int
    complete: int | None


class Earlier:
    """The judgements of runs with the same options and version of depwalk.

    One holds as long as the file is the same, and of all that it depended on nothing has changed: the modules of its
    tree, which files there are with a name that occurs in its tree, and its sources. Those that depend on this machine
    never hold: what the loader said, what the system would not open, and what was asked for the live Windows or
    processor, or for an interpreter, a drive or a processor by its path.
    """

    def __init__(
        self, connection: sqlite3.Connection, known: Known, runs: Iterable[int], listed: Listed, *, trees: bool
    ) -> None:
        self._connection = connection
        self._known = known
        self._runs = sorted(runs)[-MOST_RUNS:]
        self._trees = trees
        self._files: dict[tuple[int, int], tuple[int, Row]] = {}
        self._wheels: dict[tuple[int, int], list[tuple[int, Row]]] = {}
        self._handed: dict[tuple[str, Case], int] = {}
        self._listed = listed
        self._asked: File | None = None
        self._stored: StoredFile | None = None

    def prepare(self, files: Sequence[File], wheels: Sequence[Unit] = ()) -> None:
        """Look at what there is now: every file of the scan, those in wheels excepted, and every wheel. Once."""
        self._listed(files, wheels)
        self._asked = None
        outside = [file for file in files if file.unit.kind != "wheel"]
        preparation = _Preparation(self._connection, self._known, outside, wheels)
        candidates = preparation.candidates(self._runs)
        outdated = preparation.outdated(candidates)
        holding = {number: candidate for number, candidate in candidates.items() if number not in outdated}
        rows = preparation.rows(holding, trees=self._trees)
        newest: dict[tuple[int, int], int] = {}
        for number, (judged, run, _) in holding.items():
            key = judged.file, judged.case
            if run >= newest.get(key, 0):
                newest[key] = run
                self._files[key] = number, rows[number]
        self._keep_wheels(candidates, rows, preparation.judged_wheels(self._runs))

    def find(self, file: File, case: Case) -> Row | None:
        """What was found for a file in a case, if it still holds."""
        if file is not self._asked:  # one file is asked for in every case
            self._asked, self._stored = file, self._known.match(file)
        if self._stored is None:
            return None
        return self._hand_out(self._files.get((self._stored.id, self._known.cases.get(case, 0))))

    def wheel(self, unit: Unit, cases: Sequence[Case]) -> list[Row] | None:
        """What was found for all files of a wheel in all cases, if all of it still holds."""
        unit_id = self._known.units.get(unit)
        found: list[tuple[int, Row]] = []
        for case in cases:
            rows = self._wheels.get((unit_id or 0, self._known.cases.get(case, 0)))
            if rows is None:
                return None
            found += rows
        return [row for row in map(self._hand_out, found) if row is not None]

    def judgement(self, row: Row) -> int | None:
        """Which one a row is that was handed out here."""
        return self._handed.get((row.file.path, row.case)) if row.reused else None

    def _keep_wheels(
        self, candidates: Mapping[int, _Candidate], rows: Mapping[int, Row], empty: set[tuple[int, int]]
    ) -> None:
        """The rows of each wheel and case in the newest complete run: only there all its members have theirs."""
        whole: dict[tuple[int, int], dict[int, list[int]]] = {}
        for number, (judged, _, complete) in candidates.items():
            if complete is not None:
                key = self._known.file_of[judged.file].unit, judged.case
                whole.setdefault(key, {}).setdefault(complete, []).append(number)
        for key, by_run in whole.items():
            numbers = by_run[max(by_run)]
            if all(number in rows for number in numbers):
                self._wheels[key] = [(number, rows[number]) for number in numbers]
        for key in empty - set(whole):
            self._wheels[key] = []

    def _hand_out(self, found: tuple[int, Row] | None) -> Row | None:
        if found is None:
            return None
        judgement, row = found
        self._handed[row.file.path, row.case] = judgement
        return row


class _Preparation:
    """Compares the world with what it was, by few queries over everything."""

    def __init__(
        self, connection: sqlite3.Connection, known: Known, files: Sequence[File], wheels: Sequence[Unit]
    ) -> None:
        self._connection = connection
        self._known = known
        self._files: dict[int, File] = {}  # that are as they were, by id
        self._new_names: set[str] = set()
        for file in files:
            match = known.match(file)
            if match is None:
                self._new_names.add(base_name(file.path))
            else:
                self._files[match.id] = file
        units = [known.units.get(wheel) for wheel in wheels]
        self._wheels = {unit for unit in units if unit is not None}
        self._new_wheels = None in units

    def candidates(self, runs: Collection[int]) -> dict[int, _Candidate]:
        """Judgements of files that are as they were, oldest first."""
        marks = ",".join("?" * len(runs))
        query = (
            f"SELECT {JUDGED}, "  # noqa: S608  (all of it stands in this room)
            f"(SELECT r.run_id FROM results r WHERE r.judgement_id = j.id AND +r.run_id IN ({marks}) "
            "ORDER BY r.run_id DESC LIMIT 1), "
            "(SELECT r.run_id FROM results r JOIN runs x ON x.id = r.run_id AND x.state = 'complete' "
            f"WHERE r.judgement_id = j.id AND +r.run_id IN ({marks}) ORDER BY r.run_id DESC LIMIT 1) "
            "FROM judgements j WHERE j.tool = ? ORDER BY j.id"
        )
        found: dict[int, _Candidate] = {}
        for *values, run, complete in self._connection.execute(query, (*runs, *runs, depwalk.__version__)):
            judged = Judged._make(values)
            is_there = judged.file in self._files or self._known.file_of[judged.file].unit in self._wheels
            if run is not None and is_there:
                found[judged.id] = _Candidate(judged, run, complete)
        return found

    def judged_wheels(self, runs: Sequence[int]) -> set[tuple[int, int]]:
        """Wheels that the newest complete run came to, each with its cases."""
        marks = ",".join("?" * len(runs))
        query = f"SELECT max(id), listing_id FROM runs WHERE state = 'complete' AND id IN ({marks})"  # noqa: S608  (marks)
        run, listing_id = self._connection.execute(query, runs).fetchone()
        cases = self._connection.execute("SELECT case_id FROM run_cases WHERE run_id = ?", (run,)).fetchall()
        wheels = writing.listing(self._connection, listing_id)[1] & self._wheels
        return {(wheel, case) for wheel in wheels for (case,) in cases}

    def outdated(self, candidates: Mapping[int, _Candidate]) -> set[int]:
        """Those of them for which something has changed; and others, which do not matter."""
        live = {number for number, case in self._known.case_of.items() if _depends_on_machine(case)}
        found = self._with_status("blocked")  # who may read a file is not in the listing
        sets = self._changed_source_sets({candidate.judged.source_set for candidate in candidates.values()})
        by_run: dict[int, set[int]] = {}
        for judgement, (judged, run, _) in candidates.items():
            if run not in by_run:
                by_run[run] = self._outdated_since(run)
            refused = judged.unreadable and judged.basis is None
            of_the_machine = refused or judged.basis == "loader" or judged.case in live
            if of_the_machine or judged.source_set in sets or judgement in by_run[run]:
                found.add(judgement)
        return found | self._without_importer(candidates, found)

    def rows(self, candidates: Mapping[int, _Candidate], *, trees: bool) -> dict[int, Row]:
        """They as rows."""
        details = Details(self._connection, {candidate.run for candidate in candidates.values()}, trees=trees)
        sources = stored.sources_of(self._connection)
        files: dict[int, File] = {}
        found: dict[int, Row] = {}
        for judgement, (judged, _, _) in candidates.items():
            file = files.get(judged.file)
            if file is None:
                file = files[judged.file] = self._known.file(judged.file, self._files.get(judged.file))
            read = sources.get(judged.source_set or 0, ())
            found[judgement] = stored.row(judged, file, self._known.case_of[judged.case], details, read, reused=True)
        return found

    # ---- what has changed

    def _without_importer(self, candidates: Mapping[int, _Candidate], outdated: set[int]) -> set[int]:
        """DLLs that were judged with a file that needs them, and of whose importers none holds in that case."""
        parts = {
            number: (judged.case, self._known.file_of[judged.file])
            for number, (judged, _, _) in candidates.items()
            if judged.verdict is None and self._known.file_of[judged.file].kind == "dll" and number not in outdated
        }
        names = {base_name(file.path) for _, file in parts.values()}
        reached, have_trees = set(), set()
        for marks, values in in_chunks(sorted(names)):
            query = f"SELECT judgement_id, position, path FROM modules WHERE dll IN ({marks})"  # noqa: S608  (marks only)
            for number, position, path in self._connection.execute(query, values):
                if position == 0:
                    have_trees.add(number)
                elif number in candidates and number not in outdated and number not in parts:
                    reached.add((candidates[number].judged.case, stored.text(path or "")))
        return {
            number
            for number, (case, file) in parts.items()
            if number in have_trees and (case, file.path) not in reached
        }

    def _outdated_since(self, run: int) -> set[int]:
        """Judgements with a name in their tree that does not stand for the same files as in the listing of a run."""
        listing_id = self._connection.execute("SELECT listing_id FROM runs WHERE id = ?", (run,)).fetchone()[0]
        files, wheels = writing.listing(self._connection, listing_id)
        gone = wheels - self._wheels
        changed = files.symmetric_difference(self._files)
        changed.update(number for number, file in self._known.file_of.items() if file.unit in gone)
        names = self._new_names | {base_name(self._known.file_of[number].path) for number in changed}
        found = self._beside(names)
        for marks, values in in_chunks(sorted(names)):
            for table in ("modules", "edges"):
                query = f"SELECT judgement_id FROM {table} WHERE dll IN ({marks})"  # noqa: S608  (names of ours)
                found.update(number for (number,) in self._connection.execute(query, values))
        if self._new_wheels or self._wheels != wheels:  # one may have what was missing, or stand in for another
            found |= self._with_status("missing") | self._with_other_wheels()
        return found

    def _beside(self, names: set[str]) -> set[int]:
        """Judgements of extension modules that may be there for another Python too: a.cp311-win_amd64.pyd, a.pyd."""
        modules = {name.partition(".")[0] for name in names if name.endswith(".pyd")}
        if not modules:
            return set()
        return {
            number
            for number, file in self._connection.execute("SELECT id, file_id FROM judgements")
            if base_name(self._known.file_of[file].path).partition(".")[0] in modules
        }

    def _with_other_wheels(self) -> set[int]:
        """Judgements of files in wheels with a module that is none of the wheel's own: another wheel brought it."""
        query = """SELECT DISTINCT m.judgement_id FROM units u
            JOIN files f ON f.unit_id = u.id
            JOIN judgements j ON j.file_id = f.id
            JOIN modules m ON m.judgement_id = j.id
            WHERE u.kind = 'wheel' AND substr(m.path, 1, length(u.path)) = u.path
            AND NOT EXISTS (SELECT 1 FROM files o WHERE o.path = m.path AND o.unit_id = u.id)"""
        return {number for (number,) in self._connection.execute(query)}

    def _with_status(self, status: str) -> set[int]:
        """Judgements with such a module."""
        query = "SELECT judgement_id FROM modules WHERE status = ? AND status IN ('missing', 'blocked')"
        return {number for (number,) in self._connection.execute(query, (status,))}

    def _changed_source_sets(self, sets: set[int | None]) -> set[int]:
        """Those of the sets in which a source is not as it was."""
        members: dict[int, list[int]] = {}
        for source_set, source in self._connection.execute("SELECT source_set_id, source_id FROM source_set_members"):
            if source_set in sets:
                members.setdefault(source, []).append(source_set)
        changed: set[int] = set()
        now: dict[str, Facts] = {}
        for source, path, size, time in self._connection.execute("SELECT id, path, size, changed FROM sources"):
            if source in members:
                name = stored.text(path)
                if name not in now:
                    now[name] = stored.facts(name)
                if now[name] != (size, time):
                    changed.update(members[source])
        return changed


def _depends_on_machine(case: Case) -> bool:
    """Whether a case asks for what lies on this machine outside of the listing."""
    words = (case.windows, case.python, case.cpu)
    return any(word == "live" or os.path.exists(word) for word in words if word)
