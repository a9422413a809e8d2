"""What is cancelled, dropped or restarted ends, and leaves nothing: no job, process or object."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from dask import delayed
from distributed import CancelledError, Client, Future, wait

from dask_knot import KnotCluster
from dask_knot.dashboard.jobtable import ENDED
from tests import inside
from tests.end_to_end.conftest import SMALL, until
from tests.end_to_end.tasks import append, fail, flaky, inc, total, wait_for


def running(cluster: KnotCluster) -> int:
    """Count the children that run."""
    return sum(row.counts.get("RUNNING", 0) for row in cluster.jobs)


def unfinished(cluster: KnotCluster) -> int:
    """Count the children that may still do something."""
    return sum(n for row in cluster.jobs for state, n in row.counts.items() if state not in ENDED)


def objects(cluster: KnotCluster) -> list[str]:
    return inside.store(cluster).list(f"{cluster.name}/")


def is_clean(cluster: KnotCluster) -> bool:
    """Whether no job, object or record is left."""
    state = inside.records(cluster)
    records = state.keys or state.stages or state.drafts
    return not (records or objects(cluster) or unfinished(cluster))


def hold_machine(cluster: KnotCluster, client: Client, folder: Path) -> Future:
    """Run a job that ends never and needs all slots."""
    never = str(folder / "never")
    future = client.submit(wait_for, never, resources={"CPU": 2}, pure=False)
    until(lambda: running(cluster) == 1)
    return future


@pytest.mark.parametrize("force", [False, True])
def test_cancel(cluster: KnotCluster, client: Client, tmp_path: Path, force: bool) -> None:
    order = str(tmp_path / "order")
    busy = hold_machine(cluster, client, tmp_path)
    queued = client.map(append, [order] * 50, range(50), pure=False)
    after = client.submit(sum, queued, pure=False)
    client.cancel([*queued, after, busy], force=force)
    assert all(future.cancelled() for future in (busy, *queued, after))
    for future in (busy, after):
        with pytest.raises(CancelledError):
            future.result(timeout=10)
    until(lambda: is_clean(cluster))


def test_cancelled_keys_can_be_asked_for_again(
    cluster: KnotCluster, client: Client, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    first = client.submit(wait_for, str(gate))
    until(lambda: running(cluster))
    client.cancel(first)
    until(lambda: is_clean(cluster))
    gate.touch()
    again = client.submit(wait_for, str(gate))
    assert again.key == first.key
    assert again.result(timeout=30) == str(gate)


def test_cancelling_a_value_errs_nothing_that_has_it(client: Client) -> None:
    first = client.submit(inc, 1, pure=False)
    second = client.submit(inc, first, pure=False)
    assert second.result(timeout=30) == 3
    client.cancel(second)
    assert first.result(timeout=30) == 2


def test_cancelling_what_others_read_cancels_them(
    cluster: KnotCluster, client: Client, tmp_path: Path
) -> None:
    gate = client.submit(wait_for, str(tmp_path / "never"))
    after = client.submit(inc, gate)
    client.cancel(gate, force=True)
    until(after.done)
    with pytest.raises(CancelledError):
        after.result(timeout=10)
    del gate, after
    until(lambda: is_clean(cluster))


def test_dropped_futures(cluster: KnotCluster, client: Client, tmp_path: Path) -> None:
    order = str(tmp_path / "order")
    busy = hold_machine(cluster, client, tmp_path)
    queued = client.map(append, [order] * 50, range(50), pure=False)
    until(lambda: unfinished(cluster) > 1)
    del queued
    until(lambda: unfinished(cluster) == 1)
    del busy
    until(lambda: is_clean(cluster))
    assert not Path(order).exists()


def test_what_failed_leaves_nothing(cluster: KnotCluster, client: Client, tmp_path: Path) -> None:
    futures = client.map(fail, range(20), pure=False)
    more = client.map(inc, futures, pure=False)
    good = client.submit(bytes, 200_000, pure=False)
    tried = client.submit(flaky, str(tmp_path), 1, retries=1, pure=False)
    wait([*futures, *more, good, tried], timeout=60)
    assert {future.status for future in (*more, tried)} == {"error"}
    del futures, more, good, tried
    until(lambda: is_clean(cluster))


@pytest.mark.filterwarnings("ignore:Sending large graph:UserWarning")
def test_large_constants_of_what_is_cancelled(
    cluster: KnotCluster, client: Client, tmp_path: Path
) -> None:
    import numpy as np

    big = np.random.default_rng().random(100_000)
    gate = delayed(wait_for)(str(tmp_path / "never"))
    future = client.compute(delayed(total)([big, gate]))
    until(lambda: running(cluster))
    assert any("/constants/" in name for name in objects(cluster))
    client.cancel(future)
    until(lambda: is_clean(cluster))


def test_values_go_one_by_one(cluster: KnotCluster, client: Client) -> None:
    futures = [client.submit(bytes, 200_000 + n, pure=False) for n in range(3)]
    wait(futures)
    before = len([name for name in objects(cluster) if "/data/" in name])
    assert before >= 1
    while futures:
        futures.pop()
        assert [len(future.result(timeout=30)) for future in futures] == [
            200_000 + n for n in range(len(futures))
        ]
    until(lambda: is_clean(cluster))


def test_another_client_keeps_its_keys(cluster: KnotCluster, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with Client(cluster.scheduler_address, set_as_default=False) as two:
        with Client(cluster.scheduler_address, set_as_default=False) as one:
            mine = [one.submit(wait_for, str(gate)), one.submit(bytes, 150_000)]
            theirs = [two.submit(wait_for, str(gate)), two.submit(bytes, 150_000)]
            alone = one.submit(wait_for, str(tmp_path / "never"))
            until(lambda: running(cluster))
            tasks = cluster.scheduler.tasks
            until(
                lambda: all(
                    t.key in tasks and len(tasks[t.key].who_wants or ()) == 2 for t in theirs
                )
            )
            one.cancel(mine)
            assert mine[0].cancelled()
            del alone
        # The first client has closed by now.
        gate.touch()
        assert theirs[0].result(timeout=30) == str(gate)
        assert len(theirs[1].result(timeout=30)) == 150_000
        theirs.clear()
        until(lambda: is_clean(cluster))


def test_a_client_that_closes_with_futures_alive(cluster: KnotCluster, tmp_path: Path) -> None:
    with Client(cluster.scheduler_address, set_as_default=False) as client:
        done = client.submit(bytes, 150_000, pure=False)
        done.result()
        never = client.map(wait_for, [str(tmp_path / "never")] * 3, pure=False)
        scattered = client.scatter(b"x" * 1000)
        until(lambda: running(cluster))
    assert {future.status for future in (done, scattered, *never)} == {"cancelled"}
    until(lambda: is_clean(cluster))


def test_restart(cluster: KnotCluster, client: Client, tmp_path: Path) -> None:
    done = client.submit(bytes, 150_000, pure=False)
    bad = client.submit(fail, 1, pure=False)
    wait([done, bad])
    never = client.map(wait_for, [str(tmp_path / "never")] * 4, pure=False)
    scattered = client.scatter(b"x" * 1000)
    until(lambda: running(cluster))
    client.restart(timeout=30)
    futures: list[Future] = [done, bad, scattered, *never]
    until(lambda: {future.status for future in futures} == {"cancelled"})
    with pytest.raises(CancelledError):
        never[0].result(timeout=10)
    assert client.submit(inc, 1).result(timeout=30) == 2
    assert client.gather(client.map(inc, range(20))) == list(range(1, 21))
    until(lambda: is_clean(cluster))


def test_what_is_asked_for_right_after_a_restart(client: Client) -> None:
    for number in range(5):
        client.restart(timeout=30)
        assert client.submit(inc, number).result(timeout=30) == number + 1


class Slow:
    """Takes its time to be unpickled: the scheduler opens its graph for so long."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_slowly, (self.folder,)


