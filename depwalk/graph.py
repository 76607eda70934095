"""The walk: from one file to the graph of all modules that the loader would bring with it.

Nodes are files, not names; every edge is kept. Nothing is executed or loaded: files are only read.
"""

from __future__ import annotations

import ntpath
import os
import sys
from collections import deque
from dataclasses import dataclass
from functools import cached_property, partial
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
    make_edges: Callable[[int | None], tuple[Edge, ...]]  # all, or those to a module; most trees are judged without
    rules: Order  # of the search that was followed
    complete: bool = True  # False: there are more modules than a walk follows
    lacks_symbols: bool = True  # False: every edge is resolved

    @property
    def root(self) -> Module:
        """The file that was asked about."""
        return self.modules[0]

    def needs(self, module: Module) -> list[Edge]:
        """Edges from a module."""
        return self._edges_from.get(module.id, [])

    def needed_by(self, module: Module) -> tuple[Edge, ...]:
        """Edges to a module."""
        if module.id not in self._edges_to:
            self._edges_to[module.id] = self.make_edges(module.id)
        return self._edges_to[module.id]

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """In the order in which they were found."""
        return self.make_edges(None)

    @cached_property
    def unresolved(self) -> tuple[Edge, ...]:
        """Edges whose imported module lacks something, in their order."""
        return tuple(edge for edge in self.edges if edge.unresolved) if self.lacks_symbols else ()

    @cached_property
    def _edges_from(self) -> dict[int, list[Edge]]:
        found: dict[int, list[Edge]] = {}
        for edge in self.edges:
            found.setdefault(edge.importer, []).append(edge)
        return found

    @cached_property
    def _edges_to(self) -> dict[int, tuple[Edge, ...]]:
        return {}  # of those modules that somebody has asked about


def walk(path: str, image: Image, target: Target, *, by_code: bool = False) -> Graph:
    """The graph of a file under a target. Circular imports and missing files are part of it, never an error.

    `by_code`: as code of another DLL loads it, by LoadLibrary, and not as an import does.
    """
    return _Walk(path, image, target, search.delayed_order(target, path) if by_code else None).run()


def of_names(importer: str, names: Sequence[str], target: Target) -> Graph:
    """The graph of what loads DLLs by name without being a file itself: a Python program that asks ctypes for them."""
    return _Walk(importer, None, target).run(names)


class _Hop(NamedTuple):
    """Functions of one DLL that it forwards to another one."""

    exporter: object  # identity of the module that forwards
    found: Resolution
    identity: object  # of what is found
    dll: str  # its name as the forwarder has it
    symbols: int  # how many functions
    unresolved: tuple[str, ...]  # those that are not there either


class _Link(NamedTuple):
    """What one import of a file leads to; the first fields are those of an Edge."""

    kind: EdgeKind
    dll: str
    symbols: int
    unresolved: tuple[str, ...]
    source: Import | None
    found: Resolution
    identity: object  # of what is found
    hops: tuple[_Hop, ...] = ()  # of what that forwards

    def lacks_symbols(self) -> bool:
        return bool(self.unresolved or (self.hops and any(hop.unresolved for hop in self.hops)))

    @property
    def exporter(self) -> None:
        """Nobody forwards to it."""

    def ends(self) -> Iterator[_Link | _Hop]:
        """All that it leads to, in the order of the walk."""
        yield self
        yield from self.hops


class _Links(NamedTuple):
    """What the imports of a file lead to."""

    links: tuple[_Link, ...]  # those that are resolved at load
    delayed: tuple[Import, ...]  # the others
    ends: tuple[_Link | _Hop, ...]  # each file that they lead to once, as it is met first
    names: tuple[str, ...]  # that were searched for, lower-case
    regular: bool  # every file is found by its own name, so that names decide what is loaded already
    lack_symbols: bool


