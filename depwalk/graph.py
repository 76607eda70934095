"""The walk: from one file to the graph of all modules that the loader would bring with it.

Nodes are files, not names; every edge is kept. Nothing is executed or loaded: files are only read.
"""

from __future__ import annotations

import ntpath
import os
from collections import deque
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, NamedTuple

from depwalk import files, search, side_by_side, tables
from depwalk.search import Order, Process, Resolution, Rule, Status, Tried
from depwalk.target import Directory, Setting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from depwalk.image import Image, Import
    from depwalk.target import Target

EdgeKind = Literal["import", "delay", "forward", "clr"]
MAX_MODULES = 20_000
MAX_FORWARDS = 32  # hops the loader follows (windows-loader 1.8)
_NEW = -1  # in place of the id of a module
SEARCH_FLAGS = 0x1F00  # of DependentLoadFlags, for direct imports only; Wine ignores them (1.3, 4)


class Module(NamedTuple):
    """One file, or one name for which there is no file."""

    id: int  # its place in Graph.modules
    name: str  # as it was searched for, after API sets and redirection
    path: str | None  # None if there is no file
    status: Status
    depth: int  # imports between it and the file that was asked about: 0 for the file that was asked about
    delayed: bool  # reached through delay-loaded imports only
    rule: Rule | None  # by which it was found
    tried: tuple[Tried, ...]  # where it was looked for in vain
    reason: str  # why it cannot be loaded; empty if it can
    image: Image | None  # None if there is no file, or it is only assumed
    missing_assemblies: tuple[str, ...] = ()  # that its manifest asks for


class Edge(NamedTuple):
    """One module that needs another."""

    importer: int  # id of a module
    imported: int  # id of a module
    kind: EdgeKind  # how: at load, at the first call, by a forwarded export, by .NET
    name: str  # of the imported module as the importer has it
    symbols: int  # how many functions and variables are imported
    unresolved: tuple[str, ...] = ()  # those that the imported module does not export: names, or #ordinals
    source: Import | None = None  # where in the importer's image; None for a forwarder and for .NET


@dataclass(frozen=True)
class Graph:
    """All modules that a load would bring into the process, and who needs whom."""

    modules: tuple[Module, ...]  # by id; 0 is the file that was asked about
    edges: tuple[Edge, ...]  # in the order in which they were found
    rules: tuple[Rule, ...]  # the order of the search that was followed
    complete: bool = True  # False: there are more modules than a walk follows

    @property
    def root(self) -> Module:
        """The file that was asked about."""
        return self.modules[0]

    def needs(self, module: Module) -> list[Edge]:
        """Edges from a module."""
        return self._edges_from.get(module.id, [])

    def needed_by(self, module: Module) -> list[Edge]:
        """Edges to a module."""
        return self._edges_to.get(module.id, [])

    @cached_property
    def unresolved(self) -> tuple[Edge, ...]:
        """Edges whose imported module lacks something, in their order."""
        return tuple(edge for edge in self.edges if edge.unresolved)

    @cached_property
    def _edges_from(self) -> dict[int, list[Edge]]:
        return _grouped(self.edges, attrgetter("importer"))

    @cached_property
    def _edges_to(self) -> dict[int, list[Edge]]:
        return _grouped(self.edges, attrgetter("imported"))


def _grouped(edges: Iterable[Edge], key: Callable[[Edge], int]) -> dict[int, list[Edge]]:
    found: dict[int, list[Edge]] = {}
    for edge in edges:
        found.setdefault(key(edge), []).append(edge)
    return found


def walk(path: str, image: Image, target: Target, *, by_code: bool = False) -> Graph:
    """The graph of a file under a target. Circular imports and missing files are part of it, never an error.

    `by_code`: as code of another DLL loads it, by LoadLibrary, and not as an import does.
    """
    return _Walk(path, image, target, search.delayed_order(target, path) if by_code else None).run()


def of_names(importer: str, names: Sequence[str], target: Target) -> Graph:
    """The graph of what loads DLLs by name without being a file itself: a Python program that asks ctypes for them."""
    return _Walk(importer, None, target).run(names)


class _Pending(NamedTuple):
    """A module whose imports are still to be followed, under the rules that it inherited."""

    id: int
    rules: Order


class _Hop(NamedTuple):
    """Functions of one DLL that it forwards to another one."""

    exporter: object  # identity of the module that forwards
    found: Resolution
    identity: object  # of what is found
    dll: str  # its name as the forwarder has it
    symbols: int  # how many functions
    unresolved: tuple[str, ...]  # those that are not there either


