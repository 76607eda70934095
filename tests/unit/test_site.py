"""The documentation site: what is generated is whole, and every link leads somewhere.

The site itself is built by ci/run.py, strictly; for these tests mkdocs need not be there.
"""

from __future__ import annotations

import argparse
import json
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import written
from test_floors import FLOORS

import depwalk

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the pages are the same, and built on one system")

DATA = Path(depwalk.__file__).parent / "data"
TEXTS = written.texts()
SITE = (written.CHECKOUT / "mkdocs.yml").read_text("utf-8")
SOURCES = "https://sources.example/"


# ---- links


@pytest.mark.parametrize("page", TEXTS)
def test_every_link_leads_somewhere(page: str) -> None:
    for link in written.links(TEXTS[page]):
        name, _, anchor = link.partition("#")
        there = (written.CHECKOUT / page).parent.joinpath(name).resolve() if name else written.CHECKOUT / page
        assert there.exists(), link
        if anchor:
            assert anchor in written.anchors(TEXTS[there.relative_to(written.CHECKOUT).as_posix()]), link


SECTION = """\
## thing

What it does.

```text
depwalk x  an example
```

Usage: `depwalk [-h] [-t S] [--most N] [--all] [--form {text,json}] THING [THING ...]`

| option | what it does | default |
| --- | --- | --- |
| `THING` | a thing, or `--all` |  |

**How long**

| option | what it does | default |
| --- | --- | --- |
| `-t`, `--timeout S` | seconds it may take | 30 |
| `--most N` | of them | as many as pay |
| `--all` | of every list |  |
| `--form text|json` | one of `text`, `json` | text |"""


def on_site(markdown: str, page: str) -> str:
    """What the hook makes of a page."""
    given = SimpleNamespace(file=SimpleNamespace(src_uri=page))
    text: str = written.pages.on_page_markdown(markdown, given, SimpleNamespace(extra={"sources": SOURCES}))
    return text


def test_a_link_out_of_the_documentation_leads_to_the_sources() -> None:
    assert on_site("[a](../CONTRIBUTING.md#the-house)", "x.md") == f"[a]({SOURCES}CONTRIBUTING.md#the-house)"
    assert on_site("[a](../../ci/run.py)", "findings/x.md") == f"[a]({SOURCES}ci/run.py)"


def test_a_link_within_the_documentation_stays() -> None:
    assert on_site("[a](../scan.md)", "findings/x.md") == "[a](../scan.md)"


def test_a_link_to_nothing_stays_so_that_the_build_tells_of_it() -> None:
    assert on_site("[a](../nothing.md)", "x.md") == "[a](../nothing.md)"


def test_a_mark_that_nothing_makes_is_an_error() -> None:
    with pytest.raises(KeyError):
        on_site("<!-- generated: nothing -->", "x.md")


# ---- what is generated


def test_all_that_can_be_generated_is_on_some_page() -> None:
    marks = {
        mark for page in written.DOCS.rglob("*.md") for mark in written.pages.MARK.findall(page.read_text("utf-8"))
    }
    assert marks == set(written.pages.GENERATED)


def test_every_finding_is_in_the_table_with_what_its_page_says_first() -> None:
    rows = re.findall(r"^\| \[`([\w-]+)`\]\(\1\.md\) \| (.*) \|$", TEXTS["docs/findings/index.md"], re.MULTILINE)
    assert {code for code, _ in rows} == set(written.pages.finding_pages())
    for code, meaning in rows:
        assert meaning.endswith(".")
        assert meaning in " ".join(TEXTS[f"docs/findings/{code}.md"].split())


def test_every_finding_is_in_the_navigation() -> None:
    config = SimpleNamespace(nav=[{"Start": []}, {"Findings": []}])
    written.pages.on_config(config)
    assert config.nav[1]["Findings"] == [
        "findings/index.md",
        *(f"findings/{code}.md" for code in sorted(written.pages.finding_pages())),
    ]


def test_every_page_is_in_the_navigation() -> None:
    pages = {page.relative_to(written.DOCS).as_posix() for page in written.DOCS.rglob("*.md")}
    assert {page for page in pages if not page.startswith("findings/")} == set(re.findall(r"[\w/-]+\.md", SITE))


