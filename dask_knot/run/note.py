"""The small objects beside the record: one format for all of them, with their kind and a checksum.

A note is ``HEAD · body``: HEAD has the kind, the format's version, and the length and a checksum of
all that follows; the body is a map in msgpack. HEAD and checksum stay the same in every version, so
that a note of another version is told from one that is damaged.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import msgpack

from dask_knot.errors import CorruptObjectError, RunFormatError
from dask_knot.run.codec import Bytes

#: The version of a run's record: of its notes, and of what they say.
VERSION = 1

#: What the checksum is of, but for the body.
_START = struct.Struct("<2sHBxI")
_CHECKSUM = struct.Struct("<I")
_MAGIC = b"KO"
_BODY = _START.size + _CHECKSUM.size
#: What reading a body raises that says something else than was meant.
NONSENSE = (ValueError, TypeError, LookupError, AttributeError, msgpack.UnpackException)


class NoteKind(IntEnum):
    """The kinds of notes."""

    RUN = 0
    SESSION = 1
    BEAT = 2
    JOBS = 3
    OBITUARY = 4
    PUBLISHED = 5
    PROFILE = 6
    WHY = 7
    END = 8
    ORDERS = 9
    CLAIM = 10
    ASKS = 11
    ANSWER = 12
    VITALS = 13
    MAP = 14
    TAKEN = 15


def encode(kind: NoteKind, fields: Mapping[str, Any], version: int = VERSION) -> list[Bytes]:
    """Write a note."""
    body = msgpack.packb(dict(fields), unicode_errors="surrogatepass")
    start = _START.pack(_MAGIC, version, kind, len(body))
    return [start, _CHECKSUM.pack(zlib.crc32(body, zlib.crc32(start))), body]


def is_note(data: Bytes) -> bool:
    """Tell whether bytes begin like a note."""
    return bytes(memoryview(data)[: len(_MAGIC)]) == _MAGIC


def decode(kind: NoteKind, name: str, data: Bytes) -> dict[str, Any]:
    """Read the note that is the object `name`.

    Raises
    ------
    CorruptObjectError
        If the bytes aren't those that were written.
    RunFormatError
        If they are, by another version of dask_knot.
    """
    view = memoryview(data)
    if view.nbytes < _BODY:
        raise CorruptObjectError(f"{name} was cut off at {view.nbytes} bytes")
    magic, version, found, length = _START.unpack_from(view)
    (checksum,) = _CHECKSUM.unpack_from(view, _START.size)
    body = view[_BODY:]
    is_whole = zlib.crc32(body, zlib.crc32(view[: _START.size])) == checksum
    if magic != _MAGIC or body.nbytes != length or not is_whole:
        raise CorruptObjectError(f"{name} is damaged, or was written by something else")
    if version != VERSION:
        raise RunFormatError(
            f"{name} was written by another version of dask_knot (format {version}; this one "
            f"reads {VERSION}): use that version, or another name for the run"
        )
    if found != kind:
        raise CorruptObjectError(f"{name} is a note of kind {found} instead of {kind.name}")
    try:
        fields = msgpack.unpackb(
            body, strict_map_key=False, use_list=False, unicode_errors="surrogatepass"
        )
        return dict(fields)
    except NONSENSE as error:
        raise makes_no_sense(name, error) from error


def makes_no_sense(name: str, error: Exception) -> CorruptObjectError:
    """Say that a note has a checksum that is right, but not what such a note has."""
    return CorruptObjectError(f"{name} can't be decoded: {error!r}")