class _Link(NamedTuple):
    """What one import of a file leads to."""

    imported: Import
    name: str  # lower-case, as it was searched for
    found: Resolution
    identity: object  # of what is found
    hops: tuple[_Hop, ...]  # of what that forwards
    unresolved: tuple[str, ...]


class _Walk:
    """Breadth first, as the loader maps a tree level by level."""

    def __init__(self, path: str, image: Image | None, target: Target, rules: Order | None = None) -> None:
        self.process = Process(target)
        self.target = target
        self.setting = Setting(target, target.loaded)
        self.rules = rules or (search.order(target, path, image) if image else search.by_name(target))
        self.delayed = search.delayed_order(target, path)
        self.modules: list[Module] = []
        self.edges: list[Edge] = []
        self.ids: dict[object, int] = {}
        self.queue: deque[_Pending] = deque()
        self.later: deque[tuple[Module, Import]] = deque()
        self.forwards: dict[tuple[int, int], int] = {}
        self.complete = True
        self.loaded_alone: dict[str, Order] = {}  # by path
        self.before = _before(self.setting)
        self.preloaded: set[str] = set()  # names, lower-case
        self._preload()
        if image is None:
            self._module(Resolution(path, "found"), 0, self.rules, delayed=False)
        else:
            self.process.images[os.path.abspath(path)] = image
            self._root(path, image)

    def run(self, names: Sequence[str] = ()) -> Graph:
        """Follow everything that is pending, and the names that a root without a file asks for."""
        for name in names:
            given = Rule("directory", "path given", "windows-loader 1.1", Directory(ntpath.dirname(name)))
            rules = Order((given,)) if ntpath.isabs(name) else self.rules
            found = search.find(ntpath.basename(name) if ntpath.isabs(name) else name, "", rules, self.process)
            target = self._module(found, 1, self.rules, delayed=False)
            self.edges.append(Edge(0, target, "import", name, 0))
        while self.queue or self.later:
            if self.queue:
                pending = self.queue.popleft()
                self._expand(self.modules[pending.id], pending.rules)
            else:  # only now, so that what is reached statically as well counts as static
                self._expand_delayed(*self.later.popleft())
        return Graph(tuple(self.modules), tuple(self.edges), self.rules, self.complete)

    # ---- modules

    def _root(self, path: str, image: Image) -> None:
        full = os.path.abspath(path)
        status: Status = "found"
        reason = ""
        if image.fatal_defects:
            status, reason = "corrupt", image.fatal_defects[0].message
        elif not image.runs_in(self.target.architecture, self.target.windows.architecture):
            status = "wrong-architecture"
            reason = f"{image.architecture}, but the process is {self.target.architecture}"
        found = Resolution(os.path.basename(path), status, full, image=image, reason=reason)
        self._module(found, 0, self.rules, delayed=False)

    def _preload(self) -> None:
        """What is in the process before the file is loaded (windows-loader 1.4)."""
        self.process.loaded.update(self.before)
        if not self.target.preloads:
            return
        key = Setting(self.target, self.target.loaded, self.target.preloads)
        if key not in self.rules.asked:
            self.rules.asked[key] = list(_preloaded(self.target, Process(self.target, dict(self.before))))
        found: list[tuple[str, Resolution, Order | None]] = self.rules.asked[key]
        for path, preload, rules in found:
            name = os.path.basename(path).lower()
            if preload.status in ("found", "system"):
                self.process.loaded.setdefault(name, preload)
                self.preloaded.add(name)
            if rules is not None:
                self.loaded_alone[path] = rules

    def _module(self, found: Resolution, depth: int, rules: Order, *, delayed: bool) -> int:
        """The id of a module, new or known; a new one that is there will be followed."""
        identity = _identity(found)
        known = self.ids.get(identity, _NEW)
        return known if known != _NEW else self._new(found, identity, depth, rules, delayed=delayed)

    def _new(self, found: Resolution, identity: object, depth: int, rules: Order, *, delayed: bool) -> int:
        identifier = self.ids[identity] = len(self.modules)
        expand = self._is_followed(found, is_root=depth == 0)
        rules = self.loaded_alone.get(found.path or "", rules) if depth else rules
        name = search.base_name(found.path or found.name)
        self.modules.append(
            Module(
                identifier,
                name,
                found.path,
                found.status,
                depth,
                delayed,
                found.rule,
                found.tried,
                found.reason,
                found.image,
            )
        )
        if found.status in ("found", "system") and not delayed:
            self.process.loaded.setdefault(name.lower(), found)
        if expand and len(self.modules) <= MAX_MODULES:
            self.queue.append(_Pending(identifier, rules))
        elif expand:
            self.complete = False
        return identifier

    def _is_followed(self, found: Resolution, *, is_root: bool) -> bool:
        """Whether the imports of a file count; what is left of a damaged root counts, too."""
        image, target = found.image, self.target
        if image is None or not image.resolves_imports():
            return False
        damaged_root = is_root and found.status == "corrupt"
        return found.status == "found" or (
            damaged_root and image.runs_in(target.architecture, target.windows.architecture)
        )

    # ---- edges

    def _expand(self, module: Module, rules: Order) -> None:
        image = module.image
        assert image is not None
        assert module.path is not None
        own = rules
        if image.dependent_load_flags & SEARCH_FLAGS and self.target.windows.emulator is None:
            own = search.by_flags(self.target, image.dependent_load_flags, os.path.dirname(module.path))
        redirection = side_by_side.redirection(image, self.target)
        if redirection.missing:
            self.modules[module.id] = module._replace(missing_assemblies=redirection.missing)
        if image.is_pure_dotnet:
            found = search.find("mscoree.dll", module.name, own, self.process)
            target = self._module(found, module.depth + 1, rules, delayed=module.delayed)
            self.edges.append(Edge(module.id, target, "clr", "mscoree.dll", 0))
            return
        self.later += [(module, imported) for imported in image.imports if imported.kind == "delay"]
        for link in self._links(module.name, image, own, rules, redirection.dlls):
            if self._is_elsewhere(link.name, link.found) or (link.hops and self._forwards_elsewhere(link.hops)):
                found = search.find(link.imported.dll, module.name, own, self.process, redirection.dlls)
                self._connect(module, _link(image, link.imported, found, rules, self.process), rules)
            else:
                self._connect(module, link, rules)

    def _links(
        self, name: str, image: Image, own: Order, rules: Order, redirected: Mapping[str, str]
    ) -> Iterable[_Link]:
        """What the imports of a module lead to that are resolved at load.

        That is the same in all trees with the same rules, but for a name of which the process has another file by then.
        """
        if own is not rules or redirected:
            return _linked(name, image, own, rules, self.process, redirected)
        key = image.file, self.setting
        if key not in rules.asked:
            rules.asked[key] = tuple(_linked(name, image, own, rules, Process(self.target, self.before), {}))
        links: tuple[_Link, ...] = rules.asked[key]
        return links

    def _is_elsewhere(self, name: str, found: Resolution) -> bool:
        """Whether the process has another file of a name, or has it for another reason."""
        return name in self.preloaded or self.process.loaded.get(name, found).path != found.path

    def _forwards_elsewhere(self, hops: Iterable[_Hop]) -> bool:
        return any(self._is_elsewhere(hop.found.name.lower(), hop.found) for hop in hops)

    def _expand_delayed(self, module: Module, imported: Import) -> None:
        assert module.image is not None
        found = search.find(imported.dll, module.name, self.delayed, self.process)
        self._connect(module, _link(module.image, imported, found, self.delayed, self.process), self.delayed)

    def _connect(self, module: Module, link: _Link, rules: Order) -> None:
        imported, delayed = link.imported, module.delayed or link.imported.kind == "delay"
        target = self.ids.get(link.identity, _NEW)
        if target == _NEW:
            target = self._new(link.found, link.identity, module.depth + 1, rules, delayed=delayed)
        if link.hops:
            self._forward(link.hops, rules, delayed=delayed)
        self.edges.append(
            Edge(module.id, target, imported.kind, imported.dll, imported.symbols, link.unresolved, imported)
        )

    def _forward(self, hops: Iterable[_Hop], rules: Order, *, delayed: bool) -> None:
        """Follow forwarders to the files that hold the code (1.8)."""
        for hop in hops:
            exporter = self.modules[self.ids[hop.exporter]]
            target = self._module(hop.found, exporter.depth + 1, rules, delayed=delayed)
            index = self.forwards.setdefault((exporter.id, target), len(self.edges))
            if index == len(self.edges):
                self.edges.append(Edge(exporter.id, target, "forward", hop.dll, 0))
            edge = self.edges[index]
            more = tuple(name for name in hop.unresolved if name not in edge.unresolved)
            self.edges[index] = edge._replace(symbols=edge.symbols + hop.symbols, unresolved=edge.unresolved + more)


