"""Courier: brings values to a client, and what it scatters to the store.

It takes the place of two calls of a client's connection, `gather` and `scatter`: Dask calls them as
before, and gets the same answers. A client of the cluster's own process needs no connection for
either. One of another process asks for places, and reads them from the store if it finds there what
the cluster finds; else it asks for ranges of bytes, a few at a time (`remote`).

It is installed when the client connects (`newcomers`), or, in other processes, with a message that
the client only unpickles: an `Introduction`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

from dask.typing import Key
from distributed import Status

from dask_knot.cluster.located import load
from dask_knot.errors import KnotError
from dask_knot.internals import clients_here
from dask_knot.run.frames import shorten
from dask_knot.session.process import open_here
from dask_knot.session.values import ValueReader


class Courier:
    """Gathers and scatters for a client in the process of its cluster.

    Parameters
    ----------
    connection : PooledRPCCall
        The client's own way to the scheduler: for what is to go there all the same.
    scheduler : KnotScheduler
        The scheduler.
    values : Values
        Knows where values are.
    reader : ValueReader
        The session's.
    """

    def __init__(self, connection: Any, scheduler: Any, values: Any, reader: ValueReader) -> None:
        self._ask, self._send = connection.gather, connection.scatter
        self._scheduler = scheduler
        self._values = values
        self._reader = reader

    async def gather(self, keys: Collection[Key], **options: Any) -> dict[str, Any]:
        """Answer as `Scheduler.gather` does.

        Raises
        ------
        CommClosedError
            If the cluster closes meanwhile.
        """
        if not self._is_beside():
            return await self._ask(keys=keys, **options)  # type: ignore[no-any-return]
        places, lost = self._values.locate(keys)
        if lost:
            return {"status": "error", "keys": lost}
        try:
            values, damaged = await load(self._reader, places)
        except KnotError as error:
            shorten(error)
            raise error
        if damaged:  # or made again meanwhile: the scheduler tells
            reply = await self._ask(keys=list(damaged), **options)
            if reply["status"] != "OK":
                return reply  # type: ignore[no-any-return]
            values |= reply["data"]
        self._scheduler.log_event("all", {"action": "gather", "count": len(keys)})
        return {"status": "OK", "data": values}

    async def scatter(self, **options: Any) -> Any:
        """Answer as `Scheduler.scatter` does."""
        if not self._is_beside():
            return await self._send(**options)
        return await self._scheduler.scatter(**options)

    def _is_beside(self) -> bool:
        """Tell whether the scheduler runs, in this very event loop: else it is sent messages."""
        loop = self._scheduler.loop.asyncio_loop
        is_running = self._scheduler.status is Status.running
        return is_running and loop is asyncio.get_running_loop()


@dataclass(frozen=True, slots=True)
class Introduction:
    """On unpickling, where dask_knot is, lets a client read values itself.

    Attributes
    ----------
    client, scheduler : str
        Their ids.
    url : str
        The URL of a pack of the run, such as jobs are started with.
    """

    client: str
    scheduler: str
    url: str

    def __reduce__(self) -> tuple[Any, ...]:
        return exec, (_INTRODUCE, {"known": (self.client, self.scheduler, self.url)})


_CALLS = ("gather", "scatter")
#: A client whose message can't be unpickled hears nothing any more. So one that has no dask_knot,
#: another version, or one that can't be imported there takes no notice of it.
_INTRODUCE = f"""
try:
    from {__name__} import introduce
    introduce(known)
except Exception:
    pass
"""


def introduce(known: tuple[str, str, str]) -> None:
    """Let a client of this process read values itself."""
    id, scheduler, url = known
    client = next((one for one in clients_here() if one.id == id), None)
    if client is None:
        return
    for holder in list(open_here):
        ours = getattr(getattr(holder, "scheduler", None), "outlet", None)
        if ours is not None and ours.id == scheduler:
            ours.welcome(client)
            return
    from dask_knot.cluster.remote import RemoteCourier  # which few need

    attach(client, partial(RemoteCourier, url=url))


def attach(client: Any, make: Callable[[Any], Any]) -> None:
    """Let a client gather, and scatter, by a courier that is made of its connection.

    One that takes no pickles gets values in Dask's way.
    """
    connection = client.scheduler
    for name in _CALLS:  # those of an earlier one, before it came back
        vars(connection).pop(name, None)
    if connection.deserializers is None or "pickle" in connection.deserializers:
        courier = make(connection)
        for name in _CALLS:
            if hasattr(courier, name):
                setattr(connection, name, getattr(courier, name))
