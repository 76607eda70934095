"""The command line: one module per command, each with configure_parser and execute."""

from __future__ import annotations

import os
import sys

from depwalk import __version__, choices

TYPE_CHECKING = False  # typing has the same, and takes a fifth of the start to import

if TYPE_CHECKING:
    from typing import Any

    from depwalk.cli.parser import Parser

COMMANDS = ("scan", "run", "cpu")  # the first word; what is none of them is a target
HELP_COLUMNS = 80  # of the help: longer lines are hard to read
_COMPLETING = "_ARGCOMPLETE"  # set by a shell that asks what a line could go on with
_HELP = os.path.join(os.path.dirname(os.path.dirname(__file__)), "data", "help")


def main(arguments: list[str]) -> int:
    """Run one command and return its exit status. A first word that is no command is a target."""
    if _COMPLETING in os.environ:
        from depwalk.cli.completion import complete

        complete()
    name = arguments[0] if arguments and arguments[0] in COMMANDS else ""
    words = arguments[1:] if name else arguments
    kept = _kept(name, words)
    if kept:
        from depwalk.cli import output

        return output.deliver(lambda: print(kept), None)
    parser, command = parser_of(name)
    options = parser.parse_args(words)
    try:
        status: int = command.execute(options)
    except KeyboardInterrupt:
        print("depwalk: interrupted", file=sys.stderr)
        return choices.UNKNOWN
    return status


def _kept(name: str, words: list[str]) -> str:
    """What --help or --version answers, without a parser: to import argparse takes as long as to start Python."""
    if words == ["--version"]:
        return f"depwalk {__version__}"
    if words in (["--help"], ["-h"]) and columns() >= HELP_COLUMNS:
        with open(os.path.join(_HELP, f"{name or 'depwalk'}.txt"), encoding="utf-8") as file:
            return file.read().rstrip()
    return ""


def columns() -> int:
    """Of the terminal, else 80. shutil says it, too, and takes a tenth of the whole start to import."""
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    try:
        return os.get_terminal_size(1).columns or HELP_COLUMNS
    except OSError:
        return HELP_COLUMNS


def parser_of(name: str) -> tuple[Parser, Any]:
    """The parser of a command, and its module; "" is the one that checks targets."""
    from depwalk.cli.parser import Parser

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
