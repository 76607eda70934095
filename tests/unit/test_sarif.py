"""SARIF documents: by the published schema of the standard, and as code-scanning tools read them.

The schema is not part of depwalk: ci/fetch.py takes it from a pinned package. Sections are those of SARIF 2.1.0.
"""

from __future__ import annotations

import importlib.util
import json
import ntpath
import os
import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import made_rows
import pytest
from pe_maker import pe
from scanned import EXT, lay, make_wheel
from targets import target
from test_cli import FAILS, FIXED, LOADS, UNKNOWN, USAGE, Ran, run

from depwalk import tables
from depwalk.bulk import policy
from depwalk.bulk.policy import Policy
from depwalk.bulk.rows import Unit
from depwalk.bulk.summary import Summary
from depwalk.report import sarif
from depwalk.result import diagnose_caught

if TYPE_CHECKING:
    from conftest import MakePE

CHECKOUT = Path(__file__).resolve().parents[2]
SCHEMA = os.environ.get("DEPWALK_SARIF_SCHEMA", "")
GONE = pe(imports={"gone.dll": ["f"]})
TEN = ("--windows", "10")

needs_schema = pytest.mark.skipif(not SCHEMA, reason="DEPWALK_SARIF_SCHEMA is not set (ci/run.py fetches it)")


def log_of(ran: Ran[str]) -> dict[str, Any]:
    """The one run of the document that a command wrote."""
    log = json.loads(ran.stdout)
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    run_: dict[str, Any] = log["runs"][0]
    return run_


def check(*arguments: object, **options: Any) -> dict[str, Any]:
    return log_of(run(*arguments, *FIXED, "--format", "sarif", **options))


def scan(*arguments: object, **options: Any) -> dict[str, Any]:
    return log_of(run("scan", *arguments, "--format", "sarif", **options))


def places(run_: dict[str, Any]) -> list[dict[str, Any]]:
    """Where each result is."""
    return [result["locations"][0]["physicalLocation"]["artifactLocation"] for result in run_["results"]]


# ---- the standard


@pytest.mark.skipif("CI" not in os.environ, reason="elsewhere the schema may be absent")
def test_the_schema_is_there() -> None:
    assert os.path.isfile(SCHEMA)


