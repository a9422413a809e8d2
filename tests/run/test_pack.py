"""A pack gives each child its own shard, in few requests, however many there are."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dask_knot.errors import CorruptObjectError, MissingObjectError, StoreError
from dask_knot.run import codec, pack
from dask_knot.run.store import Store


@pytest.fixture
def memory() -> Store:
    return Store("memory://")


def read(store: Store, index: int) -> memoryview:
    """Read a shard as `Run` does."""
    return pack.read_shard("pack", index, partial(store.get_range, "pack"))


@given(st.lists(st.lists(st.binary(max_size=40), min_size=1), min_size=1, max_size=80))
def test_every_shard_is_found(shards: list[list[bytes]]) -> None:
    store = Store("memory://")
    store.put("pack", pack.build(shards))
    for index, pieces in enumerate(shards):
        assert read(store, index) == b"".join(pieces)


@pytest.mark.parametrize("index", [0, 1, 63, 64, 9_999])
def test_a_shard_costs_few_requests(memory: Store, index: int) -> None:
    memory.put("pack", pack.build([codec.encode(number) for number in range(10_000)]))
    memory.requests.clear()
    assert codec.decode(read(memory, index)) == index
    assert memory.requests == {"get": 2 if index < 64 else 3}


@pytest.mark.parametrize("index", [2, 70])
def test_a_shard_that_is_not_there_is_an_error(memory: Store, index: int) -> None:
    memory.put("pack", pack.build([[b"a" * 1000], [b"b" * 1000]]))
    with pytest.raises(CorruptObjectError, match=f"with a shard {index}"):
        read(memory, index)


@pytest.mark.parametrize("position", [0, 1, 2])
def test_what_is_no_pack_is_refused(memory: Store, position: int) -> None:
    data = bytearray(b"".join(pack.build([[b"content"]])))
    data[position] ^= 1
    memory.put("pack", [data])
    with pytest.raises(CorruptObjectError, match="another version"):
        read(memory, 0)


def test_a_pack_that_is_cut_off_is_an_error(memory: Store) -> None:
    data = b"".join(pack.build([[b"content"], [b"more"]]))
    for length in range(len(data) - 4):
        memory.put("pack", [data[:length]])
        with pytest.raises(StoreError):
            read(memory, 0 if length < len(data) - 11 else 1)


def test_a_missing_pack_is_an_error(memory: Store) -> None:
    with pytest.raises(MissingObjectError, match="pack"):
        read(memory, 0)
