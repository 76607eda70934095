"""DLLs that come with something else than Windows, Python and Microsoft's runtimes, by their names."""

from __future__ import annotations

import os
import re
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from depwalk import files, gpu, suppliers, wheel
from depwalk.diagnosis import commands, elsewhere
from depwalk.diagnosis.missing import missing_dll
from depwalk.finding import Finding, Remedy
from depwalk.target import Directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.suppliers import Supplier
    from depwalk.wheel import Distribution

_SHOWN = 3  # files of another version


class _Lack(NamedTuple):
    """DLLs of one family that are missing, with the file that needs the first of them, and whose that is."""

    supplier: Supplier
    modules: tuple[Module, ...]
    importer: str
    owner: Distribution | None


def missing_gpu_runtime(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`missing-gpu-runtime`: a DLL of a graphics card's driver or toolkit is not there."""
    for lack in _lacks(evidence, missing, of_gpu=True):
        found = "they were not found" if lack.modules[1:] else "it was not found"
        yield _finding("missing-gpu-runtime", evidence, lack, f"{_needs(lack)}: {found}.")


def missing_of_family(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`missing-dll`: it is known what supplies a DLL of this name."""
    for lack in _lacks(evidence, missing, of_gpu=False):
        fault = lack.supplier.bundled and lack.owner is not None
        them, are = ("them", "they are") if lack.modules[1:] else ("it", "it is")
        end = f"the package lacks {them}" if fault else f"{are} in no directory that is searched"
        yield _finding("missing-dll", evidence, lack, f"{_needs(lack)}: {end}.")


def not_in_its_package(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`missing-dll`: an installed package needs a DLL that it does not bring, and that nobody is known to supply."""
    for module in missing:
        importer = _importer(module, evidence)
        owner = _owner(importer, evidence)
        if importer is not None and owner is not None:
            message = (
                f"{importer.name} of {owner} needs {module.name}, which the package does not bring and no directory "
                "that is searched has."
            )
            yield _base(module, evidence)._replace(
                message=message, remedy=_another_version(module.name, owner, evidence)
            )


def ended_without(evidence: Evidence) -> Iterable[Finding]:
    """`missing-gpu-runtime`: the process said which DLL it did not find, and ended."""
    load, trace = evidence.load, evidence.imported
    failed = (load is not None and not load.loaded) or (trace is not None and not trace.ended_well)
    output = (load.output if load else "") + (trace.output if trace else "")
    asked = suppliers.asked_for_in(output) if failed else None
    if asked is None:
        return
    name, supplier = asked
    importer = next((found.name for found in evidence.graph.modules if _asks_for(name, found)), evidence.loading)
    said = next(line.strip() for line in output.splitlines() if name in line)
    there = next((place for place in _directories(evidence) if Directory(place).find(name)), None)
    remedy = _remedy(evidence, supplier, importer, evidence.distribution, name)
    yield Finding(
        "missing-gpu-runtime",
        "error",
        name,
        f"The process ended because it did not find {name}, {supplier.what}.",
        needed_by=importer,
        evidence=(
            f"it wrote: {said}",
            *((f"there is one in {there}, which is not searched",) if there else ()),
        ),
        remedy=elsewhere.add(there, evidence) if there else remedy,
        proof="loader",
    )


def absent_at_run_time(evidence: Evidence) -> Iterable[Finding]:
    """`missing-gpu-runtime`, as a note: a build for a graphics card loads, and will not find what that needs."""
    owner = evidence.distribution
    builds = [
        module
        for module in evidence.graph.modules
        if module.status == "found"
        and (
            suppliers.is_gpu_build(module.name) or (module.depth == 0 and owner and suppliers.is_gpu_build(owner.name))
        )
    ]
    if not builds or any(_is_of_gpu(module, evidence) for module in evidence.problems("missing")):
        return
    own = evidence.target.system_directories[0].is_real  # else no driver can be there
    absent = [
        need
        for need in gpu.at_run_time(evidence.graph, evidence.target, builds)
        if need.path is None and not need.supplier.optional and (own or not need.supplier.driver)
    ]
    if not absent:
        return
    first = absent[0]
    yield Finding(
        "missing-gpu-runtime",
        "note",
        first.name,
        f"{first.by} needs {first.name}, a part of {first.supplier.what}, to use the graphics card, and it was not "
        "found; the rest works without it.",
        needed_by=first.by,
        evidence=tuple(f"not found either: {need.name}, a part of {need.supplier.what}" for need in absent[1:]),
        remedy=_remedy(evidence, first.supplier, first.by, owner, first.name),
        proof="inferred",
    )


# ---- what is lacking ---------------------------------------------------------------------------------------------


def _lacks(evidence: Evidence, missing: Sequence[Module], *, of_gpu: bool) -> Iterator[_Lack]:
    """One for each family: there is one remedy."""
    families: dict[str, list[tuple[Module, Supplier]]] = {}
    for module in missing:
        supplier = suppliers.supplier(os.path.basename(module.name), evidence.importer(module))
        if supplier is not None and supplier.gpu == of_gpu:
            families.setdefault(supplier.id, []).append((module, supplier))
    for found in families.values():
        importer = _importer(found[0][0], evidence)
        name = importer.name if importer else evidence.loading
        yield _Lack(found[0][1], tuple(module for module, _ in found), name, _owner(importer, evidence))


def _needs(lack: _Lack) -> str:
    first, others = lack.modules[0].name, len(lack.modules) - 1
    whose = f" of {lack.owner}" if lack.owner else ""
    parts = f"{first} and {others} more part{'s' if others > 1 else ''}" if others else f"{first}, a part"
    return f"{lack.importer}{whose} needs {parts} of {lack.supplier.what}"


def _finding(code: str, evidence: Evidence, lack: _Lack, message: str) -> Finding:
    module = lack.modules[0]
    base, also = _base(module, evidence), tuple(other.name for other in lack.modules[1:])
    return base._replace(
        code=code,
        message=message,
        evidence=(
            *(("also missing: " + ", ".join(also),) if also else ()),
            *_other_versions(module, lack.supplier, evidence),
            *base.evidence,
        ),
        remedy=_remedy(evidence, lack.supplier, lack.importer, lack.owner, module.name),
        also=also,
    )


def _base(module: Module, evidence: Evidence) -> Finding:
    """The finding for a name of which nothing is known."""
    return next(iter(missing_dll(evidence, [module])))


def _importer(module: Module, evidence: Evidence) -> Module | None:
    importers = [evidence.graph.modules[edge.importer] for edge in evidence.graph.needed_by(module)]
    return min(importers, key=lambda found: found.depth, default=None)


def _owner(importer: Module | None, evidence: Evidence) -> Distribution | None:
    if importer is None or importer.depth == 0:
        return evidence.distribution
    return wheel.distribution_of(importer.path) if importer.path else None


def _is_of_gpu(module: Module, evidence: Evidence) -> bool:
    supplier = suppliers.supplier(module.name, evidence.importer(module))
    return supplier is not None and supplier.gpu


def _asks_for(name: str, module: Module) -> bool:
    return suppliers.supplier(name, module.name) is not None


# ---- facts -------------------------------------------------------------------------------------------------------


def _other_versions(module: Module, supplier: Supplier, evidence: Evidence) -> Iterator[str]:
    """Files of another version around: the letters before the first number in their names are the same."""
    stem = re.match(r"\D*", module.name.lower())
    searched = [tried.rule.directory.path for tried in module.tried if tried.rule.directory is not None]
    found: dict[str, str] = {}
    for place in (*_directories(evidence), *evidence.target.path, *searched):
        for name in files.names_in(place):
            other = suppliers.supplier(name, evidence.importer(module))
            if other is not None and other.id == supplier.id and stem and name.lower().startswith(stem[0]):
                found.setdefault(name.lower(), f"this machine has {other.what}: {os.path.join(place, name)}")
    yield from islice((fact for name, fact in found.items() if name != module.name.lower()), _SHOWN)


def _directories(evidence: Evidence) -> list[str]:
    around = evidence.target.environment
    return [path for path, _ in around.dll_directories()] if around else []


# ---- remedies ----------------------------------------------------------------------------------------------------


def _remedy(evidence: Evidence, supplier: Supplier, importer: str, owner: Distribution | None, name: str) -> Remedy:
    """What to do, in the words of the package manager of the environment."""
    around = evidence.target.environment
    if around is not None and around.package_manager == "conda":
        text, install, installs = (
            supplier.conda_remedy or supplier.remedy,
            supplier.conda,
            "conda install -c conda-forge",
        )
    elif supplier.bundled and owner is not None:
        return _another_version(name, owner, evidence)
    else:
        text, install, installs = supplier.remedy, supplier.pip, f"{commands.pip(evidence)} install"
    if owner is None and "{package}" in install:
        install = ""
    package = wheel.normalised(owner.name) if owner else ""
    command = f"{installs} {install.replace('{package}', package)}" if install else ""
    text = text.replace("{importer}", importer)
    return Remedy(text if command else re.sub(":$", ".", text), command, supplier.url)


def _another_version(name: str, owner: Distribution, evidence: Evidence) -> Remedy:
    """The package is at fault: it was made without a DLL that it needs."""
    around = evidence.target.environment
    if around is not None and around.package_manager == "conda":
        return Remedy(
            f"Install another version of {owner.name} from conda-forge. Report to its authors that this one lacks "
            f"{name}, and do not download single DLLs.",
            f'conda install -c conda-forge "{wheel.normalised(owner.name)}!={owner.version}"',
        )
    return Remedy(
        f"Use another version of {owner.name}, or that of conda-forge. Report to its authors that this one "
        f"lacks {name}, and do not download single DLLs.",
        f'{commands.pip(evidence)} install --only-binary :all: "{owner.name}!={owner.version}"',
    )
