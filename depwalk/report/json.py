"""The JSON report, described by depwalk/data/schema.json."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from depwalk import __version__, isa

if TYPE_CHECKING:
    from depwalk.diagnosis.evidence import Code
    from depwalk.finding import Finding
    from depwalk.gpu import Need
    from depwalk.graph import Edge, Module
    from depwalk.loader import LoadTrace, Raised
    from depwalk.loader.imports import FailedLoad, ImportTrace
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
            "path": os.path.abspath(result.path) if result.graph.root.image else None,
            "name": result.imported_as or None,
            "optional": result.optional,
            "kind": "import" if result.imported_as else os.path.splitext(result.path)[1].lower().lstrip(".") or "file",
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
        "findings": [finding_as_dict(finding) for finding in result.findings],
        "modules": [_module(module) for module in result.graph.modules],
        "edges": [_edge(edge) for edge in result.graph.edges],
        "gpu": [_need(need) for need in result.gpu],
        "code": [_code(code) for code in result.code] if result.judged else None,
        "load": _load(result.load) if result.load else None,
        "import": _import(result.imported) if result.imported else None,
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
        "cpu": result.cpu
        and {
            "name": result.cpu.name,
            "brand": result.cpu.brand(),
            "level": result.cpu.level(),
            "xcr0_assumed": result.cpu.xcr0_assumed,
        },
        "architecture": target.architecture,
        "runtimes": list(target.runtimes),
        "search": [
            {"rule": rule.name, "source": rule.source, "directory": rule.directory.path if rule.directory else None}
            for rule in result.graph.rules
        ],
    }


def finding_as_dict(finding: Finding) -> dict[str, Any]:
    """A finding as plain values."""
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
        "also": list(finding.also),
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


def _need(need: Need) -> dict[str, Any]:
    return {"name": need.name, "family": need.supplier.id, "how": need.how, "by": need.by, "path": need.path}


def _code(code: Code) -> dict[str, Any]:
    contents = code.contents
    compiled_for = isa.baseline(code.exported) if code.exported else ()
    return {
        "module": code.module.id,
        "compiled_for": {"features": list(compiled_for), "level": isa.level_of(compiled_for)},
        "contains": contents
        and {
            "bytes": contents.size,
            "instructions": contents.instructions,
            "unknown": contents.unknown,
            "functions": contents.functions,
            "asking": contents.asking,
            "sets": [
                {"needs": list(use.needs), "functions": use.functions, "instructions": use.instructions}
                for use in contents.uses
            ],
        },
        "at_load": {
            "functions": code.at_load.functions,
            "asking": code.at_load.asking,
            "calls_through_pointers": code.at_load.through_pointers,
            "complete": code.at_load.complete,
            "needs": [_place(need) for need in isa.first_of_each(code.at_load.needs)],
        },
    }


def _place(need: isa.Need) -> dict[str, Any]:
    return {
        "needs": list(need.needs),
        "rva": need.rva,
        "function": need.function,
        "root": need.root,
        "by": need.by,
        "certain": need.certain,
        "mixed": need.mixed,
    }


def _load(load: LoadTrace) -> dict[str, Any]:
    return {
        "code": load.code,
        "status": load.status,
        "exit_code": load.exit_code,
        "timed_out": load.timed_out,
        "traced": load.traced,
        "modules": list(load.modules),
        "mapped": [
            {"path": module.path, "at_ms": round(module.at_ms, 1), "process": module.process} for module in load.mapped
        ],
        "exceptions": [_exception(raised) for raised in load.raised],
        "failed_module": load.failures[0].path if load.failures else None,
        "failures": [
            {"path": failure.path, "code": failure.code, "exit_code": failure.exit_code} for failure in load.failures
        ],
        "messages": list(load.messages),
        "output": load.output or None,
        "elapsed_ms": round(load.elapsed_ms, 1),
    }


def _exception(raised: Raised) -> dict[str, Any]:
    return {
        "code": f"0x{raised.code:08X}",
        "module": raised.module,
        "rva": raised.rva,
        "address": raised.address,
        "first_chance": raised.first_chance,
        "access": raised.access or None,
        "target": raised.target if raised.access else None,
        "bytes": raised.code_bytes.hex(" ") or None,
        "at_ms": round(raised.at_ms, 1),
    }


def _failed_load(failed: FailedLoad) -> dict[str, Any]:
    return {
        "path": failed.path,
        "code": failed.code,
        "error": failed.error,
        "flags": failed.flags,
        "modules": list(failed.modules),
        "search_path": failed.search_path,
        "by_ctypes": failed.by_ctypes,
    }


def _import(trace: ImportTrace) -> dict[str, Any]:
    return {
        "name": trace.name,
        "ended_well": trace.ended_well,
        "python": trace.python or None,
        "imported": list(trace.imported),
        "extensions": list(trace.extensions),
        "directories": list(trace.directories),
        "by_ctypes": list(trace.by_ctypes),
        "failed": [_failed_load(failed) for failed in trace.failed],
        "failed_file": trace.fatal.path if trace.fatal else trace.unfinished or None,
        "uncaught": list(trace.uncaught),
        "exit_code": trace.exit_code,
        "timed_out": trace.timed_out,
        "output": trace.output or None,
        "elapsed_ms": round(trace.elapsed_ms, 1),
    }
