"""depwalk.install(): the explanation stands under the traceback, and never in its place."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Callable

import pytest
from animals import on_wine

import depwalk

if TYPE_CHECKING:
    from pathlib import Path

    from loading import Animal

    Ran = subprocess.CompletedProcess[bytes]
    Run = Callable[[str], Ran]

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="there is no Windows loader here")

INSTALL = "import depwalk; depwalk.install()"
MISSING = b"nowhere.dll is in none of the directories"


@pytest.fixture
def run(folder: Path) -> Run:
    """run(program) runs it in a Python of its own."""

    def ran(program: str) -> Ran:
        (folder / "app.py").write_text(program, "ascii")
        command = [sys.executable, "app.py"]
        return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)

    return ran


def without(run: Run, program: str) -> Ran:
    """The same program with nothing installed; its lines stay where they are."""
    return run(program.replace(INSTALL, "pass"))


IMPORT = f"{INSTALL}\ndef f():\n    import user\nf()\n"
BY_CTYPES = f"{INSTALL}\nimport ctypes, os\nctypes.CDLL(os.path.abspath('user.pyd'))\n"
INSTEAD = f"{INSTALL}\ntry:\n    import user\nexcept ImportError as e:\n    raise RuntimeError('no runtime') from e\n"
IN_THREAD = (
    f"{INSTALL}\nimport threading\ndef f():\n    import user\nt = threading.Thread(target=f)\nt.start()\nt.join()\n"
)


@pytest.mark.parametrize("program", [IMPORT, BY_CTYPES, INSTEAD, IN_THREAD], ids=["import", "ctypes", "own", "thread"])
def test_the_traceback_is_unchanged_and_the_explanation_follows(run: Run, program: str) -> None:
    plain, ran = without(run, program), run(program)

    assert b"Traceback" in plain.stderr
    assert ran.stderr.startswith(plain.stderr)
    explanation = ran.stderr[len(plain.stderr) :]
    assert explanation.startswith(b"depwalk:")
    assert MISSING in explanation
    assert (ran.returncode, ran.stdout) == (plain.returncode, plain.stdout)


@pytest.mark.parametrize(
    "program",
    [
        f"{INSTALL}\n1 / 0\n",
        f"{INSTALL}\nimport not_there_at_all\n",
        f"{INSTALL}\nfrom os import not_there_at_all\n",
        f"{INSTALL}\nopen('not_there_at_all.dll')\n",
        f"{INSTALL}\nraise ImportError('of its own')\n",
        f"{INSTALL}\nraise SystemExit(4)\n",
    ],
    ids=["other", "no-module", "no-name", "no-file", "own", "exit"],
)
def test_it_is_silent_about_everything_else(run: Run, program: str) -> None:
    plain, ran = without(run, program), run(program)

    assert (ran.returncode, ran.stdout, ran.stderr) == (plain.returncode, plain.stdout, plain.stderr)


def test_an_import_error_that_is_caught_is_none_of_its_business(run: Run) -> None:
    ran = run(f"{INSTALL}\ntry:\n    import user\nexcept ImportError:\n    print('caught')\n")

    assert (ran.returncode, ran.stdout.split(), ran.stderr) == (0, [b"caught"], b"")


def test_a_hook_that_was_there_before_is_still_called(run: Run) -> None:
    before = "import sys\nsys.excepthook = lambda kind, error, trace: print('mine:', kind.__name__)\n"
    ran = run(f"{before}{INSTALL}\nimport user\n")

    assert ran.stdout.split() == [b"mine:", b"ImportError"]
    assert ran.stderr.startswith(b"depwalk:")


def test_installed_twice_it_explains_once(run: Run) -> None:
    ran = run(f"{INSTALL}\n{INSTALL}\nimport user\n")

    assert ran.stderr.count(MISSING) == 1


@pytest.mark.parametrize("failure", ["MemoryError('boom')", "RecursionError('boom')"])
def test_a_failure_inside_the_explanation_never_hides_the_first_one(run: Run, failure: str) -> None:
    broken = f"import depwalk.hook\ndef broken(error):\n    raise {failure}\ndepwalk.hook.explain = broken\n"
    program = f"{broken}{INSTALL}\nimport user\n"
    plain, ran = without(run, program), run(program)

    assert plain.stderr.startswith(b"Traceback")
    assert ran.stderr.startswith(plain.stderr)
    added = ran.stderr[len(plain.stderr) :].decode().splitlines()
    assert [line.partition(": ")[0] for line in added] == ["depwalk could not explain this"]
    assert ran.returncode == 1


def test_who_does_not_wait_for_the_explanation_keeps_the_traceback(run: Run) -> None:
    ctrl_c = "import depwalk.hook\ndef broken(error):\n    raise KeyboardInterrupt\ndepwalk.hook.explain = broken\n"
    program = f"{ctrl_c}{INSTALL}\nimport user\n"
    plain, ran = without(run, program), run(program)

    assert ran.stderr.startswith(plain.stderr)
    assert b"Traceback" not in ran.stderr[len(plain.stderr) :]
    assert ran.returncode == 1


def test_a_directory_added_after_install_is_part_of_the_search(run: Run, folder: Path) -> None:
    (folder / "libs").mkdir()
    ran = run(
        f"{INSTALL}\nimport os\nos.add_dll_directory(os.path.abspath('libs'))\ntry:\n    import user\n"
        "except ImportError as error:\n    print(*depwalk.explain(error).findings[0].evidence)\n"
    )

    assert str(folder / "libs") in ran.stdout.decode()


def test_explain_refuses_an_exception_that_is_about_no_dll() -> None:
    with pytest.raises(ValueError, match="KeyError is not about a DLL"):
        depwalk.explain(KeyError("x"))


def test_explain_answers_for_an_exception_that_was_caught(run: Run) -> None:
    program = (
        "import depwalk\ntry:\n    import user\nexcept ImportError as error:\n    result = depwalk.explain(error)\n"
        "finding = result.findings[0]\nprint(result.verdict, result.basis, finding.code, finding.module)\n"
    )
    ran = run(program)

    assert (ran.stdout.split(), ran.stderr) == ([b"fails", b"loader", b"missing-dll", b"nowhere.dll"], b"")


def test_modules_that_the_process_had_loaded_before_are_evidence(run: Run, folder: Path, animal: Animal) -> None:
    origin = animal("loaded-first-too-old").replace("user.pyd", "")
    shutil.copytree(origin, folder, dirs_exist_ok=True)
    program = (
        "import ctypes, os, depwalk\nctypes.CDLL(os.path.abspath('first/zoo1.dll'))\n"
        "error = ImportError('as Windows raises it', name='user', path=os.path.abspath('user.pyd'))\n"
        "result = depwalk.explain(error)\n"
        "for finding in result.findings:\n    print(finding.code, finding.module, *finding.evidence, sep='|')\n"
    )
    ran = run(program)

    told = [line.split("|") for line in ran.stdout.decode().splitlines()]
    (conflict,) = [line for line in told if line[0] == "already-loaded"]
    assert conflict[1] == "zoo1.dll"
    taken = next(fact for fact in conflict if fact.startswith("taken: "))
    assert taken.startswith(f"taken: {folder / 'first' / 'zoo1.dll'}")


@pytest.mark.skipif(on_wine(), reason="Wine makes a stub of a missing export, and the import goes on")
def test_an_older_dll_that_was_loaded_before_is_blamed_for_the_import(run: Run, folder: Path, animal: Animal) -> None:
    shutil.copytree(animal("loaded-first-too-old").replace("user.pyd", ""), folder, dirs_exist_ok=True)
    ran = run(f"{INSTALL}\nimport ctypes, os\nctypes.CDLL(os.path.abspath('first/zoo1.dll'))\nimport user\n")

    assert b"already-loaded" in ran.stderr
