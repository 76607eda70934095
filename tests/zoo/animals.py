"""The animals of the built zoo, and the target under which each is looked at."""

from __future__ import annotations

import atexit
import functools
import json
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Any

from depwalk import core
from depwalk.target import Directory, Target, environment, python, windows

ZOO = os.environ.get("DEPWALK_ZOO")

# What only happens when code of the tree runs: no one can read it off the files.
RUN_TIME = {"init-failed", "crash-on-load", "hang-on-load", "cpu-feature-missing"}

# Instruction set -> its bit in CPUID (leaf, register EAX..EDX, bit) and what Windows must save of it (bits of XCR0), by
# the Intel 64 and IA-32 Architectures Software Developer's Manual, volumes 1 (13 to 15) and 2 (CPUID).
FEATURES = {
    "avx": (1, 2, 28, 0x06),
    "fma": (1, 2, 12, 0x06),
    "avx2": (7, 1, 5, 0x06),
    "avx512f": (7, 1, 16, 0xE6),
    "f16c": (1, 2, 29, 0x06),
    "movbe": (1, 2, 22, 0),
    "bmi1": (7, 1, 3, 0),
    "bmi2": (7, 1, 8, 0),
}
OSXSAVE = 27  # bit of ECX in leaf 1: XGETBV may be asked
LOADS = {"verdict": "loads", "code": 0, "finding": "", "module": "", "needed_by": ""}


def rows() -> list[dict[str, Any]]:
    """The recipe of every animal; none without a built zoo, which is an error in CI."""
    if ZOO is None:
        if os.environ.get("CI"):
            raise RuntimeError("DEPWALK_ZOO is not set: tests/zoo/build.py builds the zoo")
        return []
    found: list[dict[str, Any]] = json.loads(Path(ZOO, "zoo.json").read_text("ascii"))["animals"]
    return [on_this_processor(animal) for animal in found]


def on_this_processor(animal: dict[str, Any]) -> dict[str, Any]:
    """The recipe with what is expected here: an animal loads where its instruction set is."""
    if not animal["cpu"] or not has_feature(animal["cpu"]):
        return animal
    return {**animal, **{key: animal[key] | LOADS for key in animal if key == "wine" or key.startswith("windows")}}


def has_feature(name: str) -> bool:
    """Whether this processor and this Windows offer an instruction set."""
    leaf, register, bit, state = FEATURES[name]
    highest, basic = core.cpuid(0), core.cpuid(1)
    if highest is None or basic is None or highest[0] < leaf:
        return False
    registers = core.cpuid(leaf)
    saved = (core.xgetbv() or 0) if basic[2] >> OSXSAVE & 1 else 0
    return registers is not None and bool(registers[register] >> bit & 1) and saved & state == state


def folder(animal: dict[str, Any]) -> Path:
    """The animal's folder, or a copy for this process if a load changes it."""
    original = Path(str(ZOO), animal["name"])
    return copy_of(original) if animal.get("changes") else original


@functools.cache
def copy_of(original: Path) -> Path:
    work = tempfile.mkdtemp(prefix="zoo-")
    atexit.register(shutil.rmtree, work, ignore_errors=True)
    return Path(shutil.copytree(original, Path(work, original.name)))


def target_path(animal: dict[str, Any]) -> str:
    return str(folder(animal) / animal["target"])


def assumed_target(animal: dict[str, Any], windows_name: str) -> Target:
    """A clean Windows with the Python of the recipe."""
    at = folder(animal)
    variables = {name: value.format(zoo=at) for name, value in animal["variables"].items()}
    found = None
    if animal["python"] != "none":
        found = python.assumed(int(animal["python"].partition(".")[2]), animal["arch"])
        if animal["app_dir"]:
            found = found._replace(directory=Directory(str(at / animal["app_dir"])))
    return Target(
        windows=windows.named(windows_name),
        architecture=animal["arch"],
        python=found,
        dll_dirs=tuple(str(at / name) for name in animal["dll_dirs"]),
        path=tuple(str(at / name) for name in animal["path"]),
        loaded=tuple(str(at / name) for name in animal["loaded_first"]),
        environment=environment.around(found, target_path(animal), variables),
        runtimes=tuple(animal["runtimes"]),
    )


def on_wine() -> bool:
    return platform.system() == "Windows" and "wine_get_version" in _ntdll_exports()


def _ntdll_exports() -> set[str]:
    from depwalk import image

    ntdll = Path(os.environ.get("SYSTEMROOT", "C:\\Windows"), "System32", "ntdll.dll")
    return {export.name or "" for export in image.read(ntdll).exports}
