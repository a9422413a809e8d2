"""LocalBatch without processes: states, dependencies, retries, lists, the way AWS does it."""

from __future__ import annotations

from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from dask_knot.local.capacity import Capacity
from dask_knot.local.launcher import HOST_LOST, ChildProcess, Exit
from tests.local.desk import Desk, needs, wait_until
from tests.local.fakes import FakeLauncher, running

SPOT_ONLY = {
    "attempts": 3,
    "evaluateOnExit": [
        {"onStatusReason": "Host EC2*", "action": "RETRY"},
        {"onReason": "*", "action": "EXIT"},
    ],
}


def test_a_job_that_succeeds(desk: Desk) -> None:
    job = desk.end(desk.submit("true"))
    assert job["status"] == "SUCCEEDED"
    assert job["statusReason"] == "Essential container in task exited"
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
    assert [one["container"]["exitCode"] for one in job["attempts"]] == [0]
    assert job["container"]["logStreamName"].startswith("work/default/")


def test_a_job_that_fails(desk: Desk) -> None:
    job = desk.end(desk.submit("false"))
    assert (job["status"], job["container"]["exitCode"]) == ("FAILED", 1)
    assert job["attempts"][0]["statusReason"] == "Essential container in task exited"


def test_a_parent_counts_its_children(desk: Desk, launcher: FakeLauncher) -> None:
    array = desk.submit("wait", size=5)
    first, second = running(launcher, 2)
    assert desk.counts(array) == {"RUNNING": 2, "RUNNABLE": 3}
    parent = desk.job(array)
    assert (parent["status"], parent["attempts"]) == ("PENDING", [])
    assert parent["arrayProperties"]["size"] == 5
    launcher.end(first, Exit(0))
    launcher.end(second, Exit(3))
    wait_until(
        lambda: desk.counts(array) == {"SUCCEEDED": 1, "FAILED": 1, "RUNNING": 2, "RUNNABLE": 1}
    )
    assert "statusReason" not in desk.job(array)
    while desk.status(array) == "PENDING":
        for child in list(launcher.running):
            launcher.end(child, Exit(0))
    assert desk.counts(array) == {"SUCCEEDED": 4, "FAILED": 1}
    assert desk.job(array)["statusReason"] == "Array Child Job failed"
    assert desk.job(f"{array}:1")["arrayProperties"] == {"index": 1}


def test_the_variables_of_batch(desk: Desk, launcher: FakeLauncher) -> None:
    desk.define(
        container={"environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]}
    )
    overrides = {"environment": [{"name": "B", "value": "2"}]}
    array = desk.submit(size=2, containerOverrides=overrides)
    desk.end(array)
    plain = desk.submit("true", jobQueue="arn:aws:batch:x:1:job-queue/other")
    desk.end(plain)
    second, third = launcher.started[1].environment, launcher.started[2].environment
    assert second == {
        "A": "1",
        "B": "2",
        "AWS_BATCH_JOB_ID": f"{array}:1",
        "AWS_BATCH_JOB_ATTEMPT": "1",
        "AWS_BATCH_JQ_NAME": "queue",
        "AWS_BATCH_CE_NAME": "local",
        "AWS_BATCH_JOB_ARRAY_INDEX": "1",
        "AWS_BATCH_JOB_ARRAY_SIZE": "2",
    }
    assert third["AWS_BATCH_JQ_NAME"] == "other"
    assert not [name for name in third if "ARRAY" in name]


def test_a_job_waits_for_what_it_depends_on(desk: Desk, launcher: FakeLauncher) -> None:
    upstream = desk.submit("wait")
    job = desk.submit("true", size=2, dependsOn=[{"jobId": upstream}])
    (child,) = running(launcher, 1)
    assert desk.counts(job) == {"PENDING": 2}
    launcher.end(child, Exit(0))
    assert desk.end(job)["status"] == "SUCCEEDED"


def test_a_failed_dependency_fails_all_that_follow(desk: Desk, launcher: FakeLauncher) -> None:
    array = desk.submit("wait", size=2)
    second = desk.submit("true", size=2, dependsOn=[{"jobId": array}])
    third = desk.submit("true", dependsOn=[{"jobId": second}])
    for child, code in zip(running(launcher, 2), (0, 1), strict=True):
        launcher.end(child, Exit(code))
    assert desk.end(third)["statusReason"] == "Dependent Job failed"
    assert desk.counts(second) == {"FAILED": 2}
    assert desk.job(f"{second}:0")["statusReason"] == "Dependent Job failed"
    assert len(launcher.started) == 2


def test_the_attempts_of_a_job(desk: Desk, launcher: FakeLauncher) -> None:
    launcher.ends["flaky"] = [Exit(7), Exit(8), Exit(0)]
    job = desk.end(desk.submit("flaky", retryStrategy={"attempts": 5}))
    assert job["status"] == "SUCCEEDED"
    assert [one["container"]["exitCode"] for one in job["attempts"]] == [7, 8, 0]
    assert len({one["container"]["logStreamName"] for one in job["attempts"]}) == 3
    assert [one.environment["AWS_BATCH_JOB_ATTEMPT"] for one in launcher.started] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("end", "attempts"),
    [(Exit(None, status_reason=HOST_LOST), 3), (Exit(1), 1), (Exit(137, reason="OutOf"), 1)],
)
def test_only_what_a_rule_allows_is_tried_again(
    desk: Desk, launcher: FakeLauncher, end: Exit, attempts: int
) -> None:
    launcher.ends["ends"] = [end]
    desk.define("spot", retryStrategy=SPOT_ONLY)
    job = desk.end(desk.submit("ends", jobDefinition="spot"))
    assert (job["status"], len(job["attempts"])) == ("FAILED", attempts)


