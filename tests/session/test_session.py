"""A session is driven through whole plans in virtual time: no thread, no sleep, no scheduler."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dask._task_spec import Task, TaskRef
from dask.typing import Key

from dask_knot.batch.request import JobTemplate
from dask_knot.errors import InternalError
from dask_knot.planning import Resources
from dask_knot.prices.tariff import Market
from dask_knot.run.manifest import Place
from dask_knot.run.store import Store
from dask_knot.session import virtual
from dask_knot.session.failures import ErredKey
from dask_knot.session.hooks import Outcome
from dask_knot.session.opening import session_on
from dask_knot.session.session import Session
from dask_knot.session.virtual import VirtualLoop
from dask_knot.settings.settings import Settings, resolve
from dask_knot.tracking import actions, events
from tests.session.batch import VirtualBatch

BOOT = 60.0
WORK = 600.0
FOREVER = 100_000.0
#: As on AWS, and with tasks that are known to be long.
PACE = {"job_start": 60.0, "target": 240.0, "poll_slowest": 30.0}


class VirtualEngine:
    """An engine whose Batch knows no time but that of an event loop."""

    largest = Resources(64, 2**36)
    is_here = True  # its jobs run nowhere: no module has to travel
    jobs_stay = True
    market: Market | None = None
    scout = None

    def __init__(self, loop: VirtualLoop, url: str) -> None:
        settings = resolve({"engine": "local", "jobs": 8, "cores": 1, "memory": 2**30})
        self.settings: Settings = replace(settings, tempo=replace(settings.tempo, **PACE))
        self.store_url = url
        self.template = JobTemplate("virtual", "queue", "image")
        self.store = Store(url)
        self.client = VirtualBatch(loop, self.store, BOOT, lambda key: WORK)
        self.is_closed = False

    def open_store(self, url: str) -> Store:
        """Open the one store there is."""
        return self.store

    def tail(self, log_stream: str, lines: int) -> Sequence[str]:
        """Give no log."""
        return ()

    def resize(self, jobs: int) -> None:
        """Have room for all."""

    def end_jobs(self) -> None:
        """End nothing: no job of this machine runs."""

    def end_command(self, job_id: str) -> str:
        """Give a command."""
        return f"end {job_id}"

    def close(self) -> None:
        """Note that it was closed."""
        self.is_closed = True


class Heard:
    """Takes what a session tells."""

    def __init__(self, session: Session, loop: VirtualLoop) -> None:
        self.outcomes: list[Outcome] = []
        self.times: dict[Key, float] = {}
        self._loop = loop
        session.hooks.outcomes = self.take

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Note outcomes, and when they came."""
        self.outcomes += outcomes
        self.times |= {outcome.key: self._loop.time() for outcome in outcomes}


def shuffled(width: int) -> events.Graph:
    """Make a graph of three stages: everything reads everything of the stage before."""
    first = {f"first-{n}": Task(f"first-{n}", int, n) for n in range(width)}
    second = {f"second-{n}": _sum(f"second-{n}", first) for n in range(width)}
    third = {f"third-{n}": _sum(f"third-{n}", second) for n in range(width)}
    tasks = {**first, **second, **third}
    return events.Graph(tasks, list(third), seconds=dict.fromkeys(tasks, WORK))


def _sum(key: str, reads: Any) -> Task:
    return Task(key, lambda *values: sum(values), *(TaskRef(read) for read in reads))


async def until(loop: VirtualLoop, heard: Heard, count: int) -> None:
    """Let virtual time pass until so many outcomes came."""
    while len(heard.outcomes) < count:
        assert loop.time() < FOREVER, heard.outcomes
        await asyncio.sleep(1.0)


def test_three_stages_take_three_times_boot_and_work(tmp_path: Path) -> None:
    threads, began = threading.active_count(), time.monotonic()

    async def main(loop: VirtualLoop) -> None:
        engine = VirtualEngine(loop, tmp_path.as_uri())
        session = session_on(engine, loop.clockwork())
        heard = Heard(session, loop)
        session.start()
        session.submit(graph := shuffled(8))
        await until(loop, heard, 8)
        assert [array.size for array in engine.client.arrays.values()] == [8, 8, 8]
        ends = sorted({end for end, _, _ in engine.client.ends})
        assert ends == [pytest.approx(n * (BOOT + WORK)) for n in (1, 2, 3)]
        # Each was submitted at once, and found within a look of its end.
        assert max(heard.times.values()) <= ends[-1] + PACE["poll_slowest"] + 1
        places = {key: session.place_of(key) for key in graph.wanted}
        values, lost = session.values.read_values(
            {k: p for k, p in places.items() if p is not None}
        )
        assert not lost
        assert len(values) == 8
        assert threading.active_count() == threads
        await session.leave()
        session.end()
        assert engine.is_closed
        assert not any(path.is_file() for path in tmp_path.rglob("*"))

    virtual.run(main)
    assert time.monotonic() - began < 3 * (BOOT + WORK)


