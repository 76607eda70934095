"""Does each animal of the built zoo (DEPWALK_ZOO) really have what it shows? pefile is the judge."""

from __future__ import annotations

import json
import os
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

pefile = pytest.importorskip("pefile")

HERE = Path(__file__).resolve().parent
SOURCES = sorted((HERE / "src").glob("*.c"))
MACHINES = {"x64": 0x8664, "x86": 0x14C, "arm64": 0xAA64}
FINDINGS = {
    "missing-msvc-runtime", "msvc-runtime-too-old", "debug-runtime", "missing-python-dll", "wrong-python",
    "wrong-architecture", "wrong-wheel", "missing-dll", "not-searched", "shadowed", "already-loaded", "missing-export",
    "windows-too-old", "missing-windows-feature", "missing-gpu-runtime", "cpu-feature-missing", "cpu-feature-disabled",
    "blocked-by-policy", "blocked-by-antivirus", "quarantined", "access-denied", "corrupt-file", "modified-file",
    "side-by-side", "init-failed", "crash-on-load", "hang-on-load", "out-of-memory", "path-too-long",
    "search-path-problem", "mixed-environment", "delay-load-missing", "analysis-incomplete",
}  # fmt: skip
WITH_TLS = {"tls_callback.c", "tls_callback_avx.c", "static_local.c"}
ZOO = os.environ.get("DEPWALK_ZOO", "")
if not ZOO:
    pytest.skip("DEPWALK_ZOO does not name a built zoo", allow_module_level=True)
ANIMALS: list[dict[str, Any]] = json.loads((Path(ZOO) / "zoo.json").read_text(encoding="ascii"))["animals"]
FILES = [pytest.param(a, f, id=f"{a['name']}-{Path(f['out']).name}") for a in ANIMALS for f in a["files"]]
PATCHED = [
    pytest.param(a, f, p.split(), id=f"{a['name']}-{p}") for a in ANIMALS for f in a["files"] for p in f["patches"]
]
each_animal = pytest.mark.parametrize("animal", [pytest.param(a, id=a["name"]) for a in ANIMALS])


def image(animal: dict[str, Any], file: dict[str, Any]) -> Any:
    return pefile.PE(data=(Path(ZOO) / animal["name"] / file["out"]).read_bytes())


def is_cut(file: dict[str, Any]) -> bool:
    return any(patch.startswith("truncate") for patch in file["patches"])


def imports(pe: Any, kind: str) -> set[tuple[str, str]]:
    """Return what is imported as pairs of a DLL and a name or #ordinal."""
    result = set()
    for descriptor in getattr(pe, kind, []):
        field = descriptor.struct.Name if hasattr(descriptor.struct, "Name") else descriptor.struct.szName
        dll = pe.get_string_at_rva(field).decode()  # pefile's own name is "*invalid*" if there are spaces in it
        result |= {(dll, i.name.decode() if i.name else f"#{i.ordinal}") for i in descriptor.imports}
    return result


def told(specs: list[str], shortened: dict[str, str]) -> set[tuple[str, str]]:
    pairs = (spec.partition(": ") for spec in specs)
    plain = ((dll, re.sub(r"@\d+$", "", symbol)) for dll, _, symbols in pairs for symbol in symbols.split())
    return {(shortened.get(dll, dll), symbol) for dll, symbol in plain}


def descriptor(pe: Any, dll: str) -> Any:
    return next(d.struct for d in pe.DIRECTORY_ENTRY_IMPORT if d.dll.decode() == dll)


# ---- the zoo as a whole


def test_every_situation_has_an_animal() -> None:
    assert {number for animal in ANIMALS for number in animal["situation"]} == set(range(1, 21))


def test_there_are_no_two_animals_of_one_name() -> None:
    assert len({animal["name"] for animal in ANIMALS}) == len(ANIMALS) >= 30


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_first_line_of_a_source_says_what_it_shows(source: Path) -> None:
    first = source.read_text(encoding="ascii").splitlines()[0]
    assert re.fullmatch(r"// [A-Z].{40,120}\.", first)


