"""What is known about one file."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from depwalk.host import Host

if TYPE_CHECKING:
    from depwalk.graph import Graph, Module
    from depwalk.installation import Installation
    from depwalk.isa import Contents, Reached
    from depwalk.loader import LoadTrace
    from depwalk.loader.imports import ImportTrace
    from depwalk.target import Target
    from depwalk.target.python import Build
    from depwalk.wheel import Distribution

_SHOWN = 6  # directories named in a finding; a module's `tried` has them all


class Code(NamedTuple):
    """What the code of a module needs of a processor: run at load, all of it, and what its exports run.

    The last two are None where they were not asked: see gather.
    """

    module: Module
    at_load: Reached
    contents: Contents | None = None
    exported: Reached | None = None


@dataclass(frozen=True)
class Evidence:
    """All that is known, in one object."""

    graph: Graph
    target: Target
    built_for: Build | None  # the Python that the file was built for, None if it is no extension
    distribution: Distribution | None = None  # that the file belongs to
    load: LoadTrace | None = None
    loaded_by_code: tuple[Graph, ...] = ()  # of files that the load mapped and that nothing imports: LoadLibrary did it
    not_asked: str = ""  # why the loader could not be asked although it should have been
    loads_elsewhere: bool = False  # it failed in the process in question, and loads in a fresh one
    imported: ImportTrace | None = None  # the import, or the program, in which the file was loaded
    installations: tuple[Installation, ...] = ()  # distributions that own files of the tree: their RECORD and the disk
    host: Host = field(default_factory=Host)
    code: tuple[Code, ...] = ()  # of the modules that a load maps; asked only where a processor is to be predicted for
    asked: dict[object, Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )  # answers, by question

    @property
    def loading(self) -> str:
        """Name of the file that was being loaded."""
        return self.graph.root.name

    @property
    def package(self) -> str:
        """Name of the distribution for a command line; a placeholder if it is not known."""
        return self.distribution.name if self.distribution else "PACKAGE"

    def problems(self, *statuses: str, delayed: bool = False) -> list[Module]:
        """Modules of these bad statuses other than the root: those that a load needs, or the delay-loaded ones."""
        return [module for module in self._problems if module.status in statuses and module.delayed == delayed]

    @cached_property
    def _problems(self) -> list[Module]:
        return [module for module in self.graph.modules[1:] if module.status not in ("found", "system")]

    def importer(self, module: Module) -> str:
        """Name of the module that needs another; the one nearest to the root if there are several."""
        edges = [edge for edge in self.graph.needed_by(module) if edge.importer != module.id]
        importers = sorted((self.graph.modules[edge.importer] for edge in edges), key=lambda found: found.depth)
        return importers[0].name if importers else ""

    def written_name(self, module: Module) -> str:
        """The name as its first importer spells it."""
        edges = self.graph.needed_by(module)
        return edges[0].name if edges else module.name

    def chain(self, module: Module) -> tuple[str, ...]:
        """Who needs it, down from the file that was asked about; empty if that file needs it itself."""
        from depwalk.graph import paths_to

        edges = list(paths_to(self.graph, module))
        if len(edges) < 2:
            return ()
        names = [self.graph.root.name, *(self.graph.modules[edge.imported].name for edge in edges)]
        return ("needed through: " + " -> ".join(names),)

    def searched(self, module: Module) -> tuple[str, ...]:
        """Where it was looked for, in order."""
        tried = (found.rule.directory.path for found in module.tried if found.rule.directory is not None)
        places = list(dict.fromkeys(tried))
        more = f"; and {len(places) - _SHOWN} more directories" if len(places) > _SHOWN else ""
        return ("searched: " + "; ".join(places[:_SHOWN]) + more,) if places else ()
