"""Clusters with real processes behind them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from distributed import Client

from dask_knot import KnotCluster

#: Two small jobs at once; the dashboard's port may be taken.
SMALL = {"jobs": 2, "memory": "1 GiB", "dashboard_address": None}


@pytest.fixture(scope="module")
def cluster() -> Iterator[KnotCluster]:
    """Give a cluster that the tests of a file share: each must leave it usable."""
    with KnotCluster(**SMALL) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: KnotCluster) -> Iterator[Client]:
    """Give a client of the shared cluster, and check that the cluster still works after it."""
    with Client(cluster) as client:
        yield client
        assert client.submit(sum, [1, 2], pure=False).result(timeout=30) == 3


@pytest.fixture
def open_cluster() -> Iterator[Callable[..., KnotCluster]]:
    """Open clusters with other settings, and close them after the test."""
    opened: list[KnotCluster] = []

    def open_one(**settings: Any) -> KnotCluster:
        opened.append(KnotCluster(**{**SMALL, **settings}))
        return opened[-1]

    yield open_one
    for one in opened:
        one.close()


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Look again and again until a condition holds."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
    return result
