"""A small picture of lines over a logarithmic x axis, readable on light and on dark pages."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WIDTH, HEIGHT = 640, 320
LEFT, RIGHT, TOP, BOTTOM = 56, 32, 40, 48
COLOURS = ("#2f81f7", "#d4731a", "#3fa055")  # each has contrast against white and against near-black
STYLE = """text{font:12px system-ui,sans-serif;fill:#57606a}.g{stroke:#8b949e;stroke-opacity:.35}
.a{stroke:#8b949e}@media(prefers-color-scheme:dark){text{fill:#a9b1ba}}"""


def svg(lines: Mapping[str, Sequence[tuple[float, float]]], y_title: str, x_title: str) -> str:
    points = [point for line in lines.values() for point in line]
    low, high = min(x for x, _ in points), max(x for x, _ in points)
    step = _step(max(y for _, y in points))
    top = step * math.ceil(max(y for _, y in points) / step)

    def across(x: float) -> float:
        share = math.log(x / low) / math.log(high / low) if high > low else 0.5
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def up(y: float) -> float:
        return HEIGHT - BOTTOM - y / top * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(f'{y_title} by {x_title}')}</title><style>{STYLE}</style>",
        f'<text x="8" y="16">{escape(y_title)}</text>',
        f'<text x="{WIDTH - RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{escape(x_title)}</text>',
    ]
    for number in range(round(top / step) + 1):
        y = up(number * step)
        parts.append(f'<path class="{"g" if number else "a"}" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{number * step:g}</text>')
    foot = f'y="{HEIGHT - BOTTOM + 18}" text-anchor="middle"'
    parts += [f'<text x="{across(x):.1f}" {foot}>{x:,.0f}</text>' for x in sorted({x for x, _ in points})]
    for index, (name, line) in enumerate(lines.items()):
        parts += _line(index, name, [(across(x), up(y)) for x, y in line])
    return "\n".join([*parts, "</svg>"]) + "\n"


def _line(index: int, name: str, points: Sequence[tuple[float, float]]) -> Iterable[str]:
    colour = COLOURS[index % len(COLOURS)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in points)
    at = LEFT + 150 + 210 * index
    yield f'<path d="M{at} 12h18" stroke="{colour}" stroke-width="3"/><text x="{at + 24}" y="16">{escape(name)}</text>'


def _step(most: float) -> float:
    """A round distance of lines, of which four to ten fit."""
    size = 10 ** math.floor(math.log10(most))
    return next(size * share for share in (0.1, 0.2, 0.5, 1, 2) if most / (size * share) <= 8)
