"""The jobs of a run are found by their names, those of other runs aren't, and end together."""

from __future__ import annotations

from typing import Any

import pytest

from dask_knot.batch.request import JobTemplate
from dask_knot.batch.rules import JobStatus
from dask_knot.batch.runjobs import RunJob, end_run, jobs_of_run, listed_jobs
from dask_knot.batch.service import JobService
from dask_knot.planning import Resources, Shard, Stage
from dask_knot.run.names import StageId
from tests.batch.test_termination import Batch, Clock
from tests.local.recording import RecordingBatch

URL = "s3://bucket/run/packs/1-1"


def submit(client: RecordingBatch, run: str, id: StageId, size: int = 1) -> str:
    """Submit a stage of a run as its session does."""
    service = JobService(client, JobTemplate(run, "queue", "image"), lambda *_: ())
    shard = Shard((), (), (), (), 1.0)
    service.submit(id, Stage((shard,) * size, Resources(1, 2**20)), URL)
    return service.jobs[id].id


FOREIGN = ["climates", "climate-2", "climate-0000000000-000", "Climate", "clim"]


@pytest.mark.parametrize("other", FOREIGN)
def test_runs_whose_names_begin_alike_are_told_apart(other: str) -> None:
    client = RecordingBatch()
    id = StageId(0, 0)
    own, foreign = submit(client, "climate", id), submit(client, other, id)
    assert [job.id for job in listed_jobs(client, "queue", "climate").values()] == [own]
    assert [job.id for job in listed_jobs(client, "queue", other).values()] == [foreign]
    assert [job.id for job in listed_jobs(client, "queue", "climate", 0).values()] == [own]


def test_the_jobs_of_one_plan_take_one_listing_of_their_own() -> None:
    client = RecordingBatch()
    client.page = 2
    wanted = {StageId(1_000_001, n): n + 1 for n in range(5)}
    ids = {id: submit(client, "run", id, size) for id, size in wanted.items()}
    for plan in (1, 1_000_000, 1_000_002, 10_000_010):
        submit(client, "run", StageId(plan, 0))
    found = listed_jobs(client, "queue", "run", 1_000_001)
    assert {id: (job.id, job.size) for id, job in found.items()} == {
        id: (ids[id], size) for id, size in wanted.items()
    }
    filters = [request["filters"] for request in client.requests("ListJobs")]
    assert filters == [[{"name": "JOB_NAME", "values": ["run-0001000001-*"]}]] * 3


def test_the_newest_of_one_name_counts() -> None:
    client = RecordingBatch()
    submit(client, "run", StageId(0, 0))
    newest = submit(client, "run", StageId(0, 0))
    (job,) = listed_jobs(client, "queue", "run").values()
    assert (job.id, job.created) == (newest, 2.0)


def test_jobs_have_their_children_by_state() -> None:
    client = RecordingBatch()
    array = submit(client, "run", StageId(0, 1), size=3)
    alone = submit(client, "run", StageId(0, 0))
    summary = {"SUCCEEDED": 1, "FAILED": 2, "NEW STATE": 1, "RUNNING": 0}
    client.details[array] |= {
        "status": "PENDING",
        "arrayProperties": {"size": 3, "statusSummary": summary},
    }
    client.details[alone] |= {"status": "FAILED", "statusReason": "why"}
    found = jobs_of_run(client, "queue", "run")
    assert [job.stage for job in found] == [StageId(0, 0), StageId(0, 1)]
    assert [job.is_over for job in found] == [True, False]
    assert found[0].reason == "why"
    assert found[0].counts == {JobStatus.FAILED: 1}
    assert found[1].counts == {JobStatus.SUCCEEDED: 1, JobStatus.FAILED: 2}
    assert found[1].name == "run-0000000000-001"


def test_a_run_ends_from_its_last_stage_to_its_first() -> None:
    client: Any = Batch()
    ids = [submit(client, "run", StageId(0, n), size=2) for n in range(3)]
    client.details[ids[0]]["status"] = "SUCCEEDED"
    clock = Clock()
    jobs = jobs_of_run(client, "queue", "run")
    left = end_run(client, jobs, "enough", now=clock, pause=clock.pause)
    assert not left.jobs
    assert client.terminated == [ids[2], ids[1]]
    assert {request["reason"] for request in client.requests("TerminateJob")} == {"enough"}


def test_a_run_without_open_jobs_takes_no_call() -> None:
    client = RecordingBatch()
    over = RunJob("a", "run-0000000000-000", StageId(0, 0), JobStatus.FAILED)
    assert not end_run(client, [over], "enough").jobs
    assert client.calls == []
