"""The memory and the processor time that tasks take, by the prefix of their keys.

The kernel keeps the high-water mark of a process, and can be told to begin anew. That is done
between tasks, but not after each: reading and writing takes the time of a hundred small tasks. So
what ends within some milliseconds shares a window, and its peak.
"""

from __future__ import annotations

import os
import time
from functools import cached_property

from dask_knot.job.peak import PeakMemory, of_children
from dask_knot.run.manifest import Work

#: Seconds that a window is open at least: fifty a second cost less than a hundredth of them.
WINDOW = 0.02


class Usage:
    """Tells the tasks of a shard apart by what they take.

    Parameters
    ----------
    peak : PeakMemory
        Reads the memory of this process.

    Attributes
    ----------
    is_alone : bool
        One task runs at a time. Else a mark that is set back would be missed by the others, and a
        peak is that of all which have run so far; if they run in other processes, it is unknown.
    is_here : bool
        Tasks run in this process.
    """

    def __init__(self, peak: PeakMemory) -> None:
        self._peak = peak
        self.is_alone = self.is_here = True
        self._at_first = self._last = peak.mark()
        self._can_set_back = peak.set_back(self._last)
        self._begin()

    @cached_property
    def _shared(self) -> int:
        """Bytes that are others', too: read when the first window closes, as that takes a while."""
        return self._peak.shared()

    @property
    def reserved(self) -> int:
        """Bytes that this process had before its first task; what it shares, by its share."""
        return max(0, self._at_first - self._shared)

    def _begin(self) -> None:
        self._since = time.monotonic()
        self._cpu = time.process_time()
        self._children = of_children(), _children_seconds()
        self._ended: list[tuple[Work, float]] = []

    def begin_anew(self) -> None:
        """Forget what was taken since a task ended: it is nobody's."""
        self.close_window()
        self._mark()
        self._begin()

    def note(self, work: Work, seconds: float) -> None:
        """Take it that a task has ended, whose costs go into `work`."""
        self._ended.append((work, seconds))
        if time.monotonic() - self._since >= WINDOW:
            self.close_window()

    def close_window(self) -> None:
        """Put down what the tasks took that have ended since the last time."""
        if not self._ended:
            return
        if self.is_here:
            mark, cpu = self._mark(), time.process_time() - self._cpu
            seconds = sum(one for _, one in self._ended) or 1.0
            for work, one in self._ended:
                work.peak = max(work.peak, mark)
                work.cpu += cpu * one / seconds
        self._begin()

    def _mark(self) -> int:
        """Give the peak of the window, and let the next one begin anew; 0 if it isn't known."""
        mark = self._peak.mark()
        has_risen, self._last = mark > self._last, mark
        if self.is_alone and self._can_set_back:
            self._peak.set_back(mark)
        elif self.is_alone and not has_risen:
            return 0  # of some task before
        largest, seconds = of_children(), _children_seconds()
        # Of several programs, one after another, only the largest is known.
        return max(1, mark - self._shared) + (
            largest if (largest, seconds) != self._children else 0
        )


def _children_seconds() -> float:
    """Give the processor time of processes that this one has waited for."""
    times = os.times()
    return times.children_user + times.children_system
