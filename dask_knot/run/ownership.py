"""Whose an object is that may be written once: ours, or that of somebody who was faster."""

from __future__ import annotations

from collections.abc import Sequence

from dask_knot.errors import StoreError
from dask_knot.run.codec import Bytes
from dask_knot.run.store import Store


def put_ours(store: Store, object_name: str, frames: Sequence[Bytes]) -> bool:
    """Write an object unless one of that name is there; tell whether the one there is ours.

    Where the answer to a write is lost, the write is repeated, and then the object is there
    already: what we have just written ourselves must not be taken for somebody else's. So its bytes
    are compared, with one more request where there is one.

    Parameters
    ----------
    store : Store
        Where it is written.
    object_name : str
        Its name.
    frames : sequence of bytes-like
        Its bytes, which nobody else writes alike, or for whom it would be the same.
    """
    return store.put_new(object_name, frames) or _holds(store, object_name, frames)


def _holds(store: Store, object_name: str, frames: Sequence[Bytes]) -> bool:
    try:
        return bytes(store.get(object_name)) == b"".join(frames)
    except StoreError:
        return False
