"""The one object that holds all shards of a stage: a table of offsets, then the shards."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from dask_knot.errors import CorruptObjectError
from dask_knot.store import codec
from dask_knot.store.codec import Bytes
from dask_knot.store.store import Store

_HEAD = struct.Struct("<2sBxI")
_ENTRY = struct.Struct("<QQ")
_MAGIC = b"KP"
VERSION = 2


def build(shards: Sequence[Sequence[Bytes]]) -> list[Bytes]:
    """Lay the frames of shards one after another behind a table of where each one starts.

    Parameters
    ----------
    shards : sequence of sequences of bytes-like
        Per shard what `codec.encode` gave.

    Returns
    -------
    list of bytes-like
        What `Store.put` takes.
    """
    offsets = [_HEAD.size + 8 * (len(shards) + 1)]
    for frames in shards:
        offsets.append(offsets[-1] + codec.size(frames))
    table = struct.pack(f"<{len(offsets)}Q", *offsets)
    pieces: list[Bytes] = [_HEAD.pack(_MAGIC, VERSION, len(shards)), table]
    for frames in shards:
        pieces.extend(frames)
    return pieces


def read_shard(store: Store, name: str, index: int) -> memoryview:
    """Read the bytes of one shard: two range reads, however large the pack is.

    Raises
    ------
    MissingObjectError, CorruptObjectError
        If the pack is gone, or isn't one that has a shard of that index.
    """
    entry = _HEAD.size + 8 * index
    table = store.get_range(name, 0, entry + _ENTRY.size) if index < 64 else None
    if table is None:
        head, table = store.get_range(name, 0, _HEAD.size), store.get_range(name, entry, 16)
        entry = 0
    else:
        head = table
    magic, version, count = _HEAD.unpack_from(head)
    if magic != _MAGIC or version != VERSION or index >= count:
        raise CorruptObjectError(
            f"{name} is not a pack of format {VERSION} with a shard {index}: "
            "was it written by another version of dask_knot?"
        )
    start, stop = _ENTRY.unpack_from(table, entry)
    return store.get_range(name, start, stop - start)
