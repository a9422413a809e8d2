"""Sends objects to S3: in the parts that the line takes, on the terms that the bucket has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from threading import Lock
from typing import Any, TypeVar

import obstore
from obstore.exceptions import BaseError

from dask_knot.run.codec import Bytes
from dask_knot.run.opening import open_objects, still_of
from dask_knot.run.terms import Terms
from dask_knot.run.uplink import PART_BYTES, Dispatch, Uplink

T = TypeVar("T")

#: How obstore says that something took longer than it may.
LATE = "kind: Timeout"
#: How S3 says that others write the same object at this moment: nobody knows yet who is first.
CONFLICT = "ConditionalRequestConflict"
#: Pieces that are smaller together are joined.
JOINED_BYTES = 2**20
#: Bytes of an object that may be under way while the rest of it is made.
HELD_BYTES = 128 * 2**20
#: Seconds between tries after that, one after another.
PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8)


class Sender:
    """Lets whatever is written be tried until the line and the bucket take it. For several threads.

    Parameters
    ----------
    url : str
        A store in S3.
    options : mapping
        What it was opened with.
    """

    def __init__(self, url: str, options: Mapping[str, Any]) -> None:
        self._url, self._options = url, options
        self._terms = Terms(str(options.get("kms_key", "")))
        self._line = Uplink(still_of(options).total_seconds())
        self._lock = Lock()  # around the stores, of which there is one for each limit
        self._stores: dict[tuple[float, int], tuple[Mapping[str, Any], Any]] = {}

    def send(self, size: int, write: Callable[[Any, Dispatch], T], whole: bool = False) -> T:
        """Write an object.

        Parameters
        ----------
        size : int
            Its bytes.
        write : callable
            Writes it into a store of obstore's, in parts of a size.
        whole : bool
            Whether it can't go in parts.
        """
        seconds, found = self._until_taken(size, write, whole)
        self._line.note_sent(size, seconds)
        return found

    def begin(self, name: str, parts: Sequence[memoryview]) -> Any:
        """Begin an object of which there are only some parts yet: obstore's stream for the others.

        Raises
        ------
        BaseError
            If that isn't possible; nothing of it stays.
        """

        def begin(store: Any, given: Dispatch) -> Any:
            at_once = min(given.at_once, max(1, HELD_BYTES // PART_BYTES))
            stream = obstore.open_writer(
                store, name, buffer_size=PART_BYTES, max_concurrency=at_once
            )
            try:
                for part in parts:
                    stream.write(part)
            except BaseException as error:
                with suppress(Exception):
                    stream.__exit__(type(error), error, None)
                raise
            return stream

        return self._until_taken(sum(part.nbytes for part in parts), begin, whole=False)[1]

    def _until_taken(
        self, size: int, write: Callable[[Any, Dispatch], T], whole: bool
    ) -> tuple[float, T]:
        pauses = iter(PAUSES)
        while True:
            given, terms = self._line.dispatch(size, whole), self._terms.options
            store = self._store(given.limit, terms)
            began = time.monotonic()
            try:
                found = write(store, given)
            except BaseError as error:
                pause = next(pauses, None) if CONFLICT in str(error) else None
                if pause is not None:
                    time.sleep(pause)
                elif not self._may_send_again(str(error), size, given, terms):
                    raise
            else:
                return time.monotonic() - began, found

    def _may_send_again(
        self, refusal: str, size: int, given: Dispatch, terms: Mapping[str, Any]
    ) -> bool:
        if LATE in refusal:
            return self._line.note_late(size, given)
        return self._terms.learn(refusal, terms)

    def _store(self, limit: float, terms: Mapping[str, Any]) -> Any:
        with self._lock:
            wanted = limit, id(terms)  # of terms that are kept, and never changed
            if wanted not in self._stores:
                client = dict(self._options.get("client_options", {}))
                client["read_timeout"] = timedelta(seconds=limit)
                options = {**self._options, **terms, "client_options": client}
                self._stores[wanted] = terms, open_objects(self._url, options)[1]
            return self._stores[wanted][1]


def pieces_of(data: Iterable[Bytes]) -> tuple[list[memoryview], int]:
    """Give the pieces of an object that has any, and its bytes."""
    pieces = [memoryview(piece).cast("B") for piece in data if memoryview(piece).nbytes]
    size = sum(piece.nbytes for piece in pieces)
    if size < JOINED_BYTES and len(pieces) > 1:
        pieces = [memoryview(b"".join(pieces))]
    return pieces, size


def put_pieces(store: Any, name: str, pieces: Sequence[memoryview], given: Dispatch) -> None:
    """Put an object into a store of obstore's; no piece is copied."""
    if sum(piece.nbytes for piece in pieces) < given.part:
        obstore.put(store, name, pieces or b"", use_multipart=False)
        return
    # obstore waits for room before each piece only, however many parts that makes.
    some = [
        piece[start : start + given.part]
        for piece in pieces
        for start in range(0, piece.nbytes, given.part)
    ]
    obstore.put(store, name, some, chunk_size=given.part, max_concurrency=given.at_once)
