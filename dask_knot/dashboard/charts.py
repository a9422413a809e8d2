"""The charts of the Knot page: jobs over time, and a bar for each shard."""

from __future__ import annotations

from time import localtime, time
from typing import Any

from bokeh.models import (
    BasicTicker,
    BasicTickFormatter,
    ColumnDataSource,
    DataRange1d,
    HoverTool,
)
from bokeh.palettes import Category10
from bokeh.plotting import figure

from dask_knot.dashboard.overview import Overview
from dask_knot.dashboard.shardtimes import ShardTime, ShardTimes
from dask_knot.plural import duration, many
from dask_knot.run.names import ShardId
from dask_knot.tracking.words import child_name

#: Points of a curve that are kept.
POINTS = 1200
#: Pixels of a chart on the page; alone it has all of its pane.
HEIGHT = 190

_ERRED, _COLORS = "#636363", Category10[7]


class Curve:
    """Jobs that run, over time, and how many may run at once.

    Parameters
    ----------
    **shape
        Of the figure, such as its height.
    """

    def __init__(self, **shape: Any) -> None:
        self._points = ColumnDataSource({"time": [], "value": [], "limit": []})
        self.root = figure(
            title="Jobs running",
            tools="",
            toolbar_location=None,
            x_axis_type="datetime",
            x_range=DataRange1d(follow="end", follow_interval=120_000, range_padding=0),
            y_range=DataRange1d(start=0, range_padding=0.2),
            **shape,
        )
        self.root.varea_step(
            source=self._points, x="time", y1=0, y2="value", color="#e6550d", alpha=0.6
        )
        self.root.line(source=self._points, x="time", y="limit", color="gray", line_dash="dashed")
        self.root.yaxis.ticker = BasicTicker(desired_num_ticks=4, min_interval=1)
        self.root.yaxis.formatter = BasicTickFormatter(use_scientific=False)
        self.root.yaxis.minor_tick_line_color = None
        self.root.xgrid.visible = False

    def show(self, now: Overview) -> None:
        """Add a point for now."""
        point: dict[str, Any] = {
            "time": [_on_axis(time())],
            "value": [now.running],
            "limit": [now.slots],
        }
        self._points.stream(point, POINTS)


class Timeline:
    """A bar for each shard, from its first task to its last, in the slot that it ran in.

    Parameters
    ----------
    times : ShardTimes
        When shards ran.
    **shape
        Of the figure, such as its height.
    """

    def __init__(self, times: ShardTimes, **shape: Any) -> None:
        self._times = times
        self._seen = -1
        self._shards = ColumnDataSource({name: [] for name in _COLUMNS})
        self.root = figure(
            title="Shards over time, by slot",
            tools="xpan,xwheel_zoom,reset",
            x_axis_type="datetime",
            y_range=DataRange1d(range_padding=0.05, start=-0.5),
            **shape,
        )
        bars = self.root.hbar(
            source=self._shards,
            y="slot",
            left="first",
            right="last",
            height=0.8,
            fill_color="color",
            line_color="white",
        )
        self.root.yaxis.ticker = BasicTicker(desired_num_ticks=4, min_interval=1)
        self.root.yaxis.minor_tick_line_color = None
        self.root.grid.visible = False
        rows = [("", "@name"), ("", "@words")]
        self.root.add_tools(HoverTool(renderers=[bars], tooltips=rows))

    def show(self, now: Overview) -> None:
        """Show the shards that told last."""
        times = self._times
        if times.changes != self._seen:
            self._seen = times.changes
            rows = [_bar(id, shard) for id, shard in list(times.shards.items())]
            self._shards.data = {name: [row[name] for row in rows] for name in _COLUMNS}


_COLUMNS = ("slot", "first", "last", "color", "name", "words")


def _on_axis(seconds: float) -> float:
    """Give a time in milliseconds, by the clock on the wall: bokeh knows of no time zones."""
    return 1000 * (seconds + localtime(seconds).tm_gmtoff)


def _bar(id: ShardId, shard: ShardTime) -> dict[str, Any]:
    color = _COLORS[(3 * id.stage.plan + id.stage.stage) % len(_COLORS)]
    erred = f", {shard.erred:,} erred" if shard.erred else ""
    took = f"{'took ' if shard.is_done else ''}{duration(shard.last - shard.first)}"
    return {
        "slot": shard.slot,
        "first": _on_axis(shard.first),
        "last": _on_axis(shard.last),
        "color": _ERRED if shard.erred else color,
        "name": child_name(id),
        "words": f"{many('task', shard.tasks)}{erred}, {took}",
    }
