"""The explanation under the traceback: for an exception that was just caught, or for every one that nobody catches."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

from depwalk import choices, core, result
from depwalk.cli.options import machine
from depwalk.inside.child import dlopened
from depwalk.target.choose import Choice, choose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from depwalk.result import Result

_FILES = (".pyd", ".dll")
_WIDTH = 80
_added: list[str] = []  # by os.add_dll_directory since install(): the process itself cannot be asked


def failed_file(exception: BaseException) -> str | None:
    """The file, or the name given to ctypes, whose load failed; None if the exception is about something else.

    It is looked for in the whole chain of exceptions, because packages often raise one of their own instead. Messages
    are not read: they are in the language of the user.
    """
    found = None
    for link in _chain(exception):
        path = getattr(link, "path", None)
        if isinstance(link, ImportError) and isinstance(path, str) and path.lower().endswith(_FILES):
            found = path
        elif isinstance(link, OSError):
            found = dlopened(link) or _of_cffi(link) or _of_its_own(link) or found
    return found


def explain(
    exception: BaseException,
    *,
    dll_dirs: Sequence[str] = (),
    load: bool = True,
    timeout: float = choices.TIMEOUT,
) -> Result:
    """Say why the load behind an ImportError or OSError failed, with this process's modules as evidence.

    `dll_dirs` are directories given to os.add_dll_directory before install() was called; `timeout` is in seconds.
    Raises ValueError for an exception that is about no DLL, and depwalk.image.UnreadableFile.
    """
    path = failed_file(exception)
    if path is None:
        raise ValueError(f"{type(exception).__name__} is not about a DLL or an extension module")
    bundle = getattr(sys, "_MEIPASS", "")  # a program of PyInstaller gives it to SetDllDirectory
    choice = Choice(dll_dirs=tuple(name for name in (bundle, *dll_dirs, *_added) if os.path.isdir(name)))
    return result.diagnose_caught(
        path, lambda file: choose(file, choice, machine()), loaded=core.modules(), load=load, timeout=timeout
    )


def install() -> None:
    """Put the explanation under the traceback of every DLL load failure that nobody catches, in every thread."""
    if getattr(sys.excepthook, "is_of_depwalk", False):
        return
    before, before_in_thread = sys.excepthook, threading.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        before(kind, error, trace)
        show(error)

    def hook_in_thread(arguments: threading.ExceptHookArgs) -> None:
        before_in_thread(arguments)
        if arguments.exc_value is not None:
            show(arguments.exc_value)

    hook.is_of_depwalk = True  # type: ignore[attr-defined]
    sys.excepthook = hook
    threading.excepthook = hook_in_thread
    sys.addaudithook(_note_directory)


def show(error: BaseException) -> None:
    """Print the explanation, if there is one to give. Whatever happens in here, the traceback above it stands."""
    if sys.stderr is None:  # a program without a console
        return
    try:
        if failed_file(error) is None:
            return
        from depwalk.report import text

        for line in text.brief(explain(error), _WIDTH):
            sys.stderr.write(line.text.encode("ascii", "backslashreplace").decode("ascii") + "\n")
    except KeyboardInterrupt:
        sys.stderr.write("depwalk: interrupted\n")
    except Exception as failure:  # noqa: BLE001  (a failure in here must not look like the user's)
        sys.stderr.write(f"depwalk could not explain this: {type(failure).__name__}: {failure}\n")


def _note_directory(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "os.add_dll_directory":
        _added.append(str(arguments[0]))


def _last_frame(error: BaseException) -> tuple[str, dict[str, Any]]:
    """The source and the variables of the function that raised an exception."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "", {}
    return trace.tb_frame.f_code.co_filename.replace("\\", "/"), trace.tb_frame.f_locals


def _of_cffi(error: OSError) -> str | None:
    """What was given to ffi.dlopen, or the file that cffi found for it."""
    source, variables = _last_frame(error)
    name = variables.get("path") or variables.get("name")
    return name if source.endswith("/cffi/api.py") and isinstance(name, str) else None


def _of_its_own(error: OSError) -> str | None:
    """The DLL that a package loads by LoadLibraryEx, as torch does: its path is in a variable and in the exception."""
    if getattr(error, "winerror", None) is None or error.filename is not None:
        return None
    text = str(error)
    values = [value for value in _last_frame(error)[1].values() if isinstance(value, str)]
    return next((value for value in values if value.lower().endswith(_FILES) and value in text), None)


def _chain(exception: BaseException) -> Iterator[BaseException]:
    """An exception and those behind it, the first one last."""
    seen: list[BaseException] = []
    link: BaseException | None = exception
    while link is not None and all(link is not other for other in seen):
        seen.append(link)
        yield link
        link = link.__cause__ or link.__context__
