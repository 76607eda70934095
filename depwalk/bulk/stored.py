"""How rows stand in the database: text, files, findings and trees, and what was on the disk."""

from __future__ import annotations

import json
import os
import stat
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from depwalk.bulk.rows import Case, File, Link, Node, Row, Unit

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from depwalk.bulk.rows import FileKind
    from depwalk.finding import Finding

_MOST = (1 << 63) - 1  # that SQLite's INTEGER holds
_CHUNK = 500  # values in one query; the oldest SQLite takes 999


# ---- values


def encoded(values: Iterable[object]) -> tuple[object, ...]:
    """Values as SQLite takes them: text that is no valid Unicode, such as a file name of odd bytes, as a BLOB.

    A number of more than 63 bits is cut: a time after 2262, or the size that a hostile archive declares.
    """
    return tuple(
        _encoded(value) if isinstance(value, str) else min(value, _MOST) if isinstance(value, int) else value
        for value in values
    )


def _encoded(value: str) -> str | bytes:
    try:
        value.encode()
    except UnicodeEncodeError:
        return value.encode("utf-8", "surrogatepass")
    return value


def text(value: Any) -> str:
    """Text as it was before `encoded`."""
    return value.decode("utf-8", "surrogatepass") if isinstance(value, bytes) else cast("str", value)


def _maybe(value: Any) -> str | None:
    return None if value is None else text(value)


def listed(values: Iterable[str]) -> str:
    """A list as JSON; readable unless it has text that is no valid Unicode."""
    return as_json(list(values))


def as_json(value: object) -> str:
    """JSON that SQLite can store whatever the text in it."""
    written = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return written if isinstance(_encoded(written), str) else json.dumps(value, sort_keys=True)


def _tuple(value: str) -> tuple[str, ...]:
    return () if value == "[]" else tuple(json.loads(value))


@lru_cache(maxsize=1 << 14)
def base_name(path: str) -> str:
    """The last part of a path or module name in lower case, whichever separator it has."""
    return path.rpartition("\\")[2].rpartition("/")[2].lower()


