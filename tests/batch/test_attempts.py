"""Attempts are read as Batch tells of them: ended, running, never begun, on Fargate."""

from __future__ import annotations

from typing import Any

import pytest

from dask_knot.batch.attempts import AttemptBook, Stay, child_of
from dask_knot.run.machine import UNKNOWN, Machine
from tests.local.recording import RecordingBatch

NEEDS = [{"type": "VCPU", "value": "0.5"}, {"type": "MEMORY", "value": "900"}]
ENDED = {"startedAt": 1000, "stoppedAt": 3000, "container": {"containerInstanceArn": "arn:i"}}
RUNS = {"startedAt": 5000, "container": {}}


def detail(status: str = "SUCCEEDED", *attempts: Any, **more: Any) -> dict[str, Any]:
    container = {"resourceRequirements": NEEDS, **more.pop("container", {})}
    return {
        "jobId": "a",
        "status": status,
        "attempts": list(attempts),
        "container": container,
    } | more


@pytest.mark.parametrize(
    ("told", "stays"),
    [
        (detail("SUBMITTED"), []),
        (detail("SUCCEEDED", ENDED), [Stay(1, 1.0, 3.0, "arn:i")]),
        # It waits for its next attempt; Batch still tells when the one before began.
        (detail("RUNNABLE", ENDED, startedAt=1000), [Stay(1, 1.0, 3.0, "arn:i")]),
        (detail("STARTING", ENDED, startedAt=1000), [Stay(1, 1.0, 3.0, "arn:i")]),
        # AWS doesn't list the attempt that runs, others do.
        (
            detail("RUNNING", ENDED, startedAt=5000),
            [Stay(1, 1.0, 3.0, "arn:i"), Stay(2, 5.0, None)],
        ),
        (
            detail("RUNNING", ENDED, RUNS, startedAt=5000),
            [Stay(1, 1.0, 3.0, "arn:i"), Stay(2, 5.0, None)],
        ),
        # The first one never began: its image could not be pulled.
        (detail("FAILED", {"stoppedAt": 900}, ENDED), [Stay(2, 1.0, 3.0, "arn:i")]),
        # When its machine went nobody noted; it was over when the next one began, or the job was.
        (
            detail("RUNNING", {"startedAt": 1000}, RUNS, startedAt=5000),
            [Stay(1, 1.0, 5.0), Stay(2, 5.0, None)],
        ),
        (detail("FAILED", {"startedAt": 1000}, stoppedAt=4000), [Stay(1, 1.0, 4.0)]),
        (detail("FAILED", ENDED, {"startedAt": 5000}), [Stay(1, 1.0, 3.0, "arn:i"), Stay(2, 5, 5)]),
        # It lists no attempt of a job that has ended, and only says when that ran.
        (detail("FAILED", startedAt=1000, stoppedAt=4000), [Stay(1, 1.0, 4.0)]),
        (detail("FAILED", {"stoppedAt": 900}, stoppedAt=900), []),
    ],
)
def test_attempts_that_began(told: dict[str, Any], stays: list[Stay]) -> None:
    child = child_of(told)
    assert child.stays == stays
    assert (child.vcpus, child.memory, child.machine) == (0.5, 900, UNKNOWN)
    assert child.is_over is (told["status"] in ("SUCCEEDED", "FAILED"))


def test_fargate_fills_its_steps_and_says_what_it_is() -> None:
    variables = [{"name": "KNOT_LIFECYCLES", "value": "fargate-spot"}]
    container = {"environment": variables, "runtimePlatform": {"cpuArchitecture": "ARM64"}}
    told = detail("SUCCEEDED", ENDED, platformCapabilities=["FARGATE"], container=container)
    child = child_of(told)
    assert (child.vcpus, child.memory) == (0.5, 1024)
    assert child.machine == Machine("", "fargate", "", "fargate-spot", "arm64")


def test_what_has_ended_is_asked_for_once() -> None:
    batch, book = RecordingBatch(), AttemptBook()
    batch.details = {
        "a": detail("RUNNING", startedAt=1000),
        "b": detail("SUCCEEDED", ENDED, jobId="b"),
    }
    book.look(batch, ["a", "b", "forgotten"])
    batch.details["a"] = detail("SUCCEEDED", ENDED)
    book.look(batch, ["a", "b", "forgotten"])
    assert [one["jobs"] for one in batch.requests("DescribeJobs")] == [
        ["a", "b", "forgotten"],
        ["a", "forgotten"],
    ]
    assert {id: child.is_over for id, child in book.children.items()} == {"a": True, "b": True}
