"""g: where the time of a scan in one process goes, in one case or, with --matrix, in ten.

As a part, it starts itself twice, in new processes: `sample` interrupts the scan every 2 ms of processor time and looks
where it is, which costs next to nothing; `count` runs it under cProfile, whose seconds are distorted, for the calls.
"""

from __future__ import annotations

import contextlib
import cProfile
import io
import json
import pstats
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import common

from scanning import Part, scan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import CodeType, FrameType

    from scanning import Setting

EVERY = 0.002  # seconds of processor time
IMPORTS, REST = "imports of modules", "the rest"
STAGES = {  # by the beginning of a module's name below depwalk/; what is not here belongs to who calls it
    "bulk/collect": "listing files",
    "image": "reading images",
    "core": "reading images",
    "archive": "reading images",
    "graph": "the walk: search, edges, symbols",
    "search": "the walk: search, edges, symbols",
    "side_by_side": "the walk: search, edges, symbols",
    "package": "source of packages",
    "diagnosis": "diagnosis",
    "gather": "diagnosis",
    "target/choose": "choosing the target",
    "bulk/database": "database",
    "bulk/earlier": "database",
    "bulk/stored": "database",
    "bulk/writing": "database",
    "bulk/summary": "summary and report",
    "report": "summary and report",
    "cli": "summary and report",
    "bulk": "rows",
    "result": "rows",
}
DEAREST = 25
MOST_FUNCTIONS = 200
PASSED_THROUGH = 0.6  # functions with more than that of all seconds only call the dear ones
PACKAGE = str(common.ROOT / "depwalk") + "/"


def measure(setting: Setting) -> Part:
    found = {}
    for way in ("sample", "count"):
        common.progress(f"g: {way}")
        output = setting.scratch / f"{way}.json"
        command = [sys.executable, __file__, way, str(output), *setting.directories, *setting.case]
        if way == "sample":
            setting.run(scan(setting.directories[-1:]))  # compiles modules
        common.run(command, setting.environment)
        found[way] = json.loads(output.read_text("utf-8"))
    bare = common.run([sys.executable, "-c", "pass"], setting.environment)
    sampled, counted = found["sample"], found["count"]
    total = sum(sampled["stages"].values())
    stages = common.Table(("stage", "s", "share", "ms a file"), title="Stages, in one process")
    for name, samples in sorted(sampled["stages"].items(), key=lambda item: -item[1]):
        seconds = samples / total * sampled["processor"]
        figures = (f"{seconds:.2f}", f"{samples / total:.0%}", f"{1000 * seconds / len(setting.files):.2f}")
        stages.add(name, *figures)
    stages.notes.append(
        f"{sampled['processor']:.2f} s of processor time, {total:,} samples; the start of the interpreter "
        f"({bare.processor:.2f} s) comes before it. A stage is where the innermost function is that belongs to one."
    )
    functions = common.Table(
        ("function", "calls", "s with all it calls", "share", "s its own"), title="The dearest functions"
    )
    dear = [row for row in sampled["functions"] if row[1] < PASSED_THROUGH * total]
    for name, samples, own in dear[:DEAREST]:
        seconds, of_own = (one / total * sampled["processor"] for one in (samples, own))
        functions.add(
            f"`{name}`", f"{counted.get(name, 0):,}", f"{seconds:.2f}", f"{samples / total:.0%}", f"{of_own:.2f}"
        )
    functions.notes.append(
        f"Those with more than {PASSED_THROUGH:.0%} of the time, which only call others, are not listed. A function's "
        "own seconds are with what it calls outside of depwalk."
    )
    return Part([stages, functions], found)


# ---- in the process that is looked at


def stage_of(modules: list[str]) -> str:
    """The stage of a call stack, given as names of modules below depwalk/ from the innermost outwards."""
    for module in modules:
        parts = module.split("/")
        for length in range(len(parts), 0, -1):
            stage = STAGES.get("/".join(parts[:length]))
            if stage:
                return stage
    return REST


class Sampler:
    """Counts stages, and each function of depwalk that is on the stack."""

    def __init__(self) -> None:
        self.stages: Counter[str] = Counter()
        self.functions: Counter[CodeType] = Counter()
        self.own: Counter[CodeType] = Counter()  # innermost of depwalk: with what it calls of others

    def look(self, _: int, frame: FrameType | None) -> None:
        modules, seen, imports = [], set(), False
        while frame is not None:
            code = frame.f_code
            if code.co_filename.startswith(PACKAGE):
                modules.append(code.co_filename[len(PACKAGE) :].removesuffix(".py").removesuffix("/__init__"))
                if not seen:
                    self.own[code] += 1
                seen.add(code)
            elif not modules and code.co_filename.startswith("<frozen importlib"):
                imports = True
            frame = frame.f_back
        self.stages[IMPORTS if imports else stage_of(modules)] += 1
        self.functions.update(seen)

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        signal.signal(signal.SIGPROF, self.look)
        signal.setitimer(signal.ITIMER_PROF, EVERY, EVERY)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)


def _name(code: CodeType) -> str:
    return _named(code.co_filename, code.co_firstlineno, code.co_name)


def _named(file: str, line: int, function: str) -> str:
    """Those in brackets are many in a file."""
    return f"{file.removeprefix(PACKAGE)}:{function}{f' in line {line}' if function.startswith('<') else ''}"


def _scan(asked: list[str]) -> None:
    from depwalk import cli

    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        cli.main(["scan", *asked, "-q", "--jobs", "1"])


def sample(asked: list[str]) -> dict[str, Any]:
    sampler = Sampler()
    begin = time.process_time()
    with sampler.at_work():
        _scan(asked)
    spent = time.process_time() - begin
    functions = [
        (_name(code), count, sampler.own[code]) for code, count in sampler.functions.most_common(MOST_FUNCTIONS)
    ]
    return {"processor": spent, "stages": sampler.stages, "functions": functions}


def count(asked: list[str]) -> dict[str, int]:
    """How often each function of depwalk is called."""
    profile = cProfile.Profile()
    profile.runcall(_scan, asked)
    calls: Counter[str] = Counter()
    for (file, line, function), (_, number, *_rest) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]  # typeshed lacks it
        if file.startswith(PACKAGE):
            calls[_named(file, line, function)] += number
    return calls


if __name__ == "__main__":
    found = {"sample": sample, "count": count}[sys.argv[1]](sys.argv[3:])
    Path(sys.argv[2]).write_text(json.dumps(found), "utf-8")
