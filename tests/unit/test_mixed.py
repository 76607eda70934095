"""Files that are not as installed, and files of another Python: each cause with its near misses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from installed import evidence, findings, install, said
from logged import sample
from pe_maker import pe
from targets import target

from depwalk import diagnosis, graph
from depwalk.diagnosis import Evidence
from depwalk.host import Host
from depwalk.host.events import Events
from depwalk.loader import Failure, LoadTrace
from depwalk.loader.imports import FailedLoad, ImportTrace
from depwalk.target.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from depwalk.diagnosis import Finding
    from depwalk.target import Target

REINSTALL = "py -3.11 -m pip install --force-reinstall --no-deps --no-cache-dir demo==1.0"


def library(*exports: str) -> bytes:
    return pe(exports=sorted(exports))


def extension(imports: dict[str, list[str]] | None = None, **facts: Any) -> bytes:
    return pe(imports={"python311.dll": ["PyModule_Create2"], **(imports or {})}, exports=["PyInit__ext"], **facts)


EXT, DEP = "demo/_ext.pyd", "demo/dep.dll"
FILES = {EXT: extension({"dep.dll": ["f"]}), DEP: library("f")}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return tmp_path / "Lib" / "site-packages"


def only(found: list[Finding]) -> Finding:
    (one,) = found
    return one


# ---- gone --------------------------------------------------------------------------------------------------------


def test_a_dll_that_record_lists_and_that_is_gone_is_the_cause(site: Path) -> None:
    install(site, FILES)
    (site / DEP).unlink()
    found = only(findings(site / EXT))
    assert (found.severity, found.code, found.module, found.needed_by) == (
        "error",
        "modified-file",
        "dep.dll",
        "_ext.pyd",
    )
    assert f"{site / DEP} is in the RECORD of demo 1.0, and is not there" in found.evidence
    assert found.remedy is not None
    assert found.remedy.command == REINSTALL


def test_near_miss_a_dll_that_no_record_lists_was_never_there(site: Path) -> None:
    install(site, FILES, unlisted=[DEP])
    (site / DEP).unlink()
    assert only(findings(site / EXT)).code == "missing-dll"


def test_near_miss_an_absent_file_that_nothing_needs_is_not_told(site: Path) -> None:
    install(site, FILES, rows=["demo/optional.dll,sha256=abc,12"])
    assert findings(site / EXT) == []


def test_near_miss_a_missing_runtime_is_not_called_a_modified_file(site: Path) -> None:
    install(site, {EXT: extension({"msvcp140.dll": ["f"]})})
    assert only(findings(site / EXT)).code == "missing-msvc-runtime"


def defender(path: Path, *numbers: int) -> Host:
    """What Microsoft Defender logged about a file: events of these numbers."""
    return Host(events=Events(tuple(event for event in sample("defender", path) if event.id in (numbers or (1117,)))))


@pytest.mark.parametrize("number", [1116, 1117])
def test_a_dll_that_defender_took_away_is_quarantined(number: int, site: Path) -> None:
    install(site, FILES)
    (site / DEP).unlink()
    found = only(findings(site / EXT, host=defender(site / DEP, number)))
    assert (found.severity, found.code, found.module) == ("error", "quarantined", "dep.dll")
    assert any("Trojan:Win32/Wacatac.B!ml" in fact and "2026-03-02" in fact for fact in found.evidence)
    assert found.remedy is not None
    assert found.remedy.command == REINSTALL


def test_an_extension_that_defender_took_away_ends_an_import(site: Path) -> None:
    install(site, {**FILES, "demo/gone.pyd": b""})
    (site / "demo" / "gone.pyd").unlink()
    trace = ImportTrace("demo", ended_well=False, uncaught=("ModuleNotFoundError: demo.gone",))
    first = findings(site / EXT, host=defender(site / "demo" / "gone.pyd"), imported=trace)[0]
    assert (first.severity, first.code, first.module) == ("error", "quarantined", "gone.pyd")


def test_near_miss_an_event_about_a_file_elsewhere_is_no_proof(site: Path, tmp_path: Path) -> None:
    install(site, FILES)
    (site / DEP).unlink()
    assert only(findings(site / EXT, host=defender(tmp_path / "Downloads" / "dep.dll"))).code == "modified-file"


def test_near_miss_an_event_about_a_file_that_is_there_is_not_told(site: Path) -> None:
    install(site, FILES)
    assert findings(site / EXT, host=defender(site / DEP)) == []


def test_near_miss_a_file_that_is_gone_and_a_log_without_events_is_a_modified_file(site: Path) -> None:
    install(site, FILES)
    (site / DEP).unlink()
    assert only(findings(site / EXT, host=Host(events=Events(unread=("Defender",))))).code == "modified-file"


# ---- left over ---------------------------------------------------------------------------------------------------


def test_a_leftover_that_fails_is_the_cause(site: Path) -> None:
    files = {"demo/lib/caffe2.dll": pe(imports={"core.dll": ["gone"]}), "demo/lib/core.dll": library("kept")}
    install(site, files, unlisted=["demo/lib/caffe2.dll"])
    found = only(findings(site / "demo" / "lib" / "caffe2.dll"))
    assert (found.severity, found.code, found.module) == ("error", "modified-file", "caffe2.dll")
    assert any("whose RECORD does not list it" in fact for fact in found.evidence)
    assert any("lacks gone" in fact for fact in found.evidence)
    assert found.remedy is not None
    assert found.remedy.command == "py -3.11 -m pip uninstall demo"


def test_a_leftover_that_is_found_in_place_of_another_is_the_cause(site: Path) -> None:
    install(site, {EXT: extension({"dep.dll": ["f"]}), DEP: library("old")}, unlisted=[DEP])
    assert said(findings(site / EXT)) == [("error", "modified-file", "dep.dll")]


def test_near_miss_a_leftover_that_loads_is_not_told(site: Path) -> None:
    install(site, FILES, unlisted=[DEP])
    assert findings(site / EXT) == []


def test_near_miss_files_that_do_not_fit_as_they_were_installed_are_a_missing_export(site: Path) -> None:
    install(site, {EXT: extension({"dep.dll": ["f"]}), DEP: library("old")})
    assert said(findings(site / EXT)) == [("error", "missing-export", "dep.dll")]


def test_near_miss_a_file_in_no_distribution_is_nobodys_leftover(tmp_path: Path) -> None:
    (tmp_path / "_ext.pyd").write_bytes(extension({"dep.dll": ["f"]}))
    (tmp_path / "dep.dll").write_bytes(library("old"))
    assert said(findings(tmp_path / "_ext.pyd")) == [("error", "missing-export", "dep.dll")]


# ---- changed -----------------------------------------------------------------------------------------------------


def test_a_file_of_another_size_that_lacks_a_function_is_the_cause(site: Path) -> None:
    install(site, FILES)
    (site / DEP).write_bytes(library("old") + bytes(100))
    found = findings(site / EXT)
    assert said(found) == [("error", "modified-file", "dep.dll")]


def test_a_file_with_another_content_whose_initialisation_fails_is_the_cause(site: Path) -> None:
    install(site, FILES)
    changed = bytearray(FILES[DEP])
    changed[8] ^= 1
    (site / DEP).write_bytes(bytes(changed))
    load = LoadTrace(1114, failures=(Failure(str(site / DEP), 1114),))
    first = findings(site / EXT, load=load)[0]
    assert (first.severity, first.code, first.module, first.proof) == ("error", "modified-file", "dep.dll", "loader")


def test_near_miss_a_changed_file_that_loads_is_a_warning(site: Path) -> None:
    install(site, FILES)
    (site / DEP).write_bytes(FILES[DEP] + bytes(512))
    assert said(findings(site / EXT)) == [("warning", "modified-file", "dep.dll")]


def test_near_miss_a_file_that_is_cut_off_is_a_corrupt_file_and_record_is_evidence(site: Path) -> None:
    install(site, FILES)
    (site / DEP).write_bytes(FILES[DEP][:-200])
    found = findings(site / EXT)
    assert said(found) == [("error", "corrupt-file", "dep.dll")]
    assert any("RECORD" in fact for fact in found[0].evidence)


def test_a_changed_file_that_only_code_loads_is_told_when_the_load_fails(site: Path) -> None:
    install(site, {**FILES, "demo/plugin.dll": library("g")})
    (site / "demo" / "plugin.dll").write_bytes(b"MZ")
    assert ("warning", "modified-file", "plugin.dll") in said(findings(site / EXT, load=LoadTrace(1114)))
    assert findings(site / EXT) == []


def test_two_versions_in_one_place_are_a_warning(site: Path) -> None:
    install(site, FILES)
    install(site, {}, named="Demo-0.9")
    found = only(findings(site / EXT))
    assert (found.severity, found.code) == ("warning", "modified-file")
    assert "installed twice" in found.message


def test_two_versions_in_one_place_explain_files_that_do_not_fit(site: Path) -> None:
    install(site, {EXT: extension({"dep.dll": ["f"]}), DEP: library("old")})
    install(site, {}, named="demo-0.9", rows=["demo/dep.dll,,"])
    assert said(findings(site / EXT))[0][:2] == ("error", "modified-file")


# ---- files of another Python -------------------------------------------------------------------------------------


def around(prefix: Path, *, conda: bool = False, user: Path | None = None, **variables: str) -> Target:
    """An interpreter in `prefix`, and the variables of its process."""
    sites = (str(prefix / "Lib" / "site-packages"),)
    user_base = str(user) if user else None
    own = Environment(str(prefix), str(prefix), conda=conda, sites=sites, user_base=user_base, variables=variables)
    return target(environment=own)


def for_38(site: Path) -> Path:
    install(site, {"demo/_ext.pyd": pe(imports={"python38.dll": ["f"]})}, tags=["cp38-cp38-win_amd64"])
    return site / EXT


def test_a_file_that_pythonpath_brings_from_another_python_is_told_beside_the_error(tmp_path: Path) -> None:
    path = for_38(tmp_path / "Python38" / "Lib" / "site-packages")
    other = str(tmp_path / "Python38" / "Lib" / "site-packages")
    error, why = findings(path, around(tmp_path / "Python311", PYTHONPATH=f"C:\\x;{other}"))
    assert (error.severity, error.code) == ("error", "wrong-python")
    assert (why.severity, why.code) == ("warning", "mixed-environment")
    assert f"PYTHONPATH names {other}" in why.message
    assert f"PYTHONPATH=C:\\x;{other}" in why.evidence


def test_a_file_below_pythonhome_is_told(tmp_path: Path) -> None:
    (tmp_path / "Python38" / "DLLs").mkdir(parents=True)
    path = tmp_path / "Python38" / "DLLs" / "_ssl.pyd"
    path.write_bytes(pe(imports={"python38.dll": ["f"]}))
    _, why = findings(path, around(tmp_path / "Python311", PYTHONHOME=str(tmp_path / "Python38")))
    assert "PYTHONHOME" in why.message


def test_a_file_of_another_installation_is_told_without_a_variable(tmp_path: Path) -> None:
    path = for_38(tmp_path / "Python38" / "Lib" / "site-packages")
    _, why = findings(path, around(tmp_path / "Python311"))
    assert "belongs to another one" in why.message


def test_a_file_of_the_users_own_site_that_does_not_fit_is_told(tmp_path: Path) -> None:
    user = tmp_path / "Roaming" / "Python" / "Python311"
    install(user / "site-packages", {EXT: extension(machine="x86")}, tags=["cp311-cp311-win32"])
    error, why = findings(user / "site-packages" / EXT, around(tmp_path / "Python311", user=user))
    assert (error.code, why.code) == ("wrong-architecture", "mixed-environment")
    assert why.remedy is not None
    assert "-s" in why.remedy.text


def missing_one(site: Path) -> Path:
    install(site, {EXT: extension({"gone.dll": ["f"]})})
    return site / EXT


def test_near_miss_a_package_of_the_users_own_site_that_misses_a_dll(tmp_path: Path) -> None:
    user = tmp_path / "Roaming" / "Python" / "Python311"
    path = missing_one(user / "site-packages")
    assert said(findings(path, around(tmp_path / "Python311", user=user))) == [("error", "missing-dll", "gone.dll")]


def test_near_miss_a_file_of_the_interpreter_itself(tmp_path: Path) -> None:
    path = missing_one(tmp_path / "Python311" / "Lib" / "site-packages")
    assert said(findings(path, around(tmp_path / "Python311"))) == [("error", "missing-dll", "gone.dll")]


def test_near_miss_a_virtual_environment_uses_its_bases_files(tmp_path: Path) -> None:
    path = missing_one(tmp_path / "Python311" / "Lib" / "site-packages")
    sites = (str(tmp_path / "venv" / "Lib" / "site-packages"),)
    venv = Environment(str(tmp_path / "venv"), str(tmp_path / "Python311"), conda=False, sites=sites)
    assert said(findings(path, target(environment=venv))) == [("error", "missing-dll", "gone.dll")]


def venv_of(tmp_path: Path, version: str) -> Target:
    """A virtual environment of CPython 3.11 that was made with some version."""
    prefix, base = tmp_path / "venv", tmp_path / "Python311"
    prefix.mkdir(exist_ok=True)
    (prefix / "pyvenv.cfg").write_text(f"home = {base}\n{version}\n")
    sites = (str(prefix / "Lib" / "site-packages"),)
    return target(environment=Environment(str(prefix), str(base), conda=False, sites=sites))


@pytest.mark.parametrize("line", ["version = 3.8.10", "version_info = 3.8.10.final.0"])
def test_a_virtual_environment_whose_base_is_another_version_now_is_told(line: str, tmp_path: Path) -> None:
    error, why = findings(for_38(tmp_path / "venv" / "Lib" / "site-packages"), venv_of(tmp_path, line))
    assert (error.code, why.code) == ("wrong-python", "mixed-environment")
    assert "are for CPython 3.8, with which it was made" in why.message
    assert why.remedy is not None
    assert "venv --clear" in why.remedy.command


def test_near_miss_a_virtual_environment_of_the_same_version_with_a_file_for_another(tmp_path: Path) -> None:
    found = findings(for_38(tmp_path / "venv" / "Lib" / "site-packages"), venv_of(tmp_path, "version = 3.11.4"))
    assert [one.code for one in found] == ["wrong-python"]


def test_near_miss_a_file_in_no_site_belongs_to_no_other_python(tmp_path: Path) -> None:
    path = tmp_path / "build" / "_ext.pyd"
    path.parent.mkdir()
    path.write_bytes(extension({"gone.dll": ["f"]}))
    assert said(findings(path, around(tmp_path / "Python311"))) == [("error", "missing-dll", "gone.dll")]


def test_near_miss_a_file_of_another_installation_that_loads(tmp_path: Path) -> None:
    site = tmp_path / "shared" / "site-packages"
    install(site, FILES)
    assert findings(site / EXT, around(tmp_path / "Python311", PYTHONPATH=str(site))) == []


def test_near_miss_without_an_environment_nothing_is_foreign(site: Path) -> None:
    assert said(findings(missing_one(site))) == [("error", "missing-dll", "gone.dll")]


# ---- pip's packages among conda's --------------------------------------------------------------------------------


def conda_with(prefix: Path, dll: str, content: bytes, package: str) -> Path:
    """A conda environment with one package that has one DLL; its site-packages."""
    (prefix / "conda-meta").mkdir(parents=True)
    (prefix / "conda-meta" / f"{package}-h0.json").write_text(json.dumps({"files": [f"Library/bin/{dll}"]}))
    (prefix / "Library" / "bin").mkdir(parents=True)
    (prefix / "Library" / "bin" / dll).write_bytes(content)
    return prefix / "Lib" / "site-packages"


def searching(place: Target, directory: Path) -> Target:
    return place._replace(dll_dirs=(str(directory),))


def test_a_package_of_pip_that_fails_at_a_dll_of_conda_is_told_so(tmp_path: Path) -> None:
    site = conda_with(tmp_path, "hdf5.dll", library("old"), "hdf5-1.10.4")
    install(site, {EXT: extension({"hdf5.dll": ["new"]})})
    error, why = findings(site / EXT, searching(around(tmp_path, conda=True), tmp_path / "Library" / "bin"))
    assert (error.severity, error.module) == ("error", "hdf5.dll")
    assert (why.severity, why.code) == ("warning", "mixed-environment")
    assert any("hdf5 1.10.4, by conda" in fact for fact in why.evidence)
    assert why.remedy is not None
    assert why.remedy.command == "conda install -c conda-forge demo"


def test_near_miss_a_package_of_conda_that_fails_at_a_dll_of_conda(tmp_path: Path) -> None:
    site = conda_with(tmp_path, "hdf5.dll", library("old"), "hdf5-1.10.4")
    install(site, {EXT: extension({"hdf5.dll": ["new"]})}, installer="conda")
    found = findings(site / EXT, searching(around(tmp_path, conda=True), tmp_path / "Library" / "bin"))
    assert [one.code for one in found if one.code == "mixed-environment"] == []


def test_near_miss_a_package_of_pip_in_conda_that_brings_its_own_dlls(tmp_path: Path) -> None:
    site = conda_with(tmp_path, "hdf5.dll", library("old"), "hdf5-1.10.4")
    install(site, {EXT: extension({"hdf5-a1b2.dll": ["new"]}), "demo/hdf5-a1b2.dll": library("new")})
    assert findings(site / EXT, searching(around(tmp_path, conda=True), tmp_path / "Library" / "bin")) == []


def test_one_failure_has_one_error(tmp_path: Path) -> None:
    path = for_38(tmp_path / "Python38" / "Lib" / "site-packages")
    known = evidence(path, around(tmp_path / "Python311"))
    assert [finding.severity for finding in diagnosis.diagnose(known)].count("error") == 1


def test_a_dll_of_conda_that_gives_up_under_a_package_of_pip_is_explained_by_that(tmp_path: Path) -> None:
    site = conda_with(tmp_path, "mkl_rt.2.dll", library("f"), "mkl-2023.1")
    install(site, {EXT: extension({"mkl_rt.2.dll": ["f"]})})
    dll = tmp_path / "Library" / "bin" / "mkl_rt.2.dll"
    place = searching(around(tmp_path, conda=True), dll.parent)
    first = findings(site / EXT, place, LoadTrace(1114, failures=(Failure(str(dll), 1114),)))[0]
    assert (first.severity, first.code, first.module, first.proof) == (
        "error",
        "mixed-environment",
        "mkl_rt.2.dll",
        "inferred",
    )


def test_near_miss_a_dll_of_pip_that_gives_up_in_conda_failed_to_initialise(tmp_path: Path) -> None:
    site = conda_with(tmp_path, "mkl_rt.2.dll", library("f"), "mkl-2023.1")
    install(site, FILES)
    load = LoadTrace(1114, failures=(Failure(str(site / DEP), 1114),))
    assert said(findings(site / EXT, around(tmp_path, conda=True), load))[0] == ("error", "init-failed", "dep.dll")


def ctypes_asks_for(path: Path, place: Target, package: str = "shapely") -> list[Finding]:
    """An import that ends because ctypes does not find a file."""
    failed = FailedLoad(str(path), 126, "FileNotFoundError", by_ctypes=True)
    trace = ImportTrace(package, ended_well=False, imported=(package,), failed=(failed,), fatal=failed)
    walked = graph.of_names(package, [str(path)], place)
    return list(diagnosis.diagnose(Evidence(walked, place, None, load=LoadTrace(126), imported=trace)))


@pytest.mark.parametrize(
    ("installer", "code"), [("pip", "mixed-environment"), ("conda", "missing-dll"), ("", "missing-dll")]
)
def test_only_a_package_of_pip_is_mixed_with_the_library_directory_of_conda(
    installer: str, code: str, tmp_path: Path
) -> None:
    install(tmp_path / "Lib" / "site-packages", {"shapely/__init__.py": b""}, installer=installer)
    found = ctypes_asks_for(tmp_path / "Library" / "bin" / "geos_c.dll", around(tmp_path, conda=True))
    assert found[0].code == code


def test_near_miss_a_package_of_pip_that_misses_its_own_dll_in_a_conda_environment(tmp_path: Path) -> None:
    site = tmp_path / "Lib" / "site-packages"
    install(site, {"shapely/__init__.py": b""})
    found = ctypes_asks_for(site / "shapely" / "DLLs" / "geos_c.dll", around(tmp_path, conda=True))
    assert found[0].code == "missing-dll"
