"""Builds the core, a plain shared library, and its cffi binding; everything else is in pyproject.toml.

CC names the compiler (gcc, clang or "python -m ziglang cc -target ..."); without it Windows uses MSVC and other systems
use cc. A cross build names its target with --plat-name: the sources and flags follow from it.

What is built holds no path of the machine, and with SOURCE_DATE_EPOCH (seconds since 1970) no time but that: the same
sources and tools make the same bytes.
"""

from __future__ import annotations

import gzip
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tarfile
import time
from pathlib import Path

import cffi
from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.command.sdist import sdist
from setuptools.errors import CompileError

HEADER = Path("csrc/depwalk.h")
TABLES = sorted(HEADER.parent.glob("*_table.py"))  # each makes the header of its name
DEPENDS = [*map(str, HEADER.parent.glob("*.h")), *map(str, TABLES)]
EVERYWHERE = ["pe.c", "imports.c", "exports.c", "resources.c", "cpu.c", "isa.c", "operands.c", "reach.c"]
EVERYWHERE += ["texts.c", "check.c"]
WINDOWS = ["map_windows.c", "load_windows.c", "trace_windows.c", "check_windows.c", "machine_windows.c"]
WINDOWS += ["freestanding_windows.c"]
ELSEWHERE = ["map_other.c", "load_other.c", "trace_other.c", "check_other.c"]

WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-pedantic"]
COMPILE = ["-std=c11", "-O2", "-g0", "-DDW_BUILD", "-fno-sanitize=all", *WARNINGS]
# The interpreter that is being diagnosed may be of another architecture than the one that runs depwalk: zig builds the
# core for those, too, so that its children have one to load.
ARCHITECTURES = {"win32": ("x86", "x86"), "win-amd64": ("x64", "x86_64"), "win-arm64": ("arm64", "aarch64")}
ZIG_TARGET = re.compile(r"\b(x86|x86_64|aarch64)-windows-gnu\b")
# No C runtime on Windows: the core must load where there is none.
WINDOWS_COMPILE = ["-ffreestanding", "-fno-stack-protector"]
WINDOWS_LINK = ["-nostdlib", "-shared", "-s", "-Wl,--entry=DllMain"]
WINDOWS_LIBRARIES = ["-lkernel32", "-lntdll"]
MACOS_LINK = ["-shared", "-Wl,-x", "-Wl,-install_name,@rpath/_core.dylib"]
OTHER_LINK = ["-shared", "-s"]
# On x86, MSVC calls functions for 64-bit shifts and products; ntdll has them.
MSVC_COMPILE = ["/std:c11", "/O2", "/W4", "/GL-", "/GS-", "/Brepro", "/DDW_BUILD"]
MSVC_LINK = ["/NODEFAULTLIB", "/ENTRY:DllMain", "/Brepro", "kernel32.lib", "ntdll.lib"]

WAY_OUT = "name another one in CC, or install a wheel, which needs none: pip install --only-binary depwalk depwalk"


def binding(platform: str) -> cffi.FFI:
    """The cffi binding, declared by the header itself."""
    text = HEADER.read_text("ascii")
    begin, end = "/* cffi reads from here to the mark at the end. */", "/* cffi reads to here. */"
    declarations = text[text.index(begin) : text.index(end)].replace("DW_API ", "")
    character = "wchar_t" if platform.startswith("win") else "char"
    ffi = cffi.FFI()
    ffi.cdef(f"typedef {character} dw_char;\n{declarations}")
    ffi.set_source("depwalk._binding", None)
    return ffi


def run_compiler(command: list[str]) -> None:
    """Compile or link. Raises CompileError, the last line of which says what to do."""
    try:
        subprocess.run(command, check=True)
    except OSError as error:
        reason = f"depwalk's core is written in C, and the compiler {command[0]!r} cannot be run ({error.strerror}): "
        raise CompileError(f"{reason}install a C compiler such as gcc or clang, {WAY_OUT}") from None
    except subprocess.CalledProcessError as error:
        reason = f"the C compiler failed with exit status {error.returncode}; what it said stands above this line"
        raise CompileError(f"{reason}. It was: {shlex.join(command)}. To go on, {WAY_OUT}") from None


