"""depwalk-check.exe: what it says of files that do not load, and that it needs nothing to say so."""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from animals import on_wine, rows, target_path
from checking import CHECK, CREATE_NO_WINDOW, IS_64_BIT, OTHER, OWN, built, checked, on_windows, program, run, told
from limited import run_limited

from depwalk import core, diagnose, image

if TYPE_CHECKING:
    from conftest import MakePE

pytestmark = built
ANIMALS = {animal["name"]: animal for animal in rows()}
LARGEST = 300_000  # bytes of a program
EVERY_PROGRAM = pytest.mark.parametrize("architecture", ["x64", "x86", "arm64"])
STARTED = on_windows
UNHEARD_OF = "nowhere.dll"  # what several animals lack


def path(animal: str) -> str:
    """The file of an animal for this architecture."""
    in_32_bits = {"missing-direct": "missing-32", "nothing-needed": "all-32"}
    here = animal if IS_64_BIT else in_32_bits.get(animal, f"{animal}-32")
    if here not in ANIMALS:
        pytest.skip(f"no {animal} in 32 bits")
    return target_path(ANIMALS[here])


# ---- the file itself


@EVERY_PROGRAM
def test_it_loads_on_a_bare_windows_7(architecture: str) -> None:
    windows = "11" if architecture == "arm64" else "7"
    result = diagnose(CHECK / f"depwalk-check-{architecture}.exe", windows=windows, load=False)
    assert (result.verdict, [finding.code for finding in result.findings]) == ("loads", [])


@EVERY_PROGRAM
def test_it_imports_from_kernel32_and_ntdll_only(architecture: str) -> None:
    for file in (f"depwalk-check-{architecture}.exe", f"depwalk-{architecture}.dll"):
        imported = {one.dll.lower() for one in image.read(CHECK / file).imports}
        assert imported == {"kernel32.dll", "ntdll.dll"}


@EVERY_PROGRAM
def test_it_is_small(architecture: str) -> None:
    assert (CHECK / f"depwalk-check-{architecture}.exe").stat().st_size < LARGEST


# ---- every family that can be shown

FAMILIES = [
    ("nothing-needed", ("loads", "", "")),
    ("missing-direct", ("missing-dll", UNHEARD_OF, "user.pyd")),
    ("missing-deep", ("missing-dll", UNHEARD_OF, "b.dll")),
    ("missing-debug-runtime", ("debug-runtime", "VCRUNTIME140D.dll", "user.pyd")),
    ("wrong-machine-only", ("wrong-architecture", "x.dll", "user.pyd")),
    ("wrong-machine-deep", ("wrong-architecture", "x.dll", "b.dll")),
    ("pyd-arm64-for-64", ("wrong-architecture", "user.pyd", "")),
    ("machine-unknown", ("wrong-architecture", "user.pyd", "")),
    ("export-missing-deep", ("missing-export", "b.dll", "a.dll")),
    ("ordinal-missing", ("missing-export", "dep.dll", "user.pyd")),
    ("forwarder-missing", ("missing-dll", "b.dll", "a.dll")),
    ("truncated-section", ("corrupt-file", "user.pyd", "")),
    ("truncated-dependency", ("corrupt-file", "x.dll", "user.pyd")),
    ("text-file", ("corrupt-file", "user.pyd", "")),
    ("empty-file", ("corrupt-file", "user.pyd", "")),
    ("directory-named-dll", ("access-denied", "x.dll", "user.pyd")),
    ("init-false", ("init-failed", "user.pyd", "")),
    ("init-false-deep", ("init-failed", "b.dll", "a.dll")),
    ("init-access-violation", ("crash-on-load", "user.pyd", "")),
    ("init-crash-deep", ("crash-on-load", "c.dll", "b.dll")),
    ("init-abort", ("crash-on-load", "user.pyd", "")),
    ("init-fail-fast", ("crash-on-load", "user.pyd", "")),
    ("init-exit-process", ("crash-on-load", "user.pyd", "")),
    ("init-cxx-exception", ("crash-on-load", "user.pyd", "")),
    ("init-illegal-instruction", ("crash-on-load", "user.pyd", "")),
    ("delay-missing", ("loads", "", "")),
    ("init-flood", ("loads", "", "")),
]


@STARTED
@pytest.mark.parametrize(("animal", "expected"), FAMILIES, ids=[animal for animal, _ in FAMILIES])
def test_the_family_and_the_deepest_module_are_told(animal: str, expected: tuple[str, str, str]) -> None:
    (answer,) = checked(path(animal))
    assert told(answer) == expected


