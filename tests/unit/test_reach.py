"""The walk through the code that runs at load, and the count of all code: what no compiler writes, byte by byte."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pe_maker import DATA_RVA, IMAGE_BASE, patched, pe, section_header
from pe_maker import directory as directory_at

from depwalk import core, image, isa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from depwalk.isa import Contents, Reached

    Made = Callable[..., image.Image]

TEXT, DATA = 0x2000, 0x3000  # RVAs: code, and data that can be written
EXPORT, EXCEPTION, RELOCATION, TLS = 0, 3, 5, 9
CODE, WRITABLE = 0x60000020, 0xC0000040
RET, INT3, UNKNOWN = b"\xc3", b"\xcc", b"\x0f\x04"
AVX = bytes.fromhex("c5 fc 57 c0")  # vxorps ymm0, ymm0, ymm0
CPUID = bytes.fromhex("0f a2")
USE_AVX, ASK = AVX + RET, CPUID + RET


def call(at: int, to: int) -> bytes:
    return b"\xe8" + struct.pack("<i", to - at - 5)


def jump(at: int, to: int) -> bytes:
    return b"\xe9" + struct.pack("<i", to - at - 5)


def jump_if_equal(at: int, to: int) -> bytes:
    return b"\x0f\x84" + struct.pack("<i", to - at - 6)


def lea(register: int, at: int, to: int) -> bytes:
    """LEA of one of the eight old registers, of an address in the image, in 64 bits."""
    return bytes((0x48, 0x8D, 5 | register << 3)) + struct.pack("<i", to - at - 7)


def push(rva: int) -> bytes:
    """PUSH of an address in the image, in 32 bits."""
    return b"\x68" + struct.pack("<I", IMAGE_BASE + rva)


def pointers(*rvas: int, width: int = 8) -> bytes:
    return b"".join((IMAGE_BASE + rva if rva else 0).to_bytes(width, "little") for rva in rvas)


def chain(at: int, *parts: Callable[[int], bytes] | bytes) -> bytes:
    """One piece of code after the other; those that need to know where they stand are functions of that."""
    code = b""
    for part in parts:
        code += part if isinstance(part, bytes) else part(at + len(code))
    return code


def to(make: Callable[..., bytes], *arguments: int) -> Callable[[int], bytes]:
    """A part of a chain: to(call, 0x2010)."""
    return lambda at: make(*arguments[:-1], at, arguments[-1])


def laid(pieces: Mapping[int, bytes], start: int) -> bytes:
    """Bytes at their RVAs, and INT3 between them."""
    content = bytearray()
    for rva, piece in sorted(pieces.items()):
        assert rva - start >= len(content), f"0x{rva:X} is taken"
        content += INT3 * (rva - start - len(content)) + piece
    return bytes(content)


def program(
    code: Mapping[int, bytes],
    data: Mapping[int, bytes] | None = None,
    *,
    machine: str = "x64",
    entry: int = TEXT,
    listed: Sequence[tuple[int, int]] = (),
    exported: Sequence[int] = (),
    relocated: Sequence[int] = (),
    callbacks: int = 0,  # RVA of the list of TLS callbacks
    **facts: Any,
) -> bytes:
    """A file with code from TEXT on and data from DATA on."""
    tables = {EXCEPTION: b"".join(struct.pack("<3I", begin, end, 0) for begin, end in listed)}
    if exported:
        addresses = struct.pack(f"<{len(exported)}I", *exported)
        tables[EXPORT] = struct.pack("<5I5I", 0, 0, 0, 0, 1, len(exported), 0, 0x4000 + 40, 0, 0) + addresses
    if relocated:
        kind = 10 if machine == "x64" else 3
        entries = b"".join(struct.pack("<H", kind << 12 | rva & 0xFFF) for rva in relocated)
        tables[RELOCATION] = struct.pack("<2I", relocated[0] & ~0xFFF, 8 + len(entries)) + entries
    width = 8 if machine == "x64" else 4
    if callbacks:
        tables[TLS] = bytes(3 * width) + pointers(callbacks, width=width) + bytes(8)
    text = laid(code, TEXT)
    sections = {".text": text + INT3 * (-len(text) % 0x200), ".zoo": laid(data or {}, DATA) or bytes(16)}
    for index, table in tables.items():
        sections[f".t{index}"] = table or bytes(4)
    made = pe(machine=machine, entry_point=entry, sections=sections, **facts)
    made = patched(made, section_header(made, 1) + 36, "<I", CODE)
    made = patched(made, section_header(made, 2) + 36, "<I", WRITABLE)
    for number, (index, table) in enumerate(tables.items()):
        if not table:
            continue
        rva = struct.unpack_from("<I", made, section_header(made, 3 + number) + 12)[0]
        made = patched(made, directory_at(made, index)[0], "<II", rva, len(table))
        if index == EXPORT:
            at = struct.unpack_from("<I", made, section_header(made, 3 + number) + 20)[0]
            made = patched(made, at + 28, "<I", rva + 40)
    return made


@pytest.fixture
def made(tmp_path: Path) -> Made:
    def make(*arguments: Any, **facts: Any) -> image.Image:
        path = tmp_path / "code.dll"
        path.write_bytes(program(*arguments, **facts))
        return image.read(path)

    return make


def at_load(found: image.Image) -> Reached:
    reached = isa.at_load(found)
    assert reached is not None
    return reached


def contents(found: image.Image) -> Contents:
    held = isa.contents(found)
    assert held is not None
    return held


def places(reached: Reached) -> list[int]:
    """Where AVX is run unasked."""
    return [need.rva for need in reached.needs if need.needs == ("avx",)]


def avx(held: Contents) -> tuple[int, int]:
    """Functions and instructions with AVX."""
    return next(((use.functions, use.instructions) for use in held.uses if use.needs == ("avx",)), (0, 0))


# Code that does not end, or leads nowhere.


@pytest.mark.parametrize(
    "code",
    [b"\xeb\xfe", jump(TEXT, TEXT), b"\x74\xfe\xeb\xfc", call(TEXT, TEXT), b"\xe2\xfe" + jump(TEXT + 2, TEXT)],
    ids=["short", "near", "conditional", "call", "loop"],
)
def test_a_loop_without_end_is_walked_once(made: Made, code: bytes) -> None:
    reached = at_load(made({TEXT: code + AVX + RET}))
    assert reached.instructions <= 4
    assert reached.complete


@pytest.mark.parametrize("machine", ["x64", "x86"])
def test_functions_that_call_each_other_end(made: Made, machine: str) -> None:
    first, second = TEXT + 0x10, TEXT + 0x20
    code = {
        TEXT: chain(TEXT, to(call, first), RET),
        first: chain(first, to(call, second), to(call, first), to(call, TEXT), RET),
        second: chain(second, to(call, first), AVX, RET),
    }
    reached = at_load(made(code, machine=machine))
    assert places(reached) == [second + 5]
    assert reached.functions == 3


def test_a_chain_of_calls_as_deep_as_the_file_is_long_is_walked_to_its_end(made: Made) -> None:
    deep = 500
    starts = [TEXT + 8 * number for number in range(deep)]
    code = {start: call(start, start + 8) + RET for start in starts}
    reached = at_load(made({**code, TEXT + 8 * deep: USE_AVX}))
    assert places(reached) == [TEXT + 8 * deep]
    assert reached.needs[0].caller == starts[-1]
    assert reached.needs[0].root == TEXT


@pytest.mark.parametrize(
    "target", [0, 0x40, DATA_RVA, DATA, 0x7FFF0000, 0xFFFFFFF0], ids=["zero", "headers", "data", "zoo", "far", "below"]
)
def test_a_call_into_nowhere_leads_nowhere_and_the_code_goes_on(made: Made, target: int) -> None:
    place = (target - TEXT - 5) & 0xFFFFFFFF
    reached = at_load(made({TEXT: b"\xe8" + struct.pack("<I", place) + USE_AVX}, {DATA: USE_AVX}))
    assert places(reached) == [TEXT + 5]
    assert reached.complete


def test_a_call_into_the_middle_of_an_instruction_is_followed_as_the_processor_would(made: Made) -> None:
    code = chain(TEXT, to(call, TEXT + 11), RET)
    hidden = b"\x48\xb8" + AVX + RET + b"\0\0\0"  # mov rax, imm64
    assert places(at_load(made({TEXT: code, TEXT + 9: hidden}))) == [TEXT + 11]


def test_an_entry_point_that_is_no_code_runs_nothing(made: Made) -> None:
    reached = at_load(made({TEXT: USE_AVX}, {DATA: USE_AVX}, entry=DATA))
    assert (reached.needs, reached.instructions) == ((), 0)


def test_code_that_ends_with_its_section_in_the_middle_of_an_instruction_is_left(made: Made) -> None:
    reached = at_load(made({TEXT: jump(TEXT, TEXT + 0x1FC), TEXT + 0x1FC: b"\x90" + AVX[:3]}))
    assert places(reached) == []
    assert reached.instructions == 2


@pytest.mark.parametrize("last", ["89 01", "8b 01", "83", "8d 01", "85 01"])
@pytest.mark.parametrize("machine", ["x64", "x86"])
def test_operands_are_not_looked_for_behind_the_end(made: Made, machine: str, last: str) -> None:
    """An instruction whose ModRM is the last byte of the file."""
    end = bytes.fromhex(last)
    at = TEXT + 0x200 - len(end)
    assert places(at_load(made({TEXT: jump(TEXT, at), at: end}, {}, machine=machine))) == []


def test_what_is_no_instruction_ends_a_path_and_not_the_walk(made: Made) -> None:
    code = chain(TEXT, to(jump_if_equal, TEXT + 0x10), UNKNOWN, AVX)
    assert places(at_load(made({TEXT: code, TEXT + 0x10: USE_AVX}))) == [TEXT + 0x10]


# Room.


def in_room(found: image.Image, functions: int, capacity: int = 8) -> tuple[Any, list[int]]:
    """What the core answers with room for so many functions and needs: its dw_reach, and where the needs are."""
    needs = core.ffi.new("dw_need[]", capacity)
    facts = found.file.facts
    room = core.ffi.new("uint8_t[]", core.lib.dw_reached_room(facts, functions))
    reach = core.lib.dw_reached(facts, 0, room, functions, needs, capacity)
    return reach, [needs[number].rva for number in range(min(reach.needs, capacity))]


def test_without_room_for_a_function_the_walk_says_that_it_is_incomplete(made: Made) -> None:
    first, second = TEXT + 0x10, TEXT + 0x20
    code = {TEXT: chain(TEXT, AVX, to(call, first), RET), first: chain(first, to(call, second), RET), second: USE_AVX}
    found = made(code)
    some, seen = in_room(found, 2)
    whole, everything = in_room(found, 3)
    assert (some.incomplete, seen) == (1, [TEXT])
    assert (whole.incomplete, everything) == (0, [TEXT, second])


def test_without_room_for_a_need_it_is_counted_all_the_same(made: Made) -> None:
    first = TEXT + 0x10
    found = made({TEXT: chain(TEXT, AVX, to(call, first), RET), first: USE_AVX})
    reach, seen = in_room(found, 8, capacity=1)
    assert (reach.needs, seen) == (2, [TEXT])


def test_room_grows_until_it_suffices(made: Made) -> None:
    """More branches than the first room has places for."""
    branches = 60_000
    found = made({TEXT: b"\x74\0" * branches + USE_AVX})
    few, _ = in_room(found, 2048)
    reached = at_load(found)
    assert few.incomplete == 1
    assert reached.complete
    assert reached.instructions == branches + 2


# Tables of initialisers.

TABLE = DATA + 0x10
INITIALISER = TEXT + 0x40


def given_to_initterm(made: Made, table: bytes, *, size: int | None = None, at: int = TABLE) -> Reached:
    """A call with the addresses of a table's begin and end; the called function does nothing."""
    end = at + (len(table) if size is None else size)
    code = {
        TEXT: chain(TEXT, to(lea, 2, end), to(lea, 1, at), to(call, TEXT + 0x30), RET),
        TEXT + 0x30: RET,
        INITIALISER: USE_AVX,
    }
    if at >= DATA:
        return at_load(made(code, {DATA: bytes(0x10), TABLE: table}))
    return at_load(made({**code, at: table}))


