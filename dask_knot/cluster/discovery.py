"""The clusters open on this machine: for `dask cluster list` of dask-ctl, and to join them.

A knot that is open is none of them: it has no scheduler.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Generator
from typing import Any

from distributed.core import Status, rpc
from distributed.deploy.cluster import Cluster
from distributed.objects import SchedulerInfo
from distributed.security import Security

from dask_knot.errors import EngineError
from dask_knot.internals import start_loop, stop_loop
from dask_knot.runs.notices import open_clusters
from dask_knot.settings import checks

#: Why a cluster is closed by a process that only leaves its run.
LEAVING = "knot-leave"


async def discover() -> AsyncIterator[tuple[str, type[RunningCluster]]]:
    """Name the clusters that this user has open on this machine, and the class that joins them."""
    for name in await asyncio.to_thread(open_clusters):
        yield name, RunningCluster


class RunningCluster(Cluster):  # type: ignore[misc]
    """A cluster that another process has open; `Client(RunningCluster.from_name(...))` joins it.

    Parameters
    ----------
    name : str
        Its name.
    asynchronous : bool
        Whether this is awaited inside an event loop.
    security : Security, optional
        TLS as in the process that opened it.

    Raises
    ------
    ConfigurationError
        If there is no such cluster; the message names those that there are.
    """

    _supports_scaling = False

    def __init__(
        self,
        name: str,
        *,
        loop: Any = None,
        asynchronous: bool = False,
        security: Security | None = None,
    ) -> None:
        there = open_clusters()
        address = there[checks.one_of("name", name, tuple(there))]
        super().__init__(asynchronous=asynchronous, loop=loop, name=name, quiet=True)
        self.security = security or Security()
        arguments = self.security.get_connection_args("client")
        self.scheduler_comm = rpc(address, connection_args=arguments)
        if not self.called_from_running_loop:
            start_loop(self)
            self.sync(self._start)

    def __await__(self) -> Generator[Any, Any, RunningCluster]:
        async def started() -> RunningCluster:
            if self.status == Status.created:
                await self._start()
            return self

        return started().__await__()

    async def _start(self) -> None:
        # Not as the base class does: the scheduler tells one cluster only of its workers.
        self.scheduler_info = SchedulerInfo(await self.scheduler_comm.identity())
        self.status = Status.running

    @classmethod
    def from_name(cls, name: str, **options: Any) -> RunningCluster:
        """Join the cluster of that name.

        Raises
        ------
        ConfigurationError
            If there is no such cluster; the message names those that there are.
        """
        return cls(name, **options)

    def scale(self, n: int) -> None:
        """Refuse: the process that opened the cluster decides.

        Raises
        ------
        EngineError
            Always.
        """
        raise EngineError(
            f"only the process that opened {self.name} can scale it: call cluster.scale({n}) there"
        )

    def adapt(self, **limits: Any) -> None:
        """Refuse: the process that opened the cluster decides.

        Raises
        ------
        EngineError
            Always.
        """
        raise EngineError(
            f"only the process that opened {self.name} can scale it: call cluster.adapt() there"
        )

    def close(self, timeout: float | None = None) -> Any:
        """Close the cluster, in whatever process it is: a named run is left, and stays."""
        closing = super().close(timeout)
        if not self.asynchronous:
            stop_loop(self)
        return closing

    async def _close(self) -> None:
        if self.status == Status.running:
            with contextlib.suppress(OSError):
                await self.scheduler_comm.terminate(reason=LEAVING)
        await super()._close()
