"""Whatever a client does, nothing asks the store or Batch in Dask's event loop: it could stall."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from dask import delayed
from distributed import Client, wait

from dask_knot import KnotCluster
from dask_knot.local.batch import LocalBatch
from dask_knot.run.store import Store
from tests import inside

from .conftest import SMALL
from .tasks import fail, inc

#: What blocks: requests of the store, and the calls of Batch, which are requests on AWS.
STORE = ("put", "put_new", "get", "get_range", "list", "delete", "delete_all")
BATCH = (
    "submit_job",
    "describe_jobs",
    "list_jobs",
    "terminate_job",
    "register_job_definition",
    "describe_job_definitions",
    "describe_job_queues",
    "describe_compute_environments",
    "tail",
)


@pytest.fixture
def in_a_loop(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """List what was asked while an event loop ran in the thread that asked."""
    found: list[str] = []

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def ask(*arguments: Any, **options: Any) -> Any:
            if asyncio._get_running_loop() is not None:
                where = "".join(traceback.format_stack(limit=6)[:-1])
                found.append(f"{name} in {threading.current_thread().name}:\n{where}")
            return call(*arguments, **options)

        return ask

    for kind, names in ((Store, STORE), (LocalBatch, BATCH)):
        for name in names:
            monkeypatch.setattr(kind, name, watched(f"{kind.__name__}.{name}", getattr(kind, name)))
    return found


def remember_nothing(cluster: KnotCluster) -> None:
    """Let nothing be in memory that the store has as well, failures of keys included."""
    values: Any = inside.session(cluster).values
    values.remember = lambda name, data: None


def do_everything(cluster: KnotCluster, client: Client) -> None:
    """Use what asks for anything."""
    remember_nothing(cluster)
    futures = client.map(inc, range(10), pure=False)
    wait(futures)
    assert client.gather(futures) == list(range(1, 11))
    assert client.submit(sum, futures, pure=False).result() == 55
    large, scattered = client.submit(np.arange, 100_000), client.scatter([1, 2])
    assert client.submit(np.sum, large).result() == 4999950000
    assert client.gather(scattered) == [1, 2]
    failed = client.submit(fail, 1, pure=False)
    wait(failed)
    behind = client.submit(inc, failed, pure=False)
    wait(behind)
    assert failed.status == behind.status == "error"
    with pytest.raises(Exception, match="cannot use"):
        client.recreate_error_locally(behind)
    client.cancel(client.map(inc, range(100, 110)))
    assert delayed(inc)(1).compute() == 2
    cluster.logs(large)
    assert len(cluster.jobs)
    assert cluster.job_script()
    cluster.plan_of(delayed(inc)(5))
    cluster.get_logs()
    cluster.scale(3)
    cluster._repr_html_()
    client.restart()
    assert client.submit(inc, 1).result() == 2


def test_of_a_cluster_with_a_loop_of_its_own(in_a_loop: list[str]) -> None:
    with KnotCluster(**SMALL) as cluster, Client(cluster) as client:
        do_everything(cluster, client)
    assert in_a_loop == []


def test_of_one_in_the_loop_of_its_user(in_a_loop: list[str]) -> None:
    async def main() -> None:
        async with (
            KnotCluster(**SMALL, asynchronous=True) as cluster,
            Client(cluster, asynchronous=True) as client,
        ):
            remember_nothing(cluster)
            futures = client.map(inc, range(10), pure=False)
            await wait(futures)
            assert await client.gather(futures) == list(range(1, 11))
            failed = client.submit(fail, 1, pure=False)
            await wait(failed)
            await cluster.logs()
            await cluster.get_logs()

    asyncio.run(main())
    assert in_a_loop == []


def test_a_named_one(in_a_loop: list[str], tmp_path: Any) -> None:
    with (
        KnotCluster(**SMALL, name="looked-at", store=tmp_path) as cluster,
        Client(cluster) as client,
    ):
        assert client.submit(inc, 1).result() == 2
    assert in_a_loop == []
