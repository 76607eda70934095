"""On an emulated Nehalem: each animal whose code needs a processor loads, or fails, as its recipe and depwalk say."""

from __future__ import annotations

import os
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pytest
from animals import assumed_target, on_wine, rows, target_path

from depwalk import cpu
from depwalk.cli.options import machine
from depwalk.result import diagnose
from depwalk.target.choose import Choice, choose

if TYPE_CHECKING:
    from depwalk.result import Result

pytestmark = pytest.mark.skipif("DEPWALK_CPU" not in os.environ, reason="needs a bed with another processor")

ILLEGAL_INSTRUCTION = 0xC000001D
# Wine answers IsProcessorFeaturePresent from memory that its server filled, on the machine's own processor.
OF_THE_MACHINE = "avx-guarded-windows"
ANIMALS = [  # 32-bit programs are not emulated
    row
    for row in rows()
    if row["processor"] and row["arch"] == "x64" and not (on_wine() and row["name"].startswith(OF_THE_MACHINE))
]
LOADED: dict[str, Result] = {}


def load(animal: dict[str, Any]) -> Result:
    """Load an animal, once for all tests."""
    if animal["name"] not in LOADED:
        LOADED[animal["name"]] = diagnose(target_path(animal), lambda file: choose(file, Choice(), machine()))
    return LOADED[animal["name"]]


def really(animal: dict[str, Any]) -> dict[str, Any]:
    """What happens here: the recipe's answer of a processor that lacks what the animal shows."""
    answer: dict[str, Any] = animal["wine"] if on_wine() else animal["windows"]
    return answer


def test_the_processor_has_nothing_of_what_the_animals_show() -> None:
    here = cpu.live()
    shown = {animal["processor"]["set"] for animal in ANIMALS if "set" in animal["processor"]}
    assert here is not None
    assert len(shown) >= 5
    assert [name for name in shown if here.feature(name).in_cpu] == []


@pytest.mark.parametrize("animal", ANIMALS, ids=itemgetter("name"))
def test_what_really_happens_is_what_the_recipe_says(animal: dict[str, Any]) -> None:
    expected = really(animal)
    result = load(animal)

    assert result.load is not None
    assert (result.verdict, result.load.code) == (expected["verdict"], expected["code"]), result.load


@pytest.mark.parametrize(
    "animal", [row for row in ANIMALS if really(row)["verdict"] == "fails"], ids=itemgetter("name")
)
def test_a_failure_is_explained_by_the_instruction_set(animal: dict[str, Any]) -> None:
    result = load(animal)
    first = result.findings[0]

    assert result.load is not None
    assert result.load.code == ILLEGAL_INSTRUCTION
    assert (first.code, first.severity, first.module) == ("cpu-feature-missing", "error", "user.pyd")
    assert cpu.label(animal["processor"]["set"]) in first.message


@pytest.mark.parametrize("animal", ANIMALS, ids=itemgetter("name"))
def test_the_prediction_comes_true_but_for_documented_limits(animal: dict[str, Any]) -> None:
    """Predicted for the processor that is really there, and loaded on it."""
    target = assumed_target(animal, "10")._replace(cpu=cpu.live())
    predicted = diagnose(target_path(animal), lambda _: target, load=False)

    assert predicted.verdict == animal["processor"]["verdict"]
    differs = predicted.verdict not in ("unknown", load(animal).verdict)
    assert differs == bool(animal["processor"].get("why") or (on_wine() and animal["wine"]["why"]))
