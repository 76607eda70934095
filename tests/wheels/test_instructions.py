"""The code of real DLLs of several compilers, as the core and as iced-x86 read it: a sample of ci/instructions.py."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

MOST = 300_000  # instructions
LENGTHS, SETS = 99.99, 99.9  # per cent that must be equal
COMPILERS = {  # what made a file -> that file, and the variable that names where it lies
    "MSVC 14": ("DEPWALK_PATIENTS", "panda3d-1.10.16-cp311-win_amd64/panda3d/libpandaexpress.dll"),
    "MSVC 14, 32 bits": ("DEPWALK_PATIENTS", "panda3d-1.10.16-cp311-win32/panda3d/libpandaexpress.dll"),
    "GCC": ("DEPWALK_SITE", "scipy/sparse/_sparsetools.cp311-win_amd64.pyd"),
    "GCC and gfortran": ("DEPWALK_SITE", "scipy/special/_ufuncs.cp311-win_amd64.pyd"),
    "OpenBLAS: assembly, GCC, gfortran": ("DEPWALK_SITE_NUMPY2", "numpy.libs/libscipy_openblas64_-*.dll"),
    "Rust": ("DEPWALK_SITE", "pydantic_core/_pydantic_core.cp311-win_amd64.pyd"),
    "clang": ("DEPWALK_COMPILED", "mini_racer-0.12.4-py3-win_amd64/py_mini_racer/mini_racer.dll"),
}


@pytest.fixture(scope="module")
def instructions() -> Any:
    pytest.importorskip("iced_x86")  # not in the bed: the decoder does not depend on the system
    sys.path.append(str(Path(__file__).parents[2] / "ci"))
    return pytest.importorskip("instructions")


@pytest.fixture(scope="module")
def files() -> list[str]:
    found = []
    for variable, name in COMPILERS.values():
        if not os.environ.get(variable):
            reason = f"{variable} does not name the unpacked wheels (ci/run.py downloads them)"
            pytest.fail(reason, pytrace=False) if os.environ.get("CI") == "true" else pytest.skip(reason)
        found.append(str(next(Path(os.environ[variable]).glob(name))))
    return found


def test_what_the_compilers_left_in_a_file_tells_which_it_was(instructions: Any, files: list[str]) -> None:
    assert [source.compiler for source in instructions.sources(files)] == list(COMPILERS)


def test_the_decoder_agrees_with_iced_over_code_of_every_compiler(instructions: Any, files: list[str]) -> None:
    tallies = instructions.compare(list(instructions.sources(files)), MOST, 1)
    for compiler, tally in tallies.items():
        said = "\n".join([compiler, *instructions.differences(tally)])
        assert tally.instructions > MOST / len(COMPILERS) / 2, compiler
        assert 100 * tally.lengths >= LENGTHS * tally.instructions, said
        assert 100 * tally.sets >= SETS * tally.instructions, said
