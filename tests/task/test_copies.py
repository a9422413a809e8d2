"""Values that are made anew for each run of a task: of their own, and one within a run."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from dask._task_spec import Task
from distributed.protocol import pickle

from dask_knot.errors import NotLoadedError
from dask_knot.job.tasks import run_task
from dask_knot.run import codec
from dask_knot.task.buffers import MAPPED_BYTES, PrivateCopies
from dask_knot.task.copies import CopyPart, OwnCopy
from dask_knot.task.retries import TaskWithRetries


def own_copy(value: Any, is_fixed: bool = False, key: Any = None) -> OwnCopy:
    return OwnCopy(key, codec.pickled(value), is_fixed)


def add(values: list[int]) -> int:
    values.append(1)
    return len(values)


def test_each_run_has_its_own() -> None:
    task = Task("a", add, own_copy([]))
    assert [run_task(task, {}).value for _ in range(3)] == [1, 1, 1]


def test_within_a_run_it_is_one() -> None:
    one = own_copy([])
    assert run_task(Task("a", lambda a, b: a is b, one, one), {}).value


def test_outside_of_a_run_it_is_always_new() -> None:
    one = own_copy([])
    assert one() is not one()


def test_parts_of_one_whole_belong_together() -> None:
    inner: list[int] = []
    whole = own_copy((inner, {"inner": inner}))
    task = Task("a", lambda a, b: b["inner"] is a, CopyPart(whole, 0), CopyPart(whole, 1))
    assert run_task(task, {}).value
    assert run_task(pickle.loads(pickle.dumps(task)), {}).value


def test_a_retry_begins_as_the_first_try_did() -> None:
    def fail_first(found: list[int], tries: list[int] = []) -> list[int]:  # noqa: B006
        found.append(1)
        tries.append(1)
        if len(tries) < 3:
            raise ValueError
        return found

    task = TaskWithRetries(Task("a", fail_first, own_copy([])), 3).task()
    assert run_task(task, {}).value == [1]


def test_what_cant_be_changed_is_made_once() -> None:
    fixed = own_copy((1, "a" * 100), is_fixed=True)
    assert fixed.make() is fixed.make()
    assert pickle.loads(pickle.dumps(fixed)).is_fixed


def test_it_travels() -> None:
    there = pickle.loads(pickle.dumps(own_copy([1, 2], key="a")))
    assert (there.key, there.make()) == ("a", [1, 2])
    assert there.substitute({}, key="b").key == "b"
    assert there.substitute({}) is there


def test_what_cant_be_unpickled_is_told() -> None:
    broken = OwnCopy(None, [b"cno_such_module\nname\n."])
    with pytest.raises(NotLoadedError, match="no_such_module") as caught:
        broken.make()
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


@pytest.mark.parametrize("size", [10, MAPPED_BYTES])
def test_arrays_are_each_readers_own(size: int) -> None:
    one = own_copy({"a": np.zeros(size), "b": np.ones(3)})
    for _ in range(3):
        value = one.make()
        assert value["a"].sum() == 0
        assert value["b"].sum() == 3
        value["a"] += 1
        value["b"] += 1
        assert value["a"].sum() == size


@pytest.mark.parametrize("size", [10, MAPPED_BYTES])
def test_read_only_arrays_are_shared_and_stay_so(size: int) -> None:
    array = np.zeros(size)
    array.flags.writeable = False
    one = own_copy(array)
    first, second = one.make(), one.make()
    assert np.shares_memory(first, second)
    assert not first.flags.writeable


def test_copies_outlive_what_made_them() -> None:
    copies = PrivateCopies([bytearray(b"a" * MAPPED_BYTES), b"b"])
    taken = [copies.take() for _ in range(3)]
    taken[1][0][0] = ord("c")
    del copies
    assert [bytes(one[0][:1]) for one in taken] == [b"a", b"c", b"a"]
    assert all(bytes(one[1]) == b"b" for one in taken)


@pytest.fixture
def hasty() -> Iterator[None]:
    """Let threads take turns after every few instructions."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_that_take_at_once_get_whole_copies(hasty: None) -> None:
    threads = 6
    copies = [PrivateCopies([bytearray(b"a" * MAPPED_BYTES)]) for _ in range(20)]
    barrier = threading.Barrier(threads)

    def take(_: int) -> int:
        whole = 0
        for one in copies:
            barrier.wait(10)
            whole += bytes(one.take()[0]).count(b"a") == MAPPED_BYTES
        return whole

    with ThreadPoolExecutor(threads) as pool:
        assert list(pool.map(take, range(threads))) == [len(copies)] * threads


def test_what_was_mapped_can_be_sent_on() -> None:
    one = own_copy(np.zeros(MAPPED_BYTES))
    assert [one.make().sum() for _ in range(2)] == [0, 0]
    there = pickle.loads(pickle.dumps(one)).make()
    there += 1
    assert there.sum() == MAPPED_BYTES
