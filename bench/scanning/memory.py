"""d: the most memory that a scan and its workers have at once.

Counted is Pss_Anon of /proc/PID/smaps_rollup, added up over the process and all below it, every 20 ms: anonymous pages
(heaps, stacks, what was changed of loaded libraries), of which one that several processes share after a fork counts
once. Pages of mapped files are not in it: the system takes them back whenever it wants them for something else.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import common

from scanning import ANSWERED, CASE, CASES_OF_MATRIX, MATRIX, Part, rival, rivals, scan
from scanning.environments import Environments

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from scanning import Setting

EVERY = 0.02  # seconds
SIZES = (125, 250, 500, 1000, 2000)
PROC = Path("/proc")


@dataclass
class Peak:
    """In bytes: of the whole tree at once, and the most of its first process."""

    tree: int = 0
    first: int = 0
    processes: int = 0  # most at once
    samples: int = 0


def measure(setting: Setting) -> Part:
    if not (PROC / "self" / "smaps_rollup").exists():
        return Part([], {"skipped": "there is no /proc/PID/smaps_rollup"})
    table = common.Table(("scan of", "files", "rows", "processes", "peak MB", "first process MB", "MB a further file"))
    data: list[dict[str, Any]] = []

    def add(name: str, files: int, rows: int, command: Sequence[str], before: tuple[int, int] | None = None) -> Any:
        common.progress(f"d: {name}")
        peak = peak_of(setting, command)
        each = f"{(peak.tree - before[1]) / (files - before[0]) / 1e6:.3f}" if before else ""
        figures = (f"{peak.tree / 1e6:.1f}", f"{peak.first / 1e6:.1f}")
        table.add(name, f"{files:,}", f"{rows:,}", peak.processes, *figures, each)
        data.append({"name": name, "files": files, "rows": rows, **vars(peak)})
        return files, peak.tree

    files = len(setting.files)
    add("the whole set", files, files, scan(setting.directories))
    add("the whole set, --jobs 1", files, files, scan(setting.directories, "--jobs", "1"))
    in_cases = scan(setting.directories, case=MATRIX)
    add(f"the whole set in {CASES_OF_MATRIX} cases", files, files * CASES_OF_MATRIX, in_cases)
    add("beside it, LIEF parsing it", files, 0, rival(rivals.LIEF, setting))
    with common.removed_at_last(setting.scratch / "environments") as folder:
        environments = Environments(setting.site, folder)
        before = None
        for size in SIZES:
            paths, count = environments.of(size)
            before = add("environments, --jobs 1", count, count, scan(paths, "--jobs", "1"), before)
        paths, count = environments.of(SIZES[1])
        matrix = scan(paths, "--jobs", "1", case=MATRIX)
        add(f"the same in {CASES_OF_MATRIX} cases, --jobs 1", count, count * CASES_OF_MATRIX, matrix)
        database = ("--db", str(setting.scratch / "memory.db"))
        for name in ("first", "second"):
            add(
                f"{name} scan into a database, --jobs 1", count, count, scan(paths, "--jobs", "1", *database, case=CASE)
            )
        (setting.scratch / "memory.db").unlink()
    for share in (4, 2, 1):
        wheels = [str(path) for path in setting.wheels[: len(setting.wheels) // share]]
        if wheels:
            count = sum(map(_members, wheels))
            add(f"{len(wheels)} wheels, --jobs 1", count, count, scan(wheels, "--jobs", "1"))
    table.notes.append(
        "MB are of 10^6 bytes, sampled once; a further file is one that a row has more than the row above it. "
        "Each path is a module of its own, whether or not another path leads to the same content."
    )
    return Part([table], {"rows": data, "counted": "Pss_Anon, sum over the process tree"})


def _members(wheel: str) -> int:
    import zipfile

    with zipfile.ZipFile(wheel) as file:
        return sum(name.lower().endswith((".pyd", ".dll", ".exe")) for name in file.namelist())


def peak_of(setting: Setting, command: Sequence[str]) -> Peak:
    """Run a command and look at its memory until it ends."""
    peak = Peak()
    with subprocess.Popen(
        command, cwd=common.ROOT, env=setting.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            begin = time.perf_counter()
            found = [_anonymous(one) for one in (process.pid, *_below(process.pid))]
            peak.tree, peak.first = max(peak.tree, sum(found)), max(peak.first, found[0])
            peak.processes = max(peak.processes, sum(size > 0 for size in found))
            peak.samples += 1
            time.sleep(max(0.0, EVERY - (time.perf_counter() - begin)))
    if process.returncode not in ANSWERED:
        raise SystemExit(f"{' '.join(command)}: exit status {process.returncode}")
    return peak


def _anonymous(process: int) -> int:
    try:
        lines = (PROC / str(process) / "smaps_rollup").read_text("ascii").splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss_Anon:")), 0)


def _below(process: int) -> Iterator[int]:
    """All that it has started, and these in turn."""
    parents: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                after_name = (entry / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(after_name[1]), []).append(int(entry.name))
    open_ones = [process]
    while open_ones:
        found = parents.get(open_ones.pop(), [])
        yield from found
        open_ones += found
