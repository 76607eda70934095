"""Python: what an interpreter is and brings, and what an extension was built for (windows-loader 1.12, 5)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pe_maker import pe

from depwalk import image
from depwalk.target import python
from depwalk.target.python import Build

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("3.5", (5, "x64", False)),
        ("3.11", (11, "x64", False)),
        ("3.7-32", (7, "x86", False)),
        ("3.12-arm64", (12, "arm64", False)),
        ("3.13t", (13, "x64", True)),
        ("3.14t-32", (14, "x86", True)),
        ("3.14t-arm64", (14, "arm64", True)),
        ("3", None),
        ("2.7", None),
        ("3.11.4", None),
        ("3.111", None),
        ("3.11-64", None),
        ("3.11-x86", None),
        ("3.11-32t", None),
        ("3.\u0661\u0661", None),
        (" 3.11", None),
        ("", None),
        ("python.exe", None),
    ],
)
def test_names_of_a_version(name: str, parsed: tuple[int, str, bool] | None) -> None:
    assert python.parse(name) == parsed


@pytest.mark.parametrize("name", ["3.5", "3.11", "3.7-32", "3.12-arm64", "3.13t", "3.14t-arm64"])
def test_an_assumed_python_is_called_as_it_was_asked_for(name: str) -> None:
    parsed = python.parse(name)
    assert parsed is not None
    assert python.assumed(parsed[0], parsed[1], free_threaded=parsed[2]).name == name


@pytest.mark.parametrize(
    ("minor", "architecture", "free_threaded", "brings"),
    [
        (5, "x64", False, ["python35.dll", "python3.dll", "vcruntime140.dll"]),
        (7, "x64", False, ["python37.dll", "python3.dll", "vcruntime140.dll"]),
        (8, "x64", False, ["python38.dll", "python3.dll", "vcruntime140.dll", "vcruntime140_1.dll"]),
        (8, "x86", False, ["python38.dll", "python3.dll", "vcruntime140.dll"]),
        (12, "arm64", False, ["python312.dll", "python3.dll", "vcruntime140.dll", "vcruntime140_1.dll"]),
        (14, "x64", True, ["python314t.dll", "python3t.dll", "vcruntime140.dll", "vcruntime140_1.dll"]),
    ],
)
def test_what_an_assumed_python_brings(minor: int, architecture: str, free_threaded: bool, brings: list[str]) -> None:
    directory = python.assumed(minor, architecture, free_threaded=free_threaded).directory
    assert directory.assumed is not None
    assert sorted(directory.assumed) == sorted(brings)


@pytest.mark.parametrize("dll", ["msvcp140.dll", "concrt140.dll", "ucrtbase.dll", "python311_d.dll"])
def test_what_no_python_brings(dll: str) -> None:
    assert python.assumed(11).directory.find(dll) is None


@pytest.mark.parametrize(("minor", "restricted"), [(5, False), (7, False), (8, True), (14, True)])
def test_the_search_is_restricted_since_3_8(minor: int, restricted: bool) -> None:
    assert python.assumed(minor).restricts_search is restricted


def test_what_is_loaded_before_the_first_extension() -> None:
    assert python.assumed(11).own_dlls() == ["python311.dll", "python3.dll", "vcruntime140.dll"]
    assert python.assumed(13, free_threaded=True).own_dlls() == ["python313t.dll", "python3t.dll", "vcruntime140.dll"]


@pytest.mark.parametrize(
    ("made", "label"),
    [
        (python.assumed(11), "CPython 3.11 (64-bit)"),
        (python.assumed(7, "x86"), "CPython 3.7 (32-bit)"),
        (python.assumed(13, "arm64", free_threaded=True), "CPython 3.13 (free-threaded, Arm64)"),
    ],
)
def test_label(made: python.Python, label: str) -> None:
    assert made.label == label


# ---- an interpreter by its python.exe ----------------------------------------------------------------------------


def interpreter(make_pe: MakePE, name: str = "base/python.exe", dll: str = "python311.dll", **facts: object) -> Path:
    return make_pe(name, dll=False, imports={dll: ["Py_Main"]}, **facts)


@pytest.mark.parametrize(
    ("dll", "machine", "name"),
    [
        ("python311.dll", "x64", "3.11"),
        ("Python37.DLL", "x86", "3.7-32"),
        ("python313t.dll", "x64", "3.13t"),
        ("python312.dll", "arm64", "3.12-arm64"),
    ],
)
def test_an_interpreter_is_told_by_the_dll_it_imports(dll: str, machine: str, name: str, make_pe: MakePE) -> None:
    path = interpreter(make_pe, dll=dll, machine=machine)
    found = python.at(str(path))
    assert (found.name, found.executable) == (name, str(path))
    assert found.directory.path == str(path.parent)


@pytest.mark.parametrize("dll", ["python27.dll", "python34.dll", "kernel32.dll", "python3.dll"])
def test_another_program_is_refused_in_one_line(dll: str, make_pe: MakePE) -> None:
    path = interpreter(make_pe, dll=dll)
    with pytest.raises(ValueError, match=r"not the python\.exe of CPython 3\.5 or later") as refused:
        python.at(str(path))
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_what_is_no_program_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "python.exe"
    path.write_text("#!/bin/sh\n")
    with pytest.raises(ValueError, match="not a Windows DLL or program"):
        python.at(str(path))


def venv(make_pe: MakePE, home: Path, text: str = "home = {home}\ninclude-system-site-packages = false\n") -> Path:
    """The python.exe of a venv: a redirector that imports no Python DLL."""
    path = make_pe("venv/Scripts/python.exe", dll=False, imports={"kernel32.dll": ["CreateProcessW"]})
    (path.parent.parent / "pyvenv.cfg").write_text(text.format(home=home), encoding="utf-8")
    return path


@pytest.mark.parametrize("folder", ["base", "Program Files/Python 3.11", "D\xe9p\xf4t"])
def test_a_venv_stands_for_its_base_interpreter(folder: str, make_pe: MakePE) -> None:
    base = interpreter(make_pe, f"{folder}/python.exe")
    found = python.at(str(venv(make_pe, base.parent)))
    assert (found.name, found.executable, found.directory.path) == ("3.11", str(base), str(base.parent))


def test_a_venv_whose_base_is_gone_is_refused_in_one_line(make_pe: MakePE, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"python\.exe") as refused:
        python.at(str(venv(make_pe, tmp_path / "gone")))
    assert "\n" not in str(refused.value)


def test_a_venv_configuration_that_is_no_text_is_refused_in_one_line(make_pe: MakePE, tmp_path: Path) -> None:
    path = venv(make_pe, tmp_path)
    (tmp_path / "venv" / "pyvenv.cfg").write_bytes(b"home = \xff\xfe\xfd\n")
    with pytest.raises(ValueError, match=r"python\.exe|pyvenv\.cfg"):
        python.at(str(path))


@pytest.mark.parametrize(("folder", "conda"), [("conda-meta", True), ("Lib", False)])
def test_conda_is_told_by_its_folder(folder: str, conda: bool, make_pe: MakePE) -> None:
    path = interpreter(make_pe)
    (path.parent / folder).mkdir()
    assert python.at(str(path)).conda is conda


# ---- what an extension was built for -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dlls", "build"),
    [
        ("a.pyd", ["python311.dll"], Build(11, free_threaded=False, debug=False)),
        ("a.pyd", ["PYTHON39.DLL"], Build(9, free_threaded=False, debug=False)),
        ("a.pyd", ["python311_d.dll"], Build(11, free_threaded=False, debug=True)),
        ("a.pyd", ["python313t.dll"], Build(13, free_threaded=True, debug=False)),
        ("a.pyd", ["python3.dll"], Build(None, free_threaded=False, debug=False)),
        ("a.pyd", ["python3t.dll"], Build(None, free_threaded=True, debug=False)),
        ("a.pyd", ["python3.dll", "python38.dll"], Build(8, free_threaded=False, debug=False)),
        ("a.cp310-win_amd64.pyd", ["kernel32.dll"], Build(10, free_threaded=False, debug=False)),
        ("a.cp313t-win_arm64.pyd", ["kernel32.dll"], Build(13, free_threaded=True, debug=False)),
        ("a_d.cp310-win32.pyd", ["kernel32.dll"], Build(10, free_threaded=False, debug=True)),
        ("a.cp310-win_amd64.pyd", ["python311.dll"], Build(11, free_threaded=False, debug=False)),
        ("a.pyd", ["kernel32.dll"], None),
        ("a.dll", ["kernel32.dll"], None),
        ("a.cp310-linux.pyd", ["kernel32.dll"], None),
        ("a.pyd", ["libpython3.11.dll"], None),
    ],
)
def test_built_for(name: str, dlls: list[str], build: Build | None) -> None:
    file = image.parse(pe(imports={dll: ["f"] for dll in dlls}), os.path.join("folder", name))
    assert python.built_for(file) == build
