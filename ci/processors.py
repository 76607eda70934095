"""Processors: what depwalk predicts of real files on old processors, against real loads on these processors.

Runs with the host's Python while the bed is open: see `processors` of run.py. Each extension module and DLL of the
sites is loaded in the bed on the machine's own processor, and on each of qemu's models that are asked for. What does
not load on the machine's own says nothing of processors, and is left out. Of the others, a load that ends with an
illegal instruction must be predicted (no crash missed), and no other one may be (no false alarm).
The loads of a model are kept in the cache: to compare again after a change of the prediction costs only that.
"""

from __future__ import annotations

import argparse
import bisect
import contextlib
import hashlib
import json
import re
import struct
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bed
import fetch
import pefile
from steps import CACHE, CHECKOUT, progress, say, tree_hash

import depwalk
from depwalk import image, package

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from depwalk.result import Result

MODELS = ("core2duo", "Nehalem", "SandyBridge", "Haswell")
OWN = ""  # the machine's own processor
REALITY = CACHE / "reality"
LOADER = CHECKOUT / "ci" / "load_each.py"
ILLEGAL_INSTRUCTION = 0xC000001D
TOGETHER = 25  # files in one process on an emulated processor; on the machine's own, each has one to itself
PARTS = 2  # processes of the bed, or of the prediction, at the same time
LONGEST = 7200.0  # seconds for one part of the loads of a processor
CODES = ("cpu-feature-missing", "cpu-feature-disabled")
WRONG = ("crash missed", "false alarm")
EXCEPTIONS = 3  # number of the exception directory in a PE file
CHAINED, LONGEST_CHAIN = 4, 8  # UNW_FLAG_CHAININFO
_PLACE = re.compile(r"([^\s\\/]+)\+0x([0-9A-Fa-f]+)")


# ---- what is loaded ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Site:
    """A directory of packages below the cache, and what loads its files."""

    name: str
    pins: str
    python: str = "3.11"
    runtime: str = ""  # a directory below the cache that programs add, by its name on drive C too

    @property
    def directory(self) -> Path:
        return CACHE / self.name

    @property
    def pin_text(self) -> str:
        return (fetch.PINS / self.pins).read_text()


@dataclass(frozen=True)
class File:
    """One file to load. `path` is relative to its site; the others are absolute paths of the host."""

    site: Site
    path: str
    directories: tuple[str, ...] = ()  # that are added to the search
    preloads: tuple[str, ...] = ()  # paths, or names that are searched for

    @property
    def name(self) -> str:
        return f"{self.site.name}/{self.path}"

    @property
    def place(self) -> Path:
        return self.site.directory / self.path

    @property
    def group(self) -> tuple[str, str, tuple[str, ...], tuple[str, ...]]:
        """What files have in common that are loaded in one process."""
        folder = self.path.split("/")[0] if "/" in self.path else ""
        return (self.site.name, folder, self.directories, self.preloads)

    @property
    def key(self) -> str:
        """What changes when its load would have another result."""
        return _hash(self.site.pin_text, LOADER.read_text(), bed.SUITE, *bed.ROOT_PACKAGES, str(self.group))


