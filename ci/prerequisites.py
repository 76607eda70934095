"""What the set-up needs of the machine: the only place that installs anything outside the cache."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys

from steps import progress, run_logged

# A program that the bed needs, and Debian's package of it.
BED_TOOLS = {"debootstrap": "debootstrap", "unshare": "util-linux", "mount": "mount", "chroot": "coreutils"}


class MissingPrerequisiteError(Exception):
    """Something only the user can provide is missing; the message says what to run."""


def ensure(*, bed: bool) -> None:
    """Install what is missing, saying so first; without root say what to run."""
    if bed and (sys.platform != "linux" or os.uname().machine != "x86_64"):
        raise MissingPrerequisiteError("The test bed needs Linux on x86-64; `test --host` runs without it.")
    missing = missing_packages(bed=bed)
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    is_root = sys.platform != "win32" and os.geteuid() == 0
    if missing and not (is_root and shutil.which("apt-get")):
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


def missing_packages(*, bed: bool) -> list[str]:
    """Return the Debian packages that provide what is not there."""
    missing = [package for tool, package in BED_TOOLS.items() if bed and not shutil.which(tool)]
    if importlib.util.find_spec("ensurepip") is None:  # Debian ships it apart
        missing.append("python3-venv")
    return missing
