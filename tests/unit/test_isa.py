"""Which instruction set an instruction belongs to: what people meet, and agreement with the decoder iced-x86."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from depwalk import core, cpu, isa, tables

iced_oracle = pytest.importorskip("iced_oracle")  # no iced_x86 in the bed: the tables do not depend on the system


def needs(code: str, bits: int = 64) -> tuple[str, ...] | None:
    found = isa.instruction(bytes.fromhex(code), bits)
    return found and found.needs


# What people meet.


@pytest.mark.parametrize(
    ("code", "label"),
    [
        ("c5 fc 58 c1", "AVX"),  # vaddps ymm0, ymm0, ymm1
        ("c5 fd fe c1", "AVX2"),  # vpaddd ymm0, ymm0, ymm1
        ("c5 f9 fe c1", "AVX"),  # vpaddd xmm0, xmm0, xmm1
        ("c4 e2 7d b8 c1", "FMA"),  # vfmadd231ps ymm0, ymm0, ymm1
        ("c4 e2 7d 13 c1", "F16C"),  # vcvtph2ps ymm0, xmm1
        ("c4 e2 78 f7 c1", "BMI1"),  # bextr eax, ecx, eax
        ("c4 e2 79 f7 c1", "BMI2"),  # shlx eax, ecx, eax
        ("c4 e3 7b f0 c1 07", "BMI2"),  # rorx eax, ecx, 7
        ("c4 e2 7d 50 c1", "AVX-VNNI"),  # vpdpbusd ymm0, ymm0, ymm1
        ("c4 e2 7d dc c1", "VAES"),  # vaesenc ymm0, ymm0, ymm1
        ("c4 e2 79 dc c1", "AES-NI with AVX"),  # vaesenc xmm0, xmm0, xmm1
        ("62 f1 7c 48 58 c1", "AVX-512"),  # vaddps zmm0, zmm0, zmm1
        ("62 f2 7d 48 50 c1", "AVX-512 VNNI"),  # vpdpbusd zmm0, zmm0, zmm1
        ("c5 fc 41 c1", "AVX-512"),  # kandw k0, k0, k1: VEX, but only with AVX-512
        ("66 0f 38 00 c1", "SSSE3"),  # pshufb xmm0, xmm1
        ("66 0f 3a 0a c1 00", "SSE4.1"),  # roundss xmm0, xmm1, 0
        ("f2 0f 38 f1 c1", "SSE4.2"),  # crc32 eax, ecx
        ("f3 0f b8 c1", "POPCNT"),  # popcnt eax, ecx
        ("f3 0f bd c1", "LZCNT"),  # lzcnt eax, ecx
        ("0f 38 f0 01", "MOVBE"),  # movbe eax, [rcx]
        ("66 0f ae f0", "WAITPKG"),  # tpause eax
        ("48 0f c7 09", "CMPXCHG16B"),  # cmpxchg16b [rcx]
        ("66 0f 58 c1", "SSE2"),  # addpd xmm0, xmm1
        ("d9 e8", "x87"),  # fld1
        ("48 89 c8", "x86"),  # mov rax, rcx
    ],
)
def test_an_instruction_has_the_name_that_people_use_for_its_set(code: str, label: str) -> None:
    found = isa.instruction(bytes.fromhex(code), 64)
    assert found is not None
    assert found.label == label


def test_a_feature_is_the_first_thing_that_is_needed() -> None:
    found = isa.instruction(bytes.fromhex("c4e27dcfc1"), 64)  # vgf2p8mulb ymm0, ymm0, ymm1
    assert found is not None
    assert (found.feature, found.needs, found.encoding) == ("gfni", ("gfni", "avx"), "VEX")


@pytest.mark.parametrize(("code", "label"), [("0f 0b", "UD2"), ("0f b9 c0", "UD1"), ("0f ff c0", "UD0")])
def test_an_opcode_that_is_undefined_on_purpose_says_that_the_program_stops_itself(code: str, label: str) -> None:
    found = isa.instruction(bytes.fromhex(code), 64)
    assert found is not None
    assert (found.kind, found.label, found.needs) == ("ud2", label, (isa.BASE,))


@pytest.mark.parametrize(
    ("code", "kind"),
    [("cc", "int3"), ("f4", "privileged"), ("0f 30", "privileged"), ("0f 01 11", "privileged"), ("90", "")],
)
def test_a_break_point_and_what_only_the_system_may_do_are_told_from_the_rest(code: str, kind: str) -> None:
    found = isa.instruction(bytes.fromhex(code), 32)
    assert found is not None
    assert found.kind == kind


# What decides.


@pytest.mark.parametrize("code", ["c5 00", "c4 00", "62 00"])
def test_in_32_bits_the_memory_forms_of_the_vector_prefixes_are_old_instructions(code: str) -> None:
    assert needs(code + " 00 00 00 00", 32) == (isa.BASE,)


def test_pop_shares_its_opcode_with_xop_by_a_field_that_it_leaves_zero() -> None:
    assert needs("8f c0") == (isa.BASE,)
    assert needs("8f e9 78 80 c1") == ("xop",)


@pytest.mark.parametrize("prefix", ["66", "f3", "f2", "f0", "48"])
def test_a_prefix_that_vex_does_not_allow_makes_it_undefined(prefix: str) -> None:
    assert needs(prefix + "c5 fc 58 c1") is None


def test_a_segment_or_address_size_prefix_changes_nothing() -> None:
    assert needs("64 67 c5 fc 58 01") == ("avx",)


def test_the_last_of_two_repeat_prefixes_and_never_the_operand_size_decides() -> None:
    assert needs("66 f2 f3 0f b8 c1") == ("popcnt",)


def test_a_rex_that_is_not_right_before_the_opcode_does_not_count() -> None:
    assert needs("48 66 0f c7 09") == (isa.BASE,)  # cmpxchg8b, not cmpxchg16b


def test_lock_before_an_instruction_that_does_not_take_it_is_undefined() -> None:
    assert needs("f0 66 0f 58 01") is None
    assert needs("f0 48 0f c7 09") == ("cx16",)


@pytest.mark.parametrize(
    ("code", "found"), [("d5 18 01 c8", ("apx",)), ("d5 98 b8 c8", None), ("d5 80 58 c8", ("apx", "sse"))]
)
def test_rex2_is_apx_and_needs_what_its_opcode_needs(code: str, found: tuple[str, ...] | None) -> None:
    assert needs(code) == found


@pytest.mark.parametrize("code", ["", "66", "0f", "c5", "c4 e2", "62 f1 7c", "0f 38", "0f 01", "66 " * 20 + "90"])
def test_what_is_cut_off_or_longer_than_an_instruction_can_be_is_unknown(code: str) -> None:
    assert needs(code) is None


def test_bytes_that_nobody_executes_are_unknown() -> None:
    assert needs("0f 04") is None
    assert needs("62 f1 7c 48 00 c1") is None


@pytest.mark.parametrize(
    ("code", "length"),
    [
        ("f3 0f a6 c8", 4),  # rep xsha1: of VIA's processors alone, so unknown, but not of unknown length
        ("0f c7 61 08", 4),  # xsavec [rcx + 8]
        ("0f ae f8", 3),  # sfence
        ("0f ae b4 24 00 01 00 00", 8),  # xsaveopt [rsp + 256]
    ],
)
def test_the_length_of_an_instruction_does_not_depend_on_whether_it_is_known(code: str, length: int) -> None:
    assert core.instructions(bytes.fromhex(code), 64)[0].length == length


# The table.


def test_every_feature_of_the_opcode_table_is_one_that_cpuid_reports() -> None:
    used = {name for rows in tables.table("isa.toml")["rows"].values() for row in rows for name in row["is"].split()}
    assert used - {isa.BASE} <= set(cpu.names())


# Agreement with iced-x86, which knows every instruction by name.


def ours(code: bytes, bits: int) -> frozenset[str] | None:
    found = isa.instruction(code.ljust(15, b"\0"), bits)
    return found and frozenset(found.needs)


def modrm(mod: int, reg: int, rm: int) -> bytes:
    return bytes((mod << 6 | reg << 3 | rm, 0x08 | rm))  # and a SIB with another index than reg, or a displacement


def vex(number: int, opcode: int, pp: int, w: int, length: int, vvvv: int, lead: int = 0xC4) -> bytes:
    return bytes((lead, 0xE0 | number, w << 7 | vvvv << 3 | length << 2 | pp, opcode))


def evex(number: int, opcode: int, pp: int, w: int, length: int, vvvv: int, aaa: int = 0, b: int = 0) -> bytes:
    return bytes((0x62, 0xF0 | number, w << 7 | vvvv << 3 | 4 | pp, length << 5 | b << 4 | 8 | aaa, opcode))


def agree(forms: list[bytes], bits: int) -> None:
    """Ours is iced's answer to every form that is an instruction, and never an answer that no form has."""
    answers = [iced_oracle.answer(form, bits) for form in forms]
    for form, answer in zip(forms, answers):
        found = ours(form, bits)
        assert found == answer or (answer is None and found in answers), form.hex(" ")


