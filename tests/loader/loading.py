"""What tests of real loads share besides fixtures."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Callable

if TYPE_CHECKING:
    from pathlib import Path

    from depwalk.result import Result

    Animal = Callable[[str], str]
    Package = Callable[..., Path]
    Imported = Callable[..., Result]

IS_64_BIT = struct.calcsize("P") == 8


def errors(result: Result) -> list[tuple[str, str, str]]:
    """(code, module, needed by) of each error, in order."""
    return [(found.code, found.module, found.needed_by) for found in result.findings if found.severity == "error"]
