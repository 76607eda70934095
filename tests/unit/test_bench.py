"""The benchmarks' own reckoning: tables, the page they go into, and what they read from others."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

BENCH = Path(__file__).resolve().parents[2] / "bench"
PAGE = "# Title\n\n<!-- table b -->\nold\n<!-- end -->\n\ntext\n\n<!-- table c -->\n<!-- end -->\n"

pytestmark = [
    pytest.mark.skipif(not BENCH.is_dir(), reason="the benchmarks are not in the package"),
    pytest.mark.skipif(sys.platform == "win32", reason="they measure on Linux, by /proc"),
]


@pytest.fixture
def part(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Imports a module of the benchmarks."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCH))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("common", "scanning", "scan"):
            del sys.modules[name]


def test_a_table_is_text_and_markdown(part: Any) -> None:
    table = part("common").Table(("name", "s"), title="Seconds", notes=["A note."])
    table.add("a|b", 1.5)
    assert table.text() == "Seconds\nname    s\n----  ---\na|b   1.5\nA note."
    assert table.markdown() == "Seconds:\n\n| name | s |\n| --- | ---: |\n| a\\|b | 1.5 |\n\nA note."


def test_a_table_replaces_what_stands_between_its_marks(part: Any) -> None:
    once = part("common").replaced(PAGE, "b", "new")
    assert once == PAGE.replace("\nold\n", "\n\nnew\n\n")
    assert part("common").replaced(once, "b", "new") == once


def test_a_page_without_the_marks_is_refused(part: Any) -> None:
    with pytest.raises(ValueError, match="table x"):
        part("common").replaced(PAGE, "x", "new")


def test_the_page_has_a_place_for_every_part(part: Any) -> None:
    page = (BENCH.parent / "docs" / "performance.md").read_text("utf-8")
    for key in part("scan").PARTS:
        part("common").replaced(page, key, "")


def test_ratios_have_two_digits_that_matter(part: Any) -> None:
    assert [part("common").times(ratio) for ratio in (0.083, 3.14, 24.4)] == ["0.08x", "3.1x", "24x"]


def test_a_stage_is_that_of_the_innermost_function_which_belongs_to_one(part: Any) -> None:
    stage_of = part("scanning.stages").stage_of
    assert stage_of(["files", "image", "graph", "bulk/judge"]) == "reading images"
    assert stage_of(["target/windows", "diagnosis/missing", "result"]) == "diagnosis"
    assert stage_of(["files", "bulk/collect", "bulk", "cli/scan"]) == "listing files"
    assert stage_of(["bulk/work"]) == "rows"
    assert stage_of(["tables"]) == "the rest"


def test_every_stage_is_a_module_that_exists(part: Any) -> None:
    package = BENCH.parent / "depwalk"
    for module in part("scanning.stages").STAGES:
        assert (package / module).is_dir() or (package / f"{module}.py").is_file(), module


def test_what_delvewheel_says(part: Any) -> None:
    output = """Analyzing x-1.0-cp311-cp311-win_amd64.whl

The following DLLs will be copied into the wheel.
    MSVCP140.dll (Error: Not Found)
    other.dll (/somewhere/other.dll)

The following DLLs are already in the wheel and will not be copied.
    inside.pyd (x-1.0-cp311-cp311-win_amd64.whl/x/inside.pyd)

The following DLLs are assumed to be present in the end user's environment and will not be copied into the wheel.
    kernel32.dll
    None

Warning: At least one dependent DLL needs to be copied into the wheel but was not found.
"""
    assert part("scanning.beside_delvewheel").told_by_delvewheel(output) == {
        "msvcp140.dll": "to be copied, not found",
        "other.dll": "to be copied",
        "inside.pyd": "in the wheel",
        "kernel32.dll": "assumed present",
    }


def test_environments_are_made_of_whole_distributions(part: Any, tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name, count in (("small", 1), ("large", 3)):
        names = [f"{name}/{number}.pyd" for number in range(count)] + [f"{name}/__init__.py"]
        for file in names:
            (site / file).parent.mkdir(parents=True, exist_ok=True)
            (site / file).write_bytes(b"")
        folder = site / f"{name}-1.dist-info"
        folder.mkdir()
        (folder / "RECORD").write_text("".join(f"{file},,\n" for file in [*names, "../gone.exe"]), "utf-8")
    environments = part("scanning.environments").Environments(site, tmp_path / "made")
    assert environments.total == 4
    for asked, (places, files) in {2: (1, 1), 4: (1, 4), 8: (2, 8), 9: (3, 9)}.items():
        paths, count = environments.of(asked)
        assert (len(paths), count) == (places, files)
        assert sum(len(list(Path(path).rglob("*.pyd"))) for path in paths) == files


def test_the_picture_is_xml_with_a_line_for_each(part: Any) -> None:
    from xml.etree import ElementTree as ET

    picture = part("scanning.plot").svg({"one": [(100, 3.0), (1000, 4.0)], "two": [(100, 2.5)]}, "ms", "files")
    drawn = ET.fromstring(picture)
    circles = [element for element in drawn.iter() if element.tag.endswith("circle")]
    assert len(circles) == 3
