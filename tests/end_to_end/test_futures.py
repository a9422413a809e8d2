"""Futures and everything else that a client does with them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from collections.abc import Callable
from operator import add
from pathlib import Path
from typing import Any

import dask
import numpy as np
import pytest
from dask import delayed
from distributed import (
    CancelledError,
    Client,
    as_completed,
    fire_and_forget,
    futures_of,
    wait,
)

from dask_knot import KnotCluster
from dask_knot.errors import LiveWorkerError
from tests.end_to_end.conftest import until
from tests.end_to_end.tasks import fail, inc, touch, wait_for


def three(x: int, y: int, z: int = 0) -> int:
    """Add three numbers."""
    return x + y + z


def test_submit_and_map(client: Client) -> None:
    assert client.submit(three, 1, y=2, z=client.submit(inc, 2)).result() == 6
    assert client.gather(client.map(three, range(3), range(10, 13), z=1)) == [11, 13, 15]
    assert client.gather(client.map(inc, range(10), batch_size=3)) == list(range(1, 11))
    assert client.submit(inc, 1, priority=5, retries=2).result() == 2


def test_keys_and_purity(client: Client) -> None:
    named = client.map(inc, range(2), key="mine")
    assert all(future.key.startswith("mine-") for future in named)
    assert [f.key for f in client.map(inc, range(2), key=["one", "two"])] == ["one", "two"]
    assert client.submit(inc, 1, key=("tuple", 1)).key == ("tuple", 1)
    pure = client.map(inc, [7, 7])
    assert len({future.key for future in pure}) == 1
    assert client.submit(inc, 7).key == client.submit(inc, 7).key
    impure = client.map(inc, [7, 7], pure=False)
    assert len({future.key for future in impure}) == 2
    assert client.gather(pure + impure) == [8] * 4


def test_gather_skips_or_raises(client: Client) -> None:
    futures = [client.submit(inc, 1), client.submit(fail, 1), client.submit(inc, 2)]
    assert client.gather(futures, errors="skip") == [2, 3]
    with pytest.raises(ValueError, match="cannot use 1"):
        client.gather(futures)
    nested = {"a": [futures[0]], "b": (1, {futures[2]})}
    assert client.gather(nested) == {"a": [2], "b": (1, {3})}
    assert futures[1].exception().args == ("cannot use 1",)
    assert futures[1].traceback() is not None


def test_as_completed(client: Client) -> None:
    futures = client.map(inc, range(5), pure=False)
    assert sorted(future.result() for future in as_completed(futures)) == [1, 2, 3, 4, 5]
    pairs = as_completed(futures, with_results=True)
    assert sorted(value for _, value in pairs) == [1, 2, 3, 4, 5]
    batches = as_completed(futures, with_results=True).batches()
    assert sorted(value for batch in batches for _, value in batch) == [1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="cannot use"):
        list(as_completed([client.submit(fail, 5)], with_results=True))
    assert [f.status for f in as_completed([client.submit(fail, 5)])] == ["error"]


def test_as_completed_while_adding(client: Client) -> None:
    running = as_completed(client.map(inc, range(2)))
    results = []
    for future in running:
        results.append(future.result())
        if len(results) < 6:
            running.add(client.submit(inc, future))
    assert len(results) == 7
    assert max(results) >= 4


#: One and the same from Python 3.11 on.
LATE = (TimeoutError, asyncio.TimeoutError)


def test_wait(client: Client, tmp_path: Path) -> None:
    gate = str(tmp_path / "gate")
    slow, fast = client.submit(wait_for, gate), client.submit(inc, 1)
    done, pending = wait([slow, fast], return_when="FIRST_COMPLETED")
    assert (done, pending) == ({fast}, {slow})
    with pytest.raises(LATE):
        wait([slow], timeout=0.1)
    with pytest.raises(LATE):
        slow.result(timeout=0.1)
    with pytest.raises(LATE):
        slow.exception(timeout=0.1)
    assert client.processing()[next(iter(client.nthreads()))] == (slow.key,)
    assert client.call_stack() == {}  # nothing runs in this process
    Path(gate).touch()
    assert wait([slow, fast]).not_done == set()


def test_fire_and_forget(client: Client, tmp_path: Path) -> None:
    fire_and_forget(client.submit(touch, str(tmp_path / "one")))
    fire_and_forget(delayed(touch)(str(tmp_path / "two")).persist())
    until(lambda: (tmp_path / "one").exists() and (tmp_path / "two").exists())


def test_callbacks(client: Client) -> None:
    called = threading.Event()
    statuses: list[str] = []

    def note(future: Any) -> None:
        statuses.append(future.status)
        called.set()

    for task, status in ((inc, "finished"), (fail, "error")):
        called.clear()
        future = client.submit(task, 1, pure=False)
        future.add_done_callback(note)
        assert called.wait(30)
        assert statuses[-1] == status


def test_futures_nested_in_arguments(client: Client) -> None:
    one, two = client.map(inc, range(2))
    assert client.submit(sum, [one, two, 3]).result() == 6
    assert client.submit(lambda d: d["a"] + d["b"][0], {"a": one, "b": [two]}).result() == 3
    assert client.submit(lambda *, at: at[0][1], at=[(0, two)]).result() == 2
    assert client.gather(client.map(add, [one, two], [two, one])) == [3, 3]
    assert client.compute(delayed(sum)([one, [two][0], delayed(inc)(one)])).result() == 5


def test_futures_from_other_threads(client: Client) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        futures = list(pool.map(lambda n: client.submit(inc, n), range(20)))
        assert list(pool.map(lambda future: future.result(), futures)) == list(range(1, 21))


def test_get_compute_and_persist(client: Client) -> None:
    graph = {"a": (inc, 1), "b": (inc, "a"), "c": (add, "a", "b")}
    assert client.get(graph, "c") == 5
    assert client.get(graph, ["a", ["b", "c"]]) == [2, [3, 5]]
    x, y = delayed(inc)(1), delayed(inc)(2)
    assert client.compute([x, 5, y], sync=True) == [2, 5, 3]
    persisted = client.persist([x, y])
    assert len(futures_of(persisted)) == len(client.futures_of(persisted)) == 2
    assert dask.compute(*persisted) == (2, 3)
    assert client.normalize_collection(persisted[0]).compute() == 2


def test_datasets(client: Client) -> None:
    future = client.submit(inc, 1)
    client.publish_dataset(future, name="one")
    client.publish_dataset(two=delayed(inc)(2).persist())
    del future
    assert client.get_dataset("one").result() == 2
    assert client.datasets["two"].compute() == 3
    assert client.list_datasets() == ("one", "two")
    client.unpublish_dataset("one")
    with pytest.raises(KeyError, match="one"):
        client.get_dataset("one")
    assert client.get_dataset("one", default=None) is None
    client.unpublish_dataset("two")


def test_executor(client: Client, tmp_path: Path) -> None:
    with client.get_executor(retries=1) as executor:
        future = executor.submit(add, 1, 2)
        assert future.result(timeout=30) == 3
        assert list(executor.map(add, range(5), range(5), timeout=30)) == [0, 2, 4, 6, 8]
        failing = executor.submit(fail, 1)
        assert isinstance(failing.exception(timeout=30), ValueError)
        done, _ = concurrent.futures.wait([future, failing], timeout=30)
        assert done == {future, failing}
        assert {f.result() for f in concurrent.futures.as_completed([future])} == {3}
    with pytest.raises(RuntimeError, match="shutdown"):
        executor.submit(inc, 1)
    waiting = client.get_executor(pure=False)
    never = waiting.submit(wait_for, str(tmp_path / "never"))
    with pytest.raises(concurrent.futures.TimeoutError):
        list(waiting.map(wait_for, [str(tmp_path / "never")], timeout=0.2))
    assert never.cancel()
    assert never.cancelled()
    waiting.shutdown(wait=False)
    with pytest.raises(TypeError, match="unsupported"):
        client.get_executor(nonsense=1)


def test_cancel_retry_and_release(client: Client, tmp_path: Path) -> None:
    waiting = client.submit(wait_for, str(tmp_path / "never"))
    waiting.cancel(reason="enough")
    assert waiting.cancelled()
    with pytest.raises(CancelledError):
        waiting.result()
    failed = client.submit(fail, 1, pure=False)
    wait(failed)
    failed.retry()
    with pytest.raises(ValueError, match="cannot use"):
        failed.result(timeout=30)
    done = client.submit(inc, 1, key="released")
    assert done.result() == 2
    done.release()
    until(lambda: "released" not in client.run_on_scheduler(_keys))


def _keys(dask_scheduler: Any) -> list[str]:
    return list(dask_scheduler.tasks)


def test_where_values_are(cluster: KnotCluster, client: Client) -> None:
    future = client.submit(bytes, 50_000)
    wait(future)
    gateway = cluster.scheduler.gateway_address
    client.replicate([future])
    client.replicate([future], n=2)
    client.rebalance()
    client.rebalance([future])
    assert client.who_has([future]) == {future.key: (gateway,)}
    assert future.key in client.has_what()[gateway]
    assert client.nbytes(summary=False)[future.key] >= 50_000
    assert client.nbytes()["bytes"] >= 50_000
    assert future.result() == bytes(50_000)


def test_the_capacity_that_is_shown(cluster: KnotCluster, client: Client) -> None:
    gateway = cluster.scheduler.gateway_address
    assert client.nthreads() == client.ncores() == {gateway: 2}
    info = client.scheduler_info()
    assert (info["n_workers"], info["total_threads"], info["total_memory"]) == (2, 2, 2**31)
    assert [worker["nthreads"] for worker in info["workers"].values()] == [1, 1]
    assert "processes=2 threads=2, memory=2.00 GiB" in repr(client)
    assert "<" in client._repr_html_()


def test_what_is_known_of_the_scheduler(client: Client, tmp_path: Path) -> None:
    future = client.submit(inc, 1, pure=False)
    wait(future)
    story = client.story(future.key)
    assert {event[0] for event in story} == {"scheduler"}
    assert story[-1][3] == "memory"
    client.dump_cluster_state(str(tmp_path / "state"), format="yaml")
    assert future.key in (tmp_path / "state.yaml").read_text()
    client.write_scheduler_file(str(tmp_path / "file.json"))
    with Client(scheduler_file=str(tmp_path / "file.json"), set_as_default=False) as second:
        assert second.submit(inc, 5).result() == 6
    versions = client.get_versions(check=True)
    assert versions["scheduler"]["packages"] == versions["client"]["packages"]
    assert client.run_on_scheduler(lambda: 5) == 5
    assert client.profile()["count"] == 0  # tasks run elsewhere
    assert client.get_scheduler_logs(n=1)
    assert list(client.get_worker_logs(n=1)) == list(client.nthreads())


def test_metadata_and_events(client: Client) -> None:
    client.set_metadata(["a", "b"], 3)
    assert client.get_metadata("a") == {"b": 3}
    assert client.get_metadata(["a", "c"], default=None) is None
    with pytest.raises(KeyError):
        client.get_metadata("missing")
    heard: list[Any] = []
    client.subscribe_topic("topic", lambda event: heard.append(event[1]))
    # The subscription goes another way than the events, and may come later than one.
    until(lambda: client.log_event("topic", {"value": 1}) or heard)
    assert heard[0] == {"value": 1}
    client.unsubscribe_topic("topic")
    assert client.get_events("topic")[-1][1] == {"value": 1}


def test_the_memory_manager_does_no_harm(client: Client) -> None:
    future = client.submit(inc, 1, pure=False)
    wait(future)
    client.amm.start()
    client.amm.run_once()
    assert client.amm.running()
    client.amm.stop()
    assert not client.amm.running()
    assert future.result() == 2
    client.amm.start()


@pytest.mark.parametrize("which", [None, "all", "names"])
def test_no_worker_can_be_retired(client: Client, which: str | None) -> None:
    workers = list(client.nthreads())
    options: dict[str, Any] = {"all": {"workers": workers}, "names": {"names": ["gateway"]}}.get(
        which or "", {}
    )
    with pytest.raises(LiveWorkerError, match=r"cluster.scale\(n\)"):
        client.retire_workers(**options)


def test_no_worker_can_be_restarted(client: Client) -> None:
    with pytest.raises(ValueError, match="requires a nanny"):
        client.restart_workers(list(client.nthreads()))


def test_shutdown_closes_the_cluster(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster()
    client = Client(cluster)
    assert client.submit(inc, 1).result() == 2
    client.shutdown()
    assert cluster.status.name == client.status == "closed"
    cluster.close()
    client.close()


@pytest.mark.filterwarnings("ignore:client.run runs the function once:UserWarning")
@pytest.mark.parametrize("direct", [False, True])
def test_a_client_that_takes_no_pickles(cluster: KnotCluster, direct: bool) -> None:
    with Client(cluster, serializers=["dask", "msgpack"]) as careful:
        values = [1, {"a": [1, "b"]}, np.arange(5.0), "text", None]
        for value in values:
            future = careful.submit(lambda x: x, value, pure=False)
            np.testing.assert_equal(careful.gather(future, direct=direct), value)
        for _ in range(2):  # the connection is as good as before
            with pytest.raises(TypeError):
                careful.gather(careful.submit(lambda: inc, pure=False), direct=direct)
            assert careful.gather(careful.submit(inc, 1, pure=False), direct=direct) == 2
        assert careful.scatter(3).result() == 3
        with pytest.raises(TypeError):
            careful.scatter(inc)
        with pytest.raises(ZeroDivisionError):
            careful.submit(lambda: 1 / 0, pure=False).result()
        assert list(careful.run(lambda: 1).values()) == [1]


@pytest.mark.parametrize("families", [["dask", "pickle"], ["msgpack", "pickle"], ["pickle"]])
def test_other_families_of_serializers(cluster: KnotCluster, families: list[str]) -> None:
    with Client(cluster, serializers=families, deserializers=["dask", *families]) as client:
        assert client.submit(lambda: inc, pure=False).result()(1) == 2
        assert client.submit(np.sum, np.arange(4), pure=False).result() == 6
