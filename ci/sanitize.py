"""Compile the core with every warning of two compilers, for every platform, and fuzz it under ASan and UBSan.

python3 ci/sanitize.py [--campaign SECONDS] [DIRECTORY]

DIRECTORY holds the files to begin with (the built zoo); with --campaign libFuzzer goes on from
them, with coverage to guide it. The compilers are Debian's, in a root of their own in the cache.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bed
import fetch
import prerequisites
from steps import CACHE, CHECKOUT, Command, SetupError, only_run, run_logged, say, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

GCC = "gcc-12"
CLANG = "clang-14"
ROOT_PACKAGES = (GCC, "libc6-dev", CLANG, "libclang-rt-14-dev")
IN_NAMESPACE = "DEPWALK_SANITIZE_IN_NAMESPACE"

CORE = CHECKOUT / "csrc"
DRIVER = CHECKOUT / "tests" / "fuzz" / "fuzz_pe.c"
WORKPLACE = CACHE / "build" / "sanitize"

WARNINGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-pedantic", "-Werror", "-DDW_BUILD")
WINDOWS_OPTIONS = ("-ffreestanding", "-fno-stack-protector", "-fno-sanitize=all")
WINDOWS_TARGETS = ("x86_64", "x86", "aarch64")
SANITIZERS = ("-std=c11", "-g", "-O1", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")


def prepare_root() -> Path:
    """Make the Debian root with the compilers; apart from the bed's, so that neither is rebuilt for the other."""

    def build(root: Path) -> None:
        bootstrap = ["debootstrap", "--variant=minbase", bed.SUITE, str(root), *bed.debian_mirror()]
        run_logged(bootstrap, "compilers-debootstrap")
        commands = (
            ["apt-get", "update"],
            ["apt-get", "install", "--yes", "--no-install-recommends", *ROOT_PACKAGES],
            ["apt-get", "clean"],
        )
        with bed.mounted(root):
            for number, command in enumerate(commands):
                log = f"compilers-{number}"
                run_logged(bed.enter_command(root, command), log, env=bed.root_environment())

    inputs = [bed.SUITE, *ROOT_PACKAGES]
    return step(CACHE / "root-compilers", "Debian root with gcc and clang", "a minute", inputs, build)


if __name__ == "__main__":
    prepare_root()
