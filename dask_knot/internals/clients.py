"""Clients of this process: what they ask for, and do in one step where Dask's own do it by key.

A client waits for each key that it gathers in a task of its own, and sends a message for each that
it lets go. Both are made of the same parts here, in the same order, once for many keys; where
anything isn't as usual Dask's own method goes on.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import weakref
from collections.abc import Callable, Coroutine, Generator, Sequence
from functools import partial
from threading import Lock, RLock
from typing import Any

from dask.typing import Key
from distributed import Client, Future
from distributed.client import FutureState
from distributed.utils_comm import retry_operation

logger = logging.getLogger(__name__)

#: So many futures are gathered in one step; fewer don't take long, and Dask puts them together.
MANY = 64
#: What a scheduler says when a key that was awaited may have no value.
SETBACKS = ("task-erred", "cancelled-keys", "lost-data", "task-retried", "restart", "error")


def future_of(key: Key, client: Client) -> Future:
    """Make a future of a key that a scheduler may know; Dask's own tells the scheduler nothing."""
    future = Future(key, client)
    client._send_to_scheduler({"op": "client-desires-keys", "keys": [key]})
    return future


def tell_of_futures(client: Client) -> None:
    """Let a client ask for the keys of futures that are made by others than Dask, and us."""
    owner, count = weakref.ref(client), type(client)._inc_ref

    def count_and_ask(key: Key) -> None:
        held: Any = owner()
        is_first = key not in held.futures and held.status != "closed"
        count(held, key)
        if is_first:
            maker = sys._getframe(3).f_globals.get("__name__", "")  # below are the future's methods
            if maker.partition(".")[0] not in ("distributed", "dask_knot"):
                held.futures.setdefault(key, FutureState(key))  # it is there before any answer
                held._send_to_scheduler({"op": "client-desires-keys", "keys": [key]})

    client._inc_ref = count_and_ask


def release_together(client: Any) -> None:
    """Let a client tell its scheduler of all keys that it lets go at a time in one message.

    What is sent behind a key comes behind it: keys that are let go after that wait for another
    message.
    """
    owner, send = weakref.ref(client), type(client)._send_to_scheduler
    lock, batches = Lock(), list[list[Key]]()  # the one that takes more keys, if there is one

    def close(batch: list[Key]) -> None:
        held = owner()
        with lock:
            if batches and batches[0] is batch:
                batches.clear()
        if held is not None and held.status != "closed":
            held._send_to_scheduler_safe(
                {"op": "client-releases-keys", "keys": batch, "client": held.id}
            )

    def send_or_gather(message: dict[str, Any]) -> None:
        held: Any = owner()
        with lock:
            if message["op"] != "client-releases-keys":
                batches.clear()
            elif batches:
                batches[0].extend(message["keys"])
                return
            elif held.status != "closed":
                batches.append(list(message["keys"]))
                held.loop.add_callback(close, batches[0])
                return
        send(held, message)

    client._send_to_scheduler = send_or_gather


def let_go_together(loop: Any) -> None:
    """Let an event loop count off in one step what futures say that go at a time, in any thread.

    Each would wake it otherwise, and both threads would wait for the interpreter again and again.
    What is called behind a future that goes is called behind it; what went before, before.
    """
    if "add_callback" in vars(loop):
        return
    add, count_off = loop.add_callback, Client._dec_ref
    # A future may go in the midst of this, as the collector runs in the thread that holds it.
    lock, batches = RLock(), list[list[Callable[[], Any]]]()

    def count_all(batch: list[Callable[[], Any]]) -> None:
        with lock:
            if batches and batches[0] is batch:
                batches.clear()
        for count in batch:
            try:
                count()
            except Exception:
                logger.exception("a future could not be let go")

    def add_or_gather(callback: Callable[..., Any], *arguments: Any, **options: Any) -> None:
        with lock:
            if getattr(callback, "__func__", None) is not count_off:
                add(callback, *arguments, **options)
                batches.clear()
            elif batches:
                batches[0].append(partial(callback, *arguments))
            else:
                batch: list[Callable[[], Any]] = [partial(callback, *arguments)]
                add(count_all, batch)  # raises if the loop has ended
                batches.append(batch)

    loop.add_callback = add_or_gather


