"""Set up the test bed, run the tests in it, or show what depwalk does.

python3 ci/run.py test [--host | --windows] [pytest arguments]
python3 ci/run.py demo
python3 ci/run.py cases
python3 ci/run.py matrix
python3 ci/run.py examples
python3 ci/run.py site
python3 ci/run.py wheels [--host]
python3 ci/run.py bed
python3 ci/run.py agreement [arguments of agreement.py]
python3 ci/run.py instructions [--most N] [FILE...]
python3 ci/run.py processors [arguments of processors.py]
python3 ci/run.py environment
python3 ci/run.py frozen
python3 ci/run.py python [--arch x86] [--cpu Nehalem] [arguments of the Windows Python]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import multiprocessing
import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import bed
import cases
import examples
import fetch
import frozen
import installers
import prerequisites
import sanitize
import wheels
from steps import (
    CACHE,
    CHECKOUT,
    STAMP,
    Command,
    SetupError,
    only_run,
    remove_tree,
    run_logged,
    say,
    step,
    tree_hash,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ON_WINDOWS = os.name == "nt"
IN_NAMESPACE = "DEPWALK_CI_IN_NAMESPACE"
PYTEST_NOTHING_COLLECTED = 5
PYTEST_TIMEOUT = 3600
AGREEMENT_TIMEOUT = 3600
OTHER_CPU = "Nehalem"  # a model of qemu, without AVX
RELEASE_TESTS = "tests/release"
PROCESSOR_TESTS = "tests/processor"  # for it alone; elsewhere they skip themselves
ZOO = CACHE / "zoo"
SITE = CACHE / "documentation"
TENSORFLOW = "tensorflow-2.0.0-cp37-win_amd64/tensorflow_core/python"
TENSORFLOW_MODULE = f"{TENSORFLOW}/_pywrap_tensorflow_internal.pyd"


@dataclass
class Report:
    """The parts of a run and how each ended."""

    parts: list[tuple[str, bool, float]] = field(default_factory=list)

    def run(self, name: str, part: Callable[[], int]) -> None:
        """Run one part; whatever happens to it, the next ones still run."""
        say(f"\n== {name}")
        start = time.monotonic()
        try:
            status = part()
        except (SetupError, subprocess.SubprocessError) as error:
            say(str(error))
            status = 1
        self.parts.append((name, status == 0, time.monotonic() - start))

    @contextlib.contextmanager
    def beside(self, name: str, work: Callable[[Report], None]) -> Iterator[None]:
        """Do `work` in another process meanwhile; what it prints and reports comes when both are done."""
        say(f"\n== {name}: meanwhile, shown at the end")
        output = CACHE / "logs" / "beside.log"
        output.parent.mkdir(parents=True, exist_ok=True)
        forks = multiprocessing.get_context("fork")
        answers = forks.SimpleQueue()

        def run() -> None:
            with output.open("wb") as file:
                os.dup2(file.fileno(), sys.stdout.fileno())
                os.dup2(file.fileno(), sys.stderr.fileno())
            report = Report()
            work(report)
            sys.stdout.flush()
            answers.put(report.parts)

        process = forks.Process(target=run, daemon=True)  # it ends with this one
        process.start()
        try:
            yield
        finally:
            process.join()
            say(output.read_text("utf-8", errors="replace"))
        self.parts += answers.get() if process.exitcode == 0 else [(name, False, 0.0)]

    def close(self) -> int:
        """Print the summary and return the exit status."""
        say("")
        for name, passed, seconds in self.parts:
            say(f"[ci] {'ok    ' if passed else 'FAILED'} {seconds:7.1f} s  {name}")
        return 0 if all(passed for _, passed, _ in self.parts) else 1


def main() -> int:
    """Parse the command line and run one command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    test = commands.add_parser("test", allow_abbrev=False, help="build, check and test; more arguments go to pytest")
    side = test.add_mutually_exclusive_group()
    side.add_argument("--host", action="store_true", help="only the tests on this machine")
    side.add_argument("--windows", action="store_true", help="only the tests in the bed")
    commands.add_parser("demo", help="show what depwalk says about a real broken wheel")
    commands.add_parser("cases", help="write docs/cases.md from the tests that reproduce real cases")
    commands.add_parser("matrix", help="scan the whole wheelhouse in every case, compare, and write docs/matrix.md")
    commands.add_parser("examples", help="write docs/examples: the reports of ten patients, from real runs")
    commands.add_parser("site", help="build the documentation site, and say where it is")
    released = commands.add_parser("wheels", help="build what is published, look at it, install and use it")
    released.add_argument("--host", action="store_true", help="only what this machine runs itself: no Wine")
    commands.add_parser("bed", help="only set the test bed up")
    commands.add_parser(
        "agreement", allow_abbrev=False, help="compare predictions with real loads over every real extension"
    )
    commands.add_parser(
        "instructions", allow_abbrev=False, help="compare the decoder with iced-x86 over the code of every real DLL"
    )
    commands.add_parser(
        "processors", allow_abbrev=False, help="compare predictions for old processors with real loads on them"
    )
    commands.add_parser("environment", help="install the large environment that bench/scan.py measures: 10 GB of disk")
    commands.add_parser("frozen", help="pack the example product with PyInstaller, and start it with a DLL missing")
    python = commands.add_parser("python", allow_abbrev=False, help="run a Windows Python of the bed")
    python.add_argument("--arch", choices=sorted(bed.ARCHITECTURES), default="x64")
    python.add_argument("--cpu", default="", help="a model of qemu's processors, such as Nehalem (x64 only)")
    options, rest = parser.parse_known_args()
    if rest and options.command not in ("test", "python", "agreement", "instructions", "processors"):
        parser.error(f"unexpected arguments: {' '.join(rest)}")
    if options.command == "python" and options.cpu and options.arch != bed.X64.name:
        parser.error("--cpu: only x64 programs run on another processor")

    if options.command == "cases":
        return cases.main()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the bed is closed
    try:
        on_host = options.command in ("environment", "instructions", "matrix", "site") or (
            options.command in ("test", "wheels") and options.host
        )
        needs_bed = not ON_WINDOWS and not on_host
        tested = options.command == "test"
        shown = options.command == "examples" or (tested and not options.windows)
        prerequisites.ensure(
            bed=needs_bed,
            needed=prerequisites.INSTALLER_TOOLS if needs_bed and tested else {},
            wanted=(prerequisites.HOST_TOOLS if shown else {})
            | (prerequisites.FOREIGN_TOOLS if options.command == "wheels" else {}),
        )
        if needs_bed:
            enter_namespace()
        with only_run():
            run: dict[str, Callable[[], int]] = {
                "test": lambda: test_command(rest, host=not options.windows, windows=not options.host),
                "demo": demo_command,
                "matrix": matrix_command,
                "examples": examples_command,
                "site": site_command,
                "wheels": lambda: wheels_command(host=options.host),
                "bed": bed_command,
                "agreement": lambda: agreement_command(rest),
                "instructions": lambda: instructions_command(rest),
                "processors": lambda: processors_command(rest),
                "environment": environment_command,
                "frozen": frozen_command,
                "python": lambda: python_command(rest, options.arch, options.cpu),
            }
            return run[options.command]()
    except prerequisites.MissingPrerequisiteError as error:
        say(str(error))
        return 2
    except SetupError as error:
        say(f"[ci] the set-up failed: {error}")
        return 1


