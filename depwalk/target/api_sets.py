"""API sets: names that begin with api- or ext- and stand for a host DLL that Windows chooses (windows-loader 1.6)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from depwalk import tables

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PREFIXES = ("api-", "ext-")
_FULL_NAME = re.compile(r"(api|ext)-ms-.+-l\d+-\d+-\d+(\.dll)?", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True)
class ApiSets:
    """One Windows version's map: set name -> importing module ("" for any) -> host DLL ("" if absent)."""

    hosts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    by_contract: bool = True  # since Windows 10 the last version number of a name does not count
    complete: bool = True  # False: a set that is not listed may exist all the same

    def host(self, name: str, importer: str) -> str | None:
        """The host of a set for an importing module: "" if the set is known and absent, None if it is unknown."""
        found = self._entry(_stem(name))
        if found is None:
            return None
        return found.get(importer.lower(), found.get("", ""))

    def _entry(self, name: str) -> Mapping[str, str] | None:
        if not self.by_contract:
            return self.hosts.get(name)
        return self._contracts.get(name.rpartition("-")[0])

    @cached_property
    def _contracts(self) -> Mapping[str, Mapping[str, str]]:
        return {name.rpartition("-")[0]: entry for name, entry in self.hosts.items()}


@lru_cache(maxsize=65536)
def is_api_set(name: str) -> bool:
    """Whether the loader looks a name up in its API-set map: it does so for these prefixes (windows-loader 1.1)."""
    return name.lower().startswith(_PREFIXES) and "\\" not in name and "/" not in name


def is_named_as_one(name: str) -> bool:
    """Whether a name has the full form that Microsoft gives to API sets, with its version at the end."""
    return _FULL_NAME.fullmatch(name) is not None


@cache
def from_table(name: str, *, complete: bool) -> ApiSets:
    """A table of depwalk/data/api_sets; an empty name is a Windows that keeps its sets as files."""
    hosts: dict[str, dict[str, str]] = {}
    for line in tables.lines(f"api_sets/{name}") if name else ():
        api_set, importer, host = line.split("\t")
        hosts.setdefault(api_set, {})[importer] = host
    return ApiSets(hosts, by_contract=name.startswith("10"), complete=complete)


def from_map(data: bytes) -> ApiSets:
    """A map as it lies in a process or in apisetschema.dll, versions 2, 4 and 6. Raises ValueError if it is none."""
    if len(data) < 4:
        raise ValueError("an API-set map begins with its version")
    version = struct.unpack_from("<I", data)[0]
    if version not in _ENTRIES:
        raise ValueError(f"API-set map of version {version}")
    try:
        return ApiSets(_hosts(data, version), by_contract=version >= 6)
    except struct.error as error:
        raise ValueError(f"API-set map is cut off: {error}") from error


def _stem(name: str) -> str:
    lowered = name.lower()
    return lowered.removesuffix(".dll")


def _text(data: bytes, offset: int, length: int) -> str:
    if offset + length > len(data):
        raise ValueError("API-set map is cut off")
    return data[offset : offset + length].decode("utf-16-le", "replace").lower()


class _Entry(NamedTuple):
    """Where an entry's name and its values lie, in bytes from the start of the map."""

    name: int
    name_length: int
    values: int
    total: int


def _entries_v2(data: bytes) -> Iterator[_Entry]:
    for i in range(struct.unpack_from("<I", data, 4)[0]):
        name, length, block = struct.unpack_from("<3I", data, 8 + 12 * i)
        yield _Entry(name, length, block + 4, struct.unpack_from("<I", data, block)[0])


def _entries_v4(data: bytes) -> Iterator[_Entry]:
    for i in range(struct.unpack_from("<I", data, 12)[0]):
        _, name, length, _, _, block = struct.unpack_from("<6I", data, 16 + 24 * i)
        yield _Entry(name, length, block + 8, struct.unpack_from("<I", data, block + 4)[0])


def _entries_v6(data: bytes) -> Iterator[_Entry]:
    count, entries = struct.unpack_from("<2I", data, 12)
    for i in range(count):
        _, name, length, _, values, value_count = struct.unpack_from("<6I", data, entries + 24 * i)
        yield _Entry(name, length, values, value_count)


_ENTRIES = {2: _entries_v2, 4: _entries_v4, 6: _entries_v6}


def _hosts(data: bytes, version: int) -> dict[str, dict[str, str]]:
    """Set -> importer -> host. A map cannot have more values than fit into it, however often it points to them."""
    flags = 0 if version == 2 else 4  # bytes before the names of a value
    size = 16 + flags
    left = len(data) // size
    prefixes = ("",) if version == 6 else _PREFIXES  # older maps store names without them
    hosts: dict[str, dict[str, str]] = {}
    for entry in _ENTRIES[version](data):
        left -= entry.total
        if left < 0:
            raise ValueError("API-set map is cut off")
        rows = [struct.unpack_from("<4I", data, entry.values + size * k + flags) for k in range(entry.total)]
        found = _values(data, rows)
        name = _text(data, entry.name, entry.name_length)
        hosts.update((prefix + name, found) for prefix in prefixes)
    return hosts


def _values(data: bytes, rows: list[tuple[int, ...]]) -> dict[str, str]:
    """Importer -> host; the first value is the default, whatever its name (windows-loader 1.6)."""
    found = {}
    for index, (name, name_length, host, host_length) in enumerate(rows):
        found[_text(data, name, name_length) if index else ""] = _text(data, host, host_length)
    return found
