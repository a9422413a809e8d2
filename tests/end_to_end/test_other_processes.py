"""Other processes, threads and event loops beside the one that opened a cluster; its many ends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path

import dask
import dask.array as da
import numpy as np
import pytest
from distributed import Client, Security, Variable

from dask_knot import KnotCluster
from dask_knot.errors import EngineError
from tests import inside
from tests.end_to_end.conftest import SMALL, until
from tests.end_to_end.tasks import inc, wait_for

ROOT = Path(__file__).parents[2]


def run(program: str, *arguments: str) -> str:
    """Run a program to its end, which must be a good and quiet one; give what it prints."""
    done = finish(program, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.strip()


def finish(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
        capture_output=True,
        text=True,
        timeout=100,
    )


SECOND = """
import sys
import numpy as np
from distributed import Client, Variable, wait
from tests.end_to_end.tasks import inc

with Client(sys.argv[1]) as client:
    print(client.get_dataset("numbers").sum().compute())
    theirs = Variable("theirs").get()
    print(theirs.result(), client.gather([theirs]), client.submit(inc, theirs).result())
    print(client.get_dataset("scattered").result().sum())
    mine = client.scatter(np.arange(100_000))
    total = client.submit(np.sum, mine)
    client.publish_dataset(mine=mine, total=total)
    wait(total)
"""


def test_a_second_process_shares_data(cluster: KnotCluster, client: Client) -> None:
    numbers = da.arange(100, chunks=10).persist()
    theirs = client.submit(inc, 41)
    Variable("theirs").set(theirs)
    client.publish_dataset(numbers=numbers, scattered=client.scatter(np.ones(10)))
    assert run(SECOND, cluster.scheduler_address).splitlines() == ["4950", "42 [42] 43", "10.0"]
    assert client.get_dataset("total").result() == sum(range(100_000))
    assert client.get_dataset("mine").result().shape == (100_000,)
    assert client.submit(sum, [client.get_dataset("total"), theirs]).result() == 4999950042
    assert list(client.list_datasets()) == ["mine", "numbers", "scattered", "total"]
    for name in client.list_datasets():
        client.unpublish_dataset(name)
    Variable("theirs").delete()


def test_another_process_ends_the_cluster(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster()
    program = "import sys; from distributed import Client; Client(sys.argv[1]).shutdown()"
    run(program, cluster.scheduler_address)
    until(lambda: cluster.status.name == "closed")
    until(lambda: not Path(inside.engine(cluster)._folder).exists())


def test_async_cluster_and_client() -> None:
    async def work() -> None:
        async with (
            KnotCluster(**SMALL, asynchronous=True) as cluster,
            Client(cluster, asynchronous=True) as client,
        ):
            futures = client.map(inc, range(10))
            assert await client.gather(futures) == list(range(1, 11))
            assert await client.submit(sum, futures) == 55
            data = await client.scatter([1, 2])
            assert await client.gather(data) == [1, 2]
            x = await client.compute(da.arange(100, chunks=10).sum())
            assert x == 4950
            assert cluster.jobs[-1].size
            assert any(await cluster.get_logs())

    asyncio.run(work())


def test_many_async_clusters_one_after_the_other() -> None:
    async def work(value: int) -> int:
        async with (
            KnotCluster(**SMALL, asynchronous=True) as cluster,
            Client(cluster, asynchronous=True, set_as_default=False) as client,
        ):
            return await client.submit(inc, value)

    async def both() -> list[int]:
        return await asyncio.gather(work(1), work(2))

    assert asyncio.run(both()) == [2, 3]
    assert asyncio.run(work(5)) == 6


@pytest.mark.parametrize("security", [True, "own"])
def test_tls(open_cluster: Callable[..., KnotCluster], security: bool | str) -> None:
    own = Security.temporary() if security == "own" else True
    cluster = open_cluster(security=own)
    assert cluster.scheduler_address.startswith("tls://127.0.0.1:")
    with Client(cluster) as client:
        assert client.gather(client.map(inc, range(10))) == list(range(1, 11))
        assert client.scatter(b"x" * 100_000).result() == b"x" * 100_000
    with pytest.raises(OSError, match=r"reset|closed|after 2 s"):
        connect(cluster.scheduler_address.replace("tls", "tcp"))


def connect(address: str) -> None:
    async def connected() -> None:
        async with Client(address, asynchronous=True, timeout=2):
            pass

    asyncio.run(connected())


def test_two_clusters_with_interleaved_work(open_cluster: Callable[..., KnotCluster]) -> None:
    before = dask.config.get("array.rechunk.method", None)
    one, two = open_cluster(jobs=1), open_cluster(jobs=1)
    first, second = Client(one, set_as_default=False), Client(two, set_as_default=False)
    pairs = [(first.submit(inc, n), second.submit(inc, -n)) for n in range(5)]
    assert [(a.result(), b.result()) for a, b in pairs] == [(n + 1, 1 - n) for n in range(5)]
    first.close()
    one.close()
    assert dask.config.get("array.rechunk.method") == "tasks"
    assert second.submit(inc, 100).result() == 101
    second.close()
    two.close()
    assert dask.config.get("array.rechunk.method", None) == before


def test_beside_a_local_cluster(client: Client, threads_client: Client) -> None:
    assert client.submit(inc, 1).result() == threads_client.submit(inc, 1).result() == 2


def test_in_a_running_event_loop() -> None:
    """A notebook's cells run inside an event loop, and use clusters without `await`."""

    async def cell() -> int:
        with KnotCluster(**SMALL) as cluster, Client(cluster) as client:
            cluster.scale(3)
            client.wait_for_workers(3)
            assert cluster._repr_html_()
            total = client.submit(sum, client.map(inc, range(10)))
            return int(total.result())

    assert asyncio.run(cell()) == 55


