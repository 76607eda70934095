"""What a Windows lacks, and what must not be called so: versions, editions, updates, programs and Pythons."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from targets import target
from test_diagnosis import codes, evidence, findings, importing

from depwalk import diagnosis, search
from depwalk.loader import LoadTrace
from depwalk.target.windows import editions_of, live_label

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.target import Target

PATH_SET = "api-ms-win-core-path-l1-1-0.dll"
SYNCH_SET = "api-ms-win-core-synch-l1-2-0.dll"


def at(drive: Path, place: Target, **facts: Any) -> Target:
    """The same Windows on a drive, whose System32 has what the test puts there."""
    (drive / "Windows" / "System32").mkdir(parents=True, exist_ok=True)
    return place._replace(windows=replace(place.windows, root=str(drive / "Windows"), **facts))


def said(path: Path, place: Target) -> list[str]:
    return [found.code for found in findings(path, place) if found.severity != "note"]


# ---- the edition of a live Windows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("installation_type", "edition_id", "editions"),
    [
        ("Client", "Professional", ()),
        ("Client", "Education", ()),
        ("Client", "Core", ()),
        ("Client", "ProfessionalEducation", ()),
        ("Client", "ProfessionalN", ("N",)),
        ("Client", "CoreKN", ("N",)),
        ("Client", "EnterpriseSN", ("N",)),
        ("Client", "EnterpriseSNEval", ("N",)),
        ("Server", "ServerStandard", ("server",)),
        ("Server Core", "ServerDatacenterCor", ("core",)),
        ("Nano Server", "ServerDatacenterNano", ("nano",)),
        ("", "", None),
    ],
)
def test_the_registry_tells_the_edition(
    installation_type: str, edition_id: str, editions: tuple[str, ...] | None
) -> None:
    assert editions_of(installation_type, edition_id) == editions


@pytest.mark.parametrize(
    ("version", "editions", "label"),
    [
        ((10, 0, 19045), (), "Windows 10 version 2004 build 19045"),
        ((10, 0, 22631), ("N",), "Windows 11 build 22631, N edition"),
        ((10, 0, 17763), ("core",), "Windows Server 2019 build 17763, Server Core"),
        ((10, 0, 20348), ("server",), "Windows Server 2022 build 20348"),
        ((10, 0, 26100), ("nano",), "Windows Server 2025 build 26100, Nano Server"),
        ((6, 1, 7600), None, "Windows 7 build 7600"),
        ((6, 1, 7601), None, "Windows 7 SP1 build 7601"),
    ],
)
def test_the_label_of_a_live_windows(
    version: tuple[int, int, int], editions: tuple[str, ...] | None, label: str
) -> None:
    assert live_label(version, editions) == label


# ---- editions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("editions", "advice"),
    [
        (("N",), ["Media Feature Pack"]),
        (("server",), ["Media Foundation"]),
        (("core",), ["Desktop Experience"]),
        (("nano",), ["nanoserver"]),
        (None, ["Media Feature Pack", "Install-WindowsFeature Server-Media-Foundation", "Desktop Experience"]),
        ((), ["repair its own files"]),
    ],
)
def test_the_edition_decides_the_remedy(
    editions: tuple[str, ...] | None, advice: list[str], make_pe: MakePE, tmp_path: Path
) -> None:
    place = at(tmp_path, target("10"), editions=editions)
    (found,) = findings(importing(make_pe, "mfplat.dll"), place)
    assert found.code == "missing-windows-feature"
    assert found.remedy is not None
    assert [words for words in advice if words not in found.remedy.text] == []


def test_what_one_edition_leaves_out_is_one_finding(make_pe: MakePE) -> None:
    (found,) = findings(importing(make_pe, "mf.dll", "mfplat.dll", "mfreadwrite.dll"), target("11-N"))
    assert (found.module, found.also) == ("mf.dll", ("mfplat.dll", "mfreadwrite.dll"))


@pytest.mark.parametrize(("editions", "advice"), [(("core",), "Desktop Experience"), (("nano",), "nanoserver")])
def test_a_reduced_server_is_not_told_to_repair_what_it_never_had(
    editions: tuple[str, ...], advice: str, make_pe: MakePE, tmp_path: Path
) -> None:
    (found,) = findings(importing(make_pe, "dxva2.dll"), at(tmp_path, target("10"), editions=editions))
    assert found.code == "missing-windows-feature"
    assert found.remedy is not None
    assert advice in found.remedy.text
    assert found.remedy.command == ""


def test_what_no_edition_of_this_version_has_is_not_blamed_on_the_edition(make_pe: MakePE) -> None:
    assert said(importing(make_pe, "mfcore.dll"), target("7-N", "3.8")) == ["windows-too-old"]


@pytest.mark.parametrize("dll", ["mfplat.dll", "mf.dll", "mfreadwrite.dll", "opengl32.dll"])
def test_near_miss_opencv_on_a_full_windows(dll: str, make_pe: MakePE) -> None:
    assert said(importing(make_pe, dll), target("10")) == []


@pytest.mark.parametrize(("dll", "system"), [("opengl32.dll", "10-core"), ("mfplat.dll", "10-N")])
def test_near_miss_a_delay_loaded_dll_of_another_edition(dll: str, system: str, make_pe: MakePE) -> None:
    path = make_pe("root.pyd", delay={dll: ["f"]})
    assert "missing-windows-feature" not in said(path, target(system))
    assert diagnosis.verdict(evidence(path, target(system)), findings(path, target(system)))[0] == "loads"


def test_near_miss_a_package_that_brings_its_own_opengl(make_pe: MakePE) -> None:
    make_pe("opengl32.dll", exports=["f"])
    assert said(importing(make_pe, "opengl32.dll"), target("10-core")) == []


def test_near_miss_media_foundation_that_an_emulator_lacks(make_pe: MakePE, tmp_path: Path) -> None:
    (found,) = findings(importing(make_pe, "mfplat.dll"), at(tmp_path, target("10"), emulator="Wine", editions=None))
    assert found.remedy is not None
    assert found.remedy.text.startswith("Wine does not have it")


# ---- DLLs and API sets of a later Windows ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dll", "system", "release"),
    [
        ("icuuc.dll", "8.1", "Windows 10 version 1703"),
        ("icu.dll", "10", "Windows 10 version 1903"),
        ("dxcore.dll", "10", "Windows 10 version 2004"),
        ("d3d12.dll", "8.1", "Windows 10"),
        ("xinput1_4.dll", "7", "Windows 8"),
        (SYNCH_SET, "7", "Windows 8"),
    ],
)
def test_the_release_that_brought_a_dll_is_named(dll: str, system: str, release: str, make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports={dll: ["WaitOnAddress"]})
    (found,) = findings(path, target(system, None))
    assert found.message == f"root.pyd needs {dll}, which came with {release}."


@pytest.mark.parametrize(
    ("version", "release"), [((10, 0, 10240), "version 1803"), ((6, 3, 9600), "Windows 10."), ((10, 0, 17134), "")]
)
def test_a_dll_of_the_list_of_1803_may_be_newer_than_an_earlier_windows_10(
    version: tuple[int, int, int], release: str, make_pe: MakePE, tmp_path: Path
) -> None:
    (found,) = findings(importing(make_pe, "computecore.dll"), at(tmp_path, target("10"), version=version, editions=()))
    assert found.code == ("windows-too-old" if release else "missing-windows-feature")
    assert release in found.message


def test_a_windows_7_without_sp1_is_told_of_it(make_pe: MakePE, tmp_path: Path) -> None:
    place = at(tmp_path, target("7", "3.8"), version=(6, 1, 7600), editions=())
    (found,) = findings(importing(make_pe, "bcryptprimitives.dll"), place)
    assert "which came with Windows 7 SP1" in found.message


@pytest.mark.parametrize("system", ["10", "11"])
def test_near_miss_qt_with_the_icuuc_of_windows(system: str, make_pe: MakePE) -> None:
    assert said(make_pe("root.pyd", imports={"icuuc.dll": ["ucnv_open"]}), target(system)) == []


@pytest.mark.parametrize("system", ["8", "8.1", "10", "11"])
def test_near_miss_an_api_set_that_came_with_windows_8(system: str, make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports={SYNCH_SET: ["WaitOnAddress"], PATH_SET: ["PathCchCombine"]})
    assert said(path, target(system, "3.8")) == []


def test_near_miss_an_api_set_that_the_package_brings_for_windows_7(make_pe: MakePE) -> None:
    make_pe(PATH_SET, exports=["PathCchCombine"])
    assert said(make_pe("root.pyd", imports={PATH_SET: ["PathCchCombine"]}), target("7", "3.8")) == []


def test_near_miss_an_icuuc_of_a_package_that_has_the_functions_itself(make_pe: MakePE) -> None:
    make_pe("icuuc.dll", exports=["ucnv_open"])
    assert said(make_pe("root.pyd", imports={"icuuc.dll": ["ucnv_open"]}), target("8.1")) == []


def test_near_miss_a_forwarder_that_nobody_uses(make_pe: MakePE) -> None:
    make_pe("icuuc.dll", exports=["own", "ucnv_open=icu.ucnv_open"])
    assert said(make_pe("root.pyd", imports={"icuuc.dll": ["own"]}), target("10")) == []


def test_near_miss_a_forwarder_into_a_dll_of_nobody(make_pe: MakePE) -> None:
    make_pe("a.dll", exports=["f=gone.f"])
    assert "windows-too-old" not in said(importing(make_pe, "a.dll"), target("10"))


def test_a_forwarding_dll_with_a_name_of_windows_is_called_a_copy(make_pe: MakePE) -> None:
    make_pe("icuuc.dll", exports=["f=icu.f"])
    (found,) = findings(importing(make_pe, "icuuc.dll"), target("10"))
    assert "icuuc.dll is a name of Windows: this one is a copy, taken from a newer Windows" in found.evidence
    assert found.remedy is not None
    assert "without this copy" in found.remedy.text


def test_a_forwarding_dll_with_a_name_of_its_own_is_not_called_a_copy(make_pe: MakePE) -> None:
    make_pe("wrapper.dll", exports=["f=icu.f"])
    (found,) = findings(importing(make_pe, "wrapper.dll"), target("10"))
    assert found.message.startswith("wrapper.dll passes its functions on to icu.dll")
    assert not any("copy" in fact for fact in found.evidence)


# ---- functions ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dll", "symbol", "old", "new"),
    [
        ("bcryptprimitives.dll", "ProcessPrng", "7", "8"),
        ("bcrypt.dll", "BCryptHash", "8.1", "10"),
        ("KERNEL32.dll", "SetThreadDescription", "8.1", "10"),
        ("KERNEL32.dll", "GetSystemTimePreciseAsFileTime", "7", "8"),
        ("KERNEL32.dll", "CreatePseudoConsole", "10", "11"),
        ("SHCORE.dll", "SetProcessDpiAwareness", "8", "8.1"),
        (SYNCH_SET, "WaitOnAddress", "7", "8"),
        (PATH_SET, "PathCchCombineEx", "7", "8"),
    ],
)
def test_a_function_is_old_enough_from_its_release_on(
    dll: str, symbol: str, old: str, new: str, make_pe: MakePE
) -> None:
    path = make_pe("root.pyd", imports={dll: [symbol]})
    assert said(path, target(old, "3.8")) == ["windows-too-old"]
    assert said(path, target(new, "3.8")) == []


@pytest.mark.parametrize("symbol", ["NobodyKnowsThisFunction", 77])
def test_near_miss_a_function_that_no_table_has(symbol: str | int, make_pe: MakePE) -> None:
    assert said(make_pe("root.pyd", imports={"kernel32.dll": [symbol]}), target("7", "3.8")) == []


@pytest.mark.parametrize("system", ["8", "8.1", "10", "11"])
def test_near_miss_process_prng_on_a_windows_that_has_it(system: str, make_pe: MakePE) -> None:
    assert said(make_pe("root.pyd", imports={"bcryptprimitives.dll": ["ProcessPrng"]}), target(system, "3.8")) == []


def test_near_miss_a_function_of_that_name_in_a_dll_of_the_package(make_pe: MakePE) -> None:
    make_pe("compat.dll", exports=["SetThreadDescription"])
    assert said(make_pe("root.pyd", imports={"compat.dll": ["SetThreadDescription"]}), target("8.1")) == []


# ---- updates of Windows 7 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dll", "symbol", "update"),
    [
        ("api-ms-win-downlevel-shlwapi-l1-1-0.dll", "PathFileExistsA", "KB2670838"),
        ("api-ms-win-core-file-l1-2-0.dll", "GetTempPathW", "KB2999226"),
        (SYNCH_SET, "Sleep", "KB2999226"),
        (SYNCH_SET, "WaitOnAddress", ""),  # the update brings the name without this function
        (PATH_SET, "PathCchCombine", ""),
    ],
)
def test_an_update_is_the_remedy_if_it_brings_all_that_is_needed(
    dll: str, symbol: str, update: str, make_pe: MakePE
) -> None:
    (found,) = findings(make_pe("root.dll", imports={dll: [symbol]}), target("7", None))
    assert found.code == "windows-too-old"
    assert found.remedy is not None
    assert update in found.remedy.text
    assert found.remedy.text.startswith("Install" if update else "Use a newer Windows")


def test_a_live_windows_7_that_lacks_add_dll_directory_is_told_of_the_update(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Windows/System32/kernel32.dll", exports=["Sleep"])
    path = make_pe("root.pyd", imports={"kernel32.dll": ["AddDllDirectory"]})
    (found,) = findings(path, at(tmp_path, target("7", "3.7")))
    assert found.remedy is not None
    assert "KB2533623" in found.remedy.text


@pytest.mark.parametrize(("system", "loader", "code"), [("7", "3.7", 87), ("8", "3.8", 87), ("7", "3.8", 126)])
def test_near_miss_a_load_that_the_update_for_search_flags_does_not_cure(
    system: str, loader: str, code: int, make_pe: MakePE, tmp_path: Path
) -> None:
    found = findings(make_pe("root.pyd"), at(tmp_path, target(system, loader)), LoadTrace(code))
    assert "windows-too-old" not in [one.code for one in found]


# ---- programs and Pythons ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "system", "refused"),
    [((6, 0), "7", False), ((6, 1), "7", False), ((6, 2), "7", True), ((10, 0), "8.1", True), ((10, 0), "10", False)],
)
def test_a_program_is_refused_by_an_older_windows(
    wanted: tuple[int, int], system: str, refused: bool, make_pe: MakePE
) -> None:
    path = make_pe("app.exe", dll=False, subsystem_version=wanted)
    assert said(path, target(system, None)) == (["windows-too-old"] if refused else [])


def test_near_miss_a_dll_that_asks_for_a_newer_windows_in_its_header(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", subsystem_version=(10, 0), os_version=(10, 0))
    assert said(path, target("7", "3.8")) == []


@pytest.mark.parametrize(
    ("loader", "system", "advice"),
    [("3.9", "7", "3.8"), ("3.9", "8", "3.8"), ("3.13", "7", "3.8"), ("3.13", "8.1", "3.12")],
)
def test_a_file_for_a_python_that_this_windows_does_not_run(
    loader: str, system: str, advice: str, make_pe: MakePE
) -> None:
    path = importing(make_pe, f"python{loader.replace('.', '')}.dll")
    (found,) = findings(path, target(system, loader))
    assert (found.severity, found.code) == ("error", "windows-too-old")
    assert found.remedy is not None
    assert f"Use CPython {advice}, the last for this Windows" in found.remedy.text


@pytest.mark.parametrize(
    ("dll", "loader", "system"),
    [
        ("python38.dll", "3.8", "7"),
        ("python312.dll", "3.12", "8.1"),
        ("python313.dll", "3.13", "10"),
        ("python3.dll", "3.14", "7"),
    ],
)
def test_near_miss_a_python_that_this_windows_runs(dll: str, loader: str, system: str, make_pe: MakePE) -> None:
    assert said(importing(make_pe, dll), target(system, loader)) == []


@pytest.mark.parametrize(
    ("loader", "dll", "planted_counts"),
    [("3.10", "bcrypt.dll", True), ("3.11", "bcrypt.dll", False), ("3.8", "version.dll", False)],
)
def test_what_python_has_loaded_already_depends_on_its_version(
    loader: str, dll: str, planted_counts: bool, make_pe: MakePE, tmp_path: Path
) -> None:
    planted = make_pe(dll, exports=["f"])
    known = evidence(importing(make_pe, dll), target("10", loader))
    taken = next(module for module in known.graph.modules if module.name == dll)
    assert (taken.path == str(planted)) is planted_counts


def test_shlwapi_is_always_that_of_windows(make_pe: MakePE) -> None:
    make_pe("shlwapi.dll", exports=["f"])
    process = search.Process(target("10", "3.8"))
    assert "shlwapi.dll" in process.target.windows.known_dlls
    assert codes(importing(make_pe, "shlwapi.dll"), target("10", "3.8")) == []
