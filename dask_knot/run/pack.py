"""The one object that holds all shards of a stage: a table of where each one is, then the shards.

Each entry of the table has a checksum of its own, so that a child that reads one entry of ten
thousand can check it: bytes of another shard would be as good as its own otherwise.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence

from dask_knot.errors import CorruptObjectError
from dask_knot.run import codec
from dask_knot.run.codec import Bytes

_HEAD = struct.Struct("<2sBxI")
#: Where a shard begins, how long it is, and a checksum of that, its index and the head.
_ENTRY = struct.Struct("<QQI")
_MAGIC = b"KP"
VERSION = 3
#: A child reads head and entry at once if there are only so many entries between them.
_CLOSE = 64


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
    head = _HEAD.pack(_MAGIC, VERSION, len(shards))
    start = _HEAD.size + _ENTRY.size * len(shards)
    entries = []
    for index, frames in enumerate(shards):
        length = codec.size(frames)
        entries.append(_ENTRY.pack(start, length, _checksum(head, index, start, length)))
        start += length
    return [head, b"".join(entries), *(piece for frames in shards for piece in frames)]


def read_shard(name: str, index: int, read: Callable[[int, int], memoryview]) -> memoryview:
    """Read the bytes of one shard: two or three range reads, however large the pack is.

    Parameters
    ----------
    name : str
        The pack, for messages.
    index : int
        Which shard.
    read : callable
        Reads a range of the pack: offset, length.

    Raises
    ------
    MissingObjectError, CorruptObjectError
        If the pack is gone, or isn't one that has a shard of that index.
    """
    place = _HEAD.size + _ENTRY.size * index
    if index < _CLOSE:
        table = read(0, place + _ENTRY.size)
        head, entry = table[: _HEAD.size], table[place:]
    else:
        head, entry = read(0, _HEAD.size), read(place, _ENTRY.size)
    magic, version, count = _HEAD.unpack(head)
    if magic != _MAGIC or version != VERSION or index >= count:
        raise CorruptObjectError(
            f"{name} is not a pack of format {VERSION} with a shard {index}: it was damaged, or "
            "written by another version of dask_knot"
        )
    start, length, checksum = _ENTRY.unpack(entry)
    if _checksum(head, index, start, length) != checksum:
        raise CorruptObjectError(f"the table of the pack {name} was damaged at shard {index}")
    return read(start, length)


def count(name: str, read: Callable[[int, int], memoryview]) -> int:
    """Tell how many shards a pack has: one range read; raises what `read_shard` does."""
    magic, version, found = _HEAD.unpack(read(0, _HEAD.size))
    if magic != _MAGIC or version != VERSION:
        raise CorruptObjectError(f"{name} is not a pack of format {VERSION}")
    return int(found)


def _checksum(head: Bytes, index: int, start: int, length: int) -> int:
    return zlib.crc32(struct.pack("<QQQ", index, start, length), zlib.crc32(head))
