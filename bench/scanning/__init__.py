"""The parts of bench/scan.py."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import common

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ANSWERED = (0, 1, 2, 3)  # exit statuses of a scan; 2 also if one file is unreadable
CASE = ("--windows", "10", "--with-runtime", "vc14")
MATRIX = tuple(word for name in ("7", "8.1", "10", "11", "11-core") for word in ("--windows", name))
MATRIX += ("--with-runtime", "vc14", "--also-without-runtime")
CASES_OF_MATRIX = 10
RIVALS = Path(__file__).with_name("rivals.py")


@dataclass
class Setting:
    """What is measured, and how often."""

    directories: list[str]
    files: list[str]  # that the scan finds there
    processes: int  # that the scan starts for them
    rounds: int
    scratch: Path  # deleted afterwards
    environment: dict[str, str]
    site: Path  # a site-packages, of which larger environments are made
    wheels: list[Path]
    sizes: list[int]
    picture: Path | None = None
    case: Sequence[str] = CASE

    @property
    def listed(self) -> Path:
        """A file with the path of every file on a line."""
        path = self.scratch / "files.txt"
        if not path.exists():
            path.write_text("".join(f"{file}\n" for file in self.files), "utf-8")
        return path

    def run(self, command: Sequence[str]) -> common.Run:
        """Run a scan. Ends the benchmark if it says nothing."""
        found = common.run(command, self.environment, ANSWERED)
        if not found.output:
            sys.exit(f"{' '.join(command)}: it printed nothing")
        return found


@dataclass
class Part:
    """What was measured: tables to show, and everything for the JSON file."""

    tables: list[common.Table]
    data: Mapping[str, Any]
    software: list[str] = field(default_factory=list)  # versions, beside those that every part has


def scan(paths: Sequence[str], *options: str, case: Sequence[str] = CASE) -> list[str]:
    """The command that is measured."""
    return [sys.executable, "-m", "depwalk", "scan", *paths, *case, "-q", *options]


def rival(way: str, setting: Setting, processes: int = 1) -> list[str]:
    """Another way through the same files."""
    return [sys.executable, str(RIVALS), way, str(setting.listed), str(processes)]
