"""The place of a job in its queue, by one call of Batch, where somebody waits for it anyway."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from dask_knot.batch.queues import Description
from dask_knot.errors import AccessError

logger = logging.getLogger(__name__)

#: Jobs at the head of a queue that Batch names.
NAMED = 100


def place_in_queue(
    client: Any, queue: str, job_id: str, environments: Sequence[Description]
) -> str:
    """Say how many jobs of a queue are before one, and how busy its machines are.

    Parameters
    ----------
    client : Any
        boto3's Batch client; an engine without this call says nothing.
    queue : str
        The job queue.
    job_id : str
        The job, or array job.
    environments : sequence of mappings
        The compute environments of the queue: they say how many vCPUs there may be.

    Returns
    -------
    str
        Nothing if Batch doesn't say; why not, if it is for want of a permission.
    """
    ask = getattr(client, "get_job_queue_snapshot", None)
    if ask is None:
        return ""
    try:
        answer = ask(jobQueue=queue)
    except AccessError as error:
        return f"its position in the queue isn't known: {error}"
    except Exception as error:  # a Batch without the call, or away: the place is missed, no more
        logger.debug("Batch says nothing of the queue %s: %s", queue, error)
        return ""
    return "; ".join(filter(None, (_place(answer, job_id), _use(answer, environments))))


def _place(answer: Mapping[str, Any], job_id: str) -> str:
    jobs = answer.get("frontOfQueue", {}).get("jobs", ())
    ids = [str(one.get("jobArn", "")).rpartition("/")[2].partition(":")[0] for one in jobs]
    others = f"{len(ids)}" if len(ids) < NAMED else f"{NAMED} or more"
    if job_id in ids:
        before = len(set(ids[: ids.index(job_id)]))
        return f"{before} of {others} waiting jobs are ahead of it" if before else "it is next"
    return f"{others} waiting jobs are ahead of it" if len(ids) >= NAMED else ""


def _use(answer: Mapping[str, Any], environments: Sequence[Description]) -> str:
    used = [
        float(one["quantity"])
        for one in answer.get("queueUtilization", {}).get("totalCapacityUsage", ())
        if str(one.get("capacityUnit", "")).upper() == "VCPU"
    ]
    if not used:
        return ""
    sizes = [one.get("computeResources", {}).get("maxvCpus") for one in environments]
    most = f" of {sum(map(int, filter(None, sizes)))}" if any(sizes) else ""
    return f"{sum(used):g}{most} vCPUs are busy"
