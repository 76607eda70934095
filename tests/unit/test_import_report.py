"""Reports of imports and programs: what a person reads, what a program reads, and what the command line answers."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from targets import target
from test_cli import FIXED, refused, run
from test_report import SCHEMA

from depwalk import result
from depwalk.loader import Failure, LoadTrace, Mapped, Raised
from depwalk.loader.imports import FailedLoad, ImportTrace
from depwalk.report import json as json_report
from depwalk.report import text

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.result import Result

LOADS, FAILS, UNKNOWN = 0, 1, 3
VERSION = "3.11.9 (tags/v3.11.9:de54cf5) [MSC v.1938 64 bit (AMD64)]"
WORDS = "ImportError: DLL load failed while importing _a: The specified module could not be found."


# ---- the extension modules of a predicted import -----------------------------------------------------------------


@pytest.fixture
def diagnosed(make_pe: MakePE) -> Any:
    """diagnosed("a", lacking="gone.dll", optional=True) is the result for pkg/_a.pyd as one that pkg imports."""

    def made(name: str, *, lacking: str = "", optional: bool = False) -> Result:
        path = make_pe(f"pkg/_{name}.pyd", imports={lacking or "kernel32.dll": ["f"]})
        found = result.diagnose(path, lambda _: target(), load=False)
        return replace(found, imported_as=f"pkg._{name}", optional=optional)

    return made


def several(*results: Result, width: int = 200) -> list[str]:
    return [line.text for line in text.several(results, lambda one: text.render(one, width=width), width)]


def test_where_all_extensions_load_that_is_one_line(diagnosed: Any) -> None:
    expected = "It imports 2 extension modules, and all load. Predicted from the files alone."
    assert several(diagnosed("a"), diagnosed("b")) == [expected]


def test_an_import_without_extensions_is_one_line() -> None:
    assert several() == ["The import loads no extension module that can be seen in its source."]


def test_the_first_extension_that_fails_is_told_in_full_and_the_others_in_a_line_each(diagnosed: Any) -> None:
    results = [diagnosed("a"), diagnosed("b", lacking="gone.dll"), diagnosed("c", lacking="other.dll")]
    shown = several(*results)
    in_full = [line.text for line in text.render(results[1], width=200)]
    assert shown == [
        *in_full,
        "",
        "The import needs 3 extension modules; 2 of them will not load, or may not.",
        "  pkg._c does NOT load: other.dll is missing",
    ]


def test_an_extension_that_may_or_may_not_load_is_told_like_one_that_fails(diagnosed: Any) -> None:
    unsure = replace(diagnosed("a"), verdict="unknown")
    assert several(unsure)[0] == "pkg._a may or may not load"
    assert several(unsure)[-1] == "The import needs 1 extension module; 1 of them will not load, or may not."


def test_an_extension_without_which_the_import_goes_on_is_told_beside_it(diagnosed: Any) -> None:
    assert several(diagnosed("a"), diagnosed("b", lacking="gone.dll", optional=True)) == [
        "It imports 2 extension modules, and all that it needs load. Predicted from the files alone.",
        "",
        "It goes on without these, if it imports them at all:",
        "  pkg._b does NOT load: gone.dll is missing",
    ]


def test_an_optional_extension_that_loads_is_not_told_of(diagnosed: Any) -> None:
    assert len(several(diagnosed("a"), diagnosed("b", optional=True))) == 1


def test_an_optional_extension_that_fails_comes_after_those_that_are_needed(diagnosed: Any) -> None:
    optional = diagnosed("a", lacking="first.dll", optional=True)
    shown = several(optional, diagnosed("b", lacking="gone.dll"))
    assert shown[0] == "pkg._b does NOT load: gone.dll is missing"
    assert shown[-1] == "  pkg._a does NOT load: first.dll is missing"


# ---- under a traceback -------------------------------------------------------------------------------------------


def brief(found: Result) -> list[str]:
    return [line.text for line in text.brief(found, 200)]


def test_the_brief_report_is_the_verdict_and_every_error_without_the_tree(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports={"gone.dll": ["f"], "other.dll": ["f"]}, delay={"later.dll": ["f"]})
    shown = brief(result.diagnose(path, lambda _: target(), load=False))
    assert shown[:2] == ["depwalk:", "root.pyd does NOT load: gone.dll is missing"]
    heads = [line.partition(":")[0] for line in shown if line.startswith(("ERROR", "WARNING"))]
    assert heads == ["ERROR missing-dll"] * 2
    assert "Dependencies" not in shown


def test_the_brief_report_tells_the_first_finding_though_it_is_no_error(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", delay={"later.dll": ["f"], "last.dll": ["f"]})
    shown = brief(result.diagnose(path, lambda _: target(), load=False))
    assert shown[1] == "root.pyd loads"
    assert sum(line.startswith("WARNING delay-load-missing: ") for line in shown) == 1


# ---- programs and imports that ran -------------------------------------------------------------------------------


PLACE = "Run and traced under Windows 10 (as of version 1803) (x64)"


def ended(name: str = "python app.py", *, ended_well: bool = False, **fields: Any) -> Result:
    """The result for a program that ran in a traced child."""
    known = {"python": VERSION, "imported": ("pkg", "os"), "elapsed_ms": 40.4, "is_program": True, **fields}
    known.setdefault("load", LoadTrace(0) if ended_well or "uncaught" in fields else LoadTrace(None, exit_code=3))
    trace = ImportTrace(name, ended_well, **known)
    return result._of_trace(trace, target(), 0.0, 1.0)


def lines(found: Result) -> list[str]:
    return [line.text for line in text.render(found, width=200)]


def missing(make_pe: MakePE, **fields: Any) -> Result:
    """A program that ended because _a.pyd needs gone.dll."""
    path = make_pe("_a.pyd", imports={"gone.dll": ["f"]})
    fatal = FailedLoad(str(path), 126, WORDS, modules=(str(path),), flags=0x1100, search_path="C:\\bin")
    return ended(
        fatal=fatal,
        failed=(fatal,),
        extensions=(str(path),),
        uncaught=(WORDS,),
        exit_code=1,
        load=LoadTrace(126),
        **fields,
    )


def test_a_program_that_ended_well_loads_all_that_it_needs() -> None:
    answer, *basis = lines(ended(ended_well=True))
    assert answer == "python app.py loads all that it needs"
    told = f"{PLACE}, in CPython 3.11 (64-bit): it took 40 ms, with 2 imports and 0 extension modules."
    assert " ".join(basis) == told


def test_a_program_in_which_a_load_failed_does_not_work_and_the_cause_is_in_the_first_line(make_pe: MakePE) -> None:
    shown = lines(missing(make_pe))
    assert shown[0] == "python app.py does NOT work: gone.dll is missing"
    assert " ".join(shown[1:3]).endswith("it took 40 ms, with 2 imports and 1 extension module.")
    assert any("gone.dll  MISSING" in line for line in shown)


def test_a_program_that_failed_otherwise_failed_not_because_of_a_dll() -> None:
    shown = lines(ended(exit_code=3))
    assert shown[0] == "python app.py failed, and not because of a DLL"
    told = "WARNING analysis-incomplete: python app.py ended with status 3, and no DLL failed to load (seen here)."
    assert told in " ".join(" ".join(shown).split())


def test_an_import_that_raised_its_own_error_has_that_in_the_first_line() -> None:
    found = ended("pkg", uncaught=("RuntimeError: sorry",), is_program=False)
    assert lines(found)[0] == "pkg does NOT work: RuntimeError: sorry"


def test_a_program_that_was_stopped_says_so() -> None:
    found = ended(timed_out=True, load=LoadTrace(None, timed_out=True))
    assert "it was stopped at the time limit, with 2 imports" in " ".join(lines(found))


def test_a_program_that_is_no_python_is_not_said_to_be_one() -> None:
    found = ended("app.exe", ended_well=True, python="", imported=())
    assert lines(found)[1].startswith(f"{PLACE}, in the program: ")


def test_a_program_without_a_file_at_fault_has_no_tree() -> None:
    assert "Dependencies" not in lines(ended(exit_code=3))


# ---- JSON --------------------------------------------------------------------------------------------------------


def traced(make_pe: MakePE) -> Result:
    """A program of which everything is known that a report has a key for."""
    found = missing(make_pe, by_ctypes=("kernel32",), directories=("C:\\libs",), output="last words")
    crash = Raised(0xC0000005, 0x10010, "C:\\a.dll", 0x10, True, "write", 0x20, b"\x0f\x0b", 1.26, 7, 8)
    load = LoadTrace(
        126,
        modules=("C:\\a.dll",),
        mapped=(Mapped("C:\\a.dll", 0x10000, 1.26, 7),),
        raised=(crash, Raised(0xE06D7363, 0x99, None, None, False)),
        failures=(Failure("C:\\a.dll", 1114), Failure("C:\\b.dll", None, 3)),
        messages=("hello",),
        traced=True,
        elapsed_ms=40.44,
    )
    return replace(found, load=load)


def valid(found: Result) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.validate(json.loads(json_report.render(found)), json.loads(SCHEMA.read_text("utf-8")))


ENDINGS: dict[str, dict[str, Any]] = {
    "well": {"ended_well": True},
    "status": {"exit_code": 3},
    "stopped": {"timed_out": True, "load": LoadTrace(None, timed_out=True)},
    "no-python": {"python": "", "imported": (), "ended_well": True},
    "ctypes": {
        "fatal": FailedLoad("gone.dll", None, "OSError: gone.dll", by_ctypes=True),
        "uncaught": ("OSError: gone.dll",),
        "load": LoadTrace(None),
    },
}


@pytest.mark.parametrize("fields", ENDINGS.values(), ids=ENDINGS)
def test_json_of_a_program_follows_its_schema_however_that_ended(fields: dict[str, Any]) -> None:
    valid(ended(**fields))


def test_json_of_a_program_in_which_a_load_failed_follows_its_schema(make_pe: MakePE) -> None:
    valid(missing(make_pe))


def test_json_of_all_that_can_be_known_follows_its_schema(make_pe: MakePE) -> None:
    valid(traced(make_pe))


def described(schema: dict[str, Any], value: Any, path: str = "") -> list[str]:
    """Keys of a report that its schema does not describe, or does not require though they are always there."""
    if isinstance(value, list) and "items" in schema:
        return [name for item in value for name in described(schema["items"], item, f"{path}[]")]
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    own = [f"{path}.{key}" for key in value if key not in schema["properties"] or key not in schema["required"]]
    below = [described(schema["properties"].get(key, {}), item, f"{path}.{key}") for key, item in value.items()]
    return [*own, *(name for names in below for name in names)]


def test_the_schema_describes_every_key_and_requires_what_is_always_there(make_pe: MakePE) -> None:
    schema = json.loads(SCHEMA.read_text("utf-8"))
    assert described(schema, json_report.as_dict(traced(make_pe))) == []


def report(found: Result) -> dict[str, Any]:
    return json_report.as_dict(found)


def test_json_of_a_program_names_it_and_the_file_that_failed(make_pe: MakePE) -> None:
    found = missing(make_pe)
    told = report(found)
    assert (told["target"]["name"], told["target"]["kind"]) == ("python app.py", "import")
    assert told["target"]["path"] == told["import"]["failed_file"] == found.path
    assert (told["verdict"], told["basis"]) == ("fails", "loader")


def test_json_of_a_program_in_which_no_file_failed_has_no_path() -> None:
    told = report(ended(ended_well=True))
    assert (told["target"]["path"], told["target"]["size"], told["import"]["failed_file"]) == (None, None, None)


def test_json_of_a_file_has_no_import(make_pe: MakePE) -> None:
    told = report(result.diagnose(make_pe("root.pyd"), lambda _: target(), load=False))
    assert (told["import"], told["target"]["name"], told["target"]["optional"]) == (None, None, False)


def test_json_tells_an_exception_with_its_place_its_access_and_its_bytes(make_pe: MakePE) -> None:
    crash, other = report(traced(make_pe))["load"]["exceptions"]
    assert crash == {
        "code": "0xC0000005",
        "module": "C:\\a.dll",
        "rva": 0x10,
        "address": 0x10010,
        "first_chance": True,
        "access": "write",
        "target": 0x20,
        "bytes": "0f 0b",
        "at_ms": 1.3,
    }
    assert (other["module"], other["rva"], other["access"], other["target"], other["bytes"]) == (None,) * 5


def test_json_tells_the_modules_that_fail_alone_and_the_first_of_them(make_pe: MakePE) -> None:
    load = report(traced(make_pe))["load"]
    assert load["failed_module"] == "C:\\a.dll"
    assert load["failures"] == [
        {"path": "C:\\a.dll", "code": 1114, "exit_code": None},
        {"path": "C:\\b.dll", "code": None, "exit_code": 3},
    ]


# ---- the command line --------------------------------------------------------------------------------------------


@pytest.fixture
def site(make_pe: MakePE, tmp_path: Path) -> Path:
    """A site-packages with good (loads), bad (fails), fallback (goes on without _speed) and plain (no extension)."""

    def write(name: str, source: str) -> None:
        path = tmp_path / "site-packages" / name / "__init__.py"
        path.parent.mkdir(parents=True)
        path.write_text(source, "ascii")

    write("good", "from good import _a, _b")
    write("bad", "from bad import _a, _b")
    write(
        "fallback", "from fallback import _core\ntry:\n    from fallback import _speed\nexcept ImportError:\n    pass"
    )
    write("plain", "import os")
    for name in ("good/_a", "good/_b", "bad/_a", "fallback/_core"):
        make_pe(f"site-packages/{name}.pyd", imports={"kernel32.dll": ["Sleep"]})
    for name in ("bad/_b", "fallback/_speed"):
        make_pe(f"site-packages/{name}.pyd", imports={"gone.dll": ["f"]})
    return tmp_path / "site-packages"


@pytest.mark.parametrize(
    ("name", "status", "first"),
    [
        ("good", LOADS, "It imports 2 extension modules, and all load. Predicted from the files alone."),
        ("bad", FAILS, "bad._b does NOT load: gone.dll is missing"),
        ("bad._b", FAILS, "bad._b does NOT load: gone.dll is missing"),
        ("fallback", LOADS, "It imports 2 extension modules, and all that it needs load. Predicted from the"),
        ("plain", LOADS, "The import loads no extension module that can be seen in its source."),
    ],
)
def test_a_name_is_judged_by_the_extensions_that_its_import_loads(
    name: str, status: int, first: str, site: Path
) -> None:
    ran = run(name, "--site", site, *FIXED)
    assert (ran.returncode, ran.stderr, ran.stdout.splitlines()[0]) == (status, "", first)


def test_json_of_a_name_is_one_line_for_each_extension_with_its_name(site: Path) -> None:
    ran = run("fallback", "--site", site, *FIXED, "--format", "json")
    told = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [(one["target"]["name"], one["target"]["optional"], one["verdict"]) for one in told] == [
        ("fallback._core", False, "loads"),
        ("fallback._speed", True, "fails"),
    ]
    assert told[0]["target"]["path"] == str(site / "fallback" / "_core.pyd")
    assert ran.returncode == LOADS


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("bad", "bad: bad._b does NOT load: gone.dll is missing"),
        ("bad._b", "bad._b does NOT load: gone.dll is missing"),
        ("good", "good needs 2 extension modules, and all load"),
        ("fallback", "fallback needs 1 extension module, and it loads"),
    ],
)
def test_quiet_is_one_line_for_an_import(name: str, verdict: str, site: Path) -> None:
    ran = run(name, "--site", site, *FIXED, "-q")
    assert ran.stdout.splitlines() == [verdict]


def test_quiet_is_one_line_for_each_of_several_targets(site: Path) -> None:
    ran = run(site / "bad" / "_b.pyd", "good", site / "good", "--site", site, *FIXED, "-q")
    assert ran.stdout.splitlines() == [
        "2 extension modules: 2 load",
        "_b.pyd does NOT load: gone.dll is missing",
        "good needs 2 extension modules, and all load",
    ]


def test_a_name_that_is_not_there_is_refused_in_one_sentence(site: Path) -> None:
    ran = run("nothere", "--site", site, *FIXED)
    refused(ran, "There is no module nothere in", site)
    assert ran.stdout == ""


def test_a_module_that_a_package_does_not_have_is_refused(site: Path) -> None:
    refused(run("good._c", "--site", site, *FIXED), "it has no module good._c")


def test_a_site_that_is_not_there_is_refused(tmp_path: Path) -> None:
    refused(run("good", "--site", tmp_path / "nothere", *FIXED), "nothere", "--site")


@pytest.mark.parametrize("name", ["nothere.dll", "nothere.pyd", "nothere.exe"])
def test_a_name_that_ends_like_a_file_is_a_file(name: str, site: Path) -> None:
    ran = run(name, "--site", site, *FIXED)
    refused(ran, name)
    assert "module" not in ran.stderr


def test_what_is_there_as_a_directory_is_no_name(site: Path) -> None:
    ran = run("good", "--windows", "10", "--python", "3.11", "-q", cwd=site)
    assert ran.stdout == "2 extension modules: 2 load\n"


def test_names_and_files_can_be_asked_about_at_once(site: Path) -> None:
    ran = run("good", site / "bad" / "_b.pyd", "--site", site, *FIXED, "-q")
    assert ran.returncode == FAILS
    assert ran.stdout.splitlines()[-1] == "_b.pyd does NOT load: gone.dll is missing"


@pytest.mark.skipif(sys.platform == "win32", reason="here it runs the program")
def test_run_off_windows_is_refused_in_one_line() -> None:
    ran = run("run", "--", sys.executable, "-c", "print('ran')")
    refused(ran, "run needs Windows")
    assert ran.stdout == ""


def test_run_without_a_command_is_wrong_usage() -> None:
    refused(run("run"), "COMMAND")


def test_a_file_that_is_named_like_a_command_is_reached_by_its_path(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("run")
    ran = run(os.path.join(".", "run"), *FIXED, cwd=tmp_path)
    assert (ran.returncode, ran.stdout.splitlines()[0]) == (LOADS, "run loads")
