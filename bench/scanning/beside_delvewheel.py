"""f: delvewheel's `show` over a wheelhouse: how long it takes, and where the two say different things."""

from __future__ import annotations

import json
import os
import re
import sys
import venv
import zipfile
from collections import Counter
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import common

from scanning import Part, scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scanning import Setting

REQUIREMENTS = Path(__file__).resolve().parents[1] / "requirements.txt"
HEADINGS = {  # what stands in its answer above a list of names
    "will be copied into the wheel": "to be copied",
    "already in the wheel": "in the wheel",
    "assumed to be present": "assumed present",
    "specified to be excluded": "excluded",
}
NOT_FOUND = "to be copied, not found"
SILENT = "does not list it"
MISSING, DELAYED, INSIDE = "missing", "missing, delay-loaded", "in the wheel"
UNSURE = "depends on who loads it"  # of a DLL whose neighbours in the wheel lie in another directory
REQUIRED, OUTSIDE, NOT_THERE = "in a wheel that it requires", "in Windows or Python", "in no tree"
ANSWERS = (MISSING, DELAYED, UNSURE, INSIDE, REQUIRED, OUTSIDE, NOT_THERE)  # what counts first stands first
FAIR = ("--ignore-existing", "--analyze-existing")  # to look into the DLLs of the wheel, too
MOST_EXAMPLES = 4
Pairs = dict[tuple[str, str], str]  # (wheel, DLL) -> what is said of it


def measure(setting: Setting) -> Part:
    if not setting.wheels:
        return Part([], {"skipped": "there are no wheels"})
    python = _with_delvewheel(setting)
    command = [python, "-m", "delvewheel", "show"]
    shown = {name: common.Series() for name in ("show", f"show {' '.join(FAIR)}")}
    theirs: Pairs = {}
    refused: dict[str, str] = {}
    for wheel in setting.wheels:
        common.progress(f"f: {wheel.name}")
        shown["show"].runs.append(_show(command, wheel, (), setting))
        found = _show(command, wheel, FAIR, setting)
        shown[f"show {' '.join(FAIR)}"].runs.append(found)
        said = told_by_delvewheel(found.output)
        theirs.update({(wheel.name, name): answer for name, answer in said.items()})
        if not said:
            refused[wheel.name] = " ".join(found.output.split())[-200:]
    scans = {name: common.Series() for name in ("depwalk scan", "depwalk scan --jobs 1")}
    paths = [str(wheel) for wheel in setting.wheels]
    for number in range(setting.rounds + 1):
        for name, series in scans.items():
            common.progress(f"f, round {number} of {setting.rounds}: {name}")
            run = setting.run(scan(paths, *name.split()[2:]))
            if number:
                series.runs.append(run)
    ours = _told_by_depwalk(setting, [path for path in setting.wheels if path.name not in refused])
    differences = _compare(theirs, ours)
    asked = "import importlib.metadata; print(importlib.metadata.version('delvewheel'))"
    version = common.run([python, "-c", asked], setting.environment).output.strip()
    table = _seconds(setting, shown, scans)
    data = {
        "wheels": len(setting.wheels),
        "refused": refused,
        "seconds": {name: series.as_dict() for name, series in {**shown, **scans}.items()},
        "names": [[*pair, theirs.get(pair, SILENT), ours.get(pair, NOT_THERE)] for pair in sorted({**theirs, **ours})],
    }
    return Part([table, *differences], data, [f"delvewheel {version}"])


def _seconds(setting: Setting, shown: dict[str, common.Series], scans: dict[str, common.Series]) -> common.Table:
    count = len(setting.wheels)
    usual = scans["depwalk scan"].median
    table = common.Table(("command", "all wheels, s", "s a wheel, mean", "median", "most", "vs depwalk scan"))
    for name, series in shown.items():
        total = sum(series.walls)
        each = [f"{one:.3f}" for one in (total / count, median(series.walls), max(series.walls))]
        table.add(f"delvewheel {name}, wheel by wheel", f"{total:.1f}", *each, common.times(total / usual))
    for name, series in scans.items():
        table.add(
            f"{name}, of all at once", f"{series.median:.1f}", f"{series.median / count:.3f}", "", "",
            common.times(series.median / usual),
        )  # fmt: skip
    size = sum(wheel.stat().st_size for wheel in setting.wheels)
    table.notes.append(
        f"{count} wheels, {size / 1e6:.0f} MB; delvewheel once, depwalk the median of {setting.rounds} rounds."
    )
    return table


