"""Several clients, clusters and many keys at once: what once went wrong, and must not again."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dask
import pytest
from dask import delayed
from distributed import Client, wait

from dask_knot import KnotCluster
from dask_knot.errors import StoreError, UnsupportedGraphError
from tests import inside
from tests.end_to_end.conftest import TELLS_AT_ITS_END
from tests.end_to_end.tasks import count_call, inc, wait_for


def test_two_clusters_of_one_name(open_cluster: Callable[..., KnotCluster], tmp_path: Path) -> None:
    both = [open_cluster(name="study", store=str(tmp_path)) for _ in range(2)]
    with Client(both[0]) as one, Client(both[1]) as two:
        first, second = one.submit(inc, 1), two.submit(inc, 10)
        large = [client.scatter(bytes([n]) * 10) for n, client in enumerate((one, two))]
        assert (first.result(), second.result()) == (2, 11)
        assert [future.result() for future in large] == [b"\0" * 10, b"\1" * 10]


def test_many_keys_that_fail_for_one_reason(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster()
    with Client(cluster) as client:

        def refuse(**request: object) -> None:
            raise RuntimeError("AccessDenied on the queue")

        inside.batch(cluster).submit_job = refuse
        futures = client.map(inc, range(1500))
        wait(futures, timeout=60)
        assert {future.status for future in futures} == {"error"}
        assert "AccessDenied" in str(futures[-1].exception())


def test_looking_at_the_jobs_does_no_harm(cluster: KnotCluster, client: Client) -> None:
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            repr(cluster.jobs)

    looker = threading.Thread(target=look)
    looker.start()
    try:
        for n in range(40):
            assert client.submit(inc, n, pure=False).result(timeout=30) == n + 1
    finally:
        stop.set()
        looker.join()


def test_a_store_that_is_away_for_a_moment_loses_no_value(
    open_cluster: Callable[..., KnotCluster],
) -> None:
    cluster = open_cluster()
    with Client(cluster) as client:
        large = client.submit(bytes, 200_000)
        wait(large)
        store = inside.store(cluster)
        present = store.get_range

        def away(*arguments: Any) -> memoryview:
            raise StoreError("no route to host")

        store.get_range = away
        with pytest.raises(StoreError, match="no route"):
            large.result(timeout=30)
        store.get_range = present
        assert large.status == "finished"
        assert len(large.result(timeout=30)) == 200_000


def test_one_client_releases_what_another_submits(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster()

    def work(seed: int) -> None:
        order = random.Random(seed)
        with Client(cluster.scheduler_address, set_as_default=False) as client:
            for _ in range(60):
                n = order.randrange(4)
                assert client.submit(inc, n).result(timeout=30) == n + 1

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, range(3)))
    assert inside.records(cluster).keys == {}


@pytest.mark.parametrize("resources", [{"GPU": 99}, {"CPU": 640}, {"MEMORY": "900 TiB"}])
def test_resources_that_no_job_can_have(client: Client, resources: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedGraphError, match="more than any job may have"):
        client.submit(inc, 1, resources=resources, pure=False).result(timeout=30)


def test_retries_inside_a_shard(client: Client, tmp_path: Path) -> None:
    def work_the_third_time(folder: str) -> int:
        count_call(folder, 0)
        if len((Path(folder) / "0").read_text()) < 3:
            raise OSError("not yet")
        return 5

    with dask.annotate(retries=5):
        flaky = delayed(work_the_third_time)(str(tmp_path))
        total = delayed(inc)(flaky)
    assert client.compute(total, optimize_graph=False).result(timeout=30) == 6


def test_retry_of_a_chain_whose_inputs_are_gone(client: Client, tmp_path: Path) -> None:
    sources = client.map(inc, range(300), pure=False)

    def add(total: int, value: int, folder: str = "") -> int:
        if folder and not (Path(folder) / "go").exists():
            raise OSError("not yet")
        return total + value

    total = delayed(add)(0, sources[0])
    for source in sources[1:]:
        total = delayed(add)(total, source)
    future = client.compute(delayed(add)(total, 0, folder=str(tmp_path)))
    wait(future)
    del sources, source, total
    assert future.status == "error"
    (tmp_path / "go").touch()
    future.retry()
    assert future.result(timeout=60) == sum(range(1, 301))


def test_many_large_values_are_gathered_in_few_requests(
    open_cluster: Callable[..., KnotCluster],
) -> None:
    with dask.config.set(TELLS_AT_ITS_END):
        cluster = open_cluster()
    with Client(cluster) as client:
        futures = client.map(lambda n: bytes([n]) * 80_000, range(200))
        wait(futures)
        before = inside.store(cluster).requests["get"]
        values = client.gather(futures)
        assert [value[0] for value in values] == list(range(200))
        assert inside.store(cluster).requests["get"] - before <= 20


def test_a_key_may_have_any_name(client: Client) -> None:
    assert client.submit(inc, 1, key="knot-inputs-0-0").result(timeout=30) == 2


def test_adapt_refuses_what_it_does_not_know(cluster: KnotCluster) -> None:
    with pytest.raises(TypeError, match="nonsense"):
        cluster.adapt(nonsense=3)


def test_a_folder_store_keeps_no_empty_folders(open_cluster: Callable[..., KnotCluster]) -> None:
    from tests.end_to_end.conftest import until

    cluster = open_cluster()
    root = Path(inside.store(cluster).url.removeprefix("file://")) / cluster.name
    with Client(cluster) as client:
        for n in range(5):
            client.submit(inc, n, pure=False).result()
        # Not rglob, which fails when a folder goes away under it.
        until(lambda: not [f for _, folders, _ in os.walk(root) for f in folders if "-" in f])


def test_cancelling_one_of_many_leaves_the_others(client: Client, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    futures = client.map(wait_for, [str(gate)] * 4, pure=False)
    client.cancel(futures[0])
    gate.touch()
    assert client.gather(futures[1:]) == [str(gate)] * 3
