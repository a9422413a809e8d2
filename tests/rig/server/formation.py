"""What moto's CloudFormation can't do with the resources of a stack: delete Batch's."""

from __future__ import annotations

from typing import Any

from moto.batch.models import BatchBackend, ComputeEnvironment, JobQueue, batch_backends
from moto.s3.models import FakeBucket


def install() -> None:
    """Let queues and compute environments go with their stack, and buckets be updated in place."""
    ComputeEnvironment.delete_from_cloudformation_json = classmethod(_delete_environment)
    JobQueue.delete_from_cloudformation_json = classmethod(_delete_queue)
    FakeBucket.update_from_cloudformation_json = classmethod(_update_bucket)


def _delete_queue(cls: Any, name: str, json: Any, account_id: str, region_name: str) -> None:
    backend: BatchBackend = batch_backends[account_id][region_name]
    queue = backend.get_job_queue(name)
    if queue is not None:
        backend._job_queues.pop(queue.arn, None)


def _delete_environment(cls: Any, name: str, json: Any, account_id: str, region_name: str) -> None:
    backend: BatchBackend = batch_backends[account_id][region_name]
    environment = backend.get_compute_environment(name)
    if environment is not None:
        backend._compute_environments.pop(environment.arn, None)


def _update_bucket(cls: Any, original: Any, new_name: str, *_: Any) -> Any:
    """Keep the bucket: its name comes from CloudFormation, and the rest isn't looked at here."""
    return original
