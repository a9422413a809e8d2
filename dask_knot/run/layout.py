"""Several values in one object: laid out one after another, neighbours read at once.

Each is aligned as if it stood alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dask.typing import Key

from dask_knot.run import codec
from dask_knot.run.codec import Bytes
from dask_knot.run.manifest import Place

#: Neighbouring values up to this size together are read in one request.
TOGETHER_BYTES = 8 * 2**20


def lay_out(
    name: str, values: Mapping[Key, Sequence[Bytes]]
) -> tuple[list[Bytes], dict[Key, Place]]:
    """Frame values for an object.

    Parameters
    ----------
    name : str
        The object.
    values : mapping of Key to sequence of bytes-like
        What `codec.pickled` gave for each; the checksums are taken here, so write it at once.

    Returns
    -------
    list of bytes-like
        What `Store.put` takes.
    dict of Key to Place
        Where each value will be.
    """
    pieces: list[Bytes] = []
    places: dict[Key, Place] = {}
    position = 0
    for key, parts in values.items():
        padding = -position % codec.ALIGNMENT
        frames = codec.frame(parts)
        size = codec.size(frames)
        pieces += [bytes(padding), *frames]
        places[key] = Place(name, position + padding, size)
        position += padding + size
    return pieces, places


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
