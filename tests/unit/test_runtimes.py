"""Runtimes: which redistributable supplies a DLL, and what an assumed one brings."""

from __future__ import annotations

import pytest

from depwalk import choices, runtimes, tables


@pytest.mark.parametrize(
    ("dll", "architecture", "supplier"),
    [
        ("vcruntime140.dll", "x64", "vc14"),
        ("VCRUNTIME140.DLL", "x86", "vc14"),
        ("vcruntime140_1.dll", "x64", "vc14"),
        ("vcruntime140_1.dll", "x86", None),
        ("msvcp140.dll", "arm64", "vc14"),
        ("msvcp140_1.dll", "x64", "vc14"),
        ("mfc140u.dll", "x64", "vc14"),
        ("mfc140deu.dll", "x64", "vc14"),
        ("msvcr120.dll", "x64", "vc12"),
        ("msvcr110.dll", "x64", "vc11"),
        ("msvcr100.dll", "x64", "vc10"),
        ("msvcr90.dll", "x64", "vc9"),
        ("msvcr80.dll", "x64", "vc8"),
        ("ucrtbase.dll", "x64", "ucrt"),
        ("api-ms-win-crt-runtime-l1-1-0.dll", "x64", "ucrt"),
        ("api-ms-win-core-file-l1-1-0.dll", "x64", None),
        ("msvcrt.dll", "x64", None),
        ("vcruntime140d.dll", "x64", None),
        ("msvcp140-0a1b2c.dll", "x64", None),
        ("msvcp140_codecvt_ids.dll", "x64", "vc14"),
        ("vcruntime140_threads.dll", "x64", "vc14"),
        ("vcomp140.dll", "x86", "vc14"),
        ("vcamp140.dll", "x64", "vc14"),
        ("vccorlib140.dll", "arm64", "vc14"),
        ("mfcm140u.dll", "x64", "vc14"),
        ("vcamp120.dll", "x64", "vc12"),
        ("mfc120u.dll", "x86", "vc12"),
        ("msvcr120.dll", "arm64", None),
        ("atl110.dll", "x64", "vc11"),
        ("atl100.dll", "x86", "vc10"),
        ("vcomp90.dll", "x86", "vc9"),
        ("mfc90u.dll", "x64", "vc9"),
        ("msvcm80.dll", "x86", "vc8"),
        ("msvcr71.dll", "x86", None),
        ("libomp140.x86_64.dll", "x64", None),
        ("mfc120d.dll", "x64", None),
        ("python311.dll", "x64", None),
    ],
)
def test_supplier(dll: str, architecture: str, supplier: str | None) -> None:
    found = runtimes.supplier(dll, architecture)
    assert (found and found.id) == supplier


@pytest.mark.parametrize(
    ("dll", "since", "year"),
    [
        ("vcruntime140.dll", "", None),
        ("msvcp140_1.dll", "14.13", 2018),
        ("msvcp140_2.dll", "14.14", 2018),
        ("vcruntime140_1.dll", "14.20", 2019),
        ("msvcp140_atomic_wait.dll", "14.28", 2020),
        ("msvcp140_codecvt_ids.dll", "14.29", 2021),
        ("vcruntime140_threads.dll", "14.38", 2023),
    ],
)
def test_the_first_package_with_a_dll_and_its_year_are_known(dll: str, since: str, year: int | None) -> None:
    found = runtimes.supplier(dll, "x64")
    assert found is not None
    assert (found.since, found.year) == (since, year)


def test_every_version_that_brought_a_dll_has_a_year() -> None:
    table = tables.table("runtimes.toml")
    brought = {since for row in table["runtime"] for since in row["dlls"].values() if since}
    assert brought - set(table["years"]) == set()


def test_a_package_that_can_be_repaired_says_how_for_its_architecture() -> None:
    found = runtimes.supplier("msvcp140.dll", "arm64")
    assert found is not None
    assert found.repair == "vc_redist.arm64.exe /repair"


def test_siblings_are_what_every_version_of_a_package_has() -> None:
    found = runtimes.supplier("vcruntime140_1.dll", "x64")
    assert found is not None
    names = runtimes.siblings(found)
    assert "msvcp140.dll" in names
    assert not {"vcruntime140_1.dll", "msvcp140_1.dll", "mfc140*.dll"} & set(names)


@pytest.mark.parametrize("architecture", ["x64", "x86", "arm64"])
def test_a_remedy_is_for_the_architecture_of_the_process(architecture: str) -> None:
    found = runtimes.supplier("msvcp140.dll", architecture)
    assert found is not None
    assert found.url == f"https://aka.ms/vc14/vc_redist.{architecture}.exe"
    assert found.install == f"winget install Microsoft.VCRedist.2015+.{architecture}"
    assert f"({architecture})" in found.name


@pytest.mark.parametrize(
    ("assembly", "supplier"),
    [
        ("Microsoft.VC90.CRT", "vc9"),
        ("microsoft.vc80.mfc", "vc8"),
        ("Microsoft.Windows.GdiPlus", None),
        ("Vendor.Lib", None),
        ("Microsoft.VC90.DebugCRT", None),
        ("microsoft.vc80.debugmfc", None),
    ],
)
def test_assembly_supplier(assembly: str, supplier: str | None) -> None:
    found = runtimes.assembly_supplier(assembly, "x64")
    assert (found and found.id) == supplier


