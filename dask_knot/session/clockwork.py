"""What makes a session go: a clock, a way to wait, and threads. All three can be replaced.

In virtual time the clock is that of an event loop which never sleeps, and a thread is an executor
that does at once what it is given: then a session of hours takes as long as its own work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol


class Timer(Protocol):
    """A call that is still to come."""

    def cancel(self) -> None:
        """Let it not come."""


def _call_later(seconds: float, call: Callable[[], object]) -> Timer:
    return asyncio.get_running_loop().call_later(seconds, call)


def _listen(descriptor: int, call: Callable[[], object]) -> Callable[[], object]:
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, call)
    return partial(loop.remove_reader, descriptor)


def _end(over: asyncio.Future[None]) -> None:
    if not over.done():
        over.set_result(None)


def _threads(name: str, count: int) -> Executor:
    return ThreadPoolExecutor(count, f"dask-knot-{name}")


@dataclass(frozen=True, slots=True)
class Clockwork:
    """A clock, a way to wait, and threads.

    Attributes
    ----------
    now : callable
        Gives the time in seconds, on a clock that never goes back.
    call_later : callable
        Calls something in the event loop after some seconds of that clock.
    executor : callable
        Makes what runs calls that block, from a name and how many may run at once; calls of an
        executor for one run in order.
    pause : callable, optional
        Blocks for so many seconds of that clock, outside of an event loop; None: as threads do.
    epoch : callable
        Gives the seconds since the epoch, to be shown to people.
    listen : callable, optional
        Calls something in the event loop whenever a descriptor can be read, and gives what ends
        that; None: nothing comes by itself, as in virtual time.
    """

    now: Callable[[], float] = time.monotonic
    call_later: Callable[[float, Callable[[], object]], Timer] = _call_later
    executor: Callable[[str, int], Executor] = _threads
    pause: Callable[[float], object] | None = None
    epoch: Callable[[], float] = time.time
    listen: Callable[[int, Callable[[], object]], Callable[[], object]] | None = _listen

    async def sleep(self, seconds: float) -> None:
        """Let some time pass."""
        over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.call_later(seconds, partial(_end, over))
        try:
            await over
        finally:
            timer.cancel()

    async def run_in(self, executor: Executor, call: Callable[..., Any], *arguments: Any) -> Any:
        """Run a call that blocks, and wait for it without blocking the event loop."""
        return await asyncio.get_running_loop().run_in_executor(executor, call, *arguments)


class Alarm:
    """A sleep that ends early when something happens, and that a cancellation always ends.

    Not with `asyncio.wait_for`: before Python 3.12 it swallows a cancellation that comes in the
    tick in which the event is set, and whoever waits for the end of the task waits for ever.

    Parameters
    ----------
    clockwork : Clockwork
        Says when a sleep is over.
    """

    def __init__(self, clockwork: Clockwork) -> None:
        self._clockwork = clockwork
        self._event = asyncio.Event()
        self._is_over = False

    def ring(self) -> None:
        """End the sleep."""
        self._event.set()

    async def sleep(self, seconds: float | None) -> bool:
        """Sleep so many seconds, or for ever, unless it rings; tell whether it did.

        What rang before doesn't count. However few seconds are left, others have their turn.
        """
        self._event.clear()
        self._is_over = False
        timer = None
        if seconds is not None:
            timer = self._clockwork.call_later(max(0.0, seconds), self._end)
        try:
            await self._event.wait()
        finally:
            if timer is not None:
                timer.cancel()
        return not self._is_over

    def _end(self) -> None:
        self._is_over = True
        self._event.set()
