"""On a processor that qemu emulates: the level is the one that qemu's documentation gives the model."""

from __future__ import annotations

import os

import pytest

from depwalk import cpu

MODEL = os.environ.get("DEPWALK_CPU", "")
# qemu's docs/system/cpu-models-x86-abi.csv. Its emulation has no AVX-512: there a model of level 4 has what is left.
LEVELS = {
    "qemu64": "x86-64-v1",
    "kvm64": "x86-64-v1",
    "core2duo": "x86-64-v1",
    "phenom": "x86-64-v1",
    "Conroe": "x86-64-v1",
    "Penryn": "x86-64-v1",
    "Opteron_G1": "x86-64-v1",
    "Opteron_G2": "x86-64-v1",
    "Opteron_G3": "x86-64-v1",
    "Nehalem": "x86-64-v2",
    "Westmere": "x86-64-v2",
    "SandyBridge": "x86-64-v2",
    "IvyBridge": "x86-64-v2",
    "Opteron_G4": "x86-64-v2",
    "Opteron_G5": "x86-64-v2",
    "Denverton": "x86-64-v2",
    "Haswell": "x86-64-v3",
    "Broadwell": "x86-64-v3",
    "Skylake-Client": "x86-64-v3",
    "EPYC": "x86-64-v3",
    "EPYC-Rome": "x86-64-v3",
    "EPYC-Milan": "x86-64-v3",
    "Skylake-Server": "x86-64-v4",
    "Cascadelake-Server": "x86-64-v4",
    "Icelake-Server": "x86-64-v4",
}

pytestmark = pytest.mark.skipif(MODEL not in LEVELS, reason="needs a bed with a model that qemu documents")


def test_the_level_is_what_qemu_documents() -> None:
    here = cpu.live()
    assert here is not None
    assert here.level() == min(LEVELS[MODEL], "x86-64-v3")


def test_a_dump_of_it_is_the_same_processor() -> None:
    here, full = cpu.live(), cpu.live_in_full()
    assert here is not None
    assert full is not None
    assert [name for name in cpu.names() if here.feature(name) != full.feature(name)] == []
    assert full.level() == here.level()
