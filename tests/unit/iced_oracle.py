"""iced-x86 as an oracle: what it says of an instruction, in the words of data/isa.toml and data/cpu.toml."""

from __future__ import annotations

from typing import Optional

from iced_x86 import Code, CpuidFeature, Decoder, EncodingKind, Instruction, OpCodeTableKind

from depwalk import isa

Needs = Optional[frozenset[str]]

FEATURES = {value: name for name, value in vars(CpuidFeature).items() if isinstance(value, int)}
BASE = {
    *(
        "INTEL8086",
        "INTEL8086_ONLY",
        "INTEL186",
        "INTEL286",
        "INTEL386",
        "INTEL486",
        "X64",
        "CPUID",
        "CX8",
        "MSR",
        "SEP",
    ),
    *("SYSCALL", "TSC", "RDPMC", "PAUSE", "MULTIBYTENOP", "SMM", "WBNOINVD"),
}
OURS = {
    "SSE4_1": "sse4.1",
    "SSE4_2": "sse4.2",
    "PCLMULQDQ": "pclmul",
    "CMPXCHG16B": "cx16",
    "HLE_OR_RTM": "rtm",
    "D3NOW": "3dnow",
    "D3NOWEXT": "3dnow",
    "FPU": "x87",
    "FPU287": "x87",
    "FPU387": "x87",
    "AVX512_IFMA": "avx512ifma",
    "AVX512_VBMI": "avx512vbmi",
    "AVX512VL": "avx512f",  # not told apart: see data/isa.toml
}
# Hints are no-operations where they are unknown, so nothing is needed for them (SDM vol. 2, 0F 0D and 0F 18 to 0F 1F).
HINTS = {0x0D, *range(0x18, 0x20)}
# Instructions for systems, enclaves and virtual machines, and a few that no compiler makes: unknown here.
UNKNOWN = {
    *(
        "VMX",
        "SVM",
        "SKINIT_OR_SVM",
        "SMX",
        "SGX1",
        "SEV_ES",
        "SEV_SNP",
        "TDX",
        "INVEPT",
        "INVVPID",
        "INVPCID",
        "INVLPGB",
    ),
    *(
        "RMPQUERY",
        "PCONFIG",
        "OSS",
        "TSE",
        "FRED",
        "LKGS",
        "MSRLIST",
        "WRMSRNS",
        "SMAP",
        "MONITOR",
        "MONITORX",
        "CLZERO",
    ),
    *("RDPRU", "MCOMMIT", "PKU", "PTWRITE", "TSXLDTRK", "UINTR", "ENQCMD", "RAO_INT", "HRESET"),
    *("CET_SS", "CET_IBT", "KL", "AESKLE", "WIDE_KL", "CLFSH", "XSAVEC", "XSAVEOPT", "XSAVES"),
    *("PADLOCK_ACE", "PADLOCK_GMI", "PADLOCK_PHE", "PADLOCK_PMM", "PADLOCK_RNG", "PADLOCK_UNDOC"),
}


def answer(code: bytes, bits: int) -> Needs:
    """What iced says that the instruction needs that `code` begins with; see `needs`."""
    return needs(Decoder(bits, code.ljust(15, b"\0")).decode())


def needs(found: Instruction) -> Needs:
    """What an instruction needs; None if it is none, and nothing if it is one that is unknown here."""
    if found.code == Code.INVALID:
        return None
    names = {FEATURES[feature] for feature in found.cpuid_features()}
    if names & UNKNOWN:
        return frozenset()
    ours = {OURS.get(name, name.lower()) for name in names - BASE}
    if any(name.startswith("avx512") for name in ours - {"avx512f"}):
        ours -= {"avx512f"}  # all of AVX-512 needs it
    if ours & {"sha512", "sm3", "sm4"}:
        ours -= {"avx"}  # cpu.toml has the state for them
    return frozenset(ours or {isa.BASE})


def is_hint(found: Instruction) -> bool:
    """Whether it is one that does nothing where it is unknown."""
    opcode = found.op_code()
    is_0f = opcode.encoding == EncodingKind.LEGACY and opcode.table == OpCodeTableKind.T0F
    return is_0f and opcode.op_code >> 8 * (opcode.op_code_len - 1) in HINTS  # ENDBR64 is 1E FA
