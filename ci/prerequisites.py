"""What the set-up needs of the machine: the only place that installs anything outside the cache."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys

from steps import progress, run_logged

# Programs, and Debian's package of each.
BED_TOOLS = {"debootstrap": "debootstrap", "unshare": "util-linux", "mount": "mount", "chroot": "coreutils"}
INSTALLER_TOOLS = {"makensis": "nsis"}
# Of tests that skip themselves without: tests/browser and completion in a real zsh; and tests/release, which
# runs cores for other processors and C libraries.
HOST_TOOLS = {"chromium": "chromium", "chromedriver": "chromium-driver", "zsh": "zsh"}
FOREIGN_TOOLS = {
    "qemu-aarch64-static": "qemu-user-static",
    "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1": "libc6-arm64-cross",
    "/lib/ld-musl-x86_64.so.1": "musl",
    "gcc": "gcc",
}
NOTHING: dict[str, str] = {}
LINUX_X64 = sys.platform == "linux" and os.uname().machine == "x86_64"


class MissingPrerequisiteError(Exception):
    """Something only the user can provide is missing; the message says what to run."""


def ensure(*, bed: bool, needed: dict[str, str] = NOTHING, wanted: dict[str, str] = NOTHING) -> None:
    """Install what is missing, saying so first; without root say what to run.

    `wanted` is what tests skip themselves without: it is installed as root only, and on Linux for x86-64.
    """
    if bed and not LINUX_X64:
        raise MissingPrerequisiteError("The test bed needs Linux on x86-64; `test --host` runs without it.")
    is_root = sys.platform != "win32" and os.geteuid() == 0
    can_install = is_root and shutil.which("apt-get") is not None
    tools = (BED_TOOLS if bed else NOTHING) | needed | (wanted if can_install and LINUX_X64 else NOTHING)
    missing = missing_packages(tools)
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


def missing_packages(tools: dict[str, str]) -> list[str]:
    """Return the Debian packages that provide what is not there."""
    missing = [package for tool, package in tools.items() if not shutil.which(tool)]
    if importlib.util.find_spec("ensurepip") is None:  # Debian ships it apart
        missing.append("python3-venv")
    return missing
