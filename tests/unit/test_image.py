"""Image: every fact of a PE file, by the loader's own rules for what counts (windows-loader 1.8, 2)."""

from __future__ import annotations

import struct
import tracemalloc
from typing import TYPE_CHECKING, Callable

import pytest
from pe_maker import (
    BOUND,
    BOUND_AT,
    CLR,
    DATA_RVA,
    DELAY,
    EXPORT,
    FILE_HEADER,
    HEADERS,
    IMPORT,
    LOAD_CONFIG,
    OPTIONAL,
    PE_AT,
    RESOURCE,
    directory,
    offset_of,
    patched,
    pe,
    section_header,
)

from depwalk import image

if TYPE_CHECKING:
    from depwalk.image import Image

IL_ONLY, REQUIRES_32_BIT = 1, 2
NOWHERE = 0x00F00000  # an RVA that no section holds


def read(**facts: object) -> Image:
    return image.parse(pe(**facts))


def imported(file: Image, index: int = 0) -> list[str]:
    return [str(symbol) for symbol in file.symbols(file.imports[index])]


def messages(data: bytes) -> list[str]:
    return [defect.message for defect in image.parse(data).defects]


# ---- headers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "fact", "value"),
    [
        ({"machine": "x64"}, "architecture", "x64"),
        ({"machine": "x86"}, "architecture", "x86"),
        ({"machine": "arm64"}, "architecture", "arm64"),
        ({"machine": "x64", "chpe": True}, "architecture", "arm64ec"),
        ({"machine": "arm64", "chpe": True}, "architecture", "arm64x"),
        ({"machine": "x86", "chpe": True}, "architecture", "x86"),
        ({"machine": "x64"}, "machine", 0x8664),
        ({"machine": "x64"}, "magic", 0x20B),
        ({"machine": "x86"}, "magic", 0x10B),
        ({}, "characteristics", 0x2002),
        ({}, "is_dll", True),
        ({"dll": False}, "is_dll", False),
        ({"dll_characteristics": 0x80}, "dll_characteristics", 0x80),
        ({"subsystem": 3}, "subsystem", 3),
        ({"os_version": (10, 1)}, "os_version", (10, 1)),
        ({"subsystem_version": (6, 3)}, "subsystem_version", (6, 3)),
        ({"linker": (14, 38)}, "linker_version", (14, 38)),
        ({"timestamp": 0xFEDCBA98}, "timestamp", 0xFEDCBA98),
        ({"checksum": 0x1234}, "checksum", 0x1234),
        ({}, "size_of_image", 0x2000),
        ({"entry_point": 0x1000}, "entry_point", 0x1000),
        ({}, "size", HEADERS + 0x200),
        ({}, "defects", ()),
        ({}, "imports", ()),
        ({}, "exports", ()),
        ({}, "has_exports", False),
        ({}, "export_dll_name", None),
        ({}, "bound_imports", ()),
        ({}, "version", None),
        ({}, "clr_flags", None),
        ({"clr": IL_ONLY}, "clr_flags", IL_ONLY),
        ({}, "dependent_load_flags", 0),
        ({"load_flags": 0x800, "machine": "x64"}, "dependent_load_flags", 0x800),
        ({"load_flags": 0x800, "machine": "x86"}, "dependent_load_flags", 0x800),
        ({"version": (1, 22, 333, 4444)}, "version", (1, 22, 333, 4444)),
        ({"exports": ["f"], "linked_as": "first.dll"}, "export_dll_name", "first.dll"),
        ({"bound": {"a.dll": ["b.dll", "c.dll"], "d.dll": []}}, "bound_imports", ("a.dll", "b.dll", "c.dll", "d.dll")),
    ],
)
def test_fact(made: dict[str, object], fact: str, value: object) -> None:
    assert getattr(read(**made), fact) == value


def test_a_machine_type_that_is_not_known_is_told_by_its_number() -> None:
    assert image.parse(patched(pe(), FILE_HEADER, "<H", 0x5032)).architecture == "machine 0x5032"


def test_the_load_configuration_ends_where_its_own_size_says() -> None:
    data = pe(load_flags=0x800)
    assert image.parse(patched(data, directory(data, LOAD_CONFIG)[1], "<I", 0x40)).dependent_load_flags == 0


