"""What Batch refuses, LocalBatch refuses in the same way."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError, ParamValidationError

from tests.local.desk import Desk, needs, wait_until
from tests.local.fakes import FakeLauncher

RULE = {"onExitCode": "1", "action": "RETRY"}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"arrayProperties": {"size": 1}}, "Array size"),
        ({"arrayProperties": {"size": 10_001}}, "Array size"),
        ({"dependsOn": [{"jobId": "x"}] * 21}, "20 dependencies"),
        ({"dependsOn": [{"jobId": "unknown"}]}, "unknown does not exist"),
        ({"dependsOn": [{"type": "N_TO_N"}]}, "does not exist"),
        ({"dependsOn": [{"type": "SEQUENTIAL"}]}, "array jobs only"),
        ({"containerOverrides": {"command": ["x" * 31_000]}}, "30 KiB"),
        ({"jobName": "a.b"}, "should match"),
        ({"jobName": "-a"}, "should match"),
        ({"jobName": "a" * 129}, "should match"),
        (
            {"containerOverrides": {"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}},
            "AWS_BATCH",
        ),
        ({"containerOverrides": {"resourceRequirements": needs(vcpus="0")}}, "positive number"),
        ({"containerOverrides": {"resourceRequirements": needs(memory="1 GB")}}, "positive"),
        ({"timeout": {"attemptDurationSeconds": 0}}, "at least 1"),
        ({"retryStrategy": {"attempts": 0}}, "between 1 and 10"),
        ({"retryStrategy": {"attempts": 11}}, "between 1 and 10"),
        ({"retryStrategy": {"evaluateOnExit": [RULE] * 6}}, "at most 5"),
        ({"retryStrategy": {"evaluateOnExit": [{"action": "STOP"}]}}, "RETRY or EXIT"),
        ({"jobDefinition": "nobody"}, "nobody does not exist"),
        ({"jobDefinition": "work:2"}, "work:2 does not exist"),
        ({"nodeOverrides": {}}, "container jobs only"),
    ],
)
def test_submit_job_refuses(desk: Desk, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message) as caught:
        desk.submit(**parameters)
    assert caught.value.response["Error"]["Code"] == "ClientException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    "parameters",
    [
        {"jobName": 1},
        {"unknown": 1},
        {"dependsOn": "x"},
        {"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": 1}]}},
        {"timeout": {"attemptDurationSeconds": 1.5}},
    ],
)
def test_boto3_refuses_wrong_parameters(desk: Desk, parameters: dict[str, Any]) -> None:
    with pytest.raises(ParamValidationError):
        desk.submit(**parameters)


def test_what_is_missing_is_refused(desk: Desk) -> None:
    with pytest.raises(ParamValidationError, match="jobQueue"):
        desk.batch.submit_job(jobName="a", jobDefinition="work")
    with pytest.raises(ParamValidationError, match="reason"):
        desk.batch.terminate_job(jobId="a")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "a b"}, "should match"),
        ({"container": {"resourceRequirements": []}}, "VCPU and MEMORY"),
        ({"container": {"environment": [{"name": "AWS_BATCH_X", "value": ""}]}}, "AWS_BATCH"),
        ({"timeout": {"attemptDurationSeconds": 0}}, "at least 1"),
    ],
)
def test_register_job_definition_refuses(desk: Desk, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        desk.define(**changes)


def test_n_to_n_needs_arrays_of_one_size(desk: Desk) -> None:
    upstream, plain = desk.submit(size=3), desk.submit()
    for dependency in (upstream, plain):
        with pytest.raises(ClientError, match="same size"):
            desk.submit(size=2, dependsOn=[{"jobId": dependency, "type": "N_TO_N"}])
    with pytest.raises(ClientError, match="same size"):
        desk.submit(dependsOn=[{"jobId": upstream, "type": "N_TO_N"}])


def test_a_hundred_jobs_can_be_described_at_once(desk: Desk) -> None:
    assert desk.call("describe_jobs", jobs=["unknown"] * 100) == {"jobs": []}
    with pytest.raises(ClientError, match="100 jobs"):
        desk.call("describe_jobs", jobs=["unknown"] * 101)


def test_overrides_that_are_too_long_fail_only_when_the_job_should_start(
    desk: Desk, launcher: FakeLauncher
) -> None:
    upstream = desk.submit("wait")
    job = desk.submit("x" * 9000, size=2, dependsOn=[{"jobId": upstream}])
    assert desk.status(job) == "PENDING"
    wait_until(lambda: launcher.running)
    desk.call("terminate_job", jobId=upstream, reason="enough")
    plain = desk.submit("x" * 9000)
    found = desk.end(plain)
    assert found["statusReason"] == "Container Overrides length must be at most 8192"
    assert found["attempts"] == []


def test_unknown_jobs_can_not_be_ended(desk: Desk) -> None:
    for method in ("terminate_job", "cancel_job"):
        with pytest.raises(ClientError, match="does not exist"):
            desk.call(method, jobId="unknown", reason="x")
