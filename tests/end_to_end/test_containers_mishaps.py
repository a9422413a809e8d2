"""What can't work in an account says so, and a network that is gone for a while loses nothing."""

from __future__ import annotations

import io
import logging
import os
import struct
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import dask
import pytest
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.aws.options import StackOptions
from dask_knot.aws.removal import down
from dask_knot.aws.session import AwsSession
from dask_knot.aws.stack import up
from dask_knot.batch.rules import JobStatus
from dask_knot.errors import ConfigurationError, CredentialsError, JobStartError
from tests import inside
from tests.end_to_end.conftest import until
from tests.end_to_end.containers import SMALL, account, machine, open_aws, settings
from tests.rig.line import Line
from tests.rig.machine import Rig

__all__ = ["account", "machine", "open_aws", "settings"]

pytestmark = pytest.mark.timeout(300)

OTHER = "other-architecture:1"


@pytest.fixture
def line(machine: Rig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """Give this process a line of its own to AWS; the jobs have theirs."""
    with Line(machine.endpoint) as line:
        monkeypatch.setenv("AWS_ENDPOINT_URL", line.endpoint)
        yield line


def test_a_network_that_is_gone_for_a_while_loses_nothing(
    line: Line, open_aws: Callable[..., KnotCluster], machine: Rig
) -> None:
    cluster, batch = open_aws(), machine.client("batch")  # which has another line

    def status(job: str) -> str:
        return str(batch.describe_jobs(jobs=[job])["jobs"][0]["status"])

    with Client(cluster) as client, closing(batch):
        running = client.submit(lambda: time.sleep(3) or 9, pure=False)
        job = until(lambda: [row.job_id for row in cluster.jobs], 60)[0]
        until(lambda: status(job) == "RUNNING", 60)
        with line.gone():
            later = client.map(lambda x: x * x, range(10), pure=False)
            until(lambda: status(job) == "SUCCEEDED", 60)
            until(lambda: line.refused >= 8, 60)
            assert {future.status for future in [running, *later]} == {"pending"}
        assert running.result() == 9
        assert client.gather(later) == [x * x for x in range(10)]
        assert len(cluster.jobs) == 2  # nothing was sent twice


def test_a_busy_aws_is_asked_again(open_aws: Callable[..., KnotCluster], machine: Rig) -> None:
    cluster = open_aws()
    with Client(cluster) as client:
        assert client.submit(sum, [1, 2], pure=False).result() == 3
        machine.refuse("batch", "TooManyRequestsException", 3)
        machine.refuse("s3", "SlowDown", 5)
        assert client.gather(client.map(lambda x: x + 1, range(50), pure=False)) == [*range(1, 51)]


def test_credentials_are_in_no_job_log_or_object(
    open_aws: Callable[..., KnotCluster],
    machine: Rig,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    key, secret = "AKIAOFMINE", "a-secret-of-mine"
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", secret)
    caplog.set_level(logging.DEBUG, "dask_knot")
    cluster = open_aws(name="named")  # what it keeps stays when it is closed
    batch, s3 = machine.client("batch"), machine.client("s3")
    with Client(cluster) as client, closing(batch), closing(s3):
        inside = client.submit(lambda: repr(sorted(os.environ.items())), pure=False).result()
        jobs = batch.describe_jobs(jobs=[row.job_id for row in cluster.jobs])["jobs"]
        definitions = batch.describe_job_definitions(status="ACTIVE")["jobDefinitions"]
        said = f"{inside} {jobs} {definitions} {cluster.job_script()} {caplog.text}"
        bucket = cluster.settings.store.removeprefix("s3://").partition("/")[0]
        names = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]
        kept = [s3.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names]
    assert key not in said
    assert secret not in said
    assert kept
    assert not [one for one in kept if key.encode() in one or secret.encode() in one]


def test_a_token_that_has_expired(open_aws: Callable[..., KnotCluster], machine: Rig) -> None:
    machine.refuse("cloudformation", "ExpiredToken", 1)
    with pytest.raises(CredentialsError, match=r"have expired \(ExpiredToken\); sign in again"):
        open_aws()


def test_more_memory_than_any_instance_has(open_aws: Callable[..., KnotCluster]) -> None:
    with dask.config.set({"knot.aws.stuck-after": "1s"}):
        cluster = open_aws(memory="4 TiB")
    with (
        Client(cluster) as client,
        pytest.raises(JobStartError, match=r"no machine .* is large") as e,
    ):
        client.submit(sum, [1, 2]).result()
    assert "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT" in str(e.value)
    assert "--instance-types" in str(e.value)
    jobs = inside.service(cluster).jobs.values()
    until(lambda: all(job.counts.get(JobStatus.FAILED) for job in jobs), 30)  # ended at Batch, too


def test_a_bucket_in_another_region(open_aws: Callable[..., KnotCluster], machine: Rig) -> None:
    s3 = machine.client("s3")
    where = {"LocationConstraint": "eu-west-3"}
    s3.create_bucket(Bucket="far-away", CreateBucketConfiguration=where)
    s3.close()
    with pytest.raises(ConfigurationError, match=r"far-away is in eu-west-3, .* in us-east-1"):
        open_aws(store="s3://far-away/knot")


def test_a_size_that_fargate_has_not(
    open_aws: Callable[..., KnotCluster], account: AwsSession
) -> None:
    up(account, StackOptions(name="farm", platform="fargate"), lambda _: None)
    try:
        with pytest.raises(ConfigurationError, match=r"nearest is 4 vCPU and 8192 MiB"):
            open_aws(stack="farm", image="any:1", cores=3, memory="7 GiB")
    finally:
        down(account, "farm", lambda _: None)


@pytest.fixture
def other_image(machine: Rig) -> str:
    """Make an image whose Python is for a processor that this machine doesn't have."""
    program = struct.pack("<4s5B7x", b"\x7fELF", 2, 1, 1, 0, 0)
    aarch64 = 183
    program += struct.pack("<HHIQQQIHHHHHH", 2, aarch64, 1, 0, 64, 0, 0, 64, 56, 0, 64, 0, 0)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in ("usr/bin/python", "bin/sh"):  # what can't be executed is tried as a script
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(program), 0o755
            tar.addfile(entry, io.BytesIO(program))
    name, _, tag = OTHER.partition(":")
    with closing(machine.docker()) as docker:
        docker.api.import_image_from_data(archive.getvalue(), repository=name, tag=tag)
    return OTHER


@pytest.mark.parametrize("engine", ["aws", "docker"])
def test_an_image_for_another_architecture(
    engine: str, open_aws: Callable[..., KnotCluster], other_image: str
) -> None:
    given = SMALL if engine == "docker" else {}
    cluster = open_aws(engine=engine, image=other_image, **given)
    with Client(cluster) as client, pytest.raises(JobStartError) as caught:
        client.submit(sum, [1, 2], pure=False).result()
    assert "the image is for another architecture" in str(caught.value)
    assert "dask knot image" in str(caught.value)
