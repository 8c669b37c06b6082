"""A sequence diagram as SVG 1.1: the same diagram gives the same bytes. Sizes are pixels.

Widths of texts are estimated for the widest of the named fonts, so that nothing is cut off where another is there.
"""

import re
import textwrap
from typing import Final
from xml.sax.saxutils import escape, quoteattr

from podwire.scripts.trace.sequence import Arrow, Diagram, Heading, Note, Step

_COLUMN: Final = 264
_MARGIN: Final = 24
_HEAD_TOP, _HEAD_HEIGHT = 56, 48
_LINE: Final = 15
_NOTE_WIDTH: Final = 244
_NOTE_CHARACTERS: Final = 37
_SMALL: Final = 11
_CHARACTER: Final = 6.7
"""The width of a character of the small size."""
_FONT: Final = "font-family=\"Verdana,'DejaVu Sans',Geneva,sans-serif\""
_NODES: Final = ("#dbeafe", "#dcfce7", "#fef3c7", "#fce7f3", "#ede9fe", "#e0f2fe")
_TONES: Final = {
    "translation": ("#fff7ed", "#c2410c"),
    "tunnel": ("#f5f3ff", "#6d28d9"),
    "drop": ("#fef2f2", "#b91c1c"),
    "end": ("#f0fdf4", "#15803d"),
}
_NOT_XML: Final = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Production 2 of XML 1.0, the other way round."""
_INK, _GREY, _LINE_COLOUR = "#111827", "#4b5563", "#9ca3af"


def render(diagram: Diagram) -> str:
    """The SVG's text."""
    width = 2 * _MARGIN + _COLUMN * max(len(diagram.participants), 3)
    body, bottom = _steps(diagram, width)
    height = bottom + (44 if diagram.outcome else 20)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label={quoteattr(clean(diagram.title))} {_FONT}>',
        f"<title>{escape(clean(diagram.title))}</title>",
        _defs(),
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        _text(_MARGIN, 32, diagram.title, size=16, weight="bold", limit=int((width - 2 * _MARGIN) / 9.8)),
        *_lifelines(diagram, bottom),
        *body,
    ]
    if diagram.outcome:
        parts.append(_text(_MARGIN, bottom + 24, diagram.outcome, size=13, weight="bold"))
    return "\n".join([*parts, "</svg>", ""])


def clean(text: str) -> str:
    """A text without the characters that XML 1.0 cannot hold."""
    return _NOT_XML.sub("", text)


def _defs() -> str:
    heads = "".join(
        f'<marker id="{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" '
        f'orient="auto-start-reverse"><path d="M0,0 L10,5 L0,10 z" fill="{colour}"/></marker>'
        for name, colour in (("arrow", _INK), ("tunnel", _TONES["tunnel"][1]))
    )
    return f"<defs>{heads}</defs>"


def _x(participant: int) -> int:
    return _MARGIN + _COLUMN * participant + _COLUMN // 2


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = _SMALL,
    fill: str = _INK,
    anchor: str = "start",
    weight: str = "normal",
    limit: int = 0,
) -> str:
    shown = clean(text)
    if limit and len(shown) > limit:
        shown = shown[: limit - 1] + "…"
    return (
        f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{fill}" text-anchor="{anchor}" '
        f'font-weight="{weight}">{escape(shown)}</text>'
    )


# -- who takes part


def _lifelines(diagram: Diagram, bottom: int) -> list[str]:
    nodes = list(dict.fromkeys(each.node for each in diagram.participants))
    parts = []
    for index, each in enumerate(diagram.participants):
        x, colour = _x(index), _NODES[nodes.index(each.node) % len(_NODES)]
        left = x - _NOTE_WIDTH // 2
        parts += [
            f'<line x1="{x}" y1="{_HEAD_TOP + _HEAD_HEIGHT}" x2="{x}" y2="{bottom}" stroke="{_LINE_COLOUR}" '
            'stroke-dasharray="4 4"/>',
            f'<rect x="{left}" y="{_HEAD_TOP}" width="{_NOTE_WIDTH}" height="{_HEAD_HEIGHT}" rx="6" '
            f'fill="{colour}" stroke="{_LINE_COLOUR}"/>',
            _text(x, _HEAD_TOP + 20, each.node, size=13, anchor="middle", weight="bold", limit=28),
            _text(x, _HEAD_TOP + 38, _whose(each.netns), fill=_GREY, anchor="middle", limit=_NOTE_CHARACTERS),
        ]
    return parts


