"""depwalk: why a Windows DLL or Python extension does not load.

>>> result = depwalk.diagnose("module.pyd", windows="10", python="3.11")
>>> result.verdict
'fails'
"""

from __future__ import annotations

from depwalk import choices

TYPE_CHECKING = False  # typing has the same, and takes a fifth of the start to import

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence
    from typing import Any

    from depwalk.bulk.rows import Row
    from depwalk.result import Result

__all__ = ["__version__", "diagnose", "explain", "install", "scan"]
__version__ = "0.1.0.dev0"


def diagnose(
    path: str | os.PathLike[str],
    *,
    windows: str | None = None,
    root: str | None = None,
    python: str | None = None,
    dll_dirs: Sequence[str] = (),
    search_path: Sequence[str] | None = None,
    runtimes: Sequence[str] = (),
    cpu: str | None = None,
    load: bool = True,
    timeout: float = choices.TIMEOUT,
) -> Result:
    """Say whether a file loads, and if not, why. The arguments are the options of the command line, in its words.

    `runtimes` are those of --with-runtime; `dll_dirs` are added in that order, as by os.add_dll_directory;
    `search_path` are the entries of a PATH to assume, None for that of this process, and for none off Windows. With
    `load=False` no foreign code runs; `timeout` is in seconds (30).

    Raises depwalk.image.UnreadableFile for what is no PE file, and ValueError for a directory that is not there or a
    Windows, Python, runtime or processor that is not known.
    """
    from depwalk import result
    from depwalk.cli.options import machine
    from depwalk.target.choose import Choice, choose

    entries = None if search_path is None else tuple(search_path)
    choice = Choice(windows, root, python, tuple(dll_dirs), entries, tuple(runtimes), cpu)
    return result.diagnose(path, lambda file: choose(file, choice, machine()), load=load, timeout=timeout)


def scan(
    paths: Sequence[str | os.PathLike[str]],
    *,
    windows: Sequence[str] = (),
    runtimes: Sequence[str] = (),
    also_without_runtime: bool = False,
    python: str | None = None,
    root: str | None = None,
    dll_dirs: Sequence[str] = (),
    cpu: str | None = None,
    load: bool = False,
    timeout: float = choices.TIMEOUT,
    jobs: int = 1,
) -> Iterator[Row]:
    """Judge every extension module, program and DLL in directories and wheels: a row for each file and each case.

    The arguments are the options of `depwalk scan`: each of `windows` is a case with `runtimes`, and with
    `also_without_runtime` one without. `load=True` runs foreign code; `timeout` is in seconds, and `jobs` is the number
    of processes (0: as many as are worth it; a program that asks for more than one protects its start, as
    multiprocessing asks for). Raises ValueError for a path with nothing to judge in it and for what is not known, and
    OSError for a list of paths that cannot be read, all of them before the first row.
    """
    import os
    import sys

    from depwalk import bulk
    from depwalk.cli.options import machine
    from depwalk.target.choose import Choice

    choice = Choice(None, root, python, tuple(dll_dirs), None, tuple(runtimes), cpu)
    cases = bulk.cases(choice, windows, live=sys.platform == "win32", also_without_runtime=also_without_runtime)
    found = bulk.Scan.of(
        [os.fspath(path) for path in paths], cases, machine=machine(), load=load, timeout=timeout, jobs=jobs
    )
    return found.rows()


def explain(exception: BaseException, **options: Any) -> Result:
    """Say why the load behind an ImportError or OSError that was just caught failed.

    The modules of this process are evidence. Options are `load`, whether the file is loaded once more, in a child
    process (True); `timeout`, for that, in seconds (30); `dll_dirs`, directories that were given to
    os.add_dll_directory before install() was called. Raises ValueError for an exception that is about no DLL, and
    depwalk.image.UnreadableFile for a file that is no PE file.
    """
    from depwalk import hook

    return hook.explain(exception, **options)


def install() -> None:
    """Put the explanation under the traceback of every DLL load failure that nobody catches; silent for all else.

    It is for all threads, and calling it twice does no more. What fails is loaded once more, in a child process.
    """
    from depwalk import hook

    hook.install()
