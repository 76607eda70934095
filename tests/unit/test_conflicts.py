"""Two files of one name: which wins, what that means, and the healthy situations that look alike."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from targets import target

from depwalk import diagnosis, graph, image, wheel
from depwalk.diagnosis import Evidence, Finding, loads
from depwalk.host import Host
from depwalk.installation import Installation
from depwalk.loader import LoadTrace, Mapped
from depwalk.target import Inferred, python, windows
from depwalk.target.environment import Environment
from depwalk.wheel import Distribution

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.target import Target

INTEL = {"CompanyName": "Intel Corporation", "ProductName": "Intel(R) OMP Runtime Library"}
CAUSES = ("shadowed", "already-loaded", "missing-export", "corrupt-file")


def evidence(path: Path, place: Target | None = None, **known: Any) -> Evidence:
    place = place or target()
    file = image.read(path)
    walked = graph.walk(str(path), file, place)
    return Evidence(walked, place, python.built_for(file), wheel.distribution_of(str(path)), **known)


def findings(path: Path, place: Target | None = None, **known: Any) -> list[Finding]:
    found = diagnosis.diagnose(evidence(path, place, **known))
    return [finding for finding in found if finding.code in CAUSES]


def codes(path: Path, place: Target | None = None, **known: Any) -> list[tuple[str, str]]:
    return [(found.severity, found.code) for found in findings(path, place, **known)]


def facts(finding: Finding) -> str:
    return "\n".join(finding.evidence)


def remedy(finding: Finding) -> str:
    assert finding.remedy is not None
    return f"{finding.remedy.text} {finding.remedy.command}"


def drive(tmp_path: Path, loader: str = "3.11", **fields: Any) -> Target:
    """A process on a Windows whose System32 is a real directory below tmp_path."""
    (tmp_path / "Windows" / "System32").mkdir(parents=True, exist_ok=True)
    return target("10", loader, **fields)._replace(windows=windows.at_root(str(tmp_path)))


def installed(site: Path, name: str, version: str, *files: Path, installer: str = "pip") -> None:
    """A distribution whose RECORD lists files."""
    metadata = site / f"{name}-{version}.dist-info"
    metadata.mkdir(parents=True)
    lines = [os.path.relpath(file, site).replace(os.sep, "/") + ",," for file in files]
    (metadata / "RECORD").write_text("\n".join(lines))
    (metadata / "INSTALLER").write_text(installer)


def installed_by_conda(prefix: Path, name: str, version: str, *files: Path) -> None:
    """A package that conda's own records list."""
    records = prefix / "conda-meta"
    records.mkdir(exist_ok=True)
    listed = [os.path.relpath(file, prefix).replace(os.sep, "/") for file in files]
    (records / f"{name}-{version}-h0_0.json").write_text(json.dumps({"files": listed}))


def conda(prefix: Path) -> Environment:
    return Environment(str(prefix), str(prefix), conda=True, sites=(str(prefix / "Lib" / "site-packages"),))


# ---- a copy that lacks what is needed ----------------------------------------------------------------------------


def test_the_winner_its_rule_and_the_versions_of_both_copies_are_told(make_pe: MakePE, tmp_path: Path) -> None:
    taken = make_pe("dep.dll", exports=["old"], version=(1, 0, 2, 0))
    better = make_pe("added/dep.dll", exports=["f"], version=(3, 0, 1, 0))
    root = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    (found,) = findings(root, target(dll_dirs=[tmp_path / "added"]))
    assert found.code == "shadowed"
    assert found.evidence[:3] == (
        f"taken: {taken} (version 1.0.2.0)",
        "it is found first, by the rule: directory of the file",
        f"it would work with: {better} (version 3.0.1.0)",
    )
    assert found.proof == "static"


def test_every_further_copy_is_told_with_what_it_has(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["old"])
    make_pe("one/dep.dll", exports=["f"])
    third = make_pe("two/dep.dll", exports=["older"])
    root = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    (found,) = findings(root, target(dll_dirs=[tmp_path / "one", tmp_path / "two"]))
    assert f"another copy lacks it too: {third}" in found.evidence


