"""Many files: site-packages, wheels and application folders, judged at once, each in one or several cases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from depwalk import core
from depwalk.bulk.collect import NothingToScan, collect, site_of
from depwalk.bulk.rows import Case

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from depwalk.bulk.collect import Listed
    from depwalk.bulk.earlier import Earlier
    from depwalk.bulk.rows import File, Row
    from depwalk.target.choose import Choice, Machine

__all__ = ["NothingToScan", "Scan", "cases"]

FILES_IN_WHEEL = 30  # on average, roughly
_CHUNK = 1 << 20  # bytes


def cases(
    choice: Choice, windows: Sequence[str], *, live: bool, also_without_runtime: bool = False
) -> tuple[tuple[Case, Choice], ...]:
    """Every Windows with the runtimes chosen, and if asked for without any: what --windows and --with-runtime say.

    Raises ValueError with a sentence for a person.
    """
    from depwalk.target import windows as known

    found: list[tuple[Case, Choice]] = []
    for name in windows or [choice.windows or ("live" if live else "11")]:
        if choice.root is None and name != "live":
            known.named(name)
        runtimes = [(), choice.runtimes] if also_without_runtime and choice.runtimes else [choice.runtimes]
        for one in runtimes:
            label = choice.root or name
            label += "".join(f" + {runtime}" for runtime in one)
            case = Case(label, choice.root or name, tuple(one), choice.python, choice.cpu)
            found.append((case, choice._replace(windows=None if choice.root else name, runtimes=tuple(one))))
    return tuple(dict(found).items())


@dataclass
class Scan:
    """What is to be judged, and for what. Going through `rows` does the work."""

    listed: list[Listed]
    cases: tuple[tuple[Case, Choice], ...]
    machine: Machine | None = None
    load: bool = False
    timeout: float = 30.0  # seconds that a load may take
    hashed: bool = False
    jobs: int = 0  # 0: as many as are worth it
    trees: bool = True  # rows shall have nodes and links

    @classmethod
    def of(cls, paths: Sequence[str], cases: tuple[tuple[Case, Choice], ...], **options: Any) -> Scan:
        """List what paths hold.

        Raises NothingToScan, ValueError for a case that is not known, and OSError for a list that cannot be read.
        """
        from depwalk.target.choose import choose

        for _, choice in cases:  # else every file would be said to be unreadable for it
            choose(None, choice, options.get("machine"))
        return cls(collect(paths), cases, **options)

    @property
    def plain_cases(self) -> list[Case]:
        """The cases alone."""
        return [case for case, _ in self.cases]

    @property
    def total(self) -> int:
        """How many rows are to be expected, about: how many a wheel has is seen when it is opened."""
        wheels = sum(listed.unit.kind == "wheel" for listed in self.listed)
        return (len(self.files) + wheels * FILES_IN_WHEEL) * len(self.cases)

    @property
    def files(self) -> list[File]:
        """All that was listed; what is in wheels is not known yet."""
        return [file for listed in self.listed for file in listed.files]

    def bearing(self) -> dict[str, Any]:
        """What bears on verdicts beside cases, and is seen in the listing: the Python of most extension modules."""
        minors = ((listed.unit.path, site_of(listed.files).usual_minor) for listed in self.listed)
        return {path: minor for path, minor in minors if minor is not None}

    def rows(self, earlier: Earlier | None = None) -> Generator[Row, None, None]:
        """Each row; those that still hold are taken from an earlier scan."""
        for listed in self.listed:
            for file, reason in listed.unreadable:
                yield from _unread(file, reason, self.cases)
        todo, kept = self._todo(earlier)
        yield from kept
        if any(files for _, files in todo) or any(listed.unit.kind == "wheel" for listed, _ in todo):
            from depwalk.bulk import order

            yield from order.rows(self, todo)

    def _todo(self, earlier: Earlier | None) -> tuple[list[tuple[Listed, list[File]]], list[Row]]:
        """Units with the files that have to be judged, and rows of an earlier scan for the others."""
        if earlier is None:
            readable = (listed for listed in self.listed if listed.unit.kind != "wheel" or not listed.unreadable)
            return [(listed, listed.files) for listed in readable], []
        if self.hashed:
            self._hash()
        wheels = [listed.unit for listed in self.listed if listed.unit.kind == "wheel"]
        earlier.prepare([file for listed in self.listed if listed.whole for file in listed.files], wheels)
        todo: list[tuple[Listed, list[File]]] = []
        kept: list[Row] = []
        plain = self.plain_cases
        for listed in self.listed:
            if listed.unit.kind == "wheel" and not listed.unreadable:
                rows = earlier.wheel(listed.unit, plain)
                kept += rows or ()
                todo += [] if rows is not None else [(listed, [])]
                continue
            again = []
            for file in listed.files:
                found = [earlier.find(file, case) for case in plain]
                rows = [row for row in found if row is not None]
                if len(rows) == len(plain):
                    kept += rows
                else:
                    again.append(file)
            if again:
                todo.append((listed, again))
        return todo, kept

    def _hash(self) -> None:
        """Learn the content of every file, in threads: the system reads while others compute."""
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor() as pool:
            for listed in self.listed:
                hashes = pool.map(_sha256, [file.path for file in listed.files])
                listed.files[:] = [file._replace(sha256=found) for file, found in zip(listed.files, hashes)]


def _sha256(path: str) -> str:
    import hashlib

    digest = hashlib.sha256()
    try:
        with open(core.extended_path(path), "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return ""  # whoever reads it will say why
    return digest.hexdigest()


def _unread(file: File, reason: str, asked: Sequence[tuple[Case, Choice]]) -> Iterator[Row]:
    from depwalk.bulk.rows import Row

    yield from (Row(file, case, None, reason=reason, unreadable=True) for case, _ in asked)
