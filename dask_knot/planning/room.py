"""Shards whose values don't fit the memory of their jobs are cut smaller, where that helps."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, log

from dask_knot.planning.footprint import Footprint
from dask_knot.planning.graph import NumberedGraph
from dask_knot.planning.partition import Partition, partition
from dask_knot.planning.request import Limits

# Each try partitions the graph once more.
_TRIES = 8


class Room:
    """Tells whether shards, and levels as one shard, fit the memory of a job.

    Parameters
    ----------
    graph : NumberedGraph
        The tasks.
    cut : Partition
        Their shards.
    footprint : Footprint
        What they hold.
    """

    def __init__(self, graph: NumberedGraph, cut: Partition, footprint: Footprint) -> None:
        self._graph = graph
        self._cut = cut
        self._footprint = footprint
        self._missing: dict[int, float] = {}  # by level, once it was asked for
        self._tasks: list[list[int]] = [[] for _ in cut.loads]
        for task, shard in enumerate(cut.shard_of):
            self._tasks[shard].append(task)

    def missing(self, level: int) -> float:
        """Give how many times its memory the largest shard of a level needs; 0 if all fit."""
        if level not in self._missing:
            self._missing[level] = self._most_missing(level)
        return self._missing[level]

    def worst(self) -> list[int]:
        """Tell how far each level is off that doesn't fit, in steps of a tenth, the worst first."""
        found = map(self.missing, range(len(self._cut.levels)))
        return sorted((ceil(log(times, 1.1)) for times in found if times), reverse=True)

    def fits(self, levels: Iterable[int]) -> bool:
        """Tell whether levels fit one job, or need no more than one of their shards does."""
        levels = [*levels]
        blocks = [block for level in levels for block in self._cut.levels[level]]
        memory = self._graph.resources[blocks[0].kind].memory
        tasks = sorted(
            task for block in blocks for shard in block.shards for task in self._tasks[shard]
        )
        found = self._footprint.exceeds(tasks, memory)
        return not found or found <= max(map(self.missing, levels)) * (memory or 1)

    def _most_missing(self, level: int) -> float:
        graph = self._graph
        most = 0.0
        for block in self._cut.levels[level]:
            memory = graph.resources[block.kind].memory
            for shard in block.shards:
                if found := self._footprint.exceeds(self._tasks[shard], memory):
                    most = max(most, found / max(memory or 1, 1))
        return most


def partition_to_fit(
    graph: NumberedGraph, limits: Limits, footprint: Footprint
) -> tuple[Partition, Room | None]:
    """Cut a graph into shards, levels that hold too much more finely than they would be else.

    More shards of a level hold less: joins that read from several of them begin a later level, so
    what they read, and what is read again by others there, is written and given back.
    """
    cut = partition(graph, limits)
    if not footprint.is_known or all(kind.memory is None for kind in graph.resources):
        return cut, None
    finer: dict[int, int] = {}
    level = 0
    room, tries = Room(graph, cut, footprint), _TRIES
    while level < len(cut.levels) and tries:
        missing = room.missing(level)
        if not missing:
            level += 1
            continue
        tries -= 1
        times = finer.get(level, 1) * max(2, ceil(missing))
        again = partition(graph, limits, {**finer, level: times})
        better = Room(graph, again, footprint)
        if better.worst() < room.worst():
            finer[level] = times
            cut, room = again, better
        else:
            level += 1
    cut.reasons += [
        f"level {level} cut {times} times as finely: its jobs had too little memory; with "
        "more they would read less"
        for level, times in sorted(finer.items())
    ]
    return cut, room
