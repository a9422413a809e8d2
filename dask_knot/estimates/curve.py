"""From the seconds of a few tasks to those of all others of their prefix."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence

Point = tuple[float, float]


def interpolate(points: Iterable[Point], places: Sequence[float]) -> list[float]:
    """Give what lies on the line through some points; before the first and behind the last, theirs.

    Parameters
    ----------
    points : iterable of (float, float)
        What was measured, at least one; of several at one place the mean counts.
    places : sequence of float
        Where the others are.
    """
    at: dict[float, list[float]] = {}
    for place, value in points:
        at.setdefault(place, []).append(value)
    known = sorted(at)
    values = [sum(at[place]) / len(at[place]) for place in known]
    return [_between(known, values, place) for place in places]


def _between(known: Sequence[float], values: Sequence[float], place: float) -> float:
    right = bisect_left(known, place)
    if right == 0 or right == len(known):
        return values[min(right, len(known) - 1)]
    width = known[right] - known[right - 1]
    share = (place - known[right - 1]) / width
    return values[right - 1] * (1 - share) + values[right] * share


def quantile(values: Sequence[float], share: float) -> float:
    """Give the value below which that share of others lies.

    >>> quantile([4, 1, 2, 3], 0.5), quantile([1.0], 0.95)
    (2.5, 1.0)
    """
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)
