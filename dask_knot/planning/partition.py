"""Tasks go into shards, level by level: a shard reads from earlier levels only, so no cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import compress
from operator import add, not_

from dask_knot.planning.arrivals import Arriving, Expected
from dask_knot.planning.graph import NumberedGraph
from dask_knot.planning.reductions import IN_A_ROW, columns_of_joins
from dask_knot.planning.request import Limits
from dask_knot.planning.seams import find_seams, run_in_turn
from dask_knot.planning.sizing import Amounts, chunk, count_columns, count_unknown, spread, widest
from dask_knot.planning.workload import (
    Workload,
    fair_count,
    fair_share,
    find_components,
    measure_workload,
)
from dask_knot.plural import many

_NO_SHARD = -1
# A last task that reads this many times more values than a stage has columns only collects them.
_COLLECTS = 4
# Part of a level's seconds that neighbors in one column must save: they are alike, and may all be
# longer than is known.
_SOONER = 0.9


@dataclass(frozen=True, slots=True)
class Block:
    """The shards of one level that need the same resources: a stage to be.

    If it `waits`, some of its tasks read values that are still being made outside of the plan.
    """

    kind: int
    shards: range
    waits: bool = False


@dataclass(slots=True)
class Partition:
    """Tasks in shards.

    Attributes
    ----------
    shard_of : list of int
        By task.
    levels : list of list of Block
        The blocks of every level.
    loads : list of float
        By shard, the seconds of the tasks of which something is known.
    unknown : list of int
        By shard, the tasks of which nothing is known.
    reasons : list of str
        Why columns are fewer than tasks of unknown length.
    """

    shard_of: list[int]
    levels: list[list[Block]] = field(default_factory=list)
    loads: list[float] = field(default_factory=list)
    unknown: list[int] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)


def partition(
    graph: NumberedGraph, limits: Limits, finer: Mapping[int, int] | None = None
) -> Partition:
    """Cut a graph into shards; some levels so many times `finer` than they would be.

    A task whose inputs of the latest level lie in one shard joins that shard; all others
    open the next level, where they are dealt into columns again. So do the readers of a task
    with more than a slot's part of the level's work behind it, in seconds or in tasks of unknown
    length: ``x - x.mean()`` would else end in the one shard that made the mean. Values from
    outside of the plan come before level 0; a task that reads one which is still being made joins
    no shard that has nothing to wait for.
    """
    cutting = _Cutting(graph, limits, finer or {})
    opening = [task for task, upstream in enumerate(graph.inputs) if not upstream]
    while opening:
        cutting.open_level(opening)
        opening = cutting.close_level(opening)
    return cutting.result


class _Cutting:
    def __init__(self, graph: NumberedGraph, limits: Limits, finer: Mapping[int, int]) -> None:
        self._graph = graph
        self._limits = limits
        self._finer = finer
        self._work: Workload = measure_workload(graph, limits)
        self._expected = Expected(graph, limits)
        fan_in = _COLLECTS * widest(limits)
        self._components = find_components(graph, self._work.hubs, fan_in)
        # Tasks of one prefix differ by more than they take on average.
        self._is_uneven = graph.unevenness * len(graph) > sum(graph.weights)
        self._waiting = graph.inputs.sizes()
        self._most = limits.tasks_per_shard or len(graph)
        self._kind_of_shard: list[int] = []
        self._size_of_shard: list[int] = []
        self._does_wait: list[bool] = []  # by shard
        self._first = 0  # the first shard of the open level
        # What lies behind one task of the level before its readers spread: seconds, and tasks.
        self._fair = self._fair_count = 0.0
        self._in_a_row = 0  # tasks of unknown length, from the first level to this one
        self._homes: dict[int, int] = {}  # openers that only resources or a limit kept away
        self.result = Partition([_NO_SHARD] * len(graph))

    def open_level(self, opening: Sequence[int]) -> None:
        """Deal the tasks that open a level into new shards."""
        kinds, waits = self._graph.kinds, self._graph.waits
        by_kind: dict[tuple[int, bool], list[int]] = {}
        for task in opening:
            by_kind.setdefault((kinds[task], task in waits), []).append(task)
        columns_by_kind = {kind: self._columns(tasks) for kind, tasks in by_kind.items()}
        self._first = len(self.result.loads)
        self._fair = fair_share(self._work.seconds.total(opening), self._limits)
        self._fair_count = fair_count(self._work.unknown.total(opening), self._limits)
        self._homes = {}
        level = []
        for (kind, does_wait), columns in columns_by_kind.items():
            first = len(self.result.loads)
            for tasks in columns:
                self._does_wait.append(does_wait)
                self._open_shard(kind, tasks)
            level.append(Block(kind, range(first, len(self.result.loads)), does_wait))
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
        self._note_unknown(placed)
        return left

    def _note_unknown(self, placed: Sequence[int]) -> None:
        """Count the tasks of unknown length in the shards of the level."""
        counts = self._size_of_shard[self._first :]
        if not self._work.seconds.is_nothing:
            is_unknown = map(self._graph.unknown.__getitem__, placed)
            for task in compress(placed, map(not_, is_unknown)):
                counts[self.result.shard_of[task] - self._first] -= 1
        self.result.unknown += counts
        self._in_a_row += sum(counts) // len(counts)

    def _home(self, task: int) -> int:
        """Find the shard of this level that a task can join."""
        home = _NO_SHARD
        first, fair, shard_of = self._first, self._fair, self.result.shard_of
        parallel, hidden = self._work.seconds.parallel, self._work.unknown.parallel
        fair_count = self._fair_count
        for made in self._graph.inputs[task]:
            shard = shard_of[made]
            if shard < first:
                continue
            if home != shard and home != _NO_SHARD:
                return _NO_SHARD
            if parallel[made] > fair or hidden[made] > fair_count:
                return _NO_SHARD
            home = shard
        if task in self._graph.waits and not self._does_wait[home]:
            return _NO_SHARD
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
        seconds, hidden = self._work.seconds.total(tasks), self._work.unknown.total(tasks)
        arrivals = self._expected.at(tasks)
        columns = self._count(tasks, seconds, hidden, arrivals)
        columns = min(columns * self._finer.get(len(self.result.levels), 1), len(tasks))
        flow = self._flow(tasks, columns, seconds, hidden, arrivals)
        if (followed := self._follow(tasks, columns, flow)) is not None:
            return followed
        if self._limits.tasks_per_shard is not None:
            columns = max(columns, -(-len(tasks) // self._most))
            return chunk(tasks, flow, columns, self._most)
        seams, slots = cache(partial(self._seams, tasks, columns)), self._limits.slots
        dealt = spread(tasks, flow, self._components, columns, seams, slots)
        if hidden or not arrivals.shares or self._is_uneven or len(dealt) in (1, len(tasks)):
            return dealt
        # Readers of one value side by side, as if they were all one part of the graph.
        near = spread(tasks, flow, bytes(len(self._graph)), columns, seams, slots)
        return near if self._seconds(near) < _SOONER * self._seconds(dealt) else dealt

    def _seconds(self, columns: Sequence[Sequence[int]]) -> float:
        """Give what a level takes, what each column reads included."""
        flow = self._work.seconds.flow
        reading = map(self._expected.seconds, columns)
        work = (sum(map(flow.__getitem__, tasks)) for tasks in columns)
        return run_in_turn(map(add, work, reading), self._limits.slots)

    def _seams(self, tasks: Sequence[int], columns: int) -> Sequence[float]:
        """Tell where tasks had better be cut, if anything is known of sizes, and they are cut."""
        if not self._graph.reading or not 1 < columns < len(tasks):
            return ()
        return find_seams(self._graph, tasks, self._waiting, columns)

    def _count(
        self, tasks: Sequence[int], seconds: float, hidden: float, arrivals: Arriving
    ) -> int:
        """Decide how many columns begin with some tasks, by what is known and what is not."""
        limits, variance = self._limits, seconds * self._graph.unevenness
        columns = count_columns(seconds + arrivals.total, len(tasks), limits, variance)
        wide = count_unknown(hidden + arrivals.unknown, len(tasks), limits)
        if wide <= columns:
            return columns
        if self.result.levels and self._limits.tasks_per_shard is None:
            in_a_row = max(IN_A_ROW, self._in_a_row)
            few = columns_of_joins(self._graph, tasks, self._work.hubs, in_a_row, wide)
            if few < wide:
                self.result.reasons.append(
                    f"level {len(self.result.levels)}: {many('job', max(few, columns))} in place of"
                    f" {wide} for a tree of joins: about {in_a_row} of them in a row"
                )
            wide = few
        return max(columns, wide)

    def _flow(
        self,
        tasks: Sequence[int],
        columns: int,
        seconds: float,
        hidden: float,
        arrivals: Arriving,
    ) -> Amounts:
        """Weigh what begins with each task, by seconds and by tasks of unknown length together."""
        if not seconds + arrivals.total:
            return self._work.unknown.flow
        flow: Amounts = self._work.seconds.flow
        if arrivals.shares:
            flow = {task: flow[task] + arrivals.shares[task] for task in tasks}
        return self._mixed(tasks, flow, columns) if hidden else flow

    def _mixed(self, tasks: Sequence[int], seconds: Amounts, columns: int) -> Amounts:
        """Add a nominal time for tasks of unknown length.

        One of these counts for a little more than the heaviest that is known, and than a fair
        column: so they are dealt first, in turn, and neighbors don't share a column.
        """
        known, unknown = [seconds[task] for task in tasks], self._work.unknown.flow
        nominal = 1.001 * max(sum(known) / columns, *known)
        return {task: seconds[task] + nominal * unknown[task] for task in tasks}

    def _follow(self, tasks: Sequence[int], columns: int, flow: Amounts) -> list[list[int]] | None:
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
        loads = [sum(flow[task] for task in column) for column in followed]
        uneven = max(loads) * len(loads) > 2 * sum(loads)
        if uneven or max(len(column) for column in followed) > self._most:
            return None
        return followed
