"""DLLs of other suppliers: whose a name is, what is said of one that is missing, and names that only look alike."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest
from targets import target

from depwalk import diagnosis, graph, image, suppliers, tables, wheel
from depwalk.diagnosis import Evidence, Finding
from depwalk.loader import LoadTrace
from depwalk.target import python
from depwalk.target.environment import Environment

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import MakePE

    from depwalk.target import Target

SITE = "env/Lib/site-packages"
ROWS = tables.table("suppliers.toml")["family"]


def known(path: Path, place: Target | None = None, **facts: Any) -> Evidence:
    place, file = place or target(), image.read(path)
    return Evidence(
        graph.walk(str(path), file, place), place, python.built_for(file), wheel.distribution_of(str(path)), **facts
    )


def findings(path: Path, place: Target | None = None, **facts: Any) -> tuple[Finding, ...]:
    return diagnosis.diagnose(known(path, place, **facts))


def env(tmp_path: Path, *, conda: bool = False, **variables: str) -> Environment:
    (tmp_path / SITE).mkdir(parents=True, exist_ok=True)
    prefix = str(tmp_path / "env")
    return Environment(prefix, prefix, conda, (str(tmp_path / SITE),), None, variables)


def install(tmp_path: Path, name: str, version: str, *files: str, installer: str = "pip") -> None:
    folder = tmp_path / SITE / f"{name}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files))
    (folder / "INSTALLER").write_text(installer)


# ---- the table ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dll", "family", "version"),
    [
        ("cudart64_110.dll", "cuda", "11"),
        ("cublas64_10.dll", "cuda", "10.1 or 10.2"),
        ("cublasLt64_12.dll", "cuda", "12"),
        ("cufft64_10.dll", "cuda", "10.1 to 11"),
        ("cufft64_11.dll", "cuda", "12"),
        ("cusolver64_11.dll", "cuda", "11.1 to 12"),
        ("cusolverMg64_11.dll", "cuda", "11.1 to 12"),
        ("cusparse64_12.dll", "cuda", "12 or later"),
        ("curand64_10.dll", "cuda", "10.1 or later"),
        ("nvrtc64_112_0.dll", "cuda", "11.2 to 11.8"),
        ("nvrtc64_94.dll", "cuda", ""),
        ("nvrtc-builtins64_118.dll", "cuda", ""),
        ("nppig64_11.dll", "cuda", "11"),
        ("cudnn64_7.dll", "cudnn", "7"),
        ("cuTENSOR.dll", "cutensor", ""),
        ("cusparseLt.dll", "cusparselt", ""),
        ("cudnn_ops_infer64_8.dll", "cudnn", "8"),
        ("cudnn_graph64_9.dll", "cudnn", "9"),
        ("nvinfer_10.dll", "tensorrt", "10"),
        ("NVCUDA.dll", "nvidia-driver", ""),
        ("amdhip64_6.dll", "hip", "6"),
        ("mkl_rt.1.dll", "mkl-2021", ""),
        ("mkl_rt.2.dll", "mkl", ""),
        ("mkl_core.dll", "mkl-2020", ""),
        ("tbb12.dll", "onetbb", ""),
        ("tbb.dll", "tbb", ""),
        ("libscipy_openblas64_-13e2df515630b4a41f92893938845698.dll", "openblas", ""),
        ("libgfortran-5.dll", "mingw", ""),
        ("avcodec-61.dll", "ffmpeg", "7"),
        ("avutil-56.dll", "ffmpeg", "4"),
        ("Qt6Core.dll", "qt", "6"),
        ("libcrypto-1_1-x64.dll", "openssl", "1.1.1"),
        ("libcrypto-3.dll", "openssl", "3"),
        ("LIBEAY32.dll", "openssl", "1.0.2"),
        ("icuuc73.dll", "icu", ""),
        ("gobject-2.0-0", "gtk", ""),
        ("libpango-1.0-0.dll", "gtk", ""),
        ("d3dx9_43.dll", "directx", ""),
        ("D3DCompiler_43.dll", "directx", ""),
        ("xaudio2_7.dll", "directx", ""),
        ("pywintypes311.dll", "pywin32", ""),
        ("gdal304.dll", "geo", ""),
    ],
)
def test_the_family_and_version_of_a_name(dll: str, family: str, version: str) -> None:
    found = suppliers.supplier(dll)
    assert found is not None
    assert (found.id, found.version) == (family, version)


@pytest.mark.parametrize(
    "dll",
    [
        "d3dcompiler_47.dll",  # of Windows
        "xaudio2_9.dll",
        "xinput1_4.dll",
        "icuuc.dll",  # Windows's own has no version in its name
        "Qt5Mine.dll",  # a package's own, merely named like a family
        "cudart.dll",
        "mklmine.dll",
        "geos_tools.dll",
        "libgcc_s_seh-1-4f2a1b.dll",  # a name that a packager made
        "zlib1.dll",  # of Python only where a part of Python needs it
        "kernel32.dll",
    ],
)
def test_near_miss_a_name_that_is_in_no_family(dll: str) -> None:
    assert suppliers.supplier(dll, "root.pyd") is None


@pytest.mark.parametrize(("importer", "family"), [("tcl86t.dll", "python"), ("cudnn64_8.dll", None), ("x.pyd", None)])
def test_zlib_is_of_python_where_a_part_of_python_needs_it(importer: str, family: str | None) -> None:
    found = suppliers.supplier("zlib1.dll", importer)
    assert (found and found.id) == family


def test_zlibwapi_is_of_cudnn_where_cudnn_needs_it() -> None:
    found = suppliers.supplier("zlibwapi.dll", "cudnn_cnn_infer64_8.dll")
    assert found is not None
    assert found.id == "zlibwapi"
    assert suppliers.supplier("zlibwapi.dll", "gdal.pyd") is None


@pytest.mark.parametrize("row", ROWS, ids=[row["id"] for row in ROWS])
def test_every_row_can_be_found_and_tells_what_to_do(row: dict[str, Any]) -> None:
    importer = row.get("importers", [""])[0].replace("*", "")
    for pattern in row["dlls"]:
        name = pattern.replace("[0-9]", "3").replace("*", "").replace("[2-9]", "2").replace("[23]", "2")
        name = name.replace("[0-3]", "0").replace("[1-3]", "1").replace("[0-7]", "0").replace("[0-5]", "0")
        assert pattern == pattern.lower()
        assert fnmatchcase(name, pattern)
        found = suppliers.supplier(name, importer)
        assert found is not None
        assert found.id == row["id"], pattern
    assert row["remedy"].endswith((".", ":"))
    assert not row["remedy"].endswith(":") or row.get("pip")
    assert not row.get("conda_remedy", ".").endswith(":") or row.get("conda")
    for text in (row["remedy"], row.get("conda_remedy", "")):
        assert "system32 and" not in text.lower()
        assert "KMP_DUPLICATE" not in text


# ---- missing -----------------------------------------------------------------------------------------------------


def test_a_missing_dll_of_a_family_is_told_with_what_it_is(make_pe: MakePE) -> None:
    (found,) = findings(make_pe("root.pyd", imports={"libstdc++-6.dll": ["f"]}))
    assert (found.code, found.module, found.needed_by) == ("missing-dll", "libstdc++-6.dll", "root.pyd")
    assert "the runtime of the compiler MinGW-w64" in found.message
    assert found.remedy is not None
    assert "If you built root.pyd yourself, link it with -static" in found.remedy.text


def test_the_dlls_of_one_family_are_one_finding(make_pe: MakePE) -> None:
    dlls = ["libgcc_s_seh-1.dll", "libstdc++-6.dll", "libwinpthread-1.dll"]
    (found,) = findings(make_pe("root.pyd", imports={dll: ["f"] for dll in dlls}))
    assert found.module == dlls[0]
    assert found.also == tuple(dlls[1:])
    assert "also missing: libstdc++-6.dll, libwinpthread-1.dll" in found.evidence


def test_two_families_are_two_findings(make_pe: MakePE) -> None:
    found = findings(make_pe("root.pyd", imports={"cudart64_12.dll": ["f"], "cudnn64_9.dll": ["f"]}))
    assert [one.module for one in found] == ["cudart64_12.dll", "cudnn64_9.dll"]


def test_what_a_package_should_bring_is_its_fault(make_pe: MakePE, tmp_path: Path) -> None:
    install(tmp_path, "faiss_cpu", "1.7.1", "faiss/_swigfaiss.pyd")
    path = make_pe(f"{SITE}/faiss/_swigfaiss.pyd", imports={"openblas.dll": ["f"]})
    (found,) = findings(path, target("11", "3.11", environment=env(tmp_path)))
    assert found.message == (
        "_swigfaiss.pyd of faiss_cpu 1.7.1 needs openblas.dll, a part of OpenBLAS, a library for linear algebra: the "
        "package lacks it."
    )
    assert found.remedy is not None
    assert found.remedy.command == 'py -3.11 -m pip install --only-binary :all: "faiss_cpu!=1.7.1"'


def test_in_an_environment_of_conda_the_remedy_is_condas(make_pe: MakePE, tmp_path: Path) -> None:
    install(tmp_path, "faiss_cpu", "1.7.1", "faiss/_swigfaiss.pyd")
    path = make_pe(f"{SITE}/faiss/_swigfaiss.pyd", imports={"openblas.dll": ["f"]})
    (found,) = findings(path, target(environment=env(tmp_path, conda=True)))
    assert found.remedy is not None
    assert found.remedy.command == "conda install -c conda-forge faiss-cpu"


def test_an_unknown_dll_is_told_with_the_package_that_lacks_it(make_pe: MakePE, tmp_path: Path) -> None:
    install(tmp_path, "thing", "1.0", "thing/core.pyd")
    (found,) = findings(make_pe(f"{SITE}/thing/core.pyd", imports={"gone.dll": ["f"]}))
    assert found.code == "missing-dll"
    assert found.message.startswith("core.pyd of thing 1.0 needs gone.dll, which the package does not bring")


def test_near_miss_the_package_is_not_at_fault_for_a_file_that_it_does_not_own(make_pe: MakePE, tmp_path: Path) -> None:
    install(tmp_path, "thing", "1.0", "thing/core.pyd")
    (found,) = findings(make_pe(f"{SITE}/other/core.pyd", imports={"gone.dll": ["f"]}))
    assert "thing" not in found.message


def test_the_package_of_the_dll_that_needs_it_is_named_not_that_of_the_file(make_pe: MakePE, tmp_path: Path) -> None:
    install(tmp_path, "outer", "1.0", "outer/core.pyd")
    install(tmp_path, "inner", "2.0", "inner/lib.dll")
    inner = make_pe(f"{SITE}/inner/lib.dll", exports=["f"], imports={"gone.dll": ["f"]})
    path = make_pe(f"{SITE}/outer/core.pyd", imports={"lib.dll": ["f"]})
    (found,) = findings(path, target(dll_dirs=[inner.parent]))
    assert found.message.startswith("lib.dll of inner 2.0 needs gone.dll")


def test_another_version_on_this_machine_is_told(make_pe: MakePE, tmp_path: Path) -> None:
    there = make_pe("cuda/bin/nvrtc64_100_0.dll", exports=["f"])
    place = target(environment=env(tmp_path, CUDA_PATH=str(tmp_path / "cuda")))
    (found,) = findings(make_pe("root.pyd", imports={"nvrtc64_94.dll": ["f"]}), place)
    assert f"this machine has the CUDA Toolkit 10.0: {there}" in found.evidence


def test_near_miss_another_library_of_the_toolkit_is_no_other_version(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe("cuda/bin/cudart64_100.dll", exports=["f"])
    place = target(environment=env(tmp_path, CUDA_PATH=str(tmp_path / "cuda")))
    (found,) = findings(make_pe("root.pyd", imports={"nvrtc64_94.dll": ["f"]}), place)
    assert "this machine has" not in " ".join(found.evidence)


@pytest.mark.parametrize("dll", ["nvcuda.dll", "nvml.dll"])
def test_the_driver_is_never_to_be_had_from_the_toolkit(dll: str, make_pe: MakePE) -> None:
    (found,) = findings(make_pe("root.pyd", imports={dll: ["f"]}))
    assert found.remedy is not None
    assert found.remedy.text.startswith("Install the NVIDIA driver")
    assert found.remedy.url == "https://www.nvidia.com/drivers"


def test_a_sentence_that_leads_to_a_command_has_one(make_pe: MakePE, tmp_path: Path) -> None:
    place = target(environment=env(tmp_path, conda=True))
    (found,) = findings(make_pe("root.pyd", imports={"flang.dll": ["f"]}), place)  # of no distribution
    assert found.remedy is not None
    assert not found.remedy.command
    assert found.remedy.text.endswith(".")


# ---- what is there, and what only looks alike --------------------------------------------------------------------


def test_near_miss_a_dll_of_a_family_that_the_package_brings(make_pe: MakePE, tmp_path: Path) -> None:
    install(tmp_path, "thing", "1.0", "thing/core.pyd")
    make_pe(f"{SITE}/thing/Qt5Core.dll", exports=["f"])
    assert findings(make_pe(f"{SITE}/thing/core.pyd", imports={"Qt5Core.dll": ["f"]})) == ()


def test_near_miss_a_private_dll_that_is_named_like_a_family_is_a_plain_missing_dll(make_pe: MakePE) -> None:
    (found,) = findings(make_pe("root.pyd", imports={"Qt5Mine.dll": ["f"]}))
    assert "Qt 5" not in found.message


def test_near_miss_a_driver_that_is_loaded_at_its_first_call_is_no_error(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports={"kernel32.dll": ["Sleep"]}, delay={"nvcuda.dll": ["cuInit"]})
    found = findings(path)
    assert [one.code for one in found] == ["delay-load-missing"]
    assert found[0].severity == "warning"


def test_near_miss_a_dll_of_the_package_that_disappeared_is_not_the_fault_of_its_authors(
    make_pe: MakePE, tmp_path: Path
) -> None:
    from depwalk.installation import Installation
    from depwalk.wheel import Distribution

    install(tmp_path, "thing", "1.0", "thing/core.pyd", "thing/openblas.dll")
    path = make_pe(f"{SITE}/thing/core.pyd", imports={"openblas.dll": ["f"]})
    gone = Installation(Distribution("thing", "1.0"), str(tmp_path / SITE), (str(path.with_name("openblas.dll")),))
    assert [one.code for one in findings(path, installations=(gone,))] == ["modified-file"]


def test_near_miss_a_runtime_of_microsoft_is_not_that_of_another_compiler(make_pe: MakePE) -> None:
    (found,) = findings(make_pe("root.pyd", imports={"vcomp140.dll": ["f"]}))
    assert found.code == "missing-msvc-runtime"


# ---- what a process says -----------------------------------------------------------------------------------------

SAID = "Could not locate zlibwapi.dll. Please make sure it is in your library path!\n"


def test_what_a_process_said_before_it_ended_is_the_cause(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports={"kernel32.dll": ["Sleep"]})
    found = findings(path, load=LoadTrace(None, exit_code=0xC0000409, output=SAID))
    assert (found[0].code, found[0].severity, found[0].proof) == ("missing-gpu-runtime", "error", "loader")
    assert found[0].module == "zlibwapi.dll"
    assert [one for one in found if one.severity == "error"] == [found[0]]


def test_a_copy_that_pytorch_has_is_told(make_pe: MakePE, tmp_path: Path) -> None:
    make_pe(f"{SITE}/torch/lib/zlibwapi.dll", exports=["f"])
    path = make_pe("root.pyd", imports={"kernel32.dll": ["Sleep"]})
    load = LoadTrace(None, exit_code=0xC0000409, output=SAID)
    found = findings(path, target(environment=env(tmp_path)), load=load)[0]
    assert found.remedy is not None
    assert str(tmp_path / SITE / "torch" / "lib") in found.remedy.command


def test_near_miss_the_same_words_from_a_process_that_went_on(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports={"kernel32.dll": ["Sleep"]})
    assert findings(path, load=LoadTrace(0, output=SAID)) == ()


def test_near_miss_a_process_that_ended_so_without_a_word_is_a_crash(make_pe: MakePE) -> None:
    path = make_pe("root.pyd", imports={"kernel32.dll": ["Sleep"]})
    assert findings(path, load=LoadTrace(None, exit_code=0xC0000409))[0].code == "crash-on-load"


def test_the_loader_confirms_a_missing_family(make_pe: MakePE) -> None:
    evidence = known(make_pe("root.pyd", imports={"openblas.dll": ["f"]}))
    found = diagnosis.diagnose(replace(evidence, load=LoadTrace(126)))
    assert [(one.code, one.proof) for one in found] == [("missing-dll", "loader")]
