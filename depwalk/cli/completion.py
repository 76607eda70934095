"""What a line could go on with, for a shell that asks through argcomplete: docs/completion.md."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from depwalk import choices
from depwalk.cli import COMMANDS, parser_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Completer = Callable[..., Iterator[str]]

_START = "_ARGCOMPLETE"  # 1 + the place of the program in the line: 1 depwalk, 3 python -m depwalk
_TARGETS = (".pyd", ".dll", ".exe", ".whl")


def complete() -> None:
    """Tell the shell, and end. Ends with 1 if argcomplete is not installed."""
    try:
        import argcomplete
        from argcomplete.lexers import split_line
    except ImportError:
        sys.exit(choices.FAILS)
    start = int(os.environ[_START])
    words = split_line(os.environ["COMP_LINE"], int(os.environ["COMP_POINT"]))[3][start:]
    name = words[0] if words and words[0] in COMMANDS else ""
    if name:
        os.environ[_START] = str(start + 1)
    parser, _ = parser_of(name)
    completers = _completers(is_first=not words)
    for action in parser._actions:  # noqa: SLF001  (argparse has no other list of them)
        if action.choices is None:
            vars(action)["completer"] = completers.get(action.dest, _files(""))  # where argcomplete looks for it
    argcomplete.autocomplete(parser, always_complete_options=False, validator=_begins)


def _begins(word: str, prefix: str) -> bool:
    """In either case, as names of Windows, of processors and of files there are taken."""
    return word.lower().startswith(prefix.lower())


def _completers(*, is_first: bool) -> dict[str, Completer]:
    """By the destination of an argument."""
    directories = _files(None)
    return {
        "targets": _both(lambda: [*COMMANDS] if is_first else [], _files(*_TARGETS)),
        "paths": _files(*_TARGETS, ".txt"),
        "windows": _both(_windows),
        "python": _both(_pythons, _files(".exe")),
        "with_runtime": _both(_runtimes),
        "cpu": _both(_processors, _files("")),
        "source": _both(_processors, _files("")),
        "fail_on": _codes,
        "ignore": _codes,
        "dll_dir": directories,
        "root": directories,
        "site": directories,
    }


def _both(words: Callable[[], list[str]], files: Completer | None = None) -> Completer:
    """Known words, which are asked for when they are needed, and files."""

    def completer(prefix: str, **facts: Any) -> Iterator[str]:
        yield from words()
        if files is not None:
            yield from files(prefix, **facts)

    return completer


def _files(*suffixes: str | None) -> Completer:
    """Directories, and files whose names end so; None: no files."""

    def completer(prefix: str, **_: Any) -> Iterator[str]:
        folder = prefix[: len(prefix) - len(os.path.basename(prefix))]  # as it was typed
        try:
            with os.scandir(folder or ".") as entries:
                for entry in entries:
                    path = folder + entry.name
                    if entry.is_dir():
                        yield f"{path}/"
                    elif any(suffix is not None and entry.name.lower().endswith(suffix) for suffix in suffixes):
                        yield path
        except OSError:
            return

    return completer


def _codes(prefix: str, **_: Any) -> Iterator[str]:
    """Codes of findings; what stands before the last comma stays."""
    from depwalk.bulk import policy

    before = prefix[: prefix.rfind(",") + 1]
    yield from (before + code for code in sorted(policy.codes()))


def _windows() -> list[str]:
    from depwalk.target import windows

    return windows.names()


def _pythons() -> list[str]:
    from depwalk.target import choose

    return choose.python_names()


def _runtimes() -> list[str]:
    from depwalk import runtimes

    return runtimes.ids()


def _processors() -> list[str]:
    from depwalk import cpu

    return [cpu.LIVE, *cpu.levels(), *cpu.models()]
