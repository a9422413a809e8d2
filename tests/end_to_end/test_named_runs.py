"""A named run from one cluster to the next: what is published, wanted, left, ended, only read."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, Future, Queue, Variable, as_completed, wait
from distributed.client import FutureCancelledError

from dask_knot import KnotCluster
from dask_knot.errors import ConfigurationError, EngineError, KnotError, StoreError
from tests.end_to_end import publishing_program
from tests.end_to_end.conftest import SMALL, until
from tests.end_to_end.tasks import inc

pytestmark = pytest.mark.timeout(300)

Opener = Callable[..., KnotCluster]


@pytest.fixture
def reopen(tmp_path: Path, open_cluster: Opener) -> Opener:
    """Open the same run once more."""

    def open_it(**settings: Any) -> KnotCluster:
        return open_cluster(**{"name": "climate", "store": tmp_path / "store", **settings})

    return open_it


def wait_for(file: Path) -> str:
    """Wait in a job until the test says that it may go on."""
    while not file.exists():
        time.sleep(0.01)
    return file.read_text()


def fail_always() -> None:
    """Fail."""
    raise ZeroDivisionError("by nothing")


def own_jobs(cluster: KnotCluster) -> list[str]:
    """Name the jobs that a cluster has submitted itself: others ran in processes of other ones."""
    return [row.job_id for row in cluster.jobs if row.job_id]


# What is published.


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Let a program publish what it makes, and end."""
    store = tmp_path_factory.mktemp("published")
    command = [sys.executable, publishing_program.__file__, str(store)]
    subprocess.run(command, check=True, timeout=120, cwd=store)
    return store


def test_collections_are_there_without_the_code_that_made_them(
    published: Path, open_cluster: Opener
) -> None:
    with (
        open_cluster(name=publishing_program.NAME, store=published) as cluster,
        Client(cluster) as client,
    ):
        array, grid, table, bag, late, futures, nested, number = (
            client.get_dataset(name)
            for name in ("array", "grid", "table", "bag", "late", "futures", "nested", "number")
        )
        wait([array, grid, table, bag, late, futures])
        assert not own_jobs(cluster)
        assert (array.compute() == 3).all()
        assert array.shape == (60, 40)
        assert grid.attrs == {"title": "a grid"}
        expected = 3 * np.arange(48).reshape(6, 8)
        assert (grid.t.compute().values == expected).all()
        assert float(grid.t.sel(x=3).mean()) == expected[:, 3].mean()
        assert table.compute().c.tolist() == [n + 2.0 for n in range(20)]
        assert bag.compute() == [3 * n for n in range(10)]
        assert late.compute() == 42
        assert client.gather(futures) == [0, 3, 6, 9, 12]
        assert client.gather(nested) == {"one": [3], "text": "x"}
        assert number == 7
        assert client.submit(sum, futures).result() == 30


def test_names_of_earlier_sessions_are_listed_replaced_and_taken_away(reopen: Opener) -> None:
    with reopen() as cluster, Client(cluster) as client:
        client.publish_dataset(x=client.submit(inc, 1), y=2)
    with reopen() as cluster, Client(cluster) as client:
        assert client.list_datasets() == ("x", "y")
        assert set(client.datasets) == {"x", "y"}
        with pytest.raises(KeyError, match="already exists"):
            client.publish_dataset(x=1)
        client.publish_dataset(x=1, override=True)
        client.unpublish_dataset("y")
    with reopen() as cluster, Client(cluster) as client:
        assert client.list_datasets() == ("x",)
        assert client.get_dataset("x") == 1
        with pytest.raises(KeyError):
            client.get_dataset("y")


def test_two_clusters_that_hold_a_run_see_what_the_other_publishes(reopen: Opener) -> None:
    with (
        reopen() as one,
        reopen() as two,
        Client(one, set_as_default=False) as here,
        Client(two, set_as_default=False) as there,
    ):
        future = here.submit(inc, 10)
        here.publish_dataset(x=future)
        assert there.get_dataset("x").result(timeout=60) == 11
        there.publish_dataset(y=5)
        assert here.list_datasets() == ("x", "y")
        there.unpublish_dataset("x")
        assert here.list_datasets() == ("y",)


# Results by name.


