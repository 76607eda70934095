"""Importing a name in a traced child: what is imported and loaded on the way, and which load ended it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from animals import on_wine
from loading import IS_64_BIT, errors

from depwalk import image
from depwalk.cli.options import machine
from depwalk.loader import imports
from depwalk.target.choose import Choice, choose

if TYPE_CHECKING:
    from pathlib import Path

    from loading import Animal, Imported, Package

    from depwalk.loader.imports import ImportTrace
    from depwalk.result import Result

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="there is no Windows loader here")

SITE = os.environ.get("DEPWALK_SITE", "")
NUMPY_2 = os.environ.get("DEPWALK_SITE_NUMPY2", "")
BROKEN = os.environ.get("DEPWALK_SITE_BROKEN", "")
needs_packages = pytest.mark.skipif(not (SITE and IS_64_BIT), reason="DEPWALK_SITE (64-bit packages) is not set")
only_on_wine = pytest.mark.skipif(not on_wine(), reason="on Windows these packages load")

LOADING = [
    "numpy",
    "scipy",
    "markupsafe",
    "msgpack",
    "orjson",
    "PIL._imaging",
    "greenlet",
    "shapely",
    "pyproj",
    "regex",
    "lxml.etree",
    "psutil",
    "zmq",
    "ujson",
    "win32api",  # what it needs is where a .pth file of the directory leads
]
# Each was looked at by hand: `objdump -p` of the file shows the import, and no directory that is searched has the DLL.
# Wine 8 has no bcryptprimitives.dll; mkl_rt is in another package; pywin32's are where only a .pth file leads.
OF_WINDOWS, OF_A_PACKAGE = "missing-windows-feature", "missing-dll"
FAILING = [
    ("pydantic", SITE, OF_WINDOWS, "bcryptprimitives.dll", "_pydantic_core.cp311-win_amd64.pyd"),
    ("cryptography.fernet", SITE, OF_WINDOWS, "bcryptprimitives.dll", "_rust.pyd"),
    ("bcrypt", SITE, OF_WINDOWS, "bcryptprimitives.dll", "_bcrypt.pyd"),
    ("rpds", SITE, OF_WINDOWS, "bcryptprimitives.dll", "rpds.cp311-win_amd64.pyd"),
    ("mkl", BROKEN, OF_A_PACKAGE, "mkl_rt.3.dll", "_mklinit.cp311-win_amd64.pyd"),
    ("win32api", SITE and SITE + "\\win32", OF_A_PACKAGE, "pywintypes311.dll", "win32api.pyd"),
]


def traced(result: Result) -> ImportTrace:
    assert result.imported is not None
    return result.imported


def names(paths: tuple[str, ...]) -> list[str]:
    return [os.path.basename(path).lower() for path in paths]


# ---- real packages


@needs_packages
@pytest.mark.parametrize("name", LOADING)
def test_a_package_that_imports_loads(imported: Imported, name: str) -> None:
    result = imported(name, SITE)

    assert (result.verdict, result.basis, errors(result)) == ("loads", "loader", [])
    assert traced(result).extensions


@needs_packages
@pytest.mark.parametrize(("name", "site", "code", "module", "needed_by"), FAILING, ids=[row[0] for row in FAILING])
def test_a_package_that_lacks_a_dll_is_explained_by_that(
    imported: Imported, name: str, site: str, code: str, module: str, needed_by: str
) -> None:
    if code == OF_WINDOWS and not on_wine():
        pytest.skip("every Windows since 8 has bcryptprimitives.dll")
    result = imported(name, site)

    assert (result.verdict, result.basis) == ("fails", "loader")
    assert errors(result) == [(code, module, needed_by)]
    assert result.load is not None
    assert result.load.code == 126
    assert os.path.basename(result.path) == needed_by


@needs_packages
@only_on_wine
def test_a_function_that_wine_only_pretends_to_have_ends_numpy_2_in_its_own_extension(imported: Imported) -> None:
    result = imported("numpy", NUMPY_2)

    assert (result.verdict, result.basis) == ("fails", "loader")
    assert errors(result) == [("crash-on-load", "_multiarray_umath.cp311-win_amd64.pyd", "")]
    assert result.load is not None
    assert (result.load.code, result.load.exit_code) == (None, 0x80000100)
    assert 0x80000100 in [exception.code for exception in result.load.raised]


@needs_packages
def test_a_package_of_python_that_is_missing_is_no_matter_of_dlls(imported: Imported) -> None:
    result = imported("torchvision", BROKEN)

    assert (result.verdict, result.basis) == ("fails", "loader")
    assert [code for code, _, _ in errors(result)] == ["analysis-incomplete"]
    assert "No module named 'torch'" in result.findings[0].message


@needs_packages
def test_the_import_of_numpy_is_recorded_step_by_step(imported: Imported) -> None:
    result = imported("numpy", SITE)
    trace = traced(result)

    assert trace.directories == (os.path.join(SITE, "numpy.libs"),)
    first = names(trace.extensions)[0]
    assert first == "_multiarray_umath.cp311-win_amd64.pyd"
    assert trace.imported[:1] == ("numpy",)
    assert result.load is not None
    mapped = names(result.load.modules)
    openblas = next(name for name in mapped if "openblas" in name)
    assert mapped.index("python.exe") < mapped.index(first) < mapped.index(openblas)


# ---- what a package does about it


def test_a_package_that_goes_on_without_an_extension_loads_with_a_note(imported: Imported, package: Package) -> None:
    folder = package("goes_on", "try:\n    from goes_on import user\nexcept ImportError:\n    pass\n", "missing-direct")
    result = imported("goes_on")

    assert (result.verdict, errors(result)) == ("loads", [])
    (note,) = result.findings
    assert (note.severity, note.module) == ("note", "user.pyd")
    assert note.remedy is not None
    assert note.remedy.command == f'python -m depwalk "{folder / "user.pyd"}"'


def test_what_depwalk_needs_itself_is_not_recorded(imported: Imported, package: Package) -> None:
    package("goes_on", "try:\n    from goes_on import user\nexcept ImportError:\n    pass\n", "missing-direct")
    trace = traced(imported("goes_on"))

    assert names(trace.extensions) == ["user.pyd"]  # without _ctypes.pyd, with which the state is looked at
    assert trace.by_ctypes == ()


@pytest.mark.parametrize("cause", ["from error", "from None"])
def test_an_error_that_the_package_raises_instead_is_traced_back_to_the_dll(
    imported: Imported, package: Package, cause: str
) -> None:
    raising = f'raise RuntimeError("Failed to load the native runtime") {cause}'
    package("own", f"try:\n    from own import user\nexcept ImportError as error:\n    {raising}\n", "missing-direct")
    result = imported("own")

    assert errors(result) == [("missing-dll", "nowhere.dll", "user.pyd")]
    ends = [text.partition(":")[0] for text in traced(result).uncaught]
    assert ends == ["RuntimeError", "ImportError"]


def test_a_file_that_ctypes_is_given_by_path_is_explained_as_a_file(imported: Imported, package: Package) -> None:
    code = "import ctypes, os\nctypes.CDLL(os.path.join(os.path.dirname(__file__), 'user.pyd'))\n"
    package("by_path", code, "missing-direct")
    result = imported("by_path")

    assert errors(result) == [("missing-dll", "nowhere.dll", "user.pyd")]
    fatal = traced(result).fatal
    assert fatal is not None
    assert (fatal.code, fatal.by_ctypes, os.path.basename(fatal.path)) == (126, True, "user.pyd")


def test_a_name_that_ctypes_is_given_is_searched_for_as_ctypes_does(imported: Imported, package: Package) -> None:
    package("by_name", "import ctypes\nctypes.CDLL('nowhere_at_all.dll')\n")
    result = imported("by_name")

    assert errors(result) == [("missing-dll", "nowhere_at_all.dll", "by_name")]
    fatal = traced(result).fatal
    assert fatal is not None
    assert (fatal.path, fatal.code, fatal.by_ctypes) == ("nowhere_at_all.dll", 126, True)


def test_a_name_that_ctypes_finds_is_followed_to_what_that_lacks(imported: Imported, package: Package) -> None:
    code = "import ctypes, os\nos.add_dll_directory(os.path.dirname(__file__))\nctypes.CDLL('user.pyd')\n"
    folder = package("found", code, "missing-direct")
    result = imported("found")

    assert traced(result).directories == (str(folder),)
    assert errors(result) == [("missing-dll", "nowhere.dll", "user.pyd")]


def test_a_directory_added_before_the_import_is_part_of_the_search(imported: Imported, package: Package) -> None:
    code = "import os\nos.add_dll_directory(os.path.join(os.path.dirname(__file__), 'libs'))\nfrom adds import user\n"
    folder = package("adds", code, "missing-deep")
    (folder / "libs").mkdir()
    for name in ("a.dll", "b.dll"):
        shutil.move(str(folder / name), folder / "libs" / name)
    result = imported("adds")

    assert errors(result) == [("missing-dll", "nowhere.dll", "b.dll")]
    assert f"{folder / 'libs'};" in next(fact for fact in result.findings[0].evidence if fact.startswith("searched"))


def test_a_path_that_the_package_changed_is_the_one_that_is_told_of(
    imported: Imported, package: Package, animal: Animal
) -> None:
    code = "import os\nos.environ['PATH'] = os.path.join(os.path.dirname(__file__), 'libs')\nfrom on_path import user\n"
    folder = package("on_path", code, "missing-direct")
    (folder / "libs").mkdir()
    shutil.copy(animal("nothing-needed"), folder / "libs" / "nowhere.dll")
    result = imported("on_path")

    assert errors(result) == [("not-searched", "nowhere.dll", "user.pyd")]
    assert "it is on PATH, which CPython" in result.findings[0].message


# ---- an extension that ends the process


def test_an_extension_that_ends_its_process_is_blamed(imported: Imported, package: Package) -> None:
    folder = package("ends", "from ends import user\n", "init-exit-process")
    result = imported("ends")

    assert errors(result) == [("crash-on-load", "user.pyd", "")]
    assert traced(result).unfinished == str(folder / "user.pyd")
    assert result.load is not None
    assert (result.load.code, result.load.exit_code) == (None, 77)


def test_a_dependency_that_ends_its_process_is_blamed_and_not_the_extension(
    imported: Imported, package: Package
) -> None:
    package("ends", "from ends import user\n", "init-two-fail")

    assert errors(imported("ends")) == [("crash-on-load", "a.dll", "user.pyd")]


def test_an_extension_that_fails_fast_is_told_with_the_exception(imported: Imported, package: Package) -> None:
    package("ends", "from ends import user\n", "init-fail-fast")
    result = imported("ends")

    assert errors(result) == [("crash-on-load", "user.pyd", "")]
    assert any("0xC0000409" in fact and "user.pyd+0x" in fact for fact in result.findings[0].evidence)


def test_an_extension_that_hangs_is_stopped_and_blamed(imported: Imported, package: Package) -> None:
    package("hangs", "from hangs import user\n", "init-hang")
    result = imported("hangs", timeout=2)

    assert errors(result) == [("hang-on-load", "user.pyd", "")]
    assert result.elapsed_ms < 6000


def test_an_extension_whose_own_start_fails_was_loaded_and_python_refused_it(
    imported: Imported, package: Package
) -> None:
    package("refused", "from refused import user\n", "nothing-needed")  # its PyInit_user returns NULL
    result = imported("refused")

    assert result.verdict == "fails"
    (finding,) = result.findings
    assert (finding.severity, finding.code, finding.module) == ("error", "analysis-incomplete", "user.pyd")
    assert "Python refused the file that the loader had loaded" in finding.message


def test_evidence_of_a_refused_extension_is_not_python_s_own_traceback(imported: Imported, package: Package) -> None:
    package("crashes", "from crashes import user\n", "init-access-violation")
    result = imported("crashes")

    assert errors(result) == [("crash-on-load", "user.pyd", "")]
    assert not any("from crashes import user" in fact for fact in result.findings[0].evidence)


def test_an_extension_of_python_itself_that_lacks_a_dll_is_explained(
    imported: Imported, site: Path, animal: Animal
) -> None:
    shutil.copy(animal("missing-direct"), site / "_ctypes.pyd")  # which depwalk would need to look at the state
    result = imported("ctypes")

    assert errors(result) == [("missing-dll", "nowhere.dll", "_ctypes.pyd")]
    assert [text.partition(":")[0] for text in traced(result).uncaught] == ["ImportError"]


# ---- a package that ends for other reasons


@pytest.mark.parametrize(
    ("code", "how"),
    [("import os\nos._exit(3)\n", "ended with status 3"), ("import os\nos._exit(0)\n", "ended with status 0")],
    ids=["3", "0"],
)
def test_a_package_that_ends_the_process_itself_is_no_matter_of_dlls(
    imported: Imported, package: Package, code: str, how: str
) -> None:
    package("leaves", code)
    result = imported("leaves")

    assert (result.verdict, errors(result)) == ("unknown", [])
    assert [(finding.code, finding.message) for finding in result.findings] == [
        ("analysis-incomplete", f"leaves {how}, and no DLL failed to load.")
    ]


def test_a_package_that_hangs_in_python_is_stopped_and_no_dll_is_blamed(imported: Imported, package: Package) -> None:
    package("sleeps", "import time\ntime.sleep(60)\n")
    result = imported("sleeps", timeout=1)

    assert traced(result).timed_out
    assert (result.verdict, errors(result)) == ("unknown", [])
    assert "was stopped at the time limit" in result.findings[0].message


def test_a_package_that_calls_sys_exit_ended_with_that(imported: Imported, package: Package) -> None:
    package("leaves", "import sys\nsys.exit(2)\n")
    result = imported("leaves")

    assert traced(result).uncaught == ("SystemExit: 2",)
    assert result.verdict == "fails"
    assert [code for code, _, _ in errors(result)] == ["analysis-incomplete"]


def test_a_name_that_does_not_exist_is_wrong_usage_as_it_is_without_loading() -> None:
    statuses = {}
    for options in ([], ["--no-load"]):
        command = [sys.executable, "-m", "depwalk", "no_such_name_anywhere", *options]
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        statuses[tuple(options)] = (ran.returncode, b"no_such_name_anywhere" in ran.stderr)

    assert statuses == {(): (2, True), ("--no-load",): (2, True)}


# ---- the standard library, and other interpreters


def test_extensions_of_the_standard_library_are_traced_in_their_order(imported: Imported) -> None:
    trace = traced(imported("ssl"))

    assert trace.ended_well
    assert names(trace.extensions)[:3] == ["_ssl.pyd", "_socket.pyd", "select.pyd"]


def test_a_builtin_of_the_standard_library_that_is_an_extension_loads(imported: Imported) -> None:
    result = imported("_ctypes")

    assert (result.verdict, names(traced(result).extensions)) == ("loads", ["_ctypes.pyd"])


def test_every_python_of_this_machine_imports_in_a_traced_child(imported: Imported, pythons: list[str]) -> None:
    found = {}
    for program in pythons:
        if not IS_64_BIT and image.read(program).architecture != "x86":
            continue
        result = imported("fractions", python=program)
        trace = traced(result)
        found[program] = (trace.ended_well, "numbers" in trace.imported, result.load is not None and result.load.traced)

    assert sys.executable in found
    assert found == dict.fromkeys(found, (True, True, True))


def test_a_python_that_cannot_be_debugged_tells_of_itself(pythons: list[str]) -> None:
    other = next((found for found in pythons if image.read(found).architecture == "x64"), None)
    if IS_64_BIT or other is None:
        pytest.skip("needs a 32-bit process and a 64-bit Python")
    target = choose(None, Choice(python=other), machine())
    trace = imports.trace_import("fractions", target, timeout=20)

    assert trace.ended_well
    assert trace.load is not None
    assert not trace.load.traced
    assert "decimal" in trace.imported


@pytest.fixture
def virtual_environment(tmp_path: Path, animal: Animal) -> Path:
    """A virtual environment by hand: the interpreter again, and the file that says whose it is."""
    made = tmp_path / "venv"
    package = made / "Lib" / "site-packages" / "only_here"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from only_here import user\n", "ascii")
    shutil.copy(animal("missing-direct"), package / "user.pyd")
    (made / "Scripts").mkdir()
    shutil.copy(sys.executable, made / "Scripts" / "python.exe")
    home = os.path.dirname(sys.executable)
    (made / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n", "ascii")
    return made


def test_a_virtual_environment_imports_what_is_installed_in_it(imported: Imported, virtual_environment: Path) -> None:
    result = imported("only_here", python=str(virtual_environment / "Scripts" / "python.exe"))

    assert errors(result) == [("missing-dll", "nowhere.dll", "user.pyd")]
    installed = virtual_environment / "Lib" / "site-packages" / "only_here" / "user.pyd"
    assert os.path.normcase(result.path) == os.path.normcase(installed)


def test_a_virtual_environment_does_not_import_what_is_installed_beside_its_base(
    imported: Imported, virtual_environment: Path
) -> None:
    with pytest.raises(ValueError, match="no module pytest"):
        imported("pytest", python=str(virtual_environment / "Scripts" / "python.exe"))


# ---- the command


def test_the_command_tells_of_an_import_in_json(package: Package, site: Path) -> None:
    package("own", "from own import user\n", "missing-direct")
    command = [sys.executable, "-m", "depwalk", "own", "--site", str(site), "--format", "json"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    report = json.loads(ran.stdout)

    assert (ran.returncode, report["verdict"], report["basis"]) == (1, "fails", "loader")
    assert (report["target"]["name"], report["target"]["kind"]) == ("own", "import")
    assert (report["findings"][0]["code"], report["findings"][0]["module"]) == ("missing-dll", "nowhere.dll")


def test_the_command_ends_with_0_for_what_imports() -> None:
    command = [sys.executable, "-m", "depwalk", "json", "-q"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout.strip(), ran.stderr) == (0, "json loads all that it needs", "")
