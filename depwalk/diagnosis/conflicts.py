"""Two files of one name: the one that the loader takes is not the one that is needed."""

from __future__ import annotations

import ntpath
import os
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from depwalk import files, image, runtimes, tables, wheel
from depwalk.diagnosis import commands
from depwalk.finding import Finding, Remedy
from depwalk.search import base_name
from depwalk.target import environment
from depwalk.target.directory import Directory
from depwalk.target.python import build_of_dll

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from typing import Any

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Edge, Module
    from depwalk.image import Image
    from depwalk.wheel import Distribution

_SHOWN = 4  # copies listed in a finding
_OLD_CONDA = 10  # conda's Python before 3.10 asks a variable before it searches its own directories first


class Copy(NamedTuple):
    """Another file with the name of the one that is taken."""

    path: str
    place: Directory
    image: Image | None  # None if the file is only assumed
    searched: bool
    near: bool  # searched, or with the importer's own DLLs: one that is only on PATH may be anybody's


def copies(taken: Module, importer: Module, evidence: Evidence) -> list[Copy]:
    """Other files of this name that the process could load: in the directories searched, near the importer, on PATH."""
    rules = [rule.directory for rule in evidence.graph.rules if rule.directory is not None]
    searched, near = _keys(rules), own_places(importer, evidence) + _site_places(importer, evidence)
    found: dict[object, Copy] = {}
    for place in [*rules, *near, *map(Directory, evidence.target.path)]:
        path = place.find(taken.name)
        if path is None or _identity(path) in {_identity(taken.path or ""), *found}:
            continue
        file = read(path) if place.is_real else None
        target, key = evidence.target, _key(place.path)
        if not place.is_real or (file is not None and file.runs_in(target.architecture, target.windows.architecture)):
            found[_identity(path)] = Copy(path, place, file, key in searched, key in searched | _keys(near))
    return list(found.values())


def own_places(importer: Module, evidence: Evidence) -> list[Directory]:
    """Where a module's own DLLs lie: beside it, where its package adds a directory, and in its environment."""
    own = [os.path.dirname(importer.path or ""), *evidence.target.added_directories]
    own += [path for path, row in _around(importer, evidence) if row.get("own")]
    return [Directory(directory) for directory in dict.fromkeys(own) if directory]


def _site_places(importer: Module, evidence: Evidence) -> list[Directory]:
    """Where packages have DLLs for other packages."""
    return [Directory(path) for path, row in _around(importer, evidence) if row["root"] in ("site", "user")]


def _around(importer: Module, evidence: Evidence) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The directories of the environment that loads the importer, and of the one in which it lies."""
    loading, own = evidence.target.environment, environment.around(None, importer.path, {})
    if loading is not None:
        yield from loading.dll_directories()
    if own is not None and (loading is None or _key(own.prefix) != _key(loading.prefix)):
        yield from own.dll_directories()


def better_copy(edges: Sequence[Edge], taken: Module, evidence: Evidence) -> Finding | None:
    """`already-loaded` or `shadowed`: the copy that is taken lacks a symbol that another one in reach has."""
    importer = evidence.graph.modules[edges[0].importer]
    others = copies(taken, importer, evidence)
    real_first = sorted((copy for copy in others if copy.near), key=lambda copy: not copy.place.is_real)
    better = next((copy for copy in real_first if _has_all(copy, edges, evidence)), None)
    if better is None:
        return None
    loaded, foreign = is_loaded_before(taken), is_foreign(taken, evidence)
    which = "the one in System32, of another program," if foreign else "the copy that is taken"
    wine = evidence.target.windows.emulator is not None
    rest = [copy for copy in others if copy is not better]
    return Finding(
        "already-loaded" if loaded else "shadowed",
        "warning" if wine else "error",
        taken.name,
        f"{importer.name} needs {named(edges[0].unresolved[0])} of {taken.name}; {which} lacks it, another has it.",
        needed_by=importer.name,
        evidence=(
            *taken_facts(taken, evidence),
            f"it would work with: {_told(better, evidence)}",
            *copy_facts(rest, edges, evidence),
            *by_number(edges),
            *evidence.chain(taken),
        ),
        remedy=_remedy(taken, importer, better, evidence),
        proof="static" if better.image is not None else "inferred",
    )


def older_copy(evidence: Evidence) -> Iterator[Finding]:
    """`already-loaded` or `shadowed`, as a warning: a foreign copy hides a newer one of the importer's own."""
    modules = evidence.graph.modules
    files = [module for module in modules if module.image is not None]
    importers = {_folder_key(module): module for module in files}.values()  # one for each directory will do
    hiding = {taken.id for taken in files if any(_may_hide(taken, importer, evidence) for importer in importers)}
    told: set[int] = set()
    for edge in evidence.graph.edges if hiding else ():
        taken, importer = modules[edge.imported], modules[edge.importer]
        if taken.id not in hiding or taken.id in told or edge.unresolved or importer.status != "found":
            continue
        newer = _newer_of_its_own(taken, importer, evidence)
        if newer is not None:
            told.add(taken.id)
            yield _older(taken, importer, newer, evidence)


