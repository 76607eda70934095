"""Scan, the rows: what is said of each file of an environment or a wheel, and for which Python."""

from __future__ import annotations

import os
import random
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from installed import install
from pe_maker import pe
from scanned import ADDS_LIB, EXT, HERE, by_case, by_file, installed, lay, make_wheel, rows_of, said, scan_of, verdicts

import depwalk
from depwalk.bulk import work

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from depwalk.bulk.judge import Judged
    from depwalk.bulk.rows import Row
    from depwalk.finding import Finding

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="the files are read as elsewhere; tests/loader asks on Windows"
)

SITE = "Lib/site-packages"
DLL = pe(exports=["f"])
NEEDS = pe(imports={"dep.dll": ["f"]})
NEEDS_PYTHON = {"python311.dll": ["PyModule_Create2"]}
PYTHON = {minor: pe(dll=False, imports={f"python3{minor}.dll": ["Py_Main"]}) for minor in (7, 9, 11)}


def sources(row: Row) -> list[str]:
    """The Python files that were read for it."""
    return [path for path in row.sources if path.endswith(".py")]


def only(rows: list[Row]) -> Row:
    (row,) = rows
    return row


# ---- extension modules


def test_an_extension_with_everything_there_loads(tmp_path: Path) -> None:
    lay(tmp_path, {f"demo/{EXT}": NEEDS, "demo/dep.dll": DLL})
    row = by_file(rows_of(tmp_path))[f"demo/{EXT}"]
    assert (row.verdict, row.basis, row.findings, row.reason, row.unreadable) == ("loads", "static", (), "", False)
    assert [(node.name, node.status) for node in row.nodes] == [(EXT, "found"), ("dep.dll", "found")]
    assert [(link.importer, link.imported, link.name, link.symbols) for link in row.links] == [(0, 1, "dep.dll", 1)]


def test_an_extension_whose_dll_is_nowhere_fails(tmp_path: Path) -> None:
    lay(tmp_path, {f"demo/{EXT}": NEEDS})
    row = only(rows_of(tmp_path))
    assert (row.verdict, said(row)) == ("fails", [("missing-dll", "dep.dll")])
    assert [(node.name, node.status, node.path) for node in row.nodes[1:]] == [("dep.dll", "missing", None)]


def test_whose_a_file_is_and_what_it_was_built_for_is_told(tmp_path: Path) -> None:
    install(tmp_path, {f"demo/{EXT}": pe(imports=NEEDS_PYTHON)}, named="Demo-1.2")
    file = only(rows_of(tmp_path)).file
    assert (file.distribution, file.version, file.architecture, file.python) == ("Demo", "1.2", "x64", "3.11")
    assert (file.kind, file.unit.kind, file.sha256) == ("extension", "site", "")


@pytest.mark.parametrize(
    ("name", "imports", "python"),
    [
        ("a.pyd", "python3.dll", "abi3"),
        ("a.pyd", "python39.dll", "3.9"),
        ("a.cp313t-win_amd64.pyd", "python313t.dll", "3.13t"),
        ("a.cp312-win_amd64.pyd", "kernel32.dll", "3.12"),
        ("a.pyd", "kernel32.dll", ""),
        ("a.dll", "python39.dll", ""),
    ],
)
def test_the_python_that_an_extension_was_built_for(name: str, imports: str, python: str, tmp_path: Path) -> None:
    lay(tmp_path, {name: pe(imports={imports: ["f"]})})
    assert only(rows_of(tmp_path)).file.python == python


def test_files_are_hashed_on_request(tmp_path: Path) -> None:
    import hashlib

    lay(tmp_path, {EXT: DLL})
    (row,) = rows_of(tmp_path, options={"hashed": True})
    assert row.file.sha256 == hashlib.sha256(DLL).hexdigest()


# ---- what a package adds


def test_what_a_package_adds_by_its_source_is_searched(tmp_path: Path) -> None:
    lay(tmp_path, {"demo/__init__.py": ADDS_LIB, f"demo/{EXT}": NEEDS, "demo/lib/dep.dll": DLL})
    row = by_file(rows_of(tmp_path))[f"demo/{EXT}"]
    assert (row.verdict, sources(row)) == ("loads", [str(tmp_path / "demo" / "__init__.py")])


def test_what_is_added_for_a_dll_that_only_an_added_directory_brings_is_searched(tmp_path: Path) -> None:
    second = ADDS_LIB + "os.add_dll_directory(os.path.join(here, 'more'))\n"
    lay(tmp_path, {"demo/__init__.py": second, f"demo/{EXT}": NEEDS})
    lay(tmp_path, {"demo/lib/dep.dll": pe(exports=["f"], imports={"deeper.dll": ["g"]})})
    lay(tmp_path, {"demo/more/deeper.dll": pe(exports=["g"])})
    assert verdicts(tmp_path)[f"demo/{EXT}"] == "loads"