@pytest.mark.parametrize("identifier", [1, 2])
def test_a_manifest_is_found_by_its_id(identifier: int) -> None:
    manifests = {1: b"<one/>", 2: b"<two/>"}
    assert read(manifests=manifests).manifest(identifier) == manifests[identifier]


def test_a_manifest_of_another_id_does_not_count() -> None:
    assert read(manifests={1: b"<one/>"}).manifest(2) is None


def test_a_section_is_found_by_its_name() -> None:
    assert read(sections={".apiset": b"map"}).section(".apiset").rstrip(b"\0") == b"map"


def test_a_section_that_is_not_there_is_empty() -> None:
    assert read().section(".apiset") == b""


@pytest.mark.parametrize(
    ("made", "process", "windows", "runs"),
    [
        ({"machine": "x64"}, "x64", "x64", True),
        ({"machine": "x64"}, "x64", "arm64", True),
        ({"machine": "x64"}, "x86", "x64", False),
        ({"machine": "x64"}, "arm64", "arm64", False),
        ({"machine": "x86"}, "x86", "x64", True),
        ({"machine": "x86"}, "x64", "x64", False),
        ({"machine": "arm64"}, "arm64", "arm64", True),
        ({"machine": "arm64"}, "x64", "arm64", False),
        ({"machine": "x64", "chpe": True}, "x64", "arm64", True),
        ({"machine": "x64", "chpe": True}, "x64", "x64", False),
        ({"machine": "x64", "chpe": True}, "arm64", "arm64", False),
        ({"machine": "arm64", "chpe": True}, "arm64", "arm64", True),
        ({"machine": "arm64", "chpe": True}, "x64", "arm64", True),
        ({"machine": "arm64", "chpe": True}, "x64", "x64", False),
        ({"machine": "x86", "clr": IL_ONLY}, "x64", "x64", True),
        ({"machine": "x86", "clr": IL_ONLY}, "arm64", "arm64", True),
        ({"machine": "x86", "clr": IL_ONLY | REQUIRES_32_BIT}, "x64", "x64", False),
        ({"machine": "x86", "clr": IL_ONLY | REQUIRES_32_BIT}, "x86", "x64", True),
        ({"machine": "x86", "clr": 0}, "x64", "x64", False),
        ({"machine": "x64", "clr": IL_ONLY}, "x86", "x64", False),
    ],
)
def test_which_process_takes_an_image(made: dict[str, object], process: str, windows: str, runs: bool) -> None:
    assert read(**made).runs_in(process, windows) is runs


# ---- imports -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("machine", ["x64", "x86", "arm64"])
def test_imports_come_in_file_order_with_names_hints_and_ordinals(machine: str) -> None:
    file = read(machine=machine, imports={"b.dll": ["f", 7, ("g", 3)], "A.DLL": [65535]})
    assert [found.dll for found in file.imports] == ["b.dll", "A.DLL"]
    assert file.symbols(file.imports[0]) == (("f", 0, 0), (None, 0, 7), ("g", 3, 0))
    assert imported(file, 1) == ["#65535"]


@pytest.mark.parametrize("machine", ["x64", "x86", "arm64"])
def test_delay_imports_are_told_apart_from_static_ones(machine: str) -> None:
    file = read(machine=machine, imports={"a.dll": ["f"]}, delay={"d.dll": ["g", 9]})
    assert [(found.dll, found.kind) for found in file.imports] == [("a.dll", "import"), ("d.dll", "delay")]
    assert imported(file, 1) == ["g", "#9"]


def test_delay_imports_of_the_old_form_hold_addresses() -> None:
    file = read(machine="x86", delay={"d.dll": ["g", 9], "e.dll": ["h"]}, delay_addresses=True)
    assert [imported(file, 0), imported(file, 1)] == [["g", "#9"], ["h"]]
    assert file.defects == ()


@pytest.mark.parametrize(("field", "offset"), [("Name", 12), ("FirstThunk", 16)])
def test_the_import_table_ends_at_a_descriptor_without(field: str, offset: int) -> None:
    data = pe(imports={"a.dll": ["f"], "b.dll": ["g"], "c.dll": ["h"]})
    ended = image.parse(patched(data, directory(data, IMPORT)[1] + 20 + offset, "<I", 0))
    assert [found.dll for found in ended.imports] == ["a.dll"], field
    assert ended.defects == ()


