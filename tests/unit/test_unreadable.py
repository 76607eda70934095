"""What is no PE file: one sentence that names the path and the reason."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

import pytest
from pe_maker import pe

from depwalk import image

if TYPE_CHECKING:
    from pathlib import Path

NO_PE = "not a Windows DLL or program"
WINDOWS = os.name == "nt"


def system_text(code: int) -> str:
    return ctypes.FormatError(code) if WINDOWS else os.strerror(code)  # type: ignore[attr-defined]  # Windows only


def sentence(path: Path) -> str:
    with pytest.raises(image.UnreadableFile) as caught:
        image.read(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"M", NO_PE),
        (b"import depwalk\n", NO_PE),
        (b"\x7fELF\x02\x01\x01" + bytes(57), f"{NO_PE} but an ELF file (for Linux)"),
        (b"PK\x03\x04" + bytes(60), f"{NO_PE} but a zip archive"),
        (b"!<arch>\n" + bytes(60), f"{NO_PE} but a static library"),
        (b"\xcf\xfa\xed\xfe" + bytes(60), f"{NO_PE} but a macOS binary"),
        (b"\xca\xfe\xba\xbe" + bytes(60), f"{NO_PE} but a macOS binary"),
    ],
)
def test_a_file_of_another_kind(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "some.dll"
    path.write_bytes(content)
    assert sentence(path) == f"{path}: {reason}"


@pytest.mark.parametrize(("content", "reason"), [(b"", "the file is empty"), (b"\x7fELF", f"{NO_PE} but an ELF file")])
def test_the_same_in_memory(content: bytes, reason: str) -> None:
    with pytest.raises(image.UnreadableFile, match=f"^inside a.whl: {reason}"):
        image.parse(content, "inside a.whl")


def test_a_missing_file(tmp_path: Path) -> None:
    path = tmp_path / "missing.dll"
    assert sentence(path) == f"{path}: {system_text(2)}"


def test_a_file_in_a_missing_directory(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "some.dll"
    assert sentence(path) == f"{path}: {system_text(3 if WINDOWS else 2)}"


def test_a_directory(tmp_path: Path) -> None:
    assert sentence(tmp_path) == f"{tmp_path}: {system_text(5 if WINDOWS else 21)}"


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "secret.dll"
    path.write_bytes(pe())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read every file, or this system has no such permission")
    assert sentence(path) == f"{path}: {system_text(13)}"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes among its files")
def test_a_named_pipe_is_told_apart_from_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "pipe.dll"
    os.mkfifo(path)
    assert sentence(path).startswith(f"{path}: ")
    assert "empty" not in sentence(path)


def test_a_path_with_spaces_and_letters_of_other_languages_is_read(tmp_path: Path) -> None:
    path = tmp_path / "D\xe9p\xf4t \u4f9d\u5b58" / "\u0434\u0435\u043b\u043e.pyd"
    path.parent.mkdir()
    path.write_bytes(pe(exports=["f"]))
    assert image.read(path).path == str(path)


def test_a_path_of_more_than_260_characters_is_read(tmp_path: Path) -> None:
    folder = tmp_path
    while len(str(folder)) <= 260:
        folder = folder / ("d" * 40)
    try:
        folder.mkdir(parents=True)
        (folder / "some.dll").write_bytes(pe())
    except OSError:
        pytest.skip("this system does not let such a path be made")
    assert image.read(folder / "some.dll").defects == ()
