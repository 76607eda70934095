"""The main job on a machine that has no Windows: the same verdicts, predicted from the files alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from depwalk.result import diagnose
from depwalk.target.choose import Choice, choose

if TYPE_CHECKING:
    from depwalk.result import Result

TENSORFLOW = "tensorflow-2.0.0-cp37-win_amd64/tensorflow_core/python/_pywrap_tensorflow_internal.pyd"
PANDA3D = "panda3d-1.10.16-cp311-win_amd64/panda3d/core.cp311-win_amd64.pyd"


def predict(file: str, choice: Choice) -> Result:
    patients = os.environ.get("DEPWALK_PATIENTS")
    if patients is None:
        assert not os.environ.get("CI"), "DEPWALK_PATIENTS is not set: ci/run.py downloads the wheels"
        pytest.skip("DEPWALK_PATIENTS is not set (ci/run.py downloads the wheels)")
    return diagnose(Path(patients, file), lambda image: choose(image, choice, None), load=False)


def test_tensorflow_on_a_clean_windows_10_lacks_exactly_msvcp140() -> None:
    result = predict(TENSORFLOW, Choice(windows="10", python="3.7"))

    assert (result.verdict, result.basis) == ("fails", "static")
    assert [module.name for module in result.graph.modules if module.status == "missing"] == ["MSVCP140.dll"]
    assert [(finding.code, finding.module) for finding in result.findings] == [("missing-msvc-runtime", "MSVCP140.dll")]


def test_tensorflow_imports_18_names_and_its_api_sets_are_ucrtbase() -> None:
    graph = predict(TENSORFLOW, Choice(windows="10", python="3.7")).graph
    names = {edge.name: graph.modules[edge.imported].name for edge in graph.needs(graph.root)}

    assert len(names) == 18
    assert {host for name, host in names.items() if name.startswith("api-ms-")} == {"ucrtbase.dll"}


def test_the_runtime_that_cpython_brings_is_not_missing() -> None:
    graph = predict(TENSORFLOW, Choice(windows="10", python="3.7")).graph
    modules = {module.name.lower(): module for module in graph.modules}

    assert modules["vcruntime140.dll"].status == "found"
    assert modules["python37.dll"].status == "found"


def test_tensorflow_loads_where_the_redistributable_is_installed() -> None:
    result = predict(TENSORFLOW, Choice(windows="10", python="3.7", runtimes=("vc14",)))

    assert (result.verdict, result.findings) == ("loads", ())


def test_panda3d_shows_all_17_of_its_dlls_and_every_symbol() -> None:
    graph = predict(PANDA3D, Choice(windows="10")).graph

    assert len({edge.name.lower() for edge in graph.needs(graph.root)}) == 17
    assert sum(edge.symbols for edge in graph.needs(graph.root)) == 12_408
    assert not [edge for edge in graph.edges if edge.unresolved]


def test_panda3d_loads_in_the_python_that_its_file_name_tells() -> None:
    result = predict(PANDA3D, Choice(windows="10"))

    assert result.verdict == "loads"
    assert result.target.python is not None
    assert result.target.python.name == "3.11"
