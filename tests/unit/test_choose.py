"""Choose: from the words of the command line and the machine to one target."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest
from pe_maker import pe

from depwalk import cpu, image
from depwalk.target.choose import Choice, choose

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.target import Target


def chosen(name: str = "a.pyd", *, facts: dict[str, object] | None = None, **choice: object) -> Target:
    """The target where this machine does not run Windows."""
    return choose(image.parse(pe(**(facts or {})), name), Choice(**choice), None)  # type: ignore[arg-type]  # the keywords of a table of cases


@pytest.mark.parametrize(
    ("name", "facts", "python"),
    [
        ("a.pyd", {"imports": {"python37.dll": ["f"]}}, "3.7"),
        ("a.pyd", {"imports": {"python37.dll": ["f"]}, "machine": "x86"}, "3.7-32"),
        ("a.pyd", {"imports": {"python313t.dll": ["f"]}}, "3.13t"),
        ("a.cp310-win_amd64.pyd", {}, "3.10"),
        ("a.pyd", {"imports": {"python3.dll": ["f"]}}, "3.14"),
        ("a.pyd", {"imports": {"python3t.dll": ["f"]}}, "3.14t"),
        ("a.dll", {}, "3.14"),
        ("a.dll", {"machine": "arm64"}, "3.14-arm64"),
        ("a.dll", {"machine": "arm64", "chpe": True}, "3.14-arm64"),
        ("a.dll", {"machine": "x64", "chpe": True}, "3.14"),
        ("a.exe", {"dll": False}, None),
    ],
)
def test_off_windows_the_python_is_read_off_the_file(name: str, facts: dict[str, object], python: str | None) -> None:
    found = chosen(name, facts=facts)
    assert (found.python and found.python.name) == python


@pytest.mark.parametrize(
    ("tags", "python"),
    [
        (["cp311-cp311-win_amd64"], "3.11"),
        (["cp37-abi3-win_amd64"], "3.14"),
        (["py3-none-win_amd64"], "3.14"),
        (["cp310-cp310-win_amd64", "cp311-cp311-win_amd64"], "3.14"),
    ],
)
def test_a_file_that_does_not_tell_is_for_the_python_of_its_wheel(
    tags: list[str], python: str, make_pe: MakePE, tmp_path: Path
) -> None:
    path = make_pe("site-packages/pkg/a.pyd", imports={"python3.dll": ["f"]})
    metadata = tmp_path / "site-packages" / "pkg-1.dist-info"
    metadata.mkdir()
    (metadata / "RECORD").write_text("pkg/a.pyd,,\n", "utf-8")
    (metadata / "WHEEL").write_text("".join(f"Tag: {tag}\n" for tag in tags), "utf-8")
    found = choose(image.read(path), Choice(), None).python
    assert found is not None
    assert found.name == python


def test_a_file_that_does_not_tell_is_for_what_is_said_otherwise() -> None:
    assert chosen("a.dll", otherwise=9).python == chosen("a.dll", python="3.9").python


def test_off_windows_the_windows_is_11() -> None:
    assert chosen().windows.name == "11"


def test_off_windows_nothing_is_assumed_of_the_processor() -> None:
    assert chosen().cpu is None


@pytest.mark.parametrize("name", ["Nehalem", "x86-64-v3", "nehalem"])
def test_a_processor_that_is_asked_for_is_that_of_the_target(name: str) -> None:
    assert chosen(cpu=name).cpu == cpu.named(name)


def test_an_arm64_process_has_no_x86_processor() -> None:
    assert chosen(facts={"machine": "arm64"}, cpu="Nehalem").cpu is None


@pytest.mark.parametrize(("machine", "architecture"), [("x64", "x64"), ("x86", "x86"), ("arm64", "arm64")])
def test_a_program_decides_on_the_architecture_of_its_process(machine: str, architecture: str) -> None:
    assert chosen("a.exe", facts={"dll": False, "machine": machine}).architecture == architecture


def test_the_python_decides_on_the_architecture_of_the_process() -> None:
    assert chosen(facts={"machine": "x64"}, python="3.8-32").architecture == "x86"


def test_what_the_user_chose_is_in_the_target(tmp_path: Path) -> None:
    found = chosen(windows="10-N", python="3.9", path=("p",), runtimes=("vc12",), dll_dirs=(str(tmp_path),))
    assert found.python is not None
    assert (found.windows.name, found.python.name, found.path, found.runtimes) == ("10-N", "3.9", ("p",), ("vc12",))
    assert found.dll_dirs == (str(tmp_path),)
    assert (found.cwd, found.python.executable) == (None, None)


def test_a_python_exe_may_be_chosen(make_pe: MakePE) -> None:
    path = make_pe("py/python.exe", dll=False, imports={"python39.dll": ["Py_Main"]})
    found = chosen(python=str(path)).python
    assert found is not None
    assert (found.name, found.executable) == ("3.9", str(path))


def test_a_root_is_taken_in_place_of_a_version(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Windows/System32/kernel32.dll", version=(6, 3, 9600, 0))
    assert chosen(root=str(tmp_path)).windows.version == (6, 3, 9600)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"windows": "95"}, "unknown Windows '95': it is one of "),
        ({"windows": "live"}, "this machine does not run Windows: "),
        ({"python": "3"}, "unknown Python '3': it is a python.exe, or X.Y"),
        ({"python": "3.4"}, "unknown Python '3.4'"),
        ({"python": "missing/python.exe"}, "unknown Python 'missing/python.exe'"),
        ({"runtimes": ("vc13",)}, "unknown runtime 'vc13': did you mean vc14? It is one of "),
        ({"runtimes": ("vc12=12.0",)}, "unknown runtime 'vc12=12.0': only vc14 takes a version"),
        ({"root": "missing"}, "missing: there is no Windows"),
        ({"dll_dirs": ("missing",)}, "missing: no such directory (--dll-dir)"),
        ({"cpu": "8086"}, "unknown processor '8086': it is live, x86-64-v1 to v4, "),
    ],
)
def test_a_choice_that_cannot_be_is_refused_in_one_line(choice: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}") as refused:
        chosen(**choice)
    assert "\n" not in str(refused.value)


@pytest.mark.skipif(sys.platform != "win32", reason="needs a machine that runs Windows")
def test_on_windows_the_default_is_this_machine_and_this_interpreter() -> None:
    from depwalk.cli.options import machine

    here = machine()
    found = choose(image.parse(pe(), "a.pyd"), Choice(), here)
    assert here is not None
    assert found.python is not None
    assert (found.windows.live, found.cwd) == (True, os.getcwd())
    assert (found.python.executable, found.python.minor) == (here.executable, sys.version_info[1])
    assert not found.python.stand_in
    live = cpu.live()
    assert (found.cpu and found.cpu.name) == (live and cpu.LIVE)


@pytest.mark.skipif(sys.platform != "win32", reason="needs a machine that runs Windows")
@pytest.mark.parametrize(("name", "asked"), [("live", True), ("x86-64-v1", False), (None, True)])
def test_the_loader_of_this_machine_answers_for_its_own_processor_only(name: str | None, asked: bool) -> None:
    from depwalk import loader
    from depwalk.cli.options import machine

    assert loader.can_start(choose(None, Choice(cpu=name), machine())) == asked
