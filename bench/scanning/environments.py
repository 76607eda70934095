"""Environments of any number of files, made of the distributions of a real site-packages by hard links."""

from __future__ import annotations

import csv
import os
import random
import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

COUNTED = (".pyd", ".dll", ".exe")  # what a scan looks at
SEED = 20


class Environments:
    """Below `folder`, numbered environments, each with a Lib/site-packages."""

    def __init__(self, site: Path, folder: Path) -> None:
        self.site = site
        self.folder = folder
        self.distributions = list(_distributions(site))
        random.Random(SEED).shuffle(self.distributions)  # a part of them is then as mixed as the whole
        self.total = sum(map(_counted, self.distributions))
        self._made: dict[tuple[int, int], str] = {}

    def of(self, number: int) -> tuple[list[str], int]:
        """Directories that together hold about so many files to scan, and how many these are."""
        full, rest = divmod(number, self.total)
        found = [self._make(place, self.total) for place in range(full)]
        count = full * self.total
        if rest:
            found.append(self._make(full, rest))
            count += sum(map(_counted, self._chosen(rest)))
        return found, count

    def _chosen(self, most: int) -> list[list[str]]:
        """Whole distributions with no more files than that."""
        chosen, count = [], 0
        for names in self.distributions:
            if count + _counted(names) <= most:
                chosen.append(names)
                count += _counted(names)
        return chosen

    def _make(self, place: int, most: int) -> str:
        if (place, most) not in self._made:
            folder = self.folder / f"{place:03}-{most}" / "Lib" / "site-packages"
            for names in self._chosen(most):
                for name in names:
                    _link(self.site / name, folder / name)
            self._made[place, most] = str(folder)
        return self._made[place, most]


def _distributions(site: Path) -> Iterator[list[str]]:
    """The files of each installed distribution that are there, by its RECORD."""
    for record in sorted(site.glob("*.dist-info/RECORD")):
        with record.open(encoding="utf-8", newline="") as file:
            names = [row[0] for row in csv.reader(file) if row]
        inside = [name for name in names if not name.startswith(("..", "/"))]
        yield [name for name in inside if (site / name).is_file()]


def _counted(names: Iterable[str]) -> int:
    return sum(name.lower().endswith(COUNTED) for name in names)


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return
    try:
        os.link(source, target)
    except OSError:  # another disk
        shutil.copy2(source, target)
