"""The story of a load, as the debug API tells it: every file that is mapped, every exception, in order."""

from __future__ import annotations

import ntpath
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from animals import on_wine
from loading import IS_64_BIT

from depwalk import image, loader
from depwalk.cli.options import machine
from depwalk.target.choose import Choice, choose

if TYPE_CHECKING:
    from loading import Animal

    from depwalk.loader import LoadTrace
    from depwalk.target import Target

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="there is no Windows loader here")

from_64_bit = pytest.mark.skipif(not IS_64_BIT, reason="a 32-bit process cannot debug a 64-bit one")
from_32_bit = pytest.mark.skipif(IS_64_BIT, reason="this process is 64-bit")

# What Wine 8.0 maps for TensorFlow 2.0, as WINEDEBUG=+module prints it ("mapping PE file") for the same load without
# depwalk. WINEDEBUG cannot be compared live: what Wine prints goes past every pipe of a Windows process.
TENSORFLOW_ON_WINE = [
    "_pywrap_tensorflow_internal.pyd",
    "python37.dll",
    "shlwapi.dll",
    "shcore.dll",
    "msvcp140.dll",
    "concrt140.dll",  # msvcp140's own start asks for it
]


def target_of(path: str, **choice: object) -> Target:
    return choose(image.read(path), Choice(**choice), machine())  # type: ignore[arg-type]


def names(trace: LoadTrace) -> list[str]:
    return [ntpath.basename(path).lower() for path in trace.modules]


@from_64_bit
@pytest.mark.skipif(not on_wine(), reason="which DLLs Windows brings for it depends on its version")
def test_the_modules_of_tensorflow_come_in_the_order_in_which_wine_maps_them(tensorflow: str) -> None:
    target = target_of(tensorflow, python="3.7", dll_dirs=(os.environ["DEPWALK_RUNTIME_37"],))
    trace = loader.trace_load(tensorflow, target, timeout=30)

    assert (trace.code, trace.traced, trace.raised) == (0, True, ())
    assert names(trace) == TENSORFLOW_ON_WINE


@from_64_bit
def test_a_traced_load_brings_the_same_modules_as_an_untraced_one(tensorflow: str) -> None:
    target = target_of(tensorflow, python="3.7", dll_dirs=(os.environ["DEPWALK_RUNTIME_37"],))
    traced = loader.trace_load(tensorflow, target, timeout=30)
    alone = loader.test_load(tensorflow, target, timeout=30)

    assert sorted(names(traced)) == sorted(names(alone))
    assert not alone.traced


def test_modules_of_a_load_that_fails_are_listed_up_to_its_failure(animal: Animal) -> None:
    path = animal("missing-deep")  # it needs a.dll, which needs b.dll, which needs nowhere.dll
    trace = loader.trace_load(path, target_of(path), timeout=10)

    assert trace.code == loader.MODULE_NOT_FOUND
    assert list(dict.fromkeys(names(trace))) == ["user.pyd", "a.dll", "b.dll"]  # Wine maps b.dll for user.pyd again


@from_64_bit
def test_a_plugin_that_code_of_the_dll_loads_is_seen_although_no_import_table_names_it(animal: Animal) -> None:
    path = animal("init-plugin-needed")
    trace = loader.trace_load(path, target_of(path), timeout=10)

    assert trace.code == 1114
    assert names(trace) == ["user.pyd", "plugin.dll"]


def test_an_exception_carries_the_bytes_of_the_instruction(animal: Animal) -> None:
    path = animal("init-access-violation")
    (exception,) = loader.trace_load(path, target_of(path), timeout=10).raised

    assert exception.code == 0xC0000005
    assert exception.rva is not None
    assert exception.module is not None
    assert os.path.samefile(exception.module, path)
    assert exception.code_bytes == code_at(path, exception.rva)


def code_at(path: str, rva: int) -> bytes:
    """16 bytes of a file as they lie at an address once it is mapped (none of them is relocated)."""
    import pefile

    with pefile.PE(path, fast_load=True) as parsed:
        found: bytes = parsed.get_data(rva, 16)
        return found


@from_64_bit
def test_a_32_bit_child_is_traced_from_64_bit_depwalk(pythons: list[str]) -> None:
    path, target = of_another("x86", "init-access-violation-32", pythons)
    trace = loader.trace_load(path, target, timeout=10)

    assert (trace.code, trace.traced) == (998, True)
    assert names(trace) == ["user.pyd"]
    assert [(found.code, found.access) for found in trace.raised] == [(0xC0000005, "write")]
    assert trace.raised[0].code_bytes == code_at(path, trace.raised[0].rva or 0)


@from_32_bit
def test_a_64_bit_child_cannot_be_traced_from_32_bit_depwalk(pythons: list[str]) -> None:
    path, target = of_another("x64", "init-access-violation", pythons)

    with pytest.raises(OSError, match="cannot debug"):
        loader.trace_load(path, target, timeout=10)


@from_32_bit
def test_a_64_bit_child_is_test_loaded_from_32_bit_depwalk_and_tells_its_exception_itself(pythons: list[str]) -> None:
    path, target = of_another("x64", "init-access-violation", pythons)
    trace = loader.test_load(path, target, timeout=10)

    assert (trace.code, trace.traced) == (998, False)
    assert [(found.access, found.place.partition("+")[0]) for found in trace.raised] == [("write", "user.pyd")]


def of_another(architecture: str, name: str, pythons: list[str]) -> tuple[str, Target]:
    """An animal, and as its target a Python of the other architecture than this one's."""
    python = next((found for found in pythons if image.read(found).architecture == architecture), None)
    if python is None:
        pytest.skip(f"no {architecture} Python on this machine")
    path = str(Path(os.environ["DEPWALK_ZOO"], name, "user.pyd"))
    return path, target_of(path, python=python)
