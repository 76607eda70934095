"""c: the second scan into the same database, beside the first one and one without a database."""

from __future__ import annotations

from typing import TYPE_CHECKING

import common

from scanning import CASE, CASES_OF_MATRIX, MATRIX, Part, scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scanning import Setting

WITHOUT, FIRST, SECOND = "no database", "first into it", "second"
MOST_ROUNDS_OF_MATRIX = 2


def measure(setting: Setting) -> Part:
    table = common.Table(
        ("cases", "rounds", "scan", "best s", "median s", "processor s", "vs no database", "vs first"), words=1
    )
    data = {}
    for name, case, rounds in (
        ("1", CASE, setting.rounds),
        (str(CASES_OF_MATRIX), MATRIX, min(setting.rounds, MOST_ROUNDS_OF_MATRIX)),
    ):
        series, size = _rounds(setting, name, case, rounds)
        for scanned, found in series.items():
            ratios = [common.times(found.median / series[other].median) for other in (WITHOUT, FIRST)]
            figures = (f"{found.best:.2f}", f"{found.median:.2f}", f"{found.processor:.2f}")
            table.add(name, rounds, scanned, *figures, *ratios)
        faster = series[FIRST].median / series[SECOND].median
        table.notes.append(
            f"{name} case{'s' if name != '1' else ''}: the second scan is {faster:.1f} times as fast as the first; "
            f"the database has {size / 1e6:.1f} MB after it."
        )
        data[name] = {"bytes": size, "seconds": {scanned: one.as_dict() for scanned, one in series.items()}}
    return Part([table], data)


def _rounds(setting: Setting, name: str, case: Sequence[str], rounds: int) -> tuple[dict[str, common.Series], int]:
    """Each round begins without the database."""
    database = setting.scratch / "scans.db"
    kept = ("--db", str(database))
    series = {scanned: common.Series() for scanned in (WITHOUT, FIRST, SECOND)}
    size = 0
    setting.run(scan(setting.directories, case=CASE))  # compiles modules
    for number in range(1, rounds + 1):
        for scanned, found in series.items():
            common.progress(f"c, {name} case(s), round {number} of {rounds}: {scanned}")
            options = () if scanned == WITHOUT else kept
            found.runs.append(setting.run(scan(setting.directories, *options, case=case)))
        size = database.stat().st_size
        database.unlink()
    return series, size
