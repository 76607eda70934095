"""depwalk-check.exe on a processor without AVX (an emulated Nehalem)."""

from __future__ import annotations

import os

import pytest
from animals import rows, target_path
from checking import built, checked, run, told

pytestmark = [
    built,
    pytest.mark.skipif("DEPWALK_CPU" not in os.environ, reason="needs a bed with another processor"),
]
ANIMALS = {animal["name"]: animal for animal in rows()}
LACKING = [("init-avx", "AVX"), ("init-avx2", "AVX2"), ("init-fma", "FMA"), ("init-avx512", "AVX-512")]


@pytest.mark.parametrize(("animal", "label"), LACKING)
def test_an_instruction_that_the_processor_lacks_is_named(animal: str, label: str) -> None:
    (answer,) = checked(target_path(ANIMALS[animal]))
    assert told(answer) == ("cpu-feature-missing", "user.pyd", "")
    assert f" uses {label} instructions" in answer["sentence"]


def test_an_instruction_that_it_has_is_no_failure() -> None:
    assert run(target_path(ANIMALS["init-popcnt"]))[0] == 0


def test_an_instruction_that_is_illegal_on_purpose_is_a_crash() -> None:
    (answer,) = checked(target_path(ANIMALS["init-illegal-instruction"]))
    assert told(answer) == ("crash-on-load", "user.pyd", "")


@pytest.mark.parametrize(("wanted", "code"), [("v2", 0), ("v3", 16), ("sse4.2", 0), ("avx2", 16)])
def test_what_the_processor_must_offer_is_asked_of_it(wanted: str, code: int) -> None:
    assert run("--require-cpu", wanted)[0] == code
