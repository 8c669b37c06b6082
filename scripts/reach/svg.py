"""A matrix as SVG 1.1: a row a source, a column a target, the verdict of each by colour and by mark. Sizes are pixels.

Colours follow the reader's light or dark scheme (CSS Media Queries 5, prefers-color-scheme). The same report gives the
same bytes.
"""

from collections.abc import Iterator
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from podwire.scripts.reach.expectation import Judgement
from podwire.scripts.reach.matrix import MEANINGS, Verdict
from podwire.scripts.reach.report import Report
from podwire.scripts.trace.svg import clean

_CELL: Final = 26
_MARGIN: Final = 20
_CHARACTER: Final = 7.2
"""The width of a character, for the widest of the named fonts."""
_SLOPE: Final = 0.72
"""Sine and cosine, rounded up, of the angle at which targets are written."""
_LONGEST: Final = 60
_MARKS: Final[dict[Verdict, str]] = {"reached": "✓", "refused": "X", "no answer": "–", "not probed": "?"}
_CLASSES: Final[dict[Verdict, str]] = {"reached": "r", "refused": "x", "no answer": "n", "not probed": "q"}
_STYLE: Final = """<style>
text{font:12px Verdana,'DejaVu Sans',Geneva,sans-serif;fill:#111827}
.g{fill:#ffffff}.m{text-anchor:middle;font-weight:bold}.e{text-anchor:end}
.r{fill:#bbf7d0}.x{fill:#fecaca}.n{fill:#fde68a}.q{fill:#e5e7eb}.d{fill:none;stroke:#b91c1c;stroke-width:3}
@media (prefers-color-scheme:dark){text{fill:#f3f4f6}
.g{fill:#0d1117}.r{fill:#166534}.x{fill:#991b1b}.n{fill:#854d0e}.q{fill:#4b5563}.d{stroke:#fca5a5}}
</style>"""


def picture(report: Report) -> str:
    """The SVG's text."""
    matrix = report.matrix
    rows, columns = [_cut(each.name) for each in matrix.origins], [_cut(str(each)) for each in matrix.targets]
    left = _MARGIN + round(max(map(len, rows)) * _CHARACTER) + 8
    top = _MARGIN + round(max(map(len, columns)) * _CHARACTER * _SLOPE) + 12
    notes = [matrix.tally(), *filter(None, [report.conclusion()])]
    slanting = left + _CELL * len(columns) + round(len(columns[-1]) * _CHARACTER * _SLOPE)
    width = max(slanting, left + 280, *(round(len(note) * _CHARACTER) for note in notes)) + _MARGIN
    legend = top + _CELL * len(rows) + 16
    height = legend + _CELL * (len(MEANINGS) + report.has_rules) + 20 * len(notes) + _MARGIN
    title = "who reaches whom"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label={quoteattr(title)}>',
            f"<title>{title}</title>",
            _STYLE,
            f'<rect class="g" width="{width}" height="{height}"/>',
            *(_target(name, left + _CELL * index, top) for index, name in enumerate(columns)),
            *(_origin(name, left, top + _CELL * index) for index, name in enumerate(rows)),
            *_cells(report, left, top),
            *_legend(report, left, legend, notes),
            "</svg>",
            "",
        ]
    )


def _cut(name: str) -> str:
    shown = clean(name)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"


def _target(name: str, x: int, y: int) -> str:
    place = f"translate({x + _CELL // 2 + 4} {y - 6}) rotate(-45)"
    return f'<text transform="{place}">{escape(name)}</text>'


def _origin(name: str, x: int, y: int) -> str:
    return f'<text class="e" x="{x - 8}" y="{y + 17}">{escape(name)}</text>'


def _cells(report: Report, left: int, top: int) -> Iterator[str]:
    """In the order of probes: target by target."""
    height = len(report.matrix.origins)
    for index, each in enumerate(report.judgements):
        column, row = divmod(index, height)
        yield _cell(each, left + _CELL * column, top + _CELL * row)


def _cell(each: Judgement, x: int, y: int) -> str:
    result = each.result
    told = f"{result.probe}: {MEANINGS[result.verdict]} ({result.reason})"
    title = f"<title>{escape(clean(str(each) if each.differs else told))}</title>"
    return f"<g>{title}{_box(result.verdict, x, y)}{_frame(x, y) if each.differs else ''}</g>"


def _box(verdict: Verdict, x: int, y: int) -> str:
    size, middle = _CELL - 4, x + _CELL // 2
    box = f'<rect class="{_CLASSES[verdict]}" x="{x + 2}" y="{y + 2}" width="{size}" height="{size}" rx="4"/>'
    return f'{box}<text class="m" x="{middle}" y="{y + 17}">{_MARKS[verdict]}</text>'


def _frame(x: int, y: int) -> str:
    size = _CELL - 4
    return f'<rect class="d" x="{x + 2}" y="{y + 2}" width="{size}" height="{size}" rx="4"/>'


def _legend(report: Report, x: int, y: int, notes: list[str]) -> Iterator[str]:
    for verdict, meaning in MEANINGS.items():
        yield f'{_box(verdict, x, y)}<text x="{x + _CELL + 8}" y="{y + 17}">{meaning}</text>'
        y += _CELL
    if report.has_rules:
        yield f'{_frame(x, y)}<text x="{x + _CELL + 8}" y="{y + 17}">not as the rules want it</text>'
        y += _CELL
    for note in notes:
        yield f'<text x="{_MARGIN}" y="{y + 20}">{escape(clean(note))}</text>'
        y += 20
