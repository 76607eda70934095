"""Builds everything that is published: a wheel for each platform, the sources, and the programs for installers.

zig compiles all of it on one machine. The same sources and pins make the same bytes wherever that is: no path and no
time of the machine gets in, but the time of the last commit that changed the package.

python3 ci/wheels.py                 builds all, and prints what sha256sum would
python3 ci/wheels.py --version TAG   says whether a tag is that of the version
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import bed
import check_exe
import fetch
import prerequisites
import tomllib
from steps import CACHE, CHECKOUT, STAMP, Command, file_hash, remove_tree, run_logged, say, step, tree_hash

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

DIST = CACHE / "dist"
PACKAGE = (
    "pyproject.toml", "setup.py", "setup.cfg", "MANIFEST.in", "README.md", "LICENSE",
    "csrc", "depwalk",
)  # fmt: skip
# What MANIFEST.in names beside the package.
BESIDE = (
    ".pre-commit-hooks.yaml", "biome.json", "CHANGELOG.md", "CONTRIBUTING.md", "mkdocs.yml",
    "bench", "ci", "docs", "examples", "tests",
)  # fmt: skip
GENERATED = ("__pycache__", "_core.*", "_core-*.dll", "_binding.py")
UNIX = 3  # what an entry of an archive says of the system that made it
OLDEST_TIME = "315532800"  # 1980 begins, and with it the time that a wheel can tell
# What depwalk needs at run time, and what builds it from its sources, as host.txt pins them.
NEEDED = ("cffi", "markdown-it-py", "mdurl", "pycparser", "pygments", "rich", "setuptools")


@dataclass(frozen=True)
class Platform:
    """A platform, as wheels and as zig name it."""

    tag: str
    zig: str

    @property
    def system(self) -> str:
        """Return "windows", "linux" or "macos"."""
        return self.zig.split("-")[1].partition(".")[0]


PLATFORMS = (
    Platform("win_amd64", "x86_64-windows-gnu"),
    Platform("win32", "x86-windows-gnu"),
    Platform("win_arm64", "aarch64-windows-gnu"),
    Platform("manylinux2014_x86_64", "x86_64-linux-gnu.2.17"),
    Platform("manylinux2014_aarch64", "aarch64-linux-gnu.2.17"),
    Platform("musllinux_1_2_x86_64", "x86_64-linux-musl"),
    Platform("macosx_10_12_x86_64", "x86_64-macos.10.12"),
    Platform("macosx_11_0_arm64", "aarch64-macos.11.0"),
)
LIBRARY = "depwalk-c.zip"  # the core for programs in C: header, DLLs, import libraries


def platform_of(tag: str) -> Platform:
    """Return one of the platforms."""
    return next(platform for platform in PLATFORMS if platform.tag == tag)


def copy_sources(workplace: Path, names: Sequence[str] = PACKAGE) -> Path:
    """Copy what a build needs, so that nothing is left behind in the checkout."""
    sources = workplace / "sources"
    for name in names:
        origin = CHECKOUT / name
        if origin.is_dir():
            shutil.copytree(origin, sources / name, ignore=shutil.ignore_patterns(*GENERATED))
        elif origin.is_file():
            sources.mkdir(parents=True, exist_ok=True)
            shutil.copy(origin, sources / name)
    return sources


def sources_key(names: Sequence[str] = PACKAGE) -> str:
    """Return what changes when a build would have another result."""
    present = [CHECKOUT / name for name in names if (CHECKOUT / name).exists()]
    return tree_hash(present, GENERATED) + (fetch.PINS / "host.txt").read_text()


def compiler(host_python: Path, target: str = "") -> dict[str, str]:
    """Return an environment whose C compiler is zig, for the host or for another target."""
    target_option = ["-target", target] if target else ["-mcpu=baseline"]  # not what only this processor has
    return bed.zig_environment() | {"CC": shlex.join([*zig(host_python), *target_option])}


def zig(host_python: Path) -> list[str]:
    """Return the command of zig's C compiler."""
    return [host_python.as_posix(), "-m", "ziglang", "cc"]


