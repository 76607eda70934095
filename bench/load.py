"""What watching costs: a load in a bare child, in a watched one, and in a traced one; all dependencies in one child.

    python bench/load.py [FILE] [--python X.Y] [--dll-dir DIR] [--runs N] [--json FILE]

Runs under a Python for Windows, with depwalk installed. FILE is by default TensorFlow's module in the directory
DEPWALK_PATIENTS, with the runtime of CPython 3.7 in DEPWALK_RUNTIME_37. The ways take turns, each in new processes;
the file cache is warm. Wall time of the whole child, from its start to its end.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from depwalk import graph, image, loader
from depwalk.cli.options import machine
from depwalk.target.choose import Choice, choose

if TYPE_CHECKING:
    from collections.abc import Callable

    from depwalk.target import Target

BIG_FILE = "tensorflow-2.0.0-cp37-win_amd64/tensorflow_core/python/_pywrap_tensorflow_internal.pyd"
BARE, WATCHED, TRACED, PROBED = "bare child", "watched child", "traced child", "every dependency, one child"
AIM = 2.0  # TRACED against BARE
TIMEOUT = 60.0

# The plain load: what a person would type, with the directories that the target needs.
PLAIN = """
import ctypes, os, sys
for name in sys.argv[2:]:
    os.add_dll_directory(name)
    os.environ["PATH"] = name + os.pathsep + os.environ["PATH"]
ctypes.CDLL(sys.argv[1])
os._exit(0)
"""


def ways(file: str, target: Target) -> dict[str, Callable[[], object]]:
    walked = graph.walk(file, image.read(file), target)

    def bare() -> None:
        command = [sys.executable, *loader.PYTHON_FLAGS, "-c", PLAIN, file, *target.dll_dirs]
        subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True)

    def watched() -> None:
        assert loader.test_load(file, target, TIMEOUT).loaded

    def traced() -> None:
        assert loader.trace_load(file, target, TIMEOUT).loaded

    def probed() -> None:
        assert loader.probe(walked, target, TIMEOUT) == []

    return {BARE: bare, WATCHED: watched, TRACED: traced, PROBED: probed}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="?")
    parser.add_argument("--python")
    parser.add_argument("--dll-dir", action="append", default=[])
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.file is None:
        options.file = str(Path(os.environ["DEPWALK_PATIENTS"], BIG_FILE))
        options.python, options.dll_dir = "3.7", [os.environ["DEPWALK_RUNTIME_37"]]
    choice = Choice(python=options.python, dll_dirs=tuple(options.dll_dir))
    target = choose(image.read(options.file), choice, machine())
    todo = ways(options.file, target)
    seconds: dict[str, list[float]] = {name: [] for name in todo}
    for run in range(options.runs + 1):
        for name, way in todo.items():
            started = time.perf_counter()
            way()
            if run:  # the first one warms the caches
                seconds[name].append(time.perf_counter() - started)
    rows = {name: (min(taken), median(taken)) for name, taken in seconds.items()}
    base = rows[BARE][1]
    print(f"{os.path.basename(options.file)}, {options.runs} runs\n\n{'way':30} best s  median s  ratio")
    for name, (best, middle) in rows.items():
        print(f"{name:30} {best:6.3f} {middle:9.3f} {middle / base:6.2f}")
    ratio = rows[TRACED][1] / base
    print(f"\naim, traced at most {AIM:.1f}x bare: {'reached' if ratio <= AIM else 'missed'} ({ratio:.2f}x)")
    if options.json:
        options.json.write_text(json.dumps(rows), "utf-8")
    return 0 if ratio <= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
