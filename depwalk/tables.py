"""Reads the tables of depwalk/data: facts, each with its source in the file itself."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_DATA = Path(__file__).with_name("data")


@cache
def table(name: str) -> dict[str, Any]:
    """A TOML table, by file name."""
    return tomllib.loads((_DATA / name).read_text("utf-8"))


def parse(text: str) -> dict[str, Any]:
    """TOML. Raises ValueError."""
    return tomllib.loads(text)


@cache
def lines(name: str) -> tuple[str, ...]:
    """The lines of a list or TSV table that are neither empty nor comments."""
    text = (_DATA / name).read_text("utf-8")
    return tuple(line for line in text.split("\n") if line and not line.startswith("#"))


def path(*parts: str) -> Path:
    """The path of a table."""
    return _DATA.joinpath(*parts)


@cache
def names(directory: str) -> tuple[str, ...]:
    """The names of the tables in a directory, sorted."""
    return tuple(sorted(entry.name for entry in (_DATA / directory).iterdir()))