def epoch() -> str:
    """Return the time that goes into archives: SOURCE_DATE_EPOCH, or when a commit last changed the package."""
    told = os.environ.get("SOURCE_DATE_EPOCH", "")
    if told:
        return told
    command = ["git", "log", "-1", "--format=%ct", "--", *PACKAGE]
    try:
        answer = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout.strip()
    except FileNotFoundError:  # no git
        answer = ""
    return answer or OLDEST_TIME


def build_wheel(host_python: Path, platform: Platform, sources: Path, directory: Path, **variables: str) -> Path:
    """Build the wheel of a platform from a copy of the sources, in which nothing is built yet; return its path."""
    environment = compiler(host_python, platform.zig) | {"SOURCE_DATE_EPOCH": epoch()} | variables
    if platform.tag.startswith("musllinux"):
        environment["LDFLAGS"] = f"-nostdlib -Wl,--no-as-needed {musl(host_python, platform, sources)}"
    make: Command = ["setup.py", "-q", "bdist_wheel", "--plat-name", platform.tag, "-d", directory]
    run_logged([host_python, *make], f"wheel-{platform.tag}", env=environment, cwd=sources)
    (wheel,) = directory.glob(f"*-{platform.tag}.whl")
    return wheel


def musl(host_python: Path, platform: Platform, directory: Path) -> str:
    """Make a C library without contents that is named as on musl systems; zig's own is "libc.so". Return its name."""
    processor = platform.zig.partition("-")[0]
    (directory / "empty.c").write_text("typedef int nothing;\n")
    name: Command = ["-shared", "-nostdlib", f"-Wl,-soname,libc.musl-{processor}.so.1", "-o", "musl.so"]
    command = [*zig(host_python), "-target", platform.zig, *name, "empty.c"]
    run_logged(command, f"musl-{processor}", env=bed.zig_environment(), cwd=directory)
    return "musl.so"


def build_sdist(host_python: Path, sources: Path, directory: Path, **variables: str) -> Path:
    """Build the source distribution from a copy of everything that it holds; return its path."""
    environment: Mapping[str, str] = os.environ | {"SOURCE_DATE_EPOCH": epoch()} | variables
    make: Command = ["setup.py", "-q", "sdist", "-d", directory]
    run_logged([host_python, *make], "sdist", env=environment, cwd=sources)
    (archive,) = directory.glob("*.tar.gz")
    return archive


def prepare_wheels(host_python: Path) -> Path:
    """Return the directory with the wheels of all platforms."""

    def build(directory: Path) -> None:
        def build_those_of(system: str) -> None:
            workplace = directory / system
            sources = copy_sources(workplace)  # one copy: what zig has compiled of it, it remembers
            for platform in PLATFORMS:
                if platform.system == system:
                    build_wheel(host_python, platform, sources, directory)
                    remove_tree(sources / "build")
            remove_tree(workplace)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(build_those_of, dict.fromkeys(platform.system for platform in PLATFORMS)))

    return step(CACHE / "dist-wheels", "the wheels of all platforms", "4 minutes the first time", key(), build)


def prepare_sdist(host_python: Path) -> Path:
    """Return the directory with the source distribution."""

    def build(directory: Path) -> None:
        sources = copy_sources(directory, (*PACKAGE, *BESIDE))
        build_sdist(host_python, sources, directory)
        remove_tree(sources)

    return step(CACHE / "dist-sources", "the source distribution", "5 s", [*key(), sources_key(BESIDE)], build)


def key() -> list[str]:
    """Return what changes when the package or the way in which it is built does."""
    return [sources_key(), epoch(), file_hash(CHECKOUT / "ci" / "wheels.py")]