class _Usual:
    """What imports lead to by one search in a process in which nothing is loaded but what every one has loaded.

    Thousands of trees share it, and there is one for each directory of a scan: it keeps no answer twice, and nothing of
    a tree that is the only one. It does not hold the rules, which hold it: a scan hardly ever looks for such circles.
    """

    def __init__(self, setting: Setting) -> None:
        self._process = Process(setting.target, _before(setting))
        self._loaded = _answers_before(setting)
        self._links: dict[object, _Links | None] = {}  # by file

    def links(self, name: str, image: Image, rules: Order) -> _Links | None:
        """Of a file, by its base name and image, by the rules that hold this; None for one with a search of its own."""
        if image.file not in self._links:
            links = None
            if _searches_as_others(image, self._process.target):
                linked = _linked(name, image, rules, rules, self._process, {})
                links = self._of(image, tuple(map(self._shared, linked)))
            self._links[image.file] = links
        return self._links[image.file]

    def _of(self, image: Image, links: tuple[_Link, ...]) -> _Links:
        delayed = tuple(imported for imported in image.imports if imported.kind == "delay")
        every = [end for link in links for end in link.ends()]
        ends: dict[object, _Link | _Hop] = {}
        for end in every:
            ends.setdefault(end.identity, end)
        names = tuple({sys.intern(end.found.name.lower()) for end in every})
        regular = all(_own_name(end.found).lower() == end.found.name.lower() for end in every)
        lack_symbols = any(link.lacks_symbols() for link in links)
        return _Links(links, delayed, tuple(ends.values()), names, regular, lack_symbols)

    def _shared(self, link: _Link) -> _Link:
        was_loaded = link.found.rule is not None and link.found.rule.step == "loaded"
        return link._replace(found=self._loaded.setdefault(link.found.name, link.found)) if was_loaded else link


