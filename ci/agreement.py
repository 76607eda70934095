r"""Agreement: what depwalk predicts of every extension module of a directory, against what the real loader does.

Runs in the Windows Python whose loader is to be asked, with depwalk installed: `python ci/agreement.py C:\site`. Each
extension is predicted from the files alone and loaded in a child of its own under the debug API. Three things must be
the same: whether it loads; the modules of the tree, each from the same file; and the order in which they are mapped.
Windows' own files count by name, since a Wine has each of them twice; every other file counts by its path.
What differs needs a rule (RULES); the rules are those by which Wine differs from Windows, and the list is closed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import ntpath
import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from depwalk import core, image, loader, result, search
from depwalk.cli.options import machine
from depwalk.loader import processes
from depwalk.target.choose import Choice, choose
from depwalk.target.python import running_architecture

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from depwalk.graph import Graph
    from depwalk.loader.processes import Ran
    from depwalk.target import Target
    from depwalk.target.api_sets import ApiSets

# Why a difference is none of depwalk's: docs/limits.md says what each can hide.
RULES = {
    "builtin-replaces": "Wine puts a DLL of its own in the place of the file (windows-loader 4)",
    "windows-imports": "Windows' own DLLs import more of their kind, or forward to them: depwalk does not follow them",
    "windows-loads": "a DLL of Windows' own has the name of another one in it, and loads that when it starts",
    "security-package": "secur32.dll loads what the registry lists as authentication packages when it starts",
    "missing-export-is-a-stub": "Wine loads a file that lacks a function (windows-loader 4)",
}
_LSA = r"SYSTEM\CurrentControlSet\Control\Lsa"
_TIMEOUT = 60.0  # seconds for one load
_SHOWN = 25  # extensions between two lines of progress


# ---- what is compared --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Predicted:
    """What the files say. `modules` are the paths of the tree, the file itself first, in the order of mapping."""

    verdict: str
    errors: tuple[str, ...]  # codes of findings
    modules: tuple[str, ...]
    before: tuple[str, ...] = ()  # of these modules, what the process is taken to have before


@dataclass(frozen=True)
class Seen:
    """What the loader did. `code` is its Win32 code, or None if the child died; paths in the order of mapping."""

    code: int | None
    before: tuple[str, ...]  # in the process when the load began
    mapped: tuple[str, ...]  # by the load
    reported: tuple[str, ...] = ()  # paths under which the process knows its modules, if it was asked


@dataclass(frozen=True)
class Difference:
    """One thing that is not the same. `rule` is None if none explains it."""

    kind: str  # verdict, not-mapped, other-file, not-predicted, order, not-compared
    predicted: str
    seen: str
    rule: str | None = None


@dataclass(frozen=True)
class System:
    """Windows' own files: those in its directory, and, if it is a Wine, in that of the DLLs that it has built in."""

    root: str
    dlls: str  # the directory from which its DLLs are mapped
    is_wine: bool = True
    packages: frozenset[str] = frozenset()  # authentication packages in the registry, lower case
    api_sets: ApiSets | None = field(default=None, compare=False)

    def owns(self, path: str) -> bool:
        """Whether a file is one of Windows' own."""
        return _is_below(path, self.root) or self.has_built_in(path)

    def has_built_in(self, path: str) -> bool:
        """Whether a file is a DLL that Wine has built in."""
        return self.is_wine and _is_below(path, self.dlls)


