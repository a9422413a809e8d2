"""The jobs of a run as Batch has them, whoever submitted them: found by name, ended together."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from dask_knot.batch.client import BatchClient, describe_jobs, jobs_called
from dask_knot.batch.jobs import StageJob, counts_of
from dask_knot.batch.request import JobTemplate
from dask_knot.batch.rules import ENDED, JobStatus, known_status
from dask_knot.batch.service import JobService
from dask_knot.batch.termination import PATIENCE, Leftovers, end_jobs
from dask_knot.planning import Resources
from dask_knot.run.names import ShardId, StageId

#: What a job's name ends in, behind that of its run: names of other runs may begin with a run's.
#: A twin's has more (`twins.twin_name`).
_NAME = re.compile(r"-(\d{10})-(\d{3}|[1-9]\d{3,})(?:-twin-(\d+))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class RunJob:
    """A job or array job of a run.

    Attributes
    ----------
    id, name : str
        What Batch knows it by.
    stage : StageId
        What it runs.
    status : JobStatus or None
        None: a state that a later Batch may have.
    size : int
        How many children it has; a job that is no array is its own only one.
    counts : mapping of JobStatus to int
        Its children by state, as far as that was asked for.
    created : float
        When it was submitted, in seconds since the epoch.
    reason : str
        What Batch says of its state.
    twin : int or None
        The child of the stage that it runs a second time; None: it is the stage's own job.
    """

    id: str
    name: str
    stage: StageId
    status: JobStatus | None
    size: int = 1
    counts: Mapping[JobStatus, int] = field(default_factory=dict)
    created: float = 0.0
    reason: str = ""
    twin: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether all of its children have ended."""
        return self.status in ENDED


def listed_jobs(
    client: BatchClient, queue: str, run: str, plan: int | None = None
) -> dict[StageId, RunJob]:
    """List the jobs of a run, or of one of its plans, in the order of their stages.

    Batch knows jobs for a day to a week after their end. Of several jobs of one name, as after a
    run was deleted and made anew, the newest counts.

    Parameters
    ----------
    client : BatchClient
        Is asked; one call for each hundred jobs or so.
    queue : str
        The job queue.
    run : str
        The name of the run.
    plan : int, optional
        The number of a plan.
    """
    return _newest(job for job in _listed(client, queue, run, plan) if job.twin is None)


def _listed(client: BatchClient, queue: str, run: str, plan: int | None = None) -> Iterator[RunJob]:
    called = f"{run}-*" if plan is None else f"{run}-{plan:010}-*"
    jobs = (_parsed(run, summary) for summary in jobs_called(client, queue, called))
    return (job for job in jobs if job is not None)


def _newest(jobs: Iterable[RunJob]) -> dict[StageId, RunJob]:
    found: dict[StageId, RunJob] = {}
    for job in jobs:
        if job.stage not in found or found[job.stage].created < job.created:
            found[job.stage] = job
    return dict(sorted(found.items()))


def jobs_of_run(client: BatchClient, queue: str, run: str) -> list[RunJob]:
    """List the jobs of a run with the states of their children: of its stages, then twins."""
    there = list(_listed(client, queue, run))
    stages = _newest(job for job in there if job.twin is None).values()
    twins = (job for job in there if job.twin is not None)
    found = {job.id: job for job in (*stages, *twins)}
    for detail in describe_jobs(client, list(found)):
        job = found[detail["jobId"]]
        found[job.id] = replace(
            job,
            status=known_status(detail["status"]),
            counts=counts_of(detail, job.size),
            reason=detail.get("statusReason", ""),
        )
    return list(found.values())


def end_run(
    client: BatchClient,
    jobs: Iterable[RunJob],
    reason: str,
    patience: float = PATIENCE,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], object] = time.sleep,
) -> Leftovers:
    """Terminate jobs of a run that aren't over, the last first, and wait until they are.

    Parameters
    ----------
    client : BatchClient
        Ends them.
    jobs : iterable of RunJob
        The jobs; those that are over don't matter.
    reason : str
        What Batch is to say of their end.
    patience : float
        After so many seconds those that still haven't ended are left.
    now, pause : callable
        A clock that never goes back, and what waits for so many seconds.
    """
    service = JobService(client, JobTemplate("", "", ""), lambda stream, lines: ())
    for job in sorted(jobs, key=lambda job: job.stage):
        if not job.is_over:
            adopt(service, job)
    return end_jobs(service, patience, now, pause, reason)


def stage_job(job: RunJob) -> StageJob:
    """Make what a service watches of a job that somebody else submitted."""
    unknown = Resources(vcpus=0, memory=None)
    return StageJob(job.id, job.size, unknown, is_adopted=True)


def adopt(service: JobService, job: RunJob) -> None:
    """Have a job watched that somebody else submitted."""
    if job.twin is None:
        service.adopt(job.stage, stage_job(job))
    else:
        service.twins.adopt(ShardId(job.stage, job.twin), stage_job(job))


def _parsed(run: str, summary: Mapping[str, Any]) -> RunJob | None:
    """Read an entry of a listing, unless it is of a run whose name begins as this one's."""
    name = str(summary["jobName"])
    match = _NAME.fullmatch(name[len(run) :]) if name.startswith(run) else None
    if match is None:
        return None
    plan, stage, twin = match.groups()
    return RunJob(
        id=str(summary["jobId"]),
        name=name,
        stage=StageId(int(plan), int(stage)),
        status=known_status(summary["status"]),
        size=int(summary.get("arrayProperties", {}).get("size", 1)),
        created=summary.get("createdAt", 0) / 1000,
        reason=summary.get("statusReason", ""),
        twin=None if twin is None else int(twin),
    )
