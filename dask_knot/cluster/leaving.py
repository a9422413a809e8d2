"""The last moments of a scheduler, and of clients: what still comes then is for nobody."""

from __future__ import annotations

import asyncio
from functools import partial
from inspect import unwrap
from typing import Any

from distributed import Scheduler
from distributed.client import AllExit
from distributed.utils import log_errors


class LeavesQuietly(Scheduler):  # type: ignore[misc]
    """Dask's scheduler takes it for granted that who sends a message is still there.

    A message may be taken up after its client was removed: it was on its way, or waited behind a
    graph that was being opened. Dask raises then, and writes tracebacks.

    Attributes
    ----------
    is_leaving : bool
        Whether the cluster is being closed.
    """

    client_comms: dict[str, Any]
    is_leaving = False

    def leave(self) -> None:
        """Take nothing more from anybody, and tell nobody anything."""
        self.is_leaving = True
        # Else it warns that the values of the gateway will be computed elsewhere.
        for client in list(self.clients):
            self.remove_client(client, stimulus_id="knot-close")

    async def close(self, *arguments: Any, **options: Any) -> None:
        """Close, whoever asks for it: the cluster, or a client that shuts everything down."""
        self.leave()
        await super().close(*arguments, **options)

    async def start_unsafe(self) -> LeavesQuietly:
        """Start; the clients of this process wait in the same event loop."""
        ignore_who_left(asyncio.get_running_loop())
        await super().start_unsafe()
        return self

    @log_errors  # type: ignore[untyped-decorator]
    async def feed(self, comm: Any, **options: Any) -> None:
        """Feed a progress bar until one of the two ends, which is no error."""
        try:
            await unwrap(Scheduler.feed)(self, comm, **options)
        except asyncio.CancelledError:
            if not self.is_leaving:
                raise

    def client_releases_keys(self, keys: Any, client: str, **options: Any) -> None:
        """Release keys of a client that is still known."""
        if client in self.clients:
            super().client_releases_keys(keys=keys, client=client, **options)

    def client_heartbeat(self, client: str) -> None:
        """Note that a client lives, if it is still known."""
        if client in self.clients and client in self.client_comms:
            super().client_heartbeat(client)

    def client_desires_keys(self, keys: Any, client: str) -> None:
        """Hold keys for somebody, unless all are let go of."""
        if not self.is_leaving:
            super().client_desires_keys(keys, client)

    def update_data(self, **options: Any) -> None:
        """Learn of values that were scattered, unless all are let go of."""
        if not self.is_leaving:
            super().update_data(**options)

    def report(self, msg: Any, ts: Any = None, client: str | None = None) -> None:
        """Tell clients something: those that listen. For others Dask writes a traceback each."""
        every = self.client_comms
        gone = [name for name, one in every.items() if one.comm is not None and one.comm.closed()]
        if not gone:
            super().report(msg, ts, client)
            return
        self.client_comms = {name: one for name, one in every.items() if name not in gone}
        try:
            super().report(msg, ts, client)
        finally:
            self.client_comms = every


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