def test_a_table_that_is_given_away_is_run(made: Made) -> None:
    reached = given_to_initterm(made, pointers(0, INITIALISER, 0))
    assert [(need.rva, need.by, need.root, need.caller) for need in reached.needs] == [
        (INITIALISER, "initialiser", INITIALISER, TEXT)
    ]


@pytest.mark.parametrize(
    "table",
    [
        pointers(0, INITIALISER) + b"\1\2\3\4\5\6\7\x08",  # something else
        pointers(INITIALISER, DATA),  # no code
        pointers(INITIALISER) + b"\0\0\0\0",  # no whole number of pointers
        pointers(INITIALISER, 0x7FFF0000),  # outside of the file
        pointers(0, 0, 0),  # nothing
        b"",
    ],
    ids=["number", "data", "cut", "outside", "empty", "nothing"],
)
def test_what_is_no_table_is_not_run(made: Made, table: bytes) -> None:
    assert places(given_to_initterm(made, table)) == []


@pytest.mark.parametrize("size", [-8, 0x200000, 0x7000])
def test_a_table_that_ends_before_it_begins_or_behind_the_file_is_none(made: Made, size: int) -> None:
    assert places(given_to_initterm(made, pointers(INITIALISER, 0), size=size)) == []


def test_a_table_within_the_code_is_none(made: Made) -> None:
    """What two addresses of code have between them is code."""
    assert places(given_to_initterm(made, pointers(INITIALISER), at=TEXT + 0x80)) == []


