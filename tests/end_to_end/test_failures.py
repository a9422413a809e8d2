"""Whatever goes wrong ends as a typed error on exactly the futures concerned."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, Future, wait

from dask_knot import KnotCluster
from dask_knot.errors import (
    JobMemoryError,
    JobTimeoutError,
    KilledTaskError,
    NotLoadedError,
    UnsupportedGraphError,
)
from tests import inside
from tests.end_to_end.tasks import (
    count_call,
    exit_at,
    fail,
    fill_memory_at,
    inc,
    kill_at,
    wait_for,
)


def statuses(futures: list[Future]) -> list[str]:
    wait(futures, timeout=60)
    return [future.status for future in futures]


def test_a_task_that_raises(client: Client) -> None:
    future = client.submit(fail, 7)
    dependent = client.submit(inc, future)
    other = client.submit(inc, 1)
    for bad in (future, dependent):
        with pytest.raises(ValueError, match="cannot use 7") as caught:
            bad.result(timeout=30)
    assert other.result(timeout=30) == 2
    assert any("tasks.py" in str(entry.path) for entry in caught.traceback)


def test_what_a_failed_task_printed_comes_along(client: Client) -> None:
    error = client.submit(fail, 8).exception(timeout=30)
    notes = getattr(error, "__notes__", ["before the failure"])  # Python 3.10 has no notes
    assert "before the failure" in notes[0]


def test_one_bad_task_among_many(client: Client) -> None:
    futures = client.map(lambda n: 1 // (n - 50), range(100))
    assert statuses(futures) == ["error" if n == 50 else "finished" for n in range(100)]


@pytest.mark.parametrize(
    ("task", "error", "text"),
    [
        (exit_at, KilledTaskError, "exit code 3"),
        (kill_at, KilledTaskError, "signal 9"),
        (fill_memory_at, JobMemoryError, "more memory than allowed"),
    ],
)
def test_a_task_that_ends_its_process(
    client: Client, task: Callable[..., int], error: type[Exception], text: str
) -> None:
    futures = client.map(task, range(20), at=7)
    assert statuses(futures) == ["error" if n == 7 else "finished" for n in range(20)]
    with pytest.raises(error, match=text) as caught:
        futures[7].result()
    assert futures[7].key in str(caught.value)


def test_what_depends_on_a_killed_task(client: Client) -> None:
    first = client.map(exit_at, range(6), at=2, pure=False)
    second = client.map(inc, first)
    assert statuses(second) == ["error" if n == 2 else "finished" for n in range(6)]
    with pytest.raises(KilledTaskError):
        second[2].result()


def test_a_killed_task_inside_a_graph(client: Client) -> None:
    from dask import delayed

    parts = [delayed(exit_at)(n, at=5) for n in range(12)]
    good = delayed(sum)(parts[:5])
    bad = delayed(sum)(parts)
    good, bad = client.compute([good, bad])
    assert good.result(timeout=60) == 10
    with pytest.raises(KilledTaskError):
        bad.result(timeout=60)


def test_exiting_with_code_zero_is_no_success(client: Client) -> None:
    def leave() -> None:
        import os

        os._exit(0)

    with pytest.raises(KilledTaskError, match="exit code 0"):
        client.submit(leave).result(timeout=30)


def test_system_exit(client: Client) -> None:
    def leave() -> None:
        raise SystemExit(4)

    with pytest.raises(KilledTaskError, match="SystemExit"):
        client.submit(leave).result(timeout=30)


def test_a_job_that_takes_too_long(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster()
    client_of_batch: Any = inside.batch(cluster)
    client_of_batch._minimum_timeout = 0  # Batch's own shortest time is a minute
    inside.records(cluster).default = _with_timeout(inside.session(cluster).size, 1)
    with Client(cluster) as client:
        with pytest.raises(JobTimeoutError, match="timeout"):
            client.submit(wait_for, "/nonexistent").result(timeout=60)
        assert client.submit(inc, 1).result(timeout=30) == 2


def _with_timeout(resources: Any, seconds: float) -> Any:
    from dataclasses import replace

    return replace(resources, timeout=seconds)


def test_a_result_that_cant_be_pickled(client: Client) -> None:
    with pytest.raises(TypeError, match="can't leave its job"):
        client.submit(threading.Lock).result(timeout=30)


@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_an_argument_that_cant_be_pickled(client: Client) -> None:
    with pytest.raises(TypeError, match=r"[Cc]ould not serialize|pickle"):
        client.submit(id, threading.Lock())


def stored_files(cluster: KnotCluster, folder: str) -> list[Path]:
    root = Path(inside.store(cluster).url.removeprefix("file://"))
    return [path for path in (root / cluster.name / folder).rglob("*") if path.is_file()]


def test_a_damaged_object(open_cluster: Callable[..., KnotCluster]) -> None:
    cluster = open_cluster()
    with Client(cluster) as client:
        large = client.submit(bytes, 200_000)
        small = client.submit(inc, 1)
        wait([large, small])
        (stored,) = stored_files(cluster, "data")
        stored.write_bytes(b"\1" + stored.read_bytes()[1:-1] + b"\1")
        assert client.submit(len, large).result(timeout=60) == 200_000
        assert len(large.result(timeout=60)) == 200_000
        assert small.result() == 2


class Unloadable:
    """Can be pickled, but raises where it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _only_here, (os.getpid(),)

    def __call__(self) -> int:
        return 1