def test_what_a_lost_machine_takes_along_is_done_again(tmp_path: Path) -> None:
    async def main(loop: VirtualLoop) -> None:
        engine = VirtualEngine(loop, tmp_path.as_uri())
        engine.client.failing["job-1", 2] = {"statusReason": "Host EC2 (i-1) terminated."}
        session = session_on(engine, loop.clockwork())
        heard = Heard(session, loop)
        session.start()
        session.submit(graph := shuffled(4))
        await until(loop, heard, 4)
        ended = [array.status.value for array in engine.client.arrays.values()]
        assert ended[:3] == ["FAILED"] * 3  # what depends on the first fails with it
        assert set(ended[3:]) == {"SUCCEEDED"}
        places = {key: session.place_of(key) for key in graph.wanted}
        assert (
            len(session.values.read_values({k: p for k, p in places.items() if p is not None})[0])
            == 4
        )
        await session.leave()
        session.end()

    virtual.run(main)


def test_what_a_session_is_left_with_goes_on(tmp_path: Path) -> None:
    async def main(loop: VirtualLoop) -> None:
        engine = VirtualEngine(loop, tmp_path.as_uri())
        session = session_on(engine, loop.clockwork())
        heard = Heard(session, loop)
        session.start()
        session.submit(shuffled(4))
        while len(engine.client.arrays) < 3:  # the whole plan is at Batch
            await asyncio.sleep(0.01)
        await session.leave()
        await asyncio.sleep(10 * (BOOT + WORK))
        assert len(engine.client.ends) == 12
        assert heard.outcomes == []
        assert engine.client.requests("TerminateJob") == []
        session.end()

    virtual.run(main)


def test_an_action_that_nobody_knows_is_a_mistake(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Dance:
        """No action of the tracker."""

    async def main(loop: VirtualLoop) -> None:
        session = session_on(VirtualEngine(loop, tmp_path.as_uri()), loop.clockwork())
        heard = Heard(session, loop)
        session.submit(shuffled(2))
        tracker: Any = session._tracker
        decide, tracker.handle = tracker.handle, lambda event, now: [Dance()]
        session.handle([events.Ticked()])
        tracker.handle = decide
        assert {outcome.key for outcome in heard.outcomes} == {"third-0", "third-1"}
        assert all(isinstance(outcome, ErredKey) for outcome in heard.outcomes)
        errors = [o.failure.load() for o in heard.outcomes if isinstance(o, ErredKey)]
        assert all(isinstance(error, InternalError) for error in errors)
        await session.leave()
        session.end()

    virtual.run(main)
    assert "dask_knot made a mistake" in caplog.text


def test_jobs_are_ended_once_and_what_is_left_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main(loop: VirtualLoop) -> float:
        engine = VirtualEngine(loop, tmp_path.as_uri())
        session = session_on(engine, loop.clockwork())
        session.start()
        session.submit(shuffled(4))
        while len(engine.client.arrays) < 3:
            await asyncio.sleep(0.01)
        await session.leave()
        began = loop.time()
        session.end_jobs()
        session.end()
        session.end()
        assert len(engine.client.requests("TerminateJob")) == 3  # one for each job, once
        assert engine.is_closed
        return loop.time() - began

    started = time.monotonic()
    waited = virtual.run(main)
    assert waited > 60  # of virtual time: these jobs don't end
    assert time.monotonic() - started < 30
    assert caplog.text.count("couldn't be stopped") == 1


def test_a_key_that_is_submitted_again_has_another_run_id(tmp_path: Path) -> None:
    async def main(loop: VirtualLoop) -> None:
        session = session_on(VirtualEngine(loop, tmp_path.as_uri()), loop.clockwork())
        heard = Heard(session, loop)
        session.start()
        graph = shuffled(2)
        first = session.submit(graph)
        await until(loop, heard, 2)
        second = session.submit(graph)
        await until(loop, heard, 4)
        assert first != second
        assert [outcome.run_id for outcome in heard.outcomes] == [first, first, second, second]
        await session.leave()
        session.end()

    virtual.run(main)


def test_a_failure_that_can_not_be_decoded_keeps_no_other_key_waiting(tmp_path: Path) -> None:
    class Unspeakable(Exception):
        """Raises when somebody wants to know more."""

        def __reduce__(self) -> Any:
            raise RuntimeError("no")

        def __str__(self) -> str:
            raise RuntimeError("nor this")

    async def main(loop: VirtualLoop) -> None:
        session = session_on(VirtualEngine(loop, tmp_path.as_uri()), loop.clockwork())
        heard = Heard(session, loop)
        tracker: Any = session._tracker
        facts = actions.Facts(0, b"", "", 0.0, 0.0)
        tracker.handle = lambda event, now: [
            actions.FailKey("a", 1, Unspeakable()),
            actions.FinishKey("b", 1, Place("x", 0, 0), facts),
        ]
        session.handle([events.Ticked()])
        assert {outcome.key for outcome in heard.outcomes} == {"a", "b"}
        await session.leave()
        session.end()

    virtual.run(main)
