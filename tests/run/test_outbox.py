"""The large values of a shard leave its memory, be the store near or far, and can't change."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import pytest

from dask_knot.errors import StoreError
from dask_knot.run import codec, outbox
from dask_knot.run.codec import Bytes
from dask_knot.run.manifest import Place
from dask_knot.run.names import ShardId, StageId
from dask_knot.run.outbox import Outbox
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.run.writer import Writer

SHARD = ShardId(StageId(0, 0), 0)
WAIT = 30


class GatedStore(Store):
    """A store into which nothing is put before its gate is open."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.is_near = False
        self.gate, self.begun = Event(), Event()
        self.error: StoreError | None = None

    def put(self, name: str, data: Iterable[Bytes]) -> None:
        self.begun.set()
        assert self.gate.wait(WAIT)
        if self.error is not None:
            raise self.error
        super().put(name, data)


@pytest.fixture
def gated(tmp_path: Path) -> GatedStore:
    return GatedStore(tmp_path / "store")


@pytest.fixture(params=[True, False], ids=["near", "far"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    store.is_near = request.param
    return store


def outbox_of(store: Store, first: int = 0) -> Outbox:
    return Run(store, "run").outbox(SHARD, 1, first)


def pickled(number: int, size: int = 1000) -> Sequence[Bytes]:
    return codec.pickled(np.full(size, float(number)))


def read(store: Store, places: dict[int, Place]) -> dict[int, Any]:
    return {n: codec.decode(store.get_range(*place)) for n, place in places.items()}


def test_values_arrive_as_they_were(store: Store) -> None:
    box = outbox_of(store)
    array = np.zeros(1000)
    box.add(5, codec.pickled(array))
    array += 1
    box.add(3, codec.pickled(array))
    array += 1
    found = read(store, box.arrived(waits=True))
    assert {number: set(value.tolist()) for number, value in found.items()} == {5: {0}, 3: {1}}
    assert all(value.flags.writeable for value in found.values())
    assert box.arrived(waits=True) == {}


def test_each_commit_has_an_object_of_its_own(store: Store) -> None:
    box = outbox_of(store, 7)
    places = {}
    for number in range(3):
        box.add(number, pickled(number))
        places |= box.arrived(waits=True)
    assert [place.name[-5:] for place in places.values()] == ["007a1", "008a1", "009a1"]
    assert [value[0] for value in read(store, places).values()] == [0, 1, 2]


def test_nothing_is_no_object(store: Store) -> None:
    box = outbox_of(store)
    assert box.arrived(waits=True) == box.arrived(waits=False) == {}
    box.close()
    assert store.list("") == []


def test_what_is_closed_leaves_nothing(store: Store, tmp_path: Path) -> None:
    box = outbox_of(store)
    box.add(0, pickled(0, 2**20))
    box.close()
    box.close()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class WatchedStore(Store):
    """A store that tells its last writer."""

    last: Writer

    def writer(self, name: str) -> Writer:
        self.last = super().writer(name)
        return self.last


def test_near_values_are_written_at_once(tmp_path: Path) -> None:
    store = WatchedStore(tmp_path)
    box = outbox_of(store)
    box.add(0, pickled(0, 2**20))
    assert store.last.size > 2**23
    box.close()


def test_far_values_lie_in_the_order_of_their_readers(gated: GatedStore) -> None:
    gated.gate.set()
    box = outbox_of(gated)
    for number in (4, 0, 9, 2):
        box.add(number, pickled(number))
    places = box.arrived(waits=True)
    offsets = {number: place.offset for number, place in places.items()}
    assert sorted(offsets) == sorted(offsets, key=lambda number: offsets[number])
    assert gated.requests["put"] == 1


def test_far_values_go_while_others_come(
    gated: GatedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "SENT_BYTES", 15_000)
    box = outbox_of(gated)
    box.add(0, pickled(0))
    box.add(1, pickled(1))  # both go
    assert gated.begun.wait(WAIT)
    box.add(2, pickled(2))
    assert box.arrived(waits=False) == {}
    gated.gate.set()
    places = box.arrived(waits=True)
    assert [value[0] for value in read(gated, places).values()] == [0, 1, 2]
    assert len({place.name for place in places.values()}) == 2


def test_what_is_held_goes_when_a_part_is_due(gated: GatedStore) -> None:
    box = outbox_of(gated)
    box.add(0, pickled(0))
    assert box.arrived(waits=False) == {}
    assert gated.begun.wait(WAIT)
    gated.gate.set()
    assert [*box.arrived(waits=True)] == [0]


def test_a_far_value_that_is_very_large_goes_alone(
    gated: GatedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "ALONE_BYTES", 50_000)
    gated.gate.set()
    box = outbox_of(gated)
    box.add(1, pickled(1, 10_000))
    box.add(0, pickled(0))
    box.add(2, pickled(2, 10_000))
    places = box.arrived(waits=True)
    assert {n: value[0] for n, value in read(gated, places).items()} == {0: 0, 1: 1, 2: 2}
    assert len({place.name for place in places.values()}) == 3


def test_what_cannot_be_sent_is_raised_whenever_one_asks(gated: GatedStore) -> None:
    box = outbox_of(gated)
    box.add(0, pickled(0))
    gated.error = StoreError("not now")
    box.arrived(waits=False)
    gated.gate.set()
    for _ in range(2):
        with pytest.raises(StoreError, match="not now"):
            box.arrived(waits=True)
    box.close()