def _linked(
    name: str, image: Image, own: Order, rules: Order, process: Process, redirected: Mapping[str, str]
) -> Iterator[_Link]:
    """What the imports of a file lead to that are resolved at load; what they forward is searched by `rules`."""
    for imported in image.imports:
        if imported.kind == "import" and not imported.skipped:
            found = search.find(imported.dll, name, own, process, redirected)
            yield _link(image, imported, found, rules, process)


def _link(image: Image, imported: Import, found: Resolution, rules: Order, process: Process) -> _Link:
    unresolved: list[str] = []
    hops: dict[tuple[object, object], _Hop] = {}
    if found.image is not None and found.status in ("found", "system"):
        missing, forwarded = image.match(imported, found.image)
        unresolved += [binding.symbol for binding in missing]
        for binding in forwarded if found.status == "found" else ():
            if not _follow(found, binding.forwarder or "", rules, process, hops):
                unresolved.append(binding.symbol)
    return _Link(imported, found.name.lower(), found, _identity(found), tuple(hops.values()), tuple(unresolved))


def _follow(
    exporter: Resolution, forwarder: str, rules: Order, process: Process, hops: dict[tuple[object, object], _Hop]
) -> bool:
    """Follow a forwarder to the file that holds the code. False if it is malformed or runs in a circle (1.8)."""
    for _ in range(MAX_FORWARDS):
        dll, dot, symbol = forwarder.rpartition(".")
        if not dot:
            return False
        name = dll if "." in dll else f"{dll}.dll"
        found = search.find(name, search.base_name(exporter.path or exporter.name), rules, process)
        is_there = found.image is not None and found.status in ("found", "system")
        binding = found.image.lookup(symbol) if found.image is not None and is_there else None
        key = _identity(exporter), _identity(found)
        hop = hops.setdefault(key, _Hop(key[0], found, key[1], name, 0, ()))
        lacking = (symbol,) if is_there and binding is None and symbol not in hop.unresolved else ()
        hops[key] = hop._replace(symbols=hop.symbols + 1, unresolved=hop.unresolved + lacking)
        if binding is None or binding.forwarder is None or found.status == "system":
            return True
        exporter, forwarder = found, binding.forwarder
    return False


