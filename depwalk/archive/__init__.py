"""A wheel, read inside its archive as the directory that installing it on Windows would make."""

from __future__ import annotations

import csv
import errno
import io
import itertools
import os
import shutil
import stat
import tempfile
import weakref
from bisect import bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from depwalk.archive import names, zipped
from depwalk.archive.zipped import UnreadableArchive

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from depwalk.archive.names import Place
    from depwalk.archive.zipped import Entry

__all__ = ["Archive", "Member", "UnreadableArchive"]

MEMORY = 32 << 20  # bytes of contents that are kept; those above lie in temporary files
MOST_UNPACKED = 8 << 30  # bytes of one archive: twice what the largest wheels hold
LARGEST_RECORD, LONGEST_RECORD = 8 << 20, 200_000  # bytes and lines: the largest ones have some 30,000 of a hundred
MOST_DIRECTORY_TEXT = 16 << 20  # characters: the names of directories grow with the square of their depth
_DIRECTORY_COST = 64  # characters that each directory counts for besides, as it takes memory whatever its name
_SHOWN, _SHOWN_LENGTH = 5, 80  # names in one sentence, and characters of each

_BINARIES = (".dll", ".pyd", ".exe")
_INFO = ".dist-info"
_TWICE = "names that occur more than once, of which the last counts"
_TWO_CASES = "names that differ from another one in case only, of which the last counts"
_BOTH = "names of a file and of a directory at once"
_FULL_FOLDERS = "directories that have content of their own, which is not looked at"
_LINKS = "symbolic links, which are installed as files that hold the name of their target"
_OVERLAPPING = "members whose data overlap, as in a zip bomb"


class Member(NamedTuple):
    """A file in the archive. `name` is where it would be installed, relative to site-packages."""

    name: str
    size: int
    refused: str  # why it is not read, for a person; empty if it can be


