"""Result: the one object that leaves the analysis, and the ways to it."""

from __future__ import annotations

import contextlib
import ntpath
import os
import shutil
import time
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from depwalk import choices, diagnosis, files, gather, gpu, graph, image, loader, package, search, wheel
from depwalk.target import Inferred, python

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from depwalk.cpu import Cpu
    from depwalk.diagnosis import Basis, Verdict
    from depwalk.diagnosis.evidence import Code
    from depwalk.finding import Finding
    from depwalk.graph import Graph
    from depwalk.image import Image
    from depwalk.loader import LoadTrace
    from depwalk.loader.imports import ImportTrace
    from depwalk.package import Extension, Package
    from depwalk.target import Target
    from depwalk.target.python import Build
    from depwalk.wheel import Distribution


_MOST_TURNS = 5  # of looking what a package's source adds for DLLs that came into the tree by what it added before


@dataclass(frozen=True)
class Result:
    """The answer for one file, or for one import or program: then `imported` tells of it."""

    path: str  # as it was given; of an import or a program that of the file that failed, or its name
    verdict: Verdict
    basis: Basis  # who says so: the real loader, or the files alone
    findings: tuple[Finding, ...]  # errors first, the cause of the verdict before all
    graph: Graph
    target: Target  # what it was judged for
    built_for: Build | None  # the Python that an extension module was built for; None for other files
    distribution: Distribution | None  # whose file it is; None if that is not known
    load: LoadTrace | None  # what the real loader did; None if it was not asked
    elapsed_ms: float  # milliseconds that the answer took
    imported: ImportTrace | None = None  # how a traced import or program ended
    imported_as: str = ""  # the name whose import loads the file, if that is what was asked about
    optional: bool = False  # that import goes on without the file
    judged: tuple[Code, ...] = ()  # the code of its modules, as far as it had to be read: see `code`
    sources: tuple[str, ...] = ()  # Python files that were read to learn what the file's package adds to the search

    @property
    def cpu(self) -> Cpu | None:
        """The processor that the file was judged for; None if nothing was assumed of it."""
        return self.target.cpu

    @property
    def name(self) -> str:
        """What was asked about: an imported name, a command line, or the base name of the file."""
        return self.imported_as or ntpath.basename(os.path.basename(self.path))

    @cached_property
    def code(self) -> tuple[Code, ...]:
        """What the code of each module needs, where a processor was predicted for: all of it, read when first asked."""
        return tuple(gather.whole(code) for code in self.judged)

    @cached_property
    def gpu(self) -> tuple[gpu.Need, ...]:
        """What the tree needs of a graphics card's software. Its files are read for it when this is asked for first."""
        return gpu.needs(self.graph, self.target)


@files.remembering()
def diagnose(
    path: str | os.PathLike[str],
    target: Callable[[Image], Target],
    *,
    load: bool = True,
    timeout: float = choices.TIMEOUT,
    reached: Extension | None = None,
    site: Mapping[str, Collection[str]] | None = None,
) -> Result:
    """Walk a file and, where this machine can and `load` allows it, let the real loader decide.

    `target` makes the target from the file's image; `timeout` is in seconds; `reached` is what the source of a package
    says of the file, if that is known. `site` has every DLL beside which the file is installed, lower-case name ->
    paths: then source is read only where what it adds to the search could change the answer. Raises
    image.UnreadableFile for what is no PE file, and ValueError for a target that does not fit.
    """
    started = time.perf_counter()
    name = os.fspath(path)
    file = image.read(name)
    chosen = target(file)
    if site is None:
        chosen, read = _as_imported(name, chosen, reached)
        walked = graph.walk(name, file, chosen)
    else:
        walked, chosen, read = _walked_as_wanted(name, file, chosen, reached, site)
    evidence = diagnosis.Evidence(walked, chosen, python.built_for(file), wheel.distribution_of(name))
    if load and loader.can_load(name, chosen):
        try:
            evidence = replace(evidence, load=loader.test_load(name, chosen, timeout))
        except OSError as error:
            evidence = replace(evidence, not_asked=str(error))
        evidence = _look_closer(name, evidence, timeout)
    return _result(name, evidence, started, reached=reached, sources=read)


