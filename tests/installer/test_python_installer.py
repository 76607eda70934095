"""examples/python-installer: a product with its own Python tells why it does not load, once installed and at its start.

The frozen program is laid out as PyInstaller does it, with the python.exe of the bed in the place of its program.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from from_ci import CHECKOUT

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="there is no Windows loader here")

EXAMPLE = CHECKOUT / "examples" / "python-installer"
FREEZE = """
import os, sys
sys.frozen, sys._MEIPASS = True, {folder!r}
sys.path.insert(0, sys._MEIPASS)
import {module}
"""
ASKS = """
import depwalk
try:
    import sqlite3
except ImportError as error:
    result = depwalk.explain(error)
    print(result.verdict, result.basis, result.load)
"""


@pytest.fixture
def product(tmp_path: Path) -> Path:
    """A directory with an extension module and the DLL that it needs."""
    made = tmp_path / "product"
    made.mkdir()
    for name in ("_sqlite3.pyd", "sqlite3.dll"):
        shutil.copy(Path(sys.base_prefix, "DLLs", name), made)
    return made


def post_install(product: Path) -> tuple[int, str]:
    """The exit status and the log of the script that an installer runs."""
    log = product.parent / "post_install.log"
    ran = subprocess.run(
        [sys.executable, str(EXAMPLE / "post_install.py"), str(log), str(product)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert ran.stderr == b""
    return ran.returncode, log.read_text("utf-8")


def test_after_the_installation_everything_loads(product: Path) -> None:
    status, log = post_install(product)

    assert status == 0
    assert log == f"loads: {product / '_sqlite3.pyd'}\n"


def test_after_the_installation_the_dll_that_is_missing_stands_in_the_log(product: Path) -> None:
    (product / "sqlite3.dll").unlink()
    status, log = post_install(product)

    assert status == 1
    verdict, cause, *_ = log.splitlines()
    assert verdict == f"fails: {product / '_sqlite3.pyd'}"
    assert "sqlite3.dll" in cause


def interpreter(program: Path) -> Path:
    """Make a python.exe with what it needs beside it; its standard library and depwalk are those of this Python."""
    shutil.copy(getattr(sys, "_base_executable", "") or sys.executable, program)  # not that of a virtual environment
    dll = f"python3{sys.version_info[1]}"
    home = Path(sys.base_prefix)
    for name in (f"{dll}.dll", "vcruntime140.dll"):
        shutil.copy(home / name, program.parent)
    path = [home / "Lib", home / "DLLs", *(Path(entry) for entry in sys.path if entry.endswith("site-packages"))]
    (program.parent / f"{dll}._pth").write_text("".join(f"{entry}\n" for entry in path), "ascii")
    return program


@pytest.mark.parametrize("needed", [True, False], ids=["loads", "dll-missing"])
def test_the_script_of_conda_constructor_passes_the_exit_status_on(tmp_path: Path, product: Path, needed: bool) -> None:
    prefix = tmp_path / "Product with blanks"
    packages = prefix / "Lib" / "site-packages"
    packages.mkdir(parents=True)
    interpreter(prefix / "python.exe")
    shutil.copy(EXAMPLE / "post_install.py", prefix)
    product.rename(packages / "product")
    if not needed:
        (packages / "product" / "sqlite3.dll").unlink()
    ran = subprocess.run(
        ["cmd", "/c", str(EXAMPLE / "post_install.bat")],
        env={**os.environ, "PREFIX": str(prefix)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )

    log = (prefix / "post_install.log").read_text("utf-8")
    assert (ran.returncode, log.partition(":")[0]) == ((0, "loads") if needed else (1, "fails"))


def freeze(product: Path, module: str = "product") -> Path:
    """Lay a program out as PyInstaller does: one program, and everything else in _internal."""
    inside = product / "_internal"
    inside.mkdir()
    for file in [*product.glob("*.pyd"), *product.glob("*.dll")]:
        file.rename(inside / file.name)
    for name in ("product.py", "startup.py"):
        shutil.copy(EXAMPLE / name, inside)
    (inside / "asks.py").write_text(ASKS, "ascii")
    (inside / "freeze.py").write_text(FREEZE.format(folder=str(inside), module=module), "ascii")
    return interpreter(product / "product.exe")


def start(program: Path) -> tuple[int, str, str]:
    """Exit status, output and what is said of errors."""
    ran = subprocess.run(
        [str(program), str(program.parent / "_internal" / "freeze.py")],
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTHON")},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    return ran.returncode, ran.stdout.decode(), ran.stderr.decode()


def test_a_frozen_program_that_loads_says_nothing_of_it(product: Path) -> None:
    status, output, errors = start(freeze(product))

    assert (status, errors) == (0, "")
    assert output.startswith("3.")


def test_a_frozen_program_names_the_dll_that_it_misses_instead_of_a_traceback(product: Path) -> None:
    (product / "sqlite3.dll").unlink()
    status, output, errors = start(freeze(product))

    assert (status, output) == (1, "")
    first, why, *_ = errors.splitlines()
    assert first == "Example Product does not start"
    assert why.startswith("_sqlite3.pyd needs sqlite3.dll")
    assert "Traceback" not in errors


def test_a_program_without_a_console_shows_a_dialog(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(EXAMPLE), *sys.path])
    import startup

    dialogs: list[tuple[object, ...]] = []
    user32 = SimpleNamespace(MessageBoxW=lambda *arguments: dialogs.append(arguments))
    monkeypatch.setattr(startup, "ctypes", SimpleNamespace(windll=SimpleNamespace(user32=user32)))
    monkeypatch.setattr(sys, "stderr", None)
    startup.show("sqlite3.dll is missing")
    assert [dialog[1:3] for dialog in dialogs] == [("sqlite3.dll is missing", "Example Product does not start")]


def test_a_frozen_program_is_not_started_again_to_load_the_file_once_more(product: Path) -> None:
    (product / "sqlite3.dll").unlink()

    assert start(freeze(product, "asks")) == (0, "fails static None\r\n", "")
