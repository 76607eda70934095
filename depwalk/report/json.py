"""The JSON report, described by depwalk/data/schema.json."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from depwalk import __version__

if TYPE_CHECKING:
    from depwalk.diagnosis import Finding
    from depwalk.graph import Edge, Module
    from depwalk.loader import LoadTrace
    from depwalk.result import Result

SCHEMA = "depwalk/1"


def render(result: Result) -> str:
    """One JSON object on one line, so that several make JSON Lines."""
    return json.dumps(as_dict(result), ensure_ascii=False)


def as_dict(result: Result) -> dict[str, Any]:
    """The report as plain values."""
    return {
        "schema": SCHEMA,
        "tool": {"name": "depwalk", "version": __version__},
        "target": {
            "path": os.path.abspath(result.path),
            "kind": os.path.splitext(result.path)[1].lower().lstrip(".") or "file",
            "distribution": result.distribution
            and {
                "name": result.distribution.name,
                "version": result.distribution.version,
                "tags": list(result.distribution.tags),
            },
            "size": result.graph.root.image.size if result.graph.root.image else None,
        },
        "environment": _environment(result),
        "verdict": result.verdict,
        "basis": result.basis,
        "findings": [_finding(finding) for finding in result.findings],
        "modules": [_module(module) for module in result.graph.modules],
        "edges": [_edge(edge) for edge in result.graph.edges],
        "load": _load(result.load) if result.load else None,
        "statistics": {
            "imported_names": len({edge.name.lower() for edge in result.graph.needs(result.graph.root)}),
            "modules": len(result.graph.modules),
            "edges": len(result.graph.edges),
            "elapsed_ms": round(result.elapsed_ms, 1),
        },
    }


def _environment(result: Result) -> dict[str, Any]:
    target = result.target
    python = target.python
    return {
        "windows": {
            "name": target.windows.name,
            "label": target.windows.label,
            "version": ".".join(map(str, target.windows.version)),
            "architecture": target.windows.architecture,
            "live": target.windows.live,
            "emulator": target.windows.emulator,
        },
        "python": None
        if python is None
        else {
            "name": python.name,
            "executable": python.executable,
            "directory": python.directory.path,
            "assumed": python.executable is None or python.stand_in,
            "conda": python.conda,
        },
        "cpu": {"brand": result.cpu} if target.windows.live else None,
        "architecture": target.architecture,
        "runtimes": list(target.runtimes),
        "search": [
            {"rule": rule.name, "source": rule.source, "directory": rule.directory.path if rule.directory else None}
            for rule in result.graph.rules
        ],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    remedy = finding.remedy
    return {
        "code": finding.code,
        "severity": finding.severity,
        "module": finding.module,
        "needed_by": finding.needed_by or None,
        "message": finding.message,
        "evidence": list(finding.evidence),
        "remedy": remedy and {"text": remedy.text, "command": remedy.command or None, "url": remedy.url or None},
        "proof": finding.proof,
    }


def _module(module: Module) -> dict[str, Any]:
    image = module.image
    return {
        "id": module.id,
        "name": module.name,
        "path": module.path,
        "status": module.status,
        "rule": module.rule.name if module.rule else None,
        "tried": [
            {
                "rule": tried.rule.name,
                "directory": tried.rule.directory and tried.rule.directory.path,
                "reason": tried.reason,
            }
            for tried in module.tried
        ]
        if module.status not in ("found", "system")
        else [],
        "reason": module.reason or None,
        "architecture": image.architecture if image else None,
        "version": ".".join(map(str, image.version)) if image and image.version else None,
        "linker_version": ".".join(map(str, image.linker_version)) if image else None,
        "depth": module.depth,
        "delayed": module.delayed,
    }


def _edge(edge: Edge) -> dict[str, Any]:
    return {
        "importer": edge.importer,
        "imported": edge.imported,
        "kind": edge.kind,
        "as": edge.name,
        "symbols": edge.symbols,
        "unresolved": list(edge.unresolved),
    }


def _load(load: LoadTrace) -> dict[str, Any]:
    return {
        "code": load.code,
        "status": load.status,
        "exit_code": load.exit_code,
        "timed_out": load.timed_out,
        "modules": list(load.modules),
        "exceptions": [],
        "failed_module": load.deepest.path if load.deepest else None,
        "elapsed_ms": round(load.elapsed_ms, 1),
    }
