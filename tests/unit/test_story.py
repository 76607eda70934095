"""Story: events of a child process, as they come, made into what was seen of it."""

from __future__ import annotations

import struct
from typing import Any

import pytest

from depwalk import core
from depwalk.core import Event
from depwalk.loader.story import FIRST_RAISED, LAST_RAISED, MOST_OUTPUT, Mapped, Raised, Story, Teller, watched

EXE, DLL = r"C:\Python311\python.exe", r"C:\site\a.dll"
ILLEGAL_INSTRUCTION, ACCESS_VIOLATION = 0xC000001D, 0xC0000005
BREAKPOINT, BREAKPOINT_OF_32_BITS = 0x80000003, 0x4000001F


def happened(kind: int, *, base: int = 0, at: int = 0, code: int = 0, text: str = "", process: int = 1) -> Event:
    return Event(kind, process, base, at, 0, code, True, 0, b"", text)


def told(*events: Event) -> Story:
    """What is told of events that come one a millisecond."""
    teller = Teller()
    for at_ms, event in enumerate(events):
        teller.take(event, at_ms)
    return teller.story()


def places(story: Story) -> list[str]:
    return [raised.place for raised in story.raised]


# ---- modules -----------------------------------------------------------------------------------------------------


def test_modules_stand_in_the_order_in_which_they_were_mapped_and_the_program_is_the_first() -> None:
    story = told(
        happened(core.PROCESS, base=0x400000, text=EXE),
        happened(core.OUTPUT, text="hello"),
        happened(core.MODULE, base=0x10000, text=DLL),
    )
    assert story.modules == (Mapped(EXE, 0x400000, 0, 1), Mapped(DLL, 0x10000, 2, 1))


def test_a_module_that_was_unmapped_is_still_told() -> None:
    story = told(happened(core.MODULE, base=0x10000, text=DLL), happened(core.UNMAPPED, base=0x10000))
    assert [module.path for module in story.modules] == [DLL]


@pytest.mark.parametrize(
    ("written", "path"),
    [
        (r"C:\site\a.dll", r"C:\site\a.dll"),
        (r"\\?\C:\site\a.dll", r"C:\site\a.dll"),
        (r"\\server\share\a.dll", r"\\server\share\a.dll"),
        (r"\\?\UNC\server\share\a.dll", r"\\server\share\a.dll"),
        ("", ""),
    ],
)
def test_a_path_is_told_as_a_person_writes_it(written: str, path: str) -> None:
    (module,) = told(happened(core.MODULE, base=0x10000, text=written)).modules
    assert module.path == path


# ---- exceptions --------------------------------------------------------------------------------------------------


def test_an_exception_is_told_with_its_module_and_its_offset_there() -> None:
    story = told(
        happened(core.MODULE, base=0x10000, text=DLL),
        happened(core.EXCEPTION, base=0x10000, at=0x11234, code=ILLEGAL_INSTRUCTION),
    )
    assert story.raised == (Raised(ILLEGAL_INSTRUCTION, 0x11234, DLL, 0x1234, True, at_ms=1, process=1),)
    assert places(story) == ["a.dll+0x1234"]


def test_an_exception_outside_of_every_image_is_told_by_its_address() -> None:
    story = told(happened(core.EXCEPTION, base=0, at=0xDEAD, code=ACCESS_VIOLATION))
    assert (story.raised[0].module, story.raised[0].rva, places(story)) == (None, None, ["0xDEAD"])


def test_an_exception_where_an_image_was_is_told_by_its_address() -> None:
    story = told(
        happened(core.MODULE, base=0x10000, text=DLL),
        happened(core.UNMAPPED, base=0x10000),
        happened(core.EXCEPTION, base=0x10000, at=0x11234, code=ACCESS_VIOLATION),
    )
    assert places(story) == ["0x11234"]


def test_the_image_that_was_mapped_last_at_an_address_is_the_one_that_counts() -> None:
    story = told(
        happened(core.MODULE, base=0x10000, text=DLL),
        happened(core.UNMAPPED, base=0x10000),
        happened(core.MODULE, base=0x10000, text=r"C:\b.dll"),
        happened(core.EXCEPTION, base=0x10000, at=0x10001, code=ACCESS_VIOLATION),
    )
    assert places(story) == ["b.dll+0x1"]


def test_an_image_of_one_process_says_nothing_of_another_process() -> None:
    story = told(
        happened(core.MODULE, base=0x10000, text=DLL, process=1),
        happened(core.EXCEPTION, base=0x10000, at=0x10001, code=ACCESS_VIOLATION, process=2),
    )
    assert places(story) == ["0x10001"]


@pytest.mark.parametrize(
    ("code", "access", "words"),
    [
        (ACCESS_VIOLATION, 0, "read"),
        (ACCESS_VIOLATION, 1, "write"),
        (ACCESS_VIOLATION, 8, "execute"),
        (ACCESS_VIOLATION, 5, ""),  # nothing that is documented
        (ILLEGAL_INSTRUCTION, 0, ""),
    ],
)
def test_only_an_access_violation_has_an_access(code: int, access: int, words: str) -> None:
    story = told(Event(core.EXCEPTION, 1, 0, 0x10, 0x20, code, False, access, b"\x0f\x0b", "", 7))
    expected = Raised(code, 0x10, None, None, False, words, 0x20, b"\x0f\x0b", 0, 1, 7)
    assert story.raised == (expected,)


@pytest.mark.parametrize("code", [BREAKPOINT, BREAKPOINT_OF_32_BITS])
def test_the_first_breakpoint_of_a_process_is_the_debuggers(code: int) -> None:
    teller = Teller()
    assert teller.take(happened(core.EXCEPTION, code=code), 0) is True
    assert teller.story().raised == ()


