"""Dumps of a processor: what is written is read again, the public forms are understood, no text is too strange."""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_cpu import ALDER_LAKE, AVX, EPYC, HASWELL, NEHALEM, XEON

from depwalk import cpu
from depwalk.cpu import Cpu, dump

if TYPE_CHECKING:
    from pathlib import Path

REGISTER = st.integers(0, 0xFFFFFFFF)
REGISTERS = st.tuples(REGISTER, REGISTER, REGISTER, REGISTER)
LEAVES = st.dictionaries(st.tuples(REGISTER, st.integers(0, 0xFF)), REGISTERS)
BOTH = {(0, 0): (1, 2, 3, 4), (1, 0): (5, 6, 7, 8)}  # without these two nothing is a dump

# Lines of public listings. `cpuid -r`: the form that Todd Allen's cpuid prints (etallen.com/cpuid.html).
CPUID_R = """\
CPU 0:
   0x00000000 0x00: eax=0x0000000d ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69
   0x00000001 0x00: eax=0x000306c3 ebx=0x00100800 ecx=0x7ffafbff edx=0xbfebfbff
   0x00000007 0x00: eax=0x00000000 ebx=0x000027ab ecx=0x00000000 edx=0x00000000
   0x0000000d 0x00: eax=0x00000007 ebx=0x00000340 ecx=0x00000340 edx=0x00000000
   0x80000000 0x00: eax=0x80000008 ebx=0x00000000 ecx=0x00000000 edx=0x00000000
   0x80000001 0x00: eax=0x00000000 ebx=0x00000000 ecx=0x00000021 edx=0x2c100800
CPU 1:
   0x00000000 0x00: eax=0x00000001 ebx=0x756e6547 ecx=0x6c65746e edx=0x49656e69
   0x00000007 0x01: eax=0xffffffff ebx=0xffffffff ecx=0xffffffff edx=0xffffffff
"""
# InstLatx64, CentaurHauls00006FE_CNR_Isaiah_CPUID.txt, shortened: a VIA Eden X4 under a system that left XSAVE off
INSTLATX64 = """\
------[ Logical CPU #0 ]------

allcpu: Package 0 / Core 0 / Thread 0: Valid

CPUID 00000000: 0000000D-746E6543-736C7561-48727561 [CentaurHauls]
CPUID 00000001: 000006FE-00040800-76FA63AB-BFCBFBFF
CPUID 00000004: 0C000121-01C0003F-0000003F-00000000 [SL 00]
CPUID 00000004: 0C000122-01C0003F-0000003F-00000000 [SL 01]
CPUID 00000007: 00000000-000C25AB-00000000-00000000
CPUID 0000000D: 00000007-00000240-00000340-00000000 [SL 00]
CPUID 80000000: 80000008-00000000-00000000-00000000
CPUID 80000001: 00000000-00000000-00000121-2E100800
CPUID 80000003: 20202020-49562020-64452041-58206E65 [      VIA Eden X]

L1    Data Cache:    32 KB,  8-way Associative, 64-byte Line

------[ Logical CPU #1 ]------

CPUID 00000001: 000006FE-01040800-76FA63AB-BFCBFBFF
MSR 0000001B: 0000-0000-FEE0-0900
"""
# AIDA64, from tests/amd/zen4/epyc-genoa.test of libcpuid, shortened
AIDA64 = """\
------[ CPUID Registers / Logical CPU #0 ]------
CPUID 00000000: 00000010-68747541-444D4163-69746E65 [AuthenticAMD]
CPUID 00000001: 00A10F11-00200800-7EFA320B-178BFBFF
CPUID 00000007: 00000001-F1BF97A9-00415FCE-10000010 [SL 00]
CPUID 00000007: 00000020-00000000-00000000-00000000 [SL 01]
CPUID 0000000D: 000002E7-00000980-00000988-00000000 [SL 00] [x87]
CPUID 80000000: 80000028-68747541-444D4163-69746E65 [AuthenticAMD]
CPUID 80000001: 00A10F11-40000000-75C237FF-2FD3FBFF
------[ CPUID Registers / Logical CPU #1 ]------
CPUID 00000001: 00000000-00000000-00000000-00000000
"""
# EVEREST, from tests/intel/ia-32/netburst/intel-pentium-4-cpu-3.00ghz.test of libcpuid, shortened: its first is #1
EVEREST = """\
CPUID Registers (CPU #1):
CPUID 00000000  \t00000005-756E6547-6C65746E-49656E69
CPUID 00000001  \t00000F34-00020800-0000441D-BFEBFBFF
CPUID 00000004  \t00004121-01C0003F-0000001F-00000000
CPUID 00000004  \t00004143-01C0103F-000003FF-00000000
CPUID Registers (CPU #2 Virtual):
CPUID 00000001  \t00000F34-01020800-0000441D-BFEBFBFF
"""


