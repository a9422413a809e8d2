"""Tasks that need more memory than their job has: they get it, once it is known."""

from __future__ import annotations

import os
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from dask import delayed
from distributed import Client

from dask_knot import KnotCluster
from dask_knot.errors import JobMemoryError

MIB = 2**20
#: A process that runs tasks has less than half of it before they begin.
JOB = {"memory": "256 MiB", "max_memory": None}


def hold(n: int, mebibytes: int, folder: str) -> int:
    """Note that it runs, and have so much memory for a moment."""
    Path(folder, f"{n}-{uuid.uuid4().hex}").touch()
    held = bytearray(os.urandom(4096)) * (mebibytes * MIB // 4096)
    time.sleep(0.5 if mebibytes else 0.0)  # memory is looked at ten times a second
    return n + 0 * len(held)


def runs(folder: Path) -> Counter[int]:
    """Count how often each task began."""
    return Counter(int(path.name.partition("-")[0]) for path in folder.iterdir())


def test_a_task_of_one_and_a_half_gibibytes_in_a_job_of_one(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    cluster = open_cluster(memory="1 GiB", max_memory="2 GiB")
    with Client(cluster) as client:
        futures = [client.submit(hold, n, 1536 * (n == 3), str(tmp_path)) for n in range(8)]
        assert client.gather(futures) == list(range(8))
    ran = runs(tmp_path)
    assert ran[3] == 2
    # The others have two tasks for each of two slots, so the lost one had two at most.
    assert sum(ran.values()) - len(ran) <= 2
    (text,) = [one.text for one in cluster.decisions if "memory" in one.text]
    assert "'hold' ran out of memory with 1.00 GiB" in text


def test_tasks_that_come_later_have_it_at_once(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    with Client(open_cluster(**JOB)) as client:
        assert client.submit(hold, 0, 300, str(tmp_path)).result() == 0
        assert client.gather(client.map(hold, range(1, 4), mebibytes=300, folder=str(tmp_path)))
    assert runs(tmp_path) == {0: 2, 1: 1, 2: 1, 3: 1}


@pytest.mark.parametrize("name", [None, "remembered"])
def test_later_sessions_begin_with_it(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path, name: str | None
) -> None:
    folder, store = tmp_path / "ran", tmp_path / "store"
    folder.mkdir(), store.mkdir()
    settings: dict[str, Any] = {**JOB, "store": store, "name": name}
    for n in range(2):
        cluster = open_cluster(**settings)
        with Client(cluster) as client:
            assert client.compute(delayed(hold)(n, 300, str(folder))).result() == n
        cluster.close()
    assert runs(folder) == {0: 2, 1: 1}


def test_what_is_never_enough_errs_and_says_what_was_tried(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    with Client(open_cluster(**{**JOB, "max_memory": "400 MiB"})) as client:
        bad = client.submit(hold, 0, 900, str(tmp_path))
        with pytest.raises(JobMemoryError, match=r"256.00 MiB at first and 400.00 MiB in the end"):
            bad.result()
        assert client.submit(hold, 1, 0, str(tmp_path)).result() == 1
    assert runs(tmp_path) == {0: 2, 1: 1}


def test_it_can_be_turned_off(open_cluster: Callable[..., KnotCluster], tmp_path: Path) -> None:
    with Client(open_cluster(**JOB, memory_retries=0)) as client, pytest.raises(JobMemoryError):
        client.submit(hold, 0, 300, str(tmp_path)).result()
    assert runs(tmp_path) == {0: 1}


def test_a_task_that_raises_memory_error_has_its_own_outcome(
    open_cluster: Callable[..., KnotCluster], tmp_path: Path
) -> None:
    def ask_for_the_moon(folder: str) -> int:
        Path(folder, f"0-{uuid.uuid4().hex}").touch()
        return len(bytearray(2**60))

    with Client(open_cluster(**JOB)) as client, pytest.raises(MemoryError):
        client.submit(ask_for_the_moon, str(tmp_path)).result()
    assert runs(tmp_path) == {0: 1}