def test_the_import_table_goes_on_after_a_descriptor_without_a_name_table() -> None:
    data = pe(imports={"a.dll": ["f"], "b.dll": ["g"]})
    old = image.parse(patched(data, directory(data, IMPORT)[1], "<I", 0))
    assert [found.dll for found in old.imports] == ["a.dll", "b.dll"]


@pytest.mark.parametrize("machine", ["x64", "x86"])
@pytest.mark.parametrize("name_table", [0, NOWHERE])
def test_without_a_name_table_in_the_image_the_address_table_has_the_names(machine: str, name_table: int) -> None:
    assert imported(read(machine=machine, imports={"a.dll": ["f", 7]}, name_table=name_table)) == ["f", "#7"]


@pytest.mark.parametrize("machine", ["x64", "x86"])
def test_a_dll_whose_address_table_is_empty_is_passed_over(machine: str) -> None:
    file = read(machine=machine, imports={"a.dll": ["f"], "b.dll": ["g"]}, empty_tables=["a.dll"])
    assert [(found.dll, found.skipped) for found in file.imports] == [("a.dll", True), ("b.dll", False)]


def test_a_dll_name_is_read_in_the_ansi_code_page() -> None:
    assert read(imports={"caf\xe9.dll": ["f"]}).imports[0].dll == "caf\xe9.dll"


@pytest.mark.parametrize(
    ("made", "path", "resolves"),
    [({}, "a.pyd", True), ({"dll": False}, "a.exe", True), ({"dll": False}, "a.dll", False)],
)
def test_imports_of_what_is_neither_dll_nor_program_are_not_resolved(
    made: dict[str, object], path: str, resolves: bool
) -> None:
    assert image.parse(pe(**made), path).resolves_imports() is resolves


# ---- exports -----------------------------------------------------------------------------------------------------


def test_exports_have_ordinals_from_the_base_on_and_gaps_are_none() -> None:
    file = read(exports=["f", "g@14", "@16"], export_base=10)
    assert [(export.name, export.ordinal) for export in file.exports] == [("f", 10), ("g", 14), (None, 16)]


def test_one_address_may_have_two_names() -> None:
    assert [(export.name, export.ordinal) for export in read(exports=["f", "g@1"]).exports] == [("f", 1), ("g", 1)]


def test_an_export_that_lies_in_the_export_directory_is_a_forwarder() -> None:
    assert [export.forwarder for export in read(exports=["f", "g=OTHER.h", "i=OTHER.#5"]).exports] == [
        None,
        "OTHER.h",
        "OTHER.#5",
    ]


def test_the_same_export_is_code_if_the_export_directory_ends_before_it() -> None:
    data = pe(exports=["g=OTHER.h"])
    entry, _ = directory(data, EXPORT)
    assert image.parse(patched(data, entry + 4, "<I", 40)).exports[0].forwarder is None


@pytest.mark.parametrize(
    ("symbol", "found"),
    [
        ("f", ("f", None)),
        ("g", ("g", "OTHER.h")),
        ("#10", ("#10", None)),
        ("#11", ("#11", "OTHER.h")),
        ("F", None),
        ("nothere", None),
        ("#9", None),
        ("#12", None),
        ("#13", ("#13", None)),
        ("#14", None),
        ("#4294967295", None),
        ("#4294967306", None),
        ("#", None),
        ("#\xb2", None),
        ("#" + "9" * 5000, None),
    ],
)
def test_lookup(symbol: str, found: tuple[str, str | None] | None) -> None:
    assert read(exports=["f", "g=OTHER.h", "z@13"], export_base=10).lookup(symbol) == found


@pytest.mark.parametrize(
    ("exports", "symbols", "missing"),
    [
        (["f", "g"], ["f", "g", 1, 2], []),
        (["f", "g"], ["f", "h"], ["h"]),
        (["f", "g"], [3], ["#3"]),
        (["f", "g"], [0], ["#0"]),
        (["f", "@5"], [5, 4], ["#4"]),
        (["f"], ["ff", "F"], ["ff", "F"]),
        ([], ["f", 1], ["f", "#1"]),
        (None, ["f", 1], ["f", "#1"]),
    ],
)
def test_match_lists_what_the_exporter_lacks(
    exports: list[str] | None, symbols: list[str | int], missing: list[str]
) -> None:
    importer = read(imports={"a.dll": symbols})
    lacking, forwarded = importer.match(importer.imports[0], read(exports=exports))
    assert ([binding.symbol for binding in lacking], forwarded) == (missing, [])


