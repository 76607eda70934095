"""What the benchmarks have in common: the files they read, the machine they run on, commands timed, tables."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    Environment = dict[str, str]

ROOT = Path(__file__).resolve().parents[1]
CACHE = Path.home() / ".cache" / "depwalk-ci"  # where ci/run.py keeps what it downloads
SETS = {"DEPWALK_PATIENTS": "patients", "DEPWALK_SITE": "site", "DEPWALK_JUDGED": "judged"}
BESIDE = "site-processors"  # beside the site
ENVIRONMENT = CACHE / "environment"


# ---- the files


def sets() -> list[Path]:
    """The directories of real PE files that the test bed has unpacked, as far as they are there."""
    found = {name: Path(os.environ.get(variable) or CACHE / name) for variable, name in SETS.items()}
    return [path for path in [*found.values(), found["site"].parent / BESIDE] if path.is_dir()]


def is_pe(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"MZ"


def pe_files(directory: Path) -> list[str]:
    """All that begins as a PE file does, whatever its name."""
    return [str(path) for path in sorted(directory.rglob("*")) if path.is_file() and is_pe(path)]


def warm(paths: Iterable[str]) -> None:
    """Bring the files into the system's cache."""
    for path in paths:
        with open(path, "rb") as file:
            while file.read(1 << 24):
                pass


# ---- the machine


def machine() -> str:
    """The kind of machine, not its name, and how much it has to do."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        cpu = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        cpu = platform.processor() or platform.machine()
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{cpu}, {os.cpu_count()} cores{load}, {platform.system()}, Python {platform.python_version()}"


def version(package: str) -> str:
    """The version of an installed distribution; empty if it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def progress(text: str) -> None:
    print(f"{text} ...", file=sys.stderr, flush=True)


# ---- commands


class Run(NamedTuple):
    """A command that has ended: seconds by the clock, and of processor time with all its children."""

    wall: float
    processor: float
    output: str


def environment(bytecode: str) -> Environment:
    """As a person has it: modules are compiled once, output is buffered. Bytecode goes where it is not in the way."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return {**kept, "PYTHONPYCACHEPREFIX": bytecode}


def run(command: Sequence[str], environment: Environment, answered: Sequence[int] = (0,), cwd: Path = ROOT) -> Run:
    """Run a command to its end. Ends the benchmark if its exit status is none of `answered`."""
    before, begin = _processor_time(), time.perf_counter()
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, check=False, encoding="utf-8", errors="replace"
    )
    wall = time.perf_counter() - begin
    if done.returncode not in answered:
        sys.exit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return Run(wall, _processor_time() - before, done.stdout)


def _processor_time() -> float:
    """Of the children that have ended."""
    spent = os.times()
    return spent.children_user + spent.children_system


@dataclass
class Series:
    """Runs of one command."""

    runs: list[Run] = field(default_factory=list)

    @property
    def walls(self) -> list[float]:
        return [run.wall for run in self.runs]

    @property
    def best(self) -> float:
        return min(self.walls)

    @property
    def median(self) -> float:
        return median(self.walls)

    @property
    def processor(self) -> float:
        """The median of processor time."""
        return median(run.processor for run in self.runs)

    def as_dict(self) -> dict[str, list[float]]:
        return {"wall": self.walls, "processor": [run.processor for run in self.runs]}


# ---- tables


@dataclass
class Table:
    """A table of texts, and notes that belong to it. The first column names the row; numbers stand to the right."""

    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    title: str = ""
    notes: list[str] = field(default_factory=list)
    words: int = 1  # columns of words, at the left

    def add(self, *cells: object) -> None:
        self.rows.append(tuple(map(str, cells)))

    def text(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(len(line[column]) for line in lines) for column in range(len(self.columns))]
        drawn = ["  ".join(self._set(cell, index, widths[index]) for index, cell in enumerate(line)) for line in lines]
        drawn.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join([*([self.title] if self.title else []), *(line.rstrip() for line in drawn), *self.notes])

    def _set(self, cell: str, column: int, width: int) -> str:
        return cell.ljust(width) if column < self.words else cell.rjust(width)

    def markdown(self) -> str:
        rule = ["---" if column < self.words else "---:" for column in range(len(self.columns))]
        lines = [self.columns, rule, *(tuple(cell.replace("|", "\\|") for cell in row) for row in self.rows)]
        drawn = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n\n".join([*([f"{self.title}:"] if self.title else []), drawn, *self.notes])


def times(ratio: float) -> str:
    """How many times: 0.08x, 3.1x, 24x."""
    return f"{ratio:.0f}x" if ratio >= 20 else f"{ratio:.1f}x" if ratio >= 1 else f"{ratio:.2f}x"


def replaced(page: str, key: str, content: str) -> str:
    """A page with other content between `<!-- table KEY -->` and the next `<!-- end -->`. Raises ValueError."""
    begin, end = f"<!-- table {key} -->", "<!-- end -->"
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise ValueError(f"the page has no {begin} with an {end} behind it")
    return f"{before}{begin}\n\n{content.strip()}\n\n{end}{after}"


@contextlib.contextmanager
def removed_at_last(directory: Path) -> Iterator[Path]:
    """A directory that is deleted afterwards, also if the benchmark is interrupted."""
    import shutil

    directory.mkdir(parents=True, exist_ok=True)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def versions(packages: Mapping[str, str]) -> str:
    """Names and versions of those that are installed."""
    found = {name: version(package) for name, package in packages.items()}
    return ", ".join(f"{name} {number}" for name, number in found.items() if number)
