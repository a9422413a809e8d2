"""A job queue in the emulated AWS, and jobs in it."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Callable
from typing import Any

from tests.rig.machine import Rig

IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"
PATIENCE = 60.0


class Batch:
    """A queue, and jobs in it."""

    def __init__(self, rig: Rig) -> None:
        self.client = rig.client("batch")
        self.logs = rig.client("logs")
        self._iam = rig.client("iam")
        self._name = self.queue = f"rig-{uuid.uuid4().hex[:8]}"
        environment = self.client.create_compute_environment(
            computeEnvironmentName=self._name,
            type="UNMANAGED",
            state="ENABLED",
            serviceRole=self.role("service"),
        )
        order = [{"order": 1, "computeEnvironment": environment["computeEnvironmentArn"]}]
        self.client.create_job_queue(
            jobQueueName=self._name, state="ENABLED", priority=1, computeEnvironmentOrder=order
        )

    def role(self, name: str) -> str:
        """Make a role."""
        made = self._iam.create_role(
            RoleName=f"{self._name}-{name}", AssumeRolePolicyDocument='{"Statement": []}'
        )
        return str(made["Role"]["Arn"])

    def submit(self, program: str, memory: int = 256, **more: Any) -> str:
        """Submit a job that runs a program."""
        image, role = more.pop("image", IMAGE), more.pop("role", None)
        properties: dict[str, Any] = {
            "image": image,
            "command": ["python", "-c", program],
            "resourceRequirements": [
                {"type": "VCPU", "value": "1"},
                {"type": "MEMORY", "value": str(memory)},
            ],
        }
        if role:
            properties["jobRoleArn"] = role
        definition = self.client.register_job_definition(
            jobDefinitionName=self._name, type="container", containerProperties=properties
        )
        submitted = self.client.submit_job(
            jobName="a-job",
            jobQueue=self._name,
            jobDefinition=definition["jobDefinitionArn"],
            **more,
        )
        return str(submitted["jobId"])

    def describe(self, job: str) -> dict[str, Any]:
        """Describe one job."""
        (found,) = self.client.describe_jobs(jobs=[job])["jobs"]
        return dict(found)

    def wait(self, job: str, until: Callable[[dict[str, Any]], bool] | None = None) -> Any:
        """Wait until a job has ended, or something else is so."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            found = self.describe(job)
            if until(found) if until else found["status"] in ("SUCCEEDED", "FAILED"):
                return found
            time.sleep(0.1)
        raise AssertionError(f"{job} is still {found['status']}")

    def log(self, found: dict[str, Any]) -> list[str]:
        """Read what a job has printed."""
        events = self.logs.get_log_events(
            logGroupName="/aws/batch/job", logStreamName=found["container"]["logStreamName"]
        )
        return [event["message"] for event in events["events"]]
