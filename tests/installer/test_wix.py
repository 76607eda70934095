"""The custom action of examples/wix, in a package with the tables that product.wxs asks for.

WiX itself is not here: the test writes those tables, and the Windows Installer of this machine runs them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import setups
from from_ci import CHECKOUT

pytestmark = setups.needs_installers

WXS = "{http://wixtoolset.org/schemas/v4/wxs}"
SOURCE = CHECKOUT / "examples" / "wix" / "product.wxs"
FAILED = 1603  # ERROR_INSTALL_FAILURE
STANDARD = {"CostInitialize": 800, "FileCost": 900, "CostFinalize": 1000, "InstallValidate": 1400}
STANDARD |= {"InstallInitialize": 1500, "InstallFinalize": 6600}
DLL_IN_BINARY, FIRST_SEQUENCE = 1, 0x100  # msidbCustomActionTypeDll + BinaryData, msidbCustomActionTypeFirstSequence


class Database:
    """A package that is being written."""

    def __init__(self, path: Path) -> None:
        import _msi

        self.msi: Any = _msi
        self.database: Any = _msi.OpenDatabase(str(path), _msi.MSIDBOPEN_CREATE)

    def run(self, query: str, *values: str | int | Path) -> None:
        view = self.database.OpenView(query)
        record = self.msi.CreateRecord(max(len(values), 1))
        for place, value in enumerate(values, 1):
            if isinstance(value, Path):
                record.SetStream(place, str(value))
            elif isinstance(value, int):
                record.SetInteger(place, value)
            else:
                record.SetString(place, value)
        view.Execute(record if values else None)
        view.Close()

    def finish(self) -> None:
        summary = self.database.GetSummaryInformation(8)
        values = {2: "Example Product", 7: "x64;1033", 9: f"{{{uuid.uuid4()}}}".upper(), 14: 500, 15: 0}
        for identifier, value in values.items():
            summary.SetProperty(identifier, value)
        summary.Persist()
        self.database.Commit()


def package(path: Path, files: Path) -> None:
    """Write the tables of product.wxs that have to do with the check."""
    wxs = ET.parse(SOURCE).getroot()  # our own file
    database = Database(path)
    database.run("CREATE TABLE `Property` (`Property` CHAR(72) NOT NULL, `Value` LONGCHAR PRIMARY KEY `Property`)")
    database.run("CREATE TABLE `Binary` (`Name` CHAR(72) NOT NULL, `Data` OBJECT NOT NULL PRIMARY KEY `Name`)")
    database.run(
        "CREATE TABLE `CustomAction` (`Action` CHAR(72) NOT NULL, `Type` SHORT NOT NULL, `Source` CHAR(72), "
        "`Target` CHAR(255) PRIMARY KEY `Action`)"
    )
    database.run(
        "CREATE TABLE `InstallExecuteSequence` (`Action` CHAR(72) NOT NULL, `Condition` CHAR(255), `Sequence` SHORT "
        "PRIMARY KEY `Action`)"
    )
    properties = {each.attrib["Id"]: each.attrib["Value"] for each in wxs.iter(f"{WXS}Property")}
    product = {
        "ProductCode": f"{{{uuid.uuid4()}}}".upper(),
        "ProductName": "Example Product",
        "ProductVersion": "1.0.0",
        "ProductLanguage": "1033",
        "Manufacturer": "Example",
    }
    for name, value in (properties | product).items():
        database.run("INSERT INTO `Property` (`Property`, `Value`) VALUES (?, ?)", name, value)
    for each in wxs.iter(f"{WXS}Binary"):
        file = files / each.attrib["SourceFile"].replace("\\", "/")
        database.run("INSERT INTO `Binary` (`Name`, `Data`) VALUES (?, ?)", each.attrib["Id"], file)
    for each in wxs.iter(f"{WXS}CustomAction"):
        row = each.attrib
        database.run(
            "INSERT INTO `CustomAction` (`Action`, `Type`, `Source`, `Target`) VALUES (?, ?, ?, ?)",
            row["Id"],
            DLL_IN_BINARY | FIRST_SEQUENCE,
            row["BinaryRef"],
            row["DllEntry"],
        )
    insert = "INSERT INTO `InstallExecuteSequence` (`Action`, `Condition`, `Sequence`) VALUES (?, ?, ?)"
    for each in wxs.find(f".//{WXS}InstallExecuteSequence") or ():
        before = STANDARD[each.attrib["Before"]]
        database.run(insert, each.attrib["Action"], each.attrib["Condition"], before - 1)
    for action, sequence in STANDARD.items():
        database.run(insert, action, "", sequence)
    database.finish()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What lies beside product.wxs when it is compiled."""
    made, built = tmp_path / "files", setups.directory()
    made.mkdir()
    shutil.copytree(built / "product", made / "product")
    for name in ("depwalk-check-x64.exe", "check_action.dll"):
        shutil.copy(built / name, made)
    return made


def install(tmp_path: Path, files: Path) -> tuple[int, str, list[str]]:
    """Exit code of a silent installation, its log, and what is left among the temporary files."""
    temporary, log = tmp_path / "temp", tmp_path / "setup.log"
    temporary.mkdir()
    package(tmp_path / "product.msi", files)
    ran = subprocess.run(
        ["msiexec", "/i", str(tmp_path / "product.msi"), "/qn", "/l*v", str(log)],
        env={**os.environ, "TEMP": str(temporary), "TMP": str(temporary)},
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=120,
    )
    text = log.read_bytes().replace(b"\0", b"").decode("ascii", "replace")  # UTF-16, and on Wine ASCII
    return ran.returncode, text, setups.names(temporary)


def test_a_package_whose_product_loads_is_installed(tmp_path: Path, files: Path) -> None:
    code, log, left = install(tmp_path, files)

    assert (code, left) == (0, [])
    assert "engine.dll: loads" in log


def test_without_the_runtime_the_package_is_refused_with_the_sentence_of_the_check(
    tmp_path: Path, files: Path, without_runtime: None
) -> None:
    code, log, left = install(tmp_path, files)

    assert (code, left) == (FAILED, [])
    assert "\nmsvcp140.dll, a part of the Visual C++ runtime 2015-2026, does not load on this machine" in log


def test_what_could_not_be_tried_is_installed(tmp_path: Path, files: Path) -> None:
    (files / "depwalk-check-x64.exe").write_bytes(b"no program")
    code, log, left = install(tmp_path, files)

    assert (code, left) == (0, [])
    assert "depwalk-check could not be run" in log
