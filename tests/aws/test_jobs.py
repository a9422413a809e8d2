"""The jobs of a stack before it is deleted: listed, ended, and those of others are left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from dask_knot.aws.jobs import PATIENCE, PAUSE, OpenJobs, end_stack_jobs, find_jobs
from tests.aws.formation import FakeSession, Pages

STACK = "dask-knot"
OUTPUTS = {
    "Bucket": "bucket",
    "Prefix": "knot",
    "Repository": "host/repository",
    "Queue": "arn:aws:batch:eu-west-1:1:job-queue/queue",
    "JobRole": "role",
    "ExecutionRole": "role",
    "LogGroup": "group",
    "Platform": "ec2",
    "Architecture": "amd64",
    "Gpu": "false",
    "PublicIp": "true",
}


class Formation:
    """Knows one stack, which made its queue or found it there."""

    def __init__(self, is_own: bool = True, status: str = "CREATE_COMPLETE") -> None:
        said = {**OUTPUTS, **({"ComputeEnvironment": "environment"} if is_own else {})}
        self._stack = {
            "StackName": STACK,
            "StackId": "arn:aws:cloudformation:eu-west-1:1:stack/dask-knot/1",
            "StackStatus": status,
            "Tags": [{"Key": "dask-knot", "Value": STACK}],
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in said.items()],
        }

    def describe_stacks(self, *, StackName: str) -> Mapping[str, Any]:
        return {"Stacks": [self._stack]}


class Batch:
    """Has jobs that end some looks after they were terminated."""

    def __init__(self, jobs: Mapping[str, str], looks: float = 2, theirs: str = "") -> None:
        self.calls: list[tuple[str, Any]] = []
        self._jobs = {
            id: {"jobId": id, "jobName": name, "status": "RUNNABLE" if "wait" in id else "RUNNING"}
            for id, name in jobs.items()
        }
        self._looks = looks
        self._theirs = theirs
        self._left: dict[str, float] = {}

    def update_job_queue(self, **request: Any) -> None:
        self.calls.append(("update_job_queue", request))

    def get_paginator(self, call: str) -> Any:
        assert call == "list_jobs"
        return self

    def paginate(self, *, jobQueue: str, jobStatus: str) -> Iterator[Mapping[str, Any]]:
        if jobStatus == "SUBMITTED":
            for id in list(self._left):
                self._left[id] -= 1
                if self._left[id] <= 0:
                    self._jobs.pop(id, None)
        found = [one for one in self._jobs.values() if one["status"] == jobStatus]
        yield from Pages([{"jobSummaryList": found}]).paginate()

    def describe_jobs(self, *, jobs: list[str]) -> Mapping[str, Any]:
        tag = {True: {}, False: {"dask-knot": STACK}}
        return {"jobs": [{**self._jobs[id], "tags": tag[id == self._theirs]} for id in jobs]}

    def terminate_job(self, *, jobId: str, reason: str) -> None:
        self.calls.append(("terminate_job", (jobId, reason)))
        self._left[jobId] = self._looks

    def named(self, call: str) -> list[Any]:
        return [request for name, request in self.calls if name == call]


JOBS = {
    "a": "knot-1-0000000000-000",
    "wait-b": "knot-1-0000000000-001",
    "c": "ada-0000000007-000",
}


def session(batch: Batch, **formation: Any) -> Any:
    return FakeSession(cloudformation=Formation(**formation), batch=batch)


def test_jobs_are_named_by_their_runs() -> None:
    found = find_jobs(session(Batch(JOBS)), STACK)
    assert found is not None
    assert set(found.ids) == {"a", "wait-b", "c"}
    assert sorted(str(found).split(", ")) == ["ada (1 job)", "knot-1 (2 jobs)"]


def test_a_stack_that_is_not_whole_has_none() -> None:
    assert find_jobs(session(Batch(JOBS), status="ROLLBACK_COMPLETE"), STACK) is None
    assert end_stack_jobs(session(Batch(JOBS), status="ROLLBACK_COMPLETE"), STACK, print) == ()


def test_all_are_ended_once_and_waited_for_and_none_can_be_submitted() -> None:
    batch, said = Batch(JOBS), []
    assert end_stack_jobs(session(batch), STACK, said.append, lambda _: None) == ()
    assert batch.named("update_job_queue") == [{"jobQueue": OUTPUTS["Queue"], "state": "DISABLED"}]
    ended = batch.named("terminate_job")
    assert sorted(id for id, _ in ended) == ["a", "c", "wait-b"]
    assert {reason for _, reason in ended} == {
        "the stack dask-knot was deleted by `dask knot down`"
    }
    assert len(said) == 1
    assert said[0].startswith("stopping 3 jobs: ")


def test_nothing_is_said_of_a_queue_that_is_empty() -> None:
    batch, said = Batch({}), []
    assert end_stack_jobs(session(batch), STACK, said.append, lambda _: None) == ()
    assert said == []


def test_what_does_not_end_is_named_in_time() -> None:
    batch, pauses = Batch(JOBS, looks=float("inf")), []
    left = end_stack_jobs(session(batch), STACK, lambda _: None, pauses.append)
    assert sorted(left) == ["a", "c", "wait-b"]
    assert sum(pauses) == pytest.approx(PATIENCE, abs=PAUSE)
    assert len(batch.named("terminate_job")) == 3


def test_in_a_queue_of_others_only_our_own_jobs_end() -> None:
    batch = Batch(JOBS, theirs="c")
    found = find_jobs(session(batch, is_own=False), STACK)
    assert found == OpenJobs(OUTPUTS["Queue"], False, ("wait-b", "a"), {"knot-1": 2})
    assert end_stack_jobs(session(batch, is_own=False), STACK, print, lambda _: None) == ()
    assert batch.named("update_job_queue") == []
    assert sorted(id for id, _ in batch.named("terminate_job")) == ["a", "wait-b"]
