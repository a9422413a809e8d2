"""Stages that wait are looked into after a while, and one that waits for others isn't reported."""

from __future__ import annotations

from typing import Any

import pytest

from dask_knot.batch.machines import Sight
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


class Front:
    """Counts how often Batch is asked for the front of the queue."""

    def __init__(self, desk: Desk) -> None:
        self.asked = 0
        desk.client.get_job_queue_snapshot = self.answer  # type: ignore[attr-defined]

    def answer(self, *, jobQueue: str) -> dict[str, Any]:
        self.asked += 1
        jobs = [{"jobArn": f"arn:aws:batch:eu-west-1:1:job/{id}"} for id in ("x", "y", "job-1")]
        usage = [{"capacityUnit": "VCPU", "quantity": 12.0}]
        return {
            "frontOfQueue": {"jobs": jobs},
            "queueUtilization": {"totalCapacityUsage": usage},
        }


def test_the_place_in_the_queue_is_told_and_not_asked_for_at_each_look(desk: Desk) -> None:
    front = Front(desk)
    for now in range(0, 60, 5):
        assert desk.look(now) == []
    assert front.asked == 0
    desk.service.poll([FIRST, SECOND])
    (found,) = desk.watch.look([FIRST, SECOND], 60)
    assert "2 of 3 waiting jobs are ahead of it; 12 of 16 vCPUs are busy" in found.words
    for now in range(61, 120, 5):
        assert desk.look(now) == []
    assert front.asked == 1


class Lookers:
    """Looks at machines as a test has it, and counts how often it is asked."""

    def __init__(self, *sights: Sight) -> None:
        self.sights = list(sights)
        self.asked = 0

    def __call__(self, environments: Any) -> Sight:
        self.asked += 1
        return self.sights[min(self.asked, len(self.sights)) - 1]


def watched(desk: Desk, looks: Any, **more: Any) -> StallWatch:
    """Let a desk's jobs be watched by somebody who can look at machines."""
    desk.service = JobService(desk.client, JobTemplate("n", "q", "i"), lambda *_: (), looks)
    shards = tuple(Shard((n,), (), (n,), (), 1.0) for n in range(3))
    desk.service.submit(FIRST, Stage(shards, Resources(4, 2**20)), "s3://b/run/packs/1-1")
    desk.watch = StallWatch(desk.service, after=60, **more)
    return desk.watch


def said(desk: Desk, job: str, states: dict[str, int], times: range) -> list[tuple[int, str, bool]]:
    """Look at times, while the children are in some states; give what was said, and when."""
    desk.counts(job, **states)
    found = []
    for now in times:
        desk.service.poll([FIRST])
        found += [(now, one.words, one.is_hopeless) for one in desk.watch.look([FIRST], now)]
    return found


def test_machines_that_never_join_are_told_of_after_ten_minutes(desk: Desk) -> None:
    looks = Lookers(Sight(0, ("subnet-1: it has no way out (a NAT gateway)",)))
    watched(desk, looks)
    found = said(desk, "job-3", {"RUNNABLE": 3}, range(0, 601, 30))
    *_, (now, words, is_hopeless) = found
    assert (now, is_hopeless) == (600, False)
    assert "none has joined the cluster in 10 min" in words
    assert "Found here: subnet-1: it has no way out" in words
    assert not any("joined" in words for _, words, _ in found[:-1])
    assert looks.asked == 1


def test_only_a_start_timeout_makes_an_error_of_it(desk: Desk) -> None:
    watched(desk, Lookers(Sight(0)), start_timeout=90)
    found = said(desk, "job-3", {"RUNNABLE": 3}, range(0, 91, 30))
    assert [one for one in found if one[2]] == found[-1:]
    assert "none of it has started within" in found[-1][1]
    assert "none has joined the cluster" in found[-1][1]


def test_containers_that_never_start_are_told_of(desk: Desk) -> None:
    looks = Lookers(Sight(None, ("acl-1 doesn't let HTTPS out",)))
    watched(desk, looks)
    assert said(desk, "job-3", {"STARTING": 1, "RUNNABLE": 2}, range(0, 600, 30)) == []
    ((now, words, is_hopeless),) = said(desk, "job-3", {"STARTING": 3}, range(600, 601))
    assert (now, is_hopeless) == (600, False)
    assert "have been starting for 10 min" in words
    assert "acl-1 doesn't let HTTPS out" in words
    assert looks.asked == 1
    # One of them runs: the others are on their way.
    assert said(desk, "job-3", {"STARTING": 2, "RUNNING": 1}, range(610, 2000, 30)) == []


def test_machines_that_cannot_be_looked_at_harm_nothing(desk: Desk) -> None:
    def away(environments: Any) -> Sight:
        raise ConnectionError("ecs.eu-west-1.amazonaws.com")

    watched(desk, away)
    found = said(desk, "job-3", {"RUNNABLE": 3}, range(0, 601, 30))
    assert "perhaps none has joined" in found[-1][1]


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
