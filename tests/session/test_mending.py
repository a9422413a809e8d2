"""What the tracker decides about running stages is done, written down and kept, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from dask._task_spec import Task

from dask_knot.run.names import ShardId, StageId
from dask_knot.run.orders import Claimant, Orders
from dask_knot.session import virtual
from dask_knot.session.opening import session_on
from dask_knot.session.session import Session
from dask_knot.session.virtual import VirtualLoop
from dask_knot.tracking import actions, events
from tests.session.test_adoption import Stage, digested, values
from tests.session.test_adoption import play as play_together
from tests.session.test_session import BOOT, WORK, Heard, VirtualEngine, until

Scene = Callable[[VirtualLoop, Any, Session, Heard], Coroutine[Any, Any, None]]
STAGE = StageId(0, 0)
COUNT = 3


def play(folder: Path, scene: Scene) -> None:
    """Play a scene in which one stage of three shards runs."""

    async def main(loop: VirtualLoop) -> None:
        engine: Any = VirtualEngine(loop, folder.as_uri())
        session = session_on(engine, loop.clockwork())
        heard = Heard(session, loop)
        session.start()
        tasks = {f"task-{n}": Task(f"task-{n}", int, n) for n in range(COUNT)}
        session.submit(events.Graph(tasks, list(tasks)))
        await scene(loop, engine, session, heard)
        await session.leave()
        session.end()

    virtual.run(main)


def decide(session: Session, *decided: actions.Action) -> None:
    """Have the tracker decide something."""
    tracker: Any = session._tracker
    handle = tracker.handle
    tracker.handle = lambda event, now: [*decided, *handle(event, now)]
    session.handle([events.Ticked()])
    tracker.handle = handle


def test_a_stage_has_started_once_all_of_its_children_have(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        tracker: Any = session._tracker
        handle, told = tracker.handle, []

        def handling(event: events.Event, now: float) -> Any:
            if isinstance(event, events.StageStarted):
                told.append((event.stage, now))
            return handle(event, now)

        tracker.handle = handling
        await until(loop, heard, COUNT)
        ((stage, when),) = told
        assert stage == STAGE
        assert BOOT <= when < BOOT + WORK

    play(tmp_path, scene)


def test_a_twin_runs_beside_its_child_and_ends_with_the_shard(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        await asyncio.sleep(BOOT + WORK / 2)
        shard = ShardId(STAGE, 1)
        decide(session, actions.StartTwin(shard), actions.StartTwin(shard))
        await asyncio.sleep(1.0)
        array, twin = engine.client.requests("SubmitJob")
        assert twin["jobName"] == f"virtual-{STAGE.stored}-twin-1"
        assert twin["jobDefinition"] == array["jobDefinition"]
        await until(loop, heard, COUNT)
        await asyncio.sleep(60.0)
        assert {outcome.key for outcome in heard.outcomes} == {f"task-{n}" for n in range(COUNT)}
        assert [one["jobId"] for one in engine.client.requests("TerminateJob")] == ["job-2"]
        assert session.run.read_orders(STAGE) == Orders(frozenset({1}))

    play(tmp_path, scene)


def test_a_cluster_that_closes_ends_a_twin_that_runs(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        engine.client.terminates = True
        await asyncio.sleep(BOOT + WORK / 2)
        decide(session, actions.StartTwin(ShardId(STAGE, 0)))
        await asyncio.sleep(1.0)
        await session.leave()
        session.end()
        ended = [one["jobId"] for one in engine.client.requests("TerminateJob")]
        assert ended == ["job-2", "job-1"]

    play(tmp_path, scene)


def test_decisions_are_kept(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        decide(session, actions.Decided("this, because of that"))
        assert "this, because of that" in [one.text for one in session.decisions]

    play(tmp_path, scene)


def test_children_are_told_once_of_all_that_happens_now(tmp_path: Path) -> None:
    async def scene(loop: VirtualLoop, engine: Any, session: Session, heard: Heard) -> None:
        await asyncio.sleep(BOOT + WORK / 2)
        tracker: Any = session._tracker
        tracker.orders_of = lambda stage: Orders(asked=frozenset({0, 2}))
        puts = session.run.traffic()[0]["put"]
        decide(session, actions.TellChildren(STAGE), actions.TellChildren(STAGE))
        await asyncio.sleep(1.0)
        assert session.run.read_orders(STAGE) == Orders(asked=frozenset({0, 2}))
        assert session.run.traffic()[0]["put"] == puts + 1

    play(tmp_path, scene)


def said_to_be_quick(count: int) -> events.Graph:
    """Make a graph of which all tasks come into one shard."""
    tasks = {f"task-{n}": Task(f"task-{n}", int, n) for n in range(count)}
    return digested(events.Graph(tasks, list(tasks), seconds=dict.fromkeys(tasks, 0.1)))


def test_who_is_not_alone_any_more_knows_it_at_once(tmp_path: Path) -> None:
    """What is mended by one session is what no other one waits for."""

    async def scene(stage: Stage) -> None:
        first, _ = stage.open()
        heard: list[bool] = []
        handle = first._tracker.handle

        def listen(event: events.Event, now: float) -> list[actions.Action]:
            if isinstance(event, events.Ticked):
                heard.append(event.is_alone)
            return handle(event, now)

        first._tracker.handle = listen  # type: ignore[method-assign]
        first.submit(said_to_be_quick(4))
        await asyncio.sleep(BOOT + 10)
        assert True in heard
        second, _ = stage.open()
        heard.clear()
        await asyncio.sleep(60)
        assert heard
        assert True not in heard
        await stage.close(first, second)

    play_together(tmp_path, True, scene)


def test_what_a_shard_hands_over_is_made_once_for_all_sessions(tmp_path: Path) -> None:
    """The first session has its shard handed over while another one waits for that as well."""

    async def scene(stage: Stage) -> None:
        graph = said_to_be_quick(4)
        first, heard = stage.open()
        first.submit(graph)
        await asyncio.sleep(BOOT + 10)
        second, heard_too = stage.open()
        second.submit(graph)
        await asyncio.sleep(60)
        shard = ShardId(StageId(first.first_number, 0), 0)
        stage.engines[0].client.hand_over(first.run, shard, 2, 3)
        for one in (heard, heard_too):
            await until(stage.loop, one, 4)
        assert values(first, heard) == values(second, heard_too)
        assert stage.ran == dict.fromkeys(graph.tasks, 1)
        assert len(stage.submitted) == 2
        assert first.run.claim(shard, Claimant.CHILD) is Claimant.CLIENT
        await stage.close(first, second)

    play_together(tmp_path, True, scene)


def test_a_later_session_has_made_what_was_handed_over_to_one_that_was_killed(
    tmp_path: Path,
) -> None:
    async def scene(stage: Stage) -> None:
        graph = said_to_be_quick(4)
        first, _ = stage.open()
        first.submit(graph)
        await asyncio.sleep(BOOT + 10)
        await stage.kill(first)
        shard = ShardId(StageId(first.first_number, 0), 0)
        stage.engines[0].client.hand_over(first.run, shard, 1)
        second, heard = stage.open()
        second.submit(graph)
        await until(stage.loop, heard, 4)
        assert len(stage.submitted) == 2
        assert stage.ran == dict.fromkeys(graph.tasks, 1)
        await stage.close(first, second)

    play_together(tmp_path, True, scene)
