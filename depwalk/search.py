"""The loader's search for one DLL name: an ordered tuple of rules, and the walk along it.

The order is data. Each rule names the section of the specification (windows-loader) that it comes from.
"""

from __future__ import annotations

import ntpath
import os
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal, NamedTuple

from depwalk import files, image, runtimes, tables
from depwalk.target import Directory, Setting
from depwalk.target.api_sets import is_api_set, is_named_as_one

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from depwalk.image import Image
    from depwalk.target import Target

Status = Literal["found", "system", "api-set", "missing", "wrong-architecture", "corrupt", "blocked"]
Step = Literal["api-set", "side-by-side", "loaded", "known-dlls", "directory"]

APPLICATION_DIR, DLL_LOAD_DIR, USER_DIRS, SYSTEM32, DEFAULT_DIRS = 0x200, 0x100, 0x400, 0x800, 0x1000
ALTERED = 0x8
PYTHON_IMPORT = DEFAULT_DIRS | DLL_LOAD_DIR
WINDOWS_10 = (10, 0, 0)  # the first with the Universal C Runtime
INFERRED = "added by its package (inferred)"  # name of the rule


class Rule(NamedTuple):
    """One step of the search."""

    step: Step
    name: str  # for a person
    source: str  # section of the specification
    directory: Directory | None = None  # that is searched; None for a step that is no directory


class Order(tuple[Rule, ...]):  # noqa: SLOT001  (a tuple can have no slots, and what is remembered needs a place)
    """Rules in the order in which they are followed, for one target.

    `of_process`: those whose answer depends on the process and on who asks.
    `answers`: what the others have for a name, which is the same for every file that is searched for by them.
    `asked`: answers of those who search by it, by question.
    """

    of_process: tuple[Rule, ...]
    answers: dict[str, Resolution]
    asked: dict[Any, Any]

    def __new__(cls, rules: Iterable[Rule]) -> Order:
        made = super().__new__(cls, rules)
        made.of_process = tuple(rule for rule in made if rule.step in ("side-by-side", "loaded"))
        made.answers, made.asked = {}, {}
        return made


class Tried(NamedTuple):
    """A place that was searched in vain."""

    rule: Rule
    reason: str  # why it did not count


class Resolution(NamedTuple):
    """One name and the one file that the loader would take for it."""

    name: str  # as it was searched for, after API sets and redirection
    status: Status
    path: str | None = None
    rule: Rule | None = None
    image: Image | None = None  # None if there is none, or the file is only assumed
    reason: str = ""  # why it cannot be loaded; the error's text if it cannot be read
    tried: tuple[Tried, ...] = ()


@dataclass
class Process:
    """What the loader knows while it loads one tree: the modules that are in the process, and files already read."""

    target: Target
    loaded: dict[str, Resolution] = field(default_factory=dict)  # lower-case base name -> module
    images: dict[str, Image | str] = field(default_factory=dict)  # path -> image, or why there is none

    def read(self, path: str) -> Image | str:
        """The image of a file, or the sentence that says why it is none."""
        if path not in self.images:
            try:
                self.images[path] = image.read(path)
            except image.UnreadableFile as error:
                self.images[path] = str(error)
        return self.images[path]


# ---- the order ---------------------------------------------------------------------------------------------------

_BEFORE_DIRECTORIES = (
    Rule("api-set", "API set", "windows-loader 1.6"),
    Rule("side-by-side", "side-by-side redirection", "windows-loader 1.7"),
    Rule("loaded", "already loaded", "windows-loader 1.4"),
    Rule("known-dlls", "KnownDLLs", "windows-loader 1.5"),
)


def load_flags(target: Target, path: str) -> int:
    """The flags with which the target's Python calls LoadLibraryEx: to import a .pyd, by ctypes for others (1.12)."""
    if target.python is None:
        return 0
    if target.python.restricts_search:
        return PYTHON_IMPORT
    return ALTERED if path.lower().endswith(".pyd") else 0


def order(target: Target, path: str, image: Image) -> Order:
    """The rules for the static imports of a file that is loaded as such a file usually is (windows-loader 1.12)."""
    directory = _parent(path)
    if not image.is_dll and path.lower().endswith(".exe"):
        return _legacy_from(setting(target), directory, "directory of the program")
    flags = load_flags(target, path)
    if flags & PYTHON_IMPORT:
        return _by_flags(setting(target), flags, directory)
    if flags & ALTERED:
        return _legacy_from(setting(target), directory, "directory of the file")
    return _legacy_from(setting(target), None, "application directory")


def by_name(target: Target) -> Order:
    """The rules for a name without a directory that ctypes is given (windows-loader 1.12)."""
    if target.python is not None and target.python.restricts_search:
        return by_flags(target, DEFAULT_DIRS, "")
    return _legacy_from(setting(target), None, "application directory")


def delayed_order(target: Target, path: str) -> Order:
    """The rules for a DLL that is loaded on first use: the default order, without the importer's directory (1.8)."""
    is_program = target.python is None and path.lower().endswith(".exe")
    return _legacy_from(setting(target), _parent(path) if is_program else None, "application directory")


