"""Which tests a 32-bit Python on Windows leaves out; and what several tests use."""

from __future__ import annotations

import gc
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# They work on what was read, on rows and on texts: 32 bits make no difference there, and a 64-bit Python runs them.
SAME_IN_32_BITS = """
    agreement archive bench blocked code_pages completion conflicts cpu_models database database_queries diagnosis
    docs docs_commands dot elsewhere environment examples formats gpu graph html_report import_report
    import_traces installation languages msvc_runtimes package packages processors report runtimes sarif scan_cli
    scan_collect scan_hostile scan_judge scan_page scan_policy scan_summary scan_work search search_path site
    suggestions suppliers text_snapshots wheel wheels windows windows_causes
"""
if sys.platform == "win32" and sys.maxsize < 2**32:
    collect_ignore = [f"test_{name}.py" for name in SAME_IN_32_BITS.split()]


@pytest.fixture
def without_collections() -> Iterator[None]:
    """As in a scan, which hardly ever looks for objects that hold each other."""
    gc.disable()
    yield
    gc.enable()
