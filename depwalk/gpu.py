"""The DLLs of graphics cards that a tree needs, by its imports or by name at run time, and where each is found."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from depwalk import search, suppliers
from depwalk.search import Order, Process, Resolution, Rule
from depwalk.target import Directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Literal

    from depwalk.graph import Graph, Module
    from depwalk.image import Image
    from depwalk.suppliers import Supplier
    from depwalk.target import Target

_TEXTS = (b".rdata", b".data")  # sections in which compilers put texts
_MOST = 10_000  # names in one section
_NAMES = "names of DLLs in its texts"


class Need(NamedTuple):
    """One DLL of a graphics card's software."""

    name: str  # of the DLL
    supplier: Supplier  # whose it is
    how: Literal["import", "delay", "name"]  # `name`: it is loaded by name at run time, if at all
    by: str  # base name of the file
    path: str | None  # None: it is in no directory of the search


def needs(graph: Graph, target: Target) -> tuple[Need, ...]:
    """What a tree needs; a name that several files need is told once, of the nearest one."""
    found = {need.name.lower(): need for need in reversed([*_by_import(graph), *_by_name(graph, target)])}
    return tuple(reversed(found.values()))


def at_run_time(graph: Graph, target: Target, modules: Iterable[Module]) -> tuple[Need, ...]:
    """What these modules of a tree load by name, and what the plug-ins need that they load so."""
    search_ = _Search(graph, target)
    found: dict[str, Need] = {}
    for module in modules:
        for need in search_.named(module.image, module.path or "") if module.image else ():
            found.setdefault(need.name.lower(), need)
    return tuple(found.values())


def names(file: Image) -> Sequence[str]:
    """Names of DLLs among the texts of a file, sorted."""
    if _NAMES not in file.file.asked:  # by every tree that has it
        file.file.asked[_NAMES] = sorted(_names(file))
    found: list[str] = file.file.asked[_NAMES]
    return found


def _names(file: Image) -> set[str]:
    sections = [name.rstrip(b"\0") for name, _, _ in file.file.sections()]
    numbers = [sections.index(name) for name in _TEXTS if name in sections]
    texts = (text for number in numbers for text in file.file.dll_names(number, _MOST))
    return {text.replace(b"\0", b"").decode("ascii") for text in texts}


def _by_import(graph: Graph) -> Iterator[Need]:
    for edge in graph.edges:
        importer, module = graph.modules[edge.importer], graph.modules[edge.imported]
        supplier = suppliers.supplier(edge.name, importer.name) if importer.status != "system" else None
        if supplier is not None and supplier.gpu and edge.kind in ("import", "delay"):
            path = module.path if module.status in ("found", "system") else None
            yield Need(edge.name, supplier, "delay" if edge.kind == "delay" else "import", importer.name, path)


def _by_name(graph: Graph, target: Target) -> tuple[Need, ...]:
    return at_run_time(graph, target, (module for module in graph.modules if module.status == "found"))


class _Search:
    """Where a name is found that a file loads: in the process, by the rules of the tree, by default, beside it."""

    def __init__(self, graph: Graph, target: Target) -> None:
        self.process = Process(target)
        self.rules = (*graph.rules, *search.delayed_order(target, graph.root.path or ""))
        for module in graph.modules:
            if module.status in ("found", "system"):
                known = Resolution(module.name, module.status, module.path, module.rule, module.image)
                self.process.loaded.setdefault(module.name.lower(), known)

    def named(self, file: Image, path: str, *, is_plugin: bool = False) -> Iterator[Need]:
        own, by = Directory(os.path.dirname(path)), os.path.basename(path)
        for name in names(file):
            supplier = suppliers.supplier(name, by)
            if supplier is not None and supplier.gpu:
                yield Need(name, supplier, "name", by, self._find(name, by, own))
            elif not is_plugin and suppliers.is_gpu_build(name) and name.lower() != by.lower():
                yield from self._of_plugin(own.find(name))

    def _of_plugin(self, path: str | None) -> Iterator[Need]:
        """A plug-in lies beside the file that loads it by name."""
        found = self.process.read(path) if path else ""
        if path is None or isinstance(found, str):
            return
        own, by = Directory(os.path.dirname(path)), os.path.basename(path)
        for imported in found.imports:
            supplier = suppliers.supplier(imported.dll, by)
            if supplier is not None and supplier.gpu:
                yield Need(imported.dll, supplier, imported.kind, by, self._find(imported.dll, by, own))
        yield from self.named(found, path, is_plugin=True)

    def _find(self, name: str, by: str, own: Directory) -> str | None:
        beside = Rule("directory", "directory of the file", "windows-loader 1.2", own)
        found = search.find(name, by, Order((*self.rules, beside)), self.process)
        return found.path if found.status in ("found", "system") else None
