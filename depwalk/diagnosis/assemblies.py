"""Side-by-side assemblies that nobody provides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk import runtimes
from depwalk.diagnosis.runtimes import release_build, supply
from depwalk.finding import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.host.events import Event

_CANNOT_BEGIN = 14001  # ERROR_SXS_CANT_GEN_ACTCTX
_EVENTS = (33, 35, 59)


def side_by_side(evidence: Evidence) -> Iterable[Finding]:
    """`side-by-side`: a manifest asks for an assembly that is not installed: 14001 (Wine ignores it)."""
    lacking = [(module, name) for module in evidence.graph.modules for name in module.missing_assemblies]
    for module, assembly in lacking:
        yield _finding(evidence, module, assembly)
    if not lacking and evidence.load is not None and evidence.load.code == _CANNOT_BEGIN:
        yield from _only_logged(evidence)


def _finding(evidence: Evidence, module: Module, assembly: str, *, logged: bool = False) -> Finding:
    wine = evidence.target.windows.emulator is not None
    is_error = not (wine or module.delayed)
    debug = runtimes.is_assembly_for_developers(assembly)
    what = f"{assembly}, a debug runtime that only Visual Studio has"
    if not debug:
        what = f"the side-by-side assembly {assembly}, a set of DLLs that is not installed"
    return Finding(
        "side-by-side",
        "error" if is_error else "warning",
        assembly,
        f"{module.name} needs {what}.",
        needed_by=module.name,
        evidence=(
            *((f"file: {module.path}",) if module.path else ()),
            *_logged(evidence, module),
            "its manifest asks for it: a DLL of the same name in a searched directory does not count",
            *evidence.chain(module),
        ),
        remedy=_remedy(evidence, module, assembly),
        proof="loader" if logged else "static",
        also=tuple(_dlls_of(evidence, module, assembly)) if is_error else (),
    )


def _remedy(evidence: Evidence, module: Module, assembly: str) -> Remedy:
    supplier = runtimes.assembly_supplier(assembly, evidence.target.architecture)
    if runtimes.is_assembly_for_developers(assembly):
        return release_build(module.name)
    return supply(evidence, supplier) if supplier else Remedy(f"Install what provides the assembly {assembly}.")


def _dlls_of(evidence: Evidence, module: Module, assembly: str) -> Iterator[str]:
    """Names that the module misses because the assembly is missing."""
    supplier = runtimes.assembly_supplier(assembly, evidence.target.architecture)
    for edge in evidence.graph.needs(module):
        name = evidence.graph.modules[edge.imported].name
        of_debug = runtimes.is_assembly_for_developers(assembly) and runtimes.is_for_developers(name)
        own = runtimes.supplier(name, evidence.target.architecture)
        if evidence.graph.modules[edge.imported].status == "missing" and (of_debug or (own and own == supplier)):
            yield name


def _events(evidence: Evidence, module: Module) -> list[Event]:
    events = evidence.host.events
    return events.about(module.path, *_EVENTS) if events is not None and module.path else []


def _logged(evidence: Evidence, module: Module) -> Iterator[str]:
    for event in _events(evidence, module)[:1]:
        wanted = _assembly_of(event)
        yield f"Windows reported at {event.when} (SideBySide, event {event.id})" + (f": {wanted}" if wanted else "")


def _only_logged(evidence: Evidence) -> Iterator[Finding]:
    """An assembly that the event log names, and no manifest that could be read."""
    for module in evidence.graph.modules:
        for event in _events(evidence, module)[:1]:
            if _assembly_of(event):
                yield _finding(evidence, module, _assembly_of(event).partition(",")[0], logged=True)
                return


def _assembly_of(event: Event) -> str:
    """The identity of an assembly among the fields of an event; empty if there is none."""
    return next((value for _, value in event.data if "processorarchitecture=" in value.lower()), "")
