"""A Windows that is too old, or an edition that lacks a part."""

from __future__ import annotations

from collections import defaultdict
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from depwalk import tables, wheel
from depwalk.finding import Finding, Remedy
from depwalk.target import Setting, windows
from depwalk.target.api_sets import is_api_set, is_named_as_one
from depwalk.target.python import build_of_dll

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Edge, Module
    from depwalk.image import Image, Import
    from depwalk.target import Target
    from depwalk.target.windows import Windows

_SHOWN = 5
_WINDOWS_7, _WINDOWS_8 = (6, 1), (6, 2)
_INVALID_PARAMETER = 87
_GUESSED = ("N", "server", "core")  # editions that come into question where it is not known which one this is


def folded(evidence: Evidence, findings: Sequence[Finding]) -> list[Finding]:
    """All errors of a Windows that is too old as one: a newer Windows is the remedy for all. A missing DLL goes first.

    The loader looks for all DLLs before it looks for functions (windows-loader 3).
    """
    old = [finding for finding in findings if finding.code == "windows-too-old" and finding.severity == "error"]
    if not old:
        return list(findings)
    missing = {module.name.lower() for module in evidence.problems("missing")}
    first = next((finding for finding in old if finding.module.lower() in missing), old[0])
    others = [finding for finding in old if finding is not first]
    also = (name for finding in (first, *others) for name in (*finding.also, finding.module))
    told = first._replace(
        evidence=(*first.evidence, *(f"and: {finding.message}" for finding in others)),
        also=tuple(name for name in dict.fromkeys(also) if name != first.module),
    )
    return [told if finding is first else finding for finding in findings if finding not in others]


# ---- DLLs --------------------------------------------------------------------------------------------------------


