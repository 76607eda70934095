"""A file for another Python, a Python that is older than the file, or a Python whose own DLL is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk.diagnosis import commands, wheels
from depwalk.finding import Finding, Remedy
from depwalk.target.python import Build, build_of_dll

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Edge, Module
    from depwalk.target.python import Python

_DOWNLOADS = "https://www.python.org/downloads/windows/"
_SHOWN = 5  # functions listed


def wrong_python(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`wrong-python`: the file, or a DLL that it needs, is for another version or kind of CPython."""
    python, root = evidence.target.python, evidence.graph.root
    if python is None:
        return
    if evidence.built_for is not None and not _fits(evidence.built_for, python):
        yield _wrong(evidence, root.name, evidence.built_for, python)
    for module in missing:
        build, importer = build_of_dll(module.name), evidence.importer(module)
        if build is not None and not _fits(build, python) and importer != root.name:
            yield _wrong(evidence, importer, build, python)


def older_python(evidence: Evidence) -> Iterable[Finding]:
    """`wrong-python`: the DLL of this Python lacks a function, as a patch release before the one that added it does.

    `wrong-wheel`: the wheel says itself that it is for a newer minor version.
    """
    python = evidence.target.python
    if python is None:
        return
    for edge in evidence.graph.unresolved:
        importer, exporter = evidence.graph.modules[edge.importer], evidence.graph.modules[edge.imported]
        build = build_of_dll(exporter.name)
        own = build is not None and _fits(build, python)
        if own and edge.kind in ("import", "forward") and not importer.delayed:
            yield _older(edge, importer, exporter, python, evidence)


def missing_python_dll(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`missing-python-dll`: the DLL of the very Python that should load the file is not there."""
    for module in missing:
        build, importer = build_of_dll(module.name), evidence.importer(module)
        if build is None:
            continue
        if build.minor is None:
            message = (
                f"{module.name}, which CPython for Windows has beside python.exe, is not there; {importer} needs it."
            )
            remedy = _repair(evidence)
        else:
            message = f"{importer} is for {_name(build)}, and its {module.name} is in no directory that is searched."
            remedy = Remedy(f"Run it with {_name(build)}, or tell where that is: --python, --dll-dir.", url=_DOWNLOADS)
        yield Finding(
            "missing-python-dll",
            "error",
            module.name,
            message,
            needed_by=importer,
            evidence=(*evidence.chain(module), *evidence.searched(module)),
            remedy=remedy,
        )


def _wrong(evidence: Evidence, subject: str, build: Build, python: Python) -> Finding:
    own = _name(Build(python.minor, python.free_threaded, debug=False))
    dll = build.dll
    return Finding(
        "wrong-python",
        "error",
        dll,
        f"{subject} is for {_name(build)}; the Python that would load it is {own}.",
        needed_by=subject,
        evidence=(
            *wheels.wheel_facts(evidence.distribution),
            f"{subject} imports {dll}" if _imports(evidence, dll) else f"the file name of {subject} says so",
            f"loaded by: {python.label}, which has {python.dll}",
        ),
        remedy=Remedy(
            f"Install the package in {own} itself (its cp3{python.minor} wheel), or use {_name(build)}.",
            command=f"{commands.pip(evidence)} install --force-reinstall --only-binary :all: {evidence.package}",
        ),
    )


def _older(edge: Edge, importer: Module, exporter: Module, python: Python, evidence: Evidence) -> Finding:
    owner, symbols = evidence.distribution, edge.unresolved
    more = f" and {len(symbols) - 1} more" if len(symbols) > 1 else ""
    needed_by = evidence.importer(importer) if edge.kind == "forward" else importer.name
    version = _release(exporter) or f"3.{python.minor}"
    oldest = owner.oldest_minor if owner else None
    newer_minor = oldest is not None and oldest > python.minor
    wine = evidence.target.windows.emulator is not None
    if newer_minor:
        cause = f"its wheel is for CPython 3.{oldest} and later"
        remedy = Remedy(
            f"Let pip choose the version for this Python, or use CPython 3.{oldest} or later.",
            f"{commands.pip(evidence)} install --force-reinstall --only-binary :all: {evidence.package}",
        )
    else:
        bound = evidence.built_for is not None and evidence.built_for.minor is not None
        cause = f"a later release of CPython {f'3.{python.minor} ' if bound or oldest else ''}has it"
        remedy = _update(python)
    return Finding(
        "wrong-wheel" if newer_minor else "wrong-python",
        "warning" if wine else "error",
        exporter.name,
        f"{needed_by} needs the function {symbols[0]}{more}, which this CPython {version} lacks: {cause}.",
        needed_by=needed_by,
        evidence=(
            f"file: {exporter.path}" + (f" (CPython {version})" if exporter.image else ""),
            "not exported: " + ", ".join(symbols[:_SHOWN]) + (f", ... ({len(symbols)})" if more else ""),
            *wheels.wheel_facts(owner),
            f"loaded by: {python.label}",
        ),
        remedy=remedy,
        proof="static" if newer_minor else "inferred",
    )


def _release(dll: Module) -> str:
    """Of a Python DLL by its version resource, whose third number is 1000 times the micro version (python_ver_rc.h)."""
    version = dll.image.version if dll.image else None
    return f"{version[0]}.{version[1]}.{version[2] // 1000}" if version else ""


def _update(python: Python) -> Remedy:
    if python.conda:
        return Remedy(f"Update Python to the newest release of 3.{python.minor}:", "conda update python")
    return Remedy(
        f"Install the newest release of CPython 3.{python.minor} over this one; packages stay as they are.",
        url=_DOWNLOADS,
    )


def _repair(evidence: Evidence) -> Remedy:
    environment = evidence.target.environment
    if environment is not None and environment.package_manager == "conda":
        return Remedy("Reinstall the Python of this environment, in its newest patch release:", "conda update python")
    return Remedy("Repair the Python installation, or use one from python.org.", url=_DOWNLOADS)


def _name(build: Build) -> str:
    version = "" if build.minor is None else f" 3.{build.minor}{'t' if build.free_threaded else ''}"
    kind = "a debug build of " if build.debug else "free-threaded " if build.free_threaded else ""
    return f"{kind}CPython{version}"


def _imports(evidence: Evidence, dll: str) -> bool:
    return any(edge.name.lower() == dll.lower() for edge in evidence.graph.edges)


def _fits(build: Build, python: Python) -> bool:
    return build.minor in (None, python.minor) and build.free_threaded == python.free_threaded and not build.debug
