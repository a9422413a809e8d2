"""Boxes from top to bottom with arrows between them, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from distributed.utils import color_of

WIDTH, PADDING, LINE, BAR = 620, 10, 18, 10
#: Between two boxes there is an arrow with its words.
GAP = 36
#: How far an arrow that passes boxes goes round them, for each box that it passes.
DETOUR, MARGIN = 26, 190


@dataclass(frozen=True, slots=True)
class Box:
    """A title, lines below it, and a bar whose parts are so large."""

    title: str
    lines: Sequence[str]
    parts: Mapping[str, int]

    @property
    def height(self) -> int:
        """Its height in pixels."""
        return 2 * PADDING + LINE * (1 + len(self.lines)) + BAR


@dataclass(frozen=True, slots=True)
class Arrow:
    """From one box to a later one, with some words."""

    source: int
    target: int
    words: str


def draw(boxes: Sequence[Box], arrows: Sequence[Arrow]) -> str:
    """Draw boxes and arrows."""
    tops = [4]
    for box in boxes:
        tops.append(tops[-1] + box.height + GAP)
    height = tops[-1] - GAP + 4
    spans = [(top, top + box.height) for top, box in zip(tops, boxes, strict=False)]
    shapes = [_box(box, top) for box, (top, _) in zip(boxes, spans, strict=True)]
    shapes += [_arrow(arrow, spans) for arrow in arrows]
    far = max([arrow.target - arrow.source for arrow in arrows], default=1)
    width = WIDTH + 8 + (0 if far < 2 else MARGIN + DETOUR * min(far, 8))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">'
        '<defs><marker id="knot-tip" markerWidth="8" markerHeight="8" refX="7" refY="4" '
        'orient="auto"><path d="M0,0 L8,4 L0,8 z" fill="#666"/></marker></defs>'
        f'<rect width="{width}" height="{height}" fill="white"/>{"".join(shapes)}</svg>'
    )


def _box(box: Box, top: int) -> str:
    shapes = [
        f'<rect x="4" y="{top}" width="{WIDTH}" height="{box.height}" rx="6" '
        'fill="#f7f7f7" stroke="#999"/>',
        _text(4 + PADDING, top + PADDING + 12, box.title, ' font-weight="bold"'),
    ]
    for number, line in enumerate(box.lines, start=1):
        shapes.append(_text(4 + PADDING, top + PADDING + 12 + number * LINE, line))
    left, whole = 4.0 + PADDING, sum(box.parts.values())
    for name, size in box.parts.items():
        width = (WIDTH - 2 * PADDING) * size / whole
        shapes.append(
            f'<rect x="{left:.1f}" y="{top + box.height - PADDING - BAR}" width="{width:.1f}" '
            f'height="{BAR}" fill="{color_of(name)}"><title>{size} {escape(name)}</title></rect>'
        )
        left += width
    return "".join(shapes)


def _arrow(arrow: Arrow, spans: Sequence[tuple[int, int]]) -> str:
    style = 'fill="none" stroke="#666" marker-end="url(#knot-tip)"'
    if arrow.target == arrow.source + 1:
        start, stop = spans[arrow.source][1], spans[arrow.target][0]
        line = f'<path d="M40,{start} L40,{stop}" {style}/>'
        return line + _text(50, (start + stop) // 2 + 4, arrow.words)
    start, stop = (sum(spans[end]) // 2 for end in (arrow.source, arrow.target))
    edge = WIDTH + 4
    out = edge + DETOUR * min(arrow.target - arrow.source, 8)
    line = f'<path d="M{edge},{start} C{out},{start} {out},{stop} {edge},{stop}" {style}/>'
    return line + _text(out - DETOUR // 4, (start + stop) // 2, arrow.words)


def _text(x: int, y: int, words: str, more: str = "") -> str:
    return f'<text x="{x}" y="{y}"{more}>{escape(words)}</text>'