def test_every_source_is_used() -> None:
    used = {file["source"] for animal in ANIMALS for file in animal["files"] if "text" not in file}
    assert used == {source.name for source in SOURCES}


@each_animal
def test_folder_holds_what_is_told_and_nothing_else(animal: dict[str, Any]) -> None:
    folder = Path(ZOO) / animal["name"]
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    metadata = {name for name in files if ".dist-info/" in name}
    assert files - metadata == {file["out"] for file in animal["files"]}
    assert bool(metadata) == bool(animal["distribution"])
    assert (animal["target"] in files) == (animal["name"] != "missing-target")
    assert set(animal["loaded_first"]) <= files
    for directory in filter(None, [animal["app_dir"], *animal["dll_dirs"], *animal["path"]]):
        assert (folder / directory).is_dir()


@each_animal
def test_expectations_make_sense(animal: dict[str, Any]) -> None:
    files = {file["out"] for file in animal["files"]} | {""}
    names = {Path(file).name.lower() for file in files} | {Path(animal["target"]).name}
    wanted = json.dumps([file.get(key) for file in animal["files"] for key in ("imports", "delay", "exports", "link")])
    for system in (key for key in animal if key == "wine" or key.startswith("windows")):
        expected = animal[system]
        assert expected["verdict"] in ("loads", "fails", "unknown")
        assert len({"code", "exit", "hangs"} & set(expected)) == 1
        assert (expected["verdict"] == "loads") <= (expected["code"] == 0 if "code" in expected else False)
        assert set(expected.get("found", {}).values()) <= files
        if system == "wine":
            assert expected["why"] or expected["verdict"] == animal["windows"]["verdict"]
            continue
        assert expected["spec"]
        assert expected["finding"] in FINDINGS | {""}
        assert expected["verdict"] != "fails" or expected["finding"]
        assert bool(expected["finding"]) == bool(expected["module"])
        assert not expected["needed_by"] or expected["needed_by"] in names
        stem = expected["module"].removesuffix(".dll")  # as a forwarder names it
        assert expected["module"] in names or stem in wanted


@each_animal
def test_a_prediction_for_a_processor_that_reality_refutes_says_why(animal: dict[str, Any]) -> None:
    predicted = animal["processor"]
    if not predicted:
        return
    assert set(predicted) <= {"verdict", "severity", "module", "set", "why"}
    verdicts = {"error": ["fails"], "warning": ["unknown", "loads"], "note": ["loads"]}
    assert predicted["verdict"] in verdicts[predicted.get("severity", "note")]
    assert {"module", "set"} <= set(predicted) or set(predicted) == {"verdict"}
    assert bool(predicted.get("why")) == (predicted["verdict"] not in ("unknown", animal["windows"]["verdict"]))
    assert (animal["windows"]["verdict"] == "fails") == bool(animal["cpu"])
    assert animal["cpu"] in ("", predicted.get("set"))


# ---- each file


@pytest.mark.parametrize(("animal", "file"), FILES)
def test_file_is_as_told(animal: dict[str, Any], file: dict[str, Any]) -> None:
    if "text" in file:
        assert (Path(ZOO) / animal["name"] / file["out"]).read_text(encoding="ascii") == file["text"]
        return
    if is_cut(file):
        return
    pe = image(animal, file)
    patches = [patch.split() for patch in file["patches"]]
    names = [name for name, *_ in patches]
    shortened = {arguments[0]: arguments[1] for name, *arguments in patches if name == "shorten_import"}
    assert (pe.FILE_HEADER.Machine == MACHINES[file["arch"]]) == ("machine" not in names)
    assert bool(pe.FILE_HEADER.Characteristics & 0x2000) == ("clear_dll_flag" not in names)
    assert pe.OPTIONAL_HEADER.AddressOfEntryPoint
    assert imports(pe, "DIRECTORY_ENTRY_IMPORT") == told(file["imports"], shortened)
    assert imports(pe, "DIRECTORY_ENTRY_DELAY_IMPORT") == told(file["delay"], {})
    assert bool(pe.OPTIONAL_HEADER.DATA_DIRECTORY[0].Size) == bool(file["exports"])
    assert bool(pe.OPTIONAL_HEADER.DATA_DIRECTORY[9].Size) == (file["source"] in WITH_TLS)
    assert bool(pe.OPTIONAL_HEADER.DATA_DIRECTORY[10].Size) == (file["source"] == "load_config.c")
    if file["version"]:
        fixed = pe.VS_FIXEDFILEINFO[0]
        numbers = (fixed.FileVersionMS >> 16, fixed.FileVersionMS & 0xFFFF, fixed.FileVersionLS >> 16)
        assert ".".join(map(str, (*numbers, fixed.FileVersionLS & 0xFFFF))) == file["version"]
    if file["exports"]:
        check_exports(pe, file)


