"""The values that shards read of others, in the seconds that it takes: each cut has its own."""

from __future__ import annotations

from collections.abc import Sequence

from dask_knot.planning.graph import NumberedGraph
from dask_knot.planning.partition import Partition


class Crossings:
    """The values that are read by other shards than their maker's, and those from outside.

    Parameters
    ----------
    graph : NumberedGraph
        The tasks; where nothing is known of any, nothing is looked at.
    cut : Partition
        Their shards.

    Attributes
    ----------
    seconds : list of float
        By shard, what it takes to read what others have made.
    """

    def __init__(self, graph: NumberedGraph, cut: Partition) -> None:
        self._cut = cut
        self._reading = [*graph.reading, *graph.external_reading.values()]
        self._values: list[dict[int, None]] = [{} for _ in cut.loads]
        self._made: list[list[int]] = [[] for _ in cut.loads]
        if graph.reading and (len(cut.levels) > 1 or graph.external):
            self._collect(graph)
        self.seconds = [sum(map(self.of, values)) for values in self._values]

    def of(self, value: int) -> float:
        """Give the seconds that it takes to read a value; 0 if nobody knows."""
        return self._reading[value] or 0.0

    def read_at(self, level: int) -> dict[int, None]:
        """Name the values that the shards of a level read of others."""
        values: dict[int, None] = {}
        for shard in self._shards(level):
            values |= self._values[shard]
        return values

    def made_at(self, level: int) -> list[int]:
        """Name the values of a level's shards that others read."""
        return [value for shard in self._shards(level) for value in self._made[shard]]

    def unsized(self, level: int) -> int:
        """Count the values of unknown size that a level reads."""
        return sum(self._reading[value] is None for value in self.read_at(level))

    def _shards(self, level: int) -> Sequence[int]:
        return [shard for block in self._cut.levels[level] for shard in block.shards]

    def _collect(self, graph: NumberedGraph) -> None:
        shard_of = self._cut.shard_of
        crosses = bytearray(len(graph))
        for task, upstream in enumerate(graph.inputs):
            shard = shard_of[task]
            for made in upstream:
                if shard_of[made] != shard:
                    self._values[shard][made] = None
                    crosses[made] = 1
        for made, is_read in enumerate(crosses):
            if is_read:
                self._made[shard_of[made]].append(made)
        numbers = {key: len(graph) + n for n, key in enumerate(graph.external_reading)}
        for task, keys in graph.external.items():
            self._values[shard_of[task]].update((numbers[key], None) for key in keys)


class Window:
    """Levels that are to be one shard, from the last one backwards, and what that one would read.

    Attributes
    ----------
    seconds : float
        What it takes to read what earlier levels and plans have made.
    """

    def __init__(self, crossings: Crossings) -> None:
        self._crossings = crossings
        self._values: dict[int, None] = {}
        self.seconds = 0.0

    def extend(self, level: int) -> None:
        """Take in the level before."""
        crossings = self._crossings
        for value in crossings.made_at(level):
            if value in self._values:
                del self._values[value]
                self.seconds -= crossings.of(value)
        for value in crossings.read_at(level):
            if value not in self._values:
                self._values[value] = None
                self.seconds += crossings.of(value)
