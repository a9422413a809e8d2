"""KnotCluster itself: settings, life, what it shows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import dask
import pytest
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.errors import ConfigurationError, StoreError
from tests.end_to_end.conftest import until
from tests.end_to_end.tasks import fail, inc, wait_for


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"engine": "moon"}, "one of 'local'"),
        ({"name": "a/b"}, "letters, digits"),
        ({"jobs": 0}, "whole number"),
        ({"jobs": 10**9}, "at most 100,000"),
        ({"memory": "lots"}, "4 GiB"),
        ({"memory": float("inf")}, "4 GiB"),
        ({"security": "tls"}, "True, or a distributed.Security"),
        ({"silence_logs": "loud"}, "a level of logging"),
        ({"host": "192.0.2.1"}, "name or address of this machine"),
        ({"host": "no host"}, "name or address of this machine"),
        ({"job": 3}, "Did you mean 'jobs'"),
        ({"timeout": 5}, "60 seconds"),
        ({"environment": {"AWS_BATCH_X": "1"}}, "AWS_BATCH"),
        ({"store": "ftp://somewhere"}, "s3://"),
    ],
)
def test_a_wrong_setting_is_answered_at_once(settings: dict[str, object], text: str) -> None:
    with pytest.raises(ConfigurationError, match=text):
        KnotCluster(**{"dashboard_address": None, **settings})
    assert dask.config.get("array.rechunk.method", None) is None, "as it was"


def test_a_store_that_cant_be_written() -> None:
    with pytest.raises(StoreError, match="/proc"):
        KnotCluster(store="/proc/nowhere", dashboard_address=None)


def test_a_store_whose_path_is_misspelt(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=rf"there is no folder {tmp_path}/dta: make it"):
        KnotCluster(store=tmp_path / "dta" / "runs" / "mine", dashboard_address=None)
    assert list(tmp_path.iterdir()) == []


def test_the_store_of_a_named_run_needs_no_folder(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "not" / "yet"))
    cluster = open_cluster(name="study")
    assert cluster.settings.store == (tmp_path / "not" / "yet" / "dask_knot").as_uri()


def test_configuration_and_keywords(open_cluster: Callable[..., KnotCluster]) -> None:
    with dask.config.set({"knot.cores": 3, "knot.environment": {"COLOR": "green"}}):
        cluster = open_cluster()
    assert cluster.settings.cores == 3
    with Client(cluster) as client:

        def color() -> str:
            import os

            return os.environ["COLOR"]

        assert client.submit(color).result() == "green"


def test_shuffles_go_by_tasks_while_open(open_cluster: Callable[..., KnotCluster]) -> None:
    before = dask.config.get("array.rechunk.method", None)
    saturation = dask.config.get("distributed.scheduler.worker-saturation")
    cluster = open_cluster()
    assert dask.config.get("array.rechunk.method") == "tasks"
    assert dask.config.get("distributed.scheduler.worker-saturation") == saturation
    cluster.close()
    assert dask.config.get("array.rechunk.method", None) == before


def test_what_it_shows(cluster: KnotCluster, client: Client) -> None:
    client.gather(client.map(inc, range(100), pure=False))
    table = cluster.jobs  # at once, although a manifest is there before its job has ended
    assert table[-1].counts == {"SUCCEEDED": table[-1].size}
    assert table[-1].tasks == {"inc": 100}
    assert "succeeded" in repr(table)
    assert "<table>" in table._repr_html_()
    assert cluster.name in repr(cluster)
    assert "jobs of 1 vCPU" in cluster._repr_html_()
    script = json.loads(cluster.job_script())
    assert script["SubmitJob"]["containerOverrides"]["command"][:3] == [
        "python",
        "-m",
        "dask_knot.job",
    ]


def test_a_closed_cluster_says_that_it_is_closed(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster()
    assert "closed" not in repr(cluster)
    cluster.close()
    assert repr(cluster) == f"KnotCluster({cluster.name}, closed)"


def test_jobs_that_were_not_needed_are_shown_as_cancelled(
    open_cluster: Callable[..., KnotCluster],
) -> None:
    cluster = open_cluster()

    def is_running() -> bool:
        return bool(cluster.jobs[-1:]) and cluster.jobs[-1].counts.get("RUNNING") == 1

    with Client(cluster) as client:
        dropped = client.submit(wait_for, "/nonexistent", pure=False)
        until(is_running)
        # Nothing else runs, and nobody asks Batch for its own sake.
        client.cancel(dropped)
        until(lambda: cluster.jobs[-1].counts == {"CANCELLED": 1}, explain=lambda: cluster.jobs)
        assert cluster.requested == set()
        left = client.submit(wait_for, "/nonexistent", pure=False)
        until(is_running)
    cluster.close()
    assert left.status == "cancelled"
    assert [row.counts for row in cluster.jobs] == [{"CANCELLED": 1}] * 2
    assert "cancelled" in repr(cluster.jobs)


def test_logs_have_what_tasks_printed(cluster: KnotCluster, client: Client) -> None:
    def say() -> None:
        print("hello from a job")

    client.submit(say, pure=False).result()
    assert any("hello from a job" in log for log in cluster.get_logs().values())
    assert any("hello from a job" in log for log in cluster.logs().values())
    with pytest.raises(TypeError, match="one at a time"):
        cluster.logs([cluster.jobs[-1].job_id])


def test_scaling(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster(jobs=1)
    with Client(cluster) as client:
        cluster.scale(jobs=3)
        client.wait_for_workers(3)
        assert sum(client.nthreads().values()) == 3
        cluster.scale(2)
        assert sum(client.nthreads().values()) == 2
        cluster.adapt(minimum_jobs=0, maximum_jobs=4)
        assert sum(client.nthreads().values()) == 4
        assert client.gather(client.map(inc, range(20))) == list(range(1, 21))


async def asynchronous_work() -> None:
    async with (
        KnotCluster(jobs=2, asynchronous=True, dashboard_address=None) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        assert await client.submit(inc, 1) == 2
        with pytest.raises(ValueError, match="cannot use"):
            await client.submit(fail, 1)
        await cluster.scale(jobs=1)


def test_async_with() -> None:
    import asyncio

    asyncio.run(asynchronous_work())


def test_close_twice(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster()
    cluster.close()
    cluster.close()


def test_restart_forgets_everything(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster()
    with Client(cluster) as client:
        done, waiting = client.submit(inc, 1), client.submit(wait_for, "/nonexistent")
        assert done.result() == 2
        client.restart()
        # The clients are told by another way than the one that answers the call.
        until(lambda: done.status == waiting.status == "cancelled")
        until(lambda: not any(row.counts.get("RUNNING") for row in cluster.jobs))
        assert client.submit(inc, 1).result() == 2


def test_two_clusters(open_cluster: Callable[..., KnotCluster]) -> None:
    with Client(open_cluster()) as one, Client(open_cluster()) as two:
        assert one.submit(inc, 1).result() == two.submit(inc, 1).result() == 2


def test_the_scheduler_listens_on_this_machine_only(cluster: KnotCluster) -> None:
    assert cluster.scheduler_address.startswith("tcp://127.0.0.1:")


def test_a_named_run_keeps_its_values(
    open_cluster: Callable[..., KnotCluster], tmp_path: object
) -> None:
    for value in (1, 2):  # the second time its plans count on
        cluster = open_cluster(name="study", store=str(tmp_path))
        with Client(cluster) as client:
            future = client.submit(inc, value)
            assert future.result() == value + 1
            cluster.close()
