"""The memory that jobs are given: as little as fits, by what tasks have needed."""

from __future__ import annotations

from collections.abc import Sequence

#: So few samples say nothing of how memory spreads.
ENOUGH = 5
#: Then jobs get so many times the most that was seen.
MARGIN = 1.5
#: So many of all tasks may not fit. A job has many: with more of them most jobs would run again.
RARE = 0.1
#: What a job needs besides what its tasks were seen to take, however many samples there are: values
#: that wait to be written, and what a process has beside.
SLACK = 1.05


def needed(peaks: Sequence[int], seconds: Sequence[float], found: Sequence[int]) -> int | None:
    """Choose the size of jobs for tasks of one prefix; None if no size fits.

    Parameters
    ----------
    peaks : sequence of int
        The memory that a job had while each of some tasks ran, in bytes.
    seconds : sequence of float
        How long they took.
    found : sequence of int
        The sizes that there are, ascending.
    """
    margin = SLACK if len(peaks) >= ENOUGH else MARGIN
    wanted = [int(peak * margin) for peak in peaks]
    fitting = [size for size in found if size >= max(wanted)]
    if not fitting:
        return None
    if len(peaks) < ENOUGH:
        return fitting[0]
    rare = RARE * len(peaks)
    usable = [
        size for size in found if size <= fitting[0] and sum(one > size for one in wanted) <= rare
    ]
    return first_allocation(wanted, seconds, usable)


def first_allocation(peaks: Sequence[int], seconds: Sequence[float], found: Sequence[int]) -> int:
    """Choose the size with which most work is done, if what doesn't fit runs again in the largest.

    Work Queue's and TaskVine's formula (Tovar et al., IEEE TPDS 29(2), 2018): of sizes a the one
    with the largest (largest/a · P(r ≤ a) + P(r > a)) / (τ + Σ τ(r) p(r) of all r > a).

    Parameters
    ----------
    peaks, seconds : sequence of int, of float
        What each of some tasks needs, and takes.
    found : sequence of int
        The sizes, ascending; all fit into the last.
    """
    largest, count = found[-1], len(peaks)
    mean = sum(seconds) / count or 1.0

    def throughput(size: int) -> float:
        lost = [one for peak, one in zip(peaks, seconds, strict=True) if peak > size]
        done = (count - len(lost)) / count
        return (largest / size * done + 1 - done) / (mean + sum(lost) / count)

    # Of two that do as much the larger one: fewer jobs run twice.
    return max(found, key=lambda size: (throughput(size), size))
