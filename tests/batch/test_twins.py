"""A twin is a plain job of its own: found by no stage's name, ended with its shard and its run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dask_knot.batch.request import JobTemplate
from dask_knot.batch.runjobs import end_run, jobs_of_run, listed_jobs
from dask_knot.batch.service import JobService
from dask_knot.batch.termination import end_jobs
from dask_knot.batch.twins import REMEMBERED
from dask_knot.planning import Resources, Shard, Stage
from dask_knot.run.names import ShardId, StageId
from tests.batch.test_termination import Batch, Clock
from tests.local.recording import RecordingBatch

URL = "s3://bucket/run/packs/0000000001-000"
ID = StageId(1, 0)


def tail(stream: str, lines: int) -> Sequence[str]:
    return [f"last line of {stream}"]


def submitted(client: RecordingBatch, size: int = 3) -> JobService:
    service = JobService(client, JobTemplate("run", "queue", "image"), tail)
    shard = Shard((), (), (), (), 1.0)
    service.submit(ID, Stage((shard,) * size, Resources(2, 2**30)), URL)
    return service


def test_a_twin_is_a_plain_job_of_the_same_definition_that_is_told_its_child() -> None:
    client = RecordingBatch()
    service = submitted(client)
    service.start_twin(ShardId(ID, 2), URL)
    first, twin = client.requests("SubmitJob")
    assert twin == {
        "jobName": "run-0000000001-000-twin-2",
        "jobQueue": "queue",
        "jobDefinition": first["jobDefinition"],
        "containerOverrides": {
            "command": ["python", "-m", "dask_knot.job", URL, "--child", "2"],
        },
    }


def test_a_shard_has_one_twin() -> None:
    client = RecordingBatch()
    service = submitted(client)
    for _ in range(2):
        service.start_twin(ShardId(ID, 0), URL)
    assert len(client.requests("SubmitJob")) == 2


@pytest.mark.parametrize("change", ["unknown", "adopted", "closed"])
def test_there_is_no_twin_of_what_was_not_submitted_here(change: str) -> None:
    client = RecordingBatch()
    service = submitted(client)
    shard = ShardId(StageId(9, 9) if change == "unknown" else ID, 0)
    service.jobs[ID].is_adopted = change == "adopted"
    service.is_closed = change == "closed"
    service.start_twin(shard, URL)
    assert len(client.requests("SubmitJob")) == 1


def test_a_twin_that_fails_is_no_failed_child() -> None:
    client = RecordingBatch()
    service = submitted(client)
    service.start_twin(ShardId(ID, 0), URL)
    client.details["job-2"]["status"] = "FAILED"
    assert service.poll([ID]) == []
    assert service.twins.open == {}
    client.calls.clear()
    service.poll([ID])
    assert [name for name, _ in client.calls] == ["DescribeJobs"]


def test_a_twin_is_ended_once_at_most() -> None:
    client = RecordingBatch()
    service = submitted(client)
    service.twins.end(ShardId(ID, 0), "why")
    service.start_twin(ShardId(ID, 0), URL)
    service.twins.end(ShardId(ID, 0), "why")
    assert client.requests("TerminateJob") == [{"jobId": "job-2", "reason": "why"}]
    client.details["job-2"]["status"] = "FAILED"
    service.poll([ID])
    service.twins.end(ShardId(ID, 0), "why")
    assert len(client.requests("TerminateJob")) == 1


def test_a_cluster_that_closes_ends_twins_and_waits_for_them() -> None:
    client = Batch()
    service = submitted(client)
    service.start_twin(ShardId(ID, 0), URL)
    clock = Clock()
    assert not end_jobs(service, now=clock, pause=clock.pause).jobs
    assert client.terminated == ["job-2", "job-1"]
    assert clock.now > 0


def test_the_log_of_a_twin_can_be_read() -> None:
    client = RecordingBatch()
    service = submitted(client)
    service.start_twin(ShardId(ID, 0), URL)
    client.details["job-2"]["container"] = {"logStreamName": "twin"}
    assert service.is_job("job-2")
    assert service.logs(["job-2"]) == {"job-2": "last line of twin"}


def test_others_find_twins_by_their_names_and_take_them_for_no_stages() -> None:
    client = RecordingBatch()
    service = submitted(client)
    service.start_twin(ShardId(ID, 2), URL)
    assert [job.id for job in listed_jobs(client, "queue", "run").values()] == ["job-1"]
    stage, twin = jobs_of_run(client, "queue", "run")
    assert (stage.id, stage.twin) == ("job-1", None)
    assert (twin.id, twin.stage, twin.twin, twin.size) == ("job-2", ID, 2, 1)
    for other in ("ru", "run-0000000001-000", "run-0000000001-000-twin-2"):
        assert jobs_of_run(client, "queue", other) == []


def test_a_run_that_is_ended_ends_its_twins() -> None:
    client: Any = Batch()
    submitted(client).start_twin(ShardId(ID, 2), URL)
    clock = Clock()
    jobs = jobs_of_run(client, "queue", "run")
    assert not end_run(client, jobs, "enough", now=clock, pause=clock.pause).jobs
    assert client.terminated == ["job-2", "job-1"]


def test_twins_of_long_ago_are_forgotten() -> None:
    client = RecordingBatch()
    size = REMEMBERED + 5
    service = submitted(client, size)
    for index in range(size):
        shard = ShardId(ID, index)
        service.start_twin(shard, URL)
        service.twins.jobs[shard].is_over = True
    assert REMEMBERED <= len(service.twins.jobs) <= REMEMBERED + 1
    assert ShardId(ID, size - 1) in service.twins.jobs