def _may_hide(taken: Module, importer: Module, evidence: Evidence) -> bool:
    """Whether a copy hides a newer one from a directory: asked once for all trees with the same search."""
    if not _is_candidate(taken, importer):
        return False
    environment = evidence.target.environment
    key = older_copy, taken.path, _folder_key(importer), environment.prefix if environment else ""
    asked = evidence.graph.rules.asked
    if key not in asked:
        asked[key] = _newer_of_its_own(taken, importer, evidence) is not None
    return bool(asked[key])


def _is_candidate(taken: Module, importer: Module) -> bool:
    """Whether it has a version, and does not lie beside its importer."""
    return _folder_key(taken) != _folder_key(importer) and taken.image is not None and taken.image.version is not None


def _newer_of_its_own(taken: Module, importer: Module, evidence: Evidence) -> Copy | None:
    """A newer copy where the DLLs of the importer lie, if the one that is taken does not lie there."""
    if not _is_candidate(taken, importer):
        return None
    own = _keys(place for place in own_places(importer, evidence) if place.find(taken.name))
    if not own or _folder_key(taken) in own or _is_of_others(taken.name, evidence):
        return None
    for copy in copies(taken, importer, evidence):
        if _key(copy.place.path) in own and copy.image is not None and _is_newer(copy.image, taken.image):
            return copy
    return None


def openmp_twice(evidence: Evidence) -> Iterator[Finding]:
    """`already-loaded`: two OpenMP runtimes of one kind in a process, the second of which ends it."""
    table, load = tables.table("conflicts.toml")["openmp"], evidence.load
    paths = next((found for found in _together(evidence) if len(found) > 1), [])
    said = [line.strip() for line in load.output.splitlines() if table["says"] in line] if load else []
    if not paths and not said:
        return
    ended = bool(said) and load is not None and not load.loaded
    name = ntpath.basename(paths[-1]) if paths else evidence.loading
    effect = "the second one ended it" if ended else "the second one that starts may end it"
    yield Finding(
        "already-loaded",
        "error" if ended else "warning",
        name,
        f"The process has two OpenMP runtimes (they share work among processors), and {effect}.",
        needed_by=next((evidence.importer(found) for found in evidence.graph.modules if found.name == name), ""),
        evidence=(*(f"loaded: {path}{version_of(read(path))}{of_whom(path, evidence)}" for path in paths), *said[:1]),
        remedy=Remedy(
            "Reinstall the packages that brought them from one source, all with conda or all with pip. If that does "
            "not help, use them in separate processes."
        ),
        proof="loader" if said else "static",
    )


# ---- facts, for missing-export too --------------------------------------------------------------------------------


def taken_facts(taken: Module, evidence: Evidence) -> Iterator[str]:
    """Which copy is taken, by which rule, and whose it is."""
    rule = taken.rule.name if taken.rule else "its full path"
    why = "the process has loaded it before" if is_loaded_before(taken) else f"it is found first, by the rule: {rule}"
    yield f"taken: {taken.path}{version_of(taken.image)}{of_whom(taken.path, evidence)}"
    yield why
    yield from foreign_facts(taken, evidence)


def foreign_facts(taken: Module, evidence: Evidence) -> Iterator[str]:
    """That a copy in System32 is no part of Windows, and whose it is."""
    if is_foreign(taken, evidence):
        yield f"it is no part of Windows; another program put it into System32{owner(taken)}"


def copy_facts(others: Iterable[Copy], edges: Sequence[Edge], evidence: Evidence) -> Iterator[str]:
    """The other copies, and whether they would do."""
    for copy in list(others)[:_SHOWN]:
        has = "has it" if _has_all(copy, edges, evidence) else "lacks it too"
        yield f"another copy {has}: {_told(copy, evidence)}"