def plain(animal: dict[str, Any]) -> bool:
    """Whether it is loaded as depwalk-check.exe loads: with its directory and System32, and nothing before it."""
    special = ("app_dir", "dll_dirs", "path", "loaded_first", "variables", "distribution", "changes", "runtimes")
    return not any(animal[key] for key in special) and animal["python"] == "3.11" and "hangs" not in animal["windows"]


@STARTED
def test_what_loads_is_told_to_load_and_what_does_not_is_not() -> None:
    architecture = "x64" if IS_64_BIT else "x86"
    animals = [
        animal
        for animal in ANIMALS.values()
        if plain(animal) and animal["arch"] == architecture and animal["name"] not in OTHERWISE
    ]
    answers = checked(*(target_path(animal) for animal in animals))
    found = {answer["file"]: answer["family"] == "loads" for answer in answers}
    assert len(found) == len(animals) > (100 if IS_64_BIT else 30)
    wrong = [one["name"] for one in animals if found[target_path(one)] != is_to_load(one)]
    assert wrong == []


def is_to_load(animal: dict[str, Any]) -> bool:
    """As on Windows, also where Wine loads what Windows refuses, if the files tell that."""
    by_files = animal["windows"].get("finding") in ("missing-export", "shadowed") or animal["name"] in BY_FILES
    observed = "windows" if by_files or not on_wine() else "wine"
    return bool(animal[observed]["verdict"] == "loads")


BY_FILES = ("forwarder-missing", "icuuc-copied-from-a-newer-windows", "truncated-padding")
# Where the answer is not the loader's of a Python, and why.
OTHERWISE = {
    "pyd-32-for-64": "it asks for a process of the file's architecture, not for that of a Python",
    "pyd-64-for-32": "the same",
    "python-right": "there is no Python in the process",
    "python-310-present": "the loader is content, and only Python is not",
    "dll-flag-clear": "without the flag of a DLL it is a program, and those need their imports",
    "forwarder-last-hop": "only the first step of a chain of forwarders is followed, and Wine does not follow it",
    "forwarder-without-dot": "the same",
    "system-dll-shadowed": "Wine takes its own DLL in place of the file, and Windows the file",
}


@STARTED
def test_a_hang_is_told_by_the_dll_that_hangs() -> None:
    (answer,) = checked("--timeout", "2", path("init-hang-deep"))
    assert told(answer) == ("hang-on-load", "a.dll", "user.pyd")


@STARTED
def test_a_file_of_the_other_architecture_is_tried_by_the_program_beside_it() -> None:
    other = "missing-deep-32" if IS_64_BIT else "missing-deep"
    (answer,) = checked(target_path(ANIMALS[other]))
    assert told(answer) == ("missing-dll", UNHEARD_OF, "b.dll")


@STARTED
def test_without_that_program_the_file_is_unknown(tmp_path: Path) -> None:
    alone = shutil.copy(program(), tmp_path)
    other = "missing-deep-32" if IS_64_BIT else "missing-deep"
    code, printed, _ = run(target_path(ANIMALS[other]), program=str(alone))
    assert code == 3
    assert f"depwalk-check-{OTHER}.exe" in printed


RUNTIMES = [
    ("MFC140U.dll", f"https://aka.ms/vc14/vc_redist.{OWN}.exe"),
    ("vcruntime140_threads.dll", f"https://aka.ms/vc14/vc_redist.{OWN}.exe"),
    ("mfc120u.dll", f"https://aka.ms/highdpimfc2013{OWN}enu"),
]


@STARTED
@pytest.mark.parametrize(("dll", "url"), RUNTIMES)
def test_a_runtime_that_is_missing_is_told_with_its_package_and_address(make_pe: MakePE, dll: str, url: str) -> None:
    (answer,) = checked(str(make_pe("user.dll", machine=OWN, imports={dll: ["f"]})))
    assert told(answer) == ("missing-msvc-runtime", dll, "user.dll")
    assert answer["url"] == url
    assert answer["sentence"].endswith(url)


@STARTED
def test_a_runtime_that_lacks_a_function_is_too_old(make_pe: MakePE) -> None:
    make_pe("mfc140u.dll", machine=OWN, exports=["f"])
    (answer,) = checked(str(make_pe("user.dll", machine=OWN, imports={"mfc140u.dll": ["f", "g"]})))
    assert told(answer) == ("msvc-runtime-too-old", "mfc140u.dll", "user.dll")
    assert "lacks the function g" in answer["sentence"]