def test_a_job_that_can_never_run_says_so(desk: Desk, launcher: FakeLauncher) -> None:
    job = desk.submit("true", containerOverrides={"resourceRequirements": needs(vcpus="3")})
    found = desk.job(job)
    assert found["status"] == "RUNNABLE"
    assert found["statusReason"].startswith("MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - ")
    desk.batch.resize(Capacity(3, 3000))
    assert desk.end(job)["status"] == "SUCCEEDED"


def test_more_capacity_starts_more(desk: Desk, launcher: FakeLauncher) -> None:
    desk.submit("wait", size=8)
    running(launcher, 2)
    desk.batch.resize(Capacity(5, 5000))
    running(launcher, 5)


def test_gpus_are_given_to_one_child_each(tmp_path: Path, launcher: FakeLauncher) -> None:
    desk = Desk(launcher, tmp_path, Capacity(8, 8000, gpus=2))
    desk.define(container={"resourceRequirements": needs(gpus="1")})
    desk.submit("wait", size=3)
    running(launcher, 2)
    assert sorted(child.gpus for child in launcher.running.values()) == [(0,), (1,)]
    desk.batch.close()


def test_a_launcher_that_can_not_start_fails_the_attempt(tmp_path: Path) -> None:
    class Broken(FakeLauncher):
        def start(self, child: ChildProcess) -> None:
            raise OSError("no more processes")

    desk = Desk(Broken(), tmp_path)
    desk.define()
    job = desk.end(desk.submit("true"))
    assert job["statusReason"] == "Task failed to start"
    assert job["container"]["reason"] == "CannotStartJobError: no more processes"
    desk.batch.close()


def test_revisions_of_job_definitions(desk: Desk, launcher: FakeLauncher) -> None:
    arn = desk.define(container={"command": ["second", "Ref::word"]}, parameters={"word": "two"})
    assert arn.endswith("job-definition/work:2")
    for reference in ("work", "work:1", "work:2", arn):
        desk.submit(jobDefinition=reference)
    desk.submit(jobDefinition="work", parameters={"word": "three"})
    desk.batch.resize(Capacity(9, 9000))
    wait_until(lambda: len(launcher.started) == 5)
    commands = sorted(child.command for child in launcher.started)
    assert commands == [("second", "three"), *[("second", "two")] * 3, ("true",)]
    found = desk.call("describe_job_definitions", jobDefinitionName="work")["jobDefinitions"]
    assert [one["revision"] for one in found] == [2, 1]
    found = desk.call("describe_job_definitions", jobDefinitions=[arn, "x"])["jobDefinitions"]
    assert [one["jobDefinitionArn"] for one in found] == [arn]
    assert desk.call("describe_job_definitions", status="INACTIVE") == {"jobDefinitions": []}


