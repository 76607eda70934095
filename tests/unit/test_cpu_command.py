"""depwalk cpu: what a person reads, what a program reads, and a dump that goes from one machine to another."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from test_cli import FIXED, LOADS, USAGE, refused, run
from test_cpu import EPYC, HASWELL, ON_X86, SSE
from test_cpu_dump import CPUID_R

from depwalk import cli, core, cpu
from depwalk.cpu import Cpu
from depwalk.report import processor as report

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE


def text(processor: Cpu, width: int = 80) -> str:
    return "\n".join(line.text for line in report.render(processor, width))


# What a person reads


def test_a_processor_is_told_in_a_few_lines() -> None:
    assert text(cpu.named("Nehalem")).splitlines()[:10] == [
        "Intel(R) Core(TM) i7 CPU         860  @ 2.80GHz",
        "  GenuineIntel, family 6, model 30, stepping 5",
        "  level x86-64-v2, not x86-64-v3: it has no AVX, AVX2, BMI1, BMI2, F16C, FMA,",
        "    LZCNT or MOVBE",
        "",
        "Usable",
        "  x86-64-v1  x87, CMPXCHG8B, CMOV, MMX, FXSAVE, SSE, SSE2, 64-bit mode",
        "  x86-64-v2  SSE3, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, POPCNT, LAHF/SAHF",
        "  other      RDTSCP",
        "",
    ]


def test_what_the_system_has_not_enabled_is_told_apart() -> None:
    shown = text(Cpu(HASWELL.leaves, SSE, "here"))
    assert "In the processor, and not enabled by the system\n  x86-64-v3  FMA, AVX, F16C, AVX2\n" in shown
    assert "the system has not enabled AVX, AVX2, F16C and FMA" in " ".join(shown.split())


def test_an_assumed_xcr0_is_said() -> None:
    assert "assumed: the system enabled all register states" in text(cpu.named("Haswell"))
    assert "assumed" not in text(cpu.named("x86-64-v3"))


@pytest.mark.parametrize(
    ("osxsave", "told"), [(True, "beyond SSE: not known"), (False, "beyond SSE: switched off by the system")]
)
def test_why_nothing_is_enabled_is_said(osxsave: bool, told: str) -> None:
    eax, ebx, ecx, edx = HASWELL.leaves[1, 0]
    leaves = {**HASWELL.leaves, (1, 0): (eax, ebx, ecx if osxsave else ecx & ~(1 << 27), edx)}
    assert told in text(Cpu(leaves, None, "here"))


def test_a_virtual_machine_is_said() -> None:
    assert "in a virtual machine (Microsoft Hv)" in text(cpu.named("Icelake-Server"))


def test_the_highest_level_is_said_to_be_that() -> None:
    assert "  level x86-64-v4, the highest\n" in text(Cpu(EPYC.leaves, EPYC.xcr0, "here"))


def test_a_processor_of_32_bits_has_no_level_and_a_reason() -> None:
    assert "\n  not x86-64-v1: it has no 64-bit mode\n" in text(cpu.named("Atom"))


def test_a_level_is_no_processor_with_a_vendor() -> None:
    assert text(cpu.named("x86-64-v2")).splitlines()[:2] == [
        "What x86-64-v2 asks for, and nothing more",
        "  level x86-64-v2, not x86-64-v3: it has no AVX, AVX2, BMI1, BMI2, F16C, FMA,",
    ]


@pytest.mark.parametrize("name", [*cpu.models(), *cpu.levels()])
def test_no_line_is_longer_than_the_width(name: str) -> None:
    assert [line for line in text(cpu.named(name)).splitlines() if len(line) > 80] == []


def test_every_feature_is_listed_once() -> None:
    words = " ".join(text(cpu.named("EPYC-Genoa"), 10_000).split()).replace(",", "")
    assert [cpu.label(name) for name in cpu.names() if words.count(cpu.label(name).removeprefix("AVX-512 ")) == 0] == [
        cpu.label("osxsave"),
        cpu.label("hypervisor"),
    ]


def test_a_name_that_would_steer_the_terminal_is_escaped() -> None:
    evil = {(0x80000000, 0): (0x80000004, 0, 0, 0), (0x80000002, 0): (0x6D31331B, 0, 0, 0)}
    assert "\x1b" not in text(Cpu({**HASWELL.leaves, **evil}, None, "here"))


# A processor that is no x86


@pytest.fixture
def no_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "cpuid", lambda *_: None)


@pytest.mark.usefixtures("no_x86")
def test_on_arm64_the_answer_is_that_it_is_no_x86_and_what_emulation_offers(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cpu"]) == LOADS
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith("This is not an x86 processor")
    assert "x64 processes are emulated by Windows 11 for Arm; they may have AVX, AVX2," in shown
    assert "x86 processes are emulated by Windows 10 and 11 for Arm; they do not have AVX, AVX2," in shown
    assert "`python -m depwalk cpu` shows what this Windows really offers" in shown


@pytest.mark.usefixtures("no_x86")
def test_on_arm64_the_processor_is_null_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cpu", "--format", "json"]) == LOADS
    found = json.loads(capsys.readouterr().out)
    assert (found["cpu"], [row["process"] for row in found["emulation"]]) == (None, ["x64", "x86"])


@pytest.mark.usefixtures("no_x86")
def test_on_arm64_there_is_nothing_to_dump(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cpu", "--dump"]) == USAGE
    assert "there is nothing to dump" in capsys.readouterr().err


@pytest.mark.usefixtures("no_x86")
def test_on_arm64_another_processor_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cpu", "--from", "Haswell"]) == LOADS
    assert "i7-4770" in capsys.readouterr().out


# The command


@ON_X86
def test_this_processor_is_shown() -> None:
    here = cpu.live()
    assert here is not None
    ran = run("cpu")
    assert (ran.returncode, ran.stderr) == (LOADS, "")
    assert ran.stdout == text(here) + "\n"


@ON_X86
def test_a_dump_of_this_processor_reads_as_this_processor(tmp_path: Path) -> None:
    assert run("cpu", "--dump", tmp_path / "here.txt").returncode == LOADS
    assert run("cpu", "--from", tmp_path / "here.txt").stdout == run("cpu").stdout


@ON_X86
def test_a_dump_goes_to_standard_output_without_a_file(tmp_path: Path) -> None:
    written = run("cpu", "--dump").stdout
    assert written.splitlines()[1] == "CPU 0:"
    assert run("cpu", "--dump", "-o", tmp_path / "same.txt").stdout == ""
    assert (tmp_path / "same.txt").read_text().splitlines()[:3] == written.splitlines()[:3]


def test_a_model_can_be_written_down_and_stays_assumed(tmp_path: Path) -> None:
    ran = run("cpu", "--from", "Haswell", "--dump", tmp_path / "haswell.txt")
    assert (ran.returncode, ran.stdout, ran.stderr) == (LOADS, "", "")
    found = cpu.named(str(tmp_path / "haswell.txt"))
    assert (found.leaves, found.xcr0_assumed) == (cpu.named("haswell").leaves, True)


def test_a_program_reads_json(tmp_path: Path) -> None:
    ran = run("cpu", "--from", "SandyBridge", "--format", "json")
    found = json.loads(ran.stdout)
    assert (found["schema"], found["cpu"]["name"], found["cpu"]["level"]) == (
        "depwalk-cpu/1",
        "SandyBridge",
        "x86-64-v2",
    )
    assert found["cpu"]["features"]["avx"] == {"in_cpu": True, "enabled": True, "usable": True}
    assert found["cpu"]["why_not"]["x86-64-v3"][0] == "avx2"


@pytest.mark.parametrize("format_", ["text", "json"])
def test_the_answer_goes_to_a_file(format_: str, tmp_path: Path) -> None:
    shown = run("cpu", "--from", "Haswell", "--format", format_).stdout
    assert run("cpu", "--from", "Haswell", "--format", format_, "-o", tmp_path / "out").stdout == ""
    assert (tmp_path / "out").read_text("utf-8") == shown


def test_a_wrong_dump_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "cut.txt").write_text(CPUID_R.replace(" edx=0xbfebfbff", ""))
    refused(run("cpu", "--from", tmp_path / "cut.txt"), tmp_path / "cut.txt", "line 3")


def test_a_near_miss_is_refused_with_what_it_may_have_meant() -> None:
    refused(run("cpu", "--from", "nehalm"), "did you mean Nehalem?", "x86-64-v1", "EPYC-Rome")


def test_an_answer_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    refused(run("cpu", "--from", "Haswell", "-o", tmp_path), tmp_path)
    refused(run("cpu", "--from", "Haswell", "--dump", tmp_path), tmp_path)


def test_help_tells_how_to_send_a_dump() -> None:
    shown = run("cpu", "--help").stdout
    assert [word for word in ("--dump", "--from", "--format", "Exit status", "my-cpu.txt") if word not in shown] == []


# --cpu of a check


def test_a_check_says_for_which_processor_it_is(make_pe: MakePE) -> None:
    ran = run(make_pe("root.pyd"), *FIXED, "--cpu", "nehalem")
    assert ran.returncode == LOADS
    assert "with processor Nehalem; the file was not loaded." in " ".join(ran.stdout.split())
    assert all(len(line) <= 80 for line in ran.stdout.splitlines() if "root.pyd" not in line)


def test_a_check_for_any_processor_names_none(make_pe: MakePE) -> None:
    path = make_pe("root.pyd")
    assert "processor" not in run(path, *FIXED).stdout
    assert json.loads(run(path, *FIXED, "--format", "json").stdout)["environment"]["cpu"] is None


def test_a_check_tells_a_program_the_processor(make_pe: MakePE) -> None:
    ran = run(make_pe("root.pyd"), *FIXED, "--cpu", "SandyBridge", "--format", "json")
    assert json.loads(ran.stdout)["environment"]["cpu"] == {
        "name": "SandyBridge",
        "brand": "Intel(R) Core(TM) i7-2600K CPU @ 3.40GHz",
        "level": "x86-64-v2",
        "xcr0_assumed": True,
    }


def test_a_check_for_an_unknown_processor_is_refused(make_pe: MakePE) -> None:
    refused(run(make_pe("root.pyd"), *FIXED, "--cpu", "8086"), "unknown processor '8086'", "x86-64-v1")
