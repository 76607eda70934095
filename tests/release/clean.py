"""Runs programs, also in environments where nothing is installed."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    Finished = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Clean:
    """A new environment with nothing in it, not even pip; no index is asked, and nobody's settings are read."""

    home: Path
    needed: Path

    @property
    def programs(self) -> Path:
        return self.home / "bin"

    def install(self, *what: str | Path, path: str = os.defpath, **variables: str) -> Finished:
        """Install with the pip of the tests; PATH is where the build finds a compiler."""
        pip = [sys.executable, "-m", "pip", "--python", self.programs / "python", "install"]
        return self.run([*pip, "--no-index", "--find-links", self.needed, *what], PATH=path, **variables)

    def run(self, command: Sequence[str | Path], **variables: str) -> Finished:
        """Run a program in a directory where nothing of depwalk is."""
        return finished(command, {**self.variables, **variables}, self.home)

    @property
    def variables(self) -> Mapping[str, str]:
        return {
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PATH": os.defpath,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }


def finished(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None, directory: Path | None = None
) -> Finished:
    """A program that has ended, with what it wrote as one text."""
    return subprocess.run(
        command,
        env=environment,
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
