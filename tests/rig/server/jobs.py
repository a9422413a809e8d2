"""A job of the emulated AWS Batch: its states, attempts, retries, and how it is described."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from moto.batch import models

from dask_knot.batch.rules import CHILD_FAILED, ENDED, JobStatus, RetryStrategy, roll_up
from tests.rig.server.attempts import Attempt, Surroundings
from tests.rig.server.queueing import Queueing

if TYPE_CHECKING:
    from collections.abc import Sequence


class Job(models.Job):
    """A job, an array job or one of its children."""

    __module__ = "moto.batch.models"  # moto keys its models by module
    queueing: ClassVar[Queueing]
    surroundings: ClassVar[Surroundings]

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self.state = "SUBMITTED"
        self.is_reclaimed = False  # set from outside: the machine of this attempt is taken away
        self.retry: Mapping[str, Any] | None = None
        self.size: int | None = None
        super().__init__(*arguments, **named)
        self.index: int | None = self.array_properties.get("index")

    # What moto asks for

    @property
    def status(self) -> str:
        """The state; that of an array follows from its children."""
        if self.children is None:
            return self.state
        counts = Counter(child.state for child in self.children)
        status = roll_up({JobStatus(state): count for state, count in counts.items()})
        if status in ENDED and not self.job_stopped:
            self.job_stopped, self.job_stopped_at = True, datetime.now()
            if status is JobStatus.FAILED and not self.job_stopped_reason:
                self.job_stopped_reason = CHILD_FAILED
        return status.value

    @status.setter
    def status(self, state: str) -> None:
        self.state = state

    def start(self) -> None:
        """Queue the job: no thread is started for each."""
        self.queueing.add(self)

    def is_alive(self) -> bool:
        """Say that there is no thread to wait for."""
        return False

    def terminate(self, reason: str) -> None:
        """End the job or, of an array, every child that hasn't ended."""
        for child in self.children or []:
            if JobStatus(child.state) not in ENDED:
                models.Job.terminate(child, reason)
        super().terminate(reason)
        self.queueing.wake.set()

    def describe_short(self) -> dict[str, Any]:
        """Describe as in ListJobs."""
        short: dict[str, Any] = super().describe_short()
        if self.index is not None:
            short["arrayProperties"] = {"index": self.index}
        elif self.children is not None:
            short["arrayProperties"] = {"size": len(self.children)}
        return short

    def describe(self) -> dict[str, Any]:
        """Describe as in DescribeJobs."""
        described: dict[str, Any] = super().describe()
        described["status"] = self.status
        described["retryStrategy"] = self._strategy or {"attempts": 1}
        if self.index is not None:
            described["arrayProperties"] = {"index": self.index}
        if "container" in described:
            described["container"] |= self._container()
        return described

    def _get_container_property(self, name: str, default: Any) -> Any:
        if name == "environment":
            return [{"name": key, "value": text} for key, text in self.environment.items()]
        if name in ("memory", "vcpus"):
            return int(self._required({"memory": "MEMORY", "vcpus": "VCPU"}[name], default))
        return super()._get_container_property(name, default)

    def _container(self) -> dict[str, Any]:
        properties = self.job_definition.container_properties
        required = {each["type"]: each for each in properties.get("resourceRequirements", [])}
        given = self.container_overrides.get("resourceRequirements", [])
        required |= {each["type"]: each for each in given}
        container = {
            "image": properties.get("image"),
            "jobRoleArn": properties.get("jobRoleArn"),
            "enableExecuteCommand": properties.get("enableExecuteCommand", False),
            "resourceRequirements": list(required.values()),
        }
        if self.exit_code is not None:
            container["exitCode"] = self.exit_code
        if self.attempts:
            container["taskArn"] = self.attempts[-1]["container"]["taskArn"]
        if self.attempts and "reason" in self.attempts[-1]["container"]:
            container["reason"] = self.attempts[-1]["container"]["reason"]
        return container

    # What an attempt asks for

    @property
    def children(self) -> Sequence[Job] | None:
        """The children of an array job."""
        found: Sequence[Job] | None = getattr(self, "_child_jobs", None)
        return found

    @property
    def memory(self) -> int:
        """The limit in MiB."""
        return int(self._required("MEMORY", 512))

    @property
    def longest(self) -> int | None:
        """How many seconds an attempt may take."""
        seconds: int | None = self._get_attempt_duration()
        return seconds

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the definition and of the request."""
        definition = self.job_definition.container_properties.get("environment", [])
        both = [*definition, *self.container_overrides.get("environment", [])]
        return {each["name"]: each["value"] for each in both}

    def container_property(self, name: str, default: Any) -> Any:
        """Give a container property of the request, else of the definition."""
        return self._get_container_property(name, default)

    def with_parameters(self, command: list[str]) -> list[str]:
        """Fill in what stands as ``Ref::name`` in a command."""
        filled: list[str] = self._add_parameters_to_command(command)
        return filled

    def batch_environment(self, attempt: int) -> dict[str, str]:
        """Give the variables that Batch sets."""
        environments = self.job_queue.environments
        variables = {
            "AWS_BATCH_JOB_ID": self.job_id,
            "AWS_BATCH_JOB_ATTEMPT": str(attempt),
            "AWS_BATCH_JQ_NAME": self.job_queue.name,
            "AWS_BATCH_CE_NAME": environments[0].name if environments else "none",
        }
        if self.index is not None:
            variables["AWS_BATCH_JOB_ARRAY_INDEX"] = str(self.index)
            variables["AWS_BATCH_JOB_ARRAY_SIZE"] = str(self.size)
        return variables

    def keep_log(self, stream: str, events: list[dict[str, Any]]) -> None:
        """Put what a container printed where CloudWatch shows it."""
        configured = self.job_definition.container_properties.get("logConfiguration", {})
        group = configured.get("options", {}).get("awslogs-group", "/aws/batch/job")
        self._log_backend.ensure_log_group(group)
        self._log_backend.ensure_log_stream(group, stream)
        self._log_backend.put_log_events(group, stream, events)

    def _required(self, kind: str, default: Any) -> float:
        old = {"VCPU": "vcpus", "MEMORY": "memory"}.get(kind, "")
        for source in (self.container_overrides, self.job_definition.container_properties or {}):
            for each in source.get("resourceRequirements") or []:
                if each["type"] == kind:
                    return float(each["value"])
            if source.get(old):
                return float(source[old])
        return float(default)

    # Running

    @property
    def _strategy(self) -> Mapping[str, Any]:
        return self.retry or self.job_definition.retry_strategy or {}

    def go(self) -> None:
        """Run attempt after attempt, until one is the last."""
        try:
            self._run_attempts()
        except Exception as error:  # a job must never hang
            logging.exception("job %s", self.job_id)
            self.end(False, f"the emulated Batch failed: {error!r}")

    def _run_attempts(self) -> None:
        strategy = RetryStrategy.from_request(self._strategy)
        for number in itertools.count(1):
            if self.stop:
                break
            self.state = "STARTING"
            ending = Attempt(self, number, self.surroundings).run()
            status = strategy.status_after(
                number, self.exit_code, ending.reason, ending.status_reason
            )
            if ending.is_final:
                return self.end(False, ending.status_reason)
            if self.stop and status is not JobStatus.SUCCEEDED:
                break
            if status in ENDED:
                return self.end(status is JobStatus.SUCCEEDED, ending.status_reason)
            self.state = status.value
        return self.end(False, self.job_stopped_reason)

    def end(self, succeeded: bool, reason: str | None = None) -> None:
        """Note the end; those that wait for it are looked at again."""
        self.job_stopped, self.job_stopped_at = True, datetime.now()
        if reason:
            self.job_stopped_reason = reason
        self.state = "SUCCEEDED" if succeeded else "FAILED"
        self.queueing.wake.set()
