"""The order of the work: of each unit what is imported or started first, then the DLLs that nothing of it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk.bulk import FILES_IN_WHEEL, wheels, work
from depwalk.bulk.collect import site_of
from depwalk.bulk.judge import Judged, Question

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.bulk import Scan
    from depwalk.bulk.collect import Listed
    from depwalk.bulk.rows import File, Row


def rows(scan: Scan, todo: Sequence[tuple[Listed, list[File]]]) -> Iterator[Row]:
    """The rows of some files of each unit, and of wheels."""
    question = Question(scan.cases, scan.machine, scan.load, scan.timeout, scan.hashed, scan.trees)
    number = sum(len(files) if listed.unit.kind != "wheel" else FILES_IN_WHEEL for listed, files in todo)
    count = scan.jobs or work.usual_count(number * len(scan.cases))
    sites = {
        listed.unit.path: site_of(listed.files) if listed.whole else None
        for listed, _ in todo
        if listed.unit.kind != "wheel"
    }
    known = wheels.by_name([listed.unit.path for listed in scan.listed if listed.unit.kind == "wheel"])
    with work.Workers(work.Given(question, sites, known), count) as workers:
        tasks: list[work.Task] = []
        for listed, again in todo:
            if listed.unit.kind == "wheel":
                tasks.append(work.Task(listed.unit))
            else:
                started = [file for file in again if file.kind != "dll"]
                tasks += work.pieces(listed.unit, started)
        parts: dict[tuple[str, int], Row] = {}
        for judged in workers(tasks):
            yield from judged.rows
            parts.update(judged.parts)
        yield from _others(todo, parts, workers, question)


def _others(
    todo: Sequence[tuple[Listed, list[File]]],
    parts: dict[tuple[str, int], Row],
    workers: work.Workers,
    question: Question,
) -> Iterator[Row]:
    tasks: list[work.Task] = []
    listed_files: list[File] = []
    for listed, again in todo:
        if listed.unit.kind != "wheel":
            tasks += work.pieces(listed.unit, work.left_of(again, parts, question))
            listed_files += again
    rest = Judged()
    for judged in workers(tasks):
        yield from judged.rows
        rest.rows += judged.rows
        parts = {**judged.parts, **parts}
    yield from work.rows_of_parts(listed_files, parts, rest, question)
