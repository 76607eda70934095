"""Microsoft's runtime DLLs: which redistributable supplies each, and what one that is assumed would bring."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from depwalk import choices, tables


@dataclass(frozen=True)
class Runtime:
    """One redistributable package, for the architecture of a process."""

    id: str
    name: str
    short: str
    url: str
    install: str  # a command, empty if there is none
    since: str  # first package version with the DLL that was asked for, empty if all have it


def supplier(dll: str, architecture: str) -> Runtime | None:
    """The redistributable that supplies a DLL for a process of an architecture; None if Microsoft offers none."""
    for row in _rows():
        for pattern, since in row["dlls"].items():
            if fnmatchcase(dll.lower(), pattern) and _has(row, pattern, architecture):
                return _runtime(row, architecture, since)
    return None


def is_for_developers(dll: str) -> bool:
    """Whether a DLL comes with Visual Studio only and may not be passed on."""
    patterns = tables.table("runtimes.toml")["developers"]["dlls"]
    return any(fnmatchcase(dll.lower(), pattern) for pattern in patterns)


def assembly_supplier(assembly: str, architecture: str) -> Runtime | None:
    """The redistributable that installs a side-by-side assembly."""
    for row in _rows():
        if row.get("assemblies") and assembly.lower().startswith(row["assemblies"].lower()):
            return _runtime(row, architecture, "")
    return None


def assumed_dlls(choice: str, architecture: str) -> tuple[str, dict[str, str]]:
    """What --with-runtime adds to System32: (its short name, lower-case name -> name). Raises ValueError."""
    match = re.fullmatch(r"([a-z0-9]+)(?:=(\d+)\.(\d+))?", choice)
    row = next((row for row in _rows() if match and row["id"] == match[1]), None)
    if not match or row is None:
        raise ValueError(f"unknown runtime {choice!r}: it is one of {choices.RUNTIME}")
    version = (int(match[2]), int(match[3])) if match[2] else None
    if version and row["id"] != "vc14":
        raise ValueError(f"unknown runtime {choice!r}: only vc14 takes a version")
    included = [other for other in _rows() if other["id"] in row.get("includes", [])]
    names = [
        name
        for one in (row, *included)
        for name, since in one["dlls"].items()
        if "*" not in name and _has(one, name, architecture) and not (version and since and _version(since) > version)
    ]
    return row["short"] + (f" {match[2]}.{match[3]}" if version else ""), {name: name for name in names}


def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tables.table("runtimes.toml")["runtime"]
    return rows


def _has(row: dict[str, Any], dll: str, architecture: str) -> bool:
    return architecture in row.get("architectures", {}).get(dll, [architecture])


def _runtime(row: dict[str, Any], architecture: str, since: str) -> Runtime:
    texts = {key: row[key].format(arch=architecture) for key in ("name", "short", "url", "install")}
    return Runtime(id=row["id"], since=since, **texts)


def _version(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)
