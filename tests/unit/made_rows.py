"""Rows of a scan as tests make them."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from depwalk.bulk.rows import Case, File, Link, Node, Row, Unit
from depwalk.finding import Finding, Remedy

if TYPE_CHECKING:
    from pathlib import Path

    from depwalk.search import Status

TEN = Case("Windows 10", "10")
SEVEN = Case("Windows 7", "7")
TEN_VC = Case("Windows 10 with the Visual C++ runtime", "10", ("vc14",))


def file_of(path: Path, unit: Unit, **facts: Any) -> File:
    """A file that is on the disk, as a listing has it."""
    found = os.stat(path)
    kind = "extension" if path.name.endswith(".pyd") else "dll"
    return File(str(path), unit, facts.pop("kind", kind), found.st_size, found.st_mtime_ns, **facts)


def module(name: str, path: object = None, status: Status | None = None, **facts: Any) -> Node:
    """A module; missing if there is no path."""
    values = {
        "architecture": "x64",
        "version": "",
        "depth": 1,
        "delayed": False,
        "rule": "directory of the file",
        **facts,
    }
    return Node(name, None if path is None else str(path), status or ("found" if path else "missing"), **values)


def row(file: File, case: Case = TEN, *needs: Node | tuple[Node, dict[str, Any]], **facts: Any) -> Row:
    """A judgement of a file that needs modules: it fails if one is missing that is not delay-loaded."""
    root = module(os.path.basename(file.path), file.path, depth=0, rule="", version=facts.pop("file_version", ""))
    links, nodes = [], [root]
    for need in needs:
        node, told = need if isinstance(need, tuple) and not isinstance(need, Node) else (need, {})
        nodes.append(node)
        link = {
            "kind": "delay" if node.delayed else "import",
            "name": node.name,
            "symbols": 3,
            "unresolved": (),
            **told,
        }
        links.append(Link(0, len(nodes) - 1, **link))
    missing = [node for node in nodes if node.status == "missing"]
    findings = tuple(lacks(node, root) for node in missing)
    verdict = "fails" if any(not node.delayed for node in missing) else "loads"
    values = {"verdict": verdict, "basis": "static", "findings": findings, "elapsed_ms": 1.5, **facts}
    return Row(file, case, nodes=tuple(nodes), links=tuple(links), **values)


def lacks(node: Node, root: Node) -> Finding:
    """The finding for a missing module."""
    code, severity = ("delay-load-missing", "warning") if node.delayed else ("missing-dll", "error")
    remedy = Remedy("Install it.", "pip install it", "https://example.org/it")
    sentence = f"{root.name} needs {node.name}, which is not there."
    return Finding(code, severity, node.name, sentence, root.name, ("searched: C:\\a",), remedy)
