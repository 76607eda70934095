"""The installer of examples/nsis asks first: what loads is installed, what does not is refused and leaves nothing."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest
import setups

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = setups.needs_installers

PRODUCT = ["engine.dll", "uninstall.exe", "vectors.dll"]


@pytest.fixture(autouse=True)
def uninstalled(tmp_path: Path) -> Iterator[None]:
    yield
    uninstall(tmp_path / "product")


def uninstall(target: Path) -> None:
    """Run the uninstaller, which ends before the copy of itself that does the work."""
    program = target / "uninstall.exe"
    if not program.exists():
        return
    subprocess.run([str(program), "/S"], stdin=subprocess.DEVNULL, check=True, timeout=60)
    end = time.monotonic() + 30
    while (target.exists() or setups.registered()) and time.monotonic() < end:
        time.sleep(0.1)


def test_what_loads_is_installed(tmp_path: Path) -> None:
    outcome = setups.run("example-product-setup.exe", tmp_path)

    assert (outcome.code, outcome.installed, outcome.registered) == (0, PRODUCT, True)
    assert outcome.temporary == []
    assert outcome.log.splitlines()[-2:] == ["going on", "installed"]


def test_a_32_bit_installer_checks_and_installs_a_64_bit_product(tmp_path: Path) -> None:
    outcome = setups.run("32-bit.exe", tmp_path)

    assert (outcome.code, outcome.installed, outcome.temporary) == (0, PRODUCT, [])
    assert "engine.dll: loads" in outcome.log


def test_the_uninstaller_leaves_nothing(tmp_path: Path) -> None:
    setups.run("example-product-setup.exe", tmp_path)
    uninstall(tmp_path / "product")

    assert not (tmp_path / "product").exists()
    assert not setups.registered()


def test_without_the_runtime_nothing_is_installed_and_the_log_says_why(tmp_path: Path, without_runtime: None) -> None:
    outcome = setups.run("example-product-setup.exe", tmp_path)

    assert (outcome.code, outcome.installed, outcome.registered) == (10, [], False)
    assert outcome.temporary == []
    assert outcome.log.splitlines()[-1].startswith("not installed: msvcp140.dll, a part of the Visual C++ runtime")


@pytest.mark.parametrize("answer", [1, 2, 11, 12, 13, 16, 21])
def test_a_product_that_cannot_load_ends_the_installer_with_the_code_of_the_check(tmp_path: Path, answer: int) -> None:
    outcome = setups.run("answers.exe", tmp_path, answer=answer)

    assert (outcome.code, outcome.installed, outcome.registered) == (answer, [], False)
    assert outcome.temporary == []
    assert outcome.log.splitlines()[-1].startswith("not installed: ")


@pytest.mark.parametrize(("answer", "logged"), [(0, "0"), (3, "3"), (0xC0000005, "-1073741819")])
def test_what_loads_or_could_not_be_tried_is_installed(tmp_path: Path, answer: int, logged: str) -> None:
    outcome = setups.run("answers.exe", tmp_path, answer=answer)

    assert (outcome.code, outcome.installed) == (0, PRODUCT)
    assert f"exit code {logged}\n" in outcome.log


def test_a_runtime_that_is_shipped_is_installed_and_then_the_product_is_tried_again(tmp_path: Path) -> None:
    outcome = setups.run("with-runtime.exe", tmp_path, answer=10)

    asked = "depwalk-check-x64.exe --require-cpu v3 engine.dll: exit code 10"
    steps = [line for line in outcome.log.splitlines() if line and not line.startswith("asked: ")]
    assert steps[1:-1] == [asked, "vc_redist.x64.exe ended with 10", asked]
    assert (outcome.code, outcome.installed, outcome.temporary) == (10, [], [])


def test_without_an_option_the_log_lies_where_temporary_files_do(tmp_path: Path) -> None:
    outcome = setups.run("answers.exe", tmp_path, log=None, answer=16)

    assert (outcome.code, outcome.temporary) == (16, ["Example Product-setup.log"])


def test_the_path_of_the_log_may_have_blanks_and_any_letters(tmp_path: Path) -> None:
    outcome = setups.run("answers.exe", tmp_path, log=tmp_path / "журнал einer Prüfung.log", answer=16)

    assert outcome.log.startswith("Example Product")


def test_the_directory_of_temporary_files_may_have_blanks_and_any_letters(
    tmp_path: Path, without_runtime: None
) -> None:
    folder = tmp_path / "J\u00fcrgen \u0416"
    folder.mkdir()
    outcome = setups.run("example-product-setup.exe", folder)

    assert (outcome.code, outcome.installed, outcome.temporary) == (10, [], [])
    assert outcome.log.splitlines()[-1].startswith("not installed: msvcp140.dll, a part of the Visual C++ runtime")


def test_the_dll_gives_the_installer_the_code_and_leaves_nothing(tmp_path: Path, without_runtime: None) -> None:
    outcome = setups.run("by-dll.exe", tmp_path)

    assert (outcome.code, outcome.temporary) == (10, [])


def test_the_dll_lets_a_product_that_loads_be_installed(tmp_path: Path) -> None:
    outcome = setups.run("by-dll.exe", tmp_path)

    assert (outcome.code, outcome.temporary) == (0, [])
