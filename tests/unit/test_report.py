"""Reports: what a person reads, at any width, and what a program reads."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from targets import target

import depwalk
from depwalk import result
from depwalk.finding import Remedy
from depwalk.report import json as json_report
from depwalk.report import text, tree
from depwalk.report.lines import columns, padded, wrap

if TYPE_CHECKING:
    from conftest import MakePE

    from depwalk.result import Result
    from depwalk.target import Target

SCHEMA = Path(depwalk.__file__).with_name("data") / "schema.json"
WIDTHS = pytest.mark.parametrize("width", [60, 80, 200])
MANIFEST = b"""<assembly xmlns="urn:schemas-microsoft-com:asm.v1"><dependency><dependentAssembly>
<assemblyIdentity name="Microsoft.VC90.CRT" version="9.0.1.1"/></dependentAssembly></dependency></assembly>"""


def diagnosed(path: Path, place: Target | None = None) -> Result:
    return result.diagnose(path, lambda _: place or target(), load=False)


def lines(found: Result, **options: Any) -> list[str]:
    return [line.text for line in text.render(found, **options)]


@pytest.fixture
def trouble(make_pe: MakePE) -> Result:
    """Many things at fault at once, some of them deep."""
    make_pe("good.dll", imports={"kernel32.dll": ["f"], "better.dll": ["f"]}, exports=["f"])
    make_pe("better.dll", imports={"user32.dll": ["f"]}, exports=["f"])
    make_pe("middle.dll", imports={"deep.dll": ["f", "nothere"]}, exports=["f"])
    make_pe("deep.dll", imports={"gone.dll": ["f"]}, exports=["f"])
    path = make_pe(
        "root.pyd",
        imports={
            "good.dll": ["f"],
            "kernel32.dll": ["f"],
            "middle.dll": ["f"],
            "msvcp140.dll": ["f"],
            "api-ms-win-crt-heap-l1-1-0.dll": ["f"],
            "api-ms-win-deprecated-apis-advapi-l1-1-0.dll": ["f"],
        },
        delay={"later.dll": ["f"]},
    )
    return diagnosed(path)


@pytest.fixture
def fine(make_pe: MakePE) -> Result:
    make_pe("fine/dep.dll", exports=["f"])
    return diagnosed(make_pe("fine/root.pyd", imports={"kernel32.dll": ["f"], "user32.dll": ["f"], "dep.dll": ["f"]}))


# ---- text --------------------------------------------------------------------------------------------------------


def test_the_answer_comes_first(trouble: Result, fine: Result) -> None:
    assert lines(trouble)[0].startswith("root.pyd does NOT load: ")
    assert lines(fine)[0] == "root.pyd loads"


def test_the_answer_names_the_first_error(trouble: Result) -> None:
    assert trouble.findings[0].module in " ".join(lines(trouble)[:2])


def test_who_says_so_comes_second(fine: Result) -> None:
    assert " ".join(lines(fine, width=200)[1:3]) == (
        "Predicted from the files alone, for CPython 3.11 (64-bit) on Windows 10 (as of version 1803) (x64); "
        "the file was not loaded."
    )


def test_errors_come_before_the_tree_and_warnings_after_it(trouble: Result) -> None:
    shown = lines(trouble)
    heads = [line for line in shown if re.match(r"ERROR |WARNING |NOTE |Dependencies", line)]
    tree_at = heads.index("Dependencies")
    assert all(head.startswith("ERROR ") for head in heads[:tree_at])
    assert not any(head.startswith("ERROR ") for head in heads[tree_at:])
    assert len(heads) == 1 + len(trouble.findings)


def test_every_finding_is_told_whole(trouble: Result) -> None:
    shown = " ".join(" ".join(lines(trouble, verbose=True)).split())
    for finding in trouble.findings:
        for part in (finding.message, finding.remedy and finding.remedy.text, *finding.evidence):
            assert part is None or " ".join(part.split()).rstrip(".") in shown


@pytest.mark.parametrize(
    ("manifests", "dll", "headline"),
    [
        (None, "gone.dll", "gone.dll is missing"),
        (None, "msvcp140.dll", "msvcp140.dll is missing"),
        (None, "python310.dll", "it is for CPython 3.10"),
        ({2: MANIFEST}, "kernel32.dll", "Microsoft.VC90.CRT is not installed"),
    ],
)
def test_headline(manifests: dict[int, bytes] | None, dll: str, headline: str, make_pe: MakePE) -> None:
    found = diagnosed(make_pe("root.pyd", imports={dll: ["f"]}, manifests=manifests))
    assert lines(found)[0] == f"root.pyd does NOT load: {headline}"


@WIDTHS
@pytest.mark.parametrize("options", [{}, {"everything": True}, {"verbose": True}])
def test_only_paths_commands_and_links_are_wider_than_asked(
    width: int, options: dict[str, bool], trouble: Result
) -> None:
    wide = [line for line in lines(trouble, width=width, **options) if len(line) > width]
    assert [line for line in wide if not re.search(r"[\\/]|^ {4}\S", line)] == []


@WIDTHS
def test_long_function_names_do_not_make_the_tree_wider(width: int, make_pe: MakePE) -> None:
    names = [f"?member{n}@Class@some_namespace@@QEAAXXZ" for n in range(3)]
    make_pe("dep.dll", exports=["f"])
    found = diagnosed(make_pe("root.pyd", imports={"dep.dll": names}))
    wide = [line for line in lines(found, width=width) if len(line) > width]
    assert [line for line in wide if os.path.dirname(found.path) not in line] == []


def test_a_path_with_spaces_stays_whole(make_pe: MakePE) -> None:
    path = make_pe("a folder with a name of many words/another one of many words/dep.dll")
    path.write_bytes(path.read_bytes()[:-1])
    root = make_pe(f"{path.parent.parent.name}/{path.parent.name}/root.pyd", imports={"dep.dll": ["f"]})
    assert any(str(path) in line for line in lines(diagnosed(root), width=60, verbose=True))


def test_a_command_stays_whole(make_pe: MakePE) -> None:
    found = diagnosed(make_pe("root.pyd", imports={"python310.dll": ["f"]}))
    remedy = found.findings[0].remedy
    assert remedy is not None
    assert f"    {remedy.command}" in lines(found, width=60)


@pytest.mark.parametrize("glyphs", [tree.ASCII, tree.UNICODE])
def test_the_tree_is_drawn_with_the_glyphs_asked_for(glyphs: tree.Glyphs, trouble: Result) -> None:
    shown = lines(trouble, glyphs=glyphs)
    drawn = shown[shown.index("Dependencies") + 1 :]
    assert any(line.startswith(glyphs.branch) for line in drawn)
    assert any(line.startswith(glyphs.last) for line in drawn)
    assert all(line.isascii() for line in shown) is (glyphs is tree.ASCII)


def drawn(found: Result, **options: Any) -> list[str]:
    shown = lines(found, **options)
    start = shown.index("Dependencies") + 1
    return shown[start : shown.index("", start)]


def test_what_fails_comes_before_what_does_not(trouble: Result) -> None:
    shown = "\n".join(drawn(trouble))
    places = [shown.index(name) for name in ("msvcp140.dll  MISSING", "middle.dll", "gone.dll  MISSING", "good.dll")]
    assert places == sorted(places)


def test_the_tree_marks_what_is_missing_and_what_is_lacking(trouble: Result) -> None:
    shown = "\n".join(drawn(trouble))
    assert "gone.dll  MISSING" in shown
    assert "LACKS nothere" in shown
    assert "later.dll (delay-loaded)  MISSING" in shown


def test_a_module_is_unfolded_once(make_pe: MakePE) -> None:
    make_pe("a.dll", imports={"shared.dll": ["f"]}, exports=["f"])
    make_pe("b.dll", imports={"shared.dll": ["f"]}, exports=["f"])
    make_pe("shared.dll", imports={"gone.dll": ["f"]}, exports=["f"])
    found = diagnosed(make_pe("root.pyd", imports={"a.dll": ["f"], "b.dll": ["f"]}))
    assert sum("gone.dll" in line for line in drawn(found)) == 1


def test_circular_imports_are_drawn_in_the_end(make_pe: MakePE) -> None:
    make_pe("a.dll", imports={"root.pyd": ["f"]}, exports=["f"])
    found = diagnosed(make_pe("root.pyd", imports={"a.dll": ["f"]}, exports=["f"]))
    assert len(drawn(found)) <= 3


def test_the_dlls_of_windows_are_folded(fine: Result) -> None:
    assert "`-- 2 of Windows: kernel32.dll, user32.dll" in drawn(fine)


def test_the_dlls_of_windows_are_unfolded_on_demand(fine: Result) -> None:
    shown = drawn(fine, everything=True)
    assert not any("of Windows" in line for line in shown)
    assert any("C:\\Windows\\System32\\kernel32.dll" in line for line in shown)


def test_the_rule_that_found_a_file_is_told_on_demand(fine: Result) -> None:
    told = "found by: directory of the file"
    assert any(told in line for line in drawn(fine, width=1000, verbose=True))
    assert not any(told in line for line in drawn(fine, width=1000))


def test_where_the_search_had_been_before_is_told_on_demand(make_pe: MakePE) -> None:
    make_pe("lib/dep.dll", exports=["f"])
    path = make_pe("root.pyd", imports={"dep.dll": ["f"]})
    place = target(dll_dirs=[path.parent / "lib"])
    told = [line for line in drawn(diagnosed(path, place), width=1000, verbose=True) if "found by" in line]
    (line,) = told
    assert line.endswith(f"added directory; tried before: {path.parent} (not there); C:\\Python311 (not there)")


def told(found: Result, width: int = 80, **changed: Any) -> list[str]:
    """The lines of a cause; `changed` are its fields."""
    finding = found.findings[0]._replace(**changed)
    shown = lines(replace(found, findings=(finding,)), width=width)
    start = next(number for number, line in enumerate(shown) if line.startswith(f"ERROR {finding.code}: "))
    return shown[start : shown.index("", start)]


@pytest.fixture
def gone(make_pe: MakePE) -> Result:
    return diagnosed(make_pe("root.pyd", imports={"gone.dll": ["f"]}))


INSTALL = Remedy("Install it anew, from where you have it.", "winget install It", "https://example.org/it")


def test_a_cause_is_told_in_five_lines_and_says_how_many_facts_are_left(gone: Result) -> None:
    assert told(gone, message="a.dll is missing.", evidence=("1", "2", "3", "4"), remedy=INSTALL) == [
        "ERROR missing-dll: a.dll is missing.",
        "  - 1",
        "  - 2; 2 more with -v",
        "  What to do: Install it anew, from where you have it: https://example.org/it",
        "    winget install It",
    ]


def test_of_a_fact_that_does_not_fit_the_beginning_is_told(gone: Result) -> None:
    shown = told(gone, message="a.dll is missing.", evidence=("1", "two words " * 30, "3"), remedy=INSTALL)
    assert shown[1:3] == ["  - 1", f"  - {'two words ' * 6}two ... (see -v)"]


def test_a_path_is_never_told_in_part(gone: Result) -> None:
    shown = told(gone, message="a.dll is missing.", evidence=("1", "2", f"searched: C:\\{'x' * 90}"), remedy=INSTALL)
    assert shown[1:3] == ["  - 1", "  - 2; 1 more with -v"]


def test_where_there_is_no_room_the_first_sentence_tells_what_to_do(gone: Result) -> None:
    remedy = Remedy("Reinstall it. " + "Or do something else that takes a longer sentence to be told in full. " * 3)
    shown = told(gone, message="a word " * 16, evidence=("1",), remedy=remedy)
    assert shown[-2:] == ["  - 1", "  What to do: Reinstall it."]


def test_a_sentence_that_ends_in_a_colon_stays_with_its_command(gone: Result) -> None:
    remedy = Remedy("Let somebody install it. If nobody does, " + "try it " * 12 + "like this:", "winget install It")
    assert "like this: winget install It" in " ".join(" ".join(told(gone, remedy=remedy)).split())


def test_a_link_goes_before_facts_and_a_command_before_a_link(gone: Result) -> None:
    words = "a word " * 17  # two lines with the code
    remedy = INSTALL._replace(text="Install it, " + "from where you have it, " * 4 + "anew.")
    shown = "\n".join(told(gone, message=words, remedy=remedy))
    assert (INSTALL.url in shown, INSTALL.command in shown, "  - " in shown) == (True, True, False)
    shown = "\n".join(told(gone, message=words * 2, remedy=remedy))
    assert (INSTALL.url in shown, INSTALL.command in shown) == (False, True)


def test_a_command_without_words_is_told(gone: Result) -> None:
    assert "    winget install It" in told(gone, message="a.dll is missing.", remedy=INSTALL._replace(text=""))


def test_nothing_stands_behind_a_command(gone: Result) -> None:
    remedy = INSTALL._replace(text="Install it:")
    assert told(gone, message="a.dll is missing.", remedy=remedy)[-2:] == [
        "    winget install It",
        "    https://example.org/it",
    ]


@pytest.mark.parametrize(
    ("proof", "words"), [("loader", " (seen here)."), ("inferred", " (concluded, not seen)."), ("static", ".")]
)
def test_who_showed_a_cause_is_always_told(proof: Any, words: str, gone: Result) -> None:
    assert told(gone, message="a.dll is missing.", proof=proof)[0] == f"ERROR missing-dll: a.dll is missing{words}"


def test_only_its_kind_has_a_colour(gone: Result) -> None:
    line = next(line for line in text.render(gone) if line.text.startswith("ERROR"))
    assert (line.style, line.text[: line.styled]) == ("bad", "ERROR missing-dll:")


def test_what_is_found_below_a_dll_is_counted(make_pe: MakePE) -> None:
    make_pe("a.dll", imports={"b.dll": ["f"], "user32.dll": ["f"]}, exports=["f"])
    make_pe("b.dll", imports={"c.dll": ["f"]}, exports=["f"])
    make_pe("c.dll", exports=["f"])
    found = diagnosed(make_pe("root.pyd", imports={"a.dll": ["f"]}))
    assert drawn(found) == ["root.pyd  x64", "`-- a.dll  beside it  (+2 below it)"]


def test_another_way_to_what_is_missing_is_not_unfolded(make_pe: MakePE) -> None:
    make_pe("near.dll", imports={"gone.dll": ["f"]}, exports=["f"])
    make_pe("far.dll", imports={"near.dll": ["f"]}, exports=["f"])
    found = diagnosed(make_pe("root.pyd", imports={"far.dll": ["f"], "near.dll": ["f"]}))
    assert drawn(found) == [
        "root.pyd  x64",
        "+-- near.dll  beside it",
        "|   `-- gone.dll  MISSING",
        "`-- far.dll  beside it  (needs it, too)",
    ]


@pytest.mark.parametrize("name", ["\x1b[2Jgone.dll", "gone\x07.dll", "gone\u203a.dll", "gone\n.dll", "gone\r.dll"])
def test_control_characters_in_a_file_never_reach_the_terminal(name: str, make_pe: MakePE) -> None:
    make_pe("dep.dll", exports=["f"])
    found = diagnosed(make_pe("root.pyd", imports={name: ["f"], "dep.dll": [name]}))
    assert [line for line in lines(found, verbose=True) if not line.isprintable()] == []


@pytest.mark.parametrize(
    ("words", "width", "first", "rest", "wrapped"),
    [
        ("aa bb cc", 5, "", None, ["aa bb", "cc"]),
        ("aa bb cc", 7, "- ", "  ", ["- aa bb", "  cc"]),
        ("a-b-c-d", 3, "", None, ["a-b-c-d"]),
        ("", 10, "  ", None, [""]),
    ],
)
def test_wrap(words: str, width: int, first: str, rest: str | None, wrapped: list[str]) -> None:
    assert [line.text for line in wrap(words, width, first, rest)] == wrapped


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("abc", 3),
        ("größe", 5),
        ("gro\u0308ße", 5),
        ("日本語", 6),
        ("\uff71", 1),
        ("\uff21", 2),
        ("한글", 4),
        ("a\u200db", 2),
    ],
)
def test_columns_of_a_terminal(words: str, number: int) -> None:
    assert columns(words) == number


def test_wide_letters_are_wrapped_by_their_columns() -> None:
    assert [line.text for line in wrap("日本 日本 日本", 9)] == ["日本 日本", "日本"]


def test_names_with_wide_letters_keep_columns_aligned() -> None:
    assert [columns(padded(name, 8)) for name in ("日本語", "abc", "gro\u0308ße", "longer than that")] == [8, 8, 8, 16]


# ---- JSON --------------------------------------------------------------------------------------------------------


def test_json_is_one_line(trouble: Result) -> None:
    rendered = json_report.render(trouble)
    assert "\n" not in rendered
    assert json.loads(rendered) == json_report.as_dict(trouble)


@pytest.mark.parametrize(
    ("part", "keys"),
    [
        (
            (),
            "schema tool target environment verdict basis findings modules edges load statistics",
        ),
        (("target",), "path kind distribution"),
        (("environment",), "windows python cpu search"),
        (("findings", 0), "code severity module needed_by message evidence remedy proof"),
        (("findings", 0, "remedy"), "text command url"),
        (("modules", 0), "id name path status rule tried architecture version linker_version depth"),
        (("edges", 0), "importer imported kind as symbols unresolved"),
    ],
)
def test_json_has_the_keys_of_the_design(part: tuple[str | int, ...], keys: str, trouble: Result) -> None:
    value: Any = json_report.as_dict(trouble)
    for key in part:
        value = value[key]
    assert set(keys.split()) <= set(value)


def test_json_says_what_the_text_says(trouble: Result) -> None:
    report = json_report.as_dict(trouble)
    assert (report["schema"], report["verdict"], report["basis"], report["load"]) == (
        "depwalk/1",
        "fails",
        "static",
        None,
    )
    assert [finding["code"] for finding in report["findings"]] == [finding.code for finding in trouble.findings]


def test_json_modules_are_in_the_order_of_their_ids(trouble: Result) -> None:
    report = json_report.as_dict(trouble)
    assert [module["id"] for module in report["modules"]] == list(range(len(report["modules"])))
    identifiers = {module["id"] for module in report["modules"]}
    assert {edge["importer"] for edge in report["edges"]} | {
        edge["imported"] for edge in report["edges"]
    } <= identifiers


def test_json_says_where_a_missing_module_was_looked_for(trouble: Result) -> None:
    module = next(one for one in json_report.as_dict(trouble)["modules"] if one["name"] == "gone.dll")
    assert (module["status"], module["path"], module["rule"]) == ("missing", None, None)
    assert module["tried"][0] == {
        "rule": "directory of the file",
        "directory": os.path.dirname(os.path.abspath(trouble.path)),
        "reason": "not there",
    }


def test_json_tells_the_name_as_it_is_written_in_the_file(make_pe: MakePE) -> None:
    make_pe("Dep.DLL", exports=["f"])
    edge = json_report.as_dict(diagnosed(make_pe("root.pyd", imports={"dEP.dll": ["f", 7]})))["edges"][0]
    assert (edge["as"], edge["symbols"], edge["unresolved"]) == ("dEP.dll", 2, ["#7"])


@pytest.mark.parametrize("loader", ["3.11", None])
@pytest.mark.parametrize("kind", ["trouble", "fine", "dotnet", "corrupt"])
def test_json_follows_its_schema(
    kind: str, loader: str | None, make_pe: MakePE, request: pytest.FixtureRequest
) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    if kind in ("trouble", "fine"):
        found = request.getfixturevalue(kind)
    else:
        path = make_pe("root.dll", clr=1)
        if kind == "corrupt":
            path.write_bytes(path.read_bytes()[:100])
        found = diagnosed(path, target("11", loader))
    schema = json.loads(SCHEMA.read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(json_report.render(found)), schema)
