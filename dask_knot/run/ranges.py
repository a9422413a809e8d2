"""Values that lie next to each other in an object are read in one request."""

from __future__ import annotations

from collections.abc import Sequence

from dask_knot.run import codec
from dask_knot.run.manifest import Place

#: Neighbouring values up to this size together are read in one request.
TOGETHER_BYTES = 8 * 2**20


def neighbours(places: Sequence[Place]) -> list[list[int]]:
    """Group places that follow one another closely, in the order given.

    Parameters
    ----------
    places : sequence of Place
        Where values are.

    Returns
    -------
    list of list of int
        Indices of `places`; each group is one range of one object.
    """
    groups: list[list[int]] = []
    size = 0
    for number, place in enumerate(places):
        size += place.length
        before = places[groups[-1][-1]] if groups else None
        if before is None or not _follows(place, before) or size > TOGETHER_BYTES:
            groups.append([])
            size = place.length
        groups[-1].append(number)
    return groups


def _follows(place: Place, before: Place) -> bool:
    gap = place.offset - (before.offset + before.length)
    return place.name == before.name and 0 <= gap < codec.ALIGNMENT
