"""Records of jobs as the responses of boto3's Batch client: pure."""

from __future__ import annotations

from typing import Any

from dask_knot.batch.rules import TOO_LARGE, JobStatus, status_summary
from dask_knot.local.capacity import Capacity
from dask_knot.local.definitions import ARN, JobDefinition
from dask_knot.local.jobs import AnyJob, ArrayJob, Attempt, Job, Submission

Response = dict[str, Any]

ENVIRONMENT = f"{ARN}compute-environment/local"


def job_arn(job_id: str) -> str:
    """Return the ARN of a job or child."""
    return f"{ARN}job/{job_id}"


def job_detail(node: AnyJob, capacity: Capacity) -> Response:
    """Return the entry of ``describe_jobs`` for a job, a child or an array's parent."""
    submission = node.submission
    detail = _common(node, capacity) | {
        "jobQueue": f"{ARN}job-queue/{submission.queue}",
        "attempts": [_attempt(one) for one in _attempts(node)],
        "dependsOn": [dict(one) for one in submission.depends_on],
        "parameters": dict(submission.parameters),
        "retryStrategy": _retry(submission),
        "container": _container(node),
        "platformCapabilities": ["EC2"],
        "tags": {},
        "isCancelled": node.is_cancelled,
        "isTerminated": node.is_terminated,
    }
    if submission.timeout is not None:
        detail["timeout"] = {"attemptDurationSeconds": submission.timeout}
    if isinstance(node, ArrayJob):
        detail["arrayProperties"]["statusSummary"] = status_summary(node.counts)
    return detail


def job_summary(node: AnyJob, capacity: Capacity) -> Response:
    """Return the entry of ``list_jobs``."""
    attempts = _attempts(node)
    end = _without_none(
        exitCode=attempts[-1].exit_code if attempts else None,
        reason=attempts[-1].reason if attempts else None,
    )
    return _common(node, capacity) | ({"container": end} if end else {})


def queue_detail(name: str) -> Response:
    """Return the entry of ``describe_job_queues``: there is no queue but this."""
    return {
        "jobQueueName": name,
        "jobQueueArn": f"{ARN}job-queue/{name}",
        "state": "ENABLED",
        "status": "VALID",
        "priority": 1,
        "computeEnvironmentOrder": [{"order": 1, "computeEnvironment": ENVIRONMENT}],
    }


def environment_detail(capacity: Capacity) -> Response:
    """Return the entry of ``describe_compute_environments``: this machine."""
    return {
        "computeEnvironmentName": "local",
        "computeEnvironmentArn": ENVIRONMENT,
        "type": "MANAGED",
        "state": "ENABLED",
        "status": "VALID",
        "computeResources": {
            "type": "EC2",
            "minvCpus": int(capacity.vcpus),
            "maxvCpus": int(capacity.vcpus),
            "desiredvCpus": int(capacity.vcpus),
            "subnets": [],
        },
    }


def definition_detail(definition: JobDefinition) -> Response:
    """Return the entry of ``describe_job_definitions``."""
    kept = ("type", "parameters", "retryStrategy", "containerProperties", "timeout", "tags")
    return {
        "jobDefinitionName": definition.name,
        "jobDefinitionArn": definition.arn,
        "revision": definition.revision,
        "status": "ACTIVE",
        **{name: definition.request[name] for name in kept if name in definition.request},
    }


def _common(node: AnyJob, capacity: Capacity) -> Response:
    submission = node.submission
    response = _without_none(
        jobArn=job_arn(node.job_id),
        jobId=node.job_id,
        jobName=submission.name,
        jobDefinition=submission.definition_arn,
        status=node.status.value,
        statusReason=_status_reason(node, capacity),
        createdAt=submission.created_at,
        startedAt=node.started_at if isinstance(node, Job) else None,
        stoppedAt=node.stopped_at,
    )
    if isinstance(node, ArrayJob):
        response["arrayProperties"] = {"size": len(node.children)}
    elif node.index is not None:
        response["arrayProperties"] = {"index": node.index}
    return response


def _status_reason(node: AnyJob, capacity: Capacity) -> str | None:
    if node.status is JobStatus.RUNNABLE and not capacity.holds(node.submission.needs):
        return TOO_LARGE
    return node.status_reason


def _attempts(node: AnyJob) -> list[Attempt]:
    return node.attempts if isinstance(node, Job) else []


def _attempt(attempt: Attempt) -> Response:
    container = _without_none(
        exitCode=attempt.exit_code,
        reason=attempt.reason,
        logStreamName=attempt.log_stream_name,
    )
    times = _without_none(
        startedAt=attempt.started_at,
        stoppedAt=attempt.stopped_at,
        statusReason=attempt.status_reason,
    )
    return {"container": container, **times}


def _container(node: AnyJob) -> Response:
    submission, attempts = node.submission, _attempts(node)
    container: Response = {
        "image": submission.image,
        "command": list(submission.command),
        "environment": [{"name": k, "value": v} for k, v in submission.environment.items()],
        "resourceRequirements": _requirements(submission.needs),
    }
    if attempts:
        container |= _attempt(attempts[-1])["container"]
    return container


def _requirements(needs: Capacity) -> list[dict[str, str]]:
    values = {"VCPU": f"{needs.vcpus:g}", "MEMORY": str(needs.memory), "GPU": str(needs.gpus)}
    return [{"type": k, "value": v} for k, v in values.items() if v != "0"]


def _retry(submission: Submission) -> Response:
    rules = [
        _without_none(
            onStatusReason=rule.on_status_reason,
            onReason=rule.on_reason,
            onExitCode=rule.on_exit_code,
            action=rule.action,
        )
        for rule in submission.retry.rules
    ]
    return {"attempts": submission.retry.attempts, "evaluateOnExit": rules}


def _without_none(**fields: Any) -> Response:
    return {name: value for name, value in fields.items() if value is not None}
