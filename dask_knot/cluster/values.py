"""Values on their way from the store to clients."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from time import time
from typing import Any, Protocol

from dask.typing import Key
from distributed.protocol import to_serialize
from distributed.utils import offload

from dask_knot.run.manifest import Place
from dask_knot.session.encoded import EncodedValues
from dask_knot.session.session import Session
from dask_knot.tracking import events


class KeyStates(Protocol):
    """A scheduler, as it is needed here: which keys it takes to be in memory."""

    tasks: Mapping[Key, Any]

    def transitions(self, recommendations: dict[Key, str], stimulus_id: str) -> None:
        """Let keys change their states."""


class Values:
    """Tells clients where values are, and reads for those that can't.

    Parameters
    ----------
    scheduler : KeyStates
        Dask's, which has the keys of the values.
    session : Session
        Knows where values are, and reads them.
    """

    def __init__(self, scheduler: KeyStates, session: Session) -> None:
        self._scheduler = scheduler
        self._session = session

    def locate(self, keys: Collection[Key]) -> tuple[dict[Key, Place], list[Key]]:
        """Tell where values are, and name the keys that have none."""
        place_of = self._session.place_of
        places = {key: place for key in keys if (place := place_of(key))}
        lost = [key for key in keys if key not in places]
        self._release_lost(lost)
        return places, lost

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
        found, damaged = await asyncio.to_thread(self._session.values.read_values, places)
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

    def _release_lost(self, keys: Collection[Key]) -> None:
        """Let Dask ask again for keys whose values can't be read: they are made again."""
        place_of, tasks = self._session.place_of, self._scheduler.tasks
        in_memory = {key for key in keys if key in tasks and tasks[key].state == "memory"}
        lost = {key: "released" for key in in_memory if place_of(key) is None}
        self._scheduler.transitions(lost, f"knot-value-lost-{time()}")
