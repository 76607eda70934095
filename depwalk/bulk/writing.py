"""One run as it is written: rows are kept back for a moment, and stored together."""

from __future__ import annotations

import os
import sqlite3
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import depwalk
from depwalk.bulk import stored
from depwalk.bulk.stored import StoredFile, as_json, base_name, encoded, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from depwalk.bulk.rows import Case, File, Row, Unit
    from depwalk.bulk.stored import Known
    from depwalk.finding import Finding

_MOST, _LONGEST = 500, 1.0  # new judgements, or seconds, after which what is kept back is stored

_INSERT = {
    "sources": "INSERT INTO sources VALUES (?, ?, ?, ?)",
    "source_sets": "INSERT INTO source_sets VALUES (?)",
    "source_set_members": "INSERT INTO source_set_members VALUES (?, ?, ?, ?)",
    "units": "INSERT INTO units VALUES (?, ?, ?, ?, ?)",
    "files": """INSERT INTO files (id, path, unit_id, kind, size, changed, sha256, distribution, version, architecture,
        python, name) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT (id) DO UPDATE SET changed = excluded.changed, sha256 = excluded.sha256,
        distribution = excluded.distribution, version = excluded.version, architecture = excluded.architecture,
        python = excluded.python""",
    "judgements": "INSERT INTO judgements VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "results": "INSERT INTO results VALUES (?, ?, ?)",
    "modules": "INSERT INTO modules VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "edges": "INSERT INTO edges VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    "findings": "INSERT INTO findings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
}  # in the order that the foreign keys ask for


class Begun(NamedTuple):
    """A run, and when it began in nanoseconds since 1970."""

    id: int
    at: int


@dataclass
class _Sources:
    """What is stored of the world outside of the listing."""

    ids: dict[tuple[str, int | None, int | None], int] = field(default_factory=dict)
    sets: dict[tuple[tuple[int, ...], tuple[int, ...]], int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)  # path -> source, as this run first saw it