SHAPES = [(pp, w, mod) for pp in range(4) for w in (0, 1) for mod in (0, 3)]


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("bits", [32, 64])
def test_every_opcode_of_vex_is_what_iced_says_it_is(number: int, bits: int) -> None:
    for opcode, (pp, w, mod), length in itertools.product(range(256), SHAPES, (0, 1)):
        heads = [vex(number, opcode, pp, w, length, vvvv) for vvvv in (15, 9)]  # some want no second operand
        for tails in ((modrm(mod, 2, 4),), (modrm(mod, 0, 0), modrm(mod, 0, 1))):  # some want another than the first
            agree([head + tail for head in heads for tail in tails], bits)


@pytest.mark.parametrize("number", [8, 9, 10])
def test_every_opcode_of_xop_is_what_iced_says_it_is(number: int) -> None:
    for opcode, (pp, w, mod), length in itertools.product(range(256), SHAPES, (0, 1)):
        agree([vex(number, opcode, pp, w, length, vvvv, 0x8F) + modrm(mod, 1, 4) for vvvv in (15, 9)], 64)


@pytest.mark.parametrize("number", [1, 2, 3, 5, 6])
def test_every_opcode_of_evex_is_what_iced_says_it_is(number: int) -> None:
    for opcode, (pp, w, mod), length in itertools.product(range(256), SHAPES, (0, 1, 2)):
        rest = [(15,), (9,), (15, 1), (9, 1)]  # vvvv, and with a mask or without
        if length == 2:  # else it would be the rounding mode
            rest += [(15, 0, 1), (9, 0, 1)]
        agree([evex(number, opcode, pp, w, length, *fields) + modrm(mod, 2, 4) for fields in rest], 64)


