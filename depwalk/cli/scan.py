"""depwalk scan PATH...: every extension module of an environment, a wheelhouse or an application, at once."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from depwalk import choices
from depwalk.cli import options as shared
from depwalk.cli import output, settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from depwalk.bulk import Scan
    from depwalk.bulk.compare import Comparison
    from depwalk.bulk.database import Database
    from depwalk.bulk.policy import Policy
    from depwalk.bulk.rows import Row
    from depwalk.bulk.summary import Summary
    from depwalk.cli.parser import Parser
    from depwalk.report.lines import Line

USAGE = "PATH... [options]"
DESCRIPTION = """\
Will the extension modules of an environment, of wheels, or of an application
load? Wheels are read as they are; nothing is installed.

  python -m depwalk scan dist --windows 7 --windows 10 --windows 11-core
  python -m depwalk scan Lib\\site-packages --db scans.db  reads what is new
  python -m depwalk scan --db scans.db --since 1           what broke since run

Exit status, for the worst: 0 loads, 1 fails, 2 wrong usage or unreadable file,
3 not known. DLLs and programs count where there is no extension module."""


def configure_parser(parser: Parser) -> None:
    """The command's own arguments and the shared ones."""
    shared.add_target_options(parser, several=True)
    group = parser.add_argument_group("what is done")
    told = "a directory, wheel or file, or a .txt with such paths"
    group.add_argument("paths", metavar="PATH", nargs="*", help=told)
    group.add_argument("--load", action="store_true", help="ask the real loader, too (Windows): runs foreign code")
    shared.add_timeout(group, "a load", choices.TIMEOUT)
    group.add_argument("--jobs", metavar="N", type=_number, default=0, help="processes (default: as many as pay)")
    group.add_argument("--db", metavar="FILE", help="keep what is found, and reuse what has not changed")
    group.add_argument("--hash", action="store_true", help="tell files by content (default: by size and time)")
    group.add_argument("--since", metavar="RUN", help="with --db: what has changed since that run, or 'last'")
    group = parser.add_argument_group("what counts (default: all of it; also set in [tool.depwalk] of pyproject.toml)")
    for option, what in (
        ("--fail-on", "what alone makes it fail: CODE,... +"),
        ("--ignore", "what does not: CODE, DLL, distribution,... +"),
    ):
        group.add_argument(option, metavar="NAMES", action=shared.Repeatable, default=[], help=what)
    group.add_argument("--baseline", metavar="FILE", help="a file with what is known already and does not count")
    group.add_argument("--write-baseline", metavar="FILE", help="write what fails now as such a file")
    shared.add_output_options(parser, verbose=False)
    parser.set_defaults(**settings.read(parser))


def options_for(paths: list[str], given: argparse.Namespace) -> argparse.Namespace:
    """What `depwalk scan` would be told of targets, with the options that both commands have."""
    from depwalk.cli.parser import Parser

    parser = Parser()
    configure_parser(parser)
    options = parser.parse_args(["--", *paths])
    for name, value in vars(given).items():
        if hasattr(options, name) and value not in (None, False, [], choices.TIMEOUT):
            several = isinstance(getattr(options, name), list) and not isinstance(value, list)
            setattr(options, name, [value] if several else value)
    return options


def execute(options: argparse.Namespace) -> int:
    """Scan, print what it comes to, and return the exit status."""
    from depwalk.bulk.policy import Policy, codes_in, read_baseline, words

    try:
        known = read_baseline(options.baseline) if options.baseline else frozenset()
        policy = Policy(words(options.ignore), codes_in(options.fail_on), known)
        if not options.paths:
            return _compare_only(options)
        return _scan(options, policy)
    except OSError as error:
        print(
            f"depwalk: {error.filename}: {error.strerror}" if error.filename else f"depwalk: {error}", file=sys.stderr
        )
    except ValueError as error:
        print(f"depwalk: {error}", file=sys.stderr)
    return choices.USAGE


def _can_load(options: argparse.Namespace) -> bool:
    """Whether --load can be followed. Raises ValueError."""
    if options.load and shared.machine() is None:
        raise ValueError("--load needs Windows: this machine cannot load a DLL of Windows")
    return bool(options.load)


