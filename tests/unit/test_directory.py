"""Directory: file names are matched as Windows matches them, on any system."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from depwalk.target.directory import Directory

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Directory:
    (tmp_path / "Some.DLL").touch()
    (tmp_path / "Sub").mkdir()
    (tmp_path / "Sub" / "Inner.dll").touch()
    return Directory(str(tmp_path))


@pytest.mark.parametrize("name", ["Some.DLL", "some.dll", "SOME.dll"])
def test_case_does_not_matter(folder: Directory, name: str) -> None:
    assert folder.find(name) == os.path.join(folder.path, "Some.DLL")


@pytest.mark.parametrize("name", ["other.dll", "some", "some.dl", ""])
def test_another_name_is_not_there(folder: Directory, name: str) -> None:
    assert folder.find(name) is None


@pytest.mark.parametrize(
    "name", ["Sub\\Inner.dll", "Sub/inner.dll", "sub\\INNER.dll", ".\\Sub\\Inner.dll", "Sub\\..\\some.dll"]
)
def test_a_name_with_a_directory_is_followed(folder: Directory, name: str) -> None:
    found = folder.find(name)
    assert found is not None
    assert os.path.basename(found) == ("Some.DLL" if "some" in name else "Inner.dll")
    assert os.path.isfile(found)


def test_a_directory_counts_as_a_file_of_its_name(folder: Directory) -> None:
    assert folder.find("sub") == os.path.join(folder.path, "Sub")


def test_a_missing_directory_holds_nothing(tmp_path: Path) -> None:
    missing = Directory(str(tmp_path / "missing"))
    assert (missing.exists, missing.find("some.dll")) == (False, None)


def test_a_directory_that_is_a_file_holds_nothing(folder: Directory) -> None:
    assert Directory(os.path.join(folder.path, "Some.DLL")).find("some.dll") is None


@pytest.mark.parametrize("same_object", [False, True])
def test_new_files_are_seen_by_the_next_look(same_object: bool, tmp_path: Path) -> None:
    before = Directory(str(tmp_path / "late"))
    assert (before.exists, before.find("late.dll")) == (False, None)
    (tmp_path / "late").mkdir()
    (tmp_path / "late" / "late.dll").touch()
    after = before if same_object else Directory(str(tmp_path / "late"))
    assert (after.exists, after.find("late.dll")) == (True, str(tmp_path / "late" / "late.dll"))


def test_an_assumed_directory_holds_what_it_is_said_to() -> None:
    assumed = Directory("C:\\Windows\\System32", {"kernel32.dll": "KERNEL32.dll"})
    assert assumed.find("Kernel32.DLL") == "C:\\Windows\\System32\\KERNEL32.dll"
    assert assumed.find("other.dll") is None
    assert (assumed.exists, assumed.is_real) == (True, False)


def test_a_name_with_a_directory_is_not_in_an_assumed_one() -> None:
    assert Directory("C:\\Windows\\System32", {"a.dll": "a.dll"}).find("sub\\a.dll") is None
