"""The charts of the Knot page: bars that fill up, and a curve over time."""

from __future__ import annotations

from collections.abc import Sequence
from time import time
from typing import Any

from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    ColumnDataSource,
    DataRange1d,
    HoverTool,
    Range1d,
)
from bokeh.models.annotations import Title
from bokeh.plotting import figure

from dask_knot.dashboard.words import Bar

#: Rows that a chart has room for, and those that it has at least, so that bars keep their height.
MOST, LEAST = 24, 8
#: Points of a curve that are kept.
POINTS = 1200


class Bars:
    """Rows that fill from the left to the right.

    Parameters
    ----------
    title : str
        What they are.
    """

    def __init__(self, title: str) -> None:
        self._name = title
        self._title = Title(text=title)
        self._layers = ColumnDataSource({name: [] for name in _LAYER})
        self._texts = ColumnDataSource({"y": [], "name": [], "text": []})
        self._rows = Range1d(start=-LEAST, end=0)
        self.root = figure(
            title=self._title,
            tools="",
            toolbar_location=None,
            x_range=Range1d(start=0, end=1),
            y_range=self._rows,
            min_width=300,
            min_height=220,
            sizing_mode="stretch_both",
        )
        bars = self.root.quad(
            source=self._layers,
            left="left",
            right="right",
            top="top",
            bottom="bottom",
            fill_color="color",
            fill_alpha=0.7,  # the text on it has to be read on any colour
            line_color=None,
        )
        style: dict[str, Any] = {"text_font_size": "10pt", "text_baseline": "middle"}
        self.root.text(source=self._texts, x=0, y="y", text="name", x_offset=8, **style)
        self.root.text(
            source=self._texts, x=1, y="y", text="text", x_offset=-8, text_align="right", **style
        )
        self.root.axis.visible = False
        self.root.grid.visible = False
        self.root.add_tools(HoverTool(renderers=[bars], tooltips=[("", "@name"), ("", "@text")]))

    def show(self, bars: Sequence[Bar]) -> None:
        """Show these rows; only the last ones when there are too many."""
        hidden = len(bars) - MOST
        some = f" (the last {MOST} of {len(bars)})" if hidden > 0 else ""
        self._title.text = self._name + some
        shown = bars[-MOST:]
        layers: dict[str, list[Any]] = {name: [] for name in _LAYER}
        for number, bar in enumerate(shown):
            left = 0.0
            for share, color in bar.layers:
                row = (left, left + share, -number - 0.1, -number - 0.9, color, bar.name, bar.text)
                for name, value in zip(_LAYER, row, strict=True):
                    layers[name].append(value)
                left += share
        self._layers.data = layers
        self._texts.data = {
            "y": [-number - 0.5 for number in range(len(shown))],
            "name": [bar.name for bar in shown],
            "text": [bar.text for bar in shown],
        }
        self._rows.start = -max(LEAST, len(shown))


_LAYER = ("left", "right", "top", "bottom", "color", "name", "text")


class Curve:
    """A number over time, and its limit.

    Parameters
    ----------
    title : str
        What it is.
    """

    def __init__(self, title: str) -> None:
        self._points = ColumnDataSource({"time": [], "value": [], "limit": []})
        self.root = figure(
            title=title,
            tools="",
            toolbar_location=None,
            x_axis_type="datetime",
            x_range=DataRange1d(follow="end", follow_interval=120_000, range_padding=0),
            y_range=DataRange1d(start=0, range_padding=0.2),
            height=180,
            sizing_mode="stretch_width",
        )
        self.root.varea_step(
            source=self._points, x="time", y1=0, y2="value", color="#e6550d", alpha=0.6
        )
        self.root.line(source=self._points, x="time", y="limit", color="gray", line_dash="dashed")
        self.root.yaxis.ticker = BasicTicker(desired_num_ticks=4, min_interval=1)
        self.root.yaxis.formatter = BasicTickFormatter(use_scientific=False)
        self.root.yaxis.minor_tick_line_color = None
        self.root.xgrid.visible = False

    def add(self, value: float, limit: float) -> None:
        """Add a point for now."""
        point: dict[str, Any] = {"time": [1000 * time()], "value": [value], "limit": [limit]}
        self._points.stream(point, POINTS)
