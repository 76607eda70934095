"""The syntax of a package's source: that of functions only where they are called, since they are most of a source."""

from __future__ import annotations

import ast
import contextlib
import re
import threading
from collections import OrderedDict
from functools import cached_property, lru_cache
from importlib.util import decode_source
from itertools import accumulate
from typing import Union

from depwalk import files

Definition = Union[ast.FunctionDef, ast.AsyncFunctionDef]

_MOST_KEPT = 1_000_000  # characters of source of which the syntax is kept, which takes some 80 times as much
_DEFINITION = re.compile(r"def[ \t]+(\w+)")
_TEXTS = '"""', "'''"  # that go over lines
_NO_PYTHON = SyntaxError, ValueError, RecursionError, MemoryError  # what ast.parse raises


class Tree:
    """The statements of a file outside of its functions, and the directories named NAME.libs that it mentions.

    Raises OSError, and what ast.parse raises.
    """

    def __init__(self, path: str) -> None:
        source = files.content(path)
        names = re.findall(rb"[\w.-]{1,99}\.libs\b", source) if b".libs" in source else []
        self.mentioned = frozenset(name.decode().lower() for name in names)
        self._path, self._is_outline = path, True
        try:
            outline = _outline(decode_source(source))
            self.syntax, self.size = ast.parse(outline), len(outline)
        except (SyntaxError, UnicodeDecodeError):  # the end of a function was mistaken, if it is Python at all
            self._is_outline = False
            self.syntax, self.size = ast.parse(source), len(source)
        self._definitions: dict[tuple[int, str], Definition | None] = {}

    def definition(self, line: int, name: str) -> Definition | None:
        """The function of this name whose `def` stands in this line; None without one, or if it is no Python.

        Raises OSError.
        """
        if (line, name) not in self._definitions:
            found = self._parsed_alone(line, name) if self._is_outline and 0 < line < len(self._starts) else None
            self._definitions[line, name] = found or self._parsed_together.get((line, name))
        return self._definitions[line, name]

    def _parsed_alone(self, line: int, name: str) -> Definition | None:
        start = self._starts[line - 1]
        function = self._text[start : _end(self._text, start, self._text.find("def ", start, self._starts[line]))]
        around = "if True:\n" if function[:1].isspace() else ""
        with contextlib.suppress(*_NO_PYTHON):
            for node in ast.walk(ast.parse(around + function)):
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
                    ast.increment_lineno(node, line - node.lineno)
                    return node
        return None

    @cached_property
    def _text(self) -> str:  # most files have no function that is called: theirs is not kept
        return decode_source(files.content(self._path))

    @cached_property
    def _starts(self) -> list[int]:
        """Where each line begins, and the last one ends."""
        return [0, *accumulate(len(line) + 1 for line in self._text.split("\n"))]

    @cached_property
    def _parsed_together(self) -> dict[tuple[int, str], Definition]:
        """All functions, by line and name; none if what is in them is no Python."""
        with contextlib.suppress(*_NO_PYTHON):
            nodes = ast.walk(ast.parse(self._text) if self._is_outline else self.syntax)
            found = (node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))
            return {(node.lineno, node.name): node for node in found}
        return {}


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


def _outline(source: str) -> str:
    """A source whose functions have no content; each line keeps its number."""
    kept, last = [], 0
    at = source.find("def ")
    while at >= 0:
        start, end = source.rfind("\n", last, at) + 1, source.find("\n", at)  # one in a line, or time is not bounded
        found = _DEFINITION.match(source, at)
        if found and source[start:at].strip(" \t") in ("", "async"):
            behind = _end(source, start, at)
            if not any(source.count(quotes, start, behind) % 2 for quotes in _TEXTS):  # a text hides where it ends
                kept += [source[last:at], found[0], "(): pass", "\n" * source.count("\n", start, behind)]
                last = end = behind
        at = source.find("def ", end) if end >= 0 else -1
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
