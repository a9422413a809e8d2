"""What the design promises: work in proportion to shards, plans submitted whole, nothing left."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import psutil
import pytest
from dask import delayed
from distributed import Client, wait

from dask_knot import KnotCluster
from tests import inside
from tests.end_to_end.conftest import TELLS_AT_ITS_END, until
from tests.end_to_end.tasks import inc, touch, wait_for


def submissions(cluster: KnotCluster) -> list[dict[str, Any]]:
    """Record the submit_job requests of a cluster from now on."""
    batch = inside.batch(cluster)
    original, requests = batch.submit_job, []

    def submit_job(**request: Any) -> Any:
        requests.append(request)
        return original(**request)

    batch.submit_job = submit_job
    return requests


def test_ten_thousand_tasks_cost_a_few_shards(open_cluster: Callable[..., KnotCluster]) -> None:
    with dask.config.set(TELLS_AT_ITS_END):
        cluster = open_cluster(jobs=2)
    with Client(cluster) as client:
        requests = submissions(cluster)
        store = inside.store(cluster)
        before = Counter(store.requests)
        results = client.gather(client.map(inc, range(10_000)))
        assert results == list(range(1, 10_001))
        (request,) = requests
        shards = request["arrayProperties"]["size"]
        assert shards <= 8 * 2
        made = Counter(store.requests)
        made.subtract(before)
        assert made["put"] == 1  # the pack
        assert made["get"] <= shards  # a manifest each; the values are inside
        names = store.list(f"{cluster.name}/")
        assert len(names) == shards + 1  # what the jobs wrote: a manifest each, and the pack


def test_the_scheduler_holds_wanted_keys_only(cluster: KnotCluster, client: Client) -> None:
    before = set(cluster.scheduler.tasks)
    total = (da.ones((300, 300), chunks=(10, 10)) + 1).sum()
    assert len(total.__dask_graph__()) > 900
    future = client.compute(total)
    assert future.result() == 180_000
    assert set(cluster.scheduler.tasks) - before == {future.key}


def test_a_graph_on_values_costs_one_hub(cluster: KnotCluster, client: Client) -> None:
    x = da.ones((100, 100), chunks=(10, 10)).persist()
    wait(x)
    before = set(cluster.scheduler.tasks)
    future = client.compute((x + 1).sum())
    future.result()
    assert len(set(cluster.scheduler.tasks) - before) <= 2


def test_three_stages_are_submitted_before_the_first_job_ends(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    cluster = open_cluster(jobs=2)
    requests = submissions(cluster)
    gate, done = tmp_path / "gate", tmp_path / "done"
    with Client(cluster) as client, dask.annotate(resources={"CPU": 1}):
        first = [delayed(wait_for)(str(gate)), delayed(inc)(0)]
        with dask.annotate(resources={"CPU": 2}):
            second = [delayed(touch)(str(tmp_path / f"second-{n}"), first) for n in range(2)]
        with dask.annotate(resources={"CPU": 1}):
            third = delayed(touch)(str(done), second)
        future = client.compute(third, optimize_graph=False)
        until(lambda: len(requests) == 3)
        assert not future.done()
        assert [len(request.get("dependsOn", [])) for request in requests] == [0, 1, 1]
        block_loop(cluster, lambda: (gate.touch(), until(done.exists)))
        assert future.result(timeout=30) == str(done)


def block_loop(cluster: KnotCluster, work: Callable[[], object]) -> None:
    """Do something while the event loop of the cluster is stopped: the client can do nothing."""
    stopped, free = threading.Event(), threading.Event()

    def stop() -> None:
        stopped.set()
        free.wait(60)

    cluster.loop.add_callback(stop)
    assert stopped.wait(10)
    try:
        work()
    finally:
        free.set()


def test_released_values_leave_the_store(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster()
    store = inside.store(cluster)
    with Client(cluster) as client:
        futures = client.map(bytes, [100_000 + n for n in range(10)])
        total = client.submit(sum, client.map(len, futures))
        scattered = client.scatter(b"x" * 100_000)
        assert total.result() == 1_000_045
        del futures
        until(lambda: not any("/data/" in name for name in store.list("")))
        assert total.result() == 1_000_045
        del total, scattered
        until(lambda: store.list("") == [])


def test_cancelled_work_ends(open_cluster: Callable[..., KnotCluster], tmp_path: Path) -> None:
    cluster = open_cluster(jobs=2)
    with Client(cluster) as client:
        futures = client.map(wait_for, [str(tmp_path / str(n)) for n in range(8)])
        until(lambda: any(row.counts.get("RUNNING") for row in cluster.jobs))
        client.cancel(futures)
        del futures
        until(lambda: all(not row.counts.get("RUNNING") for row in cluster.jobs))
        assert client.submit(inc, 1).result(timeout=30) == 2


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def test_close_leaves_nothing(tmp_path: Path) -> None:
    with KnotCluster(jobs=1, dashboard_address=None) as cluster, Client(cluster) as client:
        client.submit(inc, 0).result()  # what is loaded once for all clusters
    known, threads = {p.pid for p in children()}, set(threading.enumerate())
    descriptors = psutil.Process().num_fds()
    store = tmp_path / "store"
    cluster = KnotCluster(jobs=2, store=str(store), dashboard_address=None)
    client = Client(cluster)
    futures = client.map(wait_for, [str(tmp_path / "never")] * 3, pure=False)
    until(lambda: any(row.counts.get("RUNNING") for row in cluster.jobs))
    client.close()
    cluster.close()
    del futures
    assert [path for path in store.rglob("*") if path.is_file()] == []
    until(lambda: {p.pid for p in children()} <= known)
    until(lambda: set(threading.enumerate()) <= threads | idle_offload_threads())
    until(lambda: psutil.Process().num_fds() <= descriptors + 2)


def idle_offload_threads() -> set[threading.Thread]:
    """Name the threads that distributed and asyncio keep for all clusters of a process."""
    kept = ("Dask-Offload", "asyncio_", "Dask-Default", "IO loop")
    return {t for t in threading.enumerate() if t.name.startswith(kept) or "TCP" in t.name}


def test_no_process_outlives_a_killed_client(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from distributed import Client\n"
        "from dask_knot import KnotCluster\n"
        "from tests.end_to_end.tasks import touch, wait_for\n"
        "if __name__ == '__main__':\n"
        "    client = Client(KnotCluster(jobs=2, dashboard_address=None))\n"
        f"    client.submit(touch, {str(tmp_path / 'started')!r}).result()\n"
        f"    client.gather(client.map(wait_for, ['/never/{{n}}' for n in range(4)], pure=False))\n"
    )
    root = Path(__file__).parents[2]
    environment = os.environ | {"PYTHONPATH": str(root)}
    process = subprocess.Popen([sys.executable, program], env=environment)
    try:
        until((tmp_path / "started").exists)
        family = until(lambda: psutil.Process(process.pid).children(recursive=True))
        process.kill()
        process.wait()
        until(lambda: not any(p.is_running() and p.status() != "zombie" for p in family))
    finally:
        process.kill()


def test_a_killed_launcher_is_replaced(open_cluster: Callable[..., KnotCluster]) -> None:
    known = {p.pid for p in children()}
    cluster = open_cluster()
    with Client(cluster) as client:
        assert client.submit(inc, 1).result() == 2
        (server,) = [p for p in psutil.Process().children() if p.pid not in known]
        server.kill()
        assert client.gather(client.map(inc, range(50))) == list(range(1, 51))


@pytest.mark.parametrize("size", [1, 3])
def test_small_submissions_are_gathered(
    open_cluster: Callable[..., KnotCluster], size: int
) -> None:
    cluster = open_cluster(jobs=2)
    requests = submissions(cluster)
    with Client(cluster) as client:
        futures = [client.submit(inc, n) for n in range(300 * size)]
        assert client.gather(futures) == list(range(1, 300 * size + 1))
        assert len(requests) < 30 * size