def _only_here(pid: int) -> Unloadable:
    if pid != os.getpid():
        raise ImportError("No module named 'only_on_the_laptop'")
    return Unloadable()


def test_a_task_that_cant_be_unpickled_in_a_job(client: Client) -> None:
    from dask import delayed

    parts = [delayed(inc)(n) for n in range(10)]
    futures = client.compute([*parts, delayed(Unloadable())(), delayed(inc)(10)])
    assert statuses(futures) == ["finished"] * 10 + ["error", "finished"]
    with pytest.raises(NotLoadedError, match="only_on_the_laptop"):
        futures[10].result()


def test_actors_are_refused(client: Client) -> None:
    with pytest.raises(UnsupportedGraphError, match="actors need a worker that stays"):
        client.submit(dict, actor=True).result(timeout=30)


def test_a_p2p_graph_that_comes_anyway_is_refused(client: Client) -> None:
    import dask
    import dask.array as da

    with dask.config.set({"array.rechunk.method": "p2p"}):
        x = da.ones((40, 40), chunks=(40, 4)).rechunk((4, 40)).sum()
        with pytest.raises(UnsupportedGraphError, match="live workers"):
            client.compute(x, optimize_graph=True).result(timeout=30)


def test_unknown_resources_are_refused(client: Client) -> None:
    with pytest.raises(UnsupportedGraphError, match="FOO"):
        client.submit(inc, 1, resources={"FOO": 1}, pure=False).result(timeout=30)


def test_retry_runs_a_task_again(client: Client, tmp_path: Path) -> None:
    def work_the_second_time(folder: str) -> int:
        count_call(folder, 0)
        if len((Path(folder) / "0").read_text()) < 2:
            raise OSError("not yet")
        return 5

    future = client.submit(work_the_second_time, str(tmp_path))
    with pytest.raises(OSError, match="not yet"):
        future.result(timeout=30)
    future.retry()
    assert future.result(timeout=30) == 5


def test_retries(client: Client, tmp_path: Path) -> None:
    def work_the_third_time(folder: str) -> int:
        count_call(folder, 0)
        if len((Path(folder) / "0").read_text()) < 3:
            raise OSError("not yet")
        return 5

    assert client.submit(work_the_third_time, str(tmp_path), retries=5).result(timeout=30) == 5
    assert (tmp_path / "0").read_text() == "xxx"