def test_initialisers_run_in_the_order_of_their_table(made: Made) -> None:
    asks, second = TEXT + 0x60, TEXT + 0x80
    flag = DATA + 8
    read = b"\x83\x3d" + struct.pack("<i", flag - second - 7) + b"\0"  # cmp dword [flag], 0
    wrote = b"\x89\x05" + struct.pack("<i", flag - asks - 8)  # mov [flag], eax
    code = {
        TEXT: chain(TEXT, to(lea, 2, TABLE + 16), to(lea, 1, TABLE), to(call, TEXT + 0x30), RET),
        TEXT + 0x30: RET,
        asks: CPUID + wrote + RET,
        second: read + b"\x74\x04" + AVX + RET,
    }
    reached = at_load(made(code, {DATA: bytes(0x10), TABLE: pointers(asks, second)}))
    assert places(reached) == []
    assert reached.asking == 2


@pytest.mark.parametrize(
    "end", [b"", b"\0" * 8, b"\xff" * 8, b"\1" * 8], ids=["section", "zero", "minus one", "number"]
)
def test_a_list_of_constructors_ends_where_no_code_is_pointed_to(made: Made, end: bytes) -> None:
    constructors = b"\xff" * 8 + pointers(INITIALISER) + end
    code = {TEXT: chain(TEXT, to(lea, 0, TABLE), RET), INITIALISER: USE_AVX}
    reached = at_load(made(code, {DATA: bytes(0x10), TABLE: constructors}))
    assert [need.by for need in reached.needs] == ["initialiser"]
    assert reached.complete


