"""depwalk run -- COMMAND: run a program, and say which DLL failed to load if it ends with such an error."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from depwalk import choices
from depwalk.cli import check
from depwalk.cli import options as shared

if TYPE_CHECKING:
    import argparse

    from depwalk.cli.parser import Parser

USAGE = "[options] -- COMMAND..."
DESCRIPTION = """\
Run a program in a traced child process, and say which DLL failed to load, if
one did. What it writes appears as it comes, and the report follows; what it
leaves running is ended with it.

  python -m depwalk run -- python app.py

Exit status: 0 the program ended with 0, 1 a load failed and the program with
it, 2 wrong usage, 3 it failed for another reason."""


def configure_parser(parser: Parser) -> None:
    """The command's own arguments and the shared ones."""
    group = parser.add_argument_group("what is run (on Windows)")
    group.add_argument("command", metavar="COMMAND", nargs="+", help="the program and its arguments, after --")
    shared.add_timeout(group, "the program", None)
    shared.add_output_options(parser)


def execute(options: argparse.Namespace) -> int:
    """Run the command, print the report, and return the exit status."""
    machine = shared.machine()
    if machine is None:
        print("depwalk: run needs Windows: this machine cannot trace a Windows program", file=sys.stderr)
        return choices.USAGE
    from depwalk.result import diagnose_command
    from depwalk.target.choose import Choice, choose

    is_alone = options.format not in (None, "text") and options.output is None
    stream = sys.stderr if is_alone else sys.stdout

    def pass_on(chunk: bytes) -> None:
        stream.buffer.write(chunk)
        stream.flush()

    try:
        result = diagnose_command(
            options.command,
            choose(None, Choice(), machine),
            python_path=os.environ.get("PYTHONPATH", ""),
            pass_on=pass_on,
            timeout=options.timeout,
        )
    except OSError as error:
        print(f"depwalk: {options.command[0]}: {error.strerror or error}", file=sys.stderr)
        return choices.USAGE
    return check.write([check.Report(result.name, [result])], options)
