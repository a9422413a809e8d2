"""A lifetime without a Dask cluster around it: what is open is closed, in whatever order."""

from __future__ import annotations

import asyncio

import pytest
from distributed.security import Security

from dask_knot.cluster.lifetime import Lifetime, dashboard_address
from dask_knot.errors import ConfigurationError, EngineError
from dask_knot.settings.settings import resolve
from tests.cluster.test_process import methods


def lifetime(**given: object) -> Lifetime:
    """Make a lifetime on this machine."""
    settings = {"engine": "local", "jobs": 2, "dashboard_address": None, "progress": False}
    return Lifetime(resolve({**settings, **given}), Security(), 0)


async def finish() -> None:
    """Close nothing."""


def test_nothing_is_there_before_it_is_open() -> None:
    one = lifetime()
    assert (one.session, one.scheduler, one.gateway, one.slots) == (None, None, None, 2)
    with pytest.raises(EngineError, match="has not started yet"):
        one.resize(3)
    one.end_now()
    one.abandon()


def test_it_opens_and_closes_all_and_more_than_once() -> None:
    before = methods()

    async def live() -> None:
        one = lifetime()
        scheduler = await one.open(print)
        await one.show(finish)
        assert scheduler is one.scheduler is one.resize(3)
        assert one.gateway is not None
        assert (one.slots, scheduler.total_nthreads) == (3, 3)
        assert methods() == ["tasks"] * 2
        await one.close()
        await one.close()
        one.end_now()
        assert {scheduler.status.name, one.gateway.status.name} == {"closed"}

    asyncio.run(live())
    assert methods() == before


def test_it_finishes_with_its_scheduler() -> None:
    async def live() -> None:
        one, finished = lifetime(), asyncio.Event()

        async def note() -> None:
            finished.set()

        scheduler = await one.open(print)
        await one.show(note)
        await scheduler.close()
        await asyncio.wait_for(finished.wait(), 10)
        await one.close()

    asyncio.run(live())


def test_what_could_not_be_opened_can_be_closed() -> None:
    before = methods()

    async def live() -> None:
        one = lifetime(host="192.0.2.1")  # RFC 5737: of no machine
        with pytest.raises(ConfigurationError, match=r"host='192\.0\.2\.1'"):
            await one.open(print)
        await one.close()

    asyncio.run(live())
    assert methods() == before


@pytest.mark.parametrize(
    ("address", "found"),
    [(":8787", "h:8787"), ("other:8787", "other:8787"), (None, "h:0")],
)
def test_a_dashboard_listens_where_the_scheduler_does(address: str | None, found: str) -> None:
    assert dashboard_address("h", address) == found
