"""The limits of requests, on both sides of each; that we keep them ourselves."""

from __future__ import annotations

from typing import Any

import pytest

from dask_knot.batch import limits
from dask_knot.batch.request import MIB, JobTemplate, job_definition, submission
from dask_knot.planning import Limits, Resources
from dask_knot.settings import checks

REQUEST = {"jobName": "job", "jobQueue": "queue", "jobDefinition": "work"}
RULE = {"onExitCode": "1", "action": "RETRY"}


def needs(kind: str, value: str) -> dict[str, Any]:
    return {"containerOverrides": {"resourceRequirements": [{"type": kind, "value": value}]}}


def variable(name: str) -> dict[str, Any]:
    return {"containerOverrides": {"environment": [{"name": name, "value": "1"}]}}


def refusals(changes: dict[str, Any]) -> list[str]:
    return list(limits.submission_refusals({**REQUEST, **changes}, limits.MINIMUM_TIMEOUT))


@pytest.mark.parametrize(
    ("taken", "refused", "words"),
    [
        ({"arrayProperties": {"size": 2}}, {"arrayProperties": {"size": 1}}, "Array size"),
        ({"arrayProperties": {"size": 10_000}}, {"arrayProperties": {"size": 10_001}}, "Array"),
        ({"dependsOn": [{}] * 20}, {"dependsOn": [{}] * 21}, "20 dependencies"),
        ({"jobName": "a" * 128}, {"jobName": "a" * 129}, "should match"),
        ({"jobName": "1_b-c"}, {"jobName": "_b"}, "should match"),
        ({"jobName": "a-b"}, {"jobName": "a.b"}, "should match"),
        ({"parameters": {"x": "y" * 30_000}}, {"parameters": {"x": "y" * 30_720}}, "30 KiB"),
        (variable("X_AWS_BATCH"), variable("AWS_BATCH_X"), "AWS_BATCH"),
        (needs("VCPU", "0.25"), needs("VCPU", "0"), "positive number"),
        (needs("MEMORY", "512"), needs("MEMORY", "0.5"), "positive number"),
        (needs("GPU", "1"), needs("TPU", "1"), "Unknown resource type"),
        (
            {"timeout": {"attemptDurationSeconds": 60}},
            {"timeout": {"attemptDurationSeconds": 59}},
            "at least 60",
        ),
        ({"retryStrategy": {"attempts": 1}}, {"retryStrategy": {"attempts": 0}}, "1 and 10"),
        ({"retryStrategy": {"attempts": 10}}, {"retryStrategy": {"attempts": 11}}, "1 and 10"),
        (
            {"retryStrategy": {"evaluateOnExit": [RULE] * 5}},
            {"retryStrategy": {"evaluateOnExit": [RULE] * 6}},
            "at most 5",
        ),
        (
            {"retryStrategy": {"evaluateOnExit": [{"action": "exit"}]}},
            {"retryStrategy": {"evaluateOnExit": [{"action": "STOP"}]}},
            "RETRY or EXIT",
        ),
    ],
)
def test_a_limit_is_exact(taken: dict[str, Any], refused: dict[str, Any], words: str) -> None:
    assert refusals(taken) == []
    (found,) = refusals(refused)
    assert words in found


@pytest.mark.parametrize(
    ("dependency", "size", "upstream_size", "words"),
    [
        ({"jobId": "x"}, None, None, ""),
        ({"jobId": "x"}, 3, 2, ""),
        ({"jobId": "x", "type": "N_TO_N"}, 2, 2, ""),
        ({"jobId": "x", "type": "N_TO_N"}, 2, 3, "same size"),
        ({"jobId": "x", "type": "N_TO_N"}, None, None, "same size"),
        ({"type": "SEQUENTIAL"}, 2, None, ""),
        ({"type": "SEQUENTIAL"}, None, None, "array jobs only"),
        ({"jobId": "x", "type": "SEQUENTIAL"}, 2, 2, "must not name"),
        ({"jobId": "x", "type": "N_TO_ALL"}, 2, 2, "Unknown dependency type"),
    ],
)
def test_dependencies(
    dependency: dict[str, str], size: int | None, upstream_size: int | None, words: str
) -> None:
    found = list(limits.dependency_refusals(dependency, size, upstream_size))
    assert [words in one for one in found] == ([True] if words else [])


def test_a_hundred_jobs_are_described_at_once() -> None:
    assert not list(limits.description_refusals(["x"] * 100))
    assert list(limits.description_refusals(["x"] * 101))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, ""),
        ({"type": "multinode"}, "containerProperties"),
        ({"jobDefinitionName": "a b"}, "should match"),
        ({"timeout": {"attemptDurationSeconds": 59}}, "at least 60"),
    ],
)
def test_job_definitions(changes: dict[str, Any], words: str) -> None:
    request = {"jobDefinitionName": "work", "type": "container", "containerProperties": {}}
    found = list(limits.definition_refusals({**request, **changes}, limits.MINIMUM_TIMEOUT))
    assert [words in one for one in found] == ([True] if words else [])


def test_overrides_are_measured_as_they_are_sent() -> None:
    assert limits.override_characters({}) == 0
    assert limits.override_characters({"containerOverrides": {"command": ["ä"]}}) == 22


def test_our_own_requests_are_taken() -> None:
    template = JobTemplate("name", "queue", "image", {"A": "b"}, attempts=10)
    needed = Resources(0.5, 2**30, 1, timeout=limits.MINIMUM_TIMEOUT)
    definition = job_definition(template, needed)
    assert not list(limits.definition_refusals(definition, limits.MINIMUM_TIMEOUT))
    request = submission(template, "3-0", ["python"], max(limits.ARRAY_SIZE))
    request["jobDefinition"] = definition["jobDefinitionName"]
    assert not list(limits.submission_refusals(request, limits.MINIMUM_TIMEOUT))
    assert definition["containerProperties"]["resourceRequirements"][1]["value"] == str(
        2**30 // MIB
    )


def test_rooms_that_know_no_batch_know_its_limits() -> None:
    assert Limits(slots=1).array_size == max(limits.ARRAY_SIZE)
    assert Limits(slots=1).upstream_arrays == limits.DEPENDENCIES
    assert checks.SHORTEST_TIMEOUT == limits.MINIMUM_TIMEOUT
