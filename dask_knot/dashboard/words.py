"""The numbers and lists of the Knot page, as HTML that fits any width. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from dask.utils import format_bytes
from distributed.utils import color_of

from dask_knot.dashboard.decisiontable import clock
from dask_knot.dashboard.overview import Overview, StageRow
from dask_knot.plural import duration, many
from dask_knot.tracking.snapshot import Count

#: What becomes of a shard, in the order of a bar's layers, and its color.
SHARD_COLORS = {
    "done": "#74c476",
    "running": "#fd8d3c",
    "failed": "#636363",
    "dropped": "#bdbdbd",
    "waiting": "#eeeeee",
}
ERRED, NOT_YET = "#636363", "#eeeeee"

#: Decisions that are shown; `cluster.decisions` has more of them.
DECISIONS = 6
#: Rows that are shown of a list, and prefixes that are named of a stage.
MOST, NAMED = 40, 6

EMPTY = (
    "Nothing has run yet. Compute something with a client of this cluster, and you'll see it here."
)

_TEXT = "font-size:13px; line-height:1.45; overflow-wrap:anywhere"
_HEAD = "font-size:15px; font-weight:600; margin:0 0 6px"
_GRID = (
    "display:grid; gap:8px 28px; grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr))"
)
_CARD = "display:inline-block; margin:4px 28px 4px 0; vertical-align:top"
_LINE = "display:flex; flex-wrap:wrap; gap:0 12px; justify-content:space-between"
_TRACK = f"display:flex; height:8px; margin:2px 0 8px; background:{NOT_YET}"


def summary(now: Overview) -> str:
    """Write the numbers at the top of the page."""
    count = now.count
    erred = f", {count.erred:,} erred" if count.erred else ""
    waiting = f", {now.waiting:,} waiting to be planned" if now.waiting else ""
    cards = {
        "jobs running": f"{now.running:,} of {now.slots:,}",
        "tasks done": f"{count.done:,} of {count.total:,}{erred}{waiting}",
        "in the store": format_bytes(now.stored),
        "jobs have read / written": _moved(now.jobs_moved),
        "this session has read / written": _moved(now.client_moved),
        **({"cost so far": now.cost} if now.cost else {}),
    }
    shown = [
        f'<div style="{_CARD}"><span style="font-size:20px">{escape(value)}</span><br>{name}</div>'
        for name, value in cards.items()
    ]
    return _block("".join(shown))


def stages(now: Overview) -> str:
    """Write what each stage runs, how far it is, and for how long it has run."""
    rows = [_bar(_stage_words(row), _shares(row)) for row in now.stages[-MOST:]]
    return _list("Stages", len(now.stages), rows, _legend(now.stages))


def tasks(now: Overview) -> str:
    """Write how many tasks of each prefix are done, in the colors that Dask's pages give them."""
    rows = [
        _bar(
            _line(f"<b>{escape(prefix)}</b>", _task_words(count)),
            [
                (count.done / count.total, color_of(prefix)),
                (count.erred / count.total, ERRED),
            ],
        )
        for prefix, count in now.tasks.items()
        if count.total
    ]
    return _list("Tasks by prefix", len(rows), rows[-MOST:])


def lists(now: Overview) -> str:
    """Write stages and tasks beside each other, or below where there is no room."""
    if now.is_empty:
        return _block(EMPTY)
    return f'<div style="{_GRID}"><div>{stages(now)}</div><div>{tasks(now)}</div></div>'


def decisions(now: Overview, most: int = DECISIONS) -> str:
    """Write the last changes to plans that were under way, the newest first."""
    last = list(reversed(now.decisions[-most:]))
    if not last:
        return ""
    rows = "".join(f"<div>{clock(each)}&emsp;{escape(each.text)}</div>" for each in last)
    return _block(f'<div style="{_HEAD}">Changes to running plans</div>{rows}')


def all_decisions(now: Overview) -> str:
    """Write all changes that are remembered, or that there are none."""
    return decisions(now, len(now.decisions) or 1) or _block(
        "No plan has been changed while it ran."
    )


def runs(tasks: Mapping[str, Count]) -> str:
    """Say in HTML what a stage runs.

    >>> runs({"square": Count(total=1000), "sum": Count(total=10)})
    'square &times;1,000, sum &times;10'
    """
    kinds = list(tasks.items())
    named = [f"{escape(prefix)} &times;{count.total:,}" for prefix, count in kinds[:NAMED]]
    rest = len(kinds) - NAMED
    return ", ".join([*named, f"and {rest} more"] if rest > 0 else named)


def _stage_words(row: StageRow) -> str:
    facts = [f"{row.done:,} of {many('shard', row.total)} done"]
    facts += [
        f"{getattr(row, state):,} {state}"
        for state in SHARD_COLORS
        if state not in ("done", "waiting") and getattr(row, state)
    ]
    erred = sum(count.erred for count in row.tasks.values())
    facts += [f"{many('task', erred)} erred"] if erred else []
    if row.seconds is not None:
        time = duration(row.seconds)
        facts.append(f"took {time}" if row.is_over else f"{time} so far")
    facts += [row.cost] if row.cost else []
    head = _line(f"<b>{row.name}</b>", escape(" · ".join(facts)))
    return f"{head}<div style='color:#555'>{runs(row.tasks)}</div>"


def _shares(row: StageRow) -> list[tuple[float, str]]:
    return [(getattr(row, state) / row.total, color) for state, color in SHARD_COLORS.items()]


def _task_words(count: Count) -> str:
    return f"{count.done:,} of {count.total:,}" + (
        f", {count.erred:,} erred" if count.erred else ""
    )


def _moved(moved: Mapping[str, int]) -> str:
    return " / ".join(format_bytes(moved.get(way, 0)) for way in ("read", "written"))


def _legend(rows: Sequence[StageRow]) -> str:
    seen = [s for s in SHARD_COLORS if s == "done" or any(getattr(row, s) for row in rows)]
    square = '<span style="background:{}; border:1px solid #ccc">&emsp;</span>&nbsp;{}&emsp;'
    marks = [square.format(SHARD_COLORS[state], state) for state in seen]
    return f"<div>shards: {''.join(marks)}</div>"


def _line(left: str, right: str) -> str:
    return f'<div style="{_LINE}"><span>{left}</span><span>{right}</span></div>'


def _bar(words: str, shares: Iterable[tuple[float, str]]) -> str:
    layers = "".join(
        f'<div style="width:{100 * share:.2f}%; background:{color}"></div>'
        for share, color in shares
        if share
    )
    return f'{words}<div style="{_TRACK}">{layers}</div>'


def _list(title: str, total: int, rows: Sequence[str], foot: str = "") -> str:
    some = f" (the last {MOST} of {total:,})" if total > MOST else ""
    body = "".join(rows) + foot if rows else EMPTY
    return _block(f'<div style="{_HEAD}">{title}{some}</div>{body}')


def _block(html: str) -> str:
    return f'<div style="{_TEXT}; margin:4px 8px 10px">{html}</div>'
