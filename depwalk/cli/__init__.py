"""The command line: one module per command, each with configure_parser and execute."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from depwalk import __version__, choices


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage in front."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Print one line and end with the documented status."""
        self.exit(choices.USAGE, f"depwalk: {message}\nTry: python -m depwalk --help\n")


def main(arguments: list[str]) -> int:
    """Run one command and return its exit status. A first word that is no command is a target."""
    name = arguments[0] if arguments else ""
    command = _command(name)
    parser = Parser(
        prog=f"depwalk {name}" if command.NAME else "depwalk",
        description=command.DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"depwalk {__version__}")
    command.configure_parser(parser)
    options = parser.parse_args(arguments[1:] if command.NAME else arguments)
    try:
        status: int = command.execute(options)
    except KeyboardInterrupt:
        print("depwalk: interrupted", file=sys.stderr)
        return choices.UNKNOWN
    return status


def _command(name: str) -> Any:
    if name == "run":
        from depwalk.cli import run

        return run
    if name == "scan":
        from depwalk.cli import scan

        return scan
    if name == "cpu":
        from depwalk.cli import cpu

        return cpu
    from depwalk.cli import check

    return check
