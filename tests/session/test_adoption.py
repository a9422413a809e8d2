"""Whatever becomes of a session, another one of its run takes up what is left; in virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dask_knot.batch.rules import CONTAINER_EXITED
from dask_knot.errors import JobTerminatedError, RunDeletedError, StoreError
from dask_knot.run import codec
from dask_knot.run.names import StageId, session_of
from dask_knot.run.presence import Presence
from dask_knot.session import virtual
from dask_knot.session.failures import ErredKey
from dask_knot.session.opening import session_on
from dask_knot.session.session import Session
from dask_knot.session.virtual import VirtualLoop
from dask_knot.tracking import events
from tests.session.batch import VirtualBatch
from tests.session.test_session import BOOT, WORK, Heard, VirtualEngine, shuffled, until

WIDTH = 4


class NamedEngine(VirtualEngine):
    """An engine of a named run, perhaps one whose jobs end with their client."""

    def __init__(self, loop: VirtualLoop, url: str, batch: VirtualBatch | None = None) -> None:
        super().__init__(loop, url)
        name = "climate"
        self.settings = replace(self.settings, name=name, is_named=True)
        self.template = replace(self.template, name=name)
        if batch is not None:
            self.client = batch

    def end_jobs(self) -> None:
        """End all jobs, if they are processes of this machine."""
        if not self.jobs_stay:
            self.client.stop()


class Stage:
    """Sessions of one run, one after another or at once.

    Parameters
    ----------
    loop : VirtualLoop
        Their time.
    url : str
        The URL of their store.
    jobs_stay : bool
        All submit to one Batch; else each has one of its own, which ends with it.
    """

    def __init__(self, loop: VirtualLoop, url: str, jobs_stay: bool) -> None:
        self.loop = loop
        self._url = url
        self._jobs_stay = jobs_stay
        self.engines: list[NamedEngine] = []

    def open(self) -> tuple[Session, Heard]:
        """Open one more session, as if on a machine of its own."""
        shared = self.engines[0].client if self._jobs_stay and self.engines else None
        engine = NamedEngine(self.loop, self._url, shared)
        engine.jobs_stay = self._jobs_stay
        self.engines.append(engine)
        session = session_on(engine, self.loop.clockwork())
        number = session_of(session.first_number)
        name, who = session.run.names.session(number), session.run.record.read_session(number)
        engine.store.put(name, replace(who, machine=f"machine of session {number}").encode())
        heard = Heard(session, self.loop)
        session.start()
        return session, heard

    async def kill(self, session: Session) -> None:
        """Let a session vanish, as with SIGKILL: its jobs, too, if they are its own."""
        await session._driver.close()
        engine = self.engines[session_of(session.first_number)]
        if not self._jobs_stay:
            engine.client.stop()

    async def close(self, *sessions: Session) -> None:
        """Close sessions that are still there."""
        for session in sessions:
            await session.leave()
            session.let_go()
            session.end()

    @property
    def submitted(self) -> list[str]:
        """The names of all jobs that were submitted."""
        batches = {id(engine.client): engine.client for engine in self.engines}.values()
        return [r["jobName"] for batch in batches for r in batch.requests("SubmitJob")]

    @property
    def ran(self) -> Counter[str]:
        """How often each task ended."""
        batches = {id(engine.client): engine.client for engine in self.engines}.values()
        return sum((batch.ran for batch in batches), Counter())


def digested(graph: events.Graph) -> events.Graph:
    """Give the tasks of a graph the digests of their names."""
    digests = {key: sha256(str(key).encode()).digest()[:16] for key in graph.tasks}
    return replace(graph, digests=digests)


Play = Callable[[Stage], Coroutine[Any, Any, None]]


def play(tmp_path: Path, jobs_stay: bool, scene: Play) -> None:
    async def main(loop: VirtualLoop) -> None:
        await scene(Stage(loop, tmp_path.as_uri(), jobs_stay))

    virtual.run(main)


def values(session: Session, heard: Heard) -> dict[Any, Any]:
    """Read what a session was told of."""
    places = {one.key: session.place_of(one.key) for one in heard.outcomes}
    data, lost = session.values.read_values({k: p for k, p in places.items() if p is not None})
    assert not lost
    return {key: codec.decode(one) for key, one in data.items()}


EXPECTED = {f"third-{n}": 4 * sum(range(WIDTH)) for n in range(WIDTH)}


@pytest.mark.parametrize("jobs_stay", [True, False])
def test_what_is_stored_is_finished_at_once_and_without_a_job(
    tmp_path: Path, jobs_stay: bool
) -> None:
    async def scene(stage: Stage) -> None:
        first, heard = stage.open()
        first.submit(digested(shuffled(WIDTH)))
        await until(stage.loop, heard, WIDTH)
        await stage.close(first)
        submitted = stage.submitted
        second, heard = stage.open()
        began = stage.loop.time()
        second.submit(digested(shuffled(WIDTH)))
        await until(stage.loop, heard, WIDTH)
        assert stage.loop.time() - began < 10
        assert values(second, heard) == EXPECTED
        assert stage.submitted == submitted
        await stage.close(second)

    play(tmp_path, jobs_stay, scene)


@pytest.mark.parametrize("jobs_stay", [True, False])
def test_who_leaves_submits_what_waits_behind_jobs_of_others(
    tmp_path: Path, jobs_stay: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(stage: Stage) -> None:
        first, _ = stage.open()
        graph = digested(shuffled(WIDTH))
        seconds = [key for key in graph.tasks if str(key).startswith("second")]
        tasks = {key: task for key, task in graph.tasks.items() if not str(key).startswith("third")}
        first.submit(replace(graph, tasks=tasks, wanted=seconds))
        await asyncio.sleep(BOOT)
        submitted = len(stage.submitted)
        second, _ = stage.open()
        second.submit(graph)
        await second.flush(is_leaving=True)
        assert (len(stage.submitted) > submitted) is jobs_stay
        assert ("were not submitted" in caplog.text) is not jobs_stay
        await stage.close(second, first)

    play(tmp_path, jobs_stay, scene)


def test_jobs_of_a_client_that_was_killed_are_waited_for(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        first, _ = stage.open()
        first.submit(digested(shuffled(WIDTH)))
        await asyncio.sleep(BOOT)
        await stage.kill(first)
        second, heard = stage.open()
        second.submit(digested(shuffled(WIDTH)))
        await until(stage.loop, heard, WIDTH)
        assert values(second, heard) == EXPECTED
        assert len(stage.submitted) == 3
        assert stage.loop.time() < 3 * (BOOT + WORK) + 60
        await stage.close(second)

    play(tmp_path, True, scene)


def test_what_ended_with_its_client_is_done_again_and_nothing_else(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        first, _ = stage.open()
        first.submit(digested(shuffled(WIDTH)))
        await asyncio.sleep(1.5 * (BOOT + WORK))  # the first stage is there, the second runs
        await stage.kill(first)
        second, heard = stage.open()
        second.submit(digested(shuffled(WIDTH)))
        await until(stage.loop, heard, WIDTH)
        assert values(second, heard) == EXPECTED
        assert set(stage.ran.values()) == {1}
        assert len(stage.ran) == 3 * WIDTH
        await stage.close(second)

    play(tmp_path, False, scene)


@pytest.mark.parametrize("jobs_stay", [True, False])
def test_two_sessions_at_once_run_each_task_once_and_both_get_all(
    tmp_path: Path, jobs_stay: bool
) -> None:
    async def scene(stage: Stage) -> None:
        first, heard = stage.open()
        second, others = stage.open()
        first.submit(digested(shuffled(WIDTH)))
        second.submit(digested(shuffled(WIDTH)))
        await until(stage.loop, heard, WIDTH)
        await until(stage.loop, others, WIDTH)
        assert values(first, heard) == values(second, others) == EXPECTED
        assert set(stage.ran.values()) == {1}
        await stage.close(first, second)

    play(tmp_path, jobs_stay, scene)


class Killed(BaseException):
    """The client ends at this very moment."""


def _before_the_entry(session: Session, engine: NamedEngine, strike: Any) -> None:
    session._driver._submitter.recorder._archive.append = strike  # type: ignore[union-attr]


def _before_the_first_job(session: Session, engine: NamedEngine, strike: Any) -> None:
    session._service.submit = strike  # type: ignore[method-assign]


def _between_two_jobs(session: Session, engine: NamedEngine, strike: Any) -> None:
    submit, count = session._service.submit, [0]

    def once(*arguments: Any) -> None:
        count[0] += 1
        submit(*arguments) if count[0] < 2 else strike()

    session._service.submit = once  # type: ignore[method-assign]


def _before_the_ids(session: Session, engine: NamedEngine, strike: Any) -> None:
    session.run.record.note_jobs = strike  # type: ignore[method-assign]


MOMENTS = [_before_the_entry, _before_the_first_job, _between_two_jobs, _before_the_ids]


@pytest.mark.parametrize("jobs_stay", [True, False])
@pytest.mark.parametrize("arm", MOMENTS)
def test_a_client_killed_between_two_calls_leaves_a_run_that_goes_on(
    tmp_path: Path, arm: Any, jobs_stay: bool
) -> None:
    async def scene(stage: Stage) -> None:
        first, _ = stage.open()
        struck = asyncio.Event()

        def strike(*arguments: Any, **options: Any) -> None:
            first._driver.stop()
            struck.set()
            raise Killed

        arm(first, stage.engines[0], strike)
        first.submit(digested(shuffled(WIDTH)))
        await struck.wait()
        await stage.kill(first)
        second, heard = stage.open()
        second.submit(digested(shuffled(WIDTH)))
        await until(stage.loop, heard, WIDTH)
        assert values(second, heard) == EXPECTED
        assert set(stage.ran.values()) == {1}
        assert len(set(stage.submitted)) == len(stage.submitted)
        await stage.close(second)

    play(tmp_path, jobs_stay, scene)


def test_a_session_that_was_told_of_nothing_learns_of_a_child_that_failed(tmp_path: Path) -> None:
    """Where jobs are processes of another client, nobody else could tell."""

    async def scene(stage: Stage) -> None:
        first, _ = stage.open()
        second, heard = stage.open()
        killed = {"statusReason": CONTAINER_EXITED, "container": {"exitCode": 3}}
        stage.engines[0].client.failing["job-1", 2] = killed
        first.submit(digested(shuffled(WIDTH)))
        await asyncio.sleep(1)
        second.submit(digested(shuffled(WIDTH)))
        await until(stage.loop, heard, WIDTH)
        assert stage.loop.time() < 6 * (BOOT + WORK)
        assert values(second, heard) == EXPECTED
        assert set(stage.ran.values()) == {1}
        await stage.close(first, second)

    play(tmp_path, False, scene)


def test_a_run_that_was_ended_is_ended_for_all(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        first, heard = stage.open()
        second, others = stage.open()
        first.submit(digested(shuffled(WIDTH)))
        await asyncio.sleep(BOOT)
        second.submit(digested(shuffled(WIDTH)))
        await asyncio.sleep(BOOT)
        client = stage.engines[0].client
        client.terminates = True
        await first.leave()
        first.end_run_jobs()
        first.end()
        reasons = {request["reason"] for request in client.requests("TerminateJob")}
        assert reasons == {"the run was ended"}
        await until(stage.loop, others, WIDTH)
        assert heard.outcomes == []
        errors = [one.failure.load() for one in others.outcomes if isinstance(one, ErredKey)]
        assert [type(error) for error in errors] == [JobTerminatedError] * WIDTH
        # It is no end of the run itself: who submits again has it made.
        second.submit(digested(shuffled(WIDTH)))
        third, rest = stage.open()
        third.submit(digested(shuffled(WIDTH)))
        await until(stage.loop, rest, WIDTH)
        assert values(third, rest) == EXPECTED
        await stage.close(second, third)

    play(tmp_path, True, scene)


def test_what_a_dead_session_was_to_make_is_not_counted_on(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        first, _ = stage.open()
        first.submit(digested(shuffled(WIDTH)))
        await asyncio.sleep(BOOT / 10)
        second, others = stage.open()
        asked = digested(shuffled(WIDTH))
        assert (await second.foresee(asked)).request is None  # the first one makes it
        await first.leave()
        first.let_go()
        await asyncio.sleep(BOOT)
        foreseen = (await second.foresee(asked)).request
        assert foreseen is not None
        assert foreseen.dependencies.keys() == asked.tasks.keys()
        second.submit(asked)
        await until(stage.loop, others, WIDTH)
        assert (await second.foresee(digested(shuffled(WIDTH)))).request is None
        await stage.close(second)
        (profile,) = second.run.record.read_profiles()
        assert sum(costs.tasks for costs in profile.costs.values()) == len(asked.tasks)

    play(tmp_path, False, scene)


@pytest.mark.parametrize("moment", [0.0, 0.4, 0.8, 1.2, 1.6])
def test_jobs_that_ended_with_their_run_are_not_made_anew(moment: float, tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        first, _ = stage.open()
        second, others = stage.open()
        first.submit(digested(shuffled(WIDTH)))
        await asyncio.sleep(BOOT / 10)
        second.submit(digested(shuffled(WIDTH)))
        await asyncio.sleep(BOOT / 10 + moment)  # before, between or after heartbeats
        await first.leave()
        first.end_run_jobs()  # they are processes of that client: gone before anybody says why
        first.end()
        await until(stage.loop, others, WIDTH)
        errors = [one.failure.load() for one in others.outcomes if isinstance(one, ErredKey)]
        assert [type(error) for error in errors] == [JobTerminatedError] * WIDTH
        assert stage.engines[1].client.requests("SubmitJob") == []
        await stage.close(second)

    play(tmp_path, False, scene)


def test_a_run_that_was_deleted_errs_what_waits_once(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        first, heard = stage.open()
        first.submit(digested(shuffled(WIDTH)))
        await asyncio.sleep(BOOT)
        first.run.delete_all()
        await until(stage.loop, heard, WIDTH)
        await asyncio.sleep(10 * BOOT)
        errors = [one.failure.load() for one in heard.outcomes if isinstance(one, ErredKey)]
        assert [type(error) for error in errors] == [RunDeletedError] * WIDTH
        await stage.close(first)

    play(tmp_path, True, scene)


@pytest.mark.parametrize("jobs_stay", [True, False])
def test_whoever_leaves_says_so_and_ends_only_what_ends_anyway(
    tmp_path: Path, jobs_stay: bool
) -> None:
    async def scene(stage: Stage) -> None:
        first, _ = stage.open()
        first.submit(digested(shuffled(WIDTH)))
        await asyncio.sleep(BOOT)
        record = first.run.record
        beat = record.read_beat(0)
        assert beat is not None
        assert beat.state is Presence.OPEN
        await stage.close(first)
        beat = record.read_beat(0)
        assert beat is not None
        assert beat.state is Presence.LEFT
        client = stage.engines[0].client
        assert client.is_stopped is not jobs_stay
        assert client.requests("TerminateJob") == []
        second, heard = stage.open()
        began = stage.loop.time()
        second.submit(digested(shuffled(WIDTH)))
        await until(stage.loop, heard, WIDTH)
        assert values(second, heard) == EXPECTED
        assert len(stage.submitted) == (3 if jobs_stay else 6)
        assert stage.loop.time() - began < 3 * (BOOT + WORK) + 60
        await stage.close(second)

    play(tmp_path, jobs_stay, scene)


def test_what_was_left_to_others_is_ended_once_these_are_gone(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        first, _ = stage.open()
        second, _ = stage.open()
        first.submit(digested(shuffled(WIDTH)))
        await asyncio.sleep(BOOT / 10)
        await stage.kill(second)  # nobody knows yet
        wanted = list(EXPECTED)
        first.handle([events.KeyReleased(key, True) for key in wanted])
        await asyncio.sleep(1)
        client = stage.engines[0].client
        assert client.requests("TerminateJob") == []
        await asyncio.sleep(120)
        assert len(client.requests("TerminateJob")) == 3
        await stage.close(first)

    play(tmp_path, True, scene)


@pytest.mark.parametrize("is_there", [True, False])
def test_what_others_may_wait_for_is_not_ended(tmp_path: Path, is_there: bool) -> None:
    async def scene(stage: Stage) -> None:
        first, _ = stage.open()
        if is_there:
            second, _ = stage.open()
        first.submit(graph := digested(shuffled(WIDTH)))
        await asyncio.sleep(BOOT)
        first.handle(events.KeyReleased(key, forgotten=True) for key in graph.wanted)
        await asyncio.sleep(BOOT)
        ended = len(stage.engines[0].client.requests("TerminateJob"))
        assert ended == (0 if is_there else 3)
        await stage.close(first, *([second] if is_there else []))

    play(tmp_path, True, scene)


def test_one_key_of_a_wide_stage_takes_one_manifest(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        first, heard = stage.open()
        first.submit(digested(shuffled(8)))
        await until(stage.loop, heard, 8)
        await stage.close(first)
        second, heard = stage.open()
        graph = digested(shuffled(8))
        before = second.run.traffic()[0]["get"]
        second.submit(replace(graph, wanted=["third-3"]))
        await until(stage.loop, heard, 1)
        assert second.run.traffic()[0]["get"] - before < 8
        await stage.close(second)

    play(tmp_path, True, scene)


def test_ids_that_cannot_be_written_down_are_found_by_name(tmp_path: Path) -> None:
    async def scene(stage: Stage) -> None:
        first, _ = stage.open()

        def refuse(*arguments: Any) -> None:
            raise StoreError("the disk is full")

        first.run.record.note_jobs = refuse  # type: ignore[method-assign]
        first.submit(digested(shuffled(WIDTH)))
        await asyncio.sleep(BOOT)
        second, heard = stage.open()  # while the first is there
        second.submit(digested(shuffled(WIDTH)))
        await asyncio.sleep(BOOT)
        assert set(second.jobs) == {StageId(0, 2)}  # the one that makes what is wanted
        await until(stage.loop, heard, WIDTH)
        assert len(stage.submitted) == 3
        await stage.close(first, second)

    play(tmp_path, True, scene)
