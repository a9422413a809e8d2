"""What tasks took that were tried, and what follows for all others of their prefixes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from dask.typing import Key
from dask.utils import key_split

from dask_knot.estimates.curve import interpolate
from dask_knot.estimates.sampling import Extent, abscissas, by_prefix


class Trial(NamedTuple):
    """What one task took, alone in its job.

    Attributes
    ----------
    key : Key
        The task.
    seconds : float
        How long it ran.
    peak : int
        Bytes that its job had at most meanwhile; 0 if that isn't known.
    """

    key: Key
    seconds: float
    peak: int = 0


class Habit(NamedTuple):
    """What tasks of a prefix took in earlier runs: seconds on average, and bytes at most."""

    seconds: float
    peak: int = 0


@dataclass(frozen=True, slots=True)
class Expectation:
    """What is expected of the tasks of a graph.

    Attributes
    ----------
    seconds : mapping of Key to float
        How long each takes of which something is known.
    unknown : mapping of str to int
        How many others there are, by their prefix.
    """

    seconds: Mapping[Key, float]
    unknown: Mapping[str, int] = field(default_factory=dict)


def expect(
    extents: Mapping[Key, Extent], trials: Iterable[Trial], habits: Mapping[str, Habit]
) -> Expectation:
    """Say how long each task of a graph will take.

    Parameters
    ----------
    extents : mapping of Key to Extent
        All tasks, and how much each has to do.
    trials : iterable of Trial
        What some took.
    habits : mapping of str to Habit
        What is known of prefixes of which none was tried.
    """
    tried: dict[str, dict[Key, float]] = {}
    for one in trials:
        tried.setdefault(key_split(one.key), {})[one.key] = one.seconds
    seconds: dict[Key, float] = {}
    unknown: dict[str, int] = {}
    for prefix, keys in by_prefix(extents).items():
        if prefix in tried:
            seconds.update(_along(keys, [extents[key] for key in keys], tried[prefix]))
        elif prefix in habits:
            seconds.update(dict.fromkeys(keys, habits[prefix].seconds))
        else:
            unknown[prefix] = len(keys)
    return Expectation(seconds, unknown)


def places_of(extents: Mapping[Key, Extent], tried: Collection[Key]) -> dict[Key, float]:
    """Say of tasks that were tried where they lie among those of their prefix, by what they read.

    Nothing is said of those of which nothing tells how much they have to do, but their places.
    """
    found: dict[Key, float] = {}
    chosen = {*tried}
    for keys in by_prefix(extents).values():
        places = abscissas([extents[key] for key in keys])
        if places != [*map(float, range(len(keys)))]:
            found.update((k, at) for k, at in zip(keys, places, strict=True) if k in chosen)
    return found


def _along(
    keys: Sequence[Key], extents: Sequence[Extent], tried: Mapping[Key, float]
) -> dict[Key, float]:
    places = abscissas(extents)
    points = [(at, tried[key]) for key, at in zip(keys, places, strict=True) if key in tried]
    # Of those that were tried it is known what they take themselves.
    found = dict(zip(keys, interpolate(points, places), strict=True))
    return {**found, **{key: tried[key] for key in keys if key in tried}}