def test_a_libs_directory_is_searched_by_convention(tmp_path: Path) -> None:
    lay(tmp_path / "site-packages", {"demo/__init__.py": "", f"demo/{EXT}": NEEDS, "demo.libs/dep.dll": DLL})
    assert verdicts(tmp_path / "site-packages")[f"demo/{EXT}"] == "loads"


def test_what_no_source_adds_is_not_searched(tmp_path: Path) -> None:
    lay(tmp_path, {"demo/__init__.py": HERE, f"demo/{EXT}": NEEDS, "demo/lib/dep.dll": DLL})
    row = by_file(rows_of(tmp_path))[f"demo/{EXT}"]
    assert (row.verdict, said(row)) == ("fails", [("missing-dll", "dep.dll")])


def test_what_a_package_loads_itself_counts_although_another_copy_lies_beside_the_extension(tmp_path: Path) -> None:
    preload = HERE + "import ctypes\nctypes.CDLL(os.path.join(here, 'lib', 'dep.dll'))\n"
    lay(tmp_path, {"demo/__init__.py": preload, f"demo/{EXT}": NEEDS, "demo/dep.dll": pe(exports=["g"])})
    lay(tmp_path, {"demo/lib/dep.dll": DLL})
    row = by_file(rows_of(tmp_path))[f"demo/{EXT}"]
    assert (row.verdict, row.nodes[1].path) == ("loads", str(tmp_path / "demo" / "lib" / "dep.dll"))


@pytest.mark.parametrize(
    "files",
    [
        {f"demo/{EXT}": NEEDS, "demo/dep.dll": DLL},
        {f"demo/{EXT}": NEEDS},
        {f"demo/{EXT}": NEEDS, "demo/dep.dll": DLL, "other/dep.dll": DLL},
        {f"demo/{EXT}": pe(imports={"kernel32.dll": ["Sleep"]}), "demo/lib/dep.dll": DLL},
        {f"demo/{EXT}": pe()},
    ],
    ids=[
        "all of it is beside",
        "what is missing is nowhere",
        "the other copy is of another package",
        "no DLL of the name",
        "no DLLs",
    ],
)
def test_source_is_not_read_where_it_could_change_nothing(files: dict[str, bytes], tmp_path: Path) -> None:
    lay(tmp_path / "site-packages", {"demo/__init__.py": ADDS_LIB, **files})
    assert sources(by_file(rows_of(tmp_path / "site-packages"))[f"demo/{EXT}"]) == []


# ---- DLLs


def test_a_dll_that_several_need_has_one_row_as_a_part(tmp_path: Path) -> None:
    lay(tmp_path, {"a.pyd": NEEDS, "b.pyd": NEEDS, "dep.dll": pe(exports=["f"], imports={"low.dll": ["g"]})})
    lay(tmp_path, {"low.dll": pe(exports=["g"])})
    rows = by_file(rows_of(tmp_path))
    part = rows["dep.dll"]
    assert sorted(rows) == ["a.pyd", "b.pyd", "dep.dll", "low.dll"]
    assert (part.verdict, part.reason) == (None, f"judged with {tmp_path / 'a.pyd'}, which needs it")
    assert [node.name for node in part.nodes] == ["dep.dll", "low.dll"]
    assert [(link.importer, link.imported, link.name) for link in part.links] == [(0, 1, "low.dll")]


def test_a_part_has_the_size_and_time_of_its_file(tmp_path: Path) -> None:
    lay(tmp_path, {"a.pyd": NEEDS, "dep.dll": DLL})
    facts, file = os.stat(tmp_path / "dep.dll"), by_file(rows_of(tmp_path))["dep.dll"].file
    assert (file.size, file.changed) == (facts.st_size, facts.st_mtime_ns)


def test_a_part_says_whose_it_is_and_what_it_is_for(tmp_path: Path) -> None:
    install(tmp_path, {"demo/a.pyd": NEEDS, "demo/dep.dll": DLL})
    file = by_file(rows_of(tmp_path))["demo/dep.dll"].file
    assert (file.distribution, file.version, file.architecture) == ("demo", "1.0", "x64")


def test_a_dll_that_nobody_needs_is_judged_itself(tmp_path: Path) -> None:
    lay(tmp_path, {"a.pyd": pe(), "plugin.dll": pe(imports={"gone.dll": ["f"]})})
    assert verdicts(tmp_path) == {"a.pyd": "loads", "plugin.dll": "fails"}


def test_dlls_that_only_each_other_need_are_judged_themselves(tmp_path: Path) -> None:
    lay(tmp_path, {"plugin.dll": NEEDS, "dep.dll": DLL})
    assert verdicts(tmp_path) == {"plugin.dll": "loads", "dep.dll": "loads"}