def read(text: str | bytes, tmp_path: Path) -> Cpu:
    path = tmp_path / "cpu.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return cpu.named(str(path))


# What is written


@pytest.mark.parametrize("processor", [NEHALEM, HASWELL, EPYC, ALDER_LAKE, XEON])
def test_a_dump_that_is_read_is_the_same_processor(processor: Cpu) -> None:
    written = dump.write(processor.leaves, processor.xcr0, ["a comment", "another"])
    assert dump.parse(written) == (processor.leaves, processor.xcr0)


@given(LEAVES, st.none() | st.integers(0, 2**64 - 1), st.text(st.characters(codec="ascii", exclude_categories=["Cc"])))
def test_any_leaves_survive_a_dump(leaves: dict[cpu.Leaf, cpu.Registers], xcr0: int | None, comment: str) -> None:
    assert dump.parse(dump.write({**leaves, **BOTH}, xcr0, [comment])) == ({**leaves, **BOTH}, xcr0)


def test_a_dump_is_what_cpuid_r_prints_and_a_line_for_xcr0() -> None:
    assert dump.write({(7, 1): (0x20, 0, 0, 0xFFFFFFFF)}, AVX, ["who"]) == (
        "# who\n"
        "CPU 0:\n"
        "   0x00000007 0x01: eax=0x00000020 ebx=0x00000000 ecx=0x00000000 edx=0xffffffff\n"
        "   xcr0: 0x0000000000000007\n"
    )


# What is read


def test_of_cpuid_r_the_first_processor_is_read(tmp_path: Path) -> None:
    found = read(CPUID_R, tmp_path)
    assert (found.level(), found.vendor) == ("x86-64-v3", "GenuineIntel")
    assert (7, 1) not in found.leaves


def test_a_listing_of_instlatx64_is_read(tmp_path: Path) -> None:
    found = read(INSTLATX64, tmp_path)
    assert (found.vendor, found.leaves[4, 1][0], found.leaves[1, 0][1]) == ("CentaurHauls", 0x0C000122, 0x00040800)


def test_a_processor_with_avx2_and_no_fma_is_no_v3(tmp_path: Path) -> None:
    found = Cpu(read(INSTLATX64.replace("76FA63AB", "7EFA63AB"), tmp_path).leaves, AVX)  # with OSXSAVE
    assert (found.feature("avx2").usable, found.level()) == (True, "x86-64-v2")
    assert [lack.name for lack in found.why_not("x86-64-v3")] == ["fma"]


def test_a_listing_of_aida64_is_read(tmp_path: Path) -> None:
    found = read(AIDA64, tmp_path)
    assert (found.level(), found.leaves[7, 1], found.leaves[1, 0][0]) == ("x86-64-v4", (0x20, 0, 0, 0), 0x00A10F11)


def test_a_listing_of_everest_is_read_up_to_the_second_processor(tmp_path: Path) -> None:
    found = read(EVEREST, tmp_path)
    assert (found.level(), found.model, found.leaves[1, 0][1]) == (None, 3, 0x00020800)


def test_of_a_leaf_that_is_listed_again_without_a_number_the_first_answer_counts(tmp_path: Path) -> None:
    assert read(EVEREST, tmp_path).leaves[4, 0][0] == 0x00004121


@pytest.mark.parametrize(
    "encoded",
    [
        codecs.BOM_UTF16_LE + CPUID_R.encode("utf-16-le"),  # > in Windows PowerShell
        codecs.BOM_UTF8 + CPUID_R.encode(),
        CPUID_R.replace("\n", "\r\n").encode(),
        CPUID_R.upper().replace("0X", "0x").encode(),
        ("Dear all,\n\nhere it is:\n" + CPUID_R.replace("   ", "") + "\n-- \nA user\n").encode(),
    ],
)
def test_what_mail_and_shells_do_to_a_dump_does_not_matter(encoded: bytes, tmp_path: Path) -> None:
    assert read(encoded, tmp_path).level() == "x86-64-v3"


# XCR0


def test_without_xcr0_the_system_is_assumed_to_have_enabled_what_the_processor_has(tmp_path: Path) -> None:
    found = read(CPUID_R, tmp_path)
    assert (found.xcr0, found.xcr0_assumed) == (AVX, True)


def test_an_xcr0_that_was_written_down_is_believed(tmp_path: Path) -> None:
    found = read(CPUID_R.replace("CPU 1:", "   xcr0: 0x3\nCPU 1:"), tmp_path)
    assert (found.xcr0, found.xcr0_assumed, found.level()) == (3, False, "x86-64-v2")


