"""b: the whole command beside others that only parse, or only open, the same files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import common

from scanning import CASE, Part, rival, rivals, scan

if TYPE_CHECKING:
    from scanning import Setting

ONE = "depwalk scan --jobs 1"
FLOOR = Path(__file__).with_name("floor.py")


def measure(setting: Setting) -> Part:
    count = setting.processes
    several, ways = ways_of(setting)
    series = {name: common.Series() for name in ways}
    for number in range(setting.rounds + 1):
        for name, (command, _) in ways.items():
            common.progress(f"b, round {number} of {setting.rounds}: {name}")
            found = setting.run(command)
            if number:  # the first one compiles modules
                series[name].runs.append(found)
    common.progress("b: pefile, once")
    ways["pefile, three directories"] = rival(rivals.PEFILE, setting), 1
    series["pefile, three directories"] = common.Series([setting.run(rival(rivals.PEFILE, setting))])
    table = common.Table(
        ("command, in a new process", "processes", "best s", "median s", "processor s", f"vs {several}", f"vs {ONE}")
    )
    for name, (_, processes) in ways.items():
        found = series[name]
        ratios = [common.times(found.median / series[other].median) for other in (several, ONE)]
        table.add(name, processes, f"{found.best:.2f}", f"{found.median:.2f}", f"{found.processor:.2f}", *ratios)
    size = sum(_size(path) for path in setting.files)
    table.notes.append(
        f"{len(setting.files):,} files, {size / 1e9:.1f} GB; {setting.rounds} rounds, pefile once; ratios are of "
        f"medians: 3x takes 3 times as long as depwalk with its usual number of processes, {count}, or with one."
    )
    data = {
        "files": len(setting.files),
        "bytes": size,
        "seconds": {name: one.as_dict() for name, one in series.items()},
    }
    return Part([table], data)


def ways_of(setting: Setting) -> tuple[str, dict[str, tuple[list[str], int]]]:
    """The name of depwalk with its usual number of processes; every command by its name, and how many it starts."""
    count = setting.processes
    several = "depwalk scan"
    ways = {
        several: (scan(setting.directories), count),
        ONE: (scan(setting.directories, "--jobs", "1"), 1),
        "depwalk scan, judging nothing": ([sys.executable, str(FLOOR), *setting.directories, *CASE], count),
        "LIEF, parsing alone": (rival(rivals.LIEF, setting), 1),
        "LIEF, minimal": (rival(rivals.LIEF_MINIMAL, setting), 1),
    }
    if count > 1:
        ways["LIEF, parsing alone, shared out"] = rival(rivals.LIEF, setting, count), count
        ways["LIEF, minimal, shared out"] = rival(rivals.LIEF_MINIMAL, setting, count), count
    ways["first 4 KiB of each"] = rival(rivals.FIRST, setting), 1
    return several, ways


def _size(path: str) -> int:
    import os

    return os.stat(path).st_size
