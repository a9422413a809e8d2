"""The pace at which graphs are gathered: how long one waits for others."""

from __future__ import annotations

from dataclasses import dataclass

#: Streams of graphs: a pause may be such a part of one, and of the longest wait (who submits what
#: follows from a result comes after the start of a job, and must not wait any more); and a graph
#: may wait for such a part of one, but never for more than so many times the longest wait.
PAUSE_IN_STREAM, PAUSE_IN_LONGEST, WAIT_IN_STREAM, WAIT_IN_LONGEST = 5, 10, 10, 10


@dataclass(frozen=True, slots=True)
class Mending:
    """The way in which plans that are under way are mended.

    Attributes
    ----------
    least : float
        Seconds of work of a shard that aren't worth handing over: its child hears of it so seldom.
    speculate : float, optional
        A shard that takes so many times what half of its stage took is started a second time; None:
        never.
    """

    least: float = 0.0
    speculate: float | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """The time for which graphs are gathered, in seconds.

    Attributes
    ----------
    quiet : float
        When slots are idle, a graph that follows closely on another waits until no more has come
        for so long.
    longest : float
        No graph waits longer than this, idle or busy, unless it is part of a long stream: then up
        to ten times as long.
    """

    quiet: float
    longest: float

    def quiet_in(self, stream: float) -> float:
        """Tell how long a pause ends a stream of graphs: the longer it was, the longer it may be.

        Else a busy machine, or a slow loop, would make hundreds of small jobs of one stream.
        """
        return max(self.quiet, min(stream / PAUSE_IN_STREAM, self.longest / PAUSE_IN_LONGEST))

    def longest_in(self, stream: float) -> float:
        """Tell how long a graph waits in a stream: it ends a tenth later, and so in few plans.

        A stream may last for hours: from some length on its plans are large enough as they are.
        """
        return max(self.longest, min(stream / WAIT_IN_STREAM, WAIT_IN_LONGEST * self.longest))
