"""Measures of a graph before it is cut: the work behind tasks, and the bonds between them.

Where much work fans out, readers should spread; independent parts can be placed as one likes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf

from dask_knot.planning.graph import NumberedGraph
from dask_knot.planning.request import Limits
from dask_knot.planning.sizing import widest

# Ways that work of unknown length behind a task must have side by side before a stage is begun for
# them. Up to here the shard that is stuck hands over what it has not begun: that costs a job start
# only if need be, and a stage costs one for certain (each diamond of two branches would be one).
_WAYS = 4
_KNOWN_WAYS = 2


@dataclass(frozen=True, slots=True)
class Measure:
    """The work behind each task, in seconds or in tasks.

    Attributes
    ----------
    flow : list of float
        A task's own work and its share of that of all tasks that need it.
    parallel : list of float
        The work behind a task that can run side by side; 0 if few readers have most of it.
    is_nothing : bool
        No task has such work.
    """

    flow: list[float]
    parallel: list[float]
    is_nothing: bool = False

    def total(self, tasks: Iterable[int]) -> float:
        """Sum up the work that begins with some tasks."""
        return 0.0 if self.is_nothing else sum(map(self.flow.__getitem__, tasks))


@dataclass(frozen=True, slots=True)
class Workload:
    """The work behind each task.

    Attributes
    ----------
    seconds : Measure
        Of the tasks of which something is known.
    unknown : Measure
        The number of the tasks of which nothing is known.
    hubs : bytearray
        1 where more than one slot's part of the plan can run side by side behind a task.
    """

    seconds: Measure
    unknown: Measure
    hubs: bytearray


def measure_workload(graph: NumberedGraph, limits: Limits) -> Workload:
    """Measure the work behind every task: the known seconds, and the tasks of unknown ones."""
    hubs = bytearray(len(graph))
    count = sum(graph.unknown)
    nothing = [0.0] * len(graph)
    seconds = unknown = Measure(nothing, nothing, is_nothing=True)
    if count < len(graph):
        most = fair_share(sum(graph.weights), limits)
        seconds = _measure(graph, graph.weights, hubs, most, _KNOWN_WAYS, _worth(graph, limits))
    if count:
        tasks = [1.0] * count if count == len(graph) else [*map(float, graph.unknown)]
        unknown = _measure(graph, tasks, hubs, fair_count(count, limits), _WAYS)
    return Workload(seconds, unknown, hubs)


def _worth(graph: NumberedGraph, limits: Limits) -> Sequence[float]:
    """Give, by task, the seconds behind it that are worth to read its value elsewhere for them.

    All slots would read it, so as to share what one of them would do alone.
    """
    if limits.slots == 1:
        return ()
    share = limits.slots / (limits.slots - 1)
    return [share * (seconds or 0.0) for seconds in graph.reading]


def _measure(
    graph: NumberedGraph,
    weights: Sequence[float],
    hubs: bytearray,
    most: float,
    ways: int,
    worth: Sequence[float] = (),
) -> Measure:
    """Add work up from the last task to the first, and mark the hubs, behind which it ends.

    A value is no hub if the work behind it isn't `worth` to read it several times.
    """
    flow = [*weights]
    largest = [0.0] * len(graph)
    for task in range(len(graph) - 1, -1, -1):
        behind = flow[task] - weights[task]
        # One heavy reader is a chain: only work that can run side by side is worth spreading.
        is_wide = 0.0 < ways * largest[task] <= behind * 1.001
        if is_wide and worth and behind <= worth[task]:
            is_wide = False
        if hubs[task] or (is_wide and behind > most):
            hubs[task] = 1
            flow[task] = weights[task]
        if upstream := graph.inputs[task]:
            share = flow[task] / len(upstream)
            for made in upstream:
                flow[made] += share
                if share > largest[made]:
                    largest[made] = share
        # This task has been visited, so its place can hold the answer.
        largest[task] = behind if is_wide else 0.0
    return Measure(flow, largest)


def fair_share(seconds: float, limits: Limits) -> float:
    """Give the seconds of some work that one slot may have; on one slot all of it and more."""
    if limits.slots == 1:
        return inf
    # A stage costs one job start for certain, and gains about what the shares of the work behind a
    # task (those of others that read it, too) leave out.
    least = min(limits.target_seconds, limits.job_start_seconds)
    # A little more than fair, so that rounding decides nothing.
    return 1.001 * max(least, seconds / limits.slots)


def fair_count(tasks: float, limits: Limits) -> float:
    """Give how many of some tasks of unknown length one shard may have; on one slot all."""
    if limits.slots == 1:
        return inf
    return 1.001 * max(1.0, tasks / widest(limits))


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
