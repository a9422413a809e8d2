"""A CloudFormation of which a test says what happens: statuses and events, call by call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

ID = "arn:aws:cloudformation:eu-west-1:123456789012:stack/dask-knot/1"
OUTPUTS = {
    "Bucket": "bucket-1",
    "Prefix": "knot",
    "Repository": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/dask-knot",
    "Queue": "arn:aws:batch:eu-west-1:123456789012:job-queue/dask-knot-ec2",
    "ComputeEnvironment": (
        "arn:aws:batch:eu-west-1:123456789012:compute-environment/dask-knot-ec2"
    ),
    "JobRole": "arn:aws:iam::123456789012:role/dask-knot-JobRole-1",
    "ExecutionRole": "arn:aws:iam::123456789012:role/dask-knot-ExecutionRole-1",
    "LogGroup": "/dask-knot/dask-knot",
    "Platform": "ec2",
    "Architecture": "amd64",
    "Gpu": "false",
    "PublicIp": "true",
}


def described(status: str = "CREATE_COMPLETE", **changed: str | None) -> dict[str, Any]:
    """Make what CloudFormation says of a stack; an output that is None isn't there."""
    outputs = {**OUTPUTS, **changed}
    return {
        "StackName": "dask-knot",
        "StackId": ID,
        "StackStatus": status,
        "Tags": [{"Key": "dask-knot", "Value": "dask-knot"}, {"Key": "owner", "Value": "ada"}],
        "Outputs": [
            {"OutputKey": key, "OutputValue": value}
            for key, value in outputs.items()
            if value is not None
        ],
    }


class Step(NamedTuple):
    """What one call starts: the statuses that follow, and what fails on the way."""

    statuses: tuple[str, ...]
    failures: tuple[tuple[str, str], ...] = ()


def refusal(message: str, code: str = "ValidationError", call: str = "Call") -> ClientError:
    """Make what botocore raises when AWS refuses."""
    return ClientError({"Error": {"Code": code, "Message": message}}, call)


class FakeFormation:
    """Answers as CloudFormation does.

    Parameters
    ----------
    status : str or None
        The stack's status at first; None if there is no stack.
    steps : mapping of call to list of Step or exception
        What each call of that name starts, the first one first.
    resources : sequence of (logical id, physical id, status)
        What the stack has.
    """

    def __init__(
        self,
        status: str | None = None,
        resources: Sequence[tuple[str, str, str]] = (),
        **steps: list[Step | ClientError],
    ) -> None:
        self.statuses = [status] if status else []
        self.steps = steps
        self.resources = resources
        self.events: list[dict[str, str]] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []

    @property
    def names(self) -> list[str]:
        """The calls that change something, in order."""
        return [name for name, _ in self.calls]

    def describe_stacks(self, *, StackName: str) -> dict[str, Any]:
        is_gone = not self.statuses or (self.statuses == ["DELETE_COMPLETE"] and StackName != ID)
        if is_gone:
            raise refusal(f"Stack with id {StackName} does not exist", call="DescribeStacks")
        # The last status stays.
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return {"Stacks": [described(status)]}

    def create_stack(self, **request: Any) -> dict[str, str]:
        self._start("create_stack", request)
        return {"StackId": ID}

    def update_stack(self, **request: Any) -> dict[str, str]:
        self._start("update_stack", request)
        return {"StackId": ID}

    def delete_stack(self, **request: Any) -> None:
        self._start("delete_stack", request)

    def continue_update_rollback(self, **request: Any) -> None:
        self._start("continue_update_rollback", request)

    def get_template(self, *, StackName: str) -> dict[str, Any]:
        return {"TemplateBody": {"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}}}

    def get_paginator(self, call: str) -> Pages:
        pages: dict[str, dict[str, Any]] = {
            "describe_stack_events": {"StackEvents": self.events[::-1]},
            "list_stack_resources": {
                "StackResourceSummaries": [
                    {"LogicalResourceId": a, "PhysicalResourceId": b, "ResourceStatus": c}
                    for a, b, c in self.resources
                ]
            },
        }
        return Pages([pages[call]])

    def _start(self, call: str, request: dict[str, Any]) -> None:
        self.calls.append((call, request))
        step = self.steps[call].pop(0)
        if isinstance(step, ClientError):
            raise step
        self.statuses = list(step.statuses)
        for resource, reason in step.failures:
            self.event(resource, f"{call.partition('_')[0].upper()}_FAILED", reason)
        self.event("dask-knot", self.statuses[-1])

    def event(self, resource: str, status: str, reason: str = "") -> None:
        """Note an event."""
        self.events.append(
            {
                "EventId": str(len(self.events)),
                "LogicalResourceId": resource,
                "ResourceType": "AWS::Some::Thing",
                "ResourceStatus": status,
                "ResourceStatusReason": reason,
            }
        )


class Pages:
    """A paginator over pages that are known."""

    def __init__(self, pages: Sequence[Any]) -> None:
        self._pages = pages

    def paginate(self, **request: Any) -> Iterator[Any]:
        yield from self._pages


class AnyQueue:
    """A Batch where every queue is there."""

    def describe_job_queues(self, *, jobQueues: list[str]) -> dict[str, Any]:
        return {"jobQueues": [{"jobQueueName": name} for name in jobQueues]}


class FakeSession:
    """A session whose clients a test hands in."""

    region = "eu-west-1"

    def __init__(self, **clients: Any) -> None:
        self._clients = {"batch": AnyQueue(), **clients}

    def client(self, service: str) -> Any:
        return self._clients[service]

    def identity(self) -> dict[str, str]:
        return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/ada"}
