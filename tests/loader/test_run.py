"""depwalk run: the program runs as it would without, and the load that ended it is explained afterwards."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Callable

import pytest
from loading import IS_64_BIT

from depwalk import image
from depwalk.cli.options import machine
from depwalk.result import diagnose_command
from depwalk.target.choose import Choice, choose

if TYPE_CHECKING:
    from loading import Animal

    from depwalk.result import Result

    Ran = subprocess.CompletedProcess[str]
    Run = Callable[..., Ran]
    Explain = Callable[..., Result]

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="there is no Windows loader here")

LOADS, FAILS, USAGE, UNKNOWN = 0, 1, 2, 3
MISSING = "nowhere.dll is in none of the directories"


@pytest.fixture
def run(folder: Path) -> Run:
    """run(option..., "--", program, argument...) runs depwalk run, with lines of output as a program writes them."""

    def ran(*arguments: str, standard_input: str = "", **variables: str) -> Ran:
        command = [sys.executable, "-m", "depwalk", "run", *arguments]
        environment = {**os.environ, **variables}
        return subprocess.run(
            command, cwd=folder, env=environment, input=standard_input, capture_output=True, text=True, check=False
        )

    return ran


@pytest.fixture
def explain(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Explain:
    """explain(program, argument...) runs a program as the command does, without a process for depwalk itself."""

    def explained(*command: str, timeout: float = 20) -> Result:
        monkeypatch.chdir(folder)
        target = choose(None, Choice(), machine())
        path = os.environ.get("PYTHONPATH", "")
        return diagnose_command(command, target, python_path=path, pass_on=lambda _: None, timeout=timeout)

    return explained


def python(*arguments: str) -> tuple[str, ...]:
    return ("--", sys.executable, *arguments)


def findings(result: Result) -> list[tuple[str, str, str]]:
    """(severity, code, module) of each finding."""
    return [(finding.severity, finding.code, finding.module) for finding in result.findings]


# ---- the program runs as it would without


def test_the_program_gets_its_arguments_and_its_input_and_its_output_comes_in_order(run: Run, folder: Path) -> None:
    lines = [
        "import sys",
        "print(sys.argv[1:], flush=True)",
        "print('to stderr', file=sys.stderr, flush=True)",
        "print('read', sys.stdin.read(), flush=True)",
    ]
    (folder / "app.py").write_text("\n".join(lines), "ascii")
    ran = run("-q", *python("app.py", "one", "--two", "-q"), standard_input="words")

    assert ran.stdout.splitlines()[:3] == ["['one', '--two', '-q']", "to stderr", "read words"]
    assert (ran.returncode, ran.stderr) == (LOADS, "")


def test_the_report_comes_after_what_the_program_wrote(run: Run) -> None:
    ran = run("-q", *python("-c", "print('first')"))

    first, *_, last = ran.stdout.splitlines()
    assert first == "first"
    assert last.endswith("loads all that it needs")


def test_with_json_only_the_report_is_on_standard_output(run: Run) -> None:
    ran = run("--format", "json", *python("-c", "print('spoken')"))

    assert json.loads(ran.stdout)["verdict"] == "loads"
    assert ran.stderr == "spoken\n"


def test_output_appears_as_it_comes_even_if_the_program_never_flushes_it(run: Run) -> None:
    ran = run("-q", "--timeout", "2", *python("-c", "print('first'); import time; time.sleep(60)"))

    assert ran.stdout.startswith("first\n")


def test_a_traceback_is_the_one_that_the_program_has_without_depwalk(run: Run, folder: Path) -> None:
    (folder / "app.py").write_text("def f():\n    import user\nf()\n", "ascii")
    alone = subprocess.run([sys.executable, "app.py"], cwd=folder, capture_output=True, text=True, check=False)
    ran = run("-q", *python("app.py"))

    assert alone.stderr.startswith("Traceback")
    assert ran.stdout.startswith(alone.stderr)


def test_sitecustomize_of_the_user_runs_and_is_the_one_that_can_be_imported(run: Run, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sitecustomize.py").write_text("import builtins\nbuiltins.customized = __file__\n", "ascii")
    path = os.pathsep.join(filter(None, [str(other), os.environ.get("PYTHONPATH", "")]))
    program = "import sitecustomize; print(customized); print(sitecustomize.__file__)"
    ran = run("-q", *python("-c", program), PYTHONPATH=path)

    assert ran.stdout.splitlines()[:2] == [str(other / "sitecustomize.py")] * 2
    assert ran.returncode == LOADS


def test_the_path_of_the_program_does_not_show_depwalk_s_own_folder(run: Run) -> None:
    ran = run(
        "-q", *python("-c", "import sys; print([p for p in sys.path if p.endswith('inside')], 'child' in sys.modules)")
    )

    assert ran.stdout.splitlines()[0] == "[] False"


# ---- the load that ended it


@pytest.mark.parametrize("arguments", [("app.py",), ("-m", "app"), ("-c", "import user")], ids=["file", "-m", "-c"])
def test_an_import_that_fails_is_explained(explain: Explain, folder: Path, arguments: tuple[str, ...]) -> None:
    (folder / "app.py").write_text("import user\n", "ascii")
    result = explain(sys.executable, *arguments)

    assert (result.verdict, result.basis) == ("fails", "loader")
    assert findings(result) == [("error", "missing-dll", "nowhere.dll")]
    assert result.path == str(folder / "user.pyd")


def test_the_explanation_is_printed_with_its_proof(run: Run) -> None:
    ran = run(*python("-c", "import user"))

    assert ran.returncode == FAILS
    assert "does NOT work: nowhere.dll is missing" in " ".join(ran.stdout.split())
    assert MISSING in ran.stdout
    assert "(seen here)" in " ".join(ran.stdout.split())


def test_a_library_that_ctypes_does_not_find_is_explained(explain: Explain) -> None:
    result = explain(sys.executable, "-c", "import ctypes; ctypes.CDLL('not_there.dll')")

    assert findings(result) == [("error", "missing-dll", "not_there.dll")]


def test_an_extension_that_ends_the_process_is_blamed(explain: Explain, folder: Path, animal: Animal) -> None:
    shutil.copy(animal("init-exit-process"), folder / "user.pyd")
    result = explain(sys.executable, "-c", "import user")

    assert findings(result) == [("error", "crash-on-load", "user.pyd")]


def test_an_extension_that_hangs_is_stopped_at_the_time_limit_and_blamed(
    explain: Explain, folder: Path, animal: Animal
) -> None:
    shutil.copy(animal("init-hang"), folder / "user.pyd")
    result = explain(sys.executable, "-c", "import user", timeout=2)

    assert findings(result) == [("error", "hang-on-load", "user.pyd")]


def test_a_program_that_goes_on_without_an_extension_ends_well_with_a_note(explain: Explain, folder: Path) -> None:
    (folder / "app.py").write_text("try:\n    import user\nexcept ImportError:\n    pass\n", "ascii")
    result = explain(sys.executable, "app.py")

    assert result.verdict == "loads"
    assert findings(result) == [("note", "analysis-incomplete", "user.pyd")]


def test_a_failure_in_another_python_that_the_program_starts_is_explained(explain: Explain, folder: Path) -> None:
    program = "import subprocess, sys\nsys.exit(subprocess.call([sys.executable, '-c', 'import user']))\n"
    (folder / "app.py").write_text(program, "ascii")
    result = explain(sys.executable, "app.py")

    assert findings(result) == [("error", "missing-dll", "nowhere.dll")]


def test_a_failure_in_a_python_of_another_architecture_is_explained(
    explain: Explain, folder: Path, pythons: list[str]
) -> None:
    other = next((found for found in pythons if image.read(found).architecture == "x86"), None)
    if not IS_64_BIT or other is None:
        pytest.skip("needs a 64-bit process and a 32-bit Python")
    shutil.copy(Path(os.environ["DEPWALK_ZOO"], "missing-32", "user.pyd"), folder / "user.pyd")
    result = explain(other, "-c", "import user")

    assert findings(result) == [("error", "missing-dll", "nowhere.dll")]
    assert result.target.python is not None
    assert result.target.python.executable == other


def test_a_program_that_is_no_python_and_lacks_a_dll_is_explained(explain: Explain, folder: Path) -> None:
    alone = folder / "alone"
    alone.mkdir()
    shutil.copy(sys.executable, alone / "tool.exe")  # without its python3xy.dll
    result = explain(str(alone / "tool.exe"))

    assert (result.verdict, result.basis) == ("fails", "loader")
    assert findings(result) == [("error", "missing-python-dll", f"python3{sys.version_info[1]}.dll")]


# ---- a program that ends well, or for another reason


def test_a_program_that_is_no_python_ends_well(run: Run) -> None:
    ran = run("-q", "--", "cmd", "/c", "echo", "spoken")

    assert ran.stdout.splitlines()[0].strip() == "spoken"
    assert ran.returncode == LOADS


@pytest.mark.parametrize(
    "program",
    ["import sys; sys.exit(5)", "raise SystemExit('bye')", "1/0", "import not_there_at_all", "import os; os.abort()"],
)
def test_a_python_that_fails_for_another_reason_is_not_explained_by_a_dll(explain: Explain, program: str) -> None:
    result = explain(sys.executable, "-c", program)

    assert result.verdict == "unknown"
    assert [(severity, code) for severity, code, _ in findings(result)] == [("warning", "analysis-incomplete")]


def test_a_program_that_is_no_python_and_fails_for_another_reason_ends_with_3(run: Run) -> None:
    ran = run("-q", "--", "cmd", "/c", "exit 7")

    assert ran.returncode == UNKNOWN
    assert "not because of a DLL" in ran.stdout


def test_a_program_that_does_not_end_is_stopped_at_the_time_limit_and_no_dll_is_blamed(explain: Explain) -> None:
    result = explain(sys.executable, "-c", "import time; time.sleep(60)", timeout=1)

    assert result.verdict == "unknown"
    assert [(severity, code) for severity, code, _ in findings(result)] == [("warning", "analysis-incomplete")]
    assert "was stopped at the time limit" in result.findings[0].message


def test_of_a_python_that_ignores_the_environment_no_one_says_that_every_dll_loaded(explain: Explain) -> None:
    result = explain(sys.executable, "-I", "-c", "import sys; sys.path.insert(0, '.'); import user")

    assert result.verdict in ("fails", "unknown")  # the trace alone may explain it; without records it need not
    assert "crash-on-load" not in [code for _, code, _ in findings(result)]
    assert not any("no DLL failed to load" in finding.message for finding in result.findings)


def test_a_program_that_does_not_exist_is_wrong_usage(run: Run) -> None:
    ran = run("--", "no-such-program")

    assert (ran.returncode, ran.stdout) == (USAGE, "")
    assert ran.stderr.startswith("depwalk: no-such-program: ")
    assert len(ran.stderr.splitlines()) == 1