def _whose(netns: str) -> str:
    return f"pod {netns}" if netns else "host namespace"


# -- what happens


def _steps(diagram: Diagram, width: int) -> tuple[list[str], int]:
    """The steps' elements, and where they end."""
    parts: list[str] = []
    y = _HEAD_TOP + _HEAD_HEIGHT + 16
    for step in diagram.steps:
        elements, height = _step(step, y, width)
        parts += elements
        y += height
    return parts, y


def _step(step: Step, y: int, width: int) -> tuple[list[str], int]:
    if isinstance(step, Heading):
        return _heading(step, y, width)
    if isinstance(step, Arrow):
        return _arrow(step, y)
    return _note(step, y)


def _heading(step: Heading, y: int, width: int) -> tuple[list[str], int]:
    inside = width - 2 * _MARGIN
    box = f'<rect x="{_MARGIN}" y="{y}" width="{inside}" height="24" rx="4" fill="#f3f4f6" stroke="#d1d5db"/>'
    title = _text(_MARGIN + 10, y + 16, step.title, size=12, weight="bold")
    begin = 28 + int(len(step.title) * 8.3)
    limit = int((inside - begin) / _CHARACTER)
    return [box, title, _text(_MARGIN + begin, y + 16, step.summary, limit=limit)], 34


def _arrow(step: Arrow, y: int) -> tuple[list[str], int]:
    one, other = _x(step.source), _x(step.target)
    middle, span = (one + other) / 2, abs(other - one)
    colour, head = (_TONES["tunnel"][1], "tunnel") if step.in_tunnel else (_INK, "arrow")
    fitting = int(max(span, _COLUMN) / _CHARACTER) - 2
    detail = [line for text in step.detail for line in _wrapped(text, fitting)]
    line = (
        f'<line x1="{one}" y1="{y + 20}" x2="{other}" y2="{y + 20}" stroke="{colour}" stroke-width="1.6" '
        f'marker-end="url(#{head})"/>'
    )
    parts = [_halo(middle, y + 4, step.label), _text(middle, y + 14, step.label, anchor="middle"), line]
    for number, text in enumerate(detail):
        at = y + 34 + number * _LINE
        parts += [_halo(middle, at - 10, text), _text(middle, at, text, fill=_GREY, anchor="middle")]
    return parts, 30 + _LINE * len(detail) + 6


def _halo(middle: float, top: float, text: str) -> str:
    """A white ground, so that lifelines do not run through a text."""
    width = len(text) * _CHARACTER
    return f'<rect x="{middle - width / 2:g}" y="{top:g}" width="{width:g}" height="13" fill="#ffffff"/>'


def _wrapped(text: str, characters: int) -> list[str]:
    return textwrap.wrap(clean(text), characters, break_on_hyphens=False) or [""]


def _note(step: Note, y: int) -> tuple[list[str], int]:
    fill, ink = _TONES[step.tone]
    lines = [(line, not index) for index, text in enumerate(step.lines) for line in _wrapped(text, _NOTE_CHARACTERS)]
    height = _LINE * len(lines) + 10
    left = _x(step.at) - _NOTE_WIDTH // 2
    parts = [f'<rect x="{left}" y="{y}" width="{_NOTE_WIDTH}" height="{height}" rx="4" fill="{fill}" stroke="{ink}"/>']
    for number, (line, is_first) in enumerate(lines):
        colour, weight = (ink, "bold") if is_first else (_INK, "normal")
        parts.append(_text(left + 8, y + 16 + number * _LINE, line, fill=colour, weight=weight))
    return parts, height + 8
