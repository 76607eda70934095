"""The parser of every command: help that fits a screen, and complaints in one line that say what was meant."""

from __future__ import annotations

import argparse

from depwalk import choices
from depwalk.cli import HELP_COLUMNS, columns

TYPE_CHECKING = False  # typing has the same, and takes a fifth of the start to import

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

_INDENT = 23  # columns, of what is said of an option


class Help(argparse.RawDescriptionHelpFormatter):
    """An option in one line: its value is named once, and what is said of it begins early."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=_INDENT, width=min(columns(), HELP_COLUMNS) - 2)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        names = ", ".join(action.option_strings)
        if not names:
            return super()._format_action_invocation(action)
        return names if action.nargs == 0 else f"{names} {self._format_args(action, action.dest.upper())}"


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage in front."""

    def __init__(self, prog: str = "depwalk", usage: str | None = None, description: str | None = None) -> None:
        super().__init__(
            prog=prog,
            usage=usage,
            description=description,
            formatter_class=Help,
            add_help=False,
            allow_abbrev=False,  # a new option would change what the beginning of a name means
        )

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does it, after a look for options that do not exist: argparse tells of them last."""
        for word in _before_separator(args or ()):
            name = word.partition("=")[0]
            if name.startswith("--") and name not in self.options():
                near = choices.nearest(name, self.options())
                self.error(f"there is no option {name}" + (f": did you mean {near}?" if near else ""))
        return super().parse_known_args(args, namespace)

    def options(self) -> list[str]:
        """Every option by its long name."""
        every = (text for action in self._actions for text in action.option_strings)
        return [text for text in every if text.startswith("--")]

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, f"unknown {value!r}: {_one_of(str(value), action.choices)}")

    def error(self, message: str) -> None:  # type: ignore[override]  # argparse has a narrower type than its code
        """Print one line and end with the documented status."""
        self.exit(choices.USAGE, f"depwalk: {message}\nTry: python -m {self.prog} --help\n")


def _before_separator(words: Sequence[str]) -> Sequence[str]:
    return words[: words.index("--")] if "--" in words else words


def _one_of(given: str, known: Iterable[str]) -> str:
    return f"{choices.meant(given, known)} is one of {', '.join(known)}"
