"""What GitHub and cibuildwheel are told: it is well-formed, and it is about the wheels that are built here."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from clean import finished
from from_ci import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the tools of a release are installed elsewhere")

WORKFLOW = CHECKOUT / "ci" / "release.yml"
# What a tag of this project is called by cibuildwheel, and where that builds it.
BUILDS = {
    "win_amd64": ("windows", "AMD64", "cp311-win_amd64"),
    "win32": ("windows", "x86", "cp311-win32"),
    "win_arm64": ("windows", "ARM64", "cp311-win_arm64"),
    "manylinux2014_x86_64": ("linux", "x86_64", "cp311-manylinux_x86_64"),
    "manylinux2014_aarch64": ("linux", "aarch64", "cp311-manylinux_aarch64"),
    "musllinux_1_2_x86_64": ("linux", "x86_64", "cp311-musllinux_x86_64"),
    "macosx_10_12_x86_64": ("macos", "x86_64", "cp311-macosx_x86_64"),
    "macosx_11_0_arm64": ("macos", "arm64", "cp311-macosx_arm64"),
}


def test_the_workflow_is_one_by_the_schema_of_github(tools: Path) -> None:
    checked = finished([tools, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", WORKFLOW])

    assert checked.returncode == 0, checked.stdout


def test_a_workflow_with_a_wrong_key_is_none(tools: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "release.yml"
    wrong.write_text(WORKFLOW.read_text("utf-8").replace("runs-on:", "run-on:"))
    checked = finished([tools, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", wrong])

    assert checked.returncode == 1


def test_every_action_is_named_with_its_version() -> None:
    used = re.findall(r"uses: (\S+)", WORKFLOW.read_text("utf-8"))
    versioned = re.compile(r"[\w.-]+/[\w.-]+@(v\d+\.\d+\.\d+|[0-9a-f]{40})")

    assert used
    assert [action for action in used if not versioned.fullmatch(action)] == []


def test_only_the_job_that_publishes_may_say_who_it_is_and_only_the_last_may_write() -> None:
    jobs = re.split(r"^  (\w+):", WORKFLOW.read_text("utf-8").partition("jobs:\n")[2], flags=re.MULTILINE)
    granted = {name: set(re.findall(r"(\S+): write", text)) for name, text in zip(jobs[1::2], jobs[2::2])}

    assert granted == {
        "build": set(),
        "again": set(),
        "native": set(),
        "publish": {"attestations", "id-token"},
        "release": {"contents"},
    }


def test_the_workflow_and_the_pins_name_the_same_cibuildwheel() -> None:
    version = re.search(r"pypa/cibuildwheel@v(\S+)", WORKFLOW.read_text("utf-8"))
    pins = (CHECKOUT / "ci" / "pins" / "release.txt").read_text("utf-8")

    assert version is not None
    assert f"\ncibuildwheel=={version[1]} " in pins


@pytest.mark.parametrize("system", ["linux", "windows", "macos"])
def test_cibuildwheel_builds_each_platform_once(system: str, tools: Path, ci: Any) -> None:
    builds = [BUILDS[platform.tag] for platform in ci.PLATFORMS]
    processors = sorted({processor for built, processor, _ in builds if built == system})
    asked = ["--platform", system, "--archs", ",".join(processors), "--print-build-identifiers", CHECKOUT]
    told = finished([tools, "-m", "cibuildwheel", *asked], {"PATH": os.defpath, "HOME": os.devnull})

    assert told.returncode == 0, told.stdout
    assert sorted(told.stdout.split()) == sorted(identifier for built, _, identifier in builds if built == system)


def test_the_settings_of_the_project_are_valid(tools: Path) -> None:
    checked = finished([tools, "-m", "validate_pyproject", CHECKOUT / "pyproject.toml"])

    assert checked.returncode == 0, checked.stdout
