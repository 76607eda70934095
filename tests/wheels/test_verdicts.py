"""What depwalk predicts of real wheels, on a Windows that this machine need not have."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tomllib

from depwalk.result import diagnose
from depwalk.target.choose import Choice, choose

if TYPE_CHECKING:
    from depwalk.result import Result

VERDICTS: list[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("verdicts.toml").read_text("utf-8"))["verdict"]


@pytest.fixture(params=[pytest.param(verdict, id=verdict["shows"]) for verdict in VERDICTS])
def verdict(request: pytest.FixtureRequest) -> dict[str, Any]:
    told: dict[str, Any] = request.param
    return told


def predict(verdict: dict[str, Any]) -> Result:
    judged = os.environ.get("DEPWALK_JUDGED")
    if judged is None:
        assert not os.environ.get("CI"), "DEPWALK_JUDGED is not set: ci/run.py downloads the wheels"
        pytest.skip("DEPWALK_JUDGED is not set (ci/run.py downloads the wheels)")
    runtimes = tuple(verdict.get("runtimes", ()))
    choice = Choice(windows=verdict.get("windows", "10"), python=verdict.get("python"), runtimes=runtimes)
    return diagnose(Path(judged, verdict["file"]), lambda image: choose(image, choice, None), load=False)


def test_a_real_wheel_gets_the_verdict_that_is_true(verdict: dict[str, Any]) -> None:
    result = predict(verdict)
    if not verdict["finding"]:
        assert (result.verdict, result.findings) == ("loads", ())
        return
    first = result.findings[0]
    told = [first.message, *first.evidence, *first.also]
    if first.remedy is not None:
        told += [first.remedy.text, first.remedy.command, first.remedy.url]

    assert result.verdict == "fails"
    assert (first.severity, first.code, first.module) == ("error", verdict["finding"], verdict["module"])
    assert first.needed_by == verdict.get("needed_by", "")
    assert [words for words in verdict["says"] if words not in "\n".join(told)] == []


def test_no_cause_of_another_kind_is_told_beside_it(verdict: dict[str, Any]) -> None:
    errors = [finding for finding in predict(verdict).findings if finding.severity == "error"]
    assert {finding.code for finding in errors} == {verdict["finding"]} - {""}, [finding.message for finding in errors]
