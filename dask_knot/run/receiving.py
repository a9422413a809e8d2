"""Receives ranges of objects; from S3 straight into one buffer, a large one in parts at once."""

from __future__ import annotations

import mmap
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Condition
from typing import Any, cast

import obstore
from obstore.exceptions import BaseError

from dask_knot.run.downlink import FIRST, MOST, Downlink
from dask_knot.run.trouble import cut_off, is_shorter

#: A range up to this size is one request, whatever the line takes.
WHOLE_BYTES = 32 * 2**20
#: A larger one goes in parts of these sizes.
SMALLEST_PART, LARGEST_PART = 16 * 2**20, 32 * 2**20
#: What comes of an answer at a time: small enough that no second copy of a value is in memory.
CHUNK = 2**20
#: A buffer of this size and more is memory of its own, which nobody has to fill with zeros.
OWN_MEMORY = 2**20

#: Makes one request, or makes it again as long as its trouble may pass.
Asking = Callable[[Callable[[], int]], int]


class Receiver:
    """Receives from one store as many ranges at once as the line takes. For several threads.

    Parameters
    ----------
    url : str
        The store.
    store : obstore's store
        It again.
    """

    def __init__(self, url: str, store: Any) -> None:
        self._url, self._store = url, store
        self._line = Downlink() if url.startswith("s3://") else None
        self._room = Condition()  # for another request on the line

    @property
    def most(self) -> int:
        """Requests that may be made at once; from S3, those that the line doesn't take wait."""
        return FIRST if self._line is None else MOST

    def receive(self, name: str, offset: int, length: int, ask: Asking) -> memoryview:
        """Receive a range of an object; from S3 in memory that may be written to.

        Raises
        ------
        CorruptObjectError
            If the object ends before.
        """
        whole = blank(length)
        parts = [(0, length)] if self._line is None else self._parts(self._line, length)
        one = partial(self._receive_part, name, offset, whole, ask)
        if len(parts) == 1:
            one(parts[0])
        else:
            self._receive_parts(parts, one)
        return whole

    def _receive_parts(self, parts: list[tuple[int, int]], one: Callable[[Any], None]) -> None:
        assert self._line is not None
        at_once = min(len(parts), max(1, self._line.width - self._line.under_way))
        pool = ThreadPoolExecutor(at_once, "dask-knot-parts")
        try:
            for _ in pool.map(one, parts):
                pass
        finally:  # what is under way is of no use any more if one part can't be had
            pool.shutdown(wait=False, cancel_futures=True)

    def _receive_part(
        self, name: str, offset: int, whole: memoryview, ask: Asking, part: tuple[int, int]
    ) -> None:
        into = whole[slice(*part)]
        start = offset + part[0]
        if ask(partial(self._fill, name, start, into)) != into.nbytes:
            raise cut_off(self._url, name, start + into.nbytes)

    def _fill(self, name: str, offset: int, into: memoryview) -> int:
        """Make one request, and tell how many bytes came: fewer if the object is shorter."""
        try:
            if self._line is None:
                data = obstore.get_range(self._store, name, start=offset, length=into.nbytes)
                into[: len(data)] = memoryview(data)
                return len(data)
            return self._stream(self._line, name, offset, into)
        except (BaseError, ValueError):
            if not is_shorter(self._store, name, offset + 1):
                raise
            return 0

    def _stream(self, line: Downlink, name: str, offset: int, into: memoryview) -> int:
        with self._room:
            self._room.wait_for(lambda: line.under_way < line.width)
            passage = line.begin(time.monotonic())
        position, options = 0, {"range": (offset, offset + into.nbytes)}
        try:
            found = obstore.get(self._store, name, options=cast(Any, options))
            for piece in found.stream(min_chunk_size=CHUNK):
                into[position : position + len(piece)] = piece
                position += len(piece)
        finally:
            with self._room:
                line.end(passage, position, time.monotonic())
                self._room.notify_all()
        return position

    def _parts(self, line: Downlink, length: int) -> list[tuple[int, int]]:
        """Give the parts of a range: one, unless it is large and the line takes more at once."""
        free = line.width - line.under_way
        if length <= WHOLE_BYTES or free < 2:
            return [(0, length)]
        size = min(LARGEST_PART, max(SMALLEST_PART, -(-length // free)))
        return [(start, min(start + size, length)) for start in range(0, length, size)]


def blank(length: int) -> memoryview:
    """Give memory that may be written to."""
    if length < OWN_MEMORY:
        return memoryview(bytearray(length))
    flags = {}
    if hasattr(mmap, "MAP_PRIVATE"):  # else it would be shared with processes that are forked
        flags["flags"] = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    try:
        memory = mmap.mmap(-1, length, **flags)
    except OSError as error:
        raise MemoryError(f"there is no memory for {length} bytes: {error}") from error
    if hasattr(mmap, "MADV_HUGEPAGE"):  # a third of the time that it takes to fill small ones
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memoryview(memory)
