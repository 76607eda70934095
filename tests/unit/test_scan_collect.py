"""Scan, what is scanned: the units and files that the paths given hold, and what is said of those that hold none."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from depwalk.bulk.collect import NothingToScan, collect

if TYPE_CHECKING:
    from pathlib import Path

    from depwalk.bulk.collect import Listed

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="made as on POSIX systems")
ELSEWHERE = ("lib/notes.txt", "lib/module.py", "lib/native.so", "lib/libx.dylib", "lib/dll", "lib/x.dll.bak")


def lay(folder: Path, *names: str) -> None:
    """Make files, which are not read here; a name that ends with "/" makes a directory."""
    for name in names:
        path = folder / name
        (path if name.endswith("/") else path.parent).mkdir(parents=True, exist_ok=True)
        if not name.endswith("/"):
            path.write_bytes(b"MZ")


def collected(folder: Path, *paths: str) -> list[Listed]:
    return collect([os.path.join(folder, path) for path in paths])


def units(folder: Path, *paths: str) -> dict[str, str]:
    """Each unit by its path below the folder, and what it is."""
    return {below(folder, listed.unit.path): listed.unit.kind for listed in collected(folder, *paths)}


def files(folder: Path, *paths: str) -> list[str]:
    """The files of all units, below the folder, in their order."""
    return [below(folder, file.path) for listed in collected(folder, *paths) for file in listed.files]


def unreadable(folder: Path, *paths: str) -> dict[str, str]:
    """What cannot be judged, and why."""
    found = (pair for listed in collected(folder, *paths) for pair in listed.unreadable)
    return {below(folder, file.path): reason for file, reason in found}


def below(folder: Path, path: str) -> str:
    return os.path.relpath(path, folder).replace(os.sep, "/")


# ---- what a path is


@pytest.mark.parametrize(
    ("names", "path", "unit", "kind"),
    [
        (["Lib/site-packages/a.pyd"], "Lib/site-packages", "Lib/site-packages", "site"),
        (["LIB/Site-Packages/a.pyd"], "LIB/Site-Packages", "LIB/Site-Packages", "site"),
        (["target/a.pyd", "target/demo-1.0.dist-info/RECORD"], "target", "target", "site"),
        (["env/pyvenv.cfg", "env/Lib/site-packages/a.pyd"], "env", "env/Lib/site-packages", "site"),
        (["env/pyvenv.cfg", "env/a.pyd"], "env", "env", "directory"),
        (["env/conda-meta/", "env/Lib/site-packages/a.pyd"], "env", "env", "prefix"),
        (["app/a.exe"], "app", "app", "directory"),
        (["app/a.exe"], "app/a.exe", "app", "directory"),
        (["dist/a-1-py3-none-any.whl"], "dist/a-1-py3-none-any.whl", "dist/a-1-py3-none-any.whl", "wheel"),
    ],
    ids=[
        "a site-packages",
        "a site-packages in another case",
        "a directory with distributions",
        "a virtual environment",
        "a virtual environment without a site-packages",
        "a conda prefix",
        "an application",
        "a file",
        "a wheel",
    ],
)
def test_a_path_is_a_unit_of_some_kind(names: list[str], path: str, unit: str, kind: str, tmp_path: Path) -> None:
    lay(tmp_path, *names)
    assert units(tmp_path, path) == {unit: kind}


def test_of_a_virtual_environment_its_site_packages_is_listed(tmp_path: Path) -> None:
    lay(tmp_path, "env/pyvenv.cfg", "env/Lib/site-packages/demo/a.pyd", "env/Scripts/python.exe")
    assert files(tmp_path, "env") == ["env/Lib/site-packages/demo/a.pyd"]


def test_of_a_conda_prefix_its_caches_and_other_environments_are_passed_over(tmp_path: Path) -> None:
    lay(tmp_path, "conda-meta/", "pkgs/demo/a.pyd", "envs/other/b.pyd", "Library/bin/c.dll", "Lib/pkgs/d.dll")
    assert files(tmp_path, ".") == ["Lib/pkgs/d.dll", "Library/bin/c.dll"]


def test_directories_of_that_name_elsewhere_are_listed(tmp_path: Path) -> None:
    lay(tmp_path, "pkgs/a.pyd", "envs/b.pyd")
    assert files(tmp_path, ".") == ["envs/b.pyd", "pkgs/a.pyd"]


def test_another_environment_that_is_named_is_listed(tmp_path: Path) -> None:
    lay(tmp_path, "conda-meta/", "a.dll", "envs/other/conda-meta/", "envs/other/b.dll")
    assert files(tmp_path, ".", "envs/other") == ["a.dll", "envs/other/b.dll"]


def test_each_wheel_in_a_directory_is_a_unit_beside_the_loose_files(tmp_path: Path) -> None:
    lay(tmp_path, "dist/a-1-py3-none-any.whl", "dist/more/B-1-PY3-NONE-ANY.WHL", "dist/tool.exe")
    assert units(tmp_path, "dist") == {
        "dist": "directory",
        "dist/a-1-py3-none-any.whl": "wheel",
        "dist/more/B-1-PY3-NONE-ANY.WHL": "wheel",
    }


def test_a_directory_with_nothing_but_wheels_is_no_unit_itself(tmp_path: Path) -> None:
    lay(tmp_path, "dist/a-1-py3-none-any.whl")
    assert units(tmp_path, "dist") == {"dist/a-1-py3-none-any.whl": "wheel"}


def test_a_wheel_that_is_unpacked_into_a_directory_of_its_name_is_a_directory(tmp_path: Path) -> None:
    lay(tmp_path, "dist/a-1-py3-none-any.whl/a.pyd")
    assert units(tmp_path, "dist") == {"dist": "directory"}
    assert files(tmp_path, "dist") == ["dist/a-1-py3-none-any.whl/a.pyd"]


def test_the_size_and_time_of_a_wheel_are_noted(tmp_path: Path) -> None:
    lay(tmp_path, "a-1-py3-none-any.whl")
    (listed,) = collected(tmp_path, "a-1-py3-none-any.whl")
    facts = os.stat(listed.unit.path)
    assert (listed.unit.size, listed.unit.changed) == (facts.st_size, facts.st_mtime_ns)


# ---- which files


def test_files_are_told_by_their_extensions(tmp_path: Path) -> None:
    lay(tmp_path, "lib/a.pyd", "lib/b.exe", "lib/c.dll", *ELSEWHERE)
    (listed,) = collected(tmp_path, "lib")
    assert [(os.path.basename(file.path), file.kind) for file in listed.files] == [
        ("a.pyd", "extension"),
        ("b.exe", "program"),
        ("c.dll", "dll"),
    ]


def test_extensions_in_upper_case_are_the_same(tmp_path: Path) -> None:
    lay(tmp_path, "A.PYD", "B.Exe", "C.DLL")
    (listed,) = collected(tmp_path, ".")
    assert [file.kind for file in listed.files] == ["extension", "program", "dll"]


def test_a_single_file_is_listed_whatever_its_name(tmp_path: Path) -> None:
    lay(tmp_path, "codec.acm", "other.dll")
    assert files(tmp_path, "codec.acm") == ["codec.acm"]


def test_a_directory_is_listed_in_the_order_of_its_names(tmp_path: Path) -> None:
    lay(tmp_path, "b.pyd", "a/z.pyd", "a/b/y.pyd", "c/x.pyd", "a.pyd")
    assert files(tmp_path, ".") == ["a.pyd", "b.pyd", "a/z.pyd", "a/b/y.pyd", "c/x.pyd"]


def test_caches_and_repositories_are_passed_over(tmp_path: Path) -> None:
    lay(tmp_path, "a.pyd", "__pycache__/b.pyd", ".git/c.dll", "sub/__pycache__/d.pyd")
    assert files(tmp_path, ".") == ["a.pyd"]


def test_the_size_and_time_of_a_file_are_noted(tmp_path: Path) -> None:
    lay(tmp_path, "a.pyd")
    (listed,) = collected(tmp_path, ".")
    facts = os.stat(tmp_path / "a.pyd")
    assert [(file.size, file.changed) for file in listed.files] == [(facts.st_size, facts.st_mtime_ns)]


@pytest.mark.parametrize("name", ["D\xe9p\xf4t \u4f9d\u5b58/\u0434\u0435\u043b\u043e.pyd", "a b/c;d, e.pyd", "#1.pyd"])
def test_any_name_is_listed(name: str, tmp_path: Path) -> None:
    lay(tmp_path, name)
    assert files(tmp_path, ".") == [name]


@POSIX
def test_a_name_that_is_no_text_is_listed(tmp_path: Path) -> None:
    name = os.fsdecode(b"r\xff.pyd")
    try:
        lay(tmp_path, name)
    except OSError:
        pytest.skip("this file system has only names that are text")
    assert files(tmp_path, ".") == [name]


def test_of_a_directory_all_is_known_and_of_a_single_file_it_is_not(tmp_path: Path) -> None:
    lay(tmp_path, "one/a.pyd", "other/b.pyd", "other/c.dll")
    assert [listed.whole for listed in collected(tmp_path, "one", "other/b.pyd")] == [True, False]


# ---- each file once


@pytest.mark.parametrize(
    "paths",
    [
        ["site-packages", "site-packages"],
        ["site-packages", "site-packages/demo"],
        ["site-packages/demo", "site-packages"],
        ["site-packages/demo", "site-packages/demo/a.pyd"],
        ["site-packages/demo/a.pyd", "site-packages/demo"],
        ["site-packages", "site-packages/demo/a.pyd"],
        ["site-packages/demo/a.pyd", "site-packages"],
        ["site-packages/demo/a.pyd", "site-packages/demo/../demo/a.pyd"],
    ],
)
def test_what_is_named_twice_is_judged_once(paths: list[str], tmp_path: Path) -> None:
    lay(tmp_path, "site-packages/demo/a.pyd")
    assert files(tmp_path, *paths) == ["site-packages/demo/a.pyd"]


@pytest.mark.parametrize(
    "paths",
    [
        ["dist/a-1-py3-none-any.whl", "dist/a-1-py3-none-any.whl"],
        ["dist", "dist/a-1-py3-none-any.whl"],
        ["dist/a-1-py3-none-any.whl", "dist"],
        ["dist", "dist"],
    ],
)
def test_a_wheel_that_is_named_twice_is_judged_once(paths: list[str], tmp_path: Path) -> None:
    lay(tmp_path, "dist/a-1-py3-none-any.whl")
    assert units(tmp_path, *paths) == {"dist/a-1-py3-none-any.whl": "wheel"}


def test_a_virtual_environment_that_is_named_twice_is_judged_once(tmp_path: Path) -> None:
    lay(tmp_path, "env/pyvenv.cfg", "env/Lib/site-packages/a.pyd")
    assert files(tmp_path, "env", "env", "env/Lib/site-packages") == ["env/Lib/site-packages/a.pyd"]


@pytest.mark.parametrize("paths", [["site-packages", "site-packages/demo"], ["site-packages/demo", "site-packages"]])
def test_the_outer_one_of_two_directories_is_the_unit(paths: list[str], tmp_path: Path) -> None:
    lay(tmp_path, "site-packages/demo/a.pyd", "site-packages/demo.libs/b.dll")
    assert units(tmp_path, *paths) == {"site-packages": "site"}
    assert files(tmp_path, *paths) == ["site-packages/demo/a.pyd", "site-packages/demo.libs/b.dll"]


@pytest.mark.parametrize("paths", [["lib/a.pyd", "lib"], ["lib", "lib/a.pyd"]])
def test_a_file_beside_its_directory_leaves_the_directory_whole(paths: list[str], tmp_path: Path) -> None:
    lay(tmp_path, "lib/a.pyd", "lib/b.dll")
    assert [listed.whole for listed in collected(tmp_path, *paths)] == [True]
    assert files(tmp_path, *paths) == ["lib/a.pyd", "lib/b.dll"]


def test_files_of_one_directory_make_one_unit(tmp_path: Path) -> None:
    lay(tmp_path, "lib/a.pyd", "lib/b.pyd", "lib/c.pyd")
    assert files(tmp_path, "lib/c.pyd", "lib/a.pyd") == ["lib/c.pyd", "lib/a.pyd"]
    assert units(tmp_path, "lib/c.pyd", "lib/a.pyd") == {"lib": "directory"}


# ---- lists


def listing(folder: Path, content: bytes) -> None:
    """list.txt, and the files that it may name."""
    lay(folder, "a.pyd", "sub/b.pyd", "c d.dll")
    (folder / "list.txt").write_bytes(content)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"a.pyd\nsub\n", ["a.pyd", "sub/b.pyd"]),
        (b"a.pyd\r\nsub/b.pyd\r\n", ["a.pyd", "sub/b.pyd"]),
        (b"a.pyd", ["a.pyd"]),
        (b"\xef\xbb\xbfa.pyd\n", ["a.pyd"]),
        (b"\n   \na.pyd\n\n", ["a.pyd"]),
        (b"# all of them\na.pyd  # the first\n#sub\n", ["a.pyd"]),
        (b"  c d.dll  \n", ["c d.dll"]),
        (b"a.pyd\na.pyd\n./a.pyd\n", ["a.pyd"]),
    ],
    ids=["paths", "Windows line ends", "no line end", "BOM", "blank lines", "comments", "spaces", "a path twice"],
)
def test_a_list_names_paths_that_are_relative_to_it(content: bytes, found: list[str], tmp_path: Path) -> None:
    listing(tmp_path, content)
    assert files(tmp_path, "list.txt") == found


def test_a_list_may_name_absolute_paths(tmp_path: Path) -> None:
    listing(tmp_path / "here", b"")
    lay(tmp_path, "there/x.pyd")
    (tmp_path / "here" / "list.txt").write_text(str(tmp_path / "there"), encoding="utf-8")
    assert files(tmp_path, "here/list.txt") == ["there/x.pyd"]


@POSIX
def test_a_list_may_name_what_is_no_text(tmp_path: Path) -> None:
    try:
        lay(tmp_path, os.fsdecode(b"r\xff.pyd"))
    except OSError:
        pytest.skip("this file system has only names that are text")
    (tmp_path / "list.txt").write_bytes(b"r\xff.pyd\n")
    assert files(tmp_path, "list.txt") == [os.fsdecode(b"r\xff.pyd")]


def test_a_list_in_a_list_is_a_file_as_any_other(tmp_path: Path) -> None:
    listing(tmp_path, b"other.txt\n")
    (tmp_path / "other.txt").write_bytes(b"a.pyd\n")
    assert files(tmp_path, "list.txt") == ["other.txt"]


def test_a_list_in_a_directory_is_not_followed(tmp_path: Path) -> None:
    listing(tmp_path, b"nothere.pyd\n")
    assert files(tmp_path, ".") == ["a.pyd", "c d.dll", "sub/b.pyd"]


def test_a_path_of_a_list_that_is_not_there_is_told(tmp_path: Path) -> None:
    listing(tmp_path, b"a.pyd\nnothere.pyd\n")
    with pytest.raises(NothingToScan, match=r"nothere\.pyd: there is no such file or directory"):
        collected(tmp_path, "list.txt")


def test_a_list_that_is_too_long_is_refused_and_not_cut(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys.modules[collect.__module__], "_LONGEST_LIST", 10)
    listing(tmp_path, b"a.pyd\nsub\n# more\n")
    with pytest.raises(NothingToScan, match=r"list\.txt: it has more than 10 characters"):
        collected(tmp_path, "list.txt")


# ---- nothing to scan


@pytest.mark.parametrize(
    ("names", "path"),
    [(["empty/"], "empty"), (ELSEWHERE, "lib"), (["env/__pycache__/a.pyd"], "env"), (["list.txt"], "list.txt")],
    ids=["an empty directory", "other files", "only what is passed over", "a list without paths"],
)
def test_where_nothing_can_be_judged_that_is_said(names: list[str], path: str, tmp_path: Path) -> None:
    lay(tmp_path, *names)
    if path == "list.txt":
        (tmp_path / path).write_bytes(b"# none\n")
    with pytest.raises(NothingToScan) as caught:
        collected(tmp_path, path)
    assert str(caught.value) == f"{tmp_path / path}: there is no .pyd, .dll, .exe or .whl file in it"


def test_an_empty_directory_is_told_beside_one_that_has_files(tmp_path: Path) -> None:
    lay(tmp_path, "lib/a.pyd", "empty/")
    with pytest.raises(NothingToScan, match="empty: there is no"):
        collected(tmp_path, "lib", "empty")


@pytest.mark.parametrize("name", ["nothere", "nothere.whl", "nothere.txt", "nothere.pyd"])
def test_a_path_that_is_not_there_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(NothingToScan) as caught:
        collected(tmp_path, name)
    assert str(caught.value) == f"{tmp_path / name}: there is no such file or directory"


def test_an_empty_name_is_not_the_current_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(tmp_path, "a.pyd")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NothingToScan, match="an empty name: there is no such file or directory"):
        collect([""])


# ---- what cannot be judged


@POSIX
@pytest.mark.parametrize("name", ["a.dll", "a-1-py3-none-any.whl"])
@pytest.mark.parametrize("path", [".", ""])
def test_a_link_to_nowhere_is_told(name: str, path: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to("nothere")
    assert unreadable(tmp_path, path or name) == {name: "No such file or directory"}


@POSIX
@pytest.mark.parametrize("name", ["a.dll", "a-1-py3-none-any.whl"])
def test_a_link_to_itself_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / name).symlink_to(name)
    assert list(unreadable(tmp_path, ".")) == [name]


@POSIX
def test_a_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    lay(tmp_path, "lib/a.dll")
    (tmp_path / "lib" / "b.dll").symlink_to("a.dll")
    assert files(tmp_path, "lib") == ["lib/a.dll", "lib/b.dll"]


@POSIX
@pytest.mark.parametrize("target", [".", "..", "../elsewhere"])
def test_a_link_to_a_directory_is_not_followed(target: str, tmp_path: Path) -> None:
    lay(tmp_path, "lib/a.dll", "elsewhere/b.dll")
    (tmp_path / "lib" / "loop").symlink_to(target, target_is_directory=True)
    assert files(tmp_path, "lib") == ["lib/a.dll"]


@POSIX
def test_a_link_to_a_directory_that_is_named_is_followed(tmp_path: Path) -> None:
    lay(tmp_path, "lib/a.dll")
    (tmp_path / "link").symlink_to("lib", target_is_directory=True)
    assert files(tmp_path, "link") == ["link/a.dll"]


@POSIX
@pytest.mark.parametrize("path", [".", "a.dll"])
def test_a_pipe_is_told_and_not_opened(path: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.dll")
    assert unreadable(tmp_path, path) == {"a.dll": "a device or a pipe, not a file"}


def test_a_directory_that_may_not_be_listed_is_told(tmp_path: Path) -> None:
    lay(tmp_path, "a.dll", "secret/b.dll")
    (tmp_path / "secret").chmod(0)
    try:
        if os.access(tmp_path / "secret", os.R_OK):
            pytest.skip("this user may list every directory, or this system has no such permission")
        assert unreadable(tmp_path, ".") == {"secret": "Permission denied"}
        assert files(tmp_path, ".") == ["a.dll"]
    finally:
        (tmp_path / "secret").chmod(0o700)
