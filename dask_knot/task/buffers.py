"""Buffers of which each reader gets a copy of its own: large ones page by page, as it writes."""

from __future__ import annotations

import mmap
import os
import tempfile
import threading
import weakref
from collections.abc import Sequence

from dask_knot.run.codec import ALIGNMENT, Bytes

#: Below this a plain copy costs less than a mapping.
MAPPED_BYTES = 2**20


class PrivateCopies:
    """Makes copies of the buffers of a pickle; what is read-only is handed out as it is.

    Large buffers are put into a file without a name, from the second copy on: a private mapping of
    it costs little but the pages that are written to. Tasks that run side by side may take at once.

    Parameters
    ----------
    buffers : sequence of bytes-like
        As they were pickled.
    """

    # What is handed out is always another view: see `copied`.
    def __init__(self, buffers: Sequence[Bytes]) -> None:
        self._buffers = [memoryview(buffer).cast("B") for buffer in buffers]
        self._is_writable = [not buffer.readonly for buffer in self._buffers]
        self._starts, self._size = _lay_out(self._buffers, self._is_writable)
        self._file: int | None = None
        self._is_first = True
        self._lock = threading.Lock()  # of the two: a file is seen when all bytes are in it

    def take(self) -> list[Bytes]:
        """Give a copy of all buffers."""
        if self._size < MAPPED_BYTES:
            return self.copied()
        with self._lock:
            is_first, self._is_first = self._is_first, False
            if not is_first and self._file is None:
                self._file = self._write()
        if is_first or self._file is None:
            return self.copied()
        return self._sliced(mmap.mmap(self._file, self._size, access=mmap.ACCESS_COPY))

    def copied(self) -> list[Bytes]:
        """Give a copy that is memory of its own."""
        pairs = zip(self._buffers, self._is_writable, strict=True)
        return [bytearray(buffer) if copied else memoryview(buffer) for buffer, copied in pairs]

    def _sliced(self, mapping: mmap.mmap) -> list[Bytes]:
        whole = memoryview(mapping)
        places = zip(self._buffers, self._is_writable, self._starts, strict=True)
        return [
            whole[start : start + buffer.nbytes] if is_writable else memoryview(buffer)
            for buffer, is_writable, start in places
        ]

    def _write(self) -> int:
        """Let a file hold the bytes, and the memory that held them go."""
        file = _open_nameless()
        weakref.finalize(self, os.close, file)
        os.truncate(file, self._size)
        shared = mmap.mmap(file, self._size)
        for old, new in zip(self._buffers, self._sliced(shared), strict=True):
            if not memoryview(new).readonly:
                memoryview(new)[:] = old
        self._buffers = [memoryview(buffer).toreadonly() for buffer in self._sliced(shared)]
        return file


def copied(buffer: Bytes) -> Bytes:
    """Copy a small buffer, so that it is no view of another.

    Python up to 3.12 crashes when its collector meets a circle with views of views in it
    (python/cpython#77894), and tasks, and errors about them, are part of circles.
    """
    return bytes(buffer) if memoryview(buffer).readonly else bytearray(buffer)


def _lay_out(
    buffers: Sequence[memoryview], is_writable: Sequence[bool]
) -> tuple[Sequence[int], int]:
    """Give the places of those that may be written to in a file, and its size."""
    starts, position = [], 0
    for buffer, counts in zip(buffers, is_writable, strict=True):
        position += -position % ALIGNMENT
        starts.append(position)
        position += buffer.nbytes if counts else 0
    return starts, position


def _open_nameless() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("dask-knot-constant")
    file, name = tempfile.mkstemp(prefix="dask-knot-")
    os.unlink(name)  # Windows runs no jobs
    return file
