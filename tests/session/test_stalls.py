"""Stages that wait are looked into after a while, and one that waits for others isn't reported."""

from __future__ import annotations

from typing import Any

import pytest

from dask_knot.batch.rules import JobStatus
from dask_knot.batch.service import JobService, JobTemplate, StageJob
from dask_knot.planning import Resources, Shard, Stage
from dask_knot.run.names import StageId
from dask_knot.session.stalls import LateStarts, StallWatch
from tests.local.recording import RecordingBatch

FIRST, SECOND = StageId(3, 0), StageId(4, 0)


class Desk:
    """Two stages of three children each, as Batch says they are."""

    def __init__(self) -> None:
        self.client = RecordingBatch()
        self.service = JobService(self.client, JobTemplate("n", "q", "i"), lambda *_: ())
        self.watch = StallWatch(self.service, after=60)
        shards = tuple(Shard((n,), (), (n,), (), 1.0) for n in range(3))
        for id in (FIRST, SECOND):
            self.service.submit(id, Stage(shards, Resources(4, 2**20)), "s3://b/run/packs/1-1")

    def counts(self, job: str, **counts: int) -> None:
        """Say how the children of a job are."""
        self.client.details[job]["arrayProperties"]["statusSummary"] = counts

    def look(self, now: float) -> list[tuple[StageId, bool]]:
        """Poll, and look for what is stuck."""
        self.service.poll([FIRST, SECOND])
        self.client.calls.clear()
        return [(one.stage, one.is_hopeless) for one in self.watch.look([FIRST, SECOND], now)]


@pytest.fixture
def desk() -> Desk:
    found = Desk()
    found.counts("job-1", RUNNABLE=3)
    found.counts("job-2", PENDING=3)
    return found


def test_nothing_is_asked_for_a_while(desk: Desk) -> None:
    assert desk.look(0) == desk.look(59) == []
    assert desk.client.calls == []
    assert desk.look(60) == [(FIRST, False)]
    assert [name for name, _ in desk.client.calls] == [
        "DescribeJobQueues",
        "DescribeComputeEnvironments",
        "ListJobs",
    ]


def test_the_same_is_said_once(desk: Desk) -> None:
    desk.look(0)
    assert desk.look(60) == [(FIRST, False)]
    assert desk.look(120) == []
    desk.client.environment["computeResources"]["desiredvCpus"] = 3
    assert desk.look(240) == [(FIRST, False)]


def test_a_job_that_waits_for_its_turn_is_not_stuck(desk: Desk) -> None:
    desk.look(0)
    desk.counts("job-2", RUNNING=1, RUNNABLE=2)
    assert desk.look(60) == []
    desk.counts("job-1", STARTING=1, RUNNABLE=2)
    assert desk.look(120) == []
    desk.counts("job-1", RUNNABLE=3)
    desk.counts("job-2", SUCCEEDED=3)
    assert desk.look(130) == []
    assert desk.look(189) == []
    assert desk.look(190) == [(FIRST, False)]


def test_what_can_never_run_is_said_even_if_others_run(desk: Desk) -> None:
    desk.look(0)
    desk.counts("job-2", RUNNING=3)
    desk.client.environment["computeResources"]["maxvCpus"] = 2
    assert desk.look(60) == [(FIRST, True)]


def test_why_is_told_in_words(desk: Desk) -> None:
    desk.look(0)
    reason = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - no m7i"
    desk.client.details["job-1:1"] = {
        "status": "RUNNABLE",
        "statusReason": reason,
        "arrayProperties": {"index": 1},
    }
    (found,) = desk.watch.look([FIRST, SECOND], 60)
    assert reason in found.words
    assert found.job_id == "job-1"


