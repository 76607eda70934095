"""Scan, the work: shared among processes it comes to the same, and what ends one of them, or all, costs little."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pe_maker import pe
from scanned import EXT, lay, make_wheel, rows_of, verdicts
from test_scan_judge import generated

import depwalk
from depwalk import image
from depwalk.bulk import work
from depwalk.bulk.collect import collect
from depwalk.bulk.database import Database

if TYPE_CHECKING:
    from collections.abc import Sequence

    from depwalk.bulk.judge import Judged, Question
    from depwalk.bulk.rows import File, Row

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the files are read as elsewhere; tests/loader asks on Windows"
)

HOME = str(Path(depwalk.__file__).parent.parent)
ENDED = "the process that read it ended without an answer"
LINUX = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="a patch reaches only processes that are forked"
)
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals as on POSIX systems")
FAILS, UNKNOWN = 1, 3
CASES = ("7", "8", "8.1", "10", "11")
EXTENSIONS = 60
ROWS = EXTENSIONS * len(CASES)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Some eighty files in several packages."""
    for seed in range(3):
        lay(tmp_path / "site" / f"part{seed}", generated(seed))
    return tmp_path / "site"


def said_in(rows: Sequence[Row]) -> set[Row]:
    """What the rows say, in any order; each says it once."""
    found = {row._replace(elapsed_ms=0.0) for row in rows}
    assert len(found) == len(rows)
    return found


# ---- several processes


def test_a_directory_comes_to_the_same_in_two_processes(site: Path) -> None:
    one, two = (rows_of(site, windows=["7", "11"], options={"jobs": jobs}) for jobs in (1, 2))
    assert len(one) > 160
    assert said_in(one) == said_in(two)


def test_wheels_come_to_the_same_in_two_processes(tmp_path: Path) -> None:
    for seed in range(6):
        files = {name: text.encode() if isinstance(text, str) else text for name, text in generated(seed).items()}
        make_wheel(tmp_path, files, name=f"demo{seed}", requires=[f"demo{seed - 1}"])
    one, two = (rows_of(tmp_path, options={"jobs": jobs}) for jobs in (1, 2))
    assert len({row.file.unit.path for row in one}) == 6
    assert said_in(one) == said_in(two)


@LINUX
def test_when_the_last_row_is_there_no_process_is_left(site: Path) -> None:
    assert rows_of(site, options={"jobs": 2})
    assert multiprocessing.active_children() == []


def test_a_few_files_are_not_worth_a_process() -> None:
    assert work.usual_count(10) == 1


def test_no_more_processes_than_processors_are_started() -> None:
    assert work.usual_count(1_000_000) == os.cpu_count()


def test_the_files_of_a_package_stay_together(tmp_path: Path) -> None:
    lay(tmp_path, {f"{name}/{number}.pyd": pe() for name in ("x", "y") for number in range(50)})
    (listed,) = collect([str(tmp_path)])
    pieces = [{file.path.split(os.sep)[-2] for file in task.files} for task in work.pieces(listed.unit, listed.files)]
    assert pieces == [{"x"}, {"y"}]


# ---- a process that dies


