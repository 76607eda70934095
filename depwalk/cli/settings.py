"""Settings of a project: [tool.depwalk] of the pyproject.toml in the current directory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from depwalk import tables

if TYPE_CHECKING:
    import argparse

_FILE = Path("pyproject.toml")


def read(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Defaults for a parser's options, by their long names. Ends the program for what it does not know."""
    try:
        table = tables.parse(_FILE.read_text("utf-8")).get("tool", {}).get("depwalk", {}) if _FILE.is_file() else {}
    except (OSError, ValueError) as error:
        parser.error(f"{_FILE}: {error}")
    known = {text[2:]: action for action in parser._actions for text in action.option_strings if text[:2] == "--"}  # noqa: SLF001
    known |= {action.dest: action for action in parser._actions if not action.option_strings}  # noqa: SLF001
    found = {}
    for name, value in table.items():
        action = known.get(name)
        if action is None:
            parser.error(f"{_FILE}: [tool.depwalk] has no setting {name!r}")
        found[action.dest] = _checked(parser, name, value, action)
    return found


def _checked(parser: argparse.ArgumentParser, name: str, value: Any, action: argparse.Action) -> Any:
    if isinstance(action.default, bool):
        wanted, fits = "true or false", isinstance(value, bool)
    elif isinstance(action.default, list) or action.nargs == "*":
        value = [value] if isinstance(value, str) else value
        wanted = "a list of strings"
        fits = isinstance(value, list) and all(isinstance(one, str) for one in value)
    else:
        wanted, fits = "a string", isinstance(value, str)
        value = value if not fits or not callable(action.type) else action.type(value)
    if not fits:
        parser.error(f"{_FILE}: [tool.depwalk] {name} is {wanted}")
    return value
