"""A lifetime without a Dask cluster around it: what is open is closed, in whatever order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from distributed.security import Security

from dask_knot.cluster.lifetime import Lifetime, dashboard_address
from dask_knot.errors import ConfigurationError, EngineError, StoreError
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


class Held:
    """A session whose jobs may go on without it, and what was done with it, in order."""

    def __init__(self, jobs_stay: bool) -> None:
        self.jobs_stay = jobs_stay
        self.done: list[str] = []
        self.submitted = asyncio.Event()
        self.error: Exception | None = None

    async def flush(self) -> None:
        """Submit what was asked for, in some time."""
        self.done.append("flush")
        await self.submitted.wait()
        if self.error is not None:
            raise self.error

    async def leave(self) -> None:
        """Note it."""
        self.done.append("leave")

    def let_go(self) -> None:
        """Note it."""
        self.done.append("let go")

    def end_jobs(self) -> None:
        """Note it."""
        self.done.append("end jobs")

    def end_run_jobs(self) -> None:
        """Note it."""
        self.done.append("end all jobs")

    def end(self) -> None:
        """Note it."""
        self.done.append("end")


class Served:
    """A scheduler that is closed, by a client or not."""

    is_shut_down = False

    def __init__(self, session: Held) -> None:
        self.flush = session.flush

    def leave(self) -> None:
        """Take nothing more."""

    async def close(self) -> None:
        """Close."""


def held(name: str | None, jobs_stay: bool) -> tuple[Lifetime, Held]:
    """Make a lifetime that is open, with a session that submits at once."""
    one, session = lifetime(name=name), Held(jobs_stay)
    opened: Any = one
    opened.session, opened.scheduler = session, Served(session)
    session.submitted.set()
    return one, session


@pytest.mark.parametrize(
    ("name", "jobs_stay", "ends", "is_shut_down", "done"),
    [
        (None, True, False, False, ["leave", "end jobs", "end"]),
        (None, True, True, False, ["leave", "end jobs", "end"]),
        ("run", True, False, False, ["flush", "leave", "let go", "end"]),
        ("run", False, False, False, ["leave", "let go", "end"]),
        ("run", True, True, False, ["leave", "end all jobs", "end"]),
        ("run", True, False, True, ["leave", "end all jobs", "end"]),
        ("run", False, True, False, ["leave", "end all jobs", "end"]),
    ],
)
def test_a_named_run_is_left_unless_somebody_ends_it(
    name: str | None, jobs_stay: bool, ends: bool, is_shut_down: bool, done: list[str]
) -> None:
    async def live() -> None:
        one, session = held(name, jobs_stay)
        scheduler: Any = one.scheduler
        scheduler.is_shut_down = is_shut_down
        await one.close(ends)
        assert session.done == done

    asyncio.run(live())


@pytest.mark.parametrize(("name", "done"), [(None, "end jobs"), ("run", "let go")])
def test_a_process_that_ends_waits_for_no_submission(name: str | None, done: str) -> None:
    async def live() -> None:
        one, session = held(name, jobs_stay=True)
        one.end_now()
        assert session.done == [done, "end"]

    asyncio.run(live())


def test_whoever_leaves_may_lose_patience() -> None:
    async def live() -> None:
        one, session = held("run", jobs_stay=True)
        session.submitted.clear()
        closing = asyncio.ensure_future(one.close())
        while not session.done:
            await asyncio.sleep(0)
        one.hurry()
        await closing
        assert session.done == ["flush", "leave", "let go", "end"]
        one.hurry()

    asyncio.run(live())


def test_what_could_not_be_submitted_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def live() -> None:
        one, session = held("run", jobs_stay=True)
        session.error = StoreError("it is full")
        await one.close()
        assert session.done[-1] == "end"

    asyncio.run(live())
    assert "not everything was submitted: it is full" in caplog.text


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
