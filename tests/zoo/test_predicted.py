"""What depwalk predicts for each animal is what the specification says of Windows."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from animals import RUN_TIME, assumed_target, folder, rows, target_path

from depwalk import image
from depwalk.finding import Finding, Remedy
from depwalk.report import text
from depwalk.result import diagnose

if TYPE_CHECKING:
    from depwalk.result import Result

VERSIONS = [("10", "windows"), ("7", "windows_7"), ("11", "windows_11")]


def predict(animal: dict[str, Any], version: str) -> Result:
    return diagnose(target_path(animal), lambda _: assumed_target(animal, version), load=False)


def expected_verdict(expected: dict[str, Any]) -> str:
    return "loads" if expected.get("finding") in RUN_TIME else str(expected["verdict"])


EXPECTATIONS = [
    pytest.param(animal, version, animal[key], id=f"{animal['name']}-{version}")
    for animal in rows()
    for version, key in VERSIONS
    if key in animal
]
CHOICES = [pytest.param(animal, id=animal["name"]) for animal in rows() if animal["windows"].get("found")]


@pytest.mark.parametrize(("animal", "version", "expected"), EXPECTATIONS)
def test_prediction_is_what_the_specification_says(
    animal: dict[str, Any], version: str, expected: dict[str, Any]
) -> None:
    if not os.path.exists(target_path(animal)) or is_no_image(animal):
        with pytest.raises(image.UnreadableFile):
            image.read(target_path(animal))
        return
    result = predict(animal, version)

    assert result.verdict == expected_verdict(expected), [finding.message for finding in result.findings]
    if expected.get("finding") and expected["finding"] not in RUN_TIME:
        found = [finding for finding in result.findings if finding.code == expected["finding"]]
        assert found, [(finding.code, finding.module, finding.message) for finding in result.findings]
        assert found[0].module.lower() == expected["module"].lower()
        if expected.get("needed_by"):
            assert found[0].needed_by.lower() == os.path.basename(expected["needed_by"]).lower()
        if expected.get("symbol"):
            assert expected["symbol"] in found[0].message + " ".join(found[0].evidence)
    if expected["verdict"] == "loads":
        assert not [finding for finding in result.findings if finding.severity == "error"]


@pytest.mark.parametrize("animal", CHOICES)
def test_each_dll_is_taken_from_where_the_specification_says(animal: dict[str, Any]) -> None:
    places = animal["windows"]["found"]
    result = predict(animal, "10")
    paths = {module.name.lower(): module.path for module in result.graph.modules}
    for name, place in places.items():
        taken = paths.get(name.lower()) or ""
        inside = os.path.normcase(taken).startswith(os.path.normcase(str(folder(animal))))
        actual = os.path.relpath(taken, folder(animal)).replace(os.sep, "/") if inside else ""
        assert actual.lower() == place.lower()


@pytest.mark.parametrize(("animal", "version", "expected"), EXPECTATIONS)
def test_each_cause_is_told_in_five_lines_of_80_columns(
    animal: dict[str, Any], version: str, expected: dict[str, Any]
) -> None:
    if expected.get("finding") in (None, *RUN_TIME) or not os.path.exists(target_path(animal)) or is_no_image(animal):
        return
    result = predict(animal, version)
    findings = tuple(in_a_short_directory(finding, str(folder(animal))) for finding in result.findings)
    page = "\n".join(line.text for line in text.render(replace(result, findings=findings)))
    causes = re.findall(r"^(?:ERROR|WARNING|NOTE) [^\n]*(?:\n [^\n]*)*", page, re.MULTILINE)
    assert len(causes) == len(findings)
    assert [cause for cause in causes if cause.count("\n") >= 5] == []


def in_a_short_directory(finding: Finding, place: str) -> Finding:
    """A finding as if the animal lived where paths are as long as those of people."""

    def moved(words: str) -> str:
        return words.replace(place, os.path.join("C:", "app"))

    remedy = finding.remedy and Remedy(*map(moved, (finding.remedy.text, finding.remedy.command, finding.remedy.url)))
    facts = tuple(map(moved, finding.evidence))
    return finding._replace(message=moved(finding.message), evidence=facts, remedy=remedy)


def is_no_image(animal: dict[str, Any]) -> bool:
    with open(target_path(animal), "rb") as file:
        return file.read(2) != b"MZ"
