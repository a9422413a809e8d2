"""The large values of a shard on their way out: each leaves the job's memory, and can't change.

In a folder each is written when its task has ended, behind the others. In S3 a reader wants one
range of an object: the values are kept as copies, and go in the order of their readers, while the
next tasks run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from threading import Thread
from typing import Protocol

from dask_knot.run import codec
from dask_knot.run.codec import Bytes
from dask_knot.run.layout import Layout, lay_out
from dask_knot.run.manifest import Place
from dask_knot.run.store import Store
from dask_knot.run.writer import Writer

#: Values are sent to S3 when so many bytes wait: as many may be under way meanwhile.
SENT_BYTES = 128 * 2**20
#: A value of this size goes alone, and no copy of it is kept.
ALONE_BYTES = 64 * 2**20


class Outbox(Protocol):
    """Takes values, and tells where they are; for one thread at a time.

    Whatever asks the store raises StoreError if that can't be asked.
    """

    def add(self, number: int, parts: Sequence[Bytes]) -> None:
        """Take an output's value, as what `codec.pickled` gave; it may change afterwards."""

    def arrived(self, waits: bool) -> dict[int, Place]:
        """Tell where values are that have arrived since the last time: all of them if it waits."""

    def close(self) -> None:
        """Leave nothing half written; nothing can be added any more."""


class NearOutbox:
    """Writes into a store that is near.

    Parameters
    ----------
    store : Store
        The store.
    names : iterator of str
        What its objects are called, one after another.
    """

    def __init__(self, store: Store, names: Iterator[str]) -> None:
        self._store = store
        self._names = names
        self._writer: Writer | None = None
        self._layout: Layout | None = None
        self._places: dict[int, Place] = {}

    def add(self, number: int, parts: Sequence[Bytes]) -> None:
        """Write a value."""
        if self._layout is None:
            name = next(self._names)
            self._writer = self._store.writer(name)
            self._layout = Layout(name, self._writer)
        self._places[number] = self._layout.add(parts)

    def arrived(self, waits: bool) -> dict[int, Place]:
        """Let the object appear in which the values are."""
        if self._writer is not None:
            self._writer.commit()
        found, self._places = self._places, {}
        self._writer = self._layout = None
        return found

    def close(self) -> None:
        """Remove what is half written."""
        if self._writer is not None:
            self._writer.abort()
        self._writer = self._layout = None


class FarOutbox:
    """Sends to a store that is far away, beside the tasks.

    Parameters
    ----------
    store, names
        As those of `NearOutbox`.
    """

    def __init__(self, store: Store, names: Iterator[str]) -> None:
        self._store = store
        self._names = names
        self._held: dict[int, bytearray] = {}
        self._size = 0
        self._writer: Writer | None = None
        self._sending: tuple[Future[object], dict[int, Place]] | None = None
        self._arrived: dict[int, Place] = {}

    def add(self, number: int, parts: Sequence[Bytes]) -> None:
        """Keep a copy of a value, or send it; what was sent before has to have arrived."""
        if codec.framed_size(parts) >= ALONE_BYTES:
            self._stream(number, parts)
            return
        self._held[number] = codec.whole(parts)
        self._size += len(self._held[number])
        if self._size >= SENT_BYTES:
            self._wait()
            self._send(_in_background)

    def arrived(self, waits: bool) -> dict[int, Place]:
        """Send what is held unless something is under way, and tell what has arrived."""
        if waits or (self._sending is not None and self._sending[0].done()):
            self._wait()
        if self._held and self._sending is None:
            self._send(_at_once if waits else _in_background)
        if waits:
            self._wait()
        found, self._arrived = self._arrived, {}
        return found

    def close(self) -> None:
        """Let go what is half sent."""
        if self._writer is not None:
            self._writer.abort()
        self._held = {}

    def _send(self, start: Start) -> None:
        pieces, places = lay_out(name := next(self._names), dict(sorted(self._held.items())))
        self._held, self._size = {}, 0
        self._sending = start(partial(self._store.put, name, pieces)), places

    def _stream(self, number: int, parts: Sequence[Bytes]) -> None:
        self._wait()
        name = next(self._names)
        self._writer = self._store.writer(name)
        place = Layout(name, self._writer).add(parts)
        self._sending = _in_background(self._writer.commit), {number: place}

    def _wait(self) -> None:
        if self._sending is not None:
            sent, places = self._sending
            sent.result()
            self._sending = self._writer = None
            self._arrived |= places


Start = Callable[[Callable[[], object]], "Future[object]"]


def _at_once(call: Callable[[], object]) -> Future[object]:
    done: Future[object] = Future()
    try:
        done.set_result(call())
    except BaseException as error:  # raised by whoever asks for the result
        done.set_exception(error)
    return done


def _in_background(call: Callable[[], object]) -> Future[object]:
    done: Future[object] = Future()

    def run() -> None:
        try:
            done.set_result(call())
        except BaseException as error:
            done.set_exception(error)

    Thread(target=run, name="dask-knot-sending", daemon=True).start()
    return done
