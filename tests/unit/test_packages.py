"""Packages: what the package around a file, or the program that imports it, adds to the answer."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from targets import target
from test_diagnosis import evidence

from depwalk import diagnosis, graph
from depwalk.diagnosis import Evidence
from depwalk.loader import LoadTrace, Raised
from depwalk.loader.imports import FailedLoad, ImportTrace
from depwalk.target import Inferred

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.diagnosis import Finding

SOURCE = "pkg/__init__.py:3"

# ---- directories that only the package adds ----------------------------------------------------------------------


@pytest.fixture
def root(make_pe: MakePE) -> Path:
    """root.pyd needs a.dll, which lies in pkg.libs."""
    make_pe("pkg.libs/a.dll", exports=["f"])
    return make_pe("pkg/root.pyd", imports={"a.dll": ["f"]})


def as_imported(path: Path, *folders: str, **fields: Any) -> list[Finding]:
    """Findings for a file whose package adds directories beside its own."""
    inferred = tuple(Inferred(str(path.parent.with_name(name)), SOURCE) for name in folders)
    return list(diagnosis.diagnose(evidence(path, target(inferred=inferred, **fields))))


def test_a_dll_that_only_its_package_makes_findable_is_noted_with_the_line_that_does(root: Path) -> None:
    (found,) = as_imported(root, "pkg.libs")
    assert (found.severity, found.code, found.module) == ("note", "not-searched", "a.dll")
    assert (found.needed_by, found.proof) == ("root.pyd", "inferred")
    assert found.message == "root.pyd finds a.dll only when its package is imported: loaded by itself, it would not."
    assert found.evidence == (f"{root.parent.with_name('pkg.libs')}: added by {SOURCE}",)


def test_a_note_about_the_package_does_not_change_the_verdict(root: Path) -> None:
    place = target(inferred=(Inferred(str(root.parent.with_name("pkg.libs")), SOURCE),))
    known = evidence(root, place)
    assert diagnosis.verdict(known, diagnosis.diagnose(known)) == ("loads", "static")


def test_a_directory_of_the_package_in_which_nothing_is_found_is_not_noted(make_pe: MakePE, root: Path) -> None:
    (root.parent.with_name("empty")).mkdir()
    make_pe("pkg/a.dll", exports=["f"])  # beside the file
    assert as_imported(root, "empty", "pkg.libs") == []


def test_a_directory_that_the_user_names_is_not_noted(root: Path) -> None:
    assert as_imported(root, dll_dirs=[root.parent.with_name("pkg.libs")]) == []


def test_many_dlls_are_told_by_four_names_and_each_directory_once(make_pe: MakePE) -> None:
    names = [f"a{number}.dll" for number in range(6)]
    for name in names:
        make_pe(f"pkg.libs/{name}", exports=["f"])
    path = make_pe("pkg/root.pyd", imports={name: ["f"] for name in names})
    (found,) = as_imported(path, "pkg.libs")
    assert found.message.startswith("root.pyd finds a0.dll, a1.dll, a2.dll, a3.dll and 2 more only when ")
    assert len(found.evidence) == 1


# ---- how an import, or a program, ended --------------------------------------------------------------------------

A = r"C:\site\pkg\_a.pyd"
WORDS = "ImportError: DLL load failed while importing _a: The specified module could not be found."
REFUSED = FailedLoad(A, 126, WORDS)


def of_a_program(trace: ImportTrace, *names: str) -> Evidence:
    """The evidence of a program in which no file is to blame, or names that were given to ctypes."""
    return Evidence(graph.of_names(trace.name, names, target()), target(), None, load=trace.load, imported=trace)


def program(*, ended_well: bool = False, load: LoadTrace | None = None, **fields: Any) -> ImportTrace:
    """A program that ended, without an exception if none is given."""
    status = fields.get("exit_code", 0)
    ended = LoadTrace(0) if ended_well or fields.get("uncaught") else LoadTrace(None, exit_code=status)
    return ImportTrace("python app.py", ended_well, is_program=True, load=load or ended, **fields)


def findings(trace: ImportTrace, *names: str) -> list[Finding]:
    return list(diagnosis.diagnose(of_a_program(trace, *names)))


def verdict(trace: ImportTrace) -> tuple[str, str]:
    known = of_a_program(trace)
    return diagnosis.verdict(known, diagnosis.diagnose(known))


def test_of_a_program_that_ended_well_there_is_nothing_to_say() -> None:
    trace = program(ended_well=True)
    assert (findings(trace), verdict(trace)) == ([], ("loads", "loader"))


def test_a_failed_load_that_the_program_got_over_is_a_note_and_changes_nothing() -> None:
    trace = program(ended_well=True, failed=(REFUSED,))
    (found,) = findings(trace)
    assert (found.severity, found.code, found.module) == ("note", "analysis-incomplete", "_a.pyd")
    assert found.message == "_a.pyd did not load (code 126), and the program went on without it."
    assert found.evidence == (WORDS,)
    assert found.remedy is not None
    assert found.remedy.command == f'python -m depwalk "{A}"'
    assert verdict(trace) == ("loads", "loader")


def test_an_exception_that_is_about_no_dll_is_a_warning_and_the_verdict_unknown() -> None:
    trace = program(uncaught=("RuntimeError: sorry", "KeyError: 'x'"), exit_code=1)
    (found,) = findings(trace)
    assert (found.severity, found.code, found.module) == ("warning", "analysis-incomplete", "python app.py")
    assert found.message == "python app.py ended with RuntimeError: sorry, and no DLL failed to load."
    assert found.evidence == ("KeyError: 'x'",)
    assert verdict(trace) == ("unknown", "loader")


def test_an_import_that_ends_with_such_an_exception_fails() -> None:
    trace = program(uncaught=("RuntimeError: sorry",))._replace(name="pkg", is_program=False)
    assert [(found.severity, found.module) for found in findings(trace)] == [("error", "pkg")]
    assert verdict(trace) == ("fails", "loader")


def test_a_file_that_the_loader_takes_and_python_refuses_is_the_error_and_the_program_fails() -> None:
    fatal = FailedLoad(A, 0, "ImportError: dynamic module does not define module export function (PyInit__a)")
    trace = program(uncaught=(fatal.error,), failed=(fatal,), fatal=fatal)
    (found,) = findings(trace)
    assert (found.severity, found.module) == ("error", "_a.pyd")
    assert (
        found.message
        == f"python app.py ended with {fatal.error}, and Python refused the file that the loader had loaded."
    )
    assert verdict(trace) == ("fails", "loader")


@pytest.mark.parametrize(
    ("status", "how"),
    [
        (3, "ended with status 3"),
        (0xC0000005, "ended with 0xC0000005 (STATUS_ACCESS_VIOLATION)"),
        (0xC0001234, "ended with 0xC0001234"),
    ],
)
def test_an_exit_status_without_any_failure_is_a_warning_and_the_verdict_unknown(status: int, how: str) -> None:
    trace = program(exit_code=status)
    (found,) = findings(trace)
    assert (found.severity, found.code) == ("warning", "analysis-incomplete")
    assert found.message == f"python app.py {how}, and no DLL failed to load."
    assert verdict(trace) == ("unknown", "loader")


def test_the_exception_that_ended_a_program_is_told_with_its_place() -> None:
    crash = Raised(0xC0000005, 0x10010, r"C:\site\pkg\_a.pyd", 0x10, True)
    trace = program(exit_code=0xC0000005, load=LoadTrace(None, exit_code=0xC0000005, raised=(crash,)))
    (found,) = findings(trace)
    assert found.evidence == ("exception 0xC0000005 (STATUS_ACCESS_VIOLATION) at _a.pyd+0x10",)


def test_a_program_that_was_stopped_without_any_failure_is_a_warning_and_the_verdict_unknown() -> None:
    trace = program(timed_out=True, load=LoadTrace(None, timed_out=True))
    (found,) = findings(trace)
    assert found.message == "python app.py was stopped at the time limit, and no DLL failed to load."
    assert (found.severity, verdict(trace)) == ("warning", ("unknown", "loader"))


def test_of_a_python_that_told_nothing_nobody_says_that_every_dll_loaded() -> None:
    trace = program(unheard=True, exit_code=1)
    (found,) = findings(trace)
    assert (found.severity, found.code) == ("warning", "analysis-incomplete")
    assert "tells nothing of its imports" in found.message
    assert verdict(trace) == ("unknown", "loader")


@pytest.mark.parametrize("status", [0xC0000135, 0xC0000139, 0xC000007B])
def test_a_program_that_could_not_begin_is_explained_by_its_own_file(status: int, make_pe: MakePE) -> None:
    path = make_pe("app.exe", dll=False, imports={"gone.dll": ["f"]})
    trace = program(exit_code=status)
    known = replace(evidence(path, None, trace.load), imported=trace)
    errors = [found for found in diagnosis.diagnose(known) if found.severity == "error"]
    assert [(found.code, found.module, found.proof) for found in errors] == [("missing-dll", "gone.dll", "loader")]
    assert diagnosis.verdict(known, errors) == ("fails", "loader")


def test_a_name_given_to_ctypes_that_is_nowhere_is_the_error_and_nothing_is_added() -> None:
    fatal = FailedLoad("codec.dll", 126, "FileNotFoundError: ...", by_ctypes=True)
    trace = program(uncaught=(fatal.error,), fatal=fatal, load=LoadTrace(126))
    (found,) = findings(trace, "codec.dll")
    assert (found.severity, found.code, found.module) == ("error", "missing-dll", "codec.dll")
    assert (found.needed_by, found.proof) == ("python app.py", "loader")


def test_the_failed_load_that_ended_the_program_is_not_noted_as_one_that_it_got_over(make_pe: MakePE) -> None:
    path = make_pe("_a.pyd", imports={"gone.dll": ["f"]})
    fatal = FailedLoad(str(path), 126, WORDS)
    trace = program(uncaught=(WORDS,), failed=(fatal,), fatal=fatal, load=LoadTrace(126))
    known = replace(evidence(path, None, trace.load), imported=trace)
    (found,) = diagnosis.diagnose(known)
    assert (found.code, found.module, found.needed_by) == ("missing-dll", "gone.dll", os.path.basename(path))
    assert diagnosis.verdict(known, [found]) == ("fails", "loader")
