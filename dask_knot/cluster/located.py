"""Where values are, as a client is told that gathers them, and how it reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pickle import PickleBuffer
from threading import Event
from typing import Any

from dask.typing import Key
from distributed.comm import CommClosedError

from dask_knot.errors import StoreError
from dask_knot.run.manifest import Place
from dask_knot.session.encoded import decoded_value
from dask_knot.session.values import ClosedReaderError, ValueReader


async def load(
    reader: ValueReader, places: Mapping[Key, Place]
) -> tuple[dict[Key, Any], dict[Key, StoreError]]:
    """Let threads read values; if nobody waits for them any more, not all of them.

    Raises
    ------
    CommClosedError
        If the cluster closes meanwhile.
    """
    over = Event()
    try:
        return await asyncio.to_thread(reader.load_values, places, over)
    except ClosedReaderError as error:
        raise CommClosedError("the cluster was closed while values were being read") from error
    finally:
        over.set()


@dataclass(frozen=True, slots=True)
class Located:
    """Where values are, and those that are small and at hand.

    Attributes
    ----------
    keys, lengths : sequence of Key, sequence of int
        Of the small ones.
    content : bytes-like
        These, encoded, one after another.
    far : mapping of Key to Place
        Where the others are.
    """

    keys: tuple[Key, ...]
    lengths: tuple[int, ...]
    content: Any
    far: Mapping[Key, Place]

    @classmethod
    def of(cls, near: Mapping[Key, memoryview], far: Mapping[Key, Place]) -> Located:
        """Put small values together."""
        lengths = tuple(data.nbytes for data in near.values())
        return cls(tuple(near), lengths, b"".join(near.values()), far)

    def __reduce__(self) -> tuple[Any, ...]:
        content = PickleBuffer(self.content)
        far = {key: tuple(place) for key, place in self.far.items()}
        return _located, (self.keys, self.lengths, content, far)

    def decoded(self) -> dict[Key, Any]:
        """Decode the small ones.

        Raises
        ------
        CorruptObjectError
            If one is damaged.
        NotLoadedError
            If one needs a module, or something in it, that isn't here.
        """
        return {key: decoded_value(key, data, is_checked=False) for key, data in self._parts()}

    def _parts(self) -> Iterator[tuple[Key, memoryview]]:
        view, position = memoryview(self.content), 0
        for key, length in zip(self.keys, self.lengths, strict=True):
            yield key, view[position : position + length]
            position += length


def _located(keys: Any, lengths: Any, content: Any, far: Mapping[Key, Any]) -> Located:
    return Located(keys, lengths, content, {key: Place(*place) for key, place in far.items()})
