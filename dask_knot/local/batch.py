"""LocalBatch: the calls of boto3's Batch client, answered on this machine."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dask_knot.batch import limits
from dask_knot.batch.rules import Wait, is_called
from dask_knot.local.capacity import Capacity
from dask_knot.local.definitions import JobDefinitions, join, needs_of
from dask_knot.local.descriptions import (
    Response,
    definition_detail,
    environment_detail,
    job_arn,
    job_detail,
    job_summary,
    queue_detail,
)
from dask_knot.local.dispatch import Dispatcher
from dask_knot.local.jobs import AnyJob, ArrayJob, members
from dask_knot.local.launcher import Launcher
from dask_knot.local.schema import check_parameters, refuse, refuse_any, refuse_other_kinds

_TAIL_BYTES = 1 << 16


class LocalBatch:
    """AWS Batch on this machine: the calls that dask_knot uses, with the parameters, responses,
    limits and refusals of boto3's client. ``docs/local-engine.md`` lists what differs.

    Parameters
    ----------
    capacity
        How much may run at once.
    launcher
        What starts the processes.
    log_folder
        Where their output goes.
    minimum_timeout
        The least ``attemptDurationSeconds`` that is accepted.
    clock
        Seconds since the epoch.
    has_thread
        Whether a thread starts and ends jobs when it is time; else somebody calls :meth:`step`,
        as in virtual time.
    """

    def __init__(
        self,
        capacity: Capacity,
        launcher: Launcher,
        *,
        log_folder: Path,
        minimum_timeout: float = limits.MINIMUM_TIMEOUT,
        clock: Callable[[], float] = time.time,
        has_thread: bool = True,
    ) -> None:
        self._log_folder = log_folder
        self._minimum_timeout = minimum_timeout
        self._definitions = JobDefinitions()
        self._dispatcher = Dispatcher(capacity, launcher, log_folder, clock, has_thread)
        self._lock = self._dispatcher.lock
        self._table = self._dispatcher.table

    def register_job_definition(self, **parameters: Any) -> Response:
        """Add a revision of a job definition, as ``boto3`` does."""
        check_parameters("RegisterJobDefinition", parameters)
        refuse_other_kinds("RegisterJobDefinition", parameters)
        refusals = limits.definition_refusals(parameters, self._minimum_timeout)
        refuse_any("RegisterJobDefinition", refusals)
        if needs_of(parameters["containerProperties"]) is None:
            refuse("RegisterJobDefinition", "resourceRequirements must name VCPU and MEMORY")
        with self._lock:
            definition = self._definitions.register(parameters)
        return {
            "jobDefinitionName": definition.name,
            "jobDefinitionArn": definition.arn,
            "revision": definition.revision,
        }

    def describe_job_queues(self, **parameters: Any) -> Response:
        """Describe the one queue, whatever it is called, as ``boto3`` does."""
        check_parameters("DescribeJobQueues", parameters)
        return {"jobQueues": [queue_detail(name) for name in parameters.get("jobQueues", ())]}

    def describe_compute_environments(self, **parameters: Any) -> Response:
        """Describe this machine as a compute environment, as ``boto3`` does."""
        check_parameters("DescribeComputeEnvironments", parameters)
        return {"computeEnvironments": [environment_detail(self._dispatcher.capacity)]}

    def describe_job_definitions(self, **parameters: Any) -> Response:
        """Describe job definitions, as ``boto3`` does (all on one page)."""
        check_parameters("DescribeJobDefinitions", parameters)
        with self._lock:
            found = self._definitions.select(parameters)
        return {"jobDefinitions": [definition_detail(one) for one in found]}

    def submit_job(self, **parameters: Any) -> Response:
        """Submit a job or an array job, as ``boto3`` does."""
        check_parameters("SubmitJob", parameters)
        refuse_other_kinds("SubmitJob", parameters)
        refuse_any("SubmitJob", limits.submission_refusals(parameters, self._minimum_timeout))
        job_id = str(uuid.uuid4())
        with self._lock:
            definition = self._definitions.find(parameters["jobDefinition"])
            if definition is None:
                refuse("SubmitJob", f"JobDefinition {parameters['jobDefinition']} does not exist")
            self._check_dependencies(parameters)
            needs = needs_of(definition.container, parameters.get("containerOverrides", {}))
            assert needs is not None  # the definition was refused otherwise
            now = self._dispatcher.now
            self._dispatcher.submit(join(definition, parameters, job_id, needs, now))
        return {"jobArn": job_arn(job_id), "jobName": parameters["jobName"], "jobId": job_id}

    def describe_jobs(self, **parameters: Any) -> Response:
        """Describe up to 100 jobs, as ``boto3`` does; unknown ids are left out."""
        check_parameters("DescribeJobs", parameters)
        refuse_any("DescribeJobs", limits.description_refusals(parameters["jobs"]))
        with self._lock:
            nodes = [self._table.find(job_id) for job_id in parameters["jobs"]]
            capacity = self._dispatcher.capacity
            return {"jobs": [job_detail(node, capacity) for node in nodes if node is not None]}

    def list_jobs(self, **parameters: Any) -> Response:
        """List the children of an array or the jobs of a queue, as ``boto3`` does.

        Without ``jobStatus`` only what is RUNNING is listed, as in Batch; with a ``JOB_NAME`` in
        ``filters``, jobs in every state.
        """
        check_parameters("ListJobs", parameters)
        if len(parameters.keys() & {"jobQueue", "arrayJobId", "multiNodeJobId"}) != 1:
            refuse("ListJobs", "Name either a jobQueue or an arrayJobId")
        filters = parameters.get("filters", ())
        if "multiNodeJobId" in parameters or any(one["name"] != "JOB_NAME" for one in filters):
            refuse("ListJobs", "the local engine knows arrayJobId, jobQueue and JOB_NAME only")
        if filters and "arrayJobId" in parameters:
            refuse("ListJobs", "Filters are not for the children of an array")
        with self._lock:
            return self._page(list(self._listed(parameters)), parameters)

    def terminate_job(self, **parameters: Any) -> Response:
        """End a job, or an array with all children, running or not, as ``boto3`` does."""
        check_parameters("TerminateJob", parameters)
        with self._lock:
            node = self._found("TerminateJob", parameters["jobId"])
            if isinstance(node, ArrayJob) and not node.is_ended:
                node.is_terminated = True
                node.stop_reason = parameters["reason"]
            self._dispatcher.stop(members(node), parameters["reason"])
        return {}

    def cancel_job(self, **parameters: Any) -> Response:
        """Cancel what has not started yet, as ``boto3`` does."""
        check_parameters("CancelJob", parameters)
        with self._lock:
            node = self._found("CancelJob", parameters["jobId"])
            if isinstance(node, ArrayJob) and not node.is_ended:
                node.is_cancelled = True
                node.stop_reason = parameters["reason"]
            self._dispatcher.cancel(members(node), parameters["reason"])
        return {}

    def resize(self, capacity: Capacity) -> None:
        """Change how much may run at once; nothing that runs is ended."""
        self._dispatcher.resize(capacity)

    def step(self) -> float | None:
        """Start and end what is due, without waiting; give the time when something is due again.

        Only for a machine without a thread of its own. None: nothing happens by itself any more.
        """
        return self._dispatcher.step()

    def tail(self, log_stream_name: str, lines: int = 50) -> list[str]:
        """Return the last lines that a job has printed; none if it has not started."""
        path = self._log_folder / f"{log_stream_name}.log"
        try:
            with path.open("rb") as log:
                start = max(0, log.seek(0, os.SEEK_END) - _TAIL_BYTES)
                log.seek(start)
                text = log.read().decode(errors="replace")
        except FileNotFoundError:
            return []
        # The first line is only a part of one if there is more before it.
        found = text.splitlines()[1 if start else 0 :]
        return found[-lines:] if lines > 0 else []

    def close(self) -> None:
        """End every job at once and let go of processes and threads; may be called twice."""
        self._dispatcher.close()

    def _check_dependencies(self, parameters: Mapping[str, Any]) -> None:
        size = parameters.get("arrayProperties", {}).get("size")
        for dependency in parameters.get("dependsOn", ()):
            upstream = None
            if dependency.get("type") != Wait.SEQUENTIAL.value:
                upstream = self._found("SubmitJob", dependency.get("jobId", ""))
            upstream_size = len(upstream.children) if isinstance(upstream, ArrayJob) else None
            refuse_any("SubmitJob", limits.dependency_refusals(dependency, size, upstream_size))

    def _found(self, call: str, job_id: str) -> AnyJob:
        node = self._table.find(job_id)
        if node is None:
            refuse(call, f"Job {job_id} does not exist")
        return node

    def _listed(self, parameters: Mapping[str, Any]) -> Iterator[AnyJob]:
        if "arrayJobId" in parameters:
            array = self._found("ListJobs", parameters["arrayJobId"])
            yield from members(array) if isinstance(array, ArrayJob) else []
            return
        queue = parameters["jobQueue"].rpartition("/")[2]
        names = [name for one in parameters.get("filters", ()) for name in one["values"]]
        for node in self._table.newest_first():
            if node.submission.queue == queue and (
                not names or is_called(node.submission.name, names)
            ):
                yield node

    def _page(self, nodes: list[AnyJob], parameters: Mapping[str, Any]) -> Response:
        """Return one page; the token counts all nodes, as their states change between pages."""
        status = None if parameters.get("filters") else parameters.get("jobStatus", "RUNNING")
        limit = min(parameters.get("maxResults", limits.LISTED_JOBS), limits.LISTED_JOBS)
        capacity = self._dispatcher.capacity
        found: list[Response] = []
        for place in range(int(parameters.get("nextToken", "0")), len(nodes)):
            if status is not None and nodes[place].status.value != status:
                continue
            if len(found) == limit:
                return {"jobSummaryList": found, "nextToken": str(place)}
            found.append(job_summary(nodes[place], capacity))
        return {"jobSummaryList": found}
