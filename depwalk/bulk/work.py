"""The work of a scan, in pieces that processes share: a piece of a directory, or a wheel."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from depwalk import files, wheel
from depwalk.archive import Archive, UnreadableArchive
from depwalk.bulk import wheels
from depwalk.bulk.collect import KINDS, Site, site_of
from depwalk.bulk.judge import Judged, Question, asked_python, judge, unread
from depwalk.bulk.rows import NOT_FOR, NOTHING_IN_IT, File, Row
from depwalk.finding import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from depwalk.bulk.rows import Unit

_PIECE = 32  # files that are judged in one go, so that there is progress to show
_FILES_PER_PROCESS = 150 if sys.platform != "win32" else 600  # fewer take less time than a process takes to begin
_RAREST_COLLECTION = 200_000, 50, 100  # what a scan makes is kept: looking for garbage costs more than there is


@dataclass(frozen=True)
class Given:
    """What is the same for all tasks of a scan: a process gets it once."""

    question: Question
    sites: Mapping[str, Site | None]  # of units that are no wheels, by path; None for one of which not all is listed
    wheels: Mapping[str, Sequence[str]]  # that others may need: see wheels.by_name


@dataclass(frozen=True)
class Task:
    """A piece of work: some files of a unit, or all that is in a wheel."""

    unit: Unit
    files: tuple[File, ...] = ()


def do(task: Task, given: Given) -> Judged:
    """Judge what a task is about. A file on which depwalk itself fails is a row that says so."""
    question = given.question
    try:
        found = _judged(task, given)
    except Exception as error:  # noqa: BLE001  (one file of thousands must not end a scan; the others tell of the fault)
        halves = _halves(task)
        if halves is None:
            reason = f"depwalk itself failed on it, please report it: {type(error).__name__}: {error}"
            return Judged(unread(_first_of(task), reason, question))
        first, second = (do(half, given) for half in halves)
        return Judged(first.rows + second.rows, {**first.parts, **second.parts})
    if not question.trees and task.unit.kind == "wheel":  # they are most of what a process sends to another one
        found.rows = [row._replace(nodes=(), links=()) for row in found.rows]
        found.parts = {key: part._replace(nodes=(), links=()) for key, part in found.parts.items()}
    return found


def _judged(task: Task, given: Given) -> Judged:
    question = given.question
    if task.unit.kind != "wheel":
        return judge(task.files, given.sites[task.unit.path], question)
    asked = asked_python(question)
    if asked is not None and not wheels.fits(task.unit.path, asked):
        reason = f"{NOT_FOR}{asked.name}"
        return Judged([Row(_whole(task.unit), case, None, reason=reason) for case, _ in question.cases])
    try:
        archive = Archive(task.unit.path)
    except (UnreadableArchive, OSError) as error:
        reason, by_content = getattr(error, "strerror", None) or str(error), isinstance(error, UnreadableArchive)
        return Judged(unread(_whole(task.unit), reason, question, by_content=by_content))
    return _of_wheel(task.unit, archive, given)


def _of_wheel(unit: Unit, archive: Archive, given: Given) -> Judged:
    question = given.question
    with files.mounted(archive):
        readable, judged = _members(unit, archive, question)
        problems = list(archive.problems)
        site = site_of(readable)
        found = _all(readable, site, question)
    failing = {row.file.path for row in found.rows if any(node.status == "missing" for node in row.nodes)}
    together = _together(unit, given.wheels) if failing else None
    if together is not None:
        with files.mounted(together):
            again = _all([file for file in readable if file.path in failing], _site_of_all(together), question)
        kept = [row for row in found.rows if row.file.path not in failing]
        decided = [_undecided(row, together) for row in again.rows]
        found = Judged([*kept, *decided])
    judged.rows += found.rows
    if problems or not judged.rows:
        reason = "; ".join(problems) or NOTHING_IN_IT
        judged.rows += [Row(_whole(unit), case, None, reason=reason) for case, _ in question.cases]
    return judged


def _together(unit: Unit, known: Mapping[str, Sequence[str]]) -> wheels.Together | None:
    """A wheel with those that it requires; None if it has gone meanwhile."""
    try:
        return wheels.with_required(unit.path, known)
    except (UnreadableArchive, OSError):
        return None


def _undecided(row: Row, together: wheels.Together) -> Row:
    """A row that fails, as unknown if what is missing may come from a distribution that its wheel requires.

    Where one such distribution is not there, it may also bring those DLLs of which nothing is known.
    """
    missing = [node.name for node in row.nodes if node.status == "missing" and not node.delayed]
    sources = {name: together.brings(name) for name in missing}
    if row.verdict != "fails" or not any(sources.values()):
        return row
    first, source = next((name, source) for name, source in sources.items() if source)
    absent = wheel.normalised(source) in together.absent
    where = "is not among what is scanned and may bring it" if absent else "brings it, in a way that is not seen here"
    told = Finding(
        "analysis-incomplete",
        "warning",
        first,
        f"{row.file.distribution or row.nodes[0].name} requires {source}, which {where}: {first}.",
        needed_by=row.nodes[0].name,
        remedy=Remedy(f"Scan it together with the wheel of {source}, or in the environment into which both go."),
        also=tuple(name for name in missing if name != first),
    )
    findings = [
        found._replace(severity="warning") if found.code == "missing-dll" or sources.get(found.module) else found
        for found in row.findings
    ]
    if any(finding.severity == "error" for finding in findings):
        return row._replace(findings=(*findings, told))
    return row._replace(verdict="unknown", findings=(told, *findings))


def _members(unit: Unit, archive: Archive, question: Question) -> tuple[list[File], Judged]:
    """The files in a wheel that can be loaded, and rows for those that cannot even be read."""
    readable, judged = [], Judged()
    for member in archive.members.values():
        kind = KINDS.get(os.path.splitext(member.name)[1].lower())
        if kind is None:
            continue
        file = File(os.path.join(unit.path, *member.name.split("/")), unit, kind, member.size, 0)
        if member.refused:
            judged.rows += unread(file, member.refused, question, by_content=True)
        else:
            readable.append(file)
    return sorted(readable, key=lambda file: file.path), judged


def _site_of_all(together: wheels.Together) -> Site:
    found = Site()
    for name, member in together.members.items():
        if name.endswith(tuple(KINDS)):
            path = os.path.join(together.path, *member.name.split("/"))
            found.setdefault(name.rpartition("/")[2], []).append(path)
    return found


def _whole(unit: Unit) -> File:
    name, version = wheels.distribution_of(unit.path)
    return File(unit.path, unit, "wheel", unit.size, unit.changed, distribution=name, version=version)


def _all(listed: Sequence[File], site: Site | None, question: Question) -> Judged:
    """Extension modules and programs, then the DLLs that none of them needs, and those that are parts of a tree."""
    found = judge([file for file in listed if file.kind != "dll"], site, question)
    rest = judge(left_of(listed, found.parts, question), site, question)
    rows = found.rows + rest.rows + rows_of_parts(listed, {**rest.parts, **found.parts}, rest, question)
    return Judged(rows)


def left_of(listed: Sequence[File], parts: Mapping[tuple[str, int], Row], question: Question) -> list[File]:
    """The DLLs that no tree has in some case: they are judged by themselves."""
    cases = range(len(question.cases))
    return [file for file in listed if file.kind == "dll" and any((file.path, case) not in parts for case in cases)]


def rows_of_parts(
    listed: Sequence[File], parts: Mapping[tuple[str, int], Row], rest: Judged, question: Question
) -> list[Row]:
    """Rows of the DLLs that were only judged as parts of a tree."""
    by_itself = {row.file.path for row in rest.rows}
    rows = []
    for file in listed:
        if file.kind == "dll" and file.path not in by_itself:
            found = (parts.get((file.path, number)) for number in range(len(question.cases)))
            rows += [
                part._replace(file=part.file._replace(size=file.size, changed=file.changed))
                for part in found
                if part is not None
            ]
    return rows


def pieces(unit: Unit, listed: Sequence[File]) -> Iterator[Task]:
    """The files of a unit in pieces; those of one package stay together, since they share its source."""
    piece: list[File] = []
    start, top_before = len(os.path.join(unit.path, "")), ""
    for file in listed:
        top = file.path[start:].partition(os.sep)[0]
        if len(piece) >= 2 * _PIECE or (len(piece) >= _PIECE and top != top_before):
            yield Task(unit, tuple(piece))
            piece = []
        piece.append(file)
        top_before = top
    if piece:
        yield Task(unit, tuple(piece))


def _halves(task: Task) -> tuple[Task, Task] | None:
    """A task in two; None for one that is about a single file, or a wheel."""
    middle = len(task.files) // 2
    if not middle:
        return None
    return replace(task, files=task.files[:middle]), replace(task, files=task.files[middle:])


def _first_of(task: Task) -> File:
    return task.files[0] if task.files else _whole(task.unit)


# ---- who does it


class Workers:
    """Does tasks, in their order: in this process, in threads where children are waited for, or in processes."""

    def __init__(self, given: Given, count: int) -> None:
        self.given = given
        self.count = count
        self._stack = contextlib.ExitStack()
        self._pool: ProcessPoolExecutor | ThreadPoolExecutor | None = None

    def __enter__(self) -> Workers:
        self._stack.enter_context(files.remembering())
        self._stack.enter_context(_few_collections())
        if self.given.question.load:
            self._pool = ThreadPoolExecutor(self.count)
        elif self.count > 1:
            self._pool = _processes(self.count, self.given)
        return self

    def __exit__(self, interrupted_by: object, *_: object) -> None:
        if self._pool is not None:
            # a pool that ends together with the interpreter may write to a pipe that is closed already, and complain
            self._pool.shutdown(wait=interrupted_by is None, cancel_futures=True)
        self._stack.close()

    def __call__(self, tasks: Sequence[Task]) -> Iterator[Judged]:
        """What each task finds out."""
        if self._pool is None:
            yield from (do(task, self.given) for task in tasks)
            return
        done = 0
        while done < len(tasks):
            for task, future in zip(tasks[done:], self._submitted(tasks[done:])):
                done += 1
                try:
                    judged = future.result()
                except (
                    BrokenProcessPool
                ):  # which of the tasks it died of is not known: the first that is left, or a later one
                    yield self._carefully(task)
                    self._renew()
                    break
                yield judged

    def _submitted(self, tasks: Sequence[Task]) -> list[Future[Judged]]:
        """The first of some tasks, or all, in work."""
        futures: list[Future[Judged]] = []
        in_processes = isinstance(self._pool, ProcessPoolExecutor)
        function = _do_as_given if in_processes else partial(do, given=self.given)
        try:
            for task in tasks:
                assert self._pool is not None
                futures.append(self._pool.submit(function, task))
        except BrokenProcessPool:
            if not futures:
                self._renew()
                return self._submitted(tasks)
        return futures

    def _renew(self) -> None:
        """A pool of which a process has died takes no more tasks."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = _processes(self.count, self.given)

    def _carefully(self, task: Task) -> Judged:
        """A task of which a process died, in ever smaller pieces, each in a process of its own."""
        with _processes(1, self.given) as pool:
            try:
                return pool.submit(_do_as_given, task).result()
            except BrokenProcessPool:
                pass
        halves = _halves(task)
        if halves is None:
            reason = "the process that read it ended without an answer"
            return Judged(unread(_first_of(task), reason, self.given.question))
        first, second = map(self._carefully, halves)
        return Judged(first.rows + second.rows, {**first.parts, **second.parts})


def usual_count(number: int) -> int:
    """How many processes are worth their start for so many files."""
    return max(1, min(os.cpu_count() or 1, number // _FILES_PER_PROCESS))


def _processes(count: int, given: Given) -> ProcessPoolExecutor:
    import multiprocessing

    kind = "fork" if sys.platform.startswith("linux") else "spawn"  # fork shares what is read and imported already
    return ProcessPoolExecutor(count, multiprocessing.get_context(kind), _begin, (given,))


def _begin(given: Given) -> None:
    """In a new process: it ends when its parent says so, and remembers until then."""
    _given.append(given)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _lasting.enter_context(files.remembering())
    _lasting.enter_context(_few_collections())


def _do_as_given(task: Task) -> Judged:
    return do(task, _given[0])


def _end_with_parent() -> None:
    """A parent that is killed tells nobody, and its workers would wait for tasks for ever."""
    import multiprocessing

    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(*_RAREST_COLLECTION)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()


# Of a process that works for another one:
_given: list[Given] = []
_lasting = contextlib.ExitStack()
