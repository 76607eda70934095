"""What depwalk predicts of each animal for a processor that is given is what its recipe says."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from animals import assumed_target, rows, target_path

from depwalk import cpu, image
from depwalk.diagnosis import processor
from depwalk.result import diagnose

if TYPE_CHECKING:
    from depwalk.diagnosis import Finding
    from depwalk.result import Result

OLD = "Nehalem"  # SSE4.2, and nothing of what an animal shows
AVX_512 = "avx512f"
# Processors that have everything but AVX-512, and one that has that, too.
NEW = ["Haswell", "x86-64-v3"]
NEWEST = "x86-64-v4"
ICED = {"avx512f": "AVX512F"}  # what iced calls a set, where it is not just in capitals


def predict(animal: dict[str, Any], name: str | None) -> Result:
    target = assumed_target(animal, "10")
    if name is not None:
        target = target._replace(cpu=cpu.named(name))
    return diagnose(target_path(animal), lambda _: target, load=False)


def of_processors(result: Result) -> list[Finding]:
    return [finding for finding in result.findings if finding.code in processor.CODES]


def animals(*severities: str) -> list[Any]:
    """Those of which something of these severities is predicted; all, if none is told."""
    told = [animal for animal in rows() if animal["processor"]]
    chosen = [animal for animal in told if not severities or animal["processor"].get("severity", "") in severities]
    return [pytest.param(animal, id=animal["name"]) for animal in chosen]


@pytest.mark.parametrize("animal", animals())
def test_prediction_for_an_old_processor_is_what_the_recipe_says(animal: dict[str, Any]) -> None:
    expected = animal["processor"]
    result = predict(animal, OLD)

    assert (result.verdict, result.basis) == (expected["verdict"], "static")
    found = of_processors(result)
    assert bool(found) == ("severity" in expected), [finding.message for finding in found]
    for finding in found[:1]:
        assert finding.severity == expected["severity"]
        assert finding.module == expected["module"]
        assert finding.code == "cpu-feature-missing"
    assert [finding for finding in result.findings if finding.severity == "error"] == (
        found[:1] if expected["verdict"] == "fails" else []
    )


@pytest.mark.parametrize("animal", animals("error", "warning"))
def test_instruction_set_and_place_are_those_of_the_instruction(animal: dict[str, Any]) -> None:
    """iced-x86 says what is really there."""
    iced_x86 = pytest.importorskip("iced_x86")
    wanted = animal["processor"]["set"]
    finding = of_processors(predict(animal, OLD))[0]
    facts = "\n".join(finding.evidence)
    place = re.search(r"instruction at user\.pyd\+0x([0-9A-F]+): ([0-9a-f ]+) \(", facts)
    assert place is not None
    there = image.read(target_path(animal)).at(int(place[1], 16), 15)
    found = iced_x86.Decoder(64 if animal["arch"] == "x64" else 32, there.ljust(15, b"\x90")).decode()
    names = {number: name for name, number in vars(iced_x86.CpuidFeature).items() if isinstance(number, int)}

    assert there[: found.len].hex(" ") == place[2]
    assert wanted.upper() in {names[feature] for feature in found.cpuid_features()}
    assert f"run {cpu.label(wanted)} instructions" in finding.message.replace("runs", "run")
    assert "Core(TM) i7" in facts  # which processor is meant


@pytest.mark.parametrize("animal", animals("note"))
def test_a_note_says_which_instruction_set_is_there(animal: dict[str, Any]) -> None:
    (finding,) = of_processors(predict(animal, OLD))

    assert any(f"{cpu.label(animal['processor']['set'])} in 1" in fact for fact in finding.evidence)
    choosing = "not proven: it runs the function at 0x"
    assert any(choosing in fact for fact in finding.evidence) == animal["name"].startswith("avx-chosen-by-constant")


@pytest.mark.parametrize("name", [*NEW, NEWEST])
@pytest.mark.parametrize("animal", animals())
def test_nothing_is_said_where_the_processor_has_it_all(animal: dict[str, Any], name: str) -> None:
    if animal["processor"].get("set") == AVX_512 and name != NEWEST:
        pytest.skip("it has no AVX-512")
    result = predict(animal, name)

    assert result.verdict == "loads"
    assert of_processors(result) == []


@pytest.mark.parametrize("animal", animals())
def test_nothing_is_said_without_a_processor(animal: dict[str, Any]) -> None:
    result = predict(animal, None)

    assert result.verdict == "loads"
    assert of_processors(result) == []


def test_a_processor_whose_windows_keeps_avx_off_is_told_so() -> None:
    animal = next(row for row in rows() if row["name"] == "avx-by-calls")
    haswell = cpu.named("Haswell")
    target = assumed_target(animal, "10")._replace(cpu=haswell._replace(xcr0=3))  # x87 and SSE
    (finding,) = of_processors(diagnose(target_path(animal), lambda _: target, load=False))

    assert (finding.code, finding.severity, finding.module) == ("cpu-feature-disabled", "error", "user.pyd")
