"""Clusters with real processes behind them."""

from __future__ import annotations

import contextlib
import gc
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import dask
import psutil
import pytest
from distributed import Client

from dask_knot import KnotCluster

#: Two small jobs at once; the dashboard's port may be taken. They get no more memory by themselves:
#: the machine that runs the tests may have little.
SMALL = {"jobs": 2, "memory": "1 GiB", "max_memory": "1 GiB", "dashboard_address": None}
#: Shards tell nothing by the clock, only at their end: for tests that count what a shard costs. On
#: a busy machine, even one of a few milliseconds tells it meanwhile.
TELLS_AT_ITS_END = {"knot.local.news-interval": None, "knot.part-interval": "1h"}
#: Loaded libraries, and threads that are kept for all clusters, hold a few: see `_nothing_leaks`.
SPARE_DESCRIPTORS = 8


@dataclass
class Held:
    """What this process has open: processes of jobs, threads, file descriptors."""

    processes: set[int] = field(default_factory=lambda: {process.pid for process in job_servers()})
    threads: set[threading.Thread] = field(default_factory=lambda: set(threading.enumerate()))
    descriptors: int = field(default_factory=lambda: psutil.Process().num_fds())

    def more_than(self, before: Held) -> list[str]:
        """Name what was not there before, and is not kept for all clusters of a process."""
        kept = (
            "Dask-Offload",
            "asyncio_",
            "Dask-Default",
            "TCP-Executor",
            "Dask-Callback",
            "zarr_",
        )
        threads = [thread.name for thread in self.threads - before.threads]
        found = [name for name in threads if not name.startswith(kept)]
        found += [f"process {pid}" for pid in self.processes - before.processes]
        if self.descriptors > before.descriptors + SPARE_DESCRIPTORS:
            found.append(f"{self.descriptors - before.descriptors} file descriptors")
        return found


def job_servers() -> list[psutil.Process]:
    """List the processes below this one that run jobs here."""
    children = psutil.Process().children(recursive=True)
    found = []
    for child in children:
        with contextlib.suppress(psutil.Error):
            if "dask_knot.local.forkserver" in child.cmdline():
                found.append(child)
    return found


@pytest.fixture(scope="module", autouse=True)
def _small_preload(request: pytest.FixtureRequest) -> Iterator[None]:
    """Start fork servers without the big libraries that other files have imported here.

    They are three seconds of work for each cluster, and jobs of most files need none of them; a
    file marked ``preload`` has what users have.
    """
    own = {} if request.node.get_closest_marker("preload") else {"knot.local.preload": []}
    with dask.config.set(own):
        yield


@pytest.fixture(scope="module", autouse=True)
def _nothing_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check that the clusters of a file leave nothing open once they are closed."""
    before, scheduler = Held(), dask.config.get("scheduler", None)
    yield
    # Default clients that close in the order in which they opened leave Dask's own setting behind,
    # with a LocalCluster as well: it isn't for other files.
    dask.config.set(scheduler=scheduler)
    # The emulated AWS starts with the first test that needs it, and stays for all files.
    own = [item for item in request.session.items if item.path == request.path]
    if not any("rig" in getattr(item, "fixturenames", ()) for item in own):
        gc.collect()
        until(lambda: not Held().more_than(before), explain=lambda: Held().more_than(before))


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


def until(
    condition: Callable[[], Any],
    seconds: float = 30,
    explain: Callable[[], object] = lambda: "it never came true",
) -> Any:
    """Look again and again until a condition holds."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, explain()
        time.sleep(0.01)
    return result
