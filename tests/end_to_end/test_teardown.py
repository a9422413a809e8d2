"""A plugin that tears down badly costs no value, and keeps nobody waiting."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from distributed import Client, WorkerPlugin

from dask_knot import KnotCluster
from dask_knot.job import outfit
from tests import inside
from tests.end_to_end.tasks import inc, wait_for


class Bad(WorkerPlugin):
    """Tears down badly."""

    name = "bad"

    def __init__(self, how: str, patience: float) -> None:
        self.how = how
        self.patience = patience

    def setup(self, worker: Any) -> None:
        """Let the job be less patient."""
        outfit.PATIENCE = self.patience

    def teardown(self, worker: Any) -> None:
        """Do what it should not."""
        print("tearing down")
        if self.how == "hangs":
            threading.Event().wait()
        elif "/" in self.how:
            wait_for(self.how)
        elif self.how == "raises":
            raise ValueError("at the end")
        elif self.how == "interrupts":
            raise KeyboardInterrupt
        elif self.how == "exits":
            os._exit(3)
        elif self.how == "is killed":
            os.kill(os.getpid(), signal.SIGKILL)


@pytest.fixture
def register(client: Client) -> Iterator[Callable[..., None]]:
    def register_one(how: str, patience: float = 30.0) -> None:
        client.register_plugin(Bad(how, patience))

    yield register_one
    client.unregister_worker_plugin("bad")


WAYS = ["hangs", "raises", "interrupts", "exits", "is killed"]


@pytest.mark.parametrize("how", WAYS)
def test_values_are_there_and_what_depends_on_them_runs(
    client: Client, register: Callable[..., None], how: str
) -> None:
    register(how, patience=0.3)
    first = client.map(inc, range(4), pure=False)
    last = client.submit(sum, first, pure=False)
    assert client.gather(first) == [1, 2, 3, 4]
    assert last.result(timeout=60) == 10


def test_what_hangs_is_in_the_log(
    client: Client, cluster: KnotCluster, register: Callable[..., None]
) -> None:
    register("hangs", patience=0.3)
    future = client.submit(inc, 1, pure=False)
    dependent = client.submit(inc, future)
    assert dependent.result(timeout=60) == 3
    (log,) = cluster.logs(future).values()
    assert "plugins ('bad') took more than 0.3 s to tear down" in log


def test_a_value_is_there_while_the_plugin_still_tears_down(
    client: Client, register: Callable[..., None], tmp_path: Path
) -> None:
    register(str(tmp_path / "go"))
    assert client.submit(inc, 1, pure=False).result(timeout=30) == 2
    (tmp_path / "go").touch()


def test_a_timeout_ends_what_tears_down_for_ever(
    open_cluster: Callable[..., KnotCluster],
) -> None:
    cluster = open_cluster()
    batch: Any = inside.batch(cluster)
    batch._minimum_timeout = 0  # Batch's own shortest time is a minute
    state = inside.records(cluster)
    state.default = replace(inside.session(cluster).size, timeout=4)
    with Client(cluster) as client:
        client.register_plugin(Bad("hangs", 600.0))
        futures = client.map(inc, range(3))
        assert client.gather(futures) == [1, 2, 3]
        # The job's timeout ends it, and what waits for it is planned again.
        assert client.submit(sum, futures).result(timeout=60) == 6