@STARTED
def test_an_api_set_that_is_missing_means_a_newer_windows(make_pe: MakePE) -> None:
    unknown = "api-ms-win-zoo-unknown-l1-1-0.dll"
    (answer,) = checked(str(make_pe("user.dll", machine=OWN, imports={unknown: ["f"]})))
    assert told(answer) == ("windows-too-old", unknown, "user.dll")


@STARTED
@pytest.mark.skipif(not IS_64_BIT, reason="the file is for x64")
def test_tensorflow_loads_with_the_directory_of_its_python() -> None:
    folder = Path(os.environ["DEPWALK_PATIENTS"], "tensorflow-2.0.0-cp37-win_amd64", "tensorflow_core", "python")
    tensorflow = str(folder / "_pywrap_tensorflow_internal.pyd")
    assert [told(answer) for answer in checked(tensorflow)] == [
        ("missing-dll", "python37.dll", "_pywrap_tensorflow_internal.pyd")
    ]
    assert told(checked("--dir", os.environ["DEPWALK_RUNTIME_37"], tensorflow)[0])[0] == "loads"


@STARTED
def test_a_program_is_checked_by_what_it_imports(tmp_path: Path) -> None:
    python = Path(sys.base_prefix, "python.exe")
    alone = shutil.copy(python, tmp_path)
    assert told(checked(str(python))[0])[0] == "loads"
    (answer,) = checked(str(alone))
    assert told(answer)[0::2] == ("missing-dll", "python.exe")


@STARTED
@pytest.mark.parametrize("missing", ["nowhere.dll", "nowhere/user.pyd"])
def test_a_file_that_is_not_there_is_unreadable(tmp_path: Path, missing: str) -> None:
    assert run(str(tmp_path / missing))[0] == 2


@STARTED
def test_a_directory_that_does_not_exist_is_told(tmp_path: Path) -> None:
    code, printed, _ = run("--dir", str(tmp_path / "nowhere"), path("nothing-needed"))
    assert code == 2
    assert "nowhere cannot be searched" in printed


# ---- exit codes and output


@STARTED
def test_the_exit_code_is_that_of_the_first_file_that_fails() -> None:
    files = [path("nothing-needed"), path("init-false"), path("missing-deep")]
    code, printed, errors = run(*files)
    assert (code, len(printed.splitlines()), errors) == (19, 3, "")


@STARTED
def test_a_line_is_the_file_and_a_sentence() -> None:
    _, printed, _ = run(path("nothing-needed"), path("missing-deep"))
    first, second = printed.splitlines()
    assert first == f"{path('nothing-needed')}: loads"
    assert second.startswith(f"{path('missing-deep')}: nowhere.dll is in none of the directories that are searched")


@STARTED
def test_quiet_prints_nothing() -> None:
    assert run("--quiet", path("missing-deep")) == (13, "", "")


@STARTED
def test_json_has_the_same_keys_for_every_line() -> None:
    for answer in checked(path("nothing-needed"), path("missing-deep"), path("text-file")):
        assert list(answer) == ["file", "family", "exit", "code", "module", "needed_by", "sentence", "url"]


@STARTED
def test_help_lists_the_families_of_the_header() -> None:
    families = {int(getattr(core.lib, name)) for name in dir(core.lib) if name.startswith("DW_FAMILY_")}
    _, printed, _ = run("--help")
    listed = [line.split() for line in printed.splitlines() if re.match(r"  \d\d ", line)]
    assert {int(number) for number, _ in listed} == {family for family in families if family >= 10}


