"""The catalogue of real cases, what reproduces each, and the check that a reproduction of one gives its cause."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import tomllib

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.diagnosis import Finding

HERE = Path(__file__).parent
TESTS = HERE.parent
NEAR_MISS = "test_near_miss_"


class Test(NamedTuple):
    """A test function, read from its source."""

    file: Path
    name: str
    body: ast.FunctionDef

    @property
    def cases(self) -> set[str]:
        """The ids in its name; none if it is no replay of a case."""
        found = re.match(r"test_case((?:_[A-Z]\d+)+)_", self.name)
        return set(found.group(1).split("_")[1:]) if found else set()

    @property
    def named(self) -> set[str]:
        """The ids in its source, which are those that it gives to `expect_primary`."""
        texts = (str(node.value) for node in ast.walk(self.body) if isinstance(node, ast.Constant))
        return {text for text in texts if re.fullmatch(r"[A-Z]\d+", text)}

    @property
    def asks(self) -> bool:
        """Whether it asks for the primary cause."""
        return any(isinstance(node, ast.Name) and node.id == "expect_primary" for node in ast.walk(self.body))


@functools.cache
def cases() -> dict[str, dict[str, Any]]:
    """Every case by its id: what, threads, grade, finding, and `why_not` if it cannot be reproduced here."""
    found: dict[str, dict[str, Any]] = tomllib.loads((HERE / "cases.toml").read_text("utf-8"))
    return found


@functools.cache
def animals() -> list[dict[str, Any]]:
    """The recipes of the zoo, as they are written."""
    recipes = sorted((TESTS / "zoo" / "recipes").glob("*.toml"))
    return [animal for recipe in recipes for animal in tomllib.loads(recipe.read_text("utf-8"))["animal"]]


@functools.cache
def verdicts() -> list[dict[str, Any]]:
    """What is expected of real wheels."""
    found: list[dict[str, Any]] = tomllib.loads((TESTS / "wheels" / "verdicts.toml").read_text("utf-8"))["verdict"]
    return found


@functools.cache
def functions(pattern: str) -> list[Test]:
    """Every test in files whose path below tests/ matches."""
    return [
        Test(file, node.name, node)
        for file in sorted(TESTS.glob(pattern))
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def replays() -> list[Test]:
    """The tests that replay a case."""
    return [test for test in functions("cases/test_*.py") if test.cases]


def near_misses() -> list[Test]:
    """The tests of what must not be called by the name of what it resembles."""
    return [test for test in functions("**/test_*.py") if test.name.startswith(NEAR_MISS)]


def reproductions(case: str) -> Iterator[tuple[str, str]]:
    """Kind and name of everything that reproduces a case: a zoo animal, the wheel of a file, the file of a replay."""
    yield from (("animal", animal["name"]) for animal in animals() if case in animal.get("cases", ()))
    yield from (("wheel", row["file"].partition("/")[0]) for row in verdicts() if case in row.get("cases", ()))
    yield from dict.fromkeys(("replay", test.file.name) for test in replays() if case in test.cases)


def expect_primary(case: str, findings: Sequence[Finding]) -> Finding:
    """The first finding, which must be the cause that the catalogue names for this case."""
    assert findings, f"case {case}: nothing was found"
    first = findings[0]
    assert first.code == cases()[case]["finding"], [(found.severity, found.code, found.message) for found in findings]
    return first
