"""API sets: three formats of the map, the rules for a name, and the shipped tables (windows-loader 1.6)."""

from __future__ import annotations

import struct
from typing import Callable

import pytest

from depwalk.target import api_sets
from depwalk.target.api_sets import ApiSets

HASH_FACTOR = 31

MAP = {
    "ms-win-core-file-l1-2-1": {"": "KernelBase.dll"},
    "ms-win-core-io-l1-1-1": {"": "kernel32.dll", "kernel32.dll": "kernelbase.dll"},
    "ms-win-absent-l1-1-0": {"": ""},
}


class _Texts:
    """UTF-16 texts that follow the tables; `place` gives (offset, length in bytes)."""

    def __init__(self, start: int) -> None:
        self.start, self.data = start, b""

    def place(self, text: str) -> tuple[int, int]:
        encoded = text.encode("utf-16-le")
        self.data += encoded
        return self.start + len(self.data) - len(encoded), len(encoded)


def map_v2(sets: dict[str, dict[str, str]]) -> bytes:
    values_at = 8 + 12 * len(sets)
    texts = _Texts(values_at + sum(4 + 16 * len(hosts) for hosts in sets.values()))
    table, values = b"", b""
    for name, hosts in sets.items():
        table += struct.pack("<3I", *texts.place(name), values_at + len(values))
        values += struct.pack("<I", len(hosts))
        for importer, host in hosts.items():
            values += struct.pack("<4I", *texts.place(importer), *texts.place(host))
    return struct.pack("<2I", 2, len(sets)) + table + values + texts.data


def map_v4(sets: dict[str, dict[str, str]]) -> bytes:
    values_at = 16 + 24 * len(sets)
    texts = _Texts(values_at + sum(8 + 20 * len(hosts) for hosts in sets.values()))
    table, values = b"", b""
    for name, hosts in sets.items():
        alias = name.rpartition("-")[0]
        table += struct.pack("<6I", 0, *texts.place(name), *texts.place(alias), values_at + len(values))
        values += struct.pack("<2I", 0, len(hosts))
        for importer, host in hosts.items():
            values += struct.pack("<5I", 0, *texts.place(importer), *texts.place(host))
    size = texts.start + len(texts.data)
    return struct.pack("<4I", 4, size, 0, len(sets)) + table + values + texts.data


def map_v6(sets: dict[str, dict[str, str]]) -> bytes:
    entries_at = 28
    values_at = entries_at + 24 * len(sets)
    hashes_at = values_at + sum(20 * len(hosts) for hosts in sets.values())
    texts = _Texts(hashes_at + 8 * len(sets))
    table, values, hashes = b"", b"", []
    for index, (short, hosts) in enumerate(sets.items()):
        name = f"api-{short}"
        contract = name.rpartition("-")[0]
        hashes.append((_hash(contract), index))
        table += struct.pack("<6I", 0, *texts.place(name), 2 * len(contract), values_at + len(values), len(hosts))
        for importer, host in hosts.items():
            values += struct.pack("<5I", 0, *texts.place(importer), *texts.place(host))
    hash_table = b"".join(struct.pack("<2I", *row) for row in sorted(hashes))
    size = texts.start + len(texts.data)
    header = struct.pack("<7I", 6, size, 0, len(sets), entries_at, hashes_at, HASH_FACTOR)
    return header + table + values + hash_table + texts.data


def _hash(name: str) -> int:
    value = 0
    for character in name:
        value = (value * HASH_FACTOR + ord(character)) & 0xFFFFFFFF
    return value


EVERY_FORMAT = pytest.mark.parametrize("make", [map_v2, map_v4, map_v6])
Maker = Callable[["dict[str, dict[str, str]]"], bytes]


@EVERY_FORMAT
@pytest.mark.parametrize(
    ("name", "importer", "host"),
    [
        ("api-ms-win-core-file-l1-2-1", "any.dll", "kernelbase.dll"),
        ("api-ms-win-core-file-l1-2-1.dll", "any.dll", "kernelbase.dll"),
        ("API-MS-Win-Core-File-L1-2-1.DLL", "any.dll", "kernelbase.dll"),
        ("api-ms-win-core-io-l1-1-1.dll", "any.dll", "kernel32.dll"),
        ("api-ms-win-core-io-l1-1-1.dll", "kernel32.dll", "kernelbase.dll"),
        ("api-ms-win-core-io-l1-1-1.dll", "KERNEL32.dll", "kernelbase.dll"),
        ("api-ms-win-absent-l1-1-0.dll", "any.dll", ""),
        ("api-ms-win-unknown-l1-1-0.dll", "any.dll", None),
        ("api-ms-win-core-file-l1-3-1.dll", "any.dll", None),
        ("api-ms-win-core-file-l2-2-1.dll", "any.dll", None),
    ],
)
def test_host_of_a_set(make: Maker, name: str, importer: str, host: str | None) -> None:
    assert api_sets.from_map(make(MAP)).host(name, importer) == host


