"""Outlet: what the scheduler tells clients, so that they read values themselves.

Whoever gathers gets places, not values: a client of this process reads as the session does, another
one from the store if it can, or else ranges of bytes through here. For that its `gather` is put in
the place of Dask's: see `courier`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from functools import partial
from pickle import PickleBuffer
from typing import Any, Protocol

from dask.typing import Key
from distributed.protocol import to_serialize

from dask_knot.cluster.courier import Courier, Introduction, attach
from dask_knot.cluster.located import Located
from dask_knot.cluster.values import Values
from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.internals.reports import told_together
from dask_knot.run.manifest import Place
from dask_knot.run.names import StageId
from dask_knot.session.encoded import APART_BYTES
from dask_knot.session.session import Session

#: Small values travel with the places of the others, up to so many bytes.
MOST_INLINE = 64 * 2**20
#: A stage, to name a run as jobs know it.
_ANY_STAGE = StageId(0, 0)


class Introducer(Protocol):
    """A scheduler, as it is needed here."""

    id: str
    loop: Any
    status: Any
    handlers: dict[str, Any]
    clients: Mapping[str, Any]
    client_comms: Mapping[str, Any]

    def log_event(self, topic: Any, msg: Any) -> None:
        """Note what happened."""


class Outlet:
    """Introduces clients to the store, and tells them where values are.

    Parameters
    ----------
    scheduler : Introducer
        Dask's, to which they are connected.
    values : Values
        Knows where values are.
    session : Session
        Reads what somebody else can't.
    """

    def __init__(self, scheduler: Introducer, values: Values, session: Session) -> None:
        self._scheduler = scheduler
        self._values = values
        self._session = session
        self._introduced: set[str] = set()
        self._hearing: set[str] = set()  # clients that hear of many keys in one message
        scheduler.handlers["locate_values"] = self.locate_values
        scheduler.handlers["read_range"] = self.read_range

    @property
    def id(self) -> str:
        """The id of the scheduler."""
        return self._scheduler.id

    def introduce(self, client: str) -> None:
        """Let a client that was heard of for the first time read values itself.

        Not before it asks for something: until its constructor returns nobody finds it.
        """
        comm = self._scheduler.client_comms.get(client)
        if client in self._introduced or comm is None:
            return  # a dataset that is published holds keys, too
        self._introduced.add(client)
        known = Introduction(client, self._scheduler.id, self._session.run.url_of(_ANY_STAGE))
        # It has asked for no such key: so it unpickles what it is told, and does nothing with it.
        news = {"op": "key-in-memory", "key": "knot", "workers": to_serialize(known)}
        if comm.comm is not None and not comm.comm.closed():
            comm.send(news)

    def knows(self, client: str) -> bool:
        """Tell whether a client is connected here."""
        return client in self._scheduler.clients

    def welcome(self, client: Any) -> None:
        """Let a client of this process read values as the session does."""
        self._introduced.add(client.id)
        known = {"scheduler": self._scheduler, "values": self._values}
        attach(client, partial(Courier, **known, reader=self._session.values))

    def tell_together(self, client: str) -> None:
        """Tell a client of many keys in one message from now on."""
        self._hearing.add(client)

    def joined(self, messages: Mapping[str, Any]) -> dict[str, Any]:
        """Join what is said to clients that hear of many keys in one message."""
        hearing = self._hearing
        return {
            client: told_together(said) if client in hearing else said
            for client, said in messages.items()
        }

    def forget(self, client: str) -> None:
        """Let go of a client: one that comes back is introduced again."""
        self._introduced.discard(client)
        self._hearing.discard(client)

    async def locate_values(self, keys: Collection[Key]) -> dict[str, Any]:
        """Tell another process where values are; those that are in memory go along."""
        places, lost = self._values.locate(keys)
        if lost:
            return {"status": "error", "keys": lost}
        located = await asyncio.to_thread(self._located, places)
        self._scheduler.log_event("all", {"action": "gather", "count": len(keys)})
        return {"status": "OK", "located": to_serialize(located)}

    async def read_range(self, place: tuple[str, int, int]) -> dict[str, Any]:
        """Read a range of an object for a client that can't; None if it isn't there.

        Raises
        ------
        StoreError
            If the store can't be read.
        """
        try:
            data = await asyncio.to_thread(self._session.values.read, Place(*place))
        except (MissingObjectError, CorruptObjectError):
            return {"data": None}
        return {"data": to_serialize(Piece(data))}

    def _located(self, places: Mapping[Key, Place]) -> Located:
        near, far, size = {}, {}, 0
        for key, place in places.items():
            small = place.length <= APART_BYTES and size + place.length <= MOST_INLINE
            data = self._session.values.at_hand(place) if small else None
            if data is None:
                far[key] = place
            else:
                near[key] = data
                size += data.nbytes
        return Located.of(near, far)


class Piece:
    """Bytes on their way to a client, without a copy."""

    def __init__(self, data: memoryview) -> None:
        self._data = data

    def __reduce__(self) -> tuple[Any, ...]:
        return memoryview, (PickleBuffer(self._data),)
