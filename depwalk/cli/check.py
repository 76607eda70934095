"""depwalk TARGET...: will these files load, and if not, why."""

from __future__ import annotations

import os
import re
import sys
from functools import partial
from typing import TYPE_CHECKING

from depwalk import choices
from depwalk.cli import options as shared
from depwalk.cli import output

if TYPE_CHECKING:
    import argparse

    from depwalk.cli.parser import Parser
    from depwalk.cli.terminal import Terminal
    from depwalk.report.lines import Line
    from depwalk.result import Result

USAGE = "TARGET... [options]"
DESCRIPTION = """\
Why does this DLL or Python extension not load? depwalk names the module at
fault, who needs it, the cause, and what to do.

  python -m depwalk path\\to\\module.pyd      a file
  python -m depwalk tensorflow               a name that does not import
  python -m depwalk Lib\\site-packages        a directory or wheel: scan --help
  python -m depwalk run -- python app.py     a program that ends with an error
  python -m depwalk cpu                      this processor and its system

Exit status: 0 loads, 1 fails, 2 wrong usage or unreadable file, 3 not known."""

STATUS = {"loads": choices.LOADS, "fails": choices.FAILS, "unknown": choices.UNKNOWN}

_SUFFIXES = (".pyd", ".dll", ".exe")
_WHEEL = ".whl"
_IMPORTABLE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")


class UsageError(Exception):
    """Something the user gave cannot be used; the text is one line for a person."""


def configure_parser(parser: Parser) -> None:
    """The command's own arguments and the shared ones."""
    shared.add_target_options(parser)
    group = parser.add_argument_group("what is asked (on Windows the real loader, in a child)")
    group.add_argument("targets", metavar="TARGET", nargs="+", help="a file, directory or wheel, or a name to import")
    shared.add_site_option(group)
    shared.add_load_options(group)
    shared.add_output_options(parser)


def execute(options: argparse.Namespace) -> int:
    """Check each target, print the reports, and return the worst status."""
    several = [target for target in options.targets if _holds_files(target)]
    single = [target for target in options.targets if target not in several]
    if several:
        from depwalk.cli import scan

        if not single:
            return scan.execute(scan.options_for(several, options))
        emptied = output.deliver(lambda: output.print_plain("", options.output), options.output)
        if emptied != choices.LOADS:  # both of the reports are to be in it
            return emptied
        scanned = scan.execute(scan.options_for(several, options))
        return choices.worst([scanned, _execute(single, options, append=True)])
    return _execute(single, options)


def _execute(targets: list[str], options: argparse.Namespace, *, append: bool = False) -> int:
    """Check files and names; `append`: something was printed before."""
    statuses = []
    reports: list[list[Result]] = []
    for target in targets:
        try:
            results = _import(target, options) if _is_name(target) else [_check(target, options)]
        except UsageError as error:
            print(f"depwalk: {error}", file=sys.stderr)
            statuses.append(choices.USAGE)
            continue
        statuses += [STATUS[result.verdict] for result in results if not result.optional] or [choices.LOADS]
        reports.append(results)
    return choices.worst([*statuses, write(reports, options, append=append)])


def write(reports: list[list[Result]], options: argparse.Namespace, *, append: bool = False) -> int:
    """Print what was found out, a list for each target; the exit status says whether that could be done."""
    return output.deliver(lambda: _write(reports, options, append=append) if reports else None, options.output)


def _holds_files(target: str) -> bool:
    """Whether a target is a directory or a wheel, whose files are scanned."""
    return os.path.isdir(target) or (target.lower().endswith(_WHEEL) and os.path.isfile(target))


def _is_name(target: str) -> bool:
    """Whether a target is a name to import. What is there as a file or directory is that; x.dll is no module."""
    is_file_name = target.lower().endswith((*_SUFFIXES, _WHEEL))
    return not os.path.exists(target) and not is_file_name and _IMPORTABLE.fullmatch(target) is not None


def _import(name: str, options: argparse.Namespace) -> list[Result]:
    from depwalk import image
    from depwalk.result import diagnose_import
    from depwalk.target.choose import choose

    machine = shared.machine()
    try:
        return diagnose_import(
            name,
            lambda file: choose(file, shared.choice(options), machine),
            sites=shared.sites(options),
            own_path=shared.own_path(),
            load=not options.no_load,
            timeout=options.timeout,
        )
    except (image.UnreadableFile, ValueError, OSError) as error:
        raise UsageError(str(error)) from None


def _check(path: str, options: argparse.Namespace) -> Result:
    from depwalk import image
    from depwalk.result import diagnose
    from depwalk.target.choose import choose

    try:
        return diagnose(
            path,
            lambda file: choose(file, shared.choice(options), shared.machine()),
            load=not options.no_load,
            timeout=options.timeout,
        )
    except (image.UnreadableFile, ValueError) as error:
        raise UsageError(str(error)) from None


def _write(reports: list[list[Result]], options: argparse.Namespace, *, append: bool) -> None:
    if options.format == "json":
        from depwalk.report import json

        lines = [json.render(result) for results in reports for result in results]
        output.print_plain("".join(f"{line}\n" for line in lines), options.output, append=append)
        return
    from depwalk.cli.terminal import Terminal
    from depwalk.report.lines import Line

    terminal = Terminal(options.output, append=append)
    pages: list[list[Line]] = [_page(results, options, terminal) for results in reports]
    gap = [] if options.quiet else [Line("")]
    terminal.show([line for index, page in enumerate(pages) for line in (gap if index or append else []) + page])


def _page(results: list[Result], options: argparse.Namespace, terminal: Terminal) -> list[Line]:
    from depwalk.report import text

    if options.quiet:
        return [text.answer(result) for result in results]
    render = partial(
        text.render, width=terminal.width, glyphs=terminal.glyphs, everything=options.all, verbose=options.verbose
    )
    return render(results[0]) if len(results) == 1 else text.several(results, render, terminal.width)