def enter_namespace() -> None:
    """Start this program again, once, where its mounts are seen by nobody else."""
    if os.environ.pop(IN_NAMESPACE, None):
        return
    command = ["unshare", "--mount", "--propagation", "private", sys.executable]
    environment = os.environ | {IN_NAMESPACE: "1"}
    script = str(Path(__file__).resolve())
    os.execvpe("unshare", [*command, script, *sys.argv[1:]], environment)


def environment_command() -> int:
    """Install the large environment, and say where it is."""
    say(str(fetch.prepare_site(fetch.host_environment(), fetch.ENVIRONMENT, "10 minutes")))
    return 0


def bed_command() -> int:
    """Set the bed up and let every Windows Python say what it is."""
    host_python = fetch.host_environment()
    fetch_material(host_python)
    if ON_WINDOWS:
        return 0
    with bed.open_bed(host_python) as the_bed:
        code = "import sys; print(sys.version)"
        answers = [the_bed.wine(program, "-c", code) for program in bed.PYTHON_PROGRAMS]
    for answer in answers:
        say(answer.stdout.strip() + answer.stderr)
    return max(answer.returncode for answer in answers)


def fetch_material(host_python: Path) -> None:
    """Unpack the patients make the sites and the small wheelhouse, fetch a schema: what tests read."""
    fetch.unpack_patients(host_python)
    fetch.unpack_all_judged(host_python)
    fetch.unpack_compiled(host_python)
    fetch.prepare_sites(host_python)
    fetch.prepare_wheelhouse(host_python, small=True)
    fetch.prepare_sarif_schema(host_python)


