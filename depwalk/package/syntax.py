"""The syntax of a package's source: that of functions only where they are called, since they are most of a source."""

from __future__ import annotations

import ast
import re
import threading
from collections import OrderedDict
from functools import lru_cache
from importlib.util import decode_source
from typing import Union

from depwalk import files

Definition = Union[ast.FunctionDef, ast.AsyncFunctionDef]

_MOST_KEPT = 1_000_000  # characters of source of which the syntax is kept, which takes some 80 times as much
_DEFINITION = re.compile(r"def[ \t]+(\w+)")
_TEXTS = '"""', "'''"  # that go over lines


class Tree:
    """The statements of a file outside of its functions, and the directories named NAME.libs that it mentions.

    Raises OSError, and what ast.parse raises.
    """

    def __init__(self, path: str) -> None:
        source = files.content(path)
        names = re.findall(rb"[\w.-]{1,99}\.libs\b", source) if b".libs" in source else []
        self.mentioned = frozenset(name.decode().lower() for name in names)
        self.syntax, self.size = _parsed(source)
        self._path = path
        self._definitions: dict[tuple[int, str], Definition | None] = {}

    def definition(self, line: int, name: str) -> Definition | None:
        """The function of this name whose `def` stands in this line; None if the file has changed meanwhile.

        Raises OSError, and what ast.parse raises.
        """
        if (line, name) not in self._definitions:
            self._definitions[line, name] = _definition(files.content(self._path), line, name)
        return self._definitions[line, name]


class _Trees:
    """The syntax of the files that were read last: imports share many."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int, int], Tree] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def of(self, path: str, changed: int, size: int) -> Tree:
        """The syntax of a file of this size and time of change, read once as long as there is room. Raises as Tree."""
        key = path, changed, size
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            found = self._kept[key] = Tree(path)
            self._size += found.size
            while self._size > _MOST_KEPT and len(self._kept) > 1:
                self._size -= self._kept.popitem(last=False)[1].size
        return found


trees = _Trees()


def _parsed(source: bytes) -> tuple[ast.Module, int]:
    """A source without its functions, and how much of it that is; whole, if a function's end was mistaken."""
    try:
        outline = _outline(decode_source(source))
        return ast.parse(outline), len(outline)
    except (SyntaxError, UnicodeDecodeError):
        return ast.parse(source), len(source)


def _outline(source: str) -> str:
    """A source whose functions have no content; each line keeps its number."""
    kept, last = [], 0
    at = source.find("def ")
    while at >= 0:
        start, end = source.rfind("\n", last, at) + 1, at + 1
        found = _DEFINITION.match(source, at)
        if found and source[start:at].strip(" \t") in ("", "async"):
            end = _end(source, start, at)
            lines = source.count("\n", start, end)
            if any(source.count(quotes, start, end) % 2 for quotes in _TEXTS):  # a text hides where it ends
                end = at + 1
            else:
                kept += [source[last:at], found[0], "(): pass", "\n" * lines]
                last = end
        at = source.find("def ", end)
    return "".join([*kept, source[last:]])


def _end(source: str, start: int, at: int) -> int:
    """Where the function ends whose `def` stands at `at`, in the line that begins at `start`."""
    line = source[start:at]
    found = _next_statement(len(line) - len(line.lstrip())).search(source, at)
    return found.start() if found else len(source)


@lru_cache(maxsize=256)
def _next_statement(indent: int) -> re.Pattern[str]:
    """A line that is not indented further, and does not only end a parameter list."""
    return re.compile(rf"(?<!\\)\n[ \t]{{0,{indent}}}[^ \t\r\n#)\]}}]")


def _definition(source: bytes, line: int, name: str) -> Definition | None:
    text = "\n".join(decode_source(source).split("\n")[line - 1 :])
    function = text[: _end(text, 0, text.find("def "))]
    around = "if True:\n" if function[:1].isspace() else ""
    try:
        parsed = ast.parse("\n" * (line - 1 - bool(around)) + around + function)
    except SyntaxError:
        parsed = ast.parse(source)
    for node in ast.walk(parsed):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (node.lineno, node.name) == (line, name):
            return node
    return None
