"""Steps of tasks until the futures that need them are done: one question after another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from distributed import Future

from dask_knot.tracking.snapshot import Count

#: Seconds between two questions at least.
PAUSE = 0.1
#: So many times what a question takes is waited before the next: it names every open future.
LEISURE = 10


@dataclass(frozen=True, slots=True)
class Step:
    """One step of progress: how far things are.

    Attributes
    ----------
    tasks : dict of str to Count
        By prefix, in the order in which they run.
    waiting : int
        Futures, or without any tasks, that are to be planned.
    futures : Count
        The futures that are followed.
    is_over : bool
        Whether nothing more will come.
    """

    tasks: dict[str, Count]
    waiting: int
    futures: Count
    is_over: bool


Show = Callable[[Step], None]


class Informant(Protocol):
    """A connection to the scheduler."""

    async def knot_progress(self, **question: Any) -> dict[str, Any]:
        """Ask how far things are."""


async def follow(asked: Informant, futures: Sequence[Future] | None, show: Show) -> None:
    """Show how far things are, until the futures are done; without any until nothing runs.

    A future is done when it has a value or an error, or was cancelled or lost. Whether nothing runs
    is asked twice: what was submitted a moment ago may be on its way.
    """
    plans: Sequence[int] = ()
    was_idle = False
    while True:
        start = time.monotonic()
        # Before the question, so that the last answer is complete.
        pending = None if futures is None else [f for f in futures if f.status == "pending"]
        keys = None if pending is None else [future.key for future in pending or futures or ()]
        try:
            answer = await asked.knot_progress(keys=keys, plans=plans)
        except OSError:  # the scheduler is gone, and its futures with it
            return
        plans = answer["plans"]
        is_over = was_idle and answer["is_idle"] if pending is None else not pending
        was_idle = answer["is_idle"]
        tasks = {name: Count(*counts) for name, *counts in answer["tasks"]}
        show(Step(tasks, answer["waiting"], _count(futures or ()), is_over))
        if is_over:
            return
        await asyncio.sleep(max(PAUSE, LEISURE * (time.monotonic() - start)))


def _count(futures: Sequence[Future]) -> Count:
    states = [future.status for future in futures]
    done, pending = states.count("finished"), states.count("pending")
    return Count(done, len(states) - done - pending, len(states))