def _scan(options: argparse.Namespace, policy: Policy) -> int:
    from depwalk.bulk import Scan
    from depwalk.bulk.summary import Summary

    scan = Scan.of(
        options.paths,
        shared.cases(options),
        machine=shared.machine(),
        load=_can_load(options),
        timeout=options.timeout,
        hashed=options.hash,
        jobs=options.jobs,
        trees=bool(options.db) or options.format == "json",
    )
    summary = Summary(policy, baseline=bool(options.write_baseline))
    with _database(options) as database:
        before = _run_before(options, database)
        run = 0
        if database is not None:
            run = database.begin(
                [os.path.abspath(path) for path in options.paths], scan.plain_cases, _bearing(scan, options)
            )
        writer = _writer(options)
        finished = _follow(scan, summary, database, writer)
        if database is not None:
            database.finish("complete" if finished else "interrupted")
        compares = database is not None and before is not None
        in_a_line = compares and options.quiet and writer is None  # the verdict stands in that of the comparison
        status = choices.LOADS
        if not in_a_line:
            status = output.deliver(lambda: _report(summary, options, writer, finished=finished), options.output)
        if database is not None and before is not None:
            _, told = _show_comparison(database, before, run, options, summary if in_a_line else None)
            status = status or told
    if options.write_baseline:
        from depwalk.bulk.policy import written_baseline

        content = written_baseline(summary.met)
        status = status or output.deliver(
            lambda: output.print_plain(content, options.write_baseline), options.write_baseline
        )
    if not finished:
        print(f"depwalk: interrupted after {summary.rows:,} verdicts; they are shown{_kept(options)}", file=sys.stderr)
        return choices.worst([summary.status, status, choices.UNKNOWN])
    return choices.worst([summary.status, status])


def _follow(scan: Scan, summary: Summary, database: Database | None, writer: _Lines | _Rows | None) -> bool:
    """Go through all rows, as far as nobody interrupts; whether that was to the end."""
    earlier = database.earlier(trees=isinstance(writer, _Lines)) if database is not None else None
    with _progress(scan) as advance, _interruptible() as whole_row:
        rows = scan.rows(earlier)
        try:
            for row in rows:
                with whole_row:
                    if database is not None:
                        database.add(row)
                    if writer is not None:
                        writer.add(row)
                    summary.add(row)
                    advance(summary.rows)
        except KeyboardInterrupt:
            rows.close()
            return False
    return True


class _WholeRow:
    """Within it, the first Ctrl-C waits until the end: a row is kept, written and counted, or nothing of it is."""

    def __init__(self) -> None:
        self.begun = self.asked = False

    def __enter__(self) -> None:
        self.begun = True

    def __exit__(self, failed: object, *_: object) -> None:
        self.begun = False
        if self.asked and failed is None:
            raise KeyboardInterrupt

    def interrupt(self, *_: object) -> None:
        """The handler of the signal."""
        if self.asked or not self.begun:
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def _interruptible() -> Iterator[_WholeRow]:
    """Within it, Ctrl-C raises KeyboardInterrupt, but for what _WholeRow says; where it is ignored, it stays so."""
    whole_row = _WholeRow()
    before = signal.getsignal(signal.SIGINT)
    if before in (None, signal.SIG_IGN):  # None is a handler of the program that Python is embedded in
        yield whole_row
        return
    signal.signal(signal.SIGINT, whole_row.interrupt)
    try:
        yield whole_row
    finally:
        signal.signal(signal.SIGINT, before)


def _compare_only(options: argparse.Namespace) -> int:
    """Compare a run with the last one of a database, without scanning."""
    from depwalk.bulk.database import Database

    if not options.db or not options.since:
        raise ValueError("nothing to scan: give a PATH, or --db FILE with --since RUN")
    if not os.path.isfile(options.db):
        raise ValueError(f"{options.db}: there is no such file (--db)")
    with Database(options.db) as database:
        runs = [run.id for run in database.runs()]
        if not runs:
            raise ValueError(f"{options.db}: there is no run in it yet")
        before = _run_before(options, database, but=runs[-1])
        broke, status = _show_comparison(database, before or 0, runs[-1], options)
    return choices.worst([status, choices.FAILS if broke else choices.LOADS])


def _run_before(options: argparse.Namespace, database: Database | None, but: int = 0) -> int | None:
    """The run that --since names. Raises ValueError."""
    if options.since is None:
        return None
    if options.format in choices.DOCUMENTS:
        raise ValueError(f"--since tells what has changed as text or json, and not as {options.format}")
    if database is None:
        raise ValueError("--since compares runs of a database: give it with --db FILE")
    runs = [run.id for run in database.runs() if run.id != but]
    if options.since == "last" and runs:
        return runs[-1]
    if not options.since.isdecimal() or int(options.since) not in [*runs, but]:
        known = ", ".join(map(str, runs)) or "none"
        raise ValueError(f"there is no run {options.since!r} in {options.db} (--since); there are: {known}")
    return int(options.since)


