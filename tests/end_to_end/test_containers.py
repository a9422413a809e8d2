"""The same cluster with containers behind it: those of a Docker engine, and of an emulated AWS.

Functions are made inside the tests: the image of the jobs has no tests in it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import dask
import pytest
from dask import delayed
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.aws.session import AwsSession, open_aws_session
from dask_knot.errors import (
    EngineError,
    JobStartError,
    JobTimeoutError,
    KilledTaskError,
    StackError,
    VersionsError,
)
from dask_knot.run import versions
from dask_knot.settings import checks
from tests.end_to_end.conftest import until
from tests.end_to_end.containers import SMALL, account, machine, open_aws, settings
from tests.rig.machine import Rig

__all__ = ["account", "machine", "open_aws", "settings"]

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", params=["docker", "aws"])
def cluster(
    request: pytest.FixtureRequest, account: AwsSession, settings: dict[str, Any]
) -> Iterator[KnotCluster]:
    """Give a cluster that tests share, once with each engine."""
    given = settings if request.param == "aws" else {**SMALL, "engine": "docker"}
    with KnotCluster(**given) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: KnotCluster) -> Iterator[Client]:
    """Give a client, and check that the cluster still works after it."""
    with Client(cluster) as client:
        yield client
        assert client.submit(sum, [1, 2], pure=False).result(timeout=60) == 3


def test_a_map(client: Client, cluster: KnotCluster) -> None:
    assert sum(client.gather(client.map(lambda x: x * x, range(200)))) == sum(
        x * x for x in range(200)
    )
    assert len(cluster.jobs) < 5


def test_stages(client: Client) -> None:
    load = delayed(lambda station: list(range(station)), pure=False)
    total = delayed(lambda lists: sum(map(sum, lists)), pure=False)
    assert total([load(station) for station in range(30)]).compute() == 4060


def test_bytes_that_lie_in_unusual_ways(client: Client) -> None:
    def make(which: str) -> Any:
        from array import array

        large = bytearray(b"ab") * 3_000_000
        values = {
            "large": large,
            "cut": memoryview(large)[7::3].tobytes(),
            "fixed": bytes(large),
            "none": b"",
            "numbers": array("d", range(100_000)),
            "several": [large, bytes(large[:70_000]), large],
        }
        return values[which]

    names = ["large", "cut", "fixed", "none", "numbers", "several"]
    made = client.map(make, names)
    passed = client.map(lambda value: value, made)
    for found in (client.gather(made), client.gather(passed)):
        assert found == [make(name) for name in names]
        assert list(map(type, found)) == [type(make(name)) for name in names]
    found[0][:2] = b"__"
    assert made[0].result()[:2] == b"ab"
    assert client.submit(len, client.scatter([found[0]])[0]).result() == 6_000_000


def test_an_exception_of_a_task(client: Client) -> None:
    def fail(x: int) -> None:
        raise ValueError(f"cannot use {x}")

    with pytest.raises(ValueError, match="cannot use 7"):
        client.submit(fail, 7).result()


def test_too_much_memory(client: Client, cluster: KnotCluster) -> None:
    def fill(size: int) -> int:
        return len(bytearray(os.urandom(4096)) * (size // 4096))

    assert client.submit(fill, 2**29, pure=False).result() == 2**29
    assert "'fill' ran out of memory with 400.00 MiB" in cluster.decisions[-1].text


def test_a_process_of_a_job_that_took_too_much_memory(
    open_aws: Callable[..., KnotCluster],
) -> None:
    def fill(size: int) -> int:
        return len(bytearray(os.urandom(4096)) * (size // 4096))

    # The kernel ends the process that runs the task, and not the job.
    cluster = open_aws(cores=2, processes=True)
    with Client(cluster) as client:
        assert client.submit(fill, 2**29, pure=False).result() == 2**29
    assert "'fill' ran out of memory with 400.00 MiB" in cluster.decisions[-1].text


def test_a_task_that_ends_its_process(client: Client) -> None:
    def die() -> None:
        print("about to die", flush=True)
        os._exit(3)

    with pytest.raises(KilledTaskError, match="exit code 3") as caught:
        client.submit(die, pure=False).result()
    assert "about to die" in caught.value.log


def test_logs_of_a_key_and_of_a_job(client: Client, cluster: KnotCluster) -> None:
    def say() -> None:
        print("hello from a container", flush=True)

    future = client.submit(say, pure=False)
    future.result()
    (job, log) = until(lambda: next(iter(cluster.logs(future).items()), None))
    assert log.splitlines()[-1] == "hello from a container"
    assert cluster.logs(job) == {job: log}
    assert job in cluster.get_logs()
    with pytest.raises(KeyError, match="not a job or stage of this cluster"):
        cluster.logs("no such key")


def test_three_stages_are_three_jobs_that_wait_for_each_other(
    open_aws: Callable[..., KnotCluster], account: AwsSession
) -> None:
    cluster = open_aws()
    first = delayed(lambda n: n, pure=False)
    last = delayed(lambda found: sum(found), pure=False)
    with Client(cluster):
        with dask.annotate(resources={"CPU": 1}):
            loaded = [first(n) for n in range(4)]
        with dask.annotate(resources={"CPU": 1, "MEMORY": 300 * 2**20}):
            halves = [last(loaded[:2]), last(loaded[2:])]
        with dask.annotate(resources={"CPU": 1}):
            total = last(halves)
        assert total.compute(optimize_graph=False) == 6
    ids = [row.job_id for row in cluster.jobs]
    assert len(ids) == 3
    found = account.client("batch").describe_jobs(jobs=ids)["jobs"]
    waits = {one["jobId"]: [d["jobId"] for d in one.get("dependsOn", ())] for one in found}
    assert [waits[id] for id in ids] == [[], ids[:1], ids[1:2]]


def test_a_definition_serves_all_runs(
    open_aws: Callable[..., KnotCluster], account: AwsSession
) -> None:
    for _ in range(2):
        with Client(open_aws(memory="333 MiB")) as client:
            assert client.submit(sum, [1, 2], pure=False).result() == 3
    found = account.client("batch").describe_job_definitions(status="ACTIVE")["jobDefinitions"]
    ours = [one for one in found if one["jobDefinitionName"].startswith("dask-knot-1c-333m-")]
    assert len(ours) == 1


def test_a_job_that_runs_too_long(
    open_aws: Callable[..., KnotCluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks, "SHORTEST_TIMEOUT", 1.0)
    cluster = open_aws(timeout=3)
    with Client(cluster) as client, pytest.raises(JobTimeoutError, match="exceeded timeout"):
        client.submit(lambda: time.sleep(60), pure=False).result()


def test_an_image_that_is_not_there(open_aws: Callable[..., KnotCluster]) -> None:
    cluster = open_aws(image="no-such-image:1")
    with Client(cluster) as client, pytest.raises(JobStartError, match="CannotPullContainer"):
        client.submit(sum, [1, 2], pure=False).result()


def test_a_machine_that_is_reclaimed(open_aws: Callable[..., KnotCluster], machine: Rig) -> None:
    cluster = open_aws(attempts=2)
    with Client(cluster) as client:
        future = client.submit(lambda: time.sleep(5) or 9, pure=False)
        running = until(lambda: [r for r in cluster.jobs if r.counts.get("RUNNING")], 60)
        machine.reclaim(running[0].job_id)
        assert future.result() == 9
    found = open_aws_session().client("batch").describe_jobs(jobs=[running[0].job_id])["jobs"]
    assert len(found[0]["attempts"]) == 2


def test_closing_ends_the_jobs_and_leaves_nothing_in_the_bucket(
    open_aws: Callable[..., KnotCluster], account: AwsSession
) -> None:
    cluster = open_aws()
    with Client(cluster) as client:
        future = client.submit(lambda: time.sleep(120), pure=False)
        until(lambda: any(row.counts.get("RUNNING") for row in cluster.jobs), 60)
        (id,) = [row.job_id for row in cluster.jobs]
        del future
        cluster.close()
    batch, s3 = account.client("batch"), account.client("s3")
    until(lambda: batch.describe_jobs(jobs=[id])["jobs"][0]["status"] == "FAILED", 60)
    buckets = [one["Name"] for one in s3.list_buckets()["Buckets"]]
    listed = [s3.list_objects_v2(Bucket=bucket).get("Contents", []) for bucket in buckets]
    assert not [one["Key"] for some in listed for one in some if cluster.name in one["Key"]]


def test_a_client_with_other_versions(
    open_aws: Callable[..., KnotCluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = open_aws()
    monkeypatch.setattr(versions, "HERE", {**versions.HERE, "dask": "2020.1.0"})
    with Client(cluster) as client, pytest.raises(VersionsError, match=r"dask 2020\.1") as caught:
        client.submit(sum, [1, 2], pure=False).result()
    assert "dask knot image" in str(caught.value)


def test_a_stack_or_queue_that_is_not_there(open_aws: Callable[..., KnotCluster]) -> None:
    with pytest.raises(StackError, match="no stack 'other' in us-east-1"):
        open_aws(stack="other")
    with pytest.raises(StackError, match="no stack 'dask-knot' in eu-west-3"):
        open_aws(region="eu-west-3")
    with pytest.raises(EngineError, match="no job queue 'other'"):
        open_aws(queue="other")
