r"""The test bed: Wine in a Debian root of its own, with CPython for Windows in it.

Everything is in the cache. What runs in the bed sees the cache and the checkout at the same
paths as the host, so `/a/b` here is `Z:\a\b` there.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fetch import PINS, install_windows_packages, unpack_patient
from pe_exports import exported_names
from steps import (
    CACHE,
    CHECKOUT,
    STAMP,
    Command,
    file_hash,
    run_logged,
    step,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SUITE = "bookworm"
ROOT_PACKAGES = ("wine", "wine64", "wine32:i386", "libpython3.11-stdlib")
STDLIB_EXCLUDED = ("lib-dynload", "dist-packages", "site-packages", "test", "sitecustomize.py")
POLL_SECONDS = 0.05
CHUNK = 65536
WINE_OVERRIDES = "winedbg.exe=d"  # a crash must end the process, not start a debugger


@dataclass(frozen=True)
class Architecture:
    """One of the two kinds of processes that the bed runs, and what tools call it."""

    name: str
    platform: str
    zig: str
    dlltool: str
    home: str

    @property
    def deploy_libs(self) -> str:
        """Return the patient that carries CPython for this architecture."""
        return f"panda3d-1.10.16-cp311-cp311-{self.platform}.whl"


X64 = Architecture("x64", "win_amd64", "x86_64", "i386:x86-64", "Python311")
X86 = Architecture("x86", "win32", "x86", "i386", "Python311-32")
ARCHITECTURES = {each.name: each for each in (X64, X86)}
RUNTIME_37 = "C:\\runtime-cp37"


@dataclass(frozen=True)
class Bed:
    """A bed that is ready, with its wineserver running; see open_bed()."""

    root: Path
    prefix: Path

    @staticmethod
    def windows_path(path: Path) -> str:
        """Return the name by which a Windows program reaches a file of the host."""
        return "Z:" + str(path.absolute()).replace("/", "\\")

    def home(self, arch: str) -> Path:
        """Return the directory of one of the two Windows Pythons, as the host sees it."""
        return self.prefix / "drive_c" / ARCHITECTURES[arch].home

    def python(
        self,
        *args: str,
        arch: str = "x64",
        overrides: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 600,
        stream: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a Windows Python."""
        program = f"C:\\{ARCHITECTURES[arch].home}\\python.exe"
        return self.wine(
            program,
            *args,
            overrides=overrides,
            env={"PYTHONUTF8": "1"} | dict(env or {}),
            cwd=cwd,
            timeout=timeout,
            stream=stream,
        )

    def wine(
        self,
        *args: str,
        overrides: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 600,
        stream: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a Windows program; with `stream` its output is shown as it comes, as one stream."""
        command = enter_command(self.root, ["wine", *args], cwd or self.prefix / "drive_c")
        environment = wine_environment(self.prefix, overrides) | dict(env or {})
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if stream else subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        try:
            stdout, stderr = collect(process, timeout, show=stream)
        finally:
            end(process)
        return subprocess.CompletedProcess(command, process.returncode, stdout, stderr)


def collect(process: subprocess.Popen[bytes], timeout: float, *, show: bool) -> tuple[str, str]:
    """Return what a process writes until it ends, showing its lines meanwhile if asked.

    Not until the pipes end, as communicate() does: the services that Wine starts beside the
    first program inherit its pipes. Files will not do: Wine 8 gives no valid handle of one.
    """
    with selectors.DefaultSelector() as selector:
        pipes = [pipe for pipe in (process.stdout, process.stderr) if pipe]
        outputs = [bytearray() for _ in pipes]
        for pipe, output in zip(pipes, outputs, strict=True):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, output)
        deadline = time.monotonic() + timeout
        shown = 0
        running = True
        while running:
            running = process.poll() is None  # asked first, so that the last round reads the rest
            for key, _ in selector.select(POLL_SECONDS if running else 0):
                if not read_available(key.fd, key.data):
                    selector.unregister(key.fileobj)
            if show:
                shown = show_lines(outputs[0], shown, whole=not running)
            if running and time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(process.args, timeout)
        texts = [plain_text(bytes(output)) for output in outputs]
    return texts[0], texts[1] if len(texts) > 1 else ""


def read_available(pipe: int, output: bytearray) -> bool:
    """Read what a pipe holds now; return whether more may come."""
    try:
        while chunk := os.read(pipe, CHUNK):
            output += chunk
    except BlockingIOError:
        return True
    return False


def show_lines(output: bytearray, shown: int, *, whole: bool) -> int:
    """Show what was not shown, up to the last line end or all; return how much that is."""
    stop = len(output) if whole else max(shown, output.rfind(b"\n") + 1)
    sys.stdout.write(plain_text(bytes(output[shown:stop])))
    sys.stdout.flush()
    return stop


def plain_text(output: bytes) -> str:
    """Decode the output of a Windows program."""
    return output.decode("utf-8", errors="replace").replace("\r\n", "\n")


def end(process: subprocess.Popen[bytes]) -> None:
    """End a process with the children that it left, and close its pipes."""
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdout, process.stderr):
        if pipe:
            pipe.close()


def enter_command(root: Path, command: Sequence[str], cwd: Path = Path("/")) -> list[str]:
    """Return the command that runs another one inside the root."""
    return ["chroot", str(root), "env", f"--chdir={cwd}", *command]


def root_environment() -> dict[str, str]:
    """Return a plain environment: nothing of the host's but how it reaches the network."""
    proxies = {name: text for name, text in os.environ.items() if name.lower().endswith("_proxy")}
    return proxies | {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/root",
        "LANG": "C.UTF-8",
        "DEBIAN_FRONTEND": "noninteractive",
    }


def wine_environment(prefix: Path, overrides: str = "") -> dict[str, str]:
    """Return the environment of everything that Wine runs."""
    return root_environment() | {
        "WINEPREFIX": str(prefix),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": ";".join(filter(None, [WINE_OVERRIDES, overrides])),
    }


@contextlib.contextmanager
def mounted(root: Path, shared: Sequence[Path] = ()) -> Iterator[None]:
    """Give the root /proc, /dev and the shared directories, at their own paths."""
    points = []
    try:
        for source in (Path("/proc"), Path("/dev"), *shared):
            point = root / source.relative_to("/")
            point.mkdir(parents=True, exist_ok=True)
            # recursively only for /dev: the cache contains the root with its mounts
            kind = "--rbind" if source == Path("/dev") else "--bind"
            subprocess.run(["mount", kind, source, point], check=True)
            points.append(point)
        yield
    finally:
        for point in reversed(points):
            subprocess.run(["umount", "--recursive", "--lazy", point], check=True)


def debian_mirror() -> list[str]:
    """Return the mirror that the host's apt uses for the suite; none means debootstrap's own."""
    query = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    filters = ["Created-By: Packages", f"Codename: {SUITE}", "Component: main"]
    found = subprocess.run([*query, *filters], capture_output=True, text=True, check=False)
    return found.stdout.split()[:1]


def prepare_root() -> Path:
    """Make the Debian root with Wine for 64-bit and 32-bit programs."""

    def build(root: Path) -> None:
        bootstrap = ["debootstrap", "--variant=minbase", SUITE, str(root), *debian_mirror()]
        run_logged(bootstrap, "debootstrap")
        commands = (
            ["dpkg", "--add-architecture", "i386"],
            ["apt-get", "update"],
            ["apt-get", "install", "--yes", "--no-install-recommends", *ROOT_PACKAGES],
            ["apt-get", "clean"],
        )
        with mounted(root):
            for number, command in enumerate(commands):
                log = f"root-{number}"
                run_logged(enter_command(root, command), log, env=root_environment())

    inputs = [SUITE, *ROOT_PACKAGES]
    return step(CACHE / "root", "Debian root with Wine", "a minute", inputs, build)


def prepare_prefix(root: Path) -> Path:
    """Make the Wine prefix; the root must be mounted."""

    def build(prefix: Path) -> None:
        environment = wine_environment(prefix, "mscoree=;mshtml=")  # nothing to ask for
        for number, command in enumerate((["wineboot", "--init"], ["wineserver", "--wait"])):
            run_logged(enter_command(root, command), f"prefix-{number}", env=environment)

    return step(CACHE / "prefix", "Wine prefix", "10 s", [(root / STAMP).read_text()], build)


def prepare_python(root: Path, prefix: Path, host_python: Path, arch: Architecture) -> None:
    """Put CPython for Windows and its packages on drive C."""
    deploy_libs = unpack_patient(host_python, arch.deploy_libs) / "deploy_libs"
    program_source = CHECKOUT / "ci" / "python_exe.c"

    def build(home: Path) -> None:
        shutil.copytree(
            root / "usr/lib/python3.11",
            home / "Lib",
            ignore=shutil.ignore_patterns(*STDLIB_EXCLUDED),
        )
        (home / "DLLs").mkdir()
        for file in deploy_libs.iterdir():
            beside_program = file.name.lower() in ("python311.dll", "vcruntime140.dll")
            if not file.name.startswith("api-ms-"):  # Windows, and so Wine, has its own
                shutil.copy(file, home if beside_program else home / "DLLs")
        build_program(host_python, arch, program_source, home)
        build_stable_abi(host_python, arch, home)
        install_windows_packages(host_python, arch.platform, home / "Lib" / "site-packages")

    packages = (PINS / "windows.txt").read_text()
    inputs = [packages, str(arch), str(STDLIB_EXCLUDED), file_hash(program_source)]
    what = f"CPython 3.11 for Windows, {arch.name}"
    step(prefix / "drive_c" / arch.home, what, "10 s", inputs, build)


def build_program(host_python: Path, arch: Architecture, source: Path, home: Path) -> None:
    """Link python.exe against import libraries made from the names that it uses."""
    imports = {
        "python311.dll": ("Py_Main",),
        "api-ms-win-crt-runtime-l1-1-0.dll": (
            "_configure_wide_argv",
            "__p___argc",
            "__p___wargv",
            "exit",
        ),
    }
    build = CACHE / "build" / f"python-{arch.name}"
    build.mkdir(parents=True, exist_ok=True)
    libraries = []
    for dll, names in imports.items():
        library = (build / dll).with_suffix(".lib")
        definition = library.with_suffix(".def")
        definition.write_text("\n".join([f"LIBRARY {dll}", "EXPORTS", *names, ""]))
        command: Command = [host_python, "-m", "ziglang", "dlltool", "-m", arch.dlltool]
        run_logged([*command, "-d", definition, "-l", library], f"dlltool-{arch.name}")
        libraries.append(library)
    options = ["-Wl,-e,mainCRTStartup", "-Wl,--subsystem,console"]
    zig(host_python, arch, [source, *libraries, *options, "-o", home / "python.exe"])


def build_stable_abi(host_python: Path, arch: Architecture, home: Path) -> None:
    """Link python3.dll, which forwards to python311.dll.

    The official one has the names of the stable ABI only; this one has all that python311.dll
    exports, a superset: what loads with the official one loads with this one.
    """
    build = CACHE / "build" / f"python3-{arch.name}"
    build.mkdir(parents=True, exist_ok=True)
    source = build / "empty.c"
    source.write_text(
        "int __stdcall DllMainCRTStartup(void *module, unsigned long reason, void *reserved)\n{ return 1; }\n"
    )
    definition = build / "python3.def"
    names = exported_names(home / "python311.dll")
    forwards = [f"{name} = python311.{name}" for name in names]
    definition.write_text("\n".join(["LIBRARY python3.dll", "EXPORTS", *forwards, ""]))
    zig(host_python, arch, ["-shared", source, definition, "-o", home / "python3.dll"])


def zig(host_python: Path, arch: Architecture, args: Command) -> None:
    """Compile and link for Windows, without a C runtime."""
    compiler: Command = [host_python, "-m", "ziglang", "cc", "-target", f"{arch.zig}-windows-gnu"]
    options = ["-nostdlib", "-ffreestanding", "-O2", "-s"]
    run_logged([*compiler, *options, *args], f"zig-{arch.name}", env=zig_environment())


def zig_environment() -> dict[str, str]:
    """Return this environment with zig's caches in ours."""
    cache = str(CACHE / "zig")
    return os.environ | {"ZIG_GLOBAL_CACHE_DIR": cache, "ZIG_LOCAL_CACHE_DIR": cache}


def prepare_runtime_37(host_python: Path, directory: Path) -> Path:
    """Make a directory with what an extension for CPython 3.7 needs beside itself."""
    wheel = "panda3d-1.10.16-cp37-cp37m-win_amd64.whl"
    deploy_libs = unpack_patient(host_python, wheel) / "deploy_libs"

    def build(target: Path) -> None:
        for name in ("python37.dll", "VCRUNTIME140.dll"):
            shutil.copy(deploy_libs / name, target)

    return step(directory, "runtime of CPython 3.7", "1 s", [wheel], build)


@contextlib.contextmanager
def open_bed(host_python: Path) -> Iterator[Bed]:
    """Set the bed up as far as it is not, and keep its wineserver for the duration.

    The caller has a mount namespace of its own, see run.py: no mount outlives it.
    """
    root = prepare_root()
    with mounted(root, [CACHE, CHECKOUT]):
        prefix = prepare_prefix(root)
        for arch in ARCHITECTURES.values():
            prepare_python(root, prefix, host_python, arch)
        prepare_runtime_37(host_python, prefix / "drive_c" / RUNTIME_37.removeprefix("C:\\"))
        wineserver(root, prefix, "--kill")  # one that an interrupted run left behind
        wineserver(root, prefix, "--persistent")
        try:
            yield Bed(root, prefix)
        finally:
            wineserver(root, prefix, "--kill")


def wineserver(root: Path, prefix: Path, option: str) -> None:
    """Start or end the wineserver (to end one that does not run is no error)."""
    subprocess.run(
        enter_command(root, ["wineserver", option]),
        env=wine_environment(prefix),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
