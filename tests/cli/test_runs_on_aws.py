"""The commands about named runs, in a stack: its bucket is that of the tests, so is its Batch."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer

from dask_knot.aws.names import TAG
from dask_knot.aws.outputs import read_outputs
from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.cli.main import knot
from dask_knot.errors import AccessError
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.store import Store
from dask_knot.settings.defaults import DEFAULTS
from tests.aws.account import sign_in
from tests.batch.test_termination import Batch
from tests.runs.stores import MadeRun

FIRST, SECOND = StageId(0, 0), StageId(0, 1)


OUTPUTS = {
    "Bucket": "bucket",
    "Prefix": "knot",
    "Repository": "000.dkr.ecr.eu-west-1.amazonaws.com/dask-knot",
    "Queue": "queue",
    "JobRole": "arn:role",
    "ExecutionRole": "arn:role",
    "LogGroup": "logs",
    "Platform": "ec2",
    "Architecture": "amd64",
    "Gpu": "false",
    "PublicIp": "true",
}


class Formation:
    """CloudFormation, as far as it says what the stack has."""

    def describe_stacks(self, *, StackName: str) -> Any:
        """Describe the one stack."""
        stack = {
            "StackName": StackName,
            "StackId": f"arn:aws:cloudformation:eu-west-1:000:stack/{StackName}/1",
            "StackStatus": "CREATE_COMPLETE",
            "Tags": [{"Key": TAG, "Value": StackName}],
            "Outputs": [{"OutputKey": k, "OutputValue": v} for k, v in OUTPUTS.items()],
        }
        return {"Stacks": [stack]}


class WithBatch(AwsSession):
    """An AWS session whose Batch and CloudFormation are played."""

    batch: Any = None

    def client(self, service: str) -> Any:
        """Give the client of a service."""
        return Formation() if service == "cloudformation" else super().client(service)

    def asking(self, service: str) -> Any:
        """Give the client of a service."""
        return self.batch if service == "batch" else super().asking(service)


class Refusing:
    """A Batch that nobody may ask."""

    def __getattr__(self, name: str) -> Any:
        def refuse(**request: Any) -> Any:
            raise AccessError("you may not batch:ListJobs")

        return refuse


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Start moto's server, for S3 and logs."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


_numbers = itertools.count()


@pytest.fixture
def session(endpoint: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[WithBatch]:
    """Sign in to an account on a server of this process, with a stack in it."""
    sign_in(monkeypatch)
    monkeypatch.setattr(dask.config, "PATH", str(tmp_path))
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with dask.config.set({"knot": DEFAULTS}):
        made = WithBatch(open_aws_session().boto)
        made.batch = Batch()
        bucket = f"bucket-{next(_numbers)}"
        monkeypatch.setitem(OUTPUTS, "Bucket", bucket)
        monkeypatch.setitem(OUTPUTS, "LogGroup", f"logs-{bucket}")
        place = {"LocationConstraint": "eu-west-1"}
        made.client("s3").create_bucket(Bucket=bucket, CreateBucketConfiguration=place)
        made.client("logs").create_log_group(logGroupName=f"logs-{bucket}")
        yield made
        made.close()


def invoke(session: WithBatch, code: int, *words: str) -> str:
    result = CliRunner().invoke(knot, list(words), obj=lambda **_: session)
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def on_aws(session: WithBatch, code: int, *words: str) -> str:
    return invoke(session, code, *words, "--engine", "aws")


@pytest.fixture
def made(session: WithBatch) -> MadeRun:
    """Make a run whose first stage waits for a job, and whose client is gone."""
    url = read_outputs(session, "dask-knot").store_url
    store = Store(url, **session.store_options(url))
    one = MadeRun(store, engine="aws")
    one.open()
    one.plan(0, [["load-0", "load-1"], ["mean-0"]])
    one.finish(ShardId(FIRST, 0))
    return one


def submit(session: WithBatch, stage: StageId, size: int) -> str:
    array = {"arrayProperties": {"size": size}} if size > 1 else {}
    name = f"climate-{stage.stored}"
    found = session.batch.submit_job(jobName=name, jobQueue="q", jobDefinition="d", **array)
    return str(found["jobId"])


def test_jobs_live_on_without_their_client(session: WithBatch, made: MadeRun) -> None:
    assert "left   5 of 15" in on_aws(session, 0, "runs")
    job = submit(session, FIRST, 2)
    session.batch.details[job]["arrayProperties"]["statusSummary"] = {"RUNNING": 1, "SUCCEEDED": 1}
    assert "running  5 of 15" in on_aws(session, 0, "runs")
    assert "running  5 of 15" in invoke(session, 0, "runs", "--name", "dask-knot")
    shown = on_aws(session, 0, "show", "climate")
    assert "1 done, 1 running" in shown
    assert f"{job} (1 RUNNING, 1 SUCCEEDED)" in shown
    session.batch.details[job]["status"] = "FAILED"
    assert "left" in on_aws(session, 0, "runs")


def test_without_batch_the_store_tells_what_it_knows(session: WithBatch, made: MadeRun) -> None:
    session.batch = Refusing()
    shown = on_aws(session, 0, "runs")
    assert "unfinished  5 of 15" in shown
    assert "the jobs couldn't be listed, so some may be running: you may not batch:List" in shown
    assert "may not batch:List" in on_aws(session, 0, "show", "climate")
    assert "AWS Batch can't be asked" in on_aws(session, 0, "logs", "climate")
    assert "AWS Batch can't be asked" in on_aws(session, 1, "cancel", "climate", "--yes")
    assert "isn't known (you may not" in on_aws(session, 1, "rm", "climate", "--yes")
    made.finish(ShardId(FIRST, 1))
    made.finish(ShardId(SECOND, 0), "mean")
    shown = on_aws(session, 0, "runs")
    assert "done   15 of 15" in shown
    assert "could not be asked" not in shown


def test_logs_of_those_that_failed_come_first(session: WithBatch, made: MadeRun) -> None:
    job = submit(session, FIRST, 2)
    session.batch.details[job] |= {"status": "FAILED"}
    logs = session.client("logs")
    group = read_outputs(session, "dask-knot").log_group
    for child in (0, 1):
        stream = f"stream-{child}"
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
        event = {"timestamp": int(time.time() * 1000), "message": f"line of child {child}"}
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[event])
        session.batch.details[f"{job}:{child}"] = {
            "jobId": f"{job}:{child}",
            "status": "FAILED" if child else "SUCCEEDED",
            "arrayProperties": {"index": child},
            "container": {"logStreamName": stream},
        }
    summary = {"FAILED": 1, "SUCCEEDED": 1}
    session.batch.details[job]["arrayProperties"]["statusSummary"] = summary
    said = on_aws(session, 0, "logs", "climate")
    assert said.index("line of child 1") < said.index("line of child 0")
    one = on_aws(session, 0, "logs", "climate", "load-0")
    assert "line of child 0" in one
    assert "line of child 1" not in one
    assert "line of child 1" in on_aws(session, 0, "logs", "climate", f"{job}:1")
    assert "Batch has no job of stage 0.1" in on_aws(session, 1, "logs", "climate", "mean-0")


def test_cancel_ends_what_runs_and_rm_deletes(session: WithBatch, made: MadeRun) -> None:
    job = submit(session, FIRST, 2)
    assert "in use: 1 job under way" in on_aws(session, 1, "rm", "climate", "--yes")
    ended = on_aws(session, 0, "cancel", "climate", "--yes")
    assert "1 job of run climate stopped" in ended
    assert session.batch.details[job]["status"] == "FAILED"
    assert "nothing to stop" in on_aws(session, 0, "cancel", "climate")
    submit(session, SECOND, 1)
    assert "is deleted" in on_aws(session, 0, "rm", "climate", "--yes", "--force")
    assert "no named runs" in on_aws(session, 0, "runs")
    assert made.run.survey().objects == 0
