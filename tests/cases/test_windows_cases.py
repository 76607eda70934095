"""Cases of a Windows that is too old, or lacks a part, on a Windows made for each."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from catalogue import expect_primary
from targets import target
from test_diagnosis import evidence

from depwalk import diagnosis
from depwalk.loader import LoadTrace
from depwalk.target.windows import live_label

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.diagnosis import Finding
    from depwalk.target import Target

MEDIA = ("MFPlat.DLL", "MF.dll", "MFReadWrite.dll")


def findings(path: Path, place: Target, load: LoadTrace | None = None) -> tuple[Finding, ...]:
    return diagnosis.diagnose(evidence(path, place, load))


def live(place: Target, drive: Path, **facts: Any) -> Target:
    """The same Windows as the one that runs, with what System32 on this drive has."""
    (drive / "Windows" / "System32").mkdir(parents=True, exist_ok=True)
    system = replace(place.windows, live=True, root=str(drive / "Windows"), **facts)
    return place._replace(windows=replace(system, label=live_label(system.version, system.editions)))


def importing(make_pe: MakePE, name: str, *dlls: str) -> Path:
    return make_pe(name, imports={dll: ["f"] for dll in dlls})


@pytest.mark.parametrize("is_live", [False, True])
def test_case_J1_opencv_on_an_n_edition(is_live: bool, make_pe: MakePE, tmp_path: Path) -> None:
    place = live(target("10"), tmp_path, editions=("N",)) if is_live else target("10-N")
    found = expect_primary("J1", findings(importing(make_pe, "cv2.pyd", *MEDIA), place))
    assert (found.module, found.also) == ("MFPlat.DLL", ("MF.dll", "MFReadWrite.dll"))
    assert "Windows 10" in "".join(found.evidence)
    assert found.remedy is not None
    assert "Media Feature Pack" in found.remedy.text


@pytest.mark.parametrize("is_live", [False, True])
def test_case_J2_opencv_in_a_servercore_container(is_live: bool, make_pe: MakePE, tmp_path: Path) -> None:
    place = live(target("10"), tmp_path, editions=("core",)) if is_live else target("10-core")
    found = expect_primary("J2", findings(importing(make_pe, "cv2.pyd", *MEDIA), place))
    assert found.remedy is not None
    assert "mcr.microsoft.com/windows/server" in found.remedy.text


def test_case_J2_opencv_on_a_server_without_media_foundation(make_pe: MakePE, tmp_path: Path) -> None:
    place = live(target("8.1"), tmp_path, editions=("server",))
    found = expect_primary("J2", findings(importing(make_pe, "cv2.pyd", *MEDIA), place))
    assert "Windows: Windows Server 2012 R2 build 9600" in found.evidence
    assert found.remedy is not None
    assert found.remedy.command == "Install-WindowsFeature Server-Media-Foundation"


def test_case_J3_opencv_on_windows_7_without_the_platform_update(make_pe: MakePE) -> None:
    path = importing(make_pe, "cv2.pyd", "api-ms-win-downlevel-shlwapi-l1-1-0.dll")
    found = expect_primary("J3", findings(path, target("7", "3.7")))
    assert found.remedy is not None
    assert "KB2670838" in found.remedy.text


@pytest.mark.parametrize("system", ["7", "8.1"])
def test_case_J4_a_windows_without_the_universal_c_runtime(system: str, make_pe: MakePE) -> None:
    path = importing(make_pe, "app.exe", "api-ms-win-crt-runtime-l1-1-0.dll")
    found = expect_primary("J4", findings(path, target(system, None)))
    assert found.remedy is not None
    assert "KB2999226" in found.remedy.text


def test_case_J5_python_3_9_on_windows_7(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("app/python39.dll", imports={"api-ms-win-core-path-l1-1-0.dll": ["PathCchCombineEx"]}, exports=["f"])
    place = target("7", "3.9", app=tmp_path / "app")
    found = expect_primary("J5", findings(importing(make_pe, "_socket.pyd", "python39.dll"), place))
    assert (found.module, found.needed_by) == ("api-ms-win-core-path-l1-1-0.dll", "python39.dll")
    assert found.remedy is not None
    assert "CPython 3.8, the last for this Windows" in found.remedy.text


def test_case_J6_cryptography_in_rust_on_windows_7(make_pe: MakePE) -> None:
    path = make_pe("_rust.pyd", imports={"bcryptprimitives.dll": ["ProcessPrng"]})
    found = expect_primary("J6", findings(path, target("7", "3.8")))
    assert "ProcessPrng in bcryptprimitives.dll" in found.message


def test_case_J6_as_the_loader_of_that_windows_tells(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Windows/System32/bcryptprimitives.dll", exports=["GetHashInterface"])
    path = make_pe("_rust.pyd", imports={"bcryptprimitives.dll": ["ProcessPrng"]})
    found = expect_primary("J6", findings(path, live(target("7", "3.8"), tmp_path), LoadTrace(127)))
    assert found.proof == "loader"


def test_case_J7_onnxruntime_1_15_0_on_server_2016(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Windows/System32/kernel32.dll", exports=["Sleep"])
    path = make_pe("site-packages/onnxruntime_pybind11_state.pyd", imports={"KERNEL32.dll": ["SetThreadDescription"]})
    distribution(tmp_path / "site-packages", "onnxruntime-1.15.0", path.name)
    place = live(target("10"), tmp_path, version=(10, 0, 14393), editions=("server",))
    found = expect_primary("J7", findings(path, place, LoadTrace(127)))
    assert "which came with Windows 10 version 1703" in found.message
    assert "Windows: Windows Server 2016 build 14393" in found.evidence
    assert found.remedy is not None
    assert found.remedy.command == "python -m pip install onnxruntime==1.15.1"


def test_case_J8_pyarrow_17_on_server_2012_r2(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("site-packages/arrow.dll", imports={"bcrypt.dll": ["BCryptHash"]}, exports=["f"])
    path = importing(make_pe, "site-packages/lib.cp310-win_amd64.pyd", "arrow.dll")
    distribution(tmp_path / "site-packages", "pyarrow-17.0.0", "arrow.dll", path.name)
    found = expect_primary("J8", findings(path, target("8.1", "3.10")))
    assert found.message == "arrow.dll needs BCryptHash in bcrypt.dll, which came with Windows 10."
    assert found.remedy is not None
    assert found.remedy.command == "python -m pip install pyarrow==16.1.0"


def test_case_J9_a_windows_7_that_does_not_know_the_search_flags(make_pe: MakePE, tmp_path: Path) -> None:
    place = live(target("7", "3.8"), tmp_path)
    found = expect_primary("J9", findings(make_pe("_a.pyd"), place, LoadTrace(87)))
    assert found.proof == "loader"
    assert found.remedy is not None
    assert "KB2533623" in found.remedy.text


@pytest.mark.parametrize("version", [(6, 3, 9600), (10, 0, 14393)])
def test_case_J10_qt_where_windows_has_no_icu(version: tuple[int, int, int], make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Qt6Core.dll", imports={"icuuc.dll": ["ucnv_open"]}, exports=["f"])
    place = live(target("8.1" if version < (10,) else "10"), tmp_path, version=version)
    found = expect_primary("J10", findings(importing(make_pe, "QtCore.pyd", "Qt6Core.dll"), place))
    assert found.message == "Qt6Core.dll needs icuuc.dll, which came with Windows 10 version 1703."


def test_case_J10_an_icuuc_that_was_copied_from_a_newer_windows(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("icuuc.dll", exports=["ucnv_open=icu.ucnv_open"])
    make_pe("Qt6Core.dll", imports={"icuuc.dll": ["ucnv_open"]}, exports=["f"])
    found = expect_primary("J10", findings(importing(make_pe, "QtCore.pyd", "Qt6Core.dll"), target("10")))
    assert found.message == ("icuuc.dll passes its functions on to icu.dll, which came with Windows 10 version 1903.")
    assert f"file: {tmp_path / 'icuuc.dll'}" in found.evidence
    assert "nothing imports icu.dll itself" in found.evidence


def distribution(site: Path, name: str, *files: str) -> None:
    (site / f"{name}.dist-info").mkdir()
    (site / f"{name}.dist-info" / "RECORD").write_text("".join(f"{file},,\n" for file in files))
