"""Settings of a project: [tool.depwalk] of the pyproject.toml in the current directory."""

from __future__ import annotations

import argparse
import os
from typing import Any

_FILE = "pyproject.toml"


def read(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Defaults for a parser's options, by their long names. Ends the program for what it does not know."""
    known = {text[2:]: action for action in _settable(parser) for text in action.option_strings if text[:2] == "--"}
    known |= {action.dest: action for action in _settable(parser) if not action.option_strings}
    found = {}
    for name, value in _table(parser).items():
        action = known.get(name)
        if action is None:
            parser.error(f"{_FILE}: [tool.depwalk] has no setting {name!r}")
        found[action.dest] = _checked(parser, name, value, action)
    return found


def _table(parser: argparse.ArgumentParser) -> dict[str, Any]:
    if not os.path.isfile(_FILE):
        return {}
    from depwalk import tables

    try:
        with open(_FILE, encoding="utf-8") as file:
            tool = tables.parse(file.read()).get("tool", {})
    except (OSError, ValueError, RecursionError) as error:
        parser.error(f"{_FILE}: {error}")
    table = tool.get("depwalk", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        parser.error(f"{_FILE}: [tool.depwalk] is a table")
    return table


def _settable(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """The options that are no command, as --help is one; foreign code runs only where a person says so."""
    return [
        action
        for action in parser._actions  # noqa: SLF001  (argparse has no other list of them)
        if action.default is not argparse.SUPPRESS and action.dest != "load"
    ]


def _checked(parser: argparse.ArgumentParser, name: str, value: Any, action: argparse.Action) -> Any:
    if isinstance(action.default, bool):
        wanted, fits = "true or false", isinstance(value, bool)
    elif isinstance(action.default, list) or action.nargs == "*":
        value = [value] if isinstance(value, str) else value
        wanted = "a list of strings"
        fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
    elif callable(action.type):
        wanted = "a number"
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
        try:
            value = action.type(str(value)) if fits else value
        except argparse.ArgumentTypeError as error:
            parser.error(f"{_FILE}: [tool.depwalk] {name}: {error}")
    else:
        wanted = " or ".join(action.choices or ["a string"])
        fits = isinstance(value, str) and (action.choices is None or value in action.choices)
    if not fits:
        parser.error(f"{_FILE}: [tool.depwalk] {name} is {wanted}")
    return value
