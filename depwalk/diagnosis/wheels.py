"""What the wheel of a file says of itself, against the file and against the Python that loads it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from depwalk.diagnosis import commands, suppliers, windows
from depwalk.finding import Finding, Remedy
from depwalk.target.directory import Directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module
    from depwalk.wheel import Distribution

_LONGEST_BUILD = 3600  # seconds between the linking of a file and its installation, if both happened in one go


def wheel_facts(distribution: Distribution | None, subject: str = "it") -> Iterator[str]:
    """Whose a file is, and what the wheel is for."""
    if distribution is not None:
        tags = f", a wheel for {', '.join(distribution.tags)}" if distribution.tags else ""
        yield f"{subject} belongs to {distribution}{tags}"


def packed_wrongly(module: Module, owner: Distribution, own: str, evidence: Evidence) -> Finding:
    """`wrong-wheel`: the wheel says that it is for this process, and a file in it is not."""
    return Finding(
        "wrong-wheel",
        "error",
        module.name,
        f"{owner} says that it is for this Python, and its file {module.name} is {own}: it was packed wrongly.",
        needed_by=evidence.importer(module),
        evidence=(f"file: {module.path}", *wheel_facts(owner), *evidence.chain(module)),
        remedy=Remedy(
            f"Use another version of {owner.name}. Tell its authors that the files of this one do not fit its tag.",
            f'{commands.pip(evidence)} install --only-binary :all: "{owner.name}!={owner.version}"',
        ),
    )


def built_here(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`wrong-wheel`: there was no wheel for this Python, so the installer compiled the package on this machine."""
    owner, python = evidence.distribution, evidence.target.python
    if owner is None or python is None or not _was_built_here(owner, evidence):
        return
    of_others = {
        name.lower()
        for cause in (suppliers.missing_gpu_runtime, windows.missing_system_dll)
        for finding in cause(evidence, missing)
        for name in (finding.module, *finding.also)
    }
    own = [module for module in missing if module.name.lower() not in of_others]
    if not own:
        return
    first = own[0]
    bits = {"x86": "32-bit ", "arm64": "Arm64 "}.get(python.architecture, "")
    this = f"{bits}CPython 3.{python.minor}{'t' if python.free_threaded else ''}"
    remedy = Remedy(
        f"Use a version with a wheel for {this}, an older Python, or a variant that brings its DLLs, such as "
        "psycopg2-binary:",
        f"{commands.pip(evidence)} install --upgrade --force-reinstall --only-binary :all: {owner.name}",
    )
    yield Finding(
        "wrong-wheel",
        "error",
        first.name,
        f"{owner} was compiled on this machine for lack of a wheel for {this}, and needs {first.name}.",
        needed_by=evidence.importer(first),
        evidence=(
            f"{evidence.graph.root.path} was linked less than an hour before {owner.installer} installed it",
            f"a wheel would bring {first.name}",
            *wheel_facts(owner),
            *_places(first, evidence),
            *evidence.chain(first),
            *evidence.searched(first),
        ),
        remedy=remedy,
        proof="inferred",
        also=tuple(module.name for module in own[1:]),
    )


def _was_built_here(owner: Distribution, evidence: Evidence) -> bool:
    """A published wheel was linked long before. What was installed from a directory was meant to be built."""
    image = evidence.graph.root.image
    if image is None or evidence.built_for is None or owner.origin or owner.installer in ("", "conda"):
        return False
    try:
        installed = os.stat(os.path.join(owner.folder, "INSTALLER")).st_mtime
    except OSError:
        return False
    return 0 <= installed - image.timestamp <= _LONGEST_BUILD


def _places(module: Module, evidence: Evidence) -> Iterator[str]:
    """Where the compiler may have found the DLL: an import does not search there."""
    found = (Directory(entry).find(module.name) for entry in evidence.target.path)
    yield from (f"on PATH, which an import does not search: {path}" for path in list(filter(None, found))[:1])