def test_a_key_that_was_wanted_gives_its_value_later(reopen: Opener) -> None:
    with reopen() as cluster, Client(cluster) as client:
        key = client.submit(inc, 1).key
        array = da.ones(40, chunks=10).persist()
        keys = [future.key for future in client.futures_of(array)]
        failed = client.submit(fail_always)
        (data,) = client.scatter([np.arange(1000)])
        wait([client.submit(inc, 1), array, failed])
    with reopen() as cluster, Client(cluster) as client:
        future, again = cluster.future(key), cluster.future(key)
        assert future.result(timeout=60) == again.result(timeout=60) == 2
        assert future.done()
        assert [block.sum() for block in client.gather([cluster.future(k) for k in keys])] == [
            10
        ] * 4
        assert client.submit(inc, future).result(timeout=60) == 3
        assert cluster.future(data.key).result(timeout=60).sum() == 499_500
        with pytest.raises(FutureCancelledError, match="the run climate has no key 'never'"):
            cluster.future("never").result(timeout=60)
        with pytest.raises((ZeroDivisionError, KnotError)):
            cluster.future(failed.key).result(timeout=60)
        del future, again
        until(lambda: key not in cluster.scheduler.tasks)
        assert cluster.future(key).result(timeout=60) == 2


def test_a_graph_brings_a_key_that_was_recalled(reopen: Opener) -> None:
    with reopen() as cluster, Client(cluster) as client:
        key = client.submit(inc, 1).key
        assert client.submit(inc, 1).result() == 2
    with reopen() as cluster, Client(cluster) as client:
        recalled = cluster.future(key)
        asked = client.submit(inc, 1)
        assert asked.key == key
        assert client.gather([recalled, asked]) == [2, 2]
        variable, queue = Variable("v"), Queue("q")
        variable.set(recalled)
        queue.put(asked)
        del recalled, asked
        assert variable.get().result() == queue.get().result() == 2


def test_futures_of_dask_give_values_of_earlier_sessions(reopen: Opener) -> None:
    with reopen() as cluster, Client(cluster) as client:
        futures = client.map(inc, range(20))
        keys = [future.key for future in futures]
        failed = client.submit(fail_always)
        wait([*futures, failed])
    with reopen() as cluster, Client(cluster) as client:
        assert Future(keys[1], client).result(timeout=60) == 2
        assert client.gather([Future(key, client) for key in keys]) == [*range(1, 21)]
        done, not_done = wait([Future(key, client) for key in keys[:3]], timeout=60)
        assert (len(done), len(not_done)) == (3, 0)
        assert {future.key for future in as_completed([Future(keys[4], client)])} == {keys[4]}
        assert client.submit(inc, Future(keys[5], client)).result(timeout=60) == 7
        assert isinstance(Future(failed.key, client).exception(timeout=60), ZeroDivisionError)
        with pytest.raises(FutureCancelledError, match="the run climate has no key 'never'"):
            Future("never", client).result(timeout=60)
        with pytest.raises(FutureCancelledError):
            client.submit(inc, Future("nowhere", client)).result(timeout=60)
        called: list[object] = []
        Future(keys[6], client).add_done_callback(called.append)
        until(lambda: called)


def test_a_future_of_dask_waits_for_what_another_session_makes(
    reopen: Opener, tmp_path: Path
) -> None:
    file = tmp_path / "go"
    with (
        reopen() as one,
        reopen() as two,
        Client(one, set_as_default=False) as here,
        Client(two, set_as_default=False) as there,
    ):
        made = here.submit(wait_for, file)
        until(lambda: one.jobs.running)
        future = Future(made.key, there)
        until(lambda: made.key in two.scheduler.tasks)
        assert not future.done()
        file.write_text("made")
        assert future.result(timeout=60) == made.result(timeout=60) == "made"
        assert not own_jobs(two)


def test_only_what_others_make_of_a_key_is_asked_of_the_run(reopen: Opener) -> None:
    asked: list[object] = []
    with reopen() as cluster, Client(cluster) as client:
        key = client.submit(inc, 1).key
        assert client.submit(inc, 1).result(timeout=60) == 2
    with reopen() as cluster, Client(cluster) as client:
        handlers = cluster.scheduler.stream_handlers
        desire = handlers["client-desires-keys"]

        def listen(keys: list[object], client: str) -> None:
            asked.extend(keys)
            desire(keys, client)

        handlers["client-desires-keys"] = listen
        many = client.map(inc, range(1000))
        recalled = Future(key, client)  # one of them is the same work by another name
        array = da.ones(40, chunks=10).persist()
        scattered = client.scatter([1, 2])
        assert client.submit(sum, many).result(timeout=120) == sum(range(1, 1001))
        assert array.sum().compute() == 40
        assert client.submit(inc, scattered[0]).result(timeout=60) == 2
        assert recalled.result(timeout=60) == many[1].result(timeout=60) == 2
        assert asked == [key]


