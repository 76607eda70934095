"""Packs the product of examples/python-installer with PyInstaller, and starts it: as it is, and with a DLL missing."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import fetch
from steps import CHECKOUT, SetupError, progress, remove_tree, say

if TYPE_CHECKING:
    from pathlib import Path

    import bed

EXAMPLE = CHECKOUT / "examples" / "python-installer"
PACK = ("-B", "-m", "PyInstaller", "--noconfirm", "--additional-hooks-dir", ".", "product.py")
REASON = "_sqlite3.pyd needs sqlite3.dll"


def make(host_python: Path, the_bed: bed.Bed) -> int:
    """Show what the program says; 0 if it starts, and names the DLL that was taken away."""
    packages = fetch.prepare_site(host_python, "pyinstaller")
    workplace = the_bed.prefix / "drive_c" / "frozen"
    remove_tree(workplace)
    shutil.copytree(EXAMPLE, workplace)
    with progress("packing the example product with PyInstaller", "2 minutes"):
        packed = the_bed.python(*PACK, env={"PYTHONPATH": the_bed.windows_path(packages)}, cwd=workplace)
    if packed.returncode:
        raise SetupError(f"PyInstaller failed:\n{packed.stderr}")
    program = workplace / "dist" / "product" / "product.exe"
    whole = the_bed.wine(the_bed.windows_path(program))
    (program.parent / "_internal" / "sqlite3.dll").unlink()
    lacking = the_bed.wine(the_bed.windows_path(program))
    for ran in (whole, lacking):
        say(f"{ran.stdout}{ran.stderr}(exit status {ran.returncode})\n")
    good = (whole.returncode, whole.stderr, lacking.returncode) == (0, "", 1) and REASON in lacking.stderr
    say(f"[ci] frozen: {'as it must be' if good else 'FAILED'}")
    return 0 if good else 1