@pytest.mark.parametrize("code", [BREAKPOINT, BREAKPOINT_OF_32_BITS])
def test_the_second_breakpoint_of_a_process_is_the_programs(code: int) -> None:
    teller = Teller()
    teller.take(happened(core.EXCEPTION, code=code), 0)
    assert teller.take(happened(core.EXCEPTION, code=code), 1) is False
    assert [raised.code for raised in teller.story().raised] == [code]


def test_a_32_bit_process_of_a_64_bit_windows_begins_with_one_breakpoint_of_each_kind() -> None:
    teller = Teller()
    first = [teller.take(happened(core.EXCEPTION, code=code), 0) for code in (BREAKPOINT, BREAKPOINT_OF_32_BITS)]
    assert (first, teller.story().raised) == ([True, True], ())


def test_every_process_has_a_first_breakpoint() -> None:
    teller = Teller()
    assert [teller.take(happened(core.EXCEPTION, code=BREAKPOINT, process=one), 0) for one in (1, 2)] == [True, True]


def test_an_exception_that_is_no_breakpoint_is_left_to_the_program() -> None:
    assert Teller().take(happened(core.EXCEPTION, code=ILLEGAL_INSTRUCTION), 0) is False


def test_of_very_many_exceptions_the_first_and_the_last_are_kept() -> None:
    assert (FIRST_RAISED, LAST_RAISED) == (64, 192)
    story = told(*(happened(core.EXCEPTION, at=number, code=ILLEGAL_INSTRUCTION) for number in range(1000)))
    assert [raised.address for raised in story.raised] == [*range(64), *range(1000 - 192, 1000)]


def test_as_many_exceptions_as_there_is_room_for_are_all_kept() -> None:
    room = FIRST_RAISED + LAST_RAISED
    story = told(*(happened(core.EXCEPTION, at=number, code=ILLEGAL_INSTRUCTION) for number in range(room)))
    assert [raised.address for raised in story.raised] == list(range(room))


# ---- output, and the end -----------------------------------------------------------------------------------------


def test_of_very_much_output_the_end_is_kept() -> None:
    story = told(*(happened(core.OUTPUT, text=str(number)) for number in range(MOST_OUTPUT + 2)))
    assert (len(story.output), story.output[0], story.output[-1]) == (MOST_OUTPUT, "2", str(MOST_OUTPUT + 1))


def test_a_process_runs_from_its_beginning_to_its_exit() -> None:
    teller = Teller()
    for process in (1, 2):
        teller.take(happened(core.PROCESS, base=0x400000, text=EXE, process=process), 0)
    teller.take(happened(core.EXIT, code=3, process=1), 1)
    assert (teller.running, teller.story().exits) == ({2}, ((1, 3),))


# ---- what a process writes of itself -----------------------------------------------------------------------------

# dw_event of depwalk.h up to its text: base, address, target, kind, process, thread, code, first chance, access,
# byte count, text length, 16 bytes of code.
LAYOUT = "<3Q8I16s"


def record(text: str = DLL, **fields: Any) -> bytes:
    """A dw_event as dw_watch writes it: cut after its text."""
    known: dict[str, Any] = {
        "base": 0x10000,
        "address": 0x11234,
        "target": 0,
        "kind": core.EXCEPTION,
        "process": 5,
        "thread": 6,
        "code": ILLEGAL_INSTRUCTION,
        "first_chance": 1,
        "access": 0,
        "byte_count": 2,
        "text_length": len(text),
        "bytes": b"\x0f\x0b",
    }
    return struct.pack(LAYOUT, *{**known, **fields}.values()) + text.encode("utf-16-le")


def test_the_layout_is_that_of_the_header() -> None:
    names = [name for name, _ in core.ffi.typeof("dw_event").fields]
    assert names[:11] == [
        *("base", "address", "target", "kind", "process", "thread", "code", "first_chance", "access"),
        *("byte_count", "text_length"),
    ]
    assert struct.calcsize(LAYOUT) == core.ffi.offsetof("dw_event", "text")


def test_an_exception_that_a_process_wrote_is_told_like_one_that_a_debugger_saw() -> None:
    (raised,) = watched(record("\\\\?\\" + DLL)).raised
    assert raised == Raised(ILLEGAL_INSTRUCTION, 0x11234, DLL, 0x1234, True, "", 0, b"\x0f\x0b", 0.0, 5, 6)


def test_several_exceptions_are_told_in_their_order() -> None:
    data = record() + record("", base=0, address=0x99) + record("C:\\b.dll", address=0x10001)
    assert places(watched(data)) == ["a.dll+0x1234", "0x99", "b.dll+0x1"]


def test_a_path_that_is_not_ascii_is_whole() -> None:
    (raised,) = watched(record("C:\\\u4f9d\u5b58 \xe9.dll")).raised
    assert raised.module == "C:\\\u4f9d\u5b58 \xe9.dll"


def test_an_access_violation_that_a_process_wrote_has_its_access() -> None:
    (raised,) = watched(record(code=ACCESS_VIOLATION, access=1, target=0x20, byte_count=0)).raised
    assert (raised.access, raised.target, raised.code_bytes) == ("write", 0x20, b"")


@pytest.mark.parametrize("kept", [0, 1, struct.calcsize(LAYOUT) - 1, struct.calcsize(LAYOUT), len(record()) - 1])
def test_a_record_that_a_dying_process_did_not_finish_is_left_out(kept: int) -> None:
    assert places(watched(record() + record()[:kept])) == ["a.dll+0x1234"]


def test_a_process_that_wrote_nothing_tells_nothing() -> None:
    assert watched(b"") == Story()