@pytest.mark.parametrize("escape", ["0f38", "0f3a"])
@pytest.mark.parametrize("bits", [32, 64])
def test_every_opcode_of_the_long_legacy_maps_is_what_iced_says_it_is(escape: str, bits: int) -> None:
    for opcode, prefix, mod in itertools.product(range(256), ("", "66", "f3", "f2", "66f3", "66f2"), (0, 3)):
        code = bytes.fromhex(prefix + escape) + bytes((opcode,)) + modrm(mod, 1, 4)
        if answer := iced_oracle.answer(code, bits):
            assert ours(code, bits) == answer, code.hex(" ")
        else:  # none, or one that is unknown here
            assert ours(code, bits) is None, code.hex(" ")


@pytest.mark.parametrize("bits", [32, 64])
def test_every_opcode_of_map_0f_is_what_iced_says_it_is(bits: int) -> None:
    every = itertools.product(set(range(256)) - {0x38, 0x3A, 0x0F}, ("", "66", "f3", "f2"), (0, 3), range(8), (0, 1, 6))
    for opcode, prefix, mod, reg, rm in every:
        code = bytes.fromhex(prefix + "0f") + bytes((opcode,)) + modrm(mod, reg, rm)
        if opcode in iced_oracle.HINTS:
            assert ours(code, bits) == {isa.BASE}, code.hex(" ")
        elif answer := iced_oracle.answer(code, bits):
            assert ours(code, bits) == answer, code.hex(" ")
        else:
            assert ours(code, bits) is None, code.hex(" ")


@pytest.mark.parametrize("bits", [32, 64])
def test_every_one_byte_opcode_is_what_iced_says_it_is(bits: int) -> None:
    prefixes = {0x26, 0x2E, 0x36, 0x3E, *range(0x64, 0x68), 0xF0, 0xF2, 0xF3, 0x0F}
    encodings = {0x62, 0xC4, 0xC5, 0xD5} | ({*range(0x40, 0x50)} if bits == 64 else set())
    x87 = set(range(0xD8, 0xE0))  # their second byte is a map of its own: not told apart here
    for opcode, mod, reg in itertools.product(set(range(256)) - prefixes - encodings - x87, (0, 3), range(8)):
        code = bytes((opcode,)) + modrm(mod, reg, 0)
        assert ours(code, bits) == iced_oracle.answer(code, bits), code.hex(" ")


PREFIXES = [0x66, 0xF3, 0xF2, 0x67, 0x2E, 0x64, 0xF0]
REX = [*range(0x40, 0x50)]


def forms(bits: int) -> st.SearchStrategy[bytes]:
    """Bytes that look like instructions of every encoding."""
    prefixes = st.lists(st.sampled_from(PREFIXES), max_size=2).map(bytes)
    rex = st.sampled_from([b"", b"\x40", b"\x48", b"\x4f"]) if bits == 64 else st.just(b"")
    escape = st.sampled_from([b"", b"\x0f", b"\x0f\x38", b"\x0f\x3a"])
    any_byte = st.integers(0, 255)
    lead = st.sampled_from([0x62, 0xC4, 0xC5, 0x8F])
    legacy = st.builds(lambda *parts: b"".join(parts), prefixes, rex, escape, st.binary(min_size=12, max_size=12))
    vector = st.builds(lambda first, rest: bytes((first,)) + rest, lead, st.binary(min_size=14, max_size=14))
    plain = st.builds(
        evex, st.sampled_from([1, 2, 3, 5, 6]), any_byte, *(st.integers(0, top) for top in (3, 1, 3, 15, 7, 1))
    )
    return st.one_of(
        legacy, vector, st.builds(lambda head, rest: head + rest, plain, st.binary(min_size=9, max_size=9))
    )


@settings(max_examples=400, deadline=None)
@given(data=st.data(), bits=st.sampled_from([32, 64]))
def test_what_iced_takes_for_an_instruction_has_its_answer(data: st.DataObject, bits: int) -> None:
    code = data.draw(forms(bits))
    plain = code.lstrip(bytes(PREFIXES + REX if bits == 64 else PREFIXES))
    if plain[:1] == b"\x0f" and plain[1] in iced_oracle.HINTS:
        return
    if answer := iced_oracle.answer(code, bits):
        assert ours(code, bits) == answer, code.hex(" ")


@given(code=st.binary(max_size=20), bits=st.sampled_from([32, 64]))
def test_no_bytes_are_too_strange(code: bytes, bits: int) -> None:
    isa.instruction(code, bits)
