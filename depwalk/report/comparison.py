"""What has changed between two scans, for a person and for a program."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from depwalk.report.lines import Line, shown, wrap

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from depwalk.bulk.compare import Comparison, Pair
    from depwalk.bulk.rows import Row

SCHEMA = "depwalk-comparison/1"
_SOME = 20  # lines of one list; --all shows the rest
_TITLES = {
    "broke": ("Broke", "bad"),
    "new_failures": ("New, and does not load", "bad"),
    "mended": ("Mended", "good"),
    "changed": ("Otherwise than before", "warn"),
    "gone": ("Gone", ""),
}


def render(found: Comparison, before: int, after: int, *, width: int = 80, everything: bool = False) -> list[Line]:
    """Each list that has something in it."""
    lines = [Line(""), *wrap(headline(found, before, after), width, style="head")]
    for name, pairs in _lists(found):
        title, style = _TITLES[name]
        lines += [Line(""), Line(title, "head")] if pairs else []
        for pair in pairs if everything else pairs[:_SOME]:
            lines += _pair(pair, width, style)
        if len(pairs) > _SOME and not everything:
            lines.append(Line(f"  ... and {len(pairs) - _SOME:,} more (--all shows them)"))
    return lines


def headline(found: Comparison, before: int, after: int) -> str:
    """How many files are in each list, in a sentence."""
    counts = ", ".join(f"{len(pairs)} {name.replace('_', ' ')}" for name, pairs in _lists(found) if pairs)
    return f"From run {before} to run {after}: {counts or 'nothing has changed'}."


def as_json(found: Comparison, before: int, after: int) -> str:
    """One JSON object on one line."""
    lists = {name: [_as_dict(pair) for pair in pairs] for name, pairs in _lists(found)}
    return json.dumps({"schema": SCHEMA, "before": before, "after": after, **lists}, ensure_ascii=False)


def _lists(found: Comparison) -> Iterator[tuple[str, Sequence[Pair]]]:
    yield from ((name, getattr(found, name)) for name in _TITLES)


def _pair(pair: Pair, width: int, style: str) -> Iterator[Line]:
    row = pair[1] or pair[0]
    assert row is not None
    yield Line(f"  {shown(row.file.path)}  [{row.case.label}]", style)
    told = [f"{when}: {_said(one)}" for when, one in zip(("before", "now"), pair) if one is not None]
    yield from wrap("; ".join(told), width, "      ")


def _said(row: Row) -> str:
    first = row.findings[0] if row.findings else None
    verdict = row.verdict or row.reason
    return f"{verdict} ({first.code}: {first.module})" if first is not None else verdict


def _as_dict(pair: Pair) -> dict[str, Any]:
    row = pair[1] or pair[0]
    assert row is not None
    return {
        "path": row.file.path,
        "case": row.case.label,
        "before": pair[0] and {"verdict": pair[0].verdict, "findings": _codes(pair[0])},
        "after": pair[1] and {"verdict": pair[1].verdict, "findings": _codes(pair[1])},
    }


def _codes(row: Row) -> list[dict[str, str]]:
    return [{"code": finding.code, "module": finding.module} for finding in row.findings]