def dies_of(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make every process die that is to judge a file of such a name."""
    real = work.judge

    def judge(listed: Sequence[File], site: Any, question: Question) -> Judged:
        if any(os.path.basename(file.path) in names for file in listed):
            os._exit(9)
        return real(listed, site, question)

    monkeypatch.setattr(work, "judge", judge)


@LINUX
@pytest.mark.parametrize("name", ["7.pyd", "other.dll"], ids=["an extension", "a DLL, when the others are done"])
def test_a_process_that_dies_costs_only_the_file_that_it_died_of(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, {f"{number}.pyd": pe() for number in range(20)})
    lay(tmp_path, {"other.dll": pe(), "another.dll": pe()})
    dies_of(monkeypatch, name)
    found = verdicts(tmp_path, options={"jobs": 2})
    assert found.pop(name) == ENDED
    assert list(found.values()) == ["loads"] * 21


@LINUX
def test_after_a_process_died_of_an_extension_the_dlls_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(tmp_path, {"a.pyd": pe(), "b.pyd": pe(imports={"dep.dll": ["f"]}), "dep.dll": pe(exports=["f"]), "c.dll": pe()})
    dies_of(monkeypatch, "a.pyd")
    assert verdicts(tmp_path, options={"jobs": 2}) == {
        "a.pyd": ENDED,
        "b.pyd": "loads",
        "c.dll": "loads",
        "dep.dll": f"judged with {tmp_path / 'b.pyd'}, which needs it",
    }


@LINUX
def test_a_process_that_dies_of_a_wheel_costs_only_that_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        make_wheel(tmp_path, {f"demo/{number}.pyd": pe()}, name=f"demo{number}")
    dies_of(monkeypatch, "2.pyd")
    found = verdicts(tmp_path, options={"jobs": 2})
    assert found == {
        "demo/0.pyd": "loads",
        "demo/1.pyd": "loads",
        "demo2-1.0-cp311-cp311-win_amd64.whl": ENDED,
        "demo/3.pyd": "loads",
    }


@LINUX
def test_every_file_may_be_one_that_a_process_dies_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{number}.pyd" for number in range(5)]
    lay(tmp_path, {name: pe() for name in names})
    dies_of(monkeypatch, *names)
    assert verdicts(tmp_path, options={"jobs": 2}) == dict.fromkeys(names, ENDED)


# ---- a scan that is interrupted


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A directory whose rows are more than a pipe takes, so that a scan of it waits for its reader."""
    needs = pe(imports={"gone.dll": [f"function_{number}" for number in range(9)], "kernel32.dll": ["Sleep"]})
    return lay(tmp_path / "large", {f"p{number}/{EXT}": needs for number in range(EXTENSIONS)})


class Scanning:
    """A scan in a process of its own, whose rows are read one by one."""

    def __init__(self, folder: Path, *arguments: object) -> None:
        command = [sys.executable, "-m", "depwalk", "scan", str(folder), *(f"--windows={name}" for name in CASES)]
        self._process = subprocess.Popen(
            [*command, "--format", "json", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": HOME},
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._lines = self._process.stdout
        self.rows: list[dict[str, Any]] = []

    def read(self, count: int) -> None:
        """Wait for some rows."""
        for _ in range(count):
            self.rows.append(json.loads(self._lines.readline()))

    def end(self, sign: int) -> None:
        """Send a signal to it and to its workers, as a terminal does, or to it alone if it cannot be caught."""
        if sign == signal.SIGKILL:
            self._process.kill()
        else:
            os.killpg(self._process.pid, sign)

    @property
    def pid(self) -> int:
        return self._process.pid

    def finish_killed(self) -> None:
        """Wait for its end; what it was writing may be cut off."""
        self._process.kill()
        self._process.communicate(timeout=60)

    def finish(self) -> tuple[int, str]:
        """Its exit status and what it said on standard error; the rest of its rows is read."""
        self.rows += [json.loads(line) for line in self._lines]  # what was read ahead is here, and not in the pipe
        _, complaint = self._process.communicate(timeout=60)
        return self._process.returncode, complaint.decode()


def states(path: Path) -> list[str]:
    """How the runs of a database ended."""
    with Database(str(path)) as database:
        return [run.state for run in database.runs()]


def resumed(folder: Path, path: Path) -> int:
    """Scan again to the end; how many rows were reused. All of them must be there in the end."""
    again = Scanning(folder, "--db", path)
    status, complaint = again.finish()
    assert (status, complaint, len(again.rows)) == (FAILS, "", ROWS)
    assert len({(row["target"]["path"], row["case"]["windows"]) for row in again.rows}) == ROWS
    with Database(str(path)) as database:
        run = list(database.runs())[-1]
        assert (run.state, len(list(database.rows(run.id)))) == ("complete", ROWS)
    return sum(row["reused"] for row in again.rows)


@POSIX
def test_a_scan_in_the_background_goes_on_when_its_shell_has_it_ignore_ctrl_c(large: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # a child inherits that
    try:
        scan = Scanning(large, "--jobs", 1)
    finally:
        signal.signal(signal.SIGINT, before)
    scan.read(1)
    scan.end(signal.SIGINT)
    assert scan.finish() == (FAILS, "")
    assert len(scan.rows) == ROWS


@POSIX
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_scan_says_so_and_shows_what_is_done(jobs: int, large: Path) -> None:
    scan = Scanning(large, "--jobs", jobs)
    scan.read(1)
    scan.end(signal.SIGINT)
    status, complaint = scan.finish()
    assert 1 <= len(scan.rows) < ROWS
    assert status == FAILS
    assert complaint.startswith("depwalk: interrupted after ")
    assert complaint.count("\n") == 1


@POSIX
def test_an_interrupted_scan_goes_on_from_its_database(large: Path, tmp_path: Path) -> None:
    path = tmp_path / "scans.db"
    scan = Scanning(large, "--db", path)
    scan.read(20)
    scan.end(signal.SIGINT)
    _, complaint = scan.finish()
    assert complaint.rstrip().endswith(f"and kept in {path}: the next scan goes on from there")
    assert states(path) == ["interrupted"]
    assert resumed(large, path) >= 20


@POSIX
def test_a_scan_that_is_killed_goes_on_from_its_database(large: Path, tmp_path: Path) -> None:
    path = tmp_path / "scans.db"
    scan = Scanning(large, "--db", path)
    scan.read(1)
    time.sleep(1.1)  # what is found is stored once in a second
    scan.read(60)
    scan.end(signal.SIGKILL)
    scan.finish_killed()
    assert resumed(large, path) > 0


@LINUX
def test_the_workers_of_a_scan_that_is_killed_end_too(large: Path) -> None:
    scan = Scanning(large, "--jobs", 2)
    scan.read(1)
    workers = children_of(scan.pid)
    assert len(workers) == 2
    scan.end(signal.SIGKILL)
    scan.finish_killed()
    deadline = time.monotonic() + 10
    while any(is_alive(worker) for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [worker for worker in workers if is_alive(worker)] == []


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_fault_of_depwalk_itself_costs_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path, {"a.pyd": pe(), "b.pyd": pe(), "c.pyd": pe()})
    read = image.read

    def faulty(path: str) -> object:
        if os.path.basename(path) == "b.pyd":
            raise ZeroDivisionError("a fault")
        return read(path)

    monkeypatch.setattr(image, "read", faulty)
    found = {os.path.basename(row.file.path): row for row in rows_of(tmp_path)}
    assert {name: row.verdict for name, row in found.items()} == {"a.pyd": "loads", "b.pyd": None, "c.pyd": "loads"}
    assert found["b.pyd"].unreadable
    assert "depwalk itself failed on it, please report it: ZeroDivisionError: a fault" in found["b.pyd"].reason
