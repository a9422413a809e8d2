"""A job queue and its compute environments, described by two calls to Batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

Description = Mapping[str, Any]


class QueueClient(Protocol):
    """The calls that are needed."""

    def describe_job_queues(self, *, jobQueues: Sequence[str]) -> Mapping[str, Any]: ...
    def describe_compute_environments(
        self, *, computeEnvironments: Sequence[str]
    ) -> Mapping[str, Any]: ...


def describe_queue(client: QueueClient, name: str) -> tuple[Description | None, list[Description]]:
    """Describe a queue and the compute environments that it uses, in its order.

    Returns
    -------
    queue : mapping or None
        None if there is no such queue.
    environments : list of mappings
        Its compute environments.
    """
    queues = client.describe_job_queues(jobQueues=[name])["jobQueues"]
    if not queues:
        return None, []
    order = sorted(queues[0]["computeEnvironmentOrder"], key=lambda entry: int(entry["order"]))
    arns = [str(entry["computeEnvironment"]) for entry in order]
    found = client.describe_compute_environments(computeEnvironments=arns)["computeEnvironments"]
    place = {arn: number for number, arn in enumerate(arns)}
    return queues[0], sorted(found, key=lambda one: place.get(one["computeEnvironmentArn"], 0))
