"""What installed distributions, or unpacked wheels, say about files: their RECORD, WHEEL and INSTALLER."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from depwalk import files

if TYPE_CHECKING:
    from collections.abc import Iterable

_SUFFIX = ".dist-info"
_LARGEST, _MOST_LINES = 8 << 20, 200_000  # bytes and lines: the largest RECORDs have some 30,000 of a hundred
_MOST_DIRECTORY_TEXT = 16 << 20  # characters: the names of directories grow with the square of their depth
_SITES = ("Lib/site-packages", "site-packages")  # below a prefix, and below a user's own
_PLATFORMS = {"win32": "x86", "win_amd64": "x64", "win_arm64": "arm64"}
_FIRST_FIELD = re.compile(r'^(?:"([^"\n]*)|([^,\n]*))', re.MULTILINE)  # of a line of RECORD, without its quotes
_FIRST_FOLDER = re.compile(rb'\n"?([^/\\,"\n]*)[/\\]')  # of the path in a line of RECORD
_TOP = re.compile(r"[/.]")  # behind the first part of a path in a site: numpy of numpy/core and of numpy.libs
_PYTHON_TAG = re.compile(r"(?:cp|py)3(\d+)", re.ASCII)


@dataclass(frozen=True)
class Distribution:
    """The distribution whose RECORD lists a file."""

    name: str
    version: str
    tags: tuple[str, ...] = ()  # of its WHEEL file, such as cp37-cp37m-win_amd64
    generator: str = ""  # what built the wheel
    installer: str = ""  # by its INSTALLER file: pip, conda, uv, ...
    origin: str = ""  # URL that it was installed from, if that is no package index: a directory, a repository, a file
    folder: str = field(default="", repr=False, compare=False)  # its metadata

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    @property
    def architectures(self) -> frozenset[str]:
        """What its tags are for; empty for a wheel that says to fit any."""
        return frozenset(
            _PLATFORMS[tag.rpartition("-")[2]] for tag in self.tags if tag.rpartition("-")[2] in _PLATFORMS
        )

    @property
    def only_minor(self) -> int | None:
        """The minor version of the only CPython 3 that its tags allow, None if they allow several."""
        found = [_PYTHON_TAG.fullmatch(tag.split("-")[0]) for tag in self.tags if "-abi3" not in tag]
        minors = {int(match[1]) for match in found if match and match[0].startswith("cp")}
        return minors.pop() if len(minors) == 1 and len(found) == len(self.tags) else None

    @property
    def oldest_minor(self) -> int | None:
        """The first CPython 3 that its tags allow, None if they do not say."""
        found = [_PYTHON_TAG.fullmatch(tag.partition("-")[0]) for tag in self.tags]
        return min((int(match[1]) for match in found if match), default=None)


class Owner(NamedTuple):
    """Whose a file is: `listed` in the RECORD in `folder`, or only lying among the files that are."""

    folder: str
    listed: bool


def distribution_of(path: str) -> Distribution | None:
    """The distribution of a file, by the directories above it. None if no RECORD there lists it."""
    found = owners([path]).get(path)
    return read(found.folder) if found and found.listed else None


def owners(paths: Iterable[str]) -> dict[str, Owner]:
    """Whose each file is; those that lie among nobody's files are left out."""
    return {path: found for path in paths if (found := _owner(path)) is not None}


@files.remembered
def _owner(path: str) -> Owner | None:
    full = os.path.abspath(path)
    among = None
    for site in _sites_above(os.path.dirname(full)):
        inside = full.startswith(site) and full[len(site) : len(site) + 1] == os.sep
        name = (full[len(site) + 1 :] if inside else os.path.relpath(full, site)).replace(os.sep, "/").lower()
        directory = os.path.dirname(name)
        for folder in _with_files_in(site, name.partition("/")[0]) if directory else metadata_folders(site, name):
            listed, directories = listed_in(folder)
            if name in listed:
                return Owner(folder, listed=True)
            if among is None and inside and directory and directory in directories:
                among = Owner(folder, listed=False)
    return among


@files.remembered
def _with_files_in(site: str, top: str) -> tuple[str, ...]:
    """Of the metadata_folders those whose RECORD lists something below a directory of the site, or outside of it."""
    return _likely_first(site, top, _by_top(site).get(top, ()))


