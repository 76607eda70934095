"""What a tree needs of a graphics card's software: by its imports, and by names that it loads at run time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from targets import target

import depwalk
from depwalk import gpu, image, result
from depwalk.report import json as json_report
from depwalk.report import text

if TYPE_CHECKING:
    from conftest import MakePE

    from depwalk.result import Result
    from depwalk.target import Target

SCHEMA = Path(depwalk.__file__).with_name("data") / "schema.json"
KERNEL = {"kernel32.dll": ["Sleep"]}


def diagnosed(path: Path, place: Target | None = None) -> Result:
    return result.diagnose(path, lambda _: place or target(), load=False)


def told(path: Path, place: Target | None = None) -> list[tuple[str, str, str, str | None]]:
    return [(need.name, need.how, need.by, need.path) for need in diagnosed(path, place).gpu]


def texts(*names: str, coding: str = "ascii") -> dict[str, bytes]:
    return {".rdata": b"\1\2" + b"".join(f"{name}\0".encode(coding) for name in names)}


def codes(found: Result) -> list[tuple[str, str, str]]:
    return [(finding.severity, finding.code, finding.module) for finding in found.findings]


# ---- what is needed ----------------------------------------------------------------------------------------------


def test_no_gpu_runtime_is_needed(make_pe: MakePE) -> None:
    assert told(make_pe("root.pyd", imports=KERNEL)) == []


def test_an_import_is_told_with_the_place_where_it_is(make_pe: MakePE) -> None:
    there = make_pe("cudart64_12.dll", exports=["f"])
    path = make_pe("root.pyd", imports={"cudart64_12.dll": ["f"]})
    assert told(path) == [("cudart64_12.dll", "import", "root.pyd", str(there))]


def test_an_import_that_is_missing_has_no_place(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports={"cudart64_12.dll": ["f"]})
    assert told(path) == [("cudart64_12.dll", "import", "root.pyd", None)]


def test_a_delayed_load_is_told_as_such(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports=KERNEL, delay={"nvcuda.dll": ["cuInit"]})
    assert told(path) == [("nvcuda.dll", "delay", "root.pyd", None)]


@pytest.mark.parametrize("coding", ["ascii", "utf-16-le"])
def test_a_name_among_the_texts_of_a_file_is_loaded_at_run_time(coding: str, make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports=KERNEL, sections=texts("some text", "nvcuda.dll", "more", coding=coding))
    assert told(path) == [("nvcuda.dll", "name", "root.pyd", None)]


def test_a_name_at_the_very_beginning_of_a_section_is_read(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports=KERNEL, sections={".rdata": b"nvcuda.dll\0"})
    assert "nvcuda.dll" in list(gpu.names(image.read(path)))


def test_a_dependency_that_asks_for_it_is_named(make_pe: MakePE) -> None:
    make_pe("helper.dll", exports=["f"], sections=texts("nvml.dll"))
    path = make_pe("root.pyd", imports={"helper.dll": ["f"]})
    assert told(path) == [("nvml.dll", "name", "helper.dll", None)]


def test_a_name_that_is_imported_too_is_told_once(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports={"nvcuda.dll": ["cuInit"]}, sections=texts("nvcuda.dll"))
    assert told(path) == [("nvcuda.dll", "import", "root.pyd", None)]


def test_a_plugin_that_is_loaded_by_name_tells_what_it_needs(make_pe: MakePE) -> None:
    make_pe("onnxruntime_providers_cuda.dll", imports={"cudnn64_9.dll": ["f"]}, sections=texts("nvcuda.dll"))
    path = make_pe("state.pyd", imports=KERNEL, sections=texts("onnxruntime_providers_cuda.dll"))
    plugin = "onnxruntime_providers_cuda.dll"
    assert told(path) == [("cudnn64_9.dll", "import", plugin, None), ("nvcuda.dll", "name", plugin, None)]


def test_two_plugins_that_name_each_other_are_no_circle(make_pe: MakePE) -> None:
    make_pe("a_cuda.dll", exports=["f"], sections=texts("b_cuda.dll", "a_cuda.dll"))
    make_pe("b_cuda.dll", exports=["f"], sections=texts("a_cuda.dll", "nvml.dll"))
    path = make_pe("root.pyd", imports={"a_cuda.dll": ["f"]})
    assert told(path) == [("nvml.dll", "name", "b_cuda.dll", None)]


def test_a_name_is_found_beside_the_file_that_asks_for_it(make_pe: MakePE, tmp_path: Path) -> None:
    there = make_pe("lib/cudnn_ops64_9.dll")
    make_pe("lib/cudnn64_9.dll", exports=["f"], sections=texts("cudnn_ops64_9.dll"))
    path = make_pe("root.pyd", imports={"cudnn64_9.dll": ["f"]})
    found = told(path, target(dll_dirs=[tmp_path / "lib"]))
    assert found[-1] == ("cudnn_ops64_9.dll", "name", "cudnn64_9.dll", str(there))


# ---- what only looks so ------------------------------------------------------------------------------------------


def test_near_miss_a_name_in_a_dll_of_windows(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("windows/System32/d3d12.dll", exports=["f"], sections=texts("nvapi64.dll"))
    path = make_pe("root.pyd", imports={"d3d12.dll": ["f"]})
    found = diagnosed(path, on_drive(tmp_path))
    assert [module.status for module in found.graph.modules if module.name == "d3d12.dll"] == ["system"]
    assert found.gpu == ()


def test_near_miss_a_name_of_another_kind(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports=KERNEL, sections=texts("user32.dll", "my nvcuda.dll.txt", "d3d11.dll"))
    assert told(path) == []


def test_near_miss_zlibwapi_of_a_file_that_is_not_cudnn(make_pe: MakePE) -> None:
    path = make_pe("zip.pyd", imports=KERNEL, sections=texts("zlibwapi.dll"))
    assert told(path) == []


# ---- the note ----------------------------------------------------------------------------------------------------


def on_drive(tmp_path: Path) -> Target:
    """A process on a Windows that is a directory, as --root gives it."""
    place = target()
    return place._replace(windows=replace(place.windows, root=str(tmp_path / "windows")))


def test_a_build_for_a_graphics_card_that_misses_its_runtime_loads_with_a_note(make_pe: MakePE) -> None:
    make_pe("thing_cuda.dll", exports=["f"], sections=texts("cudnn64_9.dll", "cublas64_12.dll"))
    found = diagnosed(make_pe("root.pyd", imports={"thing_cuda.dll": ["f"]}))
    assert found.verdict == "loads"
    assert codes(found) == [("note", "missing-gpu-runtime", "cublas64_12.dll")]
    assert found.findings[0].evidence == ("not found either: cudnn64_9.dll, a part of NVIDIA's cuDNN 9",)


def test_the_driver_is_missed_on_a_real_windows(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("windows/System32/kernel32.dll", exports=["Sleep"])
    path = make_pe("thing_cuda.pyd", imports=KERNEL, sections=texts("nvcuda.dll"))
    assert codes(diagnosed(path, on_drive(tmp_path))) == [("note", "missing-gpu-runtime", "nvcuda.dll")]


def test_near_miss_no_driver_on_an_assumed_windows(make_pe: MakePE) -> None:
    assert codes(diagnosed(make_pe("thing_cuda.pyd", imports=KERNEL, sections=texts("nvcuda.dll")))) == []


def test_near_miss_a_build_for_the_processor_that_could_use_a_card(make_pe: MakePE) -> None:
    path = make_pe("cv2.pyd", imports=KERNEL, sections=texts("OpenCL.dll", "nvcuda.dll", "cudart64_110.dll"))
    assert codes(diagnosed(path)) == []


def test_near_miss_a_runtime_that_the_package_adds(make_pe: MakePE) -> None:
    there = make_pe("site-packages/nvidia/cuda_runtime/bin/cudart64_12.dll", exports=["f"])
    path = make_pe("site-packages/thing/thing_cuda.pyd", imports=KERNEL, sections=texts("cudart64_12.dll"))
    path.with_name("__init__.py").write_text(
        "import os\nsite = os.path.dirname(os.path.dirname(__file__))\n"
        "os.add_dll_directory(os.path.join(site, 'nvidia', 'cuda_runtime', 'bin'))\nfrom . import thing_cuda\n"
    )
    assert told(path) == [("cudart64_12.dll", "name", "thing_cuda.pyd", str(there))]
    assert codes(diagnosed(path)) == []


def test_the_same_runtime_is_missed_where_nobody_adds_it(make_pe: MakePE) -> None:
    make_pe("site-packages/nvidia/cuda_runtime/bin/cudart64_12.dll", exports=["f"])
    path = make_pe("site-packages/thing/thing_cuda.pyd", imports=KERNEL, sections=texts("cudart64_12.dll"))
    assert codes(diagnosed(path)) == [("note", "missing-gpu-runtime", "cudart64_12.dll")]


def test_near_miss_tensorrt_alone_is_not_missed(make_pe: MakePE) -> None:
    path = make_pe("thing_cuda.pyd", imports=KERNEL, sections=texts("nvinfer_10.dll"))
    assert codes(diagnosed(path)) == []


def test_no_note_beside_the_error_that_says_the_same(make_pe: MakePE) -> None:
    path = make_pe("thing_cuda.pyd", imports={"cudart64_12.dll": ["f"]}, sections=texts("cudnn64_9.dll"))
    assert codes(diagnosed(path)) == [("error", "missing-gpu-runtime", "cudart64_12.dll")]


# ---- reports -----------------------------------------------------------------------------------------------------


def test_json_tells_each_need(make_pe: MakePE) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    found = diagnosed(make_pe("root.pyd", imports={"cudart64_12.dll": ["f"]}))
    report = json_report.as_dict(found)
    assert report["gpu"] == [
        {"name": "cudart64_12.dll", "family": "cuda", "how": "import", "by": "root.pyd", "path": None}
    ]
    jsonschema.validate(report, json.loads(SCHEMA.read_text("utf-8")))


def test_the_text_tells_each_need_when_it_is_asked_for_more(make_pe: MakePE) -> None:
    found = diagnosed(make_pe("root.pyd", imports={"cudart64_12.dll": ["f"]}))
    page = "\n".join(line.text for line in text.render(found, verbose=True, width=200))
    assert "cudart64_12.dll of the CUDA Toolkit 12, needed by root.pyd: not there" in page
    assert "GPU" not in "\n".join(line.text for line in text.render(found))


def test_the_text_says_that_nothing_is_needed(make_pe: MakePE) -> None:
    found = diagnosed(make_pe("root.pyd", imports=KERNEL))
    page = "\n".join(line.text for line in text.render(found, verbose=True, width=200))
    assert "No software of a graphics card is needed" in page
