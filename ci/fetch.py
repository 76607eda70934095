"""Pinned downloads: nothing comes in that is not named by version and sha256 in ci/pins."""

from __future__ import annotations

import os
import re
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import prerequisites
from steps import CACHE, Command, SetupError, file_hash, progress, run_logged, step

if TYPE_CHECKING:
    from collections.abc import Sequence

PINS = Path(__file__).resolve().parent / "pins"
WHEELS = CACHE / "downloads"
PATIENTS = CACHE / "patients"
PATIENT_WHEELS = (
    "tensorflow-2.0.0-cp37-cp37m-win_amd64.whl",
    "panda3d-1.10.16-cp311-cp311-win_amd64.whl",
    "panda3d-1.10.16-cp311-cp311-win32.whl",
    "panda3d-1.10.16-cp37-cp37m-win_amd64.whl",
)


def host_environment() -> Path:
    """Make the host's virtual environment; return its Python."""

    def build(directory: Path) -> None:
        run_logged([sys.executable, "-m", "venv", directory], "venv")
        python = environment_python(directory)
        run_logged([python, *pip_install(), "--requirement", PINS / "host.txt"], "pip-host")

    directory = step(
        CACHE / "venv",
        "host environment",
        "half a minute",
        [sys.version, sys.executable, (PINS / "host.txt").read_text()],
        build,
        in_place=True,  # its scripts name its path
    )
    return environment_python(directory)


def environment_python(directory: Path) -> Path:
    """Return the interpreter of a virtual environment."""
    return directory / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def pip_install() -> Sequence[str]:
    """Return the arguments of an installation of pinned wheels."""
    return [
        "-m", "pip", "--disable-pip-version-check", "install",
        "--no-deps", "--require-hashes", "--only-binary=:all:",
    ]  # fmt: skip


def install_windows_packages(host_python: Path, platform: str, site_packages: Path) -> None:
    """Install the packages of windows.txt for a CPython 3.11 of Windows."""
    target: Command = ["--target", site_packages, "--platform", platform, "--python-version", "3.11"]
    tags = ["--implementation", "cp", "--abi", "cp311", "--abi", "abi3", "--abi", "none"]
    requirements: Command = ["--requirement", PINS / "windows.txt"]
    run_logged([host_python, *pip_install(), *target, *tags, *requirements], f"pip-{platform}")


def fetch_wheel(host_python: Path, filename: str) -> Path:
    """Return the wheel of that name from the cache, downloading it if it is not there."""
    name, version, python_tag, abi, platform = filename.removesuffix(".whl").split("-")
    pin, hashes = find_pin(PINS / "patients.txt", f"{name}=={version}")
    wheel = WHEELS / filename
    if wheel.is_file() and file_hash(wheel) in hashes:
        return wheel
    WHEELS.mkdir(parents=True, exist_ok=True)
    requirement = WHEELS / f"{filename}.txt"
    requirement.write_text(pin)
    major_minor = re.sub(r"cp(\d)(\d+)", r"\1.\2", python_tag)
    with progress(f"downloading {filename}"):
        run_logged(
            [
                host_python, "-m", "pip", "--disable-pip-version-check", "download",
                "--no-deps", "--require-hashes", "--only-binary=:all:",
                "--platform", platform, "--python-version", major_minor,
                "--implementation", "cp", "--abi", abi,
                "--dest", WHEELS, "--requirement", requirement,
            ],
            f"download-{filename}",
        )  # fmt: skip
    if not wheel.is_file() or file_hash(wheel) not in hashes:
        message = f"pip left no {filename} with a pinned hash in {WHEELS}"
        raise SetupError(message)
    return wheel


def find_pin(pins: Path, requirement: str) -> tuple[str, frozenset[str]]:
    """Return the lines of one requirement and the sha256 values that they allow."""
    for line in pins.read_text().replace("\\\n", " ").splitlines():
        if line.startswith(f"{requirement} "):
            return line, frozenset(re.findall(r"sha256:([0-9a-f]{64})", line))
    message = f"{pins.name} does not pin {requirement}"
    raise SetupError(message)


def unpack_patient(host_python: Path, filename: str) -> Path:
    """Unpack one wheel into a directory of its own."""

    def build(directory: Path) -> None:
        with zipfile.ZipFile(fetch_wheel(host_python, filename)) as archive:
            archive.extractall(directory)

    name, version, python_tag, _, platform = filename.removesuffix(".whl").split("-")
    target = PATIENTS / f"{name}-{version}-{python_tag}-{platform}"
    pin, _ = find_pin(PINS / "patients.txt", f"{name}=={version}")
    return step(target, f"unpacking {target.name}", "5 seconds", [filename, pin], build)


def unpack_patients(host_python: Path) -> Path:
    """Unpack all patients; return the directory that holds theirs."""
    for filename in PATIENT_WHEELS:
        unpack_patient(host_python, filename)
    return PATIENTS


def main() -> int:
    """Fetch what the host needs and every patient, for a machine that will be offline later."""
    prerequisites.ensure(bed=False)
    unpack_patients(host_environment())
    return 0


if __name__ == "__main__":
    sys.exit(main())
