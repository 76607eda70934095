"""DLLs that come with something else that has to be installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk import tables
from depwalk.diagnosis.evidence import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from depwalk.diagnosis.evidence import Evidence
    from depwalk.graph import Module


def missing_gpu_runtime(evidence: Evidence, missing: Sequence[Module]) -> Iterable[Finding]:
    """`missing-gpu-runtime`: a DLL of a graphics driver is not there."""
    for module in missing:
        rows = tables.table("suppliers.toml")["gpu"]
        row = next((row for row in rows if module.name.lower() in row["dlls"]), None)
        if row is None:
            continue
        name, importer = module.name, evidence.importer(module)
        yield Finding(
            "missing-gpu-runtime",
            "error",
            name,
            f"{name} is a part of {row['what']}, which is not installed; {importer} needs it.",
            needed_by=importer,
            evidence=(*evidence.chain(module), *evidence.searched(module)),
            remedy=Remedy(row["remedy"], url=row["url"]),
        )
