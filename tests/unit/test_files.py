"""What is remembered of the disk, and for how long."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest

from depwalk import files

if TYPE_CHECKING:
    from pathlib import Path


def test_a_directory_is_listed_once_while_a_question_is_answered(tmp_path: Path) -> None:
    with files.remembering():
        assert files.names(str(tmp_path)) == ()
        (tmp_path / "late.dll").touch()
        assert files.names(str(tmp_path)) == ()


def test_the_next_question_looks_again(tmp_path: Path) -> None:
    with files.remembering():
        files.names(str(tmp_path))
    (tmp_path / "late.dll").touch()
    with files.remembering():
        assert files.names(str(tmp_path)) == ("late.dll",)


def test_nothing_is_remembered_between_questions(tmp_path: Path) -> None:
    assert files.names(str(tmp_path)) == ()
    (tmp_path / "late.dll").touch()
    assert files.names(str(tmp_path)) == ("late.dll",)


def test_a_question_within_another_ends_with_the_outer_one(tmp_path: Path) -> None:
    with files.remembering():
        with files.remembering():
            files.names(str(tmp_path))
        (tmp_path / "late.dll").touch()
        assert files.names(str(tmp_path)) == ()


def test_a_question_in_another_thread_keeps_what_is_remembered(tmp_path: Path) -> None:
    asked, answered = threading.Event(), threading.Event()

    def other() -> None:
        with files.remembering():
            asked.set()
            answered.wait(10)

    thread = threading.Thread(target=other)
    with files.remembering():
        files.names(str(tmp_path))
        thread.start()
        asked.wait(10)
    (tmp_path / "late.dll").touch()
    assert files.names(str(tmp_path)) == ()
    answered.set()
    thread.join()
    assert files.names(str(tmp_path)) == ("late.dll",)


def test_what_fails_is_tried_again(tmp_path: Path) -> None:
    missing = str(tmp_path / "later")
    with files.remembering():
        with pytest.raises(FileNotFoundError):
            files.names(missing)
        os.mkdir(missing)
        assert files.names(missing) == ()


def test_two_paths_of_one_file_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "one.dll").touch()
    os.link(tmp_path / "one.dll", tmp_path / "other.dll")
    assert files.identity(str(tmp_path / "one.dll")) == files.identity(str(tmp_path / "other.dll"))


def test_a_text_is_decoded_whatever_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "RECORD").write_bytes(b"a\r\nb\xff\rc")
    assert files.text(str(tmp_path / "RECORD")) == "a\nb\ufffd\nc"


def test_only_the_first_bytes_are_read_on_request(tmp_path: Path) -> None:
    (tmp_path / "a.dll").write_bytes(b"MZ and more")
    assert files.content(str(tmp_path / "a.dll"), 2) == b"MZ"


def test_a_walk_is_sorted(tmp_path: Path) -> None:
    for name in ("b/2", "b/1", "a/3"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    walked = [(os.path.basename(folder), found) for folder, _, found in files.walk(str(tmp_path))]
    assert walked[1:] == [("a", ["3"]), ("b", ["1", "2"])]
