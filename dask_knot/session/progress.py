"""Progress: what is known of the work at this moment, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

from dask.typing import Key

from dask_knot.batch.service import StageJob
from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking.snapshot import Snapshot
from dask_knot.tracking.tally import Tally
from dask_knot.tracking.tracker import Tracker


class Progress:
    """Reads what the tracker knows; changes nothing.

    Parameters
    ----------
    tracker : Tracker
        Knows keys, shards and stages.
    jobs : callable
        Gives the jobs that are remembered, by stage.
    """

    def __init__(self, tracker: Tracker, jobs: Callable[[], Mapping[StageId, StageJob]]) -> None:
        self._tracker = tracker
        self._jobs = jobs

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs and nothing waits to be planned."""
        return self._tracker.is_idle

    @property
    def is_taking(self) -> bool:
        """Whether a graph of a client is being taken up."""
        return self._tracker.is_taking

    @property
    def next_plan(self) -> int:
        """The number that the next plan will have."""
        return self._tracker.next_plan

    def running_plans(self) -> set[int]:
        """Number the plans that have shards that aren't done."""
        return self._tracker.running_plans()

    def running_jobs(self) -> dict[StageId, StageJob]:
        """Give the jobs of the stages that aren't done, in the order of their plans."""
        jobs = self._jobs()
        return {id: jobs[id] for id in self._tracker.open_stages() if id in jobs}

    def is_open(self, shard: ShardId) -> bool:
        """Tell whether a shard is known and not done."""
        return self._tracker.opening(shard) is not None

    def outputs_of(self, shard: ShardId) -> list[Key]:
        """List the keys whose values a shard writes; none if it is known no longer."""
        return self._tracker.outputs_of(shard)

    def plans_of(self, keys: Iterable[Key]) -> tuple[set[int], int]:
        """Name the plans that make some keys, and count the keys that are to be planned."""
        return self._tracker.plans_of(keys)

    def snapshot(self, plans: Collection[int] | None = None) -> Snapshot:
        """Look at some plans and those that they wait for, or at all of the present activity."""
        return self._tracker.snapshot(plans)

    def tallies(self) -> dict[StageId, Tally]:
        """Give the stages in numbers, those of the last while that are over included."""
        return self._tracker.tallies()