@needs_schema
@pytest.mark.parametrize("what", ["file", "several", "nothing", "unreadable", "scan", "empty scan"])
def test_every_document_follows_the_published_schema(what: str, make_pe: MakePE, tmp_path: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(Path(SCHEMA).read_text("utf-8"))
    bad = make_pe("bad.pyd", imports={"gone.dll": ["f"]}, delay={"late.dll": ["g"]})
    fine = make_pe("fine.pyd")
    (tmp_path / "no.pyd").write_bytes(b"")
    make_wheel(tmp_path / "dist", {f"demo/{EXT}": GONE, "demo/e.dll": b""})
    ran = {
        "file": lambda: run(bad, *FIXED, "--format", "sarif"),
        "several": lambda: run(bad, fine, tmp_path / "no.pyd", *FIXED, "--format", "sarif"),
        "nothing": lambda: run(fine, *FIXED, "--format", "sarif"),
        "unreadable": lambda: run(tmp_path / "no.pyd", *FIXED, "--format", "sarif"),
        "scan": lambda: run("scan", tmp_path, *TEN, "--windows", "7", "--ignore", "gone.dll", "--format", "sarif"),
        "empty scan": lambda: run("scan", fine, *TEN, "--format", "sarif"),
    }[what]()
    validator = jsonschema.validators.validator_for(schema)
    validator.check_schema(schema)
    validator(schema).validate(json.loads(ran.stdout))


@needs_schema
def test_the_schema_finds_fault(make_pe: MakePE) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    log = json.loads(run(make_pe("bad.pyd", imports={"gone.dll": ["f"]}), *FIXED, "--format", "sarif").stdout)
    log["runs"][0]["results"][0]["level"] = "fatal"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(log, json.loads(Path(SCHEMA).read_text("utf-8")))


def test_an_index_leads_to_the_rule_and_to_the_file(make_pe: MakePE, tmp_path: Path) -> None:
    files = [make_pe(f"{name}.pyd", imports={"gone.dll": ["f"]}) for name in "ab"]
    found = check(*files, cwd=tmp_path)
    for result, place in zip(found["results"], places(found)):  # 3.27.6, 3.4.5
        assert found["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert found["artifacts"][place["index"]]["location"]["uri"] == place["uri"]
    assert [place["index"] for place in places(found)] == [0, 1]


def test_of_several_targets_there_is_one_document_with_one_run(make_pe: MakePE, tmp_path: Path) -> None:
    files = [make_pe(f"{name}.pyd", imports={"gone.dll": ["f"]}) for name in "ab"]
    assert [place["uri"] for place in places(check(*files, cwd=tmp_path))] == ["a.pyd", "b.pyd"]


# ---- where


def test_a_file_below_the_directory_is_told_relative_to_it(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("a b/D\xe9p\xf4t/100%#.pyd", imports={"gone.dll": ["f"]})
    found = check(tmp_path / "a b" / "D\xe9p\xf4t" / "100%#.pyd", cwd=tmp_path)
    (place,) = places(found)
    assert (place["uri"], place["uriBaseId"]) == ("a%20b/D%C3%A9p%C3%B4t/100%25%23.pyd", "SRCROOT")
    base = found["originalUriBaseIds"]["SRCROOT"]["uri"]  # 3.14.14: absolute, and it ends with a slash
    assert base.startswith("file:///")
    assert base.endswith("/")
    assert os.path.samefile(unquote(urlsplit(base).path).lstrip("/" if os.name == "nt" else ""), tmp_path)


def test_a_file_elsewhere_has_an_absolute_uri(make_pe: MakePE, tmp_path: Path) -> None:
    path = make_pe("out/a.pyd", imports={"gone.dll": ["f"]})
    (tmp_path / "in").mkdir()
    (place,) = places(check(path, cwd=tmp_path / "in"))
    assert place["uri"] == path.as_uri()
    assert "uriBaseId" not in place


@pytest.mark.parametrize(
    ("path", "base", "uri", "inside"),
    [
        ("C:\\proj\\a b\\x.pyd", "C:\\proj", "a%20b/x.pyd", True),
        ("c:\\PROJ\\x.pyd", "C:\\proj", "x.pyd", True),
        ("dist\\x.pyd", "C:\\proj", "dist/x.pyd", True),
        ("C:\\project\\x.pyd", "C:\\proj", "file:///C:/project/x.pyd", False),
        ("D:\\\xe9\\x.pyd", "C:\\proj", "file:///D:/%C3%A9/x.pyd", False),
        ("\\\\server\\my share\\x.pyd", "C:\\proj", "file://server/my%20share/x.pyd", False),
        ("\\\\?\\C:\\proj\\x.pyd", "C:\\proj", "x.pyd", True),
        ("\\\\?\\UNC\\server\\share\\x.pyd", "C:\\proj", "file://server/share/x.pyd", False),
    ],
)
def test_a_path_of_windows_is_a_uri(path: str, base: str, uri: str, inside: bool) -> None:
    assert sarif.uri_of(path, base, ntpath) == (uri, inside)


@pytest.mark.parametrize(
    ("path", "base", "uri", "inside"),
    [
        ("/p/C:\\x.pyd", "/p", "C%3A%5Cx.pyd", True),  # no drive: a name with odd characters
        ("/q/x.pyd", "/p", "file:///q/x.pyd", False),
        ("/x.pyd", "/", "x.pyd", True),
        ("/p/..x/y.pyd", "/p", "..x/y.pyd", True),
    ],
)
def test_a_path_of_another_system_is_a_uri(path: str, base: str, uri: str, inside: bool) -> None:
    assert sarif.uri_of(path, base, posixpath) == (uri, inside)


def test_what_lies_in_a_wheel_is_at_the_wheel_and_the_member_is_named(tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "dist", {f"demo/{EXT}": GONE})
    found = scan("dist", *TEN, cwd=tmp_path)
    (result,) = found["results"]
    assert places(found)[0]["uri"] == f"dist/{wheel.name}"
    assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == f"demo/{EXT}"
    assert result["message"]["text"].startswith(f"demo/{EXT}: ")
    assert [artifact["length"] for artifact in found["artifacts"]] == [wheel.stat().st_size]


# ---- what


def test_a_result_says_who_needs_it_what_to_do_and_how_it_is_known(make_pe: MakePE) -> None:
    found = check(make_pe("root.pyd", imports={"MSVCP140.dll": ["f"]}))
    (result,) = found["results"]
    assert (result["ruleId"], result["level"]) == ("missing-msvc-runtime", "error")
    facts = ("module", "needed_by", "proof", "verdict", "windows")
    assert [result["properties"][name] for name in facts] == ["MSVCP140.dll", "root.pyd", "static", "fails", "10"]
    text, markdown = result["message"]["text"], result["message"]["markdown"]
    assert "What to do: Install Microsoft Visual C++ v14 Redistributable" in text
    assert "**What to do:** Install" in markdown
    assert result["properties"]["command"] in text
    assert f"~~~\n{result['properties']['command']}\n~~~" in markdown


@pytest.mark.parametrize(
    ("facts", "level"),
    [({"imports": {"gone.dll": ["f"]}}, "error"), ({"delay": {"gone.dll": ["f"]}}, "warning")],
)
def test_the_level_is_the_severity(facts: dict[str, Any], level: str, make_pe: MakePE) -> None:
    assert [result["level"] for result in check(make_pe("root.pyd", **facts))["results"]] == [level]


def test_names_of_hostile_files_make_no_links_and_no_placeholders(make_pe: MakePE) -> None:
    found = check(make_pe("root.pyd", imports={"[x](http:y){0}\x1b<b>.dll": ["f"]}))
    message = found["results"][0]["message"]
    assert "](" not in message["text"]  # 3.11.6
    assert "\\[x\\](" in message["markdown"]
    assert "<b>" not in message["markdown"].replace("\\<b\\>", "")
    for text in message.values():
        assert "\x1b" not in text
        assert "{{0}}" in text  # 3.11.5


def test_what_does_load_is_an_artifact_without_a_result(make_pe: MakePE, tmp_path: Path) -> None:
    found = check(make_pe("fine.pyd"), cwd=tmp_path)
    assert found["results"] == []
    assert [artifact["location"]["uri"] for artifact in found["artifacts"]] == ["fine.pyd"]


# ---- the same from run to run


def fingerprints(run_: dict[str, Any]) -> list[str]:
    found = [result["partialFingerprints"] for result in run_["results"]]
    assert all(len(set(prints.values())) == 1 for prints in found)
    return [prints["depwalk/v1"] for prints in found]


def test_a_fingerprint_does_not_depend_on_the_place_of_the_checkout(tmp_path: Path) -> None:
    told = [fingerprints(check("a.pyd", cwd=lay(tmp_path / name, {"a.pyd": GONE}))) for name in ("one", "two")]
    assert told[0] == told[1]
    assert len(told[0]) == 1


def test_a_fingerprint_does_not_depend_on_the_version_of_a_wheel(tmp_path: Path) -> None:
    wheels = [make_wheel(tmp_path / version, {f"demo/{EXT}": GONE}, version=version) for version in ("1.0", "1.1")]
    assert len({*fingerprints(scan(wheels[0], *TEN)), *fingerprints(scan(wheels[1], *TEN))}) == 1


def test_each_result_has_a_fingerprint_of_its_own(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("s/a.pyd", imports={"gone.dll": ["f"], "lost.dll": ["f"]})
    make_pe("s/b.pyd", imports={"gone.dll": ["f"]})
    told = fingerprints(scan("s", *TEN, "--windows", "7", cwd=tmp_path))
    assert len(told) == len(set(told)) == 6


def test_files_of_one_name_keep_their_fingerprints_when_one_is_mended(make_pe: MakePE, tmp_path: Path) -> None:
    for folder in "st":
        make_pe(f"{folder}/a.pyd", imports={"gone.dll": ["f"]})
    both = fingerprints(scan("s", "t", *TEN, cwd=tmp_path))
    make_pe("s/a.pyd")
    assert fingerprints(scan("s", "t", *TEN, cwd=tmp_path)) == both[1:]


def test_a_scan_says_the_same_twice(make_pe: MakePE, tmp_path: Path) -> None:
    for number in range(9):
        make_pe(f"s/{number}.pyd", imports={"gone.dll": ["f"]})
    said = [run("scan", "s", *TEN, "--jobs", jobs, "--format", "sarif", cwd=tmp_path).stdout for jobs in "12"]
    assert said[0] == said[1]


# ---- the invocation (3.20)


@pytest.mark.parametrize(
    ("files", "status", "whole"),
    [
        (["fine.pyd"], LOADS, True),
        (["bad.pyd"], FAILS, True),
        (["unsure.pyd"], UNKNOWN, True),
        (["bad.pyd", "no.pyd"], USAGE, False),
        (["no.pyd"], USAGE, False),
    ],
)
def test_the_invocation_has_the_exit_status(
    files: list[str], status: int, whole: bool, make_pe: MakePE, tmp_path: Path
) -> None:
    make_pe("fine.pyd")
    make_pe("bad.pyd", imports={"gone.dll": ["f"]})
    make_pe("unsure.pyd", imports={"api-ms-win-future-thing-l1-1-0.dll": ["f"]})
    ran = run(*files, *FIXED, "--windows", "11", "--format", "sarif", cwd=tmp_path)
    (invocation,) = log_of(ran)["invocations"]
    assert (ran.returncode, invocation["exitCode"], invocation["executionSuccessful"]) == (status, status, whole)
    told = [notification["message"]["text"] for notification in invocation.get("toolExecutionNotifications", [])]
    assert [text.partition(":")[0] for text in told] == ["no.pyd"] * ("no.pyd" in files)


def test_a_file_of_a_scan_that_cannot_be_read_is_a_notification(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("s/fine.pyd")
    (tmp_path / "s" / "no.pyd").write_bytes(b"")
    (invocation,) = scan("s", *TEN, cwd=tmp_path)["invocations"]
    (told,) = invocation["toolExecutionNotifications"]
    assert told["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "s/no.pyd"
    assert not invocation["executionSuccessful"]


def test_what_is_no_file_has_a_name_and_no_place() -> None:
    found = diagnose_caught("gone.dll", lambda _: target("10"), loaded=[])
    run_ = json.loads(sarif.render([found], base=os.path.abspath(os.sep), status=FAILS))["runs"][0]
    (result,) = run_["results"]
    (location,) = result["locations"]
    assert [place["name"] for place in location["logicalLocations"]] == [found.name]
    assert "physicalLocation" not in location
    assert run_["artifacts"] == []


def test_a_scan_that_was_interrupted_was_not_successful(tmp_path: Path) -> None:
    (tmp_path / "a.pyd").write_bytes(b"x")
    one = made_rows.row(made_rows.file_of(tmp_path / "a.pyd", Unit(str(tmp_path), "directory")))
    said = sarif.render_scan(Summary(Policy()), [one], base=str(tmp_path), status=UNKNOWN, finished=False)
    (invocation,) = json.loads(said)["runs"][0]["invocations"]
    assert not invocation["executionSuccessful"]
    assert "interrupted" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_what_a_project_accepts_is_suppressed(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("s/a.pyd", imports={"gone.dll": ["f"]})
    make_pe("s/b.pyd", imports={"lost.dll": ["f"]})
    results = scan("s", *TEN, "--ignore", "gone.dll", cwd=tmp_path)["results"]
    assert [(result["properties"]["module"], "suppressions" in result) for result in results] == [
        ("gone.dll", True),
        ("lost.dll", False),
    ]


# ---- the rules


def test_the_rules_are_the_closed_list_of_findings(make_pe: MakePE) -> None:
    rules = check(make_pe("fine.pyd"))["tool"]["driver"]["rules"]
    assert {rule["id"] for rule in rules} == policy.codes()
    for rule in rules:
        assert "What to do: " in rule["help"]["text"]
        assert re.fullmatch(r"[A-Z].*[.]", rule["shortDescription"]["text"])
        assert rule["fullDescription"]["text"].startswith(rule["shortDescription"]["text"].rstrip("."))


def test_the_rules_say_what_the_pages_say() -> None:
    specification = importlib.util.spec_from_file_location("rules", CHECKOUT / "ci" / "rules.py")
    assert specification is not None
    assert specification.loader is not None
    rules = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(rules)
    assert tables.path("findings.json").read_text("utf-8") == rules.rules(), "python3 ci/rules.py writes it"