def check_exports(pe: Any, file: dict[str, Any]) -> None:
    table = pe.DIRECTORY_ENTRY_EXPORT
    assert table.name.decode() == file.get("built_as", Path(file["out"]).name)
    by_name = {symbol.name.decode(): symbol for symbol in table.symbols if symbol.name}
    by_ordinal = {symbol.ordinal: symbol for symbol in table.symbols}
    expected = set()
    for line in file["exports"]:
        name, _, body, *rest = line.split()
        ordinal = next((int(word[1:]) for word in rest if word[0] == "@"), 0)
        symbol = by_ordinal[ordinal] if ordinal else by_name[name]
        assert (symbol.name or b"").decode() == ("" if "NONAME" in rest else name)
        if not any(patch.startswith("forward_without_dot") for patch in file["patches"]):
            assert (symbol.forwarder or b"").decode() == (body if "." in body else "")
        expected.add(symbol.ordinal)
    assert set(by_ordinal) - {o for o, s in by_ordinal.items() if s.address == 0} == expected


# ---- what was changed after linking


def check_truncate(animal: dict[str, Any], file: dict[str, Any], size: str) -> None:
    data = (Path(ZOO) / animal["name"] / file["out"]).read_bytes()
    assert len(data) == int(size, 0)
    assert data[:2] == b"MZ"
    if len(data) < 0x200:  # not even a PE header
        with pytest.raises(pefile.PEFormatError):
            pefile.PE(data=data)
        return
    sections = pefile.PE(data=data, fast_load=True).sections
    assert max(s.PointerToRawData + s.SizeOfRawData for s in sections) > len(data)
    lost = max(s.PointerToRawData + min(s.SizeOfRawData, s.Misc_VirtualSize) for s in sections) > len(data)
    assert lost == (animal["name"] != "truncated-padding")


def check_machine(animal: dict[str, Any], file: dict[str, Any], value: str) -> None:
    assert image(animal, file).FILE_HEADER.Machine == int(value, 0)


def check_linker(animal: dict[str, Any], file: dict[str, Any], version: str) -> None:
    header = image(animal, file).OPTIONAL_HEADER
    assert f"{header.MajorLinkerVersion}.{header.MinorLinkerVersion}" == version


def check_clear_dll_flag(animal: dict[str, Any], file: dict[str, Any]) -> None:
    pe = image(animal, file)
    assert not pe.FILE_HEADER.Characteristics & 0x2000
    assert pe.DIRECTORY_ENTRY_IMPORT


def slots(pe: Any, dll: str) -> tuple[int, int]:
    """Return the first entry of the name table and of the address table."""
    found = descriptor(pe, dll)
    return pe.get_qword_at_rva(found.OriginalFirstThunk), pe.get_qword_at_rva(found.FirstThunk)


def check_zero_first_iat_slot(animal: dict[str, Any], file: dict[str, Any], dll: str) -> None:
    names, addresses = slots(image(animal, file), dll)
    assert names
    assert not addresses


