"""Loader snaps: lines that people recorded on Windows 7 to 11, each with where; and lines that nobody should trust."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from depwalk import snaps
from depwalk.snaps import Snap, parse

NOT_FOUND, ENTRY_POINT, ORDINAL, BAD_IMAGE = 0xC0000135, 0xC0000139, 0xC0000138, 0xC000007B


def only(*lines: str) -> Snap:
    (snap,) = parse(lines)
    return snap


# Windows 8.1 to 11


def test_a_missing_dll_is_named_with_the_module_that_imports_it() -> None:
    # Page "Tracing LoadLibrary" of lopezruiz.net
    line = (
        "0150:040c @ 00148593 - LdrpProcessWork - ERROR: Unable to load DLL: "
        '"blargh.dll", Parent Module: "C:\\foo.dll", Status: 0xc0000135\n'
    )
    assert only(line) == Snap(snaps.NOT_FOUND, "blargh.dll", "C:\\foo.dll", status=NOT_FOUND)


def test_a_missing_api_set_is_named_like_a_dll() -> None:
    # "Howto: UTF-8 as native encoding in R on Windows" (T. Kalibera), on the package magick
    line = (
        '3e94:29f8 @ 674068078 - LdrpProcessWork - ERROR: Unable to load DLL: "api-ms-win-core-console-l1-2-0.dll", '
        'Parent Module: "C:\\msys64\\home\\tomas\\ucrt3\\svn\\ucrt3\\r\\build_opt\\trunk\\library\\magick\\libs\\x64'
        '\\magick.dll", Status: 0xc0000135'
    )
    assert only(line).module == "api-ms-win-core-console-l1-2-0.dll"


def test_what_a_call_asked_for_has_no_parent() -> None:
    # Article "Debugging Run-time Windows DLL problems"
    line = (
        '390c:2b7c @ 841275531 - LdrpProcessWork - ERROR: Unable to load DLL: "MissingDll.DLL", '
        'Parent Module: "(null)", Status: 0xc0000135'
    )
    assert only(line) == Snap(snaps.NOT_FOUND, "MissingDll.DLL", status=NOT_FOUND)


def test_a_dll_that_is_there_and_does_not_load_is_another_thing_than_a_missing_one() -> None:
    # Thread "UWP: Process initialization failed with status 0xc0000139" of dotnet/pinvoke
    line = (
        '1725 3de8:3df4 @ 00384546 - LdrpProcessWork - ERROR: Unable to load DLL: "NTASN1.dll", '
        'Parent Module: "C:\\WINDOWS\\SYSTEM32\\ncrypt.dll", Status: 0xc0000139'
    )
    expected = Snap(snaps.NOT_LOADED, "NTASN1.dll", "C:\\WINDOWS\\SYSTEM32\\ncrypt.dll", status=ENTRY_POINT)
    assert only(line) == expected


def test_what_a_debugger_writes_before_a_line_does_not_matter() -> None:
    # README of KDE's VSD, option --vsd-debug-dll
    line = (
        "kstars(9496): 2518:8c04 @ 00508890 - LdrpProcessWork - ERROR: Unable to load DLL: "
        '"brotlidec.dll", Parent Module: "C:\\Users\\hanna\\Downloads\\kstars\\bin\\freetype.dll", Status: 0xc0000135'
    )
    assert only(line).module == "brotlidec.dll"


def test_a_missing_function_is_told_in_two_lines_that_are_one_fact() -> None:
    # Windows on Devices, "Diagnosing a failing application", 32 bits
    found = parse(
        [
            (
                "0744:00c8 @ 14911546 - LdrpNameToOrdinal - WARNING: "
                'Procedure "GetProcessWindowStation" could not be located in DLL at base 0x75A20000.'
            ),
            (
                "0744:00c8 @ 14911562 - LdrpReportError - ERROR: "
                'Locating export "GetProcessWindowStation" for DLL "c:\\node\\node.exe" failed with status: 0xc0000139.'
            ),
            "First-chance exception at 0x7758342A (ntdll.dll) in node.exe: 0xC0000139: Entry Point Not Found.",
        ]
    )
    name, importer = "GetProcessWindowStation", "c:\\node\\node.exe"
    assert found == (Snap(snaps.MISSING_PROCEDURE, "", importer, name, 0x75A20000, ENTRY_POINT),)


def test_a_decorated_name_and_an_address_of_64_bits_are_read_whole() -> None:
    # Article "Debugging Run-time Windows DLL problems", MissingSymbol.exe
    line = (
        "4a58:3e34 @ 836003546 - LdrpNameToOrdinal - WARNING: "
        'Procedure "?expected_function@@YAXXZ" could not be located in DLL at base 0x00007FFDC3310000.'
    )
    assert only(line) == Snap(snaps.MISSING_PROCEDURE, procedure="?expected_function@@YAXXZ", base=0x00007FFDC3310000)


def test_a_function_that_getprocaddress_did_not_find_has_no_importer() -> None:
    # The same article
    found = parse(
        [
            (
                "26c0:311c @ 841153484 - LdrpNameToOrdinal - WARNING: "
                'Procedure "expected_function" could not be located in DLL at base 0x00007FFE004D0000.'
            ),
            (
                "26c0:311c @ 841153484 - LdrpReportError - WARNING: "
                'Locating export "expected_function" for DLL "Unknown" failed with status: 0xc0000139.'
            ),
        ]
    )
    assert [(snap.procedure, snap.parent, snap.status) for snap in found] == [("expected_function", "", ENTRY_POINT)]


def test_lines_of_two_threads_are_not_taken_for_one_fact() -> None:
    found = parse(
        [
            '1:1 @ 1 - LdrpNameToOrdinal - WARNING: Procedure "f" could not be located in DLL at base 0x10000.',
            '1:2 @ 1 - LdrpReportError - ERROR: Locating export "f" for DLL "a.dll" failed with status: 0xc0000139.',
        ]
    )
    assert [(snap.base, snap.parent) for snap in found] == [(0x10000, ""), (None, "a.dll")]


def test_an_entry_point_that_is_called_is_named_so_that_the_last_one_before_a_crash_is_known() -> None:
    # The same article, CrashingDll.DLL
    line = (
        "316c:3540 @ 841347500 - LdrpInitializeNode - INFO: "
        'Calling init routine 00007FFDC331100A for DLL "c:\\local\\bin\\CrashingDll.DLL"'
    )
    assert only(line) == Snap(snaps.INIT_CALLED, "c:\\local\\bin\\CrashingDll.DLL")


# Windows 7 and Server 2012

IMPORTER = "C:\\QA\\Pcdlrn\\Win32\\Release\\INTERFAC.DLL"
# Answer to "LoadLibrary fails with error code 193", Stack Overflow
PCDLRN = [
    f'18a0:2a40 @ 06859098 - LdrpHandleOneOldFormatImportDescriptor - INFO: DLL "{IMPORTER}" imports "PCDLRN.exe"',
    (
        '18a0:2a40 @ 06859597 - LdrpHandleOneOldFormatImportDescriptor - ERROR: Loading "?????" from the import table '
        f'of DLL "{IMPORTER}" failed with status 0xc000007b'
    ),
]


def test_windows_7_names_the_import_only_before_it_fails() -> None:
    assert only(*PCDLRN) == Snap(snaps.NOT_LOADED, "PCDLRN.exe", IMPORTER, status=BAD_IMAGE)


def test_an_import_whose_name_came_out_as_question_marks_has_no_name() -> None:
    assert only(PCDLRN[1]) == Snap(snaps.NOT_LOADED, "", IMPORTER, status=BAD_IMAGE)


def test_windows_7_names_the_dll_that_lacks_a_function() -> None:
    # Autodesk's developer blog on AutoCAD OEM, '"xxx.arx cannot find a procedure that it needs"'
    name = "?isSelfIntersecting@AcGeImpCurve3d@@UEBAHPEAVAcGeSelfIntersectTestCallback@@AEBVAcGeTol@@@Z"
    line = f'LdrpSnapThunk - ERROR: Procedure "{name}" could not be located in DLL "AcGe19.dll"'
    assert only(line) == Snap(snaps.MISSING_PROCEDURE, "AcGe19.dll", procedure=name)


def test_a_top_level_dll_that_is_not_found_is_named_by_the_search_that_ends_so() -> None:
    # Microsoft KB 2843034, "Domain Controllers in-place upgrade hangs at black screen"
    name = "C:\\Windows\\system32\\ntdsa.dll"
    found = only(
        f"023c:0240 @ 00048468 - LdrpLoadDll - ENTER: DLL name: {name}  ",
        f"023c:0240 @ 00048468 - LdrpLoadDll - INFO: Loading DLL {name}  ",
        f"023c:0240 @ 00048468 - LdrpFindOrMapDll - ENTER: DLL name: {name}  ",
        f"023c:0240 @ 00048468 - LdrpResolveDllName - ENTER: DLL name: {name}  ",
        "023c:0240 @ 00048468 - LdrpResolveDllName - RETURN: Status: 0xc0000135  ",
        "023c:0240 @ 00048468 - LdrpFindOrMapDll - RETURN: Status: 0xc0000135  ",
        "023c:0240 @ 00048468 - LdrpLoadDll - RETURN: Status: 0xc0000135  ",
        "023c:0240 @ 00048468 - LdrLoadDll - RETURN: Status: 0xc0000135  ",
    )
    assert found == Snap(snaps.NOT_FOUND, name, status=NOT_FOUND)


# Texts of which only the format is known (strings of ntdll of Windows 10 and 11)


A = "C:\\a.dll"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f'Init routine 00007FFDC331100A for DLL "{A}" failed during DLL_PROCESS_ATTACH', Snap(snaps.INIT_FAILED, A)),
        (
            f'Init routine 00007FFDC331100A of DLL "{A}" raised an exception c000001d',
            Snap(snaps.INIT_FAILED, A, status=0xC000001D),
        ),
        (f'DLL "{A}" does not contain an export table', Snap(snaps.NO_EXPORT_TABLE, A)),
        (
            f'Locating export at ordinal 77 for DLL "{A}" failed with status: 0xc0000138.',
            Snap(snaps.MISSING_PROCEDURE, parent=A, procedure="#77", status=ORDINAL),
        ),
    ],
)
def test_a_text_of_ntdll_is_read_by_its_format(text: str, expected: Snap) -> None:
    assert only("1234:5678 @ 90 - LdrpSomeFunction - ERROR: " + text) == expected


# What is not to be trusted


def test_a_line_cut_at_the_end_of_the_system_s_buffer_says_what_is_left_of_it() -> None:
    line = 'a:b @ 1 - LdrpProcessWork - ERROR: Unable to load DLL: "a.dll", Parent Module: "C:\\very\\lo'
    assert only(line) == Snap(snaps.NOT_LOADED, "a.dll", "C:\\very\\lo")


@pytest.mark.parametrize(
    "line",
    [
        "",
        "LdrpProcessWork - ERROR: ",
        "7c48:2ac4 @ 371984000 - _LdrpInitialize - ERROR: Process initialization failed with status 0xc0000135",
        "2264:05b0 @ 00793875 - LdrpSearchPath - RETURN: Status: 0xc0000135",
        "LdrpFindOrMapDll - RETURN: Status: 0xc0000135",
        'the program itself says: Unable to load DLL: "a.dll"',
    ],
)
def test_a_line_that_says_nothing_that_counts_is_skipped(line: str) -> None:
    assert parse([line]) == ()


@given(st.lists(st.text(alphabet='abLdrp 0x"@:-.\\\n\u20ac', max_size=80)))
def test_no_line_is_an_error(lines: list[str]) -> None:
    parse(lines)


@pytest.mark.parametrize("line", ["a" * 100_000, "a " * 50_000, 'a - ERROR: Unable to load DLL: "' + "x" * 100_000])
def test_a_long_line_costs_no_more_than_a_short_one(line: str) -> None:
    start = time.perf_counter()
    parse([line] * 1000)
    assert time.perf_counter() - start < 5


def test_an_endless_story_is_read_only_so_far() -> None:
    def endless() -> object:
        while True:
            yield 'LdrpInitializeNode - INFO: Calling init routine 0 for DLL "a.dll"'

    assert len(parse(endless())) == 10_000  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "is_the_loaders"),
    [
        ("7c48:2ac4 @ 371984000 - LdrpInitializeNode - INFO: Calling init routine 0 for DLL", True),
        ("2264:05b0 @ 00793875 - LdrpSearchPath - RETURN: Status: 0xc0000135", True),
        ("no licence found - giving up: sorry", False),
    ],
)
def test_what_the_loader_says_is_told_from_what_a_program_says(line: str, is_the_loaders: bool) -> None:
    assert snaps.is_snap(line) is is_the_loaders
