"""Slips of the keyboard: one line that says what was probably meant, and the status for wrong usage."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from test_cli import LOADS, USAGE, refused, run

from depwalk import choices

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("x.pyd --window 10", "there is no option --window: did you mean --windows?"),
        ("--versoin", "there is no option --versoin: did you mean --version?"),
        ("x.pyd --no-laod", "did you mean --no-load?"),
        ("x.pyd --window=10", "there is no option --window: did you mean --windows?"),
        ("scan x --fail-no missing-dll", "did you mean --fail-on?"),
        ("run --timeot 3 -- python", "did you mean --timeout?"),
        ("cpu --form x86-64-v2", "did you mean --format?"),
        ("x.pyd --format sarfi", "argument --format: unknown 'sarfi': did you mean sarif? It is one of text, json"),
        ("scan x --format dto", "argument --format: unknown 'dto': it is one of text, json, html, sarif"),
        ("cpu --format jsno", "did you mean json?"),
    ],
)
def test_an_option_that_is_not_there(line: str, words: str) -> None:
    ran = run(*line.split())
    refused(ran, words)
    command = line.split(maxsplit=1)[0]
    of = f" {command}" if command in ("scan", "run", "cpu") else ""
    assert ran.stderr.splitlines()[1:] == [f"Try: python -m depwalk{of} --help"]


@pytest.mark.parametrize("line", ["x.pyd --xyzzy", "x.pyd --format yaml"])
def test_what_is_like_nothing_gets_no_suggestion(line: str) -> None:
    ran = run(*line.split())
    refused(ran)
    assert "mean" not in ran.stderr


def test_the_beginning_of_an_option_is_no_option(make_pe: MakePE) -> None:
    refused(run(make_pe("root.pyd"), "--no-l"), "there is no option --no-l: did you mean --no-load?")


@pytest.mark.parametrize(
    ("option", "value", "meant"),
    [
        ("--windows", "12", "11"),
        ("--windows", "windows10", "10"),
        ("--windows", "8.1-x68", "8.1-x86"),
        ("--windows", "11-arm46", "11-arm64"),
        ("--python", "3.99x", "3.9"),
        ("--python", "3.13t-23", "3.13t-32"),
        ("--cpu", "haswel", "Haswell"),
        ("--cpu", "x86-64-v5", "x86-64-v4"),
        ("--with-runtime", "vc41", "vc14"),
    ],
)
@pytest.mark.parametrize("command", [(), ("scan",)])
def test_a_value_that_is_not_there(
    option: str, value: str, meant: str, command: tuple[str, ...], make_pe: MakePE
) -> None:
    ran = run(*command, make_pe("root.pyd"), option, value)
    refused(ran, "unknown ", repr(value), f"did you mean {meant}? It is ")
    assert ran.stdout == ""


def test_a_finding_that_is_not_there(make_pe: MakePE) -> None:
    ran = run("scan", make_pe("root.pyd"), "--fail-on", "mising-dll")
    refused(ran, "unknown finding 'mising-dll' (--fail-on): did you mean missing-dll?")


@pytest.mark.skipif(sys.platform == "win32", reason="there a name is imported, and a child says that it is not there")
@pytest.mark.parametrize(
    ("word", "command"), [("scna", "scan"), ("scam", "scan"), ("rnu", "run"), ("cup", "cpu"), ("Scan", "scan")]
)
def test_a_first_word_that_is_nothing_and_nearly_a_command(word: str, command: str, tmp_path: Path) -> None:
    ran = run(word, cwd=tmp_path)
    refused(ran, word, f"did you mean the command {command}?")
    assert ran.returncode == USAGE


def test_a_missing_file_was_not_to_be_a_command(tmp_path: Path) -> None:
    ran = run("scan.pyd", cwd=tmp_path)
    refused(ran, "scan.pyd")
    assert "command" not in ran.stderr


def test_a_file_that_is_nearly_called_like_a_command_is_a_file(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("scna")
    assert run("./scna", "--windows", "10", "--no-load", cwd=tmp_path).returncode == LOADS


@pytest.mark.skipif(sys.platform == "win32", reason="as above")
def test_only_the_first_word_could_have_been_a_command(make_pe: MakePE) -> None:
    ran = run(make_pe("root.pyd"), "scna", "--windows", "10", "--no-load", "-q")
    assert "command" not in ran.stderr
    assert "scna" in ran.stderr


@pytest.mark.parametrize(
    ("given", "near"), [("12", "11"), ("95", ""), ("SARIF", "sarif"), ("x", ""), ("", ""), ("textt", "text")]
)
def test_the_nearest_word(given: str, near: str) -> None:
    assert choices.nearest(given, ["11", "10", "7", "text", "sarif"]) == near
