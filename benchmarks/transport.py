"""Cases in which bytes move: values that are quick to make, so that transport is what is timed."""

from __future__ import annotations

import time
from itertools import count
from uuid import uuid4

import dask.array as da
import dask.dataframe as dd
import dask.datasets
import numpy as np
from distributed import Client

from benchmarks import frames, work
from benchmarks.case import Case
from benchmarks.limits import Moves

MB, GB = 10**6, 10**9
BANDS = 16
BLOCKS, BLOCK = 200, 10 * MB
#: Frames are split and put together: two more copies than a value that is only read.
SHUFFLED = 3
#: Dask keeps the divisions of a frame that was sorted once: it would not look for them again.
_seeds = count(1)


def make_cases() -> list[Case]:
    """List them, in the order of the table."""
    return [
        rechunk("rechunk-500MB", 8_000),
        rechunk("rechunk-2GB", 16_000),
        Case("gather-200x10MB", gather, moves=Moves(BLOCKS * BLOCK, BLOCKS), memory=8 * GB),
        Case("result-1GB", one_result, moves=Moves(GB, 1), memory=4 * GB),
        Case("scatter-500MB", scatter, moves=Moves(500 * MB, 1), memory=2 * GB),
        Case("shuffle-1GB", shuffle, moves=Moves(GB, frames.PARTS, SHUFFLED), memory=4 * GB),
        Case("merge-1GB", merge, moves=Moves(GB, frames.PARTS, SHUFFLED), memory=4 * GB),
        Case("set-index", set_index, moves=Moves(50 * MB, 10, SHUFFLED), memory=GB),
        Case("tall-svd", tall_svd, memory=4 * GB),
    ]


def rechunk(name: str, side: int) -> Case:
    """Turn `side`² numbers from bands of rows into bands of columns, then sum."""
    width = side // BANDS

    def with_dask(client: Client) -> None:
        numbers = da.arange(BANDS, chunks=1)
        chunks = ((width,) * BANDS, (side,))
        x = numbers.map_blocks(
            work.band,
            chunks=chunks,
            new_axis=1,
            dtype=float,
            shape=(width, side),
            name=f"band-{uuid4().hex}",
        )
        total = client.compute(x.rechunk((side, width)).sum()).result()
        assert total == sum(range(BANDS)) * width * side

    size = 8 * side**2
    return Case(name, with_dask, moves=Moves(size, BANDS, copies=2), memory=4 * size)


def gather(client: Client) -> None:
    """Gather 200 values of 10 MB, and touch each page of them."""
    futures = client.map(work.block, range(BLOCKS), size=BLOCK, pure=False)
    for number, block in enumerate(client.gather(futures)):
        assert block.nbytes == BLOCK
        assert work.touch(block) == number


def one_result(client: Client) -> None:
    """Get one value of 1 GB, and touch each page of it."""
    block = client.submit(work.block, 7, size=GB, pure=False).result()
    assert block.nbytes == GB
    assert work.touch(block) == 7


def scatter(client: Client) -> float:
    """Scatter half a gigabyte, and let a task touch each page of it."""
    block = work.block(7, 500 * MB)
    start = time.perf_counter()
    future = client.scatter(block)
    assert client.submit(work.touch, future, pure=False).result() == 7
    return time.perf_counter() - start


def shuffle(client: Client) -> None:
    """Shuffle a gigabyte of rows by their ids."""
    rows = frames.dealt(frames.PARTS, 7_919).shuffle("id")
    assert rows.map_partitions(len, meta=("rows", int)).compute().sum() == frames.ROWS


def merge(client: Client) -> None:
    """Join two frames of half a gigabyte by ids, each of which is in both once."""
    left, right = (frames.dealt(frames.PARTS // 2, factor) for factor in (7_919, 104_729))
    joined = left.merge(right, on="id")
    assert joined.map_partitions(len, meta=("rows", int)).compute().sum() == frames.ROWS // 2


def set_index(client: Client) -> None:
    """Sort ten days of seconds by another column."""
    rows: dd.DataFrame = new_series().set_index("x")
    assert rows.map_partitions(len, meta=("rows", int)).compute().sum() == 10 * 86_400


def new_series() -> dd.DataFrame:
    """Describe ten days of seconds, with numbers that no other call gives."""
    series: dd.DataFrame = dask.datasets.timeseries(
        start="2000-01-01", end="2000-01-11", freq="1s", partition_freq="1D", seed=next(_seeds)
    )
    return series


def tall_svd(client: Client) -> None:
    """Singular values of two million rows of 50 numbers, 0.8 GB."""
    x = da.random.default_rng().random((2_000_000, 50), chunks=(50_000, 50))
    _, values, _ = da.linalg.svd(x)
    found = client.compute(values).result()
    assert found.shape == (50,)
    assert np.all(np.diff(found) <= 0)
