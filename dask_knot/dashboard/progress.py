"""Progress bars by task prefix, in a terminal or a notebook: all tasks, not only what was asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from html import escape
from importlib import import_module
from typing import Any

from distributed import Client, Future
from distributed.client import futures_of
from distributed.deploy.cluster import Cluster
from distributed.utils import color_of, is_kernel
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from dask_knot.dashboard.steps import Informant, Show, Step, follow
from dask_knot.errors import KnotError
from dask_knot.tracking.snapshot import Count


def progress(*what: Any, notebook: bool | None = None) -> Any:
    """Show a progress bar for each kind of task, until your futures are done.

    `distributed.progress` only counts the futures themselves. This counts every task behind them,
    while it runs inside a job.

    Parameters
    ----------
    *what : futures, persisted collections, lists of them, a KnotCluster, or a Client of one
        What to follow. A cluster or client is followed until nothing runs any more.
    notebook : bool, optional
        True shows HTML and returns right away; False prints text and returns when all is done. The
        default depends on whether this is a notebook.

    Returns
    -------
    None, or an awaitable if the client is asynchronous.

    Raises
    ------
    KnotError
        If the futures don't belong to a KnotCluster.
    TypeError
        If nothing is running for it, because a collection wasn't persisted or it is no collection.

    Examples
    --------
    >>> progress(client.map(square, range(1000)))  # doctest: +SKIP
    """
    if len(what) == 1 and isinstance(what[0], Cluster | Client):
        futures, owner = None, what[0]
    else:
        futures = futures_of(list(what))
        if not futures:
            _refuse_what_does_not_run(what)
            return None
        owner = futures[0].client
    if is_kernel() if notebook is None else notebook:
        owner.loop.add_callback(follow, _asked(owner), futures, _notebook())
        return None
    return owner.sync(_in_terminal, _asked(owner), futures)


def _refuse_what_does_not_run(what: Sequence[Any]) -> None:
    for one in what:
        if not isinstance(one, list | tuple | set | dict) or one:
            raise TypeError(f"{one!r} has no futures to follow: persist or submit it first")


async def _in_terminal(asked: Informant, futures: list[Future] | None) -> None:
    with _terminal() as show:
        await follow(asked, futures, show)


def _asked(owner: Client | Cluster) -> Informant:
    info = owner.scheduler_info(0) if isinstance(owner, Client) else owner.scheduler_info
    kind = info.get("type")
    if kind != "KnotScheduler":
        raise KnotError(
            f"these are of a {kind}, and dask_knot.progress shows what jobs of a KnotCluster run: "
            "use distributed.progress"
        )
    asked: Informant = owner.scheduler if isinstance(owner, Client) else owner.scheduler_comm
    return asked


@contextmanager
def _terminal() -> Iterator[Show]:
    """Draw bars that move; where they can't, in a file, they are written once at the end."""
    ids: dict[str, TaskID] = {}
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[words]}", markup=False),
    )
    with Progress(*columns, console=Console(), auto_refresh=False) as bars:

        def show(step: Step) -> None:
            for name, count, words in rows(step):
                if name not in ids:
                    ids[name] = bars.add_task(name, words=words)
                ended = count.done + count.erred
                bars.update(ids[name], completed=ended, total=count.total, words=words)
            bars.refresh()

        yield show


def _notebook() -> Show:
    ipython: Any = import_module("IPython.display")
    shown = ipython.display(ipython.HTML(""), display_id=True)
    # A kernel tells from the context which cell an output belongs to; updates come from a thread.
    cell = copy_context()
    return lambda step: cell.run(shown.update, ipython.HTML(as_html(step)))


def rows(step: Step) -> list[tuple[str, Count, str]]:
    """Name the bars of a step, with the numbers beside them."""
    found = [(name, count, _words(count)) for name, count in step.tasks.items()]
    if step.futures.total:
        whole = ("futures", step.futures)
    else:
        # With those to be planned, or the bar would go back with each plan.
        whole = ("all tasks", sum(step.tasks.values(), Count(total=step.waiting)))
    waiting = f", {step.waiting} to be planned" if step.waiting else ""
    return [(*whole, _words(whole[1]) + waiting), *found]


def as_html(step: Step) -> str:
    """Draw the bars of a step for a notebook."""
    lines = []
    for name, count, words in rows(step):
        done = 100 * count.done / max(1, count.total)
        erred = 100 * count.erred / max(1, count.total)
        color = color_of(name)
        lines.append(
            f'<tr><td style="text-align:left">{escape(name)}</td><td style="width:20em">'
            '<div style="display:flex; height:1em; background:#8884">'
            f'<div style="width:{done:.1f}%; background:{color}"></div>'
            f'<div style="width:{erred:.1f}%; background:#8c8c8c"></div></div></td>'
            f'<td style="text-align:left">{words}</td></tr>'
        )
    return f"<table>{''.join(lines)}</table>"


def _words(count: Count) -> str:
    erred = f", {count.erred} erred" if count.erred else ""
    return f"{count.done} / {count.total}{erred}"
