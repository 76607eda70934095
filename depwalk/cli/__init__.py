"""The command line: one module per command, each with configure_parser and execute."""

from __future__ import annotations

import argparse
import sys

from depwalk import __version__, choices


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, without the usage in front."""

    def error(self, message: str) -> None:  # type: ignore[override]
        """Print one line and end with the documented status."""
        self.exit(choices.USAGE, f"depwalk: {message}\nTry: python -m depwalk --help\n")


def main(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    from depwalk.cli import check

    parser = Parser(prog="depwalk", description=check.DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"depwalk {__version__}")
    check.configure_parser(parser)
    options = parser.parse_args(arguments)
    try:
        return check.execute(options)
    except KeyboardInterrupt:
        print("depwalk: interrupted", file=sys.stderr)
        return choices.UNKNOWN
