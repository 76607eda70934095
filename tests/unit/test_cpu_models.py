"""The processors that --cpu knows: each was recorded by somebody, and replays to the level that it is known for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from depwalk import cpu, tables
from depwalk.cpu import dump

if TYPE_CHECKING:
    from pathlib import Path

# (level, features it is known for, features it is known to lack). Who says so in public: (q) qemu's table of its models
# by level, docs/system/cpu-models-x86-abi.csv, for the same microarchitecture; (m) docs.rs/crate/multiversed,
# ARCH_TABLE.md; (f) the features that the project behind the listing reads from it, in the same file; (-) nobody was
# found who does.
MODELS = {
    "AlderLake": ("x86-64-v3", "avx_vnni gfni sha", "avx512f"),  # (m): AVX-512 is switched off in it
    "Athlon64": ("x86-64-v1", "3dnow mmxext sse3", "ssse3 cx16"),  # (q) Opteron_G1
    "Atom": (None, "ssse3 movbe", "lm sse4.1"),  # (q) n270
    "Broadwell": ("x86-64-v3", "adx rdseed 3dnowprefetch", "avx512f"),  # (q)
    "Bulldozer": ("x86-64-v2", "avx xop fma4", "fma f16c bmi1"),  # (q) Opteron_G4
    "Cascadelake-Server": ("x86-64-v4", "avx512_vnni", "avx512_bf16"),  # (q)
    "EPYC": ("x86-64-v3", "sha sse4a", "avx512f vaes"),  # (q)
    "EPYC-Genoa": ("x86-64-v4", "avx512_bf16 avx512vbmi vaes", "avx_vnni amx_tile"),  # (q)
    "EPYC-Milan": ("x86-64-v3", "vaes vpclmulqdq", "avx512f"),  # (q)
    "EPYC-Rome": ("x86-64-v3", "clwb rdpid", "vaes"),  # (q)
    "Excavator": ("x86-64-v3", "avx2 movbe xop tbm", "sha adx"),  # (f)
    "Goldmont-Plus": ("x86-64-v2", "sha rdseed movbe", "avx bmi1"),  # (f); (q) Denverton, its predecessor
    "Haswell": ("x86-64-v3", "avx2 bmi2", "adx"),  # (q)
    "Icelake-Server": ("x86-64-v4", "avx512_vpopcntdq gfni vaes", "amx_tile avx_vnni"),  # (q)
    "IvyBridge": ("x86-64-v2", "avx f16c rdrand", "avx2 bmi1"),  # (q)
    "KX-6000": ("x86-64-v2", "avx bmi1 sha", "avx2 fma"),  # (-)
    "Knights-Landing": ("x86-64-v3", "avx512f avx512cd avx512er avx512pf", "avx512bw avx512vl"),  # (q) KnightsMill
    "Nehalem": ("x86-64-v2", "sse4.2 popcnt", "aes avx"),  # (q)
    "Pentium-III": (None, "sse mmx", "sse2 lm"),  # (q) pentium3
    "Phenom-II": ("x86-64-v1", "sse4a popcnt lzcnt cx16", "ssse3 sse4.1"),  # (q) Opteron_G3
    "Piledriver": ("x86-64-v2", "fma f16c bmi1 tbm", "avx2 bmi2 movbe"),  # (q) Opteron_G5
    "Prescott": (None, "sse3", "lm ssse3"),  # (f): the first ones had no 64-bit mode
    "SandyBridge": ("x86-64-v2", "avx aes", "f16c avx2"),  # (q)
    "SapphireRapids": ("x86-64-v4", "amx_tile amx_bf16 avx512_fp16 avx_vnni", "amx_fp16 avx10"),  # (q)
    "Silvermont": ("x86-64-v2", "movbe rdrand", "aes xsave"),  # (f)
    "Skylake-Client": ("x86-64-v3", "clflushopt rtm", "avx512f"),  # (q)
    "Skylake-Pentium": (
        "x86-64-v2",
        "aes sse4.2 xsave",
        "avx avx2 bmi1 fma",
    ),  # (f): a Skylake whose AVX is switched off
    "Skylake-Server": ("x86-64-v4", "avx512f avx512vl", "avx512_vnni"),  # (q)
    "Westmere": ("x86-64-v2", "aes pclmul", "avx"),  # (q)
    "core2duo": ("x86-64-v1", "ssse3 cx16", "sse4.1 popcnt"),  # (q)
}
ALSO = tables.table("cpu.toml")["also"]


def test_every_model_has_an_expectation() -> None:
    assert {*MODELS, *ALSO} == set(cpu.models())


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_the_level_that_it_is_known_for(name: str) -> None:
    assert cpu.named(name).level() == MODELS[name][0]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_the_features_that_it_is_known_for(name: str) -> None:
    _, has, lacks = MODELS[name]
    processor = cpu.named(name)
    assert [feature for feature in has.split() if not processor.feature(feature).usable] == []
    assert [feature for feature in lacks.split() if processor.feature(feature).in_cpu] == []


@pytest.mark.parametrize("name", MODELS)
def test_what_a_model_has_its_system_has_enabled(name: str) -> None:
    processor = cpu.named(name)
    assert [feature for feature in cpu.names() if processor.feature(feature) == cpu.Feature(True, False)] == []


@pytest.mark.parametrize("name", MODELS)
def test_a_model_names_its_processor_and_the_source(name: str) -> None:
    first, second, third, *_ = tables.path("cpus", f"{name}.txt").read_text("ascii").splitlines()
    assert re.fullmatch(r"# \S.*", first)
    assert re.fullmatch(r"# Source: https://\S+, \S.*", second)
    assert third == "CPU 0:"


def test_the_models_are_of_several_vendors_and_eras() -> None:
    known = [cpu.named(name) for name in MODELS]
    assert {processor.vendor for processor in known} == {"GenuineIntel", "AuthenticAMD", "CentaurHauls"}
    assert {processor.level() for processor in known} == {None, *cpu.levels()}
    assert len({(processor.vendor, processor.family, processor.model) for processor in known}) >= 28


@pytest.mark.parametrize("name", ALSO)
def test_a_second_name_is_the_same_processor(name: str) -> None:
    assert cpu.named(name).leaves == cpu.named(ALSO[name]).leaves
    assert cpu.named(name).name == name


# By name


@pytest.mark.parametrize("asked", ["nehalem", "NEHALEM", "X86-64-V2", "x86-64-v2"])
def test_a_name_may_be_written_in_any_case(asked: str) -> None:
    assert cpu.named(asked).level() == "x86-64-v2"


@pytest.mark.parametrize(
    ("asked", "meant"),
    [("nehalm", "Nehalem"), ("x86-64-v5", "x86-64-v"), ("sandy-bridge", "SandyBridge"), ("liv", "live")],
)
def test_a_near_miss_is_told_what_it_may_have_meant(asked: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"unknown processor '{asked}': did you mean {meant}"):
        cpu.named(asked)


def test_a_name_that_is_nothing_is_told_all_that_there_is() -> None:
    with pytest.raises(ValueError, match="unknown processor") as refused:
        cpu.named("quantum")
    said = str(refused.value)
    assert "did you mean" not in said
    assert [name for name in ("live", "x86-64-v1", "dump", *cpu.models()) if name not in said] == []


def test_a_name_goes_before_a_file_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "Nehalem").write_text("no dump")
    monkeypatch.chdir(tmp_path)
    assert cpu.named("Nehalem").level() == "x86-64-v2"
    with pytest.raises(ValueError, match="not in it"):
        cpu.named("./Nehalem")


def test_a_dump_is_called_as_it_was_given_and_never_the_live_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "live").write_text(dump.write(cpu.named("Atom").leaves, None, []))
    assert cpu.named("./live").name == "./live"


def test_live_on_another_processor_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "live", lambda: None)
    with pytest.raises(ValueError, match="not an x86 processor"):
        cpu.named("live")
