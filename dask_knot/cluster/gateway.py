"""The gateway: the one Dask worker, in the client's process, that stands for all jobs."""

from __future__ import annotations

from collections.abc import Mapping
from time import time
from typing import Any, Protocol

from dask.typing import Key
from distributed import Status, Worker
from distributed.comm import Comm
from distributed.protocol import pickle

from dask_knot.cluster.scattering import Scattering

GATEWAY = "gateway"
#: What `client.run` says when it is used for the first time.
RUNS_HERE = (
    "client.run runs the function once, in the gateway: the process of the cluster, which stands "
    "for all jobs and runs no task. Use client.submit to run it in a job, and a WorkerPlugin "
    "(client.register_plugin) to set up every job"
)


class Upstream(Protocol):
    """The scheduler beside the gateway, as far as it is needed here."""

    address: str
    scattering: Scattering

    def heartbeat_worker(self, **news: Any) -> object:
        """Learn that the gateway lives."""


class Gateway(Worker):  # type: ignore[misc]
    """A Dask worker that runs nothing: it stands for the jobs.

    Parameters
    ----------
    scheduler : Upstream
        The scheduler in this process.
    **options
        As for `distributed.Worker`.
    """

    def __init__(self, scheduler: Upstream, **options: Any) -> None:
        super().__init__(scheduler.address, name=GATEWAY, **options)
        self._scheduler = scheduler
        self._has_said_where = False
        self.handlers["update_data"] = self.update_data

    async def get_data(self, comm: Comm, *arguments: Any, **options: Any) -> Any:
        """Let a client that asks workers itself (``direct=True``) ask the scheduler.

        That is in the same process, and tells clients where values are, so that they read these
        themselves.
        """
        await comm.write({"status": "OK", "data": {}})
        if await comm.read() != "OK":
            comm.abort()
        return Status.dont_reply

    async def update_data(
        self, data: Mapping[Key, object], stimulus_id: str | None = None
    ) -> dict[str, Any]:
        """Put values that a client scatters into the store, once, before any shard reads them."""
        return {"nbytes": await self._scheduler.scattering.put(data), "status": "OK"}

    async def heartbeat(self) -> None:
        """Let the scheduler know, without a message that may be under way when one of them ends."""
        metrics = await self.get_metrics()
        self._scheduler.heartbeat_worker(
            address=self.contact_address, now=time(), metrics=metrics, executing={}
        )

    async def close(self, *arguments: Any, **options: Any) -> str | None:
        """Stop; nothing is put into the store after this."""
        closed: str | None = await super().close(*arguments, **options)
        await self._scheduler.scattering.finish()
        return closed

    def run(self, comm: Comm, *arguments: Any, **options: Any) -> Any:
        """Run a function for `client.run`, and tell the clients where that is."""
        if not self._has_said_where:
            self._has_said_where = True
            warning = {"message": pickle.dumps(RUNS_HERE), "category": pickle.dumps(UserWarning)}
            self.log_event("warn", warning)
        return super().run(comm, *arguments, **options)
