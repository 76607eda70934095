"""Compile the core with every warning of two compilers, for every platform, and fuzz it under ASan and UBSan.

python3 ci/sanitize.py [--campaign SECONDS] [DIRECTORY]

DIRECTORY holds the files to begin with (the built zoo); with --campaign libFuzzer goes on from
them, with coverage to guide it. The compilers are Debian's, in a root of their own in the cache.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import functools
import math
import os
import re
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bed
import fetch
import prerequisites
from steps import CACHE, CHECKOUT, Command, SetupError, file_hash, only_run, run_logged, say, step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Parts = list[tuple[str, Callable[[], None]]]

GCC = "gcc-12"
CLANG = "clang-14"
ROOT_PACKAGES = (GCC, "libc6-dev", CLANG, "libclang-rt-14-dev")
IN_NAMESPACE = "DEPWALK_SANITIZE_IN_NAMESPACE"

CORE = CHECKOUT / "csrc"
DRIVER = CHECKOUT / "tests" / "fuzz"
WORKPLACE = CACHE / "build" / "sanitize"

TABLES = CACHE / "build" / "tables"  # the headers that the build makes
WARNINGS = ("-std=c11", "-O2", "-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-pedantic", "-Werror", "-DDW_BUILD")
WINDOWS_OPTIONS = ("-ffreestanding", "-fno-stack-protector", "-fno-sanitize=all")
WINDOWS_TARGETS = ("x86_64", "x86", "aarch64")
SANITIZED = ("-std=c11", "-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
WORK_COUNTED = "-fsanitize-coverage=trace-pc"  # only of the core: see invariants.c

SEED_SUFFIXES = (".dll", ".pyd", ".exe")
PATIENT_BYTES = 16384  # of the real wheels only files up to this size: cuts of a larger one take long
MUTATIONS = 3000  # of each file; with the cuts of all files two minutes on two processors
PATIENT_MUTATIONS = 2000
WORST_BYTES = (16384, 65536, 1048576)
LONGEST_INPUT = 32768  # libFuzzer's, in bytes


@dataclass(frozen=True)
class Compilers:
    """The root with the compilers, mounted."""

    root: Path

    def run(self, command: Command, log: str, cwd: Path = WORKPLACE) -> None:
        """Run a program in the root; raise SetupError if it fails."""
        words = [str(word) for word in command]
        run_logged(bed.enter_command(self.root, words, cwd), f"sanitize-{log}", env=bed.root_environment())


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


@contextlib.contextmanager
def open_compilers(seeds: Path) -> Iterator[Compilers]:
    """Set the root up as far as it is not, and let it see the cache, the checkout and the seeds.

    The caller has a mount namespace of its own: no mount outlives it.
    """
    WORKPLACE.mkdir(parents=True, exist_ok=True)
    make_tables()
    shared = [CACHE, CHECKOUT]
    if seeds.is_dir() and not any(seeds.is_relative_to(directory) for directory in shared):
        shared.append(seeds)
    root = prepare_root()
    with bed.mounted(root, shared):
        yield Compilers(root)


def make_tables() -> None:
    """Write the generated tables, as setup.py does."""
    TABLES.mkdir(parents=True, exist_ok=True)
    for table in sorted(CORE.glob("*_table.py")):
        run_logged([fetch.host_environment(), table, TABLES / f"{table.stem}.h"], table.stem)


# warnings


def core_sources(*, windows: bool) -> list[Path]:
    """Return the core's files for one side; those for the other side are named so."""
    other_side = "_other" if windows else "_windows"
    return [path for path in sorted(CORE.glob("*.c")) if not path.stem.endswith(other_side)]


def driver_sources() -> list[Path]:
    """Return the files of the fuzz driver."""
    return sorted(DRIVER.glob("*.c"))