def _with_delvewheel(setting: Setting) -> str:
    """A Python that has delvewheel: this one, or one in a virtual environment that is made for it."""
    if common.version("delvewheel"):
        return sys.executable
    folder = setting.scratch / "delvewheel"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not python.exists():
        common.progress("f: installing delvewheel")
        venv.create(folder, with_pip=True)
        common.run([str(python), "-m", "pip", "-q", "install", "-r", str(REQUIREMENTS)], dict(os.environ))
    return str(python)


def _show(command: Sequence[str], wheel: Path, options: Sequence[str], setting: Setting) -> common.Run:
    return common.run([*command, *options, str(wheel)], setting.environment, answered=range(256), cwd=setting.scratch)


def told_by_delvewheel(output: str) -> dict[str, str]:
    """What it says of each name in lower case."""
    found: dict[str, str] = {}
    answer = ""
    for line in output.splitlines():
        if line.startswith("The following"):
            answer = next((said for words, said in HEADINGS.items() if words in line), "?")
        name = re.fullmatch(r" {4}(\S.*?\.\w+)(?: \((.*)\))?", line)
        if name and answer:
            found[name[1].lower()] = NOT_FOUND if "Not Found" in (name[2] or "") else answer
    return found


def _told_by_depwalk(setting: Setting, wheels: Sequence[Path]) -> Pairs:
    """The same of each DLL that a module of the wheel needs, without any redistributable."""
    output = setting.scratch / "wheels.jsonl"
    paths = [str(wheel) for wheel in wheels]
    command = scan(paths, "--format", "json", "-o", str(output), case=("--windows", "10"))
    common.run(command, setting.environment, answered=(0, 1, 2, 3))
    found: Pairs = {}
    inside = {wheel.name: _names(wheel) for wheel in wheels}
    for line in output.read_text("utf-8", "surrogateescape").splitlines():
        row = json.loads(line)
        wheel = os.path.basename(row["target"]["unit"]["path"])
        for module in row["modules"][1:]:
            name = module["name"].lower()
            said = _answer(row, module, name in inside[wheel])
            found[wheel, name] = min(said, found.get((wheel, name), NOT_THERE), key=ANSWERS.index)
    return found


def _answer(row: dict[str, Any], module: dict[str, Any], is_inside: bool) -> str:
    if module["status"] == "missing":
        return DELAYED if module["delayed"] else UNSURE if row["verdict"] == "unknown" and is_inside else MISSING
    if ".whl" not in (module["path"] or ""):
        return OUTSIDE
    return INSIDE if is_inside else REQUIRED


def _names(wheel: Path) -> set[str]:
    try:
        with zipfile.ZipFile(wheel) as file:
            return {name.rpartition("/")[2].lower() for name in file.namelist()}
    except (OSError, zipfile.BadZipFile):
        return set()


def _compare(theirs: Pairs, ours: Pairs) -> list[common.Table]:
    """How many DLLs both say what of, and examples of what they see differently."""
    said = Counter((theirs.get(pair, SILENT), ours.get(pair, NOT_THERE)) for pair in {**theirs, **ours})
    counted = common.Table(
        ("delvewheel says \\ depwalk says", *ANSWERS), title="DLLs that wheels need, each once a wheel"
    )
    for answer in sorted({one for one, _ in said}, key=lambda one: (one == SILENT, one)):
        counted.add(answer, *(said[answer, other] for other in ANSWERS))
    listed = common.Table(
        ("delvewheel says", "depwalk says", "DLLs", "such as"), title="What they see differently", words=2
    )
    for (answer, other), count in sorted(said.items(), key=lambda item: -item[1]):
        if _differ(answer, other):
            listed.add(answer, other, count, _examples(theirs, ours, answer, other))
    return [counted, listed]


def _differ(theirs: str, ours: str) -> bool:
    """Whether one has it missing, and the other one not."""
    if ours == UNSURE:
        return False
    return (theirs in (NOT_FOUND, "to be copied")) != (ours in (MISSING, DELAYED))


def _examples(theirs: Pairs, ours: Pairs, answer: str, other: str) -> str:
    pairs: Iterable[tuple[str, str]] = sorted({**theirs, **ours})
    names = Counter(
        pair[1] for pair in pairs if (theirs.get(pair, SILENT), ours.get(pair, NOT_THERE)) == (answer, other)
    )
    return ", ".join(f"{name} ({count})" if count > 1 else name for name, count in names.most_common(MOST_EXAMPLES))