def build_programs(host_python: Path, directory: Path) -> None:
    """Build the programs for installers, and an archive with the core for programs in C."""
    os.environ["SOURCE_DATE_EPOCH"] = epoch()  # the linker writes it into each program
    os.environ.update(bed.zig_environment())
    library = directory / "library"
    for architecture in check_exe.ZIG:
        check_exe.build(zig(host_python), architecture, directory / check_exe.name(architecture))
        check_exe.build_library(zig(host_python), architecture, library / check_exe.library_name(architecture))
    shutil.copy(check_exe.CORE / "depwalk.h", library)
    pack(library, directory / LIBRARY)
    remove_tree(library)


def prepare_programs(host_python: Path) -> Path:
    """Return the directory with the programs for installers, and with the core for programs in C."""

    def build(directory: Path) -> None:
        build_programs(host_python, directory)

    inputs = [*key(), file_hash(CHECKOUT / "ci" / "check_exe.py")]
    return step(CACHE / "dist-programs", "the programs for installers", "20 s", inputs, build)


def pack(directory: Path, archive: Path) -> None:
    """Make an archive of the files in a directory that says nothing of when and where."""
    moment = time.gmtime(max(int(epoch()), int(OLDEST_TIME)))
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for file in sorted(directory.iterdir()):
            entry = zipfile.ZipInfo(file.name, moment[:6])
            entry.compress_type, entry.create_system = zipfile.ZIP_DEFLATED, UNIX
            entry.external_attr = 0o644 << 16
            target.writestr(entry, file.read_bytes())


def prepare_all(host_python: Path) -> Path:
    """Build all that is not there yet; return the directory that holds it, and nothing else."""
    parts = [prepare_wheels(host_python), prepare_sdist(host_python), prepare_programs(host_python)]
    remove_tree(DIST)
    DIST.mkdir(parents=True)
    for part in parts:
        for file in part.iterdir():
            if file.name != STAMP:
                shutil.copy2(file, DIST)
    return DIST


def prepare_needed(host_python: Path) -> Path:
    """Return a directory with the wheels of everything that an installation of depwalk asks an index for."""
    pins = (fetch.PINS / "host.txt").read_text().replace("\\\n", " ").splitlines()
    wanted = [line for line in pins if line.partition("==")[0] in NEEDED]

    def build(directory: Path) -> None:
        requirements = directory / "requirements.txt"
        requirements.write_text("\n".join(wanted))
        options = ["--no-deps", "--require-hashes", "--only-binary=:all:"]
        pip: Command = [host_python, "-m", "pip", "--disable-pip-version-check", "download", *options]
        run_logged([*pip, "--dest", directory, "--requirement", requirements], "pip-needed")

    return step(CACHE / "needed", "wheels of what depwalk needs", "10 s", wanted, build)


def release_tools(host_python: Path) -> Path:
    """Make the environment with the tools of a release; return its Python."""

    def build(directory: Path) -> None:
        run_logged([host_python, "-m", "venv", directory], "venv-release")
        install: Command = [*fetch.pip_install(), "--requirement", fetch.PINS / "release.txt"]
        run_logged([fetch.environment_python(directory), *install], "pip-release")

    inputs = [str(host_python), (host_python.parents[1] / STAMP).read_text(), (fetch.PINS / "release.txt").read_text()]
    directory = step(CACHE / "release", "tools of a release", "20 s", inputs, build, in_place=True)
    return fetch.environment_python(directory)


def check_version(tag: str) -> int:
    """Say whether a tag is that of the version in pyproject.toml."""
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    if tag == f"v{version}":
        return 0
    say(f"[ci] the tag is {tag}, and the version in pyproject.toml is {version}")
    return 1


def main() -> int:
    """Build all that is published, or with --version TAG only compare that with the version."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", metavar="TAG", help="only say whether this tag is that of the version")
    options = parser.parse_args()
    if options.version:
        return check_version(options.version)
    prerequisites.ensure(bed=False)
    directory = prepare_all(fetch.host_environment())
    for file in sorted(directory.iterdir()):
        say(f"{file_hash(file)}  {file.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
