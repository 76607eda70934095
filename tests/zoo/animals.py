"""The animals of the built zoo, and the target under which each is looked at."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import replace
from pathlib import Path
from typing import Any

from depwalk.target import Directory, Target, python, windows

ZOO = os.environ.get("DEPWALK_ZOO")

# What only happens when code of the tree runs: no one can read it off the files.
RUN_TIME = {"init-failed", "crash-on-load", "hang-on-load"}


def rows() -> list[dict[str, Any]]:
    """The recipe of every animal; none without a built zoo, which is an error in CI."""
    if ZOO is None:
        if os.environ.get("CI"):
            raise RuntimeError("DEPWALK_ZOO is not set: tests/zoo/build.py builds the zoo")
        return []
    found: list[dict[str, Any]] = json.loads(Path(ZOO, "zoo.json").read_text("ascii"))["animals"]
    return found


def folder(animal: dict[str, Any]) -> Path:
    return Path(str(ZOO), animal["name"])


def target_path(animal: dict[str, Any]) -> str:
    return str(folder(animal) / animal["target"])


def assumed_target(animal: dict[str, Any], windows_name: str) -> Target:
    """A clean Windows with the Python of the recipe."""
    at = folder(animal)
    found = None
    if animal["python"] != "none":
        found = python.assumed(int(animal["python"].partition(".")[2]), animal["arch"])
        if animal["app_dir"]:
            found = replace(found, directory=Directory(str(at / animal["app_dir"])))
    return Target(
        windows=windows.named(windows_name),
        architecture=animal["arch"],
        python=found,
        dll_dirs=tuple(str(at / name) for name in animal["dll_dirs"]),
        path=tuple(str(at / name) for name in animal["path"]),
        loaded=tuple(str(at / name) for name in animal["loaded_first"]),
    )


def on_wine() -> bool:
    return platform.system() == "Windows" and "wine_get_version" in _ntdll_exports()


def _ntdll_exports() -> set[str]:
    from depwalk import image

    ntdll = Path(os.environ.get("SYSTEMROOT", "C:\\Windows"), "System32", "ntdll.dll")
    return {export.name or "" for export in image.read(ntdll).exports}
