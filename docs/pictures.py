"""Writes the pictures of ``how-it-works.md`` and the logo: ``python docs/pictures.py``.

Each picture is plain SVG, in two colorings, for light and for dark pages. It is narrow, so that its
words can be read on a phone. A test holds that the files are what this writes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from html import escape
from pathlib import Path

HERE = Path(__file__).parent
WIDTH = 480
#: What the colors of a picture are called, on light and on dark pages.
COLORS = {
    "light": {
        "ink": "#1f2933",
        "faint": "#5b6875",
        "panel": "#f3f5f8",
        "edge": "#c3ccd6",
        "you": "#2f6fdb",
        "store": "#b7791f",
        "job": "#1f8a5b",
        "bad": "#c9372c",
        "paper": "#ffffff",
    },
    "dark": {
        "ink": "#e8edf2",
        "faint": "#a8b3bf",
        "panel": "#1d2530",
        "edge": "#46525f",
        "you": "#7fb0ff",
        "store": "#f0bd5c",
        "job": "#5fd39d",
        "bad": "#ff8a80",
        "paper": "#121820",
    },
}


class Picture:
    """A drawing that grows by shapes, in the colors of one kind of page."""

    def __init__(self, height: int, title: str, colors: dict[str, str]) -> None:
        self.height, self.title, self.colors = height, title, colors
        self.shapes: list[str] = []

    def box(self, x: float, y: float, w: float, h: float, color: str = "edge", **more: str) -> None:
        """Draw a rounded box; `fill` is a color of ours, too."""
        fill = self.colors[more.get("fill", "panel")]
        dash = f' stroke-dasharray="{more["dash"]}"' if "dash" in more else ""
        self.shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="7" fill="{fill}"'
            f' stroke="{self.colors[color]}" stroke-width="1.5"{dash}/>'
        )

    def words(self, x: float, y: float, text: str, color: str = "ink", **more: str) -> None:
        """Write a line; `at` is start, middle or end, `size` its pixels, `weight` a number."""
        self.shapes.append(
            f'<text x="{x:g}" y="{y:g}" fill="{self.colors[color]}"'
            f' text-anchor="{more.get("at", "middle")}" font-size="{more.get("size", "14")}"'
            f' font-weight="{more.get("weight", "400")}">{escape(text)}</text>'
        )

    def dot(self, x: float, y: float, color: str = "job", radius: float = 8) -> None:
        """Draw a task."""
        self.shapes.append(
            f'<circle cx="{x:g}" cy="{y:g}" r="{radius:g}" fill="{self._of(color)}"/>'
        )

    def line(self, points: Iterable[tuple[float, float]], color: str, **more: str) -> None:
        """Draw a line through points, with the tip of an arrow unless `tip` is empty."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        tip = "" if more.get("tip") == "" else f' marker-end="url(#tip-{color})"'
        dash = f' stroke-dasharray="{more["dash"]}"' if "dash" in more else ""
        self.shapes.append(
            f'<polyline points="{path}" fill="none" stroke="{self._of(color)}"'
            f' stroke-width="{more.get("width", "1.8")}"{dash}{tip}/>'
        )

    def bar(self, x: float, y: float, w: float, color: str, text: str = "") -> None:
        """Draw work on a line of time."""
        self.shapes.append(
            f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="22" rx="4" fill="{self._of(color)}"/>'
        )
        if text:
            self.words(x + w / 2, y + 16, text, "paper", size="13", weight="600")

    def cross(self, x: float, y: float) -> None:
        """Mark what is lost."""
        for turn in (1, -1):
            ends = [(x - 6, y - 6 * turn), (x + 6, y + 6 * turn)]
            self.line(ends, "bad", tip="", width="3")

    def svg(self) -> str:
        """Write the file."""
        tips = "".join(
            f'<marker id="tip-{name}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7"'
            f' markerHeight="7" orient="auto-start-reverse">'
            f'<path d="M0 0L10 5L0 10z" fill="{color}"/></marker>'
            for name, color in self.colors.items()
        )
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}"'
            f' width="{WIDTH}" height="{self.height}" role="img"'
            ' font-family="system-ui, -apple-system, Segoe UI, Roboto, DejaVu Sans, sans-serif">'
        )
        body = [f"<title>{escape(self.title)}</title>", f"<defs>{tips}</defs>", *self.shapes]
        return "\n".join([head, *body, "</svg>"]) + "\n"

    def _of(self, color: str) -> str:
        return self.colors[color]


