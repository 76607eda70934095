"""What real DLLs need of a processor when they load, predicted from their code."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest
from test_main_job_predicted import TENSORFLOW, predict

from depwalk import isa
from depwalk.target.choose import Choice

if TYPE_CHECKING:
    from depwalk.result import Result

# Where the process ends on a Nehalem: seen in real loads (tests/processor), vmovdqu in the static of a function.
CRASH, CRASH_FUNCTION = 0x4D7F94A, 0x4D7F900
OPENSSL = "panda3d-1.10.16-cp311-win_amd64/deploy_libs/libcrypto-3.dll"


@functools.cache
def tensorflow(cpu: str | None) -> Result:
    return predict(TENSORFLOW, Choice(windows="10", python="3.7", runtimes=("vc14",), cpu=cpu))


def test_tensorflow_fails_on_a_nehalem_for_avx_and_names_where_the_real_crash_is() -> None:
    result = tensorflow("Nehalem")

    assert (result.verdict, result.basis) == ("fails", "static")
    (found,) = result.findings
    assert (found.code, found.severity, found.proof) == ("cpu-feature-missing", "error", "static")
    assert "does not have AVX" in found.message
    assert any(f"+0x{CRASH:X} (function 0x{CRASH_FUNCTION:X})" in fact for fact in found.evidence)


def test_tensorflow_reaches_the_real_crash_from_an_initialiser_and_from_no_table_directly() -> None:
    file = tensorflow("Nehalem").graph.root.image
    assert file is not None
    reached = isa.at_load(file)
    assert reached is not None
    need = next(need for need in reached.needs if need.function == CRASH_FUNCTION)

    assert (need.rva, need.needs, need.by) == (CRASH, ("avx",), "initialiser")
    assert need.root != CRASH_FUNCTION
    assert need.caller not in (0, need.root)


@pytest.mark.parametrize("cpu", ["x86-64-v3", "Haswell"])
def test_tensorflow_has_no_finding_where_there_is_avx(cpu: str) -> None:
    result = tensorflow(cpu)

    assert (result.verdict, result.findings) == ("loads", ())


def test_tensorflow_was_compiled_for_avx() -> None:
    file = tensorflow(None).graph.root.image
    assert file is not None
    exported = isa.exported(file)
    assert exported is not None

    assert isa.baseline(exported) == ("x87", "cmov", "sse", "sse2", "avx")
    assert isa.level_of(isa.baseline(exported)) == "x86-64-v3"


def test_without_a_processor_to_judge_for_no_code_is_read() -> None:
    assert tensorflow(None).judged == ()


def test_an_image_that_chooses_by_itself_loads_on_the_oldest_processor_with_a_note() -> None:
    result = predict(OPENSSL, Choice(windows="10", cpu="x86-64-v1"))

    assert result.verdict == "loads"
    assert [(found.code, found.severity) for found in result.findings] == [("cpu-feature-missing", "note")]


def test_openssl_holds_thousands_of_avx_instructions_and_was_compiled_for_every_processor() -> None:
    file = predict(OPENSSL, Choice(windows="10")).graph.root.image
    assert file is not None
    contents, exported = isa.contents(file), isa.exported(file)
    assert contents is not None
    assert exported is not None

    assert sum(use.instructions for use in contents.uses if "avx" in use.needs) > 5000
    assert contents.asking > 0
    assert isa.level_of(isa.baseline(exported)) == "x86-64-v1"