@files.remembering()
def diagnose_import(
    name: str,
    target: Callable[[Image | None], Target],
    *,
    sites: Sequence[str] = (),
    own_path: Sequence[str] = (),
    load: bool = True,
    timeout: float = choices.TIMEOUT,
) -> list[Result]:
    """Import a name in a traced child where this machine can and `load` allows it; elsewhere predict.

    `sites` are site-packages directories; a prediction without any looks in `own_path`. One result for a traced import.
    Predicted, one for each extension module that the import would load, in that order.
    Raises ValueError for a name that is not there, and for a target that does not fit; OSError if no child starts;
    image.UnreadableFile for an extension module that is no PE file.
    """
    started = time.perf_counter()
    chosen = target(None)
    asked = chosen.python
    if load and loader.can_start(chosen) and not (asked and asked.stand_in):
        from depwalk.loader import imports

        trace = imports.trace_import(name, chosen, timeout, sites)
        if trace.not_there:
            raise ValueError(f"There is no module {name} in {asked.label if asked else 'this Python'}.")
        return [_of_trace(trace, chosen, started, timeout)]
    found = package.find(
        name, sites or own_path, minor=asked.minor if asked else None, architecture=chosen.architecture
    )
    return [diagnose(item.path, target, load=False, reached=item) for item in found.extensions]


@files.remembering()
def diagnose_caught(
    path: str,
    target: Callable[[Image | None], Target],
    *,
    loaded: Sequence[str],
    load: bool = True,
    timeout: float = choices.TIMEOUT,
) -> Result:
    """Say why a file did not load in this very process, whose modules are `loaded`.

    A fresh process may load it all the same: then the difference is said, and the files decide. Raises as `diagnose`.
    """
    started = time.perf_counter()
    file = image.read(path) if ntpath.isabs(path) or os.path.isfile(path) else None
    chosen = target(file)
    here = chosen._replace(loaded=tuple(name for name in loaded if name.lower() != path.lower()))
    if file is None:
        evidence = diagnosis.Evidence(graph.of_names("this process", [path], here), here, None)
        return _result(path, evidence, started)
    here, _ = _as_imported(path, here, None)
    walked = graph.walk(path, file, here)
    evidence = diagnosis.Evidence(walked, here, python.built_for(file), wheel.distribution_of(path))
    if load and loader.can_load(path, here):
        trace = loader.test_load(path, here, timeout)
        if trace.loaded:
            evidence = replace(evidence, loads_elsewhere=True)
        else:
            evidence = _look_closer(path, replace(evidence, load=trace), timeout)
    return _result(path, evidence, started)


@files.remembering()
def diagnose_command(
    command: Sequence[str],
    target: Target,
    *,
    python_path: str = "",
    pass_on: Callable[[bytes], None],
    timeout: float | None = None,
) -> Result:
    """Run a program in a traced child and say which load failed, if one did.

    `python_path` is the PYTHONPATH for it; `pass_on` gets what it writes; `timeout` is in seconds, None for no limit.
    Raises OSError if it cannot be started.
    """
    from depwalk.loader import imports

    started = time.perf_counter()
    trace = imports.trace_command(command, python_path=python_path, timeout=timeout, pass_on=pass_on)
    program = shutil.which(command[0]) or command[0]
    if trace.executable:
        with contextlib.suppress(ValueError):
            there = python.at(trace.executable)
            target = target._replace(python=there, architecture=there.architecture)
    if trace.exit_code in loader.CANNOT_BEGIN and not trace.python:
        walked = graph.walk(program, image.read(program), target._replace(python=None))
        evidence = diagnosis.Evidence(walked, target, None, load=trace.load, imported=trace)
        return _result(program, evidence, started, imported_as=trace.name)
    return _of_trace(trace, target, started, choices.TIMEOUT)


def _of_trace(trace: ImportTrace, target: Target, started: float, timeout: float) -> Result:
    """The result of an import or a program: about the file that did not load, if there was one."""
    fatal = trace.fatal
    path = fatal.path if fatal else trace.unfinished
    if fatal is not None and ntpath.basename(path) != path:  # ctypes makes such a path absolute
        path = ntpath.join(fatal.cwd or "", path)
    there = target._replace(dll_dirs=tuple(dict.fromkeys((*target.dll_dirs, *trace.directories))))
    if fatal is not None:
        there = there._replace(
            path=search.path_entries(fatal.search_path, ";"),
            cwd=fatal.cwd,
            loaded=tuple(name for name in fatal.modules if name.lower() != path.lower()),
        )
    evidence = _evidence_of(path, trace, there)
    if path and not trace.ended_well:
        evidence = _look_closer(path, evidence, timeout)
    return _result(path or trace.name, evidence, started, imported_as=trace.name)


def _evidence_of(path: str, trace: ImportTrace, target: Target) -> diagnosis.Evidence:
    absolute = ntpath.isabs(path) and os.path.isfile(path)
    if not path or not absolute:  # nothing failed; or ctypes was given a name that is to be searched for
        walked = graph.of_names(trace.name, [path] if path else [], target)
        return diagnosis.Evidence(walked, target, None, load=trace.load, imported=trace)
    file = image.read(path)
    walked = graph.walk(path, file, target)
    found = wheel.distribution_of(path)
    return diagnosis.Evidence(walked, target, python.built_for(file), found, load=trace.load, imported=trace)