def path_of_data(colors: dict[str, str]) -> Picture:
    """Draw who talks to whom: your process, the store, the jobs."""
    drawn = Picture(452, "Your process, the store, and the jobs", colors)
    drawn.box(10, 10, 460, 106, "you")
    drawn.words(26, 34, "Your process", "you", at="start", weight="700")
    drawn.words(454, 34, "script or notebook", "faint", at="end", size="13")
    for x, text in ((26, "Dask client"), (178, "Dask scheduler"), (330, "planner")):
        drawn.box(x, 54, 124, 42, "edge", fill="paper")
        drawn.words(x + 62, 80, text)
    drawn.line([(150, 75), (176, 75)], "you")
    drawn.line([(302, 75), (328, 75)], "you")
    drawn.box(10, 184, 340, 84, "store")
    drawn.words(26, 208, "Store", "store", at="start", weight="700")
    drawn.words(190, 208, "S3 or a folder", "faint", at="start", size="12")
    for x, text in ((26, "tasks"), (132, "manifests"), (238, "values")):
        drawn.box(x, 220, 96, 34, "edge", fill="paper")
        drawn.words(x + 48, 242, text)
    drawn.box(10, 336, 460, 106, "job")
    drawn.words(26, 360, "Jobs", "job", at="start", weight="700")
    drawn.words(454, 360, "AWS Batch, or this machine", "faint", at="end", size="13")
    for x, text in ((26, "job"), (108, "job"), (190, "job"), (272, "job")):
        drawn.box(x, 378, 70, 44, "edge", fill="paper")
        drawn.words(x + 35, 405, text)
    drawn.words(400, 400, "one array job", "faint", size="13")
    drawn.words(400, 417, "is one stage", "faint", size="13")
    drawn.line([(100, 118), (100, 217)], "you")
    drawn.words(108, 154, "shards", "you", at="start", size="13")
    drawn.line([(180, 218), (180, 119)], "store")
    drawn.words(188, 146, "what is", "store", at="start", size="13")
    drawn.words(188, 162, "done", "store", at="start", size="13")
    drawn.line([(286, 218), (286, 119)], "store")
    drawn.words(294, 146, "results, when", "store", at="start", size="13")
    drawn.words(294, 162, "you ask", "store", at="start", size="13")
    drawn.line([(420, 98), (420, 333)], "you")
    drawn.words(412, 226, "submit", "you", at="end", size="13")
    drawn.line([(100, 255), (100, 333)], "job")
    drawn.words(108, 302, "read", "job", at="start", size="13")
    drawn.line([(180, 334), (180, 257)], "job")
    drawn.words(188, 302, "write", "job", at="start", size="13")
    drawn.line([(286, 334), (286, 257)], "job")
    drawn.line([(270, 257), (270, 333)], "job")
    drawn.words(294, 302, "read and write", "job", at="start", size="13")
    return drawn


def _graph(drawn: Picture, top: float, gap: float, color: str) -> None:
    """Draw two steps side by side, joined in groups of two, and joined to one."""
    columns = [45 + 52 * number for number in range(8)]
    rows = (top, top + 42, top + 84, top + 84 + gap)
    for left, right in zip(columns[::2], columns[1::2], strict=True):
        middle = (left + right) / 2
        for x in (left, right):
            drawn.line([(x, rows[0] + 8), (x, rows[1] - 9)], "faint")
            drawn.line([(x, rows[1] + 8), (middle, rows[2] - 9)], "faint")
            drawn.dot(x, rows[0], color)
            drawn.dot(x, rows[1], color)
        drawn.line([(middle, rows[2] + 8), (227, rows[3] - 10)], "faint")
        drawn.dot(middle, rows[2], color)
    drawn.dot(227, rows[3], color)


def cut(colors: dict[str, str]) -> Picture:
    """Draw a graph, and the same graph cut into stages of shards."""
    drawn = Picture(506, "A graph of 21 tasks, and its plan of two stages and five jobs", colors)
    drawn.words(10, 22, "Your graph: 21 tasks", "ink", at="start", weight="700")
    for y, text in ((60, "load"), (102, "clean"), (144, "add"), (190, "mean")):
        drawn.words(470, y + 4, text, "faint", at="end", size="13")
    drawn.line([(10, 226), (470, 226)], "edge", tip="", dash="4 4")
    _graph(drawn, 56, 44, "you")
    drawn.words(10, 254, "Its plan: two stages, five jobs", "ink", at="start", weight="700")
    drawn.box(10, 266, 460, 152, "job")
    drawn.words(24, 286, "stage 0.0", "job", at="start", weight="700", size="13")
    drawn.words(456, 286, "an array job: four shards", "faint", at="end", size="13")
    for number in range(4):
        drawn.box(27 + 104 * number, 296, 88, 114, "edge", fill="paper")
    drawn.box(10, 444, 460, 52, "job")
    drawn.box(184, 452, 86, 36, "edge", fill="paper")
    drawn.words(24, 474, "stage 0.1", "job", at="start", weight="700", size="13")
    drawn.words(456, 474, "one shard, one job", "faint", at="end", size="13")
    _graph(drawn, 312, 74, "job")
    drawn.words(470, 436, "through the store", "store", at="end", size="13")
    return drawn


