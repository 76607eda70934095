"""Loader: what a child's records and its story say of a load, and which module is to blame."""

from __future__ import annotations

import ntpath
from typing import Any

import pytest

from depwalk import loader
from depwalk.graph import Edge, Graph, Module
from depwalk.loader import Failure, LoadTrace, Mapped, Raised, describe, failures
from depwalk.loader.processes import Ran
from depwalk.loader.story import Story
from depwalk.search import Order

ROOT, A, B, C, D = (rf"C:\site\{name}" for name in ("root.pyd", "a.dll", "b.dll", "c.dll", "d.dll"))


# ---- who is to blame ---------------------------------------------------------------------------------------------


def graph(needs: dict[str, list[str]], kind: Any = "import") -> Graph:
    """The graph of root.pyd; `needs` are paths: who imports whom, in the order of the ids."""
    paths = list(dict.fromkeys([ROOT, *needs, *(path for below in needs.values() for path in below)]))
    modules = [
        Module(number, ntpath.basename(path), path, "found", min(number, 1), False, None, (), "", None)
        for number, path in enumerate(paths)
    ]
    edges = [
        Edge(paths.index(importer), paths.index(path), kind, ntpath.basename(path), 1, ())
        for importer, below in needs.items()
        for path in below
    ]
    return Graph(tuple(modules), lambda to: tuple(edge for edge in edges if to in (None, edge.imported)), Order(()))


def blamed(needs: dict[str, list[str]], *failing: str) -> list[str]:
    """Names of those at fault; `failing` are those that fail alone, in the order in which they were tried."""
    return [ntpath.basename(found.path) for found in failures(graph(needs), [Failure(path, 1114) for path in failing])]


def test_where_nothing_fails_alone_nobody_is_blamed() -> None:
    assert blamed({ROOT: [A]}) == []


def test_who_fails_alone_is_blamed() -> None:
    assert blamed({ROOT: [A, B]}, B) == ["b.dll"]


def test_of_several_in_a_chain_the_deepest_is_blamed() -> None:
    assert blamed({ROOT: [A], A: [B], B: [C]}, C, B, A) == ["c.dll"]


def test_who_fails_because_of_one_that_is_two_levels_below_is_excused() -> None:
    assert blamed({ROOT: [A], A: [B], B: [C]}, C, A) == ["c.dll"]


def test_two_that_share_the_one_at_fault_are_excused() -> None:
    assert blamed({ROOT: [A, B], A: [C], B: [C]}, C, A, B) == ["c.dll"]


def test_two_that_do_not_need_each_other_are_both_blamed() -> None:
    assert blamed({ROOT: [A, B], A: [C], B: [D]}, C, D, A, B) == ["c.dll", "d.dll"]


def test_who_needs_another_only_by_a_delayed_load_is_not_excused_by_it() -> None:
    found = failures(graph({ROOT: [A], A: [B]}, kind="delay"), [Failure(B, 126), Failure(A, 1114)])
    assert [failure.path for failure in found] == [B, A]


def test_who_forwards_to_the_one_at_fault_is_excused() -> None:
    found = failures(graph({ROOT: [A], A: [B]}, kind="forward"), [Failure(B, 126), Failure(A, 126)])
    assert [failure.path for failure in found] == [B]


def test_of_a_circle_the_first_that_was_tried_stands_for_all_and_names_the_others() -> None:
    circle = {ROOT: [A], A: [B], B: [C], C: [A]}
    found = list(failures(graph(circle), [Failure(path, 1114) for path in (C, A, B)]))
    assert found == [Failure(C, 1114, circle=("a.dll", "b.dll"))]


def test_a_circle_above_the_one_at_fault_is_excused() -> None:
    assert blamed({ROOT: [A], A: [B], B: [A, C]}, C, B, A) == ["c.dll"]


def test_a_circle_and_a_module_apart_from_it_are_both_blamed() -> None:
    assert blamed({ROOT: [A, C], A: [B], B: [A]}, A, B, C) == ["a.dll", "c.dll"]


def test_a_module_that_imports_itself_is_no_circle() -> None:
    (found,) = failures(graph({ROOT: [A], A: [A]}), [Failure(A, 1114)])
    assert found == Failure(A, 1114)


def test_how_a_module_failed_is_kept() -> None:
    (found,) = failures(graph({ROOT: [A]}), [Failure(A, None, exit_code=0xC0000005)])
    assert found == Failure(A, None, exit_code=0xC0000005)


# ---- names of codes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "key", "value"),
    [
        (126, "status", "STATUS_DLL_NOT_FOUND"),
        (1114, "finding", "init-failed"),
        (0xC000001D, "name", "STATUS_ILLEGAL_INSTRUCTION"),
        (0xE06D7363, "name", "C++ exception"),
    ],
)
def test_a_code_is_described_by_its_row(code: int, key: str, value: str) -> None:
    assert describe(code)[key] == value


def test_a_code_that_is_not_listed_has_no_row() -> None:
    assert describe(0xDEADBEEF) == {}


@pytest.mark.parametrize(
    ("trace", "status"),
    [
        (LoadTrace(126), "STATUS_DLL_NOT_FOUND"),
        (LoadTrace(0xC000001D), "STATUS_ILLEGAL_INSTRUCTION"),
        (LoadTrace(None, exit_code=0xC0000409), "STATUS_STACK_BUFFER_OVERRUN"),
        (LoadTrace(0), None),
        (LoadTrace(12345), None),
        (LoadTrace(None, exit_code=77), None),
        (LoadTrace(None, timed_out=True), None),
    ],
)
def test_the_status_is_the_name_behind_the_code_or_the_exit_status(trace: LoadTrace, status: str | None) -> None:
    assert trace.status == status


