"""What a scheduler reports of keys that are in memory: many in one message, heard in one step."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from itertools import groupby
from typing import Any

from dask.typing import Key
from distributed.protocol.pickle import loads

from dask_knot.collector import paused_collector

#: A client remembers so many types of values.
TYPES = 1000
#: What a scheduler says to those that hear of many keys in one message.
MANY_IN_MEMORY = "knot-keys-in-memory"


def hear_together(client: Any) -> None:
    """Let a client learn at a time of all keys that a message of its scheduler tells of.

    The type of a value is unpickled once for all keys that have it, and the collector doesn't walk
    the futures again and again meanwhile.
    """
    owner, types, pause = weakref.ref(client), dict[bytes, Any](), ExitStack()
    heard = list[bool]()  # whether anything was since the event loop came round

    def rest() -> None:
        heard.clear()
        pause.close()

    def hear(key: Any = None, type: Any = None, workers: Any = None) -> None:
        held: Any = owner()
        if not heard:
            heard.append(True)
            pause.enter_context(paused_collector())
            held.loop.add_callback(rest)
        state = held.futures.get(key)
        if state is not None:
            if state._event is None:
                state._event = _Finished()
            state.finish(_type(types, type) if type and not state.type else None)

    def hear_many(keys: Sequence[Key], type: Any = None) -> None:
        for key in keys:
            hear(key, type)

    handlers = client._stream_handlers
    handlers["key-in-memory"], handlers[MANY_IN_MEMORY] = hear, hear_many


def told_together(messages: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join what a scheduler says of keys one by one, for clients that `hear_together`."""
    joined: list[dict[str, Any]] = []
    for (op, type), some in groupby(messages, lambda said: (said["op"], said.get("type"))):
        if op == "key-in-memory" and type is not None:
            keys = [said["key"] for said in some]
            joined.append({"op": MANY_IN_MEMORY, "keys": keys, "type": type})
        else:
            joined.extend(some)
    return joined


def _type(known: dict[bytes, Any], pickled: bytes) -> Any:
    """Unpickle the type of a value; None if it can't be read here, as Dask's own clients do."""
    if pickled not in known:
        if len(known) >= TYPES:
            known.clear()
        try:
            known[pickled] = loads(pickled)
        except Exception:  # it runs code of the user's
            known[pickled] = None
    return known[pickled]


class _Finished:
    """The event of a key that had a value before anybody waited: a twentieth of one of asyncio's.

    It is set, and has one of those from the moment when it is cleared.
    """

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None

    def is_set(self) -> bool:
        """Tell whether nobody has to wait."""
        return self._event is None or self._event.is_set()

    def set(self) -> None:
        """Let all go on who wait."""
        if self._event is not None:
            self._event.set()

    def clear(self) -> None:
        """Let all wait who come from now on."""
        self._event = self._event or asyncio.Event()
        self._event.clear()

    async def wait(self) -> bool:
        """Wait until it is set."""
        return self._event is None or await self._event.wait()
