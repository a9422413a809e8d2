"""What a session sees of jobs that fail, wait, or can't be asked about; in virtual time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from dask._task_spec import Task

from dask_knot.errors import (
    AccessError,
    CredentialsError,
    InternalError,
    JobStartError,
    KnotError,
    StoreError,
)
from dask_knot.run.manifest import NOWHERE, Place
from dask_knot.session import virtual
from dask_knot.session.failures import ErredKey
from dask_knot.session.opening import session_on
from dask_knot.session.session import Session
from dask_knot.session.virtual import VirtualLoop
from dask_knot.tracking import actions, events
from tests.session.test_session import BOOT, PACE, WORK, Heard, VirtualEngine, shuffled, until

HOUR = 3600.0
Scene = Callable[[VirtualLoop, VirtualEngine, Session, Heard], Any]


def play(tmp_path: Path, scene: Scene, **changes: Any) -> None:
    """Open a session in virtual time, let something happen, and end it."""

    async def main(loop: VirtualLoop) -> None:
        engine = VirtualEngine(loop, tmp_path.as_uri())
        engine.settings = replace(engine.settings, **changes)
        session = session_on(engine, loop.clockwork())
        heard = Heard(session, loop)
        session.start()
        await scene(loop, engine, session, heard)
        await session.leave()
        session.end()

    virtual.run(main)


def errors_of(heard: Heard) -> list[BaseException]:
    """Give the errors of the keys that erred."""
    return [one.failure.load() for one in heard.outcomes if isinstance(one, ErredKey)]


def away(*arguments: Any, **options: Any) -> Any:
    """Be a Batch that nobody reaches."""
    raise ConnectionError("Batch is away")


def expired(**request: Any) -> Any:
    """Be an AWS that knows nobody any more."""
    raise CredentialsError("they have expired: `aws sso login --profile lab`")


def forgotten(**request: Any) -> Any:
    """Be a Batch that knows no job any more."""
    return {"jobs": []}


def nobody_failed(**request: Any) -> Any:
    """Be a Batch that names no child."""
    return {"jobSummaryList": []}


def test_a_short_outage_of_batch_loses_nothing(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        session.submit(shuffled(4))
        await asyncio.sleep(BOOT)
        engine.client.describe_jobs = away
        await asyncio.sleep(session.settings.tempo.patience / 2)
        assert heard.outcomes == []
        del engine.client.describe_jobs
        await until(loop, heard, 4)
        assert errors_of(heard) == []

    play(tmp_path, scene)


def closed(**request: Any) -> Any:
    """Be in the hands of threads that take nothing any more."""
    raise RuntimeError("cannot schedule new futures after shutdown")


@pytest.mark.parametrize("is_closing", [True, False])
def test_of_a_session_that_closes_no_outage_is_told(tmp_path: Path, is_closing: bool) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        noticed: list[str] = []
        session.hooks.notice = noticed.append
        session.submit(shuffled(4))
        await asyncio.sleep(BOOT)
        engine.client.describe_jobs = closed
        if is_closing:
            session._driver.stop()  # a look was about to begin
        await asyncio.sleep(session.settings.tempo.patience / 2)
        assert bool(noticed) is not is_closing
        del engine.client.describe_jobs

    play(tmp_path, scene)


def test_a_night_without_credentials_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        noticed: list[str] = []
        session.hooks.notice = noticed.append
        session.submit(shuffled(4))
        await asyncio.sleep(BOOT)
        engine.client.describe_jobs = expired
        await asyncio.sleep(12 * HOUR)
        assert heard.outcomes == []
        assert len(engine.client.ends) == 12  # jobs went on
        assert len(noticed) == 4 + 11  # at once, after 1, 5 and 15 minutes, and every hour
        assert all("aws sso login --profile lab" in line for line in noticed)
        del engine.client.describe_jobs
        began = loop.time()
        await until(loop, heard, 4)
        assert loop.time() - began <= 2 * PACE["poll_slowest"]
        assert errors_of(heard) == []
        assert noticed[-1] == "back after 12hr 0m: 12 results collected"
        assert len(engine.client.arrays) == 3
        assert engine.client.requests("TerminateJob") == []

    play(tmp_path, scene)


def test_what_batch_has_forgotten_meanwhile_is_taken_from_the_store(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        session.submit(shuffled(4))
        await asyncio.sleep(BOOT)
        engine.client.describe_jobs = away
        await asyncio.sleep(24 * HOUR)
        engine.client.describe_jobs = forgotten
        await until(loop, heard, 4)
        assert errors_of(heard) == []
        assert len(engine.client.arrays) == 3  # nothing was done again

    play(tmp_path, scene)


def test_what_was_lost_meanwhile_is_done_again(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        lost = {"statusReason": "Host EC2 (instance i-1) terminated.", "container": {}}
        engine.client.failing["job-1", 2] = lost
        session.submit(shuffled(4))
        await asyncio.sleep(BOOT)
        engine.client.describe_jobs = away
        await asyncio.sleep(24 * HOUR)
        del engine.client.describe_jobs
        await until(loop, heard, 4)
        assert errors_of(heard) == []
        assert len(engine.client.arrays) > 3

    play(tmp_path, scene)


@pytest.mark.parametrize("error", [AccessError("not you"), ValueError("a mistake")])
def test_what_no_time_mends_is_told_and_the_jobs_are_ended(
    tmp_path: Path, error: Exception
) -> None:
    def refuse(**request: Any) -> Any:
        raise error

    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        session.submit(shuffled(4))
        await asyncio.sleep(BOOT)
        engine.client.describe_jobs = refuse
        began = loop.time()
        await until(loop, heard, 4)
        patience = session.settings.tempo.patience
        assert patience <= loop.time() - began <= 2 * patience
        assert all(isinstance(error, KnotError) for error in errors_of(heard))
        assert all(str(error) in str(told) for told in errors_of(heard))
        await asyncio.sleep(1)
        assert len(engine.client.requests("TerminateJob")) == 3  # those of all three stages
        del engine.client.describe_jobs

    play(tmp_path, scene)


def test_the_jobs_of_a_named_run_go_on_for_others(tmp_path: Path) -> None:
    def refuse(**request: Any) -> Any:
        raise AccessError("not you")

    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        session.submit(shuffled(4))
        await asyncio.sleep(BOOT)
        engine.client.describe_jobs = refuse
        await until(loop, heard, 4)
        assert all("not you" in str(error) for error in errors_of(heard))
        await asyncio.sleep(3 * (BOOT + WORK))
        assert engine.client.requests("TerminateJob") == []
        assert len(engine.client.ends) == 12
        del engine.client.describe_jobs

    play(tmp_path, scene, is_named=True)


def test_a_computer_that_has_slept_recovers_by_itself(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        session.submit(shuffled(4))
        await asyncio.sleep(BOOT / 2)
        describe = engine.client.describe_jobs
        loop.seconds += 9 * HOUR  # a clock that goes on meanwhile; of one that stands, nobody knows
        woken = loop.time()

        def without_network(*, jobs: Sequence[str]) -> Any:
            return describe(jobs=jobs) if loop.time() > woken + 25 else away()

        engine.client.describe_jobs = without_network
        await until(loop, heard, 4)
        assert errors_of(heard) == []
        assert len(engine.client.arrays) == 3
        assert loop.time() - woken < 3 * (BOOT + WORK)
        del engine.client.describe_jobs

    play(tmp_path, scene)


def test_jobs_that_nobody_needs_are_ended_when_batch_is_back(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        graph = shuffled(4)
        session.submit(graph)
        await asyncio.sleep(BOOT)
        terminate, began = engine.client.terminate_job, loop.time()

        def after_a_while(**request: Any) -> Any:
            return terminate(**request) if loop.time() > began + HOUR else expired()

        engine.client.terminate_job = after_a_while
        session.handle([events.KeyReleased(key, forgotten=True) for key in graph.wanted])
        await asyncio.sleep(2 * HOUR)
        assert len(engine.client.requests("TerminateJob")) == 3
        del engine.client.terminate_job

    play(tmp_path, scene)


def test_a_folder_is_waited_for_while_jobs_go_on_and_a_while_longer(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        session.submit(shuffled(4))
        await asyncio.sleep(BOOT / 2)
        describe = engine.client.describe_jobs
        done = False

        def status(*, jobs: Sequence[str]) -> Any:
            found = describe(jobs=jobs)["jobs"]
            return {"jobs": [dict(one, status="FAILED") for one in found] if done else found}

        engine.client.describe_jobs = status
        engine.client.list_jobs = nobody_failed
        (tmp_path / "store").rename(tmp_path / "elsewhere")
        await asyncio.sleep(BOOT / 4)
        assert heard.outcomes == []
        patience = session.settings.tempo.patience
        done, began = True, loop.time()
        await until(loop, heard, 4)
        assert patience <= loop.time() - began <= 3 * patience
        assert all("mount it again" in str(error) for error in errors_of(heard))
        (tmp_path / "elsewhere").rename(tmp_path / "store")
        del engine.client.describe_jobs, engine.client.list_jobs

    (tmp_path / "store").mkdir()
    play(tmp_path / "store", scene)


def test_work_that_comes_in_the_night_is_submitted_in_the_morning(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        noticed: list[str] = []
        session.hooks.notice = noticed.append
        submit = engine.client.submit_job

        def in_the_morning(**request: Any) -> Any:
            return submit(**request) if loop.time() > 8 * HOUR else expired()

        engine.client.submit_job = in_the_morning
        session.submit(shuffled(4))
        await until(loop, heard, 4)
        assert errors_of(heard) == []
        assert len(engine.client.arrays) == 3
        assert "aws sso login --profile lab" in noticed[0]
        assert noticed[-1] == "back after 8hr 0m: it works again"
        del engine.client.submit_job

    play(tmp_path, scene)


def test_jobs_that_can_never_start_are_told_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        noticed: list[str] = []
        session.hooks.notice = noticed.append
        engine.client.environment["status"] = "INVALID"
        engine.client.environment["statusReason"] = "CLIENT_ERROR - the role is gone"
        describe = engine.client.describe_jobs

        def all_wait(*, jobs: Sequence[str]) -> Any:
            found = [dict(detail) for detail in describe(jobs=jobs)["jobs"]]
            for detail in found:
                detail["status"] = "RUNNABLE"
                if "arrayProperties" in detail:
                    size = detail["arrayProperties"]["size"]
                    summary = {"size": size, "statusSummary": {"RUNNABLE": size}}
                    detail |= {"status": "PENDING", "arrayProperties": summary}
            return {"jobs": found}

        engine.client.describe_jobs = all_wait
        session.submit(shuffled(4))
        await until(loop, heard, 4)
        assert loop.time() >= session.settings.tempo.stuck_after
        assert all(isinstance(error, JobStartError) for error in errors_of(heard))
        assert any("the role is gone" in text for text in noticed)
        del engine.client.describe_jobs

    play(tmp_path, scene)


def test_what_does_not_start_in_time_is_told_why_and_ended(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        reason = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - no p5"
        engine.client._boot = 10 * HOUR  # as long as nobody has such a machine
        session.submit(events.Graph({key: Task(key, int) for key in "abcd"}, list("abcd")))
        await asyncio.sleep(HOUR)
        for detail in engine.client.details.values():
            detail["statusReason"] = reason
        assert heard.outcomes == []
        await until(loop, heard, 4)
        assert 2 * HOUR <= loop.time() <= 2 * HOUR + 2 * PACE["poll_slowest"]
        for error in errors_of(heard):
            assert isinstance(error, JobStartError)
            assert "none of it has started within 120m 0s (start-timeout)" in str(error)
        await asyncio.sleep(HOUR)
        assert len(engine.client.requests("TerminateJob")) == 1

    play(tmp_path, scene, start_timeout=2 * HOUR)


def test_what_starts_in_time_may_take_as_long_as_it_likes(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        session.submit(shuffled(4))
        await until(loop, heard, 4)
        assert loop.time() > 3 * (BOOT + WORK)
        assert errors_of(heard) == []

    play(tmp_path, scene, start_timeout=2 * BOOT)


def test_a_child_that_fails_is_planned_again(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        lost = {"statusReason": "Host EC2 (instance i-1) terminated.", "container": {}}
        engine.client.failing["job-1", 2] = lost
        session.submit(shuffled(4))
        await until(loop, heard, 4)
        assert errors_of(heard) == []
        assert len(engine.client.arrays) > 3  # what failed, and all that depended on it, once more
        assert loop.time() < 6 * (BOOT + WORK)

    play(tmp_path, scene)


def test_a_store_that_is_away_for_long_is_told_in_virtual_time(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        (tmp_path / "store").rename(tmp_path / "elsewhere")
        started, began = time.monotonic(), loop.time()
        session.submit(shuffled(4))
        await until(loop, heard, 4)
        assert loop.time() - began >= session.settings.tempo.patience
        assert time.monotonic() - started < session.settings.tempo.patience
        assert all(isinstance(error, StoreError) for error in errors_of(heard))
        (tmp_path / "elsewhere").rename(tmp_path / "store")

    (tmp_path / "store").mkdir()
    play(tmp_path / "store", scene)


def test_failures_that_can_not_be_read_by_a_mistake_are_told(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        def fail(failed: Sequence[Any]) -> Any:
            raise ValueError("a mistake")

        tracker: Any = session._tracker
        driver: Any = session._driver
        driver._failures._read = fail
        decide = tracker.handle
        tracker.handle = lambda event, now: [actions.FailKey("a", 1, Place("nowhere", 0, 1))]
        session.handle([events.Ticked()])
        tracker.handle = decide
        await until(loop, heard, 1)
        assert [type(error) for error in errors_of(heard)] == [InternalError]

    play(tmp_path, scene)


def test_a_listener_that_raises_ends_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        def refuse(outcomes: Sequence[Any]) -> None:
            session.hooks.outcomes = heard.take
            raise ValueError("not now")

        session.hooks.outcomes = refuse
        tracker: Any = session._tracker
        decide = tracker.handle
        tracker.handle = lambda event, now: [
            actions.FinishKey("a", 1, NOWHERE, actions.Facts(0, b"", "", 0.0, 0.0)),
            actions.FailKey("b", 1, Place("nowhere", 0, 1)),
        ]
        session.handle([events.Ticked()])
        tracker.handle = decide
        await until(loop, heard, 1)
        assert [outcome.key for outcome in heard.outcomes] == ["b"]

    play(tmp_path, scene)
    assert "not now" in caplog.text
