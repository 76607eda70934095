"""What the tests of installers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from animals import on_wine

if TYPE_CHECKING:
    from collections.abc import Iterator

OVERRIDES = r"Software\Wine\AppDefaults\{}\DllOverrides"  # of one program; Wine reads its variable at its start only


@pytest.fixture
def without_runtime() -> Iterator[None]:
    """The check, alone, sees a machine where the Visual C++ runtime is not installed."""
    if not on_wine():
        pytest.skip("a runtime can be taken away on Wine only")
    import winreg

    keys = [OVERRIDES.format(program) for program in ("depwalk-check-x64.exe", "depwalk_check.exe")]
    for key in keys:
        with winreg.CreateKey(winreg.HKEY_CURRENT_USER, key) as made:
            winreg.SetValueEx(made, "msvcp140", 0, winreg.REG_SZ, "native")
    yield
    for key in keys:
        winreg.DeleteKey(winreg.HKEY_CURRENT_USER, key)
