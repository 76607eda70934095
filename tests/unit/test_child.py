"""_child.py runs in the Python that is being diagnosed: from 3.5 on, with nothing installed."""

from __future__ import annotations

import ast
import ctypes
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import depwalk
from depwalk import _child, core

SOURCE = Path(depwalk.__file__).with_name("_child.py")
TREE = ast.parse(SOURCE.read_text("utf-8"), feature_version=(3, 5))
IN_3_5 = {"ctypes", "json", "os", "sys", "time", "typing"}  # what it may import: standard library of 3.5


def test_it_imports_only_the_standard_library_of_3_5() -> None:
    imported = set()
    for node in ast.walk(TREE):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported - IN_3_5 == set()


@pytest.mark.parametrize("later", ["JoinedStr", "AnnAssign", "NamedExpr", "Match", "AsyncFunctionDef", "TryStar"])
def test_its_syntax_is_that_of_3_5(later: str) -> None:
    assert [node.lineno for node in ast.walk(TREE) if type(node).__name__ == later] == []


def test_vermin_says_3_5() -> None:
    pytest.importorskip("vermin")
    command = [
        sys.executable,
        "-c",
        "import vermin; vermin.main()",
        "-t=3.5-",
        "--eval-annotations",
        "--no-tips",
        str(SOURCE),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_source_is_ascii() -> None:
    assert SOURCE.read_bytes().isascii()


@pytest.mark.parametrize(
    ("structure", "name"), [(_child.Request, "dw_load_request"), (_child.Result, "dw_load_result")]
)
def test_its_structs_are_those_of_the_core(structure: type[ctypes.Structure], name: str) -> None:
    layout = dict(core.ffi.typeof(name).fields)
    assert [field[0] for field in structure._fields_] == list(layout)
    assert ctypes.sizeof(structure) == core.ffi.sizeof(name)
    for field in layout:
        assert getattr(structure, field).offset == core.ffi.offsetof(name, field)


def test_its_pointers_are_those_of_this_process() -> None:
    assert ctypes.sizeof(ctypes.c_void_p) == struct.calcsize("P") == core.ffi.sizeof("void *")
    assert (sys.maxsize > 2**32) is (struct.calcsize("P") == 8)