def compare(predicted: Predicted, seen: Seen, system: System) -> list[Difference]:
    """Every difference, with the rule that explains it if there is one."""
    found = list(_verdict(predicted, seen, system))
    there = {_name(path): path for path in reversed((*seen.before, *seen.mapped))}
    paths = {path.lower() for path in (*seen.before, *seen.mapped)}
    replaced = set()
    for path in predicted.modules:
        actual = there.get(_name(path))
        if path.lower() in paths or (actual and system.owns(path) and system.owns(actual)):
            continue
        if actual is None:
            found.append(Difference("not-mapped", path, ""))
        elif path in predicted.before and system.has_built_in(actual):
            replaced.add(_name(path))  # said once, of the process itself
        else:
            by_wine = system.has_built_in(actual) and _was_asked_for(path, seen)
            replaced |= {_name(path)} if by_wine else set()
            found.append(Difference("other-file", path, actual, "builtin-replaces" if by_wine else None))
    known = {_name(path) if system.owns(path) else path.lower() for path in predicted.modules}
    for path in seen.mapped:
        is_known = (_name(path) if system.owns(path) else path.lower()) in known
        if not is_known and not (system.has_built_in(path) and _name(path) in replaced):
            found.append(Difference("not-predicted", "", path, _why_more(path, seen, system)))
    return found + list(_order(predicted, seen, system))


def _verdict(predicted: Predicted, seen: Seen, system: System) -> Iterator[Difference]:
    actual = "loads" if seen.code == 0 else "fails"
    if actual != predicted.verdict:
        stub = system.is_wine and actual == "loads" and set(predicted.errors) == {"missing-export"}
        said = f"{predicted.verdict} {', '.join(predicted.errors)}".strip()
        yield Difference("verdict", said, f"{actual}, code {seen.code}", "missing-export-is-a-stub" if stub else None)


def _was_asked_for(path: str, seen: Seen) -> bool:
    """Wine maps another file, but tells a process the path of the one that it chose: that must be the one predicted."""
    return path.lower() in {reported.lower() for reported in seen.reported}


def _why_more(path: str, seen: Seen, system: System) -> str | None:
    """The rule for a module that the loader mapped and that was not predicted: only Windows' own have one."""
    if not system.owns(path):
        return None
    others = [other for other in (*seen.before, *seen.mapped) if _name(other) != _name(path)]
    if any(_name(path) in _brings(other, system) for other in others):
        return "windows-imports"
    loaders = [other for other in (*seen.before, *seen.mapped[: seen.mapped.index(path)]) if system.owns(other)]
    if any(_mentions(other, _name(path)) for other in loaders):
        return "windows-loads"
    is_package = _name(path).rpartition(".")[0] in system.packages
    return "security-package" if is_package and "secur32.dll" in map(_name, loaders) else None


def _order(predicted: Predicted, seen: Seen, system: System) -> Iterator[Difference]:
    """Of the files that are not Windows' own and are in both."""
    mapped = [path.lower() for path in seen.mapped if not system.owns(path)]
    expected = [path.lower() for path in predicted.modules]
    both = set(mapped) & set(expected)
    wanted = [_name(path) for path in expected if path in both]
    actual = [_name(path) for path in mapped if path in both]
    if wanted != actual:
        yield Difference("order", " ".join(wanted), " ".join(actual))


@cache
def _brings(path: str, system: System) -> frozenset[str]:
    """Windows' own DLLs that a file brings and depwalk does not follow.

    Those to which imports are forwarded; if the file is itself one of Windows' own, also those that it imports.
    """
    file = _image(path)
    found: set[str] = set()
    for imported in file.imports if file is not None else ():
        if file is None or imported.kind != "import":
            continue
        host = _host(imported.dll, path, system)
        exporter = _image(ntpath.join(system.dlls, host))
        forwarders = file.match(imported, exporter)[1] if exporter is not None else []
        found |= {_host((one.forwarder or "").rpartition(".")[0] + ".dll", host, system) for one in forwarders}
        found |= {host} if system.owns(path) else set()
    return frozenset(found)


def _host(name: str, importer: str, system: System) -> str:
    return _name((system.api_sets.host(name, _name(importer)) if system.api_sets else None) or name)


@cache
def _image(path: str) -> image.Image | None:
    try:
        return image.read(path)
    except image.UnreadableFile:
        return None


@cache
def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read().lower()


def _mentions(path: str, name: str) -> bool:
    """Whether a file has the name of a DLL in it, with or without extension, as a C string."""
    texts = [name, name.rpartition(".")[0]]
    encoded = [text.encode(encoding) for text in texts for encoding in ("ascii", "utf-16-le")]
    return any(text + b"\0" in _content(path) for text in encoded)


