"""Looks into stages whose jobs wait and wait: says why, and which can never run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from dask.utils import format_time

from dask_knot.batch.diagnosis import Backoff, Diagnosis, WaitingJob, diagnose
from dask_knot.batch.machines import LONG, Sight, words_of_machines, words_of_starting
from dask_knot.batch.queues import Description
from dask_knot.batch.rules import ENDED, STARTED, JobStatus
from dask_knot.batch.service import JobService, StageJob
from dask_knot.batch.waitingline import WaitingLine
from dask_knot.run.names import StageId


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
        self._waits: dict[StageId, Backoff] = {}  # for a machine
        self._starts: dict[StageId, Backoff] = {}  # for a container
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
        self._waits = {id: self._waits.get(id, Backoff(self._after)) for id in jobs}
        self._starts = {id: self._starts.get(id, Backoff(LONG)) for id in jobs}
        overdue = [
            id
            for id, job in jobs.items()
            if self._waits[id].is_over(_is_waiting(job), now)
            | self._starts[id].is_over(_is_starting(job), now)
        ]
        late = self._late.find(jobs, now) if self._late is not None else frozenset()
        overdue += sorted(late.difference(overdue))
        if not overdue:
            return []
        stuck = {id for id in overdue if _is_starting(jobs[id])}
        busy = any(_has_started(job) for id, job in jobs.items() if id not in stuck)
        line = self._service.line()
        surroundings = line.surroundings()
        found = []
        for id in overdue:
            # Before that machines boot and images are pulled; who gives a stage up is told all.
            waited = max(self._waits[id].waited(now), self._starts[id].waited(now))
            is_long = not busy and (waited >= LONG or id in late)
            diagnosis = _diagnosis(jobs[id], line, surroundings, waited, is_long)
            if id in late and self._late is not None:
                diagnosis = self._late.verdict(diagnosis)
            if diagnosis.is_hopeless or not (busy or self._said.get(id) == diagnosis.words):
                self._said[id] = diagnosis.words
                found.append(Stall(id, jobs[id].id, *diagnosis))
        return found


def _diagnosis(
    job: StageJob,
    line: WaitingLine,
    surroundings: tuple[Description | None, Sequence[Description]],
    waited: float,
    is_long: bool,
) -> Diagnosis:
    """Say why a job waits; machines are looked at only if it has waited for long."""
    queue, environments = surroundings
    if _is_starting(job):
        return Diagnosis(words_of_starting(waited, line.sight(environments) or Sight()), False)
    reason = line.reason(job)
    waiting = WaitingJob(reason, job.resources.vcpus, job.resources.gpus)
    found = diagnose(waiting, queue, environments)
    if found.is_hopeless or reason:
        return found
    parts = [found.words, line.place(job, environments)]
    if is_long and (seen := line.sight(environments)) is not None:
        parts.append(words_of_machines(environments, waited, seen) or "")
    return Diagnosis("; ".join(filter(None, parts)), False)


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


def _is_starting(job: StageJob) -> bool:
    """Tell whether containers are being started, and none runs or has ended."""
    return bool(job.counts.get(JobStatus.STARTING)) and not _has_begun(job)


def _has_started(job: StageJob) -> bool:
    """Tell whether jobs do start: then the others wait for their turn only."""
    return any(job.counts.get(status) for status in STARTED)
