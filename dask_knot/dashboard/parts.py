"""The parts of the Knot page: each alone is a plot that fills the pane that it is opened in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from bokeh.models.widgets import Div

from dask_knot.dashboard import words
from dask_knot.dashboard.charts import Curve, Timeline
from dask_knot.dashboard.overview import Overview
from dask_knot.dashboard.shardtimes import ShardTimes

#: A part alone takes the room that there is.
ALONE: dict[str, Any] = {"sizing_mode": "stretch_both"}

#: Text takes all of the width that its box has.
_WIDE = ".bk-clearfix { display: block; width: 100%; }"


class Part(Protocol):
    """Something that shows an overview.

    Attributes
    ----------
    root : object
        What bokeh draws.
    """

    root: Any

    def show(self, now: Overview) -> None:
        """Show how things are now."""


class TextPart:
    """A part that is text.

    Parameters
    ----------
    write : callable
        Writes an overview as HTML.
    **shape
        Of the text's box.
    """

    def __init__(self, write: Callable[[Overview], str], **shape: Any) -> None:
        self._write = write
        self.root = Div(stylesheets=[_WIDE], **shape)

    def show(self, now: Overview) -> None:
        """Show how things are now."""
        self.root.text = self._write(now)


@dataclass(frozen=True, slots=True)
class Look:
    """Where parts have what they show from.

    Attributes
    ----------
    overview : callable
        Gives what is to be seen now.
    shards : ShardTimes
        When shards ran.
    """

    overview: Callable[[], Overview]
    shards: ShardTimes


def _text(write: Callable[[Overview], str]) -> Callable[[Look], Part]:
    # More rows than there is room for can be scrolled.
    return lambda look: TextPart(write, styles={"overflow-y": "auto"}, **ALONE)


#: What can be opened alone: its name in an address, as in ``/individual-knot-stages``.
ALONE_PARTS: dict[str, Callable[[Look], Part]] = {
    "summary": _text(words.summary),
    "stages": _text(words.stages),
    "tasks": _text(words.tasks),
    "jobs": lambda look: Curve(**ALONE),
    "shards": lambda look: Timeline(look.shards, **ALONE),
    "changes": _text(words.all_decisions),
}
