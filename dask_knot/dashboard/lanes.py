"""The job slot that ran a shard, and the core that ran a task: from their times alone. Pure."""

from __future__ import annotations

from bisect import bisect, insort
from collections.abc import Callable, Sequence
from math import inf

from dask_knot.run.names import ShardId

#: What a slot remembers of what it ran: manifests come late, but not that late.
REMEMBERED = 100

Span = tuple[float, float]


class Lanes:
    """Lays shards on as few slots as their times allow; Batch doesn't say which slot ran a job."""

    def __init__(self) -> None:
        self._slots: list[list[Span]] = []
        self._ends: list[float] = []  # of the last span in each slot
        self._latest = -inf  # when the last of all spans began
        self._held: dict[ShardId, tuple[int, Span]] = {}

    def place(self, shard: ShardId, start: float, stop: float, is_final: bool) -> int:
        """Give the slot of a shard that ran tasks from `start` to `stop`.

        Until a final span comes the slot is the shard's, for as long as that may take.
        """
        if shard in self._held:
            slot, began = self._let_go(shard)
            start = min(start, began)
        else:
            slot = self._free_slot(start, stop if is_final else inf)
        span = (start, max(start, stop) if is_final else inf)
        if not is_final:
            self._held[shard] = (slot, span)
        insort(self._slots[slot], span)
        del self._slots[slot][:-REMEMBERED]
        self._ends[slot] = self._slots[slot][-1][1]
        self._latest = max(self._latest, start)
        return slot

    def keep(self, is_running: Callable[[ShardId], bool]) -> None:
        """Free the slots of all shards but those that run: what was lost sends no final span."""
        for shard in [shard for shard in self._held if not is_running(shard)]:
            self._let_go(shard)

    def _let_go(self, shard: ShardId) -> tuple[int, float]:
        """Free the slot of a shard; tell which one it is, and when the shard began."""
        slot, held = self._held.pop(shard)
        busy = self._slots[slot]
        busy.remove(held)
        self._ends[slot] = busy[-1][1] if busy else -inf
        return slot, held[0]

    def _free_slot(self, start: float, stop: float) -> int:
        # Of thousands of jobs that begin one after another each would look at all slots before it.
        if start >= self._latest and start < min(self._ends, default=inf):
            return self._new_slot()
        for number, busy in enumerate(self._slots):
            after = bisect(busy, (start, inf))
            is_free_before = not after or busy[after - 1][1] <= start
            if is_free_before and (after == len(busy) or stop <= busy[after][0]):
                return number
        return self._new_slot()

    def _new_slot(self) -> int:
        self._slots.append([])
        self._ends.append(-inf)
        return len(self._slots) - 1


def cores(times: Sequence[float], ends: list[float]) -> list[int]:
    """Lay the tasks of a shard on as few cores as their times allow.

    Parameters
    ----------
    times : sequence of float
        Start and stop of each task.
    ends : list of float
        When the last task on each core ended; updated.
    """
    starts, stops = times[::2], times[1::2]
    is_in_order = all(stop <= start for stop, start in zip(stops, starts[1:], strict=False))
    if is_in_order and len(ends) < 2 and (not ends or ends[0] <= starts[0]):
        ends[:] = [stops[-1]]
        return [0] * len(starts)
    found = [0] * len(starts)
    for task in sorted(range(len(starts)), key=starts.__getitem__):
        core = next((n for n, end in enumerate(ends) if end <= starts[task]), len(ends))
        ends[core : core + 1] = [stops[task]]
        found[task] = core
    return found
