"""A LocalBatch with shorthands for tests; every response is held against boto3's shapes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.validate import ParamValidator

from dask_knot.local.batch import LocalBatch
from dask_knot.local.capacity import Capacity
from dask_knot.local.launcher import Launcher
from dask_knot.local.schema import service_model

DEADLINE = 30.0
CAPACITY = Capacity(2, 2000)
ENDED = ("SUCCEEDED", "FAILED")
# Batch leaves it out of what has not started, though its own model says that it is required.
OPTIONAL = "startedAt"


def wait_until(condition: Callable[[], Any], deadline: float = DEADLINE) -> Any:
    """Return what the condition returns as soon as that is true."""
    end = time.monotonic() + deadline
    while not (found := condition()):
        assert time.monotonic() < end, "the condition did not come true in time"
        time.sleep(0.002)
    return found


def check_response(operation: str, response: dict[str, Any]) -> None:
    """Fail unless boto3 could have answered so."""
    shape = service_model().operation_model(operation).output_shape
    assert not unknown_keys(response, shape)
    report = ParamValidator().validate(response, shape).generate_report()
    errors = [line for line in report.splitlines() if OPTIONAL not in line]
    assert not errors


def unknown_keys(value: Any, shape: Any, path: str = "") -> list[str]:
    """Return what is in a response that the service model does not know."""
    if shape.type_name == "structure":
        wrong = [f"{path}.{key}" for key in value if key not in shape.members]
        return wrong + [
            bad
            for key, inner in value.items()
            if key in shape.members
            for bad in unknown_keys(inner, shape.members[key], f"{path}.{key}")
        ]
    if shape.type_name == "list":
        return [bad for one in value for bad in unknown_keys(one, shape.member, f"{path}[]")]
    return []


def operation_name(method: str) -> str:
    """Turn ``submit_job`` into ``SubmitJob``."""
    return "".join(word.title() for word in method.split("_"))


class Desk:
    """Submits jobs to a LocalBatch and looks at them.

    Parameters
    ----------
    launcher
        A real one or a fake.
    folder
        For the logs.
    capacity
        Two jobs of one vCPU and 1,000 MiB, unless said otherwise.
    """

    def __init__(
        self,
        launcher: Launcher,
        folder: Path,
        capacity: Capacity = CAPACITY,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.launcher = launcher
        self.batch = LocalBatch(
            capacity, launcher, log_folder=folder, minimum_timeout=1, clock=clock
        )

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Make a call and check the shape of its response."""
        response: dict[str, Any] = getattr(self.batch, method)(**parameters)
        check_response(operation_name(method), response)
        return response

    def define(self, name: str = "work", **changes: Any) -> str:
        """Register a job definition of one vCPU and 1,000 MiB; return its ARN."""
        container = {"command": ["true"], "image": "ignored", "resourceRequirements": needs()}
        container |= changes.pop("container", {})
        response = self.call(
            "register_job_definition",
            jobDefinitionName=name,
            type="container",
            containerProperties=container,
            **changes,
        )
        return str(response["jobDefinitionArn"])

    def submit(self, *command: str, size: int | None = None, **parameters: Any) -> str:
        """Submit a job; return its id."""
        if command:
            parameters.setdefault("containerOverrides", {})["command"] = list(command)
        if size is not None:
            parameters["arrayProperties"] = {"size": size}
        parameters = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "work", **parameters}
        return str(self.call("submit_job", **parameters)["jobId"])

    def run(self, program: str, *arguments: str, **parameters: Any) -> str:
        """Submit one of the small programs of these tests; return the job's id."""
        return self.submit(
            "python", "-m", "tests.local.programs", program, *arguments, **parameters
        )

    def job(self, job_id: str) -> dict[str, Any]:
        """Describe a job."""
        (found,) = self.call("describe_jobs", jobs=[job_id])["jobs"]
        return dict(found)

    def status(self, job_id: str) -> str:
        """Return the status of a job."""
        return str(self.job(job_id)["status"])

    def counts(self, job_id: str) -> dict[str, int]:
        """Return how many children are in which state, empty states left out."""
        summary = self.job(job_id)["arrayProperties"]["statusSummary"]
        return {name: count for name, count in summary.items() if count}

    def end(self, job_id: str) -> dict[str, Any]:
        """Wait for the end of a job and describe it."""
        wait_until(lambda: self.status(job_id) in ENDED)
        return self.job(job_id)

    def printed(self, job_id: str) -> list[str]:
        """Wait for the end of a job and return what it printed."""
        return self.batch.tail(self.end(job_id)["container"]["logStreamName"])


def needs(vcpus: str = "1", memory: str = "1000", gpus: str | None = None) -> list[dict[str, str]]:
    """Return ``resourceRequirements``."""
    values = {"VCPU": vcpus, "MEMORY": memory} | ({} if gpus is None else {"GPU": gpus})
    return [{"type": kind, "value": value} for kind, value in values.items()]
