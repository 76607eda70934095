"""What two runs say of the same files."""

from __future__ import annotations

import re
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple, Optional

from depwalk.bulk.rows import Row
from depwalk.wheel import normalised

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from depwalk.bulk.rows import Case, File, Unit

Pair = tuple[Optional[Row], Optional[Row]]


class Comparison(NamedTuple):
    """Pairs of (before, after) in cases that both runs have. A file that is in one of them only has no other row."""

    broke: tuple[Pair, ...]  # it loaded, and fails
    mended: tuple[Pair, ...]  # it failed, and loads
    new_failures: tuple[Pair, ...]  # it was not there, and fails
    gone: tuple[Pair, ...]
    changed: tuple[Pair, ...]  # another verdict, or another first finding


class Side(NamedTuple):
    """A run. `files` and `wheels` are the listing of one that was not finished: what has no row may yet be there."""

    rows: Sequence[Row]
    cases: Sequence[Case]
    finished: bool
    files: Sequence[File] = ()
    wheels: Sequence[Unit] = ()

    def units(self) -> set[str]:
        """Paths of what was scanned."""
        return {row.file.unit.path for row in self.rows} | {wheel.path for wheel in self.wheels}


def compare(before: Side, after: Side) -> Comparison:
    """Compare two runs file by file.

    A file is the same if its path in its unit is. Units are the same by their path; of the others, wheels are by
    distribution and tags, so that a new version is compared with the old one.
    """
    both = before.units() & after.units()
    broke, mended, new, gone, changed = [], [], [], [], []
    for pair in _pairs(before, after, both):
        old, now = pair
        if old is None:
            if now is not None and now.verdict == "fails" and not _may_have(before, now.file, both):
                new.append(pair)
        elif now is None:
            if not _may_have(after, old.file, both):
                gone.append(pair)
        elif (old.verdict, now.verdict) == ("loads", "fails"):
            broke.append(pair)
        elif (old.verdict, now.verdict) == ("fails", "loads"):
            mended.append(pair)
        elif old.verdict != now.verdict or _cause(old) != _cause(now):
            changed.append(pair)
    return Comparison(tuple(broke), tuple(mended), tuple(new), tuple(gone), tuple(changed))


def _pairs(before: Side, after: Side, both: set[str]) -> Iterator[Pair]:
    """The rows of the same file and case; of several that may be meant, those of the newest versions."""
    old, now = _by_place(before.rows, both), _by_place(after.rows, both)
    cases = {_words(case) for case in before.cases} & {_words(case) for case in after.cases}
    for key in [*old, *(key for key in now if key not in old)]:
        if key[1] in cases:
            yield from zip_longest(old.get(key, ()), now.get(key, ()))


def _by_place(rows: Iterable[Row], both: set[str]) -> dict[tuple[object, object], list[Row]]:
    found: dict[tuple[object, object], list[Row]] = {}
    for row in rows:
        found.setdefault((_place(row.file, both), _words(row.case)), []).append(row)
    for several in found.values():
        several.sort(key=lambda row: _natural(row.file.unit.path), reverse=True)
    return found


def _place(file: File, both: set[str]) -> tuple[str, ...]:
    """What tells a file from the others of its run, and is the same in another run."""
    unit = file.unit.path
    member = file.path[len(unit) :].replace("\\", "/").strip("/")
    if unit in both:
        return unit, member
    return (*_wheel(file.unit), member) if file.unit.kind == "wheel" else ("", member)


def _wheel(unit: Unit) -> tuple[str, str]:
    """Distribution and tags, by the name of the wheel."""
    name = re.split(r"[\\/]", unit.path)[-1]
    parts = name.split("-")
    return (normalised(parts[0]), "-".join(parts[-3:])) if len(parts) >= 5 else (name, "")


def _may_have(side: Side, file: File, both: set[str]) -> bool:
    """Whether a run that was not finished would have come to a file."""
    if side.finished:
        return False
    if file.unit.kind == "wheel":
        return file.unit.path in both or _wheel(file.unit) in map(_wheel, side.wheels)
    return not side.files or _place(file, both) in {_place(other, both) for other in side.files}


def _words(case: Case) -> tuple[object, ...]:
    return case.windows, case.runtimes, case.python, case.cpu


def _cause(row: Row) -> tuple[str, str] | None:
    return (row.findings[0].code, row.findings[0].module.lower()) if row.findings else None


def _natural(path: str) -> list[tuple[int, str]]:
    """So that 1.10 comes after 1.9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", path)]
