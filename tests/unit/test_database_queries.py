"""Every query of docs/database.md, on a database in which its answer is known."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from made_rows import SEVEN, TEN, TEN_VC, module, row

import depwalk
from depwalk.bulk.database import Database
from depwalk.bulk.rows import File, Unit
from depwalk.finding import Finding

PAGE = Path(__file__).resolve().parents[2] / "docs" / "database.md"
SCHEMA = Path(depwalk.__file__).parent / "data" / "scan.sql"
SITE = Unit("/site-packages", "site")


def file(name: str, distribution: str, **facts: Any) -> File:
    kind = "extension" if name.endswith(".pyd") else "dll"
    return File(f"{SITE.path}/{name}", SITE, kind, 10, 20, distribution=distribution, version="1.0", **facts)


BLUE, GREEN, RED = file("blue/_blue.pyd", "blue"), file("green/_green.pyd", "green"), file("red/_red.pyd", "red")
RED_DLL, OPENMP = file("red/msvcp140.dll", "red"), file("blue/libiomp5md.dll", "blue")
FILES = [BLUE, GREEN, RED, RED_DLL, OPENMP]
OLD_RED = RED._replace(changed=19)

AVX = Finding("cpu-feature-missing", "error", "_blue.pyd", "_blue.pyd runs AVX instructions while it is loaded.")
AVX_NOTE = AVX._replace(severity="note")
WRONG = Finding("wrong-wheel", "error", "_green.pyd", "green 1.0 says that it is for this Python.")


def fill(path: Path) -> None:
    """Two runs. In the first, red loaded on Windows 10."""
    own = module("msvcp140.dll", RED_DLL.path, version="14.20")
    vc, late = module("MSVCP140_1.dll"), module("Cuda.dll", delayed=True)
    openmp = module("libiomp5md.dll", OPENMP.path, version="5.0")
    with_vc = module("MSVCP140_1.dll", "C:\\Windows\\System32\\msvcp140_1.dll")
    api = (module("ucrtbase.dll"), {"name": "api-ms-win-crt-heap-l1-1-0.dll"})
    twice = (module("libiomp5md.dll"), {})  # there, but not where it is looked for
    green = row(GREEN, TEN, twice)
    rows = [
        row(BLUE, SEVEN, vc, openmp, api),
        row(BLUE, TEN, vc, openmp, findings=(AVX,)),
        row(BLUE, TEN_VC, with_vc, openmp, findings=(AVX_NOTE,)),
        row(GREEN, SEVEN, twice),
        green._replace(findings=(WRONG, *green.findings)),
        row(GREEN, TEN_VC, twice, findings=(AVX_NOTE,)),
        row(RED, SEVEN, own, vc),
        row(RED, TEN, own, vc, late),
        row(RED, TEN_VC, own, with_vc, late),
        *(row(OPENMP, case, file_version="5.0") for case in (SEVEN, TEN, TEN_VC)),
        *(row(RED_DLL, case, file_version="14.20") for case in (TEN, TEN_VC)),
        row(RED_DLL, SEVEN, module("gone.dll"), file_version="14.20"),
    ]
    with Database(str(path)) as database:
        for number, found in enumerate(([row(OLD_RED, TEN, own), row(OLD_RED, SEVEN, vc)], rows)):
            database.earlier({}).prepare(FILES if number else [OLD_RED])
            database.begin([SITE.path], [SEVEN, TEN, TEN_VC], {})
            for one in found:
                database.add(one)
            database.finish("complete")
        database.begin([SITE.path], [TEN], {})  # a third is broken off: it is not looked at while it runs
        database.add(row(GREEN))
        database.commit()


ANSWERS: dict[str, list[tuple[Any, ...]]] = {
    "Which distributions import MSVCP140_1.dll?": [("blue", 1), ("red", 1)],
    "Which files fail on Windows 7 and load on Windows 10?": [(RED_DLL.path,)],
    "Which files load once the Visual C++ redistributable is installed?": [(BLUE.path, "10"), (RED.path, "10")],
    "Which missing DLL breaks most extension modules?": [
        ("msvcp140_1.dll", 2),
        ("libiomp5md.dll", 1),
        ("ucrtbase.dll", 1),
    ],
    "Which files need a DLL that no scanned file supplies?": [
        (BLUE.path, "msvcp140_1.dll"),
        (BLUE.path, "ucrtbase.dll"),
        (RED.path, "msvcp140_1.dll"),
        (RED_DLL.path, "gone.dll"),
    ],
    "What did the last run break?": [
        (RED.path, "Windows 10", "_red.pyd needs MSVCP140_1.dll, which is not there."),
    ],
    "Which distributions need AVX?": [("blue", "error", 1)],
    "Who ships a copy of msvcp140.dll or libiomp5md.dll, and in which version?": [
        ("blue", "libiomp5md.dll", "5.0", OPENMP.path),
        ("red", "msvcp140.dll", "14.20", RED_DLL.path),
    ],
    "Which wheels have files that do not fit their tags?": [("green", "1.0", GREEN.path, WRONG.message)],
    "Which files will fail later, at the first call into a delay-loaded DLL?": [
        (RED.path, "cuda.dll", "Windows 10 with the Visual C++ runtime"),
    ],
}


def queries() -> dict[str, list[str]]:
    """The queries of the page, by the heading that they stand under."""
    found: dict[str, list[str]] = {}
    for section in re.split(r"^#+ ", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        found[heading] = re.findall(r"^```sql\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return {heading: texts for heading, texts in found.items() if texts}


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("queries") / "scan.db"
    fill(path)
    with closing(sqlite3.connect(path)) as connection:  # the third run is one that was killed
        connection.execute("UPDATE runs SET state = 'running' WHERE id = 3")
        connection.commit()
    return path


def test_every_query_has_an_answer_here() -> None:
    assert list(queries()) == list(ANSWERS)
    assert all(len(texts) == 1 for texts in queries().values())


@pytest.mark.parametrize("heading", ANSWERS)
def test_a_query_answers_its_heading(heading: str, path: Path) -> None:
    (query,) = queries()[heading]
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(query).fetchall() == ANSWERS[heading]


def test_the_page_names_every_table_and_view(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type <> 'index'")]
    page = PAGE.read_text("utf-8")
    assert [name for name in names if f"`{name}`" not in page] == []


def test_the_schema_explains_every_table_and_every_view() -> None:
    lines = SCHEMA.read_text("utf-8").splitlines()
    above = [lines[number - 1] for number, line in enumerate(lines) if re.match("CREATE (TABLE|VIEW)", line)]
    assert [line for line in above if not line.startswith("-- ")] == []
