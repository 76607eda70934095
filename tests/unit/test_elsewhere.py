"""Where a missing DLL is instead: each place that a search leaves out, the remedy there, and what does not count.

Every case is one root.pyd that needs f of dep.dll; `env` is a Python environment in a directory of the test.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from targets import target

from depwalk import diagnosis, graph, image
from depwalk.diagnosis import Evidence, Finding, elsewhere
from depwalk.installation import Installation
from depwalk.loader.imports import FailedLoad, ImportTrace
from depwalk.target import python
from depwalk.target.environment import Environment
from depwalk.wheel import Distribution

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.target import Target

SITE = "env/Lib/site-packages"


def evidence(path: Path, place: Target) -> Evidence:
    file = image.read(path)
    return Evidence(graph.walk(str(path), file, place), place, python.built_for(file))


def findings(path: Path, place: Target) -> tuple[Finding, ...]:
    return diagnosis.diagnose(evidence(path, place))


def root(make_pe: MakePE, dll: str = "dep.dll", name: str = f"{SITE}/package/root.pyd") -> Path:
    return make_pe(name, imports={dll: ["f"]})


def env(tmp_path: Path, *, conda: bool = False, base: str = "env", **variables: str) -> Environment:
    prefix, site = tmp_path / "env", tmp_path / SITE
    site.mkdir(parents=True, exist_ok=True)
    return Environment(str(prefix), str(tmp_path / base), conda, (str(site),), variables=variables)


def inside(tmp_path: Path, loader: str = "3.11", **facts: Any) -> Target:
    """The target of an import in that environment."""
    return target("10", loader, environment=env(tmp_path, **facts))


def only(found: tuple[Finding, ...]) -> Finding:
    assert [one.severity for one in found] == ["error"], [(one.code, one.message) for one in found]
    return found[0]


def command(found: Finding) -> str:
    assert found.remedy is not None
    return found.remedy.command


# ---- each place --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "place",
    [
        "env/Library/bin",
        "env/DLLs",
        f"{SITE}/Library/bin",
        f"{SITE}/nvidia/cublas/bin",
        f"{SITE}/torch/lib",
        f"{SITE}/pywin32_system32",
        f"{SITE}/package.libs",
        f"{SITE}/package/other",
        f"{SITE}/package/other/deeper",
    ],
)
def test_a_dll_in_another_directory_of_the_environment_is_not_searched(
    place: str, make_pe: MakePE, tmp_path: Path
) -> None:
    make_pe(f"{place}/dep.dll", exports=["f"])
    found = only(findings(root(make_pe), inside(tmp_path)))
    assert (found.code, found.module, found.needed_by) == ("not-searched", "dep.dll", "root.pyd")
    assert str(tmp_path / place) in found.message


def test_a_dll_in_another_directory_of_an_unpacked_wheel_is_not_searched(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("unpacked/package/other/dep.dll", exports=["f"])
    path = root(make_pe, name="unpacked/package/root.pyd")
    unpacked = Installation(Distribution("package", "1", ()), str(tmp_path / "unpacked"))
    known = replace(evidence(path, target()), installations=(unpacked,))
    assert only(diagnosis.diagnose(known)).code == "not-searched"


def test_the_line_that_adds_the_directory_is_told(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("env/DLLs/dep.dll", exports=["f"])
    found = only(findings(root(make_pe), inside(tmp_path)))
    assert command(found) == 'import os; os.add_dll_directory(r"' + str(tmp_path / "env" / "DLLs") + '")'


def test_before_3_8_the_directory_goes_to_path(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("env/Library/bin/dep.dll", exports=["f"])
    found = only(findings(root(make_pe), inside(tmp_path, "3.7")))
    assert command(found) == f"set PATH={tmp_path / 'env' / 'Library' / 'bin'};%PATH%"


def test_a_directory_with_a_final_backslash_makes_a_valid_line() -> None:
    place = target()._replace(environment=None)
    made = elsewhere.add("C:\\x\\", Evidence(graph.of_names("p", [], place), place, None)).command
    assert made == 'import os; os.add_dll_directory(r"C:\\x")'


def test_a_conda_environment_that_is_not_activated_is_to_be_activated(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("env/Library/bin/dep.dll", exports=["f"])
    found = only(findings(root(make_pe), inside(tmp_path, "3.7", conda=True)))
    assert found.code == "not-searched"
    assert command(found) == f'conda activate "{tmp_path / "env"}"'.replace("/", os.sep)


def test_an_activated_one_is_not(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("env/Library/bin/dep.dll", exports=["f"])
    place = inside(tmp_path, conda=True, CONDA_PREFIX=str(tmp_path / "env"))
    assert "add_dll_directory" in command(only(findings(root(make_pe), place)))


@pytest.mark.parametrize(
    ("conda", "line"), [(False, "python -m pip install --upgrade pywin32"), (True, "conda update pywin32")]
)
def test_a_dll_of_pywin32_needs_a_newer_pywin32(conda: bool, line: str, make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"{SITE}/pywin32_system32/pywintypes38.dll", exports=["f"])
    found = only(findings(root(make_pe, "pywintypes38.dll"), inside(tmp_path, "3.8", conda=conda)))
    assert (found.code, command(found)) == ("not-searched", line)


def test_a_dll_of_pytorch_needs_torch_to_be_imported(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"{SITE}/torch/lib/dep.dll", exports=["f"])
    assert command(only(findings(root(make_pe), inside(tmp_path)))) == "import torch"


def test_what_was_installed_with_user_is_to_be_installed_without(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("user/Library/bin/dep.dll", exports=["f"])
    around = replace(env(tmp_path), user_base=str(tmp_path / "user" / "Python311"))
    found = only(findings(root(make_pe), target(environment=around)))
    assert found.remedy is not None
    assert "without --user" in found.remedy.text


def test_a_dll_of_a_cuda_toolkit_is_found_by_its_variable(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("cuda/bin/dep.dll", exports=["f"])
    found = only(findings(root(make_pe), inside(tmp_path, CUDA_PATH=str(tmp_path / "cuda"))))
    assert str(tmp_path / "cuda" / "bin") in found.message


def test_a_dll_that_the_scripts_of_a_virtual_environment_have_is_not_searched(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("env/Scripts/dep.dll", exports=["f"])
    found = only(findings(root(make_pe), inside(tmp_path, base="base")))
    assert str(tmp_path / "base") in found.message


def test_gdal_is_told_to_use_path(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("on_path/gdal300.dll", exports=["f"])
    place = inside(tmp_path)._replace(path=(str(tmp_path / "on_path"),))
    assert command(only(findings(root(make_pe, "gdal300.dll"), place))) == "set USE_PATH_FOR_GDAL_PYTHON=YES"


def test_weasyprint_is_told_the_directory(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("programs/GTK3-Runtime Win64/bin/libgobject-2.0-0.dll", exports=["f"])
    place = inside(tmp_path, PROGRAMFILES=str(tmp_path / "programs"))
    found = only(findings(root(make_pe, "libgobject-2.0-0.dll"), place))
    directory = tmp_path / "programs" / "GTK3-Runtime Win64" / "bin"
    assert command(found) == f"set WEASYPRINT_DLL_DIRECTORIES={directory}"


def test_a_runtime_that_the_environment_itself_has_need_not_be_installed(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("env/Library/bin/msvcp140.dll", exports=["f"])
    assert only(findings(root(make_pe, "msvcp140.dll"), inside(tmp_path, "3.7", conda=True))).code == "not-searched"


def test_the_home_of_a_python_inside_another_program_is_not_searched(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("host/host.dll")
    home = make_pe("home/python311.dll", exports=["f"])
    make_pe("home/python3.dll", exports=["f"])
    place = target(app=tmp_path / "host", loaded=[home])
    found = only(findings(root(make_pe, "python3.dll", "root.pyd"), place))
    assert found.code == "not-searched"
    assert str(tmp_path / "home") in found.message


def test_the_bin_below_an_added_directory_is_not_searched(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("cuda/bin/dep.dll", exports=["f"])
    found = only(findings(root(make_pe), target(dll_dirs=[tmp_path / "cuda"])))
    assert found.code == "not-searched"
    assert str(tmp_path / "cuda" / "bin") in command(found)


def test_a_bin_too_many_is_told(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("cuda/bin/dep.dll", exports=["f"])
    found = only(findings(root(make_pe), target(dll_dirs=[tmp_path / "cuda" / "bin" / "bin"])))
    assert f"{tmp_path / 'cuda' / 'bin' / 'bin'} is added in its place, and does not exist" in found.message


def test_an_added_directory_that_does_not_exist_is_a_fact(make_pe: MakePE, tmp_path: Path) -> None:
    found = only(findings(root(make_pe), target(dll_dirs=[tmp_path / "gone"])))
    assert f"the added directory {tmp_path / 'gone'} does not exist" in found.evidence


def test_the_file_that_ctypes_calls_missing_is_there(make_pe: MakePE, tmp_path: Path) -> None:
    path = root(make_pe)
    trace = ImportTrace("p", ended_well=False, fatal=FailedLoad(str(path), 126, "FileNotFoundError", by_ctypes=True))
    found = only(diagnosis.diagnose(replace(evidence(path, inside(tmp_path)), imported=trace)))
    assert any(fact.startswith(f"{path} itself is there") for fact in found.evidence)


# ---- what does not count -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["env/Library/bin", f"{SITE}/package/other", "on_path"])
@pytest.mark.parametrize(
    ("facts", "flaw"),
    [({"machine": "x86", "exports": ["f"]}, "it is x86, but the process is x64"), ({"exports": ["g"]}, "it lacks f")],
)
def test_near_miss_a_copy_that_would_not_do_is_only_a_fact(
    place: str, facts: dict[str, Any], flaw: str, make_pe: MakePE, tmp_path: Path
) -> None:
    copy = make_pe(f"{place}/dep.dll", **facts)
    found = only(findings(root(make_pe), inside(tmp_path)._replace(path=(str(tmp_path / "on_path"),))))
    assert found.code == "missing-dll"
    assert any(fact.startswith(f"{copy} does not count: {flaw}") for fact in found.evidence)


def test_near_miss_a_copy_that_is_cut_off_is_only_a_fact(make_pe: MakePE, tmp_path: Path) -> None:
    copy = make_pe("env/Library/bin/dep.dll", exports=["f"])
    copy.write_bytes(copy.read_bytes()[:-1])
    assert only(findings(root(make_pe), inside(tmp_path))).code == "missing-dll"


def test_a_copy_that_would_do_counts_though_another_would_not(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("env/Library/bin/dep.dll", exports=["g"])
    make_pe("env/DLLs/dep.dll", exports=["f"])
    found = only(findings(root(make_pe), inside(tmp_path)))
    assert found.code == "not-searched"
    assert str(tmp_path / "env" / "DLLs") in found.message
    assert any("does not count: it lacks f" in fact for fact in found.evidence)


@pytest.mark.parametrize("name", ["dep-1a2b3c4d.dll", "DEP-00112233445566778899aabbccddeeff.dll"])
def test_near_miss_a_copy_with_a_hash_in_its_name_answers_to_that_name_only(
    name: str, make_pe: MakePE, tmp_path: Path
) -> None:
    make_pe(f"{SITE}/other.libs/{name}", exports=["f"])
    found = only(findings(root(make_pe), inside(tmp_path)))
    assert found.code == "missing-dll"
    directory = tmp_path / SITE / "other.libs"
    assert f"{name} in {directory} does not count: it answers to that name only" in found.evidence


HASHED = "dep-00112233445566778899aabbccddeeff.dll"


def test_a_file_that_was_copied_out_of_its_package_belongs_back_there(make_pe: MakePE, tmp_path: Path) -> None:
    found = only(findings(make_pe("alone/_a.pyd", imports={HASHED: ["f"]}), inside(tmp_path)))
    assert (found.code, found.module) == ("missing-dll", HASHED)
    assert "which only its own package brings" in found.message
    assert found.remedy is not None
    assert found.remedy.text.startswith("Import the package where it is installed: ")


@pytest.mark.parametrize("path", [f"{SITE}/pkg/_a.pyd", "alone/_a.pyd"])
def test_near_miss_a_package_without_its_dll_or_a_plain_name_is_not_copied_out(
    path: str, make_pe: MakePE, tmp_path: Path
) -> None:
    name = HASHED if SITE in path else "dep-extra.dll"
    found = only(findings(make_pe(path, imports={name: ["f"]}), inside(tmp_path)))
    assert found.code == "missing-dll"
    assert "only its own package" not in found.message


def test_near_miss_a_dll_of_a_longer_name_is_no_copy(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"{SITE}/other.libs/dep-extra.dll", exports=["f"])
    found = only(findings(root(make_pe), inside(tmp_path)))
    assert not any("does not count" in fact for fact in found.evidence)


def test_near_miss_the_directory_was_added_already(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("env/Library/bin/dep.dll", exports=["f"])
    place = inside(tmp_path)._replace(dll_dirs=(str(tmp_path / "env" / "Library" / "bin"),))
    assert findings(root(make_pe), place) == ()


def test_near_miss_python_3_7_searches_path(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("on_path/dep.dll", exports=["f"])
    place = inside(tmp_path, "3.7")._replace(path=(str(tmp_path / "on_path"),))
    assert findings(root(make_pe), place) == ()


def test_near_miss_a_conda_environment_is_activated(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("env/Library/bin/dep.dll", exports=["f"])
    library = str(tmp_path / "env" / "Library" / "bin")
    place = inside(tmp_path, "3.7", conda=True, CONDA_PREFIX=str(tmp_path / "env"))
    assert findings(root(make_pe), place._replace(path=(library,))) == ()


@pytest.mark.parametrize("other", ["other/Lib/site-packages/nvidia/cublas/bin", "other/Library/bin"])
def test_near_miss_another_environment_has_it(other: str, make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"{other}/dep.dll", exports=["f"])
    assert only(findings(root(make_pe), inside(tmp_path))).code == "missing-dll"


def test_near_miss_the_libraries_of_another_package_do_not_count(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"{SITE}/other.libs/dep.dll", exports=["f"])
    assert only(findings(root(make_pe), inside(tmp_path))).code == "missing-dll"


def test_near_miss_another_package_has_it_among_its_own_files(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"{SITE}/other/dep.dll", exports=["f"])
    assert only(findings(root(make_pe), inside(tmp_path))).code == "missing-dll"


@pytest.mark.parametrize("dll", ["api-ms-win-core-path-l1-1-0.dll", "api-ms-win-future-thing-l1-1-0.dll"])
def test_near_miss_a_file_named_as_an_api_set_does_not_stand_for_it(dll: str, make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"env/Library/bin/{dll}", exports=["f"])
    place = target("7", "3.8", environment=env(tmp_path))
    assert only(findings(root(make_pe, dll), place)).code == "windows-too-old"


def test_near_miss_a_runtime_somewhere_else_is_still_to_be_installed(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"{SITE}/package/other/msvcp140.dll", exports=["f"])
    make_pe(f"{SITE}/torch/lib/msvcp140.dll", exports=["f"])
    assert only(findings(root(make_pe, "msvcp140.dll"), inside(tmp_path))).code == "missing-msvc-runtime"


def test_near_miss_a_python_dll_of_another_version_in_the_environment(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("env/Library/bin/python310.dll", exports=["f"])
    assert only(findings(root(make_pe, "python310.dll"), inside(tmp_path))).code == "wrong-python"


def test_near_miss_a_delay_loaded_dll_elsewhere_is_no_error(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("env/Library/bin/dep.dll", exports=["f"])
    path = make_pe(f"{SITE}/package/root.pyd", delay={"dep.dll": ["f"]})
    assert [one.severity for one in findings(path, inside(tmp_path))] == ["warning"]


def test_near_miss_a_directory_of_that_name_is_no_dll(make_pe: MakePE, tmp_path: Path) -> None:
    (tmp_path / "env" / "Library" / "bin" / "dep.dll").mkdir(parents=True)
    assert only(findings(root(make_pe), inside(tmp_path))).code == "missing-dll"
