"""Search: the order of the rules for each kind of load, and the file that a name resolves to (windows-loader 1)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from pe_maker import pe
from targets import searched, target

from depwalk import image, search
from depwalk.search import Process, Resolution, find

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.search import Rule
    from depwalk.target import Target

BEFORE = ["api-set", "side-by-side", "loaded", "known-dlls"]
LEGACY = ["System32", "System", "Windows directory"]


def order(place: Target, name: str, *, dll: bool = True) -> list[str]:
    return searched(search.order(place, name, image.parse(pe(dll=dll))))


def paths(rules: tuple[Rule, ...], name: str) -> list[str]:
    """Directories of the rules of a name, in order."""
    return [rule.directory.path for rule in rules if rule.directory is not None and rule.name == name]


# ---- the order ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("python", "name", "dll", "directories"),
    [
        ("3.8", "a.pyd", True, ["directory of the file", "application directory", "System32"]),
        ("3.14", "a.pyd", True, ["directory of the file", "application directory", "System32"]),
        ("3.11", "a.dll", True, ["directory of the file", "application directory", "System32"]),
        ("3.7", "a.pyd", True, ["directory of the file", *LEGACY, "current directory", "PATH"]),
        ("3.5", "a.pyd", True, ["directory of the file", *LEGACY, "current directory", "PATH"]),
        ("3.7", "a.dll", True, ["application directory", *LEGACY, "current directory", "PATH"]),
        ("3.11", "a.exe", False, ["directory of the program", *LEGACY, "current directory", "PATH"]),
        (None, "a.exe", False, ["directory of the program", *LEGACY, "current directory", "PATH"]),
        (None, "a.dll", True, [*LEGACY, "current directory", "PATH"]),
    ],
)
def test_order(python: str | None, name: str, dll: bool, directories: list[str], tmp_path: Path) -> None:
    place = target("10", python, path=["on_path"], cwd=tmp_path)
    assert order(place, name, dll=dll) == BEFORE + directories


def test_a_current_directory_that_is_not_known_is_not_searched() -> None:
    assert order(target("10", "3.7"), "a.pyd") == [*BEFORE, "directory of the file", *LEGACY]


def test_added_directories_are_searched_last_added_first() -> None:
    rules = search.order(target("10", "3.11", dll_dirs=["one", "two"]), "a.pyd", image.parse(pe()))
    assert searched(rules)[-4:] == ["application directory", "added directory", "added directory", "System32"]
    assert paths(rules, "added directory") == ["two", "one"]


def test_before_3_8_an_added_directory_goes_in_front_of_path() -> None:
    place = target("10", "3.7", dll_dirs=["added"], path=["on_path"])
    assert paths(search.order(place, "a.pyd", image.parse(pe())), "PATH") == ["added", "on_path"]


def test_path_does_not_count_since_3_8(tmp_path: Path) -> None:
    assert "PATH" not in order(target("10", "3.8", path=["on_path"], cwd=tmp_path), "a.pyd")


@pytest.mark.parametrize(("minor", "folders"), [(9, []), (10, ["mingw-w64/bin", "usr/bin", "bin", "Scripts", "bin"])])
def test_conda_adds_its_own_directories_after_the_users(minor: int, folders: list[str]) -> None:
    place = target("10", f"3.{minor}", dll_dirs=["mine"])
    assert place.python is not None
    conda = place._replace(python=place.python._replace(conda=True))
    rules = search.order(conda, "a.pyd", image.parse(pe()))
    added = [path.replace("\\", "/") for path in paths(rules, "added by conda")]
    assert [path.endswith(folder) for path, folder in zip(added, folders)] == [True] * len(folders)
    assert len(added) == len(folders)
    names = searched(rules)
    assert names[names.index("added directory") + 1 :] == ["added by conda"] * len(folders) + ["System32"]


@pytest.mark.parametrize(
    ("flags", "directories"),
    [
        (0x100, ["directory of the file"]),
        (0x200, ["application directory"]),
        (0x400, ["added directory"]),
        (0x800, ["System32"]),
        (0x1000, ["application directory", "added directory", "System32"]),
        (0x1100, ["directory of the file", "application directory", "added directory", "System32"]),
        (0xA00, ["application directory", "System32"]),
    ],
)
def test_search_flags(flags: int, directories: list[str]) -> None:
    rules = search.by_flags(target("10", "3.11", dll_dirs=["added"]), flags, "here")
    assert searched(rules) == BEFORE + directories


@pytest.mark.parametrize(
    ("python", "name", "directories"),
    [
        ("3.11", "a.pyd", ["application directory", *LEGACY, "PATH"]),
        ("3.7", "a.pyd", ["application directory", *LEGACY, "PATH"]),
        (None, "a.exe", ["application directory", *LEGACY, "PATH"]),
        (None, "a.dll", [*LEGACY, "PATH"]),
    ],
)
def test_a_delayed_load_searches_the_default_order(python: str | None, name: str, directories: list[str]) -> None:
    assert searched(search.delayed_order(target("10", python, path=["on_path"]), name)) == BEFORE + directories


def test_an_assumed_runtime_comes_right_after_system32() -> None:
    place = target("10", "3.11", runtimes=("vc14=14.38",))
    assert order(place, "a.pyd")[-2:] == [
        "System32",
        "System32, with the Visual C++ runtime 2015-2026 14.38 assumed",
    ]


def test_every_rule_names_its_source(tmp_path: Path) -> None:
    for python in ("3.11", "3.7", None):
        place = target("10", python, path=["on_path"], cwd=tmp_path, dll_dirs=["added"], runtimes=("vc14",))
        for rule in (*search.order(place, "a.pyd", image.parse(pe())), *search.delayed_order(place, "a.pyd")):
            assert rule.source.startswith(("windows-loader 1.", "--with-runtime"))


@pytest.mark.parametrize(
    ("value", "entries"),
    [
        ("C:\\a;C:\\b", ("C:\\a", "C:\\b")),
        (";;C:\\a;", ("C:\\a",)),
        ('"C:\\a b";C:\\c', ('"C:\\a b"', "C:\\c")),
        ('"C:\\a;b"', ('"C:\\a', 'b"')),
        ("%HOME%\\x", ("%HOME%\\x",)),
        ("", ()),
    ],
)
def test_path_is_split_at_semicolons_and_nothing_else_is_done_to_it(value: str, entries: tuple[str, ...]) -> None:
    assert search.path_entries(value, ";") == entries


# ---- one name ----------------------------------------------------------------------------------------------------


def look(name: str, place: Target, beside: Path, *, loaded: dict[str, Resolution] | None = None) -> Resolution:
    """Search for a name as an extension in `beside` would import it."""
    process = Process(place, loaded=loaded or {})
    return find(name, "importer.pyd", search.order(place, str(beside / "importer.pyd"), image.parse(pe())), process)


def where(found: Resolution) -> tuple[str, str | None]:
    return found.status, found.rule.name if found.rule else None


@pytest.mark.parametrize("name", ["dep.dll", "DEP.DLL", "dep", "dep.dll  "])
def test_a_name_is_completed_and_matched_without_regard_to_case(name: str, make_pe: MakePE) -> None:
    path = make_pe("dep.dll")
    found = look(name, target(), path.parent)
    assert (found.status, found.path) == ("found", str(path))


@pytest.mark.parametrize(("name", "file"), [("dep.", "dep"), ("dep.ocx", "dep.ocx"), ("dep.1", "dep.1")])
def test_a_name_with_a_dot_gets_no_extension(name: str, file: str, make_pe: MakePE) -> None:
    make_pe("dep.dll")
    path = make_pe(file)
    found = look(name, target(), path.parent)
    assert (found.status, found.path) == ("found", str(path))


def test_a_name_with_a_dot_does_not_find_the_dll(make_pe: MakePE) -> None:
    assert look("dep.", target(), make_pe("dep.dll").parent).status == "missing"


def test_a_dot_in_the_directory_is_no_extension(make_pe: MakePE) -> None:
    path = make_pe("v1.0/dep.dll")
    assert look("v1.0\\dep", target(), path.parent.parent).path == str(path)


def test_a_name_with_a_directory_is_appended_to_each_searched_one(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("beside/other.dll")
    path = make_pe("added/sub/dep.dll")
    found = look("sub\\dep.dll", target(dll_dirs=[tmp_path / "added"]), tmp_path / "beside")
    assert (where(found), found.path) == (("found", "added directory"), str(path))


def test_a_name_with_a_directory_is_not_the_loaded_module_of_that_name(make_pe: MakePE, tmp_path: Path) -> None:
    path = make_pe("beside/sub/dep.dll")
    before = Resolution("dep.dll", "found", "elsewhere/dep.dll")
    found = look("sub\\dep.dll", target(), tmp_path / "beside", loaded={"dep.dll": before})
    assert found.path == str(path)


def test_a_name_with_a_directory_is_not_a_known_dll(make_pe: MakePE, tmp_path: Path) -> None:
    path = make_pe("beside/sub/kernel32.dll")
    assert look("sub\\kernel32.dll", target(), tmp_path / "beside").path == str(path)


@pytest.mark.parametrize("first", range(4))
def test_the_first_directory_that_has_it_wins(first: int, make_pe: MakePE, tmp_path: Path) -> None:
    holders = ["beside", "app", "last_added", "first_added"][first:]
    for name in holders:
        make_pe(f"{name}/dep.dll")
    place = target(app=tmp_path / "app", dll_dirs=[tmp_path / "first_added", tmp_path / "last_added"])
    assert look("dep.dll", place, tmp_path / "beside").path == str(tmp_path / holders[0] / "dep.dll")


def test_what_was_tried_is_told_with_reasons(make_pe: MakePE, tmp_path: Path) -> None:
    place = target(app=make_pe("app/other.dll").parent, dll_dirs=[tmp_path / "gone"])
    found = look("dep.dll", place, tmp_path)
    assert [(tried.rule.name, tried.reason) for tried in found.tried] == [
        ("directory of the file", "not there"),
        ("application directory", "not there"),
        ("added directory", "no such directory"),
        ("System32", "not there"),
    ]


@pytest.mark.parametrize(
    ("name", "system", "found"),
    [
        ("kernel32.dll", "10", ("system", "KnownDLLs")),
        ("ucrtbase.dll", "10", ("system", "KnownDLLs")),
        ("version.dll", "10", ("found", "directory of the file")),
        ("vcruntime140.dll", "10", ("found", "directory of the file")),
        ("ucrtbase.dll", "7", ("found", "directory of the file")),
    ],
)
def test_known_dlls_beat_the_copy_beside_the_file(
    name: str, system: str, found: tuple[str, str], make_pe: MakePE
) -> None:
    path = make_pe(name)
    assert where(look(name, target(system), path.parent)) == found


def test_a_loaded_module_beats_the_copy_beside_the_file(make_pe: MakePE, tmp_path: Path) -> None:
    beside = make_pe("beside/zlib1.dll").parent
    before = Resolution("zlib1.dll", "found", str(make_pe("before/zlib1.dll")))
    found = look("ZLIB1.dll", target(), beside, loaded={"zlib1.dll": before})
    assert (where(found), found.path) == (("found", "already loaded"), before.path)


def test_a_loaded_module_is_matched_with_its_extension(make_pe: MakePE) -> None:
    path = make_pe("zlib1.ocx")
    before = Resolution("zlib1.dll", "found", "elsewhere/zlib1.dll")
    assert look("zlib1.ocx", target(), path.parent, loaded={"zlib1.dll": before}).path == str(path)


# ---- API sets ----------------------------------------------------------------------------------------------------


def test_an_api_set_becomes_its_host(tmp_path: Path) -> None:
    found = look("api-ms-win-crt-runtime-l1-1-0.dll", target("10"), tmp_path)
    assert (found.name, *where(found)) == ("ucrtbase.dll", "system", "KnownDLLs")


def test_a_file_named_like_an_api_set_is_ignored_where_windows_has_the_set(make_pe: MakePE) -> None:
    path = make_pe("api-ms-win-crt-runtime-l1-1-0.dll")
    assert look(path.name, target("10"), path.parent).name == "ucrtbase.dll"


@pytest.mark.parametrize("system", ["7", "8", "8.1"])
def test_a_file_named_like_an_api_set_is_used_where_windows_has_no_such_set(system: str, make_pe: MakePE) -> None:
    path = make_pe("api-ms-win-crt-runtime-l1-1-0.dll")
    found = look(path.name, target(system), path.parent)
    assert (found.status, found.path) == ("found", str(path))


def test_windows_7_has_api_sets_as_files_in_system32(tmp_path: Path) -> None:
    assert where(look("api-ms-win-core-file-l1-1-0.dll", target("7"), tmp_path)) == ("system", "System32")


def test_a_set_without_a_host_is_missing_at_once(make_pe: MakePE) -> None:
    path = make_pe("api-ms-win-deprecated-apis-advapi-l1-1-0.dll")
    found = look(path.name, target("10"), path.parent)
    assert (found.status, found.tried) == ("missing", ())
    assert "has no host" in found.reason


@pytest.mark.parametrize("system", ["7", "8.1", "10", "11"])
@pytest.mark.parametrize("name", ["api-foo.dll", "ext-foo.dll"])
def test_a_name_that_no_map_can_have_is_an_ordinary_file(name: str, system: str, make_pe: MakePE) -> None:
    path = make_pe(name)
    assert look(name, target(system), path.parent).path == str(path)


def test_an_unknown_set_is_missing_where_the_map_is_complete(tmp_path: Path) -> None:
    assert look("api-ms-win-future-l1-1-0.dll", target("10"), tmp_path).status == "missing"


def test_an_unknown_set_is_not_judged_where_the_map_is_not_complete(tmp_path: Path) -> None:
    found = look("api-ms-win-future-l1-1-0.dll", target("11"), tmp_path)
    assert found.status == "api-set"
    assert found.reason.startswith("not known whether")


# ---- what is wrong with a file -----------------------------------------------------------------------------------


def test_the_wrong_architecture_does_not_stop_the_search(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("beside/dep.dll", machine="x86")
    right = make_pe("added/dep.dll")
    found = look("dep.dll", target(dll_dirs=[tmp_path / "added"]), tmp_path / "beside")
    assert (found.status, found.path) == ("found", str(right))
    assert found.tried[0].reason == "x86, but the process is x64"


def test_the_wrong_architecture_is_the_result_if_nothing_else_is_found(make_pe: MakePE, tmp_path: Path) -> None:
    first = make_pe("beside/dep.dll", machine="x86")
    make_pe("added/dep.dll", machine="arm64")
    found = look("dep.dll", target(dll_dirs=[tmp_path / "added"]), tmp_path / "beside")
    assert (found.status, found.path, found.reason) == (
        "wrong-architecture",
        str(first),
        "x86, but the process is x64",
    )


@pytest.mark.parametrize("content", [b"", b"no DLL", pe()[:300]])
def test_a_corrupt_first_match_is_final(content: bytes, make_pe: MakePE, tmp_path: Path) -> None:
    first = make_pe("beside/dep.dll")
    first.write_bytes(content)
    make_pe("added/dep.dll")
    found = look("dep.dll", target(dll_dirs=[tmp_path / "added"]), tmp_path / "beside")
    assert (found.status, found.path) == ("corrupt", str(first))
    assert found.reason


def test_a_directory_of_the_name_is_final(make_pe: MakePE, tmp_path: Path) -> None:
    (tmp_path / "beside" / "dep.dll").mkdir(parents=True)
    make_pe("added/dep.dll")
    found = look("dep.dll", target(dll_dirs=[tmp_path / "added"]), tmp_path / "beside")
    assert found.status == "blocked"


def test_a_defect_that_the_loader_accepts_does_not_matter(make_pe: MakePE) -> None:
    assert look("dep.dll", target(), make_pe("dep.dll", exports=["b", "a"]).parent).status == "found"


# ---- PATH entries ------------------------------------------------------------------------------------------------


def test_a_quoted_path_entry_is_dead(make_pe: MakePE, tmp_path: Path) -> None:
    folder = make_pe("on path/dep.dll").parent
    assert look("dep.dll", target("10", "3.7", path=[f'"{folder}"']), tmp_path / "beside").status == "missing"


@pytest.mark.parametrize("end", ["", "/", "/.", "/../on_path"])
def test_a_path_entry_is_normalised(end: str, make_pe: MakePE, tmp_path: Path) -> None:
    folder = make_pe("on_path/dep.dll").parent
    found = look("dep.dll", target("10", "3.7", path=[f"{folder}{end}"]), tmp_path / "beside")
    assert where(found) == ("found", "PATH")


def test_a_relative_path_entry_starts_at_the_current_directory_of_the_process(make_pe: MakePE, tmp_path: Path) -> None:
    path = make_pe("work/bin/dep.dll")
    found = look("dep.dll", target("10", "3.7", path=["bin"], cwd=tmp_path / "work"), tmp_path / "beside")
    assert found.path is not None
    assert os.path.samefile(found.path, path)


def test_the_current_directory_comes_before_path(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("work/dep.dll")
    make_pe("on_path/dep.dll")
    place = target("10", "3.7", path=[tmp_path / "on_path"], cwd=tmp_path / "work")
    assert where(look("dep.dll", place, tmp_path / "beside")) == ("found", "current directory")
