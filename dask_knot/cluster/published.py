"""Published datasets of a named run: they outlive their cluster, and every session has them.

Dask keeps what clients publish in its scheduler, and holds the keys that it reads. Here the store
has it, too: pickles of collections, whose futures a later session's client gets back by their keys.
The store is asked each time, as another session may hold the run at the same moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgpack
from dask.typing import Key
from dask.utils import stringify
from distributed.protocol.serialize import Serialized
from distributed.publish import PublishedDataset, PublishExtension

from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.internals import after_batch
from dask_knot.run.archive import Archive

#: What the stored name of a dataset begins with whose name is no text.
_NO_TEXT = "\x1f"


class PublishedDatasets(PublishExtension):  # type: ignore[misc]
    """Takes the place of the scheduler's own extension in a named run.

    Parameters
    ----------
    scheduler : Scheduler
        Holds keys, and lets go of them.
    record : Archive
        Keeps what is published.
    flush : callable
        Submits what was asked for: what is published is to be made, whatever becomes of this
        session.
    """

    def __init__(
        self, scheduler: Any, record: Archive, flush: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(scheduler)
        scheduler.extensions["publish"] = self
        self._record = record
        self._flush = flush

    async def put(
        self,
        names: Sequence[Key],
        keys: Sequence[Sequence[Key]],
        data: Sequence[Serialized],
        override: bool,
        client: str,
        uid: bytes,
    ) -> None:
        """Publish datasets; the very same that an earlier session has published may be there.

        Raises
        ------
        KeyError
            If there is one of that name, and it isn't to be replaced.
        StoreError
            If it can't be written.
        """
        await after_batch(self, client, uid)
        await self._flush()
        for name, some, one in zip(names, keys, data, strict=True):
            packed = packed_dataset(some, one)
            publish = self._record.publish
            is_ours = name in self.datasets and not override
            if is_ours or not await asyncio.to_thread(publish, text_of(name), packed, override):
                raise KeyError(f"Dataset {name} already exists")
            self._drop(name)
            self.scheduler.client_desires_keys(some, _holder(name))
            self.datasets[name] = {"data": one, "keys": tuple(some)}

    async def delete(self, names: Sequence[Key], client: str, uid: bytes) -> None:
        """Forget datasets; one that isn't there doesn't matter.

        Raises
        ------
        StoreError
            If the store can't be written.
        """
        await after_batch(self, client, uid)
        for name in names:
            await asyncio.to_thread(self._record.unpublish, text_of(name))
            self._drop(name)

    async def list(self) -> list[Key]:
        """Name what is published.

        Raises
        ------
        StoreError
            If the store can't be read.
        """
        found = await asyncio.to_thread(self._record.list_published)
        return sorted(map(name_of, found), key=str)

    async def get(self, names: Sequence[Key]) -> Sequence[PublishedDataset | None]:
        """Read datasets; None in the place of one that isn't there.

        Raises
        ------
        StoreError
            If the store can't be read.
        """
        return await asyncio.gather(*(asyncio.to_thread(self._read, name) for name in names))

    def _read(self, name: Key) -> PublishedDataset | None:
        text = text_of(name)
        try:
            packed = self._record.read_published(text)
        except MissingObjectError:
            return None
        return unpacked_dataset(text, packed)

    def _drop(self, name: Key) -> None:
        """Let go of the keys of a dataset that this session has published."""
        old = self.datasets.pop(name, None)
        if old is not None:
            self.scheduler.client_releases_keys(old["keys"], _holder(name))


def packed_dataset(keys: Sequence[Key], data: Serialized) -> bytes:
    """Write a dataset as bytes: as the client has serialized it, and the keys that it reads."""
    frames = [bytes(frame) for frame in data.frames]
    packed: bytes = msgpack.packb({"keys": list(keys), "header": data.header, "frames": frames})
    return packed


def unpacked_dataset(name: str, packed: bytes) -> PublishedDataset:
    """Read a dataset; only the client that asked for it deserializes it.

    Raises
    ------
    CorruptObjectError
        If the bytes make no sense.
    """
    try:
        fields = msgpack.unpackb(packed, strict_map_key=False, use_list=False)
        data = Serialized(fields["header"], list(fields["frames"]))
        return {"data": data, "keys": tuple(fields["keys"])}
    except (ValueError, TypeError, LookupError, msgpack.UnpackException) as error:
        raise CorruptObjectError(f"the dataset {name!r} can't be decoded: {error!r}") from error


def text_of(name: Key) -> str:
    """Give the text that a dataset is stored under: Dask takes any key for a name."""
    if isinstance(name, str) and not name.startswith(_NO_TEXT):
        return name
    packed: bytes = msgpack.packb(name)
    return _NO_TEXT + packed.hex()


def name_of(text: str) -> Key:
    """Give the name of the dataset that is stored under a text."""
    if not text.startswith(_NO_TEXT):
        return text
    name: Key = msgpack.unpackb(bytes.fromhex(text.removeprefix(_NO_TEXT)), use_list=False)
    return name


def _holder(name: Key) -> str:
    return f"published-{stringify(name)}"
