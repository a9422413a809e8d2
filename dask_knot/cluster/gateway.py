"""The gateway: the one Dask worker, in the client's process, that stands for all jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from itertools import count
from time import time
from typing import Any, Protocol

from dask.typing import Key
from distributed import Status, Worker
from distributed.comm import Comm
from distributed.protocol import pickle
from distributed.sizeof import safe_sizeof
from distributed.utils import offload

from dask_knot.cluster.values import Values
from dask_knot.digests import Digester
from dask_knot.errors import StoreError
from dask_knot.run import codec
from dask_knot.run.run import Run
from dask_knot.tracking.events import ValuesScattered

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
    values: Values

    def heartbeat_worker(self, **news: Any) -> object:
        """Learn that the gateway lives."""


class Gateway(Worker):  # type: ignore[misc]
    """A Dask worker that runs nothing: it serves the values that jobs made.

    Parameters
    ----------
    scheduler : Upstream
        The scheduler in this process.
    run : Run
        Where scattered values go.
    first_number : int
        Where the numbers of their objects begin.
    digester : Digester or None
        In a named run: digests them.
    **options
        As for `distributed.Worker`.
    """

    def __init__(
        self,
        scheduler: Upstream,
        run: Run,
        first_number: int,
        digester: Digester | None,
        **options: Any,
    ) -> None:
        super().__init__(scheduler.address, name=GATEWAY, **options)
        self._scheduler = scheduler
        self._run = run
        self._digester = digester
        self._scattered = count(first_number)
        self._has_said_where = False
        self._puts: set[asyncio.Future[Any]] = set()
        self.handlers["update_data"] = self.update_data

    async def get_data(
        self,
        comm: Comm,
        keys: Collection[Key],
        who: str | None = None,
        serializers: Collection[str] | None = None,
        **options: Any,
    ) -> Any:
        """Give values to a client that asks workers itself (``direct=True``)."""
        values, lost = await self._scheduler.values.read(keys, serializers)
        if lost:
            return {"status": "OK", "data": {}}  # the client then asks the scheduler, which knows
        await comm.write({"status": "OK", "data": values}, serializers=serializers)
        if await comm.read() != "OK":  # it could not read them, and now asks for something else
            comm.abort()  # it then asks the scheduler
        return Status.dont_reply

    async def update_data(
        self, data: Mapping[Key, object], stimulus_id: str | None = None
    ) -> dict[str, Any]:
        """Put values that a client scatters into the store, once, before any shard reads them."""
        putting = asyncio.ensure_future(offload(self._put, next(self._scattered), data))
        self._puts.add(putting)
        putting.add_done_callback(self._puts.discard)
        try:
            # A thread goes on, whoever waits.
            await self._scheduler.values.scattered(await asyncio.shield(putting))
        except StoreError as error:
            self._scheduler.values.not_scattered(error)
            raise
        return {"nbytes": {key: safe_sizeof(value) for key, value in data.items()}, "status": "OK"}

    async def heartbeat(self) -> None:
        """Let the scheduler know, without a message that may be under way when one of them ends."""
        metrics = await self.get_metrics()
        self._scheduler.heartbeat_worker(
            address=self.contact_address, now=time(), metrics=metrics, executing={}
        )

    async def close(self, *arguments: Any, **options: Any) -> str | None:
        """Stop; nothing is put into the store after this."""
        closed: str | None = await super().close(*arguments, **options)
        await asyncio.gather(*self._puts, return_exceptions=True)
        return closed

    def run(self, comm: Comm, *arguments: Any, **options: Any) -> Any:
        """Run a function for `client.run`, and tell the clients where that is."""
        if not self._has_said_where:
            self._has_said_where = True
            warning = {"message": pickle.dumps(RUNS_HERE), "category": pickle.dumps(UserWarning)}
            self.log_event("warn", warning)
        return super().run(comm, *arguments, **options)

    def _put(self, number: int, data: Mapping[Key, object]) -> ValuesScattered:
        values = {key: codec.pickled(value) for key, value in data.items()}
        places = self._run.write_scattered(number, values)
        digest_of = self._digester.of_value if self._digester is not None else lambda value: None
        digests = {key: d for key, value in data.items() if (d := digest_of(value)) is not None}
        return ValuesScattered(places, digests)
