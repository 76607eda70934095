"""API sets: names that begin with api- or ext- and stand for a host DLL that Windows chooses (windows-loader 1.6)."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from depwalk import tables

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def is_api_set(name: str) -> bool:
    """Whether the loader looks a name up in its API-set map: it does so for these prefixes (windows-loader 1.1)."""
    return name.lower().startswith(_PREFIXES) and "\\" not in name and "/" not in name


def is_named_as_one(name: str) -> bool:
    """Whether a name has the full form that Microsoft gives to API sets, with its version at the end."""
    return _FULL_NAME.fullmatch(name) is not None


def from_table(name: str, *, complete: bool) -> ApiSets:
    """A table of depwalk/data/api_sets; an empty name is a Windows that keeps its sets as files."""
    hosts: dict[str, dict[str, str]] = {}
    for line in tables.lines(f"api_sets/{name}") if name else []:
        api_set, importer, host = line.split("\t")
        hosts.setdefault(api_set, {})[importer] = host
    return ApiSets(hosts, by_contract=name.startswith("10"), complete=complete)


def from_map(data: bytes) -> ApiSets:
    """A map as it lies in a process or in apisetschema.dll, versions 2, 4 and 6. Raises ValueError if it is none."""
    if len(data) < 4:
        raise ValueError("an API-set map begins with its version")
    version = struct.unpack_from("<I", data)[0]
    readers = {2: _read_v2, 4: _read_v4, 6: _read_v6}
    if version not in readers:
        raise ValueError(f"API-set map of version {version}")
    try:
        return ApiSets(readers[version](data), by_contract=version >= 6)
    except struct.error as error:
        raise ValueError(f"API-set map is cut off: {error}") from error


def _stem(name: str) -> str:
    lowered = name.lower()
    return lowered.removesuffix(".dll")


def _text(data: bytes, offset: int, length: int) -> str:
    if offset + length > len(data):
        raise ValueError("API-set map is cut off")
    return data[offset : offset + length].decode("utf-16-le", "replace").lower()


def _read_v2(data: bytes) -> dict[str, dict[str, str]]:
    hosts = {}
    for i in range(struct.unpack_from("<I", data, 4)[0]):
        name, length, values = struct.unpack_from("<3I", data, 8 + 12 * i)
        count = struct.unpack_from("<I", data, values)[0]
        rows = [struct.unpack_from("<4I", data, values + 4 + 16 * k) for k in range(count)]
        hosts["api-" + _text(data, name, length)] = _values(data, rows)
    return hosts


def _read_v4(data: bytes) -> dict[str, dict[str, str]]:
    hosts = {}
    for i in range(struct.unpack_from("<I", data, 12)[0]):
        _, name, length, _, _, values = struct.unpack_from("<6I", data, 16 + 24 * i)
        count = struct.unpack_from("<I", data, values + 4)[0]
        rows = [struct.unpack_from("<4I", data, values + 12 + 20 * k) for k in range(count)]
        stored = _text(data, name, length)
        # The stored name lacks its prefix. It is never both: a set of either family answers to its own.
        for prefix in _PREFIXES:
            hosts[prefix + stored] = _values(data, rows)
    return hosts


def _read_v6(data: bytes) -> dict[str, dict[str, str]]:
    _, _, _, count, entries, _, _ = struct.unpack_from("<7I", data)
    hosts = {}
    for i in range(count):
        _, name, length, _, values, value_count = struct.unpack_from("<6I", data, entries + 24 * i)
        rows = [struct.unpack_from("<4I", data, values + 4 + 20 * k) for k in range(value_count)]
        hosts[_text(data, name, length)] = _values(data, rows)
    return hosts


def _values(data: bytes, rows: list[tuple[int, ...]]) -> dict[str, str]:
    """Importer -> host; the first value is the default, whatever its name (windows-loader 1.6)."""
    found = {}
    for index, (name, name_length, host, host_length) in enumerate(rows):
        found[_text(data, name, name_length) if index else ""] = _text(data, host, host_length)
    return found
