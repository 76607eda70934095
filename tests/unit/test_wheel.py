"""Wheel: the installed distribution that a file belongs to, by its RECORD."""

from __future__ import annotations

import json
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
    (site / folder / "RECORD").write_bytes(record.encode())
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
        "pkg/__init__.py,,\r\npkg/sub/_ext.pyd,,\r\n",
        "top.py,,\rpkg/sub/_ext.pyd,,\r",
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


def test_a_record_with_backslashes_counts(tmp_path: Path) -> None:
    assert wheel.distribution_of(str(install(tmp_path / "site-packages", "pkg\\sub\\_ext.pyd,,\n"))) == DEMO


def test_near_miss_two_distributions_in_one_namespace_package_are_kept_apart(tmp_path: Path) -> None:
    site = tmp_path / "site-packages"
    for name in ("one", "two"):
        (site / "space" / name).mkdir(parents=True)
        (site / "space" / name / "_ext.pyd").touch()
        (site / f"space_{name}-1.0.dist-info").mkdir()
        (site / f"space_{name}-1.0.dist-info" / "RECORD").write_text(f"space/{name}/_ext.pyd,,\n")
    found = [wheel.distribution_of(str(site / "space" / name / "_ext.pyd")) for name in ("one", "two")]
    assert [str(owner) for owner in found] == ["space_one 1.0", "space_two 1.0"]


def test_what_pip_put_into_the_library_directory_of_a_prefix_is_found(tmp_path: Path) -> None:
    install(tmp_path / "Lib" / "site-packages", "../../Library/bin/mkl_core.2.dll,,\n", folder="mkl-2024.0.dist-info")
    (tmp_path / "Library" / "bin").mkdir(parents=True)
    (tmp_path / "Library" / "bin" / "mkl_core.2.dll").touch()
    assert str(wheel.distribution_of(str(tmp_path / "Library" / "bin" / "mkl_core.2.dll"))) == "mkl 2024.0"


def test_what_installed_it_and_where_from_is_told(tmp_path: Path) -> None:
    path = install(tmp_path / "site-packages", "pkg/sub/_ext.pyd,,\n", about="Generator: setuptools (80.9.0)\n")
    folder = tmp_path / "site-packages" / "demo-1.2.3.dist-info"
    (folder / "INSTALLER").write_text("pip\n")
    (folder / "direct_url.json").write_text('{"url": "file:///C:/src/demo", "dir_info": {}}')
    found = wheel.distribution_of(str(path))
    assert found is not None
    assert (found.generator, found.installer, found.origin) == ("setuptools (80.9.0)", "pip", "file:///C:/src/demo")


def test_a_direct_url_that_is_no_json_says_nothing(tmp_path: Path) -> None:
    path = install(tmp_path / "site-packages", "pkg/sub/_ext.pyd,,\n")
    (tmp_path / "site-packages" / "demo-1.2.3.dist-info" / "direct_url.json").write_text("[")
    found = wheel.distribution_of(str(path))
    assert found is not None
    assert found.origin == ""


@pytest.mark.parametrize(
    ("tags", "architectures", "oldest"),
    [
        (("cp311-cp311-win_amd64",), {"x64"}, 11),
        (("cp39-abi3-win32",), {"x86"}, 9),
        (("cp313-cp313t-win_arm64",), {"arm64"}, 13),
        (("py3-none-any",), set(), None),
        (("py2-none-win_amd64", "py3-none-win_amd64"), {"x64"}, None),
        (("py37-none-win_amd64", "py38-none-win_amd64"), {"x64"}, 7),
        (("py3-none-win32", "py3-none-win_amd64"), {"x86", "x64"}, None),
        ((), set(), None),
    ],
)
def test_what_tags_are_for(tags: tuple[str, ...], architectures: set[str], oldest: int | None) -> None:
    found = Distribution("demo", "1.0", tags)
    assert found.architectures == architectures
    assert found.oldest_minor == oldest


def test_a_file_of_conda_is_found_in_its_records(tmp_path: Path) -> None:
    (tmp_path / "conda-meta").mkdir()
    (tmp_path / "conda-meta" / "history").write_text("")
    for name, listed in (
        ("zlib-1.3-h0.json", "Library/bin/zlib.dll"),
        ("mkl-2024.1-h1_0.json", "Library/bin/mkl_rt.2.dll"),
    ):
        (tmp_path / "conda-meta" / name).write_text(json.dumps({"files": [listed]}))
    found = wheel.conda_package_of(str(tmp_path / "Library" / "bin" / "MKL_rt.2.dll"), str(tmp_path))
    assert str(found) == "mkl 2024.1"
    assert wheel.conda_package_of(str(tmp_path / "Library" / "bin" / "rt.2.dll"), str(tmp_path)) is None
    assert wheel.conda_package_of(str(tmp_path / "a.dll"), str(tmp_path / "no conda")) is None


def test_a_distribution_is_told_by_name_and_version() -> None:
    assert str(DEMO) == "demo 1.2.3"
