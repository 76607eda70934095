"""When Python ends, it takes depwalk's modules apart in an order of its own; files may be closed after that."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import MakePE


def test_a_file_is_closed_although_the_binding_has_let_go_of_the_library(make_pe: MakePE) -> None:
    path = str(make_pe("a.dll"))
    code = f"from depwalk import core\nfile = core.File({path!r})\ncore.lib = None\ndel file\nprint('end')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, "end", "")
