"""A shell in a job on AWS: the command of AWS's command line, or what keeps it from being."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.aws.shell import SHELL, TOOLS, shell_words
from dask_knot.errors import ConfigurationError, EngineError, KnotError
from tests.aws.account import REGION, sign_in

ID = "0a1b2c3d-0000-4000-8000-0123456789ab"
CLUSTER = f"arn:aws:ecs:{REGION}:123456789012:cluster/AWSBatch-lab-1"
TASK = f"arn:aws:ecs:{REGION}:123456789012:task/AWSBatch-lab-1/0123"


class FakeBatch:
    """Batch, as far as it describes one job and where that runs."""

    def __init__(self, cluster: str = CLUSTER, **detail: Any) -> None:
        container = {"taskArn": TASK, "enableExecuteCommand": True, **detail.pop("container", {})}
        self.detail = {"jobId": ID, "status": "RUNNING", "jobQueue": "queue", **detail}
        self.detail["container"] = container
        self.cluster = cluster

    def describe_jobs(self, *, jobs: Any) -> Any:
        return {"jobs": [self.detail] if jobs == [ID] else []}

    def describe_job_queues(self, *, jobQueues: Any) -> Any:
        order = [{"order": 1, "computeEnvironment": "lab"}]
        return {"jobQueues": [{"computeEnvironmentOrder": order}] if jobQueues == ["queue"] else []}

    def describe_compute_environments(self, *, computeEnvironments: Any) -> Any:
        return {"computeEnvironments": [{"ecsClusterArn": self.cluster}]}


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Make all programs that are needed, and no other."""
    for name in TOOLS:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


@pytest.fixture
def session(tools: Path, monkeypatch: pytest.MonkeyPatch) -> AwsSession:
    sign_in(monkeypatch)
    return open_aws_session()


def words(session: AwsSession, batch: Any, *command: str, id: str = ID) -> list[str]:
    return shell_words(session, batch, id, command)


def test_a_command_is_run_in_the_task_of_the_job(session: AwsSession) -> None:
    assert words(session, FakeBatch(), "python", "-c", "print('a b')") == [
        *("aws", "ecs", "execute-command", "--interactive", "--region", REGION),
        *("--cluster", CLUSTER, "--task", TASK, "--container", "default"),
        *("--command", "python -c 'print('\"'\"'a b'\"'\"')'"),
    ]


def test_without_a_command_it_is_a_shell(session: AwsSession) -> None:
    assert words(session, FakeBatch())[-2:] == ["--command", SHELL]


@pytest.mark.parametrize(
    ("task", "cluster", "found"),
    [
        (TASK, CLUSTER, CLUSTER),
        (TASK, f"{CLUSTER}-of-another", "AWSBatch-lab-1"),
        (TASK.replace("AWSBatch-lab-1/", ""), CLUSTER, CLUSTER),
    ],
    ids=["of the queue", "of another queue now", "a task that doesn't say it"],
)
def test_the_cluster_is_that_of_the_task(
    session: AwsSession, task: str, cluster: str, found: str
) -> None:
    said = words(session, FakeBatch(cluster, container={"taskArn": task}))
    assert said[said.index("--cluster") + 1] == found


@pytest.mark.parametrize(
    ("detail", "kind", "text"),
    [
        ({"status": "SUCCEEDED"}, EngineError, "has finished"),
        ({"status": "FAILED"}, EngineError, "has finished"),
        ({"status": "RUNNABLE"}, EngineError, "has not started yet"),
        ({"container": {"taskArn": ""}}, EngineError, "has not started yet"),
        ({"container": {"enableExecuteCommand": False}}, EngineError, "dask knot up --shell"),
        ({"arrayProperties": {"size": 4}}, ConfigurationError, f"{ID}:0 to {ID}:3"),
    ],
    ids=["done", "failed", "waiting", "starting", "closed", "array"],
)
def test_what_keeps_people_out(
    session: AwsSession, detail: Any, kind: type[KnotError], text: str
) -> None:
    with pytest.raises(kind, match=text):
        words(session, FakeBatch(**detail))


def test_a_job_that_is_not_known(session: AwsSession) -> None:
    with pytest.raises(ConfigurationError, match="Batch doesn't know job 1"):
        words(session, FakeBatch(), id="1")


def test_a_task_whose_cluster_nobody_knows(session: AwsSession) -> None:
    task = TASK.replace("AWSBatch-lab-1/", "")
    with pytest.raises(EngineError, match="no compute environment of queue"):
        words(session, FakeBatch("", container={"taskArn": task}))


@pytest.mark.parametrize("name", TOOLS)
def test_a_program_that_is_missing_is_named(session: AwsSession, tools: Path, name: str) -> None:
    (tools / name).unlink()
    with pytest.raises(EngineError, match=f"needs `{name}`, which isn't here"):
        words(session, FakeBatch())
