"""The source distribution: what it holds, and that it builds with a C compiler and nothing else."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from from_ci import CHECKOUT

if TYPE_CHECKING:
    from clean import Clean

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="what is published is looked at where it was built")

LEFT_OUT = {".gitignore", ".ci/run"}
MADE = {"PKG-INFO", "setup.cfg"}
WAY_OUT = "name another one in CC, or install a wheel, which needs none: pip install --only-binary depwalk depwalk"


@pytest.fixture
def archive(dist: Path) -> Path:
    (archive,) = dist.glob("*.tar.gz")
    return archive


def test_it_holds_what_git_has_and_nothing_else(archive: Path) -> None:
    if not shutil.which("git") or not (CHECKOUT / ".git").exists():
        pytest.skip("the checkout is not one of git")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"]
    told = subprocess.run(listed, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    known = {name for name in told.split("\0") if name and (CHECKOUT / name).exists()}
    with tarfile.open(archive) as tar:
        held = {member.name.partition("/")[2] for member in tar.getmembers() if member.isfile()}

    assert {name for name in held if not name.startswith("depwalk.egg-info/")} == known - LEFT_OUT | MADE


def test_it_names_no_owner_and_one_time(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        members = tar.getmembers()

    assert {(member.uid, member.gid, member.uname, member.gname) for member in members} == {(0, 0, "", "")}
    assert {member.mode for member in members} <= {0o644, 0o755}
    assert len({member.mtime for member in members}) == 1


@pytest.mark.parametrize("compiler", ["gcc", "zig"])
def test_it_is_installed_with_a_c_compiler(compiler: str, archive: Path, clean: Clean, ci: Any) -> None:
    if compiler == "gcc" and not shutil.which("gcc"):
        pytest.skip("gcc is not here")
    command = "gcc" if compiler == "gcc" else shlex.join([*ci.zig(Path(sys.executable)), "-mcpu=baseline"])
    caches = {name: text for name, text in os.environ.items() if name.startswith("ZIG_")}
    built = clean.install(archive, CC=command, **caches)
    assert built.returncode == 0, built.stdout

    used = clean.run([clean.programs / "python", CHECKOUT / "tests" / "release" / "use.py"])
    assert (used.returncode, used.stdout) == (0, "used\n")


def test_without_a_compiler_one_sentence_says_what_to_do(archive: Path, clean: Clean, tmp_path: Path) -> None:
    nothing = tmp_path / "nothing"
    nothing.mkdir()
    built = clean.install(archive, path=str(nothing))

    assert built.returncode == 1
    assert last_word(built.stdout) == (
        "error: depwalk's core is written in C, and the compiler 'cc' cannot be run (No such file or directory): "
        f"install a C compiler such as gcc or clang, {WAY_OUT}"
    )


def test_of_a_compiler_that_fails_its_exit_status_and_the_command_are_said(archive: Path, clean: Clean) -> None:
    built = clean.install(archive, CC="false")

    assert built.returncode == 1
    told = last_word(built.stdout)
    assert told.startswith("error: the C compiler failed with exit status 1; what it said stands above this line.")
    assert told.endswith(WAY_OUT)


def last_word(output: str) -> str:
    """The last line of the build, which pip prints within its own frame. There is no traceback."""
    assert "Traceback" not in output
    lines = [line.strip() for line in output.splitlines()]
    return lines[lines.index("[end of output]") - 1]