def missing_feature(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`missing-windows-feature`: an edition of Windows leaves the DLL out, others have it."""
    if evidence.target.windows.emulator is not None:
        return
    by_editions: dict[tuple[str, ...], list[Module]] = {}
    for module in missing:
        leaving_out = _editions_without(module.name, evidence.target)
        if leaving_out:
            by_editions.setdefault(leaving_out, []).append(module)
    for editions, modules in by_editions.items():
        yield _left_out(evidence, modules, [tables.table("windows.toml")["edition"][key] for key in editions])


def missing_system_dll(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`windows-too-old` by DLL: a later Windows has it, this one does not; or this one has lost it."""
    later: dict[tuple[object, ...], list[Module]] = {}
    for module in missing:
        release = _first_release(module.name, evidence.target)
        if release is not None and _is_later(release, evidence.target):
            update, forwarder = _update_with(module, evidence), _forwarder(module, evidence)
            key = (release["id"], update and update["what"], forwarder and forwarder.id)
            later.setdefault(key, []).append(module)
        elif release is not None and not is_api_set(module.name):
            yield _gone(evidence, module, release)
        elif release is None and not module.reason and is_named_as_one(module.name):
            yield _unknown_api_set(evidence, module)
    for modules in later.values():
        yield _came_later(evidence, modules)


def _left_out(evidence: Evidence, modules: Sequence[Module], editions: Sequence[Mapping[str, Any]]) -> Finding:
    first, *rest = modules
    name, importer, system = first.name, evidence.importer(first), evidence.target.windows
    labels = ", ".join(row["label"] for row in editions)
    where = "some editions leave out" if system.editions is None else "this edition leaves out"
    also = tuple(module.name for module in rest)
    return Finding(
        "missing-windows-feature",
        "error",
        name,
        f"{name} is a part of Windows that {where} ({labels}); {importer} needs it.",
        needed_by=importer,
        evidence=(
            *((f"also missing: {', '.join(also)}",) if also else ()),
            f"{'assumed' if system.root is None else 'Windows'}: {system.label}",
            *evidence.chain(first),
        ),
        remedy=_add_feature(editions),
        also=also,
    )


def _add_feature(editions: Sequence[Mapping[str, Any]]) -> Remedy:
    if len(editions) == 1:
        return Remedy(editions[0]["remedy"], editions[0].get("command", ""), editions[0].get("url", ""))
    advice = [
        f"{row['label']}: {row['remedy']}" + (f" ({row['command']})" if "command" in row else "") for row in editions
    ]
    return Remedy(
        f"Add what this edition leaves out. {' '.join(advice)}",
        url=next((row["url"] for row in editions if "url" in row), ""),
    )


def _editions_without(name: str, target: Target) -> tuple[str, ...]:
    """The editions, of those that this Windows is or may be, that leave out a DLL that its version has."""
    release = _first_release(name, target)
    if release is None or _is_later(release, target):
        return ()
    rows = tables.table("windows.toml")["edition"]
    known = target.windows.editions
    return tuple(key for key in (_GUESSED if known is None else known) if name.lower() in rows[key]["absent"])


def _gone(evidence: Evidence, module: Module, release: Mapping[str, Any]) -> Finding:
    """`missing-windows-feature`: this Windows should have it; an emulated, reduced or damaged one may not."""
    name, importer, system = module.name, evidence.importer(module), evidence.target.windows
    reduced = [key for key in system.editions or () if key in ("core", "nano")]
    what = f"{name} is a part of Windows since {release['label']}, and this one does not have it"
    if system.emulator is not None:
        remedy = Remedy(f"{system.emulator} does not have it: use a newer one, or a real Windows.")
    elif reduced:
        row = tables.table("windows.toml")["edition"][reduced[0]]
        what = f"{name} is a part of Windows, and this one, {row['label']}, does not have all of it"
        remedy = Remedy(row["remedy"])
    else:
        remedy = Remedy("Let Windows repair its own files (as administrator), then restart.", "sfc /scannow")
    return Finding(
        "missing-windows-feature",
        "error",
        name,
        f"{what}; {importer} needs it.",
        needed_by=importer,
        evidence=(f"Windows: {system.label}", *evidence.chain(module), *evidence.searched(module)),
        remedy=remedy,
    )


def _unknown_api_set(evidence: Evidence, module: Module) -> Finding:
    """Only Microsoft names DLLs so: one that no table here has came with a Windows newer than they are."""
    name, importer = module.name, _importer(module, evidence)
    return Finding(
        "windows-too-old",
        "error",
        name,
        f"{importer.name} needs {name} (an API set of Windows), which this one does not have; a newer one may.",
        needed_by=importer.name,
        evidence=(f"Windows: {evidence.target.windows.label}", *evidence.chain(module)),
        remedy=_newer_or_older(importer, evidence),
        proof="inferred",
    )


def _came_later(evidence: Evidence, modules: Sequence[Module]) -> Finding:
    """`windows-too-old` for DLLs that came with one release, by one way."""
    first, *rest = modules
    importer, also = _importer(first, evidence), tuple(module.name for module in rest)
    release, update = _first_release(first.name, evidence.target), _update_with(first, evidence)
    assert release is not None
    what = f"{first.name} and {len(also)} more DLL{'s' if len(also) > 1 else ''}" if also else first.name
    facts = (*((f"also missing: {', '.join(also)}",) if also else ()), *evidence.chain(first))
    remedy = _newer_or_older(importer, evidence)
    message = f"{importer.name} needs {what}, which came with {release['label']}."
    if update is not None:
        message = f"{importer.name} needs {what}, which this Windows gets by {update['what']}."
        remedy = Remedy(f"Install {update['what']}.", url=update["url"])
    elif _forwarder(first, evidence) is not None:
        message = f"{importer.name} passes its functions on to {what}, which came with {release['label']}."
        facts = (f"file: {importer.path}", f"nothing imports {first.name} itself", *facts)
        if _first_release(importer.name, evidence.target) is not None:
            facts = (*facts, f"{importer.name} is a name of Windows: this one is a copy, taken from a newer Windows")
            remedy = Remedy(
                f"Use a newer Windows, or a version of {_package(importer)} without this copy. Report it to its "
                "authors: parts of Windows are not to be passed on."
            )
    return _too_old(evidence, first.name, importer, message, facts, remedy, also)


def _forwarder(module: Module, evidence: Evidence) -> Module | None:
    """The DLL that passes its functions on to a module which nothing imports."""
    edges = evidence.graph.needed_by(module)
    only = bool(edges) and all(edge.kind == "forward" for edge in edges)
    return evidence.graph.modules[edges[0].importer] if only else None


# ---- functions ---------------------------------------------------------------------------------------------------


def missing_system_function(evidence: Evidence) -> Iterable[Finding]:
    """`windows-too-old` by function: a DLL of Windows lacks a function that later versions have."""
    modules, target = evidence.graph.modules, evidence.target
    key = missing_system_function, Setting(target)
    later = {found.id for found in modules if found.image is not None and _may_need_later(found.image, target, key)}
    for edge in evidence.graph.edges if later else evidence.graph.unresolved:
        importer, exporter = modules[edge.importer], modules[edge.imported]
        if exporter.status != "system" or edge.kind == "delay" or importer.delayed:
            continue
        if exporter.image is not None:
            yield from _not_exported(edge, importer, exporter, evidence)
        elif edge.importer in later:
            yield from _too_new(edge, importer, exporter, evidence)


def _may_need_later(image: Image, target: Target, key: object) -> bool:
    """Whether a file imports a function by a name that its DLL is known to have got with a later Windows.

    `key`: of the answer, which every tree with the file asks for.
    """
    if key not in image.file.asked:
        image.file.asked[key] = any(
            later and not later.isdisjoint(image.names(found))
            for found in image.imports
            for later in [_later_functions(_exporter(found.dll, target), found.dll, target.windows.version)]
        )
    answer: bool = image.file.asked[key]
    return answer


def _exporter(dll: str, target: Target) -> str:
    """The DLL of Windows that is meant by a name."""
    host = target.windows.api_sets.host(dll, "") if is_api_set(dll) else None
    return host or (dll if "." in dll else f"{dll}.dll")


def _not_exported(edge: Edge, importer: Module, exporter: Module, evidence: Evidence) -> Iterable[Finding]:
    if not edge.unresolved:
        return
    names = ", ".join(edge.unresolved[:_SHOWN]) + (", ..." if len(edge.unresolved) > _SHOWN else "")
    wine = evidence.target.windows.emulator is not None
    releases = [_function_release(edge.name, exporter.name, symbol) for symbol in edge.unresolved]
    known = [release for release in releases if release is not None]
    since = f", which came with {max(known, key=lambda row: row['version'])['label']}" if known else ""
    effect = " Wine loads it all the same and stops the program at the first call." if wine else ""
    update = _update_for(edge.unresolved, evidence.target)
    yield Finding(
        "windows-too-old",
        "warning" if wine else "error",
        exporter.name,
        f"{exporter.name} of this Windows lacks {names}{since}; {importer.name} imports it.{effect}",
        needed_by=importer.name,
        evidence=(f"file: {exporter.path}", f"Windows: {evidence.target.windows.label}", *evidence.chain(exporter)),
        remedy=_newer_or_older(importer, evidence)
        if update is None
        else Remedy(f"Install {update['what']}.", url=update["url"]),
    )


def _too_new(edge: Edge, importer: Module, exporter: Module, evidence: Evidence) -> Iterable[Finding]:
    """One finding per release, for an exporter that is only assumed: its functions are known from a table."""
    if importer.image is None or edge.source is None:
        return
    exporters = _listed_names(edge.name, exporter.name)
    if not exporters:
        return
    by_release: defaultdict[str, list[str]] = defaultdict(list)
    for release_id, symbol in _of_releases(importer.image, edge.source, exporters):
        if _is_later(_releases()[release_id], evidence.target):
            by_release[release_id].append(symbol)
    for release in windows.releases() if by_release else ():
        symbols = by_release.get(release["id"])
        if symbols:
            more = f" (and {len(symbols) - 1} more)" if len(symbols) > 1 else ""
            message = (
                f"{importer.name} needs {symbols[0]} in {exporter.name}{more}, which came with {release['label']}."
            )
            listed = "imports: " + ", ".join(symbols[:_SHOWN]) + (", ..." if len(symbols) > _SHOWN else "")
            remedy = _newer_or_older(importer, evidence)
            yield _too_old(evidence, exporter.name, importer, message, (listed,), remedy)


def _of_releases(importer: Image, imported: Import, exporters: tuple[str, ...]) -> list[tuple[str, str]]:
    """(release, function) of the imported functions that came with a release that the table knows."""
    key = _of_releases, imported.kind, imported.first, exporters
    if key not in importer.file.asked:
        known = _functions_of(exporters)
        importer.file.asked[key] = [(known[name], name) for name in importer.names(imported) if name in known]
    answer: list[tuple[str, str]] = importer.file.asked[key]
    return answer


# ---- the program, and its Python ---------------------------------------------------------------------------------


def program_too_new(evidence: Evidence) -> Iterable[Finding]:
    """`windows-too-old`: a program asks for a later Windows, in its header; that of a DLL does not count."""
    root, system = evidence.graph.root, evidence.target.windows
    if root.image is None or root.image.is_dll or not root.name.lower().endswith(".exe") or system.emulator:
        return
    wanted = root.image.subsystem_version
    if wanted > system.version[:2]:
        release = next((row for row in windows.releases() if tuple(row["version"][:2]) >= wanted), None)
        needs = release["label"] if release else f"Windows {wanted[0]}.{wanted[1]}"
        fact = (
            f"its subsystem version is {wanted[0]}.{wanted[1]}; this Windows is {system.version[0]}.{system.version[1]}"
        )
        message = f"{root.name} is a program for {needs} or later, and this Windows does not start it."
        yield _too_old(evidence, root.name, root, message, (fact,), _newer_or_older(root, evidence))


def python_too_new(evidence: Evidence) -> Iterable[Finding]:
    """`windows-too-old`: the CPython that the file is for does not start on this Windows."""
    interpreter, built, system = evidence.target.python, evidence.built_for, evidence.target.windows
    assumed = interpreter is not None and interpreter.executable is None
    if not assumed or built is None or evidence.load is not None:  # a load shows that it does
        return
    minor = built.minor or (evidence.distribution.oldest_minor if evidence.distribution else None)
    release = _oldest_for(minor) if minor is not None else None
    if release is not None and _is_later(release, evidence.target):
        name, more = evidence.graph.root.name, "" if built.minor else " or later"
        yield Finding(
            "windows-too-old",
            "error",
            name,
            f"{name} is for CPython 3.{minor}{more}, which needs {release['label']} or later.",
            evidence=(f"Windows: {system.label}",),
            remedy=_other_python(evidence.target),
        )


def no_search_flags(evidence: Evidence) -> Iterable[Finding]:
    """`windows-too-old`: a Windows 7 without the update that Python 3.8 needs refuses its way to load: 87."""
    load, target = evidence.load, evidence.target
    flags = target.python is not None and target.python.restricts_search
    if load is None or load.code != _INVALID_PARAMETER or not flags or target.windows.version[:2] >= _WINDOWS_8:
        return
    root, row = evidence.graph.root, _update_for(("AddDllDirectory",), target)
    assert target.python is not None
    yield Finding(
        "windows-too-old",
        "error",
        root.name,
        f"{target.python.label} loads extension modules in a way that this Windows does not know without an update.",
        evidence=(f"Windows: {target.windows.label}", "the loader answered 87 (ERROR_INVALID_PARAMETER)"),
        remedy=Remedy(f"Install {row['what']}.", url=row["url"]) if row else _other_python(target),
        proof="loader",
    )


# ---- what they share ---------------------------------------------------------------------------------------------


def _too_old(
    evidence: Evidence,
    module: str,
    importer: Module,
    message: str,
    facts: tuple[str, ...],
    remedy: Remedy,
    also: tuple[str, ...] = (),
) -> Finding:
    return Finding(
        "windows-too-old",
        "error",
        module,
        message,
        needed_by=importer.name,
        evidence=(f"Windows: {evidence.target.windows.label}", *facts),
        remedy=remedy,
        also=also,
    )


def _importer(module: Module, evidence: Evidence) -> Module:
    """Who needs it; the one nearest to the root if there are several."""
    importers = [evidence.graph.modules[edge.importer] for edge in evidence.graph.needed_by(module)]
    return min(importers, key=lambda found: found.depth)


def _newer_or_older(importer: Module, evidence: Evidence) -> Remedy:
    """A newer Windows, or an older package; for Python itself the last one that this Windows runs."""
    build = build_of_dll(importer.name)
    oldest = _oldest_for(build.minor) if build is not None and build.minor is not None else None
    if oldest is not None and _is_later(oldest, evidence.target):
        return _other_python(evidence.target)
    found = wheel.distribution_of(importer.path) if importer.image is not None and importer.path else None
    row = next((row for row in tables.table("windows.toml")["instead"] if found and _is_of(row, found)), None)
    if row is not None and found is not None:
        return Remedy(
            f"Use a newer Windows, or {found.name} {row['use']}.", f"python -m pip install {found.name}=={row['use']}"
        )
    return Remedy(f"Use a newer Windows, or the last version of {_package(importer)} that supports this one.")


def _is_of(row: Mapping[str, Any], found: wheel.Distribution) -> bool:
    return found.installer != "conda" and (row["package"], row["version"]) == (found.name.lower(), found.version)


def _package(module: Module) -> str:
    found = wheel.distribution_of(module.path) if module.image is not None and module.path else None
    return found.name if found else f"the package of {module.name}"


def _oldest_for(minor: int) -> Mapping[str, Any] | None:
    """The first Windows that a CPython supports, None if it is none of those that tables here tell apart."""
    rows = [row for row in tables.table("pythons.toml")["supports"] if row["since"] <= minor]
    return _releases()[rows[-1]["windows"]] if rows else None


def _other_python(target: Target) -> Remedy:
    """The last CPython for this Windows."""
    rows = tables.table("pythons.toml")["supports"]
    minor = min(row["since"] for row in rows if _is_later(_releases()[row["windows"]], target)) - 1
    return Remedy(
        f"Use CPython 3.{minor}, the last for this Windows, and packages for it; or a newer Windows.",
        url="https://www.python.org/downloads/windows/",
    )


def _update_with(module: Module, evidence: Evidence) -> Mapping[str, Any] | None:
    """The update that brings a DLL to Windows 7, if it brings all that is imported from it, too."""
    rows = tables.table("windows.toml")["update"]
    row: Mapping[str, Any] | None = next((row for row in rows if module.name.lower() in row.get("dlls", ())), None)
    if row is None or evidence.target.windows.version[:2] != _WINDOWS_7:
        return None
    for edge in evidence.graph.needed_by(module):
        importer = evidence.graph.modules[edge.importer].image
        symbols = importer.symbols(edge.source) if importer is not None and edge.source is not None else ()
        if any(_function_release(edge.name, "", str(symbol)) for symbol in symbols):
            return None
    return row


def _update_for(functions: Sequence[str], target: Target) -> Mapping[str, Any] | None:
    """The update that brings functions to Windows 7."""
    if target.windows.version[:2] != _WINDOWS_7:
        return None
    rows = tables.table("windows.toml")["update"]
    return next((row for row in rows if set(functions) <= set(row.get("functions", ()))), None)


@cache
def _functions() -> Mapping[str, Mapping[str, str]]:
    """Lower-case DLL -> function -> id of the first release that has it."""
    found: dict[str, dict[str, str]] = {}
    for dll, function, release in (line.split("\t") for line in tables.lines("functions.tsv")):
        found.setdefault(dll.lower(), {})[function] = release
    return found


@lru_cache(maxsize=4096)
def _functions_of(dlls: tuple[str, ...]) -> Mapping[str, str]:
    """Function -> id of the first release that has it, in the first of some DLLs that the table knows it of."""
    return {function: release for dll in reversed(dlls) for function, release in _functions()[dll].items()}


@lru_cache(maxsize=4096)
def _later_functions(exporter: str, written: str, version: tuple[int, int, int]) -> frozenset[str]:
    """The functions that a DLL, imported by the name `written`, has got since a Windows."""
    known = _functions_of(_listed_names(written, exporter))
    later = {name for name, row in _releases().items() if tuple(row["version"]) > version}
    return frozenset(name for name, release in known.items() if release in later)


@cache
def _releases() -> Mapping[str, Mapping[str, Any]]:
    return {row["id"]: row for row in windows.releases()}


def _is_later(release: Mapping[str, Any], target: Target) -> bool:
    return tuple(release["version"]) > target.windows.version


def _function_release(written: str, exporter: str, symbol: str) -> Mapping[str, Any] | None:
    """The release that brought a function."""
    for name in _names_of(written, exporter):
        release = _functions().get(name, {}).get(symbol)
        if release:
            return _releases()[release]
    return None


def _names_of(written: str, exporter: str) -> tuple[str, ...]:
    """Where a function may be found in the table; documentation files kernelbase's functions under kernel32."""
    is_runtime = exporter.lower() == "ucrtbase.dll"
    of_kernel32 = exporter.lower() == "kernelbase.dll" or (is_api_set(written) and not is_runtime)
    return written.lower(), exporter.lower(), *(["kernel32.dll"] if of_kernel32 else [])


@lru_cache(maxsize=4096)
def _listed_names(written: str, exporter: str) -> tuple[str, ...]:
    """Those of the names that the table has functions of."""
    return tuple(name for name in _names_of(written, exporter) if name in _functions())


def _first_release(name: str, target: Target) -> Mapping[str, Any] | None:
    """The first Windows whose System32 has a DLL, or whose map has an API set; None if none is known to.

    A list is of one build: to a Windows between that and the list before, this build is the first that is known.
    """
    return _first_with(name.lower(), target.architecture, target.windows.version)


@lru_cache(maxsize=4096)
def _first_with(name: str, architecture: str, version: tuple[int, int, int]) -> Mapping[str, Any] | None:
    since = tables.table("windows.toml")["since"].get(name)
    if since:
        return _releases()[since]
    suffix = "-x86" if architecture == "x86" else ""
    for profile, start in _STARTS.items():
        listed = windows.named(profile + (suffix if profile != "11" else ""))
        if not _has(listed, name, architecture):
            continue
        between = start <= version < listed.version
        clients = [row for row in windows.releases() if "Server" not in row["label"]]
        return next(row for row in clients if tuple(row["version"]) >= (listed.version if between else start))
    return None


def _has(system: Windows, name: str, architecture: str) -> bool:
    mapped = is_api_set(name) and bool(system.api_sets.host(name, ""))
    return mapped or system.system_directories(architecture)[0].find(name) is not None


# Profile -> the first version of that name.
_STARTS = {"7": (6, 1, 7601), "8": (6, 2, 0), "8.1": (6, 3, 0), "10": (10, 0, 0), "11": (10, 0, 22000)}
