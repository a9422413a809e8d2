"""A sleep ends with time, with a ring, and with a cancellation, whatever comes together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from dask_knot.session.clockwork import Alarm, Clockwork


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run something that must not take long."""

    async def bounded() -> Any:
        task = asyncio.ensure_future(coroutine)
        done, _ = await asyncio.wait([task], timeout=20)
        assert done, "it hangs"
        return task.result()

    return asyncio.run(bounded())


@pytest.mark.parametrize("seconds", [60.0, None])
def test_a_cancellation_in_the_tick_of_a_ring_is_not_lost(seconds: float | None) -> None:
    async def cancelled_and_rung() -> bool:
        alarm = Alarm(Clockwork())

        async def watch() -> None:
            while True:
                await alarm.sleep(seconds)

        task = asyncio.ensure_future(watch())
        for _ in range(3):
            await asyncio.sleep(0)
        alarm.ring()
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=2)
        if not done:
            task.cancel()
        return bool(done) and task.cancelled()

    assert run(cancelled_and_rung())


def test_a_cancellation_a_tick_after_a_ring_is_not_lost() -> None:
    async def cancelled(ticks: int) -> bool:
        alarm = Alarm(Clockwork())

        async def watch() -> None:
            while True:
                await alarm.sleep(60.0)

        task = asyncio.ensure_future(watch())
        await asyncio.sleep(0)
        alarm.ring()
        for _ in range(ticks):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=2)
        return bool(done)

    assert all(run(cancelled(ticks)) for ticks in range(4))


def test_time_and_rings_are_told_apart() -> None:
    async def sleeps() -> tuple[bool, bool]:
        alarm = Alarm(Clockwork())
        alarm.ring()  # before it: doesn't count
        late = await alarm.sleep(0.01)
        asyncio.get_running_loop().call_soon(alarm.ring)
        return late, await alarm.sleep(None)

    assert run(sleeps()) == (False, True)


@pytest.mark.parametrize("seconds", [0.0, -5.0])
def test_others_have_their_turn_however_late_it_is(seconds: float) -> None:
    async def turns() -> int:
        count = 0

        async def other() -> None:
            nonlocal count
            while count < 5:
                count += 1
                await asyncio.sleep(0)

        task = asyncio.ensure_future(other())
        alarm = Alarm(Clockwork())
        for _ in range(20):
            await alarm.sleep(seconds)
        await task
        return count

    assert run(turns()) == 5