class Archive:
    """An open wheel. Names are found in any case, as on Windows; all calls come from one thread.

    Members whose names cannot be installed are none: `problems` has them.
    """

    def __init__(self, path: str) -> None:
        """Raise UnreadableArchive, or OSError if there is no such file or it cannot be opened."""
        self.path = path
        self.members: Mapping[str, Member] = {}
        self.directories: Mapping[str, Mapping[str, str]] = {}
        self._kept: dict[str, bytes | str] = {}  # contents, or the temporary files that have them
        self._memory, self._left = MEMORY, MOST_UNPACKED
        self._scratch = ""
        self._remover: weakref.finalize[..., Archive] | None = None
        self._odd: dict[str, list[str]] = {}  # what is wrong -> names
        self._lost: set[str] = set()  # names of entries that are no members
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for its writer
            raise UnreadableArchive("it is no file")
        self._file = io.FileIO(path)
        try:
            entries, self._end, self._remarks = zipped.listing(self._file)
            self._offsets = sorted(entry.offset for entry in entries)
            self._files = self._chosen(entries)
            self.members = {key: self._member(*found) for key, found in self._files.items()}
            self.directories = _directories(place.name for place, _, _ in self._files.values())
        except BaseException:
            self._file.close()
            raise
        for key in self.directories.keys() & self.members.keys():
            self._note(_BOTH, key)

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @cached_property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with the archive as a whole, for a person. The first use reads RECORD."""
        odd = (f"{what}: {_some(found)}" for what, found in sorted(self._odd.items()))
        return (*self._remarks, *odd, *self._metadata())

    def read(self, name: str, most: int | None = None) -> bytes:
        """The content of a member, or its first `most` bytes, in which a wrong CRC does not show. Raise OSError."""
        key, entry = self._readable(name)
        kept = self._kept.get(key)
        if isinstance(kept, bytes):
            return kept[:most]
        if kept is not None:
            with open(kept, "rb") as file:
                return file.read(-1 if most is None else most)
        buffer = io.BytesIO()
        for piece in self._unpacked(entry, entry.size if most is None else most):
            buffer.write(piece)
        return buffer.getvalue()

    def content(self, name: str) -> bytes | str:
        """The content of a member, or a temporary file that has it until close(); unpacked once. Raise OSError."""
        key, entry = self._readable(name)
        if key not in self._kept:
            if entry.size <= self._memory:
                self._kept[key] = self.read(key)
                self._memory -= entry.size
            else:
                self._kept[key] = self._on_disk(entry)
        return self._kept[key]

    def close(self) -> None:
        """Close the file and delete the temporary ones; those that are still mapped stay on Windows: call it again."""
        self._file.close()
        self._kept.clear()
        if self._remover is not None:
            shutil.rmtree(self._scratch, ignore_errors=True)
            if not os.path.exists(self._scratch):
                self._remover.detach()
                self._remover = None

    def _chosen(self, entries: Sequence[Entry]) -> dict[str, tuple[Place, Entry, str]]:
        """The entries that would be there in the end: pip writes them in order, and those in NAME.data last."""
        chosen: dict[str, tuple[Place, Entry, str]] = {}
        for entry, refused in zip(entries, zipped.refusals(entries, self._end)):
            place = names.placed(entry.name)
            fault = place.fault or entry.fault
            if refused == zipped.OVERLAPS:
                self._note(_OVERLAPPING, entry.name)
            if fault or entry.is_folder:
                if fault or entry.size:
                    self._note(fault or _FULL_FOLDERS, entry.name)
                self._lost.add(entry.name.replace("\\", "/").lower())
                continue
            if entry.is_link:
                self._note(_LINKS, entry.name)
            key = place.name.lower()
            if key in chosen:
                former = chosen[key][0]
                self._note(_TWICE if former.name == place.name else _TWO_CASES, place.name)
                moved = former.name != former.written and place.name == place.written
                self._lost.add((place if moved else former).written.lower())
                if moved:
                    continue
            chosen[key] = (place, entry, refused)
        return chosen

    def _note(self, what: str, name: str) -> None:
        self._odd.setdefault(what, []).append(name)

    def _member(self, place: Place, entry: Entry, refused: str) -> Member:
        if not refused and place.name.lower().endswith(_BINARIES):  # others are rarely read: they can wait
            try:
                self._data_of(entry)
            except OSError as error:
                refused = error.strerror or str(error)
        return Member(place.name, entry.size, refused)

    def _data_of(self, entry: Entry) -> int:
        following = bisect_right(self._offsets, entry.offset)
        end = self._offsets[following] if following < len(self._offsets) else self._end
        return zipped.data_of(self._file, entry, end)

    def _readable(self, name: str) -> tuple[str, Entry]:
        key = name.lower()
        if self._file.closed:
            raise OSError(errno.EBADF, "the archive is closed")
        if key not in self._files:
            raise OSError(errno.ENOENT, "there is no such member in the archive")
        if refused := self.members[key].refused:
            raise zipped.damaged(refused)
        return key, self._files[key][1]

    def _unpacked(self, entry: Entry, most: int) -> Iterator[bytes]:
        if min(most, entry.size) > self._left:
            raise zipped.damaged(f"{MOST_UNPACKED:,} bytes have been unpacked from this archive, and no more are")
        for piece in zipped.unpacked(self._file, entry, self._data_of(entry), most):
            self._left -= len(piece)
            yield piece

    def _on_disk(self, entry: Entry) -> str:
        if not self._scratch:
            self._scratch = tempfile.mkdtemp(prefix="depwalk-")
            self._remover = weakref.finalize(self, shutil.rmtree, self._scratch, ignore_errors=True)
        path = os.path.join(self._scratch, str(len(self._kept)))
        try:
            with open(path, "wb") as file:
                file.writelines(self._unpacked(entry, entry.size))
        except OSError:
            os.unlink(path)  # a damaged member can be large
            raise
        return path

    def _metadata(self) -> Iterator[str]:
        root = self.directories[""]
        folders = sorted(root[key] for key in root if key.endswith(_INFO) and key in self.directories)
        if not folders:
            yield "it has no .dist-info directory, and is no wheel"
        elif len(folders) > 1:
            yield f"it has more than one .dist-info directory, and installers refuse it: {_some(folders)}"
        else:
            there = self.directories[folders[0].lower()]
            if missing := [name for name in ("METADATA", "WHEEL", "RECORD") if name.lower() not in there]:
                yield f"files that its .dist-info directory must have, and that are not there: {_some(missing)}"
            if "record" in there:
                yield from self._record(f"{folders[0]}/RECORD")

    def _record(self, name: str) -> Iterator[str]:
        """RECORD against the members: what is not there, has another size, or is not listed."""
        try:
            data = io.BytesIO(self.read(name, LARGEST_RECORD))
        except OSError as error:
            yield f"its RECORD cannot be read: {error.strerror}"
            return
        members = {place.written.lower(): entry.size for place, entry, _ in self._files.values()}
        listed: set[str] = set()
        absent: list[str] = []
        differing: list[str] = []
        lines = io.TextIOWrapper(data, encoding="utf-8", errors="replace", newline="")
        try:
            for row in csv.reader(itertools.islice(lines, LONGEST_RECORD)):
                key = row[0].replace("\\", "/").lower() if row else ""
                if key in members:
                    listed.add(key)
                    if _differs(row, members[key]):
                        differing.append(row[0])
                elif key and key[-1] != "/" and key not in self._lost:
                    absent.append(row[0])
        except csv.Error:
            yield "its RECORD cannot be read: it is no table of names, hashes and sizes"
            return
        is_whole = not lines.read(1) and self.members[name.lower()].size <= LARGEST_RECORD
        unlisted = [key for key in members if key.endswith(_BINARIES) and key not in listed]
        if not is_whole:
            yield f"its RECORD has over {LARGEST_RECORD:,} bytes or {LONGEST_RECORD:,} lines: the rest was not read"
        for what, found in (
            ("files that its RECORD lists, and that are not there", absent),
            ("files that have another size than its RECORD says", differing),
            ("DLLs, programs and extension modules that its RECORD does not list", unlisted if is_whole else []),
        ):
            if found:
                yield f"{what}: {_some(found)}"


def _directories(files: Iterable[str]) -> dict[str, dict[str, str]]:
    """Directory -> lower-cased entry -> entry, of files and of all directories above them."""
    tree: dict[str, dict[str, str]] = {"": {}}
    left = MOST_DIRECTORY_TEXT
    for name in files:
        folder, _, last = name.rpartition("/")
        key = folder.lower()
        new = key not in tree
        tree.setdefault(key, {}).setdefault(last.lower(), last)
        while new:
            left -= len(key) + _DIRECTORY_COST
            if left < 0:
                raise UnreadableArchive("it has too many directories, or they lie too deep in each other")
            folder, _, last = folder.rpartition("/")
            key = folder.lower()
            new = key not in tree
            tree.setdefault(key, {}).setdefault(last.lower(), last)
    return tree


def _differs(row: list[str], size: int) -> bool:
    told = row[2] if len(row) > 2 else ""
    return told.isdecimal() and (len(told) > 19 or int(told) != size)  # a longer one would take int() for ever


def _some(found: Sequence[str]) -> str:
    """A few names, safe to print, and how many more there are."""
    shown = ", ".join(_printable(name) for name in found[:_SHOWN])
    return f"{shown} and {len(found) - _SHOWN:,} more" if len(found) > _SHOWN else shown


def _printable(name: str) -> str:
    cut = name if len(name) <= _SHOWN_LENGTH else name[: _SHOWN_LENGTH - 3] + "..."
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in cut)
