"""Each case of the catalogue is reproduced here, or says why not; and each reproduction gives its cause."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import catalogue
import pytest
from animals import RUN_TIME, assumed_target, rows, target_path

import depwalk
from depwalk.result import diagnose

CASES = catalogue.cases()
REPRODUCED_AT_LEAST = 60
VERSIONS = {"windows": "10", "windows_7": "7", "windows_11": "11"}  # whose expectation a key of a recipe is
KEYS = {"what", "threads", "grade", "finding"}

ANIMALS = [pytest.param(animal, id=animal["name"]) for animal in catalogue.animals() if animal.get("cases")]
BUILT = [pytest.param(animal, id=animal["name"]) for animal in rows() if animal["cases"]]
NEAR_MISSES = [pytest.param(animal, id=animal["name"]) for animal in rows() if animal["near_miss"]]
WHEELS = [pytest.param(row, id=row["shows"]) for row in catalogue.verdicts() if row.get("cases")]
REPLAYS = [pytest.param(test, id=test.name) for test in catalogue.replays()]


def finding_of(case: str) -> str:
    """The code of a case, which there must be."""
    assert case in CASES
    return str(CASES[case]["finding"])


def failing(animal: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The Windows for which the recipe expects what its cases have, and that expectation."""
    wanted = {finding_of(case) for case in animal["cases"]}
    found = [(version, animal[key]) for key, version in VERSIONS.items() if key in animal]
    fitting = [(version, told) for version, told in found if told.get("finding", "") in wanted]
    assert fitting, f"expected of {animal['name']}: {found}; of its cases: {wanted}"
    return fitting[0]


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_case_is_reproduced_or_says_why_not(case: str) -> None:
    shown = list(catalogue.reproductions(case))
    assert bool(shown) != ("why_not" in CASES[case]), shown or "nothing"


@pytest.mark.parametrize("case", sorted(CASES))
def test_a_case_tells_what_was_seen_and_where(case: str) -> None:
    told = CASES[case]
    schema = json.loads((Path(depwalk.__file__).parent / "data" / "schema.json").read_text("utf-8"))
    codes = schema["properties"]["findings"]["items"]["properties"]["code"]["enum"]
    assert KEYS <= set(told) <= KEYS | {"why_not"}
    assert told["grade"] in ("confirmed", "reported", "inferred")
    assert told["finding"] in ["", *codes]
    assert told["threads"]
    assert [thread for thread in told["threads"] if not re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", thread)] == []


@pytest.mark.parametrize("animal", ANIMALS)
def test_an_animal_expects_the_finding_of_its_cases(animal: dict[str, Any]) -> None:
    _, expected = failing(animal)
    assert {finding_of(case) for case in animal["cases"]} == {expected.get("finding", "")}


@pytest.mark.parametrize("animal", BUILT)
def test_what_is_predicted_first_of_an_animal_is_the_finding_of_its_cases(animal: dict[str, Any]) -> None:
    version, expected = failing(animal)
    if expected["finding"] in RUN_TIME:
        pytest.skip("only a load shows it")
    found = diagnose(target_path(animal), lambda _: assumed_target(animal, version), load=False).findings
    codes = [(finding.severity, finding.code) for finding in found]
    if not expected["finding"]:
        assert codes == []
        return
    assert codes[0] == ("error" if expected["verdict"] == "fails" else "warning", expected["finding"])


@pytest.mark.parametrize("animal", NEAR_MISSES)
def test_a_near_miss_is_not_called_what_it_resembles(animal: dict[str, Any]) -> None:
    found = diagnose(target_path(animal), lambda _: assumed_target(animal, "10"), load=False).findings
    assert [finding for finding in found if finding.code == animal["near_miss"] and finding.severity != "note"] == []


@pytest.mark.parametrize("verdict", WHEELS)
def test_a_wheel_is_judged_by_the_finding_of_its_cases(verdict: dict[str, Any]) -> None:
    assert {finding_of(case) for case in verdict["cases"]} == {verdict["finding"]}


@pytest.mark.parametrize("test", REPLAYS)
def test_a_replay_asks_for_the_cause_of_its_case(test: catalogue.Test) -> None:
    loads = {case for case in test.cases if not finding_of(case)}
    assert test.named == test.cases
    assert test.asks or test.cases == loads


def test_most_cases_are_reproduced() -> None:
    assert sum(any(catalogue.reproductions(case)) for case in CASES) >= REPRODUCED_AT_LEAST