FORK = """
import os, sys, time, warnings
from distributed import Client
from dask_knot import KnotCluster
from tests.end_to_end.tasks import inc, wait_for

def fork(end):
    with warnings.catch_warnings():
        # Python 3.12 warns of forks of processes with threads, as Dask's clients have.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        end()
    assert os.waitpid(pid, 0)[1] == 0

def work_in_fork():
    try:
        cluster.scale(3)
    except Exception as error:
        assert "is a fork" in str(error), error
    cluster.close()
    client.close()
    os._exit(0)

if __name__ == "__main__":
    with KnotCluster(jobs=2, memory="1 GiB", dashboard_address=None) as cluster:
        with Client(cluster) as client:
            gate = sys.argv[1]
            futures = client.map(wait_for, [gate, gate], pure=False)
            for end in (sys.exit, lambda: os._exit(0), work_in_fork):
                fork(end)
            open(gate, "w").close()
            assert client.gather(futures) == [gate, gate]
            assert client.submit(inc, 1).result() == 2
            assert os.path.isdir(cluster.scheduler.local_directory)
    fork(sys.exit)
    print("done")
"""


def test_forks_leave_the_cluster_be(tmp_path: Path) -> None:
    assert run(FORK, str(tmp_path / "gate")) == "done"


UNCLOSED = """
from distributed import Client
from dask_knot import KnotCluster
from tests import inside
from tests.end_to_end.tasks import inc, wait_for

client = Client(KnotCluster(jobs=1, memory="1 GiB", dashboard_address=None))
done = client.submit(inc, 1)
print(inside.engine(client.cluster)._folder, done.result())
running = client.map(wait_for, ["/never/there"] * 2, pure=False)
"""


def test_a_program_that_ends_without_closing() -> None:
    folder, result = run(UNCLOSED).split()
    assert result == "2"
    assert not Path(folder).exists()


def test_a_cluster_that_nobody_holds_ends_with_the_program() -> None:
    program = UNCLOSED + "\ndel client, done, running\nimport gc; gc.collect()"
    folder, _ = run(program).split()
    assert not Path(folder).exists()


INTERRUPTED = """
import os, signal, threading
from distributed import Client
from dask_knot import KnotCluster
from tests.end_to_end.tasks import inc, wait_for

signal.signal(signal.SIGINT, signal.default_int_handler)  # behind a shell's `&` it is ignored
with (
    KnotCluster(jobs=3, memory="1 GiB", dashboard_address=None) as cluster,
    Client(cluster) as client,
):
    futures = client.map(wait_for, ["/never/there"] * 2, pure=False)
    while not cluster.observed:
        pass
    try:
        # As Ctrl-C in a terminal, to the program and to all that it has started.
        threading.Timer(0.1, os.killpg, (0, signal.SIGINT)).start()
        client.gather(futures)
    except KeyboardInterrupt:
        print(client.submit(inc, 1).result())
"""


def test_an_interrupt_while_waiting() -> None:
    done = finish(INTERRUPTED)  # Dask complains of the tasks of its interrupted `gather`
    assert (done.returncode, done.stdout.strip()) == (0, "2"), done.stderr
    assert "fork server" not in done.stderr


def test_a_block_that_raises_closes_the_cluster() -> None:
    def work() -> None:
        with KnotCluster(**SMALL) as cluster, Client(cluster) as client:
            opened.append(cluster)
            futures = client.map(wait_for, ["/never/there"] * 4, pure=False)
            until(lambda: cluster.observed)
            raise ZeroDivisionError(str(futures))

    opened: list[KnotCluster] = []
    with pytest.raises(ZeroDivisionError):
        work()
    assert opened[0].status.name == "closed"


@pytest.fixture
def closed() -> KnotCluster:
    """Give a cluster that was closed."""
    with KnotCluster(**SMALL) as cluster, Client(cluster) as client:
        client.submit(inc, 1).result()
    return cluster


def test_use_after_close(closed: KnotCluster) -> None:
    def enter() -> None:
        with closed:
            pass

    for use in (
        lambda: closed.scale(3),
        lambda: closed.adapt(maximum=3),
        lambda: closed.logs("a-key"),
        closed.get_logs,
        enter,
    ):
        with pytest.raises(EngineError, match="is closed: make a new one"):
            use()
    assert [row.size for row in closed.jobs] == [1]
    assert closed.name in repr(closed)
    assert closed._repr_html_()
    closed.close()


def test_a_client_of_a_closed_cluster(closed: KnotCluster) -> None:
    with pytest.raises(OSError, match="after 2 s"):
        connect(closed.scheduler_address)


def test_closing_from_several_threads(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster()
    with Client(cluster) as client:
        futures = client.map(wait_for, ["/never/there"] * 4, pure=False)
        until(lambda: cluster.observed)
        with ThreadPoolExecutor(4) as pool:
            closing = [pool.submit(cluster.close) for _ in range(4)]
            assert [one.result(timeout=30) for one in closing] == [None] * 4
        assert cluster.status.name == "closed"
        assert not Path(inside.engine(cluster)._folder).exists()
        del futures


def test_who_waits_for_a_result_learns_of_the_end(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster()
    with Client(cluster) as client, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.submit(wait_for, "/never/there").result)
        until(lambda: cluster.observed)
        cluster.close()
        with pytest.raises((CancelledError, OSError, RuntimeError)):
            waiting.result(timeout=30)
