"""Resources and stages as parameters of Batch's calls: pure."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dask_knot.planning import Resources, fargate

MIB = 2**20
EC2, FARGATE = "EC2", "FARGATE"

#: What a task did isn't tried again. All else may be the fault of a machine or a network: it was
#: lost, could not pull, start or inspect a container, or got no network interface. The words are
#: too many for the five rules that there may be, so those that end a job are named instead. The
#: first two come before: Docker may not answer for a container that has run.
RETRIES = [
    {"onReason": "Cannot*", "action": "RETRY"},
    {"onReason": "DockerTimeout*", "action": "RETRY"},
    {"onStatusReason": "Essential container*", "action": "EXIT"},
    {"onReason": "OutOfMemory*", "action": "EXIT"},
    {"onReason": "*", "action": "RETRY"},
]


@dataclass(frozen=True, slots=True)
class JobTemplate:
    """All that the jobs of a cluster have in common.

    Attributes
    ----------
    name : str
        Beginning of job names.
    queue : str
        The job queue.
    image : str
        The container image.
    environment : mapping of str to str
        Variables of the containers.
    attempts : int
        How often Batch may start a child whose machine is lost.
    container : mapping of str to Any
        More ``containerProperties``: roles, secrets, logs, network.
    platform : str
        ``EC2`` or ``FARGATE``.
    prefix : str
        Beginning of job definition names, which runs share.
    tags : mapping of str to str
        Tags of the jobs, their definitions and their containers.
    share : mapping of str to Any
        ``shareIdentifier`` and ``schedulingPriorityOverride`` where the queue has them.
    """

    name: str
    queue: str
    image: str
    environment: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 3
    container: Mapping[str, Any] = field(default_factory=dict)
    platform: str = EC2
    prefix: str = "dask-knot"
    tags: Mapping[str, str] = field(default_factory=dict)
    share: Mapping[str, Any] = field(default_factory=dict)


def job_definition(template: JobTemplate, resources: Resources) -> dict[str, Any]:
    """Make the parameters of the ``register_job_definition`` call for a resource class.

    The name has a digest of everything else, so one that exists already is the right one.

    Raises
    ------
    ConfigurationError
        If the platform has no such size.
    """
    if template.platform == FARGATE:
        fargate.check(resources.vcpus, _mebibytes(resources), resources.gpus)
    request: dict[str, Any] = {
        "type": "container",
        "containerProperties": _container(template, resources),
        "retryStrategy": {"attempts": template.attempts, "evaluateOnExit": RETRIES},
        "platformCapabilities": [template.platform],
    }
    if resources.timeout:
        request["timeout"] = {"attemptDurationSeconds": math.ceil(resources.timeout)}
    if template.tags:
        request |= {"tags": dict(template.tags), "propagateTags": True}
    return {"jobDefinitionName": _definition_name(template, resources, request), **request}


def fitting_size(template: JobTemplate, needs: Resources) -> Resources | None:
    """Give the smallest job that has what is needed; None if the platform has none."""
    if template.platform != FARGATE:
        return needs
    nearest = None if needs.gpus else fargate.nearest(needs.vcpus, _mebibytes(needs))
    if nearest is None:
        return None
    return replace(needs, vcpus=nearest[0], memory=nearest[1] * MIB)


def submission(
    template: JobTemplate, name: str, command: Sequence[str], size: int
) -> dict[str, Any]:
    """Make the parameters of ``submit_job`` that don't depend on other jobs."""
    request: dict[str, Any] = {
        "jobName": f"{template.name}-{name}",
        "jobQueue": template.queue,
        "containerOverrides": {"command": list(command)},
        **template.share,
    }
    if size > 1:
        request["arrayProperties"] = {"size": size}
    if template.tags:
        request |= {"tags": dict(template.tags), "propagateTags": True}
    return request


def _container(template: JobTemplate, resources: Resources) -> dict[str, Any]:
    needs = [{"type": "VCPU", "value": f"{resources.vcpus:g}"}]
    needs.append({"type": "MEMORY", "value": str(_mebibytes(resources))})
    if resources.gpus:
        needs.append({"type": "GPU", "value": str(resources.gpus)})
    return {
        "image": template.image,
        "command": ["python", "-m", "dask_knot.job"],
        "resourceRequirements": needs,
        "environment": [
            {"name": name, "value": value} for name, value in template.environment.items()
        ],
        **template.container,
    }


def _mebibytes(resources: Resources) -> int:
    return math.ceil((resources.memory or 0) / MIB)


def _definition_name(template: JobTemplate, resources: Resources, request: Any) -> str:
    needs = f"{resources.vcpus:g}c-{_mebibytes(resources)}m-{resources.gpus}g"
    digest = hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:16]
    return re.sub(r"[^A-Za-z0-9_-]", "_", f"{template.prefix}-{needs}-{digest}")
