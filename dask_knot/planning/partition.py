"""Tasks go into shards, level by level: a shard reads from earlier levels only, so no cycles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dask_knot.planning.graph import NumberedGraph
from dask_knot.planning.request import Limits
from dask_knot.planning.sizing import chunk, count_columns, spread, widest
from dask_knot.planning.workload import Workload, fair_share, find_components, measure_workload

_NO_SHARD = -1
# A last task that reads this many times more values than a stage has columns only collects them.
_COLLECTS = 4


@dataclass(frozen=True, slots=True)
class Block:
    """The shards of one level that need the same resources: a stage to be."""

    kind: int
    shards: range


@dataclass(slots=True)
class Partition:
    """The shard of each task, the blocks of every level, and the seconds of every shard."""

    shard_of: list[int]
    levels: list[list[Block]] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)


def partition(graph: NumberedGraph, limits: Limits) -> Partition:
    """Cut a graph into shards.

    A task whose inputs of the latest level lie in one shard joins that shard; all others
    open the next level, where they are dealt into columns again. So do the readers of a task
    with more than a slot's part of the level's work behind it: ``x - x.mean()`` would else end
    in the one shard that made the mean. Values from outside of the plan come before level 0.
    """
    cutting = _Cutting(graph, limits)
    opening = [task for task, upstream in enumerate(graph.inputs) if not upstream]
    while opening:
        cutting.open_level(opening)
        opening = cutting.close_level(opening)
    return cutting.result


class _Cutting:
    def __init__(self, graph: NumberedGraph, limits: Limits) -> None:
        self._graph = graph
        self._limits = limits
        self._work: Workload = measure_workload(graph, limits)
        fan_in = _COLLECTS * widest(limits)
        self._components = find_components(graph, self._work.hubs, fan_in)
        self._waiting = graph.inputs.sizes()
        self._most = limits.tasks_per_shard or len(graph)
        self._kind_of_shard: list[int] = []
        self._size_of_shard: list[int] = []
        self._first = 0  # the first shard of the open level
        self._fair = 0.0  # what lies behind one task of the level before its readers spread
        self._homes: dict[int, int] = {}  # openers that only resources or a limit kept away
        self.result = Partition([_NO_SHARD] * len(graph))

    def open_level(self, opening: Sequence[int]) -> None:
        """Deal the tasks that open a level into new shards."""
        by_kind: dict[int, list[int]] = {}
        for task in opening:
            by_kind.setdefault(self._graph.kinds[task], []).append(task)
        columns_by_kind = {kind: self._columns(tasks) for kind, tasks in by_kind.items()}
        self._first = len(self.result.loads)
        self._fair = fair_share(sum(self._work.weights[task] for task in opening), self._limits)
        self._homes = {}
        level = []
        for kind, columns in columns_by_kind.items():
            first = len(self.result.loads)
            for tasks in columns:
                self._open_shard(kind, tasks)
            level.append(Block(kind, range(first, len(self.result.loads))))
        self.result.levels.append(level)

    def close_level(self, opening: Sequence[int]) -> list[int]:
        """Let all tasks join that can; return those that open the next level, in order."""
        waiting, readers = self._waiting, self._graph.readers
        placed = list(opening)
        left = []
        for task in placed:  # grows while it is read
            for reader in readers[task]:
                waiting[reader] -= 1
                if waiting[reader]:
                    continue
                if (home := self._home(reader)) == _NO_SHARD:
                    left.append(reader)
                else:
                    self._join(reader, home)
                    placed.append(reader)
        left.sort()
        return left

    def _home(self, task: int) -> int:
        """Find the shard of this level that a task can join."""
        home = _NO_SHARD
        first, fair, shard_of = self._first, self._fair, self.result.shard_of
        parallel = self._work.parallel
        for made in self._graph.inputs[task]:
            shard = shard_of[made]
            if shard < first:
                continue
            if (home != shard and home != _NO_SHARD) or parallel[made] > fair:
                return _NO_SHARD
            home = shard
        is_same = self._kind_of_shard[home] == self._graph.kinds[task]
        if is_same and self._size_of_shard[home] < self._most:
            return home
        self._homes[task] = home
        return _NO_SHARD

    def _join(self, task: int, shard: int) -> None:
        self.result.shard_of[task] = shard
        self.result.loads[shard] += self._graph.weights[task]
        self._size_of_shard[shard] += 1

    def _open_shard(self, kind: int, tasks: Sequence[int]) -> None:
        shard = len(self.result.loads)
        self.result.loads.append(0.0)
        self._kind_of_shard.append(kind)
        self._size_of_shard.append(0)
        for task in tasks:
            self._join(task, shard)

    def _columns(self, tasks: Sequence[int]) -> list[list[int]]:
        flow = self._work.weights
        columns = count_columns(sum(flow[task] for task in tasks), len(tasks), self._limits)
        if (followed := self._follow(tasks, columns)) is not None:
            return followed
        if self._limits.tasks_per_shard is not None:
            columns = max(columns, -(-len(tasks) // self._most))
            return chunk(tasks, flow, columns, self._most)
        return spread(tasks, flow, self._components, columns)

    def _follow(self, tasks: Sequence[int], columns: int) -> list[list[int]] | None:
        """Keep the columns of the level before, where tasks could not join for resources only.

        Each child of the new stage then waits for one child of the old one (N_TO_N).
        """
        if not self._homes:
            return None
        by_home: dict[int, list[int]] = {}
        for task in tasks:
            by_home.setdefault(self._homes.get(task, _NO_SHARD), []).append(task)
        is_one_block = any(by_home.keys() <= {*block.shards} for block in self.result.levels[-1])
        if not is_one_block or 2 * len(by_home) < columns:
            return None
        followed = [by_home[home] for home in sorted(by_home)]
        flow = self._work.weights
        loads = [sum(flow[task] for task in column) for column in followed]
        uneven = max(loads) * len(loads) > 2 * sum(loads)
        if uneven or max(len(column) for column in followed) > self._most:
            return None
        return followed
