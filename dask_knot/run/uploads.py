"""Objects that go out to S3 while they are made: in parts, in the background."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from obstore.exceptions import BaseError, GenericError, PermissionDeniedError

from dask_knot.run.access import Access
from dask_knot.run.codec import Bytes
from dask_knot.run.receiving import blank
from dask_knot.run.sending import Sender
from dask_knot.run.traffic import Traffic
from dask_knot.run.uplink import PART_BYTES, PARTED_BYTES


class Upload:
    """An object on its way to S3: a `Writer`.

    What is small is kept, and put at the end. Of what is large, parts are copied and sent, so many
    at once as fit a bound of memory: `write` waits for one of them to arrive. They can't be sent a
    second time, so that trouble that lasts for longer than obstore tries each of them ends it.

    Parameters
    ----------
    name : str
        The object's name.
    sender : Sender
        Sends parts.
    access : Access
        Asks the store.
    traffic : Traffic
        Counts.
    put : callable
        Puts an object of some pieces.
    """

    def __init__(
        self,
        name: str,
        sender: Sender,
        access: Access,
        traffic: Traffic,
        put: Callable[[str, Iterable[Bytes]], object],
    ) -> None:
        self._name = name
        self._sender, self._access, self._traffic, self._put = sender, access, traffic, put
        self._size = 0
        self._part = blank(0)
        self._filled = 0
        self._parts: list[memoryview] = []  # as long as nothing is sent
        self._stream: Any = None  # obstore's

    @property
    def size(self) -> int:
        """Give the bytes that were written so far."""
        return self._size

    def write(self, data: Bytes) -> None:
        """Append bytes, which may change when this returns; wait if too many are under way."""
        view = memoryview(data).cast("B")
        while view.nbytes:
            if self._filled == self._part.nbytes:
                self._end_part()
                self._part, self._filled = blank(PART_BYTES), 0
            taken = view[: PART_BYTES - self._filled]
            self._part[self._filled : self._filled + taken.nbytes] = taken
            self._filled += taken.nbytes
            self._size += taken.nbytes
            view = view[taken.nbytes :]

    def commit(self) -> None:
        """Let the object appear, instead of one that is there; it is there when this returns."""
        self._end_part()
        if self._stream is None:
            self._put(self._name, self._parts)
            self._parts = []
            return
        self._do(self._stream.close)
        self._stream = None
        self._traffic.note_parts(self._size, PART_BYTES)
        self._traffic.note_moved("written", self._size)

    def abort(self) -> None:
        """Leave nothing of it, and never raise; it does nothing after the end."""
        self._parts, stream, self._stream = [], self._stream, None
        if stream is not None:
            with suppress(Exception):  # S3 deletes what is left of it after a day
                stream.__exit__(RuntimeError, None, None)

    def _end_part(self) -> None:
        part = self._part[: self._filled]
        self._part, self._filled = blank(0), 0
        if not part.nbytes:
            return
        if self._stream is not None:
            self._do(lambda: self._stream.write(part))
            return
        self._parts.append(part)
        if self._size >= PARTED_BYTES:  # again as long as its trouble passes: all of it is here
            self._stream = self._access.ask(
                "put", self._name, lambda: self._sender.begin(self._name, self._parts)
            )
            self._parts = []

    def _do(self, call: Callable[[], object]) -> None:
        """Do what can't be done again."""
        once = self._access.at_once()
        once.ask("put", self._name, lambda: _as_ours(call), is_counted=False)


def _as_ours(call: Callable[[], object]) -> bool:
    """Tell what went wrong meanwhile as obstore does: its streams raise an OSError instead."""
    try:
        call()
    except BaseError:
        raise
    except OSError as error:
        is_denied = "<Code>AccessDenied<" in str(error)
        kind = PermissionDeniedError if is_denied else GenericError
        raise kind(str(error)) from error
    return True
