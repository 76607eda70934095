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
# The same for tests/browser, which skip themselves where there is none.
BROWSER_TOOLS = {"chromium": "chromium", "chromedriver": "chromium-driver"}
INSTALLER_TOOLS = {"makensis": "nsis"}  # for tests/installer
LINUX_X64 = sys.platform == "linux" and os.uname().machine == "x86_64"


class MissingPrerequisiteError(Exception):
    """Something only the user can provide is missing; the message says what to run."""


def ensure(*, bed: bool, browser: bool = False, installers: bool = False) -> None:
    """Install what is missing, saying so first; without root say what to run. A browser is installed as root only."""
    if bed and not LINUX_X64:
        raise MissingPrerequisiteError("The test bed needs Linux on x86-64; `test --host` runs without it.")
    is_root = sys.platform != "win32" and os.geteuid() == 0
    can_install = is_root and shutil.which("apt-get") is not None
    browser = browser and can_install and sys.platform == "linux"
    missing = missing_packages(bed=bed, browser=browser, installers=installers)
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


def missing_packages(*, bed: bool, browser: bool, installers: bool) -> list[str]:
    """Return the Debian packages that provide what is not there."""
    tools = (BED_TOOLS if bed else {}) | (BROWSER_TOOLS if browser else {}) | (INSTALLER_TOOLS if installers else {})
    missing = [package for tool, package in tools.items() if not shutil.which(tool)]
    if importlib.util.find_spec("ensurepip") is None:  # Debian ships it apart
        missing.append("python3-venv")
    return missing
