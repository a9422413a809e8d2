"""Put jobs that behave as on AWS into moto, with the limits that AWS has for requests.

What is refused is decided by the package's own table of limits, whose tests hold it against AWS's
documents; here it meets requests as boto3 sends them.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from moto.batch import models, urls
from moto.batch.exceptions import ClientException
from moto.batch.responses import BatchResponse

from dask_knot.batch import limits
from dask_knot.batch.rules import Wait
from tests.rig.server.attempts import Surroundings
from tests.rig.server.jobs import Job
from tests.rig.server.queueing import Queueing

#: moto drops the retry strategy of a request before its backend sees it.
_request = threading.local()


def install(queueing: Queueing, surroundings: Surroundings, shortest_timeout: int) -> None:
    """Replace moto's jobs and its calls on them."""
    Job.queueing, Job.surroundings = queueing, surroundings
    models.Job = Job
    backend = models.BatchBackend
    submit, listing = backend.submit_job, backend.list_jobs
    _check_requests(shortest_timeout)
    _install_snapshot()

    def submit_job(self: Any, name: str, definition: str, queue: str, **more: Any) -> Any:
        array = more["array_properties"]
        _check_dependencies(self._jobs, array.get("size"), more.get("depends_on") or [])
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

    backend.submit_job, backend.list_jobs = submit_job, list_jobs


def _check_requests(shortest_timeout: int) -> None:
    """Look at what boto3 sends before moto does."""
    submit, register = BatchResponse.submitjob, BatchResponse.registerjobdefinition
    describe = BatchResponse.describejobs

    def submitjob(self: Any) -> Any:
        _refuse_any(limits.submission_refusals(json.loads(self.body), shortest_timeout))
        _request.retry = self._get_param("retryStrategy")
        return submit(self)

    def registerjobdefinition(self: Any) -> Any:
        _refuse_any(limits.definition_refusals(json.loads(self.body), shortest_timeout))
        return register(self)

    def describejobs(self: Any) -> Any:
        _refuse_any(limits.description_refusals(self._get_param("jobs")))
        return describe(self)

    BatchResponse.submitjob, BatchResponse.describejobs = submitjob, describejobs
    BatchResponse.registerjobdefinition = registerjobdefinition


def _install_snapshot() -> None:
    """Answer GetJobQueueSnapshot, which moto hasn't got: what waits, the oldest first."""

    def getjobqueuesnapshot(self: Any) -> str:
        queue = self.batch_backend.get_job_queue(self._get_param("jobQueue"))
        if queue is None:
            raise ClientException(f"Job queue {self._get_param('jobQueue')} does not exist")
        found = [each for job in queue.jobs for each in job.children or [job]]
        waiting = [job for job in found if job.status == "RUNNABLE"]
        running = [job for job in found if job.status in ("STARTING", "RUNNING")]
        usage = [{"capacityUnit": "VCPU", "quantity": float(len(running))}]
        jobs = [{"jobArn": job.arn, "earliestTimeAtPosition": 0} for job in waiting]
        front = {"jobs": jobs[: limits.LISTED_JOBS], "lastUpdatedAt": 0}
        return json.dumps(
            {"frontOfQueue": front, "queueUtilization": {"totalCapacityUsage": usage}}
        )

    BatchResponse.getjobqueuesnapshot = getjobqueuesnapshot  # type: ignore[attr-defined]
    urls.url_paths["{0}/v1/getjobqueuesnapshot$"] = BatchResponse.dispatch


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


def _check_dependencies(
    jobs: Mapping[str, Job], size: int | None, depends_on: Sequence[Mapping[str, str]]
) -> None:
    for dependency in depends_on:
        upstream_size = None
        if dependency.get("type") != Wait.SEQUENTIAL.value:
            upstream = jobs.get(dependency.get("jobId", ""))
            if upstream is None:
                raise ClientException(f"Job {dependency.get('jobId')} does not exist")
            upstream_size = len(upstream.children or ()) or None
        _refuse_any(limits.dependency_refusals(dependency, size, upstream_size))


def _refuse_any(reasons: Iterable[str]) -> None:
    for reason in reasons:
        raise ClientException(reason)
