"""What an installed package says, in its own Python source, about the DLLs of its extension modules.

Nothing is imported or executed: the source is parsed, and followed as an import on Windows would run it. So this works
on any system, for a Windows site-packages that lies anywhere.
"""

from __future__ import annotations

import contextlib
import os
import re
from itertools import takewhile
from typing import TYPE_CHECKING, NamedTuple

from depwalk import files, wheel
from depwalk.package.places import Finder, extensions_below, standard_modules
from depwalk.package.run import Added, Moment, Preload, Run

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Added", "Extension", "Found", "Package", "PackageNotFound", "Preload", "directories_for", "find"]

# Of one file's import: what it adds to the search is near the top of its packages, and of those that these import.
_MOST_FILES = 1000
_DEEPEST_IN_OTHERS = 2
_MOST_TURNS = 2  # for different files of one package, each to where that is loaded
_LONG = 100  # files: of packages within one another, those with a longer import are followed together
_LONGEST_PTH = 65_536  # characters


class PackageNotFound(ValueError):  # noqa: N818  (as FileNotFound)
    """No such module for Windows in the given directories; says so in one sentence, for a person."""


class Package(NamedTuple):
    """The import of one file: what its packages add to the DLL search before it is loaded, and load themselves.

    `name` is its dotted name, or for a plain DLL that of its package ("" without one). `complete`: all that could run
    was followed. `missing` are modules that are imported and are not in `site`; `notes` are sentences.
    """

    site: str
    name: str
    added: tuple[Added, ...]
    preloads: tuple[Preload, ...]
    complete: bool
    missing: tuple[str, ...]
    notes: tuple[str, ...]
    sources: tuple[str, ...] = ()  # files that were read


class Extension(NamedTuple):
    """An extension that an import loads, with what had been added and loaded when it was reached.

    `source` is the line that imports it, "" where none does.
    """

    module: str
    path: str
    source: str
    added: tuple[Added, ...]
    preloads: tuple[Preload, ...]
    optional: bool = False  # the import goes on without it: its failure is caught, or nothing seen imports it


class Found(NamedTuple):
    """An importable name: "package" (`path` is its directory), "module" or "extension" (`path` is the file).

    `extensions` stand in the order in which importing it reaches them. If none of its own is reached though it has
    some, `reached` is False and those follow, sorted. `added` and `preloads` are all that the import adds and loads.
    """

    name: str
    kind: str
    path: str
    extensions: tuple[Extension, ...]
    reached: bool
    added: tuple[Added, ...]
    preloads: tuple[Preload, ...]
    complete: bool
    missing: tuple[str, ...]
    notes: tuple[str, ...]


def directories_for(
    path: str,
    *,
    prefix: str | None = None,
    minor: int | None = None,
    architecture: str | None = None,
    wanted: Sequence[Sequence[str]] = (),
) -> Package:
    """What is added to the DLL search before the extension or DLL at `path` is loaded, by importing it.

    `wanted`, if it is given, has for each DLL that is asked about the files that would do: no more than what makes one
    of each be found is looked for. It would be imported by Python 3.`minor` for `architecture` ("x64", "x86", "arm64")
    with this `prefix`; what depends on one that is not given stays undecided or unknown.
    """
    full = os.path.abspath(path)
    site = _site_of(os.path.dirname(full))
    *folders, file = os.path.relpath(full, site).split(os.sep)
    is_module = file.lower().endswith(".pyd") and all(folder.isidentifier() for folder in folders)
    name = ".".join([*folders, file.partition(".")[0]]) if is_module else _package_of(site, folders)
    package = name.rpartition(".")[0] if is_module else name
    first = _packages_beside(site, full) if is_module and not package else ()
    imports = _imports_of(site, package, first, prefix, minor, architecture)
    run = imports.until(name, name if is_module else full, wanted)
    when, added, preloads = _at(run, name, full, wanted)
    added = [*added, *_conventions(run, name.partition(".")[0], when)]
    return Package(
        site,
        name,
        tuple(added),
        tuple(preloads),
        run.complete,
        tuple(run.missing),
        tuple(run.notes),
        tuple(run.sources[: when.sources]),
    )


@files.remembered
def _imports_of(
    site: str, package: str, first: tuple[str, ...], prefix: str | None, minor: int | None, architecture: str | None
) -> _ImportsOfPackage:
    return _ImportsOfPackage(site, package, first, prefix, minor, architecture)


def _packages_beside(site: str, path: str) -> tuple[str, ...]:
    """The packages of the distribution of a top-level module: one of them imports it, since nobody else knows it."""
    owner = wheel.owners([path]).get(path)
    listed = wheel.listed_in(owner.folder)[0] if owner else ()
    tops = {name.partition("/")[0] for name in listed if name.endswith("/__init__.py") and name.count("/") == 1}
    with contextlib.suppress(OSError):
        return tuple(sorted(name for low, name in files.listing(site).items() if low in tops))
    return ()