@pytest.mark.parametrize("name", ["plugin.dll", "program.exe"])
def test_what_lacks_only_dlls_that_are_installed_elsewhere_is_not_decided(name: str, tmp_path: Path) -> None:
    lay(tmp_path, {f"plugins/{name}": pe(dll=name[-3:] == "dll", imports={"dep.dll": ["f"]}), "bin/dep.dll": DLL})
    assert verdicts(tmp_path)[f"plugins/{name}"] == "unknown"


@pytest.mark.parametrize("name", ["plugin.dll", "program.exe"])
def test_what_also_lacks_a_dll_that_is_nowhere_fails(name: str, tmp_path: Path) -> None:
    content = pe(dll=name[-3:] == "dll", imports={"dep.dll": ["f"], "gone.dll": ["f"]})
    lay(tmp_path, {f"plugins/{name}": content, "bin/dep.dll": DLL})
    assert verdicts(tmp_path)[f"plugins/{name}"] == "fails"


def test_an_extension_that_lacks_a_dll_that_is_installed_elsewhere_fails(tmp_path: Path) -> None:
    lay(tmp_path, {f"demo/{EXT}": NEEDS, "bin/dep.dll": DLL})
    assert verdicts(tmp_path)[f"demo/{EXT}"] == "fails"


# ---- files that are for something else


def test_an_extension_of_another_python_is_passed_over_beside_the_fitting_one(tmp_path: Path) -> None:
    lay(
        tmp_path,
        {"python.exe": PYTHON[11], f"{SITE}/a.cp311-win_amd64.pyd": pe(), f"{SITE}/a.cp39-win_amd64.pyd": pe()},
    )
    assert verdicts(tmp_path / SITE) == {
        "a.cp311-win_amd64.pyd": "loads",
        "a.cp39-win_amd64.pyd": "it is for another Python, and a.cp311-win_amd64.pyd is there for 3.11",
    }


def test_an_extension_of_another_python_fails_alone(tmp_path: Path) -> None:
    lay(tmp_path, {"python.exe": PYTHON[11], f"{SITE}/a.cp39-win_amd64.pyd": pe(imports={"python39.dll": ["f"]})})
    row = only(rows_of(tmp_path / SITE))
    assert (row.verdict, said(row)) == ("fails", [("wrong-python", "python39.dll")])


def test_a_fitting_one_in_another_directory_is_another_module(tmp_path: Path) -> None:
    lay(tmp_path, {"python.exe": PYTHON[11], f"{SITE}/b/a.cp311-win_amd64.pyd": pe()})
    lay(tmp_path, {f"{SITE}/a.cp39-win_amd64.pyd": pe(imports={"python39.dll": ["f"]})})
    assert verdicts(tmp_path / SITE)["a.cp39-win_amd64.pyd"] == "fails"


def test_a_32_bit_program_among_64_bit_modules_is_judged(tmp_path: Path) -> None:
    lay(tmp_path, {EXT: pe(), "tool.exe": pe(dll=False, machine="x86", imports={"kernel32.dll": ["Sleep"]})})
    assert verdicts(tmp_path)["tool.exe"] == "loads"


def test_an_arm64_launcher_is_passed_over(tmp_path: Path) -> None:
    lay(tmp_path, {EXT: pe(), "t64.exe": pe(dll=False), "t64-arm.exe": pe(dll=False, machine="arm64")})
    assert verdicts(tmp_path) == {
        EXT: "loads",
        "t64.exe": "loads",
        "t64-arm.exe": "it is for arm64, which Windows 11 does not run",
    }


def test_a_64_bit_program_is_passed_over_on_32_bit_windows(tmp_path: Path) -> None:
    lay(tmp_path, {"t32.exe": pe(dll=False, machine="x86"), "t64.exe": pe(dll=False)})
    found = verdicts(tmp_path, windows=["10-x86"])
    assert found == {"t32.exe": "loads", "t64.exe": "it is for x64, which Windows 10-x86 does not run"}


def test_a_64_bit_extension_is_passed_over_on_32_bit_windows(tmp_path: Path) -> None:
    lay(tmp_path, {EXT: pe()})
    assert verdicts(tmp_path, windows=["10-x86"]) == {EXT: "it is for x64, which Windows 10-x86 does not run"}


def test_a_32_bit_dll_is_passed_over_for_a_64_bit_python(tmp_path: Path) -> None:
    lay(tmp_path, {"plugin.dll": pe(machine="x86")})
    told = "it is for x86, and the process asked about is x64"
    assert verdicts(tmp_path, python="3.11") == {"plugin.dll": told}


# ---- which Python


def python_of(*paths: object, **how: object) -> dict[str, str]:
    """Of each extension, the directory of the Python in which its missing DLL was looked for."""
    found = {}
    for name, row in by_file(rows_of(*paths, **how)).items():
        searched = next(fact for finding in row.findings for fact in finding.evidence if fact.startswith("searched: "))
        found[name] = searched.removeprefix("searched: ").split("; ")[1]
    return found


