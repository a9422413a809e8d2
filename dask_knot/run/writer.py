"""An object that is being written: its bytes come one after another, and it appears at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from dask_knot.run.codec import Bytes


class Writer(Protocol):
    """An object on its way into a store: it appears whole under its name, or not at all.

    For one thread at a time, not always the same one. Whatever asks the store raises what
    `Store.put` raises; the object is to be aborted then.
    """

    @property
    def size(self) -> int:
        """Give the bytes that were written so far: where the next one will be."""

    def write(self, data: Bytes) -> None:
        """Append bytes, which may change when this returns; wait if too many are under way."""

    def commit(self) -> None:
        """Let the object appear, instead of one that is there; it is there when this returns."""

    def abort(self) -> None:
        """Leave nothing of it, and never raise; it does nothing after the end."""


class HeldWriter:
    """Holds an object in memory, and puts it at the end.

    Parameters
    ----------
    put : callable
        Puts the object of some pieces.
    """

    def __init__(self, put: Callable[[Iterable[Bytes]], object]) -> None:
        self._put = put
        self._pieces: list[bytes] = []
        self._size = 0

    @property
    def size(self) -> int:
        """Give the bytes that were written so far."""
        return self._size

    def write(self, data: Bytes) -> None:
        """Append a copy of some bytes."""
        self._pieces.append(bytes(data))
        self._size += len(self._pieces[-1])

    def commit(self) -> None:
        """Put all of it."""
        self._put(self._pieces)
        self._pieces = []

    def abort(self) -> None:
        """Forget it."""
        self._pieces = []