def test_match_lists_what_the_exporter_forwards() -> None:
    importer = read(imports={"a.dll": ["f", "g", 3]})
    assert importer.match(importer.imports[0], read(exports=["f", "g=B.h", "@3=C.#9"])) == (
        [],
        [("g", "B.h"), ("#3", "C.#9")],
    )


SORTED, UNSORTED = ["a", "m", "z"], ["z", "m", "a"]


@pytest.mark.parametrize(
    ("table", "name", "hint", "found"),
    [
        *[(SORTED, name, hint, True) for name in SORTED for hint in (0, 1, 2, 3, 65535)],
        *[(SORTED, "b", hint, False) for hint in (0, 1, 2, 3, 65535)],
        (UNSORTED, "m", 0, False),  # "m" < "z": the search goes left of the first name
        (UNSORTED, "m", 1, True),
        (UNSORTED, "m", 2, False),
        (UNSORTED, "m", 3, True),  # no such entry: it begins in the middle
        (UNSORTED, "a", 1, False),
        (UNSORTED, "a", 2, True),
        (UNSORTED, "a", 65535, False),
        (UNSORTED, "z", 0, True),
        (UNSORTED, "z", 1, False),
        (["A", "_", "a"], "_", 65535, True),  # byte by byte: capitals, then the underscore, then small letters
        (["a", "b", "\xe9"], "\xe9", 0, True),  # unsigned
        (["f", "fa", "faa"], "fa", 0, True),  # the shorter name first
        (["f", "fa", "faa"], "faa", 0, True),
    ],
)
def test_the_search_for_a_name_begins_at_its_hint(table: list[str], name: str, hint: int, found: bool) -> None:
    importer = read(imports={"a.dll": [(name, hint)]})
    missing, _ = importer.match(importer.imports[0], read(exports=table))
    assert (missing == []) is found


def test_a_lookup_without_a_hint_begins_in_the_middle() -> None:
    file = read(exports=UNSORTED)
    assert [file.lookup(name) is not None for name in UNSORTED] == [False, True, False]


# ---- defects -----------------------------------------------------------------------------------------------------

RICH = pe(
    imports={"a.dll": ["f", 7], "b.dll": ["g"]},
    delay={"d.dll": ["h"]},
    exports=["x", "y=B.z"],
    bound={"a.dll": []},
    load_flags=0x800,
    clr=0,
    manifests={2: b"<m/>"},
    version=(1, 2, 3, 4),
    sections={".more": b"more"},
)
FIRST, SECOND = section_header(RICH, 0), section_header(RICH, 1)


def moved(index: int, rva: int) -> bytes:
    """RICH with a directory elsewhere."""
    return patched(RICH, directory(RICH, index)[0], "<I", rva)


@pytest.mark.parametrize(
    ("data", "message", "fatal"),
    [
        (RICH[:63], "the file ends inside its DOS header", True),
        (patched(RICH, PE_AT, "<I", 0x454E), "there is no PE signature where the DOS header points", True),
        (patched(RICH, 60, "<I", 0xFFFFFFFF), "the file ends inside its PE headers", True),
        (RICH[: OPTIONAL + 20], "the file ends inside its PE headers", True),
        (RICH[: FIRST + 39], "the file ends inside its section table", True),
        (patched(RICH, FILE_HEADER + 2, "<H", 0xFFFF), "the file ends inside its section table", True),
        (RICH[:-1], "the file ends before the last byte of its sections", True),
        (patched(RICH, SECOND + 16, "<I", 0xFFFFFFF0), "the file ends before the last byte of its sections", True),
        (patched(RICH, OPTIONAL, "<H", 0x107), "the optional header is neither PE32 nor PE32+", True),
        (patched(RICH, FILE_HEADER, "<H", 0x14C), "machine type and PE32/PE32+ format contradict each other", True),
        (patched(pe(machine="x86"), FILE_HEADER, "<H", 0x8664), "machine type and PE32/PE32+ format contradict", True),
        (patched(RICH, OPTIONAL + 36, "<I", 0x201), "section or file alignment is not a valid power of two", True),
        (patched(RICH, OPTIONAL + 36, "<I", 0), "section or file alignment is not a valid power of two", True),
        (patched(RICH, OPTIONAL + 32, "<I", 0x1800), "section or file alignment is not a valid power of two", True),
        (patched(RICH, OPTIONAL + 36, "<I", 0x2000), "section or file alignment is not a valid power of two", True),
        (patched(RICH, SECOND + 12, "<I", 0x3000), "a section does not begin where the one before it ends", True),
        (patched(RICH, SECOND + 12, "<I", 0x1000), "a section does not begin where the one before it ends", True),
        (patched(RICH, OPTIONAL + 56, "<I", 0x2000), "sections reach beyond the declared image size", True),
        (moved(IMPORT, NOWHERE), "the import table cannot be read to its end", True),
        (moved(EXPORT, NOWHERE), "the export table cannot be read to its end", False),
        (moved(DELAY, NOWHERE), "the delay-import table cannot be read to its end", False),
        (moved(RESOURCE, NOWHERE), "the resources cannot be read to their end", False),
        (moved(LOAD_CONFIG, NOWHERE), "the load configuration cannot be read", False),
        (moved(CLR, NOWHERE), "the .NET header cannot be read", False),
        (moved(BOUND, NOWHERE), "the bound-import table cannot be read to its end", False),
        (pe(exports=["b", "a"]), "the export names are not sorted", False),
    ],
)
def test_defect(data: bytes, message: str, fatal: bool) -> None:
    found = [defect for defect in image.parse(data).defects if defect.message.startswith(message)]
    assert [defect.fatal for defect in found] == [fatal]