class _Walk:
    """Breadth first, as the loader maps a tree level by level."""

    def __init__(self, path: str, image: Image | None, target: Target, rules: Order | None = None) -> None:
        self.process = Process(target)
        self.target = target
        self.setting = Setting(target, target.loaded)
        self.rules = rules or (search.order(target, path, image) if image else search.by_name(target))
        self.delayed = search.delayed_order(target, path)
        self.modules: list[Module] = []
        self.blocks: list[tuple[int, Sequence[_Link]]] = []  # id of an importer, and what its imports lead to
        self.ids: dict[object, int] = {}
        self.queue: deque[tuple[Module, Order]] = deque()  # whose imports are to be followed, by the rules it inherited
        self.later: deque[tuple[Module, Import]] = deque()
        self.complete = True
        self.lacks_symbols = False
        self.loaded_alone: dict[str, Order] = {}  # by path
        self.given: set[str] = set()  # names of which this process has a file that no rule found, lower-case
        self.first_by: list[Order] = []
        self.is_usual = True  # all others were found by self.rules, as in every tree with these
        self._preload()
        if image is None:
            root = Resolution(path, "found")
            self._new(root, _identity(root), 0, self.rules, delayed=False)
        else:
            self.process.images[os.path.abspath(path)] = image
            self._root(path, image)

    def run(self, names: Sequence[str] = ()) -> Graph:
        """Follow everything that is pending, and the names that a root without a file asks for."""
        for name in names:
            given = Rule("directory", "path given", "windows-loader 1.1", Directory(ntpath.dirname(name)))
            rules = Order((given,)) if ntpath.isabs(name) else self.rules
            found = search.find(ntpath.basename(name) if ntpath.isabs(name) else name, "", rules, self.process)
            link = _Link("import", name, 0, (), None, found, _identity(found))
            self._connect(self.modules[0], [link], self.rules)
            self.given.add(self.modules[self.ids[link.identity]].name.lower())
        while self.queue or self.later:
            if self.queue:
                self._expand(*self.queue.popleft())
            else:  # only now, so that what is reached statically as well counts as static
                self._expand_delayed(*self.later.popleft())
        for first in self.first_by:
            first.asked.setdefault(self.setting, _Usual(self.setting))
        edges = partial(_edges, self.blocks, self.ids, list(self.ids))
        return Graph(tuple(self.modules), edges, self.rules, self.complete, self.lacks_symbols)

    # ---- modules

    def _root(self, path: str, image: Image) -> None:
        full = os.path.abspath(path)
        windows = self.target.windows
        status: Status = "found"
        reason = ""
        if image.fatal_defects:
            status, reason = "corrupt", image.fatal_defects[0].message
        elif not image.runs_in(self.target.architecture, windows.architecture):
            status = "wrong-architecture"
            reason = f"{image.architecture}, but the process is {self.target.architecture}"
        found = Resolution(os.path.basename(path), status, full, image=image, reason=reason)
        self.given.add(found.name.lower())
        self._new(found, _identity(found), 0, self.rules, delayed=False)
        if status == "corrupt" and image.runs_in(self.target.architecture, windows.architecture):
            self._put_off(self.modules[0], self.rules)  # what is left of a damaged root counts, too

    def _preload(self) -> None:
        """What is in the process before the file is loaded (windows-loader 1.4)."""
        self.process.loaded.update(_before(self.setting))
        target = self.target
        preloaded = _preloaded(search.setting(target, target.loaded, target.preloads)) if target.preloads else ()
        for path, preload, rules in preloaded:
            name = os.path.basename(path).lower()
            if preload.status in ("found", "system"):
                self.process.loaded.setdefault(name, preload)
                self.given.add(name)
            if rules is not None:
                self.loaded_alone[path] = rules

    def _new(self, found: Resolution, identity: object, depth: int, rules: Order, *, delayed: bool) -> None:
        """A new module; one that is there will be followed."""
        searched, status, path, rule, image, reason, tried = found
        name = _own_name(found)
        identifier = self.ids[identity] = len(self.modules)
        module = Module(identifier, name, path, status, depth, delayed, rule, tried, reason, image)
        self.modules.append(module)
        if status in ("found", "system") and not delayed:
            key = name.lower()
            self.process.loaded.setdefault(key, found)
            self.is_usual = self.is_usual and key == searched.lower()
        if status == "found":
            self._put_off(module, self.loaded_alone.get(path or "", rules) if self.loaded_alone and depth else rules)

    def _put_off(self, module: Module, rules: Order) -> None:
        if module.image is not None and module.image.resolves_imports():
            if module.id < MAX_MODULES:
                self.queue.append((module, rules))
            else:
                self.complete = False

    # ---- edges

    def _expand(self, module: Module, rules: Order) -> None:
        image = module.image
        assert image is not None
        shared: _Usual | None = rules.asked.get(self.setting)
        if shared is None:  # this is the first tree that is walked by these rules
            self.first_by.append(rules)
        usual = shared.links(module.name, image, rules) if shared is not None and module.depth else None
        if usual is None:  # a root is nobody else's
            self._expand_by_itself(module, image, rules)
            return
        self.later += [(module, imported) for imported in usual.delayed]
        self.is_usual = self.is_usual and rules is self.rules
        if not (self.is_usual and usual.regular and self.given.isdisjoint(usual.names)):
            self._connect(module, (self._here(link, module.name, image, rules) for link in usual.links), rules)
            return
        self.blocks.append((module.id, usual.links))
        self.lacks_symbols = self.lacks_symbols or usual.lack_symbols
        self._meet(usual.ends, module, rules, delayed=module.delayed)

    def _expand_by_itself(self, module: Module, image: Image, rules: Order) -> None:
        own = rules
        if _has_flags(image, self.target):
            own = search.by_flags(self.target, image.dependent_load_flags, os.path.dirname(module.path or ""))
        redirection = side_by_side.redirection(image, self.target)
        if redirection.missing:
            self.modules[module.id] = module._replace(missing_assemblies=redirection.missing)
        if image.is_pure_dotnet:
            found = search.find("mscoree.dll", module.name, own, self.process)
            self._connect(module, [_Link("clr", "mscoree.dll", 0, (), None, found, _identity(found))], rules)
            return
        self.later += [(module, imported) for imported in image.imports if imported.kind == "delay"]
        self.is_usual = self.is_usual and own is self.rules and not redirection.dlls
        self._connect(module, _linked(module.name, image, own, rules, self.process, redirection.dlls), rules)

    def _here(self, link: _Link, name: str, image: Image, rules: Order) -> _Link:
        """What an import leads to in this process."""
        ends = [link.found, *(hop.found for hop in link.hops)]
        if link.source is None or not any(map(self._is_elsewhere, ends)):
            return link
        found = search.find(link.dll, name, rules, self.process)
        return _link(image, link.source, found, rules, self.process)

    def _is_elsewhere(self, found: Resolution) -> bool:
        """Whether the process has another file of a name, or has it for another reason."""
        name = found.name.lower()
        return name in self.given or self.process.loaded.get(name, found).path != found.path

    def _expand_delayed(self, module: Module, imported: Import) -> None:
        assert module.image is not None
        found = search.find(imported.dll, module.name, self.delayed, self.process)
        self._connect(module, [_link(module.image, imported, found, self.delayed, self.process)], self.delayed)

    def _connect(self, module: Module, links: Iterable[_Link], rules: Order) -> None:
        """Add what imports lead to: what the first one brings into the process counts for the next."""
        done: list[_Link] = []
        self.blocks.append((module.id, done))
        for link in links:
            done.append(link)
            self.lacks_symbols = self.lacks_symbols or link.lacks_symbols()
            self._meet(link.ends(), module, rules, delayed=module.delayed or link.kind == "delay")

    def _meet(self, ends: Iterable[_Link | _Hop], importer: Module, rules: Order, *, delayed: bool) -> None:
        """Add the files of these that are new: imported by a module, or forwarded to by what it imports."""
        for end in ends:
            if end.identity not in self.ids:
                above = importer if end.exporter is None else self.modules[self.ids[end.exporter]]
                self._new(end.found, end.identity, above.depth + 1, rules, delayed=delayed)


