"""A store that is full, read-only or away for less than `patience` fails no graph."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import numpy as np
import pytest
from dask import delayed
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.errors import StoreError
from tests import inside
from tests.end_to_end.conftest import until
from tests.end_to_end.tasks import inc

#: Seconds of trouble: jobs and client try again after a twentieth, a tenth, a fifth...
A_WHILE = 1.0


@contextmanager
def away(folder: Path) -> Iterator[None]:
    """Take a folder away, as when a disk isn't mounted, and put it back."""
    hidden = folder.rename(folder.with_name("hidden"))
    yield
    hidden.rename(folder)


@contextmanager
def unwritable(folder: Path) -> Iterator[None]:
    """Let nothing be written below a run: root may write where others may not."""
    (run,) = (found for found in folder.iterdir() if found.is_dir())
    hidden = {}
    for name in ("packs", "data", "manifests", "constants", "scattered"):
        if (run / name).exists():
            hidden[name] = (run / name).rename(folder.with_name(f"hidden-{name}"))
        (run / name).write_text("a file stands where a folder should be")
    yield
    for name in ("packs", "data", "manifests", "constants", "scattered"):
        (run / name).unlink()
        if name in hidden:
            hidden[name].rename(run / name)


Trouble = Callable[[Path], "contextmanager[None]"]


def folder_of(cluster: KnotCluster) -> Path:
    """Give the folder of the store."""
    return Path(inside.store(cluster).url.removeprefix("file://"))


@contextmanager
def for_a_while(trouble: Trouble, folder: Path) -> Iterator[None]:
    """Begin with the trouble, and end it while what is inside goes on."""
    made = trouble(folder)
    made.__enter__()  # type: ignore[attr-defined]
    end = threading.Timer(A_WHILE, made.__exit__, [None, None, None])  # type: ignore[attr-defined]
    end.start()
    yield
    end.join()


@pytest.mark.parametrize("trouble", [away, unwritable])
def test_graphs_go_on(cluster: KnotCluster, client: Client, trouble: Trouble) -> None:
    assert client.submit(inc, 1, pure=False).result(timeout=60) == 2
    kept = client.submit(np.ones, 50_000, pure=False)
    assert kept.result(timeout=60).sum() == 50_000
    with for_a_while(trouble, folder_of(cluster)):
        parts = [delayed(np.full)(50_000, n) for n in range(4)]
        total = client.compute(delayed(sum)([part.sum() for part in parts]))
        read = client.submit(np.sum, kept, pure=False)
        (data,) = client.scatter([np.arange(100_000)])
        longest = client.submit(len, data, pure=False)
        futures = client.map(lambda n, table: int(table[n]), range(3), table=np.arange(90_000))
        assert total.result(timeout=60) == 6 * 50_000
        assert read.result(timeout=60) == 50_000
        assert longest.result(timeout=60) == 100_000
        assert client.gather(futures) == [0, 1, 2]


@pytest.mark.parametrize("trouble", [away, unwritable])
def test_jobs_under_way_go_on(cluster: KnotCluster, client: Client, trouble: Trouble) -> None:
    started = folder_of(cluster).with_name("started")
    go_on = folder_of(cluster).with_name("go-on")

    def work(n: int) -> np.ndarray:
        import time

        started.touch()
        while not go_on.exists():
            time.sleep(0.01)
        return np.full(50_000, n)

    futures = client.map(work, range(4), pure=False)
    total = client.submit(lambda parts: float(sum(part.sum() for part in parts)), futures)
    while not started.exists():
        assert futures[0].status == "pending"
    with for_a_while(trouble, folder_of(cluster)):
        go_on.touch()
        assert total.result(timeout=60) == 6 * 50_000
        assert [int(value[0]) for value in client.gather(futures)] == [0, 1, 2, 3]
    started.unlink()
    go_on.unlink()


def test_jobs_that_go_on_are_waited_for_however_long_that_takes(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    started, go_on = tmp_path / "started", tmp_path / "go-on"

    def work() -> int:
        import time

        started.touch()
        while not go_on.exists():
            time.sleep(0.01)
        return 7

    with dask.config.set({"knot.local.patience": 0.1}):
        cluster = open_cluster()
    with Client(cluster) as client:
        future = client.submit(work)
        while not started.exists():
            assert future.status == "pending"
        with away(folder_of(cluster)):
            until(
                lambda: any(
                    "jobs can't be watched" in line for _, line in cluster._cluster_manager_logs
                )
            )
            with pytest.raises(TimeoutError):
                future.result(timeout=1.5)
        go_on.touch()
        assert future.result(timeout=60) == 7


def test_who_waits_for_a_folder_that_is_gone_for_good_is_told_when_its_jobs_are_over(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    started, go_on = tmp_path / "started", tmp_path / "go-on"

    def work() -> None:
        import os
        import time

        started.touch()
        while not go_on.exists():
            time.sleep(0.01)
        os._exit(1)

    with dask.config.set({"knot.local.patience": 0.3}):
        cluster = open_cluster()
    with Client(cluster) as client:
        future = client.submit(work)
        while not started.exists():
            assert future.status == "pending"
        with away(folder_of(cluster)):
            with pytest.raises(TimeoutError):
                future.result(timeout=1.5)
            go_on.touch()
            with pytest.raises(StoreError, match="mount it again"):
                future.result(timeout=60)


def test_nothing_stays_when_the_store_is_away_while_the_cluster_closes(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    cluster = open_cluster(store=str(tmp_path / "store"))
    with Client(cluster) as client:
        kept = client.submit(inc, 1)
        assert kept.result(timeout=60) == 2
        with for_a_while(away, folder_of(cluster)):
            cluster.close()
    # But what tasks cost, for the next run in the store.
    assert {path.name for path in (tmp_path / "store").iterdir()} <= {"_costs"}


def test_what_lasts_is_told_with_its_cause(open_cluster: Callable[..., KnotCluster]) -> None:
    with dask.config.set({"knot.local.patience": 0.3}):
        cluster = open_cluster()
    with Client(cluster) as client:
        assert client.submit(inc, 1).result(timeout=60) == 2
        with unwritable(folder_of(cluster)):
            first = client.submit(inc, 2)
            second = client.submit(sum, [first, client.submit(inc, 3)])
            for future in (first, second):
                with pytest.raises(StoreError, match=r"(Not a directory|Unable to)") as caught:
                    future.result(timeout=60)
                assert "Spot" not in str(caught.value)
                assert "has no job" not in str(caught.value)
        assert client.submit(inc, 4).result(timeout=60) == 5