def _hash(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def sites() -> tuple[Site, ...]:
    """Every directory of packages for x64."""
    wheels = [("patients", name) for name in fetch.PATIENT_WHEELS] + [("judged", name) for name in fetch.JUDGED_WHEELS]
    return (
        *(Site(name, f"{name}.txt") for name in (*fetch.SITES, fetch.SITE_PROCESSORS)),
        *(_site_of(parent, name) for parent, name in wheels if name.endswith("win_amd64.whl")),
    )


def _site_of(parent: str, wheel: str) -> Site:
    name = str(fetch.wheel_directory(Path(parent), wheel))
    pins = "patients.txt"
    return Site(name, pins, "3.7", "runtime-cp37") if "-cp37-cp37m-" in wheel else Site(name, pins)


def planned(sites: Sequence[Site]) -> list[File]:
    """The files of these sites, from the cache if neither the sites nor what reads their packages have changed."""
    sources = tree_hash([Path(package.__file__).parent], ("__pycache__",))
    key = _hash(sources, *map(str, sites), *(site.pin_text for site in sites))
    cached = REALITY / "files"
    with contextlib.suppress(OSError, ValueError):
        plan = json.loads(cached.read_text("utf-8"))
        if plan["key"] == key:
            of_name = {site.name: site for site in sites}
            return [File(of_name[name], path, tuple(dirs), tuple(first)) for name, path, dirs, first in plan["files"]]
    with progress("reading what packages do before they load their files", "2 minutes"):
        files = files_of(sites)
    REALITY.mkdir(exist_ok=True)
    plan = {"key": key, "files": [(one.site.name, one.path, one.directories, one.preloads) for one in files]}
    cached.write_text(json.dumps(plan), "utf-8")
    return files


def files_of(sites: Iterable[Site]) -> list[File]:
    """Every extension module and DLL for x64 below these sites, with what its package does before it is loaded."""
    places = [(site, place) for site in sites for place in sorted(site.directory.rglob("*")) if _is_library(place)]
    with ProcessPoolExecutor(PARTS) as pool:
        return [one for one in pool.map(_file, *zip(*places, strict=True), chunksize=20) if one is not None]


def _is_library(place: Path) -> bool:
    # Of what Windows has itself, some wheels bring a copy.
    return place.suffix.lower() in (".pyd", ".dll") and not place.name.lower().startswith("api-ms-")


def _file(site: Site, place: Path) -> File | None:
    if not _is_x64(place):
        return None
    told = package.directories_for(str(place), minor=int(site.python.partition(".")[2]), architecture="x64")
    directories = [added.directory for added in told.added if Path(added.directory).is_dir()]
    directories += [str(CACHE / site.runtime)] if site.runtime else []
    preloads = [one.path for one in told.preloads if one.path != str(place)]
    return File(site, place.relative_to(site.directory).as_posix(), tuple(directories), tuple(preloads))


def _is_x64(place: Path) -> bool:
    try:
        return image.read(str(place)).architecture == "x64"
    except image.UnreadableFile:
        return False


# ---- reality -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Seen:
    """How a load ended: `outcome` is loaded, refused (`code`), died (`exit`), hung or not-reached.

    `illegal` is the instruction that the processor has not got, if one was met.
    """

    outcome: str
    code: int | None = None
    exit: int | None = None
    illegal: Instruction | None = None

    @property
    def crashed(self) -> bool:
        """An illegal instruction kept it from loading."""
        return self.outcome != "loaded" and self.illegal is not None

    def __str__(self) -> str:
        code = f" 0x{self.code:X}" if self.code else f" with 0x{self.exit:X}" if self.exit is not None else ""
        return f"{self.outcome}{code}{f', illegal instruction at {self.illegal}' if self.illegal else ''}"


@dataclass(frozen=True)
class Instruction:
    """A place in a file of the host; None for what lies in no file."""

    module: str | None
    rva: int | None
    content: str = ""  # bytes in hexadecimal

    def __str__(self) -> str:
        place = f"{Path(self.module).name}+0x{self.rva:X}" if self.module and self.rva is not None else "no module"
        return f"{place} [{self.content}]" if self.content else place


def reality(model: str, files: Sequence[File], the_bed: bed.Bed) -> dict[str, Seen]:
    """How each file loads on a processor, by name; what the cache does not tell is tried."""
    directory = REALITY / (model or "own")
    directory.mkdir(parents=True, exist_ok=True)
    known = read_answers(directory)
    missing = [one for one in files if one.key + one.name not in known]
    if missing:
        with progress(f"loading {len(missing)} files on {model or 'the processor of this machine'}"):
            load(model, missing, directory, the_bed)
        known = read_answers(directory)
    return {one.name: known[one.key + one.name] for one in files if one.key + one.name in known}


def load(model: str, files: Iterable[File], directory: Path, the_bed: bed.Bed) -> None:
    """Load files in the bed, in processes that each write what they see into a file of their own."""
    parts: list[list[dict[str, Any]]] = [[] for _ in range(PARTS)]
    groups: dict[Any, list[File]] = {}
    for one in files:
        groups.setdefault(one.group, []).append(one)
    for members in sorted(groups.values(), key=len, reverse=True):
        smallest = min(parts, key=lambda part: sum(len(group["paths"]) for group in part))
        smallest.append({
            "key": members[0].key,
            "together": TOGETHER if model else 1,
            "directories": [windows_path(Path(path)) for path in members[0].directories],
            "preloads": [preload(path) for path in members[0].preloads],
            "paths": [windows_path(one.place) for one in members],
        })  # fmt: skip
    with ThreadPoolExecutor(PARTS) as pool:
        list(pool.map(partial(_load_part, model, directory, the_bed), range(PARTS), parts))


def preload(path: str) -> str:
    """A preload is a file, or a name that is searched for."""
    return windows_path(Path(path)) if Path(path).is_absolute() else path


def _load_part(model: str, directory: Path, the_bed: bed.Bed, part: int, groups: list[dict[str, Any]]) -> None:
    request = directory / f"request-{part}"
    request.write_text(json.dumps(groups), "utf-8")
    arguments = [windows_path(path) for path in (LOADER, request, directory / f"answers-{part}")]
    ran = the_bed.python(*arguments, cpu=model, timeout=LONGEST)
    if ran.returncode:
        say(f"[ci] loading on {model} ended with {ran.returncode}: {ran.stdout}{ran.stderr}")


def read_answers(directory: Path) -> dict[str, Seen]:
    """By key and name of the file; a line that an interrupted run left unfinished does not count."""
    found = {}
    for path in sorted(directory.glob("answers-*")):
        for line in path.read_text("utf-8").splitlines():
            with contextlib.suppress(ValueError):
                row = json.loads(line)
                name = Path(str(host_path(row["path"]))).relative_to(CACHE).as_posix()
                found[row["key"] + name] = seen(row)
    return found


def seen(row: dict[str, Any]) -> Seen:
    """A line of load_each.py."""
    illegal = [one for one in row["exceptions"] if one["code"] == ILLEGAL_INSTRUCTION and not is_meant(one["bytes"])]
    first = illegal[0] if illegal else None  # what it leads to can be more of the same
    instruction = Instruction(host_path(first["module"]), first["rva"], first["bytes"]) if first else None
    return Seen(row["outcome"], row["code"], row["exit"], instruction)


def is_meant(content: str) -> bool:
    """UD2 is illegal on every processor: with it a program stops itself."""
    return content.startswith("0f0b")


def windows_path(path: Path) -> str:
    return bed.Bed.windows_path(path)


def host_path(path: str | None) -> str | None:
    r"""The file of the host behind a path on drive Z:."""
    return path[2:].replace("\\", "/") if path and path[:2].lower() == "z:" else path


# ---- the prediction ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Predicted:
    """What the files say. `places` are of the instructions that the findings name: (base name of the module, RVA).

    `maybe` a crash: it depends on branches that the files do not decide, and the verdict is "unknown".
    """

    crash: bool
    places: tuple[tuple[str, int], ...] = ()
    findings: tuple[str, ...] = ()  # their messages
    maybe: bool = False


def predict(models: Sequence[str], file: File) -> dict[str, Predicted]:
    """What depwalk says of one file on each processor, on a Windows with the Visual C++ runtime."""
    runtime = [str(CACHE / file.site.runtime)] if file.site.runtime else []
    options = {"windows": "11", "python": file.site.python, "dll_dirs": runtime, "runtimes": ["vc14"], "load": False}
    return {model: predicted(depwalk.diagnose(file.place, cpu=model, **options)) for model in models}


def predicted(result: Result) -> Predicted:
    """What a result says of the processor: a warning counts where it leaves the verdict open."""
    told = [one for one in result.findings if one.code in CODES]
    errors = [one for one in told if one.severity == "error"]
    warnings = [one for one in told if one.severity == "warning" and result.verdict == "unknown"]
    facts = [fact for one in errors or warnings for fact in one.evidence]
    places = [(name.lower(), int(rva, 16)) for fact in facts for name, rva in _PLACE.findall(fact)]
    messages = tuple(one.message for one in errors or warnings)
    return Predicted(bool(errors), tuple(places), messages, maybe=bool(warnings) and not errors)


def predictions(models: Sequence[str], files: Sequence[File]) -> dict[str, dict[str, Predicted]]:
    """By name of the file, by model."""
    with progress(f"predicting {len(files)} files on {len(models)} processors"), ProcessPoolExecutor(PARTS) as pool:
        answers = pool.map(partial(predict, models), files, chunksize=10)
        return {one.name: answer for one, answer in zip(files, answers, strict=True)}


# ---- the comparison ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One file on one processor."""

    model: str
    name: str
    seen: Seen
    predicted: Predicted

    @property
    def kind(self) -> str:
        """`crash found`, `crash missed`, `false alarm` or `loads as predicted`; the others say nothing.

        They are `fails otherwise`, `crash not decided` and `load not decided`.
        """
        if self.seen.outcome != "loaded" and not self.seen.crashed:
            return "fails otherwise"
        crash = self.predicted.crash
        if self.predicted.maybe:
            return "crash not decided" if self.seen.crashed else "load not decided"
        if self.seen.crashed:
            return "crash found" if crash else "crash missed"
        return "false alarm" if crash else "loads as predicted"

    @property
    def match(self) -> str:
        """How near a crash that was found is to its prediction: same instruction, function or module, or elsewhere."""
        illegal = self.seen.illegal
        if self.kind != "crash found" or illegal is None or illegal.module is None:
            return ""
        own = Path(illegal.module).name.lower()
        places = [rva for name, rva in self.predicted.places if name == own]
        if illegal.rva in places:
            return "same instruction"
        start = function_of(illegal.module, illegal.rva) if illegal.rva is not None else None
        if start is not None and start in [function_of(illegal.module, rva) for rva in places]:
            return "same function"
        return "same module" if places else "elsewhere"


def function_of(module: str, rva: int) -> int | None:
    """Where the function around a place begins, by the exception directory; None for one that this does not list."""
    starts, functions = _functions(module)
    index = bisect.bisect_right(starts, rva) - 1
    return functions[index][1] if index >= 0 and rva < functions[index][0] else None


@cache
def _functions(module: str) -> tuple[list[int], list[tuple[int, int]]]:
    """Begins of the parts of functions, sorted, and for each its end and where its function begins.

    A compiler puts what is seldom run of a function elsewhere; the unwind information of such a part names the first.
    """
    with contextlib.closing(pefile.PE(module, fast_load=True)) as file:
        directory = file.OPTIONAL_HEADER.DATA_DIRECTORY[EXCEPTIONS]
        parts = sorted(struct.iter_unpack("<III", file.get_data(directory.VirtualAddress, directory.Size // 12 * 12)))
        return [begin for begin, _, _ in parts], [(end, _first(file, begin, unwind)) for begin, end, unwind in parts]


def _first(file: pefile.PE, begin: int, unwind: int) -> int:
    for _ in range(LONGEST_CHAIN):
        head = file.get_data(unwind, 4)
        if len(head) < 4 or not head[0] >> 3 & CHAINED:
            break
        begin, _, unwind = struct.unpack("<III", file.get_data(unwind + 4 + (head[2] + 1) // 2 * 4, 12))
    return begin


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Of one processor: how many files, and of each kind; then in full what is not `loads as predicted`."""
    kinds = Counter(row.kind for row in rows)
    yield f"{rows[0].model}: {len(rows)} files that load on the processor of this machine"
    otherwise = [row.predicted for row in rows if row.kind == "fails otherwise"]
    yield f"{'':24}{'predicted: crash':>18}{'not decided':>13}{'no crash':>10}"
    crash = (kinds["crash found"], kinds["crash not decided"], kinds["crash missed"])
    loads = (kinds["false alarm"], kinds["load not decided"], kinds["loads as predicted"])
    others = (sum(one.crash for one in otherwise), sum(one.maybe for one in otherwise))
    for name, counts in (
        ("crash", crash),
        ("loads", loads),
        ("fails otherwise", (*others, len(otherwise) - sum(others))),
    ):
        yield f"{f'  really: {name}':24}{counts[0]:18}{counts[1]:13}{counts[2]:10}"
    matches = Counter(row.match for row in rows if row.match)
    yield from (f"  {count} of the crashes found: {match}" for match, count in matches.most_common())
    for row in sorted(rows, key=lambda row: (row.kind, row.name)):
        if row.kind != "loads as predicted" or row.seen.illegal:
            yield from _told(row)


def _told(row: Row) -> Iterator[str]:
    yield f"  {row.kind.upper() if row.kind in WRONG else row.kind}: {row.name}"
    yield f"      seen: {row.seen}"
    if row.predicted.findings:
        places = ", ".join(f"{name}+0x{rva:X}" for name, rva in row.predicted.places)
        yield f"      predicted: {'; '.join(row.predicted.findings)} [{places}{f': {row.match}' if row.match else ''}]"


def main() -> int:
    """Exit status 0 if every crash was predicted and nothing else; 1 if not, or if something was not tried."""
    parser = argparse.ArgumentParser(description="Compare depwalk's predictions for old processors with real loads.")
    parser.add_argument("--cpu", action="append", metavar="MODEL", help=f"of qemu; default: {', '.join(MODELS)}")
    parser.add_argument("--limit", type=int, help="compare at most so many files, spread over all")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write every row there")
    options = parser.parse_args()
    models = options.cpu or MODELS
    the_bed = bed.Bed(CACHE / "root", CACHE / "prefix")  # run.py has opened it
    files = planned(sites())
    if options.limit:
        files = files[:: -(-len(files) // options.limit)]
    own = reality(OWN, files, the_bed)
    loading = [one for one in files if one.name in own and own[one.name].outcome == "loaded"]
    lost = len(files) - len(own)
    outcomes = Counter(one.outcome for one in own.values())
    say(f"{len(files)} files on the processor of this machine: {_counts(outcomes)}")
    told = predictions(models, loading)
    rows = []
    for model in models:
        there = reality(model, loading, the_bed)
        lost += len(loading) - len(there)
        rows += [Row(model, name, one, told[name][model]) for name, one in there.items()]
    for model in models:
        of_model = [row for row in rows if row.model == model]
        say("\n" + "\n".join(table(of_model) if of_model else [f"{model}: nothing was tried"]))
    if options.json:
        options.json.write_text(json.dumps([as_json(row) for row in rows], indent=1), "utf-8")
    if lost:
        say(f"\n{lost} loads were not tried: a part of this program ended early")
    return int(lost > 0 or any(row.kind in WRONG for row in rows))


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counter.most_common())


def as_json(row: Row) -> dict[str, Any]:
    return {**asdict(row), "kind": row.kind, "crashed": row.seen.crashed, "match": row.match}


if __name__ == "__main__":
    sys.exit(main())