def test_a_copy_must_have_what_every_importer_lacks(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["old"])
    make_pe("added/dep.dll", exports=["f"])
    make_pe("a.dll", exports=["a"], imports={"dep.dll": ["f"]})
    make_pe("b.dll", exports=["b"], imports={"dep.dll": ["g"]})
    root = make_pe("root.pyd", imports={"a.dll": ["a"], "b.dll": ["b"]})
    (found,) = findings(root, target(dll_dirs=[tmp_path / "added"]))
    assert (found.code, found.needed_by) == ("missing-export", "a.dll")
    assert "functions of it are also missing to: b.dll" in found.evidence


def test_all_importers_that_one_dll_fails_are_one_finding(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["old"])
    make_pe("added/dep.dll", exports=["f", "g"])
    make_pe("a.dll", exports=["a"], imports={"dep.dll": ["f"]})
    make_pe("b.dll", exports=["b"], imports={"dep.dll": ["g"]})
    root = make_pe("root.pyd", imports={"a.dll": ["a"], "b.dll": ["b"]})
    assert codes(root, target(dll_dirs=[tmp_path / "added"])) == [("error", "shadowed")]


def test_an_import_by_number_says_so(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["@1"])
    make_pe("added/dep.dll", exports=["@242"])
    root = make_pe("root.pyd", imports={"dep.dll": [242]})
    (found,) = findings(root, target(dll_dirs=[tmp_path / "added"]))
    assert found.code == "shadowed"
    assert "function number 242" in found.message
    assert "182" in facts(found)


def test_a_copy_that_windows_is_only_assumed_to_have_makes_the_proof_weaker(make_pe: MakePE) -> None:
    make_pe("icuuc.dll", exports=["ucnv_open_73"])
    (found,) = findings(make_pe("root.pyd", imports={"icuuc.dll": ["ucnv_open"]}))
    assert (found.severity, found.code, found.proof) == ("error", "shadowed", "inferred")
    assert "Windows' own file is found" in remedy(found)


