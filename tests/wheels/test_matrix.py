"""A wheelhouse, scanned for five Windows with and without the redistributable, against what is true of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
import wheelhouse

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it reads the same files as elsewhere")

EXPECTED = {wheel["file"]: wheel for wheel in wheelhouse.read("matrix.toml")}
LISTED = {wheel["file"]: wheel for wheel in wheelhouse.read("wheelhouse.toml")}
WHEELHOUSE = os.environ.get("DEPWALK_WHEELHOUSE")
THERE = sorted(path.name for path in Path(WHEELHOUSE).glob("*.whl")) if WHEELHOUSE else []
AT_LEAST = 12


@pytest.fixture(scope="module")
def said() -> dict[str, list[wheelhouse.Told]]:
    assert WHEELHOUSE is not None
    return wheelhouse.scan(Path(WHEELHOUSE))


def test_the_wheelhouse_is_there() -> None:
    if WHEELHOUSE is None:
        assert not os.environ.get("CI"), "DEPWALK_WHEELHOUSE is not set: ci/run.py makes the wheelhouse"
        pytest.skip("DEPWALK_WHEELHOUSE is not set (ci/run.py makes the wheelhouse)")
    small = {name for name, wheel in LISTED.items() if wheel.get("ci")}
    assert set(THERE) in (small, set(LISTED))
    assert len(small) >= AT_LEAST


def test_there_is_something_to_say_of_every_wheel() -> None:
    assert sorted(EXPECTED) == sorted(LISTED)


@pytest.mark.parametrize("wheel", THERE)
def test_what_is_said_of_a_wheel_is_true_in_every_case(wheel: str, said: dict[str, list[wheelhouse.Told]]) -> None:
    wrong = [
        f"{told.windows} {told.runtime} {wheelhouse.RUNTIME}, {told.file}: {complaint}"
        for told in said[wheel]
        for complaint in wheelhouse.complaints(EXPECTED[wheel], told, said)
    ]

    assert wrong == []
    files = {told.file for told in said[wheel] if told.row.file.kind != "wheel"}
    assert (len(files), len(said[wheel])) == (EXPECTED[wheel]["files"], 10 * max(1, EXPECTED[wheel]["files"]))


@pytest.mark.parametrize("wheel", THERE)
def test_every_cause_and_every_known_difference_is_about_some_file(
    wheel: str, said: dict[str, list[wheelhouse.Told]]
) -> None:
    used = [
        id(entry)
        for told in said[wheel]
        for entry in [*wheelhouse.causes(EXPECTED[wheel], told, {}), *wheelhouse.differences(EXPECTED[wheel], told)]
    ]
    entries = [*EXPECTED[wheel].get("fails", ()), *EXPECTED[wheel].get("differs", ())]
    assert [entry for entry in entries if id(entry) not in used] == []
