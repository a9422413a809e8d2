"""Gives xarray's own tests a KnotCluster where they ask distributed's test kit for a cluster."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from typing import Any

# Before the test kit, which remembers all configuration that there is when it is imported.
from dask_knot import KnotCluster  # isort: skip
import pytest
from distributed import Client, utils_test

SMALL = {"jobs": 2, "memory": "1 GiB", "dashboard_address": None}


@contextmanager
def cluster(**options: Any) -> Iterator[tuple[dict[str, Any], list[Any]]]:
    """Stand for `distributed.utils_test.cluster`: a scheduler's address and two workers."""
    yield {"address": shared().scheduler_address}, [None, None]


@cache
def shared() -> KnotCluster:
    """Open a cluster for all tests: the jobs of each new one must import all packages anew."""
    return KnotCluster(**SMALL)


def pytest_sessionstart() -> None:
    """Open it before any test, or it would count as what a test left behind."""
    shared()


def pytest_sessionfinish() -> None:
    """Close it after all tests."""
    shared().close()


def gen_cluster(client: bool = False) -> Callable[[Callable[..., Any]], Callable[[], None]]:
    """Stand for `distributed.utils_test.gen_cluster`: a test that is a coroutine."""

    def decorate(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[[], None]:
        async def run() -> None:
            async with (
                KnotCluster(asynchronous=True, **SMALL) as opened,
                Client(opened, asynchronous=True) as asking,
            ):
                await test(asking, opened.scheduler, None, None)

        def test_of_ours() -> None:
            asyncio.run(run())

        return test_of_ours

    return decorate


utils_test.cluster = cluster
utils_test.gen_cluster = gen_cluster
#: The shared cluster starts threads when it needs them, in the midst of a test too.
utils_test.check_thread_leak = nullcontext


#: Jobs that write into one netCDF file take turns by `distributed.Lock`, and a lock lives in a
#: scheduler that its users are connected to. Zarr needs none.
LOCKS = "jobs never connect to the scheduler, so they share no lock: write Zarr instead"
#: Tests that are skipped, as patterns of their names, and why.
SKIPPED = {
    r"test_dask_distributed_netcdf_roundtrip\[.*netcdf": LOCKS,  # and not those of scipy
    r"test_dask_distributed_write_netcdf_with_dimensionless_variables": LOCKS,
    r"test_serializable_locks": LOCKS,
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what no cluster without live workers can do."""
    for item in items:
        for pattern, reason in SKIPPED.items():
            if re.match(pattern, item.name):
                item.add_marker(pytest.mark.skip(reason=reason))