def _is_below(path: str, directory: str) -> bool:
    return path.lower().startswith(directory.lower().rstrip("\\/") + os.sep)


def _name(path: str) -> str:
    return ntpath.basename(path).lower()


# ---- the prediction ----------------------------------------------------------------------------------------------


def predict(path: str, choice: Choice) -> tuple[Predicted, Target]:
    """What depwalk says of a file without loading it, and the target it was judged for."""
    judged = result.diagnose(path, lambda file: choose(file, choice, machine()), load=False)
    target = judged.target
    modules = judged.graph.modules
    own = {name.lower() for name in target.python.own_dlls()} if target.python else set()
    before = [one for one in modules if one.rule and one.rule.step == "loaded" and one.name.lower() in own]
    return Predicted(
        judged.verdict,
        tuple(sorted({finding.code for finding in judged.findings if finding.severity == "error"})),
        tuple(order_of_mapping(judged.graph, depth_first=target.windows.emulator is not None)),
        tuple(one.path for one in before if one.path),
    ), target


def order_of_mapping(graph: Graph, *, depth_first: bool) -> Iterator[str]:
    """Paths of what a load maps: Windows maps level by level, Wine each import with all that this needs (seen)."""
    order = _depth_first(graph) if depth_first else [module.id for module in graph.modules]
    for identifier in order:
        module = graph.modules[identifier]
        if module.path and not module.delayed and module.status in ("found", "system"):
            yield module.path


def _depth_first(graph: Graph) -> list[int]:
    needs: dict[int, list[tuple[str, int]]] = {}
    for edge in graph.edges:
        needs.setdefault(edge.importer, []).append((edge.kind, edge.imported))
    order: dict[int, None] = {}
    pending = [graph.root.id]
    while pending:
        module = pending.pop()
        if module in order:
            continue
        order[module] = None
        # A forwarder is followed when what forwards it has been loaded, and before the next import.
        following = []
        for kind, imported in needs.get(module, []):
            if kind in ("import", "clr"):
                following += [imported, *(target for other, target in needs.get(imported, []) if other == "forward")]
        pending += reversed(following)
    return list(order)


# ---- the load ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Before:
    """A child that is ready to load. `preloaded` are the files that preloads mapped, in their order."""

    modules: tuple[str, ...]  # that are in it
    preloaded: tuple[str, ...]


_before: dict[tuple[str, ...], Before] = {}  # by preloads


def look(path: str, predicted: Predicted, target: Target, system: System) -> Seen:
    """Load a file in a child of its own. Raises OSError if none starts, or if it does not begin as others do."""
    trace = loader.trace_load(path, target, _TIMEOUT)
    first = before(target)
    own = len(first.preloaded)
    if trace.modules[:own] != first.preloaded:
        raise OSError("the same preloads mapped other files")
    seen = Seen(trace.code, first.modules, trace.modules[own:])
    if any(one.rule is None and one.kind == "other-file" for one in compare(predicted, seen, system)):
        ran = _run(target, load=path, debug=False)
        return replace(seen, reported=_reported(ran))
    return seen


def before(target: Target) -> Before:
    """What is in a child after the preloads, less what a preload that failed has given up again."""
    if target.preloads not in _before:
        assert target.python is not None
        ran = _run(target, load=str(target.python.executable), debug=True)  # it is there: nothing more is mapped
        bases = {base for record in ran.records for base in record.get("bases", ())}
        last = max(index for index, module in enumerate(ran.story.modules) if module.base in bases)
        preloaded = tuple(module.path for module in ran.story.modules[last + 1 :])
        kept = {_name(path) for path in _reported(ran)}
        initial = tuple(module.path for module in ran.story.modules[: last + 1])
        remaining = tuple(path for path in preloaded if _name(path) in kept)
        _before[target.preloads] = Before((*initial, *remaining), preloaded)
    return _before[target.preloads]


