"""The Knot page in numbers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dask_knot.batch.rules import STARTED, JobStatus
from dask_knot.run.names import StageId
from dask_knot.session.decisions import Decision
from dask_knot.tracking.moves import ShardState
from dask_knot.tracking.snapshot import Count, Snapshot, StageSeen


@dataclass(frozen=True, slots=True)
class StageRow:
    """The shards of a stage: waiting, running, done, failed (done again elsewhere) or dropped."""

    name: str
    waiting: int
    running: int
    done: int
    failed: int
    dropped: int

    @property
    def total(self) -> int:
        """All shards of the stage."""
        return self.waiting + self.running + self.done + self.failed + self.dropped


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


def overview(
    seen: Snapshot,
    children: Mapping[StageId, Mapping[JobStatus, int]],
    slots: int,
    client_moved: Mapping[str, int],
    decisions: Sequence[Decision] = (),
    cost: str = "",
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
    cost : str
        What jobs have cost so far; empty where they cost nothing.
    """
    rows = [_row(stage, children.get(stage.id, {})) for stage in seen.stages]
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
        cost=cost,
    )


def _row(stage: StageSeen, children: Mapping[JobStatus, int]) -> StageRow:
    still = stage.shards.get(ShardState.OPEN, 0)
    # Batch was asked a moment before the store: what it says of shards that are done is old.
    running = min(still, sum(children.get(status, 0) for status in STARTED))
    return StageRow(
        f"{stage.id.plan}.{stage.id.stage}",
        waiting=still - running,
        running=running,
        done=stage.shards.get(ShardState.DONE, 0),
        failed=stage.shards.get(ShardState.FAILED, 0),
        dropped=stage.shards.get(ShardState.DROPPED, 0),
    )
