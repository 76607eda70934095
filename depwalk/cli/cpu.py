"""depwalk cpu: what this processor and its system offer, or another one."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from depwalk import choices
from depwalk.cli import options as shared
from depwalk.cli import output

if TYPE_CHECKING:
    import argparse

    from depwalk.cli.parser import Parser
    from depwalk.cpu import Cpu

USAGE = "[options]"
DESCRIPTION = """\
What this processor and its system offer: the level (x86-64-v1 to v4) and every
instruction set.

  python -m depwalk cpu
  python -m depwalk cpu --dump my-cpu.txt  write it down, for a report or --cpu
  python -m depwalk cpu --from my-cpu.txt  read it on another machine

Exit status: 0, or 2 for a file that is no dump of a processor."""


def configure_parser(parser: Parser) -> None:
    """The command's own arguments."""
    group = parser.add_argument_group("which processor")
    told = f"{choices.CPU} (default: live)"
    group.add_argument("--from", metavar="NAME", dest="source", help=told)
    group = parser.add_argument_group("what is shown")
    told = "its raw answers and nothing else (default: to standard output)"
    group.add_argument("--dump", metavar="FILE", nargs="?", const="-", help=told)
    shared.add_format(group, choices.FORMATS_OF_CPU)
    shared.add_help(group)


def execute(options: argparse.Namespace) -> int:
    """Show the processor, or write it down, and return the exit status."""
    from depwalk import cpu

    try:
        processor = cpu.named(options.source) if options.source else cpu.live_in_full() if options.dump else cpu.live()
    except ValueError as error:
        print(f"depwalk: {error}", file=sys.stderr)
        return choices.USAGE
    if options.dump is None:
        return output.deliver(lambda: _show(processor, options), options.output)
    if processor is None:
        print("depwalk: this is not an x86 processor: there is nothing to dump", file=sys.stderr)
        return choices.USAGE
    path = options.output if options.dump == "-" else options.dump
    return output.deliver(lambda: output.print_plain(_dump(processor), path), path)


def _show(processor: Cpu | None, options: argparse.Namespace) -> None:
    from depwalk.report import processor as report

    if options.format == "json":
        output.print_plain(json.dumps(report.as_dict(processor), ensure_ascii=False) + "\n", options.output)
        return
    from depwalk.cli.terminal import Terminal

    terminal = Terminal(options.output)
    terminal.show(report.render(processor, terminal.width) if processor else report.not_x86(terminal.width))


def _dump(processor: Cpu) -> str:
    from depwalk import __version__
    from depwalk.cpu import dump
    from depwalk.report.lines import shown

    head = [f"{shown(processor.brand() or 'a processor without a name')}, as depwalk {__version__} wrote it down"]
    return dump.write(processor.leaves, None if processor.xcr0_assumed else processor.xcr0, head)
