"""Calls to Batch: each takes its time, and only so many of a kind are taken in a second."""

from __future__ import annotations

from collections import Counter

from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.timeline import Clock


class Api:
    """Batch's front door, which lets calls wait instead of refusing them, as boto3 tries again.

    Attributes
    ----------
    calls : Counter
        By operation: ``SubmitJob`` and so on.
    """

    def __init__(self, numbers: Numbers, clock: Clock) -> None:
        self._numbers = numbers
        self._clock = clock
        self._free: dict[str, float] = {}  # when the next call of a kind is taken
        self.calls: Counter[str] = Counter()

    def call(self, operation: str, after: float = 0.0) -> float:
        """Count a call that begins in `after` seconds; give the seconds from now to its answer."""
        self.calls[operation] += 1
        now = self._clock.time()
        taken = max(now + after, self._free.get(operation, 0.0))
        self._free[operation] = taken + 1.0 / self._numbers.calls_per_second
        return taken - now + self._numbers.call_latency
