"""The calls of boto3's Batch client that are used, and answers longer than one of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Protocol

from dask_knot.batch.limits import DESCRIBED_JOBS
from dask_knot.batch.queues import Description, QueueClient
from dask_knot.batch.rules import ENDED, JobStatus, known_status


class BatchClient(QueueClient, Protocol):
    """The calls of boto3's Batch client that are used."""

    def describe_job_definitions(self, **request: Any) -> Mapping[str, Any]: ...
    def register_job_definition(self, **request: Any) -> Mapping[str, Any]: ...
    def submit_job(self, **request: Any) -> Mapping[str, Any]: ...
    def describe_jobs(self, *, jobs: Sequence[str]) -> Mapping[str, Any]: ...
    def list_jobs(self, **request: Any) -> Mapping[str, Any]: ...
    def terminate_job(self, *, jobId: str, reason: str) -> Mapping[str, Any]: ...


def describe_jobs(client: BatchClient, ids: Sequence[str]) -> list[Description]:
    """Describe any number of jobs and children; those that Batch has forgotten are left out."""
    found: list[Description] = []
    for start in range(0, len(ids), DESCRIBED_JOBS):
        found += client.describe_jobs(jobs=ids[start : start + DESCRIBED_JOBS])["jobs"]
    return found


def children(client: BatchClient, array: str, status: JobStatus) -> Iterator[Description]:
    """Summarize the children of an array job that are in one state, page after page."""
    return _listed(client, arrayJobId=array, jobStatus=status.value)


def jobs_called(client: BatchClient, queue: str, name: str) -> Iterator[Description]:
    """Summarize the jobs of a queue with a name, or a beginning of one and ``*``, in any state.

    Batch takes capital and small letters for the same.
    """
    wanted = [{"name": "JOB_NAME", "values": [name]}]
    return _listed(client, jobQueue=queue, filters=wanted)


def job_under_way(client: BatchClient, queue: str, name: str) -> Description | None:
    """Find the job of a queue with just that name that isn't over, if there is one."""
    named = (job for job in jobs_called(client, queue, name) if job["jobName"] == name)
    return next((job for job in named if known_status(job["status"]) not in ENDED), None)


def running(
    client: BatchClient, alone: Sequence[str], arrays: Mapping[str, Collection[str]]
) -> list[str]:
    """Name those of some jobs, and of some children by the array that they are in, that run."""
    status = JobStatus.RUNNING
    found = [d["jobId"] for d in describe_jobs(client, alone) if d["status"] == status.value]
    for array, wanted in arrays.items():
        run = (child["jobId"] for child in children(client, array, status))
        found += [id for id in run if id in wanted]
    return found


def _listed(client: BatchClient, **request: Any) -> Iterator[Description]:
    token: dict[str, str] = {}
    while True:
        page = client.list_jobs(**request, **token)
        yield from page["jobSummaryList"]
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}