LACKS = pe(imports={"gone.dll": ["f"]})


def test_the_python_is_that_of_the_environment(tmp_path: Path) -> None:
    lay(tmp_path, {"python.exe": PYTHON[9], f"{SITE}/demo/a.pyd": LACKS})
    assert python_of(tmp_path / SITE) == {"demo/a.pyd": str(tmp_path)}


def test_the_python_of_a_conda_prefix_is_its_own(tmp_path: Path) -> None:
    lay(tmp_path, {"python.exe": PYTHON[9], "conda-meta/history": "", f"{SITE}/demo/a.pyd": LACKS})
    assert python_of(tmp_path)[f"{SITE}/demo/a.pyd"] == str(tmp_path)


def test_the_python_of_a_virtual_environment_is_the_one_that_it_was_made_of(tmp_path: Path) -> None:
    lay(tmp_path, {"base/python.exe": PYTHON[9], f"env/{SITE}/demo/a.pyd": LACKS, "env/Scripts/python.exe": PYTHON[11]})
    lay(tmp_path, {"env/pyvenv.cfg": f"home = {tmp_path / 'base'}\n"})
    assert python_of(tmp_path / "env") == {"demo/a.pyd": str(tmp_path / "base")}


def test_a_virtual_environment_from_another_machine_has_no_python(tmp_path: Path) -> None:
    lay(tmp_path, {f"{SITE}/demo/a.cp39-win_amd64.pyd": LACKS, "Scripts/python.exe": PYTHON[9]})
    lay(tmp_path, {"pyvenv.cfg": "home = C:\\Python39\n"})
    assert python_of(tmp_path) == {"demo/a.cp39-win_amd64.pyd": "C:\\Python39"}


def test_a_python_that_is_asked_for_goes_before_that_of_the_environment(tmp_path: Path) -> None:
    lay(tmp_path, {"python.exe": PYTHON[9], f"{SITE}/demo/a.pyd": LACKS})
    assert python_of(tmp_path / SITE, python="3.12") == {"demo/a.pyd": "C:\\Python312"}


def test_a_python_that_is_asked_for_goes_before_what_the_file_says(tmp_path: Path) -> None:
    lay(tmp_path, {"demo/a.pyd": pe(imports={"python39.dll": ["f"]})})
    assert ("wrong-python", "python39.dll") in said(only(rows_of(tmp_path, python="3.12")))


@pytest.mark.parametrize(
    ("name", "imports", "python"),
    [("a.cp39-win_amd64.pyd", {}, "C:\\Python39"), ("a.pyd", {"python310.dll": ["f"]}, "C:\\Python310")],
    ids=["its name", "what it imports"],
)
def test_without_an_environment_the_file_says_which(
    name: str, imports: Mapping[str, list[str]], python: str, tmp_path: Path
) -> None:
    lay(tmp_path, {f"demo/{name}": pe(imports={"gone.dll": ["f"], **imports})})
    assert python_of(tmp_path) == {f"demo/{name}": python}


def test_where_the_file_does_not_say_its_wheel_does(tmp_path: Path) -> None:
    install(tmp_path, {"demo/a.pyd": LACKS}, tags=["cp310-cp310-win_amd64"])
    lay(tmp_path, {"b.cp39-win_amd64.pyd": LACKS, "c.cp39-win_amd64.pyd": LACKS})
    assert python_of(tmp_path)["demo/a.pyd"] == "C:\\Python310"


def test_where_nothing_of_it_says_most_others_of_the_unit_do(tmp_path: Path) -> None:
    tagged = ["b.cp39-win_amd64.pyd", "c.cp39-win_amd64.pyd", "d.cp312-win_amd64.pyd"]
    lay(tmp_path, {"demo/a.pyd": LACKS, **dict.fromkeys(tagged, LACKS)})
    assert python_of(tmp_path)["demo/a.pyd"] == "C:\\Python39"


def test_where_nothing_says_it_is_a_recent_one(tmp_path: Path) -> None:
    lay(tmp_path, {"demo/a.pyd": LACKS})
    assert python_of(tmp_path) == {"demo/a.pyd": "C:\\Python314"}


def test_a_program_has_no_python(tmp_path: Path) -> None:
    lay(tmp_path, {"python.exe": PYTHON[9], "tool.exe": pe(dll=False, imports={"gone.dll": ["f"]})})
    row = by_file(rows_of(tmp_path))["tool.exe"]
    assert not any("Python" in fact for finding in row.findings for fact in finding.evidence)


# ---- what cannot be judged


def test_a_file_that_is_gone_since_it_was_listed_is_told(tmp_path: Path) -> None:
    lay(tmp_path, {"a.pyd": pe(), "b.pyd": pe()})
    scan = scan_of(tmp_path)
    (tmp_path / "a.pyd").unlink()
    rows = by_file(scan.rows())
    assert (rows["a.pyd"].verdict, rows["a.pyd"].unreadable) == (None, True)
    assert rows["a.pyd"].reason
    assert rows["b.pyd"].verdict == "loads"


