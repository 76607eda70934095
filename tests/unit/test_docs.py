"""The documentation tells what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from from_ci import load

import depwalk
from depwalk import cpu, tables

PACKAGE = Path(depwalk.__file__).parent
CHECKOUT = Path(__file__).resolve().parents[2]
PAGES = {page.stem: page.read_text("utf-8") for page in (CHECKOUT / "docs" / "findings").glob("*.md")}
del PAGES["index"]


def known_codes() -> set[str]:
    schema = json.loads((PACKAGE / "data" / "schema.json").read_text("utf-8"))
    return set(schema["properties"]["findings"]["items"]["properties"]["code"]["enum"])


def produced_codes() -> set[str]:
    """Codes that stand in the source of the diagnosis, or in the table of the loader's codes."""
    known = known_codes()
    source = "\n".join(path.read_text("utf-8") for path in (PACKAGE / "diagnosis").glob("*.py"))
    quoted = set(re.findall(r'"([a-z]+(?:-[a-z]+)*)"', source)) & known
    return quoted | {row["finding"] for row in tables.table("codes.toml")["win32"].values() if row.get("finding")}


def test_every_finding_that_is_produced_has_a_page() -> None:
    assert produced_codes() - set(PAGES) == set()


def test_every_page_is_of_a_finding_that_is_produced() -> None:
    assert set(PAGES) - produced_codes() == set()


@pytest.mark.parametrize("code", sorted(PAGES))
def test_a_page_tells_what_it_means_how_depwalk_knows_and_what_to_do(code: str) -> None:
    headings = re.findall(r"^#+ (.*)$", PAGES[code], re.MULTILINE)
    assert headings[:3] == [code, "How depwalk knows", "What to do"]


def options() -> str:
    """The help of every command."""
    from depwalk import cli

    return "".join(cli.parser_of(name)[0].format_help() for name in ("", *cli.COMMANDS))


def test_every_option_of_the_readme_exists() -> None:
    readme = (CHECKOUT / "README.md").read_text("utf-8")
    text = options()
    assert [option for option in re.findall(r"`(--[a-z-]+)", readme) if option not in text] == []


def test_the_page_of_the_processor_lists_every_model_with_its_level() -> None:
    also = tables.table("cpu.toml")["also"]
    rows = []
    for name in cpu.models():
        if name not in also:
            second = ", ".join(f"`{other}`" for other in also if also[other] == name)
            what = tables.path("cpus", f"{name}.txt").read_text("ascii").splitlines()[0].removeprefix("# ")
            rows.append(f"| `{name}` | {second} | {what} | {cpu.named(name).level() or 'none'} |")
    page = (CHECKOUT / "docs" / "cpu.md").read_text("utf-8")
    assert page.partition("| model | also | processor | level |\n|---|---|---|---|\n")[2].splitlines() == rows


def test_every_option_of_the_page_of_the_processor_exists() -> None:
    page = (CHECKOUT / "docs" / "cpu.md").read_text("utf-8")
    text = options()
    assert [option for option in re.findall(r"(?<=[ `])(--[a-z-]+)", page) if option not in text] == []


def test_the_page_of_the_cases_is_current() -> None:
    written = (CHECKOUT / "docs" / "cases.md").read_text("utf-8")
    assert written == load("cases").page(), "python3 ci/run.py cases writes it"