def build_directory(name: str) -> Path:
    """Return a directory for the object files of one build; a compiler leaves them where it runs."""
    directory = WORKPLACE / name
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def compile_for_linux(compilers: Compilers, compiler: str) -> None:
    """Compile the core and the driver; a warning is a failure."""
    sources = [*core_sources(windows=False), *driver_sources()]
    command: Command = [compiler, *WARNINGS, f"-I{CORE}", f"-I{TABLES}", "-c", *sources]
    compilers.run(command, compiler, build_directory(compiler))


def compile_for_windows(host_python: Path, target: str) -> None:
    """Compile the core for one Windows; a warning is a failure."""
    compiler: Command = [host_python, "-m", "ziglang", "cc", "-target", f"{target}-windows-gnu"]
    directory = build_directory(f"zig-{target}")
    for source in core_sources(windows=True):  # one by one: zig makes no two COFF objects at once
        command: Command = [
            *compiler,
            *WARNINGS,
            f"-I{TABLES}",
            *WINDOWS_OPTIONS,
            "-c",
            source,
            "-o",
            directory / f"{source.stem}.o",
        ]
        run_logged(command, f"sanitize-zig-{target}", env=bed.zig_environment())


# fuzzing


def seed_files(directory: Path, largest: float = math.inf) -> list[Path]:
    """Return the PE files below a directory, each content once."""
    found: dict[str, Path] = {}
    for path in sorted(directory.rglob("*")):
        if path.suffix.lower() in SEED_SUFFIXES and path.is_file() and path.stat().st_size <= largest:
            found.setdefault(file_hash(path), path)
    return list(found.values())


def build_driver(compilers: Compilers) -> Path:
    """Build the fuzz driver and the core under it; only the core counts its work."""
    directory = build_directory("fuzz")
    program = directory / "fuzz_pe"
    core: Command = [GCC, *SANITIZED, "-DDW_BUILD", f"-I{TABLES}", WORK_COUNTED, "-c", *core_sources(windows=False)]
    driver: Command = [GCC, *SANITIZED, "-DFUZZ_COUNT_WORK", f"-I{CORE}", "-c", *driver_sources()]
    objects = [f"{path.stem}.o" for path in (*core_sources(windows=False), *driver_sources())]
    compilers.run(core, "fuzz-core", directory)
    compilers.run(driver, "fuzz-driver", directory)
    compilers.run([GCC, *SANITIZED, *objects, "-o", program], "fuzz-link", directory)
    return program


def fuzz(compilers: Compilers, zoo: Path) -> None:
    """Let the driver damage the seeds, one process per processor."""
    program = build_driver(compilers)
    seeds, patients = seed_files(zoo), seed_files(fetch.PATIENTS, PATIENT_BYTES)
    if not seeds:
        say(f"[ci] no PE files in {zoo}: only the worst files and the patients")
    processes = os.cpu_count() or 1
    jobs: list[Command] = [[program, "--worst", str(size)] for size in WORST_BYTES]
    for files, mutations in ((seeds, MUTATIONS), (patients, PATIENT_MUTATIONS)):
        shares = [files[number::processes] for number in range(processes)]
        jobs += [[program, "--mutations", str(mutations), *share] for share in shares if share]

    def work(job: tuple[int, Command]) -> None:
        number, (driver, *rest) = job
        failure = WORKPLACE / f"failure-{number}.bin"
        compilers.run([driver, "--save", failure, *rest], f"fuzz-{number}")

    with concurrent.futures.ThreadPoolExecutor(processes) as pool:
        for _ in pool.map(work, enumerate(jobs)):
            pass
    say(f"[ci] {summary(len(jobs))}")


def summary(jobs: int) -> str:
    """Add up the last lines of the driver's processes."""
    totals = [0, 0, 0]
    work = 0.0
    for number in range(jobs):
        last = (CACHE / "logs" / f"sanitize-fuzz-{number}.log").read_text().splitlines()[-1]
        counts = [float(number) for number in re.findall(r"[\d.]+", last)]
        totals = [total + int(count) for total, count in zip(totals, counts)]
        work = max(work, counts[-1])
    files, cuts, mutations = totals
    return f"{files} files, {cuts} cuts, {mutations} mutations; at most {work} basic blocks per byte"