def _show_comparison(
    database: Database, before: int, after: int, options: argparse.Namespace, summary: Summary | None = None
) -> tuple[bool, int]:
    """Print what has changed, behind the verdict of a `summary`; whether anything broke, and the status of printing."""
    found = database.compare(before, after)
    status = output.deliver(lambda: _print_comparison(found, before, after, options, summary), options.output)
    return bool(found.broke or found.new_failures), status


def _print_comparison(
    found: Comparison, before: int, after: int, options: argparse.Namespace, summary: Summary | None
) -> None:
    if options.format == "json":
        from depwalk.report import comparison as report

        output.print_plain(report.as_json(found, before, after) + "\n", options.output, append=bool(options.paths))
    else:
        from depwalk.cli.terminal import Terminal
        from depwalk.report import comparison as report

        terminal = Terminal(options.output, append=bool(options.paths) and summary is None)
        page = report.render(found, before, after, width=terminal.width, everything=options.all)
        terminal.show([_in_a_line(report.headline(found, before, after), summary)] if options.quiet else page)


def _in_a_line(compared: str, summary: Summary | None) -> Line:
    from depwalk.report import summary as report
    from depwalk.report.lines import Line

    if summary is None:
        return Line(compared, "head")
    verdict = report.verdict(summary)
    return verdict._replace(text=f"{verdict.text}. {compared}")


def _report(summary: Summary, options: argparse.Namespace, writer: _Lines | _Rows | None, *, finished: bool) -> None:
    if isinstance(writer, _Lines):
        writer.close()
        return
    if writer is not None:
        output.print_plain(_document(summary, writer.rows, options, finished=finished), options.output)
        return
    from depwalk.cli.terminal import Terminal
    from depwalk.report import summary as report

    terminal = Terminal(options.output)
    page = report.render(summary, width=terminal.width, everything=options.all)
    terminal.show([report.verdict(summary)] if options.quiet else page)


def _document(summary: Summary, rows: list[Row], options: argparse.Namespace, *, finished: bool) -> str:
    if options.format == "html":
        from depwalk.report import html

        return html.render_scan(summary, rows)
    from depwalk.report import sarif

    status = summary.status if finished else choices.worst([summary.status, choices.UNKNOWN])
    return sarif.render_scan(summary, rows, base=os.getcwd(), status=status, finished=finished)


def _writer(options: argparse.Namespace) -> _Lines | _Rows | None:
    """What the rows are for, beside the summary."""
    if options.format == "json":
        return _Lines(options)
    return _Rows() if options.format in choices.DOCUMENTS else None


class _Rows:
    """The rows of a document, without their trees: of thousands of files those would fill the memory."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def add(self, row: Row) -> None:
        self.rows.append(row._replace(nodes=(), links=()))


class _Lines:
    """JSON Lines, written as the rows come, so that an interrupted scan leaves what is done."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._file = open(options.output, "wb") if options.output else None  # noqa: SIM115  (closed by close)
        self._error: OSError | None = None

    def add(self, row: Row) -> None:
        from depwalk.report import row as report

        if self._error is not None:
            return
        line = f"{report.render(row)}\n".encode("utf-8", "backslashreplace")
        try:
            (self._file or sys.stdout.buffer).write(line)
        except OSError as error:  # nobody reads on: the scan goes on for its database and its status
            self._error = error

    def close(self) -> None:
        """End the file. Raises what kept it from being written."""
        if self._file is not None:
            self._file.close()
        if self._error is not None:
            raise self._error


def _database(options: argparse.Namespace) -> Any:
    if not options.db:
        return nullcontext()
    from depwalk.bulk.database import Database

    return Database(options.db)


def _bearing(scan: Scan, options: argparse.Namespace) -> dict[str, Any]:
    """What bears on verdicts beside the cases."""
    names = ("dll_dir", "path", "root", "load", "hash")
    given = {name: value for name in names if (value := getattr(options, name))}
    return {**given, "minors": scan.bearing()}


def _kept(options: argparse.Namespace) -> str:
    return f", and kept in {options.db}: the next scan goes on from there" if options.db else ""


def _number(text: str) -> int:
    """A number of processes, for argparse."""
    import argparse

    if not text.isdecimal() or not 0 < int(text) <= 1024:
        raise argparse.ArgumentTypeError(f"{text!r} is no number between 1 and 1024")
    return int(text)


def _progress(scan: Scan) -> Any:
    """Shows how far the scan is where a person looks; a function that takes the number of rows that are done."""
    if not sys.stderr.isatty():
        return nullcontext(lambda _: None)
    from depwalk.cli.terminal import progress

    return progress(scan.total)