class BuildCore(build_ext):
    """Compiles csrc/ into depwalk/_core.{dll,so,dylib} and writes depwalk/_binding.py beside it."""

    @property
    def target(self) -> str:
        wheel = self.get_finalized_command("bdist_wheel")
        return str(wheel.plat_name) if wheel.plat_name_supplied else sysconfig.get_platform()

    def get_ext_filename(self, fullname: str) -> str:
        suffix = ".dll" if self.target.startswith("win") else ".dylib" if self.target.startswith("macos") else ".so"
        return str(Path(*fullname.split("."))) + suffix

    def build_extension(self, ext: Extension) -> None:
        library = Path(self.get_ext_fullpath(ext.name))
        library.parent.mkdir(parents=True, exist_ok=True)
        windows = self.target.startswith("win")
        sources = [HEADER.parent / name for name in EVERYWHERE + (WINDOWS if windows else ELSEWHERE)]
        tables = Path(self.build_temp)
        tables.mkdir(parents=True, exist_ok=True)
        for table in TABLES:
            subprocess.run([sys.executable, str(table), str(tables / f"{table.stem}.h")], check=True)
        if windows and "CC" not in os.environ:
            self._build_with_msvc(sources, library)
        else:
            compiler = os.environ.get("CC", "cc")
            self._build(shlex.split(compiler), sources, library, windows=windows)
            if windows and ZIG_TARGET.search(compiler):
                self._build_for_other_children(compiler, sources, library)
        binding(self.target).emit_python_code(str(library.with_name("_binding.py")))

    def copy_extensions_to_source(self) -> None:
        super().copy_extensions_to_source()
        for other in Path(self.build_lib, "depwalk").glob("_core-*.dll"):
            self.copy_file(str(other), f"depwalk/{other.name}")
        self.copy_file(str(Path(self.build_lib, "depwalk", "_binding.py")), "depwalk/_binding.py")

    def _build_for_other_children(self, compiler: str, sources: list[Path], library: Path) -> None:
        for platform, (name, processor) in ARCHITECTURES.items():
            if platform != self.target.replace("_", "-"):
                other = shlex.split(ZIG_TARGET.sub(f"{processor}-windows-gnu", compiler))
                self._build(other, sources, library.with_name(f"_core-{name}.dll"), windows=True)

    def _build(self, compiler: list[str], sources: list[Path], library: Path, *, windows: bool) -> None:
        temporary = Path(self.build_temp) / library.stem
        temporary.mkdir(parents=True, exist_ok=True)
        flags = [*COMPILE, f"-I{self.build_temp}"]
        flags += WINDOWS_COMPILE if windows else ["-fPIC", "-fvisibility=hidden"]
        flags += shlex.split(os.environ.get("CFLAGS", ""))
        objects = [str(temporary / f"{source.stem}.o") for source in sources]
        for source, target in zip(sources, objects):
            run_compiler([*compiler, *flags, "-c", str(source), "-o", target])
        link = WINDOWS_LINK if windows else MACOS_LINK if library.suffix == ".dylib" else OTHER_LINK
        link = [*link, *shlex.split(os.environ.get("LDFLAGS", ""))]
        linked = temporary / library.name  # an import library may come to lie beside it, and stays there
        run_compiler([*compiler, *link, *objects, "-o", str(linked), *(WINDOWS_LIBRARIES if windows else [])])
        self.copy_file(str(linked), str(library))

    def _build_with_msvc(self, sources: list[Path], library: Path) -> None:
        objects = self.compiler.compile(
            [str(source) for source in sources],
            output_dir=self.build_temp,
            include_dirs=[self.build_temp],
            extra_postargs=MSVC_COMPILE,
        )
        self.compiler.link_shared_object(
            objects,
            str(library),
            export_symbols=[],  # the header exports; without a list the import library would lie beside the DLL
            extra_postargs=MSVC_LINK,
            build_temp=self.build_temp,
        )


class Wheel(bdist_wheel):
    """One wheel per platform: the core does not depend on the Python that loads it."""

    def get_tag(self) -> tuple[str, str, str]:
        return "py3", "none", re.sub(r"[-.]", "_", super().get_tag()[2])

    def write_wheelfile(self, wheelfile_base: str, **more: str) -> None:
        """Write it, and give every file the same rights on each machine: this is the last step before the archive."""
        super().write_wheelfile(wheelfile_base, **more)
        for path in Path(self.bdist_dir).rglob("*"):
            if path.is_file():
                path.chmod(0o755 if path.suffix in (".so", ".dylib", ".dll") else 0o644)


class SourceDistribution(sdist):
    """An archive without owners, with the rights that matter only, and with one time."""

    def make_archive(self, base_name: str, format: str, *args: object, **options: object) -> str:  # noqa: A002 (theirs)
        if format != "gztar":
            return str(super().make_archive(base_name, format, *args, **options))
        when = int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))

        def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = when
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            return member

        archive = f"{base_name}.tar.gz"
        with (
            open(archive, "wb") as file,
            gzip.GzipFile("", "wb", fileobj=file, mtime=when) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            tar.add(str(options["base_dir"]), filter=plain)  # it sorts
        return archive


if __name__ == "__main__":
    setup(
        # Every file of the core belongs to a source distribution; which of them are compiled depends on the target.
        ext_modules=[Extension("depwalk._core", sorted(map(str, HEADER.parent.glob("*.c"))), depends=DEPENDS)],
        cmdclass={"build_ext": BuildCore, "bdist_wheel": Wheel, "sdist": SourceDistribution},
    )