def campaign(compilers: Compilers, zoo: Path, seconds: int) -> None:
    """Let libFuzzer search from the seeds; what it found of interest is the next campaign's beginning."""
    directory = build_directory("campaign")
    corpus, program = directory / "corpus", directory / "fuzz_pe"
    corpus.mkdir(exist_ok=True)
    for path in (*seed_files(zoo), *seed_files(fetch.PATIENTS, PATIENT_BYTES)):
        shutil.copy(path, corpus / file_hash(path))
    sources = [*core_sources(windows=False), *driver_sources()]
    sanitizers = "-fsanitize=fuzzer,address,undefined"
    options = [*SANITIZED, sanitizers, "-DDW_BUILD", "-DFUZZ_LIBFUZZER", f"-I{CORE}", f"-I{TABLES}"]
    compilers.run([CLANG, *options, *sources, "-o", program], "campaign-build", directory)
    limits = [f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}", "-timeout=20", "-print_final_stats=1"]
    compilers.run([program, *limits, corpus], "campaign", directory)
    lines = (CACHE / "logs" / "sanitize-campaign.log").read_text(errors="replace").splitlines()
    say("\n".join(line for line in lines if "DONE" in line or line.startswith("stat::")))


# the parts


def compiling(compilers: Compilers, host_python: Path) -> Parts:
    """The core by every compiler, at its strictest."""
    linux = [(name, functools.partial(compile_for_linux, compilers, name)) for name in (GCC, CLANG)]
    windows = [(f"zig for Windows {name}", functools.partial(compile_for_windows, host_python, name))
               for name in WINDOWS_TARGETS]  # fmt: skip
    return [(f"C warnings, {name}", part) for name, part in [*linux, *windows]]


def fuzzing(compilers: Compilers, zoo: Path) -> Parts:
    """The core with damaged files, under sanitizers."""
    return [("C fuzzing under ASan and UBSan", functools.partial(fuzz, compilers, zoo))]


def run_part(name: str, part: Callable[[], None]) -> bool:
    """Run one part and say in a line how it ended."""
    start = time.monotonic()
    try:
        part()
        passed = True
    except SetupError as error:
        say(str(error))
        passed = False
    say(f"[ci] {'ok    ' if passed else 'FAILED'} {time.monotonic() - start:7.1f} s  {name}")
    return passed


def run(zoo: Path, parts: Callable[[Compilers], Parts]) -> int:
    """Run parts, in the caller's mount namespace and under its lock; return the exit status."""
    with open_compilers(zoo) as compilers:
        results = [run_part(name, part) for name, part in parts(compilers)]
    return 0 if all(results) else 1


def enter_namespace() -> None:
    """Start this program again, once, where its mounts are seen by nobody else."""
    if os.environ.pop(IN_NAMESPACE, None):
        return
    command = ["unshare", "--mount", "--propagation", "private", sys.executable]
    environment = os.environ | {IN_NAMESPACE: "1"}
    os.execvpe("unshare", [*command, str(Path(__file__).resolve()), *sys.argv[1:]], environment)


def main(arguments: Sequence[str]) -> int:
    """Parse the command line; run the parts, or only a campaign."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--campaign", type=int, metavar="SECONDS", help="only this: libFuzzer for so long")
    parser.add_argument("directory", nargs="?", type=Path, default=CACHE / "zoo", help="PE files to begin with")
    options = parser.parse_args(arguments)
    zoo: Path = options.directory.resolve()
    try:
        prerequisites.ensure(bed=True)
        enter_namespace()
        with only_run():
            if options.campaign is None:
                python = fetch.host_environment()
                return run(zoo, lambda compilers: compiling(compilers, python) + fuzzing(compilers, zoo))
            with open_compilers(zoo) as compilers:
                what = "libFuzzer campaign"
                return 0 if run_part(what, functools.partial(campaign, compilers, zoo, options.campaign)) else 1
    except (prerequisites.MissingPrerequisiteError, SetupError) as error:
        say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
