"""A second build, in another directory, with other rights and with nothing that the compiler remembers, is the same."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="what is published is built elsewhere")


@pytest.fixture
def elsewhere(tmp_path: Path, needed: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A directory with another length of path, another umask and another time zone."""
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    before = os.umask(0o077)
    directory = tmp_path / "elsewhere and further"
    directory.mkdir()
    yield directory
    os.umask(before)


# One of each kind: PE for three processors, ELF, Mach-O.
@pytest.mark.parametrize("tag", ["win_amd64", "manylinux2014_x86_64", "musllinux_1_2_x86_64", "macosx_11_0_arm64"])
def test_a_wheel_is_the_same_bytes(tag: str, dist: Path, ci: Any, elsewhere: Path) -> None:
    sources, forgotten = ci.copy_sources(elsewhere), str(elsewhere / "zig")
    again = ci.build_wheel(Path(sys.executable), ci.platform_of(tag), sources, elsewhere, ZIG_LOCAL_CACHE_DIR=forgotten)

    assert again.read_bytes() == (dist / again.name).read_bytes()


def test_the_archive_of_the_sources_is_the_same_bytes(dist: Path, ci: Any, elsewhere: Path) -> None:
    again = ci.build_sdist(Path(sys.executable), ci.copy_sources(elsewhere, (*ci.PACKAGE, *ci.BESIDE)), elsewhere)

    assert again.read_bytes() == (dist / again.name).read_bytes()


def test_what_installers_use_is_the_same_bytes(dist: Path, ci: Any, elsewhere: Path) -> None:
    ci.build_programs(Path(sys.executable), elsewhere)

    built = {file.name: file.read_bytes() for file in elsewhere.iterdir()}
    assert len(built) == 4
    assert built == {name: (dist / name).read_bytes() for name in built}
