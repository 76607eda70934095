"""The command line: one module per command, each with configure_parser and execute."""

from __future__ import annotations

import os
import sys

from depwalk import choices
from depwalk.cli.parser import COMMANDS, Parser

TYPE_CHECKING = False  # typing has the same, and takes a fifth of the start to import

if TYPE_CHECKING:
    from typing import Any

_COMPLETING = "_ARGCOMPLETE"  # set by a shell that asks what a line could go on with


def main(arguments: list[str]) -> int:
    """Run one command and return its exit status. A first word that is no command is a target."""
    if _COMPLETING in os.environ:
        from depwalk.cli.completion import complete

        complete()
    name = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    parser, command = parser_of(name)
    options = parser.parse_args(arguments[1:] if name else arguments)
    try:
        status: int = command.execute(options)
    except KeyboardInterrupt:
        print("depwalk: interrupted", file=sys.stderr)
        return choices.UNKNOWN
    return status


def parser_of(name: str) -> tuple[Parser, Any]:
    """The parser of a command, and its module; "" is the one that checks targets."""
    command = _command(name)
    prog = f"depwalk {name}".rstrip()
    parser = Parser(prog, f"{prog} {command.USAGE}", command.DESCRIPTION)
    command.configure_parser(parser)
    return parser, command


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
