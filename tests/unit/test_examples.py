"""docs/examples: what ci/run.py examples wrote is whole, and its forms say the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import jsonschema
import pytest

import depwalk

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
SCHEMA = json.loads((Path(depwalk.__file__).with_name("data") / "schema.json").read_text("utf-8"))
NAMES = sorted(path.stem for path in EXAMPLES.glob("*.json"))
EVERY_EXAMPLE = pytest.mark.parametrize("name", NAMES)


def test_there_are_ten() -> None:
    assert len(NAMES) == 10


@EVERY_EXAMPLE
def test_its_json_follows_the_schema_of_today(name: str) -> None:
    jsonschema.validate(json.loads((EXAMPLES / f"{name}.json").read_text("utf-8")), SCHEMA)


@EVERY_EXAMPLE
def test_its_forms_say_the_same(name: str) -> None:
    found = json.loads((EXAMPLES / f"{name}.json").read_text("utf-8"))
    words = {"loads": " loads", "fails": " does NOT load"}[found["verdict"]]
    for suffix in ("txt", "html"):
        page = (EXAMPLES / f"{name}.{suffix}").read_text("utf-8")
        assert words in page
        assert [one["code"] for one in found["findings"] if one["code"] not in page] == []
    assert [one["name"] for one in found["modules"] if one["name"] not in page] == []


@EVERY_EXAMPLE
def test_it_begins_with_the_command_and_names_no_place_of_the_machine_that_made_it(name: str) -> None:
    page = (EXAMPLES / f"{name}.txt").read_text("utf-8")
    assert page.startswith("python -m depwalk C:\\")
    assert "Z:\\" not in page
    assert "/root" not in page


@pytest.mark.parametrize("name", [*NAMES, "scan"])
def test_its_page_has_the_style_and_the_script_of_today(name: str) -> None:
    page = (EXAMPLES / f"{name}.html").read_text("utf-8")
    for part in ("page.css", "page.js"):
        source = (Path(depwalk.__file__).with_name("data") / "html" / part).read_text("utf-8")
        assert source.strip() in page, "python3 ci/run.py examples makes it anew"


def test_each_picture_shows_the_page_of_today() -> None:
    pictures = EXAMPLES.parent / "pictures"
    for line in (pictures / "reports.sha256").read_text("utf-8").splitlines():
        digest, name = line.split()
        assert (pictures / f"report-{name}.png").is_file()
        assert hashlib.sha256((EXAMPLES / f"{name}.html").read_bytes()).hexdigest() == digest
