"""The courier of a client in another process than its cluster's."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dask.typing import Key

from dask_knot.cluster.located import Located, load
from dask_knot.errors import CorruptObjectError, KnotError
from dask_knot.run import codec
from dask_knot.run.layout import neighbors
from dask_knot.run.manifest import Place
from dask_knot.run.run import Run
from dask_knot.session.admission import Admission
from dask_knot.session.encoded import decoded_value
from dask_knot.session.values import MOST_AT_ONCE, ValueReader

#: Bytes of the first value that a client compares: the head, with its checksum.
HEAD_BYTES = 64
#: For so many seconds a client waits until it is known whether it can read the store.
LONGEST_TRIAL = 2.0
#: Bytes that are asked of the scheduler at once, and how often at a time.
PIECE_BYTES = 16 * 2**20
PIECES_AT_ONCE = 4


class RemoteCourier:
    """Gathers for a client: from the store if it is the same one here, or through the scheduler.

    Parameters
    ----------
    connection : PooledRPCCall
        The client's way to the scheduler.
    url : str
        The URL of a pack of the run.
    admission : Admission, optional
        Knows what memory there is for values.
    """

    def __init__(self, connection: Any, url: str, admission: Admission | None = None) -> None:
        self._ask, self._read_range = connection.gather, connection.read_range
        self._locate = connection.locate_values
        self._url = url
        self._admission = admission or Admission()
        self._trial: asyncio.Future[ValueReader | None] | None = None

    async def gather(self, keys: Collection[Key], **options: Any) -> dict[str, Any]:
        """Answer as `Scheduler.gather` does.

        Raises
        ------
        ClientMemoryError
            If the values don't fit into the memory of this process.
        """
        reply = await self._locate(keys=list(keys))
        if reply["status"] != "OK":
            return reply  # type: ignore[no-any-return]
        located: Located = reply["located"]
        values, left = await asyncio.to_thread(located.decoded), dict(located.far)
        reader = await self._reader_of(left)
        if reader is not None:
            some = await self._from_store(reader, left)
            values |= some
            left = {key: place for key, place in left.items() if key not in some}
        if left:
            some = await self._by_message(left)
            values |= some
            left = {key: place for key, place in left.items() if key not in some}
        if left:  # damaged, gone, or elsewhere by now: the scheduler finds out
            reply = await self._ask(keys=list(left), **options)
            if reply["status"] != "OK":
                return reply  # type: ignore[no-any-return]
            values |= reply["data"]
        return {"status": "OK", "data": values}

    # From the store.

    async def _reader_of(self, places: Mapping[Key, Place]) -> ValueReader | None:
        """Give what reads the store, once it is known that it is the cluster's."""
        if self._trial is None:
            large = [place for place in places.values() if place.length >= HEAD_BYTES]
            if not large:
                return None
            self._trial = asyncio.ensure_future(self._try(large[0]))
        await asyncio.wait([self._trial], timeout=LONGEST_TRIAL)
        return self._trial.result() if self._trial.done() else None

    async def _try(self, place: Place) -> ValueReader | None:
        """Read the beginning of a value, as the cluster does: its checksum is that of no other."""
        head = place._replace(length=HEAD_BYTES)
        run = await asyncio.to_thread(_opened, self._url)
        if run is None:
            return None
        there = (await self._read_range(place=tuple(head)))["data"]
        try:
            here = await asyncio.to_thread(run.read_value, head)
        except KnotError:
            return None
        if there is None or bytes(there) != bytes(here):
            return None
        pool = ThreadPoolExecutor(MOST_AT_ONCE, "dask-knot-values")
        return ValueReader(run, pool, self._admission)

    async def _from_store(
        self, reader: ValueReader, places: Mapping[Key, Place]
    ) -> Mapping[Key, Any]:
        try:
            return (await load(reader, places))[0]
        except KnotError as error:
            if isinstance(error, MemoryError | RuntimeError):  # no place, or not to be loaded here
                raise
            return {}  # credentials have ended, say: there is another way

    # Through the scheduler.

    async def _by_message(self, places: Mapping[Key, Place]) -> dict[Key, Any]:
        far = sorted((place, key) for key, place in places.items())
        size = sum(place.length for place, _ in far)
        self._admission.check(size)
        groups = [[far[n] for n in group] for group in neighbors([place for place, _ in far])]
        turns = asyncio.Semaphore(PIECES_AT_ONCE)
        found = await asyncio.gather(*(self._fetch_group(group, turns) for group in groups))
        return {key: value for some in found for key, value in some.items()}

    async def _fetch_group(
        self, group: Sequence[tuple[Place, Key]], turns: asyncio.Semaphore
    ) -> dict[Key, Any]:
        first, last = group[0][0], group[-1][0]
        length = last.offset + last.length - first.offset
        data = bytearray(length)
        starts = range(0, length, PIECE_BYTES)
        pieces = (
            self._fetch(first._replace(offset=first.offset + n), memoryview(data)[n:], turns)
            for n in starts
        )
        if not all(await asyncio.gather(*pieces)):
            return {}
        return await asyncio.to_thread(self._decoded, group, data)

    async def _fetch(self, place: Place, into: memoryview, turns: asyncio.Semaphore) -> bool:
        async with turns:
            length = min(into.nbytes, PIECE_BYTES)
            data = (await self._read_range(place=(place.name, place.offset, length)))["data"]
            if data is None:
                return False
            into[:length] = data
            return True

    def _decoded(self, group: Sequence[tuple[Place, Key]], data: bytearray) -> dict[Key, Any]:
        values = {}
        self._admission.take(len(data))
        for place, key in group:
            start = place.offset - group[0][0].offset
            part = memoryview(data)[start : start + place.length]
            try:
                codec.check(part)
            except CorruptObjectError:
                continue
            values[key] = decoded_value(key, part)
        return values


def _opened(url: str) -> Run | None:
    try:
        return Run.of_pack(url, patience=0.0)[0].at_once()
    except (KnotError, OSError):
        return None