def test_results_of_all_sessions_are_listed(reopen: Opener) -> None:
    with reopen() as cluster, Client(cluster) as client:
        assert repr(cluster.results()) == "no results yet"
        wait([client.submit(inc, 1), client.submit(fail_always)])
    with reopen() as cluster, Client(cluster) as client:
        slow = client.submit(np.ones, 100_000)
        wait(slow)
        table = cluster.results()
        states = {str(row.key).partition("-")[0]: (row.state.value, row.type) for row in table}
        assert states == {
            "ones": ("stored", "numpy.ndarray"),
            "inc": ("stored", "int"),
            "fail_always": ("failed", ""),
        }
        assert table[0].nbytes >= 800_000
        assert [row.key for row in cluster.results("ones")] == [slow.key]
        assert "numpy.ndarray" in repr(table)
        assert "<td>stored</td>" in table._repr_html_()


def wait_after(values: list[int], file: Path) -> str:
    """Wait in the job that made some values."""
    return wait_for(file)


def test_what_a_job_has_made_before_it_was_left_is_there(reopen: Opener, tmp_path: Path) -> None:
    often = {"knot.local.news-interval": "10ms", "knot.part-interval": "10ms"}
    whole = {**often, "knot.local.shards-per-slot": 1}
    names = [f"quick-{n}" for n in range(4)]

    def kinds(cluster: KnotCluster) -> dict[str, str]:
        return {str(row.key): row.state.value for row in cluster.results()}

    with dask.config.set(whole), reopen(jobs=1) as cluster, Client(cluster) as client:
        quick = [dask.delayed(inc)(n, dask_key_name=name) for n, name in enumerate(names)]
        never = dask.delayed(wait_after)(quick, tmp_path / "never", dask_key_name="never")
        futures = client.compute([*quick, never])
        until(lambda: list(kinds(cluster).values()).count("stored") == 4)
        assert [row.size for row in cluster.jobs] == [1]  # else some of it was done, not left
        assert kinds(cluster)["never"] == "running"
        del futures
    with reopen() as cluster, Client(cluster) as client:
        assert kinds(cluster) == {**dict.fromkeys(names, "stored"), "never": "lost"}
        for number, name in enumerate(names):  # each is let go before the next is asked for
            assert cluster.future(name, client).result(timeout=60) == number + 1
        with pytest.raises(KnotError):
            cluster.future("never", client).result(timeout=60)
        assert own_jobs(cluster) == []


def test_a_run_without_a_name_has_no_list_of_results(cluster: KnotCluster) -> None:
    with pytest.raises(ConfigurationError, match=r"KnotCluster\(name="):
        cluster.results()


# Clients that leave, and clusters.


def test_what_a_client_asked_for_is_made_after_it_has_gone(reopen: Opener, tmp_path: Path) -> None:
    file = tmp_path / "go"
    with reopen() as cluster:
        with Client(cluster) as client:
            future = client.submit(wait_for, file)
            key = future.key
            until(lambda: cluster.jobs.running)
        with Client(cluster, set_as_default=True) as client:
            file.write_text("gone")
            assert cluster.future(key, client).result(timeout=60) == "gone"


def test_what_a_client_lets_go_of_is_not_needed(reopen: Opener, tmp_path: Path) -> None:
    with reopen() as cluster, Client(cluster) as client:
        future = client.submit(wait_for, tmp_path / "never")
        until(lambda: cluster.jobs.running)
        del future
        until(lambda: not cluster.jobs.running)
        cancelled = client.submit(wait_for, tmp_path / "never")
        until(lambda: cluster.jobs.running)
        client.cancel(cancelled)
        until(lambda: not cluster.jobs.running)


def test_leaving_keeps_what_was_made(reopen: Opener) -> None:
    cluster = reopen()
    with Client(cluster) as client:
        assert client.submit(inc, 5).result() == 6
        cluster.leave()
    with pytest.raises(EngineError, match="dask knot cancel climate"):
        cluster.end()
    with reopen() as cluster, Client(cluster) as client:
        assert client.submit(inc, 5).result() == 6
        assert not own_jobs(cluster)
        cluster.end()
        cluster.end()


def test_who_has_no_name_cannot_leave(open_cluster: Opener) -> None:
    cluster = open_cluster()
    with pytest.raises(ConfigurationError, match="no name, so nobody could come back"):
        cluster.leave()
    cluster.end()


