"""No job outlives its cluster, as far as Batch can be asked; what does is named."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dask_knot.batch.service import JobService, JobTemplate
from dask_knot.batch.termination import BEARING, SILENCE, Leftovers, end_jobs
from dask_knot.errors import AccessError, AwsError, SubmissionError
from dask_knot.planning import Resources, Shard, Stage
from dask_knot.run.names import StageId
from tests.local.recording import RecordingBatch, Request

STAGE = Stage((Shard((), (), (), (), 1.0),) * 2, Resources(vcpus=1, memory=2**30))


class Batch(RecordingBatch):
    """Ends jobs some looks after it was asked to, or never; may refuse.

    Attributes
    ----------
    looks : float
        How often it is asked about a job before that has ended.
    refusals : dict of str to Exception
        What it answers to `terminate_job`, by job id.
    away : Exception or None
        What it answers to `describe_jobs`.
    """

    def __init__(self, looks: float = 2) -> None:
        super().__init__()
        self.looks = looks
        self.refusals: dict[str, Exception] = {}
        self.away: Exception | None = None
        self._ending: dict[str, float] = {}

    def terminate_job(self, *, jobId: str, reason: str) -> Request:
        super().terminate_job(jobId=jobId, reason=reason)
        if jobId in self.refusals:
            raise self.refusals[jobId]
        self._ending[jobId] = self.looks
        return {}

    def describe_jobs(self, *, jobs: Any) -> Request:
        if self.away is not None:
            raise self.away
        for id in set(jobs) & set(self._ending) & set(self.details):
            self._ending[id] -= 1
            if self._ending[id] <= 0:
                self.details[id]["status"] = "FAILED"
        return super().describe_jobs(jobs=jobs)

    @property
    def terminated(self) -> list[str]:
        """The jobs that it was asked to end, in this order."""
        return [request["jobId"] for request in self.requests("TerminateJob")]


class Clock:
    """A clock that goes on only while somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


def submitted(batch: RecordingBatch, count: int) -> JobService:
    service = JobService(batch, JobTemplate("knot-1", "queue", "image", {}, attempts=2), tail)
    for plan in range(count):
        service.submit(StageId(plan, 0), STAGE, f"s3://bucket/run/packs/{plan:010}-000")
    return service


def tail(stream: str, lines: int) -> list[str]:
    return []


def end(service: JobService, patience: float = 90.0) -> tuple[Leftovers, float]:
    clock = Clock()
    return end_jobs(service, patience, clock, clock.pause), clock.now


def test_nothing_was_submitted() -> None:
    batch = Batch()
    assert end(submitted(batch, 0)) == (Leftovers(), 0.0)
    assert batch.calls == []


def test_all_jobs_are_ended_and_waited_for_those_behind_others_first() -> None:
    batch = Batch(looks=4)
    left, seconds = end(submitted(batch, 3))
    assert left == Leftovers()
    assert batch.terminated == ["job-3", "job-2", "job-1"]  # once each
    assert 0 < seconds < 2


def test_what_has_ended_by_itself_is_left_alone() -> None:
    batch = Batch()
    service = submitted(batch, 3)
    batch.details["job-1"]["status"] = "SUCCEEDED"
    del batch.details["job-2"]  # Batch has forgotten it
    assert end(service)[0] == Leftovers()
    assert "job-1" not in batch.terminated


@pytest.mark.parametrize("looks", [float("inf")])
def test_what_does_not_end_is_named_in_time(looks: float, caplog: pytest.LogCaptureFixture) -> None:
    batch = Batch(looks)
    with caplog.at_level(logging.WARNING):
        left, seconds = end(submitted(batch, 2), patience=10.0)
    assert left == Leftovers(("job-1", "job-2"), None)
    assert 10 < seconds < 13
    (said,) = [record.getMessage() for record in caplog.records]
    assert said == "waiting for 2 jobs to stop"
    assert seconds > SILENCE


def test_one_that_may_not_be_ended_keeps_no_other_from_its_end() -> None:
    batch = Batch()
    service = submitted(batch, 3)
    batch.refusals["job-2"] = error = AccessError("these credentials may not do that")
    left, seconds = end(service)
    assert left == Leftovers(("job-2",), error)
    assert {"job-1", "job-3"} < set(batch.terminated)
    assert seconds < 2


def test_one_that_is_refused_because_it_is_over_is_over() -> None:
    batch = Batch()
    service = submitted(batch, 2)
    batch.refusals["job-2"] = AwsError("Job job-2 is in a terminal state")
    batch.looks = 5

    def describe(jobs: Any) -> Request:
        batch.details["job-2"]["status"] = "SUCCEEDED"
        return Batch.describe_jobs(batch, jobs=jobs)

    batch.describe_jobs = describe  # type: ignore[method-assign, assignment]
    assert end(service)[0] == Leftovers()


def test_a_batch_that_is_away_is_not_waited_for_long() -> None:
    batch = Batch()
    service = submitted(batch, 2)
    batch.away = AwsError("AWS can't be reached")
    batch.refusals = dict.fromkeys(["job-1", "job-2"], batch.away)
    left, seconds = end(service)
    assert left == Leftovers(("job-1", "job-2"), batch.away)
    assert BEARING < seconds < BEARING + 3
    assert "job-1" not in batch.terminated  # each call may take long


def test_a_batch_that_is_away_for_a_moment_ends_jobs_all_the_same() -> None:
    batch = Batch()
    service = submitted(batch, 2)
    batch.away = AwsError("ThrottlingException: Rate exceeded")
    batch.refusals = dict.fromkeys(["job-1", "job-2"], batch.away)
    clock = Clock()

    def pause(seconds: float) -> None:
        clock.pause(seconds)
        if clock.now > 1:
            batch.away = None
        if clock.now > 2:
            batch.refusals.clear()

    assert end_jobs(service, 90.0, clock, pause) == Leftovers()
    assert clock.now < BEARING


def test_who_may_not_look_may_end_jobs_all_the_same() -> None:
    batch = Batch()
    service = submitted(batch, 2)
    batch.away = AccessError("these credentials may not look")
    assert end(service) == (Leftovers(("job-1", "job-2"), batch.away), 0.0)
    assert batch.terminated == ["job-2", "job-1"]


def test_nothing_is_submitted_once_it_is_closed() -> None:
    batch = Batch()
    service = submitted(batch, 1)
    service.is_closed = True
    with pytest.raises(SubmissionError, match="the cluster is closed"):
        service.submit(StageId(7, 0), STAGE, "s3://bucket/run/packs/0000000007-000")
    assert len(batch.requests("SubmitJob")) == 1
