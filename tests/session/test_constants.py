"""Constants are written once, and deleted with the last pack that reads them."""

from __future__ import annotations

import pytest

from dask_knot.errors import StoreError
from dask_knot.graphs.constants import LARGE, Constant, Constants
from dask_knot.run import codec
from dask_knot.run.names import Names, StageId
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.session.constants import StoredConstants

NAMES = Names("run")
FIRST, SECOND = StageId(0, 0), StageId(0, 1)


def constant(value: object) -> Constant:
    found = Constants().take(value, 0)
    assert found is not None
    return found


@pytest.fixture
def store() -> Store:
    return Store("memory://")


def test_a_stage_is_one_object(store: Store) -> None:
    stored = StoredConstants(Run(store, "run"))
    values = {"a": bytes(LARGE), "b": b"x" * LARGE, "small": b"y"}
    places = stored.put(FIRST, {key: constant(value) for key, value in values.items()})
    assert store.requests == {"put": 1}
    assert sorted(places) == ["a", "b"]
    for key, place in places.items():
        assert place.name == NAMES.constants(FIRST)
        assert codec.decode(store.get_range(*place)) == values[key]


def test_nothing_large_is_nothing_written(store: Store) -> None:
    stored = StoredConstants(Run(store, "run"))
    assert stored.put(FIRST, {"small": constant(b"y")}) == {}
    assert stored.release([NAMES.pack(FIRST)]) == []
    assert store.requests == {}


def test_it_lives_as_long_as_a_pack_that_reads_it(store: Store) -> None:
    stored = StoredConstants(Run(store, "run"))
    known = {"a": constant(bytes(LARGE))}
    assert stored.put(FIRST, known) == stored.put(SECOND, known)
    assert store.requests == {"put": 1}
    assert stored.release([NAMES.pack(FIRST), "run/data/of-a-shard"]) == []
    assert stored.release([NAMES.pack(SECOND)]) == [NAMES.constants(FIRST)]
    third = StageId(1, 0)
    assert stored.put(third, known)["a"].name == NAMES.constants(third)


class BrokenStore(Store):
    """A store that can't be written for a while."""

    is_away = True

    def put(self, name: str, data: object) -> None:
        if self.is_away:
            raise StoreError("the disk is full")
        super().put(name, data)


def test_what_could_not_be_written_is_not_there() -> None:
    store = BrokenStore("memory://")
    stored = StoredConstants(Run(store, "run"))
    known = {"a": constant(bytes(LARGE))}
    with pytest.raises(StoreError):
        stored.put(FIRST, known)
    store.is_away = False
    assert stored.put(SECOND, known)["a"].name == NAMES.constants(SECOND)
    assert stored.release([NAMES.pack(FIRST)]) == []
    assert stored.release([NAMES.pack(SECOND)]) == [NAMES.constants(SECOND)]
