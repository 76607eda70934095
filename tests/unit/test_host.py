"""The host: memory, rights, and where a file comes from."""

from __future__ import annotations

import os
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from depwalk import core
from depwalk.host import memory, origin, rights
from depwalk.host.memory import Commit
from depwalk.host.origin import Origin

if TYPE_CHECKING:
    from pathlib import Path

off_windows = pytest.mark.skipif(sys.platform == "win32", reason="this machine answers")
DEFAULT, FULL, LIMITED = 1, 2, 3  # TOKEN_ELEVATION_TYPE


# ---- rights


@pytest.mark.parametrize(
    ("kind", "elevated", "expected"),
    [
        (DEFAULT, False, False),  # a user
        (DEFAULT, True, True),  # the built-in administrator, or one where nothing is ever asked
        (FULL, True, True),  # "Run as administrator"
        (LIMITED, False, True),  # an administrator who was not asked yet
    ],
)
def test_who_can_act_as_administrator(
    kind: int, elevated: bool, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "elevation", lambda: (kind, elevated))
    assert rights.is_administrator() is expected


def test_rights_that_cannot_be_told_are_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "elevation", lambda: None)
    assert rights.is_administrator() is None


@off_windows
def test_off_windows_there_are_neither_rights_nor_a_limit_of_memory() -> None:
    assert (rights.is_administrator(), memory.commit()) == (None, None)


@pytest.mark.skipif(sys.platform != "win32", reason="there is no Windows here")
def test_windows_tells_of_its_memory_and_of_the_rights_of_a_process() -> None:
    commit = memory.commit()
    assert commit is not None
    assert 0 < commit.available <= commit.limit
    assert rights.is_administrator() in (True, False)


def test_memory_is_told_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "commit", lambda: (16 * 2**30, 2**30))
    assert memory.commit() == Commit(limit=16 * 2**30, available=2**30)


# ---- where a file comes from (a stream is a file with a colon in its name elsewhere)


def marked(folder: Path, text: str) -> str:
    path = folder / "a.pyd"
    path.write_bytes(b"MZ")
    (folder / "a.pyd:Zone.Identifier").write_text(text, "utf-8")
    return str(path)


@off_windows
def test_the_mark_of_the_web_tells_the_zone_and_the_address(tmp_path: Path) -> None:
    path = marked(
        tmp_path, "[ZoneTransfer]\nZoneId=3\nReferrerUrl=https://a.example/\nHostUrl=https://a.example/w.zip\n"
    )
    assert origin.of([path]) == (Origin(path, zone=3, url="https://a.example/w.zip"),)


@off_windows
def test_a_mark_without_an_address_tells_the_zone(tmp_path: Path) -> None:
    path = marked(tmp_path, "\ufeff[ZoneTransfer]\r\nzoneid = 4\r\n")
    assert origin.of([path]) == (Origin(path, zone=4),)


@off_windows
@pytest.mark.parametrize("text", ["", "[ZoneTransfer]\n", "ZoneId=\n", "ZoneId=x\n", "\0" * 9])
def test_near_miss_a_mark_that_tells_no_zone_is_none(text: str, tmp_path: Path) -> None:
    assert origin.of([marked(tmp_path, text)]) == ()


def test_a_file_without_a_mark_has_no_origin(tmp_path: Path) -> None:
    path = tmp_path / "a.pyd"
    path.write_bytes(b"MZ")
    assert origin.of([str(path), str(tmp_path / "gone.pyd")]) == ()


@pytest.mark.parametrize(
    ("attributes", "in_cloud"), [(0x20, False), (0x401620, True), (0x40020, True), (0x1020, True), (0x400, False)]
)
def test_a_placeholder_of_a_cloud_program_is_known_by_its_attributes(
    attributes: int, in_cloud: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "lstat", lambda _: SimpleNamespace(st_file_attributes=attributes))
    path = str(tmp_path / "a.pyd")
    assert origin.of([path]) == ((Origin(path, in_cloud=True),) if in_cloud else ())
