"""The limits of AWS Batch's requests, and the words with which it refuses what breaks them: pure.

Sources: [Q] AWS Batch User Guide, "Service quotas"; [A] the API reference of the call or type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dask_knot.batch.rules import Wait

#: Children of an array job [Q].
ARRAY_SIZE = range(2, 10_001)
#: Jobs that one job may depend on [Q].
DEPENDENCIES = 20
#: The whole of a SubmitJob [Q].
REQUEST_BYTES = 30 * 1024
#: `containerOverrides`. SubmitJob takes more, and the job fails when it is to start: seen.
OVERRIDE_CHARACTERS = 8_192
#: Ids in one DescribeJobs [A], and jobs on one page of ListJobs [A].
DESCRIBED_JOBS = LISTED_JOBS = 100
#: `retryStrategy.attempts`, and rules in its `evaluateOnExit` [A: RetryStrategy].
ATTEMPTS, EXIT_RULES = range(1, 11), 5
#: What becomes of an attempt by such a rule, in letters of any case [A: EvaluateOnExit].
EXIT_ACTIONS = frozenset({"RETRY", "EXIT"})
#: Seconds in `attemptDurationSeconds`, at the least [A: JobTimeout].
MINIMUM_TIMEOUT = 60
#: Names of jobs and of job definitions [A: SubmitJob, RegisterJobDefinition].
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
#: Names of variables that begin so are Batch's own [A: ContainerOverrides].
RESERVED_PREFIX = "AWS_BATCH"
#: How much of what a job may ask for [A: ResourceRequirement]: numbers as strings.
RESOURCES = {
    "VCPU": re.compile(r"[0-9]+(\.[0-9]+)?"),  # Fargate has parts of one
    "MEMORY": re.compile(r"[0-9]+"),
    "GPU": re.compile(r"[0-9]+"),
}

Parameters = Mapping[str, Any]


def definition_refusals(parameters: Parameters, minimum_timeout: float) -> Iterator[str]:
    """Say why Batch refuses a ``register_job_definition``; nothing if it takes it.

    Parameters
    ----------
    parameters : mapping of str to Any
        Those of the call; their types were checked.
    minimum_timeout : float
        `MINIMUM_TIMEOUT`; tests can't wait as long.
    """
    if parameters["type"] != "container" or "containerProperties" not in parameters:
        yield "A job definition of type container needs containerProperties"
        return
    yield from _name_refusals("jobDefinitionName", parameters["jobDefinitionName"])
    yield from _container_refusals(parameters["containerProperties"])
    yield from _attempt_refusals(parameters, minimum_timeout)


def submission_refusals(parameters: Parameters, minimum_timeout: float) -> Iterator[str]:
    """Say why Batch refuses a ``submit_job``, as far as the request alone tells.

    Parameters
    ----------
    parameters : mapping of str to Any
        Those of the call; their types were checked.
    minimum_timeout : float
        `MINIMUM_TIMEOUT`; tests can't wait as long.
    """
    if len(_dump(parameters).encode()) > REQUEST_BYTES:
        yield "Request size exceeded 30 KiB"
    yield from _name_refusals("jobName", parameters["jobName"])
    size = parameters.get("arrayProperties", {}).get("size")
    if size is not None and size not in ARRAY_SIZE:
        yield "Array size must be between 2 and 10,000"
    if len(parameters.get("dependsOn", ())) > DEPENDENCIES:
        yield "Exceeded maximum number of 20 dependencies per job"
    yield from _container_refusals(parameters.get("containerOverrides", {}))
    yield from _attempt_refusals(parameters, minimum_timeout)


def dependency_refusals(
    dependency: Parameters, size: int | None, upstream_size: int | None
) -> Iterator[str]:
    """Say why Batch refuses one entry of ``dependsOn``.

    Parameters
    ----------
    dependency : mapping of str to str
        The entry; the job that it names is known to exist.
    size, upstream_size : int or None
        The array sizes of the new job and of the one named; None for a job without children.
    """
    kind = dependency.get("type")
    if kind == Wait.SEQUENTIAL.value:
        if size is None:
            yield "SEQUENTIAL dependency is for array jobs only"
        if "jobId" in dependency:
            yield "SEQUENTIAL dependency must not name a job id"
    elif kind == Wait.N_TO_N.value:
        if size is None or size != upstream_size:
            yield "N_TO_N dependency needs array jobs of the same size"
    elif kind is not None:
        yield f"Unknown dependency type {kind!r}: use N_TO_N or SEQUENTIAL"


def description_refusals(job_ids: Sequence[str]) -> Iterator[str]:
    """Say why Batch refuses a ``describe_jobs``."""
    if len(job_ids) > DESCRIBED_JOBS:
        yield "Up to 100 jobs can be described in one call"


def override_characters(parameters: Parameters) -> int:
    """Return the length of the overrides, which Batch checks only when the job is to start."""
    overrides = parameters.get("containerOverrides")
    return len(_dump(overrides)) if overrides else 0


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _name_refusals(field: str, name: str) -> Iterator[str]:
    if not NAME.fullmatch(name):
        yield f"{field} {name!r} should match {NAME.pattern}"


def _container_refusals(container: Parameters) -> Iterator[str]:
    for variable in container.get("environment", ()):
        if variable.get("name", "").startswith(RESERVED_PREFIX):
            yield "Environment variable names must not start with AWS_BATCH"
    for requirement in container.get("resourceRequirements", ()):
        yield from _requirement_refusals(requirement["type"], requirement["value"])


def _requirement_refusals(kind: str, value: str) -> Iterator[str]:
    if kind not in RESOURCES:
        yield f"Unknown resource type {kind!r}: use VCPU, MEMORY or GPU"
    elif not RESOURCES[kind].fullmatch(value) or float(value) <= 0:
        yield f"Resource requirement {kind} must be a positive number, not {value!r}"


def _attempt_refusals(parameters: Parameters, minimum_timeout: float) -> Iterator[str]:
    strategy = parameters.get("retryStrategy", {})
    if strategy.get("attempts", 1) not in ATTEMPTS:
        yield "retryStrategy.attempts must be between 1 and 10"
    if len(strategy.get("evaluateOnExit", ())) > EXIT_RULES:
        yield "evaluateOnExit must have at most 5 rules"
    for rule in strategy.get("evaluateOnExit", ()):
        if rule["action"].upper() not in EXIT_ACTIONS:
            yield f"evaluateOnExit action must be RETRY or EXIT, not {rule['action']!r}"
    duration = parameters.get("timeout", {}).get("attemptDurationSeconds")
    if duration is not None and duration < minimum_timeout:
        yield f"attemptDurationSeconds must be at least {minimum_timeout:g}"
