"""Package: what a package's source says of the DLLs of its extensions, and what importing it would load."""

from __future__ import annotations

import os
import time
import weakref
from typing import TYPE_CHECKING

import pytest

from depwalk import files, package
from depwalk.package import PackageNotFound

if TYPE_CHECKING:
    from pathlib import Path

EXTENSION = "pkg/_ext.cp311-win_amd64.pyd"


def lay(site: Path, files: dict[str, str]) -> str:
    """Write files below a site-packages directory; its path."""
    for name, text in files.items():
        path = site / "site-packages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return str(site / "site-packages")


def added(tmp_path: Path, source: str, *, files: dict[str, str] | None = None, **python: object) -> list[str]:
    """The directories that pkg/__init__.py adds for pkg/_ext, below site-packages with "/"; others as they are."""
    site = lay(tmp_path, {"pkg/__init__.py": source, EXTENSION: "", **(files or {})})
    found = package.directories_for(os.path.join(site, EXTENSION), **python).added  # type: ignore[arg-type]
    return [one.directory.replace(site + os.sep, "").replace("\\", "/") for one in found]


def preloads(tmp_path: Path, source: str, files: dict[str, str], *, minor: int = 11) -> list[str]:
    """The DLLs that pkg/__init__.py loads itself, likewise."""
    site = lay(tmp_path, {"pkg/__init__.py": source, EXTENSION: "", **files})
    found = package.directories_for(os.path.join(site, EXTENSION), minor=minor).preloads
    return [one.path.replace(site + os.sep, "").replace("\\", "/") for one in found]


def reached(site: str, name: str, *, minor: int = 11) -> list[str]:
    """The extensions that `import name` loads, in order."""
    found = package.find(name, [site], minor=minor, architecture="x64")
    assert found.reached
    return [one.module for one in found.extensions]


LIBS = "import os\nhere = os.path.dirname(__file__)\n"
PATHLIB = "import os\nfrom pathlib import Path\nhere = Path(__file__).resolve().parent\n"


@pytest.mark.parametrize(
    "source",
    [
        LIBS + "os.add_dll_directory(os.path.join(here, 'lib'))",
        LIBS + "os.add_dll_directory(here + '/lib')",
        LIBS + r"os.add_dll_directory(here + '\\lib')",
        LIBS + "os.add_dll_directory(f'{here}/lib')",
        LIBS + "os.add_dll_directory('%s/lib' % here)",
        LIBS + "os.add_dll_directory('{}/lib'.format(here))",
        LIBS + "os.add_dll_directory(os.path.normpath(os.path.join(here, os.pardir, 'pkg', 'lib')))",
        LIBS + "with os.add_dll_directory(os.path.join(here, 'lib')): pass",
        LIBS + "handle = os.add_dll_directory(os.path.join(here, 'lib'))",
        LIBS + "handles = [os.add_dll_directory(os.path.join(here, name)) for name in ['lib']]",
        LIBS + "if hasattr(os, 'add_dll_directory'): os.add_dll_directory(os.path.join(here, 'lib'))",
        LIBS + "hasattr(os, 'add_dll_directory') and os.add_dll_directory(os.path.join(here, 'lib'))",
        LIBS + "lib = os.path.join(here, 'lib')\nif os.path.isdir(lib): os.add_dll_directory(lib)",
        LIBS + "if os.name == 'nt': os.add_dll_directory(os.path.join(here, 'lib'))",
        LIBS + "try:\n    os.add_dll_directory(os.path.join(here, 'lib'))\nexcept OSError: pass",
        LIBS + "getattr(os, 'add_dll_directory')(os.path.join(here, 'lib'))",
        "import os as _os\n_os.add_dll_directory(_os.path.join(_os.path.dirname(_os.path.abspath(__file__)), 'lib'))",
        "from os import add_dll_directory as add, path as p\nadd(p.join(p.dirname(p.realpath(__file__)), 'lib'))",
        "import os\nfrom os.path import *\nimport os.path as op\nos.add_dll_directory(op.join(__path__[0], 'lib'))",
        PATHLIB + "os.add_dll_directory(str(here / 'lib'))",
        PATHLIB + "os.add_dll_directory(os.fspath(here.joinpath('lib')))",
        PATHLIB + "os.add_dll_directory(Path(__file__).absolute().parents[1] / 'pkg' / 'lib')",
        PATHLIB + "lib = here / 'lib'\nif lib.is_dir(): os.add_dll_directory(f'{lib}')",
    ],
)
def test_a_directory_is_told_however_the_source_writes_it(source: str, tmp_path: Path) -> None:
    assert added(tmp_path, source) == ["pkg/lib"]


