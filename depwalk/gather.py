"""The facts around a file: its installation and its machine, each asked only if a question needs it."""

from __future__ import annotations

import ntpath
from dataclasses import replace
from typing import TYPE_CHECKING

from depwalk import installation, isa
from depwalk.diagnosis.evidence import Code
from depwalk.host import Host, events, memory, origin, redistributables, rights

if TYPE_CHECKING:
    from collections.abc import Iterator

    from depwalk.diagnosis import Evidence

_MINUTES = 10  # how far back the event logs are searched for a load
_MINUTES_OF_A_REMOVAL = 60 * 24 * 30  # ... and for a file that is gone: nobody may have missed it for weeks
_NO_MEMORY = {8, 1450, 1455}
# Codes with which rights, cloud programs, security programs and policies answer.
_SECURITY = {5, 32, 225, 226, 362, 389, 395, 577, 1260, 1920, 4551, 4556, 4557, 4558, 4559}
_OF_A_LOG = _SECURITY | {14001}


def around(evidence: Evidence) -> Evidence:
    """With what the disk and, where the file was loaded, the machine tell beside the files of the tree."""
    files = [module.path for module in evidence.graph.modules if module.path and module.status != "system"]
    if evidence.imported is not None:
        files += evidence.imported.extensions
    failed = evidence.load is not None and not evidence.load.loaded
    found = installation.of_files(files, hashed=failed)
    return replace(
        evidence,
        installations=found,
        host=_host(evidence, files) if evidence.target.windows.live else Host(),
        code=tuple(_code(evidence)),
    )


def _code(evidence: Evidence) -> Iterator[Code]:
    """What the code of the tree needs, where a processor is to be predicted for: what was loaded has shown it.

    Of what fails for it no more is asked, and what a file exports only where there is code that cannot be executed.
    """
    processor = evidence.target.cpu
    was_run = evidence.load is not None or evidence.imported is not None or evidence.loads_elsewhere
    if processor is None or was_run:
        return
    for module in evidence.graph.modules:
        if module.image is None or module.status != "found" or module.delayed:
            continue
        at_load = isa.at_load(module.image)
        if at_load is None:
            continue
        code = Code(module, at_load)
        if not any(need.certain for need in isa.unusable(at_load.needs, processor)):
            contents = isa.contents(module.image)
            lacks = contents is not None and any(isa.lacking(use.needs, processor) for use in contents.uses)
            exported = isa.exported(module.image) if lacks and module.depth == 0 else None
            code = code._replace(contents=contents, exported=exported)
        yield code


def whole(code: Code) -> Code:
    """The same with all that can be known of the module's code."""
    image = code.module.image
    if image is None:
        return code
    return code._replace(contents=code.contents or isa.contents(image), exported=code.exported or isa.exported(image))


def _host(evidence: Evidence, files: list[str]) -> Host:
    load = evidence.load
    missing = bool(evidence.problems("missing"))
    code = load.code if load is not None and not load.loaded else None
    died = load is not None and not load.loaded and load.code is None
    absent = [path for found in evidence.installations for path in found.absent]
    names = {ntpath.basename(path) for path in (*files, *absent)}
    names |= {module.name for module in evidence.problems("missing")}
    minutes = _MINUTES_OF_A_REMOVAL if absent else _MINUTES
    return Host(
        administrator=rights.is_administrator() if missing or code else None,
        redistributables=redistributables.installed() if missing or load is None or not load.loaded else None,
        commit=memory.commit() if code in _NO_MEMORY else None,
        events=events.read(names, minutes) if code in _OF_A_LOG or died or absent else None,
        origins=origin.of(files) if code in _SECURITY else (),
    )
