"""The state of a run, computed from what its objects and Batch say. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import Enum
from itertools import accumulate

from dask.typing import Key

from dask_knot.run.names import ShardId, StageId, session_of
from dask_knot.run.record import DIGEST_BYTES, NO_DIGEST, PlanRecord, RecordedStage


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
#: What a later plan can make up for.
_REPLACEABLE = (
    ShardCondition.ERRED,
    ShardCondition.LOST,
    ShardCondition.LEFT,
    ShardCondition.UNKNOWN,
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
    are_bound : bool
        Whether jobs end with their session, as on this machine.
    """

    done: Set[ShardId] = frozenset()
    erred: Set[ShardId] = frozenset()
    lost: Set[ShardId] = frozenset()
    alive: Set[int] = frozenset()
    jobs: Mapping[StageId, bool] | None = None
    are_bound: bool = True

    def condition(self, shard: ShardId) -> ShardCondition:
        """Tell what became of a shard, whatever later plans make."""
        if shard in self.done:
            return ShardCondition.ERRED if shard in self.erred else ShardCondition.DONE
        if shard in self.lost:
            return ShardCondition.LOST
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
    """A stage of a plan: its record, and what became of its shards."""

    id: StageId
    record: RecordedStage
    conditions: Sequence[ShardCondition]

    @property
    def counts(self) -> Counter[ShardCondition]:
        """How many of its shards are in which condition."""
        return Counter(self.conditions)

    @property
    def is_replaced(self) -> bool:
        """True if later plans make up for all that isn't done."""
        return ShardCondition.REPLACED in self.conditions and not {*self.conditions} - {
            ShardCondition.REPLACED,
            ShardCondition.DONE,
        }

    @property
    def done_tasks(self) -> int:
        """How many tasks its shards that are done have."""
        return self._tasks((ShardCondition.DONE, ShardCondition.ERRED))

    @property
    def all_tasks(self) -> int:
        """How many tasks its shards have, but for those that were replaced."""
        return self._tasks([one for one in ShardCondition if one is not ShardCondition.REPLACED])

    def _tasks(self, wanted: Collection[ShardCondition]) -> int:
        sizes = self.record.sizes or self.record.outputs
        return sum(n for n, one in zip(sizes, self.conditions, strict=True) if one in wanted)


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
        """Name the shards in one of some conditions, those of the latest stages first."""
        return [
            ShardId(stage.id, index)
            for stage in reversed(list(self.stages))
            for index, condition in enumerate(stage.conditions)
            if condition in conditions
        ]


def progression(plans: Sequence[PlanRecord], marks: Marks) -> Progression:
    """Tell how far a run is.

    Parameters
    ----------
    plans : sequence of PlanRecord
        Those of the log, in its order.
    marks : Marks
        What is known of their shards.
    """
    views = [_view(plan, marks) for plan in plans]
    there = Progression(views)
    if any(there.counts[one] for one in _REPLACEABLE):
        again = _made_again(views)
        return Progression([_without(view, again) for view in views])
    return there


def _view(plan: PlanRecord, marks: Marks) -> PlanView:
    stages = []
    for number, stage in enumerate(plan.stages):
        id = StageId(plan.number, number)
        found = [marks.condition(ShardId(id, index)) for index in range(len(stage.outputs))]
        stages.append(StageView(id, stage, found))
    return PlanView(plan, stages)


def _made_again(views: Sequence[PlanView]) -> set[ShardId]:
    """Name the shards that came to nothing, and of which a later plan makes an output."""
    found: set[ShardId] = set()
    digests: set[bytes] = set()
    keys: set[Key] = set()
    for view in reversed(views):
        found |= {
            shard
            for shard, outputs in _open_outputs(view)
            if any(_is_made(view.record, output, digests, keys) for output in outputs)
        }
        _note_made(view.record, digests, keys)
    return found


def _note_made(plan: PlanRecord, digests: set[bytes], keys: set[Key]) -> None:
    made = [plan.digest(output) for output in range(len(plan.digests) // DIGEST_BYTES)]
    digests.update(made)
    digests.discard(NO_DIGEST)
    if NO_DIGEST in made:
        keys.update(key for key, one in zip(plan.keys, made, strict=True) if one == NO_DIGEST)


def _is_made(plan: PlanRecord, output: int, digests: Set[bytes], keys: Set[Key]) -> bool:
    digest = plan.digest(output)
    return digest in digests if digest != NO_DIGEST else bool(keys) and plan.keys[output] in keys


def _open_outputs(view: PlanView) -> Iterator[tuple[ShardId, Iterable[int]]]:
    """Give the shards that came to nothing, with the numbers of their outputs in the plan."""
    counts = [count for stage in view.record.stages for count in stage.outputs]
    ends = accumulate(counts)
    for stage in view.stages:
        for index, condition in enumerate(stage.conditions):
            end, count = next(ends), stage.record.outputs[index]
            if condition in _REPLACEABLE:
                yield ShardId(stage.id, index), range(end - count, end)


def _without(view: PlanView, again: Set[ShardId]) -> PlanView:
    stages = [
        StageView(
            stage.id,
            stage.record,
            [
                ShardCondition.REPLACED if ShardId(stage.id, index) in again else condition
                for index, condition in enumerate(stage.conditions)
            ],
        )
        for stage in view.stages
    ]
    return PlanView(view.record, stages)
