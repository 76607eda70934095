"""depwalk: why a Windows DLL or Python extension does not load.

>>> result = depwalk.diagnose("module.pyd", windows="10", python="3.11")
>>> result.verdict
'fails'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk import choices

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
    """Say whether a file loads, and if not, why. The arguments are the options of the command line.

    `search_path` are the entries of a PATH to assume; `timeout` is in seconds. Raises depwalk.image.UnreadableFile for
    what is no PE file, and ValueError for a Windows, Python, runtime or processor that is not known.
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

    The arguments are the options of `depwalk scan`; `timeout` is in seconds, and `jobs` is the number of processes (0:
    as many as are worth it; a program that asks for more than one protects its start, as multiprocessing asks for).
    Raises ValueError for a path with nothing to judge in it and for what is not known, before the first row.
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

    The modules of this process are evidence. Options: see depwalk.hook.explain. Raises ValueError for an exception that
    is about no DLL.
    """
    from depwalk import hook

    return hook.explain(exception, **options)


def install() -> None:
    """Put the explanation under the traceback of every DLL load failure that nobody catches; silent for all else."""
    from depwalk import hook

    hook.install()