def test_a_copy_that_is_at_hand_is_named_before_one_that_is_only_assumed(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("app/icuuc.dll", exports=["ucnv_open_73"])
    own = make_pe("package/icuuc.dll", exports=["ucnv_open"])
    make_pe("package/dep.dll", exports=["f"], imports={"icuuc.dll": ["ucnv_open"]})
    root = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    place = target(app=tmp_path / "app", inferred=(Inferred(str(tmp_path / "package"), "__init__.py:1"),))
    (found,) = findings(root, place)
    assert found.proof == "static"
    assert f"it would work with: {own}" in found.evidence


def test_the_copy_in_condas_own_directory_would_do_though_it_is_not_searched(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Windows/System32/libssl-3-x64.dll", exports=["SSL_old"])
    own = make_pe("env/Library/bin/libssl-3-x64.dll", exports=["SSL_new"])
    root = make_pe("env/DLLs/_ssl.pyd", imports={"libssl-3-x64.dll": ["SSL_new"]})
    (found,) = findings(root, drive(tmp_path, environment=conda(tmp_path / "env")))
    assert found.code == "shadowed"
    assert f"it would work with: {own}, not searched" in found.evidence


def test_a_copy_on_path_is_a_fact_and_not_the_cause_where_path_is_not_searched(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["old"])
    other = make_pe("git/dep.dll", exports=["f"])
    root = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    (found,) = findings(root, target(path=[tmp_path / "git"]))
    assert found.code == "missing-export"
    assert f"another copy has it: {other}, not searched" in found.evidence


# ---- a copy that another program put into System32 ---------------------------------------------------------------


def test_a_foreign_dll_in_system32_is_named_with_its_owner(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Windows/System32/libiomp5md.dll", exports=["old"], version=(5, 0, 2009, 903), version_texts=INTEL)
    better = make_pe("app/pkg/libiomp5md.dll", exports=["f"])
    dep = make_pe("app/pkg/dep.dll", exports=["f"], imports={"libiomp5md.dll": ["f"]})
    root = make_pe("app/root.pyd", imports={"pkg\\dep.dll": ["f"]})
    (found,) = findings(root, drive(tmp_path))
    assert (found.code, found.needed_by) == ("shadowed", dep.name)
    assert "the one in System32, of another program," in found.message
    assert "System32 (Intel(R) OMP Runtime Library, Intel Corporation)" in facts(found)
    assert "the program that put" in remedy(found)
    assert f"import ctypes; ctypes.WinDLL({str(better)!r})" in remedy(found)


def test_nobody_is_told_to_delete_anything_of_system32(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Windows/System32/dep.dll", exports=["old"])
    root = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    (found,) = findings(root, drive(tmp_path))
    assert found.code == "missing-export"
    assert found.remedy is not None
    assert found.remedy.text.startswith("Update or uninstall the program that put ")


def test_nobody_is_told_to_remove_a_part_of_windows(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Windows/System32/onnxruntime.dll", exports=["f"], version=(1, 17, 0, 0))
    own = make_pe("pkg/onnxruntime.dll", exports=["f"], version=(1, 23, 0, 0))
    root = make_pe("pkg/root.pyd", delay={"onnxruntime.dll": ["f"]})
    (found,) = findings(root, drive(tmp_path))
    assert (found.severity, found.code) == ("warning", "shadowed")
    assert "is a part of Windows and stays" in remedy(found)
    assert f"import ctypes; ctypes.WinDLL({str(own)!r})" in remedy(found)


def test_who_is_no_administrator_is_told_that_it_takes_one(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Windows/System32/dep.dll", exports=["old"])
    make_pe("env/Library/bin/dep.dll", exports=["f"])
    root = make_pe("env/DLLs/root.pyd", imports={"dep.dll": ["f"]})
    place = drive(tmp_path, environment=conda(tmp_path / "env"))
    (found,) = findings(root, place, host=Host(administrator=False))
    assert "as administrator" in remedy(found)
    (found,) = findings(root, place, host=Host(administrator=True))
    assert "as administrator" not in remedy(found)


@pytest.mark.parametrize(("loader", "asks"), [("3.9", True), ("3.11", False)])
def test_an_older_python_of_conda_has_a_variable_for_it(
    loader: str, asks: bool, make_pe: MakePE, tmp_path: Path
) -> None:
    make_pe("Windows/System32/dep.dll", exports=["old"])
    make_pe("env/Library/bin/dep.dll", exports=["f"])
    root = make_pe("env/DLLs/root.pyd", imports={"dep.dll": ["f"]})
    (found,) = findings(root, drive(tmp_path, loader, environment=conda(tmp_path / "env")))
    assert ("CONDA_DLL_SEARCH_MODIFICATION_ENABLE" in remedy(found)) == asks


# ---- an older copy that has all that is needed -------------------------------------------------------------------


def older(make_pe: MakePE, tmp_path: Path, *versions: tuple[int, int, int, int], **facts: Any) -> list[Finding]:
    """Of two usable copies, the one in System32 is taken; the other lies beside its importer."""
    taken, own = versions
    make_pe("Windows/System32/rt.dll", exports=["f"], version=taken, **facts)
    make_pe("app/pkg/rt.dll", exports=["f"], version=own)
    make_pe("app/pkg/dep.dll", exports=["f"], imports={"rt.dll": ["f"]})
    return findings(make_pe("app/root.pyd", imports={"pkg\\dep.dll": ["f"]}), drive(tmp_path))


def test_an_older_copy_of_others_that_hides_a_newer_one_of_its_own_is_a_warning(
    make_pe: MakePE, tmp_path: Path
) -> None:
    (found,) = older(make_pe, tmp_path, (1, 17, 1, 0), (1, 23, 0, 0))
    assert (found.severity, found.code, found.module, found.needed_by) == ("warning", "shadowed", "rt.dll", "dep.dll")
    assert "version 1.17.1.0" in facts(found)
    assert "version 1.23.0.0" in facts(found)


def test_an_older_copy_that_is_loaded_before_is_the_same_warning(make_pe: MakePE) -> None:
    before = make_pe("other/hdf5.dll", exports=["f"], version=(1, 10, 6, 0))
    make_pe("hdf5.dll", exports=["f"], version=(1, 14, 2, 0))
    root = make_pe("root.pyd", imports={"hdf5.dll": ["f"]})
    assert codes(root, target(loaded=[before])) == [("warning", "already-loaded")]


@pytest.mark.parametrize(
    ("taken", "own"),
    [
        pytest.param((1, 17, 1, 0), (1, 17, 1, 0), id="the same version"),
        pytest.param((1, 17, 1, 0), (1, 17, 3, 0), id="a later patch of the same version"),
        pytest.param((1, 23, 0, 0), (1, 17, 1, 0), id="a newer winner"),
    ],
)
def test_near_miss_two_usable_copies_whose_versions_do_not_matter(
    taken: tuple[int, int, int, int], own: tuple[int, int, int, int], make_pe: MakePE, tmp_path: Path
) -> None:
    assert older(make_pe, tmp_path, taken, own) == []


def test_near_miss_two_usable_copies_that_do_not_tell_their_versions(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["f"])
    make_pe("added/dep.dll", exports=["f"])
    assert codes(make_pe("root.pyd", imports={"dep.dll": ["f"]}), target(dll_dirs=[tmp_path / "added"])) == []


def test_near_miss_a_packages_own_copy_is_older_than_one_elsewhere(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("Windows/System32/rt.dll", exports=["f"], version=(9, 0, 0, 0))
    make_pe("rt.dll", exports=["f"], version=(1, 0, 0, 0))
    assert codes(make_pe("root.pyd", imports={"rt.dll": ["f"]}), drive(tmp_path)) == []


def test_near_miss_an_older_runtime_of_microsoft_is_told_of_as_such(make_pe: MakePE) -> None:
    before = make_pe("other/msvcp140.dll", exports=["f"], version=(14, 28, 0, 0))
    make_pe("msvcp140.dll", exports=["f"], version=(14, 40, 0, 0))
    root = make_pe("root.pyd", imports={"msvcp140.dll": ["f"]})
    assert codes(root, target(loaded=[before])) == []


def test_near_miss_one_file_that_is_reached_by_two_paths(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["old"])
    (tmp_path / "sub").mkdir()
    root = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    (found,) = findings(root, target(dll_dirs=[tmp_path / "sub" / ".."]))
    assert found.code == "missing-export"
    assert "another copy" not in facts(found)


def test_near_miss_a_second_copy_that_is_damaged(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["old"])
    other = make_pe("added/dep.dll", exports=["f"])
    other.write_bytes(other.read_bytes()[:-1])
    root = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    assert codes(root, target(dll_dirs=[tmp_path / "added"])) == [("error", "missing-export")]


def test_near_miss_a_private_copy_under_a_name_of_its_own(make_pe: MakePE) -> None:
    before = make_pe("other/zlib.dll", exports=["old"], version=(1, 1, 0, 0))
    make_pe("zlib-0a1b2c3d.dll", exports=["f"], version=(1, 3, 0, 0), linked_as="zlib.dll")
    root = make_pe("root.pyd", imports={"zlib-0a1b2c3d.dll": ["f"]})
    assert codes(root, target(loaded=[before])) == []


def test_near_miss_a_loaded_module_of_the_same_name_that_has_all(make_pe: MakePE) -> None:
    before = make_pe("other/dep.dll", exports=["f", "g"])
    make_pe("dep.dll", exports=["f"])
    assert codes(make_pe("root.pyd", imports={"dep.dll": ["f"]}), target(loaded=[before])) == []


def test_near_miss_a_function_that_only_a_delayed_load_would_miss(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("app/dep.dll", exports=["old"])
    make_pe("dep.dll", exports=["f"])
    root = make_pe("root.pyd", delay={"dep.dll": ["f"]})
    assert codes(root, target(app=tmp_path / "app")) == []


def test_near_miss_a_function_that_pythons_own_dll_lacks_is_not_a_matter_of_packages(make_pe: MakePE) -> None:
    make_pe("python311.dll", exports=["old"])
    root = make_pe("root.pyd", imports={"python311.dll": ["new"]})
    assert "missing-export" not in [code for _, code in codes(root)]


# ---- packages that do not fit ------------------------------------------------------------------------------------


def test_both_distributions_are_named_with_their_versions(make_pe: MakePE, tmp_path: Path) -> None:
    core = make_pe("torch/lib/c10.dll", exports=["old"], version=(1, 2, 0, 0))
    root = make_pe("torchvision/_C.pyd", imports={"c10.dll": ["f"]})
    installed(tmp_path, "torch", "1.1.0", core)
    installed(tmp_path, "torchvision", "0.4.0", root)
    (found,) = findings(root, target(dll_dirs=[tmp_path / "torch" / "lib"]))
    assert f"file: {core} of torch 1.1.0" in found.evidence
    assert f"imported by: {root} of torchvision 0.4.0" in found.evidence
    assert remedy(found) == (
        "Install versions of torchvision and torch that were made for each other. "
        "py -3.11 -m pip install --upgrade torchvision torch"
    )


def test_conda_is_told_in_its_own_words(make_pe: MakePE, tmp_path: Path) -> None:
    site = tmp_path / "env" / "Lib" / "site-packages"
    core = make_pe("env/Lib/site-packages/torch/c10.dll", exports=["old"])
    root = make_pe("env/Lib/site-packages/torchvision/_C.pyd", imports={"c10.dll": ["f"]})
    installed(site, "torch", "1.1.0", core, installer="conda")
    installed(site, "torchvision", "0.4.0", root, installer="conda")
    (found,) = findings(root, target(dll_dirs=[site / "torch"], environment=conda(tmp_path / "env")))
    assert remedy(found).endswith(" conda update torchvision torch")


def test_a_package_of_pip_and_one_of_conda_have_no_command_in_common(make_pe: MakePE, tmp_path: Path) -> None:
    core = make_pe("torch/lib/c10.dll", exports=["old"])
    root = make_pe("torchvision/_C.pyd", imports={"c10.dll": ["f"]})
    installed(tmp_path, "torch", "1.1.0", core, installer="conda")
    installed(tmp_path, "torchvision", "0.4.0", root)
    (found,) = findings(root, target(dll_dirs=[tmp_path / "torch" / "lib"]))
    assert found.remedy is not None
    assert found.remedy.command == ""


def test_two_files_of_one_distribution_that_do_not_fit_are_installed_again(make_pe: MakePE, tmp_path: Path) -> None:
    core = make_pe("pkg/core.dll", exports=["old"])
    root = make_pe("pkg/_io.pyd", imports={"core.dll": ["f"]})
    installed(tmp_path, "pkg", "0.13.0", core, root)
    (found,) = findings(root)
    assert remedy(found).endswith(" py -3.11 -m pip install --force-reinstall --no-deps --no-cache-dir pkg==0.13.0")


def test_a_package_of_pip_that_gets_condas_dll_is_told_to_use_one_source(make_pe: MakePE, tmp_path: Path) -> None:
    site = tmp_path / "env" / "Lib" / "site-packages"
    taken = make_pe("env/Library/bin/Qt6Core.dll", exports=["old"])
    own = make_pe("env/Lib/site-packages/PyQt6/Qt6/bin/Qt6Core.dll", exports=["f"])
    root = make_pe("env/Lib/site-packages/PyQt6/QtCore.pyd", imports={"Qt6Core.dll": ["f"]})
    installed(site, "PyQt6", "6.11.0", root)
    installed_by_conda(tmp_path / "env", "qt6-main", "6.7.3", taken)
    place = target(environment=conda(tmp_path / "env"), dll_dirs=[own.parent, tmp_path / "env" / "Library" / "bin"])
    (found,) = findings(root, place)
    assert found.code == "shadowed"
    assert f"taken: {taken} of qt6-main 6.7.3\n" in facts(found)
    assert "Install PyQt6 with conda too" in remedy(found)


# ---- OpenMP ------------------------------------------------------------------------------------------------------

MARKER = "OMP: Error #15: Initializing libiomp5md.dll, but found libiomp5md.dll already initialized."


def openmp(make_pe: MakePE, *names: str, **known: Any) -> list[Finding]:
    """What is said of a module in whose process these runtimes are, each from a directory of its own."""
    paths = [make_pe(f"{index}/{name}", exports=["f"]) for index, name in enumerate(names)]
    return findings(make_pe("root.pyd"), target(loaded=paths), **known)


@pytest.mark.parametrize(
    "names",
    [
        ("libiomp5md.dll", "libiomp5md.dll"),
        ("libiomp5md.dll", "libomp.dll"),
        ("libiomp5md.dll", "libomp140.x86_64.dll"),
        ("libiomp5md.dll", "libiomp5md-0a1b2c3d.dll"),
    ],
)
def test_two_openmp_runtimes_of_one_kind_in_a_process_are_a_warning(names: tuple[str, ...], make_pe: MakePE) -> None:
    (found,) = openmp(make_pe, *names)
    assert (found.severity, found.code) == ("warning", "already-loaded")
    assert len([fact for fact in found.evidence if fact.startswith("loaded: ")]) == 2
    assert "KMP" not in remedy(found)


def test_the_one_that_is_loaded_and_the_one_that_is_imported_are_two(make_pe: MakePE) -> None:
    before = make_pe("other/libiomp5md.dll", exports=["f"])
    make_pe("libomp.dll", exports=["f"])
    root = make_pe("root.pyd", imports={"libomp.dll": ["f"]})
    assert codes(root, target(loaded=[before])) == [("warning", "already-loaded")]


def test_the_runtime_itself_says_that_it_ended_the_process(make_pe: MakePE) -> None:
    ended = LoadTrace(None, exit_code=3, output=f"{MARKER}\n")
    (found,) = openmp(make_pe, "libiomp5md.dll", "libiomp5md.dll", load=ended)
    assert (found.severity, found.code, found.proof) == ("error", "already-loaded", "loader")
    assert MARKER in found.evidence


def test_its_word_is_the_cause_and_the_end_of_the_process_no_second_one(make_pe: MakePE) -> None:
    known = evidence(make_pe("root.pyd"), load=LoadTrace(None, exit_code=3, output=MARKER))
    errors = [found.code for found in diagnosis.diagnose(known) if found.severity == "error"]
    assert errors == ["already-loaded"]


def test_two_that_were_mapped_in_one_process_count(make_pe: MakePE) -> None:
    paths = [str(make_pe(f"{name}/libiomp5md.dll")) for name in ("torch", "mkl")]
    trace = LoadTrace(0, mapped=tuple(Mapped(path, 0, 0.0, process=7) for path in paths))
    assert codes(make_pe("root.pyd"), load=trace) == [("warning", "already-loaded")]


def test_near_miss_two_that_were_mapped_in_two_processes(make_pe: MakePE) -> None:
    paths = [str(make_pe(f"{name}/libiomp5md.dll")) for name in ("torch", "mkl")]
    trace = LoadTrace(0, mapped=tuple(Mapped(path, 0, 0.0, process=7 + n) for n, path in enumerate(paths)))
    assert codes(make_pe("root.pyd"), load=trace) == []


@pytest.mark.parametrize(
    "names",
    [
        ("libiomp5md.dll",),
        ("libiomp5md.dll", "vcomp140.dll"),
        ("vcomp140.dll", "vcomp140.dll"),
        ("libgomp-1.dll", "libiomp5md.dll"),
    ],
)
def test_near_miss_openmp_runtimes_that_do_not_meet(names: tuple[str, ...], make_pe: MakePE) -> None:
    assert openmp(make_pe, *names) == []


def test_near_miss_one_openmp_runtime_that_is_listed_twice(make_pe: MakePE) -> None:
    path = make_pe("lib/libiomp5md.dll", exports=["f"])
    root = make_pe("root.pyd", imports={"libiomp5md.dll": ["f"]})
    assert codes(root, target(loaded=[path, path])) == []


def test_near_miss_another_error_of_openmp(make_pe: MakePE) -> None:
    known = evidence(
        make_pe("root.pyd"), load=LoadTrace(None, exit_code=3, output="OMP: Error #100: Fatal system error")
    )
    assert "already-loaded" not in [found.code for found in diagnosis.diagnose(known)]


# ---- damaged files -----------------------------------------------------------------------------------------------


def test_a_cut_file_is_compared_with_record(make_pe: MakePE, tmp_path: Path) -> None:
    dep = make_pe("dep.dll", exports=["f"])
    dep.write_bytes(dep.read_bytes()[:-1])
    root = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    owner = Distribution("torch", "2.4.0", ())
    difference = "RECORD says 1,536 bytes"
    known = (Installation(owner, str(tmp_path), changed=((str(dep), difference),)),)
    (found,) = findings(root, installations=known)
    assert found.code == "corrupt-file"
    assert f"it is not as torch 2.4.0 installed it: {difference}" in found.evidence


@pytest.mark.parametrize("by_conda", [True, False])
def test_the_package_of_a_damaged_file_is_installed_again_by_what_installed_it(
    by_conda: bool, make_pe: MakePE, tmp_path: Path
) -> None:
    dep = make_pe("lib/dep.dll", exports=["f"])
    dep.write_bytes(dep.read_bytes()[:-1])
    root = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    installed(tmp_path, "torch", "2.4.0", dep, installer="conda" if by_conda else "pip")
    (found,) = findings(root, target(dll_dirs=[tmp_path / "lib"]))
    assert found.remedy is not None
    assert found.remedy.command == (
        "conda install --force-reinstall torch"
        if by_conda
        else "py -3.11 -m pip install --force-reinstall --no-deps --no-cache-dir torch==2.4.0"
    )


def test_near_miss_bytes_after_the_last_section_are_no_damage(make_pe: MakePE) -> None:
    dep = make_pe("dep.dll", exports=["f"])
    dep.write_bytes(dep.read_bytes() + b"a signature, or what an installer appends")
    assert codes(make_pe("root.pyd", imports={"dep.dll": ["f"]})) == []


def test_near_miss_a_whole_file_that_differs_from_record_is_not_called_damaged(make_pe: MakePE, tmp_path: Path) -> None:
    dep = make_pe("dep.dll", exports=["f"])
    root = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    known = (Installation(Distribution("d", "1", ()), str(tmp_path), changed=((str(dep), "another hash"),)),)
    assert codes(root, installations=known) == []


# ---- the loader's word -------------------------------------------------------------------------------------------


def test_a_load_that_ends_with_182_proves_it(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["@1"])
    make_pe("added/dep.dll", exports=["@242"])
    root = make_pe("root.pyd", imports={"dep.dll": [242]})
    (found,) = findings(root, target(dll_dirs=[tmp_path / "added"]), load=LoadTrace(182))
    assert (found.severity, found.code, found.proof) == ("error", "shadowed", "loader")


def test_a_load_that_succeeds_makes_it_a_warning(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["old"])
    make_pe("added/dep.dll", exports=["f"])
    root = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    known = evidence(root, target(dll_dirs=[tmp_path / "added"]), load=LoadTrace(0))
    (found,) = loads.reconcile(known, diagnosis.diagnose(replace(known, load=None)))
    assert (found.severity, found.code) == ("warning", "shadowed")


def test_texts_of_the_version_resource_are_read(make_pe: MakePE) -> None:
    file = image.read(make_pe("dep.dll", version=(1, 2, 3, 4), version_texts=INTEL))
    assert (file.version, file.version_text("CompanyName")) == ((1, 2, 3, 4), "Intel Corporation")
    assert file.version_text("LegalCopyright") == ""