def _open_slowly(folder: str) -> str:
    (Path(folder) / "started").touch()
    return wait_for(f"{folder}/gate")


def test_restart_while_a_graph_is_opened(
    cluster: KnotCluster, client: Client, tmp_path: Path
) -> None:
    future = client.submit(len, Slow(tmp_path), pure=False)
    until((tmp_path / "started").exists)
    client.restart(timeout=30)
    (tmp_path / "gate").touch()
    until(future.cancelled)
    assert client.submit(inc, 1).result(timeout=30) == 2
    until(lambda: is_clean(cluster))


def descendants() -> set[int]:
    return {process.pid for process in psutil.Process().children(recursive=True)}


def files(folder: Path) -> list[str]:
    return [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names]


@pytest.mark.parametrize("what", ["in flight", "cancel", "restart", "failed", "client closed"])
def test_close(tmp_path: Path, what: str) -> None:
    known = descendants()
    folder = tmp_path / "store"
    with KnotCluster(**SMALL, store=str(folder)) as cluster:
        client = Client(cluster)
        stored = [client.submit(bytes, 150_000), client.scatter(b"x" * 1000)]
        bad = client.submit(fail, 1)
        wait([*stored, bad])
        never = client.map(wait_for, [str(tmp_path / "never")] * 9, pure=False)
        until(lambda: running(cluster))
        assert files(folder)
        DOINGS[what](client, never)
        if what == "in flight":
            cluster.close()
        client.close()
    left = [name for name in files(folder) if "_costs" not in Path(name).parts]
    assert left == []  # but what its tasks have cost, which is for later ones
    until(lambda: descendants() <= known)


DOINGS: dict[str, Callable[[Client, list[Future]], Any]] = {
    "in flight": lambda client, futures: None,
    "cancel": lambda client, futures: client.cancel(futures),
    "restart": lambda client, futures: client.restart(timeout=30),
    "failed": lambda client, futures: futures.clear(),
    "client closed": lambda client, futures: client.close(),
}


def linger(folder: str, name: str) -> str:
    """Say which process this is, and wait until a file is there."""
    path = Path(folder) / f"{name}.pid"
    path.with_suffix(".partial").write_text(str(os.getpid()))
    path.with_suffix(".partial").rename(path)
    return wait_for(f"{folder}/{name}.gate")


def test_a_child_that_nobody_needs_ends_while_its_array_runs(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    with Client(open_cluster(part_interval=0.1)) as client:
        cluster = client.cluster
        needed, dropped = client.map(linger, [str(tmp_path)] * 2, ["a", "b"], pure=False)
        dependent = client.submit(len, needed)
        until(lambda: len(list(tmp_path.glob("*.pid"))) == 2)
        assert [job.size for job in inside.service(cluster).jobs.values()][:1] == [2]
        pids = {name: int((tmp_path / f"{name}.pid").read_text()) for name in "ab"}
        client.cancel(dropped)
        until(lambda: not psutil.pid_exists(pids["b"]))
        assert psutil.pid_exists(pids["a"])
        (tmp_path / "a.gate").touch()
        assert dependent.result(timeout=60) == len(needed.result(timeout=60))
        del needed, dropped, dependent
        until(lambda: is_clean(cluster))
