"""Options that every analysing command shares, and the only place that reads the environment."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from depwalk import choices

if TYPE_CHECKING:
    from depwalk.bulk.rows import Case
    from depwalk.target.choose import Choice, Machine


LONGEST = 86_400  # seconds that can be asked for


class Repeatable(argparse.Action):
    """An option that may be given several times. What is given goes before a default, and not behind it."""

    def __call__(self, _parser: object, namespace: argparse.Namespace, values: object, _option: object = None) -> None:
        """Add a value."""
        before = getattr(namespace, self.dest)
        setattr(namespace, self.dest, [*(() if before is self.default else before), values])


def add_target_options(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Where the file would run; `several` Windows at once, and with and without runtimes."""
    group = parser.add_argument_group("where it would run")
    group.add_argument(
        "--python",
        metavar="EXE|X.Y",
        help=f"who loads it: {choices.PYTHON} (default: this interpreter on Windows, elsewhere read off the file)",
    )
    told = f"{choices.WINDOWS} (default: live on Windows, else 11)"
    if several:
        group.add_argument("--windows", metavar="NAME", action=Repeatable, default=[], help=f"{told} (repeatable)")
        group.add_argument(
            "--also-without-runtime",
            action="store_true",
            help="judge each Windows also without what --with-runtime assumes",
        )
    else:
        group.add_argument("--windows", metavar="NAME", help=told)
    group.add_argument("--root", metavar="DIR", help="a Windows system drive or Wine prefix to resolve against")
    group.add_argument(
        "--dll-dir",
        metavar="DIR",
        action=Repeatable,
        default=[],
        help="a directory that the program adds, as by os.add_dll_directory (repeatable); "
        "for Python before 3.8 it goes in front of PATH",
    )
    group.add_argument("--path", metavar="VALUE", help="a PATH to assume, entries separated by ;")
    group.add_argument(
        "--with-runtime",
        metavar="NAME",
        action=Repeatable,
        default=[],
        help=f"a redistributable to assume: {choices.RUNTIME} (repeatable)",
    )
    group.add_argument(
        "--cpu", metavar="NAME", help=f"on which processor: {choices.CPU} (default: live on Windows, else any)"
    )


def add_site_option(parser: argparse.ArgumentParser) -> None:
    """Where importable names are looked for."""
    parser.add_argument(
        "--site",
        metavar="DIR",
        action=Repeatable,
        default=[],
        help="a directory such as Lib\\site-packages to look for importable names in (repeatable)",
    )


def add_load_options(parser: argparse.ArgumentParser) -> None:
    """Whether and how the real loader is asked."""
    group = parser.add_argument_group("asking the real loader (on Windows)")
    group.add_argument("--no-load", action="store_true", help="never run foreign code: predict from the files alone")
    group.add_argument(
        "--timeout", metavar="S", type=seconds, default=choices.TIMEOUT, help="seconds a load may take (default: 30)"
    )


def add_output_options(parser: argparse.ArgumentParser, *, verbose: bool = True) -> None:
    """What is shown, and where; `verbose`: of one file there is more to be said."""
    group = parser.add_argument_group("output")
    group.add_argument("--format", choices=choices.FORMATS, help="default: text")
    group.add_argument("-o", "--output", metavar="FILE", help="write there and not to standard output")
    everything = "show the whole tree, the DLLs of Windows too" if verbose else "show all of every list"
    group.add_argument("--all", action="store_true", help=everything)
    group.add_argument("-q", "--quiet", action="store_true", help="the verdict only")
    if verbose:
        group.add_argument("-v", "--verbose", action="store_true", help="say for each file by which rule it was found")


def choice(options: argparse.Namespace) -> Choice:
    """What the user asked for."""
    from depwalk.search import path_entries
    from depwalk.target.choose import Choice

    return Choice(
        windows=None if isinstance(options.windows, list) else options.windows,
        root=options.root,
        python=options.python,
        dll_dirs=tuple(options.dll_dir),
        path=path_entries(options.path, ";") if options.path is not None else None,
        runtimes=tuple(options.with_runtime),
        cpu=options.cpu,
    )


def cases(options: argparse.Namespace) -> tuple[tuple[Case, Choice], ...]:
    """What a scan judges for. Raises ValueError for what is not known."""
    from depwalk import bulk

    return bulk.cases(
        choice(options),
        options.windows,
        live=sys.platform == "win32",
        also_without_runtime=options.also_without_runtime,
    )


def sites(options: argparse.Namespace) -> list[str]:
    """Where importable names are looked for. Raises ValueError for a directory that is not there."""
    for directory in options.site:
        if not os.path.isdir(directory):
            raise ValueError(f"{directory}: no such directory (--site)")
    return [os.path.abspath(directory) for directory in options.site]


def own_path() -> list[str]:
    """Where this interpreter looks for importable names, the current directory first as for `python -c`."""
    return [os.getcwd(), *(entry for entry in sys.path if os.path.isdir(entry))]


def machine() -> Machine | None:
    """What this machine is; None if it does not run Windows."""
    if sys.platform != "win32":
        return None
    from depwalk.search import path_entries
    from depwalk.target import environment
    from depwalk.target.choose import Machine

    return Machine(
        system_root=os.environ.get("SystemRoot", "C:\\Windows"),  # noqa: SIM112  (its name as Windows writes it)
        executable=getattr(sys, "_base_executable", "") or sys.executable,
        path=path_entries(os.environ.get("PATH", "")),
        cwd=os.getcwd(),
        variables=environment.kept(os.environ),
    )


def seconds(text: str) -> float:
    """A time limit, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds between 0 and {LONGEST}")
    return value
