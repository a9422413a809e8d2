"""Failures of keys: told at once from memory, else read beside the event loop; none is lost."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dask_knot.errors import JobError, MissingObjectError, StoreAwayError
from dask_knot.run.failure import Failure, fail
from dask_knot.run.manifest import Place
from dask_knot.run.run import Run
from dask_knot.run.store import Store
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.failures import ErredKey, Failures
from dask_knot.session.hooks import nobody
from dask_knot.session.outages import Endurance
from dask_knot.session.values import ValueReader
from dask_knot.session.virtual import AtOnce
from dask_knot.tracking.actions import FailKey

NAME = "run/manifests/0"


def reading(values: ValueReader) -> Failures:
    """Read failures, and wait for a store that is away without waiting."""
    return Failures(values, Endurance(Clockwork(pause=lambda seconds: None), nobody))


@pytest.fixture
def store() -> Store:
    return Store("memory://")


@pytest.fixture
def values(store: Store) -> Iterator[ValueReader]:
    found = ValueReader(Run(store, "run"), AtOnce())
    yield found
    found.close()


def put(store: Store, failure: Failure) -> Place:
    """Write a failure; nobody has it in memory."""
    data = failure.encode()
    store.put(NAME, [data])
    return Place(NAME, 0, len(data))


def error_of(erred: ErredKey) -> BaseException:
    """Give the exception that Dask would be told."""
    return erred.failure.load()


def test_an_error_that_is_known_here_is_told_at_once(values: ValueReader) -> None:
    told, far = reading(values).at_hand([FailKey("a", 7, JobError("it is gone", "job-1"))])
    assert far == []
    assert (told[0].key, told[0].run_id, told[0].is_upstream) == ("a", 7, False)
    assert str(error_of(told[0])).startswith("it is gone")


def test_what_is_in_memory_is_not_asked_of_the_store(store: Store, values: ValueReader) -> None:
    place = put(store, fail(ValueError("wrong"), "a"))
    values.remember(NAME, store.get(NAME))
    before = store.requests["get"]
    told, far = reading(values).at_hand([FailKey("a", 1, place), FailKey("b", 2, place)])
    assert far == []
    assert [str(error_of(one)) for one in told] == ["wrong", "wrong"]
    assert [one.is_upstream for one in told] == [False, True]  # it is a's: b could do nothing
    assert store.requests["get"] == before


def test_what_is_not_in_memory_is_left_for_a_thread(store: Store, values: ValueReader) -> None:
    failed = [FailKey("a", 1, put(store, fail(ValueError("wrong"), "a")))]
    before = store.requests["get"]
    failures = reading(values)
    assert failures.at_hand(failed) == ([], failed)
    assert store.requests["get"] == before
    (read,) = failures.read(failed)
    assert str(error_of(read)) == "wrong"


def test_a_failure_that_is_lost_is_told_as_such(store: Store, values: ValueReader) -> None:
    place = put(store, fail(ValueError("wrong"), "a"))
    store.delete([NAME])
    (read,) = reading(values).read([FailKey("a", 1, place)])
    assert isinstance(error_of(read), MissingObjectError)
    assert not read.is_upstream


def test_a_failure_is_not_lost_while_the_store_is_away(
    values: ValueReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = [StoreAwayError("no S3"), StoreAwayError("no S3"), MissingObjectError("it is gone")]

    def read(place: Place) -> memoryview:
        raise errors.pop(0)

    monkeypatch.setattr(values, "read", read)
    (told,) = reading(values).read([FailKey("a", 1, Place("run/x", 0, 9))])
    assert isinstance(told.failure.load(), MissingObjectError)
    assert errors == []
