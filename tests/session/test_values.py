"""Values for the client: from memory where they are, from the store where they aren't."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Thread
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from distributed.protocol import pickle

from dask_knot.errors import (
    ClientMemoryError,
    CorruptObjectError,
    MissingObjectError,
    NotLoadedError,
)
from dask_knot.run import codec
from dask_knot.run.manifest import Place
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.session import values as values_module
from dask_knot.session.admission import Admission
from dask_knot.session.encoded import APART_BYTES, EncodedValues
from dask_knot.session.values import ClosedReaderError, ValueReader
from dask_knot.session.virtual import AtOnce


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
    assert store.requests["get"] == 1  # they are neighbors


def test_what_is_remembered_is_not_read_again(store: Store, reader: ValueReader) -> None:
    places = dict(enumerate(put(store, "manifest", *range(100))))
    reader.remember("manifest", store.get("manifest"))
    store.requests.clear()
    found, lost = reader.read_values(places)
    assert lost == {}
    assert [codec.decode(data) for data in found.values()] == list(range(100))
    assert store.requests == {}
    assert reader.at_hand(places[3]) == reader.read(places[3])


@pytest.mark.parametrize(
    ("told", "error"),
    [
        ("can't start new thread", ClientMemoryError),
        ("cannot schedule new futures after shutdown", ClosedReaderError),
    ],
)
def test_threads_that_have_no_room_are_no_closed_reader(
    store: Store, told: str, error: type[Exception]
) -> None:
    class Full(ThreadPoolExecutor):
        def submit(self, *_: Any, **__: Any) -> Any:
            raise RuntimeError(told)

    (place,) = put(store, "data", "value")
    with pytest.raises(error):
        ValueReader(Run(store, "run"), Full(1)).load_values({"a": place})


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


def test_values_are_loaded_and_the_lost_ones_say_why(store: Store, reader: ValueReader) -> None:
    good, bad = put(store, "data", np.arange(20_000), "bad")
    data = bytearray(store.get("data"))
    data[-1] ^= 1
    store.put("data", [data])
    (near,) = put(store, "manifest", {"a": 1})
    reader.remember("manifest", store.get("manifest"))
    values, lost = reader.load_values(
        {"a": good, "b": bad, "c": Place("gone", 0, 5), "d": near, "e": good}
    )
    assert values.keys() == {"a", "d", "e"}
    assert values["d"] == {"a": 1}
    values["a"][:] = 0  # is nobody else's
    np.testing.assert_array_equal(values["e"], np.arange(20_000))
    assert {key: type(error) for key, error in lost.items()} == {
        "b": CorruptObjectError,
        "c": MissingObjectError,
    }
    assert reader.load_values({}) == ({}, {})


def test_one_in_memory_that_is_damaged_is_lost(store: Store, reader: ValueReader) -> None:
    (place,) = put(store, "manifest", "value")
    data = bytearray(store.get("manifest"))
    data[-1] ^= 1
    reader.remember("manifest", memoryview(data))
    values, lost = reader.load_values({"a": place})
    assert (values, type(lost["a"])) == ({}, CorruptObjectError)


def test_what_does_not_fit_is_not_read(store: Store) -> None:
    places = dict(enumerate(put(store, "data", np.zeros(10_000), np.zeros(10_000))))
    reader = ValueReader(Run(store, "run"), AtOnce(), Admission(lambda: 100_000))
    store.requests.clear()
    for read in (reader.load_values, reader.read_values):
        with pytest.raises(ClientMemoryError, match=r"0\.2 MB are needed, 0\.1 MB are free"):
            read(places)
    assert store.requests == {}
    assert len(reader.load_values({0: places[0]})[0]) == 1


class Greedy:
    """Takes more than the system gives when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _take_all, ()


def _take_all() -> None:
    raise MemoryError


def test_memory_that_ends_while_values_are_made_has_its_name(
    store: Store, reader: ValueReader
) -> None:
    (place,) = put(store, "data", Greedy())
    with pytest.raises(ClientMemoryError, match="has no more"):
        reader.load_values({"a": place})


def test_pickles_of_what_is_mapped_take_memory_step_by_step(tmp_path: Path) -> None:
    store = Store(tmp_path)
    places = put(store, "data", np.zeros(10_000_000), "x" * 40_000_000)
    free = [0]
    reader = ValueReader(Run(store, "run"), AtOnce(), Admission(lambda: free[0]))
    values, _ = reader.load_values({"array": places[0]})  # is a mapping, and needs none
    assert values["array"].nbytes == 80_000_000
    with pytest.raises(ClientMemoryError):
        reader.load_values({"list": places[1]})


def test_nobody_waits_any_more(store: Store, reader: ValueReader) -> None:
    places = dict(enumerate(put(store, "data", *range(5))))
    over = Event()
    over.set()
    store.requests.clear()
    assert reader.load_values(places, over) == ({}, {})
    assert store.requests == {}


def test_threads_that_have_ended_are_told_from_other_errors(store: Store) -> None:
    (place,) = put(store, "data", 1)
    reader = ValueReader(Run(store, "run"), ThreadPoolExecutor(1))
    reader.close()
    with pytest.raises(ClosedReaderError):
        reader.load_values({"a": place})


def test_a_reader_that_is_closed_in_the_midst(store: Store) -> None:
    begun, go = Event(), Event()
    places = [place for n in range(20) for place in put(store, f"data{n}", n)]
    reader = ValueReader(Run(store, "run"), ThreadPoolExecutor(1))
    run: Any = reader._run
    read = run.read_neighbors

    def wait_and_read(places: Sequence[Place]) -> list[memoryview]:
        begun.set()
        assert go.wait(10)
        found: list[memoryview] = read(places)
        return found

    run.read_neighbors = wait_and_read
    with ThreadPoolExecutor(1) as other:
        found = other.submit(reader.load_values, dict(enumerate(places)))
        assert begun.wait(10)
        closing = Thread(target=reader.close)
        closing.start()
        while reader._pool._work_queue.qsize() > 1:  # type: ignore[attr-defined]
            pass
        go.set()
        closing.join()
        with pytest.raises(ClosedReaderError):
            found.result(timeout=10)


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
    with pytest.raises(NotLoadedError, match=r"value of 'k' exists.*No module named 'elsewhere'"):
        function(*arguments)
    with pytest.raises(NotLoadedError, match="elsewhere"):
        values.decoded()