def python_command(args: Sequence[str], arch: str, cpu: str) -> int:
    """Run a Windows Python of the bed, with the depwalk of the checkout installed."""
    host_python = fetch.host_environment()
    if ON_WINDOWS:
        return subprocess.call([host_python, *args])
    with bed.open_bed(host_python) as the_bed:
        if (CHECKOUT / "setup.py").exists():
            install_in_bed(host_python, the_bed, bed.ARCHITECTURES[arch])
        answer = the_bed.python(*args, arch=arch, cpu=cpu, env=test_paths(windows_paths=True))
    sys.stdout.write(answer.stdout)
    sys.stderr.write(answer.stderr)
    return answer.returncode


def agreement_command(args: Sequence[str]) -> int:
    """Compare what depwalk predicts of every real extension in the bed with what the loader does."""
    host_python = fetch.host_environment()
    if ON_WINDOWS:
        return subprocess.call([host_python, CHECKOUT / "ci" / "agreement.py", *args])
    with bed.open_bed(host_python) as the_bed:
        install_in_bed(host_python, the_bed, bed.X64)
        script = the_bed.windows_path(CHECKOUT / "ci" / "agreement.py")
        directories = [f"C:\\{site}" for site in fetch.SITES] + ["C:\\Python311\\DLLs"]
        answer = the_bed.python(script, *directories, *args, timeout=AGREEMENT_TIMEOUT, stream=True)
    return answer.returncode


def instructions_command(args: Sequence[str]) -> int:
    """Compare the core's decoder with iced-x86 over the code of every real DLL, on this machine."""
    host_python = fetch.host_environment()
    fetch_material(host_python)
    install_on_host(host_python)
    workplace = CACHE / "work" / "host"
    workplace.mkdir(parents=True, exist_ok=True)
    files = [os.path.abspath(arg) if os.path.exists(arg) else arg for arg in args]
    command = [host_python, CHECKOUT / "ci" / "instructions.py", *files]
    return subprocess.call(command, cwd=workplace, env=host_environment_variables(), stdin=subprocess.DEVNULL)


def matrix_command() -> int:
    """Compare what a scan of the whole wheelhouse says with what is true, and write docs/matrix.md."""
    host_python = fetch.host_environment()
    wheelhouse = fetch.prepare_wheelhouse(host_python)
    install_on_host(host_python)
    workplace = CACHE / "work" / "host"
    workplace.mkdir(parents=True, exist_ok=True)
    command = [host_python, CHECKOUT / "ci" / "matrix.py", wheelhouse]
    return subprocess.call(command, cwd=workplace, env=host_environment_variables(), stdin=subprocess.DEVNULL)


def examples_command() -> int:
    """Write the reports of the patients."""
    if ON_WINDOWS:
        raise SetupError("examples: the patients are shown in the bed only")
    host_python = fetch.host_environment()
    fetch_material(host_python)
    build_zoo(host_python)
    with bed.open_bed(host_python) as the_bed:
        install_in_bed(host_python, the_bed, bed.X64)
        examples.prepare(host_python, the_bed.prefix)
        return min(examples.make(the_bed), 1)


def site_command() -> int:
    """Build the documentation site into the cache."""
    status = build_site(fetch.host_environment())
    say("[ci] the site was NOT built" if status else f"[ci] the site is {SITE / 'index.html'}")
    return status