@pytest.mark.parametrize(
    ("choice", "architecture", "has", "lacks"),
    [
        ("vc14", "x64", ["vcruntime140.dll", "vcruntime140_1.dll", "msvcp140.dll", "concrt140.dll"], ["msvcr120.dll"]),
        ("vc14", "x86", ["vcruntime140.dll"], ["vcruntime140_1.dll"]),
        ("vc14", "x64", ["mfc140u.dll"], ["mfc140*.dll"]),
        ("vc14=14.0", "x64", ["vcruntime140.dll", "msvcp140.dll"], ["vcruntime140_1.dll", "msvcp140_1.dll"]),
        ("vc14=14.19", "x64", ["msvcp140.dll"], ["vcruntime140_1.dll"]),
        ("vc14=14.20", "x64", ["vcruntime140_1.dll"], ["msvcp140_atomic_wait.dll"]),
        ("vc14=14.28", "x64", ["msvcp140_atomic_wait.dll"], ["msvcp140_codecvt_ids.dll"]),
        ("vc14=14.38", "x64", ["vcruntime140_threads.dll"], []),
        ("vc14", "x64", ["ucrtbase.dll", "api-ms-win-crt-runtime-l1-1-0.dll"], []),
        ("vc12", "x64", ["msvcr120.dll", "msvcp120.dll"], ["vcruntime140.dll", "ucrtbase.dll"]),
        ("vc9", "x86", ["msvcr90.dll"], ["msvcr80.dll"]),
        ("ucrt", "x64", ["ucrtbase.dll", "api-ms-win-crt-heap-l1-1-0.dll"], ["vcruntime140.dll"]),
    ],
)
def test_what_an_assumed_runtime_brings(choice: str, architecture: str, has: list[str], lacks: list[str]) -> None:
    _, names = runtimes.assumed_dlls(choice, architecture)
    assert [name for name in has if name not in names] == []
    assert [name for name in lacks if name in names] == []


@pytest.mark.parametrize(
    ("choice", "label"),
    [("vc14", "the Visual C++ runtime 2015-2026"), ("vc14=14.38", "the Visual C++ runtime 2015-2026 14.38")],
)
def test_an_assumed_runtime_has_a_label(choice: str, label: str) -> None:
    assert runtimes.assumed_dlls(choice, "x64")[0] == label


@pytest.mark.parametrize(
    "choice", ["", "vc", "vc13", "VC14", "vc14=", "vc14=14", "vc14=x.y", "vc14=14.38.1", "vc14 ", "vc14\n"]
)
def test_an_unknown_runtime_is_refused_in_one_line(choice: str) -> None:
    with pytest.raises(ValueError, match=r"^unknown runtime ") as refused:
        runtimes.assumed_dlls(choice, "x64")
    assert "\n" not in str(refused.value)
    assert choices.RUNTIME in str(refused.value)


@pytest.mark.parametrize("choice", ["vc12=12.0", "vc9=9.0", "ucrt=10.0"])
def test_only_vc14_takes_a_version(choice: str) -> None:
    with pytest.raises(ValueError, match="only vc14 takes a version"):
        runtimes.assumed_dlls(choice, "x64")


@pytest.mark.parametrize(
    ("dll", "for_developers"),
    [
        ("vcruntime140d.dll", True),
        ("VCRUNTIME140_1D.dll", True),
        ("msvcp140d.dll", True),
        ("ucrtbased.dll", True),
        ("msvcr120d.dll", True),
        ("mfc140ud.dll", True),
        ("msvcp140_1d.dll", True),
        ("msvcp140d_atomic_wait.dll", True),
        ("concrt140d.dll", True),
        ("vcruntime140_threadsd.dll", True),
        ("msvcr90d.dll", True),
        ("msvcp80d.dll", True),
        ("mfc90ud.dll", True),
        ("vcomp140d.dll", True),
        ("msvcp140-1a2b3d.dll", False),
        ("msvcrtd.dll", False),
        ("libomp140.x86_64.dll", False),
        ("vcruntime140.dll", False),
        ("msvcp140_1.dll", False),
        ("ucrtbase.dll", False),
        ("mfc140u.dll", False),
    ],
)
def test_what_only_developers_have(dll: str, for_developers: bool) -> None:
    assert runtimes.is_for_developers(dll) is for_developers


@pytest.mark.parametrize(
    ("dll", "is_one"),
    [
        ("libomp140.x86_64.dll", True),
        ("LIBOMP140.AARCH64.DLL", True),
        ("msvcr71.dll", True),
        ("msvcp71.dll", True),
        ("libomp.dll", False),
        ("msvcr80.dll", False),
        ("vcomp140.dll", False),
    ],
)
def test_release_dlls_that_no_redistributable_has(dll: str, is_one: bool) -> None:
    assert bool(runtimes.unsupplied(dll)) is is_one


@pytest.mark.parametrize(
    ("choice", "version"), [("vc14", None), ("vc14=14.38", (14, 38)), ("vc14=14.0", (14, 0)), ("vc12", None)]
)
def test_the_version_that_is_assumed(choice: str, version: tuple[int, int] | None) -> None:
    assert runtimes.assumed_version(choice) == version


def test_the_registry_has_a_key_for_packages_since_2010() -> None:
    assert sorted(runtimes.registry_keys()) == ["vc10", "vc11", "vc12", "vc14"]