def by_number(edges: Sequence[Edge]) -> Iterator[str]:
    """An import by ordinal fits only a DLL that keeps its numbers."""
    if edges[0].unresolved[0].startswith("#"):
        number = edges[0].unresolved[0]
        yield f"imported by number (ordinal), as {number}: numbers differ between builds; the loader answers 182"


def named(symbol: str) -> str:
    """A function as it is told: one that is imported by its number (ordinal) has no name."""
    return f"function number {symbol[1:]}" if symbol.startswith("#") else symbol


def is_loaded_before(taken: Module) -> bool:
    """Whether the process had a module of this name before."""
    return taken.rule is not None and taken.rule.step == "loaded"


def is_foreign(taken: Module, evidence: Evidence) -> bool:
    """A DLL in a directory of Windows that is no part of Windows, by the lists of clean installations."""
    own = _keys(evidence.target.system_directories)
    return taken.status == "found" and _key(os.path.dirname(taken.path or "")) in own


def owner(taken: Module) -> str:
    """Product and company of a file by its version resource, in brackets; empty if it does not tell."""
    texts = [taken.image.version_text(key) for key in ("ProductName", "CompanyName")] if taken.image else []
    named = ", ".join(dict.fromkeys(text for text in texts if text))
    return f" ({named})" if named else ""


def read(path: str) -> Image | None:
    """The image of a file, None if it is none or cannot be read."""
    try:
        return image.read(path)
    except image.UnreadableFile:
        return None


def version_of(file: Image | None) -> str:
    """The file version, in brackets; empty if it has none."""
    return f" (version {'.'.join(map(str, file.version))})" if file and file.version else ""


def whose(path: str | None, evidence: Evidence) -> Distribution | None:
    """The package that installed a file: conda's, or the distribution whose RECORD lists it."""
    environment = evidence.target.environment
    if not path:
        return None
    if environment is not None and environment.conda and _is_in(path, environment.prefix):
        return wheel.conda_package_of(path, environment.prefix) or wheel.distribution_of(path)
    return wheel.distribution_of(path)


def of_whom(path: str | None, evidence: Evidence) -> str:
    """The same for the end of a fact; empty if nobody is known to have installed it."""
    found = whose(path, evidence)
    return f" of {found}" if found else ""


def update(packages: Sequence[Distribution], evidence: Evidence) -> str:
    """The command that brings packages up to date; empty if they are not all of one installer."""
    names = " ".join(package.name for package in packages)
    by_conda = {package.installer == "conda" for package in packages}
    if len(by_conda) != 1:
        return ""
    return f"conda update {names}" if by_conda == {True} else f"{commands.pip(evidence)} install --upgrade {names}"


# ---- inside -------------------------------------------------------------------------------------------------------


def _told(copy: Copy, evidence: Evidence) -> str:
    """Path, version, whose it is, and whether the search gets there."""
    found = f"{copy.path}{version_of(copy.image)}{of_whom(copy.path, evidence)}"
    if not copy.place.is_real:
        found += ", as every Windows of this kind has it" if copy.place.system else ", as its installer brings it"
    return found + ("" if copy.searched else ", not searched")


def _remedy(taken: Module, importer: Module, better: Copy, evidence: Evidence) -> Remedy:
    path, theirs, mine = taken.path or "", whose(taken.path, evidence), whose(importer.path, evidence)
    if is_foreign(taken, evidence):
        return _of_a_program(taken, better, evidence)
    if taken.status == "system":
        text = (
            "The copy that is taken is a part of Windows and stays: load the right copy before the import, in Python:"
        )
        return Remedy(text, _load(better))
    if is_loaded_before(taken):
        mine = whose(better.path, evidence)
        first, then = "the package that brings the right copy", "the one whose copy is taken"
        if mine and theirs:
            first, then = mine.name, theirs.name
        text = f"Import {first} before {then}, or update the latter."
    elif theirs and mine and theirs.installer == "conda" and mine.installer != "conda":
        return Remedy(
            f"Install {mine.name} with conda too, or use it in an environment without conda: the copy that is taken "
            "is conda's."
        )
    elif better.place.system:
        text = f"Take this directory off the search, so that Windows' own file is found: {os.path.dirname(path)}"
    elif taken.rule is not None and taken.rule.name == "PATH":
        text = f"Take this directory off PATH, or put that of the right copy before it: {os.path.dirname(path)}"
    else:
        text = f"Update or remove what this copy belongs to: {path}"
    return Remedy(text, update([theirs] if theirs else [], evidence))


