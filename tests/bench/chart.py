"""A chart of lines as SVG 1.1: both axes logarithmic, a mark a measurement. The same numbers give the same bytes."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

Points = Mapping[int, float]
"""Values by what they were measured at."""

WIDTH, HEIGHT = 400, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 44, 48
_INK, _GREY, _GRID = "#111827", "#4b5563", "#e5e7eb"
COLOURS: Final = ("#2563eb", "#c2410c", "#15803d", "#6d28d9")
_FONT: Final = 'font-family="Verdana,\'DejaVu Sans\',Geneva,sans-serif" font-size="11"'


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart: its title, what its horizontal axis counts, the decades of the vertical one, and its lines."""

    title: str
    across: str
    decades: tuple[int, int]
    lines: Mapping[str, Points]


def render(panels: list[Panel], title: str) -> str:
    """The panels beside each other, and one legend for all."""
    width, height = WIDTH * len(panels), HEIGHT + 32
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" {_FONT}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
    ]
    for number, panel in enumerate(panels):
        parts += [f'<g transform="translate({number * WIDTH} 0)">', *_panel(panel, names), "</g>"]
    return "\n".join([*parts, *_legend(names), "</svg>", ""])


def _panel(panel: Panel, names: list[str]) -> Iterator[str]:
    counts = sorted({count for points in panel.lines.values() for count in points})
    low, high = math.floor(math.log10(counts[0])), math.ceil(math.log10(counts[-1]))

    def x(count: float) -> float:
        return _LEFT + (math.log10(count) - low) / (high - low) * (WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        first, last = panel.decades
        share = (math.log10(value) - first) / (last - first)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

    yield _text(_LEFT, 24, panel.title, _INK, "start", bold=True)
    yield from (_level(y(10**power), f"{10**power:,}") for power in range(panel.decades[0], panel.decades[1] + 1))
    yield from (_text(x(10**power), HEIGHT - 28, f"{10**power:,}", _GREY) for power in range(low, high + 1))
    yield _text((WIDTH + _LEFT) / 2, HEIGHT - 10, panel.across, _GREY)
    for name, points in panel.lines.items():
        yield from _line([(x(count), y(value)) for count, value in sorted(points.items())], COLOURS[names.index(name)])


def _line(places: list[tuple[float, float]], colour: str) -> Iterator[str]:
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
    yield from (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places)


def _level(y: float, label: str) -> str:
    line = f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}" stroke="{_GRID}"/>'
    return line + _text(_LEFT - 6, y + 4, label, _GREY, "end")


def _text(x: float, y: float, text: str, fill: str, anchor: str = "middle", *, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{fill}" text-anchor="{anchor}"{weight}>{escape(text)}</text>'


def _legend(names: list[str]) -> Iterator[str]:
    for number, name in enumerate(names):
        x = _LEFT + 130 * number
        yield f'<rect x="{x}" y="{HEIGHT + 8}" width="12" height="12" fill="{COLOURS[number]}"/>'
        yield _text(x + 18, HEIGHT + 18, name, _INK, "start")