def _walked_as_wanted(
    name: str, file: Image, target: Target, reached: Extension | None, site: Mapping[str, Collection[str]]
) -> tuple[Graph, Target, tuple[str, ...]]:
    """The tree, the target, and the source that was read: no more than what decides about the DLLs of the tree.

    A directory that is added may bring DLLs into the tree that need others: then it is asked for these, too.
    """
    walked = graph.walk(name, file, target)
    read: tuple[str, ...] = ()
    wanted: tuple[tuple[str, ...], ...] = ()
    for _ in range(_MOST_TURNS):
        more = _could_be_added(walked, site, target)
        if more is None or (more and set(more) <= set(wanted)):
            break
        wanted = tuple(dict.fromkeys((*wanted, *more))) if more else ()  # (): for anything
        imported, read = _as_imported(name, target, reached, wanted)
        if imported == target:
            break
        target, walked = imported, graph.walk(name, file, imported)
    return walked, target, read


def _could_be_added(
    walked: Graph, site: Mapping[str, Collection[str]], target: Target
) -> tuple[tuple[str, ...], ...] | None:
    """For each DLL of a tree the files that a directory or a preload of the package could make of it; None without any.

    They can for what is not found and is somewhere beside the file, and for a DLL of which the package has another copy
    itself. What is assumed of another machine has no further directories; on this one there may be some: ().
    """
    if not (walked.root.image and walked.root.image.is_dll):  # nobody imports a program
        return None
    top = package.top_of(walked.root.path or "")
    wanted = []
    elsewhere = False
    for module in walked.modules[1:]:
        copies = [path for path in site.get(module.name.lower(), ()) if path != module.path]
        if copies and module.status in ("found", "system"):
            was_loaded = module.rule is not None and module.rule.step == "loaded"
            copies = [path for path in copies if not was_loaded and package.top_of(path) == top]
        elsewhere = elsewhere or (module.status == "missing" and not copies and target.windows.live)
        if copies:
            wanted.append(tuple(copies))
    return () if elsewhere else tuple(wanted) or None


def _as_imported(
    path: str, target: Target, reached: Extension | None, wanted: Sequence[Sequence[str]] = ()
) -> tuple[Target, tuple[str, ...]]:
    """With what the file's package adds when it is imported: its own source says so. The second is what was read."""
    found: Extension | Package | None = reached
    if found is None:
        minor = target.python.minor if target.python else None
        prefix = target.environment.prefix if target.environment else files.prefix_of(path)
        found = package.directories_for(
            path, prefix=prefix, minor=minor, architecture=target.architecture, wanted=wanted
        )
    own = _as_key(path)
    imported = target._replace(
        inferred=tuple(Inferred(added.directory, added.source) for added in found.added),
        preloads=tuple(preload.path for preload in found.preloads if _as_key(preload.path) != own),
    )
    return imported, found.sources if isinstance(found, package.Package) else ()


def _as_key(path: str) -> str:
    return os.path.normcase(os.path.abspath(path))


def _look_closer(path: str, evidence: diagnosis.Evidence, timeout: float) -> diagnosis.Evidence:
    """If the loader refuses a file in which nothing is wrong, ask it for each dependency, and for the story."""
    trace = evidence.load
    if trace is None or diagnosis.is_explained(evidence) or not loader.can_load(path, evidence.target):
        return evidence
    found = loader.look_closer(trace, path, evidence.graph, evidence.target, timeout)
    return replace(evidence, load=found, loaded_by_code=tuple(_by_code(found, evidence)))


def _by_code(load: LoadTrace, evidence: diagnosis.Evidence) -> Iterator[Graph]:
    """Files that a traced load mapped and that no import explains, with what they need."""
    known = {(module.path or "").lower() for module in evidence.graph.modules}
    system32 = evidence.target.system_directories[0]  # by name: Wine's own files lie elsewhere
    for mapped in load.mapped:
        if mapped.path.lower() in known or system32.find(ntpath.basename(mapped.path)):
            continue
        with contextlib.suppress(image.UnreadableFile):
            yield graph.walk(mapped.path, image.read(mapped.path), evidence.target, by_code=True)


def _result(
    path: str,
    evidence: diagnosis.Evidence,
    started: float,
    *,
    imported_as: str = "",
    reached: Extension | None = None,
    sources: tuple[str, ...] = (),
) -> Result:
    evidence = gather.around(evidence)
    findings = diagnosis.diagnose(evidence)
    verdict, basis = diagnosis.verdict(evidence, findings)
    target = evidence.target
    return Result(
        path,
        verdict,
        basis,
        findings,
        evidence.graph,
        target,
        evidence.built_for,
        evidence.distribution,
        evidence.load,
        (time.perf_counter() - started) * 1000,
        evidence.imported,
        reached.module if reached else imported_as,
        optional=reached is not None and reached.optional,
        judged=evidence.code,
        sources=sources,
    )
