"""Microsoft's runtime DLLs: which redistributable supplies each, and what one that is assumed would bring."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from depwalk import choices, tables

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Runtime(NamedTuple):
    """One redistributable package, for the architecture of a process."""

    id: str
    name: str
    short: str
    url: str
    install: str  # a command, empty if there is none
    repair: str  # the same for one that is installed and damaged
    since: str  # first package version with the DLL that was asked for, empty if all have it
    assemblies: str  # how the names of its side-by-side assemblies begin; empty if System32 has its DLLs

    @property
    def year(self) -> int | None:
        """Since which year there have been packages with the DLL, None if always."""
        year: int | None = tables.table("runtimes.toml")["years"].get(self.since)
        return year


@lru_cache(maxsize=4096)
def supplier(dll: str, architecture: str) -> Runtime | None:
    """The redistributable that supplies a DLL for a process of an architecture; None if Microsoft offers none."""
    for row in _rows() if not is_for_developers(dll) else ():
        for pattern, since in row["dlls"].items():
            if fnmatchcase(dll.lower(), pattern) and _has(row, pattern, architecture):
                return _runtime(row, architecture, since)
    return None


def siblings(runtime: Runtime) -> list[str]:
    """Names of the DLLs that every version of a package has."""
    row = next(row for row in _rows() if row["id"] == runtime.id)
    return [name for name, since in row["dlls"].items() if not since and "*" not in name]


@lru_cache(maxsize=4096)
def is_for_developers(dll: str) -> bool:
    """Whether a DLL comes with Visual Studio only and may not be passed on."""
    return _is_one_of(dll, tables.table("runtimes.toml")["developers"]["dlls"])


def is_assembly_for_developers(assembly: str) -> bool:
    """The same of a side-by-side assembly."""
    patterns = tables.table("runtimes.toml")["developers"]["assemblies"]
    return _is_one_of(assembly, (pattern.lower() for pattern in patterns))


@lru_cache(maxsize=4096)
def unsupplied(dll: str) -> str:
    """What a DLL of Microsoft is that no redistributable has; empty if it is none."""
    rows = tables.table("runtimes.toml")["unsupplied"]
    return next((str(row["what"]) for row in rows if _is_one_of(dll, row["dlls"])), "")


def assembly_supplier(assembly: str, architecture: str) -> Runtime | None:
    """The redistributable that installs a side-by-side assembly; none has those of the debug runtimes."""
    if is_assembly_for_developers(assembly):
        return None
    for row in _rows():
        begins = row.get("assemblies", "").lower()
        if begins and assembly.lower().startswith(begins) and _has(row, "", architecture):
            return _runtime(row, architecture, "")
    return None


@lru_cache(maxsize=64)
def assumed_dlls(choice: str, architecture: str) -> tuple[str, Mapping[str, str]]:
    """What --with-runtime adds to System32: (its short name, lower-case name -> name). Raises ValueError."""
    match = re.fullmatch(r"([a-z0-9]+)(?:=(\d+\.\d+))?", choice)
    row = next((row for row in _rows() if match and row["id"] == match[1]), None)
    if not match or row is None:
        raise ValueError(f"unknown runtime {choice!r}: {choices.meant(choice, ids())} is one of {choices.RUNTIME}")
    version = assumed_version(choice)
    if version and row["id"] != "vc14":
        raise ValueError(f"unknown runtime {choice!r}: only vc14 takes a version")
    included = [other for other in _rows() if other["id"] in row.get("includes", [])]
    names = [
        name
        for one in (row, *included)
        for name, since in one["dlls"].items()
        if "*" not in name and _has(one, name, architecture) and not (version and since and number(since) > version)
    ]
    return row["short"] + (f" {match[2]}" if version else ""), {name: name for name in names}


def ids() -> list[str]:
    """What --with-runtime takes, without versions."""
    return list(dict.fromkeys(row["id"] for row in _rows()))


def assumed_version(choice: str) -> tuple[int, int] | None:
    """The version that --with-runtime names, None if it names none: then it is the newest."""
    _, _, version = choice.partition("=")
    return number(version) if version else None


def registry_keys() -> dict[str, str]:
    """Package id -> the key of the registry in which its installer notes itself, below VisualStudio."""
    return {row["id"]: row["registry"] for row in _rows() if "registry" in row}


def number(version: str) -> tuple[int, int]:
    """The first two numbers of a version."""
    major, minor = version.split(".")[:2]
    return int(major), int(minor)


def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tables.table("runtimes.toml")["runtime"]
    return rows


def _is_one_of(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern) for pattern in patterns)


def _has(row: dict[str, Any], dll: str, architecture: str) -> bool:
    everywhere = row.get("made_for", [architecture])
    return architecture in row.get("architectures", {}).get(dll, everywhere)


def _runtime(row: dict[str, Any], architecture: str, since: str) -> Runtime:
    keys = ("name", "short", "url", "install", "repair")
    texts = {key: row.get(key, "").format(arch=architecture) for key in keys}
    return Runtime(id=row["id"], since=since, assemblies=row.get("assemblies", ""), **texts)
