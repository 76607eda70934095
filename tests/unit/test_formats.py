"""Every form of the answer, where it goes, and the page that tells of them."""

from __future__ import annotations

import json
import re
import shlex
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scanned import EXT, make_wheel
from test_cli import FAILS, FIXED, LOADS, UNKNOWN, Ran, refused, run
from test_dot import parsed

from depwalk import choices

if TYPE_CHECKING:
    from conftest import MakePE

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "formats.md").read_text("utf-8")
COMMANDS = re.findall(r"^ +(?:- run: )?python -m depwalk (.*)$", PAGE, re.MULTILINE)


def is_of_form(form: str, content: str) -> None:
    """It is one whole document of a form, or for text and JSON what these are."""
    if form == "json":
        assert all(json.loads(line)["verdict"] for line in content.splitlines())
    elif form == "sarif":
        assert len(json.loads(content)["runs"]) == 1
    elif form == "dot":
        assert parsed(content).clusters
    elif form == "html":
        assert content.lstrip().lower().startswith("<!doctype html>")
        HTMLParser().feed(content)
        assert content.lower().count("</html>") == 1
    else:
        assert "gone.dll" in content


@pytest.mark.parametrize("form", choices.FORMATS)
def test_a_form_goes_to_standard_output_or_to_a_file(form: str, make_pe: MakePE, tmp_path: Path) -> None:
    files = [make_pe(f"D\xe9p\xf4t/{name}.pyd", imports={"gone.dll": ["f"]}) for name in "ab"]
    shown = run(*files, *FIXED, "--format", form)
    written = run(*files, *FIXED, "--format", form, "-o", tmp_path / "report")
    assert (shown.returncode, shown.stderr) == (FAILS, "")
    assert (written.returncode, written.stdout, written.stderr) == (FAILS, "", "")
    is_of_form(form, shown.stdout)
    is_of_form(form, (tmp_path / "report").read_text("utf-8"))


@pytest.mark.parametrize("form", choices.FORMATS_OF_MANY)
@pytest.mark.parametrize("command", [("scan",), ()])
def test_a_scan_has_a_form_too(form: str, command: tuple[str, ...], make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("s/a.pyd", imports={"gone.dll": ["f"]})
    shown = run(*command, tmp_path / "s", *FIXED[:2], "--format", form)
    written = run(*command, tmp_path / "s", *FIXED[:2], "--format", form, "-o", tmp_path / "report")
    assert (shown.returncode, written.returncode, written.stdout, shown.stderr) == (FAILS, FAILS, "", "")
    is_of_form(form, shown.stdout)
    is_of_form(form, (tmp_path / "report").read_text("utf-8"))


@pytest.mark.parametrize("form", ["html", "dot", "sarif"])
def test_a_form_that_cannot_be_written_is_told_in_one_line(form: str, make_pe: MakePE, tmp_path: Path) -> None:
    path = tmp_path / "nothere" / "report"
    refused(run(make_pe("root.pyd"), *FIXED, "--format", form, "-o", path), path)


@pytest.mark.parametrize("form", ["html", "sarif"])
def test_what_has_changed_since_a_run_is_told_as_text_or_json(form: str, make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("s/a.pyd")
    run("scan", tmp_path / "s", *FIXED[:2], "--db", tmp_path / "db")
    again = ("scan", tmp_path / "s", *FIXED[:2], "--db", tmp_path / "db", "--since", "1", "--format", form)
    for arguments in (again, ("scan", *again[4:])):
        ran = run(*arguments)
        refused(ran, "--since", "text or json")
        assert ran.stdout == ""


def test_the_form_can_be_a_setting_of_the_project(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("s/a.pyd")
    (tmp_path / "pyproject.toml").write_text('[tool.depwalk]\nformat = "sarif"\nwindows = "10"\n')
    is_of_form("sarif", run("scan", "s", cwd=tmp_path).stdout)


@pytest.fixture
def checkout(make_pe: MakePE, tmp_path: Path) -> Path:
    """What the commands of the page find."""
    make_pe("module.pyd", imports={"gone.dll": ["f"]})
    make_wheel(tmp_path / "dist", {f"demo/{EXT}": (tmp_path / "module.pyd").read_bytes()})
    return tmp_path


def answers(command: str, folder: Path) -> Ran[str]:
    return run(*shlex.split(command), cwd=folder)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_does_what_it_says(command: str, checkout: Path) -> None:
    ran = answers(command, checkout)
    assert (ran.returncode, ran.stderr) == (FAILS, "")
    form, output = re.search(r"--format (\w+)", command), re.search(r"-o (\S+)", command)
    assert form is not None
    is_of_form(form[1], (checkout / output[1]).read_text("utf-8") if output else ran.stdout)


def test_the_page_tells_of_every_form() -> None:
    assert re.findall(r"^\| `(\w+)`", PAGE, re.MULTILINE) == list(choices.FORMATS)
    assert len(COMMANDS) == 7


@pytest.mark.skipif(sys.platform == "win32", reason="there it is asked about otherwise: the import is traced")
def test_an_import_without_extension_modules_is_a_document_without_results(tmp_path: Path) -> None:
    (tmp_path / "plain.py").write_text("")
    for form in ("sarif", "dot", "html"):
        ran = run("plain", "--site", tmp_path, *FIXED, "--format", form)
        assert ran.returncode == LOADS, ran.stderr
        assert ran.stdout


def test_status_is_the_same_in_every_form(make_pe: MakePE) -> None:
    unsure = make_pe("root.pyd", imports={"api-ms-win-future-thing-l1-1-0.dll": ["f"]})
    for form in choices.FORMATS:
        assert run(unsure, *FIXED, "--windows", "11", "--format", form).returncode == UNKNOWN
