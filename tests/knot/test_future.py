"""A future of a map: what users of concurrent.futures expect, and values as they come."""

from __future__ import annotations

import concurrent.futures
import threading
from collections.abc import Mapping
from typing import Any

import pytest
from dask.typing import Key

from dask_knot.errors import ItemsError, KnotError
from dask_knot.knot import landings
from dask_knot.knot.future import MapCounts, MapFuture
from dask_knot.run.failure import fail
from dask_knot.run.manifest import Place
from dask_knot.session.failures import ErredKey
from dask_knot.tracking.actions import Facts, FinishKey

FACTS = Facts(1, b"", "int", 0.0, 1.0)


def read(places: Mapping[Key, Place]) -> dict[Key, Any]:
    """Read values: each is its offset."""
    return {key: place.offset for key, place in places.items()}


def value(number: int) -> FinishKey:
    return FinishKey(("map", number), 1, Place("data", 10 * number, 1), FACTS)


def error(number: int) -> ErredKey:
    return ErredKey(("map", number), 1, fail(ValueError(f"no {number}"), number))


def future(*outcomes: FinishKey | ErredKey, total: int, is_read: bool = True) -> MapFuture:
    """Make a future that had some outcomes."""
    made = MapFuture("map", read)
    assert made.expect(total)
    made.take(outcomes)
    if is_read:
        made.end_items()
    return made


def test_all_values_in_the_order_of_the_items() -> None:
    made = future(value(2), value(0), total=3)
    assert not made.done()
    assert made.running()
    assert not made.is_complete
    assert made.open_keys == [("map", 1)]
    with pytest.raises(TimeoutError):
        made.result(timeout=0)
    made.take([value(1)])
    assert made.is_complete
    made.settle()
    assert made.done()
    assert not made.running()
    assert not made.cancel()
    assert made.exception() is None
    assert made.result() == [0, 10, 20] == list(made)
    assert made.result() is not made.result()
    assert [one.number for one in made.as_completed()] == [2, 0, 1]
    assert len(made) == 3
    assert made.counts == MapCounts(3, 0, 3, False)


def test_the_first_error_of_all_is_that_of_the_future_and_the_rest_is_there() -> None:
    made = future(error(2), value(0), error(1), value(3), total=4)
    made.settle()
    with pytest.raises(ValueError, match="no 1"):
        made.result()
    assert str(made.exception()) == "no 1"
    assert made.counts == MapCounts(2, 2, 4, False)
    found = {one.number: one for one in made.as_completed()}
    assert (found[0].result(), found[3].result()) == (0, 30)
    assert str(found[2].exception()) == "no 2"
    with pytest.raises(ValueError, match="no 2"):
        found[2].result()
    values = iter(made)
    assert next(values) == 0
    with pytest.raises(ValueError, match="no 1"):
        next(values)


def test_of_very_many_errors_some_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landings, "KEPT_ERRORS", 2)
    made = future(*map(error, range(4)), total=4)
    made.settle()
    kinds = [type(one.error) for one in made.as_completed()]
    assert kinds == [ValueError, ValueError, KnotError, KnotError]


def test_items_that_end_early_are_an_error_and_what_is_there_stays() -> None:
    made = future(value(0), total=1, is_read=False)
    made.end_items(ItemsError("they end"))
    made.settle()
    with pytest.raises(ItemsError):
        made.result()
    found = made.as_completed()
    assert next(found).value == 0
    with pytest.raises(ItemsError):
        next(found)


def test_a_future_that_is_cancelled_waits_for_nothing() -> None:
    stopped: list[MapFuture] = []
    called: list[concurrent.futures.Future[Any]] = []
    made = future(value(0), total=3)
    made.stopped = stopped.append
    made.add_done_callback(called.append)
    assert made.cancel()
    assert made.cancel()
    assert (stopped, called) == ([made], [made])
    assert made.cancelled()
    assert not made.running()
    assert not made.expect(1)
    with pytest.raises(concurrent.futures.CancelledError):
        made.result()
    with pytest.raises(concurrent.futures.CancelledError):
        list(made)
    made.settle()  # an outcome may have come meanwhile
    assert made.cancelled()


def test_others_can_wait_for_it_as_for_any_future() -> None:
    made, never = future(value(0), total=1), future(total=1)
    thread = threading.Thread(target=made.settle)
    thread.start()
    done, left = concurrent.futures.wait([made, never], 10, concurrent.futures.FIRST_COMPLETED)
    thread.join()
    assert (done, left) == ({made}, {never})
    assert next(concurrent.futures.as_completed([made])) is made
    never.cancel()
    assert concurrent.futures.wait([never], 0).done == {never}


def test_values_come_while_others_are_missing() -> None:
    made = future(value(1), total=3)
    found = made.as_completed()
    assert next(found).number == 1
    thread = threading.Thread(target=lambda: made.take([value(0), value(2)]))
    values = iter(made)
    thread.start()
    assert next(values) == 0
    assert next(values) == 10
    thread.join()
    assert {next(found).number, next(found).number} == {0, 2}


def test_who_watches_is_told() -> None:
    seen: list[MapCounts] = []
    made = future(total=2)
    made.add_progress_callback(lambda one: seen.append(one.counts))
    made.take([value(0)])
    made.take([error(1)])
    made.settle()
    assert [(one.done, one.failed) for one in seen] == [(1, 0), (1, 1), (1, 1)]


def test_who_watches_and_raises_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    made, told = future(total=2), []
    made.add_progress_callback(lambda one: 1 / 0)
    made.add_progress_callback(told.append)
    made.take([value(0)])
    assert told == [made]
    assert "ZeroDivisionError" in caplog.text


def test_an_outcome_that_comes_twice_counts_once() -> None:
    made = future(value(0), value(0), total=2)
    assert not made.is_complete
    assert made.counts.done == 1
    made.take([error(0), value(1)])
    made.settle()
    assert made.result() == [0, 10]


def test_many_may_cancel_at_once() -> None:
    made = future(total=1)
    start = threading.Barrier(8)

    def cancel() -> bool:
        start.wait(10)
        return made.cancel()

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(one.result(10) for one in [pool.submit(cancel) for _ in range(8)])


def test_a_future_without_items_is_true_and_done() -> None:
    made = future(total=0)
    assert made
    assert made.is_complete
    made.settle()
    assert made.result() == []
    assert list(made) == list(made.as_completed()) == []


def test_somebody_is_told_while_others_wait() -> None:
    made = future(value(0), total=1)
    made.settle()
    lock = threading.Lock()
    entered: list[bool] = []

    class Awaited:
        def __enter__(self) -> None:
            lock.acquire()
            entered.append(True)

        def __exit__(self, *raised: object) -> None:
            lock.release()

    made.awaiting = Awaited
    assert made.result() == [0]
    assert len(entered) == 1
