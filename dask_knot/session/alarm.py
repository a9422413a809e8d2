"""A sleep that ends early when something happens, and that a cancellation always ends."""

from __future__ import annotations

import asyncio


class Alarm:
    """An event that is waited for so many seconds at most.

    Not with `asyncio.wait_for`: before Python 3.12 it swallows a cancellation that comes in the
    tick in which the event is set, and whoever waits for the end of the task waits for ever.
    """

    def __init__(self) -> None:
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
            timer = asyncio.get_running_loop().call_later(max(0.0, seconds), self._end)
        try:
            await self._event.wait()
        finally:
            if timer is not None:
                timer.cancel()
        return not self._is_over

    def _end(self) -> None:
        self._is_over = True
        self._event.set()