class Writer:
    """Writes one run. Its connection holds the lock for writing from the begin to the end."""

    def __init__(self, connection: sqlite3.Connection, known: Known, run: Begun) -> None:
        self._connection = connection
        self._known = known
        self.run = run
        self._pending: dict[str, list[tuple[object, ...]]] = {table: [] for table in _INSERT}
        self._changed_files: dict[int, StoredFile] = {}
        self._ids = {table: _last(connection, table) for table in ("units", "files", "judgements", "source_sets")}
        self._ids["sources"] = _last(connection, "sources")
        self._sources: _Sources | None = None
        self._listed: set[str] | None = None
        self._outside: dict[str, tuple[int, ...]] = {}
        self._stored_at = time.monotonic()

    # ---- what is written

    def present(self, files: Iterable[File], wheels: Iterable[Unit]) -> None:
        """What is there: every file of the scan that lies in no wheel, and the wheels."""
        inside = [file for file in files if file.unit.kind != "wheel"]
        self._listed = {os.path.normcase(file.path) for file in inside}
        file_ids = {self._file(file) for file in inside}
        wheel_ids = {self._unit(wheel) for wheel in wheels}
        self.store()
        listing = self._same_listing(file_ids, wheel_ids) or self._new_listing(file_ids, wheel_ids)
        self._connection.execute("UPDATE runs SET listing_id = ? WHERE id = ?", (listing, self.run.id))
        self.store()

    def add(self, row: Row, judgement: int | None) -> None:
        """A row; `judgement` is the earlier one if it is known to the database."""
        if judgement is None:
            judgement = self._judgement(row)
        self._pending["results"].append((self.run.id, judgement, int(row.reused)))
        if len(self._pending["judgements"]) >= _MOST or time.monotonic() - self._stored_at >= _LONGEST:
            self.store()

    def store(self) -> None:
        """Store what was kept back."""
        try:
            self._insert(lambda rows: rows)
        except (UnicodeEncodeError, OverflowError):
            self._insert(lambda rows: [encoded(row) for row in rows])
        self._pending = {table: [] for table in _INSERT}
        self._changed_files = {}
        self._stored_at = time.monotonic()
        try:
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            return  # someone has been reading for long: the transaction stays open, and the next time may do
        self._connection.execute("BEGIN IMMEDIATE")

    def finish(self, state: str, finished: str) -> None:
        """The end of the run; the lock is given back."""
        self.store()
        self._connection.execute("UPDATE runs SET state = ?, finished = ? WHERE id = ?", (state, finished, self.run.id))
        self._connection.execute("COMMIT")

    def _insert(self, prepared: Callable[[list[tuple[object, ...]]], list[tuple[object, ...]]]) -> None:
        self._pending["files"] = [(*file, base_name(file.path)) for file in self._changed_files.values()]
        self._connection.execute("SAVEPOINT rows")
        try:
            for table, statement in _INSERT.items():
                if self._pending[table]:
                    self._connection.executemany(statement, prepared(self._pending[table]))
        except BaseException:  # also Ctrl+C: what is kept back is stored as a whole, or later
            self._connection.execute("ROLLBACK TO rows")
            raise
        finally:
            self._connection.execute("RELEASE rows")

    # ---- listings

    def _same_listing(self, files: set[int], wheels: set[int]) -> int | None:
        """The listing of the newest run that has one, if that found the same."""
        found = self._connection.execute(
            "SELECT listing_id FROM runs WHERE listing_id IS NOT NULL ORDER BY id DESC LIMIT 1"
        ).fetchone()
        if found and listing(self._connection, found[0]) == (files, wheels):
            return int(found[0])
        return None

    def _new_listing(self, files: set[int], wheels: set[int]) -> int:
        new = _last(self._connection, "listings") + 1
        self._connection.execute("INSERT INTO listings VALUES (?)", (new,))
        self._connection.executemany("INSERT INTO listed_files VALUES (?, ?)", [(new, one) for one in sorted(files)])
        self._connection.executemany("INSERT INTO listed_wheels VALUES (?, ?)", [(new, one) for one in sorted(wheels)])
        return new

    # ---- units and files

    def _next(self, table: str) -> int:
        self._ids[table] += 1
        return self._ids[table]

    def _unit(self, unit: Unit) -> int:
        found = self._known.units.get(unit)
        if found is None:
            found = self._next("units")
            self._pending["units"].append((found, unit.path, unit.kind, unit.size, unit.changed))
            self._known.add_unit(unit, found)
        return found

    def _file(self, file: File) -> int:
        found = self._known.match(file)
        if found is None:
            values = (file.path, self._unit(file.unit), file.kind, file.size, file.changed, file.sha256)
            told = (file.distribution, file.version, file.architecture, file.python)
            found = StoredFile(self._next("files"), *values, *told)
            self._known.add_file(found)
            self._changed_files[found.id] = found
        else:
            more = found.with_told(file)
            if more != found:
                self._known.file_of[found.id] = self._changed_files[found.id] = more
        return found.id

    # ---- judgements

    def _judgement(self, row: Row) -> int:
        judgement = self._next("judgements")
        dlls = [base_name(node.name) for node in row.nodes]
        self._pending["judgements"].append(
            (
                judgement,
                self._file(row.file),
                self._known.cases[row.case],
                depwalk.__version__,
                row.verdict,
                row.basis,
                row.reason,
                int(row.unreadable),
                row.elapsed_ms,
                self._source_set(row, dlls),
            )
        )
        self._pending["modules"] += [
            (judgement, position, name, dll, path, status, architecture, version, depth, int(delayed), rule)
            for position, ((name, path, status, architecture, version, depth, delayed, rule), dll) in enumerate(
                zip(row.nodes, dlls)
            )
        ]
        for position, (importer, imported, kind, name, symbols, lacking) in enumerate(row.links):
            written = base_name(name)
            dll = None if written == dlls[imported] else written
            unresolved = listed(lacking) if lacking else "[]"
            values = (judgement, position, importer, imported, kind, name, dll, symbols, unresolved)
            self._pending["edges"].append(values)
        self._pending["findings"] += [
            (judgement, position, *_told(finding)) for position, finding in enumerate(row.findings)
        ]
        return judgement

    # ---- what lies outside

    def _source_set(self, row: Row, dlls: Sequence[str]) -> int | None:
        """The set of all that a judgement depended on and that is in no listing."""
        sources = self._load_sources()
        read = tuple([self._source(path) for path in row.sources])
        inside = row.file.unit.path if row.file.unit.kind == "wheel" else None
        others: set[int] = set()
        for node, dll in zip(row.nodes, dlls):
            if node.path is not None and not (inside is not None and node.path.startswith(inside)):
                others.update(self._outside_of_listing(node.path))
                if base_name(node.path) != dll and os.path.isabs(node.path):
                    others.add(self._source(node.path))  # its name alone would not tell that it changed
        if not read and not others:
            return None
        key = (read, tuple(sorted(others.difference(read))))
        if key not in sources.sets:
            sources.sets[key] = new = self._next("source_sets")
            self._pending["source_sets"].append((new,))
            members = [*((one, 1) for one in key[0]), *((one, 0) for one in key[1])]
            self._pending["source_set_members"] += [
                (new, position, source, is_read) for position, (source, is_read) in enumerate(members)
            ]
        return sources.sets[key]

    def _outside_of_listing(self, path: str) -> tuple[int, ...]:
        """Sources for a module that is in no listing: the file, and its directory, where another may appear."""
        found = self._outside.get(path)
        if found is None:
            found = ()
            is_listed = self._listed is not None and os.path.normcase(path) in self._listed
            if os.path.isabs(path) and not is_listed:
                found = (self._source(path),)
                directory = os.path.dirname(path)
                # Windows's own directories are assumed wherever a judgement may be reused.
                if os.path.isdir(directory) and not directory.lower().startswith("c:\\windows"):
                    found = (*found, self._source(directory))
            self._outside[path] = found
        return found

    def _source(self, path: str) -> int:
        """A source as it was when this run first met it."""
        sources = self._load_sources()
        found = sources.seen.get(path)
        if found is None:
            key = (path, *stored.settled_facts(path, self.run.at))
            if key not in sources.ids:
                sources.ids[key] = self._next("sources")
                self._pending["sources"].append((sources.ids[key], *key))
            found = sources.seen[path] = sources.ids[key]
        return found

    def _load_sources(self) -> _Sources:
        """What the database has of them, read when the first is needed."""
        if self._sources is None:
            self._sources = _Sources()
            for source, path, size, changed in self._connection.execute("SELECT id, path, size, changed FROM sources"):
                self._sources.ids[stored.text(path), size, changed] = source
            members: dict[int, tuple[list[int], list[int]]] = {}
            for source_set, source, is_read in self._connection.execute(
                "SELECT source_set_id, source_id, read FROM source_set_members ORDER BY source_set_id, position"
            ):
                members.setdefault(source_set, ([], []))[0 if is_read else 1].append(source)
            self._sources.sets = {(tuple(read), tuple(others)): key for key, (read, others) in members.items()}
        return self._sources