def check_zero_first_name_slot(animal: dict[str, Any], file: dict[str, Any], dll: str) -> None:
    names, addresses = slots(image(animal, file), dll)
    assert not names
    assert addresses


def check_no_name_table(animal: dict[str, Any], file: dict[str, Any], dll: str) -> None:
    found = descriptor(image(animal, file), dll)
    assert not found.OriginalFirstThunk
    assert found.FirstThunk


def check_no_address_table(animal: dict[str, Any], file: dict[str, Any], dll: str) -> None:
    found = descriptor(image(animal, file), dll)
    assert found.OriginalFirstThunk
    assert not found.FirstThunk


def check_shorten_import(animal: dict[str, Any], file: dict[str, Any], _: str, name: str) -> None:
    assert [d.dll.decode() for d in image(animal, file).DIRECTORY_ENTRY_IMPORT] == [name]


def check_hint(animal: dict[str, Any], file: dict[str, Any], dll: str, symbol: str, value: str) -> None:
    found = next(d for d in image(animal, file).DIRECTORY_ENTRY_IMPORT if d.dll.decode() == dll)
    assert [i.hint for i in found.imports if i.name.decode() == symbol] == [int(value)]


def check_swap_export_names(animal: dict[str, Any], file: dict[str, Any], first: str, second: str) -> None:
    pe = image(animal, file)
    table = pe.DIRECTORY_ENTRY_EXPORT.struct
    rvas = struct.unpack(f"<{table.NumberOfNames}I", pe.get_data(table.AddressOfNames, 4 * table.NumberOfNames))
    names = [pe.get_string_at_rva(rva).decode() for rva in rvas]
    assert (names[0], names[-1]) == (second, first)
    assert names[1:-1] == sorted(names[1:-1])
    assert [s.ordinal for s in pe.DIRECTORY_ENTRY_EXPORT.symbols if s.name == first.encode()] == [1]


def check_forward_without_dot(animal: dict[str, Any], file: dict[str, Any], symbol: str) -> None:
    symbols = image(animal, file).DIRECTORY_ENTRY_EXPORT.symbols
    assert [s.forwarder for s in symbols if s.name.decode() == symbol] == [symbol.encode()]


def check_delay_by_address(animal: dict[str, Any], file: dict[str, Any]) -> None:
    pe = image(animal, file)
    base, size = pe.OPTIONAL_HEADER.ImageBase, pe.OPTIONAL_HEADER.SizeOfImage
    data = pe.get_data(pe.OPTIONAL_HEADER.DATA_DIRECTORY[13].VirtualAddress, 64)  # pefile itself turns them into RVAs
    attributes, *addresses = struct.unpack_from("<5I", data)
    assert attributes == 0
    assert all(base < address < base + size for address in addresses)
    assert not any(data[32:])


def check_bind(animal: dict[str, Any], file: dict[str, Any], dll: str) -> None:
    pe = image(animal, file)
    assert [entry.name.decode() for entry in pe.DIRECTORY_ENTRY_BOUND_IMPORT] == [dll]


@pytest.mark.parametrize(("animal", "file", "patch"), PATCHED)
def test_patch_did_its_work(animal: dict[str, Any], file: dict[str, Any], patch: list[str]) -> None:
    check: Callable[..., None] = globals()[f"check_{patch[0]}"]
    check(animal, file, *patch[1:])


# ---- what the sources and the linker's options bring