def test_a_list_that_does_not_begin_with_minus_one_is_no_list_of_constructors(made: Made) -> None:
    code = {TEXT: chain(TEXT, to(lea, 0, TABLE), RET), INITIALISER: USE_AVX}
    data = {DATA: bytes(0x10), TABLE: b"\xff" * 4 + b"\0" * 4 + pointers(INITIALISER, 0)}
    assert places(at_load(made(code, data))) == []


def test_callbacks_without_an_end_are_followed_as_far_as_a_loader_would_bear(made: Made) -> None:
    callbacks = pointers(*[INITIALISER] * 500)
    code = {TEXT: RET, INITIALISER: USE_AVX}
    reached = at_load(made(code, {DATA: callbacks}, callbacks=DATA))
    assert [(need.by, need.root) for need in reached.needs] == [("TLS callback", INITIALISER)]


# What the exception directory says.


def test_a_function_ends_where_the_exception_directory_says(made: Made) -> None:
    """A jump to the next function leaves this one, whose question the other does not know."""
    other = TEXT + 0x10
    code = {TEXT: chain(TEXT, to(call, other), RET), other: chain(other, to(jump, TEXT + 0x20)), TEXT + 0x20: USE_AVX}
    listed = [(TEXT, TEXT + 6), (other, other + 5), (TEXT + 0x20, TEXT + 0x25)]
    (need,) = at_load(made(code, listed=listed)).needs
    assert (need.function, need.caller) == (TEXT + 0x20, other)


OVERLAPPING = {
    "twice": [(TEXT, TEXT + 5)] * 3,
    "nested": [(TEXT, TEXT + 5), (TEXT + 1, TEXT + 4)],
    "crossed": [(TEXT, TEXT + 4), (TEXT + 2, TEXT + 5)],
    "falling": [(TEXT + 4, TEXT + 5), (TEXT, TEXT + 4)],
    "empty": [(TEXT, TEXT), (TEXT, TEXT + 5)],
    "backwards": [(TEXT + 5, TEXT), (TEXT, TEXT + 5)],
    "outside": [(TEXT, TEXT + 5), (0x7FFF0000, 0x7FFF0010), (0xFFFFFFF0, 0xFFFFFFFF)],
    "endless": [(TEXT, 0xFFFFFFFF), (TEXT, TEXT + 5)],
    "data": [(DATA, DATA + 8), (TEXT, TEXT + 5)],
}


