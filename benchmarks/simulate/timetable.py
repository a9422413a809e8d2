"""When the tasks of a shard end, when a child looks for orders, what it may give up: pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from dask.typing import Key

from benchmarks.simulate.network import rate
from benchmarks.simulate.numbers import Numbers
from dask_knot.run.work import ShardWork


@dataclass(frozen=True, slots=True)
class Reads:
    """What the tasks of a shard read, by their positions.

    Attributes
    ----------
    inside : list of list of int
        Positions of tasks of the shard.
    outside : list of list of Key
        Inputs and constants that the task is the first to read, in the order of the shard's inputs.
    """

    inside: list[list[int]]
    outside: list[list[Key]]

    @classmethod
    def of(cls, work: ShardWork) -> Reads:
        """Find out what tasks read; in an order that doesn't depend on hashes."""
        positions = {node.key: number for number, node in enumerate(work.tasks)}
        rank = {key: number for number, key in enumerate(work.inputs)}
        rank |= {node.key: len(rank) + n for n, node in enumerate(work.literals)}
        inside, outside = [], []
        seen: set[Key] = set()
        for node in work.tasks:
            keys = node.dependencies
            inside.append(sorted(positions[key] for key in keys if key in positions))
            new = [key for key in keys if key not in positions and key not in seen]
            seen.update(new)
            outside.append(sorted(new, key=rank.__getitem__) if len(new) > 1 else new)
        return cls(inside, outside)


def needed(reads: Reads, wanted: Iterable[int], there: Collection[int]) -> list[int]:
    """Name the tasks that must run for some of them, those left out whose values are there."""
    todo, found = [one for one in wanted if one not in there], set[int]()
    while todo:
        one = todo.pop()
        if one not in found:
            found.add(one)
            todo += [read for read in reads.inside[one] if read not in there]
    return sorted(found)


def arrivals(
    numbers: Numbers, begin: float, requests: Sequence[tuple[Sequence[Key], int]]
) -> dict[Key, float]:
    """Tell when each input is there, fetched in this order, several at once.

    Parameters
    ----------
    numbers : Numbers
        What everything takes.
    begin : float
        When the first one is asked for.
    requests : sequence of (keys, int)
        The inputs that come with one request, and its bytes.
    """
    speed = rate(numbers, len(requests))
    at_once = int(numbers.requests_at_once)
    there: dict[Key, float] = {}
    nbytes = 0
    for number, (keys, size) in enumerate(requests):
        nbytes += size
        when = begin + numbers.s3_latency * (1 + number // at_once) + nbytes / speed
        there.update(dict.fromkeys(keys, when))
    return there


def given_up(reads: Reads, unbegun: Sequence[int], blocked: Collection[int]) -> list[int]:
    """Name the tasks that a child gives up when it is asked, as `dask_knot.job.agenda` does.

    It keeps those that read what is blocked, and nothing that it gives up.

    Parameters
    ----------
    reads : Reads
        What tasks read.
    unbegun : sequence of int
        Positions of the tasks that it hasn't begun, in order.
    blocked : collection of int
        Positions of those that it runs now, or that couldn't run.
    """
    kept = set(blocked)
    given: dict[int, None] = {}
    for one in unbegun:
        inside = reads.inside[one]
        if kept.isdisjoint(inside) or any(read in given for read in inside):
            given[one] = None
        else:
            kept.add(one)
    return list(given)


def extras(reads: Reads, given: Sequence[int], outputs: Collection[int]) -> list[int]:
    """Name the tasks that aren't given up, are no outputs, and are read by what is given up."""
    gone = set(given)
    read = {one for task in given for one in reads.inside[task]}
    return sorted(one for one in read if one not in gone and one not in outputs)


def next_look(first: float, longest: float, elapsed: float) -> float:
    """Tell when a child looks for orders next: seconds since it began, more than have passed."""
    *_, look = _looks(first, longest, elapsed)
    return look[1]


def count_looks(first: float, longest: float, elapsed: float) -> int:
    """Count the looks of a child in the seconds since it began."""
    *_, look = _looks(first, longest, elapsed)
    return look[0]


def _looks(first: float, longest: float, elapsed: float) -> Iterator[tuple[int, float]]:
    """Give how many looks came before each, until one comes later; not all, as they are many."""
    count, look, pause = 0, first, first
    yield count, look
    while look <= elapsed:
        # As long as it takes until pauses stay as they are, one by one; then all at once.
        skipped = max(1, int((elapsed - look) // pause)) if pause == longest else 1
        pause = min(2 * pause, longest)
        count, look = count + skipped, look + skipped * pause
        yield count, look


def next_tick(begin: float, interval: float, moment: float) -> float:
    """Tell when what is done at a moment is committed as a part, beside the tasks."""
    ticks = max(1.0, -(-(moment - begin) // interval))
    return begin + ticks * interval