def test_the_line_that_adds_a_directory_is_its_source(tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": LIBS + "os.add_dll_directory(here)", EXTENSION: ""})
    (one,) = package.directories_for(os.path.join(site, EXTENSION)).added
    assert (one.directory, one.how, one.source) == (
        os.path.join(site, "pkg"),
        "os.add_dll_directory",
        "pkg/__init__.py:3",
    )


def test_directories_stand_in_the_order_in_which_they_are_added(tmp_path: Path) -> None:
    source = LIBS + "for name in ['b', 'a']:\n    os.add_dll_directory(os.path.join(here, name))"
    assert added(tmp_path, source) == ["pkg/b", "pkg/a"]


def test_a_directory_is_listed_once(tmp_path: Path) -> None:
    assert added(tmp_path, LIBS + "os.add_dll_directory(here)\nos.add_dll_directory(here + '/.')") == ["pkg"]


def test_a_list_that_is_built_and_filtered_is_followed(tmp_path: Path) -> None:
    source = LIBS + (
        "first = os.path.join(here, 'lib')\n"
        "paths = list(filter(os.path.exists, [first, os.path.join(here, 'bin')]))\n"
        "paths.append(os.path.join(here, 'more'))\n"
        "paths += [path for path in (os.path.join(here, 'last'),) if os.path.exists(path)]\n"
        "for path in paths: os.add_dll_directory(path)\n"
    )
    assert added(tmp_path, source) == ["pkg/lib", "pkg/bin", "pkg/more", "pkg/last"]


def test_of_a_list_only_what_is_unknown_is_lost(tmp_path: Path) -> None:
    source = LIBS + "for path in [os.environ['CUDA_PATH'], here, os.getenv('X')]: os.add_dll_directory(path)"
    assert added(tmp_path, source) == ["pkg"]


def test_a_directory_of_the_interpreter_needs_the_prefix(tmp_path: Path) -> None:
    source = "import os, sys\nos.add_dll_directory(os.path.join(sys.exec_prefix, 'Library', 'bin'))"
    assert added(tmp_path, source) == []
    assert added(tmp_path, source, prefix=r"C:\Python311") == ["C:/Python311/Library/bin"]


@pytest.mark.parametrize("what", ["os.environ['CUDA_PATH'] + '/bin'", "os.environ.get('X')", "compute()", "'relative'"])
def test_a_directory_that_the_source_does_not_tell_is_noted(what: str, tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": f"import os\nos.add_dll_directory({what})", EXTENSION: ""})
    found = package.directories_for(os.path.join(site, EXTENSION))
    assert found.added == ()
    assert found.notes == ("pkg/__init__.py:2 adds a directory that the source alone does not tell",)


def test_a_literal_directory_of_windows_stays_as_it_is(tmp_path: Path) -> None:
    assert added(tmp_path, r"import os; os.add_dll_directory(r'C:\Tools\bin\..\lib')") == ["C:/Tools/lib"]


def test_both_ways_of_an_undecided_if_count(tmp_path: Path) -> None:
    source = LIBS + "lib = here + '/a'\nif os.getenv('X'): lib = here + '/b'\nos.add_dll_directory(lib)"
    assert added(tmp_path, source) == ["pkg/a", "pkg/b"]


def test_a_branch_for_another_system_does_not_count(tmp_path: Path) -> None:
    source = LIBS + "import sys\nif sys.platform == 'linux': os.add_dll_directory(here)"
    assert added(tmp_path, source) == []


@pytest.mark.parametrize(("minor", "expected"), [(7, []), (8, ["pkg"]), (None, ["pkg"])])
def test_nothing_is_added_by_a_python_that_has_no_add_dll_directory(
    minor: int | None, expected: list[str], tmp_path: Path
) -> None:
    assert added(tmp_path, LIBS + "if hasattr(os, 'add_dll_directory'): os.add_dll_directory(here)", minor=minor) == (
        expected
    )


def test_a_function_counts_if_it_is_called(tmp_path: Path) -> None:
    source = LIBS + "def add(name, where=here):\n    os.add_dll_directory(os.path.join(where, name))\n"
    assert added(tmp_path, source) == []
    assert added(tmp_path, source + "def setup(): add('lib')\nsetup()\n") == ["pkg/lib"]


def test_what_a_function_returns_is_known(tmp_path: Path) -> None:
    source = LIBS + "def libs(base):\n    if not base: return []\n    return [base + '/lib']\n"
    assert added(tmp_path, source + "for path in libs(here): os.add_dll_directory(path)") == ["pkg/lib"]


def test_a_module_that_the_package_imports_counts(tmp_path: Path) -> None:
    files = {"pkg/_setup.py": LIBS + "def setup():\n    os.add_dll_directory(here)\n"}
    assert added(tmp_path, "from . import _setup\n_setup.setup()", files=files) == ["pkg"]
    assert added(tmp_path, "from pkg._setup import setup as s\ns()", files=files) == ["pkg"]
    assert added(tmp_path, "def later():\n    from . import _setup", files=files) == []


def test_every_package_above_the_extension_counts(tmp_path: Path) -> None:
    site = lay(
        tmp_path,
        {
            "pkg/__init__.py": LIBS + "os.add_dll_directory(here)",
            "pkg/sub/__init__.py": LIBS + "os.add_dll_directory(here)",
            "pkg/other/__init__.py": LIBS + "os.add_dll_directory(here)",
            "pkg/sub/_ext.pyd": "",
        },
    )
    found = package.directories_for(os.path.join(site, "pkg", "sub", "_ext.pyd"))
    assert found.name == "pkg.sub._ext"
    assert [one.source for one in found.added] == ["pkg/__init__.py:3", "pkg/sub/__init__.py:3"]


def test_another_distribution_that_the_package_imports_counts(tmp_path: Path) -> None:
    files = {"base/__init__.py": LIBS + "os.add_dll_directory(here + '/lib')"}
    assert added(tmp_path, "try: import base\nexcept ImportError: pass", files=files) == ["base/lib"]


def test_what_is_added_after_the_extension_is_loaded_does_not_count(tmp_path: Path) -> None:
    assert added(tmp_path, LIBS + "from . import _ext\nos.add_dll_directory(here)") == []


def test_what_is_added_before_a_second_try_counts(tmp_path: Path) -> None:
    source = "try:\n    from . import _ext\nexcept ImportError:\n    os.add_dll_directory(here)\n    from . import _ext"
    assert added(tmp_path, LIBS + source) == ["pkg"]


def test_what_only_a_type_checker_imports_does_not_count(tmp_path: Path) -> None:
    files = {"pkg/_setup.py": LIBS + "os.add_dll_directory(here)"}
    source = "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from . import _setup"
    assert added(tmp_path, source, files=files) == []


DELVEWHEEL_OLD = """
def _delvewheel_init_patch_0_0_14():
    import os
    import sys
    libs_dir = os.path.abspath(os.path.join(os.path.dirname(__file__), os.pardir, 'pkg.libs'))
    if sys.version_info[:2] >= (3, 8):
        os.add_dll_directory(libs_dir)
    else:
        from ctypes import WinDLL
        with open(os.path.join(libs_dir, '.load-order-pkg-1.0')) as file:
            load_order = file.read().split()
        for lib in load_order:
            WinDLL(os.path.join(libs_dir, lib))

_delvewheel_init_patch_0_0_14()
del _delvewheel_init_patch_0_0_14
"""
LOAD_ORDER = {"pkg.libs/.load-order-pkg-1.0": "b.dll\na.dll\n", "pkg.libs/a.dll": "", "pkg.libs/b.dll": ""}


def test_cuda_pathfinder_finds_the_dlls_of_nvidias_wheels(tmp_path: Path) -> None:
    files = dict.fromkeys(
        ["cuda/pathfinder/__init__.py", "nvidia/cufft/bin/cufft64_11.dll", "nvidia/cufft/include/a.h"], ""
    )
    files["nvidia/cu13/bin/x86_64/cufft64_12.dll"] = ""
    wanted = ["nvidia/cu13/bin", "nvidia/cufft/bin", "nvidia/cu13/bin/x86_64"]
    assert added(tmp_path, "from cuda import pathfinder", files=files, minor=11) == wanted


def test_without_cuda_pathfinder_nobody_looks_into_nvidias_wheels(tmp_path: Path) -> None:
    assert added(tmp_path, "import nvidia", files={"nvidia/cufft/bin/cufft64_11.dll": ""}, minor=11) == []


def test_delvewheel_adds_the_libs_directory(tmp_path: Path) -> None:
    assert added(tmp_path, DELVEWHEEL_OLD, files=LOAD_ORDER, minor=11) == ["pkg.libs"]
    assert preloads(tmp_path, DELVEWHEEL_OLD, LOAD_ORDER, minor=11) == []


def test_delvewheel_loads_in_its_order_where_nothing_can_be_added(tmp_path: Path) -> None:
    assert preloads(tmp_path, DELVEWHEEL_OLD, LOAD_ORDER, minor=7) == ["pkg.libs/b.dll", "pkg.libs/a.dll"]


@pytest.mark.parametrize(
    ("call", "how"),
    [
        ("import ctypes\nctypes.CDLL(lib)", "ctypes.CDLL"),
        ("import ctypes\nctypes.cdll.LoadLibrary(lib)", "LoadLibrary"),
        ("from ctypes import WinDLL\nWinDLL(os.path.abspath(lib))", "ctypes.WinDLL"),
        (
            "import ctypes\nk = ctypes.windll.kernel32\nk.LoadLibraryExW(ctypes.c_wchar_p(lib), None, 8)",
            "LoadLibraryExW",
        ),
        ("import ctypes, glob\nfor dll in glob.glob(os.path.join(here, '*.DLL')): ctypes.CDLL(dll)", "ctypes.CDLL"),
    ],
)
def test_a_dll_that_the_package_loads_itself_is_told(call: str, how: str, tmp_path: Path) -> None:
    source = LIBS + "lib = os.path.join(here, 'a.dll')\n" + call
    site = lay(tmp_path, {"pkg/__init__.py": source, EXTENSION: "", "pkg/a.dll": ""})
    (one,) = package.directories_for(os.path.join(site, EXTENSION)).preloads
    assert (one.path, one.how) == (os.path.join(site, "pkg", "a.dll"), how)


def test_a_dll_that_is_loaded_by_its_bare_name_is_told_so(tmp_path: Path) -> None:
    assert preloads(tmp_path, "import ctypes\nctypes.CDLL('msvcp140.dll')", {}) == ["msvcp140.dll"]


def test_a_library_of_another_system_is_no_preload(tmp_path: Path) -> None:
    assert preloads(tmp_path, LIBS + "import ctypes\nctypes.CDLL(here + '/libx.so.1')", {}) == []


def test_a_libs_directory_that_no_source_names_is_taken_by_convention(tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": "", EXTENSION: "", "pkg.libs/a.dll": "", "other.libs/b.dll": ""})
    (one,) = package.directories_for(os.path.join(site, EXTENSION)).added
    assert (one.directory, one.how, one.source) == (os.path.join(site, "pkg.libs"), "convention: pkg.libs", "")


def test_the_libs_directory_may_have_the_name_of_the_distribution(tmp_path: Path) -> None:
    files = {"big_pkg.libs/a.dll": "", "Big_Pkg-1.0.dist-info/RECORD": "pkg/__init__.py,,\n"}
    assert added(tmp_path, "", files=files) == ["big_pkg.libs"]


def test_a_libs_directory_that_the_source_puts_to_another_use_is_not_taken(tmp_path: Path) -> None:
    source = LIBS + "os.environ['PATH'] += os.path.join(here, '..', 'pkg.libs')"
    assert added(tmp_path, source, files={"pkg.libs/a.dll": ""}) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("pkg/lib/a.dll", "pkg"), ("pkg.libs/a.dll", "pkg"), ("pkg/sub/a.dll", "pkg.sub"), ("a.dll", "")],
)
def test_a_plain_dll_belongs_to_the_package_that_it_lies_in(name: str, expected: str, tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": LIBS + "os.add_dll_directory(here)", "pkg/sub/__init__.py": "", name: ""})
    found = package.directories_for(os.path.join(site, *name.split("/")))
    assert found.name == expected
    assert ("pkg/__init__.py:3" in [one.source for one in found.added]) == bool(expected)


def test_a_package_outside_of_site_packages_has_its_site_above_it(tmp_path: Path) -> None:
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "__init__.py").write_text(LIBS + "os.add_dll_directory(here)", "utf-8")
    found = package.directories_for(str(tmp_path / "pkg" / "_ext.pyd"))
    assert (found.site, len(found.added)) == (str(tmp_path), 1)


# Names


def test_extensions_stand_in_the_order_in_which_the_source_reaches_them(tmp_path: Path) -> None:
    site = lay(
        tmp_path,
        {
            "pkg/__init__.py": "from . import second\nfrom pkg.sub import _third",
            "pkg/second.py": "import pkg._first",
            "pkg/sub/__init__.py": "try:\n    from . import _second\nexcept ImportError: pass",
            "pkg/_first.pyd": "",
            "pkg/sub/_second.pyd": "",
            "pkg/sub/_third.pyd": "",
            "pkg/_never.pyd": "",
        },
    )
    assert reached(site, "pkg") == ["pkg._first", "pkg.sub._second", "pkg.sub._third"]


@pytest.mark.parametrize(
    "source",
    [
        "import importlib\nimportlib.import_module('pkg._ext')",
        "from importlib import import_module\nimport_module('._ext', __name__)",
        "import importlib\nimportlib.import_module('._ext', package='pkg')",
        "for name in ['_ext']: __import__('pkg.' + name)",
        "import imp\ndef helper():\n    return imp.load_module('_ext', None, None, None)\nhelper()",
        "class A:\n    from . import _ext",
        "with open('x') as f:\n    from . import _ext",
        "def f():\n    if unknown: from . import _ext\nf()",
        "while True:\n    from . import _ext",
        "from .sub import *",
        LIBS + "torch.ops.load_library(os.path.join(here, '_ext.cp311-win_amd64.pyd'))",
        LIBS + "import imp\nimp.load_dynamic('_ext', here + '/_ext.cp311-win_amd64.pyd')",
        LIBS + "import importlib.machinery as m\nf = m.FileFinder(here)\nx.load_library(f.find_spec('_ext').origin)",
    ],
)
def test_an_extension_is_reached_however_it_is_imported(source: str, tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": source, EXTENSION: "", "pkg/sub.py": "from ._ext import *"})
    assert reached(site, "pkg") == ["pkg._ext"]


def test_the_line_that_imports_an_extension_is_its_source(tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": "\nfrom . import _ext", EXTENSION: ""})
    (one,) = package.find("pkg", [site]).extensions  # listed without a source if it were not reached
    assert (one.path, one.source) == (os.path.join(site, *EXTENSION.split("/")), "pkg/__init__.py:2")


def test_an_extension_knows_what_was_added_before_it(tmp_path: Path) -> None:
    source = LIBS + "from . import _a\nos.add_dll_directory(here)\nfrom . import _b"
    site = lay(tmp_path, {"pkg/__init__.py": source, "pkg/_a.pyd": "", "pkg/_b.pyd": ""})
    found = package.find("pkg", [site])
    assert [len(one.added) for one in found.extensions] == [0, 1]
    assert len(found.added) == 1


def test_an_extension_that_is_asked_for_is_the_last(tmp_path: Path) -> None:
    site = lay(
        tmp_path,
        {"pkg/__init__.py": "from . import _a, _b, _c", "pkg/_a.pyd": "", "pkg/_b.pyd": "", "pkg/_c.pyd": ""},
    )
    found = package.find("pkg._b", [site])
    assert (found.kind, found.path) == ("extension", os.path.join(site, "pkg", "_b.pyd"))
    assert [one.module for one in found.extensions] == ["pkg._a", "pkg._b"]


def test_a_package_is_its_directory_and_a_module_its_file(tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": "", "pkg/mod.py": ""})
    assert (package.find("pkg", [site]).kind, package.find("pkg", [site]).path) == (
        "package",
        os.path.join(site, "pkg"),
    )
    found = package.find("pkg.mod", [site])
    assert (found.kind, found.path) == ("module", os.path.join(site, "pkg", "mod.py"))


def test_a_directory_without_init_is_a_package_too(tmp_path: Path) -> None:
    assert reached(lay(tmp_path, {"space/_ext.pyd": ""}), "space._ext") == ["space._ext"]


def test_a_module_is_looked_for_in_all_sites_in_their_order(tmp_path: Path) -> None:
    one, two = lay(tmp_path / "1", {"a.pyd": ""}), lay(tmp_path / "2", {"a.pyd": "", "b.py": "import a"})
    assert [e.path for e in package.find("b", [one, two]).extensions] == [os.path.join(one, "a.pyd")]


@pytest.mark.parametrize(
    ("names", "minor", "architecture", "expected"),
    [
        (["cp310-win_amd64", "cp311-win_amd64"], 11, "x64", "cp311-win_amd64"),
        (["cp311-win32", "cp311-win_amd64"], 11, "x86", "cp311-win32"),
        (["cp311-win32", "cp311-win_amd64"], 11, "x64", "cp311-win_amd64"),
        (["cp37-win_amd64"], 11, "x64", "cp37-win_amd64"),
        (["", "cp39-win_amd64"], 11, "x64", ""),
        (["", "cp311-win_amd64"], 11, "x64", "cp311-win_amd64"),
        (["cp313-win_amd64", "cp313t-win_amd64"], 13, "x64", "cp313-win_amd64"),
    ],
)
def test_of_several_builds_the_one_for_this_python_is_taken_else_any(
    names: list[str], minor: int, architecture: str, expected: str, tmp_path: Path
) -> None:
    files = {f"ext.{name}.pyd" if name else "ext.pyd": "" for name in names}
    (one,) = package.find("ext", [lay(tmp_path, files)], minor=minor, architecture=architecture).extensions
    assert os.path.basename(one.path) == (f"ext.{expected}.pyd" if expected else "ext.pyd")


def test_an_extension_goes_before_a_source_of_its_name(tmp_path: Path) -> None:
    site = lay(tmp_path, {"mod.pyd": "", "mod.py": "import other", "other.pyd": ""})
    assert reached(site, "mod") == ["mod"]


def test_extensions_that_no_import_reaches_are_listed_and_marked(tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": "", "pkg/b.pyd": "", "pkg/a/x.cp311-win_amd64.pyd": ""})
    found = package.find("pkg", [site], minor=11)
    assert not found.reached
    assert [(one.module, one.source) for one in found.extensions] == [("pkg.a.x", ""), ("pkg.b", "")]


def test_a_dependency_that_is_not_there_is_listed_and_does_not_matter(tmp_path: Path) -> None:
    site = lay(
        tmp_path, {"pkg/__init__.py": "import os, six\nfrom absl import flags\nfrom . import _ext", EXTENSION: ""}
    )
    found = package.find("pkg", [site])
    assert found.missing == ("six", "absl")
    assert found.reached
    assert found.complete


def test_a_package_that_passes_another_on_with_a_star_passes_its_modules_on(tmp_path: Path) -> None:
    site = lay(
        tmp_path,
        {
            "front/__init__.py": "from core import *",
            "core/__init__.py": "from front.python import work",
            "core/python/__init__.py": "",
            "core/python/work.py": "from front.python import _ext",
            "core/python/_ext.pyd": "",
        },
    )
    assert reached(site, "front") == ["core.python._ext"]
    assert package.find("front", [site]).reached


def test_a_circle_of_imports_ends(tmp_path: Path) -> None:
    site = lay(tmp_path, {"a.py": "import b", "b.py": "import a, ext", "ext.pyd": ""})
    assert reached(site, "a") == ["ext"]


def test_no_more_extensions_than_wanted_are_looked_for(tmp_path: Path) -> None:
    site = lay(tmp_path, {"a.py": "import x, y", "x.pyd": "", "y.pyd": ""})
    found = package.find("a", [site], most=1)
    assert ([one.module for one in found.extensions], found.complete) == (["x"], False)


def test_a_name_that_is_not_there_is_said_in_one_sentence(tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": ""})
    with pytest.raises(PackageNotFound, match=r"There is no module numpy in .*site-packages; --site names"):
        package.find("numpy", [site])
    with pytest.raises(PackageNotFound, match=r"pkg is in .*__init__\.py, but it has no module pkg\._ext\."):
        package.find("pkg._ext", [site])
    with pytest.raises(PackageNotFound, match="'no name' is not the name of a module"):
        package.find("no name", [site])


@pytest.mark.parametrize("name", ["pkg/_ext.cpython-311-x86_64-linux-gnu.so", "pkg/_ext.abi3.so", "pkg/_ext.dylib"])
@pytest.mark.parametrize("source", ["from . import _ext", ""])
def test_an_installation_for_another_system_is_said_to_be_none(name: str, source: str, tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": source, name: ""})
    with pytest.raises(PackageNotFound, match="not for Windows: its extensions are for another system; --site names"):
        package.find("pkg", [site])


# Whatever the source says


@pytest.mark.parametrize(
    "source", ["def (", "print 'two'", "a\0b", "# coding: nonsense\n", "(" * 5000, "x = " + "-" * 99999]
)
def test_a_source_that_cannot_be_parsed_is_skipped_and_noted(source: str, tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": "from . import bad, _ext", "pkg/bad.py": source, EXTENSION: ""})
    found = package.find("pkg", [site])
    assert [one.source for one in found.extensions] == ["pkg/__init__.py:1"]
    assert not found.complete
    assert any("pkg/bad.py was not read" in note for note in found.notes)


def test_a_source_that_is_too_large_is_skipped_and_noted(tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": "#" * 2_000_001, EXTENSION: ""})
    found = package.directories_for(os.path.join(site, EXTENSION))
    assert (found.complete, found.notes) == (False, ("pkg/__init__.py was not read: it is too large",))


def test_a_source_with_a_bad_escape_raises_no_warning(tmp_path: Path) -> None:
    assert added(tmp_path, LIBS + "x = '\\d'\nos.add_dll_directory(here)") == ["pkg"]


def test_an_import_with_an_unknown_name_is_noted(tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": "import importlib, os\nimportlib.import_module(os.environ['X'])"})
    found = package.find("pkg", [site])
    assert (found.complete, found.notes) == (
        False,
        ("pkg/__init__.py:2 imports a module that the source alone does not tell",),
    )


@pytest.mark.parametrize(
    "source",
    [
        "x = 'a'\n" + "x = x + x\n" * 100,
        "x = ['a']\n" + "x.extend(x)\n" * 100,
        "x = '%999999999d' % 1\ny = '{:999999999}'.format(1)\nz = f'{1:999999999}'",
        "def f(): f(); f(); f()\nf()",
        "x = [" + "0," * 1000 + "]\n" + "y = [[[a for a in x] for b in x] for c in x]\n" * 9,
        "x = []\nx.append(x)\ny = []\ny.append(y)\nz = x == y",
        "x = " + "+".join(["a"] * 3000),
        "import os\nopen('/dev/zero').read()\nos.listdir('/')\nos.path.isdir(r'\\\\host\\share')",
        "".join("    " * depth + f"for a{depth} in range(9), 1, 2, 3, 4, 5, 6, 7, 8, 9:\n" for depth in range(12))
        + "    " * 12
        + "pass",
        "\n".join("    " * depth + "if x:" for depth in range(90)) + "\n" + "    " * 90 + "pass",
    ],
)
def test_a_hostile_source_ends_soon(source: str, tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": source, EXTENSION: ""})
    start = time.monotonic()
    assert package.directories_for(os.path.join(site, EXTENSION)).name == "pkg._ext"
    assert time.monotonic() - start < 30


def test_imports_nested_deeper_than_python_allows_are_followed(tmp_path: Path) -> None:
    files = {f"m{index}.py": f"import m{index + 1}" for index in range(400)}
    assert reached(lay(tmp_path, {**files, "m400.pyd": ""}), "m0") == ["m400"]


@pytest.mark.parametrize(
    ("source", "optional"),
    [
        ("from . import _ext", False),
        ("try:\n    from . import _ext\nexcept ImportError:\n    _ext = None", True),
        ("try:\n    from . import _ext\nexcept:\n    pass", True),
        ("try:\n    from . import _ext\nexcept ImportError as error:\n    raise ImportError('help') from error", False),
        ("try:\n    from . import _ext\nexcept KeyError:\n    pass", False),
        ("try:\n    from . import _ext\nfinally:\n    pass", False),
    ],
)
def test_an_extension_is_optional_if_its_failure_is_caught(tmp_path: Path, source: str, optional: bool) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": source, EXTENSION: ""})
    (extension,) = package.find("pkg", [site], minor=11, architecture="x64").extensions
    assert extension.optional is optional


def test_an_extension_that_nothing_seen_imports_is_optional(tmp_path: Path) -> None:
    site = lay(tmp_path, {"pkg/__init__.py": "", EXTENSION: ""})
    (extension,) = package.find("pkg", [site], minor=11, architecture="x64").extensions
    assert extension.optional


PTH = "# a comment\nwin\nwin\\lib\nnowhere\nimport boot; boot.go()\nimport os; os.environ\n"
BOOT = "import os, dlls\nfor path in dlls.__path__:\n    if os.path.isdir(path): os.add_dll_directory(path)\n"


def test_what_a_pth_file_imports_at_start_up_counts(tmp_path: Path) -> None:
    files = {"own.pth": PTH, "win/lib/boot.py": BOOT, "dlls/a.dll": ""}
    assert added(tmp_path, "", files=files) == ["dlls"]


def test_a_name_is_found_in_a_directory_that_a_pth_file_adds(tmp_path: Path) -> None:
    site = lay(tmp_path, {"own.pth": PTH, "win/lib/boot.py": "", "win/api.pyd": "", "nothere/other.pyd": ""})
    assert reached(site, "api") == ["api"]


def test_a_pth_file_of_nonsense_adds_nothing(tmp_path: Path) -> None:
    assert added(tmp_path, "", files={"own.pth": "\0\nimport \nimport (\n../\n" + "x" * 100_000}) == []


# ---- no more than what is wanted

_IN_STEPS = LIBS + (
    "os.add_dll_directory(here + '/first')\n"
    "try:\n"
    "    from . import _ext\n"
    "except ImportError:\n"
    "    os.add_dll_directory(here + '/after_it_failed')\n"
    "os.add_dll_directory(here + '/second')\n"
    "libs = 'pkg.libs'\n"
    "os.add_dll_directory(input())\n"
    "from . import later\n"
)


def _steps(tmp_path: Path) -> str:
    files = {"pkg/_other.cp311-win_amd64.pyd": "", "pkg.libs/x.dll": ""}
    later = LIBS + "os.add_dll_directory(here + '/third')\nfrom . import _last"
    return lay(tmp_path, {"pkg/__init__.py": _IN_STEPS, EXTENSION: "", "pkg/later.py": later, **files})


def _found(site: str, name: str, *wanted: str) -> package.Package:
    paths = [(os.path.join(site, *path.split("/")),) for path in wanted]
    return package.directories_for(os.path.join(site, "pkg", f"{name}.cp311-win_amd64.pyd"), minor=11, wanted=paths)


@pytest.mark.parametrize(
    ("name", "wanted", "directories"),
    [
        ("_ext", ["pkg/first/a.dll"], ["pkg/first"]),
        ("_ext", ["pkg/second/a.dll"], ["pkg/first", "pkg/after_it_failed"]),
        ("_other", ["pkg/first/a.dll"], ["pkg/first"]),
        ("_other", ["pkg/second/a.dll"], ["pkg/first", "pkg/after_it_failed", "pkg/second"]),
        ("_other", ["pkg/third/a.dll"], ["pkg/first", "pkg/after_it_failed", "pkg/second", "pkg/third", "pkg.libs"]),
    ],
)
@pytest.mark.parametrize("before", [None, ("_other",), ("_ext", "pkg/first/a.dll"), ("_other", "pkg/second/a.dll")])
def test_what_is_found_for_a_file_does_not_depend_on_what_was_asked_before(
    name: str, wanted: list[str], directories: list[str], before: tuple[str, ...] | None, tmp_path: Path
) -> None:
    site = _steps(tmp_path)
    with files.remembering():
        if before is not None:
            _found(site, *before)
        found = _found(site, name, *wanted)
    assert [one.directory.replace(site + os.sep, "").replace("\\", "/") for one in found.added] == directories


def test_an_import_that_stops_in_a_try_keeps_nothing_of_who_asked(tmp_path: Path, without_collections: None) -> None:
    class Held:
        pass

    def ask() -> weakref.ref[Held]:
        held = Held()
        assert added(
            tmp_path, LIBS + "os.add_dll_directory(here)\ntry:\n    from . import _ext\nexcept OSError:\n    raise"
        )
        return weakref.ref(held)

    assert ask()() is None
