"""A stage in numbers: they stay for a while when its records are gone, for people to see."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice

from dask_knot.run.manifest import Manifest
from dask_knot.run.names import TWIN, StageId
from dask_knot.tracking.moves import ShardState

#: Stages that are over and still counted.
REMEMBERED = 1000


@dataclass(slots=True, eq=False)
class Tally:
    """The progress of a stage.

    Attributes
    ----------
    id : StageId
        The stage.
    after : frozenset of int
        Earlier plans that were still running when it was planned, and make what its plan reads.
    shards : Counter of ShardState
        How many shards are in each state.
    total, done, erred : Counter of str
        Tasks by prefix. Those that a lost shard didn't run aren't its own any more: another plan
        has them. A task whose input failed counts as erred, as in Dask.
    span : tuple of float, optional
        When the first of its tasks began and the last of those known so far ended, in seconds since
        the epoch, by the clocks of the machines that ran them.
    retries : int
        How often jobs of it were started again, as far as their shards are done.
    """

    id: StageId
    after: frozenset[int]
    shards: Counter[ShardState]
    total: Counter[str]
    done: Counter[str]
    erred: Counter[str]
    span: tuple[float, float] | None = None
    retries: int = 0

    @property
    def is_over(self) -> bool:
        """No shard is open."""
        return not self.shards[ShardState.OPEN]

    def expect(self, tasks: Mapping[str, int]) -> None:
        """Count what a shard is to run."""
        self.total.update(tasks)

    def note(self, after: ShardState, before: ShardState | None = None) -> None:
        """Count a shard in another state, or one more."""
        if before is not None:
            self.shards[before] -= 1
        self.shards[after] += 1

    def ran(self, left: Mapping[str, int], manifest: Manifest) -> dict[str, int]:
        """Count what a shard ran of its tasks that weren't counted yet; give those still left."""
        if times := array("d", manifest.times):
            spans = [*([self.span] if self.span else []), (min(times[::2]), max(times[1::2]))]
            self.span = min(first for first, _ in spans), max(last for _, last in spans)
        if manifest.final:
            self.retries += max(0, manifest.attempt % TWIN - 1)
        still = dict(left)
        for prefix, work in manifest.work.items():
            # A second attempt may run again what the first had not committed.
            tasks = min(work.tasks, still.get(prefix, 0))
            if tasks:
                still[prefix] -= tasks
                erred = min(work.erred, tasks)
                self.erred[prefix] += erred
                self.done[prefix] += tasks - erred
        if manifest.final and not manifest.lost:  # else some of them are planned again
            has_failed = any(output.kind for output in manifest.outputs)
            (self.erred if has_failed else self.done).update(still)
            still.clear()
        return still

    def hand_over(self, tasks: Mapping[str, int]) -> None:
        """Have tasks no longer that a shard has handed over: another plan has them."""
        self.total.subtract(tasks)

    def give_up(self, left: Mapping[str, int]) -> None:
        """Count tasks that nothing will run as erred."""
        self.erred.update(left)

    def close(self, left: Mapping[str, int], state: ShardState) -> None:
        """Note that a shard is open no longer."""
        self.note(state, ShardState.OPEN)
        self.total.subtract(left)


def tally(id: StageId, after: frozenset[int], shards: int) -> Tally:
    """Begin to count a stage."""
    return Tally(id, after, Counter({ShardState.OPEN: shards}), Counter(), Counter(), Counter())


def remember(tallies: dict[StageId, Tally], new: Tally) -> list[Tally]:
    """Add a stage, and forget the oldest ones that are over; those are given back."""
    tallies[new.id] = new
    over = (tally for tally in tallies.values() if tally.is_over)
    forgotten = list(islice(over, max(0, len(tallies) - REMEMBERED)))
    for tally in forgotten:
        del tallies[tally.id]
    return forgotten


@dataclass(slots=True, eq=False)
class EarlierTally:
    """The tasks of stages of the present activity that are forgotten, by prefix."""

    total: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    erred: Counter[str] = field(default_factory=Counter)

    def add(self, tally: Tally) -> None:
        """Count the tasks of one more stage."""
        self.total += tally.total
        self.done += tally.done
        self.erred += tally.erred
