"""Cases of conda environments whose packages do not fit together, though conda itself put them there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from catalogue import expect_primary
from test_conflict_cases import Machine

from depwalk.loader import LoadTrace

if TYPE_CHECKING:
    from pathlib import Path

NO_PROCEDURE = 127


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_case_I4_a_fresh_environment_of_conda_whose_packages_do_not_fit(machine: Machine) -> None:
    tiff = machine.has("env/Library/bin/tiff.dll", exports=["TIFFOpen"])
    gdal = machine.has("env/Library/bin/gdal.dll", exports=["GDALOpen"], imports={"tiff.dll": ["TIFFOpenOptionsAlloc"]})
    root = machine.has("site/osgeo/_gdal.cp310-win_amd64.pyd", imports={"gdal.dll": ["GDALOpen"]})
    machine.install_by_conda("gdal", "3.4.3", root, gdal)
    machine.install_by_conda("libtiff", "4.3.0", tiff)
    found = expect_primary("I4", machine.findings(root, "3.10", LoadTrace(NO_PROCEDURE), conda=True))
    assert (found.module, found.needed_by) == ("tiff.dll", "gdal.dll")
    assert found.remedy is not None
    assert "conda" in found.remedy.text + found.remedy.command