class _ImportsOfPackage:
    """The imports of a package's files, which share what runs before them."""

    def __init__(
        self,
        site: str,
        package: str,
        first: tuple[str, ...],
        prefix: str | None,
        minor: int | None,
        architecture: str | None,
    ) -> None:
        self.package = package
        self.sites, at_start, self.lines = _with_pth((site,))
        self.imports = (*at_start, *first)
        self.python = prefix, minor, architecture
        self.run: Run | None = None
        self.turns = 0
        self.is_long = False  # the import of a module of the package, or of one within it
        top = package.partition(".")[0]
        self.top = _imports_of(site, top, first, *self.python) if top != package else self

    def until(self, name: str, stop: str, wanted: Sequence[Sequence[str]]) -> Run:
        """The import of `name`, followed at least to where the module or file `stop` is loaded, or `wanted` found."""
        whole = self.top.whole(stop) if self.top is not self and self.top.is_long else None
        if whole is not None:
            return whole
        while self.run is None or not self._is_enough(self.run, stop, wanted):
            last = self.turns >= _MOST_TURNS
            self.run = self._follow(self.package, "", ()) if last else self._follow(name, stop, wanted)
            self.turns += self.run.found(wanted) is None  # what is found soon may be looked for again
            self.top.is_long = self.top.is_long or len(self.run.sources) > _LONG
        return self.run

    def whole(self, stop: str) -> Run | None:
        """The import of the package alone, which comes before all in it; None if there is more to learn of `stop`."""
        if self.run is None or self.run.stopped:
            self.run = self._follow(self.package, "", ())
        return self.run if _is_reached(self.run, stop) or self.run.exhausted else None

    def _is_enough(self, run: Run, stop: str, wanted: Sequence[Sequence[str]]) -> bool:
        return not run.stopped or _is_reached(run, stop) or run.found(wanted) is not None

    def _follow(self, name: str, stop: str, wanted: Sequence[Sequence[str]]) -> Run:
        prefix, minor, architecture = self.python
        run = Run(self.sites, Finder(minor, architecture), prefix, minor, architecture, stop, wanted=wanted)
        run.most_files, run.deepest_in_others = _MOST_FILES, _DEEPEST_IN_OTHERS
        if name:
            run.follow(*self.imports, name, started=self.lines)
        run.forget()
        return run


def _is_reached(run: Run, stop: str) -> bool:
    return os.path.normcase(stop) in run.loaded_after or any(stop == one.module for one in run.extensions)


def _at(
    run: Run, name: str, path: str, wanted: Sequence[Sequence[str]]
) -> tuple[Moment, Sequence[Added], Sequence[Preload]]:
    """When a module, or the file at a path, is loaded, or before that each of `wanted` is found; what is there by then.

    The end if neither is. How far the import was followed makes no difference: others may have asked for more.
    """
    found = run.found(wanted)
    reached = next((one for one in run.extensions if one.module == name), None)
    loaded = reached.when if reached else run.loaded_after.get(os.path.normcase(path))
    if reached is not None and (found is None or reached.when < found):
        return reached.when, reached.added, reached.preloads
    when = min((one for one in (found, loaded) if one is not None), default=run.now)
    return when, run.added[: when.added], run.preloads[: when.preloads]


def find(
    name: str,
    sites: Sequence[str],
    *,
    prefix: str | None = None,
    minor: int | None = None,
    architecture: str | None = None,
    most: int = 1000,
) -> Found:
    """Where the module `name` lies in these site directories, and the extensions that importing it loads.

    For `prefix`, `minor` and `architecture` see directories_for; of several extensions of one module that for this
    Python is taken. After `most` extensions no more are looked for. Raises PackageNotFound.
    """
    directories = tuple(os.path.abspath(site) for site in sites)
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name):
        raise PackageNotFound(f"{name!r} is not the name of a module.")
    directories, imports, lines = _with_pth(directories)
    run = Run(directories, Finder(minor, architecture), prefix, minor, architecture, stop=name, most=most)
    run.follow(*imports, name, started=lines)
    module = run.modules.get(name)
    if module is None:
        raise PackageNotFound(_not_found(name, run))
    kind = "package" if module.directories else "module"
    path = module.directories[0] if module.directories else module.path
    conventions = {top: _conventions(run, top, run.now) for top in {one.partition(".")[0] for one in run.modules}}
    added = (*run.added, *(one for top in conventions.values() for one in top))
    preloads = tuple(run.preloads)
    extensions = []
    for one in run.extensions:
        by_convention = conventions.get(one.module.partition(".")[0], [])
        extensions.append(
            Extension(one.module, one.path, one.source, (*one.added, *by_convention), tuple(one.preloads), one.optional)
        )
    if any(one.path == module.path for one in extensions):
        kind = "extension"
    own = [path, *(one for star in module.stars if star in run.modules for one in run.modules[star].directories)]
    is_own = any(_is_below(one.path, directory) for one in extensions for directory in own)
    below, foreign = ([], False) if is_own else extensions_below(path, run.finder, most=most)
    for file in below:
        dotted = [*name.split("."), *os.path.relpath(file, path).split(os.sep)]
        dotted[-1] = dotted[-1].partition(".")[0]
        extensions.append(Extension(".".join(dotted), file, "", added, preloads, optional=True))
    if (foreign or run.foreign) and not extensions:
        raise PackageNotFound(
            f"{name} in {path} is not for Windows: its extensions are for another system; "
            "--site names the site-packages directory of a Windows Python."
        )
    return Found(
        name,
        kind,
        path,
        tuple(extensions),
        not below,
        added,
        preloads,
        run.complete,
        tuple(one for one in run.missing if one != name),
        tuple(run.notes),
    )


