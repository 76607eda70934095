"""Where depwalk-check.exe is, and how tests run it."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CHECK = Path(os.environ.get("DEPWALK_CHECK", ""))
IS_64_BIT = struct.calcsize("P") == 8
OWN, OTHER = ("x64", "x86") if IS_64_BIT else ("x86", "x64")
CREATE_NO_WINDOW = 0x08000000
Result = tuple[int, str, str]

built = pytest.mark.skipif("DEPWALK_CHECK" not in os.environ, reason="DEPWALK_CHECK is not set (ci/run.py builds it)")
on_windows = pytest.mark.skipif(sys.platform != "win32", reason="a program of Windows")


def program(architecture: str = OWN) -> str:
    return str(CHECK / f"depwalk-check-{architecture}.exe")


def run(*arguments: str, program: str = program(), **variables: str) -> Result:
    """The exit code, what was printed and what was printed on the error output of depwalk-check.exe."""
    command = [program, *arguments]
    ran = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env=os.environ | variables,
        creationflags=CREATE_NO_WINDOW,
    )
    return ran.returncode, ran.stdout.decode("utf-8"), ran.stderr.decode("utf-8")


def checked(*arguments: str, program: str = program(), **variables: str) -> list[dict[str, Any]]:
    """What --json says, one object for each file."""
    _, printed, _ = run("--json", *arguments, program=program, **variables)
    return [json.loads(line) for line in printed.splitlines()]


def told(answer: dict[str, Any]) -> tuple[str, str, str]:
    return answer["family"], answer["module"], answer["needed_by"]
