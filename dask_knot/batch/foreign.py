"""Jobs that the Batch which is asked here doesn't know: they live and end with their session."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dask_knot.batch.client import BatchClient
from dask_knot.batch.endings import CLIENT_GONE
from dask_knot.batch.rules import JobStatus, roll_up, status_summary

#: What the id of such a job begins with; ids of Batch are hexadecimal.
PREFIX = "elsewhere-"


class ForeignJobs:
    """A Batch client that answers for the jobs of other sessions as well: those that are processes
    or containers of another client, in another Batch, or never came to be.

    Such a job runs as long as its session is there, and has failed with it. All that is asked of
    other jobs goes on to Batch.

    Parameters
    ----------
    client : BatchClient
        Is asked about all other jobs.
    is_alive : callable
        Whether the session of that number is there.
    """

    def __init__(self, client: BatchClient, is_alive: Callable[[int], bool]) -> None:
        self._client = client
        self._is_alive = is_alive
        self._jobs: dict[str, tuple[int | None, int]] = {}  # session and size, by id

    # What goes on to Batch as it is.

    def describe_job_queues(self, *, jobQueues: Sequence[str]) -> Mapping[str, Any]:
        """Describe queues."""
        return self._client.describe_job_queues(jobQueues=jobQueues)

    def describe_compute_environments(
        self, *, computeEnvironments: Sequence[str]
    ) -> Mapping[str, Any]:
        """Describe compute environments."""
        return self._client.describe_compute_environments(computeEnvironments=computeEnvironments)

    def describe_job_definitions(self, **request: Any) -> Mapping[str, Any]:
        """Describe job definitions."""
        return self._client.describe_job_definitions(**request)

    def register_job_definition(self, **request: Any) -> Mapping[str, Any]:
        """Register a job definition."""
        return self._client.register_job_definition(**request)

    def submit_job(self, **request: Any) -> Mapping[str, Any]:
        """Submit a job."""
        return self._client.submit_job(**request)

    # What may be about foreign jobs.

    def add(self, name: str, session: int | None, size: int) -> str:
        """Answer for a job from now on; give the id that it has here.

        Parameters
        ----------
        name : str
            What the job is called.
        session : int, optional
            The session that has it; None: it was never submitted.
        size : int
            How many children it has.
        """
        id = f"{PREFIX}{name}"
        self._jobs[id] = session, size
        return id

    def describe_jobs(self, *, jobs: Sequence[str]) -> Mapping[str, Any]:
        """Describe jobs and children, as Batch does."""
        ours = [id for id in jobs if id.partition(":")[0] not in self._jobs]
        found = list(self._client.describe_jobs(jobs=ours)["jobs"]) if ours else []
        alive: dict[int | None, bool] = {None: False}  # a look asks once about each session
        for id in jobs:
            job, _, index = id.partition(":")
            if job in self._jobs:
                session, size = self._jobs[job]
                if session is not None and session not in alive:
                    alive[session] = self._is_alive(session)
                found.append(_described(id, index, size, alive[session]))
        return {"jobs": found}

    def list_jobs(self, **request: Any) -> Mapping[str, Any]:
        """List jobs, as Batch does; children of foreign ones are told apart by the store only."""
        if request.get("arrayJobId") in self._jobs:
            return {"jobSummaryList": []}
        return self._client.list_jobs(**request)

    def terminate_job(self, *, jobId: str, reason: str) -> Mapping[str, Any]:
        """End a job, as Batch does; a foreign one is left to its session."""
        if jobId.partition(":")[0] in self._jobs:
            return {}
        return self._client.terminate_job(jobId=jobId, reason=reason)


def _described(id: str, index: str, size: int, is_alive: bool) -> dict[str, Any]:
    state = JobStatus.RUNNING if is_alive else JobStatus.FAILED
    found: dict[str, Any] = {"jobId": id, "status": state.value}
    if not is_alive:
        found |= {"statusReason": CLIENT_GONE, "isTerminated": True}
    if index:
        found["arrayProperties"] = {"index": int(index)}
    elif size > 1:
        found["status"] = roll_up({state: size}).value
        # Which of them have failed, only the store can tell.
        summary = status_summary({state: size} if is_alive else {})
        found["arrayProperties"] = {"size": size, "statusSummary": summary}
    return found
