"""What moto's CloudFormation can't do: delete and update resources, make roles of use."""

from __future__ import annotations

import json
from typing import Any

from moto.batch.models import BatchBackend, ComputeEnvironment, JobQueue, batch_backends
from moto.cloudformation import parsing
from moto.ec2.models import ec2_backends
from moto.ec2.models.route_tables import RouteTable
from moto.ecr.models import Repository, ecr_backends
from moto.iam.models import Role

from tests.rig.project import Project

__all__ = ["Project", "install"]


def install() -> None:
    """Let all that is in a stack go with it, and stay what it is when the stack is updated.

    The policies of roles come from templates as objects, and are read as texts later.
    """
    put = Role.put_policy

    def put_policy(self: Any, policy_name: str, policy_json: Any) -> None:
        text = policy_json if isinstance(policy_json, str) else json.dumps(policy_json)
        put(self, policy_name, text)

    Role.put_policy = put_policy  # type: ignore[method-assign]
    ComputeEnvironment.delete_from_cloudformation_json = classmethod(_delete_environment)
    JobQueue.delete_from_cloudformation_json = classmethod(_delete_queue)
    parsing.parse_and_update_resource = _keep
    Repository.delete = _delete_repository  # type: ignore[method-assign]
    RouteTable.delete = _delete_route_table


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


def _delete_route_table(self: Any, account_id: str, region_name: str) -> None:
    """Delete it though subnets were associated with it: they go before it."""
    self.associations.clear()
    ec2_backends[account_id][region_name].delete_route_table(self.id)


def _keep(logical_id: str, resource_json: Any, resources_map: Any, **_: Any) -> Any:
    """Leave a resource as it is: moto would make another one, which nothing else knows."""
    return resources_map[logical_id]
