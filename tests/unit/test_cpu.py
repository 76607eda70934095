"""What a processor offers: judged from its answers alone, so that any that was ever written down is a case."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from depwalk import core, cpu, tables
from depwalk.cpu import Cpu, Feature, Lack

INTEL = (0x756E6547, 0x6C65746E, 0x49656E69)
AMD = (0x68747541, 0x444D4163, 0x69746E65)
ZHAOXIN = (0x746E6543, 0x736C7561, 0x48727561)
SSE, AVX, AVX512 = 0x3, 0x7, 0xE7  # XCR0: x87 is bit 0

# Recorded answers. Core i7-920 and i9-12900K: tests of jcurl/RJCP.DLL.CpuId. Sandy Bridge, and the brand of a Core
# i7-6500U: tests of google/cpu_features. Core i7-4770: tests of the CPU gate of the engine "helios". Xeon 6985P-C:
# a log in a public test of Intel's "dragon". EPYC: recorded for this test in a virtual machine. The highest leaves of
# the 12900K and the Xeon were not recorded.
NEHALEM = Cpu(
    {
        (0, 0): (0xB, *INTEL),
        (1, 0): (0x000106A5, 0x00100800, 0x0098E3BD, 0xBFEBFBFF),
        (0x80000000, 0): (0x80000008, 0, 0, 0),
        (0x80000001, 0): (0, 0, 0x1, 0x28100800),
    }
)
SANDY_BRIDGE = {
    (0, 0): (0xD, *INTEL),
    (1, 0): (0x000206A6, 0x00100800, 0x1F9AE3BF, 0xBFEBFBFF),
    (7, 0): (0, 0, 0, 0),
}
HASWELL = Cpu(
    {
        (0, 0): (0xD, *INTEL),
        (1, 0): (0x000306C3, 0x00100800, 0x7FFAFBFF, 0xBFEBFBFF),
        (7, 0): (0, 0x000027AB, 0, 0),
        (0x80000000, 0): (0x80000008, 0, 0, 0),
        (0x80000001, 0): (0, 0, 0x21, 0x2C100800),
    },
    AVX,
)
EPYC = Cpu(
    {
        (0, 0): (0x1C, *AMD),
        (1, 0): (0x00A10F11, 0x01020800, 0xFFFA3203, 0x178BFBFF),
        (7, 0): (1, 0xF1BF07AB, 0x00405FC6, 0x10),
        (7, 1): (0x20, 0, 0, 0),
        (0x80000000, 0): (0x80000021, *AMD),
        (0x80000001, 0): (0x00A10F11, 0x40000000, 0x004003F3, 0x2FD3FBFF),
    },
    AVX512,
)
ALDER_LAKE = Cpu(
    {
        (0, 0): (0x20, *INTEL),
        (1, 0): (0x00090672, 0x00100800, 0x7FFAFBFF, 0xBFEBFBFF),
        (7, 0): (1, 0x239CA7EB, 0x98C027AC, 0xFC1CC410),
        (7, 1): (0x00400810, 0, 0, 0),
        (0x80000000, 0): (0x80000008, 0, 0, 0),
        (0x80000001, 0): (0, 0, 0x121, 0x2C100000),
    },
    AVX,
)
XEON = Cpu(
    {
        (0, 0): (0x20, *INTEL),
        (1, 0): (0x000A06D1, 0x00FF0800, 0x7FFEFBFF, 0xBFEBFBFF),
        (7, 0): (2, 0xF3BFBFFF, 0xFB417FFE, 0xFFDD4432),
        (7, 1): (0x40601D30, 1, 0, 0x000E4000),
    },
    0x602E7,
)
SKYLAKE_BRAND = Cpu(
    {
        (0x80000000, 0): (0x80000008, 0, 0, 0),
        (0x80000002, 0): (0x65746E49, 0x2952286C, 0x726F4320, 0x4D542865),
        (0x80000003, 0): (0x37692029, 0x3035362D, 0x43205530, 0x40205550),
        (0x80000004, 0): (0x352E3220, 0x7A484730, 0x00000000, 0x00000000),
    }
)

NOT_HERE, SWITCHED_OFF, USABLE = Feature(False, True), Feature(True, False), Feature(True, True)
V2 = {"sse", "sse2", "sse3", "ssse3", "sse4.1", "sse4.2", "popcnt", "cx16"}
V3 = V2 | {"avx", "avx2", "fma", "f16c", "bmi1", "bmi2", "lzcnt", "movbe"}
V4 = V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
OF_INTEREST = V4 | {"aes", "pclmul", "sha", "sse4a", "gfni", "vaes", "vpclmulqdq", "avx_vnni", "avx512_vnni"}


def usable(processor: Cpu) -> set[str]:
    return {name for name in OF_INTEREST if processor.feature(name).usable}


def test_a_nehalem_stops_at_sse_4_2() -> None:
    assert usable(NEHALEM) == V2


def test_a_haswell_has_avx2_and_no_avx_512() -> None:
    assert usable(HASWELL) == V3 | {"aes", "pclmul"}


def test_an_avx_512_processor_of_amd_has_sse4a_and_no_avx_vnni() -> None:
    expected = V4 | {"aes", "pclmul", "sha", "sse4a", "gfni", "vaes", "vpclmulqdq", "avx512_vnni"}
    assert usable(EPYC) == expected


def test_a_processor_may_have_avx_vnni_and_no_avx_512() -> None:
    assert usable(ALDER_LAKE) == V3 | {"aes", "pclmul", "sha", "gfni", "vaes", "vpclmulqdq", "avx_vnni"}


def test_tiles_are_usable_where_the_system_switched_their_state_on() -> None:
    assert XEON.feature("amx_tile") == USABLE
    assert Cpu(XEON.leaves, AVX512).feature("amx_tile") == SWITCHED_OFF


def test_avx_that_the_system_did_not_switch_on_is_in_the_processor_and_not_usable() -> None:
    assert Cpu(SANDY_BRIDGE, SSE).feature("avx") == SWITCHED_OFF
    assert Cpu(SANDY_BRIDGE, AVX).feature("avx") == USABLE


def test_without_osxsave_nothing_is_on_that_needs_it_whatever_xcr0_says() -> None:
    eax, ebx, ecx, edx = SANDY_BRIDGE[1, 0]
    no_osxsave = {**SANDY_BRIDGE, (1, 0): (eax, ebx, ecx & ~(1 << 27), edx)}
    assert Cpu(no_osxsave, AVX).feature("avx") == SWITCHED_OFF


def test_an_unknown_xcr0_switches_nothing_on() -> None:
    assert Cpu(SANDY_BRIDGE).feature("avx") == SWITCHED_OFF


def test_avx_512_needs_its_own_state_and_not_only_that_of_avx() -> None:
    limited = Cpu(EPYC.leaves, AVX)
    assert limited.feature("avx2") == USABLE
    assert limited.feature("avx512f") == SWITCHED_OFF


def test_what_works_on_old_registers_needs_no_xcr0() -> None:
    assert Cpu(HASWELL.leaves).feature("bmi2") == USABLE


def test_a_feature_that_is_not_there_is_not_usable_though_nothing_switched_it_off() -> None:
    assert NEHALEM.feature("aes") == NOT_HERE
    assert not NEHALEM.feature("aes").usable


EVERY_BIT = (0xFFFFFFFF,) * 4


@pytest.mark.parametrize(
    ("limit", "beyond", "feature"),
    [
        ({(0, 0): (6, *INTEL)}, (7, 0), "bmi1"),
        ({(0, 0): (7, *INTEL), (7, 0): (0, 0, 0, 0)}, (7, 1), "avx_vnni"),
        ({(0x80000000, 0): (0x80000000, 0, 0, 0)}, (0x80000001, 0), "lzcnt"),
        ({(0x80000000, 0): (0x07280203, 0, 0, 0)}, (0x80000001, 0), "lzcnt"),  # of a processor without such leaves
    ],
)
def test_an_answer_beyond_the_highest_leaf_or_subleaf_is_none(
    limit: dict[cpu.Leaf, cpu.Registers], beyond: cpu.Leaf, feature: str
) -> None:
    assert not Cpu({**limit, beyond: EVERY_BIT}).feature(feature).in_cpu


def test_a_leaf_that_was_not_recorded_counts_as_absent() -> None:
    assert not Cpu({(0, 0): (0x20, *INTEL)}).feature("sse2").in_cpu


def test_the_brand_is_the_text_of_three_leaves() -> None:
    assert SKYLAKE_BRAND.brand() == "Intel(R) Core(TM) i7-6500U CPU @ 2.50GHz"


def test_a_processor_that_has_no_brand_has_none() -> None:
    assert HASWELL.brand() is None


def test_a_name_that_is_no_feature_is_an_error() -> None:
    with pytest.raises(KeyError):
        HASWELL.feature("avx3")


# Who it is


@pytest.mark.parametrize(
    ("signature", "vendor", "family", "model", "stepping"),
    [
        (0x000906EA, INTEL, 6, 158, 10),  # Coffee Lake: the extended model counts in family 6
        (0x00000F34, INTEL, 15, 3, 4),  # Prescott
        (0x00A20F10, AMD, 25, 33, 0),  # Zen 3: the extended family is added to 15
        (0x000307B2, ZHAOXIN, 7, 59, 2),  # KX-6000: ... and in family 7
        (0x00000525, INTEL, 5, 2, 5),  # Pentium: no extended model before family 6
    ],
)
def test_family_model_and_stepping_are_as_people_write_them(
    signature: int, vendor: tuple[int, int, int], family: int, model: int, stepping: int
) -> None:
    found = Cpu({(0, 0): (1, *vendor), (1, 0): (signature, 0, 0, 0)})
    assert (found.family, found.model, found.stepping) == (family, model, stepping)


def test_the_vendor_is_spelt_by_ebx_edx_ecx() -> None:
    assert (HASWELL.vendor, EPYC.vendor) == ("GenuineIntel", "AuthenticAMD")


def test_a_vendor_that_nobody_knows_changes_nothing_else() -> None:
    unknown = Cpu({**HASWELL.leaves, (0, 0): (0xD, 0x3F3F3F3F, 0x3F3F3F3F, 0x3F3F3F3F)}, AVX)
    assert (unknown.vendor, unknown.level(), unknown.model) == ("?" * 12, "x86-64-v3", HASWELL.model)


def test_without_a_hypervisor_leaf_0x40000000_is_another_leafs_answer() -> None:
    assert Cpu({**HASWELL.leaves, (0x40000000, 0): (0x40000001, *INTEL)}).hypervisor is None


def test_a_hypervisor_tells_its_name() -> None:
    eax, ebx, ecx, edx = HASWELL.leaves[1, 0]
    guest = {**HASWELL.leaves, (1, 0): (eax, ebx, ecx | 1 << 31, edx)}
    microsoft = (0x4000000C, 0x7263694D, 0x666F736F, 0x76482074)
    assert Cpu({**guest, (0x40000000, 0): microsoft}).hypervisor == "Microsoft Hv"
    assert Cpu(guest).hypervisor == ""


def test_avx10_has_a_version() -> None:
    eax, ebx, _, edx = XEON.leaves[7, 1]
    new = {**XEON.leaves, (0, 0): (0x24, *INTEL), (7, 1): (eax, ebx, 0, edx | 1 << 19), (0x24, 0): (0, 0x70001, 0, 0)}
    assert (Cpu(new, AVX512).avx10, Cpu(new, AVX512).feature("avx10")) == (1, USABLE)
    assert (XEON.feature("avx10"), XEON.avx10) == (USABLE, None)  # the version was not recorded
    assert EPYC.avx10 is None


# The levels


@pytest.mark.parametrize(
    ("processor", "level"),
    [(NEHALEM, "x86-64-v2"), (HASWELL, "x86-64-v3"), (EPYC, "x86-64-v4"), (ALDER_LAKE, "x86-64-v3")],
)
def test_the_level_is_the_highest_that_is_usable(processor: Cpu, level: str) -> None:
    assert processor.level() == level


def test_ymm_without_zmm_is_v3_whatever_the_processor_has() -> None:
    limited = Cpu(EPYC.leaves, AVX)
    assert limited.level() == "x86-64-v3"
    assert limited.why_not("x86-64-v4") == tuple(
        Lack(f"avx512{part}", in_cpu=True) for part in ("f", "bw", "cd", "dq", "vl")
    )


def test_zmm_without_ymm_enables_nothing_from_avx_on() -> None:
    assert Cpu(EPYC.leaves, 0xE3).level() == "x86-64-v2"


def test_a_processor_of_32_bits_has_no_level() -> None:
    extended = {(0x80000000, 0): (0x80000008, 0, 0, 0), (0x80000001, 0): (0, 0, 0x1, 0x00100000)}
    old = Cpu({**NEHALEM.leaves, **extended})
    assert (old.level(), old.why_not("x86-64-v1")) == (None, (Lack("lm", in_cpu=False),))


def test_one_feature_that_is_not_there_costs_a_level() -> None:
    eax, ebx, ecx, edx = NEHALEM.leaves[1, 0]
    assert Cpu({**NEHALEM.leaves, (1, 0): (eax, ebx, ecx & ~(1 << 13), edx)}).level() == "x86-64-v1"


def test_why_not_tells_the_missing_from_the_disabled() -> None:
    lacks = Cpu(HASWELL.leaves, SSE).why_not("x86-64-v4")
    assert Lack("avx2", in_cpu=True) in lacks
    assert Lack("avx512f", in_cpu=False) in lacks


def test_nothing_is_lacking_of_a_level_that_it_has() -> None:
    assert HASWELL.why_not("x86-64-v2") == ()


@pytest.mark.parametrize("level", cpu.levels())
def test_a_level_is_what_it_is_called_and_no_more(level: str) -> None:
    exact = cpu.of_level(level)
    assert (exact.level(), exact.name) == (level, level)
    assert not exact.feature("aes").in_cpu


@pytest.mark.parametrize(
    ("level", "xcr0"), [("x86-64-v1", None), ("x86-64-v2", None), ("x86-64-v3", 0x6), ("x86-64-v4", 0xE6)]
)
def test_the_xcr0_of_a_level_is_what_its_states_need(level: str, xcr0: int | None) -> None:
    assert cpu.of_level(level).xcr0 == xcr0


def test_a_name_that_is_no_level_is_an_error() -> None:
    with pytest.raises(KeyError):
        cpu.of_level("x86-64-v5")


# The table


def test_every_row_of_the_table_names_a_register_a_bit_and_a_known_state() -> None:
    table = tables.table("cpu.toml")
    for name, row in table["feature"].items():
        assert row["register"] in ("eax", "ebx", "ecx", "edx"), name
        assert 0 <= row["bit"] < 32, name
        assert row.get("state", "avx") in table["state"], name


def test_every_level_and_emulation_names_features() -> None:
    table = tables.table("cpu.toml")
    named = [name for level in table["level"].values() for name in level]
    named += [name for row in cpu.emulations() for name in (*row.may_have, *row.has_not)]
    assert set(named) <= set(cpu.names())


def test_every_feature_has_a_place_in_the_listing() -> None:
    groups = {cpu.group(name) for name in cpu.names()}
    assert groups == {*cpu.levels(), "AVX", "AVX-512", "AMX", ""}


def test_no_bit_is_two_features() -> None:
    rows = tables.table("cpu.toml")["feature"].values()
    places = [(row["leaf"], row.get("subleaf", 0), row["register"], row["bit"]) for row in rows]
    assert len(places) == len(set(places))


def test_the_wanted_leaves_are_all_that_the_table_the_limits_and_the_brand_need() -> None:
    extended = [(0x80000000 + index, 0) for index in range(5)]
    limits = [(0, 0), (7, 0), (0x1E, 0), (0x24, 0), (0x40000000, 0)]
    rows = tables.table("cpu.toml")["feature"].values()
    assert set(cpu.wanted_leaves()) == {*limits, *extended, *((row["leaf"], row.get("subleaf", 0)) for row in rows)}


# This machine

ON_X86 = pytest.mark.skipif(core.cpuid(0) is None, reason="this processor is no x86")
ON_LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has /proc/cpuinfo")
# Names of /proc/cpuinfo that are not ours (Linux, arch/x86/include/asm/cpufeatures.h)
KERNEL = {
    "x87": "fpu",
    "sse3": "pni",
    "sse4.1": "sse4_1",
    "sse4.2": "sse4_2",
    "pclmul": "pclmulqdq",
    "lzcnt": "abm",
    "sha": "sha_ni",
}
# Features that the same header has no name for, gives no name to the outside, or got only with Linux 6.13 or later
UNNAMED = {
    *("osxsave", "cmpccxadd", "avx_ifma", "avx_vnni_int8", "avx_ne_convert", "avx_vnni_int16", "sha512", "sm3", "sm4"),
    *("amx_fp16", "amx_complex", "amx_fp8", "amx_tf32", "amx_avx512", "amx_movrs", "avx10", "apx"),
}
# Linux takes these flags away where it works around a flaw, though CPUID has them: RDRAND of AMD's family 15h after a
# suspend, RDSEED of Zen 5, RTM where TSX is switched off on the command line
TAKEN_AWAY = {"rdrand", "rdseed", "rtm"}
CPUINFO = Path("/proc/cpuinfo")


def cpuinfo() -> dict[str, str]:
    """What Linux says of the first processor."""
    first = CPUINFO.read_text().partition("\n\n")[0]
    return {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}


@ON_X86
def test_the_live_processor_answers_every_wanted_leaf() -> None:
    here = cpu.live()
    assert here is not None
    assert list(here.leaves) == cpu.wanted_leaves()


@ON_X86
@ON_LINUX
@pytest.mark.parametrize("name", [name for name in cpu.names() if name not in UNNAMED])
def test_what_is_usable_here_is_what_the_kernel_lists(name: str) -> None:
    here = cpu.live()
    assert here is not None
    listed = KERNEL.get(name, name) in cpuinfo()["flags"].split()
    assert here.feature(name).usable == listed or (name in TAKEN_AWAY and not listed)


@ON_X86
@ON_LINUX
def test_the_live_processor_is_who_the_kernel_says_it_is() -> None:
    here = cpu.live()
    assert here is not None
    said = cpuinfo()
    assert here.vendor == said["vendor_id"]
    assert (here.family, here.model) == (int(said["cpu family"]), int(said["model"]))
    assert here.stepping == (int(said["stepping"]) if said["stepping"].isdigit() else 0)
    assert (here.brand() or "").split() == said["model name"].split()


@ON_X86
def test_every_leaf_of_the_live_processor_holds_what_is_asked_at_a_start() -> None:
    here, full = cpu.live(), cpu.live_in_full()
    assert here is not None
    assert full is not None
    assert {name: full.feature(name) for name in cpu.names()} == {name: here.feature(name) for name in cpu.names()}


def test_a_processor_that_is_no_x86_has_no_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "cpuid", lambda *_: None)
    assert (cpu.live(), cpu.live_in_full()) == (None, None)


def test_a_processor_without_osxsave_is_not_asked_for_xcr0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "cpuid", lambda leaf, subleaf=0: NEHALEM.leaves.get((leaf, subleaf), (0, 0, 0, 0)))
    monkeypatch.setattr(core, "xgetbv", lambda: pytest.fail("XGETBV would be an illegal instruction there"))
    here = cpu.live()
    assert here is not None
    assert (here.xcr0, here.level()) == (None, "x86-64-v2")
