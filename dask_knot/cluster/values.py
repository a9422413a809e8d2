"""Values on their way from the store to clients, and from clients to the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from time import time
from typing import Any, Protocol

from dask.typing import Key
from distributed.protocol import to_serialize
from distributed.utils import offload

from dask_knot.cluster.news import News
from dask_knot.errors import StoreError
from dask_knot.session.session import Session
from dask_knot.session.values import EncodedValues
from dask_knot.tracking import events


class KeyStates(Protocol):
    """A scheduler, as it is needed here: which keys it takes to be in memory."""

    tasks: Mapping[Key, Any]

    def transitions(self, recommendations: dict[Key, str], stimulus_id: str) -> None:
        """Let keys change their states."""


class Values:
    """Reads values for clients, and learns which of those that they scatter are in the store.

    Parameters
    ----------
    scheduler : KeyStates
        Dask's, which has the keys of the values.
    news : News
        What Dask has done and the tracker doesn't know yet.
    session : Session
        Knows where values are, and reads them.
    """

    def __init__(self, scheduler: KeyStates, news: News, session: Session) -> None:
        self._scheduler = scheduler
        self._news = news
        self._session = session
        self._scatter_error: StoreError | None = None

    async def read(
        self, keys: Collection[Key], serializers: Collection[str] | None
    ) -> tuple[Any, list[Key]]:
        """Read values as a client can be sent them, and name the keys that have none.

        Raises
        ------
        StoreError
            If the store can't be read.
        """
        place_of = self._session.place_of
        places = {key: place for key in keys if (place := place_of(key))}
        found, damaged = await asyncio.to_thread(self._session.read_values, places)
        for key, error in damaged.items():
            if place_of(key) == places[key]:  # else it was made again meanwhile
                self._session.handle([events.ValueLost(key, error)])
        lost = [key for key in keys if key not in found]
        self._release_lost(lost)
        if serializers is None or "pickle" in serializers:
            return to_serialize(EncodedValues(found)), lost
        # Values are stored as pickles: whoever takes none gets them in a way that it does take.
        values = await offload(EncodedValues(found).decoded)
        return {key: to_serialize(value) for key, value in values.items()}, lost

    async def scatter(
        self, scatter: Callable[..., Awaitable[Any]], arguments: Sequence[Any], options: Any
    ) -> Any:
        """Let the gateway put values into the store; what it raises would only come back as text.

        Raises
        ------
        StoreError
            If they can't be put there.
        """
        try:
            return await scatter(*arguments, **options)
        except Exception as error:
            cause, self._scatter_error = self._scatter_error, None
            raise (cause or error) from error

    def not_scattered(self, error: StoreError) -> None:
        """Learn why the gateway could not put values into the store."""
        self._scatter_error = error

    async def scattered(self, event: events.ValuesScattered) -> None:
        """Learn of values that the gateway has put into the store.

        Raises
        ------
        StoreError
            If a named run can't be told of them.
        """
        await self._session.record_scattered(event)
        self._news.tell_now(event)

    def _release_lost(self, keys: Collection[Key]) -> None:
        """Let Dask ask again for keys whose values can't be read: they are made again."""
        place_of, tasks = self._session.place_of, self._scheduler.tasks
        in_memory = {key for key in keys if key in tasks and tasks[key].state == "memory"}
        lost = {key: "released" for key in in_memory if place_of(key) is None}
        self._scheduler.transitions(lost, f"knot-value-lost-{time()}")
