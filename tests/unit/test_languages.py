"""Languages: the file and the answer are the same whatever language Windows, or a package, tells of a failure in."""

from __future__ import annotations

import ast
import ctypes
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import cffi
import pytest
from targets import target

import depwalk
from depwalk import result
from depwalk.hook import failed_file

if TYPE_CHECKING:
    from conftest import MakePE

HOUSE = Path(depwalk.__file__).parent
NOT_THERE = "depwalk-not-there.dll"

# What Windows says for a code in languages that were seen in public threads.
MESSAGES = [
    (126, "The specified module could not be found."),
    (126, "Das angegebene Modul wurde nicht gefunden."),
    (126, "找不到指定的模块。"),
    (126, "Le module spécifié est introuvable."),
    (126, "지정된 모듈을 찾을 수 없습니다."),
    (126, "No se puede encontrar el módulo especificado."),
    (126, "Не найден указанный модуль."),  # noqa: RUF001
    (127, "The specified procedure could not be found."),
    (127, "Die angegebene Prozedur wurde nicht gefunden."),
    (127, "找不到指定的程序。"),
    (127, "La procédure spécifiée est introuvable."),
    (127, "Не найдена указанная процедура."),  # noqa: RUF001
    (182, "操作系统无法运行 %1。"),
    (182, "O sistema operacional não pode executar %1."),
    (193, "%1 不是有效的 Win32 应用程序。"),
    (1114, "动态链接库(DLL)初始化例程失败。"),
    (1114, "動態連結程式庫 (DLL) 初始化例行程序 失敗。"),
    (1455, "页面文件太小，无法完成操作。"),  # noqa: RUF001
    (4551, "An Application Control policy has blocked this file."),
    (4551, ""),
]
EVERY_MESSAGE = pytest.mark.parametrize(("code", "text"), MESSAGES)


def caught(function: Callable[[], object]) -> BaseException:
    try:
        function()
    except Exception as error:  # noqa: BLE001
        return error
    raise AssertionError("nothing was raised")


# ---- the forms in which Python and packages tell of a failure


def old_import(path: str, code: int, text: str) -> BaseException:
    """Python 3.7 and before."""
    return ImportError(f"DLL load failed: {text}", name="_a", path=path)


def new_import(path: str, code: int, text: str) -> BaseException:
    return ImportError(f"DLL load failed while importing _a: {text}", name="_a", path=path)


def import_by_number(path: str, code: int, text: str) -> BaseException:
    """Windows has no text for the code."""
    return ImportError(f"DLL load failed with error code {code} while importing _a", name="_a", path=path)


def by_load_library(path: str, code: int, text: str) -> BaseException:
    """A package that calls LoadLibraryEx itself and says which file it was about, as torch does."""

    def load() -> None:
        folder, dll = "lib", path
        error = OSError(f"[WinError {code}] {text} Error loading {dll!s} in {folder} or one of its dependencies.")
        error.winerror = code
        raise error

    return caught(load)


def instead(path: str, code: int, text: str) -> BaseException:
    """A package that raises an exception of its own in place of the first."""

    def load() -> None:
        try:
            raise new_import(path, code, text)
        except ImportError as error:
            raise ImportError("Importing the numpy C-extensions failed.") from error

    return caught(load)


def while_handling(path: str, code: int, text: str) -> BaseException:
    def load() -> None:
        try:
            raise new_import(path, code, text)
        except ImportError:
            raise ModuleNotFoundError("No module named '_pywrap_tensorflow_internal'", name="x")  # noqa: B904

    return caught(load)


def hidden(path: str, code: int, text: str) -> BaseException:
    def load() -> None:
        try:
            raise new_import(path, code, text)
        except ImportError:
            raise ImportError("GDAL DLL could not be found.") from None

    return caught(load)


FORMS = [old_import, new_import, import_by_number, by_load_library, instead, while_handling, hidden]


@EVERY_MESSAGE
@pytest.mark.parametrize("form", FORMS)
def test_the_file_is_found_whatever_the_text(
    form: Callable[[str, int, str], BaseException], code: int, text: str
) -> None:
    path = r"C:\größe\日本\_a.pyd"
    assert failed_file(form(path, code, text)) == path


@EVERY_MESSAGE
def test_the_name_given_to_ctypes_is_found_whatever_the_text(code: int, text: str) -> None:
    error = caught(lambda: ctypes.CDLL(NOT_THERE))
    assert isinstance(error, OSError)
    error.args = (22, text)
    error.strerror = text
    error.winerror = code  # type: ignore[attr-defined,unused-ignore]
    assert failed_file(error) == NOT_THERE


@EVERY_MESSAGE
def test_the_name_of_the_file_that_ctypes_says_was_not_found_is_found(code: int, text: str) -> None:
    error = caught(lambda: ctypes.CDLL(NOT_THERE))
    missing = FileNotFoundError(text).with_traceback(error.__traceback__)
    assert failed_file(missing) == NOT_THERE


@pytest.mark.parametrize("name", ["depwalk-gobject-2.0-0", "depwalk-not-there", "C:\\lib\\depwalk-not-there.dll"])
def test_the_name_given_to_cffi_is_found(name: str) -> None:
    error = caught(lambda: cffi.FFI().dlopen(name))
    error.args = ("nicht gefunden",)
    assert failed_file(error) == name


# ---- near misses: exceptions about no DLL that failed to load


def test_near_miss_a_file_that_was_opened_did_not_fail_to_load() -> None:
    def read() -> None:
        name = "depwalk-not-there.dll"
        open(name).close()

    assert failed_file(caught(read)) is None


def test_near_miss_an_error_of_windows_that_names_no_dll_of_its_function_is_not_about_one() -> None:
    def connect() -> None:
        dll, host = r"C:\lib\a.dll", "example"
        error = OSError(f"[WinError 10061] refused by {host}", len(dll))
        error.winerror = 10061  # type: ignore[attr-defined,unused-ignore]
        raise error

    assert failed_file(caught(connect)) is None


def test_near_miss_an_error_of_a_package_that_carries_no_code_of_windows_is_not_about_a_dll() -> None:
    def check() -> None:
        dll = r"C:\lib\a.dll"
        raise OSError(f"{dll} has the wrong checksum")

    assert failed_file(caught(check)) is None


# ---- the answer


def test_the_answer_is_the_same_whatever_the_text(make_pe: MakePE) -> None:
    path = str(make_pe("_a.pyd", imports={"gone.dll": ["f"]}))
    answers = set()
    for code, text in MESSAGES:
        for form in FORMS:
            found = failed_file(form(path, code, text))
            assert found is not None
            told = result.diagnose_caught(found, lambda _: target(), loaded=[], load=False)
            answers.add((told.verdict, told.findings))
    assert len(answers) == 1


@pytest.mark.parametrize("room", ["diagnosis", "host", "inside", "loader", "hook.py", "graph.py", "search.py"])
def test_the_text_of_a_code_is_no_evidence(room: str) -> None:
    texts = {"FormatError", "FormatMessageW", "FormatMessageA", "WinError", "strerror"}
    place = HOUSE / room
    for path in [place] if place.suffix else place.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
        names = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
        assert (names | {node.id for node in nodes if isinstance(node, ast.Name)}) & texts == set(), path
