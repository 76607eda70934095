"""Where a file comes from, as far as Windows notes it: the mark of the web, and placeholders of a cloud program."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from depwalk import core

if TYPE_CHECKING:
    from collections.abc import Iterable

_MARK = ":Zone.Identifier"
_LONGEST = 4096  # characters of a mark
# FILE_ATTRIBUTE_OFFLINE, _RECALL_ON_OPEN and _RECALL_ON_DATA_ACCESS: the content is not on this disk.
_ELSEWHERE = 0x1000 | 0x40000 | 0x400000


class Origin(NamedTuple):
    """A file with a Zone.Identifier stream, or one whose content is not on this disk."""

    path: str
    zone: int | None = None  # 3 is the internet, 4 are restricted sites; None without a mark
    url: str = ""  # where it was fetched from, empty if the mark does not say
    in_cloud: bool = False  # a placeholder: OneDrive, or a program like it, has to fetch the content


def of(paths: Iterable[str]) -> tuple[Origin, ...]:
    """Those of the files of which something is noted."""
    found = []
    for path in paths:
        zone, url = _mark(path)
        in_cloud = _is_placeholder(path)
        if zone is not None or in_cloud:
            found.append(Origin(path, zone, url, in_cloud))
    return tuple(found)


def _mark(path: str) -> tuple[int | None, str]:
    try:
        with open(core.extended_path(path) + _MARK, encoding="utf-8-sig", errors="replace") as file:
            lines = file.read(_LONGEST).splitlines()
    except OSError:
        return None, ""
    told = {key.strip().lower(): value.strip() for key, _, value in (line.partition("=") for line in lines)}
    zone = told.get("zoneid", "")
    return (int(zone) if zone.isdecimal() else None), told.get("hosturl", "")


def _is_placeholder(path: str) -> bool:
    try:
        found = os.lstat(core.extended_path(path))
    except OSError:
        return False
    return bool(getattr(found, "st_file_attributes", 0) & _ELSEWHERE)
