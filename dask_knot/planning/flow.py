"""How much work lies behind a task, and where so much fans out that the readers should spread."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from dask_knot.planning.graph import Graph
from dask_knot.planning.request import Limits


@dataclass(frozen=True, slots=True)
class Flow:
    """The work behind each task.

    Attributes
    ----------
    weights : list of float
        A task's own seconds and its share of those of all tasks that need it.
    parallel : list of float
        The seconds behind a task that can run side by side; 0 if one reader has most of them.
    hubs : bytearray
        1 where those seconds are more than one slot's part of the whole plan.
    """

    weights: list[float]
    parallel: list[float]
    hubs: bytearray


def measure_flow(graph: Graph, limits: Limits) -> Flow:
    """Measure the work behind every task, from the last task to the first."""
    most = fair_share(sum(graph.weights), limits)
    flow = graph.weights.copy()
    largest = [0.0] * len(graph)
    hubs = bytearray(len(graph))
    for task in range(len(graph) - 1, -1, -1):
        behind = flow[task] - graph.weights[task]
        # One heavy reader is a chain: only work that can run side by side is worth spreading.
        is_wide = 0.0 < 2 * largest[task] <= behind * 1.001
        if is_wide and behind > most:
            hubs[task] = 1
            flow[task] = graph.weights[task]
        if upstream := graph.inputs[task]:
            share = flow[task] / len(upstream)
            for made in upstream:
                flow[made] += share
                if share > largest[made]:
                    largest[made] = share
        # This task has been visited, so its place can hold the answer.
        largest[task] = behind if is_wide else 0.0
    return Flow(flow, largest, hubs)


def fair_share(seconds: float, limits: Limits) -> float:
    """Give the seconds of some work that one slot may have; on one slot all of it and more."""
    if limits.slots == 1:
        return inf
    # A little more than fair, so that rounding decides nothing.
    return 1.001 * max(limits.target_seconds, seconds / limits.slots)