def test_a_wheel_that_is_gone_since_it_was_listed_is_told(tmp_path: Path) -> None:
    path = make_wheel(tmp_path, {EXT: pe()})
    scan = scan_of(path)
    path.unlink()
    row = only(list(scan.rows()))
    assert (row.verdict, row.unreadable, bool(row.reason)) == (None, True, True)


def test_a_wheel_that_is_gone_while_it_is_judged_keeps_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_wheel(tmp_path, {f"demo/{EXT}": LACKS})
    real = work.judge

    def judge(*arguments: Any) -> Judged:
        path.unlink(missing_ok=True)
        return real(*arguments)

    monkeypatch.setattr(work, "judge", judge)
    assert verdicts(path) == {f"demo/{EXT}": "fails"}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello\n", "not a Windows DLL or program"),
        (b"\x7fELF" + bytes(60), "not a Windows DLL or program but an ELF file (for Linux)"),
    ],
)
def test_an_extension_that_is_no_pe_file_is_told(content: bytes, reason: str, tmp_path: Path) -> None:
    lay(tmp_path, {"a.pyd": content})
    row = only(rows_of(tmp_path))
    assert (row.verdict, row.unreadable, row.reason) == (None, True, reason)


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    lay(tmp_path, {"a.pyd": pe()})
    (tmp_path / "a.pyd").chmod(0)
    if os.access(tmp_path / "a.pyd", os.R_OK):
        pytest.skip("this user may read every file, or this system has no such permission")
    row = only(rows_of(tmp_path))
    assert (row.verdict, row.unreadable) == (None, True)