@pytest.mark.parametrize(("make", "host"), [(map_v2, None), (map_v4, None), (map_v6, "kernelbase.dll")])
@pytest.mark.parametrize("name", ["api-ms-win-core-file-l1-2-0.dll", "api-ms-win-core-file-l1-2-9.dll"])
def test_the_last_version_number_counts_before_windows_10_only(make: Maker, name: str, host: str | None) -> None:
    assert api_sets.from_map(make(MAP)).host(name, "any.dll") == host


@EVERY_FORMAT
def test_a_map_cut_off_anywhere_is_an_error(make: Maker) -> None:
    whole = make(MAP)
    for length in range(len(whole)):
        with pytest.raises(ValueError, match="API-set map"):
            pytest.fail(f"{length} of {len(whole)} bytes: {api_sets.from_map(whole[:length])}")


@pytest.mark.parametrize("version", [0, 1, 3, 5, 7, 0x905A4D])
def test_a_map_of_another_version_is_an_error(version: int) -> None:
    with pytest.raises(ValueError, match=f"API-set map of version {version}"):
        api_sets.from_map(struct.pack("<8I", version, *[0] * 7))


@EVERY_FORMAT
def test_a_map_of_four_billion_entries_is_an_error(make: Maker) -> None:
    whole = bytearray(make(MAP))
    struct.pack_into("<I", whole, 4 if make is map_v2 else 12, 0xFFFFFFFF)
    with pytest.raises(ValueError, match="API-set map"):
        api_sets.from_map(bytes(whole))


@pytest.mark.parametrize(
    ("name", "is_one"),
    [
        ("api-ms-win-core-file-l1-1-0.dll", True),
        ("EXT-MS-Win-Foo-l1-1-0", True),
        ("api.dll", False),
        ("myapi-ms-win-core-file-l1-1-0.dll", False),
        ("sub\\api-ms-win-core-file-l1-1-0.dll", False),
        ("sub/api-ms-win-core-file-l1-1-0.dll", False),
    ],
)
def test_which_names_are_looked_up_as_api_sets(name: str, is_one: bool) -> None:
    assert api_sets.is_api_set(name) is is_one


@pytest.mark.parametrize(
    ("table", "name", "importer", "host"),
    [
        ("10-1803.tsv", "api-ms-win-crt-runtime-l1-1-0.dll", "any.dll", "ucrtbase.dll"),
        ("10-1803.tsv", "api-ms-win-crt-runtime-l1-1-9.dll", "any.dll", "ucrtbase.dll"),
        ("10-1803.tsv", "api-ms-win-core-path-l1-1-0.dll", "any.dll", "kernelbase.dll"),
        ("10-1803.tsv", "api-ms-win-core-io-l1-1-0.dll", "any.dll", "kernel32.dll"),
        ("10-1803.tsv", "api-ms-win-core-io-l1-1-0.dll", "kernel32.dll", "kernelbase.dll"),
        ("10-1803.tsv", "ext-ms-win-gdi-devcaps-l1-1-0.dll", "any.dll", "gdi32full.dll"),
        ("10-1803.tsv", "api-ms-win-deprecated-apis-advapi-l1-1-0.dll", "any.dll", ""),
        ("8.1.tsv", "api-ms-win-core-path-l1-1-0.dll", "any.dll", "kernelbase.dll"),
        ("8.1.tsv", "api-ms-win-core-io-l1-1-1.dll", "kernel32.dll", "kernelbase.dll"),
        ("8.1.tsv", "api-ms-win-crt-runtime-l1-1-0.dll", "any.dll", None),
        ("8.1.tsv", "api-ms-win-core-path-l1-1-9.dll", "any.dll", None),
        ("8.tsv", "api-ms-win-core-file-l1-2-0.dll", "any.dll", "kernelbase.dll"),
        ("8.tsv", "api-ms-win-crt-runtime-l1-1-0.dll", "any.dll", None),
        ("", "api-ms-win-core-file-l1-1-0.dll", "any.dll", None),
    ],
)
def test_shipped_table(table: str, name: str, importer: str, host: str | None) -> None:
    assert api_sets.from_table(table, complete=True).host(name, importer) == host


@pytest.mark.parametrize(
    ("table", "sets", "absent"), [("10-1803.tsv", 782, 90), ("8.1.tsv", 502, 30), ("8.tsv", 356, 3)]
)
def test_shipped_table_is_whole(table: str, sets: int, absent: int) -> None:
    hosts = api_sets.from_table(table, complete=True).hosts
    assert (len(hosts), sum(entry[""] == "" for entry in hosts.values())) == (sets, absent)


def test_no_two_sets_of_a_table_are_the_same_contract() -> None:
    hosts = api_sets.from_table("10-1803.tsv", complete=True).hosts
    contracts = [name.rpartition("-")[0] for name in hosts]
    assert len(contracts) == len(set(contracts))


def test_a_windows_without_a_map_knows_no_set() -> None:
    assert ApiSets().host("api-ms-win-core-file-l1-1-0.dll", "any.dll") is None
