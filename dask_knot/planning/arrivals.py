"""What has to be read before a level can begin: values that earlier levels or plans have made.

Seconds of a task say nothing of it: a sum that takes 0.1 s may have to read gigabytes first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dask_knot.planning.graph import NumberedGraph
from dask_knot.planning.request import Limits

# Bytes that a value of unknown size may have: a chunk as Dask makes it where nobody says how large
# (`array.chunk-size`). What few of them take, less than a job start, counts as nothing.
_CHUNK = 2**27


def may_be_long(unsized: int, limits: Limits) -> bool:
    """Tell whether so many values of unknown size may take longer to read than a job to start."""
    return unsized * _CHUNK > limits.job_start_seconds * limits.bandwidth


@dataclass(frozen=True, slots=True)
class Arriving:
    """The reading with which some tasks begin.

    Attributes
    ----------
    shares : mapping of int to float
        By task, its seconds of reading; what several tasks read is shared among them. Empty if
        none is known.
    total : float
        Seconds if one shard reads all.
    unknown : int
        Tasks of known length that may take any time for all that, since it isn't known how large
        the values are that they read.
    """

    shares: Mapping[int, float] = field(default_factory=dict)
    total: float = 0.0
    unknown: int = 0


class Expected:
    """Tells what arrives at tasks.

    Parameters
    ----------
    graph : NumberedGraph
        The tasks; where nothing is known of any, nothing is expected.
    limits : Limits
        The speed at which jobs read.
    """

    def __init__(self, graph: NumberedGraph, limits: Limits) -> None:
        self._graph = graph
        self._limits = limits
        self._numbers = {key: len(graph) + n for n, key in enumerate(graph.external_reading)}
        self._reading = [*graph.reading, *graph.external_reading.values()]
        counts = Counter(key for keys in graph.external.values() for key in keys)
        self._readers = graph.readers.sizes() if graph.reading else []
        self._readers += [counts[key] for key in graph.external_reading]

    def at(self, tasks: Sequence[int]) -> Arriving:
        """Tell what arrives at the tasks that open a level."""
        graph, reading = self._graph, self._reading
        # Tasks of the first level read only what comes from outside.
        if not graph.reading or not (graph.external or graph.inputs[tasks[0]]):
            return Arriving()
        shares: dict[int, float] = {}
        unsized: set[int] = set()
        unknown = 0
        for task in tasks:
            values = self._values(task)
            known = [value for value in values if reading[value] is not None]
            shares[task] = sum((reading[value] or 0.0) / self._readers[value] for value in known)
            if len(known) < len(values):
                unsized.update(value for value in values if reading[value] is None)
                unknown += not graph.unknown[task]
        if not may_be_long(len(unsized), self._limits):
            unknown = 0
        total = sum(shares.values())
        return Arriving(shares if total else {}, total, unknown)

    def seconds(self, tasks: Sequence[int]) -> float:
        """Tell how long one shard of tasks reads before they can begin, as far as is known."""
        values = {value for task in tasks for value in self._values(task)}
        return sum(self._reading[value] or 0.0 for value in values)

    def _values(self, task: int) -> list[int]:
        """Name what a task reads, what comes from outside included."""
        values = self._graph.inputs[task]
        if outside := self._graph.external.get(task):
            return [*values, *map(self._numbers.__getitem__, outside)]
        return values