def wheels_command(*, host: bool) -> int:
    """Build what is published, write docs/release.md, and do all that tests/release asks for."""
    report = Report()
    host_python = fetch.host_environment()
    report.run("what is published", functools.partial(build_published, host_python))
    page: Command = [host_python, CHECKOUT / "ci" / "artifacts.py", wheels.DIST]
    report.run("docs/release.md", lambda: subprocess.call(page))
    report.run("the sources with this page", functools.partial(build_published, host_python))
    report.run("host: install", functools.partial(install_on_host, host_python))
    thorough = published_variables() | {"DEPWALK_NEEDED": str(wheels.prepare_needed(host_python))}
    test = functools.partial(host_pytest, host_python, [RELEASE_TESTS], thorough)
    report.run("host: tests/release", test)
    if not host and not ON_WINDOWS:
        with bed.open_bed(host_python) as the_bed:
            for arch in bed.ARCHITECTURES.values():
                use = functools.partial(use_in_bed, host_python, the_bed, arch)
                report.run(f"Windows {arch.name}: install and use", use)
    return report.close()


def build_published(host_python: Path) -> int:
    """Build all that is published, and the environment with the tools that look at it."""
    wheels.release_tools(host_python)
    say(f"[ci] what is published is in {wheels.prepare_all(host_python)}")
    return 0


def published_variables() -> dict[str, str]:
    """Return the variables that tell tests/release where what is published is, and the tools that look at it."""
    tools = fetch.environment_python(CACHE / "release")
    return {"DEPWALK_DIST": str(wheels.DIST), "DEPWALK_RELEASE_PYTHON": str(tools)}


def use_in_bed(host_python: Path, the_bed: bed.Bed, arch: bed.Architecture) -> int:
    """Install a wheel into a Windows Python, see that it is the published one, and use it."""
    install_in_bed(host_python, the_bed, arch)
    (wheel,) = (the_bed.home(arch.name) / "depwalk-wheel").glob("*.whl")
    if wheel.read_bytes() != (wheels.DIST / wheel.name).read_bytes():
        raise SetupError(f"{wheel} differs from {wheels.DIST / wheel.name}")
    script = the_bed.windows_path(CHECKOUT / "tests" / "release" / "use.py")
    return the_bed.python(script, arch=arch.name, stream=True).returncode