def store_cases(connection: sqlite3.Connection, known: Known, run: int, cases: Sequence[Case]) -> None:
    """The cases of a run."""
    for position, case in enumerate(cases):
        if case not in known.cases:
            new = max(known.case_of, default=0) + 1
            values = (new, case.label, case.windows, listed(case.runtimes), case.python, case.cpu)
            connection.execute("INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?)", encoded(values))
            known.add_case(case, new)
        connection.execute("INSERT INTO run_cases VALUES (?, ?, ?)", (run, position, known.cases[case]))


def store_run(connection: sqlite3.Connection, started: str, paths: Sequence[str], options: Mapping[str, object]) -> int:
    """A run that begins; the ones that were killed are interrupted."""
    connection.execute("UPDATE runs SET state = 'interrupted' WHERE state = 'running'")
    run = _last(connection, "runs") + 1
    values = (run, started, "running", depwalk.__version__, listed(paths), as_json(dict(options)))
    connection.execute("INSERT INTO runs (id, started, state, tool, paths, options) VALUES (?, ?, ?, ?, ?, ?)", values)
    return run


def listing(connection: sqlite3.Connection, listing_id: int) -> tuple[set[int], set[int]]:
    """The files and the wheels of a listing."""
    files = connection.execute("SELECT file_id FROM listed_files WHERE listing_id = ?", (listing_id,))
    wheels = connection.execute("SELECT unit_id FROM listed_wheels WHERE listing_id = ?", (listing_id,))
    return {file for (file,) in files}, {wheel for (wheel,) in wheels}


def _last(connection: sqlite3.Connection, table: str) -> int:
    return int(connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0])  # noqa: S608  (a name of ours)


def _told(finding: Finding) -> tuple[object, ...]:
    remedy = finding.remedy
    return (
        finding.code,
        finding.severity,
        finding.proof,
        finding.module,
        finding.needed_by,
        finding.message,
        listed(finding.evidence),
        remedy.text if remedy else None,
        remedy.command if remedy else "",
        remedy.url if remedy else "",
        listed(finding.also),
    )