def test_a_whole_file_has_no_defect() -> None:
    assert image.parse(RICH).defects == ()


def test_a_defect_says_where_in_the_file_the_data_should_have_been() -> None:
    at = directory(RICH, IMPORT)[1] + 12
    broken = image.parse(patched(RICH, at, "<I", DATA_RVA + 0xFFF))
    assert [(defect.message, defect.offset) for defect in broken.defects] == [
        ("the import table cannot be read to its end", HEADERS + 0xFFF)
    ]


def test_a_directory_beyond_those_that_the_header_counts_is_none() -> None:
    cut = image.parse(patched(RICH, OPTIONAL + 108, "<I", IMPORT))
    assert (cut.imports, cut.has_exports, cut.defects) == ((), True, ())


CUTS = range(2, len(RICH))


def test_a_file_cut_anywhere_has_a_defect() -> None:
    assert [length for length in CUTS if not image.parse(RICH[:length]).fatal_defects] == []


def test_a_file_cut_anywhere_keeps_the_imports_that_it_still_holds() -> None:
    whole = image.parse(RICH)
    symbols_end = directory(RICH, IMPORT)[1] + 3 * 20  # descriptors come after all they name
    for length in range(symbols_end, len(RICH)):
        cut = image.parse(RICH[:length])
        static = [found for found in cut.imports if found.kind == "import"]
        assert [(found.dll, cut.symbols(found)) for found in static] == [
            (found.dll, whole.symbols(found)) for found in whole.imports[:2]
        ], length


def test_a_file_cut_anywhere_lists_nothing_that_the_whole_one_does_not() -> None:
    whole = image.parse(RICH)
    for length in CUTS:
        cut = image.parse(RICH[:length])
        assert {found.dll for found in cut.imports} <= {found.dll for found in whole.imports}, length
        assert {export.name for export in cut.exports} <= {"x", "y", None}, length
        assert cut.version in (None, whole.version), length
        assert cut.manifest(2) in (None, b"<m/>"), length
        assert set(cut.bound_imports) <= {"a.dll"}, length


def test_machine_and_type_are_known_as_soon_as_the_file_header_is_there() -> None:
    cut = image.parse(RICH[:OPTIONAL])
    assert (cut.architecture, cut.is_dll) == ("x64", True)


def test_every_single_byte_may_be_wrong() -> None:
    for offset in range(2, len(RICH)):
        for value in (0, 0x7F, 0xFF):
            file = image.parse(patched(RICH, offset, "<B", value))
            assert len(file.exports) <= len(RICH), offset
            assert len(file.imports) <= len(RICH), offset


# ---- hostile files -----------------------------------------------------------------------------------------------


def bare(content: bytes, **directories: tuple[int, int]) -> bytes:
    """A file with one section of this content, and directories that point into it: index -> (RVA, size)."""
    data = pe(sections={".evil": content})
    numbers = {"export": EXPORT, "imports": IMPORT, "resources": RESOURCE, "delay": DELAY}
    for name, place in directories.items():
        data = patched(data, directory(data, numbers[name])[0], "<II", *place)
    return data


