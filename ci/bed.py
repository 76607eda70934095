r"""The test bed: Wine in a Debian root of its own, with CPythons for Windows and real packages in it.

Programs can be run on another processor than the machine's: see EMULATOR. Everything is in the
cache. What runs in the bed sees the cache and the checkout at the same paths as the host, so
`/a/b` here is `Z:\a\b` there.
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
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fetch import (
    PINS,
    SITES,
    fetch_wheel,
    install_windows_packages,
    prepare_site,
    python_stdlib,
    unpack_patient,
)
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
ROOT_PACKAGES = ("wine", "wine64", "wine32:i386", "libpython3.11-stdlib", "qemu-user-static")
# Wine starts each 64-bit program through this file if it is there; Debian ships none. With WINE_QEMU_CPU, a model of
# qemu's processors, it starts them on that one. 32-bit programs stay on the machine's: emulated, they take minutes.
PRELOADER = "usr/lib/wine/wine64-preloader"
EMULATOR = """#!/bin/sh
[ -n "$WINE_QEMU_CPU" ] || exec "$@"
export WINELOADERNOEXEC=1
exec qemu-x86_64-static -cpu "$WINE_QEMU_CPU" "$@"
"""
PROGRAM_SOURCE = CHECKOUT / "ci" / "python_exe.c"
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
class OtherPython:
    """A CPython for Windows x64 without packages: not one that depwalk runs in, one that it is asked about."""

    name: str  # as in the names of its files: 313t
    stdlib: str  # the version of the npm package pyodide that has the standard library

    @property
    def deploy_libs(self) -> str:
        """Return the wheel that carries its binaries."""
        return f"panda3d-1.10.16-cp{self.name.rstrip('t')}-cp{self.name}-win_amd64.whl"

    def has_extension(self, name: str) -> bool:
        """Tell whether a .pyd is one of its own: a wheel carries those of both kinds of a version."""
        return (f".cp{self.name}-" in name) if self.name.endswith("t") else name.count(".") == 1


# No 3.15: there is no wheel of panda3d for it. No 3.8 to 3.10: no pyodide of theirs has a python_stdlib.zip.
OTHER_PYTHONS = (
    OtherPython("312", "0.27.7"),
    OtherPython("313", "0.29.4"),
    OtherPython("313t", "0.29.4"),
    OtherPython("314", "314.0.7"),
    OtherPython("314t", "314.0.7"),
)
PYTHON_HOMES = (*(arch.home for arch in ARCHITECTURES.values()), *(f"Python{each.name}" for each in OTHER_PYTHONS))
PYTHON_PROGRAMS = tuple(f"C:\\{home}\\python.exe" for home in PYTHON_HOMES)
# Of the stdlib of pyodide: what is its own, and modules that are only stubs there.
PYODIDE_OWN = ("_pyodide/", "pyodide/", "site-packages/", "_sysconfigdata_", "_ssl.py")


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
        cpu: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 600,
        stream: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a Windows Python; see wine()."""
        program = f"C:\\{ARCHITECTURES[arch].home}\\python.exe"
        return self.wine(
            program,
            *args,
            overrides=overrides,
            cpu=cpu,
            env={"PYTHONUTF8": "1"} | dict(env or {}),
            cwd=cwd,
            timeout=timeout,
            stream=stream,
        )

    def wine(
        self,
        *args: str,
        overrides: str = "",
        cpu: str = "",
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 600,
        stream: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Run a Windows program; with `stream` its output is shown as it comes, as one stream.

        With `cpu`, a model of qemu such as Nehalem, it and every 64-bit program that it starts run on that processor.
        """
        command = enter_command(self.root, ["wine", *args], cwd or self.prefix / "drive_c")
        emulated = {"WINE_QEMU_CPU": cpu} if cpu else {}
        environment = wine_environment(self.prefix, overrides) | emulated | dict(env or {})
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
        preloader = root / PRELOADER
        preloader.write_text(EMULATOR)
        preloader.chmod(0o755)

    inputs = [SUITE, *ROOT_PACKAGES, PRELOADER, EMULATOR]
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
        build_program(host_python, arch, "python311", home)
        build_stable_abi(host_python, arch, "python311", home)
        install_windows_packages(host_python, arch.platform, home / "Lib" / "site-packages")

    packages = (PINS / "windows.txt").read_text()
    inputs = [packages, str(arch), str(STDLIB_EXCLUDED), file_hash(PROGRAM_SOURCE)]
    what = f"CPython 3.11 for Windows, {arch.name}"
    step(prefix / "drive_c" / arch.home, what, "10 s", inputs, build)


def prepare_other_python(prefix: Path, host_python: Path, python: OtherPython) -> None:
    """Put another CPython for Windows on drive C, with the pure modules that pyodide has (no sqlite3, ssl, lzma)."""
    dll = f"python{python.name}"

    def build(home: Path) -> None:
        (home / "DLLs").mkdir()
        with zipfile.ZipFile(fetch_wheel(host_python, python.deploy_libs)) as wheel:
            for member in wheel.namelist():
                directory, _, name = member.rpartition("/")
                beside_program = name.lower() in (f"{dll}.dll", "vcruntime140.dll")
                wanted = python.has_extension(name) if name.endswith(".pyd") else not name.startswith("api-ms-")
                if directory == "deploy_libs" and wanted:
                    (home / ("" if beside_program else "DLLs") / name).write_bytes(wheel.read(member))
        with python_stdlib(host_python, python.stdlib) as stdlib:
            stdlib.extractall(home / "Lib", [each for each in stdlib.namelist() if not each.startswith(PYODIDE_OWN)])
        build_program(host_python, X64, dll, home)
        build_stable_abi(host_python, X64, dll, home)

    inputs = [str(python), str(PYODIDE_OWN), file_hash(PROGRAM_SOURCE)]
    step(prefix / "drive_c" / f"Python{python.name}", f"CPython {python.name} for Windows", "10 s", inputs, build)


def build_program(host_python: Path, arch: Architecture, python: str, home: Path) -> None:
    """Link python.exe against import libraries made from the names that it uses."""
    imports = {
        f"{python}.dll": ("Py_Main",),
        "api-ms-win-crt-runtime-l1-1-0.dll": (
            "_configure_wide_argv",
            "__p___argc",
            "__p___wargv",
            "exit",
        ),
    }
    build = CACHE / "build" / f"{python}-{arch.name}"
    build.mkdir(parents=True, exist_ok=True)
    libraries = [import_library(host_python, arch, dll, names, build) for dll, names in imports.items()]
    options = ["-Wl,-e,mainCRTStartup", "-Wl,--subsystem,console"]
    zig(host_python, arch, [PROGRAM_SOURCE, *libraries, *options, "-o", home / "python.exe"])


def import_library(host_python: Path, arch: Architecture, dll: str, names: Sequence[str], directory: Path) -> Path:
    """Make, in a directory, the library by which a linker takes these functions to be in a DLL."""
    library = (directory / dll).with_suffix(".lib")
    definition = library.with_suffix(".def")
    definition.write_text("\n".join([f"LIBRARY {dll}", "EXPORTS", *names, ""]))
    command: Command = [host_python, "-m", "ziglang", "dlltool", "-m", arch.dlltool]
    run_logged([*command, "-d", definition, "-l", library], f"dlltool-{arch.name}")
    return library


def build_stable_abi(host_python: Path, arch: Architecture, python: str, home: Path) -> None:
    """Link python3.dll (python3t.dll of a free-threaded Python), which forwards to `python`.dll.

    The official one has the names of the stable ABI only; this one has all that `python`.dll
    exports, a superset: what loads with the official one loads with this one.
    """
    build = CACHE / "build" / f"{python}-{arch.name}"
    build.mkdir(parents=True, exist_ok=True)
    source = build / "empty.c"
    source.write_text(
        "int __stdcall DllMainCRTStartup(void *module, unsigned long reason, void *reserved)\n{ return 1; }\n"
    )
    name = "python3t.dll" if python.endswith("t") else "python3.dll"
    definition = build / "python3.def"
    forwards = [f"{export} = {python}.{export}" for export in exported_names(home / f"{python}.dll")]
    definition.write_text("\n".join([f"LIBRARY {name}", "EXPORTS", *forwards, ""]))
    zig(host_python, arch, ["-shared", source, definition, "-o", home / name])


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


def copy_site(site: Path, prefix: Path) -> None:
    """Put one of the directories of real packages on drive C, as links: nothing there is ever written to."""

    def build(target: Path) -> None:
        shutil.copytree(site, target, ignore=shutil.ignore_patterns(STAMP), copy_function=os.link, dirs_exist_ok=True)

    step(prefix / "drive_c" / site.name, f"{site.name} on drive C", "a second", [(site / STAMP).read_text()], build)


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
        for python in OTHER_PYTHONS:
            prepare_other_python(prefix, host_python, python)
        for name in SITES:
            copy_site(prepare_site(host_python, name), prefix)
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
