"""Stages whose children have all started: what is left of them runs, and waits for no slot."""

from __future__ import annotations

from collections.abc import Mapping

from dask_knot.batch.rules import ENDED, JobStatus
from dask_knot.batch.service import StageJob
from dask_knot.run.names import StageId
from dask_knot.tracking.events import StageStarted

#: What a child is that has started.
_BEGUN = (JobStatus.RUNNING, *ENDED)


class StartWatch:
    """Tells of each stage once that all of its children have started, by Batch's counts."""

    def __init__(self) -> None:
        self._told: set[StageId] = set()

    def look(self, jobs: Mapping[StageId, StageJob]) -> list[StageStarted]:
        """Tell which stages have started since the last look.

        Parameters
        ----------
        jobs : mapping of StageId to StageJob
            The jobs of all stages that are open, as Batch had them last.
        """
        self._told &= jobs.keys()
        new = [id for id, job in jobs.items() if id not in self._told and _has_started(job)]
        self._told.update(new)
        return [StageStarted(id) for id in new]


def _has_started(job: StageJob) -> bool:
    """Tell whether no child waits any more; of foreign jobs nobody here knows that."""
    if job.is_foreign:
        return False
    return job.is_over or sum(job.counts.get(status, 0) for status in _BEGUN) == job.size
