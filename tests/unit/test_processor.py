"""What is said of code that a processor cannot execute: an error, a warning or a note, by what leads to it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from targets import target
from test_diagnosis import evidence

import depwalk
from depwalk import cpu, diagnosis, gather, isa
from depwalk.diagnosis.evidence import Code
from depwalk.isa import Contents, Need, Reached, Use
from depwalk.report import json as json_report
from depwalk.report import text
from depwalk.result import diagnose

if TYPE_CHECKING:
    from conftest import MakePE

    from depwalk.cpu import Cpu
    from depwalk.diagnosis import Finding

SCHEMA = Path(depwalk.__file__).with_name("data") / "schema.json"
V2, V3 = cpu.of_level("x86-64-v2"), cpu.of_level("x86-64-v3")
AVX = Need(("avx",), 0x1010, 0x1000, 0, 0x1000, "entry point", mixed=False, certain=True)
SSE2 = AVX._replace(needs=("sse2",), rva=0x1004)
DEEP = AVX._replace(rva=0x2010, function=0x2000, caller=0x1800, root=0x1400, by="initialiser")
MIXED = AVX._replace(mixed=True)
MAYBE = AVX._replace(certain=False)


def reached(*needs: Need, **facts: Any) -> Reached:
    return Reached(needs, 5, 1, 100, 2, complete=True)._replace(**facts)


def holding(*uses: Use, asking: int = 1) -> Contents:
    return Contents(1000, 300, 0, 20, 10, asking, uses)


AVX_CODE = holding(Use(("avx",), 7, 90, 0x1010), Use(("sse2",), 12, 200, 0x1004))


def findings(path: Path, processor: Cpu, *codes: tuple[Reached, Contents | None, Reached | None]) -> list[Finding]:
    """What is found where the tree's modules, the file itself first, have this code."""
    found = evidence(path, target("10", "3.11", cpu=processor))
    modules = [module for module in found.graph.modules if module.image is not None]
    judged = tuple(Code(module, *code) for module, code in zip(modules, codes))
    about = diagnosis.diagnose(replace(found, code=judged))
    return [finding for finding in about if finding.code.startswith("cpu-feature")]


@pytest.fixture
def alone(make_pe: MakePE) -> Path:
    return make_pe("root.pyd", imports={"kernel32.dll": ["Sleep"]})


@pytest.fixture
def tree(make_pe: MakePE) -> Path:
    make_pe("dep.dll", exports=["f"])
    return make_pe("root.pyd", imports={"dep.dll": ["f"]})


def test_what_runs_at_load_and_is_not_there_is_an_error_with_its_place(alone: Path) -> None:
    (found,) = findings(alone, V2, (reached(SSE2, AVX), None, None))
    assert (found.code, found.severity, found.proof, found.module) == (
        "cpu-feature-missing",
        "error",
        "static",
        "root.pyd",
    )
    assert "a processor of x86-64-v2 does not have AVX" in found.message
    assert "in the entry point at 0x1000" in found.evidence


def test_the_function_and_what_leads_to_it_are_named(alone: Path) -> None:
    (found,) = findings(alone, V2, (reached(DEEP), None, None))
    assert "in the function at 0x2000, to which the initialiser at 0x1400 leads" in found.evidence


def test_the_first_place_is_named_and_the_next_are_counted(alone: Path) -> None:
    more = [AVX._replace(rva=0x3000 + index, function=0x3000 + index) for index in range(1200)]
    (found,) = findings(alone, V2, (reached(AVX, *more), None, None))
    assert any("and 1,197 more" in fact for fact in found.evidence)


def test_what_depends_on_a_branch_is_a_warning_and_the_verdict_unknown(alone: Path) -> None:
    (warning,) = findings(alone, V2, (reached(SSE2, MAYBE), AVX_CODE, None))  # and no note that says otherwise
    assert (warning.code, warning.severity) == ("cpu-feature-missing", "warning")
    assert "root.pyd may run AVX instructions while it is loaded" in warning.message
    found = evidence(alone, target("10", "3.11", cpu=V2))
    judged = replace(found, code=(Code(found.graph.root, reached(MAYBE)),))
    assert diagnosis.verdict(judged, diagnosis.diagnose(judged)) == ("unknown", "static")


def test_one_place_that_runs_whatever_happens_makes_it_an_error(alone: Path) -> None:
    (error,) = findings(alone, V2, (reached(MAYBE, DEEP._replace(certain=True)), None, None))
    assert error.severity == "error"
    assert "one of them runs it whatever branches are taken, such as that at 0x2000" in error.evidence


def test_the_same_code_is_no_cause_where_the_processor_has_it(alone: Path) -> None:
    assert findings(alone, V3, (reached(SSE2, AVX), AVX_CODE, None)) == []


def test_a_set_that_the_system_did_not_switch_on_is_disabled(alone: Path) -> None:
    switched_off = cpu.Cpu(V3.leaves, 0x3, "dump.txt")
    (found,) = findings(alone, switched_off, (reached(AVX), None, None))
    assert found.code == "cpu-feature-disabled"
    assert "the processor dump.txt has them, but Windows does not let programs use them" in found.message


def test_a_dependency_is_blamed_with_who_needs_it(tree: Path) -> None:
    (found,) = findings(tree, V2, (reached(SSE2), None, None), (reached(AVX), None, None))
    assert (found.module, found.needed_by) == ("dep.dll", "root.pyd")