@pytest.mark.parametrize("listed", OVERLAPPING.values(), ids=OVERLAPPING)
def test_exception_entries_that_make_no_sense_change_neither_answer(made: Made, listed: list[tuple[int, int]]) -> None:
    found = made({TEXT: USE_AVX}, listed=listed)
    assert places(at_load(found)) == [TEXT]
    assert avx(contents(found)) == (1, 1)


# Questions.


def test_a_question_in_front_answers_for_the_rest_of_a_function(made: Made) -> None:
    assert places(at_load(made({TEXT: CPUID + AVX + RET}))) == []


def test_a_question_behind_comes_too_late_and_the_entry_point_is_still_the_root(made: Made) -> None:
    """A function with a question is known before the walk, but not yet what leads to it."""
    (need,) = at_load(made({TEXT: AVX + CPUID + RET}, listed=[(TEXT, TEXT + 7)])).needs
    assert (need.rva, need.by, need.root) == (TEXT, "entry point", TEXT)


def test_a_function_with_a_late_question_is_led_to_by_its_caller(made: Made) -> None:
    asks = TEXT + 0x10
    code = {TEXT: chain(TEXT, to(call, asks), RET), asks: AVX + CPUID + RET}
    (need,) = at_load(made(code, listed=[(TEXT, TEXT + 6), (asks, asks + 7)])).needs
    assert (need.by, need.root, need.caller) == ("entry point", TEXT, TEXT)


def test_a_question_on_one_side_of_a_branch_says_nothing_on_the_other(made: Made) -> None:
    code = chain(TEXT, to(jump_if_equal, TEXT + 0x10), CPUID, AVX, RET)
    assert places(at_load(made({TEXT: code, TEXT + 0x10: USE_AVX}))) == [TEXT + 0x10]


def test_cpuid_within_another_instruction_is_no_question(made: Made) -> None:
    code = b"\xb8" + CPUID + CPUID + AVX + RET  # mov eax, imm32
    assert places(at_load(made({TEXT: code}, listed=[(TEXT, TEXT + len(code))]))) == [TEXT + 5]


FRAME = {
    "lea rbp, [rsp+32]": "48 8d 6c 24 20",
    "lea rbp, [rsp-48]": "48 8d 6c 24 d0",
    "lea rsp, [rbp-8]": "48 8d 65 f8",
    "mov rbp, rsp": "48 89 e5",
}


@pytest.mark.parametrize("prologue", FRAME.values(), ids=FRAME)
def test_the_frame_of_a_function_is_no_variable_that_it_gives_away(made: Made, prologue: str) -> None:
    head, asks, uses = bytes.fromhex(prologue), TEXT + 0x40, TEXT + 0x50
    code = {TEXT: chain(TEXT, head, to(call, asks), to(call, uses), RET), asks: ASK, uses: USE_AVX}
    assert places(at_load(made(code))) == [uses]


GIVEN = {
    "lea rcx, [rsp+32]": ("x64", "48 8d 4c 24 20"),
    "lea rdx, [rbp-16]": ("x64", "48 8d 55 f0"),
    "lea eax, [ebp-16]; push eax": ("x86", "8d 45 f0 50"),
    "mov eax, esp; push eax": ("x86", "89 e0 50"),
    "mov ecx, esp (8B)": ("x86", "8b cc"),
}


@pytest.mark.parametrize(("machine", "argument"), GIVEN.values(), ids=GIVEN)
def test_a_variable_that_is_given_to_an_asking_function_has_its_answer(made: Made, machine: str, argument: str) -> None:
    head, asks, uses = bytes.fromhex(argument), TEXT + 0x40, TEXT + 0x50
    code = {TEXT: chain(TEXT, head, to(call, asks), to(call, uses), RET), asks: ASK, uses: USE_AVX}
    assert places(at_load(made(code, machine=machine))) == []


USED = {
    "test eax, eax": ("85 c0 74 00", True),
    "mov [rcx], eax": ("89 01", True),
    "movzx ecx, al": ("0f b6 c8", True),
    "mov ecx, eax": ("89 c1", True),
    "bt eax, 28": ("0f ba e0 1c", True),
    "xor eax, eax": ("31 c0", False),
    "mov eax, 1": ("b8 01 00 00 00", False),
    "mov eax, ecx": ("89 c8", False),
    "nop; pop rax": ("90 58", False),
}


