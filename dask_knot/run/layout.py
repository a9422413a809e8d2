"""Several values in one object, one after another, each aligned as if it stood alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dask.typing import Key

from dask_knot.run import codec
from dask_knot.run.codec import Bytes
from dask_knot.run.manifest import Place


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
