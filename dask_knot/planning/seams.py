"""The places where a row of tasks may be cut, in the seconds of reading that a cut there costs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapreplace
from itertools import accumulate
from operator import sub

from dask_knot.planning.graph import NumberedGraph

# Tasks that are looked at for each that opens a level: what is read far behind them is small, or
# its place hardly matters; and all levels together take linear time.
_LOOKED_AT = 2
# Lengths of a range from which a task may read.
_FARTHEST = 1.5
# Part of what is read in any case that good cuts must save: else where they are hardly matters.
_INEVITABLE = 0.5
# Parts of a range by which its ends may be off: beyond a half they would meet.
_SLACKS = (0.5, 0.125)
# So much of the reading must be left over at most, or nothing is made uneven for it.
_LESS = 0.9
# Seconds are estimates, and what isn't read is less to fail and to pay for: that is worth so much.
_LONGER = 1.02


def find_seams(
    graph: NumberedGraph, opening: Sequence[int], waiting: Sequence[int], columns: int
) -> list[float]:
    """Give, for each task that opens a level, the seconds that a cut before it costs.

    Nothing if it hardly matters.

    A task that reads values from both sides of a cut can join neither: whoever runs it reads all
    of them. And what tasks on both sides read is read twice.

    Parameters
    ----------
    graph : NumberedGraph
        The tasks; where nothing is known of sizes, no place is better than another.
    opening : sequence of int
        Tasks in the order in which they are cut.
    waiting : sequence of int
        By task, the inputs that this level or a later one makes.
    columns : int
        Ranges that the row will have: tasks that read from much farther apart than one is long are
        cut off wherever its ends are.
    """
    row = _SeamCosts(graph, opening)
    farthest = _FARTHEST * len(opening) / columns
    row.add_shared(opening)
    left: dict[int, int] = {}
    found = [*opening]
    most = (1 + _LOOKED_AT) * len(opening)
    for task in found:  # grows while it is read
        for reader in graph.readers[task]:
            left[reader] = left.get(reader, waiting[reader]) - 1
            if not left[reader] and len(found) < most and row.add_reader(reader, farthest):
                found.append(reader)
    seconds = row.seconds()
    saved = (columns - 1) * (max(seconds) - min(seconds))
    return seconds if saved > _INEVITABLE * row.inevitable else []


class _SeamCosts:
    """Adds up, by place, what a cut there costs."""

    def __init__(self, graph: NumberedGraph, opening: Sequence[int]) -> None:
        self._graph = graph
        self._spans = {task: (place, place) for place, task in enumerate(opening)}
        self._changes = [0.0] * (len(opening) + 1)
        self.inevitable = 0.0  # seconds that tasks read who are cut off in any case

    def add_shared(self, opening: Sequence[int]) -> None:
        """Count what the opening tasks have read of earlier levels."""
        last: dict[int, int] = {}
        for place, task in enumerate(opening):
            for made in self._graph.inputs[task]:
                if made in last:
                    self._add(last[made] + 1, place, self._graph.reading[made] or 0.0)
                last[made] = place

    def add_reader(self, task: int, farthest: float) -> bool:
        """Count what a task reads, in the gaps between those that made it, if they are near."""
        upstream = [made for made in self._graph.inputs[task] if made in self._spans]
        spans = sorted({self._spans[made] for made in upstream})
        begin, end = spans[0]
        cost = 0.0
        if len(spans) > 1:
            cost = sum(self._graph.reading[made] or 0.0 for made in upstream)
        if max(last for _, last in spans) - begin > farthest:
            self.inevitable += cost
            return False
        for first, last in spans:
            if first > end:
                self._add(end + 1, first, cost)
            end = max(end, last)
        self._spans[task] = (begin, end)
        return True

    def seconds(self) -> list[float]:
        # To the nanosecond: what sums of differences leave over decides nothing.
        return [round(cost, 9) for cost in accumulate(self._changes[:-1])]

    def _add(self, first: int, last: int, seconds: float) -> None:
        self._changes[first] += seconds
        self._changes[last + 1] -= seconds


def cut_row(
    weights: Sequence[float], ranges: int, seams: Sequence[float] = (), slots: int = 1
) -> list[int]:
    """Cut a row of tasks into ranges: of about the same weight, or where little is read.

    A range may end half of its weight away from where it were even, if that saves more seconds of
    reading than those by which ranges differ then. There are never fewer for it.

    Parameters
    ----------
    weights : sequence of float
        By task, in seconds if there are seams; more than 0 in all.
    ranges : int
        So many at most: there is no part of a task.
    seams : sequence of float
        By task, the seconds that a cut before it costs; nothing if no place is better.
    slots : int
        Ranges that run at once.

    Returns
    -------
    list of int
        By task, the number of its range.
    """
    fair = sum(weights) / ranges
    ends = [*accumulate(weights)]
    even = [
        min(int((end - weight / 2) / fair), ranges - 1)
        for end, weight in zip(ends, weights, strict=True)
    ]
    if not any(seams):
        return even
    places = [place for place in range(1, len(even)) if even[place] != even[place - 1]]
    before = _Cuts(places, ends, seams, slots)
    for slack in _SLACKS:
        after = _Cuts(_best_places(ends, fair, slack, seams), ends, seams, slots)
        if after.is_better(before):
            return after.numbers()
    return even


class _Cuts:
    """The ranges of a row."""

    def __init__(
        self, places: Sequence[int], ends: Sequence[float], seams: Sequence[float], slots: int
    ) -> None:
        self._places = places
        self._size = len(ends)
        loads = [ends[last - 1] for last in (*places, len(ends))]
        costs = [seams[place] for place in places]
        self._reading = sum(costs)
        # What is read from both sides is read when all ranges have ended.
        self._seconds = run_in_turn(map(sub, loads, [0.0, *loads]), slots)
        self._seconds += max(max(costs, default=0.0), self._reading / slots)

    def is_better(self, other: _Cuts) -> bool:
        """Tell whether less is read than with others, for no fewer ranges and no longer."""
        return (
            len(self._places) >= len(other._places)
            and self._reading < _LESS * other._reading
            and self._seconds <= _LONGER * other._seconds
        )

    def numbers(self) -> list[int]:
        """Give the range of each task."""
        starts = bytearray(self._size)
        for place in self._places:
            starts[place] = 1
        return [*accumulate(starts)]


def run_in_turn(loads: Iterable[float], slots: int) -> float:
    """Give the seconds that jobs take, each on the first slot that is free."""
    ends = [0.0] * slots
    for load in loads:
        heapreplace(ends, ends[0] + load)
    return max(ends)


def _best_places(
    ends: Sequence[float], fair: float, slack: float, seams: Sequence[float]
) -> list[int]:
    """Find the best place near to each even one."""
    best: dict[int, tuple[float, int]] = {}
    ranges = round(ends[-1] / fair)
    for place, before in enumerate(ends[:-1], start=1):
        number = round(before / fair)
        off = abs(before - number * fair)
        if 0 < number < ranges and off <= slack * fair:
            # One of its neighbors is longer by as much, and its other end may add to that.
            cost = seams[place] + 2 * off
            if number not in best or cost < best[number][0]:
                best[number] = cost, place
    return [place for _, place in best.values()]