@pytest.mark.skipif(os.name == "nt", reason="made as on POSIX systems")
@pytest.mark.parametrize("name", ["a.dll", "a-1-py3-none-any.whl"])
def test_a_link_to_nowhere_has_one_row(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to("nothere")
    row = only(rows_of(tmp_path))
    assert (row.verdict, row.unreadable, row.reason) == (None, True, "No such file or directory")


def test_what_cannot_be_read_has_a_row_for_each_case(tmp_path: Path) -> None:
    lay(tmp_path, {"a.pyd": b""})
    assert by_case(rows_of(tmp_path, windows=["10", "11"])).keys() == {
        case for case, _ in scan_of(tmp_path, windows=["10", "11"]).cases
    }


# ---- a matrix


def test_each_case_has_its_own_row(tmp_path: Path) -> None:
    lay(tmp_path, {"a.pyd": pe(imports={"vcruntime140.dll": ["memset"]})})
    rows = rows_of(tmp_path, windows=["7", "11"], runtimes=("vc14",), also_without_runtime=True, python="3.8")
    assert {row.case.label: row.verdict for row in rows} == {
        "7": "loads",  # python.exe brings it
        "7 + vc14": "loads",
        "11": "loads",
        "11 + vc14": "loads",
    }


def test_a_runtime_that_is_assumed_makes_a_difference(tmp_path: Path) -> None:
    lay(tmp_path, {"a.pyd": pe(imports={"msvcp140.dll": ["f"]})})
    rows = rows_of(tmp_path, windows=["11"], runtimes=("vc14",), also_without_runtime=True)
    assert {row.case.label: row.verdict for row in rows} == {"11": "fails", "11 + vc14": "loads"}


def test_a_case_that_is_asked_for_twice_is_judged_once(tmp_path: Path) -> None:
    lay(tmp_path, {"a.pyd": pe()})
    assert len(rows_of(tmp_path, windows=["11", "11"])) == 1


def test_a_part_in_one_case_and_by_itself_in_another_has_a_row_for_each(tmp_path: Path) -> None:
    lay(tmp_path, {"a.pyd": pe(imports={"msvcp140.dll": ["f"]}), "msvcp140.dll": DLL})
    lay(tmp_path, {"sub/b.pyd": NEEDS, "sub/dep.dll": DLL})
    rows = rows_of(tmp_path, windows=["10", "11"])
    assert sorted((row.case.label, os.path.basename(row.file.path)) for row in rows) == sorted(
        (label, name) for label in ("10", "11") for name in ("a.pyd", "b.pyd", "dep.dll", "msvcp140.dll")
    )


SYSTEM = {
    "kernel32.dll": "Sleep",
    "msvcp140.dll": "_Xtime_get_ticks",
    "vcruntime140.dll": "memset",
    "ucrtbase.dll": "malloc",
    "msvcp120.dll": "_Xtime_get_ticks",
    "dxgi.dll": "CreateDXGIFactory",
    "api-ms-win-crt-runtime-l1-1-0.dll": "_initterm",
    "api-ms-win-core-path-l1-1-0.dll": "PathCchAppend",
    "python311.dll": "PyModule_Create2",
    "python39.dll": "PyModule_Create2",
    "gone.dll": "f",
}


def generated(seed: int) -> dict[str, bytes | str]:
    """Packages whose extensions need DLLs that are there, nowhere, or where only source makes them be found."""
    chosen = random.Random(seed)
    files: dict[str, bytes | str] = {}
    for number in range(6):
        folder, libs = f"p{number}", chosen.choice(["lib", "", "bin"])
        own = [f"d{number}{letter}.dll" for letter in "abc"]

        def needs(count: int, among: list[str]) -> dict[str, list[str]]:
            return {name: [SYSTEM.get(name) or chosen.choice("fg")] for name in chosen.sample(among, count)}

        for index, name in enumerate(own):
            place = chosen.choice([folder, f"{folder}/{libs}".rstrip("/"), f"p{number}.libs"])
            facts = {"exports": ["f", "g"][: chosen.choice([1, 2, 2])], "machine": chosen.choice(["x64"] * 5 + ["x86"])}
            if chosen.random() < 0.9:
                files[f"{place}/{name}"] = pe(imports=needs(1, own[index + 1 :] * 3 + list(SYSTEM)), **facts)  # type: ignore[arg-type]  # drawn
        for letter in "xy":
            tag = chosen.choice(["", ".cp311-win_amd64", ".cp39-win_amd64", ".pypy"])
            delayed = needs(1, own) if chosen.random() < 0.3 else None
            files[f"{folder}/{letter}{tag}.pyd"] = pe(imports=needs(2, [*own, *SYSTEM]), delay=delayed)
        lines = [HERE, f"os.add_dll_directory(os.path.join(here, {libs!r}))\n"]
        files[f"{folder}/__init__.py"] = "".join(lines[: chosen.choice([0, 1, 2, 2])])
    return files


def but_for_the_search(finding: Finding) -> Finding:
    """Without where was looked: what is nowhere is not looked for in what only source adds."""
    return finding._replace(evidence=tuple(fact for fact in finding.evidence if not fact.startswith("searched: ")))


@pytest.mark.parametrize("seed", range(8))
def test_a_row_says_what_is_said_of_the_same_file_alone(seed: int, tmp_path: Path) -> None:
    site = lay(tmp_path / "site-packages", generated(seed))
    rows = rows_of(site, windows=["7", "11"], runtimes=("vc14",), also_without_runtime=True, python="3.11")
    asked = [row for row in rows if row.file.kind == "extension"]
    assert len(asked) == 6 * 2 * 4
    for row in asked:
        alone = depwalk.diagnose(
            row.file.path, windows=row.case.windows, runtimes=row.case.runtimes, python="3.11", load=False
        )
        assert (row.verdict, row.basis) == (alone.verdict, alone.basis), row.file.path
        assert [but_for_the_search(found) for found in row.findings] == [but_for_the_search(f) for f in alone.findings]
        assert [(node.name, node.path, node.status) for node in row.nodes] == [
            (module.name, module.path, module.status) for module in alone.graph.modules
        ]


# ---- wheels


def without_places(rows: list[Row]) -> dict[str, tuple[object, ...]]:
    """What rows say, with the unit's path taken out of the sentences, and each tree as a set."""
    found = {}
    for name, row in by_file(rows).items():
        if row.file.kind != "wheel":
            unit = re.escape(row.file.unit.path)
            told = [
                (finding.code, finding.module, re.sub(unit, "SITE", repr((finding.message, finding.evidence))))
                for finding in row.findings
            ]
            nodes = {(node.name, node.status, node.depth, re.sub(unit, "SITE", node.path or "")) for node in row.nodes}
            file = row.file
            facts = (file.kind, file.size, file.distribution, file.version, file.architecture, file.python)
            found[name] = (row.verdict, re.sub(unit, "SITE", row.reason), told, nodes, facts, len(sources(row)))
    return found


CONTENTS: dict[str, dict[str, bytes | str]] = {
    "everything is there": {f"demo/{EXT}": NEEDS, "demo/dep.dll": DLL},
    "a DLL is missing": {f"demo/{EXT}": NEEDS},
    "a DLL of a DLL is missing": {f"demo/{EXT}": NEEDS, "demo/dep.dll": pe(exports=["f"], imports={"gone.dll": ["f"]})},
    "a directory is added": {"demo/__init__.py": ADDS_LIB, f"demo/{EXT}": NEEDS, "demo/lib/dep.dll": DLL},
    "a directory is not added": {"demo/__init__.py": HERE, f"demo/{EXT}": NEEDS, "demo/lib/dep.dll": DLL},
    "a libs directory": {"demo/__init__.py": "", f"demo/{EXT}": NEEDS, "demo.libs/dep.dll": DLL},
    "another case": {f"Demo/{EXT}": NEEDS, "Demo/DEP.DLL": DLL},
    "an export is missing": {f"demo/{EXT}": pe(imports={"dep.dll": ["g"]}), "demo/dep.dll": DLL},
    "the wrong architecture": {f"demo/{EXT}": NEEDS, "demo/dep.dll": pe(exports=["f"], machine="x86")},
    "a damaged DLL": {f"demo/{EXT}": NEEDS, "demo/dep.dll": DLL[:700]},
    "a DLL that is none": {f"demo/{EXT}": NEEDS, "demo/dep.dll": b"hello"},
    "programs": {"demo/t64.exe": pe(dll=False, imports={"dep.dll": ["f"]}), "demo/bin/dep.dll": DLL, "demo/a.exe": b""},
    "several Pythons": {"demo/a.cp39-win_amd64.pyd": pe(), f"demo/{EXT}": pe(), "demo/a.pyd": pe()},
    "nothing is tagged": {"demo/a.pyd": LACKS},
}


@pytest.mark.parametrize("files", CONTENTS.values(), ids=CONTENTS)
def test_a_wheel_is_judged_as_the_directory_that_it_is_unpacked_to(
    files: dict[str, bytes | str], tmp_path: Path
) -> None:
    contents = {name: content.encode() if isinstance(content, str) else content for name, content in files.items()}
    wheel = make_wheel(tmp_path, contents)
    site = lay(tmp_path / "site-packages", installed(contents, "demo", "1.0", "cp311-cp311-win_amd64"))
    assert without_places(rows_of(wheel, python="3.11")) == without_places(rows_of(site, python="3.11"))


@pytest.mark.parametrize("seed", range(3))
def test_a_large_wheel_too(seed: int, tmp_path: Path) -> None:
    files = {name: text.encode() if isinstance(text, str) else text for name, text in generated(seed).items()}
    site = lay(tmp_path / "site-packages", installed(files, "demo", "1.0", "cp311-cp311-win_amd64"))
    wheel = make_wheel(tmp_path, files)
    assert without_places(rows_of(wheel, python="3.11")) == without_places(rows_of(site, python="3.11"))


@pytest.mark.parametrize(
    ("tag", "python"),
    [
        ("cp310-cp310-win_amd64", "C:\\Python310"),
        ("cp313-cp313t-win_amd64", "C:\\Python313t"),
        ("cp310-cp310-win32", "C:\\Python310-32"),
        ("cp38-abi3-win_amd64", "C:\\Python314"),
        ("py3-none-win_amd64", "C:\\Python314"),
        ("py3-none-any", "C:\\Python314"),
    ],
)
def test_the_python_of_a_wheel_is_that_of_its_tags_or_a_recent_one(tag: str, python: str, tmp_path: Path) -> None:
    machine = "x86" if tag.endswith("win32") else "x64"
    wheel = make_wheel(tmp_path, {"demo/a.pyd": pe(imports={"gone.dll": ["f"]}, machine=machine)}, tag=tag)
    assert python_of(wheel) == {"demo/a.pyd": python}


def test_a_wheel_for_another_python_than_the_one_asked_for_is_told_and_not_judged(tmp_path: Path) -> None:
    row = only(rows_of(make_wheel(tmp_path, {"demo/a.pyd": LACKS}), python="3.12"))
    assert (row.file.kind, row.verdict, row.unreadable, row.reason) == (
        "wheel",
        None,
        False,
        "it is not for Python 3.12",
    )


def test_what_a_wheel_has_for_site_packages_elsewhere_is_there(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, {f"demo/{EXT}": NEEDS, "demo-1.0.data/platlib/demo/dep.dll": DLL})
    assert verdicts(wheel)[f"demo/{EXT}"] == "loads"


def test_a_wheel_without_anything_to_load_has_a_row_that_says_so(tmp_path: Path) -> None:
    row = only(rows_of(make_wheel(tmp_path, {"demo/__init__.py": ""})))
    assert (row.file.kind, row.verdict, row.unreadable) == ("wheel", None, False)
    assert row.reason == "it has no .pyd, .dll or .exe file"
    assert (row.file.distribution, row.file.version) == ("demo", "1.0")


def test_a_file_in_a_wheel_is_told_by_its_path_behind_that_of_the_wheel(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, {f"demo/{EXT}": pe()})
    file = only(rows_of(wheel)).file
    assert (file.path, file.changed) == (os.path.join(wheel, "demo", EXT), 0)


# ---- wheels that need each other

NEEDS_OTHER = {
    "demo/__init__.py": HERE + "os.add_dll_directory(os.path.join(here, '..', 'other'))\n",
    f"demo/{EXT}": NEEDS,
}


def house(
    folder: Path, requires: list[str], other: str = "other", tag: str = "cp311-cp311-win_amd64", **how: str
) -> str | None:
    """The verdict on an extension whose DLL another wheel beside it has."""
    make_wheel(folder, NEEDS_OTHER, requires=requires, **how)
    make_wheel(folder, {"other/dep.dll": DLL}, name=other, tag=tag)
    row = next(row for row in rows_of(folder) if row.file.path.endswith(EXT))
    return row.verdict


@pytest.mark.parametrize(
    "requires",
    ["other", "Other", "other>=1.0", "other (>=1.0)", "other[all]>=1", "other ; python_version >= '3.8'"],
)
def test_a_wheel_has_the_dlls_of_a_wheel_that_it_requires(requires: str, tmp_path: Path) -> None:
    assert house(tmp_path, [requires]) == "loads"


def test_a_wheel_lacks_them_if_that_is_not_there(tmp_path: Path) -> None:
    make_wheel(tmp_path, NEEDS_OTHER, requires=["other"])
    assert [row.verdict for row in rows_of(tmp_path)] == ["fails"]


def test_a_wheel_lacks_the_dlls_of_one_that_it_does_not_require(tmp_path: Path) -> None:
    assert house(tmp_path, []) == "fails"


def test_a_wheel_lacks_the_dlls_of_one_that_only_an_extra_requires(tmp_path: Path) -> None:
    assert house(tmp_path, ["other ; extra == 'full'"]) == "fails"


def test_what_may_come_from_a_required_wheel_that_is_not_there_is_not_decided(tmp_path: Path) -> None:
    row = only(rows_of(make_wheel(tmp_path, NEEDS_OTHER, requires=["big-dep"])))
    assert (row.verdict, said(row)) == ("unknown", [("analysis-incomplete", "dep.dll"), ("missing-dll", "dep.dll")])
    assert row.findings[0].message.startswith("demo requires big-dep, which is not among what is scanned")


def test_what_is_required_in_turn_is_there_too(tmp_path: Path) -> None:
    make_wheel(tmp_path, {"between/__init__.py": ""}, name="between", tag="py3-none-any", requires=["other"])
    assert house(tmp_path, ["between"]) == "loads"


def test_wheels_that_require_each_other_come_to_an_end(tmp_path: Path) -> None:
    make_wheel(tmp_path, {"between/__init__.py": ""}, name="between", tag="py3-none-any", requires=["demo", "between"])
    assert house(tmp_path, ["between", "other"]) == "loads"


@pytest.mark.parametrize("name", ["Big.Other", "big_other"])
def test_names_of_wheels_are_compared_as_installers_do(name: str, tmp_path: Path) -> None:
    assert house(tmp_path, ["big-other"], other=name) == "loads"


@pytest.mark.parametrize(
    "tag",
    ["cp311-cp311-win_amd64", "cp311-abi3-win_amd64", "cp38-abi3-win_amd64", "py3-none-win_amd64", "py3-none-any"],
)
def test_wheels_whose_tags_fit_go_together(tag: str, tmp_path: Path) -> None:
    assert house(tmp_path, ["other"], tag=tag) == "loads"


@pytest.mark.parametrize("tag", ["cp310-cp310-win_amd64", "cp311-cp311-win32", "py3-none-win_arm64"])
def test_wheels_for_something_else_do_not(tag: str, tmp_path: Path) -> None:
    assert house(tmp_path, ["other"], tag=tag) == "fails"


def test_of_several_wheels_the_fitting_one_is_taken(tmp_path: Path) -> None:
    make_wheel(tmp_path, {"other/dep.dll": pe(exports=["f"], machine="x86")}, name="other", tag="cp311-cp311-win32")
    assert house(tmp_path, ["other"]) == "loads"


def test_what_is_required_and_no_archive_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    (tmp_path / "other-1.0-py3-none-any.whl").write_bytes(b"no archive")
    make_wheel(tmp_path, NEEDS_OTHER, requires=["other"])
    found = {os.path.basename(row.file.path): row.verdict or row.reason for row in rows_of(tmp_path)}
    assert found == {EXT: "fails", "other-1.0-py3-none-any.whl": "it is no zip archive"}


# ---- in Python


def test_a_program_can_scan(tmp_path: Path) -> None:
    lay(tmp_path, {f"demo/{EXT}": pe(imports={"msvcp140.dll": ["_Xtime_get_ticks"]})})
    rows = depwalk.scan([tmp_path], windows=["11"], runtimes=["vc14"], also_without_runtime=True)
    assert {row.case.label: row.verdict for row in rows} == {"11": "fails", "11 + vc14": "loads"}


@pytest.mark.parametrize("asked", [{"python": "2.7"}, {"windows": ["95"]}, {"runtimes": ["vc13"]}, {"root": "nothere"}])
def test_a_program_that_asks_for_what_is_not_known_is_told_before_the_first_row(
    asked: dict[str, Any], tmp_path: Path
) -> None:
    lay(tmp_path, {EXT: pe()})
    with pytest.raises(ValueError, match=r"2\.7|95|vc13|nothere"):
        depwalk.scan([tmp_path], **{"windows": ["11"], **asked})
