"""Options that every analysing command shares, and the only place that reads the environment."""

from __future__ import annotations

import argparse
import os
import sys

from depwalk import __version__, choices

TYPE_CHECKING = False  # typing has the same, and takes a fifth of the start to import

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
    group = parser.add_argument_group("where it would run (+: can be repeated)")
    told = "11, 10, 8.1, 8 or 7, with -N, -core, -x86, -arm64; or live"
    if several:
        told = f"{told} (default: live on Windows, else 11) +"
        group.add_argument("--windows", metavar="NAME", action=Repeatable, default=[], help=told)
    else:
        group.add_argument("--windows", metavar="NAME", help=f"{told} (default: live on Windows, else 11)")
    own = "as built for" if several else "this one on Windows, else as it was built for"
    told = f"a python.exe, or X.Y[t][-32|-arm64] (default: {own})"
    group.add_argument("--python", metavar="EXE|X.Y", help=told)
    group.add_argument(
        "--with-runtime",
        metavar="NAME",
        action=Repeatable,
        default=[],
        help="vc14[=14.38], vc12, vc11, vc10, vc9, vc8, ucrt +",
    )
    if several:
        told = "judge for each Windows without these runtimes, too"
        group.add_argument("--also-without-runtime", action="store_true", help=told)
    told = "x86-64-v1 to v4, a model such as Nehalem, a dump, or live (default: live on Windows, else any)"
    group.add_argument("--cpu", metavar="NAME", help=told)
    group.add_argument(
        "--dll-dir",
        metavar="DIR",
        action=Repeatable,
        default=[],
        help="a directory as os.add_dll_directory adds it +",
    )
    group.add_argument("--path", metavar="VALUE", help="a PATH to assume, its directories separated by ;")
    group.add_argument("--root", metavar="DIR", help="a drive with Windows, or a Wine prefix, to search")


def add_site_option(group: argparse._ActionsContainer) -> None:
    """Where importable names are looked for."""
    group.add_argument(
        "--site",
        metavar="DIR",
        action=Repeatable,
        default=[],
        help="where names to import are (default: sys.path) +",
    )


def add_load_options(group: argparse._ActionsContainer) -> None:
    """Whether and how the real loader is asked."""
    group.add_argument("--no-load", action="store_true", help="never run foreign code: predict from the files alone")
    add_timeout(group, "a load", choices.TIMEOUT)


def add_timeout(group: argparse._ActionsContainer, what: str, default: float | None) -> None:
    """A limit of time."""
    told = f"seconds that {what} may take (default: {'no limit' if default is None else f'{default:.0f}'})"
    group.add_argument("--timeout", metavar="S", type=seconds, default=default, help=told)


def add_output_options(parser: argparse.ArgumentParser, *, verbose: bool = True) -> None:
    """What is shown, and where; `verbose`: of one file there is more to be said."""
    group = parser.add_argument_group("what is shown")
    formats = choices.FORMATS if verbose else choices.FORMATS_OF_MANY
    add_format(group, formats)
    everything = "the whole tree, with the DLLs of Windows" if verbose else "every list in full"
    group.add_argument("--all", action="store_true", help=everything)
    group.add_argument("-q", "--quiet", action="store_true", help="the verdict only, in one line")
    if verbose:
        group.add_argument(
            "-v", "--verbose", action="store_true", help="also all facts, and by which rule each file was found"
        )
    add_help(group)


def add_format(group: argparse._ActionsContainer, formats: tuple[str, ...]) -> None:
    """The form of the answer, and where it goes."""
    told = f"{', '.join(formats[:-1])} or {formats[-1]} (default: {formats[0]})"
    group.add_argument("--format", metavar="FORM", choices=formats, help=told)
    group.add_argument("-o", "--output", metavar="FILE", help="write there (default: standard output)")


def add_help(group: argparse._ActionsContainer) -> None:
    """What every command has."""
    group.add_argument("-h", "--help", action="help", help="this")
    group.add_argument("--version", action="version", version=f"depwalk {__version__}", help="that of depwalk")


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
