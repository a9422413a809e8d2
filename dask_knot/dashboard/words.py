"""An overview in words, colours and bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from dask.utils import format_bytes
from distributed.utils import color_of

from dask_knot.dashboard.decisiontable import clock
from dask_knot.dashboard.overview import Overview, StageRow

#: What becomes of a shard, in the order of a bar's layers, and its colour.
SHARD_COLORS = {
    "done": "#74c476",
    "running": "#fd8d3c",
    "failed": "#8c8c8c",
    "dropped": "#d9d9d9",
    "waiting": "#eeeeee",
}
ERRED, NOT_YET = "#8c8c8c", "#eeeeee"

#: Decisions that are shown; `cluster.decisions` has more of them.
DECISIONS = 6

_CARD = "display:inline-block; margin:4px 28px 4px 8px; vertical-align:top; font-size:10pt"


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: a name, layers of (share of the whole, colour) from the left, and what they mean."""

    name: str
    layers: Sequence[tuple[float, str]]
    text: str


def figures(now: Overview) -> str:
    """Write the numbers at the top of the page, and what the colours of shards mean."""
    count = now.count
    erred = f", {count.erred} erred" if count.erred else ""
    waiting = f", {now.waiting} to be planned" if now.waiting else ""
    cards = {
        "jobs running": f"{now.running} of {now.slots}",
        "tasks done": f"{count.done} of {count.total}{erred}{waiting}",
        "stored": format_bytes(now.stored),
        "read and written by jobs": _moved(now.jobs_moved),
        "read and written by this process": _moved(now.client_moved),
        **({"cost so far": now.cost} if now.cost else {}),
    }
    shown = [
        f'<div style="{_CARD}"><span style="font-size:15pt">{value}</span><br>{name}</div>'
        for name, value in cards.items()
    ]
    return "".join([*shown, _legend(now.stages)])


def shard_bars(now: Overview) -> list[Bar]:
    """Draw each stage: its shards by state."""
    return [
        Bar(
            f"stage {row.name}",
            [(getattr(row, state) / row.total, color) for state, color in SHARD_COLORS.items()],
            _states(row),
        )
        for row in now.stages
    ]


def task_bars(now: Overview) -> list[Bar]:
    """Draw each prefix: its tasks that are done, in the colour that Dask's pages give it."""
    return [
        Bar(
            prefix,
            [
                (count.done / count.total, color_of(prefix)),
                (count.erred / count.total, ERRED),
                ((count.total - count.done - count.erred) / count.total, NOT_YET),
            ],
            f"{count.done} / {count.total}" + (f", {count.erred} erred" if count.erred else ""),
        )
        for prefix, count in now.tasks.items()
    ]


def decisions(now: Overview) -> str:
    """Write the last decisions about plans that are under way, the newest first."""
    last = list(reversed(now.decisions[-DECISIONS:]))
    if not last:
        return ""
    rows = "".join(f"<div>{clock(each)}&emsp;{escape(each.text)}</div>" for each in last)
    return f'<div style="margin:4px 8px; font-size:10pt"><b>Decided on the way</b>{rows}</div>'


def _states(row: StageRow) -> str:
    others = [
        f"{getattr(row, state)} {state}"
        for state in SHARD_COLORS
        if state not in ("done", "waiting") and getattr(row, state)
    ]
    return ", ".join([f"{row.done} / {row.total}", *others])


def _moved(moved: Mapping[str, int]) -> str:
    return " / ".join(format_bytes(moved.get(way, 0)) for way in ("read", "written"))


def _legend(stages: Iterable[StageRow]) -> str:
    rows = list(stages)
    seen = [s for s in SHARD_COLORS if s == "done" or any(getattr(row, s) for row in rows)]
    square = '<span style="background:{}; opacity:0.7">&emsp;</span>&nbsp;{}&emsp;'
    marks = [square.format(SHARD_COLORS[state], state) for state in seen]
    return f'<div style="margin:4px 8px; font-size:10pt">shards: {"".join(marks)}</div>'