@files.remembered
def _by_top(site: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for folder in _folders(site):
        for top in _tops(folder):
            found.setdefault(top, []).append(folder)
    return found


def _tops(folder: str) -> frozenset[str]:
    """The first parts of what RECORD lists below a directory: much cheaper than all of it, for most have no DLL."""
    record = b"\n" + _content_of(os.path.join(folder, "RECORD")).replace(b"\r", b"\n")
    tops = set(_FIRST_FOLDER.findall(record))
    return frozenset(top.decode("utf-8", "replace").lower() for top in tops)


@files.remembered
def listed_in(folder: str) -> tuple[frozenset[str], frozenset[str]]:
    """What the RECORD in a folder lists, in lower case: files, and directories that they lie in or below."""
    listed = frozenset(_record(folder))
    directories: set[str] = set()
    left = _MOST_DIRECTORY_TEXT
    for holding in {name.rpartition("/")[0] for name in listed}:
        directory = holding
        while directory not in directories and left > 0:
            directories.add(directory)
            left -= len(directory)
            directory = directory.rpartition("/")[0]
    return listed, frozenset(directories)


def _record(folder: str) -> list[str]:
    """The paths in RECORD, in lower case and with slashes."""
    text = text_of(os.path.join(folder, "RECORD")).lower().replace("\\", "/")
    if '"' in text:  # then a path may have a comma; but that is rare, and this is slow
        return [quoted or plain for quoted, plain in _FIRST_FIELD.findall(text)[:_MOST_LINES]]
    return [line.partition(",")[0] for line in text.split("\n")[:_MOST_LINES]]


@files.remembered
def read(folder: str) -> Distribution:
    """What a .dist-info directory says."""
    name, _, version = os.path.basename(folder)[: -len(_SUFFIX)].partition("-")
    fields = [line.partition(":") for line in text_of(os.path.join(folder, "WHEEL")).splitlines()]
    told = [(key.strip().lower(), value.strip()) for key, _, value in fields]
    return Distribution(
        name,
        version,
        tuple(value for key, value in told if key == "tag"),
        next((value for key, value in told if key == "generator"), ""),
        text_of(os.path.join(folder, "INSTALLER")).strip().lower(),
        _origin(text_of(os.path.join(folder, "direct_url.json"))),
        folder,
    )


def metadata_folders(site: str, wanted: str = "") -> tuple[str, ...]:
    """The .dist-info directories of a site-packages; those first whose name begins as `wanted`, a path in it, does."""
    return _likely_first(site, wanted, _folders(site))


def _likely_first(site: str, wanted: str, some: Iterable[str]) -> tuple[str, ...]:
    """Some of the folders of a site: see metadata_folders."""
    first, names = normalised(_TOP.split(wanted.lower(), maxsplit=1)[0]), _folders(site)
    return tuple(sorted(some, key=lambda folder: not names[folder].startswith(first)))


@files.remembered
def _folders(site: str) -> dict[str, str]:
    """Those of a site-packages -> their names in one spelling."""
    try:
        names = [name for name in files.names(site) if name.lower().endswith(_SUFFIX) and name[0] != "~"]
    except OSError:
        return {}
    return {os.path.join(site, name): normalised(name) for name in names}


@lru_cache(maxsize=4096)
def normalised(name: str) -> str:
    """One spelling for Foo.Bar, foo_bar and foo-bar (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def conda_package_of(path: str, prefix: str) -> Distribution | None:
    """The conda package that brought a file into an environment, by the records that conda keeps there."""
    name = json.dumps(os.path.relpath(path, prefix).replace(os.sep, "/").lower()).encode()
    records = os.path.join(prefix, "conda-meta")
    try:
        files = sorted(entry.path for entry in os.scandir(records) if entry.name.endswith(".json"))
    except OSError:
        return None
    for file in files:
        with open(file, "rb") as opened:
            if name in opened.read().lower():
                package, version, _ = os.path.basename(file)[: -len(".json")].rsplit("-", 2)
                return Distribution(package, version, installer="conda", folder=file)
    return None


@files.remembered
def _sites_above(directory: str) -> list[str]:
    """A directory and those above it that hold distributions, up to the first site-packages; the nearest first."""
    found, below = [], ""
    while directory != below:
        found += _sites_at(directory)
        if _is_site(directory):
            break
        directory, below = os.path.dirname(directory), directory
    return found


@files.remembered
def _sites_at(directory: str) -> list[str]:
    below = () if _is_site(directory) else (os.path.join(directory, *site.split("/")) for site in _SITES)
    return [site for site in (directory, *below) if _folders(site)]


def _is_site(directory: str) -> bool:
    return os.path.basename(directory).lower() in ("site-packages", "dist-packages")


def _origin(told: str) -> str:
    try:
        return str(json.loads(told)["url"]) if told else ""
    except (ValueError, KeyError, TypeError):
        return ""


def text_of(path: str) -> str:
    """A file of the metadata, as far as it is not too long for one; empty if it cannot be read."""
    return files.as_text(_content_of(path))


def _content_of(path: str) -> bytes:
    try:
        return files.content(path, _LARGEST)
    except OSError:
        return b""
