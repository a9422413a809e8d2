"""Values are those of the synchronous scheduler, whatever kind of graph makes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import dask
import dask.array as da
import dask.bag as db
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from dask import delayed
from distributed import Client, wait

from dask_knot import KnotCluster
from tests.end_to_end.tasks import inc


def equal_to_synchronous(collection: Any) -> None:
    """Compare with the scheduler that runs one task after another in this process."""
    result = collection.compute()
    expected = collection.compute(scheduler="synchronous")
    np.testing.assert_array_equal(np.asarray(result), np.asarray(expected))


def seeded(shape: tuple[int, ...], chunks: Any) -> da.Array:
    """Make an array of numbers that are the same each time."""
    return da.from_array(np.random.default_rng(0).random(shape), chunks=chunks)


ARRAYS: dict[str, Callable[[], Any]] = {
    "sum": lambda: seeded((200, 200), 20).sum(),
    "mean of x + x.T": lambda: (seeded((200, 200), 50) + seeded((200, 200), 50).T).mean(),
    "rechunk": lambda: seeded((100, 80), (10, 80)).rechunk((100, 8)).cumsum(axis=0),
    "matmul": lambda: seeded((60, 60), 20) @ seeded((60, 60), 20),
    "overlap": lambda: seeded((100, 100), 25).map_overlap(lambda b: b + b.mean(), depth=2),
    "fancy indexing": lambda: seeded((100,), 10)[[5, 99, 3, 50]],
    "svd": lambda: da.linalg.svd(seeded((400, 10), (100, 10)))[1],
    "no chunks": lambda: seeded((0,), 1).sum(),
    "one chunk": lambda: seeded((5,), 5) + 1,
    "large blocks": lambda: seeded((600, 600), 300) * 2,
}


@pytest.mark.parametrize("name", ARRAYS)
def test_dask_array(client: Client, name: str) -> None:
    equal_to_synchronous(ARRAYS[name]())


@pytest.fixture
def daily() -> xr.DataArray:
    days = pd.date_range("2001-01-01", periods=730)
    values = np.random.default_rng(1).random((730, 8, 12))
    coordinates = {"time": days}
    array = xr.DataArray(values, dims=("time", "lat", "lon"), coords=coordinates, name="t")
    return array.chunk(time=50, lat=4)


XARRAY: dict[str, Callable[[xr.DataArray], Any]] = {
    "climatology": lambda t: t.groupby("time.month").mean(),
    "anomaly": lambda t: t.groupby("time.month") - t.groupby("time.month").mean(),
    "resample": lambda t: t.resample(time="MS").max(),
    "rolling": lambda t: t.rolling(time=7).mean().isel(time=slice(7, None)),
    "standardised": lambda t: (t - t.mean("time")) / t.std("time"),
}


@pytest.mark.parametrize("name", XARRAY)
def test_xarray(client: Client, daily: xr.DataArray, name: str) -> None:
    equal_to_synchronous(XARRAY[name](daily))


def test_zarr_is_written_and_read_by_jobs(
    client: Client, daily: xr.DataArray, tmp_path: Any
) -> None:
    daily.to_dataset().to_zarr(tmp_path / "t.zarr", consolidated=False)
    read = xr.open_zarr(tmp_path / "t.zarr", consolidated=False)
    xr.testing.assert_identical(read.t.load().drop_encoding(), daily.load())


def test_delayed(client: Client) -> None:
    chains = [delayed(inc)(delayed(inc)(n)) for n in range(300)]
    assert delayed(sum)(chains).compute() == sum(n + 2 for n in range(300))


def test_bag(client: Client) -> None:
    assert db.range(1000, npartitions=13).filter(lambda n: n % 2).sum().compute() == 250_000


def test_futures_of_futures(client: Client) -> None:
    first = client.submit(inc, 1)
    second = client.submit(inc, first)
    assert client.submit(sum, [first, second]).result() == 5
    assert client.gather({"a": first, "b": [second]}) == {"a": 2, "b": [3]}


def test_a_graph_on_persisted_values(client: Client) -> None:
    x = seeded((100, 100), 10).persist()
    wait(x)
    total = float(x.sum().compute())
    assert total == pytest.approx(float(np.random.default_rng(0).random((100, 100)).sum()))
    assert float((x + 1).sum().compute()) == pytest.approx(total + 10_000)


def test_a_graph_joins_one_that_still_runs(client: Client) -> None:
    x = seeded((400, 400), 20).persist()
    assert float(x.sum().compute()) == pytest.approx(x.compute().sum())


def test_scattered_values(client: Client) -> None:
    data = np.arange(100_000.0)
    whole = client.scatter(data)
    parts = client.scatter({"a": 1, "b": [2]})
    assert client.submit(np.sum, whole).result() == data.sum()
    assert client.submit(lambda a, b: (a, b), **parts).result() == (1, [2])
    np.testing.assert_array_equal(whole.result(), data)


def test_arrays_come_back_writable(client: Client) -> None:
    for size in (10, 100_000):
        result = client.submit(np.ones, size).result()
        result += 1
        assert result.sum() == 2 * size


def test_what_a_persisted_array_becomes_after_its_source_is_gone(client: Client) -> None:
    x = client.submit(np.arange, 50_000)
    y = client.submit(np.sum, x)
    del x
    assert y.result() == sum(range(50_000))


def test_the_same_pure_key_again(client: Client) -> None:
    for _ in range(5):
        assert client.submit(inc, 41).result() == 42


def test_jobs_with_several_cores(open_cluster: Callable[..., KnotCluster]) -> None:
    for processes in (False, True):
        cluster = open_cluster(jobs=1, cores=2, processes=processes)
        with Client(cluster) as client:
            assert client.nthreads() == {cluster.scheduler.gateway_address: 2}
            assert delayed(sum)([delayed(inc)(n) for n in range(20)]).compute() == 210


def test_compute_several_collections_at_once(client: Client) -> None:
    x = seeded((50, 50), 10)
    low, high = dask.compute(x.min(), x.max())
    assert 0 <= low < high <= 1
