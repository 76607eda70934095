"""Results as tests make them: by hand, of any size and with any names."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from targets import target

from depwalk.finding import Finding, Remedy
from depwalk.graph import Edge, Graph, Module
from depwalk.result import Result
from depwalk.search import Order

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from depwalk.search import Status

PLACES = {"found": "C:\\app\\lib\\", "system": "C:\\Windows\\System32\\"}


def module(number: int, name: str, status: Status = "found", depth: int = 1) -> Module:
    """A module beside the file, or of Windows; anything else is nowhere."""
    path = PLACES[status] + name if status in PLACES else None
    return Module(number, name, path, status, depth, False, None, (), "", None)


def lacks(missing: str, needed_by: str) -> Finding:
    """The finding for a missing module."""
    remedy = Remedy("Install it.", "pip install it", "https://example.org/it")
    return Finding(
        "missing-dll", "error", missing, f"{needed_by} needs {missing}.", needed_by, ("searched: C:\\a",), remedy
    )


def result(modules: Iterable[Module], edges: Iterable[Edge], *findings: Finding) -> Result:
    """A prediction that fails if a finding is an error."""
    graph = Graph(tuple(modules), lambda to: tuple(edge for edge in edges if to in (None, edge.imported)), Order(()))
    verdict = "fails" if any(found.severity == "error" for found in findings) else "loads"
    return Result(graph.root.path or "", verdict, "static", findings, graph, target(), None, None, None, 12.0)


def chain(*names: str, statuses: Mapping[str, Status] | None = None) -> Result:
    """A file that needs the next one, and so on; the last is missing."""
    given = {names[-1]: "missing", **(statuses or {})}
    modules = [module(depth, name, given.get(name, "found"), depth) for depth, name in enumerate(names)]
    edges = [Edge(depth, depth + 1, "import", name, 1) for depth, name in enumerate(names[1:])]
    return result(modules, edges, lacks(names[-1], names[-2]))


def many(count: int, *, fails: bool = True) -> Result:
    """A file with `count` modules, a tenth of them of Windows, some twenty levels deep, with four edges for each."""
    chosen = random.Random(count)
    modules = [module(0, "root.pyd", depth=0)]
    edges = []
    for number in range(1, count - fails):
        importer = chosen.randrange(max(0, number - 300), number) if number > 30 else 0
        while modules[importer].status != "found":
            importer -= 1
        status: Status = "system" if number % 10 == 0 else "found"
        modules.append(module(number, f"module_{number:04}.dll", status, modules[importer].depth + 1))
        others = [chosen.randrange(number) for _ in range(4)]
        importers = dict.fromkeys([importer, *(one for one in others if modules[one].status == "found")])
        edges += [Edge(one, number, "import", modules[number].name, 3) for one in importers]
    if not fails:
        return result(modules, edges)
    deepest = max((one for one in modules if one.status == "found"), key=lambda one: one.depth)
    modules.append(module(count - 1, "gone.dll", "missing", deepest.depth + 1))
    edges.append(Edge(deepest.id, count - 1, "import", "gone.dll", 1))
    return result(modules, edges, lacks("gone.dll", deepest.name))


HOSTILE = (
    "<script>alert(1)</script>.dll",
    '"><img src=x onerror=alert(2)>.dll',
    "' onmouseover='alert(3).dll",
    "&lt;b&gt;&amp;.dll",
    "</title></style></script><h1>taken</h1>.dll",
    "\u202egnp.lld",
    "\x1b[31mred\x00\x08.dll",
    "\u05d0\u05d1\u05d2.dll",
    "lone\udc80surrogate.dll",
    "$body ${style}.dll",
    "x" * 10_000 + ".dll",
)


def hostile() -> Result:
    """A file with modules of such names, each of them missing, and findings that quote them."""
    modules = [module(0, HOSTILE[0].replace("dll", "pyd"), depth=0)]
    modules += [module(number, name, "missing") for number, name in enumerate(HOSTILE, 1)]
    edges = [Edge(0, one.id, "import", one.name, 1, (one.name,)) for one in modules[1:]]
    findings = [
        Finding(
            "missing-dll", "error", name, f"It needs {name}.", name, (name,), Remedy(name, name, f"javascript:{name}")
        )
        for name in HOSTILE
    ]
    return result(modules, edges, *findings)