@pytest.mark.parametrize(("after", "is_used"), USED.values(), ids=USED)
def test_an_answer_counts_where_it_is_used(made: Made, after: str, is_used: bool) -> None:
    asks, uses = TEXT + 0x40, TEXT + 0x50
    body = bytes.fromhex(after)
    code = {TEXT: chain(TEXT, to(call, asks), body, to(call, uses), RET), asks: ASK, uses: USE_AVX}
    assert places(at_load(made(code))) == ([] if is_used else [uses])


FLAG = DATA + 8


@pytest.mark.parametrize(("head", "is_asked"), [("48 8d 4c 24 20", True), ("31 c9", False)], ids=["given", "not given"])
def test_what_a_caller_of_a_question_writes_is_known_though_nothing_leads_to_it(
    made: Made, head: str, is_asked: bool
) -> None:
    """A start that other modules ask for, as that of OpenMP, calls a wrapper of CPUID with variables of its own."""
    wrapper, start = TEXT + 0x40, TEXT + 0x80
    read = b"\x83\x3d" + struct.pack("<i", FLAG - TEXT - 7) + b"\0\x74\x04"  # cmp dword [FLAG], 0; je
    first = chain(start, bytes.fromhex(head), to(call, wrapper), b"\x31\xc0")
    write = b"\x89\x0d" + struct.pack("<i", FLAG - start - len(first) - 6)  # mov [FLAG], ecx
    code = {TEXT: read + USE_AVX, wrapper: ASK, start: first + write + RET}
    listed = [(TEXT, TEXT + 14), (wrapper, wrapper + 3), (start, start + len(first) + 7)]
    reached = at_load(made(code, {DATA: bytes(16)}, listed=listed))
    assert places(reached) == ([] if is_asked else [TEXT + 9])


# What runs whatever branches are taken.

OTHER = TEXT + 0x40  # a function that uses AVX
CERTAIN: dict[str, tuple[bytes, bool]] = {
    "in a row": (USE_AVX, True),
    "behind a branch": (b"\x74\x04" + USE_AVX, False),
    "behind both sides of a branch": (b"\x74\x01\x90" + USE_AVX, True),
    "behind a branch and a return": (b"\x74\x01" + RET + USE_AVX, False),
    "behind a branch to the end": (b"\x74\x05\x90" + USE_AVX + RET, False),
    "behind a loop": (b"\xe2\xfe" + USE_AVX, True),
    "behind a jump": (b"\xeb\x01" + UNKNOWN[:1] + USE_AVX, True),
    "in a called function": (call(TEXT, OTHER) + RET, True),
    "in a function that a jump leads to": (jump(TEXT, OTHER), True),
    "in a function called behind a branch": (b"\x74\x05" + call(TEXT + 2, OTHER) + RET, False),
    "in a function that a branch leads to": (jump_if_equal(TEXT, OTHER) + RET, False),
    "behind a branch out of the function": (jump_if_equal(TEXT, OTHER + 0x10) + USE_AVX, False),
    "behind a branch that the reason decides": (bytes.fromhex("83 fa 01 75 04") + USE_AVX, True),
    "behind both sides of a branch, of which one asks": (b"\x74\x02" + CPUID + USE_AVX, True),
}


@pytest.mark.parametrize(("code", "certain"), CERTAIN.values(), ids=CERTAIN)
def test_an_instruction_is_certain_where_no_branch_leads_round_it(made: Made, code: bytes, certain: bool) -> None:
    pieces = {TEXT: code, OTHER: USE_AVX, OTHER + 0x10: RET}
    listed = [(TEXT, TEXT + len(code)), (OTHER, OTHER + 5), (OTHER + 0x10, OTHER + 0x11)]
    reached = at_load(made(pieces, listed=listed))
    (need,) = (need for need in reached.needs if need.needs == ("avx",))
    assert need.certain == certain


# The reason.


def behind(condition: str) -> dict[int, bytes]:
    """AVX behind a condition: JNE leads over it."""
    return {TEXT: bytes.fromhex(condition) + bytes((0x75, len(AVX))) + AVX + RET}