@pytest.mark.parametrize("call", ["describe_job_queues", "list_jobs"])
def test_a_permission_that_is_missing_harms_nothing(
    desk: Desk, call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise PermissionError("not you")

    monkeypatch.setattr(desk.client, call, refuse)
    desk.look(0)
    assert desk.look(60) == [(FIRST, False)]


def test_stages_that_are_over_are_forgotten(desk: Desk) -> None:
    desk.look(0)
    assert desk.watch.look([SECOND], 50) == []
    assert desk.watch.look([FIRST, SECOND], 70) == []


SMALL, LARGE = Resources(1, 2**20), Resources(64, 2**30)


def late(*looks: tuple[float, dict[StageId, tuple[Resources, str]]]) -> list[StageId]:
    """Look at stages, each with the states of its children, and name those that were late."""
    rule, found = LateStarts(100.0), set[StageId]()
    for now, stages in looks:
        jobs = {id: StageJob(str(id), 3, size) for id, (size, _) in stages.items()}
        for id, (_, states) in stages.items():
            jobs[id].counts = {JobStatus[state]: 1 for state in states.split()}
        found |= rule.find(jobs, now)
    return sorted(found)


@pytest.mark.parametrize(
    ("states", "is_late"),
    [
        ("RUNNABLE", True),
        ("STARTING", True),  # its image is pulled, and pulled
        ("RUNNABLE STARTING PENDING", True),
        ("PENDING", False),  # it waits for another stage
        ("SUBMITTED", False),
        ("", False),  # Batch has not answered yet
        ("RUNNABLE RUNNING", False),
        ("RUNNABLE SUCCEEDED", False),
        ("RUNNABLE FAILED", False),
    ],
)
def test_a_stage_is_late_of_which_nothing_has_started(states: str, is_late: bool) -> None:
    stages = {FIRST: (SMALL, states)}
    assert late((0, stages), (99, stages)) == []
    assert late((0, stages), (100, stages)) == ([FIRST] if is_late else [])


def test_its_time_begins_when_what_it_waits_for_has_ended() -> None:
    waits, due = {FIRST: (SMALL, "PENDING")}, {FIRST: (SMALL, "RUNNABLE")}
    assert late((0, waits), (1000, due), (1099, due)) == []
    assert late((0, waits), (1000, due), (1100, due)) == [FIRST]


def test_one_that_has_begun_is_never_late_again() -> None:
    runs, due = {FIRST: (SMALL, "RUNNING RUNNABLE")}, {FIRST: (SMALL, "RUNNABLE")}
    assert late((0, runs), (10, due), (1000, due)) == []  # its machine was reclaimed


def test_its_turn_behind_jobs_of_the_same_size_is_not_counted() -> None:
    def both(size: Resources, states: str) -> dict[StageId, tuple[Resources, str]]:
        return {FIRST: (SMALL, "RUNNABLE"), SECOND: (size, states)}

    alone = {FIRST: (SMALL, "RUNNABLE")}
    assert late((0, both(SMALL, "RUNNING")), (1000, both(SMALL, "RUNNING"))) == []
    assert late((0, both(SMALL, "RUNNING")), (1000, alone), (1099, alone)) == []
    assert late((0, both(SMALL, "RUNNING")), (1000, alone), (1100, alone)) == [FIRST]
    assert late((0, both(LARGE, "RUNNING")), (100, both(LARGE, "RUNNING"))) == [FIRST]


def test_a_late_stage_is_hopeless_and_told_with_its_diagnosis(desk: Desk) -> None:
    watch = StallWatch(desk.service, after=60, start_timeout=90)
    desk.service.poll([FIRST, SECOND])
    assert watch.look([FIRST, SECOND], 0) == []
    assert [one.is_hopeless for one in watch.look([FIRST, SECOND], 60)] == [False]
    (found,) = watch.look([FIRST, SECOND], 90)
    assert watch.look([FIRST, SECOND], 91) == []
    assert (found.stage, found.is_hopeless) == (FIRST, True)
    assert found.words.startswith("none of it has started within 90.00 s (start-timeout): ")
    assert "vCPUs" in found.words
