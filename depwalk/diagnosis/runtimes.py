"""Microsoft's C and C++ runtimes that are missing, and the way to get them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from depwalk import runtimes, tables, wheel
from depwalk.diagnosis import conflicts, elsewhere
from depwalk.finding import Finding, Remedy
from depwalk.target import Directory, python

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.host.redistributables import Redistributable
    from depwalk.runtimes import Runtime

_VIRTUALENV = "orig-prefix.txt"  # in Lib of an environment of virtualenv before 20: the directory of its Python


def missing_msvc_runtime(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`missing-msvc-runtime`: a DLL that a Microsoft redistributable supplies is not there."""
    by_package: dict[str, list[tuple[Module, Runtime]]] = {}
    for module in missing:
        supplier = runtimes.supplier(module.name, evidence.target.architecture)
        if supplier is not None:
            by_package.setdefault(supplier.id, []).append((module, supplier))
    for found in by_package.values():
        yield _missing(evidence, found)


def _missing(evidence: Evidence, found: list[tuple[Module, Runtime]]) -> Finding:
    """One finding for all DLLs of one package: there is one remedy."""
    module, importer = found[0][0], evidence.importer(found[0][0])
    others = tuple(other.name for other, _ in found[1:])
    what = f"{module.name} and {_more(len(others), 'DLL')}" if others else module.name
    newest = max((supplier for _, supplier in found), key=lambda one: runtimes.number(one.since or "0.0"))
    message, facts, remedy = (
        _left_out(evidence, module, importer, newest)
        or _half_installed(evidence, newest, what, importer)
        or _outdated(evidence, newest, what, importer)
        or _without_manifest(evidence, module, newest)
        or _not_installed(evidence, found, newest, what, importer)
    )
    return Finding(
        "missing-msvc-runtime",
        "error",
        module.name,
        message,
        needed_by=importer,
        evidence=(
            *(("also missing: " + ", ".join(others),) if others else ()),
            *evidence.chain(module),
            *facts,
            *_requirements(newest, evidence),
            *elsewhere.renamed(module.name, evidence),
            *evidence.searched(module),
        ),
        remedy=remedy,
        also=others,
    )


def _left_out(
    evidence: Evidence, module: Module, importer: str, supplier: Runtime
) -> tuple[str, tuple[str, ...], Remedy] | None:
    """A DLL that every CPython has beside its python.exe is not beside this one."""
    own = evidence.target.python
    if own is None or not own.directory.is_real:
        return None
    if python.assumed(own.minor, own.architecture).directory.find(module.name) is None:
        return None
    place, base = own.directory.path, _behind(own.directory)
    there = base and Directory(base).find(module.name)
    if there:
        message = f"{importer} needs {module.name}, which the old virtual environment in {place} did not copy."
        command = f'"{os.path.join(str(base), "python.exe")}" -m venv NEW_ENVIRONMENT'
        return message, (f"its Python has it: {there}",), Remedy("Make a new environment, with venv:", command)
    message = f"{importer} needs {module.name}, which belongs beside python.exe and is not there."
    facts = (f"directory of python.exe: {place}",)
    around = evidence.target.environment
    if around is not None and around.conda:
        return (
            message,
            facts,
            Remedy("Let conda install it again:", f"conda install --force-reinstall {conda_package()}"),
        )
    text = f"Repair Python (start its installer again, choose Repair), or install {supplier.name}."
    return message, facts, Remedy(text, url=supplier.url)


def _behind(directory: Directory) -> str | None:
    """The directory of the Python from which an old virtualenv copied this python.exe; None if it is no such copy."""
    library = Directory(os.path.dirname(directory.path)).find("Lib")
    told = Directory(library).find(_VIRTUALENV) if library else None
    return wheel.text_of(told).strip() if told else None


def _half_installed(
    evidence: Evidence, supplier: Runtime, what: str, importer: str
) -> tuple[str, tuple[str, ...], Remedy] | None:
    """The registry lists a package that has the DLL, and the DLL is not there."""
    noted = in_registry(evidence, supplier)
    if noted is None or (supplier.since and noted.version[:2] < runtimes.number(supplier.since)):
        return None
    message = f"{importer} needs {what} of {supplier.short}, which is half removed: Windows lists it, the file is gone."
    return message, (listed(noted),), repair(evidence, supplier)


