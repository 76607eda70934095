"""What the real loader does with each animal, and what depwalk makes of it: expectations for Windows and for Wine."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import observe
import pytest
from animals import folder, on_wine, rows, target_path

from depwalk.cli.options import machine
from depwalk.result import diagnose
from depwalk.target.choose import Choice, choose

if TYPE_CHECKING:
    from depwalk.result import Result

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="there is no Windows loader here")

ARCHITECTURE = "x64" if struct.calcsize("P") == 8 else "x86"
TIMEOUT = 5.0  # seconds: the animal that hangs takes them all
LOADED: dict[str, Result] = {}


def load(animal: dict[str, Any]) -> Result:
    """Load an animal, once for all tests."""
    if animal["name"] not in LOADED:
        LOADED[animal["name"]] = load_now(animal)
    return LOADED[animal["name"]]


def load_now(animal: dict[str, Any]) -> Result:
    at = folder(animal)
    choice = Choice(
        python="3.7" if animal["python"] == "3.7" else None,
        dll_dirs=tuple(str(at / name) for name in animal["dll_dirs"]),
        path=tuple(str(at / name) for name in animal["path"]),
    )
    return diagnose(target_path(animal), lambda file: choose(file, choice, machine()), timeout=TIMEOUT)


def expectation(animal: dict[str, Any]) -> dict[str, Any]:
    """What the loader of this machine answers."""
    answer: dict[str, Any] = animal["wine"] if on_wine() else animal["windows"]
    return answer


def is_loadable_here(animal: dict[str, Any]) -> bool:
    """Of this architecture, and in need of nothing but options: no other application directory, no earlier loads."""
    plain = not animal["app_dir"] and not animal["loaded_first"] and animal["python"] != "none"
    with_image = os.path.isfile(target_path(animal)) and is_image(animal)
    return animal["arch"] == ARCHITECTURE and plain and with_image


def is_image(animal: dict[str, Any]) -> bool:
    with open(target_path(animal), "rb") as file:
        return file.read(2) == b"MZ"


OTHER_CAUSE_ON_WINE = {
    "forwarder-loop": "Wine follows the circle until its stack is used up, and the process ends",
    "api-set-hostless": "Wine does not know this set, so it looks like one of a newer Windows",
    "runtime-debug-assembly": "Wine ignores an assembly that is not there, and the DLL of it is missing all the same",
}
LOADABLE = [animal for animal in rows() if sys.platform == "win32" and is_loadable_here(animal)]
FAILING = [
    animal
    for animal in LOADABLE
    if expectation(animal)["verdict"] == animal["windows"]["verdict"] == "fails"
    and not (on_wine() and animal["name"] in OTHER_CAUSE_ON_WINE)
]
OTHERS = [row["name"] for row in rows() if row["arch"] == ARCHITECTURE and row not in LOADABLE]


@pytest.mark.parametrize("animal", LOADABLE, ids=itemgetter("name"))
def test_the_loader_answers_as_expected_and_decides_the_verdict(animal: dict[str, Any]) -> None:
    expected = expectation(animal)
    result = load(animal)

    assert result.load is not None, [finding.message for finding in result.findings]
    if "code" in expected:
        codes = expected["code"] if isinstance(expected["code"], list) else [expected["code"]]
        assert result.load.code in codes, result.load
    elif "exit" in expected:
        assert result.load.exit_code == expected["exit"], result.load
    else:
        assert result.load.timed_out
    assert result.verdict == expected["verdict"], [finding.message for finding in result.findings]
    if expected["verdict"] == "fails":
        assert [finding for finding in result.findings if finding.severity == "error"]


@pytest.mark.parametrize("animal", FAILING, ids=itemgetter("name"))
def test_a_failure_is_blamed_on_the_right_module(animal: dict[str, Any]) -> None:
    expected = animal["windows"]
    errors = [finding for finding in load(animal).findings if finding.severity == "error"]

    assert errors[0].code == expected["finding"], errors[0]
    blamed = (errors[0].module, *errors[0].also)  # modules that need each other fail together
    assert expected["module"].lower() in [name.lower() for name in blamed]


@pytest.mark.skipif(not OTHERS, reason="every animal of this architecture is loaded above")
def test_the_animals_that_need_another_process_answer_as_expected() -> None:
    """Those with an application directory, earlier loads or no flags: loaded by the zoo's own script."""
    system = "wine" if on_wine() else "windows"
    command = [sys.executable, str(Path(observe.__file__)), str(folder({"name": ""})), *OTHERS, "--expect", system]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    assert ran.returncode == 0, [line for line in ran.stdout.splitlines() if '"differs"' in line]
    assert len(ran.stdout.splitlines()) == len(OTHERS)
