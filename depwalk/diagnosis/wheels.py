"""A file for another Python or another processor architecture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from depwalk.diagnosis.evidence import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.target.python import Build

_PYTHON_DLL = re.compile(r"python3(\d{0,2})(t?)(_d)?\.dll", re.IGNORECASE)
_BITS = {"x86": "32-bit x86", "x64": "64-bit x64", "arm64": "Arm64", "arm64x": "Arm64", "arm64ec": "Arm64EC"}


def missing_python_dll(evidence: Evidence) -> Iterable[Finding]:
    """`missing-python-dll`: the DLL of the very Python that should load the file is not there."""
    python = evidence.target.python
    for module in evidence.problems("missing"):
        match = _PYTHON_DLL.fullmatch(module.name)
        if not match or (python is not None and match[1] and not _fits(_build(match), evidence)):
            continue
        name, importer = evidence.written_name(module), evidence.importer(module)
        if match[3]:
            message = f"{name} belongs to a debug build of Python; {importer} was built for one."
            remedy = Remedy(f"Install a release build of the package that {importer} belongs to.")
        elif not match[1]:
            message = (
                f"{name}, which every CPython for Windows has beside python.exe, is not there; {importer} needs it."
            )
            remedy = Remedy(
                "Repair the Python installation, or use one from python.org.",
                url="https://www.python.org/downloads/windows/",
            )
        else:
            version = f"3.{match[1]}{match[2]}"
            message = f"{name} was not found: {importer} is for CPython {version}, and none is where this search looks."
            remedy = Remedy(
                f"Run it with CPython {version}, or give its directory with --python or --dll-dir.",
                url="https://www.python.org/downloads/windows/",
            )
        yield Finding(
            "missing-python-dll",
            "error",
            name,
            message,
            needed_by=importer,
            evidence=(*evidence.chain(module), *evidence.searched(module)),
            remedy=remedy,
        )


def wrong_python(evidence: Evidence) -> Iterable[Finding]:
    """`wrong-python`: the file is for another version or kind of CPython."""
    python, root = evidence.target.python, evidence.graph.root
    build = evidence.built_for
    if python is None or build is None or build.minor is None or _fits(build, evidence):
        return
    dll = f"python3{build.minor}{'t' if build.free_threaded else ''}{'_d' if build.debug else ''}.dll"
    kind = "a debug build of " if build.debug else "free-threaded " if build.free_threaded else ""
    version = f"3.{build.minor}{'t' if build.free_threaded else ''}"
    own = f"CPython {python.name.split('-')[0]}"
    yield Finding(
        "wrong-python",
        "error",
        dll,
        f"{root.name} is for {kind}CPython {version}; the Python that would load it is {own}.",
        needed_by=root.name,
        evidence=(
            *_origin(evidence),
            f"{root.name} imports {dll}" if _imports(evidence, dll) else f"its file name says cp3{build.minor}",
            f"loaded by: {python.label}, which has {python.dll}",
        ),
        remedy=Remedy(
            f"Install the package in {own} itself (its cp3{python.minor} wheel), or use CPython {version}.",
            command=f"py -3.{python.minor} -m pip install --force-reinstall --only-binary :all: {evidence.package}",
        ),
    )


def wrong_architecture(evidence: Evidence) -> Iterable[Finding]:
    """`wrong-architecture`: the file itself, or the only copy of a DLL, is for another processor architecture."""
    target = evidence.target
    process = _BITS.get(target.architecture, target.architecture)
    loader = target.python.label if target.python else f"a {process} process"
    roots = [evidence.graph.root] if evidence.graph.root.status == "wrong-architecture" else []
    for module in [*roots, *evidence.problems("wrong-architecture")]:
        own = _BITS.get(module.image.architecture, module.image.architecture) if module.image else "of another kind"
        importer = evidence.importer(module)
        subject = "" if module.id == 0 else f", and it is the only {module.name} that is found"
        yield Finding(
            "wrong-architecture",
            "error",
            module.name,
            f"{module.name} is {own}; the process that would load it is {process}{subject}.",
            needed_by=importer,
            evidence=(
                *((f"file: {module.path}",) if module.path else ()),
                f"loaded by: {loader}",
                *evidence.chain(module),
            ),
            remedy=Remedy(
                f"Install the {target.architecture} build of {'the package' if module.id == 0 else module.name}, "
                f"or use a {own} Python."
            ),
        )


def _origin(evidence: Evidence) -> Iterable[str]:
    found = evidence.distribution
    if found is not None:
        yield f"it belongs to {found}" + (f", a wheel for {', '.join(found.tags)}" if found.tags else "")


def _imports(evidence: Evidence, dll: str) -> bool:
    image = evidence.graph.root.image
    return image is not None and any(imported.dll.lower() == dll for imported in image.imports)


def _build(match: re.Match[str]) -> Build:
    from depwalk.target.python import Build

    return Build(int(match[1]) if match[1] else None, bool(match[2]), bool(match[3]))


def _fits(build: Build, evidence: Evidence) -> bool:
    python = evidence.target.python
    return (
        python is not None
        and build.minor in (None, python.minor)
        and build.free_threaded == python.free_threaded
        and not build.debug
    )