def _outdated(
    evidence: Evidence, supplier: Runtime, what: str, importer: str
) -> tuple[str, tuple[str, ...], Remedy] | None:
    """A package is there that is older than the DLL."""
    facts = list(_older_ones(evidence, supplier)) if supplier.since else []
    if not facts:
        return None
    message = f"{importer} needs {what}, and the Visual C++ runtime here is older than {supplier.year}."
    return message, tuple(facts), supply(evidence, supplier)


def _older_ones(evidence: Evidence, supplier: Runtime) -> Iterator[str]:
    """That of the registry, or another DLL of the package where only a package puts it. CPython's own do not count."""
    needed, noted = runtimes.number(supplier.since), in_registry(evidence, supplier)
    if noted is not None:
        yield listed(noted)
        return
    for path, version in _system_copies(evidence, supplier):
        if version is not None and version < needed:
            yield f"older: {path} (version {version[0]}.{version[1]})"
            return


def _system_copies(evidence: Evidence, supplier: Runtime) -> Iterator[tuple[str, tuple[int, int] | None]]:
    """DLLs of a package in System32, real or assumed, or of conda beside python.exe; and their versions."""
    target = evidence.target
    around, own = target.environment, target.python
    places = [] if target.windows.emulator else [target.system_directories[0]]  # an emulator has its own in their place
    places += [own.directory] if own is not None and around is not None and around.conda else []
    for place in places:
        for path in filter(None, map(place.find, runtimes.siblings(supplier))):
            file = conflicts.read(path) if place.is_real else None
            yield path, file.version[:2] if file and file.version else None
    for choice in target.runtimes:
        if choice.partition("=")[0] == supplier.id:
            yield f"{choice}, as assumed", runtimes.assumed_version(choice)


def _without_manifest(
    evidence: Evidence, module: Module, supplier: Runtime
) -> tuple[str, tuple[str, ...], Remedy] | None:
    """The runtimes of 2005 and 2008 are found by a manifest only, and the importer has none."""
    importers = [evidence.graph.modules[edge.importer] for edge in evidence.graph.needed_by(module)]
    manifests = [one.image.manifest(2) or b"" for one in importers if one.image]
    if not supplier.assemblies or any(supplier.assemblies.lower().encode() in found.lower() for found in manifests):
        return None
    name = importers[0].name
    message = f"{name} needs {module.name}, and lacks the manifest by which Windows finds {supplier.short}."
    text = f"Use another version of the package that {name} belongs to. To install {supplier.short} does not help."
    return message, (), Remedy(text)


def _not_installed(
    evidence: Evidence, found: Sequence[tuple[Module, Runtime]], supplier: Runtime, what: str, importer: str
) -> tuple[str, tuple[str, ...], Remedy]:
    if len(found) == 1:
        message = f"{what}, a part of {supplier.short}, is not installed; {importer} needs it."
    else:
        parts = f"{found[0][0].name} and {_more(len(found) - 1, 'part')} of {supplier.short}"
        message = f"{parts} are not installed; {importer} needs them."
    names = [module.name for module, _ in found]
    return message, tuple(_of_others(evidence, supplier)), supply(evidence, supplier, names)


def _of_others(evidence: Evidence, supplier: Runtime) -> Iterator[str]:
    """The same package, installed for processes of another architecture."""
    for noted in evidence.host.redistributables or ():
        if noted.id == supplier.id and noted.architecture != evidence.target.architecture:
            yield f"{listed(noted)}, which is not for this process"


def _more(count: int, what: str) -> str:
    return f"{count} more {what}" + ("" if count == 1 else "s")


def _requirements(supplier: Runtime, evidence: Evidence) -> Iterator[str]:
    if supplier.since:
        yield f"the package has all of this since its version {supplier.since}, of {supplier.year}"
    if evidence.target.architecture == "x86" and evidence.target.windows.architecture != "x86":
        yield "the process is 32-bit: it needs the x86 package, also on a 64-bit Windows"


def in_registry(evidence: Evidence, supplier: Runtime) -> Redistributable | None:
    """What the registry says of a package for this process; None if it says nothing, or was not asked."""
    wanted = supplier.id, evidence.target.architecture
    return next((one for one in evidence.host.redistributables or () if (one.id, one.architecture) == wanted), None)


