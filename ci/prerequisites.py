"""What the set-up needs of the machine: the only place that installs anything outside the cache."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys

from steps import progress, run_logged

# What tests/release runs cores for other processors and C libraries with; they skip themselves where it is missing.
FOREIGN_TOOLS = {
    "qemu-aarch64-static": "qemu-user-static",
    "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1": "libc6-arm64-cross",
    "/lib/ld-musl-x86_64.so.1": "musl",
    "gcc": "gcc",
}
# A program that the bed needs, and Debian's package of it.
BED_TOOLS = {"debootstrap": "debootstrap", "unshare": "util-linux", "mount": "mount", "chroot": "coreutils"}
# The same for tests that skip themselves where there is none: tests/browser, and completion in a real zsh.
BROWSER_TOOLS = {"chromium": "chromium", "chromedriver": "chromium-driver", "zsh": "zsh"}
LINUX_X64 = sys.platform == "linux" and os.uname().machine == "x86_64"


class MissingPrerequisiteError(Exception):
    """Something only the user can provide is missing; the message says what to run."""


def ensure(*, bed: bool, browser: bool = False, foreign: bool = False) -> None:
    """Install what is missing, saying so first; without root say what to run. What tests can skip: as root only."""
    if bed and not LINUX_X64:
        raise MissingPrerequisiteError("The test bed needs Linux on x86-64; `test --host` runs without it.")
    is_root = sys.platform != "win32" and os.geteuid() == 0
    can_install = is_root and shutil.which("apt-get") is not None
    can_install_more = can_install and LINUX_X64
    missing = missing_packages(bed=bed, browser=browser and can_install_more, foreign=foreign and can_install_more)
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if missing and not can_install:
        raise MissingPrerequisiteError(f"Missing: {' '.join(missing)}\nOn Debian, as root:  {' '.join(install)}")
    if bed and not is_root:
        raise MissingPrerequisiteError(
            "The test bed needs root, for chroot and mounts of its own.\n"
            f"As root:  {sys.executable} {' '.join(sys.argv)}\n"
            "Without root:  the same with `test --host`"
        )
    if missing:
        with progress(f"installing on this machine with apt-get: {' '.join(missing)}"):
            environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
            run_logged(["apt-get", "update"], "apt-update", env=environment)
            run_logged(install, "apt-install", env=environment)
        importlib.invalidate_caches()


def missing_packages(*, bed: bool, browser: bool, foreign: bool) -> list[str]:
    """Return the Debian packages that provide what is not there."""
    tools = (BED_TOOLS if bed else {}) | (BROWSER_TOOLS if browser else {}) | (FOREIGN_TOOLS if foreign else {})
    missing = [package for tool, package in tools.items() if not shutil.which(tool)]
    if importlib.util.find_spec("ensurepip") is None:  # Debian ships it apart
        missing.append("python3-venv")
    return missing
