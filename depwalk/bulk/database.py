"""The database of the scans: what each run found, so that a later one can reuse it and be compared with it.

SQLite with a rollback journal: a write-ahead log needs memory that all users of the file share, which a network drive
does not give. The schema is depwalk/data/scan.sql.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import depwalk
from depwalk.bulk import stored, writing
from depwalk.bulk.earlier import Earlier
from depwalk.bulk.stored import JUDGED, Details, Judged, Known, as_json
from depwalk.bulk.writing import Begun, Writer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

    from depwalk.bulk.compare import Comparison, Side
    from depwalk.bulk.rows import Case, File, Row, Unit

__all__ = ["Database", "DatabaseError", "Earlier", "RunInfo"]

APPLICATION = 0x6470776B  # as in scan.sql
VERSION = 1
_PATIENCE = 5000  # milliseconds to wait for a reader
_GLANCES, _PAUSE = 3, 0.02  # a scan that is under way gives the lock up for an instant after each commit

State = Literal["running", "complete", "interrupted"]


class DatabaseError(ValueError):
    """A database that cannot be used. The text says which and why, for a person."""


class RunInfo(NamedTuple):
    """One scan. `started` and `finished` are ISO 8601 in UTC; `finished` is empty if it runs or was killed."""

    id: int
    started: str
    finished: str
    state: State
    tool: str  # version of depwalk
    paths: tuple[str, ...]
    cases: tuple[Case, ...]
    options: Mapping[str, Any]
    rows: int  # a row for each file and case


class Database:
    """A file with the results of scans. All text errors are DatabaseError."""

    def __init__(self, path: str) -> None:
        """Open it, or make it. Raises DatabaseError with a sentence for a person."""
        self.path = path
        self._writer: Writer | None = None
        self._known: Known | None = None
        self._earlier: Earlier | None = None
        self._options: str | None = None
        self._listing: tuple[Sequence[File], Sequence[Unit]] | None = None
        if os.path.isdir(path):
            raise DatabaseError(f"{path}: is a directory, not a database")
        with self._told():
            self._connection = sqlite3.connect(path, timeout=_PATIENCE / 1000, isolation_level=None)
            try:
                self._open()
            except BaseException:
                self._connection.close()
                raise

    # ---- a run

    def begin(self, paths: Sequence[str], cases: Sequence[Case], options: Mapping[str, Any]) -> int:
        """Begin a run and give its id. `options` is what bears on verdicts besides the cases: added directories, PATH.

        Raises DatabaseError if another scan is writing into the database.
        """
        if self._writer is not None:
            raise RuntimeError("a run was begun already")
        with self._told():
            self._lock()
            try:
                known = self._load()
                begun = time.time_ns()
                run = writing.store_run(self._connection, _now(), paths, options)
                writing.store_cases(self._connection, known, run, cases)
            except BaseException:
                self._connection.execute("ROLLBACK")
                self._known = None
                raise
            self._writer = Writer(self._connection, known, Begun(run, begun))
            self._options = as_json(dict(options))
            self._writer.store()
            if self._listing is not None:
                self._writer.present(*self._listing)
        return run

    def add(self, row: Row) -> None:
        """Store a row of the run that was begun; at the latest with the first one that comes a second later."""
        with self._told():
            self._running().add(row, self._earlier.judgement(row) if self._earlier is not None else None)

    def commit(self) -> None:
        """Store what was added now, as when nothing more is expected for long."""
        with self._told():
            self._running().store()

    def finish(self, state: str) -> None:
        """End the run: complete, or interrupted."""
        with self._told():
            self._running().finish(state, _now())
        self._writer = None

    def close(self) -> None:
        """Close it. A run that was not finished is interrupted."""
        try:
            if self._writer is not None:
                self.finish("interrupted")
        finally:
            self._connection.close()

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- what was found

    def earlier(self, options: Mapping[str, Any] | None = None, *, trees: bool = False) -> Earlier:
        """What runs with the same options found before the one that was begun, if one was; its options are the default.

        Its `prepare` also tells the run what there is. `trees`: its rows shall have nodes and links.
        """
        wanted = as_json(dict(options)) if options is not None else self._options or "{}"
        current = self._writer.run.id if self._writer is not None else None
        with self._told():
            query = "SELECT id, options FROM runs WHERE listing_id IS NOT NULL AND tool = ? ORDER BY id"
            told = self._connection.execute(query, (depwalk.__version__,))
            runs = [run for run, its_options in told if its_options == wanted and run != current]
            self._earlier = Earlier(self._connection, self._load(), runs, self._is_there, trees=trees)
        return self._earlier

    def runs(self) -> list[RunInfo]:
        """All scans, oldest first."""
        with self._told():
            cases: dict[int, list[Case]] = {}
            known = self._load()
            query = "SELECT run_id, case_id FROM run_cases ORDER BY run_id, position"
            for run, case in self._connection.execute(query):
                cases.setdefault(run, []).append(known.case_of[case])
            query = """SELECT id, started, finished, state, tool, paths, options,
                (SELECT count(*) FROM results WHERE run_id = runs.id) FROM runs ORDER BY id"""
            return [
                RunInfo(
                    run,
                    started,
                    finished or "",
                    state,
                    tool,
                    tuple(json.loads(paths)),
                    tuple(cases.get(run, ())),
                    json.loads(options),
                    rows,
                )
                for run, started, finished, state, tool, paths, options, rows in self._connection.execute(query)
            ]

    def rows(self, run: int, *, trees: bool = False) -> Iterator[Row]:
        """What a run found, in the order in which it was first judged; with `trees` also nodes and links."""
        with self._told():
            if self._writer is not None:
                self._writer.store()
            known = self._load()
            details = Details(self._connection, (run,), trees=trees)
            sources = stored.sources_of(self._connection)
            query = f"""SELECT {JUDGED}, r.reused FROM results r JOIN judgements j ON j.id = r.judgement_id
                WHERE r.run_id = ? ORDER BY r.judgement_id"""  # noqa: S608  (all of it stands in this room)
            files: dict[int, File] = {}
            for *values, reused in self._connection.execute(query, (run,)):
                judged = Judged._make(values)
                file = files.get(judged.file) or files.setdefault(judged.file, known.file(judged.file))
                read = sources.get(judged.source_set or 0, ())
                yield stored.row(judged, file, known.case_of[judged.case], details, read, reused=bool(reused))

    def compare(self, before: int, after: int) -> Comparison:
        """What has become of the files of one run in another."""
        from depwalk.bulk.compare import compare

        runs = {run.id: run for run in self.runs()}
        return compare(self._side(runs, before), self._side(runs, after))

    # ---- the file

    def _open(self) -> None:
        ours, version, is_empty = self._header()
        if is_empty and not ours and not version:
            self._make()
        elif ours != APPLICATION:
            raise DatabaseError(f"{self.path}: is not a database of depwalk")
        elif version != VERSION:
            which = "a newer" if version > VERSION else "another"
            raise DatabaseError(
                f"{self.path}: was written by {which} version of depwalk (schema {version}; this one reads {VERSION})"
            )
        # What is not committed stays in memory: to spill it, readers would have to be gone.
        for pragma in ("foreign_keys = ON", "journal_mode = DELETE", "cache_spill = OFF", "cache_size = -65536"):
            self._connection.execute(f"PRAGMA {pragma}")

    def _make(self) -> None:
        from depwalk import tables

        script = tables.path("scan.sql").read_text("utf-8")
        try:
            self._connection.executescript("BEGIN EXCLUSIVE;" + script + "COMMIT;")
        except sqlite3.OperationalError:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if self._header()[:2] != (APPLICATION, VERSION):  # it is not that another process was faster
                raise

    def _header(self) -> tuple[int, int, bool]:
        values = [
            self._connection.execute(query).fetchone()[0]
            for query in ("PRAGMA application_id", "PRAGMA user_version", "SELECT count(*) FROM sqlite_master")
        ]
        return values[0], values[1], not values[2]

    def _lock(self) -> None:
        """Take the lock for writing, which a living scan has all the time but for an instant after each commit."""
        self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            for glance in range(_GLANCES):
                self._connection.execute("BEGIN IMMEDIATE")
                running = self._connection.execute("SELECT 1 FROM runs WHERE state = 'running'").fetchone()
                if not running or glance == _GLANCES - 1:
                    return
                self._connection.execute("ROLLBACK")
                time.sleep(_PAUSE)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise DatabaseError(f"{self.path}: another scan is writing into it") from None
            raise
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {_PATIENCE}")

    def _load(self) -> Known:
        """What is known by value; read anew after another process has written."""
        if self._known is None or self._known.data_version != stored.data_version(self._connection):
            self._known = Known(self._connection)
        return self._known

    def _is_there(self, files: Sequence[File], wheels: Sequence[Unit]) -> None:
        self._listing = files, wheels
        if self._writer is not None:
            with self._told():
                self._writer.present(files, wheels)

    def _running(self) -> Writer:
        if self._writer is None:
            raise RuntimeError("no run was begun")
        return self._writer

    def _side(self, runs: Mapping[int, RunInfo], run: int) -> Side:
        from depwalk.bulk.compare import Side

        if run not in runs:
            raise DatabaseError(f"{self.path}: has no run {run}")
        rows, cases, finished = list(self.rows(run)), runs[run].cases, runs[run].state == "complete"
        if finished:
            return Side(rows, cases, finished)
        known = self._load()
        (listing_id,) = self._connection.execute("SELECT listing_id FROM runs WHERE id = ?", (run,)).fetchone()
        files, wheels = writing.listing(self._connection, listing_id)
        listed = [known.file(file) for file in files]
        return Side(rows, cases, finished, listed, [known.unit_of[wheel] for wheel in wheels])

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What SQLite refuses, as a sentence with the path."""
        try:
            yield
        except sqlite3.Error as error:
            text = str(error)
            if "readonly" in text:
                text = "cannot be written"
            elif "unable to open" in text:
                text = "cannot be opened or made"
            elif "not a database" in text:
                text = "is not a database of depwalk"
            elif "locked" in text:
                text = "is in use by another program"
            raise DatabaseError(f"{self.path}: {text}") from error


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")