REASONS = {
    "cmp edx, 1": ("x64", "83 fa 01", True),
    "cmp edx, 0": ("x64", "83 fa 00", False),
    "test edx, edx": ("x64", "85 d2", False),
    "sub edx, 1": ("x64", "83 ea 01", True),
    "sub edx, 2": ("x64", "83 ea 02", False),
    "sub edx, 1; sub edx, 1": ("x64", "83 ea 01 83 ea 01", False),
    "dec edx": ("x64", "ff ca", True),
    "dec edx; dec edx": ("x64", "ff ca ff ca", False),
    "mov ebx, edx; cmp ebx, 1": ("x64", "89 d3 83 fb 01", True),
    "mov ebx, edx; test ebx, ebx": ("x64", "8b da 85 db", False),
    "mov r9d, edx; cmp r9d, 3": ("x64", "41 89 d1 41 83 f9 03", False),
    "mov ebx, edx; xor edx, edx; cmp ebx, 2": ("x64", "89 d3 31 d2 83 fb 02", False),
    "cmp [ebp+12], 1": ("x86", "83 7d 0c 01", True),
    "cmp [ebp+12], 0": ("x86", "83 7d 0c 00", False),
    "mov eax, [ebp+12]; test eax, eax": ("x86", "8b 45 0c 85 c0", False),
    "mov eax, [ebp+12]; dec eax": ("x86", "8b 45 0c 48", True),
    "mov eax, [ebp+12]; sub eax, 1; sub eax, 1": ("x86", "8b 45 0c 83 e8 01 83 e8 01", False),
    "mov esi, [ebp+12]; cmp esi, 3": ("x86", "8b 75 0c 83 fe 03", False),
}


@pytest.mark.parametrize(("machine", "condition", "runs"), REASONS.values(), ids=REASONS)
def test_what_only_another_reason_leads_to_does_not_run_at_load(
    made: Made, machine: str, condition: str, runs: bool
) -> None:
    assert bool(places(at_load(made(behind(condition), machine=machine)))) == runs


UNKNOWN_REASONS = {
    "mov edx, [rcx]; test edx, edx": ("x64", "8b 11 85 d2"),
    "xor edx, edx; test edx, edx": ("x64", "31 d2 85 d2"),
    "mov ebx, ecx; test ebx, ebx": ("x64", "89 cb 85 db"),
    "cpuid-free: mul ecx; test edx, edx": ("x64", "f7 e1 85 d2"),
    "cdq; test edx, edx": ("x64", "99 85 d2"),
    "mov dl, 0; test edx, edx": ("x64", "b2 00 85 d2"),
    "mov dh, 0; test edx, edx": ("x64", "b6 00 85 d2"),
    "setne dl; test edx, edx": ("x64", "0f 95 c2 85 d2"),
    "pop rdx; test edx, edx": ("x64", "5a 85 d2"),
    "add edx, ecx; test edx, edx": ("x64", "01 ca 85 d2"),
    "xchg edx, ecx; test edx, edx": ("x64", "87 ca 85 d2"),
    "cmp [ebp+8], 0": ("x86", "83 7d 08 00"),
    "mov eax, [ebp+8]; test eax, eax": ("x86", "8b 45 08 85 c0"),
    "mov eax, [ebp+12]; mov eax, [ecx]; test eax, eax": ("x86", "8b 45 0c 8b 01 85 c0"),
    "mov eax, [ebp+12]; lodsd; test eax, eax": ("x86", "8b 45 0c ad 85 c0"),
    "test edx, edx": ("x86", "85 d2"),
}


@pytest.mark.parametrize(("machine", "condition"), UNKNOWN_REASONS.values(), ids=UNKNOWN_REASONS)
def test_what_is_no_longer_the_reason_decides_nothing(made: Made, machine: str, condition: str) -> None:
    assert places(at_load(made(behind(condition), machine=machine)))


@pytest.mark.parametrize(("register", "is_kept"), [(3, True), (6, True), (1, False), (2, False)])
def test_a_called_function_keeps_the_reason_in_some_registers(made: Made, register: int, is_kept: bool) -> None:
    other = TEXT + 0x40
    move, test = bytes((0x89, 0xD0 | register)), bytes((0x85, 0xC0 | register << 3 | register))
    code = chain(TEXT, move, to(call, other), test, b"\x75\x04", AVX, RET)
    assert bool(places(at_load(made({TEXT: code, other: RET})))) != is_kept


def test_only_what_the_loader_calls_knows_the_reason(made: Made) -> None:
    other = TEXT + 0x40
    body = bytes.fromhex("85 d2 75 04") + USE_AVX
    assert places(at_load(made({TEXT: chain(TEXT, to(call, other), RET), other: body}))) == [other + 4]


def test_code_behind_a_jump_that_is_always_taken_does_not_run(made: Made) -> None:
    """Also where the jump leads out of the function, to its cold part."""
    cold = TEXT + 0x40
    code = chain(TEXT, bytes.fromhex("83 fa 01"), to(jump_if_equal, cold), AVX, RET)
    listed = [(TEXT, TEXT + len(code)), (cold, cold + 1)]
    assert places(at_load(made({TEXT: code, cold: RET}, listed=listed))) == []