def find(source: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    found = [(a, f) for a in ANIMALS for f in a["files"] if f["source"] == source and "text" not in f]
    assert found
    return found


def code(pe: Any) -> bytes:
    data: bytes = pe.sections[0].get_data()
    assert pe.sections[0].Name.startswith(b".text")
    return data


@pytest.mark.parametrize(
    ("source", "instruction"),
    [
        ("init_illegal_instruction.c", b"\x0f\x0b"),  # ud2
        ("init_avx.c", b"\xc5\xfc\x57\xc0"),  # vxorps ymm0, ymm0, ymm0
        ("init_fail_fast.c", b"\xcd\x29"),  # int 29h
        ("init_raise.c", b"\xff\x15"),  # call [RaiseException]
        ("init_cxx_exception.c", b"\x63\x73\x6d\xe0"),  # 0xE06D7363: its lower bytes spell "msc"
        ("init_exit_process.c", b"\xff\x15"),
        ("init_abort.c", b"\xff\x15"),
        ("init_hang.c", b"\xff\x15"),
    ],
)
def test_dll_main_holds_the_instruction(source: str, instruction: bytes) -> None:
    ordinary = code(image(*find("module.c")[0]))
    for animal, file in find(source):
        assert instruction in code(image(animal, file))
        assert instruction not in ordinary


def test_dll_main_holds_the_bytes_told() -> None:
    for animal, file in find("init_instruction.c"):
        told_bytes = bytes(int(byte, 0) for byte in file["defines"][0].removeprefix("BYTES=").split(","))
        assert told_bytes in code(image(animal, file))


@pytest.mark.parametrize(
    ("source", "sentences"),
    [
        ("init_says_why.c", ["zoo: looking for a licence", "zoo: no licence found, giving up"]),
        ("init_debug_string.c", ["zoo: no licence found, giving up"]),
        ("init_cxx_exception.c", [".?AVruntime_error@std@@", "the zoo is closed"]),
    ],
)
def test_file_holds_what_its_code_says(source: str, sentences: list[str]) -> None:
    for animal, file in find(source):
        data = (Path(ZOO) / animal["name"] / file["out"]).read_bytes()
        for sentence in sentences:
            assert sentence.encode() in data or sentence.encode("utf-16-le") in data


@pytest.mark.parametrize(
    "source",
    ["init_false.c", "init_access_violation.c", "init_read_null.c", "init_call_null.c", "init_stack_overflow.c"],
)
def test_dll_main_is_no_ordinary_one(source: str) -> None:
    """What it does, the loader shows; here only that the define came through."""
    ordinary = {code(image(a, f)) for a, f in find("module.c") if not is_cut(f)}
    for animal, file in find(source):
        assert code(image(animal, file)) not in ordinary


def test_raised_code_is_the_one_told() -> None:
    for animal, file in find("init_raise.c"):
        value = int(file["defines"][0].removeprefix("CODE="), 0)
        assert struct.pack("<I", value) in code(image(animal, file))


def test_tls_callback_is_in_the_code() -> None:
    for animal, file in find("tls_callback.c"):
        pe = image(animal, file)
        base = pe.OPTIONAL_HEADER.ImageBase
        callbacks = pe.DIRECTORY_ENTRY_TLS.struct.AddressOfCallBacks - base
        first, second = pe.get_qword_at_rva(callbacks), pe.get_qword_at_rva(callbacks + 8)
        assert pe.sections[0].contains_rva(first - base)
        assert second == 0


def test_dependent_load_flags_are_those_told() -> None:
    for animal, file in find("load_config.c"):
        flags = image(animal, file).DIRECTORY_ENTRY_LOAD_CONFIG.struct.DependentLoadFlags
        assert flags == int(file["defines"][0].removeprefix("FLAGS="), 0)


def test_manifests_have_the_id_told() -> None:
    count = 0
    for animal, file in find("module.c"):
        told_id = re.findall(r"embed,ID=(\d)", " ".join(file["link"]))
        told_name = re.findall(r"name='([^']+)'", " ".join(file["link"]))
        if is_cut(file):
            continue
        pe = image(animal, file)
        assert hasattr(pe, "DIRECTORY_ENTRY_RESOURCE") == bool(told_id or file["version"])
        if not told_id:
            continue
        (manifests,) = pe.DIRECTORY_ENTRY_RESOURCE.entries
        assert manifests.id == 24
        (manifest,) = manifests.directory.entries
        assert manifest.id == int(told_id[0])
        data = manifest.directory.entries[0].data.struct
        assert told_name[0] in pe.get_data(data.OffsetToData, data.Size).decode()
        count += 1
    assert count >= 4
