"""The Knot page in numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dask_knot.batch.rules import STARTED, JobStatus
from dask_knot.run.names import StageId
from dask_knot.session.decisions import Decision
from dask_knot.tracking.moves import ShardState
from dask_knot.tracking.snapshot import Count, Snapshot, StageSeen
from dask_knot.tracking.words import stage_name


@dataclass(frozen=True, slots=True)
class StageRow:
    """A stage: its shards by state, what it runs, for how long, and what it has cost so far.

    Shards wait, run, are done, failed (their job was lost) or dropped (nobody needed them).
    `seconds` is None until a task has run; `cost` is empty where jobs cost nothing.
    """

    name: str
    waiting: int
    running: int
    done: int
    failed: int
    dropped: int
    tasks: Mapping[str, Count] = field(default_factory=dict)
    seconds: float | None = None
    cost: str = ""

    @property
    def total(self) -> int:
        """All shards of the stage."""
        return self.waiting + self.running + self.done + self.failed + self.dropped

    @property
    def is_over(self) -> bool:
        """Whether no shard of the stage waits or runs."""
        return not self.waiting + self.running


@dataclass(frozen=True, slots=True)
class Overview:
    """The page at one moment.

    Attributes
    ----------
    running, slots : int
        Jobs that run, and that may run at once.
    stages : list of StageRow
        In the order of their plans.
    tasks : mapping of str to Count
        By prefix, in the order in which they run.
    waiting : int
        Tasks that are to be planned.
    stored : int
        Bytes of the values in the store.
    jobs_moved, client_moved : mapping of str to int
        Bytes that jobs and this process have ``read`` and ``written``.
    decisions : sequence of Decision
        The last about plans that were under way, the oldest first.
    cost : str
        What jobs have cost so far; empty where they cost nothing.
    """

    running: int
    slots: int
    stages: list[StageRow]
    tasks: Mapping[str, Count]
    waiting: int
    stored: int
    jobs_moved: Mapping[str, int]
    client_moved: Mapping[str, int]
    decisions: Sequence[Decision] = ()
    cost: str = ""

    @property
    def count(self) -> Count:
        """All tasks, those that are to be planned included."""
        return sum(self.tasks.values(), Count(total=self.waiting))

    @property
    def is_empty(self) -> bool:
        """Whether nothing has run, and nothing waits."""
        return not (self.stages or self.tasks or self.waiting)


@dataclass(frozen=True, slots=True)
class Spent:
    """What jobs have cost so far: in words, and by stage."""

    words: str = ""
    stages: Mapping[str, object] = field(default_factory=dict)


def overview(
    seen: Snapshot,
    children: Mapping[StageId, Mapping[JobStatus, int]],
    slots: int,
    client_moved: Mapping[str, int],
    decisions: Sequence[Decision] = (),
    spent: Spent | None = None,
    now: float = 0.0,
) -> Overview:
    """Join what the tracker and Batch know.

    Parameters
    ----------
    seen : Snapshot
        What the tracker knows.
    children : mapping of StageId to mapping of JobStatus to int
        The children of the jobs of stages that aren't over, by Batch's states.
    slots : int
        Jobs that may run at once.
    client_moved : mapping of str to int
        Bytes that this process has read and written.
    decisions : sequence of Decision
        The last about plans that were under way.
    spent : Spent, optional
        What jobs have cost so far, where they cost anything.
    now : float
        The time, in seconds since the epoch.
    """
    spent = spent or Spent()
    rows = [_row(stage, children.get(stage.id, {}), spent, now) for stage in seen.stages]
    return Overview(
        running=sum(row.running for row in rows),
        slots=slots,
        stages=rows,
        tasks=seen.tasks,
        waiting=seen.waiting,
        stored=seen.stored,
        jobs_moved=seen.moved,
        client_moved=client_moved,
        decisions=decisions,
        cost=spent.words,
    )


def _row(stage: StageSeen, children: Mapping[JobStatus, int], spent: Spent, now: float) -> StageRow:
    still = stage.shards.get(ShardState.OPEN, 0)
    # Batch was asked a moment before the store: what it says of shards that are done is old.
    running = min(still, sum(children.get(status, 0) for status in STARTED))
    return StageRow(
        stage_name(stage.id),
        waiting=still - running,
        running=running,
        done=stage.shards.get(ShardState.DONE, 0),
        failed=stage.shards.get(ShardState.FAILED, 0),
        dropped=stage.shards.get(ShardState.DROPPED, 0),
        tasks=stage.tasks,
        seconds=_seconds(stage, running, now),
        cost=str(spent.stages.get(str(stage.id), "")),
    )


def _seconds(stage: StageSeen, running: int, now: float) -> float | None:
    """Give how long it has run: until now while jobs run, else until its last task ended."""
    if stage.span is None:
        return None
    first, last = stage.span
    return max(0.0, (max(now, last) if running else last) - first)