def in_chunks(values: Iterable[object]) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Values for an IN (...): the question marks, and as many values."""
    every = list(values)
    for start in range(0, len(every), _CHUNK):
        chunk = encoded(every[start : start + _CHUNK])
        yield ",".join("?" * len(chunk)), chunk


# ---- the disk


def facts(path: str) -> tuple[int | None, int | None]:
    """Size and time of change of a file or directory, or of the archive that it lies in; None if it is gone."""
    found = _stat(path)
    return (None, None) if found is None else (found.st_size, found.st_mtime_ns)


def settled_facts(path: str, before: int) -> tuple[int | None, int | None]:
    """The same; without the time of what has changed since `before`, so that nothing equals it."""
    found = _stat(path)
    if found is None:
        return None, None
    # On Windows st_ctime is the creation: a copy keeps the older time of change.
    recent = max(found.st_mtime_ns, found.st_ctime_ns) >= before
    return found.st_size, None if recent else found.st_mtime_ns


def _stat(path: str) -> os.stat_result | None:
    found = _stat_of(path)
    if found is not None:
        return found
    parent = os.path.dirname(path)
    while found is None and parent != os.path.dirname(parent):
        found = _stat_of(parent)
        parent = os.path.dirname(parent)
    return found if found is not None and stat.S_ISREG(found.st_mode) else None


def _stat_of(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):  # ValueError: no name for a file
        return None


# ---- units, cases and files


class StoredFile(NamedTuple):
    """A row of `files`, without `name`."""

    id: int
    path: str
    unit: int
    kind: str
    size: int
    changed: int
    sha256: str
    distribution: str
    version: str
    architecture: str
    python: str

    def is_as(self, file: File) -> bool:
        """Whether a file of the same unit and path is this one. What one of the two does not tell is no difference."""
        if self.size != file.size:
            return False
        if self.sha256 and file.sha256:
            if self.sha256 != file.sha256:
                return False
        elif self.changed != file.changed:
            return False
        own = (self.kind, self.distribution, self.version, self.architecture, self.python)
        told = (file.kind, file.distribution, file.version, file.architecture, file.python)
        return own == told or all(one == other or not one or not other for one, other in zip(own, told))

    def with_told(self, file: File) -> StoredFile:
        """The same with what another account of it tells besides."""
        return self._replace(
            changed=file.changed,
            sha256=file.sha256 or self.sha256,
            distribution=file.distribution or self.distribution,
            version=file.version or self.version,
            architecture=file.architecture or self.architecture,
            python=file.python or self.python,
        )


class Known:
    """Units, cases and files that the database has, by value and by id."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.data_version = data_version(connection)
        self.units: dict[Unit, int] = {}
        self.unit_of: dict[int, Unit] = {}
        self.cases: dict[Case, int] = {}
        self.case_of: dict[int, Case] = {}
        self.file_of: dict[int, StoredFile] = {}
        self.versions: dict[tuple[int, str], list[int]] = {}  # of the file at a path, oldest first
        for unit_id, path, kind, size, changed in connection.execute("SELECT id, path, kind, size, changed FROM units"):
            self.add_unit(Unit(text(path), kind, size, changed), unit_id)
        for case_id, label, windows, runtimes, python, cpu in connection.execute(
            "SELECT id, label, windows, runtimes, python, cpu FROM cases"
        ):
            case = Case(text(label), text(windows), _tuple(runtimes), _maybe(python), _maybe(cpu))
            self.add_case(case, case_id)
        for row in connection.execute(
            "SELECT id, path, unit_id, kind, size, changed, sha256, distribution, version, architecture, python "
            "FROM files ORDER BY id"
        ):
            self.add_file(StoredFile._make(_decoded(row)))

    def add_unit(self, unit: Unit, unit_id: int) -> None:
        """Remember a unit."""
        self.units[unit] = unit_id
        self.unit_of[unit_id] = unit

    def add_case(self, case: Case, case_id: int) -> None:
        """Remember a case."""
        self.cases[case] = case_id
        self.case_of[case_id] = case

    def add_file(self, stored: StoredFile) -> None:
        """Remember a version of a file."""
        self.file_of[stored.id] = stored
        self.versions.setdefault((stored.unit, stored.path), []).append(stored.id)

    def match(self, file: File) -> StoredFile | None:
        """The version of a file that it is, the newest if there are several."""
        unit = self.units.get(file.unit)
        if unit is not None:
            for file_id in reversed(self.versions.get((unit, file.path), ())):
                if self.file_of[file_id].is_as(file):
                    return self.file_of[file_id]
        return None

    def file(self, file_id: int, now: File | None = None) -> File:
        """A version of a file as it stands in a row; with what is told of it now."""
        stored = self.file_of[file_id]
        if now is not None:
            stored = stored.with_told(now)
        unit, kind = self.unit_of[stored.unit], cast("FileKind", stored.kind)
        return File(stored.path, unit, kind, *stored[4:])


def _decoded(row: tuple[Any, ...]) -> tuple[Any, ...]:
    if bytes not in map(type, row):
        return row
    return tuple(text(value) if isinstance(value, bytes) else value for value in row)


def data_version(connection: sqlite3.Connection) -> int:
    """A number that is another one after another connection has written."""
    return int(connection.execute("PRAGMA data_version").fetchone()[0])


# ---- judgements


class Judged(NamedTuple):
    """A row of `judgements`, without the version of the tool."""

    id: int
    file: int
    case: int
    verdict: Any
    basis: Any
    reason: str
    unreadable: int
    elapsed_ms: float
    source_set: int | None


JUDGED = "j.id, j.file_id, j.case_id, j.verdict, j.basis, j.reason, j.unreadable, j.elapsed_ms, j.source_set_id"


