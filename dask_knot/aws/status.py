"""The state of a stack: its queue, its jobs, its images and the size of its store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dask_knot.aws.images import newest_image
from dask_knot.aws.outputs import StackOutputs
from dask_knot.aws.session import AwsSession, translated
from dask_knot.batch.queues import describe_queue
from dask_knot.batch.rules import ENDED, JobStatus

#: The states of jobs that still cost or wait, as `ListJobs` takes them.
OPEN = tuple(status.value for status in JobStatus if status not in ENDED)
#: Pages of a thousand objects that are counted at most: a look must not take minutes.
PAGES = 200


@dataclass(frozen=True, slots=True)
class Size:
    """The size of what is under a prefix; `is_all` is False when counting was given up."""

    objects: int
    bytes: int
    is_all: bool = True


@dataclass(frozen=True, slots=True)
class Status:
    """The state of a stack.

    Attributes
    ----------
    queue : str
        State, status and AWS's reason.
    compute_environments : tuple of str
        The same of those that the queue asks, in its order.
    jobs : mapping of str to int
        Open jobs by state; an array job counts once.
    image : str or None
        The newest image, and when it was pushed.
    size : Size
        What the store holds.
    """

    outputs: StackOutputs
    queue: str
    compute_environments: tuple[str, ...]
    jobs: Mapping[str, int]
    image: str | None
    size: Size


def read_status(session: AwsSession, outputs: StackOutputs) -> Status:
    """Ask AWS how a stack is.

    Raises
    ------
    AwsError
        If AWS refuses or doesn't answer.
    """
    with translated():
        batch = session.client("batch")
        queue, environments = describe_queue(batch, outputs.queue)
        image = newest_image(session.client("ecr"), outputs)
        return Status(
            outputs,
            queue=state_of(queue or {}),
            compute_environments=tuple(map(state_of, environments)),
            jobs={state: count for state in OPEN if (count := _count(batch, outputs, state))},
            image=f"{_tag(image)}, pushed {image['imagePushedAt']:%Y-%m-%d %H:%M}"
            if image
            else None,
            size=measure(session.client("s3"), outputs),
        )


def find_queue(batch: Any, outputs: StackOutputs) -> Mapping[str, Any]:
    """Give what Batch says of the stack's queue; nothing if it is gone."""
    found = batch.describe_job_queues(jobQueues=[outputs.queue])["jobQueues"]
    return found[0] if found else {}


def find_environment(batch: Any, outputs: StackOutputs) -> Mapping[str, Any] | None:
    """Give what Batch says of the stack's compute environment; None if the stack made none."""
    if outputs.compute_environment is None:
        return None
    found = batch.describe_compute_environments(computeEnvironments=[outputs.compute_environment])
    return found["computeEnvironments"][0] if found["computeEnvironments"] else {}


def state_of(described: Mapping[str, Any]) -> str:
    """Say how a queue or compute environment is, in Batch's own words."""
    if not described:
        return "gone"
    words = [described.get("state", ""), described.get("status", "")]
    reason = described.get("statusReason", "")
    return " ".join(filter(None, words)) + (f" ({reason})" if reason else "")


def _tag(image: Mapping[str, Any]) -> str:
    return ", ".join(image.get("imageTags", ())) or str(image["imageDigest"])


def measure(s3: Any, outputs: StackOutputs) -> Size:
    """Count the objects of the store and their bytes."""
    objects = size = 0
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket=outputs.bucket, Prefix=f"{outputs.prefix}/"
    )
    for number, page in enumerate(pages):
        if number == PAGES:
            return Size(objects, size, is_all=False)
        found = page.get("Contents", ())
        objects += len(found)
        size += sum(one["Size"] for one in found)
    return Size(objects, size)


def _count(batch: Any, outputs: StackOutputs, state: str) -> int:
    return sum(1 for _ in _jobs(batch, outputs, state))


def _jobs(batch: Any, outputs: StackOutputs, state: str) -> Iterator[Mapping[str, Any]]:
    pages = batch.get_paginator("list_jobs").paginate(jobQueue=outputs.queue, jobStatus=state)
    for page in pages:
        yield from page["jobSummaryList"]
