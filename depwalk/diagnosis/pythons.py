"""A file for another Python, or a Python whose own DLL is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk.diagnosis.evidence import Finding, Remedy
from depwalk.target.python import Build, build_of_dll

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.target.python import Python

_DOWNLOADS = "https://www.python.org/downloads/windows/"


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
            remedy = Remedy("Repair the Python installation, or use one from python.org.", url=_DOWNLOADS)
        else:
            message = f"{module.name} was not found: {importer} is for {_name(build)}, and none is where this looks."
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
            *_origin(evidence),
            f"{subject} imports {dll}" if _imports(evidence, dll) else f"the file name of {subject} says so",
            f"loaded by: {python.label}, which has {python.dll}",
        ),
        remedy=Remedy(
            f"Install the package in {own} itself (its cp3{python.minor} wheel), or use {_name(build)}.",
            command=f"py -3.{python.minor} -m pip install --force-reinstall --only-binary :all: {evidence.package}",
        ),
    )


def _name(build: Build) -> str:
    version = "" if build.minor is None else f" 3.{build.minor}{'t' if build.free_threaded else ''}"
    kind = "a debug build of " if build.debug else "free-threaded " if build.free_threaded else ""
    return f"{kind}CPython{version}"


def _origin(evidence: Evidence) -> Iterable[str]:
    found = evidence.distribution
    if found is not None:
        yield f"it belongs to {found}" + (f", a wheel for {', '.join(found.tags)}" if found.tags else "")


def _imports(evidence: Evidence, dll: str) -> bool:
    return any(edge.name.lower() == dll.lower() for edge in evidence.graph.edges)


def _fits(build: Build, python: Python) -> bool:
    return build.minor in (None, python.minor) and build.free_threaded == python.free_threaded and not build.debug
