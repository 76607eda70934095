"""The installers that ci/installers.py made of examples/nsis, and what there is to see after one ran."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

UNINSTALL = r"Software\Microsoft\Windows\CurrentVersion\Uninstall\Example Product"
LOG = Path("setup.log")
needs_installers = pytest.mark.skipif(
    sys.platform != "win32"
    or struct.calcsize("P") == 4  # once is enough: the installers are 64-bit programs
    or not Path(os.environ.get("DEPWALK_INSTALLERS", "nowhere")).is_dir(),
    reason="needs a 64-bit Python of Windows, and DEPWALK_INSTALLERS: the directory that ci/installers.py makes",
)


class Outcome(NamedTuple):
    """What an installer left."""

    code: int
    log: str
    installed: list[str]  # names of files
    temporary: list[str]
    registered: bool


def directory() -> Path:
    """Where the installers are, and what they were made of."""
    return Path(os.environ["DEPWALK_INSTALLERS"])


def run(name: str, folder: Path, *, log: Path | None = LOG, answer: int | None = None) -> Outcome:
    """Run an installer silently. `answer` is what tests/installer/stand_in.c ends with, where it stands in."""
    temporary, target = folder / "temp", folder / "product"
    path = folder / log if log else folder / "none"
    temporary.mkdir()
    environment = {**os.environ, "TEMP": str(temporary), "TMP": str(temporary)}
    if answer is not None:
        environment["DEPWALK_ANSWER"] = str(answer)
    logged = f'/LOG="{path}" ' if log else ""
    command = f'"{directory() / name}" /S {logged}/D={target}'  # /D, the last, takes no quotes
    ran = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, check=False, timeout=300)
    return Outcome(
        code=ran.returncode,
        log=path.read_text("utf-16") if path.exists() else "",
        installed=names(target),
        temporary=names(temporary),
        registered=registered(),
    )


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def registered() -> bool:
    """Whether Windows lists the product among those that can be removed."""
    import winreg

    try:
        winreg.CloseKey(winreg.OpenKey(winreg.HKEY_CURRENT_USER, UNINSTALL))
    except FileNotFoundError:
        return False
    return True
