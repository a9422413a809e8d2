"""Lines over logarithmic axes, as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 760, 460
LEFT, TOP, RIGHT, BOTTOM = 70, 50, 250, 60
COLORS = ("#0b6e99", "#d1495b", "#66a182", "#8d6a9f", "#edae49", "#444444", "#7a9e9f")


@dataclass(frozen=True)
class Line:
    """Points of one name; what was published is dashed, what is simulated is not."""

    name: str
    points: Mapping[int, float]
    is_published: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines over one x axis, whose ticks are the values that were tried."""

    title: str
    across: str
    lines: Sequence[Line]
    note: str = ""

    def svg(self) -> str:
        """Draw it."""
        scale = _Scale(self.lines)
        parts = [_text(LEFT, 24, self.title, 'font-size="16" font-weight="bold"')]
        parts += _axes(scale, self.across)
        for number, one in enumerate(self.lines):
            # What is drawn over another line is thinner: both are seen where they are one.
            over = sum(not other.is_published for other in self.lines[number + 1 :])
            look = _Look(COLORS[number % len(COLORS)], 2.0 if one.is_published else 2.0 + 3 * over)
            parts += _line(one, look, scale, TOP + 10 + 22 * number)
        parts.append(_text(LEFT, HEIGHT - 8, self.note, 'font-size="11" fill="#555"'))
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">'
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>{"".join(parts)}</svg>\n'
        )


@dataclass(frozen=True)
class _Look:
    color: str
    width: float


class _Scale:
    """Where a point of the lines is on the picture."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self.across = sorted({x for line in lines for x in line.points})
        seconds = [y for line in lines for y in line.points.values()]
        self.decades = range(floor(log10(min(seconds))), ceil(log10(max(seconds))) + 1)
        self._span = max(1e-9, log10(self.across[-1] / self.across[0]))

    def x(self, value: float) -> float:
        share = log10(value / self.across[0]) / self._span
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        share = (log10(value) - self.decades[0]) / max(1, len(self.decades) - 1)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def _axes(scale: _Scale, across: str) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for decade in scale.decades:
        height = scale.y(10.0**decade)
        parts.append(_stroke(LEFT, height, right, height, "#ddd"))
        parts.append(_text(LEFT - 6, height + 4, f"{10**decade:,g}", 'text-anchor="end"'))
    last = -100.0
    for value in scale.across:
        place = scale.x(value)
        parts.append(_stroke(place, bottom, place, bottom + 4, "#444"))
        if place - last > 30:
            parts.append(_text(place, bottom + 18, f"{value:,}", 'text-anchor="middle"'))
            last = place
    parts.append(_stroke(LEFT, bottom, right, bottom, "#444"))
    parts.append(_stroke(LEFT, TOP, LEFT, bottom, "#444"))
    parts.append(_text((LEFT + right) / 2, bottom + 36, across, 'text-anchor="middle"'))
    middle = (TOP + bottom) / 2
    turned = f'text-anchor="middle" transform="rotate(-90 16 {middle})"'
    parts.append(_text(16, middle, "seconds", turned))
    return parts


def _line(line: Line, look: _Look, scale: _Scale, legend: int) -> list[str]:
    dash = ' stroke-dasharray="5 4"' if line.is_published else ""
    color, more = look.color, f'{dash} stroke-width="{look.width}"'
    places = [(scale.x(x), scale.y(y)) for x, y in sorted(line.points.items())]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    parts = [f'<polyline points="{path}" fill="none" stroke="{color}"{more}/>']
    fill = "white" if line.is_published else color
    radius = 1.6 + look.width / 1.3
    for (x, y), (value, seconds) in zip(places, sorted(line.points.items()), strict=True):
        told = escape(f"{line.name}: {value:,} in {seconds:,.0f} s")
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="{fill}" stroke="{color}">'
            f"<title>{told}</title></circle>"
        )
    start = WIDTH - RIGHT + 16
    parts.append(_stroke(start, legend - 4, start + 26, legend - 4, color, more))
    words = f"{line.name}{' (published)' if line.is_published else ''}"
    parts.append(_text(start + 32, legend, words))
    return parts


def _stroke(x: float, y: float, to_x: float, to_y: float, color: str, more: str = "") -> str:
    return (
        f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}" stroke="{color}"{more}/>'
    )


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {more}>{escape(words)}</text>'
