"""A CodeBuild of which a test says what happens, look by look."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from dask_knot.aws.client import AwsClient
from tests.aws.formation import refusal

MODEL = botocore.session.get_session().get_service_model("codebuild")
ID = "dask-knot-builder:1"
PLACE = {"groupName": "/dask-knot/dask-knot", "streamName": "builds/1"}


def build(status: str = "IN_PROGRESS", phase: str = "BUILD", **more: Any) -> dict[str, Any]:
    """Make what CodeBuild says of a build."""
    return {"id": ID, "buildStatus": status, "currentPhase": phase, "logs": PLACE, **more}


@dataclass
class FakeBuilds:
    """Answers as CodeBuild does.

    Attributes
    ----------
    looks : list of dict or exception
        How the build is at each look; the last one stays.
    refusals : list of exception
        How the first tries to start one are refused.
    """

    looks: list[Any] = field(default_factory=lambda: [build("SUCCEEDED")])
    refusals: list[Exception] = field(default_factory=list)
    started: list[dict[str, Any]] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)

    def start_build(self, **request: Any) -> dict[str, Any]:
        """Note the request, if it is one."""
        _check("StartBuild", request)
        if self.refusals:
            raise self.refusals.pop(0)
        self.started.append(request)
        return {"build": build(phase="QUEUED", logs={})}

    def batch_get_builds(self, **request: Any) -> dict[str, Any]:
        """Give the next look."""
        _check("BatchGetBuilds", request)
        look = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(look, BaseException):
            raise look
        return {"builds": [look]} if look else {"builds": [], "buildsNotFound": request["ids"]}

    def stop_build(self, **request: Any) -> dict[str, Any]:
        """Note the end."""
        _check("StopBuild", request)
        self.stopped.append(request["id"])
        return {"build": build("STOPPED")}


@dataclass
class FakeLogs:
    """Answers as CloudWatch does: portions of lines, one at each look."""

    portions: list[tuple[str, ...]]
    given: int = 0

    def get_log_events(self, **_: Any) -> dict[str, Any]:
        """Give the next portion."""
        token = str(self.given)
        lines = self.portions.pop(0) if self.portions else ()
        if not lines:
            return {"events": [], "nextForwardToken": token}
        self.given += 1
        events = [{"message": f"{line}\n"} for line in lines]
        return {"events": events, "nextForwardToken": str(self.given)}


class BuilderSession:
    """A session in which S3 is real (moto's), and what builds is a test's."""

    def __init__(self, s3: Any, builds: FakeBuilds, logs: FakeLogs) -> None:
        self._clients = {"s3": s3, "codebuild": builds, "logs": logs}
        self.is_closed = False

    def client(self, service: str) -> Any:
        """Give a client."""
        return self._clients[service]

    def asking(self, service: str) -> AwsClient:
        """Give a client whose exceptions are ours."""
        return AwsClient(self._clients[service])

    def patient(self) -> BuilderSession:
        """Give itself."""
        return self

    def close(self) -> None:
        """Note the end."""
        self.is_closed = True


def busy(most: int) -> Exception:
    """Make the refusal of an account that may run no more builds."""
    text = f"Cannot have more than {most} builds in queue for the account"
    return refusal(text, "AccountLimitExceededException", "StartBuild")


def _check(call: str, request: dict[str, Any]) -> None:
    report = ParamValidator().validate(request, MODEL.operation_model(call).input_shape)
    assert not report.has_errors(), report.generate_report()