def test_what_is_only_contained_is_a_note(alone: Path) -> None:
    (found,) = findings(alone, V2, (reached(SSE2), AVX_CODE, None))
    assert (found.severity, found.remedy) == ("note", None)
    assert found.evidence == ("root.pyd: of 20 functions, AVX in 7; 1 asks what the processor has",)


def test_a_note_tells_of_every_file_that_contains_some(tree: Path) -> None:
    (found,) = findings(tree, V2, (reached(SSE2), AVX_CODE, None), (reached(SSE2), AVX_CODE, None))
    assert (found.module, found.also) == ("root.pyd", ("dep.dll",))
    assert "root.pyd and another file have code" in found.message


def test_a_file_that_never_asks_is_said_to(alone: Path) -> None:
    (found,) = findings(alone, V2, (reached(SSE2), AVX_CODE._replace(asking=0), None))
    assert found.evidence[0].endswith("none asks what it has")


def test_a_function_that_chooses_by_itself_is_not_proven_to_fail(alone: Path) -> None:
    (found,) = findings(alone, V2, (reached(MIXED), AVX_CODE, None))
    assert found.severity == "note"
    assert any(fact.startswith("root.pyd: not proven: it runs the function at 0x1000") for fact in found.evidence)


def test_a_walk_that_did_not_follow_everything_says_so(alone: Path) -> None:
    (found,) = findings(alone, V2, (reached(SSE2, complete=False), AVX_CODE, None))
    assert "root.pyd: not proven: it runs more code at load than was followed" in found.evidence


def test_what_exported_functions_need_is_a_warning_beside_the_note(alone: Path) -> None:
    exported = reached(AVX._replace(by="export"))
    warning, note = findings(alone, V2, (reached(SSE2), AVX_CODE, exported))
    assert (warning.severity, note.severity) == ("warning", "note")
    assert "functions that it exports run AVX instructions" in warning.message
    assert warning.remedy is not None


def test_code_that_is_not_usable_and_runs_makes_the_verdict(alone: Path) -> None:
    found = evidence(alone, target("10", "3.11", cpu=V2))
    judged = replace(found, code=(Code(found.graph.root, reached(AVX)),))
    assert diagnosis.verdict(judged, diagnosis.diagnose(judged)) == ("fails", "static")
    noted = replace(found, code=(Code(found.graph.root, reached(SSE2), AVX_CODE),))
    assert diagnosis.verdict(noted, diagnosis.diagnose(noted)) == ("loads", "static")


# ---- what is asked of the code -----------------------------------------------------------------------------------


def test_no_code_is_read_where_no_processor_is_assumed(alone: Path) -> None:
    assert gather.around(evidence(alone, target("10", "3.11"))).code == ()


def test_the_code_of_every_file_of_the_tree_is_read_for_a_processor(tree: Path) -> None:
    found = gather.around(evidence(tree, target("10", "3.11", cpu=V2)))
    assert [code.module.name for code in found.code] == ["root.pyd", "dep.dll"]


def test_a_file_for_another_processor_has_no_code_of_x86(make_pe: MakePE) -> None:
    path = make_pe("root.dll", machine="arm64", exports=["f"])
    found = evidence(path, target("11-arm64", None, architecture="arm64", cpu=V2))
    assert gather.around(found).code == ()


# ---- reports -----------------------------------------------------------------------------------------------------


def test_json_tells_the_code_of_each_module_where_a_processor_was_asked_for(tree: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    report = json_report.as_dict(diagnose(tree, lambda _: target("10", "3.11", cpu=V2), load=False))
    assert [code["module"] for code in report["code"]] == [0, 1]
    jsonschema.validate(report, json.loads(SCHEMA.read_text("utf-8")))


def test_json_says_nothing_of_code_where_no_processor_was_asked_for(tree: Path) -> None:
    assert json_report.as_dict(diagnose(tree, lambda _: target("10", "3.11"), load=False))["code"] is None


def test_the_verbose_report_says_what_each_file_was_compiled_for(alone: Path) -> None:
    result = diagnose(alone, lambda _: target("10", "3.11", cpu=V2), load=False)
    judged = Code(result.graph.root, reached(SSE2), AVX_CODE, reached(SSE2._replace(by="export")))
    lines = [line.text for line in text.render(replace(result, judged=(judged,)), verbose=True)]
    assert "  root.pyd: compiled for x86-64-v1" in lines
    assert "      of 20 functions: AVX in 7; 1 asks what the processor has" in lines


# ---- levels of needs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("features", "level"),
    [
        ((), "x86-64-v1"),
        (("sse2", "cmov"), "x86-64-v1"),
        (("sse2", "sse4.1"), "x86-64-v2"),
        (("avx",), "x86-64-v3"),
        (("avx", "avx512f"), "x86-64-v4"),
        (("aes",), None),
    ],
)
def test_the_level_of_features_is_the_lowest_that_has_them_all(features: tuple[str, ...], level: str | None) -> None:
    assert isa.level_of(features) == level


def test_the_baseline_leaves_out_what_a_function_chooses_by_itself() -> None:
    assert isa.baseline(reached(AVX, SSE2)) == ("sse2", "avx")
    assert isa.baseline(reached(MIXED, SSE2)) == ("sse2",)
