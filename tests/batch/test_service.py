"""Stages to requests, and answers to what became of children, in few calls."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError

from dask_knot.batch.limits import DESCRIBED_JOBS
from dask_knot.batch.logs import LOGS_AT_ONCE, LOGS_PER_LOOK
from dask_knot.batch.rules import JobStatus
from dask_knot.batch.service import MISSES, REMEMBERED, JobService, JobTemplate, StageJob
from dask_knot.errors import AccessError, KilledTaskError, SubmissionError
from dask_knot.local.schema import check_parameters
from dask_knot.planning import Dependency, DependencyType, EarlierStage, Resources, Shard, Stage
from dask_knot.run.names import ShardId, StageId
from dask_knot.tracking.events import Ending
from tests.local.recording import RecordingBatch

SMALL = Resources(vcpus=1, memory=2**30)
URL = "s3://bucket/run/packs/0000000001-000"
ID = StageId(1, 0)


class Logs:
    """Logs by name of the stream, and which were read."""

    def __init__(self) -> None:
        self.read: list[tuple[str, int]] = []

    def __call__(self, stream: str, lines: int) -> list[str]:
        self.read.append((stream, lines))
        return [f"last line of {stream}"]


@pytest.fixture
def client() -> RecordingBatch:
    return RecordingBatch()


@pytest.fixture
def logs() -> Logs:
    return Logs()


@pytest.fixture
def service(client: RecordingBatch, logs: Logs) -> JobService:
    template = JobTemplate("knot-1", "queue", "image:latest", {"A": "1"}, attempts=4)
    return JobService(client, template, logs)


def stage(width: int, *depends_on: Dependency, resources: Resources = SMALL) -> Stage:
    """Make a stage of so many shards."""
    shards = [Shard((number,), (), (number,), (), 1.0) for number in range(width)]
    return Stage(tuple(shards), resources, depends_on)


def test_several_shards_are_an_array(service: JobService, client: RecordingBatch) -> None:
    service.submit(ID, stage(3), URL)
    (request,) = client.requests("SubmitJob")
    assert request == {
        "jobName": "knot-1-0000000001-000",
        "jobQueue": "queue",
        "jobDefinition": "arn:aws:batch:::job-definition/1:1",
        "containerOverrides": {"command": ["python", "-m", "dask_knot.job", URL]},
        "arrayProperties": {"size": 3},
    }
    assert service.jobs[ID].id == "job-1"


def test_jobs_of_long_ago_are_forgotten(service: JobService) -> None:
    ids = [StageId(number, 0) for number in range(REMEMBERED + 3)]
    for id in ids:
        service.submit(id, stage(1), URL)
    service.prune(ids[:2])
    assert list(service.jobs) == [*ids[:2], *ids[5:]]
    service.prune(ids)
    assert len(service.jobs) == REMEMBERED


def test_one_shard_is_a_plain_job(service: JobService, client: RecordingBatch) -> None:
    service.submit(ID, stage(1), URL)
    (request,) = client.requests("SubmitJob")
    assert "arrayProperties" not in request


def test_stages_wait_for_each_other(service: JobService, client: RecordingBatch) -> None:
    service.submit(StageId(0, 4), stage(2), URL)
    service.submit(StageId(1, 0), stage(3), URL)
    waits = (
        Dependency(0, DependencyType.N_TO_N),
        Dependency(EarlierStage(StageId(0, 4))),
    )
    service.submit(StageId(1, 1), stage(3, *waits), URL)
    assert client.requests("SubmitJob")[-1]["dependsOn"] == [
        {"jobId": "job-2", "type": "N_TO_N"},
        {"jobId": "job-1"},
    ]
    assert all("dependsOn" not in request for request in client.requests("SubmitJob")[:2])


def test_there_is_one_definition_for_all_that_need_the_same(
    service: JobService, client: RecordingBatch
) -> None:
    large = Resources(vcpus=0.5, memory=3 * 2**30 + 1, gpus=2, timeout=90.5)
    for number, resources in enumerate([SMALL, large, SMALL, large]):
        service.submit(StageId(number, 0), stage(2, resources=resources), URL)
    small, other = client.requests("RegisterJobDefinition")
    assert re.fullmatch(r"dask-knot-1c-1024m-0g-[0-9a-f]{16}", small["jobDefinitionName"])
    assert small["containerProperties"] == {
        "image": "image:latest",
        "command": ["python", "-m", "dask_knot.job"],
        "resourceRequirements": [
            {"type": "VCPU", "value": "1"},
            {"type": "MEMORY", "value": "1024"},
        ],
        "environment": [{"name": "A", "value": "1"}],
    }
    assert "timeout" not in small
    assert other["jobDefinitionName"].startswith("dask-knot-0_5c-3073m-2g-")
    assert other["containerProperties"]["resourceRequirements"] == [
        {"type": "VCPU", "value": "0.5"},
        {"type": "MEMORY", "value": "3073"},
        {"type": "GPU", "value": "2"},
    ]
    assert other["timeout"] == {"attemptDurationSeconds": 91}
    used = [request["jobDefinition"] for request in client.requests("SubmitJob")]
    assert used[0] == used[2] != used[1] == used[3]


def test_what_an_earlier_run_registered_is_used(client: RecordingBatch, logs: Logs) -> None:
    for run in ("knot-1", "knot-2"):
        again = JobService(client, JobTemplate(run, "queue", "image:latest"), logs)
        again.submit(ID, stage(2), URL)
        again.submit(StageId(2, 0), stage(2), URL)
    assert len(client.requests("RegisterJobDefinition")) == 1
    assert len(client.requests("DescribeJobDefinitions")) == 2
    assert len({request["jobDefinition"] for request in client.requests("SubmitJob")}) == 1
    names = [request["jobName"] for request in client.requests("SubmitJob")]
    assert names[0].startswith("knot-1-")
    assert names[-1].startswith("knot-2-")


@pytest.mark.parametrize(
    "change",
    [
        {"image": "image:other"},
        {"environment": {"A": "2"}},
        {"attempts": 2},
        {"container": {"jobRoleArn": "arn:aws:iam::123456789012:role/other"}},
        {"platform": "FARGATE"},
        {"tags": {"owner": "me"}},
        {"prefix": "other"},
    ],
)
def test_each_difference_is_another_definition(
    service: JobService, change: dict[str, Any], client: RecordingBatch, logs: Logs
) -> None:
    template = JobTemplate("knot-1", "queue", "image:latest", {"A": "1"}, attempts=4)
    size = Resources(vcpus=1, memory=2 * 2**30)
    other = JobService(client, replace(template, **change), logs).definition(size)
    check_parameters("RegisterJobDefinition", other)
    assert other["jobDefinitionName"] != service.definition(size)["jobDefinitionName"]


def test_tags_and_share_go_with_every_job(client: RecordingBatch, logs: Logs) -> None:
    share = {"shareIdentifier": "us", "schedulingPriorityOverride": 5}
    template = JobTemplate("n", "q", "i", tags={"dask-knot": "stack"}, share=share)
    JobService(client, template, logs).submit(ID, stage(2), URL)
    (request,) = client.requests("SubmitJob")
    assert request["tags"] == {"dask-knot": "stack"}
    assert request["propagateTags"] is True
    assert (request["shareIdentifier"], request["schedulingPriorityOverride"]) == ("us", 5)
    assert client.requests("RegisterJobDefinition")[0]["tags"] == {"dask-knot": "stack"}


def test_what_a_task_did_is_not_retried_and_all_else_is(
    service: JobService, client: RecordingBatch
) -> None:
    strategy = service.definition(SMALL)["retryStrategy"]
    assert strategy["attempts"] == 4
    rules = strategy["evaluateOnExit"]
    ended = [next(iter(rule.items())) for rule in rules if rule["action"] == "EXIT"]
    assert ended == [("onStatusReason", "Essential container*"), ("onReason", "OutOfMemory*")]
    assert len(rules) <= 5
    # Batch knows a star at the end only.
    assert all("*" not in value[:-1] for rule in rules for value in rule.values())


def test_a_definition_that_somebody_deregistered_is_made_again(
    service: JobService, client: RecordingBatch
) -> None:
    service.submit(ID, stage(2), URL)
    old = client.requests("SubmitJob")[0]["jobDefinition"]
    client.definitions.clear()
    submit = client.submit_job

    def submit_job(**request: Any) -> Any:
        if request["jobDefinition"] == old:
            said = {
                "Error": {"Code": "ClientException", "Message": f"JobDefinition {old} INACTIVE"}
            }
            raise ClientError(said, "SubmitJob")
        return submit(**request)

    client.submit_job = submit_job  # type: ignore[method-assign]
    other = StageId(2, 0)
    service.submit(other, stage(2), URL)
    assert service.jobs[other].id == "job-2"
    # What is wrong with one that is there isn't tried for ever.
    client.submit_job = lambda **request: submit_job(jobDefinition=old)  # type: ignore
    with pytest.raises(SubmissionError, match="INACTIVE"):
        service.submit(StageId(3, 0), stage(2), URL)


def test_a_refusal_says_what_batch_said(service: JobService, client: RecordingBatch) -> None:
    client.refusal = ClientError(
        {"Error": {"Code": "ClientException", "Message": "no such queue"}}, "SubmitJob"
    )
    with pytest.raises(SubmissionError, match=r"stage 1\.0 couldn't be submitted.*no such queue"):
        service.submit(ID, stage(2), URL)
    assert ID not in service.jobs


def test_an_error_of_ours_stays_what_it_is(service: JobService, client: RecordingBatch) -> None:
    client.refusal = AccessError("you lack permission for batch:SubmitJob")
    with pytest.raises(AccessError, match="batch:SubmitJob"):
        service.submit(ID, stage(2), URL)


def test_a_job_whose_answer_was_lost_is_not_submitted_again(
    service: JobService, client: RecordingBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = client.submit_job
    taken = []

    def without_answer(**request: Any) -> Any:
        taken.append(submit(**request)["jobId"])
        raise ConnectionClosedError(endpoint_url="https://batch")

    monkeypatch.setattr(client, "submit_job", without_answer)
    with pytest.raises(SubmissionError):
        service.submit(ID, stage(2), URL)
    service.submit(ID, stage(2), URL)
    assert [service.jobs[ID].id] == taken


def test_wrong_parameters_are_a_refusal_too(service: JobService) -> None:
    with pytest.raises(SubmissionError, match="containerOverrides"):
        service.submit(ID, stage(2), 5)  # type: ignore[arg-type]


def test_nothing_is_submitted_behind_what_was_not(
    service: JobService, client: RecordingBatch
) -> None:
    with pytest.raises(SubmissionError, match=r"depends on stage 1\.0, which was never submitted"):
        service.submit(StageId(1, 1), stage(2, Dependency(0)), URL)
    assert client.requests("SubmitJob") == []


def test_many_arrays_are_asked_for_in_few_calls(
    service: JobService, client: RecordingBatch
) -> None:
    ids = [StageId(number, 0) for number in range(250)]
    for id in ids:
        service.submit(id, stage(2), URL)
    assert service.poll(ids) == []
    sizes = [len(request["jobs"]) for request in client.requests("DescribeJobs")]
    assert sizes == [DESCRIBED_JOBS, DESCRIBED_JOBS, 50]


def test_stages_that_have_no_job_are_left_out(service: JobService, client: RecordingBatch) -> None:
    assert service.poll([ID]) == []
    assert client.calls == []


def test_polling_updates_the_table_of_jobs(service: JobService, client: RecordingBatch) -> None:
    plain, array = StageId(1, 0), StageId(1, 1)
    service.submit(plain, stage(1), URL)
    service.submit(array, stage(3, Dependency(0)), URL)
    client.details["job-1"] |= {"status": "RUNNABLE", "statusReason": "CAPACITY:none"}
    counts = {"PENDING": 1, "SUCCEEDED": 2, "RUNNING": 0, "OF_A_LATER_BATCH": 1}
    client.details["job-2"] |= {"status": "PENDING"}
    client.details["job-2"]["arrayProperties"]["statusSummary"] = counts
    assert service.poll([plain, array]) == []
    assert service.jobs[plain].counts == {JobStatus.RUNNABLE: 1}
    assert service.jobs[plain].reason == "CAPACITY:none"
    assert service.jobs[array].counts == {JobStatus.PENDING: 1, JobStatus.SUCCEEDED: 2}
    assert not service.jobs[plain].is_over
    for id in ("job-1", "job-2"):
        client.details[id]["status"] = "SUCCEEDED"
    assert service.poll([plain, array]) == []
    assert service.jobs[plain].is_over
    assert service.jobs[array].is_over


def test_a_failed_plain_job_is_found_once(
    service: JobService, client: RecordingBatch, logs: Logs
) -> None:
    service.submit(ID, stage(1), URL)
    client.details["job-1"] |= {
        "status": "FAILED",
        "container": {"exitCode": 3, "logStreamName": "stream-1"},
    }
    ((shard, ended),) = service.poll([ID])
    assert shard == ShardId(ID, 0)
    assert ended.ending is Ending.KILLED
    assert isinstance(ended.error, KilledTaskError)
    assert ended.error.log == ("last line of stream-1",)
    assert service.poll([ID]) == []
    assert len(logs.read) == 1


def test_failed_children_are_found_once(service: JobService, client: RecordingBatch) -> None:
    service.submit(ID, stage(500), URL)
    client.page = 70
    for index in range(0, 400, 2):
        client.fail_child("job-1", index)
    found = service.poll([ID])
    assert [shard for shard, _ in found] == [ShardId(ID, index) for index in range(0, 400, 2)]
    assert len(client.requests("ListJobs")) == 3
    client.calls.clear()
    assert service.poll([ID]) == []
    assert [name for name, _ in client.calls] == ["DescribeJobs"]
    client.fail_child("job-1", 1, container={"exitCode": 137, "reason": "OutOfMemoryError: x"})
    ((shard, ended),) = service.poll([ID])
    assert (shard, ended.ending) == (ShardId(ID, 1), Ending.MEMORY)


def test_failed_children_are_not_lost_when_batch_is_away_before_all_are_found(
    service: JobService, client: RecordingBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = StageId(2, 0)
    service.submit(ID, stage(3), URL)
    service.submit(later, stage(3), URL)
    client.fail_child("job-1", 1)
    client.fail_child("job-2", 2)
    listing = client.list_jobs

    def list_first(**request: Any) -> Any:
        if request["arrayJobId"] == "job-2":
            raise ConnectionError("no route to host")
        return listing(**request)

    with monkeypatch.context() as patch:
        patch.setattr(client, "list_jobs", list_first)
        with pytest.raises(ConnectionError):
            service.poll([ID, later])
    assert [shard for shard, _ in service.poll([ID, later])] == [ShardId(ID, 1), ShardId(later, 2)]
    assert service.poll([ID, later]) == []


def test_the_logs_of_children_that_did_not_fail_are_not_read(
    service: JobService, client: RecordingBatch, logs: Logs
) -> None:
    service.submit(ID, stage(3), URL)
    client.fail_child("job-1", 2, container={"exitCode": 1, "logStreamName": "two"})
    service.poll([ID])
    assert [stream for stream, _ in logs.read] == ["two"]


def test_only_so_many_logs_are_read_at_each_look(
    service: JobService, client: RecordingBatch, logs: Logs
) -> None:
    service.submit(ID, stage(500), URL)
    for index in range(LOGS_PER_LOOK + 5):
        container = {"exitCode": 1, "logStreamName": str(index)}
        client.fail_child("job-1", index, container=container)
    assert len(service.poll([ID])) == LOGS_PER_LOOK + 5
    assert len(logs.read) == LOGS_PER_LOOK
    client.fail_child("job-1", 400, container={"exitCode": 1, "logStreamName": "400"})
    service.poll([ID])
    assert logs.read[-1][0] == "400"


def test_of_all_logs_the_newest_are_read_and_those_of_failures_first(
    service: JobService, client: RecordingBatch
) -> None:
    service.submit(ID, stage(5000), URL)
    client.fail_child("job-1", 4000, container={"exitCode": 1, "logStreamName": "failed"})
    service.poll([ID])
    for index in range(200):
        id = f"job-1:{index}"
        client.details[id] = {"jobId": id, "container": {"logStreamName": id}}
    found = service.logs()
    assert len(found) == LOGS_AT_ONCE
    assert "job-1:4000" in found
    assert "job-1:50" in found
    assert set(service.logs(["job-1:150"])) == {"job-1:150"}


def test_an_array_stands_for_its_children(service: JobService, client: RecordingBatch) -> None:
    service.submit(ID, stage(2), URL)
    for id in ("job-1:0", "job-1:1"):
        client.details[id] = {"jobId": id, "container": {"logStreamName": id}}
    assert set(service.logs(["job-1"])) == {"job-1:0", "job-1:1"}
    assert service.is_job("job-1")
    assert service.is_job("job-1:1")
    assert not service.is_job("job-2")


def test_why_a_job_waits(service: JobService, client: RecordingBatch) -> None:
    plain, array = StageId(1, 0), StageId(1, 1)
    service.submit(plain, stage(1), URL)
    service.submit(array, stage(2), URL)
    client.details["job-1"] |= {"status": "RUNNABLE", "statusReason": "CAPACITY:none"}
    for index, reason in enumerate(["", "MISCONFIGURATION:x"]):
        client.details[f"job-2:{index}"] = {
            "status": "RUNNABLE",
            "statusReason": reason,
            "arrayProperties": {"index": index},
        }
    service.poll([plain, array])
    assert service.line().reason(service.jobs[plain]) == "CAPACITY:none"
    assert service.line().reason(service.jobs[array]) == "MISCONFIGURATION:x"
    queue, environments = service.line().surroundings()
    assert queue is not None
    assert queue["jobQueueName"] == "queue"
    assert environments == [client.environment]


@pytest.mark.parametrize(("width", "child"), [(1, "job-1"), (3, "job-1:0")])
def test_a_child_can_be_explained(
    service: JobService, client: RecordingBatch, width: int, child: str
) -> None:
    service.submit(ID, stage(width), URL)
    client.details[child] = {"jobId": child, "status": "SUCCEEDED", "container": {"exitCode": 0}}
    assert f"job {child} repeatedly ended with exit code 0" in explained(service)
    del client.details[child]
    assert child in explained(service)


def explained(service: JobService) -> str:
    ((_, ended),) = service.explain([ShardId(ID, 0)])
    return str(ended.error)


def test_terminate_ends_those_that_have_jobs(service: JobService, client: RecordingBatch) -> None:
    service.submit(ID, stage(3), URL)
    service.terminate([ID, StageId(9, 9)], "nobody needs it")
    assert client.requests("TerminateJob") == [{"jobId": "job-1", "reason": "nobody needs it"}]


def test_logs_of_all_or_of_some(service: JobService, client: RecordingBatch) -> None:
    service.submit(StageId(0, 0), stage(1), URL)
    service.submit(StageId(0, 1), stage(3), URL)
    for id in ("job-1", "job-2:0", "job-2:2"):
        client.details[id] = {"jobId": id, "container": {"logStreamName": f"of {id}"}}
    client.details["job-2:1"] = {"jobId": "job-2:1", "container": {}}
    assert service.logs() == {id: f"last line of of {id}" for id in ("job-1", "job-2:0", "job-2:2")}
    assert set(service.logs(["job-2:2", "unknown"])) == {"job-2:2"}


def adopted(service: JobService, id: str, size: int) -> StageJob:
    """Let a service watch a job that another one has submitted."""
    job = StageJob(id, size, SMALL, is_adopted=True)
    service.adopt(ID, job)
    return service.jobs[ID]


def test_what_had_failed_before_a_job_was_adopted_is_a_matter_of_the_past(
    service: JobService, client: RecordingBatch
) -> None:
    summary = {"FAILED": 1, "RUNNING": 2}
    client.details["theirs"] = {
        "jobId": "theirs",
        "status": "PENDING",
        "arrayProperties": {"size": 3, "statusSummary": summary},
    }
    client.details["theirs:1"] = {
        "jobId": "theirs:1",
        "status": "FAILED",
        "arrayProperties": {"index": 1},
        "container": {"exitCode": 137},
    }
    job = adopted(service, "theirs", 3)
    ((shard, found),) = service.poll([ID])
    assert (shard.index, found.ending) == (1, Ending.LEFT)
    assert not job.is_over
    client.fail_child("theirs", 2)
    ((shard, found),) = service.poll([ID])
    assert (shard.index, found.ending) == (2, Ending.KILLED)  # that is told to all who wait
    assert service.poll([ID]) == []


def test_an_adopted_job_that_is_over_is_looked_at_once(
    service: JobService, client: RecordingBatch
) -> None:
    client.details["theirs"] = {
        "jobId": "theirs",
        "status": "FAILED",
        "arrayProperties": {"size": 2, "statusSummary": {"FAILED": 2}},
    }
    job = adopted(service, "theirs", 2)
    client.calls.clear()
    assert service.poll([ID]) == []  # manifests are looked for first
    assert job.is_over
    explained = service.explain([ShardId(ID, 0), ShardId(ID, 1)])
    assert [found.ending for _, found in explained] == [Ending.LEFT] * 2
    assert [call for call, _ in client.calls] == ["DescribeJobs"]


def test_an_adopted_job_that_batch_has_forgotten_is_over(service: JobService) -> None:
    job = adopted(service, "theirs", 1)
    for _ in range(MISSES):
        assert not job.is_over
        assert service.poll([ID]) == []
    assert job.is_over
    ((_, found),) = service.explain([ShardId(ID, 0)])
    assert found.ending is Ending.LEFT


def test_what_was_submitted_here_is_not_adopted(service: JobService) -> None:
    service.submit(ID, stage(1), URL)
    assert adopted(service, "theirs", 1).id == "job-1"


def test_what_is_behind_an_adopted_stage_is_submitted_behind_its_job(
    service: JobService, client: RecordingBatch
) -> None:
    adopted(service, "theirs", 2)
    behind = stage(2, Dependency(EarlierStage(ID), DependencyType.N_TO_N))
    service.submit(StageId(2, 0), behind, URL)
    (request,) = client.requests("SubmitJob")
    assert request["dependsOn"] == [{"jobId": "theirs", "type": "N_TO_N"}]