def by_flags(target: Target, flags: int, directory: str) -> Order:
    """The rules that LOAD_LIBRARY_SEARCH_... flags ask for (windows-loader 1.2, 1.3)."""
    return _by_flags(setting(target), flags, directory)


def setting(target: Target, *more: object) -> Setting:
    """What of a target decides the order, and what else decides a question."""
    return Setting(target, target.dll_dirs, target.inferred, target.path, target.cwd, target.runtimes, *more)


@files.remembered
def _by_flags(setting: Setting, flags: int, path: str) -> Order:
    target, directory = setting.target, Directory(path)
    if flags & DEFAULT_DIRS:
        flags |= APPLICATION_DIR | USER_DIRS | SYSTEM32
    rules = list(_BEFORE_DIRECTORIES)
    source = "windows-loader 1.2"
    if flags & DLL_LOAD_DIR:
        rules.append(Rule("directory", "directory of the file", source, directory))
    if flags & APPLICATION_DIR and target.python is not None:
        rules.append(Rule("directory", "application directory", source, target.python.directory))
    if flags & USER_DIRS:
        rules += [Rule("directory", "added directory", source, Directory(path)) for path in reversed(target.dll_dirs)]
        rules += [
            Rule("directory", INFERRED, found.source, Directory(found.path)) for found in reversed(target.inferred)
        ]
        if target.python is not None:
            added = target.python.added_directories
            rules += [Rule("directory", "added by conda", "windows-loader 1.12", Directory(path)) for path in added]
    if flags & SYSTEM32:
        rules += _system32(target)
    return Order(rules)


def _system32(target: Target) -> Iterable[Rule]:
    system32 = target.system_directories[0]
    yield Rule("directory", "System32", "windows-loader 1.2", system32)
    if target.python is not None and target.python.executable is None and target.windows.version < WINDOWS_10:
        _, names = runtimes.assumed_dlls("ucrt", target.architecture)
        updates = [row for row in tables.table("windows.toml")["update"] if row.get("runtime") == "ucrt"]
        names = {**names, **{dll: dll for row in updates for dll in row["dlls"]}}
        name = "System32, with the Universal C Runtime, without which CPython does not run"
        yield Rule("directory", name, "CPython 3.5 and later", Directory(system32.path, names, system=True))
    for choice in target.runtimes:
        label, names = runtimes.assumed_dlls(choice, target.architecture)
        yield Rule("directory", f"System32, with {label} assumed", "--with-runtime", Directory(system32.path, names))


@files.remembered
def _legacy_from(setting: Setting, path: str | None, name: str) -> Order:
    """The order without search flags from a directory on: None is that of the Python, if there is one."""
    own = setting.target.python.directory if setting.target.python else None
    first = Directory(path) if path is not None else own
    return Order((*_BEFORE_DIRECTORIES, *_legacy(setting.target, first, name)))


def _legacy(target: Target, first: Directory | None, first_name: str) -> Iterable[Rule]:
    """The order without search flags, SafeDllSearchMode on; ALTERED replaces the application directory (1.2)."""
    source = "windows-loader 1.2"
    if first is not None:
        yield Rule("directory", first_name, source, first)
    yield from _system32(target)
    yield Rule("directory", "System", source, target.system_directories[1])
    yield Rule("directory", "Windows directory", source, target.system_directories[2])
    if target.cwd is not None:
        yield Rule("directory", "current directory", source, Directory(target.cwd))
    for entry in legacy_path(target):
        yield Rule("directory", "PATH", source, Directory(_absolute(entry, target.cwd)))


def _absolute(entry: str, cwd: str | None) -> str:
    """A relative entry of PATH is relative to the current directory of the process."""
    relative = not (os.path.isabs(entry) or ntpath.isabs(entry))
    return os.path.join(cwd, entry) if relative and cwd is not None else entry


def legacy_path(target: Target) -> tuple[str, ...]:
    """PATH as a Python before 3.8 would have it: what programs add there, they put in front."""
    if target.python is None or target.python.restricts_search:
        return target.path
    return (*(found.path for found in reversed(target.inferred)), *target.dll_dirs, *target.path)


def path_entries(value: str, separator: str = os.pathsep) -> tuple[str, ...]:
    """PATH as the loader reads it: not expanded, quotes not stripped, so that such entries are dead (1.3)."""
    return tuple(entry for entry in value.split(separator) if entry)


# ---- the search --------------------------------------------------------------------------------------------------


def find(
    name: str, importer: str, rules: Order, process: Process, redirected: Mapping[str, str] | None = None
) -> Resolution:
    """Search for a name that `importer` (a base name) asks for; `redirected` is what its manifest redirects."""
    normal = _normalise(name)
    with_sets = not rules or rules[0].step == "api-set"
    wanted = _api_set_host(normal, importer, process.target) if with_sets else normal
    return wanted if isinstance(wanted, Resolution) else _find(wanted, rules, process, redirected)


