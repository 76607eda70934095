"""Where a DLL is that no directory of the search has, and what leaves that place out."""

from __future__ import annotations

import contextlib
import os
import re
from fnmatch import fnmatchcase
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from depwalk import files, image, tables
from depwalk.finding import Remedy
from depwalk.graph import SEARCH_FLAGS
from depwalk.target import environment
from depwalk.target.api_sets import is_api_set
from depwalk.target.directory import Directory
from depwalk.target.python import build_of_dll

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.target.environment import Environment

_MOST = 2000  # directories of a package that are looked into
HASHED = re.compile(r"(.+)-[0-9a-f]{6,64}\.dll", re.IGNORECASE)  # what packaging tools make of a name
_SHOWN = 3  # files of other names


class Place(NamedTuple):
    """A directory outside the search."""

    path: str
    why: str  # what leaves it out
    remedy: Remedy
    own: bool = False  # it belongs to the Python environment itself


class Copy(NamedTuple):
    """A file of the name that is looked for."""

    path: str
    place: Place
    flaw: str  # why it would not do; empty if it would


def copies(module: Module, evidence: Evidence) -> list[Copy]:
    """The files of a missing module's name out of reach, the likeliest first. No file stands for an API set."""
    key = copies, module.id
    if key not in evidence.asked:
        evidence.asked[key] = _copies(module, evidence)
    found: list[Copy] = evidence.asked[key]
    return found


def _copies(module: Module, evidence: Evidence) -> list[Copy]:
    if module.reason or is_api_set(module.name):
        return []
    tried = {_key(tried.rule.directory.path) for tried in module.tried if tried.rule.directory is not None}
    found: dict[str, Copy] = {}
    for place in _places(module, evidence):
        path, key = Directory(place.path).find(module.name), _key(place.path)
        if path is not None and key not in tried:
            found.setdefault(key, Copy(path, place, _flaw(path, module, evidence)))
    return list(found.values())


def renamed(name: str, evidence: Evidence) -> Iterable[str]:
    """Facts on copies that a packager gave a name with a hash: they satisfy nobody but their own package."""
    stem = os.path.splitext(name)[0].lower()
    directories = [*_libraries(evidence), os.path.dirname(evidence.graph.root.path or "")]
    found = ((file, directory) for directory in directories for file in _renamed_in(directory).get(stem, ()))
    for file, directory in islice(found, _SHOWN):
        yield f"{file} in {directory} does not count: it answers to that name only"


def named_by_ctypes(evidence: Evidence) -> Iterable[str]:
    """A fact where ctypes said that a file was not found, and it is one that the file needs."""
    fatal, root = evidence.imported.fatal if evidence.imported else None, evidence.graph.root
    if fatal is not None and fatal.by_ctypes and root.image is not None:
        yield f"{root.path} itself is there, whatever the exception says: it is a DLL that it needs that is not"


def add(directory: str, evidence: Evidence) -> Remedy:
    """The way to have a directory searched: since Python 3.8 by the program, before by PATH."""
    python = evidence.target.python
    if python is None or not python.restricts_search:
        return Remedy("Put the directory on PATH before the program is started:", f"set PATH={directory};%PATH%")
    return Remedy(
        "Add the directory before the import, in Python:",
        'import os; os.add_dll_directory(r"' + directory.rstrip("\\") + '")',  # no backslash before the quote
        "https://docs.python.org/3/library/os.html#os.add_dll_directory",
    )


# ---- the places --------------------------------------------------------------------------------------------------


def _places(module: Module, evidence: Evidence) -> Iterator[Place]:
    yield from _beside(module, evidence)
    yield from _near_added(evidence)
    yield from _of_the_python_inside(evidence)
    yield from _of_the_package(module, evidence)
    yield from _of_the_environment(evidence)
    yield from _on_path(module, evidence)