def _preloaded(target: Target, process: Process) -> Iterator[tuple[str, Resolution, Order | None]]:
    """Of each file that a package loads before: what is found, and its own rules if it is given by its path."""
    for path in target.preloads:
        name, directory = os.path.basename(path), os.path.dirname(path)
        rule = Rule("directory", "loaded by its package (inferred)", "windows-loader 1.4", Directory(directory))
        rules = Order((rule,)) if directory else search.by_name(target)
        found = search.find(name, "", rules, process)
        if found.status in ("found", "system"):
            process.loaded.setdefault(name.lower(), found)
        # with a path it was loaded by itself, with its own directory
        yield path, found, search.order(target, path, found.image) if found.image is not None and directory else None


@files.remembered
def _before(setting: Setting) -> dict[str, Resolution]:
    """What a process has loaded before any package: its Python, and DLLs of Windows (windows-loader 1.4)."""
    target = setting.target
    places = [(_directory(path, target), os.path.basename(path)) for path in target.loaded]
    if target.python is not None:
        places = [(target.python.directory, name) for name in target.python.own_dlls()] + places
        minor = target.python.minor
        rows = tables.table("pythons.toml")["loaded"]["system"]
        rows = [row for row in rows if row.get("since", minor) <= minor <= row.get("until", minor)]
        places += [(target.system_directories[0], name) for row in rows for name in row["dlls"]]
    process = Process(target)
    loaded: dict[str, Resolution] = {}
    for place, name in places:
        rule = Rule("directory", "System32" if place.system else "loaded before", "windows-loader 1.4", place)
        found = search.find(name, "", Order((rule,)), process)
        if found.status in ("found", "system"):
            loaded.setdefault(name.lower(), found)
    return loaded


def _directory(path: str, target: Target) -> Directory:
    """That of a file; one of Windows's own is known as such."""
    parent = os.path.normcase(os.path.dirname(path))
    own = [found for found in target.system_directories if os.path.normcase(found.path) == parent]
    return own[0] if own else Directory(os.path.dirname(path))


def _identity(found: Resolution) -> object:
    """Files are the same if the file system says so; names without a file if they are equal (windows-loader 1.4)."""
    if found.path is None:
        return "name", found.name.lower()
    if found.image is None:
        return "assumed", found.path.lower()
    return "file", files.identity(found.path)


def paths_to(graph: Graph, module: Module) -> Iterable[Edge]:
    """The shortest chain of edges from the root to a module, in order; empty for the root itself."""
    reached: dict[int, Edge] = {}
    queue = deque([graph.root.id])
    while queue:
        current = queue.popleft()
        if current == module.id:
            break
        for edge in graph.needs(graph.modules[current]):
            if edge.imported != graph.root.id and edge.imported not in reached:
                reached[edge.imported] = edge
                queue.append(edge.imported)
    chain = []
    current = module.id
    while current != graph.root.id and current in reached:
        chain.append(reached[current])
        current = reached[current].importer
    return reversed(chain)
