"""The redistributables in the registry, read from one that is made up."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from depwalk.host import redistributables
from depwalk.host.redistributables import Redistributable

VC14 = r"SOFTWARE\Microsoft\VisualStudio\14.0\VC\Runtimes"


class Key:
    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def __enter__(self) -> Key:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class Registry:
    """What winreg offers, with the keys of each view."""

    HKEY_LOCAL_MACHINE, KEY_READ, KEY_WOW64_64KEY, KEY_WOW64_32KEY = 0x80000002, 0x20019, 0x100, 0x200

    def __init__(self, wide: dict[str, dict[str, Any]], narrow: dict[str, dict[str, Any]] | None = None) -> None:
        self.views = {self.KEY_WOW64_64KEY: wide, self.KEY_WOW64_32KEY: narrow or {}}

    def OpenKey(self, hive: int, path: str, reserved: int, access: int) -> Key:  # noqa: N802
        assert (hive, reserved) == (self.HKEY_LOCAL_MACHINE, 0)
        keys = self.views[access & ~self.KEY_READ]
        if path not in keys:
            raise FileNotFoundError(path)
        return Key(keys[path])

    def QueryValueEx(self, key: Key, name: str) -> tuple[Any, int]:  # noqa: N802
        if name not in key.values:
            raise FileNotFoundError(name)
        return key.values[name], 1


def package(version: str, installed: int = 1) -> dict[str, Any]:
    return {"Installed": installed, "Version": version}


@pytest.mark.parametrize("architecture", ["x64", "x86", "arm64"])
def test_a_package_is_told_with_its_architecture_and_version(architecture: str) -> None:
    registry = Registry({f"{VC14}\\{architecture}": package("v14.44.35211.00")})
    assert redistributables.listed(registry) == (Redistributable("vc14", architecture, (14, 44, 35211)),)


def test_a_package_that_only_the_32_bit_view_has_counts() -> None:
    registry = Registry({}, {f"{VC14}\\x64": package("v14.16.27033.00")})
    assert redistributables.listed(registry) == (Redistributable("vc14", "x64", (14, 16, 27033)),)


def test_of_two_views_the_newer_version_counts() -> None:
    registry = Registry({f"{VC14}\\x64": package("v14.9.1.00")}, {f"{VC14}\\x64": package("v14.29.30133.00")})
    assert redistributables.listed(registry) == (Redistributable("vc14", "x64", (14, 29, 30133)),)


@pytest.mark.parametrize(
    ("key", "identifier"),
    [
        (r"12.0\VC\Runtimes\x86", "vc12"),
        (r"11.0\VC\Runtimes\x86", "vc11"),
        (r"10.0\VC\VCRedist\x86", "vc10"),
    ],
)
def test_older_packages_are_known_by_their_own_keys(key: str, identifier: str) -> None:
    registry = Registry({}, {"SOFTWARE\\Microsoft\\VisualStudio\\" + key: package("v12.0.40664.00")})
    assert redistributables.listed(registry) == (Redistributable(identifier, "x86", (12, 0, 40664)),)


@pytest.mark.parametrize(
    "values",
    [package("v14.44.35211.00", installed=0), {"Version": "v14.44.35211.00"}, {"Installed": 1}, package("unknown")],
    ids=["removed", "not said to be installed", "no version", "no number"],
)
def test_near_miss_a_key_that_names_no_installed_package(values: dict[str, Any]) -> None:
    assert redistributables.listed(Registry({f"{VC14}\\x64": values})) == ()


def test_an_empty_registry_lists_nothing() -> None:
    assert redistributables.listed(Registry({})) == ()


@pytest.mark.skipif(sys.platform == "win32", reason="there is a registry")
def test_without_a_registry_nothing_is_known() -> None:
    assert redistributables.installed() is None
