"""Wheel: the installed distribution that a file belongs to, by its RECORD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from depwalk import wheel
from depwalk.wheel import Distribution

if TYPE_CHECKING:
    from pathlib import Path

WHEEL = "Wheel-Version: 1.0\nTag: cp311-cp311-win_amd64\nTag: cp311-abi3-win_amd64\n"


def install(site: Path, record: str, *, folder: str = "demo-1.2.3.dist-info", about: str | None = WHEEL) -> Path:
    """A distribution in `site`; the path of its extension."""
    (site / folder).mkdir(parents=True)
    (site / folder / "RECORD").write_text(record, encoding="utf-8")
    if about is not None:
        (site / folder / "WHEEL").write_text(about, encoding="utf-8")
    path = site / "pkg" / "sub" / "_ext.pyd"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


DEMO = Distribution("demo", "1.2.3", ("cp311-cp311-win_amd64", "cp311-abi3-win_amd64"))


@pytest.mark.parametrize(
    "record",
    [
        "pkg/sub/_ext.pyd,sha256=abc,12\n",
        "pkg/__init__.py,,\npkg/sub/_ext.pyd,,\n",
        '"pkg/sub/_ext.pyd",sha256=abc,12\n',
        "PKG/Sub/_EXT.pyd,,\n",
    ],
)
def test_a_file_belongs_to_the_distribution_whose_record_lists_it(record: str, tmp_path: Path) -> None:
    path = install(tmp_path / "site-packages", record)
    assert wheel.distribution_of(str(path)) == DEMO


@pytest.mark.parametrize("record", ["", "pkg/sub/_ext.pyd.bak,,\n", "sub/_ext.pyd,,\n", "pkg/sub/_ext.py,,\n"])
def test_a_file_that_no_record_lists_belongs_to_none(record: str, tmp_path: Path) -> None:
    assert wheel.distribution_of(str(install(tmp_path / "site-packages", record))) is None


def test_the_right_one_of_several_distributions_is_found(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    install(site, "pkg/sub/_other.pyd,,\n", folder="alien-1.0.dist-info")
    assert wheel.distribution_of(str(install(site, "pkg/sub/_ext.pyd,,\n"))) == DEMO


def test_a_distribution_without_a_wheel_file_has_no_tags(tmp_path: Path) -> None:
    path = install(tmp_path / "site-packages", "pkg/sub/_ext.pyd,,\n", about=None)
    assert wheel.distribution_of(str(path)) == Distribution("demo", "1.2.3", ())


def test_a_file_name_with_a_comma_is_found(tmp_path: Path) -> None:
    install(tmp_path, '"pkg/a,b.pyd",sha256=abc,12\n')
    (tmp_path / "pkg" / "a,b.pyd").touch()
    assert wheel.distribution_of(str(tmp_path / "pkg" / "a,b.pyd")) == DEMO


def test_an_unpacked_wheel_counts_as_installed(tmp_path: Path) -> None:
    assert wheel.distribution_of(str(install(tmp_path / "unpacked", "pkg/sub/_ext.pyd,,\n"))) == DEMO


def test_the_search_ends_at_site_packages(tmp_path: Path) -> None:
    install(tmp_path, "site-packages/pkg/sub/_ext.pyd,,\n")
    path = tmp_path / "site-packages" / "pkg" / "sub" / "_ext.pyd"
    assert wheel.distribution_of(str(path)) is None


def test_a_file_in_no_distribution_belongs_to_none(tmp_path: Path) -> None:
    assert wheel.distribution_of(str(tmp_path / "lonely.pyd")) is None


def test_a_distribution_is_told_by_name_and_version() -> None:
    assert str(DEMO) == "demo 1.2.3"