@STARTED
@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--nonsense", "x"],
        ["--dir"],
        ["--timeout", "0", "x"],
        ["--timeout", "soon", "x"],
        ["--require-cpu", "v9", "x"],
        ["--require-vc", "new", "x"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_told_on_the_error_output(arguments: list[str]) -> None:
    code, printed, errors = run(*arguments)
    assert (code, printed) == (2, "")
    assert errors.startswith("depwalk-check: ")


@STARTED
@pytest.mark.parametrize("level", ["v1", "x86-64-v1", "sse2"])
def test_what_every_processor_has_is_met(level: str) -> None:
    assert run("--require-cpu", level, path("nothing-needed"))[0] == 0


@STARTED
def test_a_processor_that_lacks_an_instruction_set_is_told_before_anything_is_tried() -> None:
    code, printed, _ = run("--require-cpu", "3dnow", "--require-cpu", "sse2", path("nothing-needed"))
    if core.lib.dw_cpu_has(b"3dnow"):
        pytest.skip("this processor has 3DNow!")
    assert code == 16
    assert printed.startswith("processor: The product needs a processor with 3DNow!")


@STARTED
def test_a_runtime_newer_than_any_is_missing_or_too_old() -> None:
    code, printed, _ = run("--require-vc", "14.255")
    assert code in (10, 11)
    assert f"https://aka.ms/vc14/vc_redist.{OWN}.exe" in printed


# ---- places


@STARTED
@pytest.mark.parametrize("name", ["two words", "größe \u6f22", "a&b (1)", "100%"])
def test_it_works_from_and_on_any_path(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    own = shutil.copy(program(), folder)
    for file in Path(path("missing-deep")).parent.iterdir():
        shutil.copy(file, folder)
    (answer,) = checked(str(folder / "user.pyd"), program=str(own))
    assert told(answer) == ("missing-dll", UNHEARD_OF, "b.dll")
    assert answer["file"] == str(folder / "user.pyd")


@STARTED
def test_a_relative_path_and_a_relative_directory_are_of_the_current_directory(
    tmp_path: Path, make_pe: MakePE, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_pe("more/needed.dll", machine=OWN, exports=["f"])
    make_pe("user.dll", machine=OWN, imports={"needed.dll": ["f"]})
    assert run("user.dll")[0] == 13
    assert run("--dir", "more", "user.dll")[0] == 0


@STARTED
def test_a_user_without_the_rights_of_an_administrator_is_told_the_same() -> None:
    assert run_limited([program(), "--quiet", path("nothing-needed")]) == 0
    assert run_limited([program(), "--quiet", path("missing-deep")]) == 13


@STARTED
def test_nothing_is_written_beside_it_or_beside_the_file(tmp_path: Path) -> None:
    own = Path(shutil.copy(program(), tmp_path))
    for file in Path(path("missing-deep")).parent.iterdir():
        shutil.copy(file, tmp_path)
    before = sorted(tmp_path.iterdir())
    own.chmod(stat.S_IREAD)
    assert run(str(tmp_path / "user.pyd"), program=str(own))[0] == 13
    own.chmod(stat.S_IWRITE)
    assert sorted(tmp_path.iterdir()) == before


@STARTED
def test_a_dll_beside_the_program_is_not_one_of_the_product(tmp_path: Path, make_pe: MakePE) -> None:
    make_pe("checker/needed.dll", machine=OWN, exports=["f"])
    own = shutil.copy(program(), tmp_path / "checker")
    file = make_pe("product/user.dll", machine=OWN, imports={"needed.dll": ["f"]})
    assert told(checked(str(file), program=str(own))[0]) == ("missing-dll", "needed.dll", "user.dll")


@STARTED
def test_output_goes_to_a_file_too(tmp_path: Path) -> None:
    with (tmp_path / "out.txt").open("wb") as output:
        subprocess.run([program(), path("nothing-needed")], stdout=output, check=True, creationflags=CREATE_NO_WINDOW)
    assert (tmp_path / "out.txt").read_bytes().endswith(b": loads\r\n")


WORDS = [
    ('x "two words" y', ["x", "two words", "y"]),
    (r'a\\b "c\\" d', [r"a\\b", "c\\", "d"]),
    (r"\"q\" e", ['"q"', "e"]),
    ('"a b" ""', ["a b", ""]),
    (r'C:\dir\ "C:\my dir\\" z', ["C:\\dir\\", "C:\\my dir\\", "z"]),
    ("tab\tbed", ["tab", "bed"]),
]


def files_of(line: str) -> list[str]:
    command = f'"{program()}" --json -- {line}'
    ran = subprocess.run(command, stdout=subprocess.PIPE, check=False, creationflags=CREATE_NO_WINDOW)
    return [json.loads(line)["file"] for line in ran.stdout.decode("utf-8").splitlines()]


@STARTED
@pytest.mark.parametrize(("line", "words"), WORDS, ids=range(len(WORDS)))
def test_the_command_line_is_split_as_windows_does(line: str, words: list[str]) -> None:
    assert files_of(line) == words == as_windows_splits(f"x {line}")[1:]


@STARTED
def test_two_quotes_within_quotes_are_one_as_in_the_c_runtime() -> None:
    assert files_of('"a""b c" d') == ['a"b c', "d"]


def as_windows_splits(line: str) -> list[str]:
    split = ctypes.windll.shell32.CommandLineToArgvW  # type: ignore[attr-defined] # of Windows only
    split.restype = ctypes.POINTER(ctypes.c_wchar_p)
    count = ctypes.c_int()
    found = split(ctypes.c_wchar_p(line), ctypes.byref(count))
    return [found[at] for at in range(count.value)]
