"""What a line carries, as this process has seen it, and so how many requests fill it. Pure.

A line is full when bandwidth times latency is under way: fewer requests leave it idle while they
wait for their answers, more of them only wait for each other. Neither number can be asked for; but
what arrives in a second shows when more requests bring more. So it is looked at whenever as many
are under way as were thought to fill the line: as long as half as many again bring clearly more,
there are more; when they don't, it was enough before, and is tried again after a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from threading import Lock

#: Requests under way at once: before anything is known, and at most.
FIRST, MOST = 8, 64
#: So many times as many are tried, and so much more they must bring: a third of what could be.
STEP, GAIN = 1.5, 1.15
#: After a try that brought nothing, so many looks pass until the next one.
PAUSE = 10


@dataclass(slots=True)
class Passage:
    """One request that is under way.

    Attributes
    ----------
    began : float
        When.
    before : int
        Bytes that had passed by then.
    most : int
        The most requests that were under way since.
    """

    began: float
    before: int
    most: int = 0


class Downlink:
    """The requests of a process on one line. For several threads."""

    def __init__(self) -> None:
        self._lock = Lock()  # around all below
        self._passages: dict[int, Passage] = {}
        self._passed = 0
        self._width = self._enough = FIRST
        self._rates: list[float] = []  # seen since the width was looked at
        self._best = 0.0  # with fewer requests
        self._pause = 0

    @property
    def under_way(self) -> int:
        """How many requests there are."""
        return len(self._passages)

    @property
    def width(self) -> int:
        """How many are worth having at once."""
        return self._width

    def begin(self, now: float) -> Passage:
        """Note that a request is made."""
        with self._lock:
            passage = Passage(now, self._passed)
            self._passages[id(passage)] = passage
            count = len(self._passages)
            for each in self._passages.values():
                each.most = max(each.most, count)
        return passage

    def end(self, passage: Passage, size: int, now: float) -> None:
        """Note that a request has ended, and how many bytes it has brought."""
        with self._lock:
            del self._passages[id(passage)]
            self._passed += size
            if passage.most < self._width:
                return  # with more of them, there might be more
            seconds = max(now - passage.began, 1e-6)
            self._rates.append((self._passed - passage.before) / seconds)
            if len(self._rates) >= self._width:
                self._look(max(self._rates))
                self._rates = []

    def _look(self, rate: float) -> None:
        if self._pause:
            self._pause -= 1
        elif rate > GAIN * self._best:
            self._best, self._enough = rate, self._width
            self._width = min(MOST, ceil(STEP * self._width))
        else:
            self._best, self._width, self._pause = 0.0, self._enough, PAUSE
