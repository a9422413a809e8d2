"""Signs of life: a line on the terminal that says how far a cluster is, while somebody waits."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping

from dask_knot.batch.rules import JobStatus
from dask_knot.dashboard.bar import clock
from dask_knot.dashboard.jobtable import ENDED, job_table
from dask_knot.dashboard.terminal import Terminal, is_awaited
from dask_knot.plural import many
from dask_knot.session.session import Session
from dask_knot.tracking.moves import ShardState
from dask_knot.tracking.snapshot import Count, Snapshot

#: Seconds between two looks, at least; and so many times as long as the last one took.
PAUSE, LEISURE = 0.25, 20
#: Batch's states, from the furthest on, and what a person makes of them.
_STATES = {
    JobStatus.RUNNING: "running",
    JobStatus.STARTING: "starting",
    JobStatus.RUNNABLE: "waiting for a machine",
    JobStatus.PENDING: "waiting for others",
    JobStatus.SUBMITTED: "submitted",
}


class SignsOfLife:
    """Shows one cluster's words on a terminal, from some seconds after its work began.

    Parameters
    ----------
    session : Session
        The cluster's.
    terminal : Terminal
        Where they are shown.
    """

    def __init__(self, session: Session, terminal: Terminal) -> None:
        self._session = session
        self._terminal = terminal
        self._since: float | None = None  # it works; else nothing does
        self._began = 0.0  # what is counted now
        self._first = 0  # its first plan
        self._running: set[int] = set()  # plans, at the last look
        self._task: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Begin to look, in the event loop that is running."""
        self._terminal.open(self)
        self.look(time.monotonic())
        self._task = asyncio.ensure_future(self._run())

    def close(self) -> None:
        """Take the words away, and look no more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
            self._terminal.close(self)

    async def _run(self) -> None:
        shown, took = "", 0.0
        while True:
            await asyncio.sleep(max(PAUSE, LEISURE * took))
            start = time.monotonic()
            self.look(start)
            text = self.words(start) if is_awaited() else ""
            took = time.monotonic() - start
            if text != shown:
                shown = text
                # A terminal may be stopped, and then takes nothing.
                await asyncio.to_thread(self._terminal.show, self, text)

    def look(self, now: float) -> None:
        """Find out when the work began that people wait for now: what came before isn't counted."""
        progress = self._session.progress
        before, self._running = self._running, progress.running_plans()
        is_idle = progress.is_idle and not progress.is_taking
        is_next = bool(before) and before.isdisjoint(self._running)  # without an idle look between
        if is_idle or is_next:
            self._first, self._began = min(self._running, default=progress.next_plan), now
        if is_idle:
            self._since = None
        elif self._since is None:
            self._since = self._began = now

    def words(self, now: float) -> str:
        """Say how far the work is; nothing if there was none at the last look, or not for long."""
        progress, settings = self._session.progress, self._session.settings
        if self._since is None or now - self._since < settings.tempo.progress_after:
            return ""
        seen = progress.snapshot(range(self._first, progress.next_plan))
        children = open_children(self._session)
        lost = sum(stage.shards.get(ShardState.FAILED, 0) for stage in seen.stages)
        return line(seen, children, lost, now - self._began)


def open_children(session: Session) -> Counter[str]:
    """Count the children of a session's jobs that aren't over, by Batch's states."""
    known = session.progress.tallies()
    tallies = {id: known[id] for id in session.progress.running_jobs() if id in known}
    children: Counter[str] = Counter()
    for row in job_table(session.jobs, tallies, is_closed=False):
        children.update({name: n for name, n in row.counts.items() if name not in ENDED})
    return children


def line(seen: Snapshot, children: Mapping[str, int], lost: int, seconds: float) -> str:
    """Say how far the present activity is.

    Parameters
    ----------
    seen : Snapshot
        What the tracker knows of it.
    children : mapping of str to int
        Children of the jobs that aren't over, by Batch's states.
    lost : int
        Jobs that were lost; what they didn't do others do.
    seconds : float
        How long it goes on.
    """
    count = sum(seen.tasks.values(), Count(total=seen.waiting))
    if not count.total:
        return f"dask_knot {clock(seconds)}  reading the graph"
    words = [f"{count.done:,} of {many('task', count.total)}"]
    if count.erred:
        words.append(f"{count.erred:,} erred")
    words += _jobs(children) or ["being planned" if seen.waiting else "being submitted"]
    if lost:
        words.append(f"{many('job', lost)} lost")
    return f"dask_knot {clock(seconds)}  {', '.join(words)}"


def _jobs(children: Mapping[str, int]) -> list[str]:
    """Count jobs by state; the word itself stands with the first of them only."""
    found = [
        (count, words)
        for status, words in _STATES.items()
        if (count := children.get(status.value, 0))
    ]
    return [
        f"{many('job', count) if place == 0 else f'{count:,}'} {words}"
        for place, (count, words) in enumerate(found)
    ]
