"""Put jobs that behave as on AWS into moto, with the limits that AWS has for requests."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from moto.batch import models
from moto.batch.exceptions import ClientException
from moto.batch.responses import BatchResponse

from tests.rig.server.attempts import Surroundings
from tests.rig.server.jobs import Job
from tests.rig.server.queueing import Queueing

#: moto drops the retry strategy of a request before its backend sees it.
_request = threading.local()


def install(queueing: Queueing, surroundings: Surroundings, shortest_timeout: int) -> None:
    """Replace moto's jobs and its three calls on them."""
    Job.queueing, Job.surroundings = queueing, surroundings
    models.Job = Job
    backend = models.BatchBackend
    submit, listing, respond = backend.submit_job, backend.list_jobs, BatchResponse.submitjob

    def submit_job(self: Any, name: str, definition: str, queue: str, **more: Any) -> Any:
        array = more["array_properties"]
        _check(self._jobs, array, more.get("depends_on") or [])
        _check_timeout(more.get("timeout"), shortest_timeout)
        with queueing.lock:  # no child may be looked at before its parent knows it
            answer = submit(self, name, definition, queue, **more)
            _complete(self._jobs[answer[1]], array.get("size"))
            # Children are not in the queue's own listing.
            jobs = self.get_job_queue(queue).jobs
            jobs[:] = [job for job in jobs if job.index is None]
        return answer

    def list_jobs(
        self: Any,
        job_queue_name: str | None,
        array_job_id: str | None,
        job_status: str | None = None,
        filters: Any = None,
    ) -> Any:
        if filters is None and job_status is None:
            job_status = "RUNNING"  # as AWS does
        return listing(self, job_queue_name, array_job_id, job_status, filters)

    def submitjob(self: Any) -> Any:
        _request.retry = self._get_param("retryStrategy")
        return respond(self)

    backend.submit_job, backend.list_jobs = submit_job, list_jobs
    BatchResponse.submitjob = submitjob


def find(job_id: str) -> Job | None:
    """Look for a job in all accounts and regions."""
    for account in models.batch_backends.values():
        for backend in account.values():
            if job_id in backend._jobs:
                job: Job = backend._jobs[job_id]
                return job
    return None


def _complete(job: Job, size: int | None) -> None:
    for each in (job, *(job.children or ())):
        each.retry = getattr(_request, "retry", None)
        each.size = size
        each.container_overrides = dict(each.container_overrides or {})


def _check(
    jobs: Mapping[str, Job], array: Mapping[str, int], depends_on: Sequence[Mapping[str, str]]
) -> None:
    if "size" in array and not 2 <= array["size"] <= 10_000:
        raise ClientException("Array size must be between 2 and 10,000")
    if len(depends_on) > 20:
        raise ClientException("dependsOn must have at most 20 entries")
    for dependency in depends_on:
        upstream = jobs.get(dependency.get("jobId", ""))
        if dependency.get("jobId") and upstream is None:
            raise ClientException(f"Job {dependency['jobId']} does not exist")
        kind = dependency.get("type")
        if kind == "SEQUENTIAL" and "size" not in array:
            raise ClientException("SEQUENTIAL dependency is only for array jobs")
        if kind == "N_TO_N" and (
            upstream is None or len(upstream.children or ()) != array.get("size")
        ):
            raise ClientException("N_TO_N dependency requires array jobs of the same size")


def _check_timeout(timeout: Mapping[str, int] | None, shortest: int) -> None:
    if timeout and timeout.get("attemptDurationSeconds", shortest) < shortest:
        raise ClientException(f"attemptDurationSeconds must be at least {shortest}")
