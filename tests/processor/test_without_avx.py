"""On a processor without AVX (an emulated Nehalem): what needs it is named, with the place of the instruction.

There is no debug API there: everything comes from the child's own vectored handler.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from animals import rows, target_path

from depwalk import cpu

pytestmark = pytest.mark.skipif("DEPWALK_CPU" not in os.environ, reason="needs a bed with another processor")

AT_STARTUP = 0x4D7F94A  # RVA of a vmovdqu in one of TensorFlow's static initialisers
ANIMALS = {animal["name"]: animal for animal in rows()}


def depwalk(*arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "depwalk", *arguments, "--format", "json"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    return ran.returncode, json.loads(ran.stdout.decode("utf-8"))


@pytest.fixture(scope="module")
def tensorflow() -> tuple[int, dict[str, Any]]:
    folder = Path(os.environ["DEPWALK_PATIENTS"], "tensorflow-2.0.0-cp37-win_amd64", "tensorflow_core", "python")
    runtime = ["--python", "3.7", "--dll-dir", os.environ["DEPWALK_RUNTIME_37"]]
    return depwalk(str(folder / "_pywrap_tensorflow_internal.pyd"), *runtime)


def test_the_processor_has_sse42_and_no_avx() -> None:
    live = cpu.live()

    assert live is not None
    assert live.feature("sse4.2").usable
    assert not live.feature("avx").in_cpu


def test_tensorflow_fails_because_the_processor_has_no_avx(tensorflow: tuple[int, dict[str, Any]]) -> None:
    status, report = tensorflow

    assert (status, report["verdict"], report["basis"]) == (1, "fails", "loader")
    first = report["findings"][0]
    assert (first["code"], first["module"]) == ("cpu-feature-missing", "_pywrap_tensorflow_internal.pyd")
    assert "does not have AVX" in first["message"]


def test_the_place_of_tensorflows_avx_instruction_is_told(tensorflow: tuple[int, dict[str, Any]]) -> None:
    _, report = tensorflow
    exception = report["load"]["exceptions"][-1]

    assert (exception["code"], exception["rva"]) == ("0xC000001D", AT_STARTUP)
    assert os.path.basename(exception["module"]) == "_pywrap_tensorflow_internal.pyd"
    assert exception["bytes"].startswith("c5 fa 6f")  # vmovdqu xmm0
    assert any("+0x4D7F94A" in fact for fact in report["findings"][0]["evidence"])


@pytest.mark.parametrize(
    ("animal", "feature"), [("init-avx", "AVX"), ("init-avx2", "AVX2"), ("init-fma", "FMA"), ("init-avx512", "AVX-512")]
)
def test_an_instruction_that_the_processor_lacks_is_named(animal: str, feature: str) -> None:
    status, report = depwalk(target_path(ANIMALS[animal]))

    assert status == 1
    first = report["findings"][0]
    assert (first["code"], first["module"]) == ("cpu-feature-missing", "user.pyd")
    assert feature in first["message"]


def test_an_instruction_that_it_has_is_no_failure() -> None:
    status, report = depwalk(target_path(ANIMALS["init-popcnt"]))

    assert (status, report["verdict"], report["findings"]) == (0, "loads", [])


def test_an_instruction_that_is_illegal_on_purpose_is_a_crash() -> None:
    _, report = depwalk(target_path(ANIMALS["init-illegal-instruction"]))

    assert report["findings"][0]["code"] == "crash-on-load"


def test_without_the_debug_api_the_import_is_recorded_all_the_same() -> None:
    status, report = depwalk("_socket")

    assert (status, report["verdict"]) == (0, "loads")
    assert report["load"]["traced"] is False
    assert [os.path.basename(path) for path in report["import"]["extensions"]] == ["_socket.pyd"]
