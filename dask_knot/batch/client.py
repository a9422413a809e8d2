"""The calls of boto3's Batch client that are used, and answers longer than one of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from dask_knot.batch.limits import DESCRIBED_JOBS
from dask_knot.batch.queues import Description, QueueClient
from dask_knot.batch.rules import JobStatus


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
    token: dict[str, str] = {}
    while True:
        page = client.list_jobs(arrayJobId=array, jobStatus=status.value, **token)
        yield from page["jobSummaryList"]
        if not page.get("nextToken"):
            return
        token = {"nextToken": page["nextToken"]}
