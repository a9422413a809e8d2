"""What earlier runs left of costs is read once, and nothing waits for it for long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from concurrent.futures import Executor, Future
from typing import Any, cast

import pytest

from dask_knot.digests import CodeMarker
from dask_knot.errors import StoreError
from dask_knot.planning import Cost
from dask_knot.run.almanac import Almanac
from dask_knot.run.profile import Profile, ProfileKey, TaskCosts
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.driver import Driver
from dask_knot.session.priorcosts import LONGEST_WAIT, PriorCosts
from dask_knot.session.virtual import AtOnce, VirtualLoop, run
from dask_knot.tracking.events import CostsRecalled, Event

KNOWN = Profile({ProfileKey("load", b"code"): TaskCosts(2, 4.0, 10.0, 3.0)})
TOLD = CostsRecalled({("load", b"code"): Cost(2.0, 1.0)})


class World:
    """An almanac, and a driver that notes what it is told."""

    def __init__(self, read: Callable[[], Profile]) -> None:
        self.told: list[Event] = []
        self.reads = 0
        self.is_closing = False
        self._read = read

    def read(self, pool: Any) -> Profile:
        """Read the almanac."""
        self.reads += 1
        return self._read()

    def handle(self, happened: Iterable[Event]) -> None:
        """Be told."""
        self.told += happened

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None] | None:
        """Go on with something beside, unless it is too late."""
        if self.is_closing:
            work.close()
            return None
        return asyncio.ensure_future(work)


class Never(Executor):
    """Doesn't come back."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Take it, and do nothing."""
        return Future()


def prior(world: World, loop: VirtualLoop, executor: Executor | None = None) -> PriorCosts:
    """Make what recalls costs in such a world."""
    threads = executor or AtOnce()
    clockwork = Clockwork(loop.time, loop.call_later, lambda name, count: threads)
    parts = cast(Almanac, world), CodeMarker(), cast(Driver, world)
    return PriorCosts(*parts, clockwork)


def failing() -> Profile:
    raise StoreError("away")


@pytest.mark.parametrize(
    ("read", "told"),
    [(lambda: KNOWN, [TOLD]), (Profile, []), (failing, [])],
    ids=["known", "empty", "failing"],
)
def test_it_is_read_once_for_all_graphs(read: Callable[[], Profile], told: list[Event]) -> None:
    world = World(read)

    async def main(loop: VirtualLoop) -> None:
        recalling = prior(world, loop)
        assert world.reads == 0
        await asyncio.gather(*(recalling.recall() for _ in range(3)))
        assert world.told == told
        await recalling.recall()

    run(main)
    assert world.reads == 1
    assert world.told == told


def test_a_graph_does_not_wait_for_a_store_that_is_slow() -> None:
    world = World(lambda: KNOWN)

    async def main(loop: VirtualLoop) -> None:
        recalling = prior(world, loop, Never())
        for _ in range(3):  # only the first one waits
            await recalling.recall()
            assert loop.time() == LONGEST_WAIT

    run(main)
    assert world.told == []


def test_a_session_that_closes_reads_nothing() -> None:
    world = World(lambda: KNOWN)
    world.is_closing = True

    async def main(loop: VirtualLoop) -> None:
        await prior(world, loop).recall()

    run(main)
    assert world.reads == 0
