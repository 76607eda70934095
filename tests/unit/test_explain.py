"""Explain: which file an exception is about, and the explanation that depwalk.install() puts under a traceback."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import depwalk
from depwalk.hook import failed_file, show

if TYPE_CHECKING:
    from conftest import MakePE

# There the machine itself is the target: tests/loader/test_hook.py.
off_windows = pytest.mark.skipif(sys.platform == "win32", reason="the answer depends on this Windows")
HOME = str(Path(depwalk.__file__).parent.parent)
NOT_THERE = "depwalk-not-there.dll"


def import_error(path: str | None) -> ImportError:
    return ImportError("DLL load failed", name="_a", path=path)


def chained(*errors: BaseException) -> BaseException:
    """The last of exceptions of which each was raised while the one before was handled."""
    for before, error in zip(errors, errors[1:]):
        error.__context__ = before
    return errors[-1]


def of_ctypes(name: str = NOT_THERE) -> OSError:
    try:
        ctypes.CDLL(name)
    except OSError as error:
        return error
    raise AssertionError(f"{name} is there")


# ---- which file --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [r"C:\site\_a.pyd", r"C:\site\_A.PYD", "lib.dll"])
def test_an_import_error_with_the_path_of_a_dll_is_about_that(path: str) -> None:
    assert failed_file(import_error(path)) == path


@pytest.mark.parametrize("path", [None, r"C:\site\pkg\__init__.py", "_a.so"])
def test_an_import_error_with_another_path_is_about_no_dll(path: str | None) -> None:
    assert failed_file(import_error(path)) is None


def test_an_error_of_ctypes_is_about_the_name_that_it_was_given() -> None:
    assert failed_file(of_ctypes()) == NOT_THERE


def test_an_error_of_the_packages_own_is_about_the_file_behind_it() -> None:
    own = RuntimeError("install the runtime")
    own.__cause__ = import_error("a.pyd")
    assert failed_file(own) == "a.pyd"


def test_an_error_that_was_raised_while_another_was_handled_is_about_the_file_of_that() -> None:
    assert failed_file(chained(import_error("a.pyd"), ValueError(), KeyError("x"))) == "a.pyd"


def test_of_several_files_the_first_that_failed_counts() -> None:
    assert failed_file(chained(import_error("a.pyd"), import_error("b.pyd"))) == "a.pyd"
    assert failed_file(chained(of_ctypes(), import_error("b.pyd"))) == NOT_THERE
    assert failed_file(chained(import_error("a.pyd"), of_ctypes())) == "a.pyd"


def test_an_error_of_the_system_behind_it_does_not_hide_the_file() -> None:
    assert failed_file(chained(FileNotFoundError(2, "no such file", "settings"), import_error("a.pyd"))) == "a.pyd"


def test_exceptions_that_are_each_others_cause_are_looked_at_once() -> None:
    one, other = KeyError("x"), import_error("a.pyd")
    one.__context__, other.__context__ = other, one
    assert failed_file(one) == "a.pyd"


@pytest.mark.parametrize(
    "error",
    [KeyError("a.pyd"), FileNotFoundError(2, "no such file", "a.dll"), OSError("a.dll"), KeyboardInterrupt()],
    ids=lambda error: type(error).__name__,
)
def test_any_other_exception_is_about_no_dll(error: BaseException) -> None:
    assert failed_file(error) is None


# ---- explain -----------------------------------------------------------------------------------------------------


def test_an_exception_that_is_about_no_dll_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^KeyError is not about a DLL or an extension module$"):
        depwalk.explain(KeyError("x"))


@off_windows
def test_an_import_error_is_explained_by_its_file(make_pe: MakePE) -> None:
    found = depwalk.explain(import_error(str(make_pe("_a.pyd", imports={"gone.dll": ["f"]}))), load=False)
    assert (found.verdict, found.name) == ("fails", "_a.pyd")
    assert [(finding.code, finding.module) for finding in found.findings] == [("missing-dll", "gone.dll")]


@off_windows
def test_directories_that_the_program_added_are_searched(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("libs/dep.dll", exports=["f"])
    error = import_error(str(make_pe("_a.pyd", imports={"dep.dll": ["f"]})))
    assert depwalk.explain(error, load=False).verdict == "fails"
    assert depwalk.explain(error, load=False, dll_dirs=[str(tmp_path / "libs")]).verdict == "loads"


@off_windows
def test_the_directory_of_a_program_of_pyinstaller_is_searched(
    make_pe: MakePE, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_pe("_internal/dep.dll", exports=["f"])
    error = import_error(str(make_pe("_internal/package/_a.pyd", imports={"dep.dll": ["f"]})))
    assert depwalk.explain(error, load=False).verdict == "fails"
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path / "_internal"), raising=False)
    assert depwalk.explain(error, load=False).verdict == "loads"


@off_windows
def test_a_directory_that_is_gone_is_not_searched(make_pe: MakePE, tmp_path: Path) -> None:
    error = import_error(str(make_pe("_a.pyd", imports={"gone.dll": ["f"]})))
    found = depwalk.explain(error, load=False, dll_dirs=[str(tmp_path / "gone")])
    assert found.target.dll_dirs == ()


@off_windows
def test_a_name_given_to_ctypes_is_explained_without_a_file() -> None:
    found = depwalk.explain(of_ctypes(), load=False)
    assert [(finding.code, finding.module) for finding in found.findings] == [("missing-dll", NOT_THERE)]


# ---- what is printed ---------------------------------------------------------------------------------------------


@off_windows
def test_the_explanation_begins_with_a_heading_and_the_verdict(
    make_pe: MakePE, capsys: pytest.CaptureFixture[str]
) -> None:
    show(import_error(str(make_pe("_a.pyd", imports={"gone.dll": ["f"]}))))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines()[:2] == ["depwalk:", "_a.pyd does NOT load: gone.dll is missing"]


def test_nothing_is_printed_for_an_exception_that_is_about_no_dll(capsys: pytest.CaptureFixture[str]) -> None:
    show(KeyError("x"))
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("content", [None, b"", b"this is no library"], ids=["gone", "empty", "text"])
def test_an_explanation_that_cannot_be_given_is_one_line(
    content: bytes | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "_a.pyd"
    if content is not None:
        path.write_bytes(content)
    show(import_error(str(path)))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("depwalk could not explain this: UnreadableFile: ")


@off_windows
def test_a_name_that_standard_error_may_not_take_is_escaped(
    make_pe: MakePE, capsys: pytest.CaptureFixture[str]
) -> None:
    show(import_error(str(make_pe("\u4f9d\u5b58.pyd", imports={"gone.dll": ["f"]}))))
    assert r"\u4f9d\u5b58.pyd does NOT load" in capsys.readouterr().err


def test_without_a_console_nothing_is_printed(make_pe: MakePE, monkeypatch: pytest.MonkeyPatch) -> None:
    error = import_error(str(make_pe("_a.pyd", imports={"gone.dll": ["f"]})))
    monkeypatch.setattr(sys, "stderr", None)
    show(error)


# ---- install -----------------------------------------------------------------------------------------------------

INSTALL = "import depwalk; depwalk.install()"
# What the import of an extension that does not load raises; sys.argv[1] is its path.
RAISE = "import sys\ndef fail():\n    raise ImportError('DLL load failed', name='_a', path=sys.argv[1])\n"
HEADLINE = "_a.pyd does NOT load: gone.dll is missing"


@pytest.fixture
def run(make_pe: MakePE, tmp_path: Path) -> Any:
    """run(program) runs it in a Python of its own; fail() there is the import of _a.pyd, which needs gone.dll."""
    path = make_pe("_a.pyd", imports={"gone.dll": ["f"]})

    def ran(program: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "app.py").write_text(f"{RAISE}{program}\n", "ascii")
        return subprocess.run(
            [sys.executable, "-B", "app.py", str(path)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": HOME},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    return ran


IN_A_THREAD = "import threading\nthread = threading.Thread(target=fail)\nthread.start()\nthread.join()"


@off_windows
@pytest.mark.parametrize("program", ["fail()", IN_A_THREAD], ids=["main", "thread"])
def test_the_explanation_follows_a_traceback_that_is_unchanged(run: Any, program: str) -> None:
    alone, ran = run(f"pass\n{program}"), run(f"{INSTALL}\n{program}")
    assert "Traceback" in alone.stderr
    assert ran.stderr.startswith(alone.stderr)
    assert ran.stderr[len(alone.stderr) :].splitlines()[:2] == ["depwalk:", HEADLINE]
    assert ran.returncode == alone.returncode


@off_windows
@pytest.mark.parametrize("program", ["fail()", IN_A_THREAD], ids=["main", "thread"])
def test_installed_twice_it_explains_once(run: Any, program: str) -> None:
    assert run(f"{INSTALL}\n{INSTALL}\n{program}").stderr.count(HEADLINE) == 1


@off_windows
@pytest.mark.parametrize(
    "program", ["1 / 0", "raise SystemExit(4)", "try:\n    fail()\nexcept ImportError:\n    print('without')"]
)
def test_about_anything_else_it_is_silent(run: Any, program: str) -> None:
    alone, ran = run(f"pass\n{program}"), run(f"{INSTALL}\n{program}")
    assert (ran.returncode, ran.stdout, ran.stderr) == (alone.returncode, alone.stdout, alone.stderr)


@off_windows
def test_a_hook_that_was_there_before_comes_first(run: Any) -> None:
    before = "import sys\nsys.excepthook = lambda kind, error, trace: sys.stderr.write('mine\\n')"
    assert run(f"{before}\n{INSTALL}\nfail()").stderr.splitlines()[:3] == ["mine", "depwalk:", HEADLINE]


@off_windows
def test_directories_that_are_added_after_install_are_searched(run: Any, make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("libs/gone.dll", exports=["f"])
    added = f"sys.audit('os.add_dll_directory', {str(tmp_path / 'libs')!r})"  # as os.add_dll_directory on Windows
    assert HEADLINE in run(f"{INSTALL}\nfail()").stderr
    assert "_a.pyd loads" in run(f"{INSTALL}\n{added}\nfail()").stderr
