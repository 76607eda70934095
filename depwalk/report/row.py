"""The row of a scan as one JSON object, described by depwalk/data/scan.schema.json."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from depwalk import __version__
from depwalk.report.json import finding_as_dict

if TYPE_CHECKING:
    from depwalk.bulk.rows import Row

SCHEMA = "depwalk-scan/1"


def render(row: Row) -> str:
    """One JSON object on one line, so that several make JSON Lines."""
    return json.dumps(as_dict(row), ensure_ascii=False)


def as_dict(row: Row) -> dict[str, Any]:
    """The row as plain values. Modules and edges have the keys that they have in the report of one file."""
    file, case = row.file, row.case
    return {
        "schema": SCHEMA,
        "tool": {"name": "depwalk", "version": __version__},
        "target": {
            "path": file.path,
            "kind": file.kind,
            "unit": {"path": file.unit.path, "kind": file.unit.kind},
            "distribution": {"name": file.distribution, "version": file.version} if file.distribution else None,
            "size": file.size,
            "sha256": file.sha256 or None,
            "architecture": file.architecture or None,
            "python": file.python or None,
        },
        "case": {
            "label": case.label,
            "windows": case.windows,
            "runtimes": list(case.runtimes),
            "python": case.python,
            "cpu": case.cpu,
        },
        "verdict": row.verdict,
        "basis": row.basis,
        "reason": row.reason or None,
        "unreadable": row.unreadable,
        "findings": [finding_as_dict(finding) for finding in row.findings],
        "modules": [
            {
                "id": number,
                "name": node.name,
                "path": node.path,
                "status": node.status,
                "rule": node.rule or None,
                "architecture": node.architecture or None,
                "version": node.version or None,
                "depth": node.depth,
                "delayed": node.delayed,
            }
            for number, node in enumerate(row.nodes)
        ],
        "edges": [
            {
                "importer": link.importer,
                "imported": link.imported,
                "kind": link.kind,
                "as": link.name,
                "symbols": link.symbols,
                "unresolved": list(link.unresolved),
            }
            for link in row.links
        ],
        "reused": row.reused,
        "elapsed_ms": round(row.elapsed_ms, 1),
    }
