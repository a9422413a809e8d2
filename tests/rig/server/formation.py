"""What moto's CloudFormation can't do: delete what is Batch's, and make roles that can be used."""

from __future__ import annotations

import json
from typing import Any

from moto.batch.models import BatchBackend, ComputeEnvironment, JobQueue, batch_backends
from moto.ecr.models import Repository, ecr_backends
from moto.iam.models import Role
from moto.s3.models import FakeBucket


def install() -> None:
    """Let queues and compute environments go with their stack, and buckets be updated in place.

    The policies of roles come from templates as objects, and are read as texts later.
    """
    put = Role.put_policy

    def put_policy(self: Any, policy_name: str, policy_json: Any) -> None:
        text = policy_json if isinstance(policy_json, str) else json.dumps(policy_json)
        put(self, policy_name, text)

    Role.put_policy = put_policy  # type: ignore[method-assign]
    ComputeEnvironment.delete_from_cloudformation_json = classmethod(_delete_environment)
    JobQueue.delete_from_cloudformation_json = classmethod(_delete_queue)
    FakeBucket.update_from_cloudformation_json = classmethod(_update_bucket)
    Repository.delete = _delete_repository  # type: ignore[method-assign]


def _delete_queue(cls: Any, name: str, template: Any, account_id: str, region_name: str) -> None:
    backend: BatchBackend = batch_backends[account_id][region_name]
    queue = backend.get_job_queue(name)
    if queue is not None:
        backend._job_queues.pop(queue.arn, None)


def _delete_environment(
    cls: Any, name: str, template: Any, account_id: str, region_name: str
) -> None:
    backend: BatchBackend = batch_backends[account_id][region_name]
    environment = backend.get_compute_environment(name)
    if environment is not None:
        backend._compute_environments.pop(environment.arn, None)


def _delete_repository(self: Any, account_id: str, region_name: str) -> None:
    """Delete the images, too: all our repositories are to be emptied (`EmptyOnDelete`)."""
    ecr_backends[account_id][region_name].delete_repository(self.name, force=True)


def _update_bucket(cls: Any, original_resource: Any, **_: Any) -> Any:
    """Keep the bucket: its name comes from CloudFormation, and the rest isn't looked at here."""
    return original_resource
