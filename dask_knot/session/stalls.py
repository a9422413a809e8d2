"""Looks into stages whose jobs wait and wait: says why, and which can never run."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import NamedTuple

from dask_knot.batch.diagnosis import Backoff, Diagnosis, WaitingJob, diagnose
from dask_knot.batch.queues import Description
from dask_knot.batch.rules import STARTED, JobStatus
from dask_knot.batch.service import JobService, StageJob
from dask_knot.run.names import StageId

logger = logging.getLogger(__name__)


class Stall(NamedTuple):
    """A stage that waits, and why."""

    stage: StageId
    job_id: str
    words: str
    is_hopeless: bool


class StallWatch:
    """Asks Batch why jobs wait, but only after a while, and then ever more seldom.

    Parameters
    ----------
    service : JobService
        Knows the jobs.
    after : float
        Seconds that a stage may wait while none of its children runs.
    """

    def __init__(self, service: JobService, after: float) -> None:
        self._service = service
        self._after = after
        self._backoffs: dict[StageId, Backoff] = {}
        self._said: dict[StageId, str] = {}

    def look(self, stages: Sequence[StageId], now: float) -> list[Stall]:
        """Name the stages that are stuck and of which that wasn't said before.

        Parameters
        ----------
        stages : sequence of StageId
            Those that are open, as `JobService.poll` found them last.
        now : float
            Seconds on a clock that never goes back.
        """
        jobs = {id: job for id in stages if (job := self._service.jobs.get(id)) is not None}
        self._backoffs = {id: self._backoffs.get(id, Backoff(self._after)) for id in jobs}
        overdue = [
            id for id, job in jobs.items() if self._backoffs[id].is_over(_is_waiting(job), now)
        ]
        if not overdue:
            return []
        busy = any(_has_started(job) for job in jobs.values())
        queue, environments = self._surroundings()
        found = []
        for id in overdue:
            diagnosis = self._diagnose(jobs[id], queue, environments)
            if diagnosis.is_hopeless or not (busy or self._said.get(id) == diagnosis.words):
                self._said[id] = diagnosis.words
                found.append(Stall(id, jobs[id].id, *diagnosis))
        return found

    def _diagnose(
        self, job: StageJob, queue: Description | None, environments: Sequence[Description]
    ) -> Diagnosis:
        try:
            reason = self._service.waiting_reason(job)
        except Exception as error:  # the reason why is missed, nothing else
            logger.debug("Batch can't be asked why %s waits: %s", job.id, error)
            reason = ""
        waiting = WaitingJob(reason, job.resources.vcpus, job.resources.gpus)
        return diagnose(waiting, queue, environments)

    def _surroundings(self) -> tuple[Description | None, list[Description]]:
        try:
            return self._service.surroundings()
        except Exception as error:  # for want of a permission, say
            logger.debug("Batch can't be asked about the queue: %s", error)
            return None, []


def _is_waiting(job: StageJob) -> bool:
    return bool(job.counts.get(JobStatus.RUNNABLE)) and not _has_started(job)


def _has_started(job: StageJob) -> bool:
    """Tell whether jobs do start: then the others wait for their turn only."""
    return any(job.counts.get(status) for status in STARTED)
