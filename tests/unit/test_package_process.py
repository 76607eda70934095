"""Package: what earlier imports, PATH and .pth files leave in the process that loads an extension."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from test_package import EXTENSION, LIBS, added, lay, preloads

from depwalk import graph, image, package
from depwalk.target.choose import Choice, choose

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

ON_PATH = LIBS + "os.environ['PATH'] = os.path.join(here, 'lib') + ';' + os.environ['PATH']\n"


@pytest.mark.parametrize(
    "source",
    [
        ON_PATH,
        LIBS + "os.environ['PATH'] += ';' + os.path.join(here, 'lib')",
        LIBS + "lib = os.path.join(here, 'lib')\nos.environ['Path'] = f'{lib};' + os.environ['PATH']",
        LIBS + "lib = os.path.join(here, 'lib')\nos.environ['PATH'] = '%s;%s' % (lib, os.environ['PATH'])",
    ],
)
def test_before_3_8_a_directory_on_path_is_searched_for_an_import(source: str, tmp_path: Path) -> None:
    assert added(tmp_path, source, files={"pkg/lib/a.dll": ""}, minor=7) == ["pkg/lib"]


def test_since_3_8_a_directory_on_path_is_not_searched_for_an_import(tmp_path: Path) -> None:
    assert added(tmp_path, ON_PATH, files={"pkg/lib/a.dll": ""}, minor=8) == []


def test_a_directory_on_path_that_is_not_there_is_left_out(tmp_path: Path) -> None:
    assert added(tmp_path, ON_PATH, minor=7) == []


def test_another_variable_is_not_path(tmp_path: Path) -> None:
    source = LIBS + "os.environ['DATA'] = os.path.join(here, 'lib')"
    assert added(tmp_path, source, files={"pkg/lib/a.dll": ""}, minor=7) == []


def test_a_line_of_a_pth_file_is_followed(tmp_path: Path) -> None:
    line = "import os;os.environ['PATH']+=(';'+os.path.join(sitedir,'dlls'))\n"
    assert added(tmp_path, "", files={"pkg.pth": line, "dlls/a.dll": ""}, minor=7) == ["dlls"]


def test_a_pth_file_with_another_thing_than_python_does_no_harm(tmp_path: Path) -> None:
    assert added(tmp_path, "", files={"pkg.pth": "import os; (\n"}, minor=7) == []


@pytest.mark.parametrize(
    ("call", "loaded"),
    [
        ("import cffi\nffi = cffi.FFI()\nffi.dlopen('a.dll')", ["pkg/lib/a.dll"]),
        ("import ctypes, ctypes.util\nctypes.CDLL(ctypes.util.find_library('a'))", ["pkg/lib/a.dll"]),
        ("import ctypes, ctypes.util\nctypes.CDLL(ctypes.util.find_library('a.dll'))", ["pkg/lib/a.dll"]),
        ("import ctypes\nctypes.CDLL('a.dll')", ["a.dll"]),
    ],
)
def test_what_searches_path_by_itself_finds_what_the_package_put_there(
    call: str, loaded: list[str], tmp_path: Path
) -> None:
    assert preloads(tmp_path, ON_PATH + call, {"pkg/lib/a.dll": ""}, minor=11) == loaded


def test_before_3_8_ctypes_finds_a_name_on_path(tmp_path: Path) -> None:
    found = preloads(tmp_path, ON_PATH + "import ctypes\nctypes.CDLL('a.dll')", {"pkg/lib/a.dll": ""}, minor=7)
    assert found == ["pkg/lib/a.dll"]


def test_an_extension_that_was_imported_before_is_in_the_process(tmp_path: Path) -> None:
    files = {"pkg/_first.cp311-win_amd64.pyd": ""}
    assert preloads(tmp_path, "from . import _first", files) == ["pkg/_first.cp311-win_amd64.pyd"]


def test_a_dll_beside_an_extension_that_was_imported_before_is_in_the_process(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("site-packages/pkg/_first.pyd", imports={"A.dll": ["f"], "kernel32.dll": ["g"]})
    make_pe("site-packages/pkg/a.dll", exports=["f"])
    found = preloads(tmp_path, "from . import _first", {})
    assert found == ["pkg/_first.pyd", "pkg/a.dll"]


def test_what_is_imported_after_an_extension_was_not_loaded_before_it(tmp_path: Path) -> None:
    files = {"pkg/_later.cp311-win_amd64.pyd": ""}
    assert preloads(tmp_path, "from . import _ext, _later", files) == []


def test_a_package_of_its_distribution_imports_a_top_level_extension(tmp_path: Path) -> None:
    record = "pkg/__init__.py,,\n_ext.pyd,,\n"
    source = LIBS + "os.add_dll_directory(here)\nimport _ext\nos.add_dll_directory(here + '/late')"
    site = lay(tmp_path, {"pkg/__init__.py": source, "_ext.pyd": "", "pkg-1.dist-info/RECORD": record})
    found = package.directories_for(os.path.join(site, "_ext.pyd"), minor=11)
    assert [one.directory for one in found.added] == [os.path.join(site, "pkg")]


def test_the_prefix_that_is_told_is_that_of_the_source(tmp_path: Path) -> None:
    source = "import os, sys\nos.add_dll_directory(os.path.join(sys.prefix, 'share', 'bin'))"
    found = added(tmp_path, source, minor=11, prefix=str(tmp_path))
    assert found == [str(tmp_path / "share" / "bin").replace("\\", "/")]


def test_no_more_is_followed_than_makes_what_is_wanted_be_found(tmp_path: Path) -> None:
    source = LIBS + "os.add_dll_directory(here + '/lib')\nfrom . import more\nos.add_dll_directory(here + '/late')"
    site = lay(tmp_path, {"pkg/__init__.py": source, "pkg/more.py": "", EXTENSION: ""})
    wanted = [[os.path.join(site, "pkg", "lib", "a.dll")]]
    found = package.directories_for(os.path.join(site, EXTENSION), minor=11, wanted=wanted)
    assert [os.path.basename(path) for path in found.sources] == ["__init__.py"]
    assert [one.directory for one in found.added] == [os.path.join(site, "pkg", "lib")]


def test_a_dll_that_was_loaded_by_itself_finds_what_lies_beside_it(make_pe: MakePE) -> None:
    loaded = make_pe("pkg/dlls/a.dll", imports={"b.dll": ["g"]}, exports=["f"])
    make_pe("pkg/dlls/b.dll", exports=["g"])
    root = make_pe("pkg/_ext.cp311-win_amd64.pyd", imports={"a.dll": ["f"]})
    file = image.read(root)
    target = choose(file, Choice(windows="10"), None)
    walked = graph.walk(str(root), file, target._replace(preloads=(str(loaded),)))
    assert {module.name: module.status for module in walked.modules} == {
        "_ext.cp311-win_amd64.pyd": "found",
        "a.dll": "found",
        "b.dll": "found",
    }
