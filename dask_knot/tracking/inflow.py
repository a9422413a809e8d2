"""The inflow of graphs that arrive: how closely they follow on each other, and who waits behind it.

Pure: all times are passed in.
"""

from __future__ import annotations

from dataclasses import dataclass

from dask_knot.tracking.pace import Pace

#: So much of a stream does a pause take away.
PAUSE_COSTS = 10


@dataclass(slots=True)
class Inflow:
    """Graphs that follow on each other.

    Attributes
    ----------
    pace : Pace
        How long they are gathered.
    last : float
        When the last graph came.
    start : float
        When the first came of those that follow closely on each other.
    arriving : int
        Graphs that are being taken up: others may wait behind them.
    """

    pace: Pace
    last: float = float("-inf")
    start: float = float("inf")
    arriving: int = 0

    @property
    def quiet(self) -> float:
        """The pause that ends it."""
        return self.pace.quiet_in(self.last - self.start)

    @property
    def longest(self) -> float:
        """The longest wait of one of its graphs."""
        return self.pace.longest_in(self.last - self.start)

    @property
    def is_new(self) -> bool:
        """A pause was before the last graph that came."""
        return self.last == self.start

    def note(self, now: float) -> None:
        """Note that a graph comes: the first of a stream if there was a pause before it.

        Of a stream that was much longer than the pause, a part goes on.
        """
        pause = now - self.last
        if pause > self.quiet:
            left = self.last - self.start - PAUSE_COSTS * pause
            self.start = now - max(0.0, left)
        self.last = now

    def begin(self, now: float) -> None:
        """Note that a graph is taken up."""
        self.note(now)
        self.arriving += 1

    def end(self, now: float) -> None:
        """Note that a graph was taken up, or refused."""
        self.arriving = max(0, self.arriving - 1)  # none is counted after a mistake
        self.last = now

    def forget(self) -> None:
        """Take it that no graph is being taken up."""
        self.arriving = 0
