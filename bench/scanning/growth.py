"""e: what a file costs, from a hundred files to ten thousand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import common

from scanning import Part, plot, scan
from scanning.environments import Environments

if TYPE_CHECKING:
    from scanning import Setting

LARGE = 1000  # files, from which on there are fewer rounds
MOST_ROUNDS_IF_LARGE = 2
USUAL, ONE = "usual number of processes", "one process"


def measure(setting: Setting) -> Part:
    from depwalk.bulk import work

    table = common.Table(
        ("files", "environments", "processes", "rounds", "best s", "median s", "processor s", "ms a file")
    )
    lines: dict[str, list[tuple[float, float]]] = {USUAL: [], ONE: []}
    data = []
    with common.removed_at_last(setting.scratch / "environments") as folder:
        environments = Environments(setting.site, folder)
        for size in setting.sizes:
            common.progress(f"e: making environments with {size} files")
            paths, count = environments.of(size)
            rounds = setting.rounds if count <= LARGE else min(setting.rounds, MOST_ROUNDS_IF_LARGE)
            for name, series in _rounds(setting, paths, rounds).items():
                processes = 1 if name == ONE else work.usual_count(count)
                each = 1000 * series.median / count
                table.add(
                    f"{count:,}",
                    len(paths),
                    processes,
                    rounds,
                    f"{series.best:.2f}",
                    f"{series.median:.2f}",
                    f"{series.processor:.2f}",
                    f"{each:.2f}",
                )
                lines[name].append((count, each))
                data.append({"files": count, "processes": processes, "seconds": series.as_dict()})
    table.notes.append(
        "The files of one environment are the distributions of a real one, as many as fit; larger sets repeat it under "
        "other paths, and nothing that was learned in one is used in another."
    )
    if setting.picture:
        setting.picture.parent.mkdir(parents=True, exist_ok=True)
        setting.picture.write_text(plot.svg(lines, "milliseconds a file", "files in the scan"), "utf-8")
    return Part([table], {"sizes": data})


def _rounds(setting: Setting, paths: list[str], rounds: int) -> dict[str, common.Series]:
    found = {USUAL: common.Series(), ONE: common.Series()}
    commands = {USUAL: scan(paths), ONE: scan(paths, "--jobs", "1")}
    for number in range(rounds + 1):
        for name, series in found.items():
            if number:
                common.progress(f"e, round {number} of {rounds}: {name}")
                series.runs.append(setting.run(commands[name]))
            elif name == USUAL:  # the first one brings the new directories into the cache
                setting.run(commands[name])
    return found