def _of_a_program(taken: Module, better: Copy, evidence: Evidence) -> Remedy:
    """The program keeps its file, in a version that fits; until then the right copy goes first."""
    environment, python = evidence.target.environment, evidence.target.python
    rights = " as administrator" if evidence.host.administrator is False else ""
    text = f"Update or uninstall{rights} the program that put this copy there{owner(taken)}"
    if environment is not None and environment.conda and python is not None and python.minor < _OLD_CONDA:
        text += "; until then, in a new prompt:"
        return Remedy(text, "conda env config vars set CONDA_DLL_SEARCH_MODIFICATION_ENABLE=1")
    if better.image is None:
        return Remedy(f"{text}.")
    return Remedy(f"{text}; until then, first in Python:", _load(better))


def _load(better: Copy) -> str:
    """What a process has loaded by its full path answers to its name from then on (windows-loader 1.4)."""
    return f"import ctypes; ctypes.WinDLL({better.path!r})"


def _older(taken: Module, importer: Module, newer: Copy, evidence: Evidence) -> Finding:
    loaded = is_loaded_before(taken)
    return Finding(
        "already-loaded" if loaded else "shadowed",
        "warning",
        taken.name,
        f"{importer.name} gets an older {taken.name} than its own: what only the newer one can do will fail.",
        needed_by=importer.name,
        evidence=(
            *taken_facts(taken, evidence),
            f"newer, and its own: {_told(newer, evidence)}",
            *evidence.chain(taken),
        ),
        remedy=_remedy(taken, importer, newer, evidence),
    )


def _is_of_others(name: str, evidence: Evidence) -> bool:
    """Runtimes and Python's own DLLs have findings of their own."""
    return runtimes.supplier(name, evidence.target.architecture) is not None or build_of_dll(name) is not None


def _is_newer(copy: Image, taken: Image | None) -> bool:
    """By its first two numbers; by all of them if it is another product."""
    if taken is None or copy.version is None or taken.version is None:
        return False
    products = {copy.version_text("ProductName"), taken.version_text("ProductName")}
    numbers = 4 if len(products) == 2 and "" not in products else 2
    return copy.version[:numbers] > taken.version[:numbers]


def _has_all(copy: Copy, edges: Sequence[Edge], evidence: Evidence) -> bool:
    """Whether a copy has every symbol that the importers of the taken one miss; an assumed one is taken to."""
    if not copy.place.is_real:
        return True
    if copy.image is None or copy.image.fatal_defects or not copy.image.has_exports:
        return False
    for edge in edges:
        importer = evidence.graph.modules[edge.importer].image
        if edge.source is None:
            if any(copy.image.lookup(symbol) is None for symbol in edge.unresolved):
                return False
        elif importer is None or importer.match(edge.source, copy.image)[0]:
            return False
    return True


def _together(evidence: Evidence) -> Iterator[list[str]]:
    """OpenMP runtimes that are in one process, each list those of one: as it was seen, else as it is predicted."""
    load, before = evidence.load, evidence.target.loaded
    if load is not None and load.mapped:
        for process in dict.fromkeys(one.process for one in load.mapped):
            yield _openmp(one.path for one in load.mapped if one.process == process)
    elif load is not None and load.modules:
        yield _openmp([*before, *load.modules])
    else:
        static = [found for found in evidence.graph.modules if found.status == "found" and not found.delayed]
        yield _openmp([*before, *(found.path or "" for found in static if _is_openmp(found.name.lower()))])


def _openmp(paths: Iterable[str]) -> list[str]:
    found = [path for path in paths if _is_openmp(base_name(path).lower())]
    return list({_identity(path): path for path in found}.values()) if len(found) > 1 else found


@lru_cache(maxsize=4096)
def _is_openmp(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in tables.table("conflicts.toml")["openmp"]["dlls"])


def _folder_key(module: Module) -> str:
    return _directory_key_of(module.path or "")


@lru_cache(maxsize=4096)
def _directory_key_of(path: str) -> str:  # each tree asks it of each module
    return _key(os.path.dirname(path))


def _is_in(path: str, directory: str) -> bool:
    return (_key(path) + "/").startswith(_key(directory) + "/")


def _keys(places: Iterable[Directory]) -> set[str]:
    return {_key(place.path) for place in places}


def _key(path: str) -> str:
    return path.replace("\\", "/").rstrip("/").lower()


def _identity(path: str) -> object:
    """Two paths to one file are one copy."""
    found = files.identity(path)
    return _key(found) if isinstance(found, str) else found