def _reported(ran: Ran) -> tuple[str, ...]:
    """The modules that the preloads and the load brought, as the process itself names them."""
    return tuple(name for record in ran.records for name in record.get("modules", ()))


def _run(target: Target, *, load: str, debug: bool) -> Ran:
    assert target.python is not None
    flags = search.load_flags(target, "module.pyd")
    request = {
        "core": str(core.library_for(target.architecture, running_architecture())),
        "preload": list(target.preloads),
        "watch": False,
        "load": [load],
        "directories": list(target.added_directories) if flags & search.PYTHON_IMPORT else [],
        "flags": flags,
        "path": os.pathsep.join(search.legacy_path(target)),
        "list_modules": True,
    }
    command = [str(target.python.executable), *loader.PYTHON_FLAGS, str(processes.SCRIPT)]
    return processes.run(command, request, timeout=_TIMEOUT, debug=debug)


# ---- one extension, and all --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One extension, or the process itself before any is loaded (then `path` is the interpreter)."""

    path: str
    verdict: str
    files: int  # that are not Windows' own, and were compared by their paths
    differences: tuple[Difference, ...]

    @property
    def outcome(self) -> str:
        """`equal`, `explained: RULE, ...` or `unexplained`."""
        if any(one.rule is None for one in self.differences):
            return "unexplained"
        rules = sorted({str(one.rule) for one in self.differences})
        return f"explained: {', '.join(rules)}" if rules else "equal"


def judge(path: str, choice: Choice) -> Row:
    """Compare one extension."""
    try:
        predicted, target = predict(path, choice)
        system = system_of(target)
        seen = look(path, predicted, target, system)
    except (OSError, ValueError, image.UnreadableFile) as error:
        return Row(path, "unknown", 0, (Difference("not-compared", "", str(error)),))
    return _row(path, predicted, seen, system)


def judge_process(choice: Choice) -> Row:
    """Compare what the interpreter is taken to have loaded by itself (data/pythons.toml) with what it has."""
    target = choose(None, choice, machine())
    assert target.python is not None
    own = [target.python.directory.find(name) for name in target.python.own_dlls()]
    predicted = Predicted("loads", (), tuple(path for path in own if path))
    seen = Seen(0, before(target).modules, (), tuple(core.modules()))
    return _row(str(target.python.executable), predicted, seen, system_of(target))


def _row(path: str, predicted: Predicted, seen: Seen, system: System) -> Row:
    files = sum(not system.owns(module) for module in predicted.modules)
    return Row(path, predicted.verdict, files, tuple(compare(predicted, seen, system)))


def system_of(target: Target) -> System:
    """Windows' own files of this machine."""
    windows = target.windows
    assert windows.root is not None
    ntdll = next(path for path in before(target).modules if _name(path) == "ntdll.dll")
    is_wine = windows.emulator is not None
    return System(windows.root, ntpath.dirname(ntdll), is_wine, frozenset(_packages()), windows.api_sets)


def _packages() -> Iterator[str]:
    """Wine's secur32.dll loads a DLL for each key below Lsa (seen)."""
    if sys.platform != "win32":
        return
    import winreg

    with contextlib.suppress(OSError), winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, _LSA) as key:
        yield from (winreg.EnumKey(key, index).lower() for index in range(winreg.QueryInfoKey(key)[0]))


def extensions(places: Iterable[str]) -> Iterator[str]:
    """Every extension module below the given directories, and the given files."""
    for place in places:
        if os.path.isfile(place):
            yield os.path.abspath(place)
        for folder, folders, names in os.walk(place):
            folders.sort()
            yield from (os.path.abspath(os.path.join(folder, name)) for name in sorted(names) if _is_extension(name))


def _is_extension(name: str) -> bool:
    return name.lower().endswith(".pyd")


