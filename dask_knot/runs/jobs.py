"""The jobs of a run as Batch has them: their states, their logs, their end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from dask_knot.batch.client import children, describe_jobs
from dask_knot.batch.endings import ENDED_RUN
from dask_knot.batch.jobs import StageJob
from dask_knot.batch.logs import JobLogs, chosen_children, newest_children
from dask_knot.batch.rules import JobStatus
from dask_knot.batch.runjobs import RunJob, end_run, jobs_of_run, stage_job
from dask_knot.errors import AwsError, ConfigurationError
from dask_knot.run.names import ShardId, StageId
from dask_knot.runs.depot import Depot, JobAccess
from dask_knot.runs.reading import RunView

#: Lines of each log, if nobody says how many.
LINES = 20
#: So many logs are read when none is named.
LOGS = 10


@dataclass(frozen=True, slots=True)
class KnownJobs:
    """The jobs of a run, as far as they could be asked for.

    Attributes
    ----------
    jobs : mapping of StageId to RunJob
        Those of stages that Batch knows.
    is_asked : bool
        Whether it could be asked.
    why : str
        Why not.
    twins : sequence of RunJob
        Those that run shards a second time.
    """

    jobs: Mapping[StageId, RunJob]
    is_asked: bool = True
    why: str = ""
    twins: Sequence[RunJob] = ()

    @property
    def open(self) -> list[RunJob]:
        """Those that haven't ended."""
        return [job for job in (*self.jobs.values(), *self.twins) if not job.is_over]


def find_run_jobs(depot: Depot, name: str) -> KnownJobs:
    """Ask Batch for the jobs of a run; that it can't be asked is no error."""
    if depot.jobs is None:
        return KnownJobs({}, False, depot.why)
    try:
        found = jobs_of_run(depot.jobs.client, depot.jobs.queue, name)
    except AwsError as error:
        return KnownJobs({}, False, str(error))
    twins = [job for job in found if job.twin is not None]
    return KnownJobs({job.stage: job for job in found if job.twin is None}, twins=twins)


def with_jobs(view: RunView, known: KnownJobs) -> RunView:
    """Add to what is known of a run what Batch says of its jobs."""
    if not known.is_asked:
        return view
    are_open = {stage: not job.is_over for stage, job in known.jobs.items()}
    return replace(view, marks=replace(view.marks, jobs=are_open))


def end_run_jobs(access: JobAccess, known: KnownJobs) -> Sequence[str]:
    """End the jobs of a run that haven't ended, and wait; name those that haven't ended in time.

    Raises
    ------
    AwsError
        If Batch doesn't take it.
    """
    left = end_run(access.client, known.open, ENDED_RUN)
    if left.why is not None:
        raise left.why
    return left.jobs


def read_job_logs(
    access: JobAccess, known: KnownJobs, chosen: Sequence[str] = (), lines: int = LINES
) -> dict[str, str]:
    """Read the last lines of logs, by the ids of children: of those that are named, or of some.

    Those that failed come first, then the newest.

    Raises
    ------
    AwsError
        If Batch can't be asked.
    """
    jobs = {stage: _with_failed(access, job) for stage, job in known.jobs.items()}
    twins = [twin.id for twin in known.twins if twin.id in chosen]
    ids = [*chosen_children(jobs, chosen), *twins] if chosen else newest_children(jobs, LOGS)
    by_id = {detail["jobId"]: detail for detail in describe_jobs(access.client, ids)}
    details = [by_id[id] for id in ids if id in by_id]
    return JobLogs(access.tail).read(details, lines)


def child_of(known: KnownJobs, shard: ShardId) -> str:
    """Name the child that makes a shard.

    Raises
    ------
    ConfigurationError
        If Batch doesn't know its job any more.
    """
    return stage_job(_known(known, shard.stage)).child(shard.index)


def job_of(known: KnownJobs, stage: StageId) -> str:
    """Give the id of the job of a stage.

    Raises
    ------
    ConfigurationError
        If Batch doesn't know it any more.
    """
    return _known(known, stage).id


def _known(known: KnownJobs, stage: StageId) -> RunJob:
    if stage not in known.jobs:
        raise ConfigurationError(
            f"Batch has no job of {stage}: it forgets jobs a few days after they finish"
        )
    return known.jobs[stage]


def is_job(known: KnownJobs, text: str) -> bool:
    """Tell whether a text is the id of a job of a run, or of a child of one."""
    jobs = (*known.jobs.values(), *known.twins)
    return text.partition(":")[0] in {job.id for job in jobs}


def _with_failed(access: JobAccess, job: RunJob) -> StageJob:
    found = stage_job(job)
    if not job.counts.get(JobStatus.FAILED):
        return found
    if job.size == 1:
        return replace(found, ended=frozenset({0}))
    failed = children(access.client, job.id, JobStatus.FAILED)
    return replace(found, ended=frozenset(one["arrayProperties"]["index"] for one in failed))