def build_site(host_python: Path) -> int:
    """Build it strictly: a link or an anchor that leads nowhere, or a page that is in no menu, is an error."""
    command: Command = [host_python, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", SITE]
    quiet = {"NO_MKDOCS_2_WARNING": "1"}  # the theme's news of itself
    return subprocess.call(command, cwd=CHECKOUT, env=host_environment_variables() | quiet)


def processors_command(args: Sequence[str]) -> int:
    """Compare what depwalk predicts of real files on old processors with how they load there."""
    if ON_WINDOWS:
        message = "processors: another processor is emulated in the bed only"
        raise SetupError(message)
    host_python = fetch.host_environment()
    fetch_material(host_python)
    fetch.prepare_site(host_python, fetch.SITE_PROCESSORS)
    bed.prepare_runtime_37(host_python, CACHE / "runtime-cp37")
    install_on_host(host_python)
    with bed.open_bed(host_python) as the_bed:
        install_in_bed(host_python, the_bed, bed.X64)
        return subprocess.call([host_python, CHECKOUT / "ci" / "processors.py", *args], cwd=CACHE)


def frozen_command() -> int:
    """Pack the example product with PyInstaller, and start it."""
    if ON_WINDOWS:
        message = "frozen: the bed only"
        raise SetupError(message)
    host_python = fetch.host_environment()
    with bed.open_bed(host_python) as the_bed:
        install_in_bed(host_python, the_bed, bed.X64)
        return frozen.make(host_python, the_bed)


# test


def test_command(pytest_args: Sequence[str], *, host: bool, windows: bool) -> int:
    """Run the checks and the tests of one side or of both."""
    report = Report()
    host_python = fetch.host_environment()
    building = functools.partial(build_what_is_tested, host_python=host_python)
    with contextlib.nullcontext() if ON_WINDOWS else report.beside("test DLLs and programs", building):
        fetch_material(host_python)
        if windows and not ON_WINDOWS:
            report.run("Windows: setting the test bed up", functools.partial(set_bed_up, host_python))
    if ON_WINDOWS:
        building(report)
    whole = host and windows and not pytest_args and not ON_WINDOWS
    if host and not whole:
        host_tests(report, host_python, pytest_args)
    if windows and not ON_WINDOWS:
        with opened_bed(report, host_python) as beds:
            in_x64 = functools.partial(x64_tests, beds=beds, host_python=host_python, args=pytest_args, whole=whole)
            # Each of the two keeps one processor busy, for about as long as the other.
            with report.beside("Windows x64: all tests", in_x64) if whole else contextlib.nullcontext():
                if whole:
                    host_tests(report, host_python, pytest_args)
                    fuzzing = functools.partial(sanitize.fuzzing, zoo=ZOO)
                    report.run("core: sanitizers", functools.partial(sanitize.run, ZOO, fuzzing))
                else:
                    in_x64(report)
                windows_tests(report, beds, bed.X86, host_python, pytest_args)
    if host and windows and not pytest_args:
        report.run("demo", demo_command)
    return report.close()


def host_tests(report: Report, host_python: Path, args: Sequence[str]) -> None:
    """Install depwalk on this machine, run the checks and the tests."""
    report.run("host: build and install", functools.partial(install_on_host, host_python))
    for name, check in CHECKS.items():
        report.run(f"host: {name}", functools.partial(run_check, host_python, check))
    report.run("host: documentation site", functools.partial(build_site, host_python))
    report.run("host: biome", functools.partial(run_biome, host_python))
    published = {}
    if not args or any(arg.startswith(RELEASE_TESTS) for arg in args):
        report.run("host: what is published", functools.partial(build_published, host_python))
        published = published_variables()
    report.run("host: pytest", functools.partial(host_pytest, host_python, args, published))


CHECKS = {
    "ruff check": ("ruff", "check", "."),
    "ruff format": ("ruff", "format", "--check", "."),
    "mypy": ("mypy",),
}


def run_check(host_python: Path, check: Sequence[str]) -> int:
    """Run a checker as pyproject.toml configures it."""
    return subprocess.call([host_python, "-m", *check], cwd=CHECKOUT, env=host_environment_variables())


def run_biome(host_python: Path) -> int:
    """Check the JavaScript and CSS of the HTML report as biome.json configures it."""
    if not prerequisites.LINUX_X64:
        say("left out: biome is pinned for Linux on x86-64 only")
        return 0
    return subprocess.call(
        [fetch.prepare_biome(host_python), "ci", "--colors=off", "--error-on-warnings", "."], cwd=CHECKOUT
    )


def host_environment_variables() -> dict[str, str]:
    """Return the host's environment with everything that tools leave behind in the cache."""
    tools = {
        "MYPY_CACHE_DIR": str(CACHE / "mypy"),
        "RUFF_CACHE_DIR": str(CACHE / "ruff"),
        "PYTHONPYCACHEPREFIX": str(CACHE / "pycache"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(CACHE / "hypothesis"),
    }
    wheelhouse = {"DEPWALK_WHEELHOUSE": str(CACHE / "wheelhouse-small")}  # a scan of it is the same on both sides
    return bed.zig_environment() | tools | test_paths(windows_paths=False) | wheelhouse


def test_paths(*, windows_paths: bool) -> dict[str, str]:
    """Return the variables that tell tests where things are, as the given side names them."""
    name = bed.Bed.windows_path if windows_paths else str
    runtime = bed.RUNTIME_37 if windows_paths else str(CACHE / "runtime-cp37")
    sites = {
        "DEPWALK_" + site.upper().replace("-", "_"): f"C:\\{site}" if windows_paths else str(CACHE / site)
        for site in fetch.SITES
    }
    pythons = {"DEPWALK_PYTHONS": ";".join(bed.PYTHON_PROGRAMS)} if windows_paths else {}
    return {
        "DEPWALK_PATIENTS": name(fetch.PATIENTS),
        "DEPWALK_JUDGED": name(fetch.JUDGED),
        "DEPWALK_COMPILED": name(fetch.COMPILED),
        "DEPWALK_ZOO": name(ZOO),
        "DEPWALK_CHECK": name(CACHE / "check"),
        "DEPWALK_INSTALLERS": name(CACHE / "installers"),
        "DEPWALK_SARIF_SCHEMA": name(fetch.SARIF_SCHEMA),
        "DEPWALK_RUNTIME_37": runtime,
        **sites,
        **pythons,
    }


def build_what_is_tested(report: Report, host_python: Path) -> None:
    """Build the test DLLs, and the programs for installers."""
    report.run("building the test DLLs", functools.partial(build_zoo, host_python))
    report.run("building the programs for installers", functools.partial(build_check, host_python))


def set_bed_up(host_python: Path) -> int:
    """Set the bed up, and close it again: this takes minutes the first time."""
    with bed.open_bed(host_python):
        return 0


def build_zoo(host_python: Path) -> int:
    """Build the DLLs of tests/zoo; when there is nothing to build, that is no failure."""
    bed.prepare_runtime_37(host_python, CACHE / "runtime-cp37")
    script = CHECKOUT / "tests" / "zoo" / "build.py"
    if script.exists():  # it knows by itself what has changed
        run_logged([host_python, script, ZOO], "zoo", env=host_environment_variables())
    return 0


def build_check(host_python: Path) -> int:
    """Build depwalk-check.exe and the DLL for every architecture, and the programs that use them in tests."""

    def build(directory: Path) -> None:
        environment = host_environment_variables()
        run_logged([host_python, script, directory], "check-exe", env=environment)
        run_logged([host_python, programs, directory], "check-programs", env=environment, cwd=directory)

    script, programs = CHECKOUT / "ci" / "check_exe.py", CHECKOUT / "tests" / "installer" / "programs.py"
    inputs = [wheels.sources_key(), tree_hash([script, programs, CHECKOUT / "examples"], wheels.GENERATED)]
    step(CACHE / "check", "the programs for installers", "a minute, the first time five", inputs, build)
    return 0


def install_on_host(host_python: Path) -> int:
    """Build depwalk from the checkout and install it into the host's environment."""

    def build(workplace: Path) -> None:
        sources = wheels.copy_sources(workplace)
        options = ["--no-build-isolation", "--no-deps", "--force-reinstall", "--no-index"]
        pip: Command = [host_python, "-m", "pip", "install"]
        run_logged([*pip, *options, sources], "install-host", env=wheels.compiler(host_python))

    inputs = [wheels.sources_key(), (CACHE / "venv" / STAMP).read_text()]
    step(CACHE / "installed-host", "depwalk for this machine", "half a minute the first time", inputs, build)
    return 0


def pytest_arguments(args: Sequence[str], rename: Callable[[Path], str]) -> list[str]:
    """Return pytest's arguments, with paths into the checkout made absolute.

    The tests do not run in the checkout: there, `import depwalk` would find the sources.
    """
    given = []
    paths = 0
    for arg in args:
        path, separator, test = arg.partition("::")
        if path.startswith("tests") and (CHECKOUT / path).exists():
            given.append(rename(CHECKOUT / path) + separator + test)
            paths += 1
        else:
            given.append(arg)
    if not paths:
        given.append(rename(CHECKOUT / "tests"))
    configuration = ["-c", rename(CHECKOUT / "pyproject.toml"), "--rootdir", rename(CHECKOUT)]
    return ["-m", "pytest", "-p", "no:cacheprovider", *configuration, *given]


def pytest_status(status: int, args: Sequence[str]) -> int:
    """A selection may be empty on one side; a whole run may not."""
    return 0 if status == PYTEST_NOTHING_COLLECTED and args else status


def host_pytest(host_python: Path, args: Sequence[str], variables: dict[str, str] | None = None) -> int:
    """Run the tests on this machine."""
    workplace = CACHE / "work" / "host"
    workplace.mkdir(parents=True, exist_ok=True)
    command: Command = [host_python, *pytest_arguments(args, str), "--basetemp", CACHE / "tmp-host"]
    environment = host_environment_variables() | (variables or {})
    status = subprocess.call(command, cwd=workplace, env=environment, stdin=subprocess.DEVNULL)
    return pytest_status(status, args)


@contextlib.contextmanager
def opened_bed(report: Report, host_python: Path) -> Iterator[list[bed.Bed]]:
    """Set up what Windows tests need; the list is empty if that fails."""
    make = functools.partial(installers.prepare, host_python, CACHE / "check", CACHE / "installers")
    report.run("Windows: installers of the example product", make)
    beds: list[bed.Bed] = []
    with contextlib.ExitStack() as stack:

        def open_bed() -> int:
            beds.append(stack.enter_context(bed.open_bed(host_python)))
            return 0

        report.run("Windows: test bed", open_bed)
        yield beds


def x64_tests(report: Report, beds: Sequence[bed.Bed], host_python: Path, args: Sequence[str], *, whole: bool) -> None:
    """Run the tests in the 64-bit Windows Python, and those of another processor on that; in a whole run compilers."""
    if whole:
        compiling = functools.partial(sanitize.compiling, host_python=host_python)
        report.run("core: warnings", functools.partial(sanitize.run, ZOO, compiling))
    windows_tests(report, beds, bed.X64, host_python, args)
    processor_args = processor_arguments(args)
    for the_bed in beds if processor_args else ():
        test = functools.partial(bed_pytest, the_bed, bed.X64, processor_args, OTHER_CPU)
        report.run(f"Windows x64 on {OTHER_CPU}: pytest", test)


def windows_tests(
    report: Report, beds: Sequence[bed.Bed], arch: bed.Architecture, host_python: Path, args: Sequence[str]
) -> None:
    """Install depwalk into one of the two Windows Pythons of the bed, and run the tests there."""
    for the_bed in beds:
        install = functools.partial(install_in_bed, host_python, the_bed, arch)
        report.run(f"Windows {arch.name}: build and install", install)
        report.run(f"Windows {arch.name}: pytest", functools.partial(bed_pytest, the_bed, arch, args))


def processor_arguments(args: Sequence[str]) -> list[str]:
    """Return pytest's arguments for the other processor; none when there is no such test, or others are chosen."""
    paths = [arg for arg in args if arg.startswith("tests")]
    if not (CHECKOUT / PROCESSOR_TESTS).is_dir() or not all(path.startswith(PROCESSOR_TESTS) for path in paths):
        return []
    return list(args) if paths else [*args, PROCESSOR_TESTS]


def install_in_bed(host_python: Path, the_bed: bed.Bed, arch: bed.Architecture) -> int:
    """Build depwalk's Windows wheel and install it into the Windows Python."""

    def build(workplace: Path) -> None:
        platform = wheels.platform_of(arch.platform)
        wheel = wheels.build_wheel(host_python, platform, wheels.copy_sources(workplace), workplace)
        for old in site_packages.glob("depwalk*"):
            remove_tree(old)
        pip: Command = [host_python, "-m", "pip", "install", "--no-index", "--no-deps"]
        place: Command = ["--target", site_packages, "--platform", arch.platform]
        version = ["--python-version", "3.11", "--only-binary=:all:"]
        run_logged([*pip, *place, *version, wheel], f"install-{arch.name}")

    site_packages = the_bed.home(arch.name) / "Lib" / "site-packages"
    inputs = [*wheels.key(), (the_bed.home(arch.name) / STAMP).read_text()]
    target = the_bed.home(arch.name) / "depwalk-wheel"
    step(target, f"depwalk for Windows {arch.name}", "5 s", inputs, build)
    return 0


def bed_pytest(the_bed: bed.Bed, arch: bed.Architecture, args: Sequence[str], cpu: str = "") -> int:
    """Run the tests in a Windows Python, on the processor `cpu` if one is given."""
    work = f"work-{arch.name}"
    workplace = the_bed.prefix / "drive_c" / work
    workplace.mkdir(exist_ok=True)
    variables = {
        "PYTHONPYCACHEPREFIX": f"C:\\{work}\\pycache",
        "HYPOTHESIS_STORAGE_DIRECTORY": f"C:\\{work}\\hypothesis",
    }
    if cpu:
        variables["DEPWALK_CPU"] = cpu
    answer = the_bed.python(
        *pytest_arguments(args, the_bed.windows_path),
        "--basetemp",
        f"C:\\{work}\\tmp",
        arch=arch.name,
        cpu=cpu,
        env=variables | test_paths(windows_paths=True),
        cwd=workplace,
        timeout=PYTEST_TIMEOUT,
        stream=True,
    )
    return pytest_status(answer.returncode, args)


# demo


@dataclass(frozen=True)
class Example:
    """One command of the demonstration, and the exit status that it must have."""

    title: str
    options: tuple[str, ...]
    status: int
    overrides: str = ""
    on_host: bool = False
    target: str = ""  # other than TensorFlow's module
    scanned: bool = False  # the directory of real packages, by `depwalk scan`
    cpu: str = ""

    @property
    def needs_bed(self) -> bool:
        """Whether a real Windows cannot show it."""
        return bool(self.overrides or self.cpu or self.target)


RIGHT_TARGET = ("--python", "3.7", "--dll-dir", bed.RUNTIME_37)
EXAMPLES = (
    Example("a real load, with CPython 3.7's DLLs", RIGHT_TARGET, 0),
    Example("a real load, with nothing said about Python", (), 1),
    Example("the same machine without the Visual C++ runtime", RIGHT_TARGET, 1, "msvcp140=n"),
    Example("the same machine with a processor without AVX", RIGHT_TARGET, 1, cpu=OTHER_CPU),
    Example("an import that works", ("--site", "C:\\site"), 0, target="pandas"),
    Example("an import that a Rust extension's DLL ends", ("--site", "C:\\site"), 1, target="bcrypt"),
    Example("predicted from here: a clean Windows 10", ("--windows", "10", "--python", "3.7"), 1,
            on_host=True),
    Example("predicted from here: with the Visual C++ runtime installed",
            ("--windows", "10", "--python", "3.7", "--with-runtime", "vc14"), 0, on_host=True),
    Example("predicted from here: the same on a processor without AVX",
            ("--windows", "10", "--python", "3.7", "--with-runtime", "vc14", "--cpu", OTHER_CPU), 1, on_host=True),
    Example("many files at once: real packages, on two Windows",
            ("--windows", "7", "--windows", "10", "--with-runtime", "vc14", "--also-without-runtime"), 1,
            on_host=True, scanned=True),
)  # fmt: skip


def demo_command() -> int:
    """Show the examples and say whether each ended as it must."""
    host_python = fetch.host_environment()
    module = fetch.unpack_patients(host_python) / TENSORFLOW_MODULE
    runtime = bed.prepare_runtime_37(host_python, CACHE / "runtime-cp37")
    fetch.prepare_sites(host_python)
    install_on_host(host_python)
    with contextlib.ExitStack() as stack:
        the_bed = None
        if not ON_WINDOWS:
            the_bed = stack.enter_context(bed.open_bed(host_python))
            install_in_bed(host_python, the_bed, bed.X64)
        wrong = []
        for example in EXAMPLES:
            if ON_WINDOWS and example.needs_bed:
                say(f"\n== {example.title}: left out, it needs the bed")
                continue
            status = show_example(example, host_python, the_bed, module, runtime)
            if status != example.status:
                wrong.append(f"{example.title}: {status}, not {example.status}")
    say("")
    for line in wrong:
        say(f"[ci] unexpected exit status of {line}")
    say("[ci] demo: " + ("FAILED" if wrong else "every exit status was as expected"))
    return 1 if wrong else 0


def show_example(example: Example, host_python: Path, the_bed: bed.Bed | None, module: Path, runtime: Path) -> int:
    """Show one command and its output; return its exit status."""
    if example.on_host or the_bed is None:
        options = [str(runtime) if option == bed.RUNTIME_37 else option for option in example.options]
        targets = ["scan", str(CACHE / "site-numpy2")] if example.scanned else [str(module)]
        command = ["-m", "depwalk", *targets, *options]
        say(f"\n== {example.title} (this machine)\n$ python {shlex.join(command)}")
        status = subprocess.call(
            [host_python, *command], cwd=CACHE, env=host_environment_variables(), stderr=subprocess.STDOUT
        )
    else:
        command = ["-m", "depwalk", example.target or the_bed.windows_path(module), *example.options]
        assume = f"set WINEDLLOVERRIDES={example.overrides}\n$ " if example.overrides else ""
        line = subprocess.list2cmdline(["python", *command])
        say(f"\n== {example.title} (Windows Python in the bed)\n$ {assume}{line}")
        status = the_bed.python(*command, overrides=example.overrides, cpu=example.cpu, stream=True).returncode
    say(f"(exit status {status})")
    return status


if __name__ == "__main__":
    sys.exit(main())
