"""Microsoft's runtimes: what is missing and why, what is too old for whom, what nobody may pass on.

The extension is root.pyd, for CPython 3.11 on Windows 10, unless it says otherwise.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from targets import target

from depwalk import diagnosis, graph, image, wheel
from depwalk.diagnosis import Evidence, Finding
from depwalk.host import Host
from depwalk.host.events import Event, Events
from depwalk.host.redistributables import Redistributable
from depwalk.loader import Failure, LoadTrace, Raised
from depwalk.target import Directory, python, windows
from depwalk.target.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.target import Target

LOCKS = {"msvcp140.dll": ["_Mtx_lock", "_Mtx_unlock"]}
MUTEX = ["_Mtx_init_in_situ", "_Mtx_lock", "_Mtx_unlock"]
OLD, NEW = (14, 28, 29334, 0), (14, 44, 35211, 0)
INIT_FAILED, ACCESS_VIOLATION, FAST_FAIL = 1114, 0xC0000005, 0xC0000409
MANIFEST = b"""<assembly xmlns="urn:schemas-microsoft-com:asm.v1"><dependency><dependentAssembly>
<assemblyIdentity name="%s" version="9.0.21022.8" publicKeyToken="1fc8b3b9a1e18e3b"/>
</dependentAssembly></dependency></assembly>"""
CODES = ("missing-msvc-runtime", "msvc-runtime-too-old", "debug-runtime", "side-by-side", "missing-dll")


def evidence(path: Path, place: Target | None = None, **known: Any) -> Evidence:
    place = place or target()
    file = image.read(path)
    walked = graph.walk(str(path), file, place)
    return Evidence(walked, place, python.built_for(file), wheel.distribution_of(str(path)), **known)


def findings(path: Path, place: Target | None = None, **known: Any) -> list[Finding]:
    found = diagnosis.diagnose(evidence(path, place, **known))
    return [finding for finding in found if finding.code in CODES]


def finding(path: Path, place: Target | None = None, **known: Any) -> Finding:
    (found,) = findings(path, place, **known)
    return found


def facts(found: Finding) -> str:
    return "\n".join(found.evidence)


def remedy(found: Finding) -> str:
    assert found.remedy is not None
    return f"{found.remedy.text} {found.remedy.command}".strip()


def drive(tmp_path: Path, loader: str = "3.11", **fields: Any) -> Target:
    """A process on a Windows whose System32 is a real directory below tmp_path."""
    for name in ("System32", "SysWOW64"):
        (tmp_path / "Windows" / name).mkdir(parents=True, exist_ok=True)
    system = replace(windows.at_root(str(tmp_path)), version=(10, 0, 19045))
    return target("10", loader, **fields)._replace(windows=system)


def conda(prefix: Path) -> Environment:
    return Environment(str(prefix), str(prefix), conda=True, sites=(str(prefix / "Lib" / "site-packages"),))


def at_python(place: Target, directory: Path) -> Target:
    """The same process with a python.exe that is really there."""
    assert place.python is not None
    own = place.python._replace(directory=Directory(str(directory)), executable=str(directory / "python.exe"))
    return place._replace(python=own)


def registry(*packages: tuple[str, str, tuple[int, int, int]], **known: Any) -> Host:
    return Host(redistributables=tuple(Redistributable(*package) for package in packages), **known)


def installed(site: Path, name: str, version: str, *files: Path) -> None:
    """A distribution whose RECORD lists files."""
    metadata = site / f"{name}-{version}.dist-info"
    metadata.mkdir(parents=True)
    lines = [os.path.relpath(file, site).replace(os.sep, "/") + ",," for file in files]
    (metadata / "RECORD").write_text("\n".join(lines))
    (metadata / "INSTALLER").write_text("pip")


def needs(make_pe: MakePE, *dlls: str, name: str = "root.pyd", **more: Any) -> Path:
    return make_pe(name, imports={dll: ["f"] for dll in dlls}, **more)


# ---- missing: not installed, older than the DLL, half removed -----------------------------------------------------


def test_an_installed_runtime_that_is_older_than_the_dll_is_told_by_its_year(make_pe: MakePE) -> None:
    found = finding(needs(make_pe, "msvcp140.dll", "vcruntime140_1.dll"), target("10", "3.7", runtimes=("vc14=14.0",)))
    assert found.message == ("root.pyd needs vcruntime140_1.dll, and the Visual C++ runtime here is older than 2019.")


@pytest.mark.parametrize(
    ("dll", "year"),
    [
        ("msvcp140_1.dll", 2018),
        ("msvcp140_2.dll", 2018),
        ("vcruntime140_1.dll", 2019),
        ("msvcp140_atomic_wait.dll", 2020),
        ("msvcp140_codecvt_ids.dll", 2021),
        ("vcruntime140_threads.dll", 2023),
    ],
)
def test_the_year_is_that_of_the_package_that_brought_the_dll(dll: str, year: int, make_pe: MakePE) -> None:
    found = finding(needs(make_pe, dll), target("10", "3.7", runtimes=("vc14=14.0",)))
    assert f"older than {year}" in found.message


def test_the_file_in_system32_that_shows_the_old_version_is_told(make_pe: MakePE, tmp_path: Path) -> None:
    place = drive(tmp_path)
    old = make_pe("Windows/System32/msvcp140.dll", exports=["f"], version=(14, 0, 24215, 1))
    found = finding(needs(make_pe, "msvcp140.dll", "msvcp140_1.dll"), place)
    assert "older than 2018" in found.message
    assert f"older: {old} (version 14.0)" in found.evidence


def test_an_old_package_in_the_registry_is_told(make_pe: MakePE) -> None:
    found = finding(needs(make_pe, "msvcp140_atomic_wait.dll"), host=registry(("vc14", "x64", (14, 16, 27033))))
    assert "older than 2020" in found.message
    assert "the Visual C++ redistributable 14.16.27033 (x64)" in facts(found)


def test_near_miss_the_vcruntime140_that_python_brings_is_no_installed_redistributable(
    make_pe: MakePE, tmp_path: Path
) -> None:
    make_pe("Python37/vcruntime140.dll", exports=["f"], version=(14, 0, 24215, 1))
    place = at_python(drive(tmp_path, "3.7"), tmp_path / "Python37")
    found = finding(needs(make_pe, "vcruntime140.dll", "vcruntime140_1.dll"), place)
    assert "is not installed" in found.message


def test_near_miss_a_bundled_msvcp140_is_no_installed_redistributable(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("msvcp140.dll", exports=["f"], version=(14, 0, 24215, 1))
    found = finding(needs(make_pe, "msvcp140.dll", "msvcp140_1.dll"), drive(tmp_path))
    assert "is not installed" in found.message


def test_near_miss_a_new_redistributable_that_lacks_a_file_is_not_called_old(make_pe: MakePE, tmp_path: Path) -> None:
    place = drive(tmp_path)
    make_pe("Windows/System32/msvcp140.dll", exports=["f"], version=NEW)
    assert "older than" not in finding(needs(make_pe, "msvcp140_1.dll"), place).message


def test_near_miss_the_runtime_of_an_emulator_is_no_installed_redistributable(make_pe: MakePE, tmp_path: Path) -> None:
    place = drive(tmp_path)
    place = place._replace(windows=replace(place.windows, emulator="Wine"))
    make_pe("Windows/System32/msvcp140.dll", exports=["f"], version=(14, 0, 24215, 1))
    assert "is not installed" in finding(needs(make_pe, "msvcp140_codecvt_ids.dll"), place).message


def test_a_package_that_windows_lists_and_whose_file_is_gone_is_to_be_repaired(make_pe: MakePE) -> None:
    found = finding(needs(make_pe, "msvcp140.dll"), host=registry(("vc14", "x64", (14, 44, 35211))))
    assert "half removed" in found.message
    assert "14.44.35211 (x64)" in facts(found)
    assert remedy(found).endswith("choose Repair. vc_redist.x64.exe /repair")


def test_near_miss_the_same_package_for_another_architecture_is_not_half_removed(make_pe: MakePE) -> None:
    host = registry(("vc14", "x64", (14, 44, 35211)))
    found = finding(needs(make_pe, "msvcp140.dll", machine="x86"), target("10", "3.11-32"), host=host)
    assert "is not installed" in found.message
    assert "14.44.35211 (x64), which is not for this process" in facts(found)
    assert "Redistributable (x86)" in remedy(found)


def test_near_miss_another_package_in_the_registry_says_nothing(make_pe: MakePE) -> None:
    found = finding(needs(make_pe, "msvcr120.dll"), host=registry(("vc14", "x64", (14, 44, 35211))))
    assert found.message == "msvcr120.dll, a part of the Visual C++ 2013 runtime, is not installed; root.pyd needs it."


def test_near_miss_a_dll_that_is_there_though_the_registry_lists_nothing(make_pe: MakePE, tmp_path: Path) -> None:
    place = drive(tmp_path)
    make_pe("Windows/System32/msvcp140.dll", exports=["f"], version=NEW)
    assert findings(needs(make_pe, "msvcp140.dll"), place, host=registry()) == []


def test_near_miss_a_dll_beside_python_that_system32_does_not_have(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Python311/vcruntime140_1.dll", exports=["f"])
    assert findings(needs(make_pe, "vcruntime140_1.dll"), at_python(drive(tmp_path), tmp_path / "Python311")) == []


def test_what_python_has_beside_its_program_is_repaired_there(make_pe: MakePE, tmp_path: Path) -> None:
    (tmp_path / "Python311").mkdir()
    found = finding(needs(make_pe, "vcruntime140.dll"), at_python(drive(tmp_path), tmp_path / "Python311"))
    assert f"directory of python.exe: {tmp_path / 'Python311'}" in found.evidence
    assert remedy(found).startswith("Repair Python")


def test_conda_brings_its_own_runtime_again(make_pe: MakePE, tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    place = at_python(drive(tmp_path), tmp_path / "env")._replace(environment=conda(tmp_path / "env"))
    found = finding(needs(make_pe, "vcruntime140.dll"), place)
    assert remedy(found).endswith("conda install --force-reinstall vc14_runtime")


def test_an_old_virtual_environment_is_made_anew_with_the_python_that_it_copied(
    make_pe: MakePE, tmp_path: Path
) -> None:
    theirs = make_pe("Python35/vcruntime140.dll", exports=["f"])
    for name in ("env/Lib", "env/Scripts"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "env" / "Lib" / "orig-prefix.txt").write_text(str(theirs.parent))
    found = finding(needs(make_pe, "vcruntime140.dll"), at_python(drive(tmp_path, "3.5"), tmp_path / "env" / "Scripts"))
    assert "old virtual environment" in found.message
    assert f"its Python has it: {theirs}" in found.evidence
    assert remedy(found).endswith(f'"{theirs.parent / "python.exe"}" -m venv NEW_ENVIRONMENT')


def test_a_copy_with_a_hash_in_its_name_is_said_not_to_count(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Lib/site-packages/matplotlib.libs/msvcp140-4f74cb56bb4b4ea2.dll", exports=["f"])
    found = finding(needs(make_pe, "msvcp140.dll", name="Lib/site-packages/kiwisolver/_cext.pyd"))
    assert found.code == "missing-msvc-runtime"
    directory = tmp_path / "Lib" / "site-packages" / "matplotlib.libs"
    told = f"msvcp140-4f74cb56bb4b4ea2.dll in {directory} does not count: it answers to that name only"
    assert told in found.evidence


def test_near_miss_a_hashed_copy_that_its_own_package_imports(make_pe: MakePE) -> None:
    make_pe("msvcp140-4f74cb56bb4b4ea2.dll", exports=["f"])
    assert findings(needs(make_pe, "msvcp140-4f74cb56bb4b4ea2.dll")) == []


def test_a_runtime_of_2008_that_no_manifest_asks_for_is_not_to_be_installed(make_pe: MakePE) -> None:
    found = finding(needs(make_pe, "msvcr90.dll"))
    assert "lacks the manifest" in found.message
    assert "Use another version of the package" in remedy(found)


@pytest.mark.parametrize("dll", ["msvcr120.dll", "msvcr100.dll"])
def test_packages_before_2015_were_never_made_for_arm64(dll: str, make_pe: MakePE) -> None:
    found = finding(needs(make_pe, dll, machine="arm64"), target("11-arm64", "3.11-arm64"))
    assert found.code == "missing-dll"


def test_all_debug_runtimes_of_a_file_are_one_finding(make_pe: MakePE) -> None:
    found = finding(needs(make_pe, "ucrtbased.dll", "vcruntime140d.dll"))
    assert (found.code, found.module, found.also) == ("debug-runtime", "ucrtbased.dll", ("vcruntime140d.dll",))


@pytest.mark.parametrize("dll", ["libomp140.x86_64.dll", "msvcr71.dll", "msvcp71.dll"])
def test_a_dll_that_no_redistributable_has_is_the_package_s_own(dll: str, make_pe: MakePE) -> None:
    found = finding(needs(make_pe, dll))
    assert found.code == "missing-dll"
    assert "no redistributable has it" in found.message
    assert "Redistributable" not in remedy(found)


# ---- remedies ----------------------------------------------------------------------------------------------------


def test_conda_installs_the_runtime_into_its_environment(make_pe: MakePE, tmp_path: Path) -> None:
    place = target()._replace(environment=conda(tmp_path / "env"))
    assert remedy(finding(needs(make_pe, "msvcp140.dll"), place)).endswith("conda install vc14_runtime")
    found = finding(needs(make_pe, "msvcp140_codecvt_ids.dll"), place)
    assert remedy(found).endswith('conda install "vc14_runtime>=14.29"')


@pytest.mark.parametrize("dll", ["mfc140u.dll", "msvcr120.dll"])
def test_near_miss_conda_has_no_package_for_these(dll: str, make_pe: MakePE, tmp_path: Path) -> None:
    place = target()._replace(environment=conda(tmp_path / "env"))
    assert "conda" not in remedy(finding(needs(make_pe, dll), place))


def test_who_is_no_administrator_may_put_the_dlls_beside_a_python_of_his_own(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Python311/vcruntime140.dll", exports=["f"])
    place = at_python(drive(tmp_path), tmp_path / "Python311")
    found = finding(needs(make_pe, "msvcp140.dll"), place, host=Host(administrator=False))
    assert "Let an administrator install" in remedy(found)
    assert remedy(found).endswith(f'"{tmp_path / "Python311" / "python.exe"}" -m pip install msvc-runtime')


def test_near_miss_that_package_for_pip_is_not_made_for_arm64(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Python311/vcruntime140.dll", machine="arm64", exports=["f"])
    here = at_python(drive(tmp_path), tmp_path / "Python311")
    place = here._replace(architecture="arm64")
    path = make_pe("root.pyd", machine="arm64", imports={"msvcp140.dll": ["f"]})
    assert "pip" not in remedy(finding(path, place, host=Host(administrator=False)))


@pytest.mark.parametrize("dll", ["mfc140u.dll", "msvcr120.dll"])
def test_near_miss_that_package_for_pip_does_not_have_these(dll: str, make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Python311/vcruntime140.dll", exports=["f"])
    place = at_python(drive(tmp_path), tmp_path / "Python311")
    found = finding(needs(make_pe, dll), place, host=Host(administrator=False))
    assert "pip" not in remedy(found)
    assert "(this needs an administrator)." in remedy(found)


@pytest.mark.parametrize("administrator", [True, None])
def test_rights_are_no_topic_for_who_has_them(administrator: bool | None, make_pe: MakePE) -> None:
    found = finding(needs(make_pe, "msvcp140.dll"), host=Host(administrator=administrator))
    assert "administrator" not in remedy(found)


# ---- too old: as the files show it --------------------------------------------------------------------------------


def extension(make_pe: MakePE, name: str = "root.pyd", **more: Any) -> Path:
    """Linked by 14.42, with a std::mutex that the compiler set up."""
    return make_pe(name, **{"imports": LOCKS, "linker": (14, 42), **more})


def runtime(make_pe: MakePE, name: str = "msvcp140.dll", **more: Any) -> Path:
    return make_pe(name, **{"exports": MUTEX, "version": OLD, **more})


def test_new_code_with_an_old_runtime_may_crash(make_pe: MakePE) -> None:
    taken, root = runtime(make_pe), extension(make_pe)
    found = finding(root)
    assert (found.severity, found.code, found.module) == ("warning", "msvc-runtime-too-old", "msvcp140.dll")
    assert (
        found.message == "root.pyd needs msvcp140.dll 14.40 or later, and gets 14.28.29334.0, with which it may crash."
    )
    assert found.evidence[:3] == (
        f"taken: {taken} (version 14.28.29334.0)",
        "it is found first, by the rule: directory of the file",
        f"{root} was linked by Microsoft's linker 14.42, and locks a std::mutex",
    )


def test_an_assumed_version_counts_as_one_of_a_file(make_pe: MakePE) -> None:
    found = finding(extension(make_pe), target(runtimes=("vc14=14.38",)))
    assert "gets 14.38, with" in found.message


@pytest.mark.parametrize("choice", ["vc14", "vc14=14.40", "vc14=14.44"])
def test_near_miss_an_assumed_version_that_is_new_enough(choice: str, make_pe: MakePE) -> None:
    assert findings(extension(make_pe), target(runtimes=(choice,))) == []


HEALTHY: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("linker 14.42 with msvcp140 14.44", {}, {"version": NEW}),
    ("the first version that has the new mutexes", {}, {"version": (14, 40, 33810, 0)}),
    ("linker 14.38 with an old msvcp140", {"linker": (14, 38)}, {}),
    ("linker 14.39, the last before", {"linker": (14, 39)}, {}),
    ("the linker of MinGW writes 2.42", {"linker": (2, 42)}, {}),
    ("the linker of LLVM writes 14.0", {"linker": (14, 0)}, {}),
    (
        "no mutex is locked",
        {"imports": {"msvcp140.dll": ["_Query_perf_counter"]}},
        {"exports": ["_Query_perf_counter"]},
    ),
    ("mutexes are set up by msvcp140 itself", {"imports": {"msvcp140.dll": MUTEX}}, {}),
    ("the version of msvcp140 is not known", {}, {"version": None}),
    ("msvcp140 is imported at its first call only", {"imports": {}, "delay": LOCKS}, {}),
]


@pytest.mark.parametrize(("root", "dll"), [row[1:] for row in HEALTHY], ids=[row[0] for row in HEALTHY])
def test_near_miss_of_an_old_runtime(root: dict[str, Any], dll: dict[str, Any], make_pe: MakePE) -> None:
    runtime(make_pe, **dll)
    assert findings(extension(make_pe, **root)) == []


def test_near_miss_new_code_that_does_not_import_msvcp140(make_pe: MakePE) -> None:
    runtime(make_pe)
    assert findings(needs(make_pe, "vcruntime140.dll", linker=(14, 42))) == []


def test_near_miss_new_code_with_a_hashed_old_copy_of_its_own_package(make_pe: MakePE) -> None:
    runtime(make_pe, "msvcp140-0f885b509a685d2b.dll")
    root = extension(make_pe, imports={"msvcp140-0f885b509a685d2b.dll": ["_Mtx_lock"]})
    assert findings(root) == []


def test_near_miss_the_msvcp140_of_an_emulator(make_pe: MakePE, tmp_path: Path) -> None:
    place = drive(tmp_path)
    runtime(make_pe, "Windows/System32/msvcp140.dll")
    assert findings(extension(make_pe), place._replace(windows=replace(place.windows, emulator="Wine"))) == []


# ---- too old: what it lacks came later ----------------------------------------------------------------------------


def test_a_function_that_an_old_runtime_lacks_is_a_matter_of_its_age(make_pe: MakePE, tmp_path: Path) -> None:
    place = drive(tmp_path)
    make_pe("Windows/System32/msvcp140.dll", exports=["old"], version=OLD)
    found = finding(needs(make_pe, "msvcp140.dll", linker=(14, 42)), place)
    assert (found.severity, found.code) == ("error", "msvc-runtime-too-old")
    assert found.evidence[0] == "not exported: f"
    assert remedy(found).endswith("winget install Microsoft.VCRedist.2015+.x64")


def test_the_newer_runtime_of_windows_is_told(make_pe: MakePE, tmp_path: Path) -> None:
    place = at_python(drive(tmp_path), tmp_path / "env")
    make_pe("env/vcruntime140.dll", exports=["old"], version=OLD)
    newer = make_pe("Windows/System32/vcruntime140.dll", exports=["f"], version=NEW)
    found = finding(needs(make_pe, "vcruntime140.dll", linker=(14, 42)), place)
    assert found.code == "msvc-runtime-too-old"
    assert f"newer: {newer} (version 14.44.35211.0)" in found.evidence


@pytest.mark.parametrize(
    ("dll", "linker", "version"),
    [
        ("msvcp140.dll", (14, 28), OLD),
        ("msvcp140.dll", (2, 42), OLD),
        ("msvcp140.dll", (14, 42), None),
        ("msvcr120.dll", (14, 42), (12, 0, 40664, 0)),
        ("dep.dll", (14, 42), OLD),
    ],
    ids=["as old as the code", "another linker", "version not known", "another runtime", "no runtime"],
)
def test_near_miss_what_is_lacking_is_no_matter_of_age(
    dll: str, linker: tuple[int, int], version: tuple[int, int, int, int] | None, make_pe: MakePE
) -> None:
    make_pe(dll, exports=["old"], version=version)
    assert findings(needs(make_pe, dll, linker=linker)) == []


# ---- too old: as a load shows it ----------------------------------------------------------------------------------


def died(code: int | None = None, exit_code: int | None = None, **more: Any) -> LoadTrace:
    return LoadTrace(code, exit_code, **more)


def raised(code: int, module: object) -> Raised:
    return Raised(code, 0x1000, str(module), 0x1000, first_chance=True, access="read")


@pytest.mark.parametrize(
    "load",
    [died(INIT_FAILED), died(998), died(exit_code=ACCESS_VIOLATION), died(exit_code=FAST_FAIL)],
    ids=["init-failed", "no-access", "access-violation", "fast-fail"],
)
def test_a_load_that_ends_as_such_a_crash_ends_it_has_this_cause(load: LoadTrace, make_pe: MakePE) -> None:
    runtime(make_pe)
    (found,) = diagnosis.diagnose(evidence(extension(make_pe), load=load))
    assert (found.severity, found.code, found.proof) == ("error", "msvc-runtime-too-old", "inferred")
    assert found.message.endswith("gets 14.28.29334.0, with which it crashes.")


def test_a_crash_that_was_seen_in_msvcp140_proves_it(make_pe: MakePE) -> None:
    load = died(INIT_FAILED, raised=(raised(ACCESS_VIOLATION, runtime(make_pe)),))
    found = finding(extension(make_pe), load=load)
    assert (found.severity, found.proof) == ("error", "loader")
    assert "exception 0xC0000005 at msvcp140.dll+0x1000" in found.evidence


def test_a_crash_that_windows_reported_in_msvcp140_proves_it(make_pe: MakePE) -> None:
    runtime(make_pe)
    fields = ["python.exe", "3.11.9", "661", "MSVCP140.dll", "14.28.29334.0", "5fb", "c0000005", "0000000000012f58"]
    event = Event("Application", "Application Error", 1000, "2026-01-05", tuple(("", value) for value in fields))
    found = finding(extension(make_pe), load=died(exit_code=ACCESS_VIOLATION), host=Host(events=Events((event,))))
    assert (found.code, found.proof) == ("msvc-runtime-too-old", "loader")
    assert "Windows reported at 2026-01-05 (event 1000) a crash in MSVCP140.dll 14.28.29334.0" in found.evidence


def test_a_dependency_that_alone_fails_so_is_the_one_with_the_cause(make_pe: MakePE) -> None:
    runtime(make_pe)
    dependency = extension(make_pe, "c10.dll", exports=["f"])
    load = died(INIT_FAILED, failures=(Failure(str(dependency), INIT_FAILED),))
    found = finding(needs(make_pe, "c10.dll"), load=load)
    assert (found.severity, found.needed_by) == ("error", "c10.dll")


NOT_ITS_DOING = [
    ("the crash was in another module", died(INIT_FAILED, raised=(raised(ACCESS_VIOLATION, "C:\\x\\other.dll"),))),
    ("it was watched, and nothing crashed", died(INIT_FAILED, raised=(raised(0xE06D7363, "C:\\x\\KERNELBASE.dll"),))),
    ("another module fails alone", died(INIT_FAILED, failures=(Failure("C:\\x\\other.dll", INIT_FAILED),))),
    ("it ended with an illegal instruction", died(exit_code=0xC000001D)),
    ("it ended for want of memory", died(1455)),
    ("it was loaded", died(0)),
]


@pytest.mark.parametrize("load", [row[1] for row in NOT_ITS_DOING], ids=[row[0] for row in NOT_ITS_DOING])
def test_near_miss_of_a_load_that_an_old_runtime_ended(load: LoadTrace, make_pe: MakePE) -> None:
    runtime(make_pe)
    found = [one for one in findings(extension(make_pe), load=load) if one.code == "msvc-runtime-too-old"]
    assert [one.severity for one in found] == ["warning"]


def test_a_file_that_only_fails_where_an_old_copy_was_loaded_before_has_this_cause(
    make_pe: MakePE, tmp_path: Path
) -> None:
    place = drive(tmp_path)
    runtime(make_pe, "Windows/System32/msvcp140.dll", version=NEW)
    old = runtime(make_pe, "Lib/site-packages/pyarrow/msvcp140.dll")
    found = finding(extension(make_pe), place._replace(loaded=(str(old),)), loads_elsewhere=True)
    assert (found.severity, found.code, found.proof) == ("error", "msvc-runtime-too-old", "inferred")
    assert found.evidence[:2] == (f"taken: {old} (version 14.28.29334.0)", "the process has loaded it before")
    assert f"it lies in the package pyarrow of {tmp_path / 'Lib' / 'site-packages'}" in found.evidence


def test_near_miss_it_fails_here_only_and_the_old_copy_is_found_everywhere(make_pe: MakePE) -> None:
    runtime(make_pe)
    assert finding(extension(make_pe), loads_elsewhere=True).severity == "warning"


# ---- too old: what to do ------------------------------------------------------------------------------------------


def test_the_package_that_brought_the_old_copy_is_updated_or_imported_later(make_pe: MakePE, tmp_path: Path) -> None:
    site = tmp_path / "Lib" / "site-packages"
    old = runtime(make_pe, "Lib/site-packages/pyarrow/msvcp140.dll")
    root = extension(make_pe, "Lib/site-packages/onnx/onnx_cpp2py_export.pyd")
    installed(site, "pyarrow", "18.1.0", old)
    installed(site, "onnx", "1.17.0", root)
    found = finding(root, target(loaded=[old]))
    assert remedy(found) == (
        "Update pyarrow, which brought this copy; until then, import onnx before it. "
        "py -3.11 -m pip install --upgrade pyarrow"
    )


def test_the_copy_in_system32_is_updated_by_its_installer(make_pe: MakePE, tmp_path: Path) -> None:
    place = drive(tmp_path)
    runtime(make_pe, "Windows/System32/msvcp140.dll")
    assert remedy(finding(extension(make_pe), place)).endswith("winget install Microsoft.VCRedist.2015+.x64")


def test_conda_updates_the_copy_beside_its_python(make_pe: MakePE, tmp_path: Path) -> None:
    runtime(make_pe, "env/msvcp140.dll")
    place = at_python(drive(tmp_path), tmp_path / "env")._replace(environment=conda(tmp_path / "env"))
    assert remedy(finding(extension(make_pe), place)).endswith('conda install "vc14_runtime>=14.42"')


def test_a_copy_of_unknown_origin_is_updated_with_its_program(make_pe: MakePE, tmp_path: Path) -> None:
    old = runtime(make_pe, "app/msvcp140.dll")
    found = finding(extension(make_pe), at_python(drive(tmp_path), tmp_path / "app"))
    assert remedy(found).startswith(f"Update what brought this old copy of the Visual C++ runtime 2015-2026: {old}")


def test_a_package_whose_file_is_older_than_windows_lists_it_is_to_be_repaired(make_pe: MakePE, tmp_path: Path) -> None:
    place = drive(tmp_path)
    runtime(make_pe, "Windows/System32/msvcp140.dll")
    found = finding(extension(make_pe), place, host=registry(("vc14", "x64", (14, 44, 35211))))
    assert "14.44.35211 (x64), whose DLLs are newer than this one" in facts(found)
    assert remedy(found).endswith("vc_redist.x64.exe /repair")


def test_near_miss_windows_lists_the_version_that_the_file_has(make_pe: MakePE, tmp_path: Path) -> None:
    place = drive(tmp_path)
    runtime(make_pe, "Windows/System32/msvcp140.dll")
    found = finding(extension(make_pe), place, host=registry(("vc14", "x64", (14, 28, 29334))))
    assert "repair" not in remedy(found)


# ---- older than that of Windows -----------------------------------------------------------------------------------


@pytest.fixture
def shadowed(make_pe: MakePE, tmp_path: Path) -> tuple[Path, Target]:
    """An old vcruntime140.dll beside python.exe, a new one in System32, and an extension by a new compiler."""
    place = at_python(drive(tmp_path), tmp_path / "env")
    make_pe("env/vcruntime140.dll", exports=["f"], version=OLD)
    make_pe("Windows/System32/vcruntime140.dll", exports=["f"], version=NEW)
    return needs(make_pe, "vcruntime140.dll", linker=(14, 42)), place


def test_a_crash_with_a_runtime_that_hides_a_newer_one_is_told_of(shadowed: tuple[Path, Target]) -> None:
    found = findings(*shadowed, load=died(exit_code=ACCESS_VIOLATION))
    assert [(one.severity, one.code, one.module) for one in found] == [
        ("warning", "msvc-runtime-too-old", "vcruntime140.dll")
    ]
    assert "newer: " in facts(found[0])


@pytest.mark.parametrize("load", [None, died(0), died(126)], ids=["not loaded", "loads", "something is missing"])
def test_near_miss_an_older_runtime_beside_python_is_usual(
    load: LoadTrace | None, shadowed: tuple[Path, Target]
) -> None:
    assert findings(*shadowed, load=load) == []


# ---- side by side -------------------------------------------------------------------------------------------------


def asking_for(make_pe: MakePE, assembly: str, *dlls: str, machine: str = "x86") -> Path:
    return needs(make_pe, *dlls, machine=machine, manifests={2: MANIFEST % assembly.encode()})


def as_windows_tells(path: Path) -> str:
    return "C:" + os.path.splitdrive(path)[1].replace("/", "\\")


def logged(*fields: str, number: int = 33) -> Host:
    event = Event("Application", "SideBySide", number, "2026-01-05", tuple(("", field) for field in fields))
    return Host(events=Events((event,)))


def test_an_assembly_of_a_debug_runtime_has_no_redistributable(make_pe: MakePE) -> None:
    found = finding(asking_for(make_pe, "Microsoft.VC90.DebugCRT"), target("10", "3.7-32", runtimes=("vc9",)))
    assert found.code == "side-by-side"
    assert "a debug runtime that only Visual Studio has" in found.message
    assert "release mode" in remedy(found)


@pytest.mark.parametrize(("machine", "loader"), [("x86", "3.7-32"), ("x64", "3.7")])
def test_the_release_twin_is_installed_for_the_architecture_of_the_process(
    machine: str, loader: str, make_pe: MakePE
) -> None:
    found = finding(asking_for(make_pe, "Microsoft.VC90.CRT", machine=machine), target("10", loader))
    assert f"Visual C++ 2008 SP1 Redistributable ({machine})" in remedy(found)


def test_near_miss_the_release_twin_is_installed(make_pe: MakePE) -> None:
    root = asking_for(make_pe, "Microsoft.VC90.CRT", "msvcr90.dll")
    assert findings(root, target("10", "3.7-32", runtimes=("vc9",))) == []


@pytest.mark.parametrize(
    ("assembly", "dll"), [("Microsoft.VC90.CRT", "msvcr90.dll"), ("Microsoft.VC90.DebugCRT", "msvcr90d.dll")]
)
def test_the_dlls_of_a_missing_assembly_are_no_causes_of_their_own(assembly: str, dll: str, make_pe: MakePE) -> None:
    found = finding(asking_for(make_pe, assembly, dll), target("10", "3.7-32"))
    assert (found.code, found.also) == ("side-by-side", (dll,))


def test_what_windows_logged_is_quoted(make_pe: MakePE) -> None:
    root = asking_for(make_pe, "Microsoft.VC90.DebugCRT")
    identity = 'Microsoft.VC90.DebugCRT,processorArchitecture="x86",type="win32",version="9.0.21022.8"'
    found = finding(root, target("10", "3.7-32"), load=died(14001), host=logged(identity, "", as_windows_tells(root)))
    assert f"Windows reported at 2026-01-05 (SideBySide, event 33): {identity}" in found.evidence
    assert found.proof == "loader"


def test_an_assembly_that_only_the_log_names_is_told(make_pe: MakePE) -> None:
    root = needs(make_pe, "kernel32.dll")
    identity = 'Microsoft.VC80.CRT,processorArchitecture="amd64",type="win32",version="8.0.50727.762"'
    found = finding(root, load=died(14001), host=logged(identity, as_windows_tells(root), number=59))
    assert (found.code, found.module, found.proof) == ("side-by-side", "Microsoft.VC80.CRT", "loader")
    assert "2005" in remedy(found)


def test_near_miss_an_event_about_another_file_names_no_assembly(make_pe: MakePE, tmp_path: Path) -> None:
    identity = 'Microsoft.VC80.CRT,processorArchitecture="amd64",type="win32",version="8.0.50727.762"'
    host = logged(identity, as_windows_tells(tmp_path / "elsewhere" / "other.dll"))
    found = finding(needs(make_pe, "kernel32.dll"), load=died(14001), host=host)
    assert found.module == "root.pyd"
