"""The facts around a file: its installation and its machine, each asked only if a question needs it."""

from __future__ import annotations

import ntpath
from dataclasses import replace
from typing import TYPE_CHECKING

from depwalk import installation
from depwalk.host import Host, events, memory, origin, redistributables, rights

if TYPE_CHECKING:
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
        evidence, installations=found, host=_host(evidence, files) if evidence.target.windows.live else Host()
    )


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