def test_an_entry_point_that_is_exported_knows_the_reason_all_the_same(made: Made) -> None:
    found = isa.exported(made(behind("85 d2"), exported=[TEXT]))
    assert found is not None
    assert places(found) == []


# Exports.


def test_exports_are_walked_when_asked_for(made: Made) -> None:
    found = made({TEXT: RET, INITIALISER: USE_AVX}, exported=[INITIALISER, DATA, 0, 0x7FFF0000])
    exported = isa.exported(found)
    assert exported is not None
    assert [(need.rva, need.by) for need in exported.needs] == [(INITIALISER, "export")]
    assert at_load(found).needs == ()


# All that an image contains.


def test_functions_that_nothing_lists_are_found_by_exports_pointers_and_calls(made: Made) -> None:
    exported, pointed, called, jumped, alone = (TEXT + 0x20 * number for number in range(1, 6))
    code = {
        TEXT: RET,
        exported: chain(exported, AVX, to(call, called), RET),
        pointed: chain(pointed, AVX, to(jump, jumped)),
        called: USE_AVX,
        jumped: USE_AVX,
        alone: USE_AVX,
    }
    data = {DATA: bytes(8), DATA + 8: pointers(pointed, width=4)}
    held = contents(made(code, data, machine="x86", exported=[exported], relocated=[DATA + 8]))
    assert avx(held) == (4, 4)
    assert (held.functions, held.listed, held.unknown) == (5, 0, 0)


def test_the_table_of_a_switch_within_a_function_is_not_read_as_code(made: Made) -> None:
    """MSVC puts it behind the code, and reads it with its RVA as displacement; here it spells AVX."""
    table = TEXT + 0x10
    head = b"\x8b\x8c\x82" + struct.pack("<I", table) + b"\xff\xe1"  # mov ecx, [rdx+rax*4+table]; jmp rcx
    entries = struct.pack("<I", TEXT + 7) + AVX * 3
    code = {TEXT: head + RET, table: entries}
    held = contents(made(code, listed=[(TEXT, table + len(entries))]))
    assert avx(held) == (0, 0)
    assert held.unknown == 0


def test_what_comes_before_something_unknown_and_after_a_return_is_taken_back(made: Made) -> None:
    code = b"\x31\xc0" + RET + AVX + UNKNOWN + AVX
    held = contents(made({TEXT: code}, listed=[(TEXT, TEXT + len(code))]))
    assert avx(held) == (0, 0)
    assert (held.instructions, held.unknown) == (2, 1)


def test_what_comes_before_something_unknown_is_kept_where_nothing_leads_out(made: Made) -> None:
    code = AVX + RET + b"\x90" + AVX + UNKNOWN
    held = contents(made({TEXT: code}, listed=[(TEXT, TEXT + len(code))]))
    assert avx(held) == (1, 1)
    assert held.unknown == 1


def test_code_is_counted_once_whoever_leads_to_it(made: Made) -> None:
    code = {TEXT: chain(TEXT, to(call, INITIALISER), to(call, INITIALISER), RET), INITIALISER: USE_AVX}
    held = contents(made(code, listed=[(TEXT, TEXT + 11)], exported=[INITIALISER, INITIALISER]))
    assert avx(held) == (1, 1)
    assert (held.functions, held.listed) == (2, 1)


# Any bytes.


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_code_is_walked_and_counted_within_bounds(made: Made, data: st.DataObject) -> None:
    machine = data.draw(st.sampled_from(["x64", "x86"]))
    plain = st.sampled_from([AVX, CPUID, RET, call(0, 0x20), jump(0, -9), b"\x74\x10", b"\xeb\xf0", lea(1, 0, 0x1000)])
    parts = data.draw(st.lists(st.one_of(plain, st.binary(max_size=8)), max_size=60))
    code = b"".join(parts) or RET
    rva = st.integers(TEXT - 4, TEXT + len(code) + 4)
    listed = data.draw(st.lists(st.tuples(rva, rva), max_size=6))
    found = made({TEXT: code}, {DATA: data.draw(st.binary(max_size=64))}, machine=machine, listed=listed)
    reached, held = at_load(found), contents(found)
    size = -(-len(code) // 0x200) * 0x200

    assert reached.complete
    assert reached.instructions <= 2 * size  # before a question, and after one
    assert all(TEXT <= need.rva < TEXT + size for need in reached.needs)
    assert held.instructions <= 2 * size
