"""An installed distribution against the disk: what its RECORD lists, and what is really there."""

from __future__ import annotations

import csv
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from depwalk import core, files, wheel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from depwalk.wheel import Distribution

_ENDINGS = (".dll", ".pyd", ".exe")
_BINARY = re.compile(r"\.(?:dll|pyd|exe)\b", re.IGNORECASE)  # in a line of RECORD that is worth parsing
_CHUNK = 1 << 20


class Installation(NamedTuple):
    """One distribution on the disk. Paths are absolute."""

    distribution: Distribution
    site: str  # the directory that RECORD's paths are relative to
    absent: tuple[str, ...] = ()  # DLLs, programs and extension modules that RECORD lists and that are not there
    changed: tuple[tuple[str, str], ...] = ()  # (file, what differs from RECORD, for a person)
    extra: tuple[str, ...] = ()  # of the files asked about: they lie among its files, and no RECORD lists them
    others: tuple[Distribution, ...] = ()  # further metadata of the same name: an old version that was not removed


class _Row(NamedTuple):
    """A file that RECORD lists."""

    path: str
    digest: str  # "sha256=...", or empty
    size: str  # or empty


def of_files(paths: Iterable[str], *, hashed: bool) -> tuple[Installation, ...]:
    """The installations that own files, each once; `hashed` also compares the content of these files with RECORD.

    Not compared is what conda installed, which moves files after RECORD was written, and what has two RECORDs.
    """
    given: dict[str, list[str]] = {}
    extra: dict[str, list[str]] = {}
    for path, owner in wheel.owners(paths).items():
        given.setdefault(owner.folder, [])
        if hashed or not owner.listed:
            (given if owner.listed else extra).setdefault(owner.folder, []).append(os.path.abspath(path))
    return tuple(_inspect(folder, to_hash, extra.get(folder, [])) for folder, to_hash in given.items())


def _inspect(folder: str, to_hash: list[str], extra: list[str]) -> Installation:
    distribution, site = wheel.read(folder), os.path.dirname(folder)
    others = _others(folder)
    comparable = not others and distribution.installer != "conda"
    hashed = frozenset(map(os.path.normcase, to_hash))
    absent, changed = _differences(folder, site, hashed) if comparable else ((), ())
    return Installation(
        distribution,
        site,
        absent=absent,
        changed=changed,
        extra=tuple(path for path in extra if path.lower().endswith(_ENDINGS)),
        others=others,
    )


@files.remembered
def _differences(folder: str, site: str, hashed: frozenset[str]) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The binaries in RECORD that are not there, and those that are not as it says: see Installation."""
    listed = _rows(folder, site)
    found = [(row.path, _difference(row, hashed=os.path.normcase(row.path) in hashed)) for row in listed]
    absent = tuple(path for path, differs in found if differs is None)
    return absent, tuple((path, differs) for path, differs in found if differs)


def _rows(folder: str, site: str) -> Iterator[_Row]:
    """The binaries in RECORD. Programs outside of the site are launchers, which are made on the spot."""
    record = wheel.text_of(os.path.join(folder, "RECORD"))
    for fields in csv.reader(line for line in record.splitlines() if _BINARY.search(line)):
        name, digest, size = [*fields, "", ""][:3]
        parts = name.replace("\\", "/").split("/")
        outside, unpacked_only = parts[0] == "..", parts[0].endswith(".data")
        if not name.lower().endswith(_ENDINGS) or unpacked_only or (outside and name.lower().endswith(".exe")):
            continue
        path = os.path.normpath(os.path.join(site, *parts))
        targeted = os.path.join(site, *(part for part in parts if part != ".."))  # where pip install --target puts it
        yield _Row(targeted if outside and files.is_file(targeted) else path, digest, size)


def _difference(row: _Row, *, hashed: bool) -> str | None:
    """What differs, for a person; empty if nothing does, None if there is no such file."""
    try:
        size, _ = files.stamp(row.path)
    except OSError:
        return None
    if row.size.isdecimal() and int(row.size) != size:
        return f"it has {size:,} bytes, and its package's RECORD says {int(row.size):,}"
    kind, _, wanted = row.digest.partition("=")
    if hashed and kind == "sha256" and _sha256(core.extended_path(row.path)) not in ("", wanted):
        return "its content (sha256) is not what its package's RECORD says"
    return ""


def _sha256(path: str) -> str:
    """As RECORD writes it; empty for a file that cannot be read."""
    import base64
    import hashlib

    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError:
        return ""
    return base64.urlsafe_b64encode(digest.digest()).rstrip(b"=").decode()


@files.remembered
def _others(folder: str) -> tuple[Distribution, ...]:
    """Further metadata of the distribution that a folder is about."""
    same = _by_name(os.path.dirname(folder)).get(_name(folder), [])
    others = (other for other in same if other != folder and files.is_file(os.path.join(other, "RECORD")))
    return tuple(map(wheel.read, others))


@files.remembered
def _by_name(site: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for folder in wheel.metadata_folders(site):
        found.setdefault(_name(folder), []).append(folder)
    return found


def _name(folder: str) -> str:
    return wheel.normalised(os.path.basename(folder).partition("-")[0])
