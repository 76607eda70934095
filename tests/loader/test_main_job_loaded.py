"""The main job on Windows: TensorFlow 2.0's module, and what the real loader says of it."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [
    pytest.mark.skipif(sys.platform != "win32", reason="there is no Windows loader here"),
    pytest.mark.skipif(struct.calcsize("P") == 4, reason="TensorFlow is 64-bit"),
]


@pytest.fixture
def runtime_37() -> list[str]:
    return ["--python", "3.7", "--dll-dir", os.environ["DEPWALK_RUNTIME_37"]]


def depwalk(*arguments: str) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "depwalk", *arguments, "--format", "json"]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert not ran.stderr, ran.stderr.decode(errors="replace")
    return ran.returncode, json.loads(ran.stdout.decode("utf-8"))


@pytest.fixture
def no_msvcp140() -> Iterator[None]:
    """A machine without the Visual C++ runtime: Wine's own is switched off in its registry."""
    if sys.platform != "win32":
        return
    import winreg

    key = "Software\\Wine\\DllOverrides"
    try:
        winreg.CloseKey(winreg.OpenKey(winreg.HKEY_CURRENT_USER, "Software\\Wine"))
    except OSError:
        pytest.skip("only Wine's runtime can be switched off")
    with winreg.CreateKey(winreg.HKEY_CURRENT_USER, key) as opened:
        winreg.SetValueEx(opened, "msvcp140", 0, winreg.REG_SZ, "native")
        try:
            yield
        finally:
            winreg.DeleteValue(opened, "msvcp140")


def test_with_the_runtime_of_cpython_37_the_loader_takes_it(tensorflow: str, runtime_37: list[str]) -> None:
    status, report = depwalk(tensorflow, *runtime_37)

    assert (status, report["verdict"], report["basis"]) == (0, "loads", "loader")
    loaded = [os.path.basename(path).lower() for path in report["load"]["modules"]]
    assert {"python37.dll", "_pywrap_tensorflow_internal.pyd", "msvcp140.dll"} <= set(loaded)


def test_in_cpython_311_it_is_for_another_python(tensorflow: str) -> None:
    status, report = depwalk(tensorflow)

    assert (status, report["verdict"], report["basis"]) == (1, "fails", "loader")
    first = report["findings"][0]
    assert (first["code"], first["module"], first["proof"]) == ("wrong-python", "python37.dll", "loader")
    assert "is for CPython 3.7" in first["message"]


def test_without_cpython_37_on_this_machine_python37_dll_is_missing(tensorflow: str) -> None:
    status, report = depwalk(tensorflow, "--python", "3.7")

    assert (status, report["verdict"], report["basis"]) == (1, "fails", "loader")
    first = report["findings"][0]
    assert (first["code"], first["module"]) == ("missing-python-dll", "python37.dll")
    assert "is for CPython 3.7" in first["message"]


@pytest.mark.usefixtures("no_msvcp140")
def test_without_the_visual_cpp_runtime_msvcp140_is_missing(tensorflow: str, runtime_37: list[str]) -> None:
    status, report = depwalk(tensorflow, *runtime_37)

    assert (status, report["verdict"], report["basis"]) == (1, "fails", "loader")
    first = report["findings"][0]
    assert (first["code"], first["module"], first["proof"]) == ("missing-msvc-runtime", "MSVCP140.dll", "loader")
    assert first["needed_by"] == "_pywrap_tensorflow_internal.pyd"
    assert first["remedy"]["url"] == "https://aka.ms/vc14/vc_redist.x64.exe"


def test_with_no_load_nothing_is_run_and_the_basis_is_static(tensorflow: str, runtime_37: list[str]) -> None:
    status, report = depwalk(tensorflow, *runtime_37, "--no-load")

    assert (status, report["verdict"], report["basis"], report["load"]) == (0, "loads", "static", None)
