"""The clusters that Dask's tests are run through: ours, and the one to compare with."""

from __future__ import annotations

from typing import Any

import dask
from dask.base import named_schedulers
from distributed import Client, LocalCluster
from distributed.client import _global_clients, _set_global_client

from dask_knot import KnotCluster

#: The same methods for both: peer-to-peer shuffles need workers that stay.
SAME = {"array.rechunk.method": "tasks", "dataframe.shuffle.method": "tasks"}


def open_knot() -> KnotCluster:
    return KnotCluster(jobs=2, memory="2 GiB", dashboard_address=None)


def open_local() -> LocalCluster:
    return LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)


PEERS = {"knot": open_knot, "local": open_local}


class Peer:
    """One cluster for many tests, opened when it is first needed and again if it ended."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.cluster: Any = None
        self.client: Client | None = None
        #: Dask's own, for tests that open their clients themselves.
        self.schedulers = dict(named_schedulers)

    @property
    def address(self) -> str:
        """The scheduler's address, of another cluster if a test has ended the one before."""
        if self.cluster is None or self.cluster.status.name != "running":
            self.cluster = PEERS[self.name]()
        return str(self.cluster.scheduler_address)

    def lead(self) -> None:
        """Let all that computes go through the client, whatever scheduler it names."""
        address = self.address
        if self.client is None or self.client.status != "running":
            self.client = Client(address, set_as_default=False)
        _set_global_client(self.client)
        dask.config.set({**SAME, "scheduler": "dask.distributed"})
        # `persist` compares the bound method: a function around it would compute instead.
        named_schedulers.update(dict.fromkeys(self.schedulers, self.client.get))

    def stand_back(self) -> None:
        """Leave Dask as it is without a client."""
        if self.client is not None:
            self.client.close()
        self.client = None
        _global_clients.clear()  # of tests that left theirs open, too
        dask.config.set({**SAME, "scheduler": None})
        named_schedulers.update(self.schedulers)

    def close(self) -> None:
        """Close the cluster: the next test that asks for it gets another one."""
        self.stand_back()
        if self.cluster is not None:
            self.cluster.close()
        self.cluster = None
