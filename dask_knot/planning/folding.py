"""Small late levels become one shard, where running them in turn costs less than their starts.

Tasks of unknown length never run in turn that could run side by side: a level with such tasks in
more than one shard stays as it is, and so does one that reads many values of unknown size.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from dask_knot.planning.arrivals import may_be_long
from dask_knot.planning.crossings import Crossings, Window
from dask_knot.planning.graph import NumberedGraph
from dask_knot.planning.partition import Block, Partition
from dask_knot.planning.request import Limits
from dask_knot.planning.room import Room
from dask_knot.plural import many

# Part of the plan's estimated time that folding may cost in all: fewer jobs, fewer values in the
# store and fewer ways to fail are worth it, and estimates are no better than this.
_TOLERATED = 0.1


@dataclass(frozen=True, slots=True)
class _Fold:
    """Levels ``first`` to ``last`` as one shard, and the seconds that it costs more."""

    first: int
    last: int
    added: float = 0.0
    is_folded: bool = False


def fold(
    graph: NumberedGraph, cut: Partition, limits: Limits, room: Room | None = None
) -> tuple[Partition, tuple[str, ...]]:
    """Fold runs of small levels of the same resources, from the last level to the first.

    Parameters
    ----------
    graph : NumberedGraph
        The tasks.
    cut : Partition
        Their shards.
    limits : Limits
        What jobs cost.
    room : Room, optional
        Tells whether one shard's values fit its job; they do unless it is told.

    Returns
    -------
    tuple
        The partition with fewer shards, and a line for each run of levels that says why.
    """
    if limits.tasks_per_shard is not None:
        return cut, ("nothing folded: the number of tasks per shard is limited",)
    costs = _Costs(graph, cut, limits, room)
    runs: list[_Fold] = []
    reasons: list[str] = []
    last = len(cut.levels) - 1
    while last >= 0:
        run = costs.longest_run(last)
        runs.append(run)
        if line := costs.explain(run):
            reasons.append(line)
        last = run.first - 1
    return _rebuild(cut, runs[::-1]), tuple(reasons[::-1])


class _Costs:
    def __init__(
        self, graph: NumberedGraph, cut: Partition, limits: Limits, room: Room | None
    ) -> None:
        self._cut = cut
        self._room = room
        self._limits = limits
        # On one slot all is serial anyway, but shards still show progress and fail apart.
        self._lanes = max(2, limits.slots)
        self._crossings = crossings = Crossings(graph, cut)
        self._wanted = {cut.shard_of[task] for task in graph.wanted} if graph.waits else set()
        self._crowded: set[int] = set()  # last levels of runs that don't fit one job
        self._left = _TOLERATED * (sum(cut.loads) + sum(crossings.seconds)) / self._lanes

    def longest_run(self, last: int) -> _Fold:
        """Find how far back the levels up to one can be folded, and take it from what is left."""
        runs = [_Fold(last, last)]
        serial = parallel = 0.0
        starts = -1
        window = Window(self._crossings)
        for first in range(last, -1, -1):
            if not self._is_foldable(first, last):
                break
            if self._may_be_long(first):
                break
            loads = self._loads(first)
            window.extend(first)
            serial += sum(self._cut.loads[shard] for shard in self._shards(first))
            parallel += max(sum(loads) / self._lanes, max(loads))
            starts += -(-len(loads) // self._limits.slots)
            saved = parallel + starts * self._limits.job_start_seconds
            added = serial + window.seconds - saved
            if added > self._left:
                break
            is_folded = first < last or self._pays_alone(added, starts)
            runs.append(_Fold(first, last, added, is_folded))
        run = self._last_fitting(runs)
        if run.is_folded:
            self._left -= max(0.0, run.added)
        return run

    def _last_fitting(self, runs: Sequence[_Fold]) -> _Fold:
        """Find the longest run whose values fit the job that would have them all."""
        if self._is_fitting(runs[-1]):
            return runs[-1]
        self._crowded.add(runs[-1].last)
        # With each level more there is no less to hold. The first one is no run yet.
        crowded = bisect_left(
            range(1, len(runs)), True, key=lambda number: not self._is_fitting(runs[number])
        )
        return runs[crowded]

    def _is_fitting(self, run: _Fold) -> bool:
        if self._room is None or not run.is_folded:
            return True
        return self._room.fits(range(run.first, run.last + 1))

    def explain(self, run: _Fold) -> str:
        shards = many("shard", *[len(self._loads(n)) for n in range(run.first, run.last + 1)])
        if run.is_folded:
            levels = (
                f"levels {run.first} to {run.last}" if run.first < run.last else f"level {run.last}"
            )
            return f"{levels} ({shards}) folded into one shard: {run.added:+.3g} s"
        if run.last:
            if self._may_be_long(run.last):
                return f"level {run.last} ({shards}) not folded: it may take long"
            if run.last in self._crowded:
                return f"level {run.last} ({shards}) not folded: one job had too little memory"
            return f"level {run.last} ({shards}) not folded: it would cost too much"
        return ""

    def _pays_alone(self, added: float, starts: int) -> bool:
        """Tell whether a lone level gains: it saves rounds of jobs, but no stage."""
        return starts > 0 and added <= self._left / 10

    def _is_foldable(self, level: int, last: int) -> bool:
        """Tell whether two levels can be one shard, which waits if one of their blocks does."""
        blocks = [*self._cut.levels[level], *self._cut.levels[last]]
        if len({block.kind for block in blocks}) > 1:
            return False
        free = [block for block in blocks if not block.waits]
        return len(free) in (0, len(blocks)) or self._may_wait(free, last)

    def _may_wait(self, blocks: Sequence[Block], last: int) -> bool:
        """Tell whether nothing long, nobody and nothing behind it waits if some blocks do."""
        shards = [shard for block in blocks for shard in block.shards]
        if any(self._cut.unknown[shard] or shard in self._wanted for shard in shards):
            return False
        return all(block.waits for level in self._cut.levels[last + 1 :] for block in level)

    def _may_be_long(self, level: int) -> bool:
        """Tell whether a level's shards may take any time, one after another."""
        shards = self._shards(level)
        if sum(self._cut.unknown[shard] > 0 for shard in shards) > 1:
            return True
        return len(shards) > 1 and may_be_long(self._crossings.unsized(level), self._limits)

    def _shards(self, level: int) -> Sequence[int]:
        return [shard for block in self._cut.levels[level] for shard in block.shards]

    def _loads(self, level: int) -> Sequence[float]:
        """Give the seconds of a level's shards, what they read of others included."""
        reading = self._crossings.seconds
        return [self._cut.loads[shard] + reading[shard] for shard in self._shards(level)]


def _rebuild(cut: Partition, runs: Sequence[_Fold]) -> Partition:
    folded = Partition([])
    new = [0] * len(cut.loads)
    for run in runs:
        blocks = [block for level in cut.levels[run.first : run.last + 1] for block in level]
        groups = [[shard] for block in blocks for shard in block.shards]
        if run.is_folded:
            groups = [[shard for group in groups for shard in group]]
            waits = any(block.waits for block in blocks)
            blocks = [Block(blocks[0].kind, range(1), waits)]
        level = []
        for block in blocks:
            first = len(folded.loads)
            for group in groups[: len(block.shards)]:
                for shard in group:
                    new[shard] = len(folded.loads)
                folded.loads.append(sum(cut.loads[shard] for shard in group))
                folded.unknown.append(sum(cut.unknown[shard] for shard in group))
            del groups[: len(block.shards)]
            level.append(Block(block.kind, range(first, len(folded.loads))))
        folded.levels.append(level)
    folded.shard_of = [new[shard] for shard in cut.shard_of]
    return folded