def test_without_osxsave_nothing_is_assumed(tmp_path: Path) -> None:
    found = read(INSTLATX64, tmp_path)
    assert (found.xcr0, found.xcr0_assumed, found.feature("avx").usable) == (None, False, False)


def test_without_leaf_0xd_xcr0_is_unknown_and_enables_nothing(tmp_path: Path) -> None:
    found = read("\n".join(line for line in CPUID_R.splitlines() if "0x0000000d 0x00:" not in line), tmp_path)
    assert (found.xcr0, found.xcr0_assumed, found.level()) == (None, False, "x86-64-v2")


# What is no dump


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "CPUID leaves 0 and 1 are not in it"),
        ("hello\n", "CPUID leaves 0 and 1 are not in it"),
        (CPUID_R.replace("0x00000001 0x00", "0x00000002 0x00"), "CPUID leaves 0 and 1 are not in it"),
        (CPUID_R.replace("ecx=0x7ffafbff", "ecx=0x7ffaf"), ", line 3: not a whole leaf"),
        (CPUID_R.replace(" edx=0xbfebfbff", ""), ", line 3: not a whole leaf"),
        (CPUID_R.replace("ecx=0x7ffafbff", "ecx=0x17ffafbff"), ", line 3: not a whole leaf"),
        (AIDA64.replace("-7EFA320B", ""), ", line 3: not a whole leaf"),
        (CPUID_R.replace("CPU 1:", "xcr0: seven"), ", line 8: not a whole leaf"),
    ],
)
def test_what_is_no_dump_is_refused_with_the_place(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"cpu\.txt") as refused:
        read(text, tmp_path)
    assert words in str(refused.value)


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="larger than 1 MB"):
        read(b"0" * (2 << 20), tmp_path)


def test_a_directory_is_no_dump(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown processor"):
        cpu.named(str(tmp_path))


def sentence(text: str) -> str:
    """Why a text is no dump; "" if it is one."""
    try:
        leaves, xcr0 = dump.parse(text)
    except ValueError as error:
        return str(error)
    Cpu(leaves, xcr0).level()
    return ""


@given(st.binary())
@example(codecs.BOM_UTF16_LE + b"\xd8")
@example(b"\x80" * 100)
def test_any_bytes_are_a_processor_or_one_sentence(data: bytes) -> None:
    assert "\n" not in sentence(dump.decoded(data))


@given(st.text(st.sampled_from("0x1f: eabcdx=\n-CPUID[SL]xcr"), max_size=300))
def test_any_text_of_the_letters_of_a_dump_is_a_processor_or_one_sentence(text: str) -> None:
    assert "\n" not in sentence(CPUID_R.partition("CPU 1:")[0] + text)


@given(LEAVES, st.none() | st.integers(0, 2**64 - 1))
def test_any_leaves_are_a_processor(leaves: dict[cpu.Leaf, cpu.Registers], xcr0: int | None) -> None:
    strange = Cpu(leaves, xcr0)
    assert strange.level() in (None, *cpu.levels())
    assert strange.why_not("x86-64-v4") or strange.level() == "x86-64-v4"
    assert isinstance(strange.vendor + (strange.brand() or "") + (strange.hypervisor or ""), str)


# Every leaf


def test_every_leaf_up_to_the_limits_is_asked_for() -> None:
    answers = {
        (0, 0): (0xD, 1, 2, 3),
        (0x40000000, 0): (0x40000001, 0, 0, 0),
        (0x80000000, 0): (0x80000001, 0, 0, 0),
        (4, 0): (0x121, 0, 0, 0),
        (4, 1): (0x122, 0, 0, 0),
        (0xB, 0): (1, 2, 0x100, 7),
        (0xB, 1): (4, 8, 0x201, 7),
        (0xD, 0): (7, 0, 0, 0),
        (0xD, 2): (0x100, 0x240, 0, 0),
        (0xD, 9): (8, 0xA80, 0, 0),
    }
    found = dump.every_leaf(lambda leaf, subleaf: answers.get((leaf, subleaf), (0, 0, subleaf, 7 * (leaf == 0xB))))
    assert found is not None
    assert answers.items() <= found.items()
    assert sorted(found) == sorted({*answers, *((leaf, 0) for leaf in (*range(0xE), 0x40000001, 0x80000001))})


def test_a_limit_that_cannot_be_is_not_followed() -> None:
    found = dump.every_leaf(lambda *_: (0xFFFFFFFF, 0xFFFFFFFF, 0, 0))
    assert found is not None
    assert len(found) < 6000


def test_a_range_that_is_not_there_is_not_written_down() -> None:
    found = dump.every_leaf(lambda *_: (3, 0, 0, 0))
    assert found is not None
    assert sorted({leaf for leaf, _ in found}) == [0, 1, 2, 3]
