"""docs/installers.md and the examples for installers fit the program and the header, also those that only are read."""

from __future__ import annotations

import re
import subprocess
import xml.etree.ElementTree as ET

import pytest
import setups
import written
from from_ci import CHECKOUT

EXAMPLES = CHECKOUT / "examples"
PAGE = written.texts()["docs/installers.md"]
HEADER = (CHECKOUT / "csrc" / "depwalk.h").read_text("ascii")
HELP = (CHECKOUT / "csrc" / "check_main_windows.c").read_text("ascii")
FAMILIES = {int(code): name for name, code in re.findall(r"DW_FAMILY_(\w+) = (\d+)", HEADER)}
NSIS = (EXAMPLES / "nsis" / "check.nsh").read_text("utf-8") + (EXAMPLES / "nsis" / "product.nsi").read_text("utf-8")
INNO = (EXAMPLES / "inno" / "product.iss").read_text("utf-8")
ACTION = (EXAMPLES / "wix" / "check_action.c").read_text("ascii")
WIX = ET.parse(EXAMPLES / "wix" / "product.wxs").getroot()
WXS = "{http://wixtoolset.org/schemas/v4/wxs}"
SNIPPETS = {
    "!define CHECK ": "nsis",
    "Source: ": "inno",
    "<Binary ": "wix",
    "import startup": "python-installer",
}


def wix(element: str, attribute: str) -> list[str]:
    return [each.attrib[attribute] for each in WIX.iter(WXS + element)]


# ---- the page


def test_the_table_of_exit_codes_is_that_of_the_header() -> None:
    rows = {
        int(code): re.sub(r"\[(.*)\]\(.*\)", r"\1", name)
        for code, name in re.findall(r"^\| (\d+) \| (.*?) \|", PAGE, re.MULTILINE)
    }
    assert set(rows) == set(FAMILIES)
    names = {code: name.lower().replace("_", "-") for code, name in FAMILIES.items()}
    assert {code: rows[code] for code in rows if code >= 10} == {code: names[code] for code in names if code >= 10}


def test_every_option_of_the_check_that_is_named_exists() -> None:
    named = set(re.findall(r"--(?:require|timeout|dir|json|quiet)[a-z-]*", PAGE + NSIS + INNO + ACTION))
    assert len(named) >= 3
    assert [option for option in sorted(named) if f'"  {option} ' not in HELP] == []


def test_every_function_that_is_named_is_in_the_header() -> None:
    named = set(re.findall(r"`(dw_\w+)`", PAGE))
    assert named
    assert [name for name in sorted(named) if f"{name}(" not in HEADER] == []


@pytest.mark.parametrize("start", SNIPPETS)
def test_what_is_to_be_copied_stands_in_the_example(start: str) -> None:
    (block,) = (block for block in written.blocks(PAGE) if block.lines[0].startswith(start))
    example = "".join(path.read_text("utf-8") for path in (EXAMPLES / SNIPPETS[start]).iterdir() if path.is_file())
    has = {line.strip() for line in example.splitlines()}
    assert [line for line in block.lines if line.strip() not in has] == []


def sessions() -> list[tuple[str, str]]:
    """Command lines of the check, and what is printed."""
    blocks = [block for block in written.blocks(PAGE) if block.lines[0].startswith("$ depwalk-check-x64.exe ")]
    return [(block.lines[0].removeprefix("$ depwalk-check-x64.exe "), " ".join(block.lines[1:])) for block in blocks]


def asked(arguments: str) -> tuple[int, str]:
    folder = setups.directory()
    command = f'"{folder / "depwalk-check-x64.exe"}" {arguments}'
    ran = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return ran.returncode, ran.stdout.decode("utf-8").strip()


@setups.needs_installers
def test_a_product_that_loads_is_told_as_the_page_says() -> None:
    arguments, printed = sessions()[0]
    assert asked(arguments) == (0, printed)


@setups.needs_installers
def test_a_runtime_that_is_missing_is_told_as_the_page_says(without_runtime: None) -> None:
    arguments, printed = sessions()[1]
    assert asked(arguments) == (10, printed)


# ---- NSIS


def test_the_uninstaller_removes_every_dll_of_the_product() -> None:
    dlls = {f"{source.stem}.dll" for source in (EXAMPLES / "nsis" / "product").glob("*.c")}
    assert set(re.findall(r'Delete "\$INSTDIR\\(\w+\.dll)"', NSIS)) == dlls


# ---- what cannot be run here


@pytest.mark.parametrize("script", [NSIS, INNO, ACTION], ids=["nsis", "inno", "wix"])
def test_every_code_that_a_script_asks_for_is_of_the_header(script: str) -> None:
    asked_for = {
        int(code)
        for code in re.findall(r"Code <?[=>] (\d+)|\b(?:LOADS|UNKNOWN) = (\d+)", script)
        for code in code
        if code
    }
    assert {0, 3} <= asked_for <= set(FAMILIES)


def test_the_script_for_inno_setup_unpacks_only_what_it_brings() -> None:
    brought = {source.rpartition("\\")[2] for source in re.findall(r'^Source: "(.*?)"', INNO, re.MULTILINE)}
    assert set(re.findall(r"ExtractTemporaryFile\('(.*?)'\)", INNO)) == brought


def test_the_package_runs_its_custom_action_in_both_sequences() -> None:
    sequences = [
        sequence
        for sequence in WIX.iter()
        if sequence.tag in (f"{WXS}InstallUISequence", f"{WXS}InstallExecuteSequence")
    ]
    actions = [each.attrib["Action"] for sequence in sequences for each in sequence]
    assert actions == wix("CustomAction", "Id") * 2


def test_the_package_brings_the_custom_action_and_what_that_unpacks() -> None:
    binaries = wix("Binary", "Id")
    properties = dict(zip(wix("Property", "Id"), wix("Property", "Value")))
    assert wix("CustomAction", "BinaryRef")[0] in binaries
    assert f"check.{properties['DepwalkProgram']}" in binaries
    assert f"check.{properties['DepwalkFile']}" in binaries
    assert f"UINT __stdcall {wix('CustomAction', 'DllEntry')[0]}(MSIHANDLE" in ACTION
    assert set(properties) == set(re.findall(r'L"(Depwalk\w+)"', ACTION))


def test_names_of_the_package_are_identifiers_as_windows_installer_has_them() -> None:
    names = [each.attrib["Id"] for each in WIX.iter() if "Id" in each.attrib]
    assert [name for name in names if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.]{0,71}", name)] == []