def _edges(
    blocks: Iterable[tuple[int, Sequence[_Link]]],
    ids: Mapping[object, int],
    identities: Sequence[object],
    only: int | None,
) -> tuple[Edge, ...]:
    """The edges of a tree, or those to one module; all that one module forwards to another is one."""
    edges: list[Edge] = []
    forwards: dict[tuple[int, int], int] = {}
    wanted = None if only is None else identities[only]
    for importer, links in blocks:
        for kind, dll, symbols, unresolved, source, _, identity, hops in links:
            for hop in hops:
                if wanted is not None and hop.identity != wanted:
                    continue
                ends = ids[hop.exporter], ids[hop.identity]
                place = forwards.setdefault(ends, len(edges))
                if place == len(edges):
                    edges.append(Edge(*ends, "forward", hop.dll, 0))
                edge = edges[place]
                more = tuple(name for name in hop.unresolved if name not in edge.unresolved)
                edges[place] = edge._replace(symbols=edge.symbols + hop.symbols, unresolved=edge.unresolved + more)
            if wanted is None or identity == wanted:
                edges.append(Edge(importer, ids[identity], kind, dll, symbols, unresolved, source))
    return tuple(edges)


def _own_name(found: Resolution) -> str:
    """The base name of a file; of what is none the name that was searched for."""
    return search.base_name(found.path or found.name)


def _has_flags(image: Image, target: Target) -> bool:
    """Whether its imports are searched for by flags of its own (windows-loader 1.3)."""
    return bool(image.dependent_load_flags & SEARCH_FLAGS) and target.windows.emulator is None


def _searches_as_others(image: Image, target: Target) -> bool:
    """Whether what its imports lead to depends on nothing but the order of the search."""
    own = side_by_side.redirection(image, target)
    return not (own.dlls or own.missing or image.is_pure_dotnet or _has_flags(image, target))


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
    kind, dll, symbols = imported.kind, imported.dll, imported.symbols
    return _Link(kind, dll, symbols, tuple(unresolved), imported, found, _identity(found), tuple(hops.values()))


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


@files.remembered
def _preloaded(setting: Setting) -> list[tuple[str, Resolution, Order | None]]:
    """Of each file that a package loads before: what is found, and its own rules if it is given by its path."""
    target, preloaded = setting.target, []
    process = Process(target, dict(_before(Setting(target, target.loaded))))
    for path in target.preloads:
        name, directory = os.path.basename(path), os.path.dirname(path)
        rule = Rule("directory", "loaded by its package (inferred)", "windows-loader 1.4", Directory(directory))
        rules = Order((rule,)) if directory else search.by_name(target)
        found = search.find(name, "", rules, process)
        if found.status in ("found", "system"):
            process.loaded.setdefault(name.lower(), found)
        # with a path it was loaded by itself, with its own directory
        alone = search.order(target, path, found.image) if found.image is not None and directory else None
        preloaded.append((path, found, alone))
    return preloaded


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


@files.remembered
def _answers_before(_: Setting) -> dict[str, Resolution]:
    """What a search has found of that, by the name that was searched for: the same by every order."""
    return {}


def _directory(path: str, target: Target) -> Directory:
    """That of a file; one of Windows's own is known as such."""
    parent = os.path.normcase(os.path.dirname(path))
    own = [found for found in target.system_directories if os.path.normcase(found.path) == parent]
    return own[0] if own else Directory(os.path.dirname(path))


def _identity(found: Resolution) -> object:
    """Files are the same if the file system says so; names without a file if they are equal (windows-loader 1.4)."""
    if found.path is None:
        return _without_file("name", found.name.lower())
    if found.image is None:
        return _without_file("assumed", found.path.lower())
    return files.identity(found.path)


@files.remembered
def _without_file(kind: str, name: str) -> object:
    return kind, name


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
