"""The limits of AWS Batch, refused as Batch refuses them: ``ClientException``, HTTP 400.

Source: AWS Batch User Guide, "Service quotas", and the API reference of each call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from dask_knot.local.schema import refuse

ARRAY_SIZE = range(2, 10_001)
DEPENDENCIES = 20
REQUEST_BYTES = 30 * 1024
OVERRIDE_CHARACTERS = 8_192
DESCRIBED_JOBS = 100
LISTED_JOBS = 100
ATTEMPTS = range(1, 11)
EXIT_RULES = 5
MINIMUM_TIMEOUT = 60
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}")
RESERVED_PREFIX = "AWS_BATCH"
RESOURCE_TYPES = frozenset({"VCPU", "MEMORY", "GPU"})

#: Parameters that would change what runs, of kinds of jobs that the local engine does not have.
UNSUPPORTED = (
    "nodeProperties",
    "nodeOverrides",
    "eksProperties",
    "eksPropertiesOverride",
    "ecsProperties",
    "ecsPropertiesOverride",
    "consumableResourceProperties",
    "consumableResourcePropertiesOverride",
)

Parameters = Mapping[str, Any]


def check_job_definition(parameters: Parameters, minimum_timeout: float) -> None:
    """Refuse a ``register_job_definition`` that Batch would refuse."""
    call = "RegisterJobDefinition"
    _check_kind(call, parameters)
    if parameters["type"] != "container" or "containerProperties" not in parameters:
        refuse(call, "A job definition of type container needs containerProperties")
    _check_name(call, "jobDefinitionName", parameters["jobDefinitionName"])
    _check_container(call, parameters["containerProperties"])
    _check_attempts(call, parameters, minimum_timeout)


def check_submission(parameters: Parameters, minimum_timeout: float) -> None:
    """Refuse a ``submit_job`` that Batch would refuse, as far as the request alone tells."""
    call = "SubmitJob"
    _check_kind(call, parameters)
    if len(_dump(parameters).encode()) > REQUEST_BYTES:
        refuse(call, "Request size exceeded 30 KiB")
    _check_name(call, "jobName", parameters["jobName"])
    size = parameters.get("arrayProperties", {}).get("size")
    if size is not None and size not in ARRAY_SIZE:
        refuse(call, "Array size must be between 2 and 10,000")
    if len(parameters.get("dependsOn", ())) > DEPENDENCIES:
        refuse(call, "Exceeded maximum number of 20 dependencies per job")
    _check_container(call, parameters.get("containerOverrides", {}))
    _check_attempts(call, parameters, minimum_timeout)


def check_dependency(dependency: Parameters, size: int | None, upstream_size: int | None) -> None:
    """Refuse one entry of ``dependsOn``.

    Parameters
    ----------
    dependency
        The entry; the job that it names is known to exist.
    size, upstream_size
        The array sizes of the new job and of the one named; None for a job without children.
    """
    kind = dependency.get("type")
    if kind == "SEQUENTIAL":
        if size is None:
            refuse("SubmitJob", "SEQUENTIAL dependency is for array jobs only")
        if "jobId" in dependency:
            refuse("SubmitJob", "SEQUENTIAL dependency must not name a job id")
    elif kind == "N_TO_N" and (size is None or size != upstream_size):
        refuse("SubmitJob", "N_TO_N dependency needs array jobs of the same size")
    elif kind not in (None, "N_TO_N"):
        refuse("SubmitJob", f"Unknown dependency type {kind!r}: use N_TO_N or SEQUENTIAL")


def check_described(job_ids: Iterable[str]) -> None:
    """Refuse a ``describe_jobs`` of more than 100 ids."""
    if len(list(job_ids)) > DESCRIBED_JOBS:
        refuse("DescribeJobs", "Up to 100 jobs can be described in one call")


def override_characters(parameters: Parameters) -> int:
    """Return the length of the overrides, which Batch checks only when the job is to start."""
    overrides = parameters.get("containerOverrides")
    return len(_dump(overrides)) if overrides else 0


def _dump(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"))


def _check_kind(call: str, parameters: Parameters) -> None:
    for name in UNSUPPORTED:
        if name in parameters:
            refuse(call, f"{name} is not known to the local engine, which runs container jobs only")


def _check_name(call: str, field: str, name: str) -> None:
    if not NAME.fullmatch(name):
        refuse(call, f"{field} {name!r} should match {NAME.pattern}")


def _check_container(call: str, container: Parameters) -> None:
    for variable in container.get("environment", ()):
        if variable.get("name", "").startswith(RESERVED_PREFIX):
            refuse(call, "Environment variable names must not start with AWS_BATCH")
    for requirement in container.get("resourceRequirements", ()):
        _check_requirement(call, requirement["type"], requirement["value"])


def _check_requirement(call: str, kind: str, value: str) -> None:
    if kind not in RESOURCE_TYPES:
        refuse(call, f"Unknown resource type {kind!r}: use VCPU, MEMORY or GPU")
    pattern = r"[0-9]+(\.[0-9]+)?" if kind == "VCPU" else r"[0-9]+"
    if not re.fullmatch(pattern, value) or float(value) <= 0:
        refuse(call, f"Resource requirement {kind} must be a positive number, not {value!r}")


def _check_attempts(call: str, parameters: Parameters, minimum_timeout: float) -> None:
    strategy = parameters.get("retryStrategy", {})
    if strategy.get("attempts", 1) not in ATTEMPTS:
        refuse(call, "retryStrategy.attempts must be between 1 and 10")
    if len(strategy.get("evaluateOnExit", ())) > EXIT_RULES:
        refuse(call, "evaluateOnExit must have at most 5 rules")
    for rule in strategy.get("evaluateOnExit", ()):
        if rule["action"].upper() not in {"RETRY", "EXIT"}:
            refuse(call, f"evaluateOnExit action must be RETRY or EXIT, not {rule['action']!r}")
    duration = parameters.get("timeout", {}).get("attemptDurationSeconds")
    if duration is not None and duration < minimum_timeout:
        refuse(call, f"attemptDurationSeconds must be at least {minimum_timeout:g}")
