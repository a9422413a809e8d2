"""How long a plan takes when each of its tasks takes what is expected: jobs in slots, in order."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import NamedTuple

from dask.typing import Key

from dask_knot.planning.plan import DependencyType, Plan, Stage


class Course(NamedTuple):
    """The course of a plan.

    Attributes
    ----------
    seconds : float
        From its beginning to its end.
    jobs : int
        How many there are.
    busy : float
        Seconds of all jobs, with their starts: these are paid for.
    """

    seconds: float
    jobs: int
    busy: float


def course(
    plan: Plan,
    seconds: Mapping[Key, float],
    slots: int,
    start: float,
    beside: float = 1.0,
    startups: Mapping[str, float] | None = None,
) -> Course:
    """Let a plan run, as jobs are taken: those of earlier stages first, as soon as they may start.

    Parameters
    ----------
    plan : Plan
        The stages.
    seconds : mapping of Key to float
        What each task takes; those that aren't in it, nothing.
    slots : int
        Jobs that run at once.
    start : float
        Seconds that each job takes to start.
    beside : float
        Tasks of a job that run at once, each as fast as if it were alone.
    startups : mapping of str to float, optional
        Seconds that the first task of a prefix takes longer in each job. Of several prefixes the
        largest counts: what they import is mostly the same.
    """
    colder = startups or {}
    free = [0.0] * max(1, slots)
    heapq.heapify(free)
    ends: list[list[float]] = []
    busy = 0.0
    for stage in plan.stages:
        own = []
        for child, shard in enumerate(stage.shards):
            each = [seconds.get(key, 0.0) for key in shard.tasks]
            cold = max((colder.get(prefix, 0.0) for prefix in shard.prefixes), default=0.0)
            taken = start + cold + max(sum(each) / beside, max(each, default=0.0))
            begins = max(heapq.heappop(free), _ready(stage, child, ends))
            heapq.heappush(free, begins + taken)
            own.append(begins + taken)
            busy += taken
        ends.append(own)
    return Course(max(map(max, ends), default=0.0), sum(map(len, ends)), busy)


def _ready(stage: Stage, child: int, ends: list[list[float]]) -> float:
    """Tell when a child may start: when what it waits for has ended."""
    found = [0.0]
    for one in stage.depends_on:
        if type(one.upstream) is int:
            before = ends[one.upstream]
            found.append(before[child] if one.type is DependencyType.N_TO_N else max(before))
    return max(found)
