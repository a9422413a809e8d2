"""The memory that jobs are given: as little as fits, by what tasks have needed."""

from __future__ import annotations

from collections.abc import Sequence

#: So many samples tell how memory spreads, as far as that can be told.
ENOUGH = 5
#: Of fewer it is the most that was seen that has to fit, and so much more at least: what the same
#: task has at most differs by a few percent from one time to the next.
SPARE = 1.12
#: One sample tells nothing of others.
ALONE = 1.5
#: A line goes through so many samples in any case: others tell how far they are off it.
LINE = 2
#: So many of all tasks may not fit. A job has many: with more of them most jobs would run again.
RARE = 0.1
#: What a job needs besides what its tasks were seen to take, however many samples there are: values
#: that wait to be written, and what a process has beside.
SLACK = 1.05


def margin(peaks: Sequence[int], places: Sequence[float] = ()) -> float:
    """Say how much more than the most of a few samples others may need, as a factor.

    Where it shows how much tasks have to do, the largest was among those that were tried, and
    others lie below it, but for how far samples are off the line from the smallest to the largest.
    Else the largest of three is the largest of all by chance: others may be as far above it as the
    smallest is below.

    Parameters
    ----------
    peaks : sequence of int
        The memory that jobs had.
    places : sequence of float
        How much each has to do; fewer, if that isn't known.

    Returns
    -------
    float
        From `SPARE` on.
    """
    largest, smallest = max(peaks), min(peaks)
    if len(peaks) == 1:
        return ALONE
    off: float = largest - smallest
    if len(places) == len(peaks) and len(peaks) > LINE and min(places) < max(places):
        off = _off_the_line(sorted(zip(places, peaks, strict=True)))
    return max(SPARE, 1 + off / largest)


def _off_the_line(points: Sequence[tuple[float, int]]) -> float:
    (first, low), (last, high) = points[0], points[-1]
    slope = (high - low) / (last - first)
    return max(abs(peak - low - slope * (place - first)) for place, peak in points)


def needed(
    peaks: Sequence[int],
    seconds: Sequence[float],
    found: Sequence[int],
    spare: float | None = None,
) -> int | None:
    """Choose the size of jobs for tasks of one prefix; None if no size fits.

    Parameters
    ----------
    peaks : sequence of int
        The memory that a job had while each of some tasks ran, in bytes.
    seconds : sequence of float
        How long they took.
    found : sequence of int
        The sizes that there are, ascending.
    spare : float, optional
        How much more than the largest has to fit if samples are few; see `margin`.
    """
    factor = SLACK if len(peaks) >= ENOUGH else spare or margin(peaks)
    wanted = [int(peak * factor) for peak in peaks]
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