def test_every_command_has_a_section() -> None:
    assert sorted(written.pages.commands()) == ["", "cpu", "run", "scan"]


@pytest.mark.parametrize("name", written.pages.commands())
def test_every_option_of_a_command_is_in_its_section(name: str) -> None:
    parser = written.pages.commands()[name]
    section = written.pages.command_section(name, parser)
    options = re.findall(r"^ +(--?[a-z-]+)", parser.format_help(), re.MULTILINE)
    assert len(options) > 3
    assert [option for option in options if option != "-h" and f"| `{option}" not in section] == []


def test_an_option_is_told_with_what_it_takes_and_its_default() -> None:
    parser = argparse.ArgumentParser(prog="depwalk", description="What it does.\n\n  depwalk x  an example")
    parser.add_argument("things", metavar="THING", nargs="+", help="a thing, or --all")
    group = parser.add_argument_group("how long")
    group.add_argument("-t", "--timeout", metavar="S", type=float, default=30.0, help="seconds it may take")
    group.add_argument("--most", metavar="N", help="of them (default: as many as pay)")
    group.add_argument("--all", action="store_true", help="of every list")
    group.add_argument("--form", choices=("text", "json"), help="default: text")
    assert written.pages.command_section("thing", parser) == SECTION


def names(schema: Any, name: str = "") -> Iterator[str]:
    """Every key of a schema as the page writes it."""
    for key, below in schema.get("properties", {}).items():
        inner = f"{name}.{key}" if name else key
        yield inner
        while "items" in below:
            below, inner = below["items"], f"{inner}[]"  # noqa: PLW2901  (down to what is in the list)
        yield from names(below, inner)


@pytest.mark.parametrize(
    ("name", "mark", "told"),
    [("schema.json", "report keys", ()), ("scan.schema.json", "scan keys", ("tool", "findings", "edges"))],
)
def test_every_key_is_told(name: str, mark: str, told: tuple[str, ...]) -> None:
    schema = json.loads((DATA / name).read_text("utf-8"))
    text = written.pages.GENERATED[mark]()
    keys = [key for key in names(schema) if not key.startswith(told or "-")]
    groups = {key.split(".")[0].split("[")[0] for key in keys if "." in key}
    assert [key for key in keys if key not in groups and f"| `{key}` |" not in text] == []
    for key in told:
        assert f"### {key} of a scan\n\nAs [in a report](#{key})." in text


@pytest.mark.parametrize("mark", ["report keys", "scan keys"])
def test_every_key_has_a_meaning(mark: str) -> None:
    assert re.findall(r"^\| `.*\|  \|$", written.pages.GENERATED[mark](), re.MULTILINE) == []


@pytest.mark.parametrize("name", ["schema.json", "scan.schema.json"])
def test_every_key_is_always_there_as_the_page_says(name: str) -> None:
    def optional(schema: Any) -> Iterator[str]:
        yield from set(schema.get("properties", {})) - set(schema.get("required", ()))
        for below in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])):
            yield from optional(below)

    assert list(optional(json.loads((DATA / name).read_text("utf-8")))) == []


def test_every_column_of_the_database_is_told() -> None:
    text = written.pages.database()
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript((DATA / "scan.sql").read_text("utf-8"))
        made = connection.execute("SELECT type, name FROM sqlite_master WHERE type <> 'index'").fetchall()
        for kind, name in made:
            section = text.partition(f"### {name}\n")[2].partition("\n### ")[0]
            for _, column, *_ in connection.execute(f"PRAGMA table_info({name})"):
                assert (f"\n| `{column}` |" if kind == "table" else f"`{column}`") in section, (name, column)


def test_the_drawing_of_the_house_has_its_rooms_on_their_floors() -> None:
    picture = (written.DOCS / "pictures" / "house.svg").read_text("utf-8")
    rooms = [room for label in re.findall(r'class="n"[^>]*>([^<]*)<', picture) for room in label.split(", ")]
    assert rooms == sorted(rooms, key=FLOORS.index)


# ---- the site needs nothing from elsewhere


def test_the_theme_asks_no_server_for_anything() -> None:
    settings = dict(re.findall(r"^ *([a-z_]+): (.+)$", SITE, re.MULTILINE))
    assert settings["font"] == "false"
    assert not {"repo_url", "analytics", "site_url"} & set(settings)
