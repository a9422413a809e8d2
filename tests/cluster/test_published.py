"""What is published is in the store: another scheduler on the same run has it, and Dask's rules."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from distributed import Client, Scheduler, Worker
from distributed.client import futures_of
from distributed.protocol import deserialize, serialize, to_serialize
from distributed.protocol.serialize import Serialized
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.cluster.published import (
    PublishedDatasets,
    name_of,
    packed_dataset,
    text_of,
    unpacked_dataset,
)
from dask_knot.errors import CorruptObjectError, MissingObjectError, StoreError


class Records:
    """The record of a run, as far as it is of datasets."""

    def __init__(self) -> None:
        self.datasets: dict[str, bytes] = {}
        self.error: StoreError | None = None
        self.flushed = 0

    def publish(self, name: str, data: bytes, override: bool = False) -> bool:
        """Write a dataset."""
        if self.error is not None:
            raise self.error
        if not override and self.datasets.get(name, data) != data:
            return False
        self.datasets[name] = data
        return True

    def list_published(self) -> list[str]:
        """Name what is published."""
        return sorted(self.datasets)

    def read_published(self, name: str) -> bytes:
        """Read a dataset."""
        try:
            return self.datasets[name]
        except KeyError as error:
            raise MissingObjectError(name) from error

    def unpublish(self, name: str) -> None:
        """Forget a dataset."""
        self.datasets.pop(name, None)

    async def flush(self) -> None:
        """Count."""
        self.flushed += 1


Story = Callable[[Client, Scheduler], Coroutine[Any, Any, None]]


def play(records: Records, story: Story) -> None:
    """Let a client of a new cluster meet what is published."""

    async def live() -> None:
        record: Any = records
        async with (
            Scheduler(dashboard_address=":0", host="127.0.0.1", port=0) as scheduler,
            Worker(scheduler.address, nthreads=1, dashboard=False),
            Client(scheduler.address, asynchronous=True) as client,
        ):
            PublishedDatasets(scheduler, record, records.flush)
            await asyncio.wait_for(story(client, scheduler), 20)

    asyncio.run(live())


@pytest.fixture
def records() -> Records:
    return Records()


def test_another_session_has_it(records: Records) -> None:
    async def publish(client: Client, scheduler: Scheduler) -> None:
        future = client.submit(sum, [1, 2], key="three")
        await client.publish_dataset(x=[future, {"a": 5}], y="plain")
        assert records.flushed == 1

    async def read(client: Client, scheduler: Scheduler) -> None:
        assert await client.list_datasets() == ("x", "y")
        [future, rest] = await client.get_dataset("x")
        assert (future.key, rest) == ("three", {"a": 5})
        assert futures_of(future) == [future]
        assert future.client is client
        assert await client.get_dataset("y") == "plain"
        assert [name async for name in client.datasets] == ["x", "y"]
        assert await client.get_dataset("z", default=3) == 3
        with pytest.raises(KeyError, match="'z' not found"):
            await client.get_dataset("z")

    play(records, publish)
    play(records, read)


def test_names_are_taken(records: Records) -> None:
    async def publish(client: Client, scheduler: Scheduler) -> None:
        await client.publish_dataset(x=1)
        for same in (1, 2):
            with pytest.raises(KeyError, match="Dataset x already exists"):
                await client.publish_dataset(x=same)
        await client.publish_dataset(x=3, override=True)
        assert await client.get_dataset("x") == 3

    async def again(client: Client, scheduler: Scheduler) -> None:
        with pytest.raises(KeyError, match="Dataset x already exists"):
            await client.publish_dataset(x=2)
        await client.publish_dataset(x=3)  # the same script, run once more
        await client.publish_dataset(x=4, override=True)
        assert await client.get_dataset("x") == 4

    play(records, publish)
    play(records, again)


def test_it_holds_its_keys_until_it_is_unpublished(records: Records) -> None:
    async def publish(client: Client, scheduler: Scheduler) -> None:
        future = client.submit(sum, [1, 2], key="three")
        await future
        await client.publish_dataset(x=future)
        future.release()
        await client.publish_dataset(future=client.submit(sum, [1], key="one"))  # behind it
        assert scheduler.tasks["three"].who_wants
        await client.unpublish_dataset("x")
        await client.unpublish_dataset("x")
        assert "three" not in scheduler.tasks
        assert await client.list_datasets() == ("future",)

    play(records, publish)


def test_another_session_can_replace_it_and_take_it_away(records: Records) -> None:
    async def publish(client: Client, scheduler: Scheduler) -> None:
        await client.publish_dataset(x=1)
        another = packed_dataset([], Serialized(*serialize(to_serialize(2))))
        records.datasets["x"] = another
        assert await client.get_dataset("x") == 2
        records.unpublish("x")
        assert await client.list_datasets() == ()
        with pytest.raises(KeyError):
            await client.get_dataset("x")

    play(records, publish)


def test_names_that_are_no_text(records: Records) -> None:
    names: list[Any] = [("a", 1), 7, "7", "\x1fx"]

    async def publish(client: Client, scheduler: Scheduler) -> None:
        for number, name in enumerate(names):
            await client.publish_dataset(number, name=name)
        assert set(await client.list_datasets()) == {*names}
        assert [await client.get_dataset(name) for name in names] == [0, 1, 2, 3]

    play(records, publish)


def test_a_store_that_cannot_be_written_is_told(records: Records) -> None:
    async def publish(client: Client, scheduler: Scheduler) -> None:
        records.error = StoreError("it is read-only")
        with pytest.raises(StoreError, match="it is read-only"):
            await client.publish_dataset(x=1)
        records.datasets["y"] = b"\xc1 nonsense"
        with pytest.raises(CorruptObjectError, match="the dataset 'y' can't be decoded"):
            await client.get_dataset("y")

    play(records, publish)


KEYS = st.recursive(
    st.one_of(st.text(), st.integers(-(2**63), 2**63 - 1), st.binary(), st.floats(allow_nan=False)),
    lambda inner: st.lists(inner, max_size=3).map(tuple),
    max_leaves=5,
)


@given(KEYS)
def test_a_name_is_found_in_its_text(name: Any) -> None:
    assert name_of(text_of(name)) == name


@given(st.lists(KEYS, max_size=3), st.binary(max_size=100), st.booleans())
def test_a_dataset_comes_back_as_it_was(keys: list[Any], content: bytes, is_list: bool) -> None:
    value: Any = [content, {"a": to_serialize(content)}] if is_list else to_serialize(content)
    data = Serialized(*serialize(value))
    found = unpacked_dataset("x", packed_dataset(keys, data))
    assert found["keys"] == tuple(keys)
    again: Any = deserialize(found["data"].header, found["data"].frames)
    assert again == deserialize(data.header, data.frames)
