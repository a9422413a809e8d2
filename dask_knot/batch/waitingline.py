"""The queue as those see it who wait in it: asked about, now and then, by whoever watches jobs.

Nothing here raises: what can't be found out is missed, and said where a permission is missing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from dask_knot.batch.client import BatchClient
from dask_knot.batch.jobs import StageJob
from dask_knot.batch.machines import Scout, Sight
from dask_knot.batch.queues import Description, describe_queue
from dask_knot.batch.rules import JobStatus
from dask_knot.batch.snapshot import place_in_queue

logger = logging.getLogger(__name__)


class WaitingLine:
    """A job queue, and the machines that take jobs from it.

    Parameters
    ----------
    client : BatchClient
        boto3's Batch client, or the local engine.
    queue : str
        The job queue.
    scout : callable, optional
        Looks at the machines of compute environments.
    """

    def __init__(self, client: BatchClient, queue: str, scout: Scout | None) -> None:
        self._client = client
        self._queue = queue
        self._scout = scout

    def reason(self, job: StageJob) -> str:
        """Tell what Batch says of a job that waits; of an array, of the child that it names."""
        if job.size == 1:
            return job.reason
        try:
            page = self._client.list_jobs(arrayJobId=job.id, jobStatus=JobStatus.RUNNABLE.value)
        except Exception as error:
            logger.debug("Batch can't be asked why %s waits: %s", job.id, error)
            return ""
        reasons = (child.get("statusReason", "") for child in page["jobSummaryList"])
        return next(filter(None, reasons), "")

    def surroundings(self) -> tuple[Description | None, list[Description]]:
        """Describe the job queue and its compute environments."""
        try:
            return describe_queue(self._client, self._queue)
        except Exception as error:  # for want of a permission, say
            logger.debug("Batch can't be asked about the queue: %s", error)
            return None, []

    def place(self, job: StageJob, environments: Sequence[Description]) -> str:
        """Say where in the queue a job is, as far as Batch tells."""
        return place_in_queue(self._client, self._queue, job.id, environments)

    def sight(self, environments: Sequence[Description]) -> Sight | None:
        """Look at the machines of compute environments; None where there is nothing to see."""
        if self._scout is None:
            return None
        try:
            return self._scout(environments)
        except Exception as error:
            logger.debug("the machines can't be looked at: %s", error)
            return Sight()
