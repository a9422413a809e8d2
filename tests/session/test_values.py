"""Values for the client: from memory where they are, from the store where they aren't."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from distributed.protocol import pickle

from dask_knot.errors import CorruptObjectError, MissingObjectError, NotLoadedError
from dask_knot.run import codec
from dask_knot.run.manifest import Place
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.session import values as values_module
from dask_knot.session.encoded import APART_BYTES, EncodedValues
from dask_knot.session.values import ValueReader


@pytest.fixture
def store() -> Store:
    return Store("memory://")


@pytest.fixture
def reader(store: Store) -> Iterator[ValueReader]:
    found = ValueReader(Run(store, "run"), ThreadPoolExecutor(8))
    yield found
    found.close()


def encoded(value: object) -> bytes:
    return b"".join(codec.encode(value))


def put(store: Store, name: str, *contents: object) -> list[Place]:
    """Put values one after another into an object."""
    places, position, pieces = [], 0, []
    for content in contents:
        data = encoded(content)
        places.append(Place(name, position, len(data)))
        pieces.append(data)
        position += len(data)
    store.put(name, pieces)
    return places


def test_values_are_read_by_range(store: Store, reader: ValueReader) -> None:
    one, two = put(store, "data", "first", "second")
    found, lost = reader.read_values({"a": two, "b": one})
    assert lost == {}
    assert {key: codec.decode(data) for key, data in found.items()} == {"a": "second", "b": "first"}
    assert store.requests["get"] == 1  # they are neighbours


def test_what_is_remembered_is_not_read_again(store: Store, reader: ValueReader) -> None:
    places = dict(enumerate(put(store, "manifest", *range(100))))
    reader.remember("manifest", store.get("manifest"))
    store.requests.clear()
    found, lost = reader.read_values(places)
    assert lost == {}
    assert [codec.decode(data) for data in found.values()] == list(range(100))
    assert store.requests == {}
    assert reader.at_hand(places[3]) == reader.read(places[3])


def test_what_is_forgotten_is_read_again(store: Store, reader: ValueReader) -> None:
    (place,) = put(store, "manifest", "value")
    reader.remember("manifest", store.get("manifest"))
    reader.forget(["manifest", "another"])
    assert reader.at_hand(place) is None
    store.requests.clear()
    assert codec.decode(reader.read(place)) == "value"
    assert store.requests == {"get": 1}


def test_the_oldest_go_first(
    store: Store, reader: ValueReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(values_module, "CACHE_BYTES", 250)
    for number in range(4):
        reader.remember(f"m{number}", memoryview(bytes(100)))
    reader.remember("m2", memoryview(bytes(120)))  # once more, larger
    kept = [n for n in range(4) if reader.at_hand(Place(f"m{n}", 0, 1)) is not None]
    assert kept == [2, 3]
    reader.remember("large", memoryview(bytes(1000)))  # the newest stays whatever its size
    assert reader.at_hand(Place("large", 0, 1)) is not None
    assert reader.at_hand(Place("m3", 0, 1)) is None
    reader.forget(["large"])
    reader.remember("m4", memoryview(bytes(100)))
    reader.remember("m5", memoryview(bytes(100)))
    assert reader.at_hand(Place("m4", 0, 1)) is not None


def test_lost_values_say_why_and_others_come(store: Store, reader: ValueReader) -> None:
    good, bad = put(store, "data", "good", "bad")
    data = bytearray(store.get("data"))
    data[-1] ^= 1
    store.put("data", [data])
    found, lost = reader.read_values({"a": good, "b": bad, "c": Place("gone", 0, 5)})
    assert {key: codec.decode(value) for key, value in found.items()} == {"a": "good"}
    assert {key: type(error) for key, error in lost.items()} == {
        "b": CorruptObjectError,
        "c": MissingObjectError,
    }
    assert all(str(error).startswith(f"the value of {key!r}") for key, error in lost.items())


def test_nothing_is_asked_for_nothing(store: Store, reader: ValueReader) -> None:
    assert reader.read_values({}) == ({}, {})
    assert store.requests == {}


@pytest.mark.parametrize(
    "contents",
    [
        {},
        {"a": 1, ("b", 2): "text", "c": None},
        {"large": np.arange(50_000), "small": np.arange(5), "other": np.ones(20_000)},
        {"edge": bytes(APART_BYTES), "over": bytes(APART_BYTES + 1)},
    ],
)
def test_encoded_values_travel(contents: dict[Any, Any]) -> None:
    sent = EncodedValues({key: memoryview(encoded(value)) for key, value in contents.items()})
    buffers: list[Any] = []
    body = pickle.dumps(sent, buffer_callback=buffers.append)
    back = pickle.loads(body, buffers=buffers)
    assert list(back) == list(contents)
    for key, value in contents.items():
        np.testing.assert_array_equal(back[key], value)


def test_large_values_travel_without_a_copy() -> None:
    large = memoryview(encoded(np.arange(50_000)))
    buffers: list[Any] = []
    body = pickle.dumps(EncodedValues({"large": large}), buffer_callback=buffers.append)
    (buffer,) = buffers
    assert np.shares_memory(np.frombuffer(buffer, "u1"), np.frombuffer(large, "u1"))
    assert len(body) < 1000


def test_a_value_of_a_module_that_is_not_here_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("elsewhere")
    module.Thing = type("Thing", (), {"__module__": "elsewhere"})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "elsewhere", module)
    values = EncodedValues({"k": memoryview(encoded(module.Thing()))})
    monkeypatch.delitem(sys.modules, "elsewhere")
    function, arguments = values.__reduce__()
    with pytest.raises(NotLoadedError, match=r"value of 'k' is there.*No module named 'elsewhere'"):
        function(*arguments)
    with pytest.raises(NotLoadedError, match="elsewhere"):
        values.decoded()
