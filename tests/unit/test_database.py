"""The database of the scans: what is written is read again, what still holds is reused, and nothing else is."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_rows import SEVEN, TEN, TEN_VC, file_of, module, row

import depwalk
from depwalk.bulk.database import Database, DatabaseError
from depwalk.bulk.rows import Case, File, Link, Node, Row, Unit
from depwalk.finding import Finding, Remedy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CASES = (SEVEN, TEN, TEN_VC)
OLD = 1_600_000_000  # seconds since 1970: long before any run of a test


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "db").mkdir()
    return str(tmp_path / "db" / "scan.db")


def one_run(path: str, rows: Sequence[Row], cases: Sequence[Case] = CASES, state: str = "complete") -> int:
    with Database(path) as database:
        run = database.begin(["somewhere"], cases, {})
        for found in rows:
            database.add(found)
        database.finish(state)
    return run


def read(path: str, run: int, *, trees: bool = True) -> list[Row]:
    with Database(path) as database:
        return list(database.rows(run, trees=trees))


UNIT = Unit("/site-packages", "site")
FILE = File("/site-packages/a/_a.pyd", UNIT, "extension", 10, 20, "ab" * 32, "a", "1.0", "x64", "3.11")
WHEEL = Unit("/wheels/b-2.0-cp311-cp311-win_amd64.whl", "wheel", 1000, 2000)
MEMBER = File(WHEEL.path + "/b/_b.pyd", WHEEL, "extension", 5, 0, distribution="b", version="2.0")


# ---- round trips


def test_what_is_written_is_read_again(path: str) -> None:
    rows = [
        row(FILE, TEN, module("X.dll"), module("late.dll", delayed=True), sources=("/site-packages/a/__init__.py",)),
        row(
            FILE, SEVEN, (module("ucrtbase.dll"), {"name": "api-ms-win-crt-heap-l1-1-0.dll", "unresolved": ("f", "#3")})
        ),
        Row(MEMBER, TEN, None, reason="for another architecture"),
        Row(FILE._replace(path="/site-packages/b.pyd"), TEN, None, reason="cannot be read", unreadable=True),
    ]
    run = one_run(path, rows)
    assert read(path, run) == rows
    assert read(path, run, trees=False) == [found._replace(nodes=(), links=()) for found in rows]


def test_a_run_tells_what_was_asked(path: str) -> None:
    with Database(path) as database:
        run = database.begin(["a", "ö"], [TEN, SEVEN], {"dll_dirs": ["C:\\x"]})
        database.add(row(FILE))
        database.finish("complete")
        (info,) = database.runs()
    assert (info.id, info.state, info.tool, info.rows) == (run, "complete", depwalk.__version__, 1)
    assert (info.paths, info.cases, info.options) == (("a", "ö"), (TEN, SEVEN), {"dll_dirs": ["C:\\x"]})
    assert info.started <= info.finished
    assert info.finished.endswith("+00:00")


TEXT = st.text(st.characters(), max_size=8)  # with lone surrogates
NAMES = st.builds(lambda first, rest: first + rest, st.characters(), TEXT)
FINDINGS = st.builds(
    Finding,
    code=st.sampled_from(["missing-dll", "shadowed"]),
    severity=st.sampled_from(["error", "note"]),
    module=TEXT,
    message=TEXT,
    needed_by=TEXT,
    evidence=st.lists(TEXT, max_size=2).map(tuple),
    remedy=st.none() | st.builds(Remedy, TEXT, TEXT, TEXT),
    also=st.lists(TEXT, max_size=2).map(tuple),
)
NODES = st.builds(
    Node,
    name=TEXT,
    path=st.none() | TEXT,
    status=st.sampled_from(["found", "missing", "blocked"]),
    architecture=TEXT,
    version=TEXT,
    depth=st.integers(0, 9),
    delayed=st.booleans(),
    rule=TEXT,
)
UNITS = st.builds(Unit, NAMES, st.just("site"), st.just(0), st.just(0)) | st.builds(
    Unit, NAMES, st.just("wheel"), st.integers(0, 1 << 62), st.integers(0, 1 << 62)
)


@st.composite
def any_row(draw: Callable[[Any], Any]) -> Row:
    file = draw(
        st.builds(File, NAMES, UNITS, st.just("dll"), st.integers(0, 1 << 62), st.integers(0, 1 << 62), TEXT, TEXT)
    )
    case = draw(st.builds(Case, TEXT, TEXT, st.lists(TEXT, max_size=2).map(tuple), st.none() | TEXT, st.none() | TEXT))
    nodes = tuple(draw(st.lists(NODES, min_size=1, max_size=3)))
    ids = st.integers(0, len(nodes) - 1)
    links = st.builds(Link, ids, ids, st.just("import"), TEXT, st.integers(0, 9), st.lists(TEXT, max_size=2).map(tuple))
    return Row(
        file,
        case,
        draw(st.sampled_from(["loads", "fails", "unknown", None])),
        draw(st.sampled_from(["static", "loader", None])),
        tuple(draw(st.lists(FINDINGS, max_size=2))),
        nodes,
        tuple(draw(st.lists(links, max_size=3))),
        tuple(draw(st.lists(TEXT, max_size=2))),
        draw(TEXT),
        draw(st.booleans()),
        draw(st.floats(0, 1e9)),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(any_row(), max_size=3, unique_by=lambda found: found.file.path))
def test_any_text_comes_back_as_it_was(rows: list[Row], tmp_path: Path) -> None:
    path = tmp_path / "any.db"
    path.unlink(missing_ok=True)
    run = one_run(str(path), rows, list({found.case for found in rows}))
    assert read(str(path), run) == rows


def test_a_file_name_that_is_no_unicode_is_found_again(tree: Tree) -> None:
    name = "caf\udce9.dll"  # what Linux makes of the byte E9
    tree.rows = [row(tree.file("a.pyd")._replace(path=str(tree.site / "b\udce9.pyd")), TEN, module(name))]
    tree.files = [found.file for found in tree.rows]
    assert tree.scan() == 0
    assert tree.scan() == 1
    new = tree.files[0]._replace(path=str(tree.site / name))
    tree.files.append(new)
    assert tree.scan() == 0


def test_a_file_that_was_changed_after_2262_is_stored_and_judged_again(tree: Tree) -> None:
    far = 15_000_000_000  # seconds: in 2445, and its nanoseconds have 64 bits
    tree.write(tree.site / "a.pyd", "1", at=far)
    tree.list()
    tree.rows = [tree.row()]
    assert tree.rows[0].file.changed == far * 10**9
    assert tree.scan() == 0
    assert tree.scan() == 0


def test_the_size_that_a_hostile_wheel_declares_is_stored_as_far_as_it_can_be(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")
    run = one_run(path, [row(MEMBER._replace(size=(1 << 64) - 1), TEN, module("a.dll"))], [TEN])
    assert [found.file.size for found in read(path, run)] == [(1 << 63) - 1]


# ---- what still holds


class Tree:
    """A site-packages with an extension and two DLLs, and the scan of it."""

    def __init__(self, tmp_path: Path) -> None:
        self.path = str(tmp_path / "db.d" / "scan.db")
        os.mkdir(tmp_path / "db.d")
        self.site, self.outside = tmp_path / "site-packages", tmp_path / "outside"
        self.site.mkdir()
        self.outside.mkdir()
        self.unit = Unit(str(self.site), "site")
        for name in ("a.pyd", "own.dll", "other.dll", "__init__.py"):
            self.write(self.site / name, "1")
        self.write(self.outside / "python311.dll", "1")
        self.options: dict[str, Any] = {}
        self.case = TEN
        self.sources: tuple[str, ...] = (str(self.site / "__init__.py"),)
        self.files = [self.file("a.pyd"), self.file("own.dll"), self.file("other.dll")]
        self.rows = [self.row()]
        self.time = OLD

    def write(self, path: Path, content: str, at: int = OLD) -> None:
        """Write a file; the times of it and of its directory are of long ago."""
        path.write_text(content, encoding="utf-8")
        os.utime(path, (at, at))
        os.utime(path.parent, (at, at))

    def file(self, name: str, **facts: Any) -> File:
        return file_of(self.site / name, self.unit, **facts)

    def row(self, **facts: Any) -> Row:
        return row(
            self.file("a.pyd"),
            self.case,
            module("own.dll", self.site / "own.dll"),
            module("python311.dll", self.outside / "python311.dll"),
            module("Missing.dll"),
            (module("ucrtbase.dll", "C:\\Windows\\System32\\ucrtbase.dll"), {"name": "api-ms-win-crt-heap-l1-1-0.dll"}),
            sources=self.sources,
            **facts,
        )

    def list(self) -> None:
        """Look at the disk again."""
        self.files = [self.file(found.name) for found in self.site.iterdir() if found.suffix in (".pyd", ".dll")]

    def scan(self, state: str = "complete") -> int:
        """How many of the rows are reused."""
        time.sleep(0.02)  # a clock of files may be slower than the one of runs
        with Database(self.path) as database:
            earlier = database.earlier(self.options)
            earlier.prepare(self.files)
            database.begin([str(self.site)], [self.case], self.options)
            reused = 0
            for found in self.rows:
                again = earlier.find(found.file, self.case)
                assert again is None or again == found._replace(nodes=(), links=(), reused=True)
                database.add(again or found._replace(case=self.case))
                reused += again is not None
            database.finish(state)
        return reused


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_what_is_unchanged_is_reused(tree: Tree) -> None:
    assert [tree.scan() for _ in range(3)] == [0, 1, 1]
    with Database(tree.path) as database:
        assert [[found.reused for found in database.rows(run)] for run in (1, 2, 3)] == [[False], [True], [True]]
        assert list(database.rows(3, trees=True)) == [tree.rows[0]._replace(reused=True)]


def test_a_run_that_reuses_writes_few_rows(tree: Tree) -> None:
    tree.scan()
    tree.scan()
    with closing(sqlite3.connect(tree.path)) as connection:
        counts = {
            table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("runs", "results", "judgements", "files", "units", "cases", "listings", "modules", "findings")
        }
    assert counts == {
        "runs": 2,
        "results": 2,
        "judgements": 1,
        "files": 3,
        "units": 1,
        "cases": 1,
        "listings": 1,
        "modules": 5,
        "findings": 1,
    }


@pytest.mark.parametrize("which", ["a.pyd", "own.dll"])
@pytest.mark.parametrize(("content", "at"), [("22", OLD), ("2", OLD + 1)])
def test_a_changed_file_of_the_tree_is_judged_again(which: str, content: str, at: int, tree: Tree) -> None:
    tree.scan()
    tree.write(tree.site / which, content, at)
    tree.list()
    tree.rows = [tree.row()]
    assert [tree.scan(), tree.scan()] == [0, 1]


def test_a_change_that_does_not_concern_it_does_not_matter(tree: Tree) -> None:
    tree.scan()
    tree.write(tree.site / "other.dll", "22", OLD + 1)
    tree.write(tree.site / "new.dll", "1")
    tree.list()
    assert tree.scan() == 1


@pytest.mark.parametrize(
    "name", ["own.dll", "OWN.DLL", "missing.dll", "api-ms-win-crt-heap-l1-1-0.dll", "ucrtbase.dll", "python311.dll"]
)
def test_a_new_file_with_a_name_of_the_tree_matters_wherever_it_is(name: str, tree: Tree) -> None:
    tree.scan()
    (tree.site / "sub").mkdir()
    tree.write(tree.site / "sub" / name, "1")
    tree.files.append(tree.file(f"sub/{name}"))
    assert tree.scan() == 0


def test_a_file_that_vanishes_matters_though_the_tree_did_not_have_it(tree: Tree) -> None:
    (tree.site / "sub").mkdir()
    tree.write(tree.site / "sub" / "missing.dll", "1")
    tree.files.append(tree.file("sub/missing.dll"))
    tree.scan()
    tree.files.pop()
    assert tree.scan() == 0


def test_what_has_become_as_it_was_holds_again(tree: Tree) -> None:
    tree.scan()
    tree.write(tree.site / "own.dll", "22")
    tree.list()
    assert tree.scan() == 0
    tree.write(tree.site / "own.dll", "1")
    tree.list()
    assert tree.scan() == 1


@pytest.mark.parametrize("change", ["content", "time", "gone"])
def test_a_changed_source_matters(change: str, tree: Tree) -> None:
    tree.scan()
    source = tree.site / "__init__.py"
    if change == "gone":
        source.unlink()
    else:
        tree.write(source, "22" if change == "content" else "1", OLD + (change == "time"))
    assert tree.scan() == 0


def test_a_source_that_was_not_there_matters_when_it_appears(tree: Tree) -> None:
    local = tree.site / "_local.py"
    tree.sources = (*tree.sources, str(local))
    tree.rows = [tree.row()]
    assert [tree.scan(), tree.scan()] == [0, 1]
    tree.write(local, "1")
    assert tree.scan() == 0


def test_a_source_that_changed_while_the_run_was_under_way_is_not_relied_on(tree: Tree) -> None:
    soon = time.time() + 60
    os.utime(tree.site / "__init__.py", (soon, soon))
    assert [tree.scan(), tree.scan()] == [0, 0]


@pytest.mark.parametrize("change", ["content", "gone", "beside"])
def test_a_module_outside_of_what_is_scanned_matters(change: str, tree: Tree) -> None:
    tree.scan()
    if change == "content":
        tree.write(tree.outside / "python311.dll", "22")
    elif change == "gone":
        (tree.outside / "python311.dll").unlink()
    else:
        tree.write(tree.outside / "missing.dll", "1", OLD + 1)
    assert tree.scan() == 0


def test_a_module_in_an_archive_is_as_old_as_the_archive(tree: Tree) -> None:
    wheel = tree.outside / "b.whl"
    tree.write(wheel, "1")
    tree.rows = [row(tree.files[0], TEN, module("b.dll", wheel / "b" / "b.dll"))]
    assert [tree.scan(), tree.scan()] == [0, 1]
    tree.write(wheel, "22")
    assert tree.scan() == 0


def test_a_module_under_another_name_than_its_file_matters(tree: Tree) -> None:
    tree.rows = [row(tree.files[0], TEN, module("alias.dll", tree.site / "other.dll"))]
    assert [tree.scan(), tree.scan()] == [0, 1]
    tree.write(tree.site / "other.dll", "22")
    tree.list()
    assert tree.scan() == 0


@pytest.mark.parametrize("said", [{"distribution": "b"}, {"version": "2.0"}, {"architecture": "x86"}, {"kind": "dll"}])
def test_what_else_is_told_of_a_file_matters_if_it_is_told(said: dict[str, Any], tree: Tree) -> None:
    known = {"distribution": "a", "version": "1.0", "architecture": "x64"}
    tree.rows = [tree.rows[0]._replace(file=tree.file("a.pyd", **known))]
    assert [tree.scan(), tree.scan()] == [0, 1]  # the listing says nothing of it
    tree.files[0] = tree.file("a.pyd", **{**known, **said})
    tree.rows = [tree.rows[0]._replace(file=tree.files[0])]
    assert tree.scan() == 0


def test_the_same_content_is_the_same_file_though_its_time_differs(tree: Tree) -> None:
    def hashed(sums: dict[str, str]) -> None:
        tree.files = [tree.file(name, sha256=sums[name]) for name in ("a.pyd", "own.dll")]
        tree.rows = [tree.row()._replace(file=tree.files[0])]

    hashed({"a.pyd": "aa", "own.dll": "bb"})
    assert [tree.scan(), tree.scan()] == [0, 1]
    tree.write(tree.site / "a.pyd", "1", OLD + 5)
    tree.write(tree.site / "own.dll", "1", OLD + 5)
    hashed({"a.pyd": "aa", "own.dll": "bb"})
    assert [tree.scan(), tree.scan()] == [1, 1]
    hashed({"a.pyd": "aa", "own.dll": "cc"})
    assert tree.scan() == 0


def test_another_version_of_the_tool_judges_again(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.scan()
    monkeypatch.setattr(depwalk, "__version__", "9.9")
    assert [tree.scan(), tree.scan()] == [0, 1]
    monkeypatch.undo()
    assert tree.scan() == 1


def test_another_case_is_another_question(tree: Tree) -> None:
    tree.scan()
    tree.case = SEVEN
    tree.rows = [tree.row()]
    assert [tree.scan(), tree.scan()] == [0, 1]


def test_other_options_are_another_question(tree: Tree) -> None:
    tree.scan()
    tree.options = {"dll_dirs": ["C:\\x"]}
    assert [tree.scan(), tree.scan()] == [0, 1]


def test_another_kind_of_unit_is_another_question(tree: Tree) -> None:
    tree.scan()
    tree.unit = Unit(str(tree.site), "directory")
    tree.list()
    tree.rows = [tree.row()]
    assert tree.scan() == 0


@pytest.mark.parametrize(
    "facts",
    [{"basis": "loader"}, {"verdict": None, "basis": None, "unreadable": True}],
    ids=["loader", "refused"],
)
def test_what_the_machine_said_is_asked_again(facts: dict[str, Any], tree: Tree) -> None:
    tree.rows = [tree.row(**facts)]
    assert [tree.scan(), tree.scan()] == [0, 0]


def test_what_is_unreadable_by_its_content_holds(tree: Tree) -> None:
    tree.rows = [tree.row(verdict=None, basis="static", unreadable=True)]
    assert [tree.scan(), tree.scan()] == [0, 1]


@pytest.mark.parametrize("words", [{"windows": "live"}, {"cpu": "live"}, {"python": sys.executable}])
def test_what_depends_on_this_machine_is_asked_again(words: dict[str, str], tree: Tree) -> None:
    tree.case = TEN._replace(**words)
    assert [tree.scan(), tree.scan()] == [0, 0]


def test_a_module_that_could_not_be_read_is_asked_for_again(tree: Tree) -> None:
    tree.rows = [row(tree.files[0], TEN, module("own.dll", tree.site / "own.dll", "blocked"))]
    assert [tree.scan(), tree.scan()] == [0, 0]


def test_what_a_broken_off_run_found_holds_too(tree: Tree) -> None:
    assert [tree.scan("interrupted"), tree.scan()] == [0, 1]


def test_a_run_that_was_not_told_what_is_there_is_not_relied_on(tree: Tree) -> None:
    one_run(tree.path, tree.rows)
    assert tree.scan() == 0


def test_prepare_may_come_after_begin(tree: Tree) -> None:
    reused = []
    for _ in range(2):
        with Database(tree.path) as database:
            database.begin(["x"], [TEN], {})
            earlier = database.earlier()
            earlier.prepare(tree.files)
            found = earlier.find(tree.rows[0].file, TEN)
            reused.append(found is not None)
            database.add(found or tree.rows[0])
            database.finish("complete")
    assert reused == [False, True]


def test_trees_come_on_request(tree: Tree) -> None:
    tree.scan()
    with Database(tree.path) as database:
        earlier = database.earlier({}, trees=True)
        earlier.prepare(tree.files)
        assert earlier.find(tree.files[0], TEN) == tree.rows[0]._replace(reused=True)


@pytest.mark.parametrize("gone", [False, True])
def test_an_extension_module_for_another_python_beside_it_matters(gone: bool, tree: Tree) -> None:
    other = tree.files[0]._replace(path=str(tree.site / "A.cp312-win_amd64.pyd"))
    tree.files += [other] if gone else []
    tree.rows = [Row(tree.files[0], TEN, None, reason="it is for another Python, and another is there")]
    assert [tree.scan(), tree.scan()] == [0, 1]
    tree.files = [file for file in tree.files if file != other] if gone else [*tree.files, other]
    assert tree.scan() == 0


def test_a_dll_that_was_judged_with_a_file_holds_as_long_as_that_does(tree: Tree) -> None:
    dll = tree.file("own.dll")
    part = Row(
        dll, TEN, None, nodes=(module("own.dll", dll.path, depth=0),), reason="judged with a.pyd, which needs it"
    )
    tree.rows.append(part)
    assert [tree.scan(), tree.scan()] == [0, 2]
    tree.write(tree.site / "other.dll", "22")
    tree.list()
    assert tree.scan() == 2
    tree.write(tree.site / "a.pyd", "22")
    tree.list()
    tree.rows[0] = tree.row()
    assert [tree.scan(), tree.scan()] == [0, 2]
    del tree.rows[0]
    tree.files = [file for file in tree.files if not file.path.endswith("a.pyd")]
    assert tree.scan() == 0


def test_a_dll_that_is_for_another_architecture_holds(tree: Tree) -> None:
    tree.rows = [Row(tree.file("own.dll"), TEN, None, reason="it is for x86, which is not what was asked about")]
    assert [tree.scan(), tree.scan()] == [0, 1]


def test_a_file_that_was_not_listed_is_judged_again(tree: Tree) -> None:
    tree.scan()
    tree.files = tree.files[1:]
    assert tree.scan() == 0


# ---- wheels


def scan_wheels(
    path: str, wheels: Sequence[Unit], rows: Sequence[Row], files: Sequence[File] = (), state: str = "complete"
) -> list[bool]:
    """Which of the wheels hold as a whole."""
    reused = []
    time.sleep(0.02)
    with Database(path) as database:
        earlier = database.earlier({})
        earlier.prepare(files, wheels)
        database.begin(["wheels"], [TEN, SEVEN], {})
        for wheel in wheels:
            found = earlier.wheel(wheel, [TEN, SEVEN])
            reused.append(found is not None)
            for one in found if found is not None else [each for each in rows if each.file.unit == wheel]:
                database.add(one)
        database.finish(state)
        assert len(list(database.rows(database.runs()[-1].id))) == len([r for r in rows if r.file.unit in wheels])
    return reused


def wheel_rows(unit: Unit, *needs: Any) -> list[Row]:
    own = os.path.basename(unit.path)[0]
    files = [File(f"{unit.path}/{own}/_{name}.pyd", unit, "extension", 3, 0) for name in (own, own + own)]
    return [row(file, case, *needs) for file in files for case in (TEN, SEVEN)]


ANOTHER = Unit("/wheels/c-1.0-cp311-cp311-win_amd64.whl", "wheel", 7, 8)
PURE = Unit("/wheels/d-1.0-py3-none-any.whl", "wheel", 7, 8)


def test_a_wheel_holds_as_a_whole(path: str) -> None:
    rows = [*wheel_rows(WHEEL), *wheel_rows(ANOTHER)]
    assert scan_wheels(path, [WHEEL, ANOTHER, PURE], rows) == [False, False, False]
    assert scan_wheels(path, [WHEEL, ANOTHER, PURE], rows) == [True, True, True]
    newer = ANOTHER._replace(changed=9)
    rows += wheel_rows(newer)
    assert scan_wheels(path, [WHEEL, newer], rows) == [True, False]


def test_a_wheel_that_was_not_judged_to_its_end_does_not_hold_as_a_whole(path: str) -> None:
    rows = wheel_rows(WHEEL)
    scan_wheels(path, [WHEEL], rows, state="interrupted")
    with Database(path) as database:
        earlier = database.earlier({})
        earlier.prepare([], [WHEEL])
        assert earlier.wheel(WHEEL, [TEN, SEVEN]) is None
        assert all(earlier.find(found.file, found.case) for found in rows)  # its members do, once it was opened


def test_a_wheel_with_a_member_that_was_refused_does_not_hold_as_a_whole(path: str) -> None:
    rows = wheel_rows(WHEEL)
    rows[0] = rows[0]._replace(verdict=None, basis=None, unreadable=True)
    assert [scan_wheels(path, [WHEEL], rows), scan_wheels(path, [WHEEL], rows)] == [[False], [False]]


def test_a_wheel_does_not_hold_in_a_case_that_it_was_not_judged_in(path: str) -> None:
    scan_wheels(path, [WHEEL], wheel_rows(WHEEL))
    with Database(path) as database:
        earlier = database.earlier({})
        earlier.prepare([], [WHEEL])
        assert earlier.wheel(WHEEL, [TEN, TEN_VC]) is None
        assert earlier.wheel(ANOTHER, [TEN]) is None


def test_a_new_wheel_may_have_what_was_missing(path: str) -> None:
    rows = [*wheel_rows(WHEEL, module("missing.dll")), *wheel_rows(ANOTHER)]
    scan_wheels(path, [WHEEL], rows)
    assert scan_wheels(path, [WHEEL, ANOTHER], rows) == [False, False]
    assert scan_wheels(path, [WHEEL, ANOTHER], rows) == [True, True]


def test_a_new_wheel_may_take_the_place_of_one_that_helped(path: str) -> None:
    rows = [*wheel_rows(WHEEL, module("c.dll", WHEEL.path + "/c/c.dll")), *wheel_rows(ANOTHER)]
    scan_wheels(path, [WHEEL, ANOTHER], rows)
    assert scan_wheels(path, [WHEEL, ANOTHER], rows) == [True, True]
    newer = ANOTHER._replace(path="/wheels/c-2.0-cp311-cp311-win_amd64.whl")
    assert scan_wheels(path, [WHEEL, ANOTHER, newer], rows) == [False, True, False]


def test_a_wheel_that_goes_takes_its_names_with_it(path: str) -> None:
    rows = [*wheel_rows(WHEEL, module("_c.pyd", ANOTHER.path + "/c/_c.pyd")), *wheel_rows(ANOTHER)]
    scan_wheels(path, [WHEEL, ANOTHER], rows)
    assert scan_wheels(path, [WHEEL], rows) == [False]


def test_a_wheel_whose_modules_lie_in_a_site_depends_on_it(tree: Tree) -> None:
    rows = wheel_rows(WHEEL, module("own.dll", tree.site / "own.dll"))
    scan_wheels(tree.path, [WHEEL], rows, tree.files)
    assert scan_wheels(tree.path, [WHEEL], rows, tree.files) == [True]
    tree.write(tree.site / "own.dll", "22")
    tree.list()
    assert scan_wheels(tree.path, [WHEEL], rows, tree.files) == [False]


# ---- killed, and two at once

SCAN = """
import sys
from made_rows import TEN, row
from depwalk.bulk.database import Database
from depwalk.bulk.rows import File, Unit
database = Database(sys.argv[1])
database.begin(["x"], [TEN], {})
number = 0
while True:
    for _ in range(300):
        database.add(row(File(f"/x/{number}.pyd", Unit("/x", "site"), "extension", 1, 1), TEN))
        number += 1
    print(number, flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def scan(path: str) -> Iterator[subprocess.Popen[str]]:
    """A scan under way that has added 900 rows: 500 of them are committed."""
    where = os.pathsep.join([str(Path(depwalk.__file__).parents[1]), str(Path(__file__).parent)])
    environment = {**os.environ, "PYTHONPATH": where}
    command = [sys.executable, "-c", SCAN, path]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for _ in range(2):
            process.stdout.readline()
            process.stdin.write("\n")
            process.stdin.flush()
        process.stdout.readline()
        yield process
        process.kill()


def test_a_scan_that_is_killed_leaves_what_was_committed(scan: subprocess.Popen[str], path: str) -> None:
    os.kill(scan.pid, signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
    scan.wait()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    with Database(path) as database:
        rows = list(database.rows(1, trees=True))
        assert 500 <= len(rows) <= 900
        assert [found.file.path for found in rows] == [f"/x/{number}.pyd" for number in range(len(rows))]
        assert [run.state for run in database.runs()] == ["running"]
        database.begin(["x"], [TEN], {})
        assert [(run.state, run.finished) for run in database.runs()] == [("interrupted", ""), ("running", "")]


def test_a_second_scan_at_the_same_time_is_refused(scan: subprocess.Popen[str], path: str) -> None:
    with Database(path) as database:
        with pytest.raises(DatabaseError, match=r"scan\.db: another scan is writing into it$"):
            database.begin(["x"], [TEN], {})
        assert len(list(database.rows(1))) >= 500  # it may be read
        assert [run.state for run in database.runs()] == ["running"]


def test_a_reader_does_not_stop_a_scan(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("depwalk.bulk.database._PATIENCE", 10)
    with Database(path) as database:
        run = database.begin(["x"], [TEN], {})
        with closing(sqlite3.connect(path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM runs").fetchone()
            database.add(row(FILE))
            database.commit()
            database.add(row(MEMBER))
            database.commit()
        database.finish("complete")
    assert len(read(path, run)) == 2


def test_two_that_take_turns_see_what_the_other_wrote(path: str) -> None:
    with Database(path) as first, Database(path) as second:
        for database in (first, second, first):
            database.begin(["x"], [TEN], {})
            database.add(row(FILE))
            database.finish("complete")
        assert len({found.file for run in (1, 2, 3) for found in second.rows(run)}) == 1
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM files").fetchone() == (1,)


def test_a_run_that_is_left_is_interrupted(path: str) -> None:
    def broken_off() -> None:
        with Database(path) as database:
            database.begin(["x"], [TEN], {})
            database.add(row(FILE))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        broken_off()
    with Database(path) as database:
        assert [run.state for run in database.runs()] == ["interrupted"]
        assert len(list(database.rows(1))) == 1


# ---- what cannot be used


def refused(path: object) -> str:
    with pytest.raises(DatabaseError) as caught:
        Database(str(path))
    assert str(caught.value).startswith(f"{path}: ")
    return str(caught.value)[len(f"{path}: ") :]


def test_what_is_no_database_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("some text that is longer than the header of a database\n" * 10, encoding="utf-8")
    before = file.read_bytes()
    assert refused(file) == "is not a database of depwalk"
    assert file.read_bytes() == before


def test_the_database_of_another_program_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "other.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE runs (id)")
    assert refused(file) == "is not a database of depwalk"


@pytest.mark.parametrize(("version", "which"), [(0, "another"), (2, "a newer")])
def test_another_schema_is_refused(version: int, which: str, path: str) -> None:
    Database(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    assert refused(path) == f"was written by {which} version of depwalk (schema {version}; this one reads 1)"


def test_a_directory_is_no_database(tmp_path: Path) -> None:
    assert refused(tmp_path) == "is a directory, not a database"


def test_there_must_be_a_directory_for_it(tmp_path: Path) -> None:
    assert refused(tmp_path / "nowhere" / "scan.db") == "cannot be opened or made"


def test_an_empty_file_becomes_a_database(tmp_path: Path) -> None:
    file = tmp_path / "empty.db"
    file.touch()
    assert len(read(str(file), one_run(str(file), [row(FILE)]))) == 1


def test_a_database_that_cannot_be_written_can_be_read(path: str) -> None:
    run = one_run(path, [row(FILE)])
    os.chmod(path, stat.S_IREAD)
    try:
        try:
            with open(path, "r+b"):
                pytest.skip("this user may write everything")
        except PermissionError:
            pass
        with Database(path) as database:
            assert len(list(database.rows(run))) == 1
            with pytest.raises(DatabaseError, match=r"scan\.db: cannot be written$"):
                database.begin(["x"], [TEN], {})
    finally:
        os.chmod(path, stat.S_IREAD | stat.S_IWRITE)


def test_a_broken_database_is_told(path: str) -> None:
    one_run(path, [row(FILE)])
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8192)
    with pytest.raises(DatabaseError, match=r"scan\.db: "):
        one_run(path, [row(FILE)])


def test_a_run_that_is_not_there_cannot_be_compared(path: str) -> None:
    run = one_run(path, [row(FILE)])
    with Database(path) as database, pytest.raises(DatabaseError, match="has no run 7"):
        database.compare(run, 7)


# ---- comparison


def fails(file: File, case: Case = TEN, dll: str = "x.dll") -> Row:
    return row(file, case, module(dll))


def compared(path: str, before: Sequence[Row], after: Sequence[Row], **states: str) -> dict[str, list[Any]]:
    """What differs: the paths, by kind of difference."""
    first = one_run(path, before, state=states.get("before", "complete"))
    second = one_run(path, after, state=states.get("after", "complete"))
    with Database(path) as database:
        found = database.compare(first, second)
    return {
        kind: [tuple(one and one.file.path for one in pair) for pair in pairs]
        for kind, pairs in found._asdict().items()
        if pairs
    }


def at(name: str, unit: Unit = UNIT) -> File:
    return File(f"{unit.path}/{name}", unit, "extension", 10, 0 if unit.kind == "wheel" else 20)


def test_a_comparison_tells_what_differs(path: str) -> None:
    names = ("broke", "mended", "gone", "other", "same")
    files = {name: at(f"{name}.pyd") for name in names}
    before = [
        row(files["broke"]),
        fails(files["mended"]),
        row(files["gone"]),
        fails(files["other"]),
        fails(files["same"]),
    ]
    after = [fails(files["broke"]), row(files["mended"]), fails(files["other"], dll="y.dll"), fails(files["same"])]
    after += [fails(at("new.pyd")), row(at("new and good.pyd"))]
    both = {name: (file.path, file.path) for name, file in files.items()}
    assert compared(path, before, after) == {
        "broke": [both["broke"]],
        "mended": [both["mended"]],
        "new_failures": [(None, at("new.pyd").path)],
        "gone": [(files["gone"].path, None)],
        "changed": [both["other"]],
    }


def test_a_new_version_of_a_wheel_is_compared_with_the_old_one(path: str) -> None:
    def wheel(name: str) -> Unit:
        return Unit(f"/wheels/{name}.whl", "wheel", 1, 2)

    old = [wheel(f"Num_py-1.{minor}-cp311-cp311-win_amd64") for minor in (9, 10)]
    new, for_x86 = wheel("num.py-2.0-cp311-cp311-win_amd64"), wheel("num.py-2.0-cp311-cp311-win32")
    before = [*(row(at("a/_a.pyd", unit)) for unit in old), row(at("a/_a.pyd", for_x86))]
    after = [fails(at("a/_a.pyd", new)), fails(at("a/_a.pyd", for_x86))]
    assert compared(path, before, after) == {
        "broke": [
            (f"{old[1].path}/a/_a.pyd", f"{new.path}/a/_a.pyd"),
            (f"{for_x86.path}/a/_a.pyd", f"{for_x86.path}/a/_a.pyd"),
        ],
        "gone": [(f"{old[0].path}/a/_a.pyd", None)],
    }


def test_a_site_at_another_place_is_compared_by_paths_within(path: str) -> None:
    moved = Unit("C:\\new\\site-packages", "site")
    after = [fails(File("C:\\new\\site-packages\\a\\_a.pyd", moved, "extension", 1, 2))]
    assert compared(path, [row(at("a/_a.pyd"))], after) == {"broke": [(at("a/_a.pyd").path, after[0].file.path)]}


def test_cases_that_only_one_of_the_runs_has_do_not_differ(path: str) -> None:
    first = one_run(path, [row(FILE), fails(FILE, SEVEN)], [TEN, SEVEN])
    second = one_run(path, [row(FILE), fails(FILE, TEN_VC)], [TEN, TEN_VC])
    with Database(path) as database:
        assert not any(database.compare(first, second))


def test_what_a_broken_off_run_did_not_come_to_is_not_gone(tree: Tree) -> None:
    tree.rows = [fails(file) for file in tree.files]
    tree.scan()
    tree.rows = tree.rows[:1]
    tree.files.pop()
    tree.scan("interrupted")
    with Database(tree.path) as database:
        assert [before.file.path for before, _ in database.compare(1, 2).gone if before] == [
            str(tree.site / "other.dll")
        ]
        assert not any(database.compare(2, 1)._replace(new_failures=()))
        assert len(database.compare(2, 1).new_failures) == 1
