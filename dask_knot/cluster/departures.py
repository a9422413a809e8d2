"""Clients that leave, and keys that they let go of: what still comes from them is for nobody.

A message may be taken up after its client was removed: it was on its way, or waited behind a graph
that was being opened. Dask's scheduler takes it for granted that who sent it is still there; it
raises, and writes tracebacks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from dask.typing import Key
from distributed.client import AllExit


class ClientRegister(Protocol):
    """A scheduler, as it is needed here: who is connected to it."""

    clients: Mapping[str, Any]
    client_comms: dict[str, Any]

    def remove_client(self, client: str, stimulus_id: str | None = None) -> None:
        """Let go of a client, and of the keys that only it wants."""


class Departures:
    """Passes messages on to Dask's scheduler as long as there is somebody whom they concern.

    Each method takes Dask's own as its first argument.

    Parameters
    ----------
    scheduler : ClientRegister
        Knows the clients.
    leaving : callable
        Gives a context in which what is released is left, and goes on.

    Attributes
    ----------
    is_leaving : bool
        Whether the scheduler itself leaves: the cluster is being closed.
    """

    def __init__(
        self, scheduler: ClientRegister, leaving: Callable[[], AbstractContextManager[Any]]
    ) -> None:
        self._scheduler = scheduler
        self._leaving = leaving
        self.is_leaving = False

    def leave(self) -> None:
        """Take nothing more from anybody, and tell nobody anything."""
        self.is_leaving = True
        # Else it warns that the values of the gateway will be computed elsewhere.
        for client in list(self._scheduler.clients):
            self._scheduler.remove_client(client, stimulus_id="knot-close")

    def remove(
        self, remove: Callable[[str, str | None], None], client: str, stimulus_id: str | None
    ) -> None:
        """Let go of a client that has closed, or whose connection has broken."""
        with self._leaving():
            remove(client, stimulus_id)

    async def feed(self, feed: Callable[..., Awaitable[None]], comm: Any, options: Any) -> None:
        """Feed a progress bar until one of the two ends, which is no error."""
        try:
            await feed(comm, **options)
        except asyncio.CancelledError:
            if not self.is_leaving:
                raise

    def release_keys(
        self, release: Callable[..., None], keys: Collection[Key], client: str, options: Any
    ) -> None:
        """Release keys of a client that is still known."""
        if client in self._scheduler.clients:
            release(keys=keys, client=client, **options)

    def heartbeat(self, beat: Callable[[str], None], client: str) -> None:
        """Note that a client lives, if it is still known."""
        if client in self._scheduler.clients and client in self._scheduler.client_comms:
            beat(client)

    def desire_keys(self, desire: Callable[..., None], keys: Collection[Key], client: str) -> None:
        """Hold keys for somebody, unless all are let go of."""
        if not self.is_leaving:
            desire(keys, client)

    def update_data(self, update: Callable[..., None], options: Any) -> None:
        """Learn of values that were scattered, unless all are let go of."""
        if not self.is_leaving:
            update(**options)

    def report(
        self, report: Callable[..., None], message: Any, task: Any, client: str | None
    ) -> None:
        """Tell clients something: those that listen. For others Dask writes a traceback each."""
        every = self._scheduler.client_comms
        gone = [name for name, one in every.items() if one.comm is not None and one.comm.closed()]
        if not gone:
            report(message, task, client)
            return
        self._scheduler.client_comms = {n: one for n, one in every.items() if n not in gone}
        try:
            report(message, task, client)
        finally:
            self._scheduler.client_comms = every


def wanted_readers(tasks: Mapping[Key, Any], keys: Collection[Key]) -> list[Key]:
    """Give keys to cancel: in the place of those that no client holds, such as hubs, their readers.

    Dask's own cancel takes it for granted that a client wants whatever reads a key.

    Parameters
    ----------
    tasks : mapping of Key to TaskState
        All that the scheduler knows.
    keys : collection of Key
        Whose cancellation was asked for.
    """
    wanted: dict[Key, None] = {}
    seen: set[Key] = set()
    left = list(keys)[::-1]
    while left:
        key = left.pop()
        if key in seen:  # there may be more ways to it than can be counted
            continue
        seen.add(key)
        task = tasks.get(key)
        if task is not None and task.who_wants:
            wanted[task.key] = None
        elif task is not None:
            left += [reader.key for reader in task.dependents]
    return list(wanted)


def ignore_who_left(loop: asyncio.AbstractEventLoop) -> None:
    """Let an event loop say nothing of waiting that was given up, as by Ctrl-C in `compute()`.

    A client waits for each key in a task of its own, and then nobody looks at these any more.
    """
    others = loop.get_exception_handler()
    if not (isinstance(others, partial) and others.func is _handle):
        loop.set_exception_handler(partial(_handle, others))


def _handle(others: Any, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    if isinstance(context.get("exception"), AllExit):
        return
    if others is None:
        loop.default_exception_handler(context)
    else:
        others(loop, context)
