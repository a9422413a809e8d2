"""Values whose bytes lie in unusual ways are right: for tasks, for the client, and scattered."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import xarray as xr
from distributed import Client, Future
from distributed.protocol import deserialize, serialize
from scipy import sparse

from dask_knot import KnotCluster
from dask_knot.errors import JobMemoryError
from tests.end_to_end.conftest import SMALL
from tests.end_to_end.odd_values import LENGTH, MAKERS, Measured, facts, make, pass_on

MIB = 2**20
POOR = Path(__file__).with_name("poor_program.py")


@pytest.fixture(scope="module")
def cluster() -> Iterator[KnotCluster]:
    """Cut finely: what a task reads was made by another job."""
    with (
        dask.config.set({"knot.local.target": "1ms", "knot.local.shards-per-slot": 8}),
        KnotCluster(**SMALL) as cluster,
    ):
        yield cluster


Made = dict[str, tuple[Future, Future, Future]]


@pytest.fixture(scope="module")
def made(cluster: KnotCluster) -> Iterator[Made]:
    """Have all made, passed on by a second task, and scattered."""
    with Client(cluster) as client:
        first = client.map(make, MAKERS)
        second = client.map(pass_on, first)
        scattered = [client.scatter([maker()])[0] for maker in MAKERS.values()]
        yield dict(zip(MAKERS, zip(first, second, scattered, strict=True), strict=True))


def as_others_give_it(value: Any) -> Any:
    """Send a value as workers of a LocalCluster do, which receive into memory of their own."""
    header, frames = serialize(value)
    return deserialize(header, [bytearray(frame) for frame in frames])


def assert_same(found: Any, expected: Any) -> None:
    """Compare values bit by bit, and their types."""
    assert type(found) is type(expected)
    if isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected)
    elif isinstance(expected, pd.Series):
        pd.testing.assert_series_equal(found, expected)
    elif isinstance(expected, xr.DataArray):
        xr.testing.assert_identical(found, expected)
    elif sparse.issparse(expected):
        assert (found != expected).nnz == 0
    elif isinstance(expected, pa.Table):
        assert found.equals(expected)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert_same_array(found, expected)
    else:
        assert found == expected


def assert_same_array(found: np.ndarray, expected: np.ndarray) -> None:
    if expected.dtype == object:
        assert_same(list(found.flat), list(expected.flat))
    elif isinstance(expected, np.ma.MaskedArray):
        assert np.array_equal(found.mask, expected.mask)
        assert np.array_equal(found.filled(0), expected.filled(0))
    else:
        assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize("name", MAKERS)
def test_values_are_right_wherever_they_are_read(made: Made, name: str) -> None:
    first, second, scattered = made[name]
    value, (passed, facts_there) = first.result(), second.result()
    for found in (value, passed, second.result()[0], scattered.result()):
        original = MAKERS[name]()
        # No map of a file is left of one. Dask itself makes plain arrays of what is scattered.
        if isinstance(original, np.memmap | Measured):
            original = original.view(type(found))
        assert_same(found, original)
    assert name != "a subclass" or isinstance(value, Measured)
    # An array of whoever made it, in the same job; or one that was read, as in the client.
    assert facts_there in (facts(MAKERS[name]()), facts(value))


@pytest.mark.parametrize("name", MAKERS)
def test_what_may_be_changed_is_as_with_others(made: Made, name: str) -> None:
    first, _, _ = made[name]
    original = MAKERS[name]()
    others = as_others_give_it(original)
    assert facts(first.result()) in (facts(original), facts(others))


@pytest.mark.parametrize("name", ["numbers", "columns first", "every second", "frame", "bytearray"])
def test_who_changes_what_he_got_changes_nothing_else(made: Made, name: str) -> None:
    first, _, _ = made[name]
    mine, again = first.result(), first.result()
    if isinstance(mine, pd.DataFrame):
        mine["x"].to_numpy(copy=False)
        mine.loc[0, "x"] = -1.0
    else:
        mine[0] = 77
    assert_same(again, MAKERS[name]())
    assert_same(first.result(), MAKERS[name]())


def change_in_place(values: np.ndarray) -> float:
    """Do what no task should: change what others read."""
    values += 1
    return float(values[0])


def test_a_task_that_changes_its_input_doesnt_spoil_the_value(client: Client) -> None:
    values = client.submit(np.zeros, 10 * LENGTH, pure=False)
    assert values.result().sum() == 0
    changed = client.map(lambda n, held: change_in_place(held), range(4), held=values)
    assert client.gather(changed)[0] == 1
    assert values.result().sum() == 0


HELD: list[np.ndarray] = []


def keep_and_return(length: int) -> np.ndarray:
    """Return what is changed by later tasks of the same process."""
    HELD[:] = [np.zeros(length)]
    return HELD[0]


def change_what_was_kept(after: np.ndarray, number: int) -> int:
    """Change what an earlier task has returned."""
    for kept in HELD:
        kept[:] = number + 1
    return number


def keep_changing(length: int) -> np.ndarray:
    """Return what a thread goes on changing."""
    values = np.zeros(length)

    def change() -> None:
        for number in range(10_000):
            values[:] = number

    threading.Thread(target=change, daemon=True).start()
    return values


@pytest.fixture(scope="module")
def in_one_job() -> Iterator[Client]:
    """Put all tasks of a graph into one job."""
    with (
        dask.config.set({"knot.local.target": "10s", "knot.local.shards-per-slot": 1}),
        KnotCluster(**SMALL) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.mark.parametrize("length", [100, 5_000, 50_000, 1_000_000])
def test_what_is_changed_after_it_was_returned_can_be_read(in_one_job: Client, length: int) -> None:
    kept = dask.delayed(keep_and_return)(length)
    changed = dask.delayed(change_what_was_kept)(kept, 0)
    read = dask.delayed(np.sum)(kept)
    value, number, total = in_one_job.gather(in_one_job.compute([kept, changed, read]))
    assert (number, value.shape) == (0, (length,))
    # Which of both a reader sees is up to who is first, but never a half.
    assert value[0] == value[-1]
    assert total in (0, length)


@pytest.mark.parametrize("length", [100, 5_000, 50_000, 1_000_000])
def test_what_a_thread_goes_on_changing_can_be_read(in_one_job: Client, length: int) -> None:
    moving = in_one_job.submit(keep_changing, length)
    assert moving.result().shape == (length,)
    assert in_one_job.submit(len, moving).result() == length


def test_many_small_values(client: Client) -> None:
    made = client.map(lambda n: n.to_bytes(100, "big"), range(5_000))
    assert client.gather(made) == [n.to_bytes(100, "big") for n in range(5_000)]
    assert client.submit(lambda all: sum(map(len, all)), made).result() == 500_000


def test_many_empty_values(client: Client) -> None:
    made = client.map(lambda n: np.empty((n, 0)), range(1_000))
    assert [one.shape for one in client.gather(made)] == [(n, 0) for n in range(1_000)]
    empty = da.zeros((0, 7), chunks=(1, 7)).rechunk((1, 1))
    assert (empty + 1).sum(axis=0).compute().tolist() == [0] * 7


def block(number: int, mebibytes: int) -> np.ndarray:
    return np.full(mebibytes * MIB, number, np.uint8)


@pytest.fixture(scope="module")
def in_little_memory() -> Iterator[Client]:
    """Give jobs no more than 256 MiB."""
    with (
        KnotCluster(**{**SMALL, "memory": "256 MiB", "max_memory": "256 MiB"}) as cluster,
        Client(cluster) as client,
    ):
        yield client


def kept_block(number: int, mebibytes: int) -> np.ndarray:
    made = block(number, mebibytes)
    time.sleep(1)  # the memory of jobs is read ten times a second
    return made


def test_a_value_larger_than_the_memory_of_its_job(in_little_memory: Client) -> None:
    kept = in_little_memory.submit(block, 1, 40)
    with pytest.raises(JobMemoryError, match="256"):
        in_little_memory.submit(kept_block, 2, 400).result()
    assert kept.result().sum() == 40 * MIB


def test_values_that_are_together_larger_than_a_job(in_little_memory: Client) -> None:
    blocks = in_little_memory.map(block, range(10), mebibytes=48)
    sums = in_little_memory.map(np.sum, blocks, dtype=int)
    assert in_little_memory.gather(sums) == [n * 48 * MIB for n in range(10)]


@pytest.mark.skipif(sys.platform != "linux", reason="others don't keep to limits of addresses")
def test_a_client_with_less_memory_than_it_gathers() -> None:
    # Else each thread has 64 MB of addresses in reserve, into which all the values may fit.
    own = {"MALLOC_ARENA_MAX": "1", "PYTHONPATH": str(POOR.parents[2])}
    environment = {**os.environ, **own}
    done = subprocess.run(
        [sys.executable, str(POOR)], env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    error, values, length = done.stdout.splitlines()
    assert "don't fit into the memory of this process" in error
    # Nothing was lost: one after the other they come.
    assert (values, length) == (str(list(range(20))), "20000000")
