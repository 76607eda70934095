"""The Visual C++ redistributables that are installed, by the registry."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from depwalk import runtimes

if TYPE_CHECKING:
    from collections.abc import Iterator

_ARCHITECTURES = ("x64", "x86", "arm64")
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)", re.IGNORECASE | re.ASCII)


class Redistributable(NamedTuple):
    """One installed package."""

    id: str  # of runtimes.toml: vc14, vc12, ...
    architecture: str  # x64, x86 or arm64
    version: tuple[int, int, int]


def installed() -> tuple[Redistributable, ...] | None:
    """All that the registry lists, of 2010 and later; None off Windows."""
    if sys.platform != "win32":
        return None
    import winreg

    return listed(winreg)


def listed(registry: Any) -> tuple[Redistributable, ...]:
    """The same by a module like winreg. Installers write into either view of the registry, some into both."""
    found: dict[tuple[str, str], tuple[int, int, int]] = {}
    for identifier, path in runtimes.registry_keys().items():
        for architecture in _ARCHITECTURES:
            key = f"SOFTWARE\\Microsoft\\VisualStudio\\{path}\\{architecture}"
            versions = list(_versions(key, registry))
            if versions:
                found[identifier, architecture] = max(versions)
    return tuple(Redistributable(*package, version) for package, version in found.items())


def _versions(key: str, registry: Any) -> Iterator[tuple[int, int, int]]:
    for view in (registry.KEY_WOW64_64KEY, registry.KEY_WOW64_32KEY):
        try:
            with registry.OpenKey(registry.HKEY_LOCAL_MACHINE, key, 0, registry.KEY_READ | view) as opened:
                is_installed, _ = registry.QueryValueEx(opened, "Installed")
                told, _ = registry.QueryValueEx(opened, "Version")
        except OSError:
            continue
        match = _VERSION.match(str(told))
        if is_installed == 1 and match:
            yield int(match[1]), int(match[2]), int(match[3])
