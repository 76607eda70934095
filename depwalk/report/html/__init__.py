"""The HTML report: one file that can be sent, and opens anywhere, also without a network and without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from depwalk.report.html import checked, scanned
from depwalk.report.html.page import page

if TYPE_CHECKING:
    from collections.abc import Sequence

    from depwalk.bulk.rows import Row
    from depwalk.bulk.summary import Summary
    from depwalk.result import Result


def render(results: Sequence[Result]) -> str:
    """The page of one file or import, or of several."""
    return page(checked.title(results), *checked.body(results))


def render_scan(summary: Summary, rows: Sequence[Row]) -> str:
    """The page of a scan. The rows need no trees."""
    return page(scanned.title(summary), *scanned.body(summary, rows))
