"""One attempt of a job: a container is made, watched, and its log kept."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound
from moto.core.parse import default_timestamp_parser
from moto.core.utils import unix_time_millis

from dask_knot.batch.rules import CONTAINER_EXITED, NOT_STARTED, OUT_OF_MEMORY, TIMED_OUT
from dask_knot.local.amenities import amenities
from tests.rig.server import images

if TYPE_CHECKING:
    from tests.rig.server.access import Credentials
    from tests.rig.server.jobs import Job

HOST_LOST = "Host EC2 (instance i-0123456789abcdef0) terminated."


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every container of this machine is given."""

    endpoint: str
    folder: Path
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class Ending:
    """How an attempt ended; `is_final`: it isn't tried again, whatever the rules say."""

    status_reason: str
    reason: str | None = None
    is_final: bool = False


class Attempt:
    """One attempt of one job.

    Parameters
    ----------
    job : Job
        Whose attempt it is.
    number : int
        The first is 1.
    surroundings : Surroundings
        What every container gets.
    """

    def __init__(self, job: Job, number: int, surroundings: Surroundings) -> None:
        self._job = job
        self._number = number
        self._surroundings = surroundings
        task = os.urandom(16).hex()
        self._stream = f"{job.job_definition.name}/default/{task}"
        self._container_record: dict[str, Any] = {
            "containerInstanceArn": "arn:aws:ecs:us-east-1:123456789012:container-instance/x",
            "taskArn": f"arn:aws:ecs:us-east-1:123456789012:task/{task}",
            "networkInterfaces": [],
        }
        self._record: dict[str, Any] = {"container": self._container_record}
        job.attempts.append(self._record)

    def run(self) -> Ending:
        """Make the container and wait for its end."""
        self._job.exit_code = None
        self._job.is_reclaimed = False
        try:
            container = self._make()
        except DockerException as error:
            return self._not_started("CannotPullContainerError", error)
        try:
            container.start()
            return self._watch(container)
        except APIError as error:
            return self._not_started("CannotStartContainerError", error)
        finally:
            container.remove(force=True)

    def _make(self) -> Any:
        arguments = self._arguments()
        client = self._job.docker_client
        try:
            return client.containers.create(**arguments)
        except ImageNotFound:
            # The execution role gets a login from ECR; other registries need none.
            login = images.AS_CONFIG if ".dkr.ecr." in arguments["image"] else None
            client.images.pull(arguments["image"], auth_config=login)
            return client.containers.create(**arguments)

    def _arguments(self) -> dict[str, Any]:
        job = self._job
        properties = job.job_definition.container_properties
        name = f"{job.job_name}-{job.job_id.replace(':', '-')}-{self._number}"
        command = job.container_property("command", [])
        environment, volumes = self._given()
        more = amenities(properties)
        return {
            "image": properties["image"],
            "command": job.with_parameters(command),
            "environment": job.environment | job.batch_environment(self._number) | environment,
            "mem_limit": f"{job.memory}m",
            "memswap_limit": f"{job.memory + (more.swap or 0)}m",
            "mounts": list(more.mounts),
            "log_config": docker.types.LogConfig(type="json-file"),
            "network_mode": "host",
            "volumes": volumes,
            "name": name,
            **more.options,
        }

    def _given(self) -> tuple[dict[str, str], dict[str, Any]]:
        """Say where AWS is and, as the agent on a real host does, who the job is."""
        role = self._job.job_definition.container_properties.get("jobRoleArn")
        environment = {"AWS_ENDPOINT_URL": self._surroundings.endpoint}
        given, volumes = self._surroundings.credentials.for_job(self._job.job_id, role)
        return environment | given, volumes

    def _not_started(self, kind: str, error: DockerException) -> Ending:
        reason = f"{kind}: {error}"[:255]
        self._container_record["reason"] = reason
        self._record["statusReason"] = NOT_STARTED
        return Ending(NOT_STARTED, reason)

    def _watch(self, container: Any) -> Ending:
        job = self._job
        job.job_started_at = datetime.now()
        job.state, job.log_stream_name = "RUNNING", self._stream
        self._record["startedAt"] = _now()
        self._container_record["logStreamName"] = self._stream
        exit_code, timed_out = self._wait(container)
        container.reload()
        self._keep_log(container)
        self._record["stoppedAt"] = _now()
        ending = self._ending(timed_out, container.attrs["State"].get("OOMKilled"))
        if ending.status_reason != HOST_LOST:
            job.exit_code = self._container_record["exitCode"] = exit_code
        if ending.reason:
            self._container_record["reason"] = ending.reason
        self._record["statusReason"] = ending.status_reason
        return ending

    def _wait(self, container: Any) -> tuple[int | None, bool]:
        """Wait for the end, or bring it about when the job was terminated or runs too long."""
        ended, answer = threading.Event(), {}

        def wait() -> None:
            try:
                answer.update(container.wait())
            finally:
                ended.set()

        threading.Thread(target=wait, daemon=True).start()
        started, limit, timed_out = time.monotonic(), self._job.longest, False
        while not ended.wait(0.05):
            timed_out = bool(limit) and time.monotonic() - started > limit
            if self._job.stop or self._job.is_reclaimed or timed_out:
                container.stop(timeout=2)  # the real one waits 30 s before SIGKILL
                ended.wait(10)
                break
        return answer.get("StatusCode"), timed_out

    def _ending(self, timed_out: bool, out_of_memory: bool) -> Ending:
        if self._job.stop:
            return Ending(str(self._job.job_stopped_reason), is_final=True)
        if timed_out:
            return Ending(TIMED_OUT, is_final=True)
        if self._job.is_reclaimed:
            return Ending(HOST_LOST)
        return Ending(CONTAINER_EXITED, OUT_OF_MEMORY if out_of_memory else None)

    def _keep_log(self, container: Any) -> None:
        events = []
        for line in container.logs(timestamps=True).decode("utf-8", "replace").splitlines():
            when, _, message = line.partition(" ")
            moment = unix_time_millis(default_timestamp_parser(when))
            events.append({"timestamp": moment, "message": message})
        self._job.keep_log(self._stream, sorted(events, key=lambda event: event["timestamp"]))


def _now() -> int:
    return int(time.time() * 1000)
