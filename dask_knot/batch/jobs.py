"""The jobs that were submitted, by stage. What threads share of them is stated here.

The thread that submits adds jobs, the event loop forgets old ones, the thread that looks brings
them up to date, and whoever shows them or reads their logs asks from a thread of his own. So the
mapping is replaced, never changed, by one writer at a time; a reader may keep the one that he got.
In a job, too, what is found out replaces what was known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from threading import Lock
from types import MappingProxyType

from dask_knot.batch.queues import Description
from dask_knot.batch.rules import JobStatus, known_status
from dask_knot.planning import Resources
from dask_knot.run.names import StageId


@dataclass(slots=True)
class StageJob:
    """A job or array job that was submitted.

    `ended` are the children that are accounted for; `counts` are all, by state, as Batch had them
    at the last look. `is_adopted`: another session of the run submitted it, or was to;
    `is_foreign`: the Batch that is asked here doesn't know it. `was_over`: it was at the first
    look, so that what is missing of it is a matter of the past.
    """

    id: str
    size: int
    resources: Resources
    ended: frozenset[int] = frozenset()
    is_over: bool = False
    missed: int = 0
    counts: Mapping[JobStatus, int] = field(default_factory=dict)
    reason: str = ""
    is_adopted: bool = False
    is_foreign: bool = False
    is_known: bool = False  # Batch has answered for it, and what had failed by then is told
    was_over: bool = False

    def child(self, index: int) -> str:
        """Name the child that runs a shard: a job of one shard is its own child."""
        return self.id if self.size == 1 else f"{self.id}:{index}"

    def children(self) -> Iterator[str]:
        """Name all children."""
        return map(self.child, range(self.size))


class StageJobs:
    """Jobs by stage, the oldest first.

    Attributes
    ----------
    jobs : mapping of StageId to StageJob
        All of them, as of now.
    """

    def __init__(self) -> None:
        self._lock = Lock()  # for writers
        self.jobs: Mapping[StageId, StageJob] = MappingProxyType({})

    def add(self, id: StageId, job: StageJob) -> None:
        """Add the job of a stage."""
        with self._lock:
            self.jobs = MappingProxyType({**self.jobs, id: job})

    def prune(self, keep: int, needed: Collection[StageId]) -> None:
        """Forget the oldest jobs beyond so many, but none that is needed."""
        with self._lock:
            excess = len(self.jobs) - keep
            if excess > 0:
                gone = set([id for id in self.jobs if id not in needed][:excess])
                kept = {id: job for id, job in self.jobs.items() if id not in gone}
                self.jobs = MappingProxyType(kept)


def counts_of(detail: Description, size: int) -> dict[JobStatus, int]:
    """Count the children of a job that Batch describes, by state."""
    summary = detail.get("arrayProperties", {}).get("statusSummary", {})
    counts = summary if size > 1 else {detail["status"]: 1}
    return {
        status: count
        for name, count in counts.items()
        if count and (status := known_status(name)) is not None
    }