def test_an_exception_leaves(reopen: Opener, caplog: pytest.LogCaptureFixture) -> None:
    def work() -> None:
        with reopen() as cluster, Client(cluster) as client:
            assert client.submit(inc, 5).result() == 6
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert "interrupted: the jobs of run" in caplog.text
    caplog.clear()
    with reopen() as cluster, Client(cluster) as client:
        assert [row.state.value for row in cluster.results()] == ["stored"]
        assert client.submit(inc, 6).result() == 7
    assert "interrupted" not in caplog.text  # Ctrl-C ended what it hit, not all that came later


def test_in_an_event_loop(tmp_path: Path) -> None:
    async def live() -> None:
        settings = {**SMALL, "name": "climate", "store": tmp_path / "store"}
        async with KnotCluster(asynchronous=True, **settings) as cluster:
            async with Client(cluster, asynchronous=True) as client:
                assert await client.submit(inc, 1) == 2
                await client.publish_dataset(x=client.submit(inc, 1))
            await cluster.leave()
        cluster = await KnotCluster(asynchronous=True, **settings)
        async with Client(cluster, asynchronous=True) as client:
            future = await client.get_dataset("x")
            assert await future == 2
            assert await Future(future.key, client) == 2
            (result,) = await cluster.results()
            assert await Future(result.key, client) == 2
            assert len(await cluster.results()) == 1
        await cluster.end()

    asyncio.run(live())


def test_a_client_that_shuts_down_ends(reopen: Opener) -> None:
    cluster = reopen()
    client = Client(cluster)
    client.shutdown()
    cluster.end()  # it isn't one that was left
    cluster = reopen()
    program = "import sys; from distributed import Client; Client(sys.argv[1]).shutdown()"
    command = [sys.executable, "-c", program, cluster.scheduler_address]
    subprocess.run(command, check=True, timeout=60)
    until(lambda: cluster.status.name == "closed")
    cluster.end()


# What is reused.


def test_what_there_is_already_is_foreseen_and_can_be_made_anew(reopen: Opener) -> None:
    total = dask.delayed(sum)([dask.delayed(inc)(n) for n in range(8)])
    with reopen() as cluster, Client(cluster):
        assert "0 of 9 tasks are there already" in repr(cluster.plan_of(total))
        assert total.compute() == 36
    with reopen() as cluster, Client(cluster):
        assert "9 of 9 tasks are there already" in repr(cluster.plan_of(total))
        assert total.compute() == 36
        assert not own_jobs(cluster)
    with reopen(reuse=False) as cluster, Client(cluster):
        assert "0 of 9 tasks are there already" in repr(cluster.plan_of(total))
        assert total.compute() == 36
        assert own_jobs(cluster)


def test_what_reads_scattered_values_is_known_by_their_content(reopen: Opener) -> None:
    for is_first in (True, False):
        with reopen() as cluster, Client(cluster) as client:
            (data,) = client.scatter([np.arange(1000)], hash=False)
            assert client.submit(np.sum, data, pure=False).result(timeout=60) == 499_500
            assert bool(own_jobs(cluster)) is is_first


def test_work_that_is_never_the_same_is_named(reopen: Opener) -> None:
    with reopen() as cluster, Client(cluster):
        drawn = repr(cluster.plan_of(dask.delayed(draw)()))
        assert "1 task can't be recognized in a later run, such as 'draw-" in drawn


def draw() -> float:
    """Draw a number."""
    return float(np.random.default_rng().random())


# A store that can only be read.


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Let nobody write into a folder, as far as that can be done here."""
    if os.geteuid():
        modes = {path: path.stat().st_mode for path in [folder, *folder.rglob("*")]}
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
        try:
            yield
        finally:
            for path, mode in modes.items():
                path.chmod(mode)
        return
    mount = ["mount", "--bind", str(folder), str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("nothing can be mounted here, and modes mean nothing to root")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_store_that_is_only_read(reopen: Opener, tmp_path: Path) -> None:
    with reopen() as cluster, Client(cluster) as client:
        key = client.submit(inc, 1).key
        client.publish_dataset(x=client.submit(inc, 1))
        assert client.submit(inc, 1).result() == 2
    with (
        read_only(tmp_path / "store"),
        dask.config.set({"knot.local.patience": "1s"}),
        reopen() as cluster,
        Client(cluster) as client,
    ):
        assert client.get_dataset("x").result(timeout=60) == 2
        assert cluster.future(key).result(timeout=60) == 2
        assert client.submit(inc, 1).result(timeout=60) == 2
        assert [row.key for row in cluster.results()] == [key]
        with pytest.raises(StoreError):
            client.submit(inc, 2).result(timeout=60)
        with pytest.raises(StoreError):
            client.publish_dataset(y=1)
        with pytest.raises(StoreError):
            client.scatter([1])