@files.remembered
def _with_pth(sites: tuple[str, ...]) -> tuple[tuple[str, ...], list[str], list[tuple[str, str]]]:
    """The sites, what their .pth files add to them, and the modules and lines that these run at start-up (site.py)."""
    directories, imports, lines = list(sites), [], []
    for site in sites:
        for name in files.names_in(site):
            if not name.endswith(".pth"):
                continue
            with contextlib.suppress(OSError):
                for line in files.text(os.path.join(site, name), _LONGEST_PTH).splitlines():
                    imported = re.match(r"import\s+(\w+)", line)
                    path = os.path.join(site, line.strip().replace("\\", os.sep))
                    if imported:
                        imports += [imported[1]] if imported[1] not in standard_modules() else []
                        lines.append((line, os.path.join(site, name)))
                    elif line.strip() and not line.startswith("#") and files.is_directory(path):
                        directories.append(path)
    return tuple(dict.fromkeys(directories)), imports, lines


def _not_found(name: str, run: Run) -> str:
    where = ", ".join(run.sites) or "no directory at all"
    parent = name.rpartition(".")[0]
    while parent and parent not in run.modules:
        parent = parent.rpartition(".")[0]
    if parent:
        module = run.modules[parent]
        return f"{parent} is in {module.path or module.directories[0]}, but it has no module {name}."
    return f"There is no module {name.partition('.')[0]} in {where}; --site names the directory that has it."


def _is_below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(os.path.join(directory, ""))


@files.remembered
def _site_of(directory: str) -> str:
    """The directory from which files are imported: site-packages, an unpacked wheel, or what holds their package."""
    outermost = directory
    while True:
        if files.is_file(os.path.join(directory, "__init__.py")):
            outermost = os.path.dirname(directory)
        parent = os.path.dirname(directory)
        name = os.path.basename(directory).lower()
        if name in ("site-packages", "dist-packages") or any(_distributions(directory)):
            return directory
        if parent == directory:
            return outermost
        directory = parent


@files.remembered
def top_of(path: str) -> tuple[str, str]:
    """Where a file is imported from, and the top-level package it is of: numpy for what is in numpy.libs, too."""
    site = _site_of(os.path.dirname(path))
    top = path[len(site) + 1 :].partition(os.sep)[0]
    return site, top.removesuffix(".libs")


def _package_of(site: str, folders: list[str]) -> str:
    """The package that a DLL belongs to, by where it lies: torch for torch/lib, numpy for numpy.libs."""
    if folders and folders[0].endswith(".libs"):
        return folders[0][: -len(".libs")]
    packages = list(
        takewhile(
            lambda depth: files.is_file(os.path.join(site, *folders[:depth], "__init__.py")),
            range(1, len(folders) + 1),
        )
    )
    return ".".join(folders[: len(packages)])


@files.remembered
def _distributions(site: str) -> tuple[str, ...]:
    return tuple(name for name in files.names_in(site) if name.endswith(".dist-info"))


def _conventions(run: Run, package: str, when: Moment) -> list[Added]:
    """`NAME.libs` beside a package that no source adds by then: wheel repair tools put a distribution's DLLs there.

    Where a source names it, that is followed instead, unless what it adds could not be told.
    """
    found, never = [], len(run.sources) + 1
    for directory in (directory for site in run.sites for directory in _libs_of(site, package)):
        name = os.path.basename(directory)
        known = any(os.path.normcase(one.directory) == os.path.normcase(directory) for one in run.added[: when.added])
        is_mentioned = run.mentioned.get(name.lower(), never) <= when.sources
        if not known and (not is_mentioned or when.untold):
            found.append(Added(directory, f"convention: {name}", ""))
    return found


@files.remembered
def _libs_of(site: str, package: str) -> tuple[str, ...]:
    """The directories `NAME.libs` of a site that are of a package, or of the distribution that brings it."""
    names = (name for name in files.names_in(site) if name.lower().endswith(".libs"))
    own = (os.path.join(site, name) for name in names if _belongs(site, name[: -len(".libs")], package))
    return tuple(directory for directory in own if files.is_directory(directory))


def _belongs(site: str, distribution: str, package: str) -> bool:
    """Whether a distribution is, or by its RECORD brings, this package."""
    if distribution == package:
        return True
    folder = _folder_of(site).get(wheel.normalised(distribution))
    return folder is not None and package.lower() in wheel.listed_in(os.path.join(site, folder))[1]


@files.remembered
def _folder_of(site: str) -> dict[str, str]:
    """The metadata of each distribution by its name in one spelling; of several the first."""
    return {wheel.normalised(folder.partition("-")[0]): folder for folder in reversed(_distributions(site))}