def listed(noted: Redistributable) -> str:
    """A package of the registry, as a fact."""
    return f"installed, by the registry: the Visual C++ redistributable {dotted(noted.version)} ({noted.architecture})"


def debug_runtime(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`debug-runtime`: a DLL that only Visual Studio installs, and that no redistributable contains."""
    by_importer: dict[str, list[Module]] = {}
    for module in missing:
        if runtimes.is_for_developers(module.name):
            by_importer.setdefault(evidence.importer(module), []).append(module)
    for importer, modules in by_importer.items():
        names = [module.name for module in modules]
        yield Finding(
            "debug-runtime",
            "error",
            names[0],
            f"{importer} is a debug build: it needs {names[0]}, which only Visual Studio has and no redistributable.",
            needed_by=importer,
            evidence=(
                *((f"also missing: {', '.join(names[1:])}",) if names[1:] else ()),
                *evidence.chain(modules[0]),
                *evidence.searched(modules[0]),
            ),
            remedy=release_build(importer),
            also=tuple(names[1:]),
        )


def release_build(importer: str) -> Remedy:
    """The only remedy for a debug build."""
    return Remedy(
        f"Use another version of the package that {importer} belongs to. Report this to its authors, who have to "
        "build it in release mode, against a runtime that may be passed on."
    )


def unsupplied(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`missing-dll`: a release DLL of Microsoft that no redistributable has."""
    for module in missing:
        what = runtimes.unsupplied(module.name)
        if what:
            name, importer = module.name, evidence.importer(module)
            yield Finding(
                "missing-dll",
                "error",
                name,
                f"{importer} needs {name}, a part of {what}: no redistributable has it.",
                needed_by=importer,
                evidence=(*evidence.chain(module), *evidence.searched(module)),
                remedy=Remedy(
                    f"Use another version of the package that {importer} belongs to, and report this to its authors. "
                    "No redistributable has this DLL, and single DLLs from elsewhere cause the next failure."
                ),
            )


def dotted(version: Sequence[int]) -> str:
    """A version as it is written."""
    return ".".join(map(str, version))


# ---- remedies ----------------------------------------------------------------------------------------------------


def install(supplier: Runtime) -> Remedy:
    """The one remedy for a missing runtime: its own installer."""
    return Remedy(f"Install {supplier.name}.", command=supplier.install, url=supplier.url)


def supply(evidence: Evidence, supplier: Runtime, names: Sequence[str] = ()) -> Remedy:
    """The same as it is done in this environment, and by this user; `names` are the DLLs that are wanted."""
    around = evidence.target.environment
    if around is not None and around.conda and _covers("conda", names, supplier, evidence):
        wanted = f'"{conda_package()}>={supplier.since}"' if supplier.since else conda_package()
        return Remedy(
            "Install it with conda, in a prompt in which the environment is active:", f"conda install {wanted}"
        )
    own = evidence.target.python
    if (
        evidence.host.administrator is False
        and own is not None
        and own.executable
        and _covers("pip", names, supplier, evidence)
    ):
        package = tables.table("runtimes.toml")["pip"]["package"]
        text = f"Let an administrator install {supplier.name}; or, if this Python is your own:"
        command = f'"{own.executable}" -m pip install {package}'  # not into an environment of it
        return Remedy(text, command, supplier.url)
    return _by_administrator(evidence, install(supplier))


def repair(evidence: Evidence, supplier: Runtime) -> Remedy:
    """How to bring back the files of a package that is installed."""
    text = f"Repair {supplier.name}: start its installer again and choose Repair."
    return _by_administrator(evidence, Remedy(text, supplier.repair, supplier.url))


def _by_administrator(evidence: Evidence, remedy: Remedy) -> Remedy:
    if evidence.host.administrator is not False:
        return remedy
    return remedy._replace(text=f"{remedy.text[:-1]} (this needs an administrator).")


def _covers(source: str, names: Sequence[str], supplier: Runtime, evidence: Evidence) -> bool:
    """Whether a package of conda, or of pip, has all of these DLLs for the process."""
    row = tables.table("runtimes.toml")[source]
    if evidence.target.architecture not in row.get("architectures", [evidence.target.architecture]):
        return False
    return supplier.id == "vc14" and all(name.lower() in row["dlls"] for name in names)


def conda_package() -> str:
    """The package of conda that has the newest runtime."""
    return str(tables.table("runtimes.toml")["conda"]["package"])
