"""A clock and what is to happen by it: as an event loop has them, without the loop."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any, Protocol


class Clock(Protocol):
    """What simulated parts need of a timeline, or of a virtual event loop."""

    def time(self) -> float:
        """Give the seconds since the beginning."""

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Any:
        """Call something once so many seconds have passed."""


class Timeline:
    """Calls what is due, in order; calls for the same moment in the order in which they came."""

    def __init__(self) -> None:
        self._now = 0.0
        self._due: list[tuple[float, int, Callable[..., object], tuple[Any, ...]]] = []
        self._numbers = count()

    def time(self) -> float:
        """Give the seconds since the beginning."""
        return self._now

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """Call something once so many seconds have passed."""
        heapq.heappush(self._due, (self._now + delay, next(self._numbers), callback, args))

    def run(self, is_over: Callable[[], bool] = lambda: False) -> float:
        """Let time pass until it is over, or nothing is left to happen; give the time then."""
        while self._due and not is_over():
            self._now, _, callback, args = heapq.heappop(self._due)
            callback(*args)
        return self._now
