"""Diagnosis: each cause with a case and a near miss, which cause wins, and the verdict.

Every case is one root.pyd (for CPython 3.11, unless it says otherwise) and the files around it.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pe_maker import pe
from targets import target

from depwalk import diagnosis, graph, image, wheel
from depwalk.diagnosis import Evidence, Finding
from depwalk.loader import Failure, LoadTrace
from depwalk.target import python

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.target import Target

MANIFEST = b"""<assembly xmlns="urn:schemas-microsoft-com:asm.v1"><dependency><dependentAssembly>
<assemblyIdentity name="%s" version="9.0.21022.8" publicKeyToken="1fc8b3b9a1e18e3b"/>
</dependentAssembly></dependency></assembly>"""


def evidence(path: Path, place: Target | None = None, load: LoadTrace | None = None) -> Evidence:
    place = place or target()
    file = image.read(path)
    walked = graph.walk(str(path), file, place)
    return Evidence(walked, place, python.built_for(file), wheel.distribution_of(str(path)), load)


def findings(path: Path, place: Target | None = None, load: LoadTrace | None = None) -> tuple[Finding, ...]:
    return diagnosis.diagnose(evidence(path, place, load))


def codes(path: Path, place: Target | None = None) -> list[tuple[str, str, str]]:
    return [(found.severity, found.code, found.module) for found in findings(path, place)]


def verdict(path: Path, place: Target | None = None, load: LoadTrace | None = None) -> tuple[str, str]:
    known = evidence(path, place, load)
    return diagnosis.verdict(known, diagnosis.diagnose(known))


def importing(make_pe: MakePE, *dlls: str, name: str = "root.pyd", **facts: Any) -> Path:
    return make_pe(name, imports={dll: ["f"] for dll in dlls}, **facts)


# ---- what is missing: the cause is told by the name, the Windows and the Python ----------------------------------

MISSING = [
    # imported name, Windows, Python, code (None: nothing is wrong)
    ("gone.dll", "10", "3.11", "missing-dll"),
    ("kernel32.dll", "10", "3.11", None),
    ("vcruntime140.dll", "10", "3.11", None),  # this Python brings it
    ("vcruntime140.dll", "10", None, "missing-msvc-runtime"),
    ("vcruntime140_1.dll", "10", "3.7", "missing-msvc-runtime"),
    ("vcruntime140_1.dll", "10", "3.8", None),
    ("msvcp140.dll", "10", "3.11", "missing-msvc-runtime"),
    ("MSVCP140.dll", "10", "3.11", "missing-msvc-runtime"),
    ("msvcp140-1a2b3c.dll", "10", "3.11", "missing-dll"),  # a name that a packager made
    ("msvcr100.dll", "10", "3.11", "missing-msvc-runtime"),
    ("msvcrt.dll", "10", "3.11", None),
    ("api-ms-win-crt-runtime-l1-1-0.dll", "7", None, "missing-msvc-runtime"),
    ("api-ms-win-crt-runtime-l1-1-0.dll", "7", "3.8", None),  # a Python that runs has it
    ("api-ms-win-crt-runtime-l1-1-0.dll", "10", "3.8", None),
    ("vcruntime140d.dll", "10", "3.11", "debug-runtime"),
    ("ucrtbased.dll", "10", "3.11", "debug-runtime"),
    ("python311.dll", "10", "3.11", None),
    ("python310.dll", "10", "3.11", "wrong-python"),
    ("python311_d.dll", "10", "3.11", "wrong-python"),
    ("python313t.dll", "10", "3.13", "wrong-python"),
    ("python313.dll", "10", "3.13t", "wrong-python"),
    ("python3t.dll", "10", "3.13", "wrong-python"),
    ("python3t.dll", "10", "3.13t", None),
    ("python3.dll", "10", "3.11", None),
    ("python39.dll", "10", None, "missing-python-dll"),
    ("nvcuda.dll", "10", "3.11", "missing-gpu-runtime"),
    ("OpenCL.dll", "10", "3.11", "missing-gpu-runtime"),
    ("cudart64_110.dll", "10", "3.11", "missing-gpu-runtime"),
    ("mfplat.dll", "10-N", "3.11", "missing-windows-feature"),
    ("mfplat.dll", "10", "3.11", None),
    ("opengl32.dll", "10-core", "3.11", "missing-windows-feature"),
    ("opengl32.dll", "10-N", "3.11", None),
    ("d3d12.dll", "8.1", "3.8", "windows-too-old"),
    ("d3d12.dll", "10", "3.8", None),
    ("icu.dll", "10", "3.11", "windows-too-old"),
    ("icu.dll", "11", "3.11", None),
    ("api-ms-win-core-path-l1-1-0.dll", "7", "3.8", "windows-too-old"),
    ("api-ms-win-core-path-l1-1-0.dll", "8", "3.8", None),
    ("api-ms-win-future-thing-l1-1-0.dll", "10", "3.11", "windows-too-old"),
    ("api-future.dll", "10", "3.11", "missing-dll"),
]


@pytest.mark.parametrize(("dll", "system", "loader", "code"), MISSING)
def test_cause_of_a_missing_name(dll: str, system: str, loader: str | None, code: str | None, make_pe: MakePE) -> None:
    path = importing(make_pe, dll)
    expected = [("error", code, dll)] if code else []
    assert codes(path, target(system, loader)) == expected


@pytest.mark.parametrize(("dll", "system", "loader", "code"), [row for row in MISSING if row[3]])
def test_a_finding_for_a_missing_name_says_who_needs_it_and_what_to_do(
    dll: str, system: str, loader: str | None, code: str, make_pe: MakePE
) -> None:
    (found,) = findings(importing(make_pe, dll), target(system, loader))
    assert found.needed_by == "root.pyd"
    assert "root.pyd" in found.message
    assert found.remedy is not None
    assert found.remedy.text.endswith((".", ":"))


def test_a_name_that_two_modules_miss_is_one_finding(make_pe: MakePE) -> None:
    make_pe("a.dll", imports={"gone.dll": ["f"]}, exports=["f"])
    make_pe("b.dll", imports={"GONE.dll": ["f"]}, exports=["f"])
    assert [found.module for found in findings(importing(make_pe, "a.dll", "b.dll"))] == ["gone.dll"]


def test_the_chain_to_what_is_missing_is_told(make_pe: MakePE) -> None:
    make_pe("a.dll", imports={"b.dll": ["f"]}, exports=["f"])
    make_pe("b.dll", imports={"gone.dll": ["f"]}, exports=["f"])
    (found,) = findings(importing(make_pe, "a.dll"))
    assert found.needed_by == "b.dll"
    assert "needed through: root.pyd -> a.dll -> b.dll -> gone.dll" in found.evidence


def test_the_directories_that_were_searched_are_told(make_pe: MakePE, tmp_path: Path) -> None:
    (found,) = findings(importing(make_pe, "gone.dll"))
    assert f"searched: {tmp_path}; C:\\Python311; C:\\Windows\\System32" in found.evidence


def test_all_parts_of_one_runtime_are_one_finding(make_pe: MakePE) -> None:
    path = importing(make_pe, "msvcp140.dll", "vcomp140.dll", "gone.dll", "concrt140.dll")
    assert codes(path) == [("error", "missing-msvc-runtime", "msvcp140.dll"), ("error", "missing-dll", "gone.dll")]
    assert findings(path)[0].also == ("vcomp140.dll", "concrt140.dll")


def test_two_runtimes_are_two_findings(make_pe: MakePE) -> None:
    path = importing(make_pe, "msvcp140.dll", "msvcr100.dll")
    assert [found.code for found in findings(path)] == ["missing-msvc-runtime"] * 2


@pytest.mark.parametrize(
    "dlls",
    [
        ("api-ms-win-crt-heap-l1-1-0.dll", "d3d12.dll"),
        ("d3d12.dll", "api-ms-win-crt-heap-l1-1-0.dll"),
        ("api-ms-win-crt-heap-l1-1-0.dll", "api-ms-win-crt-math-l1-1-0.dll", "d3d12.dll", "d3dscache.dll"),
    ],
)
def test_every_missing_name_is_explained_once_though_two_causes_came_with_one_windows(
    dlls: tuple[str, ...], make_pe: MakePE
) -> None:
    found = findings(importing(make_pe, *dlls), target("7", None))
    explained = [name for one in found for name in (one.module, *one.also)]
    assert sorted(explained) == sorted(dlls)
    by_name = {name: one.code for one in found for name in (one.module, *one.also)}
    assert by_name["d3d12.dll"] == "windows-too-old"
    assert by_name["api-ms-win-crt-heap-l1-1-0.dll"] == "missing-msvc-runtime"


@pytest.mark.parametrize("runtime", ["vc14", "vc14=14.20"])
def test_an_assumed_runtime_satisfies(runtime: str, make_pe: MakePE) -> None:
    assert codes(importing(make_pe, "msvcp140.dll"), target(runtimes=(runtime,))) == []


def test_an_assumed_runtime_that_is_too_old_does_not_satisfy(make_pe: MakePE) -> None:
    path = importing(make_pe, "msvcp140_atomic_wait.dll")
    (found,) = findings(path, target(runtimes=("vc14=14.20",)))
    assert found.code == "missing-msvc-runtime"
    assert any("14.28" in fact for fact in found.evidence)


def test_a_32_bit_process_needs_the_x86_package(make_pe: MakePE) -> None:
    (found,) = findings(importing(make_pe, "msvcp140.dll", machine="x86"), target("10", "3.11-32"))
    assert found.remedy is not None
    assert found.remedy.url == "https://aka.ms/vc14/vc_redist.x86.exe"
    assert any("32-bit" in fact for fact in found.evidence)


def test_a_python_dll_that_only_a_dependency_misses_is_no_plain_missing_dll(make_pe: MakePE) -> None:
    make_pe("helper.dll", imports={"python39.dll": ["f"]}, exports=["f"])
    (found,) = findings(importing(make_pe, "helper.dll"))
    assert found.code in ("wrong-python", "missing-python-dll")


# ---- not searched ------------------------------------------------------------------------------------------------


def test_a_dll_that_is_only_on_path_is_not_searched(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("on_path/dep.dll", exports=["f"])
    path = importing(make_pe, "dep.dll")
    place = target("10", "3.11", path=[tmp_path / "on_path"])
    assert codes(path, place) == [("error", "not-searched", "dep.dll")]
    remedy = findings(path, place)[0].remedy
    assert remedy is not None
    assert remedy.command == 'import os; os.add_dll_directory(r"' + str(tmp_path / "on_path") + '")'


def test_the_same_dll_is_found_before_3_8(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("on_path/dep.dll", exports=["f"])
    assert codes(importing(make_pe, "dep.dll"), target("10", "3.7", path=[tmp_path / "on_path"])) == []


def test_a_dll_beside_a_dependency_is_not_searched(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("added/a.dll", imports={"dep.dll": ["f"]}, exports=["f"])
    make_pe("added/dep.dll", exports=["f"])
    root = importing(make_pe, "sub/a.dll", name="root/root.pyd")
    os.rename(tmp_path / "added", tmp_path / "root" / "sub")
    assert codes(root) == [("error", "not-searched", "dep.dll")]


def test_a_dll_of_the_wrong_architecture_on_path_is_no_help(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("on_path/dep.dll", machine="x86", exports=["f"])
    path = importing(make_pe, "dep.dll")
    assert codes(path, target(path=[tmp_path / "on_path"])) == [("error", "missing-dll", "dep.dll")]


def test_a_runtime_on_path_is_still_a_missing_runtime(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("on_path/msvcp140.dll", exports=["f"])
    path = importing(make_pe, "msvcp140.dll")
    assert codes(path, target(path=[tmp_path / "on_path"])) == [("error", "missing-msvc-runtime", "msvcp140.dll")]


# ---- another Python, another architecture ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "dlls", "loader", "wrong"),
    [
        ("root.pyd", ["python310.dll"], "3.11", True),
        ("root.pyd", ["python311.dll"], "3.11", False),
        ("root.cp310-win_amd64.pyd", ["kernel32.dll"], "3.11", True),
        ("root.cp311-win_amd64.pyd", ["kernel32.dll"], "3.11", False),
        ("root.pyd", ["python3.dll"], "3.11", False),
        ("root.pyd", ["kernel32.dll"], "3.11", False),
    ],
)
def test_wrong_python(name: str, dlls: list[str], loader: str, wrong: bool, make_pe: MakePE) -> None:
    found = codes(importing(make_pe, *dlls, name=name), target("10", loader))
    assert found == ([("error", "wrong-python", "python310.dll")] if wrong else [])


def test_wrong_python_stays_an_error_where_its_dll_is_found(make_pe: MakePE) -> None:
    make_pe("python310.dll", exports=["f"])
    assert codes(importing(make_pe, "python310.dll")) == [("error", "wrong-python", "python310.dll")]


def test_wrong_python_names_the_distribution(make_pe: MakePE, tmp_path: Path) -> None:
    path = importing(make_pe, "python310.dll")
    (tmp_path / "demo-1.0.dist-info").mkdir()
    (tmp_path / "demo-1.0.dist-info" / "RECORD").write_text("root.pyd,,\n")
    (tmp_path / "demo-1.0.dist-info" / "WHEEL").write_text("Tag: cp310-cp310-win_amd64\n")
    (found,) = findings(path)
    assert found.evidence[0] == "it belongs to demo 1.0, a wheel for cp310-cp310-win_amd64"
    assert found.remedy is not None
    assert found.remedy.command.endswith(" demo")


@pytest.mark.parametrize(
    ("machine", "loader", "wrong"),
    [
        ("x86", "3.11", True),
        ("arm64", "3.11", True),
        ("x64", "3.11-32", True),
        ("x64", "3.11", False),
        ("x86", "3.11-32", False),
    ],
)
def test_wrong_architecture_of_the_file(machine: str, loader: str, wrong: bool, make_pe: MakePE) -> None:
    found = codes(importing(make_pe, "gone.dll", machine=machine), target("10", loader))
    assert found[0][:2] == ("error", "wrong-architecture" if wrong else "missing-dll")


def test_wrong_architecture_of_the_only_copy_of_a_dependency(make_pe: MakePE) -> None:
    make_pe("dep.dll", machine="x86", exports=["f"])
    assert codes(importing(make_pe, "dep.dll")) == [("error", "wrong-architecture", "dep.dll")]


def test_a_copy_of_the_wrong_architecture_does_not_matter_if_a_right_one_follows(
    make_pe: MakePE, tmp_path: Path
) -> None:
    make_pe("dep.dll", machine="x86", exports=["f"])
    make_pe("added/dep.dll", exports=["f"])
    assert codes(importing(make_pe, "dep.dll"), target(dll_dirs=[tmp_path / "added"])) == []


# ---- files -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["root.pyd", "dep.dll"])
def test_a_cut_file_is_corrupt(name: str, make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["f"])
    path = importing(make_pe, "dep.dll")
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-1])
    assert codes(path) == [("error", "corrupt-file", name)]


def test_a_cut_file_comes_before_what_it_misses(make_pe: MakePE) -> None:
    path = importing(make_pe, "gone.dll")
    path.write_bytes(path.read_bytes()[:-1])
    assert codes(path) == [("error", "corrupt-file", "root.pyd"), ("error", "missing-dll", "gone.dll")]


def test_a_cut_file_for_another_architecture_is_not_blamed_on_its_neighbours(make_pe: MakePE) -> None:
    make_pe("dep.dll", machine="x86", exports=["f"])
    path = importing(make_pe, "dep.dll", machine="x86")
    path.write_bytes(path.read_bytes()[:-1])
    assert "dep.dll" not in [module for _, _, module in codes(path)]


def test_a_whole_file_is_not_corrupt(make_pe: MakePE) -> None:
    assert codes(make_pe("root.pyd")) == []


def test_a_dependency_that_is_no_dll_is_corrupt(make_pe: MakePE, tmp_path: Path) -> None:
    (tmp_path / "dep.dll").write_text("version https://git-lfs.github.com/spec/v1\n")
    assert codes(importing(make_pe, "dep.dll")) == [("error", "corrupt-file", "dep.dll")]


def test_an_unsorted_export_table_is_not_called_corrupt(make_pe: MakePE) -> None:
    assert codes(make_pe("root.pyd", exports=["b", "a"])) == []


def test_a_directory_in_the_place_of_a_dll_is_denied(make_pe: MakePE, tmp_path: Path) -> None:
    (tmp_path / "dep.dll").mkdir()
    assert codes(importing(make_pe, "dep.dll")) == [("error", "access-denied", "dep.dll")]


@pytest.mark.parametrize("symbol", ["nothere", 77])
def test_a_function_that_is_not_exported(symbol: str | int, make_pe: MakePE) -> None:
    make_pe("dep.dll", exports=["f"], version=(1, 2, 3, 4))
    path = make_pe("root.pyd", imports={"dep.dll": ["f", symbol]})
    assert codes(path) == [("error", "missing-export", "dep.dll")]
    (found,) = findings(path)
    assert ("nothere" if symbol == "nothere" else "function number 77") in found.message
    assert "file version: 1.2.3.4" in found.evidence


def test_functions_that_are_exported(make_pe: MakePE) -> None:
    make_pe("dep.dll", exports=["f", "g=kernel32.Sleep"])
    assert codes(make_pe("root.pyd", imports={"dep.dll": ["f", "g", 1]})) == []


def test_a_dll_without_any_export_table(make_pe: MakePE) -> None:
    make_pe("dep.dll")
    (found,) = findings(importing(make_pe, "dep.dll"))
    assert (found.code, "has no export table" in found.message) == ("missing-export", True)


def test_a_forwarder_in_a_circle_is_a_missing_export_of_the_dll_that_is_imported(make_pe: MakePE) -> None:
    make_pe("a.dll", exports=["f=B.f"])
    make_pe("b.dll", exports=["f=A.f"])
    assert codes(importing(make_pe, "a.dll")) == [("error", "missing-export", "a.dll")]


def test_a_missing_export_of_a_forwarders_target_is_needed_by_the_forwarding_dll(make_pe: MakePE) -> None:
    make_pe("a.dll", exports=["f=B.g"])
    make_pe("b.dll", exports=["h"])
    (found,) = findings(importing(make_pe, "a.dll"))
    assert (found.code, found.module, found.needed_by) == ("missing-export", "b.dll", "a.dll")


def test_a_copy_that_is_found_first_shadows_the_one_that_would_do(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["old"])
    make_pe("added/dep.dll", exports=["f"])
    assert codes(importing(make_pe, "dep.dll"), target(dll_dirs=[tmp_path / "added"])) == [
        ("error", "shadowed", "dep.dll")
    ]


def test_a_second_copy_that_would_not_do_either_is_not_shadowed(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["old"])
    make_pe("added/dep.dll", exports=["old", "older"])
    assert codes(importing(make_pe, "dep.dll"), target(dll_dirs=[tmp_path / "added"])) == [
        ("error", "missing-export", "dep.dll")
    ]


def test_a_second_copy_for_another_architecture_is_not_shadowed(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("dep.dll", exports=["old"])
    make_pe("added/dep.dll", exports=["f"], machine="x86")
    assert codes(importing(make_pe, "dep.dll"), target(dll_dirs=[tmp_path / "added"])) == [
        ("error", "missing-export", "dep.dll")
    ]


def test_a_copy_that_is_loaded_before_is_in_the_way_of_the_one_that_would_do(make_pe: MakePE) -> None:
    before = make_pe("other/zlib1.dll", exports=["old"])
    make_pe("zlib1.dll", exports=["f"])
    path = importing(make_pe, "zlib1.dll")
    assert codes(path, target(loaded=[before])) == [("error", "already-loaded", "zlib1.dll")]


def test_a_copy_that_is_loaded_before_and_would_do_is_no_trouble(make_pe: MakePE) -> None:
    before = make_pe("other/zlib1.dll", exports=["f"])
    make_pe("zlib1.dll", exports=["old"])
    assert codes(importing(make_pe, "zlib1.dll"), target(loaded=[before])) == []


# ---- Windows -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dll", "symbol", "system", "old"),
    [
        ("kernel32.dll", "CreateFile2", "7", True),
        ("kernel32.dll", "CreateFile2", "8", False),
        ("kernel32.dll", "CreateFileW", "7", False),
        ("kernel32.dll", "GetThreadDescription", "8.1", True),
        ("kernel32.dll", "GetThreadDescription", "10", False),
        ("api-ms-win-core-file-l1-2-0.dll", "CreateFile2", "8", False),
    ],
)
def test_a_function_that_came_with_a_later_windows(
    dll: str, symbol: str, system: str, old: bool, make_pe: MakePE
) -> None:
    path = make_pe("root.pyd", imports={dll: [symbol]})
    assert codes(path, target(system, "3.8")) == ([("error", "windows-too-old", dll)] if old else [])


def test_a_delay_loaded_function_of_a_later_windows_is_no_error(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", delay={"kernel32.dll": ["CreateFile2"]})
    assert [row for row in codes(path, target("7", "3.8")) if row[0] == "error"] == []


# ---- side by side, delayed loads, what is not known --------------------------------------------------------------


def test_an_assembly_that_is_nowhere(make_pe: MakePE) -> None:
    make_pe("msvcr90.dll", exports=["f"])
    path = importing(make_pe, "msvcr90.dll", manifests={2: MANIFEST % b"Microsoft.VC90.CRT"})
    (found,) = findings(path)
    assert (found.severity, found.code, found.needed_by) == ("error", "side-by-side", "root.pyd")
    assert found.remedy is not None
    assert "2008" in found.remedy.text


def test_an_assembly_that_an_assumed_runtime_provides(make_pe: MakePE) -> None:
    path = importing(make_pe, "msvcr90.dll", manifests={2: MANIFEST % b"Microsoft.VC90.CRT"})
    assert codes(path, target(runtimes=("vc9",))) == []


def test_a_delayed_load_that_would_fail_is_a_warning(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", delay={"gone.dll": ["f"]})
    assert codes(path) == [("warning", "delay-load-missing", "gone.dll")]


@pytest.mark.parametrize("made", [{"machine": "x86"}, {}])
def test_a_delayed_load_of_a_file_that_cannot_be_used_is_a_warning(
    made: dict[str, object], make_pe: MakePE, tmp_path: Path
) -> None:
    path = make_pe("app/dep.dll", **made)
    if not made:
        path.write_bytes(path.read_bytes()[:-1])
    root = make_pe("root.pyd", delay={"dep.dll": ["f"]})
    assert codes(root, target(app=tmp_path / "app")) == [("warning", "delay-load-missing", "dep.dll")]


def test_a_delayed_load_of_a_directory_is_a_warning(make_pe: MakePE, tmp_path: Path) -> None:
    (tmp_path / "app" / "dep.dll").mkdir(parents=True)
    root = make_pe("root.pyd", delay={"dep.dll": ["f"]})
    assert [row[0] for row in codes(root, target(app=tmp_path / "app"))] == ["warning"]


def test_a_delayed_load_that_will_be_found_is_nothing(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("app/dep.dll", exports=["f"])
    assert codes(make_pe("root.pyd", delay={"dep.dll": ["f"]}), target(app=tmp_path / "app")) == []


def test_an_api_set_that_is_not_known_is_said(make_pe: MakePE) -> None:
    path = importing(make_pe, "api-ms-win-future-thing-l1-1-0.dll")
    assert codes(path, target("11")) == [("warning", "analysis-incomplete", "api-ms-win-future-thing-l1-1-0.dll")]


def test_an_image_that_is_not_marked_as_a_dll_gets_a_note(make_pe: MakePE) -> None:
    path = importing(make_pe, "gone.dll", dll=False)
    assert codes(path) == [("note", "analysis-incomplete", "root.pyd")]


# ---- order -------------------------------------------------------------------------------------------------------


def test_errors_come_before_warnings_before_notes(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports={"gone.dll": ["f"]}, delay={"later.dll": ["f"]})
    assert [found.severity for found in findings(path)] == ["error", "warning"]


def test_among_errors_the_one_nearest_to_the_file_comes_first(make_pe: MakePE) -> None:
    make_pe("a.dll", imports={"b.dll": ["nothere"]}, exports=["f"])
    make_pe("b.dll", exports=["g"])
    path = importing(make_pe, "a.dll", "gone.dll")
    assert [found.module for found in findings(path)] == ["gone.dll", "b.dll"]


# ---- verdict -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dlls", "system", "expected"),
    [
        (["kernel32.dll"], "10", ("loads", "static")),
        (["gone.dll"], "10", ("fails", "static")),
        (["api-ms-win-future-thing-l1-1-0.dll"], "11", ("unknown", "static")),
        (["api-ms-win-future-thing-l1-1-0.dll", "gone.dll"], "11", ("fails", "static")),
    ],
)
def test_verdict_from_the_files_alone(dlls: list[str], system: str, expected: tuple[str, str], make_pe: MakePE) -> None:
    assert verdict(importing(make_pe, *dlls), target(system)) == expected


@pytest.mark.parametrize("delayed", ["gone.dll", "api-ms-win-future-thing-l1-1-0.dll"])
def test_a_delayed_load_does_not_change_the_verdict(delayed: str, make_pe: MakePE) -> None:
    assert verdict(make_pe("root.pyd", delay={delayed: ["f"]}), target("11")) == ("loads", "static")


LOADED, NOT_FOUND = LoadTrace(0), LoadTrace(126)


@pytest.mark.parametrize(
    ("dll", "load", "expected"),
    [
        ("kernel32.dll", LOADED, ("loads", "loader")),
        ("gone.dll", LOADED, ("loads", "loader")),
        ("gone.dll", NOT_FOUND, ("fails", "loader")),
        ("kernel32.dll", NOT_FOUND, ("fails", "loader")),
        ("kernel32.dll", LoadTrace(None, exit_code=0xC0000409), ("fails", "loader")),
        ("kernel32.dll", LoadTrace(None, timed_out=True), ("fails", "loader")),
        ("python310.dll", LOADED, ("fails", "static")),
        ("api-ms-win-future-thing-l1-1-0.dll", LOADED, ("loads", "loader")),
    ],
)
def test_the_loader_decides(dll: str, load: LoadTrace, expected: tuple[str, str], make_pe: MakePE) -> None:
    assert verdict(importing(make_pe, dll), target("11"), load) == expected


def test_an_error_that_the_loader_confirms_is_proven_by_it(make_pe: MakePE) -> None:
    (found,) = findings(importing(make_pe, "gone.dll"), load=NOT_FOUND)
    assert (found.code, found.severity, found.proof) == ("missing-dll", "error", "loader")


def test_an_error_that_the_loader_contradicts_becomes_a_warning(make_pe: MakePE) -> None:
    (found,) = findings(importing(make_pe, "gone.dll"), load=LOADED)
    assert (found.code, found.severity) == ("missing-dll", "warning")
    assert "the loader did not stop at this" in found.evidence


@pytest.mark.parametrize(
    ("load", "code"),
    [
        (LoadTrace(1114), "init-failed"),
        (LoadTrace(998), "crash-on-load"),
        (LoadTrace(0xC000001D), "crash-on-load"),
        (LoadTrace(0xDEADBEEF), "crash-on-load"),
        (LoadTrace(5), "access-denied"),
        (LoadTrace(32), "access-denied"),
        (LoadTrace(87), "search-path-problem"),
        (LoadTrace(206), "path-too-long"),
        (LoadTrace(225), "blocked-by-antivirus"),
        (LoadTrace(577), "blocked-by-policy"),
        (LoadTrace(1260), "blocked-by-policy"),
        (LoadTrace(4551), "blocked-by-policy"),
        (LoadTrace(1455), "out-of-memory"),
        (LoadTrace(14001), "side-by-side"),
        (LoadTrace(126), "analysis-incomplete"),
        (LoadTrace(12345), "analysis-incomplete"),
        (LoadTrace(None, exit_code=0xC0000005), "crash-on-load"),
        (LoadTrace(None, exit_code=77), "crash-on-load"),
        (LoadTrace(None, exit_code=0), "crash-on-load"),
        (LoadTrace(None, timed_out=True), "hang-on-load"),
    ],
)
def test_what_only_the_load_shows(load: LoadTrace, code: str, make_pe: MakePE) -> None:
    (found,) = findings(importing(make_pe, "kernel32.dll"), load=load)
    assert (found.code, found.severity, found.proof) == (code, "error", "loader")


def test_a_crash_is_not_explained_by_a_missing_file(make_pe: MakePE) -> None:
    found = findings(importing(make_pe, "gone.dll"), load=LoadTrace(1114))
    assert [(one.severity, one.code) for one in found] == [("error", "init-failed"), ("warning", "missing-dll")]


def test_the_deepest_module_that_fails_alone_is_blamed(make_pe: MakePE) -> None:
    dep = make_pe("dep.dll", exports=["f"])
    load = LoadTrace(1114, failures=(Failure(str(dep), 1114),))
    (found,) = findings(importing(make_pe, "dep.dll"), load=load)
    assert (found.code, found.module, found.needed_by) == ("init-failed", "dep.dll", "root.pyd")


@pytest.mark.parametrize(
    ("dll", "emulator", "code", "remedy"),
    [
        ("bcryptprimitives.dll", None, "missing-windows-feature", "repair its own files"),
        ("bcryptprimitives.dll", "Wine", "missing-windows-feature", "Wine does not have it"),
        ("gone.dll", "Wine", "missing-dll", "Reinstall"),
        ("d3d12.dll", None, "windows-too-old", "newer Windows"),  # this Windows 7 never had it
    ],
)
def test_a_windows_that_lost_a_dll_is_told_from_one_that_never_had_it(
    make_pe: MakePE, tmp_path: Path, dll: str, emulator: str | None, code: str, remedy: str
) -> None:
    (tmp_path / "Windows" / "System32").mkdir(parents=True)
    place = target("7", "3.8")
    own = replace(place.windows, root=str(tmp_path / "Windows"), emulator=emulator)
    (found, *_) = findings(importing(make_pe, dll), place._replace(windows=own))
    assert (found.code, found.module) == (code, dll)
    assert found.remedy is not None
    assert remedy in found.remedy.text


def test_no_remedy_does_harm(make_pe: MakePE) -> None:
    for dll, system, loader, code in MISSING:
        if code:
            remedy = findings(importing(make_pe, dll), target(system, loader))[0].remedy
            assert remedy is not None
            for text in (remedy.text, remedy.command, remedy.url):
                assert "System32" not in text
                assert "KMP_DUPLICATE_LIB_OK" not in text


def test_every_code_has_its_page() -> None:
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "docs", "findings")
    used = {row[3] for row in MISSING if row[3]} | {"corrupt-file", "access-denied", "missing-export", "shadowed"}
    assert [code for code in sorted(used) if not os.path.isfile(os.path.join(folder, f"{code}.md"))] == []


def test_two_walks_give_the_same_findings(make_pe: MakePE) -> None:
    path = importing(make_pe, "gone.dll", "msvcp140.dll")
    assert findings(path) == findings(path)


def test_memory_is_no_place_to_search(tmp_path: Path) -> None:
    file = image.parse(pe(imports={"gone.dll": ["f"]}), str(tmp_path / "inside.pyd"))
    walked = graph.walk(file.path, file, target())
    assert [module.status for module in walked.modules] == ["found", "missing"]


# ---- the loader's code and the causes in the files -----------------------------------------------------------------


def test_the_cause_that_leads_to_the_loaders_code_is_proven_and_comes_first(make_pe: MakePE) -> None:
    make_pe("dep.dll", exports=["other"])
    path = make_pe("root.pyd", imports={"gone.dll": ["f"], "dep.dll": ["f"]})
    found = findings(path, load=LoadTrace(127))
    assert [(one.code, one.severity, one.proof) for one in found] == [
        ("missing-export", "error", "loader"),
        ("missing-dll", "warning", "static"),
    ]


def test_a_code_that_no_cause_leads_to_proves_none(make_pe: MakePE) -> None:
    (found,) = findings(importing(make_pe, "gone.dll"), load=LoadTrace(193))
    assert (found.code, found.severity, found.proof) == ("missing-dll", "error", "static")
    assert any("193" in fact for fact in found.evidence)
