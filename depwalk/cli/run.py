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

NAME = "run"
DESCRIPTION = """\
Run a program in a traced child process, and say which DLL failed to load, if one did.

  python -m depwalk run -- python app.py

The program's output appears as it comes; the report follows. What the program started and
left running is ended with it.

Exit status: 0 the program ended with 0, 1 a load failed and the program with it, 2 wrong usage,
3 it failed for another reason."""


def configure_parser(parser: argparse.ArgumentParser) -> None:
    """The command's own arguments and the shared ones."""
    parser.add_argument("command", metavar="COMMAND", nargs="+", help="the program and its arguments, after --")
    parser.add_argument(
        "--timeout", metavar="S", type=shared.seconds, default=None, help="seconds the program may take (default: none)"
    )
    shared.add_output_options(parser)


def execute(options: argparse.Namespace) -> int:
    """Run the command, print the report, and return the exit status."""
    machine = shared.machine()
    if machine is None:
        print("depwalk: run needs Windows: this machine cannot trace a Windows program", file=sys.stderr)
        return choices.USAGE
    from depwalk.result import diagnose_command
    from depwalk.target.choose import Choice, choose

    stream = sys.stderr if options.format == "json" and options.output is None else sys.stdout

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
    return choices.worst([check.STATUS[result.verdict], check.write([[result]], options)])