def _beside(module: Module, evidence: Evidence) -> Iterator[Place]:
    """The directories of its importers."""
    root = evidence.graph.root.name
    for edge in evidence.graph.needed_by(module):
        importer = evidence.graph.modules[edge.importer]
        if importer.image is None or importer.path is None:
            continue
        directory = os.path.dirname(importer.path)
        if importer.image.dependent_load_flags & SEARCH_FLAGS and evidence.target.windows.emulator is None:
            text = f"Use a build of {importer.name} without /DEPENDENTLOADFLAG, or load {module.name} first."
            why = f"{importer.name} is linked with DependentLoadFlags, which restrict the search for what it needs"
            yield Place(directory, why, Remedy(text))
        elif importer.id == evidence.graph.root.id:
            why = "LoadLibrary without flags leaves out the directory of the file it loads"
            text = "Load it with LoadLibraryEx and LOAD_WITH_ALTERED_SEARCH_PATH, or by an import."
            yield Place(directory, why, Remedy(text))
        else:
            why = f"only the directory of {root} itself is, not that of the DLLs it needs"
            yield Place(directory, why, add(directory, evidence))


def _near_added(evidence: Evidence) -> Iterator[Place]:
    """The `bin` that a directory was added without, or with once too often."""
    for added in evidence.target.added_directories:
        below, above = os.path.join(added, "bin"), os.path.dirname(added)
        yield Place(below, f"{added} is added in its place", add(below, evidence))
        if os.path.basename(added).lower() == "bin" and not Directory(added).exists:
            yield Place(above, f"{added} is added in its place, and does not exist", add(above, evidence))


def _of_the_python_inside(evidence: Evidence) -> Iterator[Place]:
    """The home of a Python that another program than python.exe has in itself."""
    program = evidence.target.python.directory.path if evidence.target.python else ""
    for path in evidence.target.loaded:
        directory = os.path.dirname(path)
        if build_of_dll(os.path.basename(path)) is not None and _key(directory) != _key(program):
            why = f"only the directory of the program is, {program}, not that of the Python inside it"
            yield Place(directory, why, add(directory, evidence), own=True)


def _of_the_package(module: Module, evidence: Evidence) -> Iterator[Place]:
    """The other directories of the package in which the file lies, and what a packager put beside it."""
    if _package not in evidence.asked:
        evidence.asked[_package] = _package(evidence)
    beside, folders = evidence.asked[_package]
    yield from beside
    why = f"only that of {evidence.graph.root.name} itself is, not the others of its package"
    for folder in folders.get(module.name.lower(), ()):
        yield Place(folder, why, add(folder, evidence))


def _package(evidence: Evidence) -> tuple[list[Place], Mapping[str, list[str]]]:
    """What a packager put beside the package in which the file lies, and which directories of it have which names."""
    root, site = evidence.graph.root, _site(evidence)
    if site is None or root.path is None:
        return [], {}
    top = os.path.relpath(root.path, site).split(os.sep)[0]
    names = {top.partition(".")[0], evidence.distribution.name if evidence.distribution else ""}
    beside = []
    for library in _libraries(evidence):
        if os.path.basename(library)[: -len(".libs")].replace("-", "_") in {one.replace("-", "_") for one in names}:
            found = add(library, evidence)
            why = "its package does not add it, or is not imported"
            text = "Reinstall the package, or add the directory as follows:"
            beside.append(Place(library, why, Remedy(text, found.command, found.url)))
    return beside, _folders_with(os.path.join(site, top))


def _site(evidence: Evidence) -> str | None:
    """What the file is imported from: a site-packages, or whatever a distribution was unpacked into."""
    path = os.path.abspath(evidence.graph.root.path or "")
    unpacked = (found.site for found in evidence.installations if path.startswith(os.path.join(found.site, "")))
    return environment.site_of(path) or next(unpacked, None)


@files.remembered
def _folders_with(package: str) -> Mapping[str, list[str]]:
    """Lower-case name -> the directories of a package that have it."""
    found: dict[str, list[str]] = {}
    for folder, folders, names in islice(files.walk(package), _MOST):
        for name in (*folders, *names):
            found.setdefault(name.lower(), []).append(folder)
    return found


