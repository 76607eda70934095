"""What an installed distribution, or an unpacked wheel, says about a file: its RECORD and its WHEEL."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Distribution:
    """The distribution whose RECORD lists a file. `tags` are those of its WHEEL file, such as cp37-cp37m-win_amd64."""

    name: str
    version: str
    tags: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def distribution_of(path: str) -> Distribution | None:
    """The distribution of a file, looked for in the directories above it. None if no RECORD there lists it."""
    full = os.path.abspath(path)
    directory = os.path.dirname(full)
    while True:
        for folder in _metadata_folders(directory):
            if _lists(os.path.join(folder, "RECORD"), os.path.relpath(full, directory)):
                return _read(folder)
        parent = os.path.dirname(directory)
        if parent == directory or os.path.basename(directory).lower() in ("site-packages", "dist-packages"):
            return None
        directory = parent


def _metadata_folders(directory: str) -> list[str]:
    try:
        names = os.listdir(directory)
    except OSError:
        return []
    return [os.path.join(directory, name) for name in names if name.endswith(".dist-info")]


def _lists(record: str, name: str) -> bool:
    wanted = name.replace(os.sep, "/").lower() + ","
    try:
        with open(record, encoding="utf-8", errors="replace") as file:
            return any(line.lstrip('"').lower().replace('",', ",").startswith(wanted) for line in file)
    except OSError:
        return False


def _read(folder: str) -> Distribution:
    name, _, version = os.path.basename(folder)[: -len(".dist-info")].partition("-")
    tags = []
    try:
        with open(os.path.join(folder, "WHEEL"), encoding="utf-8", errors="replace") as file:
            tags = [line.partition(":")[2].strip() for line in file if line.lower().startswith("tag:")]
    except OSError:
        pass
    return Distribution(name, version, tuple(tags))
