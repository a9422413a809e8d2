"""What is timed: each case builds a new graph, so that no result of a round before can serve."""

from __future__ import annotations

import time
from concurrent.futures import Executor
from statistics import median

import dask.array as da
import numpy as np
import xarray as xr
from dask import delayed
from distributed import Client

from benchmarks import transport, work
from benchmarks.case import Case, map_case
from examples import heat, pi

#: Where a case takes minutes.
MINUTES = frozenset({"LocalCluster"})


def make_cases() -> list[Case]:
    """List all cases, in the order of the table."""
    return [
        map_case("noop-1000", work.noop, range(1_000), chunk=64),
        map_case("noop-10000", work.noop, range(10_000), chunk=640),
        map_case("noop-100000", work.noop, range(100_000), chunk=6_400, once_on=MINUTES),
        Case("submit-5000", submit_one_by_one, submit_one_by_one),
        Case("latency", latency, latency),
        Case("chain", chain),
        map_case("pi", pi.count_inside, range(100), samples=1_000_000),
        map_case("heat-4", heat.solve, range(4), side=10),
        map_case("heat-64", heat.solve, range(64), side=10),
        map_case("heat-1024", heat.solve, range(1024), side=10),
        map_case("heat-side-40", heat.solve, range(5), side=40),
        map_case("skewed", work.spin, skewed_iterations()),
        Case("pipeline", pipeline),
        Case("array-mean", array_mean),
        Case("climatology", climatology),
        Case("array-sum", array_sum, once_on=MINUTES),
        *transport.make_cases(),
    ]


def skewed_iterations() -> list[int]:
    """List the work of 400 tasks from 1 to 100 ms, in order: slow ones are neighbors."""
    rate = work.iterations_per_millisecond()
    return [int(rate * milliseconds) for milliseconds in np.geomspace(1, 100, 400)]


def submit_one_by_one(session: Client | Executor) -> None:
    """Submit 5,000 tasks in a loop, then wait for all."""
    pure = {"pure": False} if isinstance(session, Client) else {}
    futures = [session.submit(work.noop, number, **pure) for number in range(5_000)]
    if isinstance(session, Client):
        assert session.gather(futures) == list(range(5_000))
    else:
        assert [future.result() for future in futures] == list(range(5_000))


def latency(session: Client | Executor) -> float:
    """Give the median of the seconds from a task to its result, one task after the other."""
    pure = {"pure": False} if isinstance(session, Client) else {}
    seconds = []
    for number in range(50):
        start = time.perf_counter()
        assert session.submit(work.noop, number, **pure).result() == number
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def chain(client: Client) -> float:
    """Give the median of the seconds a step, where each task needs the value of the one before."""
    seconds = []
    future = client.submit(work.increment, 0, pure=False)
    for number in range(50):
        start = time.perf_counter()
        future = client.submit(work.increment, future, pure=False)
        assert future.result() == number + 2
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def pipeline(client: Client) -> None:
    """Run a thousand chains of three delayed tasks and one total: 3,001 tasks."""
    chains = []
    for number in range(1_000):
        values = delayed(work.load, pure=False)(number)
        chains.append(delayed(work.summarize)(delayed(work.clean)(values)))
    total = client.compute(delayed(sum)(chains)).result()
    assert total == 100 * sum(range(1, 1_001))


def array_mean(client: Client) -> None:
    """Compute the mean of ``x + x.T`` for 8000² numbers in chunks of 500²."""
    x = da.random.default_rng().random((8_000, 8_000), chunks=(500, 500))
    mean = client.compute((x + x.T).mean()).result()
    assert abs(mean - 1) < 0.01


def climatology(client: Client) -> None:
    """Average ten years of daily maps by month of the year: shape (12, 60, 120)."""
    days = np.arange(np.datetime64("2001-01-01"), np.datetime64("2011-01-01"))
    values = da.random.default_rng().random((days.size, 60, 120), chunks=(30, 60, 60))
    daily = xr.DataArray(values, dims=("time", "lat", "lon"), coords={"time": days})
    means = client.compute(daily.groupby("time.month").mean()).result()
    assert means.shape == (12, 60, 120)
    assert abs(means.mean() - 0.5) < 0.01


def array_sum(client: Client) -> None:
    """Sum 2200² numbers in chunks of 10²: 64,574 tiny tasks."""
    total = client.compute((da.ones((2_200, 2_200), chunks=(10, 10)) + 1).sum()).result()
    assert total == 2 * 2_200**2
