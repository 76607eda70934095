"""Targets for tests: a named Windows, an assumed CPython, and real directories where a test gives them."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from depwalk import cpu
from depwalk.target import Directory, Target, python, windows

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from depwalk.cpu import Cpu
    from depwalk.search import Rule

processor: Cpu | None = None  # of every target: see judging_for
_named = lru_cache(windows.named)


def target(
    system: str = "10", loader: str | None = "3.11", *, app: os.PathLike[str] | None = None, **fields: Any
) -> Target:
    """A process of `loader` (as --python takes it; None: no Python) on `system` (as --windows takes it).

    `app` is its application directory; `fields` are those of Target, with paths as strings or path objects.
    """
    interpreter = None
    if loader is not None:
        version = python.parse(loader)
        assert version is not None
        minor, architecture, free_threaded = version
        interpreter = python.assumed(minor, architecture, free_threaded=free_threaded)
        if app is not None:
            interpreter = interpreter._replace(directory=Directory(os.fspath(app)))
    for name in ("dll_dirs", "path", "loaded"):
        if name in fields:
            fields[name] = tuple(os.fspath(path) for path in fields[name])
    if "cwd" in fields:
        fields["cwd"] = os.fspath(fields["cwd"])
    fields.setdefault("cpu", processor)
    fields.setdefault("architecture", interpreter.architecture if interpreter else "x64")
    return Target(_named(system), python=interpreter, **fields)


def judging_for(monkeypatch: pytest.MonkeyPatch) -> Callable[[Cpu | None], None]:
    """What sets the processor that every target of a test has, as the live one."""

    def judge_for(chosen: Cpu | None) -> None:
        named = None if chosen is None else chosen._replace(name=cpu.LIVE)
        monkeypatch.setattr(f"{__name__}.processor", named)

    return judge_for


def searched(rules: tuple[Rule, ...]) -> list[str]:
    """What a search goes through: steps, and directories by the names of their rules."""
    return [rule.name if rule.directory is not None else rule.step for rule in rules]