def gather_together(client: Any) -> None:
    """Let a client wait in one step for many futures that it gathers, unless one of them fails."""
    owner, gather_each, bell = weakref.ref(client), type(client)._gather, _Bell()
    cancel_each = type(client)._cancel
    handlers = client._stream_handlers
    for op in SETBACKS:
        handlers[op] = partial(bell.ring_and, handlers[op])

    def gather(
        futures: Any, errors: str = "raise", direct: Any = None, local_worker: Any = None
    ) -> Any:
        held: Any = owner()
        is_usual = not (direct or local_worker or held.direct_to_workers)
        states = _states(held, futures) if is_usual else None
        # In either case no frame of ours is in the traceback of what a task raised.
        if states is None:
            return gather_each(held, futures, errors, direct, local_worker)
        # The coroutine that waits is asyncio's.
        return asyncio.wait_for(_Apart(partial(gather_many, held, futures, states, errors)), None)

    async def gather_many(held: Any, futures: Any, states: Any, errors: str) -> Any:
        if await _are_finished(states, bell):
            response = await retry_operation(held.scheduler.gather, keys=[*states])
            if response["status"] == "OK":
                values = response["data"]
                return [values[future.key] for future in futures]
        elif errors == "raise":
            # Dask's own wouldn't look at one that was cancelled before it begins, but for others.
            for failed in [one for one in futures if one.status in ("error", "cancelled")][:1]:
                await gather_each(held, [failed], errors)
        return await gather_each(held, futures, errors)

    async def cancel(*arguments: Any, **options: Any) -> Any:
        try:
            return await cancel_each(owner(), *arguments, **options)
        finally:
            bell.ring()

    client._gather, client._cancel = gather, cancel


def _states(client: Any, futures: Any) -> dict[Key, Any] | None:
    """Give the states of the keys of a list of many futures; None if it is something else."""
    if type(futures) is not list or len(futures) < MANY:
        return None
    if any(type(one) is not Future or one._client is not client for one in futures):
        return None
    known = client.futures
    states = {future.key: known.get(future.key) for future in futures}
    return None if None in states.values() else states


async def _are_finished(states: dict[Key, Any], bell: _Bell) -> bool:
    """Wait for values of keys; give up as soon as anything happens that may keep one from it."""
    rung: asyncio.Future[Any] = bell.listen()
    walk = asyncio.ensure_future(_walk([*states.values()]))
    try:
        await asyncio.wait({walk, rung}, return_when=asyncio.FIRST_COMPLETED)
        return walk.done() and walk.result()
    finally:
        walk.cancel()
        rung.cancel()


async def _walk(states: Sequence[Any]) -> bool:
    for state in states:
        if state.status == "pending":
            await state.wait()
        if state.status != "finished":
            return False
    return True


class _Apart:
    """Awaits a coroutine in a task of its own: what that raises comes without a frame of it.

    Parameters
    ----------
    begin : callable
        Makes the coroutine.
    """

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        self._begin = begin

    def __await__(self) -> Generator[Any, None, Any]:
        outcome: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        task = asyncio.ensure_future(self._begin())

        def pass_on(_: object) -> None:
            error = None if task.cancelled() else task.exception()
            if outcome.done():  # nobody waits any more
                return
            if task.cancelled():
                outcome.cancel()
            elif error is None:
                outcome.set_result(task.result())
            else:
                above = error.__traceback__
                outcome.set_exception(error.with_traceback(above and above.tb_next))

        task.add_done_callback(pass_on)
        outcome.add_done_callback(lambda _: task.cancel())
        return outcome.__await__()


class _Bell:
    """Tells all who listen that something has happened, once each."""

    def __init__(self) -> None:
        self._listeners: set[asyncio.Future[None]] = set()

    def listen(self) -> asyncio.Future[None]:
        """Give what is done when it rings."""
        listener: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._listeners.add(listener)
        listener.add_done_callback(self._listeners.discard)
        return listener

    def ring_and(self, handle: Callable[..., Any], *arguments: Any, **message: Any) -> Any:
        """Let a client handle a message, which then all hear of."""
        try:
            return handle(*arguments, **message)
        finally:
            self.ring()

    def ring(self) -> None:
        """Let all hear it who listen."""
        for listener in list(self._listeners):
            if not listener.done():
                listener.set_result(None)