def _find(wanted: str, rules: Order, process: Process, redirected: Mapping[str, str] | None) -> Resolution:
    wrong: Resolution | None = None
    for rule in rules.of_process:
        if rule.step == "side-by-side":
            path = redirected.get(base_name(wanted).lower()) if redirected else None
            redirection = _candidate(wanted, path, rule, process) if path else None
            if redirection is not None and redirection.status != "wrong-architecture":
                return redirection
            wrong = wrong or redirection
        else:
            loaded = process.loaded.get(wanted.lower())  # a name with a directory is not a base name
            if loaded is not None:
                return Resolution(wanted, loaded.status, loaded.path, rule, loaded.image)
    if wanted not in rules.answers:
        rules.answers[wanted] = _in_directories(wanted, rules, process)
    found = rules.answers[wanted]
    return found if wrong is None else _behind(wrong, found)


def _in_directories(name: str, rules: Order, process: Process) -> Resolution:
    """What the rules that are the same for every process, KnownDLLs and directories, have for a name."""
    tried: list[Tried] = []
    wrong: Resolution | None = None
    for rule in rules:
        found = None
        if rule.directory is not None:
            found = _in_directory(name, rule.directory, rule, process)
            if found is None:
                tried.append(Tried(rule, "not there" if rule.directory.exists else "no such directory"))
        elif rule.step == "known-dlls" and base_name(name).lower() in process.target.windows.known_dlls:
            found = _in_directory(name, process.target.system_directories[0], rule, process)
        if found is not None and found.status != "wrong-architecture":
            return found._replace(tried=tuple(tried)) if tried else found
        if found is not None:  # does not stop the search (1.3)
            wrong = wrong or found
            tried.append(Tried(rule, found.reason))
    if wrong is not None:
        return wrong._replace(tried=tuple(tried))
    return Resolution(name, "missing", tried=tuple(tried))


def _behind(wrong: Resolution, found: Resolution) -> Resolution:
    """What a search ends with that has passed over a redirection to a file of another architecture."""
    assert wrong.rule is not None
    tried = (Tried(wrong.rule, wrong.reason), *found.tried)
    return (wrong if found.status in ("missing", "wrong-architecture") else found)._replace(tried=tried)


@lru_cache(maxsize=65536)
def _normalise(name: str) -> str:
    """Without an extension a name means .dll; a final dot says that it has none (1.1)."""
    stripped = name.rstrip(" ")
    base = base_name(stripped)
    if base.endswith("."):
        return stripped[:-1]
    return stripped if "." in base else stripped + ".dll"


def _api_set_host(name: str, importer: str, target: Target) -> str | Resolution:
    """The name to go on with, or the end of the search: a set without a host is not searched for (1.1, 1.6)."""
    if not is_api_set(name):
        return name
    host = target.windows.api_sets.host(name, importer)
    if host:
        return host
    if host == "":
        return Resolution(name, "missing", reason=f"{target.windows.label} knows this API set and has no host for it")
    if not target.windows.api_sets.complete and is_named_as_one(name):
        return Resolution(name, "api-set", reason=f"not known whether {target.windows.label} has this API set")
    return name


def _in_directory(name: str, directory: Directory, rule: Rule, process: Process) -> Resolution | None:
    """What a directory has for a name; None without any."""
    path = directory.find(name)
    if path is None:
        return None
    if directory.is_real:
        return _candidate(name, path, rule, process)
    return Resolution(name, "system" if directory.system else "found", path, rule)


def _candidate(name: str, path: str, rule: Rule, process: Process) -> Resolution:
    """A file that is there. What is wrong with it ends the search, except its architecture (1.3)."""
    image = process.read(path)
    if isinstance(image, str):
        exists_unread = not files.is_readable(path) or files.is_directory(path)
        return Resolution(name, "blocked" if exists_unread else "corrupt", path, rule, reason=image)
    if image.fatal_defects:
        return Resolution(name, "corrupt", path, rule, image, reason=image.fatal_defects[0].message)
    target = process.target
    if not image.runs_in(target.architecture, target.windows.architecture):
        reason = f"{image.architecture}, but the process is {target.architecture}"
        return Resolution(name, "wrong-architecture", path, rule, image, reason=reason)
    own = rule.directory is not None and rule.directory.system
    status: Status = "system" if (own or rule.step == "known-dlls") and _is_part_of_windows(name) else "found"
    return Resolution(name, status, path, rule, image)


def base_name(name: str) -> str:
    """What stands behind the last separator of a Windows path; most names have none."""
    tail = name.rpartition("\\")[2].rpartition("/")[2]
    return ntpath.basename(name) if ":" in tail else tail


def _is_part_of_windows(name: str) -> bool:
    """Whether a DLL in System32 is Windows's own, by the lists of vanilla installations."""
    return base_name(name).lower() in _names_in_windows()


@cache
def _names_in_windows() -> frozenset[str]:
    lists = [f"windows/{version}-{architecture}.txt" for version in ("10", "11") for architecture in ("x64", "x86")]
    return frozenset(name for listed in lists for name in tables.lines(listed))


def _parent(path: str) -> str:
    return os.path.dirname(os.path.abspath(path))