# ---- what the records say ----------------------------------------------------------------------------------------

READY = {"ready": True, "bases": [0x400000, 0x10000], "ms": 1.0}
LOADING = {"loading": ROOT, "ms": 1.5}
EXE, NTDLL = Mapped(r"C:\Python311\python.exe", 0x400000, 1), Mapped(r"C:\Windows\System32\ntdll.dll", 0x10000, 2)
OWN = Mapped(r"C:\site\depwalk\_core.dll", 0x20000, 3)  # mapped before `ready` and not in its list
NOTHING = Story()
NEW_ROOT, NEW_A = Mapped(ROOT, 0x50000, 5), Mapped(A, 0x60000, 6)


def answered(code: int, modules: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"path": ROOT, "code": code, "call": 3 if code else 0, "modules": list(modules), "took": 12.5, "ms": 20.0}


def told(*records: dict[str, Any], story: Story = NOTHING, traced: bool = False, **ended: Any) -> LoadTrace:
    known = {"exit_code": 0, "timed_out": False, "output": "", "elapsed_ms": 99.0, **ended}
    return loader._told(Ran(records, story, **known), traced=traced)


def test_a_child_that_ended_before_it_began_is_told_with_its_last_words() -> None:
    words = "x" * 1000 + "Fatal Python error\n"
    with pytest.raises(OSError, match=r"ended with 0x1 before it began: x+Fatal Python error$") as found:
        Ran((), NOTHING, 1, False, words, 99.0).check()
    assert len(str(found.value)) < 400


def test_near_miss_a_child_that_was_stopped_before_it_began_is_no_error() -> None:
    Ran((), NOTHING, 0, True, "", 99.0).check()


def test_a_load_that_succeeded() -> None:
    trace = told(READY, LOADING, answered(0, (ROOT, A)), {"end": True, "ms": 21})
    assert trace == LoadTrace(0, modules=(ROOT, A), elapsed_ms=12.5)
    assert trace.loaded


def test_a_load_that_was_refused_has_its_code_and_no_exit_status() -> None:
    trace = told(READY, LOADING, answered(126), {"end": True, "ms": 21}, exit_code=1)
    assert trace == LoadTrace(126, elapsed_ms=12.5)
    assert not trace.loaded


def test_a_child_that_died_while_it_loaded_has_its_exit_status_and_no_code() -> None:
    trace = told(READY, LOADING, exit_code=0xC0000005, output="last words")
    assert trace == LoadTrace(None, exit_code=0xC0000005, output="last words", elapsed_ms=99.0)
    assert not trace.loaded


def test_a_child_that_ended_itself_with_status_0_did_not_load() -> None:
    assert told(READY, LOADING, exit_code=0) == LoadTrace(None, exit_code=0, elapsed_ms=99.0)


def test_a_child_that_hung_has_neither_a_code_nor_an_exit_status() -> None:
    trace = told(READY, LOADING, exit_code=1, timed_out=True)
    assert trace == LoadTrace(None, timed_out=True, elapsed_ms=99.0)


def test_a_child_that_hung_after_its_answer_has_answered() -> None:
    trace = told(READY, LOADING, answered(0, (ROOT,)), exit_code=1, timed_out=True)
    assert (trace.code, trace.exit_code, trace.timed_out) == (0, None, False)


def test_a_traced_load_brought_what_was_mapped_after_the_last_module_that_was_there_before() -> None:
    story = Story(modules=(EXE, NTDLL, NEW_ROOT, NEW_A))
    trace = told(READY, LOADING, answered(1114), story=story, traced=True)
    assert (trace.modules, trace.mapped, trace.traced) == ((ROOT, A), (NEW_ROOT, NEW_A), True)


def test_a_file_that_was_mapped_and_gone_again_before_the_load_is_not_brought_by_it() -> None:
    story = Story(modules=(EXE, OWN, NTDLL, NEW_ROOT))
    assert told(READY, LOADING, answered(0), story=story, traced=True).modules == (ROOT,)


def test_a_traced_child_that_died_tells_what_it_had_mapped() -> None:
    story = Story(modules=(EXE, NTDLL, NEW_ROOT))
    trace = told(READY, LOADING, story=story, traced=True, exit_code=0xC0000005)
    assert (trace.modules, trace.exit_code) == ((ROOT,), 0xC0000005)


def test_a_load_that_was_not_traced_tells_the_modules_that_the_child_listed() -> None:
    assert told(READY, LOADING, answered(0, (ROOT, A)), story=Story(modules=(EXE,))).modules == (ROOT, A)


def test_exceptions_come_from_the_story() -> None:
    raised = (Raised(0xC000001D, 0x50010, ROOT, 0x10, True),)
    assert told(READY, LOADING, story=Story(raised=raised), exit_code=0xC000001D).raised == raised


def test_what_the_loader_said_is_told_from_what_the_program_said() -> None:
    line = '1:2 @ 3 - LdrpProcessWork - ERROR: Unable to load DLL: "b.dll", Parent Module: "a.dll", Status: 0xc0000135'
    trace = told(READY, LOADING, answered(126), story=Story(output=("hello", line)), traced=True)
    assert (trace.messages, [snap.module for snap in trace.snaps]) == (("hello",), ["b.dll"])


def test_a_failure_of_which_nothing_is_known_is_told_from_all_others() -> None:
    assert LoadTrace(None).ending_unknown
    for known in (LoadTrace(0), LoadTrace(126), LoadTrace(None, exit_code=0), LoadTrace(None, timed_out=True)):
        assert not known.ending_unknown