class Grouped:
    """The rows of a table that belong to judgements, which are asked for in ascending order of their ids."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = map(_decoded, rows)
        self._next = next(self._rows, None)

    def of(self, judgement: int) -> list[tuple[Any, ...]]:
        """Those of one judgement; rows of the ones before it are skipped."""
        found = []
        while self._next is not None and self._next[0] <= judgement:
            if self._next[0] == judgement:
                found.append(self._next)
            self._next = next(self._rows, None)
        return found


class Details:
    """Findings, and if asked for trees, of the judgements of some runs (not more than SQLite takes values)."""

    def __init__(self, connection: sqlite3.Connection, runs: Iterable[int], *, trees: bool) -> None:
        values = tuple(runs)
        marks = ",".join("?" * len(values))

        def select(columns: str, table: str) -> Grouped:
            query = f"""SELECT judgement_id, {columns} FROM {table}
                WHERE judgement_id IN (SELECT judgement_id FROM results WHERE run_id IN ({marks}))
                ORDER BY judgement_id, position"""  # noqa: S608  (all of it stands here)
            return Grouped(connection.execute(query, values))

        self._findings = select(_FINDING, "findings")
        self._modules = select(_MODULE, "modules") if trees else None
        self._edges = select(_EDGE, "edges") if trees else None
        self._told: dict[tuple[Any, ...], Finding] = {}

    def findings(self, judgement: int) -> tuple[Finding, ...]:
        """The findings of one. What is told alike of several files is one object."""
        rows = self._findings.of(judgement)
        return tuple([self._told.get(row[1:]) or self._finding(row[1:]) for row in rows]) if rows else ()

    def nodes(self, judgement: int) -> tuple[Node, ...]:
        """The modules of one."""
        if self._modules is None:
            return ()
        return tuple(
            [
                Node(name, path, status, architecture, version, depth, delayed == 1, rule)
                for _, name, path, status, architecture, version, depth, delayed, rule in self._modules.of(judgement)
            ]
        )

    def links(self, judgement: int) -> tuple[Link, ...]:
        """The edges of one."""
        if self._edges is None:
            return ()
        return tuple(
            [
                Link(importer, imported, kind, name, symbols, () if unresolved == "[]" else _tuple(unresolved))
                for _, importer, imported, kind, name, symbols, unresolved in self._edges.of(judgement)
            ]
        )

    def _finding(self, values: tuple[Any, ...]) -> Finding:
        from depwalk.finding import Finding, Remedy

        code, severity, proof, module, needed_by, message, evidence, remedy, command, url, also = values
        self._told[values] = Finding(
            code,
            severity,
            module,
            message,
            needed_by,
            _tuple(evidence),
            None if remedy is None else Remedy(remedy, command, url),
            proof,
            _tuple(also),
        )
        return self._told[values]


_FINDING = "code, severity, proof, module, needed_by, message, evidence, remedy, command, url, also"
_MODULE = "name, path, status, architecture, version, depth, delayed, rule"
_EDGE = "importer, imported, kind, name, symbols, unresolved"


def sources_of(connection: sqlite3.Connection) -> dict[int, tuple[str, ...]]:
    """The Python files of each set of sources."""
    found: dict[int, list[str]] = {}
    for source_set, path in connection.execute(
        "SELECT m.source_set_id, s.path FROM source_set_members m JOIN sources s ON s.id = m.source_id "
        "WHERE m.read ORDER BY m.source_set_id, m.position"
    ):
        found.setdefault(source_set, []).append(text(path))
    return {source_set: tuple(paths) for source_set, paths in found.items()}


def row(judged: Judged, file: File, case: Case, details: Details, sources: tuple[str, ...], *, reused: bool) -> Row:
    """What a scan found, as it was given to the database."""
    return Row(
        file,
        case,
        judged.verdict,
        judged.basis,
        details.findings(judged.id),
        details.nodes(judged.id),
        details.links(judged.id),
        sources,
        text(judged.reason),
        bool(judged.unreadable),
        judged.elapsed_ms,
        reused,
    )
