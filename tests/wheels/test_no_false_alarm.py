"""The near miss of the whole: hundreds of real extension modules load, and nothing may be said against them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from depwalk import files
from depwalk.result import diagnose
from depwalk.target.choose import Choice, choose

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there, ci/run.py agreement asks the loader as well")

# Where extension modules for CPython 3.11 are: an environment variable, and a directory in what it names.
PLACES = [
    ("DEPWALK_SITE", "."),
    ("DEPWALK_SITE_NUMPY2", "."),
    ("DEPWALK_PATIENTS", "panda3d-1.10.16-cp311-win_amd64"),
]
AT_LEAST = 500
# It names another .pyd of pywin32 as a DLL: it only loads in a process that has imported that before.
AFTER_ANOTHER = "win32comext/axdebug/axdebug.pyd"


def extensions() -> dict[str, list[Path]]:
    """Every .pyd by the first directory of its path; none if the variables are not set."""
    found: dict[str, list[Path]] = {}
    for variable, directory in PLACES:
        if variable in os.environ:
            place = Path(os.environ[variable], directory)
            for path in sorted(place.rglob("*.pyd")):
                found.setdefault(f"{place.name}/{path.relative_to(place).parts[0]}", []).append(path)
    return found


FOUND = extensions()


def findings_other_than_notes(path: Path) -> list[str]:
    choice = Choice(windows="10", python="3.11", runtimes=("vc14",))
    found = diagnose(path, lambda image: choose(image, choice, None), load=False).findings
    return [f"{path}: {one.code}: {one.message}" for one in found if one.severity != "note"]


@pytest.mark.parametrize("package", sorted(FOUND))
def test_the_extensions_of_real_packages_get_neither_error_nor_warning(package: str) -> None:
    healthy = [path for path in FOUND[package] if not path.as_posix().endswith(AFTER_ANOTHER)]
    with files.remembering():  # what the modules of a package share is read once
        assert [line for path in healthy for line in findings_other_than_notes(path)] == []


def test_these_are_more_than_500_extensions() -> None:
    if not FOUND:
        assert not os.environ.get("CI"), "DEPWALK_SITE is not set: ci/run.py makes the site"
        pytest.skip("DEPWALK_SITE is not set (ci/run.py makes the site)")
    assert sum(map(len, FOUND.values())) >= AT_LEAST
