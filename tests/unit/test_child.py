"""inside/child.py runs in the Python that is being diagnosed: from 3.5 on, with nothing installed."""

from __future__ import annotations

import ast
import ctypes
import struct
import subprocess
import sys
from pathlib import Path

import pytest

import depwalk
from depwalk import core
from depwalk.inside import child

INSIDE = Path(depwalk.__file__).parent / "inside"
SOURCES = sorted(INSIDE.glob("*.py"))
TREES = [ast.parse(source.read_text("utf-8"), feature_version=(3, 5)) for source in SOURCES]
# What it may import: the standard library of 3.5, and itself.
IN_3_5 = {"contextlib", "ctypes", "importlib", "json", "msvcrt", "os", "site", "sys", "time", "traceback", "typing"}
OWN = {"child", "sitecustomize"}


@pytest.mark.parametrize("tree", TREES, ids=[source.name for source in SOURCES])
def test_it_imports_only_the_standard_library_of_3_5(tree: ast.AST) -> None:
    imported = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported - IN_3_5 - OWN == set()


@pytest.mark.parametrize("later", ["JoinedStr", "AnnAssign", "NamedExpr", "Match", "AsyncFunctionDef", "TryStar"])
def test_its_syntax_is_that_of_3_5(later: str) -> None:
    nodes = [node for tree in TREES for node in ast.walk(tree)]
    assert [node for node in nodes if type(node).__name__ == later] == []


def test_vermin_says_3_5() -> None:
    pytest.importorskip("vermin")
    command = [
        sys.executable,
        "-c",
        "import vermin; vermin.main()",
        "-t=3.5-",
        "--eval-annotations",
        "--no-tips",
        *map(str, SOURCES),
    ]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout


def test_the_source_is_ascii() -> None:
    assert all(source.read_bytes().isascii() for source in SOURCES)


@pytest.mark.parametrize(("structure", "name"), list(zip(child.structures(), ("dw_load_request", "dw_load_result"))))
def test_its_structs_are_those_of_the_core(structure: type[ctypes.Structure], name: str) -> None:
    layout = dict(core.ffi.typeof(name).fields)
    assert [field[0] for field in structure._fields_] == list(layout)
    assert ctypes.sizeof(structure) == core.ffi.sizeof(name)
    for field in layout:
        assert getattr(structure, field).offset == core.ffi.offsetof(name, field)


def test_its_pointers_are_those_of_this_process() -> None:
    assert ctypes.sizeof(ctypes.c_void_p) == struct.calcsize("P") == core.ffi.sizeof("void *")
    assert (sys.maxsize > 2**32) is (struct.calcsize("P") == 8)
