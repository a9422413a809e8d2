"""The lock of a file holds for all threads and processes; values stand where futures stood."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import dask
import pytest
from dask._task_spec import Alias

from dask_knot.errors import LiveWorkerError
from dask_knot.task.futures import FileLock, FutureValue


def add_slowly(path: str, times: int) -> None:
    """Read, add one, write: without a lock some of it is lost."""
    lock = FileLock(f"{path}/x.nc")
    for _ in range(times):
        with lock:
            number = Path(path, "count").read_text()
            Path(path, "count").write_text(str(int(number) + 1))


def take_and_die(name: str) -> None:
    """Leave without a word."""
    assert FileLock(name).acquire()
    os._exit(0)


def test_processes_and_threads_take_turns(tmp_path: Path) -> None:
    (tmp_path / "count").write_text("0")
    spawn = multiprocessing.get_context("spawn")
    others: list[Any] = [
        make(target=add_slowly, args=(str(tmp_path), 150))
        for make in (spawn.Process, threading.Thread, spawn.Process, threading.Thread)
    ]
    for other in others[::2] + others[1::2]:
        other.start()
    for other in others:
        other.join()
    assert (tmp_path / "count").read_text() == "600"
    assert [file.name for file in tmp_path.iterdir()] == ["count"]


def test_a_lock_that_is_taken_is_not_waited_for(tmp_path: Path) -> None:
    one, other = FileLock(str(tmp_path / "x")), FileLock(str(tmp_path / "x"))
    beside = FileLock(str(tmp_path / "y"))
    assert one.acquire()
    assert other.locked()
    assert not other.acquire(blocking=False)
    assert not other.acquire(timeout=0.05)
    assert beside.acquire(blocking=False)  # a task may write two files of a folder
    beside.release()
    one.release()
    assert other.acquire(timeout=5)
    other.release()
    assert not other.locked()
    assert list(tmp_path.iterdir()) == []


def test_a_lock_is_known_by_its_name(tmp_path: Path) -> None:
    lock = FileLock(str(tmp_path / "no folder" / "x"))
    with lock:
        assert not pickle.loads(pickle.dumps(lock)).acquire(False)
    again = pickle.loads(pickle.dumps(lock))
    assert again.acquire(False)
    again.release()


def test_a_lock_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=take_and_die, args=(str(tmp_path / "x"),))
    process.start()
    process.join()
    lock = FileLock(str(tmp_path / "x"))
    assert lock.acquire(timeout=5)
    lock.release()
    assert list(tmp_path.iterdir()) == []


def test_a_value_is_a_node_of_the_graph_of_a_collection() -> None:
    value = FutureValue("f", ("a", 1))
    assert dask.get({"f": value, "g": Alias("g", "f")}, ["f", "g"]) == (("a", 1), ("a", 1))
    with pytest.raises(LiveWorkerError, match="Future"):
        value.result()
