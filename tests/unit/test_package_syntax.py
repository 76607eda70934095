"""The syntax of a source without its functions, and of each function when it is asked for."""

from __future__ import annotations

import ast
import os
import sysconfig
from pathlib import Path

import pytest

from depwalk.package.syntax import Definition, Tree

_LIBRARY = Path(sysconfig.get_path("stdlib"))
_MODULES = sorted(path for name in (".", "asyncio", "ctypes", "email") for path in (_LIBRARY / name).glob("[c-f]*.py"))


def _functions(tree: ast.AST) -> list[Definition]:
    return [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def _outside(tree: ast.AST) -> str:
    """All statements with their lines, functions by name alone; what texts say does not count."""
    if isinstance(tree, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return f"def {tree.name} {tree.lineno}"
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        return "text"
    line = getattr(tree, "lineno", "")
    return f"{type(tree).__name__} {line} ({' '.join(map(_outside, ast.iter_child_nodes(tree)))})"


def _same(path: Path) -> None:
    whole, tree = ast.parse(path.read_bytes()), Tree(os.fspath(path))
    assert _outside(tree.syntax) == _outside(whole)
    for function in _functions(whole):
        found = tree.definition(function.lineno, function.name)
        assert found is not None
        assert ast.dump(found.args) == ast.dump(function.args)
        assert [ast.dump(node) for node in found.body] == [ast.dump(node) for node in function.body]
        assert [node.lineno for node in found.body] == [node.lineno for node in function.body]


@pytest.mark.parametrize("path", _MODULES, ids=lambda path: path.relative_to(_LIBRARY).as_posix())
def test_a_module_of_the_standard_library_is_read_as_python_reads_it(path: Path) -> None:
    _same(path)


@pytest.mark.parametrize(
    "source",
    [
        "def one(): return 1\nx = 2\n",
        "def one(\n    a,\n    b=(1,\n2),\n) -> int:\n    return a\nx = 2\n",
        "async def one():\n    return 1\nx = 2\n",
        "@decorated\n@also(\n    1\n)\ndef one():\n    return 1\nx = 2\n",
        "if True:\n    def one():\n        return 1\n    x = 2\nelse:\n    y = 3\n",
        "if True:\n\tdef one():\n\t\treturn 1\n\tx = 2\n\tdef two():\n\t\treturn 2\n\ty = 3\n",
        "class A:\n    def one(self):\n        def inner():\n            return 2\n        return inner\n    y = 2\n",
        'def one():\n    """Text\nthat is not indented:\nx = 1\n"""\n    return 2\ny = 3\n',
        'def one():\n    """Text\nthat is not indented:\nx = 1\n    """\n    return 2\ny = 3\n',
        "def one():\n    return [\n1,\n2,\n]\ny = 3\n",
        "def one():\n    return 1 + \\\n2\ny = 3\n",
        "def one():\n    x = 1\n# a comment that is not indented\n    return x\ny = 3\n",
        "text = 'def no(): pass'\nundef = 1  # def neither(): pass\ndef one():\n    return 1\n",
        '"""As\n    def example():\n        pass\nis.\n"""\ndef one():\n    return 1\n',
        "def one():\n    return 1",
        "x = 1\r\ndef one():\r\n    return 1\r\n\r\ny = 2\r\n",
        "def one():\n    return 1\n\x0cdef two():\n    return 2\n",
        "\ufeffdef one():\n    return 1\nx = 1\n",
    ],
)
def test_a_function_ends_where_python_ends_it(source: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_bytes(source.encode())
    _same(path)


def test_a_source_in_another_encoding_is_read_by_what_it_declares(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_bytes("# coding: latin-1\ndef one():\n    return 'é'\n".encode("latin-1"))
    _same(path)


def test_a_function_that_is_no_python_is_none_and_what_is_around_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("x = 1\ndef old():\n    print 'text'\ny = 2\n")
    tree = Tree(os.fspath(path))
    assert _outside(tree.syntax) == _outside(ast.parse("x = 1\ndef old(): pass\n\ny = 2\n"))
    assert tree.definition(2, "old") is None


@pytest.mark.parametrize("line", [0, 1, 2, 3, 1000])
def test_a_function_that_is_not_there_is_none(line: int, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("x = 1\ndef two(): pass\n")
    assert Tree(os.fspath(path)).definition(line, "one") is None


@pytest.mark.parametrize(
    "source", ["x = '" + "def " * 400_000 + "'\n", "".join(f"def f{line}(): print 1\n" for line in range(1, 40_000))]
)
def test_a_hostile_source_takes_no_longer_than_its_length(source: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(source)
    tree = Tree(os.fspath(path))  # each function anew, or each "def" anew to the begin of its line, would take minutes
    assert all(tree.definition(line, f"f{line}") is None for line in range(1, 40_000))


def test_what_a_source_keeps_in_memory_is_without_its_functions(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("x = 1\ndef one():\n" + "    call()\n" * 1000)
    assert Tree(os.fspath(path)).size < path.stat().st_size / 5