def table(rows: Sequence[Row]) -> Iterator[str]:
    """Counts of outcomes, verdicts and rules, and in full what is not explained. The first row is the process."""
    process, *compared = rows
    outcomes = Counter(row.outcome for row in compared)
    verdicts = Counter(row.verdict for row in compared)
    rules = Counter(rule for row in compared for rule in {one.rule for one in row.differences if one.rule})
    yield f"{len(compared)} extensions: {', '.join(f'{verdicts[name]} {name}' for name in sorted(verdicts))}"
    yield f"{sum(row.files for row in compared)} files compared by path, Windows' own by name"
    yield f"the process before the first load: {process.outcome}"
    yield ""
    yield from (f"{count:6}  {outcome}" for outcome, count in outcomes.most_common())
    yield ""
    yield from (f"{rules[rule]:6}  {rule}: {why}" for rule, why in RULES.items() if rules[rule])
    for row in rows:
        if row.outcome == "unexplained":
            yield ""
            yield f"UNEXPLAINED {row.path}"
            yield from (f"    {_sentence(one)}" for one in row.differences)


def _sentence(one: Difference) -> str:
    return f"{one.kind}: predicted {one.predicted or 'nothing'}, seen {one.seen or 'nothing'} [{one.rule or 'no rule'}]"


def main() -> int:
    """Exit status 0 if all is equal or explained, else 1; 2 if there is nothing to compare."""
    parser = argparse.ArgumentParser(description="Compare depwalk's predictions with the loader's own doing.")
    parser.add_argument("place", nargs="+", help="a site-packages directory, or an extension module")
    parser.add_argument("--python", metavar="X.Y", help="judge and load as for this Python (default: the running one)")
    parser.add_argument("--dll-dir", metavar="DIR", action="append", default=[], help="a directory that programs add")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes that work at the same time")
    parser.add_argument("--limit", type=int, help="compare at most so many extensions, spread over all")
    parser.add_argument("--json", metavar="FILE", help="write every row there")
    parser.add_argument("--part", type=int, help=argparse.SUPPRESS)  # of --jobs: one such process
    options = parser.parse_args()
    if sys.platform != "win32":
        parser.error("this asks the loader of a Windows: run it in a Windows Python")
    paths = list(extensions(options.place))
    if options.limit:
        paths = paths[:: -(-len(paths) // options.limit)]
    if not paths:
        parser.error("there are no extension modules")
    choice = Choice(python=options.python, dll_dirs=tuple(options.dll_dir))
    if options.part is not None:
        for path in paths[options.part :: options.jobs]:
            print(json.dumps(asdict(judge(path, choice))), flush=True)
        return 0
    rows = [judge_process(choice), *sorted(rows_of_parts(options.jobs, len(paths)), key=lambda row: row.path)]
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump([{**asdict(row), "outcome": row.outcome} for row in rows], file, indent=1)
    print("\n".join(table(rows)))
    lost = len(paths) + 1 - len(rows)
    if lost:
        print(f"\n{lost} of {len(paths)} extensions were not compared: a part of this program ended early")
    return int(lost > 0 or any(row.outcome == "unexplained" for row in rows))


def rows_of_parts(jobs: int, total: int) -> Iterator[Row]:
    """Compare every extension, in processes: most of the time goes into reading the source of packages."""
    started = time.perf_counter()
    waiting: SimpleQueue[str] = SimpleQueue()
    with ThreadPoolExecutor(jobs) as pool:
        parts = [pool.submit(_part, part, waiting) for part in range(jobs)]
        done = 0
        while done < total and not (waiting.empty() and all(part.done() for part in parts)):
            with contextlib.suppress(Empty):
                fields = json.loads(waiting.get(timeout=1))
                yield Row(**{**fields, "differences": tuple(Difference(**one) for one in fields["differences"])})
                done += 1
                if done % _SHOWN == 0 or done == total:
                    print(f"{done} of {total}, {time.perf_counter() - started:.0f} s", file=sys.stderr, flush=True)


def _part(part: int, waiting: SimpleQueue[str]) -> None:
    """This program once more, for its share of the extensions; each line that it writes is a row."""
    command = [sys.executable, *sys.argv, "--part", str(part)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdout is not None
        for line in process.stdout:
            waiting.put(line)


if __name__ == "__main__":
    sys.exit(main())