def failure(colors: dict[str, str]) -> Picture:
    """Draw three jobs over time, of which one loses its machine."""
    drawn = Picture(318, "A job loses its machine; a second attempt does the rest", colors)
    drawn.words(
        10, 22, "A machine goes away: only the rest runs again", "ink", at="start", weight="700"
    )
    for number in range(3):
        y = 40 + 40 * number
        drawn.words(10, y + 16, f"shard {number}", "faint", at="start", size="13")
    drawn.bar(74, 40, 180, "job", "done")
    drawn.bar(74, 80, 96, "job", "committed")
    drawn.bar(170, 80, 34, "bad")
    drawn.cross(214, 91)
    drawn.bar(262, 80, 92, "job", "the rest")
    drawn.words(308, 72, "second attempt", "faint", size="13")
    drawn.bar(74, 120, 158, "job", "done")
    drawn.words(10, 176, "stage 0.1", "faint", at="start", size="13")
    drawn.line([(356, 91), (374, 91), (374, 157)], "faint")
    drawn.bar(368, 160, 92, "job", "runs")
    drawn.line([(74, 208), (466, 208)], "faint")
    drawn.words(470, 226, "time", "faint", at="end", size="13")
    drawn.bar(74, 244, 22, "job")
    drawn.words(104, 260, "written to the store, and kept", "ink", at="start", size="13")
    drawn.bar(74, 276, 22, "bad")
    drawn.words(104, 292, "lost with the machine, and run again", "ink", at="start", size="13")
    return drawn


def laptop(colors: dict[str, str]) -> Picture:
    """Draw a run that goes on while the laptop is closed."""
    drawn = Picture(312, "Jobs go on while the laptop is closed", colors)
    drawn.box(176, 34, 168, 206, "edge", fill="panel", dash="4 4")
    drawn.words(260, 24, "laptop closed", "faint", size="13")
    for y, text in ((50, "you"), (100, "stage 0.0"), (140, "stage 0.1"), (180, "stage 0.2")):
        drawn.words(10, y + 16, text, "faint", at="start", size="13")
    drawn.bar(84, 50, 86, "you", "submit")
    drawn.bar(350, 50, 112, "you", "open again")
    drawn.bar(122, 100, 92, "job", "4 jobs")
    drawn.bar(218, 140, 72, "job", "2 jobs")
    drawn.bar(294, 180, 42, "job", "1")
    drawn.line([(112, 74), (112, 111), (120, 111)], "you")
    drawn.line([(200, 124), (200, 151), (216, 151)], "job")
    drawn.line([(276, 164), (276, 191), (292, 191)], "job")
    drawn.words(10, 228, "store", "faint", at="start", size="13")
    drawn.bar(84, 212, 378, "store", "tasks, manifests, values")
    drawn.line([(406, 210), (406, 76)], "store")
    drawn.words(414, 150, "results", "store", at="start", size="13")
    drawn.line([(74, 262), (466, 262)], "faint")
    drawn.words(470, 280, "time", "faint", at="end", size="13")
    drawn.words(
        240, 302, "AWS Batch starts each stage when the one before is done.", "ink", size="13"
    )
    return drawn


def logo() -> str:
    """Write the knot: a trefoil, whose line has gaps where it passes under itself."""
    under, third, gap = 0.272, 2 * math.pi / 3, 0.16
    parts = []
    for number in range(3):
        start = under + number * third
        times = [start + gap + (third - 2 * gap) * step / 40 for step in range(41)]
        points = [
            (
                32 + 9.2 * (math.sin(t) + 2 * math.sin(2 * t)),
                34 - 9.2 * (math.cos(t) - 2 * math.cos(2 * t)),
            )
            for t in times
        ]
        path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
        parts.append(f'<path d="M{path}"/>')
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" role="img"'
        ' aria-label="dask_knot"><g fill="none" stroke="#ef6b3b" stroke-width="6">'
        + "".join(parts)
        + "</g></svg>\n"
    )


def pictures() -> dict[str, str]:
    """Draw all: what is in each file, by its path in this folder."""
    files = {"_static/logo.svg": logo()}
    drawings = {"path": path_of_data, "cut": cut, "failure": failure, "laptop": laptop}
    for name, draw in drawings.items():
        for kind, colors in COLORS.items():
            files[f"images/how-{name}-{kind}.svg"] = draw(colors).svg()
    return files


if __name__ == "__main__":
    for path, text in pictures().items():
        (HERE / path).write_text(text)
