"""Values to bytes and back: pickle 5 with buffers out of band, a format version and a checksum.

A value is ``HEAD · lengths · pickle · padding · buffer · padding · buffer …``; HEAD is the magic
``KV``, the version, flags, the number of frames and the CRC-32 of everything else. Buffers
start at multiples of 64 bytes, so that arrays are aligned when the value's own start is. In format
2 that sum is 0, and the CRC-32 of everything stands behind it all: it is known when all is written.

A checksum is always taken of a copy. Whoever gave a value away may still change it, be it a task of
another thread: what is stored is then some state of it, but never damaged.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from pickle import PickleBuffer
from typing import Any

from distributed.protocol import pickle

from dask_knot.errors import CorruptObjectError
from dask_knot.run import pickling
from dask_knot.run.checksum import crc32

#: Of values whose checksum was known before they were written, and of those where it wasn't.
VERSION, STREAMED = 1, 2
ALIGNMENT = 64

_HEAD = struct.Struct("<2sBBII")
#: HEAD without the checksum.
_START = struct.Struct("<2sBBI")
_MAGIC = b"KV"
_CHECKSUM_BYTES = 4
#: In a frame's length: the buffer was writable, and must be so again.
_WRITABLE = 1 << 63

Bytes = bytes | bytearray | memoryview
#: Any pickle takes these, and none is a node of a graph: to ask that of a million takes a while.
SIMPLE = frozenset({int, float, complex, bool, str, bytes, type(None)})


def encode(value: object) -> list[Bytes]:
    """Turn a value into frames to be written one after another.

    Parameters
    ----------
    value : object
        Anything that pickle or cloudpickle takes.

    Returns
    -------
    list of bytes-like
        What nobody can change any more.

    Raises
    ------
    Exception
        Whatever pickling `value` raises.
    """
    return frame(pickled(value))


def pickled(value: object) -> list[Bytes]:
    """Pickle a value: its pickle, then its buffers, which are views of the value's own memory."""
    buffers: list[PickleBuffer] = []
    body = pickling.dumps(value, buffers.append)
    return [body, *(buffer.raw() for buffer in buffers)]


def framed_size(parts: Sequence[Bytes]) -> int:
    """Count the bytes that a pickle and its buffers will have in the format of a value."""
    position = _HEAD.size + 8 * len(parts)
    for number, part in enumerate(parts):
        position += (-position % ALIGNMENT if number else 0) + memoryview(part).nbytes
    return position


def frame(parts: Sequence[Bytes]) -> list[Bytes]:
    """Put a pickle and its buffers into the format of a value: copies of what may change."""
    start = _START.pack(_MAGIC, VERSION, 0, len(parts))
    frames = [each if type(each) is bytes else bytes(each) for each in _laid_out(parts)]
    checksum = crc32(start)
    for each in frames:
        checksum = crc32(each, checksum)
    return [start + checksum.to_bytes(_CHECKSUM_BYTES, "little"), *frames]


def whole(parts: Sequence[Bytes]) -> bytearray:
    """Put a pickle and its buffers into the format of a value: one copy of it all."""
    start = _START.pack(_MAGIC, VERSION, 0, len(parts))
    data = bytearray().join([start, bytes(_CHECKSUM_BYTES), *_laid_out(parts)])
    checksum = crc32(memoryview(data)[_HEAD.size :], crc32(start))
    data[_START.size : _HEAD.size] = checksum.to_bytes(_CHECKSUM_BYTES, "little")
    return data


def stream(parts: Sequence[Bytes]) -> Iterator[Bytes]:
    """Give the pieces of a value, behind which `sealed` of their CRC-32 has to be written."""
    yield _START.pack(_MAGIC, STREAMED, 0, len(parts)) + bytes(_CHECKSUM_BYTES)
    yield from _laid_out(parts)


def sealed(checksum: int) -> bytes:
    """Give what ends a value that was written piece by piece."""
    return checksum.to_bytes(_CHECKSUM_BYTES, "little")


def _laid_out(parts: Sequence[Bytes]) -> Iterator[Bytes]:
    """Give all that stands behind the head of a value."""
    views = [memoryview(part) for part in parts]
    lengths = [view.nbytes | (0 if view.readonly else _WRITABLE) for view in views]
    yield struct.pack(f"<{len(views)}Q", *lengths)
    position = _HEAD.size + 8 * len(views)
    for number, part in enumerate(parts):
        if number and (padding := -position % ALIGNMENT):
            yield bytes(padding)
            position += padding
        yield part
        position += views[number].nbytes


def decode(data: Bytes, is_checked: bool = False) -> Any:
    """Turn bytes that `encode` made back into the value.

    Arrays share the memory of `data` when they may: read-only arrays always, writable ones when
    `data` is writable; otherwise they are copied. What is checked isn't checked again.

    Raises
    ------
    CorruptObjectError
        If the bytes aren't those that were written.
    """
    if not is_checked:
        check(data)
    body, *buffers = unframe(data)
    return pickle.loads(body, buffers=buffers)


def unframe(data: Bytes) -> list[memoryview]:
    """Take the pickle and its buffers out of the bytes of a value that was checked."""
    view = memoryview(data).cast("B")
    count = _HEAD.unpack_from(view)[3]
    start = _HEAD.size
    lengths = struct.unpack_from(f"<{count}Q", view, start)
    position = start + 8 * count
    parts = []
    for number, length in enumerate(lengths):
        if number:
            position += -position % ALIGNMENT
        size = length & ~_WRITABLE
        part = view[position : position + size]
        parts.append(_with_flag(part, bool(length & _WRITABLE)) if number else part)
        position += size
    return parts


def pickle_size(data: Bytes) -> int:
    """Count the bytes of a value that was checked which are its pickle: the rest are buffers."""
    length: int = struct.unpack_from("<Q", data, _HEAD.size)[0]
    return length & ~_WRITABLE


def size(frames: Iterable[Bytes]) -> int:
    """Count the bytes of frames."""
    return sum(memoryview(part).nbytes for part in frames)


def check(data: Bytes) -> None:
    """Compare the bytes of a value with their checksum.

    Raises
    ------
    CorruptObjectError
        If the bytes aren't those that were written.
    """
    view = memoryview(data).cast("B")
    if view.nbytes < _HEAD.size:
        raise CorruptObjectError(f"a value of {view.nbytes} bytes is too short: it was cut off")
    magic, version, _, _, checksum = _HEAD.unpack_from(view)
    if magic != _MAGIC:
        raise CorruptObjectError("these bytes are not a value that dask_knot wrote")
    if version == STREAMED:
        found, checksum = (
            crc32(view[:-_CHECKSUM_BYTES]),
            int.from_bytes(view[-_CHECKSUM_BYTES:], "little"),
        )
    elif version == VERSION:
        found = crc32(view[_HEAD.size :], crc32(view[: _START.size]))
    else:
        raise CorruptObjectError(
            f"a value in format {version} can't be read by this version of dask_knot, which "
            f"reads formats {VERSION} and {STREAMED}: use the same version here and in the jobs"
        )
    if found != checksum:
        raise CorruptObjectError(
            f"the checksum of a value of {view.nbytes} bytes is wrong: "
            "the object was changed or damaged after it was written"
        )


def _with_flag(view: memoryview, writable: bool) -> memoryview:
    if writable and view.readonly:
        return memoryview(bytearray(view))
    return view if writable else view.toreadonly()
