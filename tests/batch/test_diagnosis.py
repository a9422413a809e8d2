"""Why jobs wait, from what Batch says; and when it is time to ask."""

from __future__ import annotations

from typing import Any

import pytest

from dask_knot.batch.diagnosis import Backoff, WaitingJob, diagnose

QUEUE = {"jobQueueName": "queue", "state": "ENABLED", "status": "VALID"}


def environment(**changes: Any) -> dict[str, Any]:
    """Describe a compute environment."""
    resources = {"type": "EC2", "maxvCpus": 16, "desiredvCpus": 4} | changes.pop("resources", {})
    return {
        "computeEnvironmentName": "ce",
        "state": "ENABLED",
        "status": "VALID",
        "computeResources": resources,
    } | changes


@pytest.mark.parametrize(
    ("reason", "words", "is_hopeless"),
    [
        ("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - x", "--max-vcpus", True),
        ("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - x", "less memory", True),
        ("MISCONFIGURATION:SERVICE_ROLE_PERMISSIONS - x", "service role", True),
        ("MISCONFIGURATION:EC2_INSTANCE_CONFIGURATION_UNSUPPORTED - x", "dask knot doctor", True),
        ("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - x", "no free instances", False),
        ("ACTION_REQUIRED - look", "ACTION_REQUIRED - look", False),
        ("", "Batch gives no reason; the queue has 4 of at most 16 vCPUs", False),
    ],
)
def test_reasons_of_batch(reason: str, words: str, is_hopeless: bool) -> None:
    found = diagnose(WaitingJob(reason, 1), QUEUE, [environment()])
    assert words in found.words
    assert reason in found.words
    assert found.is_hopeless is is_hopeless


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"state": "DISABLED"}, "ce is DISABLED"),
        ({"status": "INVALID", "statusReason": "no role"}, "ce is INVALID: no role"),
        ({"status": "DELETING"}, "being deleted"),
        (
            {"resources": {"maxvCpus": 2}},
            "needs 4 vCPUs and the compute environment ce may have at most 2",
        ),
        ({"resources": {"type": "FARGATE"}}, "on Fargate"),
    ],
)
def test_an_environment_that_will_never_run_it(changes: dict[str, Any], words: str) -> None:
    waiting = WaitingJob("", vcpus=4, gpus=1)
    found = diagnose(waiting, QUEUE, [environment(**changes)])
    assert words in found.words
    assert found.is_hopeless
    # Another environment of the queue may.
    assert not diagnose(waiting, QUEUE, [environment(**changes), environment()]).is_hopeless


@pytest.mark.parametrize("changes", [{"status": "UPDATING"}, {"status": "CREATING"}])
def test_an_environment_that_will_be_ready(changes: dict[str, Any]) -> None:
    found = diagnose(WaitingJob("", 4), QUEUE, [environment(**changes)])
    assert not found.is_hopeless
    assert f"ce is {changes['status']}" in found.words
    beside = diagnose(WaitingJob("", 4), QUEUE, [environment(**changes), environment()])
    assert "Batch gives no reason" in beside.words


def test_queues() -> None:
    invalid = QUEUE | {"status": "INVALID", "statusReason": "gone"}
    found = diagnose(WaitingJob("", 1), invalid, [])
    assert found.is_hopeless
    assert "queue is INVALID: gone" in found.words
    disabled = diagnose(WaitingJob("", 1), QUEUE | {"state": "DISABLED"}, [environment()])
    assert "queue is DISABLED" in disabled.words
    assert not disabled.is_hopeless


def test_a_share_of_a_queue_waits_for_its_turn() -> None:
    shared = QUEUE | {"schedulingPolicyArn": "arn:aws:batch:eu-west-1:1:scheduling-policy/a"}
    assert "shares fairly" in diagnose(WaitingJob("", 1), shared, [environment()]).words
    assert "shares" not in diagnose(WaitingJob("", 1), QUEUE, [environment()]).words


def test_without_permission_to_look() -> None:
    found = diagnose(WaitingJob("", 1), None, [])
    assert "may be waiting for other jobs" in found.words
    assert not found.is_hopeless


def test_an_environment_of_ones_own_has_no_size() -> None:
    unmanaged = environment()
    del unmanaged["computeResources"]
    assert not diagnose(WaitingJob("", 400), QUEUE, [unmanaged]).is_hopeless


def test_a_wait_is_over_after_its_time_and_then_ever_more_seldom() -> None:
    backoff = Backoff(60)
    asked = [now for now in range(0, 3000, 10) if backoff.is_over(True, float(now))]
    assert asked == [60, 120, 240, 480, 600, 1200, 2400]  # when machines should be there, too


def test_a_wait_begins_anew_when_a_job_runs() -> None:
    backoff = Backoff(60)
    assert not backoff.is_over(True, 0)
    assert not backoff.is_over(False, 59)
    assert not backoff.is_over(True, 100)
    assert not backoff.is_over(True, 159)
    assert backoff.is_over(True, 160)