EVIL = 0x2000  # RVA of .evil


def test_import_descriptors_without_end_are_bounded_and_reported() -> None:
    row = struct.pack("<5I", 0, 0, 0, EVIL + 12, EVIL)
    found = image.parse(bare(row * 1024, imports=(EVIL, 20)))
    assert len(found.imports) <= 1024
    assert [defect.message for defect in found.fatal_defects] == ["the import table cannot be read to its end"]


def test_import_descriptors_that_share_one_huge_table_are_bounded_and_reported() -> None:
    thunks = struct.pack("<Q", 1 << 63 | 1) * 5000 + bytes(8)
    table = EVIL + len(thunks)
    rows = struct.pack("<5I", EVIL, 0, 0, table, EVIL) * 2000 + bytes(20)
    data = bare(thunks + rows, imports=(table, 20))
    found = image.parse(data)
    assert sum(dll.symbols for dll in found.imports) <= len(data)
    assert found.fatal_defects


def test_a_name_without_end_is_reported() -> None:
    data = bare(
        struct.pack("<5I", EVIL + 64, 0, 0, EVIL + 40, EVIL + 64).ljust(40, b"\0") + b"x" * 4056, imports=(EVIL, 20)
    )
    assert messages(data) == ["the import table cannot be read to its end"]


@pytest.mark.parametrize("field", [20, 24])
def test_an_export_table_of_four_billion_entries_is_bounded_and_reported(field: int) -> None:
    data = pe(exports=["f"])
    found = image.parse(patched(data, directory(data, EXPORT)[1] + field, "<I", 0xFFFFFFFF))
    assert len(found.exports) <= len(data)
    assert [defect.message for defect in found.defects] == ["the export table cannot be read to its end"]


def test_export_names_that_share_one_long_text_take_bounded_memory() -> None:
    data = pe(exports=["x" * 30_000], sections={".evil": bytes(80_000)})
    at = directory(data, EXPORT)[1]
    name = struct.unpack_from("<I", data, offset_of(struct.unpack_from("<I", data, at + 32)[0]))[0]
    evil, evil_at = struct.unpack_from("<4x2I", data, section_header(data, 1) + 8)[0], len(data) - 80_384
    hostile = patched(data, evil_at, "<20000I", *[name] * 20_000)
    hostile = patched(patched(hostile, at + 24, "<I", 20_000), at + 32, "<I", evil)
    assert peak_memory(lambda: image.parse(hostile).exports) < 50 * len(hostile)


def test_imports_that_all_meet_one_long_forwarder_take_bounded_memory() -> None:
    exporter = read(exports=["@1=" + "x" * 30_000 + ".f"])
    importer = read(imports={"a.dll": [1] * 1000})
    size = importer.size + exporter.size
    assert peak_memory(lambda: importer.match(importer.imports[0], exporter)) < 50 * size


def peak_memory(act: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        act()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_resource_directory_that_contains_itself_is_bounded_and_reported() -> None:
    one = struct.pack("<12xHHII", 0, 1, 24, 0x80000000)
    assert messages(bare(one, resources=(EVIL, len(one)))) == ["the resources cannot be read to their end"]


def test_a_resource_directory_that_contains_itself_many_times_is_bounded_and_reported() -> None:
    many = struct.pack("<12xHH", 0, 60) + struct.pack("<II", 24, 0x80000000) * 60
    assert messages(bare(many, resources=(EVIL, len(many)))) == ["the resources cannot be read to their end"]


def test_a_resource_directory_of_more_entries_than_the_file_holds_is_reported() -> None:
    full = struct.pack("<12xHH", 0xFFFF, 0xFFFF)
    assert messages(bare(full, resources=(EVIL, 16))) == ["the resources cannot be read to their end"]


def test_delay_descriptors_without_end_are_bounded_and_reported() -> None:
    row = struct.pack("<8I", 1, EVIL + 16, 0, EVIL, EVIL + 28, 0, 0, 0)
    found = image.parse(bare(row * 128, delay=(EVIL, 32)))
    assert len(found.imports) <= 128
    assert [defect.message for defect in found.defects] == ["the delay-import table cannot be read to its end"]


def test_bound_imports_without_end_are_bounded() -> None:
    data = patched(pe(bound={"a.dll": []}), BOUND_AT + 6, "<H", 0xFFFF)
    assert len(image.parse(data).bound_imports) <= len(data)
