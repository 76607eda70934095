"""Who supplies DLLs that are neither Windows's nor Microsoft's runtimes: drivers, toolkits, compilers, libraries."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from depwalk import tables

if TYPE_CHECKING:
    from collections.abc import Iterable

_WILDCARD = re.compile(r"[*?[]")


class Supplier(NamedTuple):
    """One family of DLLs, in the version that a name stands for. Texts may have {importer} and {package} in them."""

    id: str
    what: str
    version: str  # empty if the name does not tell it
    gpu: bool  # it computes on a graphics card
    bundled: bool  # a package that needs it has to bring it
    optional: bool  # what asks for it by name does without
    driver: bool  # it comes with the driver of a graphics card
    remedy: str
    conda_remedy: str
    pip: str  # what to install, empty if nothing is
    conda: str
    url: str


@lru_cache(maxsize=65536)
def supplier(dll: str, importer: str = "") -> Supplier | None:
    """The supplier of a DLL that `importer`, a base name, needs; None if none is known."""
    name = dll.lower()
    for row, beginnings in _families():
        if not name.startswith(beginnings) or ("importers" in row and not _is_one_of(importer, row["importers"])):
            continue
        for pattern, version in row["dlls"].items():
            if fnmatchcase(name, pattern):
                return _supplier(row, version)
    return None


@lru_cache(maxsize=4096)
def is_gpu_build(name: str) -> bool:
    """Whether a file is made for a graphics card, by its name."""
    return _is_one_of(name, tables.table("suppliers.toml")["builds"]["names"])


def asked_for_in(text: str) -> tuple[str, Supplier] | None:
    """The DLL, and its supplier, that the output of a process says it did not find."""
    for row in _rows():
        if "says" in row and row["says"] in text:
            return next(iter(row["dlls"])), _supplier(row, "")
    return None


def _supplier(row: dict[str, Any], version: str) -> Supplier:
    words = {"{version}": f" {version}" if version else "", "{number}": version.partition(" ")[0]}
    texts = {key: row.get(key, "") for key in ("what", "remedy", "conda_remedy", "pip", "conda")}
    for word, value in words.items():
        texts = {key: text.replace(word, value) for key, text in texts.items()}
    flags: dict[str, Any] = {key: bool(row.get(key)) for key in ("gpu", "bundled", "optional", "driver")}
    return Supplier(id=row["id"], version=version, url=row.get("url", ""), **texts, **flags)


@cache
def _families() -> list[tuple[dict[str, Any], tuple[str, ...]]]:
    """Each with what its patterns begin with: only few names need a closer look."""
    return [(row, tuple(_WILDCARD.split(pattern)[0] for pattern in row["dlls"])) for row in _rows()]


def _rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = tables.table("suppliers.toml")["family"]
    return rows


def _is_one_of(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name.lower(), pattern) for pattern in patterns)
