"""Values that clients scatter, on their way into the store: once, before any shard reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import count
from typing import Any, Protocol

from dask.typing import Key
from distributed.protocol.serialize import Serialize, Serialized, deserialize
from distributed.sizeof import safe_sizeof
from distributed.utils import offload

from dask_knot.cluster.news import News
from dask_knot.errors import StoreError
from dask_knot.run import codec
from dask_knot.session.session import Session
from dask_knot.tracking import events


class Learner(Protocol):
    """A scheduler, as it is needed here."""

    gateway_address: str

    def update_data(self, **options: Any) -> None:
        """Learn which values a worker has."""

    def log_event(self, topic: Any, msg: Any) -> None:
        """Note what happened."""


class Scattering:
    """Puts what clients scatter into the store.

    Parameters
    ----------
    scheduler : Learner
        Dask's: it is to hold the keys.
    news : News
        What Dask has done and the tracker doesn't know yet.
    session : Session
        Has the run, and learns where the values are.
    """

    def __init__(self, scheduler: Learner, news: News, session: Session) -> None:
        self._scheduler = scheduler
        self._news = news
        self._session = session
        self._numbers = count(session.first_number)
        self._puts: set[asyncio.Future[Any]] = set()
        self._error: StoreError | None = None

    async def scatter(
        self, scatter: Callable[..., Awaitable[Any]], arguments: Sequence[Any], options: Any
    ) -> Any:
        """Put values of a client into the store, in the place of Dask's way over a connection.

        Dask's own is left to refuse what there isn't: workers, and copies at several of them.

        Raises
        ------
        StoreError
            If they can't be put there.
        """
        if arguments or options.get("workers") is not None or options.get("broadcast"):
            return await self._by_way_of_dask(scatter, arguments, options)
        data, client = options["data"], options["client"]
        values = {key: _value(one) for key, one in data.items()}
        if any(isinstance(one, Serialized) for one in data.values()):
            values = await offload(_opened, data)
        nbytes = await self.put(values)
        who_has = {key: [self._scheduler.gateway_address] for key in values}
        self._scheduler.update_data(who_has=who_has, nbytes=nbytes, client=client)
        event = {"action": "scatter", "client": client, "count": len(values)}
        self._scheduler.log_event([client, "all"], event)
        return list(values)

    async def put(self, values: Mapping[Key, object]) -> dict[Key, int]:
        """Put values into the store, and give the bytes that each takes in memory.

        Raises
        ------
        StoreError
            If they can't be put there, or a named run can't be told of them.
        """
        putting = asyncio.ensure_future(offload(self._put, next(self._numbers), values))
        self._puts.add(putting)
        putting.add_done_callback(self._puts.discard)
        try:
            event = await asyncio.shield(putting)  # a thread goes on, whoever waits
            await self._session.record_scattered(event)
        except StoreError as error:
            self._error = error
            raise
        self._news.tell_now(event)
        return {key: safe_sizeof(value) for key, value in values.items()}

    async def finish(self) -> None:
        """Wait until nothing is put into the store any more."""
        await asyncio.gather(*self._puts, return_exceptions=True)

    async def _by_way_of_dask(
        self, scatter: Callable[..., Awaitable[Any]], arguments: Sequence[Any], options: Any
    ) -> Any:
        self._error = None
        try:
            return await scatter(*arguments, **options)
        except Exception as error:  # what the gateway raises comes back as text only
            cause, self._error = self._error, None
            raise (cause or error) from error

    def _put(self, number: int, values: Mapping[Key, object]) -> events.ValuesScattered:
        session = self._session
        encoded = {key: codec.pickled(value) for key, value in values.items()}
        places = session.run.write_scattered(number, encoded)
        if session.digester is None:
            return events.ValuesScattered(places, {})
        digest_of = session.digester.of_value
        digests = {key: d for key, value in values.items() if (d := digest_of(value)) is not None}
        return events.ValuesScattered(places, digests)


def _value(given: Any) -> Any:
    """Give what a client of this process has wrapped to be sent."""
    return given.data if isinstance(given, Serialize) else given


def _opened(data: Mapping[Key, Any]) -> dict[Key, Any]:
    """Open what came over a connection."""
    return {
        key: deserialize(one.header, one.frames) if isinstance(one, Serialized) else _value(one)
        for key, one in data.items()
    }
