"""Measures of a graph before it is cut: the work behind tasks, and the bonds between them.

Where much work fans out, readers should spread; independent parts can be placed as one likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from dask_knot.planning.graph import NumberedGraph
from dask_knot.planning.request import Limits


@dataclass(frozen=True, slots=True)
class Workload:
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


def measure_workload(graph: NumberedGraph, limits: Limits) -> Workload:
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
    return Workload(flow, largest, hubs)


def fair_share(seconds: float, limits: Limits) -> float:
    """Give the seconds of some work that one slot may have; on one slot all of it and more."""
    if limits.slots == 1:
        return inf
    # A little more than fair, so that rounding decides nothing.
    return 1.001 * max(limits.target_seconds, seconds / limits.slots)


def find_components(graph: NumberedGraph, hubs: bytearray, fan_in: int) -> list[int]:
    """Label every task with its independent part of the graph.

    What only shares an input that is a hub counts as independent, and so does
    what only meets in a last task of more than ``fan_in`` inputs (the sum of many parts).
    """
    parents: list[int] = []
    labels: list[int] = []
    readers = graph.readers.sizes()
    for task, upstream in enumerate(graph.inputs):
        label = -1
        if len(upstream) <= fan_in or readers[task]:
            for made in upstream:
                if labels[made] != label and not hubs[made]:
                    label = _unite(parents, label, labels[made])
        if label < 0:
            label = len(parents)
            parents.append(label)
        labels.append(label)
    # Parents have lower labels, so one pass forward flattens every path.
    for label, parent in enumerate(parents):
        parents[label] = parents[parent]
    return [parents[label] for label in labels]


def _unite(parents: list[int], one: int, other: int) -> int:
    """Make two parts one and give its label: that of the earlier; -1 stands for no part."""
    while parents[other] != other:
        parents[other] = parents[parents[other]]
        other = parents[other]
    if one in (-1, other):
        return other
    low, high = (one, other) if one < other else (other, one)
    parents[high] = low
    return low
