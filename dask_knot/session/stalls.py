"""Looks into stages whose jobs wait and wait: says why, and which can never run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dask.utils import format_time

from dask_knot.batch.diagnosis import Backoff, Diagnosis, WaitingJob, diagnose
from dask_knot.batch.queues import Description
from dask_knot.batch.rules import ENDED, STARTED, JobStatus
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
    start_timeout : float, optional
        Seconds after which a stage is given up of which no child has started; see `LateStarts`.
    """

    def __init__(
        self, service: JobService, after: float, start_timeout: float | None = None
    ) -> None:
        self._service = service
        self._after = after
        self._late = None if start_timeout is None else LateStarts(start_timeout)
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
        late = self._late.find(jobs, now) if self._late is not None else frozenset()
        overdue += sorted(late.difference(overdue))
        if not overdue:
            return []
        busy = any(_has_started(job) for job in jobs.values())
        queue, environments = self._surroundings()
        found = []
        for id in overdue:
            diagnosis = self._diagnose(jobs[id], queue, environments)
            if id in late and self._late is not None:
                diagnosis = self._late.verdict(diagnosis)
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


class LateStarts:
    """The rule when a stage has waited for too long to be waited for: pure.

    Its time begins when nothing holds its jobs up any more but a lack of machines. What waits for
    other stages, or for its turn behind jobs of the same size, isn't late: that ends by itself.

    Parameters
    ----------
    limit : float
        Seconds that a stage may wait for its first child to run.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._since: dict[StageId, float] = {}
        self._settled: set[StageId] = set()  # they have started, or were given up

    def find(self, jobs: Mapping[StageId, StageJob], now: float) -> frozenset[StageId]:
        """Name the stages that are late; each once.

        Parameters
        ----------
        jobs : mapping of StageId to StageJob
            Those that are open, as Batch had them last.
        now : float
            Seconds on a clock that never goes back.
        """
        self._settled = {id for id, job in jobs.items() if id in self._settled or _has_begun(job)}
        busy = {job.resources for job in jobs.values() if job.counts.get(JobStatus.RUNNING)}
        waiting = [
            id
            for id, job in jobs.items()
            if id not in self._settled and _is_due(job) and job.resources not in busy
        ]
        self._since = {id: self._since.get(id, now) for id in waiting}
        late = frozenset(id for id in waiting if now - self._since[id] >= self._limit)
        self._settled |= late
        return late

    def verdict(self, diagnosis: Diagnosis) -> Diagnosis:
        """Say that a stage is given up, and what was found out about the reason."""
        limit = format_time(self._limit)
        words = f"none of it has started within {limit} (start-timeout): {diagnosis.words}"
        return Diagnosis(words, True)


def _is_due(job: StageJob) -> bool:
    """Tell whether some children wait for nothing but a machine, its image included."""
    return any(job.counts.get(status) for status in (JobStatus.RUNNABLE, JobStatus.STARTING))


def _has_begun(job: StageJob) -> bool:
    """Tell whether some child runs, or has ended."""
    return any(job.counts.get(status) for status in (JobStatus.RUNNING, *ENDED))


def _is_waiting(job: StageJob) -> bool:
    return bool(job.counts.get(JobStatus.RUNNABLE)) and not _has_started(job)


def _has_started(job: StageJob) -> bool:
    """Tell whether jobs do start: then the others wait for their turn only."""
    return any(job.counts.get(status) for status in STARTED)
