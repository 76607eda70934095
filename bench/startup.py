"""How long a person waits: `python -m depwalk FILE` in a new process, beside a Python that does nothing.

    python bench/startup.py [FILE] [--runs N] [--json FILE]

FILE is by default the 113 MB module of TensorFlow in the directory DEPWALK_PATIENTS. It is predicted, not loaded, on
a named Windows, so that the answer is the same everywhere. The commands run in turn; the file cache is warm.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import common

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Environment = dict[str, str]

BIG_FILE = "tensorflow-2.0.0-cp37-win_amd64/tensorflow_core/python/_pywrap_tensorflow_internal.pyd"
NOTHING, MODULE = "python -c pass", "python -m __future__"  # a module that does nothing: what -m costs by itself
HELP, CHECK = "python -m depwalk --help", "python -m depwalk FILE"
AIM = 0.25  # seconds, CHECK
ANSWERED = (0, 1, 3)  # exit statuses: loads, fails, not known
DIGEST_RUNS = 5
DIGEST_LENGTH = 10


class Import(NamedTuple):
    """What `python -X importtime` says of one module, in milliseconds."""

    name: str
    own: float
    total: float


def commands(file: str) -> dict[str, list[str]]:
    depwalk = ["-m", "depwalk"]
    return {
        NOTHING: ["-c", "pass"],
        MODULE: ["-m", "__future__"],
        HELP: [*depwalk, "--help"],
        CHECK: [*depwalk, file, "--no-load", "--windows", "10", "--python", "3.7"],
    }


def run(arguments: Sequence[str], environment: Environment) -> str:
    """Run this Python in the checkout and return its stderr. Ends the benchmark if the command gives no answer."""
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=common.ROOT,
        env=environment,
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    if done.returncode not in ANSWERED:
        sys.exit(f"{' '.join(arguments)}: exit status {done.returncode}\n{done.stderr}")
    return done.stderr


def measure(table: dict[str, list[str]], environment: Environment, runs: int) -> dict[str, list[float]]:
    """Seconds of every run, after one run that warms the cache."""
    seconds: dict[str, list[float]] = {name: [] for name in table}
    for number in range(runs + 1):
        for name, arguments in table.items():
            begin = time.perf_counter()
            run(arguments, environment)
            if number > 0:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def import_times(arguments: Sequence[str], environment: Environment) -> list[Import]:
    """Of every module that the command imports, the dearest first: the median of some runs."""
    seen: dict[str, list[tuple[float, float]]] = {}
    for _ in range(DIGEST_RUNS):
        for name, own, total in _parse(run(["-X", "importtime", *arguments], environment).splitlines()):
            seen.setdefault(name, []).append((own, total))
    medians = [Import(name, *(median(column) for column in zip(*times))) for name, times in seen.items()]
    return sorted(medians, key=lambda imported: -imported.own)


def _parse(lines: Iterable[str]) -> Iterable[Import]:
    for line in lines:
        own, _, rest = line.removeprefix("import time:").partition("|")
        total, _, name = rest.partition("|")
        if own.strip().isdigit():
            yield Import(name.strip(), int(own) / 1000, int(total) / 1000)


def times_lines(seconds: dict[str, list[float]]) -> Iterable[str]:
    nothing = median(seconds[NOTHING])
    yield f"{'':<28}{'best s':>9}{'median s':>10}{'above a bare python':>22}{'ratio':>8}"
    for name, values in seconds.items():
        middle = median(values)
        yield f"{name:<28}{min(values):>9.3f}{middle:>10.3f}{middle - nothing:>22.3f}{middle / nothing:>7.1f}x"
    reached = "reached" if median(seconds[CHECK]) < AIM else "not reached"
    yield f"aim, {CHECK} under {AIM} s: {reached} (median {median(seconds[CHECK]):.3f} s)"


def import_lines(imports: Sequence[Import]) -> Iterable[str]:
    ours = [imported.own for imported in imports if imported.name.split(".")[0] == "depwalk"]
    total = sum(imported.own for imported in imports)
    yield f"imports of {CHECK}: {total:.0f} ms in {len(imports)} modules, as measured with -X importtime;"
    yield f"{sum(ours):.0f} ms of them in {len(ours)} modules of depwalk. The dearest, in ms:"
    yield f"{'':<40}{'its own':>9}{'with those it imports':>24}"
    for imported in imports[:DIGEST_LENGTH]:
        yield f"{imported.name:<40}{imported.own:>9.1f}{imported.total:>24.1f}"


def main() -> int:
    parser = argparse.ArgumentParser(description="Time the start of depwalk.")
    parser.add_argument("file", metavar="FILE", nargs="?")
    parser.add_argument("--runs", metavar="N", type=int, default=15)
    parser.add_argument("--json", metavar="FILE", help="write all measurements there")
    options = parser.parse_args()
    file = Path(options.file or Path(os.environ.get("DEPWALK_PATIENTS", "")) / BIG_FILE).absolute()
    if not file.is_file():
        parser.error("name a FILE, or set DEPWALK_PATIENTS")
    table = commands(str(file))
    with tempfile.TemporaryDirectory() as bytecode:
        seconds = measure(table, common.environment(bytecode), max(options.runs, 1))
        imports = import_times(table[CHECK], common.environment(bytecode))
    print(f"FILE: {file.name}, {file.stat().st_size / 1e6:.0f} MB; {max(options.runs, 1)} runs each\n")
    print("\n".join(times_lines(seconds)))
    print()
    print("\n".join(import_lines(imports)))
    if options.json:
        result = {"seconds": seconds, "imports": [imported._asdict() for imported in imports]}
        Path(options.json).write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
