"""Recording: what inside/child.py and its sitecustomize note of a program, and that the program does not notice.

The programs run in this interpreter, on any system: a failed import and a traceback are the same everywhere.
"""

from __future__ import annotations

import ctypes
import importlib.machinery
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from depwalk import core
from depwalk.inside import child
from depwalk.inside.child import describe, dlopened
from depwalk.loader.processes import INSIDE

SUFFIX = importlib.machinery.EXTENSION_SUFFIXES[0]
NOT_THERE = "depwalk-not-there.dll"
Record = dict[str, Any]
WITH_A_CORE = {child.architecture(): str(core.LIBRARY)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where programs run; bad.* there is an extension module that no loader takes."""
    made = tmp_path / "a program"
    made.mkdir()
    (made / f"bad{SUFFIX}").write_text("this is no library", "ascii")
    return made


class Recorded:
    """A program that has run, and the records that it left."""

    def __init__(
        self, folder: Path, source: str, *options: str, cores: dict[str, str] | None = None, path: str = ""
    ) -> None:
        notes = folder / "notes"
        notes.mkdir(exist_ok=True)
        (notes / "request").write_text(json.dumps({"cores": cores or {}}), "utf-8")
        python_path = os.pathsep.join(filter(None, [str(INSIDE), path]))
        self.ran = run(folder, source, *options, PYTHONPATH=python_path, DEPWALK_RECORD=str(notes))
        self.files = {
            int(file.name.partition("-")[2]): [json.loads(line) for line in file.read_text("ascii").splitlines()]
            for file in sorted(notes.glob("record-*"))
        }

    @property
    def records(self) -> list[Record]:
        """Those of the only process."""
        (records,) = self.files.values()
        return records

    def having(self, key: str) -> list[Record]:
        """Records with a key."""
        return [record for record in self.records if key in record]

    def events(self, event: str) -> list[str]:
        """What was given to an audited function."""
        return [record["name"] for record in self.having("event") if record["event"] == event]


def run(folder: Path, source: str, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    (folder / "app.py").write_text(source, "ascii")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "DEPWALK"))}
    return subprocess.run(
        [sys.executable, "-B", *options, "app.py"],
        cwd=folder,
        env={**environment, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


# ---- what is recorded --------------------------------------------------------------------------------------------


def test_a_program_leaves_one_file_that_begins_with_its_python(folder: Path) -> None:
    recorded = Recorded(folder, "import os; print(os.getpid())")
    assert list(recorded.files) == [int(recorded.ran.stdout)]
    first = recorded.records[0]
    assert (first["ready"], first["version"]) == (True, sys.version)


def test_names_are_recorded_when_their_import_begins(folder: Path) -> None:
    imported = Recorded(folder, "import wave\nimport depwalk_is_not_here").events("import")
    assert [name for name in imported if name in ("wave", "depwalk_is_not_here")] == ["wave", "depwalk_is_not_here"]


def test_an_extension_is_recorded_when_its_load_and_its_own_start_begin_and_end(folder: Path) -> None:
    spec = importlib.util.find_spec("_ctypes")
    if spec is None or not isinstance(spec.loader, importlib.machinery.ExtensionFileLoader):
        pytest.skip("_ctypes is no extension module of this Python")
    recorded = Recorded(folder, "import _ctypes")
    steps = [record for record in recorded.records if "_ctypes" in (record.get("extension"), record.get("done"))]
    assert [(("extension" in step), step["stage"]) for step in steps] == [
        (True, "load"),
        (False, "load"),
        (True, "run"),
        (False, "run"),
    ]
    assert steps[0]["path"] == spec.origin


def test_an_extension_that_does_not_load_is_recorded_with_its_error(folder: Path) -> None:
    (failed,) = Recorded(folder, "import bad").having("failed")
    path = str(folder / f"bad{SUFFIX}")
    assert (failed["failed"], failed["path"], failed["stage"]) == ("bad", path, "load")
    assert (failed["error"]["type"], failed["error"]["name"], failed["error"]["path"]) == ("ImportError", "bad", path)


def test_the_state_at_a_failure_is_recorded(folder: Path) -> None:
    source = f"import os\nos.environ['PATH'] = 'changed'\nos.chdir({folder.anchor!r})\nimport bad"
    (failed,) = Recorded(folder, source).having("failed")
    assert (failed["search_path"], failed["cwd"]) == ("changed", folder.anchor)


def test_with_a_core_the_file_is_loaded_once_more_for_its_code(folder: Path) -> None:
    (failed,) = Recorded(folder, "import bad", cores=WITH_A_CORE).having("failed")
    assert isinstance(failed["code"], int)
    assert isinstance(failed["modules"], list)
    assert failed["flags"] == (child.PYTHON_IMPORT if sys.version_info >= (3, 8) else child.ALTERED)


def test_without_a_core_there_is_no_code(folder: Path) -> None:
    (failed,) = Recorded(folder, "import bad").having("failed")
    assert not {"code", "modules", "flags"} & set(failed)


def test_a_core_that_does_not_load_is_no_accident(folder: Path) -> None:
    broken = {child.architecture(): str(folder / f"bad{SUFFIX}")}
    recorded = Recorded(folder, "import bad", cores=broken)
    assert "code" not in recorded.having("failed")[0]
    assert recorded.ran.stderr.splitlines()[-1].startswith("ImportError: ")


def test_what_the_recording_itself_loads_is_not_recorded(folder: Path) -> None:
    recorded = Recorded(folder, "import bad", cores=WITH_A_CORE)
    assert (recorded.events("ctypes.dlopen"), "ctypes" in recorded.events("import")) == ([], False)


def test_a_failure_that_the_program_gets_over_is_recorded_and_nothing_is_uncaught(folder: Path) -> None:
    recorded = Recorded(folder, "try:\n    import bad\nexcept ImportError:\n    print('without')")
    assert (recorded.ran.stdout.split(), recorded.ran.returncode) == (["without"], 0)
    assert (len(recorded.having("failed")), recorded.having("uncaught")) == (1, [])


def test_the_exception_that_ends_the_program_is_recorded_with_those_behind_it(folder: Path) -> None:
    source = "try:\n    import bad\nexcept ImportError as error:\n    raise RuntimeError('sorry') from error"
    (ended,) = Recorded(folder, source).having("uncaught")
    assert [link["type"] for link in ended["uncaught"]] == ["RuntimeError", "ImportError"]
    assert (ended["uncaught"][0]["text"], ended["uncaught"][1]["name"]) == ("sorry", "bad")


def test_a_chain_of_exceptions_that_is_a_circle_is_recorded_once_around(folder: Path) -> None:
    source = "a, b = KeyError(), ValueError()\na.__context__, b.__context__ = b, a\nraise a"
    (ended,) = Recorded(folder, source).having("uncaught")
    assert [link["type"] for link in ended["uncaught"]] == ["KeyError", "ValueError"]


def test_a_name_given_to_ctypes_is_recorded_with_its_failure(folder: Path) -> None:
    recorded = Recorded(folder, f"import ctypes\nctypes.CDLL({NOT_THERE!r})", cores=WITH_A_CORE)
    (ended,) = recorded.having("uncaught")
    assert recorded.events("ctypes.dlopen")[-1] == NOT_THERE
    assert ended["uncaught"][0]["dlopen"] == NOT_THERE
    assert (isinstance(ended["code"], int), ended["flags"]) == (True, child.DEFAULT_DIRS)


def test_of_two_names_given_to_ctypes_the_state_is_that_of_the_one_that_failed_first(folder: Path) -> None:
    """loader/imports.py blames the last link of the chain: the code must be of the same file."""
    first = os.path.join(str(folder), "first.dll")  # with a path: other flags than a bare name
    source = f"import ctypes\ntry:\n    ctypes.CDLL({first!r})\nexcept OSError:\n    ctypes.CDLL({NOT_THERE!r})"
    (ended,) = Recorded(folder, source, cores=WITH_A_CORE).having("uncaught")
    assert [link["dlopen"] for link in ended["uncaught"]] == [NOT_THERE, first]
    assert ended["flags"] == child.PYTHON_IMPORT


def test_every_python_that_the_program_starts_leaves_a_file_of_its_own(folder: Path) -> None:
    source = "import subprocess, sys\nsubprocess.call([sys.executable, '-c', 'import bad'])"
    recorded = Recorded(folder, source)
    assert [any("uncaught" in record for record in records) for records in recorded.files.values()].count(True) == 1
    assert len(recorded.files) == 2


def test_an_isolated_python_leaves_nothing(folder: Path) -> None:
    recorded = Recorded(folder, "print('hello')", "-I")
    assert (recorded.files, recorded.ran.stdout.split(), recorded.ran.stderr) == ({}, ["hello"], "")


# ---- what the program sees ---------------------------------------------------------------------------------------

ENDINGS = {
    "well": "print('done')",
    "import": "def f():\n    import bad\nf()",
    "ctypes": f"import ctypes\nctypes.CDLL({NOT_THERE!r})",
    "own": "try:\n    import bad\nexcept ImportError:\n    raise RuntimeError('sorry')",
    "exit": "raise SystemExit(4)",
    "hook": "import sys\nsys.excepthook = lambda *_: print('mine')\nimport bad",
}


@pytest.mark.parametrize("source", ENDINGS.values(), ids=ENDINGS)
@pytest.mark.parametrize("cores", [{}, WITH_A_CORE], ids=["no-core", "core"])
def test_the_program_ends_as_it_would_alone(folder: Path, source: str, cores: dict[str, str]) -> None:
    alone = run(folder, source)
    recorded = Recorded(folder, source, cores=cores).ran
    assert (recorded.returncode, recorded.stdout, recorded.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_no_frame_of_the_recording_is_in_a_traceback(folder: Path) -> None:
    shown = Recorded(folder, "import bad").ran.stderr
    assert shown.startswith("Traceback (most recent call last):\n")
    assert [line for line in shown.splitlines() if line.startswith("  File ")] == [
        f'  File "{folder / "app.py"}", line 1, in <module>'
    ]


LOOK = "import sys\nprint([entry for entry in sys.path], sorted(sys.modules))"


def test_sys_path_and_sys_modules_have_nothing_of_the_recording(folder: Path) -> None:
    shown = Recorded(folder, LOOK).ran.stdout
    assert str(INSIDE).replace("\\", "\\\\") not in shown
    assert "'child'" not in shown


def test_sys_path_is_that_of_a_program_alone(folder: Path) -> None:
    source = "import sys\nprint(sys.path)"
    assert Recorded(folder, source).ran.stdout == run(folder, source).stdout


OWN = "import sys\nprint('mine, in front of', [entry for entry in sys.path if 'inside' in entry])\nmark = 1\n"


@pytest.fixture
def own_directory(folder: Path) -> str:
    """A directory with a sitecustomize of the user's own."""
    directory = folder / "own"
    directory.mkdir()
    (directory / "sitecustomize.py").write_text(OWN, "ascii")
    return str(directory)


def test_a_sitecustomize_of_the_users_own_still_runs_once(folder: Path, own_directory: str) -> None:
    recorded = Recorded(folder, "import sitecustomize; print(sitecustomize.mark)", path=own_directory)
    assert recorded.ran.stdout.splitlines() == ["mine, in front of []", "1"]
    assert recorded.having("ready")


def test_a_sitecustomize_of_the_users_own_that_fails_is_recorded_and_ends_nothing(
    folder: Path, own_directory: str
) -> None:
    Path(own_directory, "sitecustomize.py").write_text("import bad", "ascii")
    recorded = Recorded(folder, "print('hello')", path=f"{own_directory}{os.pathsep}{folder}")
    assert recorded.ran.stdout.split() == ["hello"]
    assert [record["failed"] for record in recorded.having("failed")] == ["bad"]


def test_without_a_folder_for_records_only_the_users_own_sitecustomize_runs(folder: Path, own_directory: str) -> None:
    ran = run(folder, "import sys; print('child' in sys.modules)", PYTHONPATH=f"{INSIDE}{os.pathsep}{own_directory}")
    assert (ran.stdout.splitlines(), ran.stderr) == (["mine, in front of []", "False"], "")


# ---- exceptions in plain values ----------------------------------------------------------------------------------


def test_an_exception_is_described_by_its_type_and_its_text() -> None:
    assert describe(KeyError("x")) == {"type": "KeyError", "text": "'x'"}


def test_an_import_error_is_described_with_its_name_and_its_path() -> None:
    described = describe(ImportError("no", name="pkg._a", path="a.pyd"))
    assert described == {"type": "ImportError", "text": "no", "name": "pkg._a", "path": "a.pyd"}


def test_what_is_no_plain_value_is_left_out_of_a_description() -> None:
    error = AttributeError("no")
    error.path = Path("a.pyd")  # type: ignore[attr-defined]
    assert describe(error) == {"type": "AttributeError", "text": "no"}


def test_a_long_text_is_cut() -> None:
    assert len(describe(ValueError("x" * 10_000))["text"]) == child.LONGEST


def raised_by(function: Any, *arguments: Any) -> BaseException:
    try:
        function(*arguments)
    except BaseException as error:  # noqa: BLE001  (any is to be described)
        return error
    raise AssertionError("nothing was raised")


def test_the_name_that_ctypes_did_not_load_is_known_without_reading_the_message() -> None:
    error = raised_by(ctypes.CDLL, NOT_THERE)
    assert (dlopened(error), describe(error)["dlopen"]) == (NOT_THERE, NOT_THERE)


def test_an_error_of_the_system_in_a_function_with_a_name_is_not_ctypes() -> None:
    def opening(name: str) -> None:
        os.stat(name)

    assert dlopened(raised_by(opening, NOT_THERE)) is None


def test_an_exception_that_was_never_raised_is_not_ctypes() -> None:
    assert dlopened(OSError(NOT_THERE)) is None


def test_an_exception_of_ctypes_about_something_else_is_not_a_failed_load() -> None:
    error = raised_by(lambda: ctypes.CDLL(None).depwalk_is_not_there if os.name != "nt" else ctypes.windll[0])
    assert "dlopen" not in describe(error)
