"""What is in each wheel: its names, its cores, and what they ask of a machine."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import shutil
import sys
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest
from clean import finished
from from_ci import CHECKOUT

import depwalk
from depwalk import core as the_core

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="what is published is looked at where it was built")

# The set that is promised; how each is built is told in ci/wheels.py.
CORES = {
    "win_amd64": {"depwalk/_core.dll": "x64", "depwalk/_core-x86.dll": "x86", "depwalk/_core-arm64.dll": "arm64"},
    "win32": {"depwalk/_core.dll": "x86", "depwalk/_core-x64.dll": "x64", "depwalk/_core-arm64.dll": "arm64"},
    "win_arm64": {"depwalk/_core.dll": "arm64", "depwalk/_core-x64.dll": "x64", "depwalk/_core-x86.dll": "x86"},
    "manylinux2014_x86_64": {"depwalk/_core.so": "x86-64"},
    "manylinux2014_aarch64": {"depwalk/_core.so": "aarch64"},
    "musllinux_1_2_x86_64": {"depwalk/_core.so": "x86-64"},
    "macosx_10_12_x86_64": {"depwalk/_core.dylib": "x86-64"},
    "macosx_11_0_arm64": {"depwalk/_core.dylib": "arm64"},
}
WINDOWS = [tag for tag in CORES if tag.startswith("win")]
LINUX = [tag for tag in CORES if "linux" in tag]
MACOS = [tag for tag in CORES if tag.startswith("macosx")]
PLATFORMS_OF_WINDOWS = {"x64": "7", "x86": "7-x86", "arm64": "10-arm64"}
LARGEST = 1_000_000  # bytes of a wheel


@pytest.fixture(params=CORES)
def wheel(request: pytest.FixtureRequest, dist: Path) -> Path:
    return of_platform(dist, request.param)


def of_platform(dist: Path, tag: str) -> Path:
    (wheel,) = dist.glob(f"depwalk-*-py3-none-{tag}.whl")
    return wheel


def test_there_is_a_wheel_for_each_platform_and_one_archive_of_sources(dist: Path) -> None:
    tags = {file.name.rpartition("-")[2].removesuffix(".whl") for file in dist.glob("*.whl")}

    assert tags == set(CORES)
    assert len(list(dist.glob("*.tar.gz"))) == 1


def test_every_wheel_says_the_tag_of_its_name_and_is_not_pure(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/WHEEL"))
        told = Parser().parsestr(archive.read(name).decode())

    assert told.get_all("Tag") == ["-".join(wheel.stem.split("-")[2:])]
    assert told["Root-Is-Purelib"] == "false"


def test_its_record_names_every_file_with_its_hash(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (record,) = (name for name in archive.namelist() if name.endswith(".dist-info/RECORD"))
        rows = {row[0]: tuple(row[1:]) for row in csv.reader(io.StringIO(archive.read(record).decode()))}
        held = {name: row(archive.read(name)) for name in archive.namelist() if name != record}

    assert rows.pop(record) == ("", "")
    assert rows == held


def row(content: bytes) -> tuple[str, str]:
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
    return f"sha256={digest}", str(len(content))


def test_it_holds_the_package_and_nothing_else(wheel: Path) -> None:
    tag = wheel.stem.rpartition("-")[2]
    package = {
        path.relative_to(CHECKOUT).as_posix()
        for path in (CHECKOUT / "depwalk").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.startswith("_core")
    } | {"depwalk/_binding.py"}
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert held == package | set(CORES[tag])


def test_it_is_small(wheel: Path) -> None:
    assert wheel.stat().st_size < LARGEST


def test_each_core_is_for_the_processor_that_its_place_promises(wheel: Path, artifacts: Any) -> None:
    found = {library.name: library.machine for library in artifacts.libraries(wheel)}

    assert found == CORES[wheel.stem.rpartition("-")[2]]


def test_nothing_names_a_path_of_the_machine_that_built_it(dist: Path, artifacts: Any) -> None:
    compiled = [
        library for file in dist.iterdir() if file.suffix in artifacts.COMPILED for library in artifacts.libraries(file)
    ]
    path = re.compile(rb"[\w./-]*/(?:root|home|tmp|Users|csrc|ziglang)/[\w./-]*")

    assert {library.name: found for library in compiled if (found := path.findall(library.content))} == {}


@pytest.mark.parametrize("tag", WINDOWS)
def test_cores_for_windows_import_kernel32_and_ntdll_only(tag: str, dist: Path, artifacts: Any) -> None:
    imports = {library.imports for library in artifacts.libraries(of_platform(dist, tag))}

    assert imports == {("kernel32.dll", "ntdll.dll")}


@pytest.mark.parametrize("tag", WINDOWS)
def test_cores_for_windows_load_on_the_oldest_one_of_their_processor(
    tag: str, dist: Path, artifacts: Any, tmp_path: Path
) -> None:
    for library in artifacts.libraries(of_platform(dist, tag)):
        path = tmp_path / library.name.rpartition("/")[2]
        path.write_bytes(library.content)
        result = depwalk.diagnose(path, windows=PLATFORMS_OF_WINDOWS[library.machine], load=False)
        assert (result.verdict, result.findings) == ("loads", ()), library.name


@pytest.mark.parametrize("tag", LINUX)
def test_the_core_for_linux_imports_the_c_library_of_its_tag(tag: str, dist: Path, artifacts: Any) -> None:
    (library,) = artifacts.libraries(of_platform(dist, tag))

    assert library.imports == ("libc.musl-x86_64.so.1" if tag.startswith("musl") else "libc.so.6",)


@pytest.mark.parametrize("tag", LINUX)
def test_auditwheel_finds_a_wheel_for_linux_to_be_what_its_tag_says(
    tag: str, dist: Path, tools: Path, tmp_path: Path
) -> None:
    wheel = of_platform(dist, tag)
    shown = finished([tools, "-m", "auditwheel", "show", "--ldpaths", tmp_path, wheel])
    said = re.search(r'platform tag:\s+"(\w+)"', shown.stdout)

    assert said is not None, shown.stdout
    assert said[1] == tag.replace("manylinux2014", "manylinux_2_17")


@pytest.mark.parametrize("tag", MACOS)
def test_the_core_for_macos_imports_the_system_library_and_is_for_the_version_of_its_tag(
    tag: str, dist: Path, artifacts: Any
) -> None:
    (library,) = artifacts.libraries(of_platform(dist, tag))
    _, major, minor = tag.split("_")[:3]

    assert library.imports == ("/usr/lib/libSystem.B.dylib",)
    assert library.oldest == f"macOS {major}.{minor}"


def test_the_core_for_macos_on_arm_is_signed_as_every_program_there_must_be(dist: Path, artifacts: Any) -> None:
    (library,) = artifacts.libraries(of_platform(dist, "macosx_11_0_arm64"))

    assert artifacts.lief.parse(list(library.content)).has_code_signature


def test_the_page_of_the_release_has_a_row_for_everything_that_is_compiled(dist: Path) -> None:
    page = (CHECKOUT / "docs" / "release.md").read_text("utf-8")
    compiled = {*CORES, *(file.name for ending in ("exe", "zip") for file in dist.glob(f"*.{ending}"))}

    assert set(re.findall(r"^\| `([^`]+)`", page, re.MULTILINE)) == compiled


def test_the_programs_for_installers_import_what_every_windows_has(dist: Path, artifacts: Any) -> None:
    told = {program.name: artifacts.libraries(program)[0].imports for program in dist.glob("*.exe")}

    assert told == {f"depwalk-check-{name}.exe": ("kernel32.dll", "ntdll.dll") for name in ("arm64", "x64", "x86")}


def test_the_core_for_c_has_the_header_and_for_each_processor_a_dll_with_its_import_library(
    dist: Path, artifacts: Any
) -> None:
    with zipfile.ZipFile(dist / "depwalk-c.zip") as archive:
        names = set(archive.namelist())
        header = archive.read("depwalk.h")

    dlls = {f"depwalk-{name}.dll": name for name in ("arm64", "x64", "x86")}
    assert names == {"depwalk.h", *dlls, *(name.replace(".dll", ".lib") for name in dlls)}
    assert header == (CHECKOUT / "csrc" / "depwalk.h").read_bytes()
    assert {library.name: library.machine for library in artifacts.libraries(dist / "depwalk-c.zip")} == dlls


# ---- on processors and C libraries that are not this machine's


@pytest.fixture
def user(tmp_path: Path, ci: Any) -> Any:
    """user(target) compiles tests/release/uses_core.c for it."""

    def build(target: str, *options: str) -> Path:
        program = tmp_path / "uses_core"
        source = CHECKOUT / "tests" / "release" / "uses_core.c"
        compiler = [*ci.zig(Path(sys.executable)), "-O2", "-target", target, f"-I{CHECKOUT / 'csrc'}", *options]
        built = finished([*compiler, source, "-o", program])
        assert built.returncode == 0, built.stdout
        return program

    return build


def core_of(dist: Path, tag: str, directory: Path) -> Path:
    with zipfile.ZipFile(of_platform(dist, tag)) as archive:
        return directory.joinpath(archive.extract("depwalk/_core.so", directory))


def expected_answer() -> str:
    size = the_core.ffi.sizeof("dw_image")
    return f"{the_core.lib.DW_ABI_VERSION} {size} {0x8664} 1\n"


EMULATOR = shutil.which("qemu-aarch64-static")
ARM_LIBRARIES = "/usr/aarch64-linux-gnu"
MUSL = "/lib/ld-musl-x86_64.so.1"


@pytest.mark.skipif(
    not EMULATOR or not shutil.which(f"{ARM_LIBRARIES}/lib/ld-linux-aarch64.so.1"),
    reason="needs qemu-user-static and libc6-arm64-cross",
)
def test_the_core_for_linux_on_arm_reads_a_file_there(dist: Path, user: Any, make_pe: Any, tmp_path: Path) -> None:
    core = core_of(dist, "manylinux2014_aarch64", tmp_path)
    module = make_pe("module.dll", imports={"a.dll": ["f"]})
    ran = finished([EMULATOR, "-L", ARM_LIBRARIES, user("aarch64-linux-gnu.2.17"), core, module])

    assert (ran.returncode, ran.stdout) == (0, expected_answer())


@pytest.mark.skipif(not shutil.which(MUSL), reason="needs musl")
def test_the_core_for_musl_reads_a_file_there(dist: Path, user: Any, make_pe: Any, tmp_path: Path) -> None:
    core = core_of(dist, "musllinux_1_2_x86_64", tmp_path)
    module = make_pe("module.dll", imports={"a.dll": ["f"]})
    ran = finished([MUSL, user("x86_64-linux-musl", "-dynamic"), core, module])

    assert (ran.returncode, ran.stdout) == (0, expected_answer())


def test_the_set_of_the_tests_is_the_one_that_is_built(ci: Any) -> None:
    assert [platform.tag for platform in ci.PLATFORMS] == list(CORES)
