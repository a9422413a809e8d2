"""The state of a run, computed from what its objects and Batch say. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import Enum

from dask_knot.run.names import ShardId, StageId, session_of
from dask_knot.run.record import PlanRecord, RecordedStage


class ShardCondition(Enum):
    """What became of a shard, as somebody sees it who isn't its session."""

    DONE = "done"
    ERRED = "erred"  # it is done, and a task of it raised
    RUNNING = "running"  # its job waits or runs
    LOST = "lost"  # its job ended without saying what its tasks did
    LEFT = "left"  # nobody makes it
    UNKNOWN = "unknown"  # it isn't done, and Batch couldn't be asked
    REPLACED = "replaced"  # a later plan makes what it should have made


class RunState(Enum):
    """What can be said of a whole run in one word."""

    EMPTY = "empty"  # nothing was planned
    RUNNING = "running"
    FAILED = "failed"
    UNFINISHED = "unfinished"  # whether the rest runs isn't known
    LEFT = "left"  # it isn't done, and nobody makes the rest
    DONE = "done"


#: The first condition that a shard has tells the state of the run.
_STATES = (
    (ShardCondition.RUNNING, RunState.RUNNING),
    (ShardCondition.ERRED, RunState.FAILED),
    (ShardCondition.LOST, RunState.FAILED),
    (ShardCondition.UNKNOWN, RunState.UNFINISHED),
    (ShardCondition.LEFT, RunState.LEFT),
)


@dataclass(frozen=True, slots=True)
class Marks:
    """What is known of the shards of a run without reading a manifest.

    Attributes
    ----------
    done, erred, lost : set of ShardId
        Those with a last manifest; those of these that tell of errors; those with an obituary.
    alive : set of int
        The sessions that are there, by their numbers.
    jobs : mapping of StageId to bool, or None
        Whether the job of a stage is under way. None: they couldn't be asked for.
    withdrawn : set of StageId
        Stages whose session has said that it won't submit them.
    are_bound : bool
        Whether jobs end with their session, as on this machine.
    handed : mapping of ShardId to mapping of str to int
        How many of their tasks shards have handed over, by prefix: later plans have these.
    begun : mapping of ShardId to int
        How many tasks shards without a last manifest have done, by the manifests of their parts.
    is_least : bool
        Whether there are more of these than were read, so that more is done than it says.
    """

    done: Set[ShardId] = frozenset()
    erred: Set[ShardId] = frozenset()
    lost: Set[ShardId] = frozenset()
    alive: Set[int] = frozenset()
    jobs: Mapping[StageId, bool] | None = None
    withdrawn: Set[StageId] = frozenset()
    are_bound: bool = True
    handed: Mapping[ShardId, Mapping[str, int]] = field(default_factory=dict)
    begun: Mapping[ShardId, int] = field(default_factory=dict)
    is_least: bool = False

    def condition(self, shard: ShardId) -> ShardCondition:
        """Tell what became of a shard, whatever later plans make."""
        if shard in self.done:
            return ShardCondition.ERRED if shard in self.erred else ShardCondition.DONE
        if shard in self.lost:
            return ShardCondition.LOST
        if shard.stage in self.withdrawn:
            return ShardCondition.LEFT
        is_alive = session_of(shard.stage.plan) in self.alive
        if self.are_bound:
            return ShardCondition.RUNNING if is_alive else ShardCondition.LEFT
        if self.jobs is None:
            return ShardCondition.RUNNING if is_alive else ShardCondition.UNKNOWN
        # A plan is recorded before its jobs are there: then its session is about to submit them.
        is_open = self.jobs.get(shard.stage, is_alive)
        return ShardCondition.RUNNING if is_open else ShardCondition.LEFT


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage of a plan: its record, and of each of its shards what became of it.

    Attributes
    ----------
    id : StageId
        Its name.
    record : RecordedStage
        What was planned.
    conditions : sequence of ShardCondition
        What became of each shard.
    handed : sequence of mapping of str to int
        How many tasks each has handed over, by prefix.
    begun : sequence of int
        How many tasks each has done so far, if it isn't done.
    """

    id: StageId
    record: RecordedStage
    conditions: Sequence[ShardCondition]
    handed: Sequence[Mapping[str, int]]
    begun: Sequence[int]

    @property
    def counts(self) -> Counter[ShardCondition]:
        """How many of its shards are in which condition."""
        return Counter(self.conditions)

    @property
    def tasks(self) -> Counter[str]:
        """How many tasks it has, by prefix, but for those that were handed over."""
        return Counter(self.record.tasks) - sum(map(Counter, self.handed), Counter())

    @property
    def is_replaced(self) -> bool:
        """True if later plans make up for all that isn't done."""
        return ShardCondition.REPLACED in self.conditions and not {*self.conditions} - {
            ShardCondition.REPLACED,
            ShardCondition.DONE,
        }

    @property
    def done_tasks(self) -> int:
        """How many tasks are done: all of a shard that is done, of others what their parts keep."""
        done = (ShardCondition.DONE, ShardCondition.ERRED)
        return sum(
            size if one in done else min(begun, size)
            for size, begun, one in zip(self._sizes, self.begun, self.conditions, strict=True)
            if one is not ShardCondition.REPLACED
        )

    @property
    def all_tasks(self) -> int:
        """How many tasks its shards have, but for those that were replaced or handed over."""
        return sum(
            size
            for size, one in zip(self._sizes, self.conditions, strict=True)
            if one is not ShardCondition.REPLACED
        )

    @property
    def _sizes(self) -> list[int]:
        """How many tasks each shard has, but for those that it has handed over."""
        sizes = self.record.sizes or self.record.outputs
        handed = zip(sizes, self.handed, strict=True)
        return [max(0, size - sum(given.values())) for size, given in handed]


@dataclass(frozen=True, slots=True)
class PlanView:
    """A plan and its stages."""

    record: PlanRecord
    stages: Sequence[StageView]

    @property
    def session(self) -> int:
        """The number of the session that made it."""
        return session_of(self.record.number)


@dataclass(frozen=True, slots=True)
class Progression:
    """How far a run is.

    Attributes
    ----------
    plans : sequence of PlanView
        In the order in which they were recorded.
    """

    plans: Sequence[PlanView] = field(default_factory=list)

    @property
    def stages(self) -> Iterator[StageView]:
        """All stages."""
        return (stage for plan in self.plans for stage in plan.stages)

    @property
    def counts(self) -> Counter[ShardCondition]:
        """How many shards are in which condition."""
        return sum((stage.counts for stage in self.stages), Counter())

    @property
    def state(self) -> RunState:
        """The state of the run in one word."""
        if not self.plans:
            return RunState.EMPTY
        there = self.counts
        return next((state for one, state in _STATES if there[one]), RunState.DONE)

    @property
    def done_tasks(self) -> int:
        """How many tasks are done."""
        return sum(stage.done_tasks for stage in self.stages)

    @property
    def all_tasks(self) -> int:
        """How many tasks there are."""
        return sum(stage.all_tasks for stage in self.stages)

    def shards(self, *conditions: ShardCondition) -> list[ShardId]:
        """Name the shards in one of some conditions: of the latest plan first, as stages follow."""
        return [
            ShardId(stage.id, index)
            for plan in reversed(self.plans)
            for stage in plan.stages
            for index, condition in enumerate(stage.conditions)
            if condition in conditions
        ]