def test_lists_have_pages(desk: Desk, launcher: FakeLauncher) -> None:
    array = desk.submit("wait", size=250)
    children = running(launcher, 2)
    found = desk.call("list_jobs", arrayJobId=array)
    assert [one["jobId"] for one in found["jobSummaryList"]] == [f"{array}:0", f"{array}:1"]
    pages, parameters = [], {"arrayJobId": array, "jobStatus": "RUNNABLE"}
    while True:
        page = desk.call("list_jobs", **parameters)
        pages.append([one["arrayProperties"]["index"] for one in page["jobSummaryList"]])
        if "nextToken" not in page:
            break
        parameters["nextToken"] = page["nextToken"]
    assert [len(page) for page in pages] == [100, 100, 48]
    assert [index for page in pages for index in page] == list(range(2, 250))
    launcher.end(children[0], Exit(4))
    (failed,) = desk.call("list_jobs", arrayJobId=array, jobStatus="FAILED")["jobSummaryList"]
    assert failed["container"] == {"exitCode": 4}


def test_the_jobs_of_a_queue(desk: Desk, launcher: FakeLauncher) -> None:
    jobs = [desk.submit("wait", jobQueue=queue) for queue in ("one", "two", "one")]
    running(launcher, 2)
    found = desk.call("list_jobs", jobQueue="one")["jobSummaryList"]
    assert [one["jobId"] for one in found] == [jobs[0]]
    found = desk.call("list_jobs", jobQueue="one", jobStatus="RUNNABLE")["jobSummaryList"]
    assert [one["jobId"] for one in found] == [jobs[2]]
    page = desk.call("list_jobs", jobQueue="two", maxResults=1)
    assert len(page["jobSummaryList"]) == 1


def test_jobs_are_listed_by_name_in_every_state(desk: Desk, launcher: FakeLauncher) -> None:
    names = ("run-1", "Run-2", "runs-1", "other")
    jobs = {name: desk.submit("wait", jobQueue="one", jobName=name) for name in names}
    running(launcher, 2)
    for pattern, wanted in {
        "run-*": ["Run-2", "run-1"],
        "RUN-1": ["run-1"],
        "run": [],
        "*": ["other", "runs-1", "Run-2", "run-1"],
    }.items():
        filters = [{"name": "JOB_NAME", "values": [pattern]}]
        found = desk.call("list_jobs", jobQueue="one", filters=filters)["jobSummaryList"]
        assert [one["jobId"] for one in found] == [jobs[name] for name in wanted]
    page = desk.call("list_jobs", jobQueue="one", filters=filters, maxResults=3)
    more = desk.call("list_jobs", jobQueue="one", filters=filters, nextToken=page["nextToken"])
    assert [one["jobId"] for one in more["jobSummaryList"]] == [jobs["run-1"]]


def test_other_filters_are_refused(desk: Desk) -> None:
    older = [{"name": "BEFORE_CREATED_AT", "values": ["1"]}]
    with pytest.raises(ClientError, match="JOB_NAME"):
        desk.call("list_jobs", jobQueue="one", filters=older)
    named = [{"name": "JOB_NAME", "values": ["a"]}]
    with pytest.raises(ClientError, match="children"):
        desk.call("list_jobs", arrayJobId="a", filters=named)


def test_a_list_needs_to_know_of_what(desk: Desk) -> None:
    for parameters in ({}, {"jobQueue": "a", "arrayJobId": "b"}):
        with pytest.raises(ClientError, match="either a jobQueue"):
            desk.call("list_jobs", **parameters)
    with pytest.raises(ClientError, match="does not exist"):
        desk.call("list_jobs", arrayJobId="unknown")


def test_the_tail_of_a_log(desk: Desk, tmp_path: Path) -> None:
    stream = desk.end(desk.submit("true"))["container"]["logStreamName"]
    assert desk.batch.tail(stream) == []
    lines = [f"line {number}" for number in range(20_000)]
    (tmp_path / f"{stream}.log").write_text("\n".join(lines) + "\n")
    assert desk.batch.tail(stream) == lines[-50:]
    assert desk.batch.tail(stream, lines=2) == lines[-2:]
    assert desk.batch.tail(stream, lines=0) == []


def test_ten_thousand_children(desk: Desk, launcher: FakeLauncher) -> None:
    array = desk.submit("true", size=10_000)
    after = desk.submit("true", size=10_000, dependsOn=[{"jobId": array, "type": "N_TO_N"}])
    assert desk.end(after)["status"] == "SUCCEEDED"
    assert desk.counts(array) == {"SUCCEEDED": 10_000}
    assert len(launcher.started) == 20_000
