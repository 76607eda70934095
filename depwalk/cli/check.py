"""depwalk TARGET...: will these files load, and if not, why."""

from __future__ import annotations

import os
import re
import sys
from functools import partial

from depwalk import choices
from depwalk.cli import COMMANDS, output
from depwalk.cli import options as shared

TYPE_CHECKING = False  # typing has the same, and takes a fifth of the start to import

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

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
    if several and options.format in choices.DOCUMENTS and (single or options.format not in choices.FORMATS_OF_MANY):
        told = "is one document: give it either files and names, or directories and wheels"
        if options.format not in choices.FORMATS_OF_MANY:
            told = f"is for files and names; of {several[0]} there is {', '.join(choices.FORMATS_OF_MANY)}"
        print(f"depwalk: --format {options.format} {told}", file=sys.stderr)
        return choices.USAGE
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
    reports = []
    unread = []
    for target in targets:
        try:
            results = _import(target, options) if _is_name(target) else [_check(target, options)]
        except UsageError as error:
            unread.append(f"{_meant(target, options)}{error}")
            print(f"depwalk: {unread[-1]}", file=sys.stderr)
            continue
        reports.append(Report(target, results))
    return write(reports, options, append=append, unread=unread)


class Report:
    """What was found out about one target: of an import maybe several files, or none."""

    def __init__(self, target: str, results: list[Result]) -> None:
        self.target = target
        self.results = results

    @property
    def deciding(self) -> Result | None:
        """The worst of the results that count."""
        counting = [result for result in self.results if not result.optional]
        statuses = [STATUS[result.verdict] for result in counting]
        return counting[statuses.index(choices.worst(statuses))] if counting else None

    @property
    def status(self) -> int:
        """Its exit status."""
        return STATUS[self.deciding.verdict] if self.deciding else choices.LOADS


def write(
    reports: list[Report], options: argparse.Namespace, *, append: bool = False, unread: Sequence[str] = ()
) -> int:
    """Print what was found out, and return the exit status. `unread` says what could not be looked at."""
    status = choices.worst([*(report.status for report in reports), *(choices.USAGE for _ in unread)])
    if not reports and options.format != "sarif":  # which tells also what could not be read
        return status
    written = output.deliver(lambda: _write(reports, options, status, append=append, unread=unread), options.output)
    return choices.worst([status, written])


def _meant(target: str, options: argparse.Namespace) -> str:
    """A question before a complaint: whether the first word was to be a command."""
    is_word = target.isalpha() and target == options.targets[0] and not os.path.exists(target)
    near = choices.nearest(target, COMMANDS) if is_word else ""
    return f"did you mean the command {near}? " if near else ""


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


def _write(
    reports: list[Report], options: argparse.Namespace, status: int, *, append: bool, unread: Sequence[str]
) -> None:
    if options.format not in (None, "text"):
        output.print_plain(_rendered(reports, options, status, unread), options.output, append=append)
        return
    from depwalk.cli.terminal import Terminal
    from depwalk.report.lines import Line

    terminal = Terminal(options.output, append=append)
    pages: list[list[Line]] = [_page(report, options, terminal) for report in reports]
    gap = [] if options.quiet else [Line("")]
    terminal.show([line for index, page in enumerate(pages) for line in (gap if index or append else []) + page])


def _rendered(reports: list[Report], options: argparse.Namespace, status: int, unread: Sequence[str]) -> str:
    """The report for a program, or the document for a viewer."""
    results = [result for report in reports for result in report.results]
    if options.format == "html":
        from depwalk.report import html

        return html.render(results)
    if options.format == "dot":
        from depwalk.report import dot

        return dot.render(results, everything=options.all)
    if options.format == "sarif":
        from depwalk.report import sarif

        return sarif.render(results, base=os.getcwd(), status=status, unread=unread)
    from depwalk.report import json

    return "".join(f"{json.render(result)}\n" for result in results)


def _page(report: Report, options: argparse.Namespace, terminal: Terminal) -> list[Line]:
    from depwalk.report import text

    if options.quiet:
        return [_verdict(report)]
    render = partial(
        text.render, width=terminal.width, glyphs=terminal.glyphs, everything=options.all, verbose=options.verbose
    )
    results = report.results
    return render(results[0]) if len(results) == 1 else text.several(results, render, terminal.width)


def _verdict(report: Report) -> Line:
    """The verdict in one line, also of an import that loads several files, or none."""
    import ntpath

    from depwalk.report import text
    from depwalk.report.lines import Line, shown

    if [result.name for result in report.results] in ([report.target], [ntpath.basename(report.target)]):
        return text.answer(report.results[0])
    decides = report.deciding
    if decides is not None and report.status != choices.LOADS:
        answer = text.answer(decides)
        inside = "" if decides.name == report.target else f"{shown(report.target)}: "
        return answer._replace(text=f"{inside}{answer.text}")
    number = sum(not result.optional for result in report.results)
    told = f"{number} extension modules, and all load" if number > 1 else "1 extension module, and it loads"
    return Line(shown(f"{report.target} needs {told if number else 'no extension module'}"), "good")
