"""Values are read for clients, and those that are lost are made again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from dask.typing import Key

from dask_knot.cluster.values import Values
from dask_knot.errors import CorruptObjectError
from dask_knot.run import codec
from dask_knot.run.manifest import Place
from dask_knot.tracking import events


class World:
    """A scheduler whose keys are in memory, and a session that has their values."""

    def __init__(self, **values: object) -> None:
        self.tasks: dict[Key, Any] = {key: SimpleNamespace(state="memory") for key in values}
        self.places: dict[Key, Place] = {key: Place(key, 0, 1) for key in values}
        self.stored = {key: memoryview(b"".join(codec.encode(v))) for key, v in values.items()}
        self.told: list[events.Event] = []
        self.released: list[Key] = []
        session: Any = SimpleNamespace(
            place_of=self.places.get,
            handle=self.handle,
            values=SimpleNamespace(read_values=lambda places: self.read_values(places)),
        )
        self.values = Values(self, session)

    def handle(self, happened: Iterable[events.Event]) -> None:
        """Take in what happened, as the tracker does."""
        for event in happened:
            self.told.append(event)
            if isinstance(event, events.ValueLost):
                del self.places[event.key]

    def read_values(self, places: dict[Key, Place]) -> tuple[dict[Key, Any], dict[Key, Any]]:
        """Read what is there."""
        found = {key: self.stored[key] for key in places if key in self.stored}
        return found, {key: CorruptObjectError("bad") for key in places if key not in found}

    def transitions(self, recommendations: dict[Key, str], stimulus_id: str) -> None:
        """Let keys change their states."""
        self.released += recommendations


@pytest.mark.parametrize("serializers", [None, ["pickle"], ["msgpack"]])
def test_values_and_keys_that_have_none(serializers: list[str] | None) -> None:
    world = World(a=1, b="two")
    values, lost = asyncio.run(world.values.read(["a", "b", "c"], serializers))
    assert lost == ["c"]
    assert world.released == []
    if serializers == ["msgpack"]:  # whoever takes no pickles
        assert {key: value.data for key, value in values.items()} == {"a": 1, "b": "two"}
    else:
        assert values.data.decoded() == {"a": 1, "b": "two"}


def test_a_value_that_is_damaged_is_asked_for_again() -> None:
    world = World(a=1, b=2)
    del world.stored["a"]
    _, lost = asyncio.run(world.values.read(["a", "b"], None))
    assert lost == world.released == ["a"]
    assert [type(event) for event in world.told] == [events.ValueLost]


def test_one_that_was_made_again_meanwhile_stays() -> None:
    world = World(a=1)

    def read(places: dict[Key, Place]) -> tuple[dict[Key, Any], dict[Key, Any]]:
        world.places["a"] = Place("newer", 0, 1)
        return {}, {"a": CorruptObjectError("bad")}

    world.read_values = read  # type: ignore[method-assign]
    assert asyncio.run(world.values.read(["a"], None))[1] == ["a"]
    assert (world.told, world.released) == ([], [])


def test_places_are_told_and_keys_that_have_none_are_asked_for_again() -> None:
    world = World(a=1, b=2)
    del world.places["b"]
    assert world.values.locate(["a", "b", "c"]) == ({"a": Place("a", 0, 1)}, ["b", "c"])
    assert world.released == ["b"]
