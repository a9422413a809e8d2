"""Threads in virtual time: calls last as long as they say, and so many go on at once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from benchmarks.simulate.laptop import Meter, Threads
from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.timeline import Timeline


def worked(count: int, calls: int) -> list[float]:
    """Let threads run calls of ten seconds; tell when each was answered."""
    timeline, meter = Timeline(), Meter(Numbers())
    threads, ends = Threads(timeline, meter, count), list[float]()
    for _ in range(calls):
        threads.submit(meter.spend, 10.0).add_done_callback(
            lambda future: ends.append(timeline.time())
        )
    timeline.run()
    return ends


@pytest.mark.parametrize(
    ("count", "ends"), [(1, [10.0, 20.0, 30.0]), (2, [10.0, 10.0, 20.0]), (3, [10.0] * 3)]
)
def test_calls_wait_for_a_thread(count: int, ends: list[float]) -> None:
    assert worked(count, 3) == ends


def test_what_a_call_gives_to_threads_is_done_side_by_side() -> None:
    timeline, meter = Timeline(), Meter(Numbers())
    threads, pool = Threads(timeline, meter, 1), Threads(timeline, meter, 4)

    def read_all() -> int:
        return sum(pool.map(lambda one: meter.spend(2.0) or one, range(8)))

    future = threads.submit(read_all)
    assert not future.done()
    assert timeline.run() == 4.0
    assert future.result() == 28


def test_what_goes_wrong_is_told_at_once_and_the_thread_is_free() -> None:
    timeline, meter = Timeline(), Meter(Numbers())
    threads = Threads(timeline, meter, 1)
    fail: Callable[[], object] = lambda: 1 / 0  # noqa: E731
    with pytest.raises(ZeroDivisionError):
        threads.submit(fail).result()
    assert threads.submit(lambda: 1).result() == 1


def test_uploads_take_as_long_as_a_laptop_needs() -> None:
    meter = Meter(Numbers(client_up=10.0, client_latency=0.5))
    assert meter.run(lambda: meter.upload(100.0)) == (None, 10.5)
    meter.upload(100.0)  # nobody runs a call: nobody waits
    assert meter.seconds == 0.0