def _of_the_environment(evidence: Evidence) -> Iterator[Place]:
    for around in _environments(evidence):
        for path, row in around.dll_directories():
            fields = {"directory": path, "prefix": around.prefix, "base": around.base}
            remedy = add(path, evidence)
            if "update" in row:
                remedy = Remedy(row["remedy"], _update(row["update"], around))
            elif "remedy" in row:
                remedy = Remedy(row["remedy"], row.get("command", remedy.command).format(**fields))
            yield Place(path, row["why"].format(**fields), remedy, row.get("own", False))


def _environments(evidence: Evidence) -> Iterator[Environment]:
    """That of the Python that loads the file, and that in which the file lies if it is another."""
    loading, path = evidence.target.environment, evidence.graph.root.path
    if loading is not None:
        yield loading
    if _environments not in evidence.asked:
        evidence.asked[_environments] = environment.around(None, path, loading.variables if loading else {})
    own: Environment | None = evidence.asked[_environments]
    if own is not None and (loading is None or _key(own.prefix) != _key(loading.prefix)):
        yield own


def _on_path(module: Module, evidence: Evidence) -> Iterator[Place]:
    python = evidence.target.python
    if python is None or not python.restricts_search:
        return
    why = "it is on PATH, which CPython does not search for imports since version 3.8"
    for entry in evidence.target.path:
        yield Place(entry, why, told(module.name, entry, on_path=True) or add(entry, evidence))


def told(name: str, directory: str, *, on_path: bool) -> Remedy | None:
    """How a program that adds directories itself is told to; None if none is known to."""
    for row in tables.table("places.toml")["told"]:
        if row["on_path"] == on_path and any(fnmatchcase(name.lower(), pattern) for pattern in row["dlls"]):
            return Remedy(row["remedy"], row["command"].format(directory=directory), row["url"])
    return None


def _update(package: str, around: Environment) -> str:
    installs = {"conda": "conda update", "pip": "python -m pip install --upgrade"}
    return f"{installs[around.package_manager]} {package}"


# ---- the files ---------------------------------------------------------------------------------------------------


def _flaw(path: str, module: Module, evidence: Evidence) -> str:
    try:
        copy = image.read(path)
    except image.UnreadableFile:
        return "it cannot be read, or is no DLL"
    target = evidence.target
    if copy.fatal_defects:
        return "it is damaged"
    if not copy.runs_in(target.architecture, target.windows.architecture):
        return f"it is {copy.architecture}, but the process is {target.architecture}"
    for edge in evidence.graph.needed_by(module):
        importer = evidence.graph.modules[edge.importer]
        lacking = importer.image.match(edge.source, copy)[0] if importer.image and edge.source else []
        if lacking:
            return f"it lacks {lacking[0].symbol}, which {importer.name} needs"
    return ""


def _libraries(evidence: Evidence) -> list[str]:
    """The directories in which repaired wheels have their DLLs: PACKAGE.libs in each site-packages."""
    if _libraries not in evidence.asked:
        sites = dict.fromkeys(site for around in _environments(evidence) for site in around.sites)
        evidence.asked[_libraries] = [library for site in sites for library in _libraries_in(site)]
    found: list[str] = evidence.asked[_libraries]
    return found


@files.remembered
def _libraries_in(site: str) -> list[str]:
    return [os.path.join(site, name) for name in environment.folders(site) if name.lower().endswith(".libs")]


@files.remembered
def _renamed_in(directory: str) -> dict[str, list[str]]:
    """Lower-case name without the hash -> files."""
    found: dict[str, list[str]] = {}
    with contextlib.suppress(OSError):
        for name in files.names(directory) if directory else ():
            match = HASHED.fullmatch(name)
            if match:
                found.setdefault(match[1].lower(), []).append(name)
    return found


def _key(path: str) -> str:
    return os.path.normcase(os.path.normpath(path))
