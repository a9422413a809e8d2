"""One line of words about what goes on: what people read while they wait. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from dask_knot.plural import many
from dask_knot.tracking.snapshot import Count, Snapshot

#: Batch's states, from the furthest on, and what a person makes of them.
_STATES = {
    "RUNNING": "running",
    "STARTING": "starting",
    "RUNNABLE": "waiting for a machine",
    "PENDING": "waiting for others",
    "SUBMITTED": "submitted",
}


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
        return f"dask_knot {_clock(seconds)}  reading the graph"
    words = [f"{count.done:,} of {many('task', count.total)}"]
    if count.erred:
        words.append(f"{count.erred:,} erred")
    words += _jobs(children) or ["being planned" if seen.waiting else "being submitted"]
    if lost:
        words.append(f"{many('job', lost)} lost")
    return f"dask_knot {_clock(seconds)}  {', '.join(words)}"


def _jobs(children: Mapping[str, int]) -> list[str]:
    """Count jobs by state; the word itself stands with the first of them only."""
    found = [(children[state], words) for state, words in _STATES.items() if children.get(state)]
    return [
        f"{many('job', count) if place == 0 else f'{count:,}'} {words}"
        for place, (count, words) in enumerate(found)
    ]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
