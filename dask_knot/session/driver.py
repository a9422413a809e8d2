"""The driver: carries out what the tracker decides, and tells it what happened."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from dask_knot.batch.service import StageJob
from dask_knot.collector import paused_collector
from dask_knot.errors import InternalError, JobStartError
from dask_knot.planning import make_plan
from dask_knot.run.manifest import Place
from dask_knot.run.names import StageId
from dask_knot.session.alarm import Alarm
from dask_knot.session.harmless import harmless
from dask_knot.session.parts import Parts
from dask_knot.session.stalls import Stuck
from dask_knot.session.trouble import Trouble
from dask_knot.session.watcher import Found
from dask_knot.tracking import actions, events

logger = logging.getLogger(__name__)
T = TypeVar("T")

Outcome = actions.FinishKey | actions.FailKey


class Driver:
    """Joins the pure tracker with the world; lives in the event loop of Dask's scheduler.

    Blocking work is done in three threads: one plans and submits, in order; one looks at jobs and
    manifests; one deletes.

    Parameters
    ----------
    parts : Parts
        What it works with.
    """

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._tell: Callable[[Sequence[Outcome]], None] = _nobody
        self.notice: Callable[[str], None] = _nobody
        self.show: Callable[[Sequence[Found]], None] = _nobody
        self._submits = ThreadPoolExecutor(1, "dask-knot-submit")
        self._looks = ThreadPoolExecutor(1, "dask-knot-watch")
        self._deletes = ThreadPoolExecutor(1, "dask-knot-delete")
        self._tasks: set[asyncio.Future[None]] = set()
        self._alarm = Alarm()
        self._terminated: set[StageId] = set()
        self._disowned: set[StageId] = set()  # to be told once, of all that happens now
        self._trouble = Trouble(parts.tempo.patience)
        self._is_closing = False

    def start(self, tell: Callable[[Sequence[Outcome]], None]) -> None:
        """Begin to watch; `tell` takes the outcomes of keys to Dask."""
        self._tell = tell
        for pool in (self._submits, self._looks, self._deletes):
            pool.submit(_nobody, None)  # while Python 3.12 ends, it starts no thread to close with
        self._background(self._watch_on())

    def handle(self, happened: Iterable[events.Event]) -> None:
        """Tell the tracker what happened, and do what it decides; nothing any more once closed."""
        if self._is_closing:
            return
        outcomes: list[Outcome] = []
        now = time.monotonic()
        for event in happened:
            try:
                decided = self.parts.tracker.handle(event, now)
            except Exception as error:
                decided = self._give_up(error, event)
            outcomes += self._carry_out(decided)
        if outcomes:
            self._tell(outcomes)
        self._alarm.ring()

    async def close(self) -> None:
        """Stop: nothing more is planned, submitted or told. Threads and jobs end by `Assembly`."""
        self._is_closing = self.parts.service.is_closed = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop_submitting(self) -> None:
        """Wait for what is just being submitted; blocks."""
        self._is_closing = self.parts.service.is_closed = True
        self.parts.store.hurry()
        self._submits.shutdown(cancel_futures=True)

    def shut_down(self) -> None:
        """End all threads; blocks."""
        self._looks.shutdown(cancel_futures=True)
        self._deletes.shutdown(cancel_futures=True)
        self.parts.watcher.close()
        self.parts.values.close()

    def _carry_out(self, decided: Iterable[actions.Action]) -> list[Outcome]:
        """Do what the tracker decided; give the outcomes, which are for Dask."""
        outcomes: list[Outcome] = []
        for action in decided:
            if isinstance(action, actions.FinishKey | actions.FailKey):
                outcomes.append(action)
            else:
                self._do(action)
        return outcomes

    def _do(self, action: actions.Action) -> None:
        if isinstance(action, actions.MakePlan):
            self._background(self._make_plan(action))
        elif isinstance(action, actions.SubmitPlan):
            self._background(self._submit_plan(action))
        elif isinstance(action, actions.TerminateStage):
            self._background(self._terminate_stage(action.stage))
        elif isinstance(action, actions.DeleteObjects):
            self._background(self._delete_objects(action.names))
        elif isinstance(action, actions.Admit):
            _admit(action.error)
        elif isinstance(action, actions.WriteAgain):
            write_again = self.parts.submitter.write_again
            self._background(self._in(self._submits, write_again, action.names))
        elif isinstance(action, actions.DisownShards) and action.stage not in self._disowned:
            self._disowned.add(action.stage)
            self._background(self._disown(action.stage))

    async def _make_plan(self, action: actions.MakePlan) -> None:
        try:
            plan = await self._in(self._submits, paused_collector()(make_plan), action.request)
            for reason in plan.reasons:
                logger.debug("plan %d: %s", action.number, reason)
            event: events.Event = events.PlanMade(action.number, plan)
        except Exception as error:
            logger.debug("plan %d failed", action.number, exc_info=True)
            event = events.PlanningFailed(action.number, InternalError.of(error))
        self.handle([event])

    async def _submit_plan(self, action: actions.SubmitPlan) -> None:
        @paused_collector()
        def submit() -> list[events.Event]:
            return list(self.parts.submitter.submit(action))

        try:
            failed = await self._in(self._submits, submit)
        except Exception as error:  # a mistake of ours must not leave futures pending
            logger.exception("plan %d could not be submitted", action.number)
            ids = [StageId(action.number, n) for n in range(len(action.plan.stages))]
            failed = [events.SubmissionFailed(id, InternalError.of(error)) for id in ids]
        self.handle(failed)

    async def _terminate_stage(self, id: StageId) -> None:
        # Behind the submission of the stage, which may still be under way.
        await self._in(self._submits, self._terminate, [id], _UNNEEDED)
        if id in self.parts.service.jobs:
            self._terminated.add(id)
            self._alarm.ring()  # nothing else may run, and so nobody look

    def _terminate(self, stages: Sequence[StageId], reason: str) -> None:
        harmless("jobs could not be terminated", self.parts.service.terminate, stages, reason)

    async def _disown(self, id: StageId) -> None:
        self._disowned.discard(id)
        if shards := self.parts.tracker.unneeded_shards(id):
            await self._in(self._deletes, harmless, _UNTOLD, self.parts.submitter.disown, shards)

    async def _delete_objects(self, names: Sequence[str]) -> None:
        try:
            # Behind submissions that are under way: a pack that isn't written yet would stay.
            names = await self._in(self._submits, self.parts.submitter.release, names)
            await self._in(self._deletes, self._delete, names)
        except Exception as error:  # no future depends on it
            logger.warning("objects could not be deleted: %s", error)

    def _delete(self, names: Sequence[str]) -> None:
        self.parts.values.forget(names)
        self.parts.store.delete(names)

    async def _watch_on(self) -> None:
        """Watch until the end; a mistake ends what waits, not the watching."""
        while not self._is_closing:
            try:
                await self._watch()
            except Exception as error:
                self._answer_for(error)
            await asyncio.sleep(self.parts.tempo.poll_slowest)

    async def _watch(self) -> None:
        tempo, delay = self.parts.tempo, self.parts.tempo.poll_fastest
        while not self._is_closing:
            await self._wait(delay)
            delay = tempo.poll_fastest if await self._look() else delay * 1.3
            delay = min(delay, tempo.poll_slowest)
            await self._in(self._looks, self.parts.lingering.end, time.monotonic())
            if self._trouble.is_present:
                delay = min(1.0, tempo.patience / 5)
            self.handle([events.Ticked()])

    async def _wait(self, delay: float) -> None:
        """Sleep until the next look or the next plan is due; for ever while there is neither."""
        start = time.monotonic()
        while True:
            look = start + delay if self._watched() else None
            dues = (look, self.parts.tracker.due(), self.parts.lingering.due())
            ends = [due for due in dues if due is not None]
            if not await self._alarm.sleep(min(ends) - time.monotonic() if ends else None):
                return

    def _watched(self) -> list[StageId]:
        return sorted({*self.parts.tracker.open_stages(), *self._terminated})

    async def _look(self) -> bool:
        """Look at all open stages once; tell whether anything changed."""
        jobs = self.parts.service.jobs
        self._forget(jobs)
        stages = [id for id in self._watched() if id in jobs]
        if not stages:
            return False
        try:
            found, over = await self._in(self._looks, self.parts.watcher.look, stages)
            self._trouble.end()
            harmless("it could not be shown", self.show, found)  # first: who waits looks at once
            self.handle(found)
            self.parts.lingering.note(found, now := time.monotonic())
            if lost := self.parts.tracker.open_shards(over):
                self.handle(await self._in(self._looks, self.parts.watcher.lost, lost))
            for stuck in await self._in(self._looks, self.parts.stuck.look, stages, now):
                self._take_stuck(stuck)
        except Exception as error:  # the network, the store or Batch is away for a while
            told = self._trouble.endure(error, time.monotonic())
            if told is not None:
                self.handle([events.SubmissionFailed(id, told) for id in stages])
                for id in stages:  # they may run, and nobody waits for them any more
                    self._do(actions.TerminateStage(id))
            return False
        return bool(found or lost)

    def _take_stuck(self, stuck: Stuck) -> None:
        """Say why jobs wait; those that can never run fail, here and at Batch."""
        message = f"job {stuck.job_id} waits: {stuck.words}"
        logger.warning("%s", message)
        harmless("this could not be shown", self.notice, message)
        if stuck.is_hopeless:
            error = JobStartError(f"job {stuck.job_id} can't run: {stuck.words}", stuck.job_id)
            shards = self.parts.tracker.open_shards([stuck.stage])
            self.handle(events.ChildFailed(id, events.Ending.NOT_STARTED, error) for id in shards)
            self._terminated.add(stuck.stage)
            self._background(self._in(self._looks, self._terminate, [stuck.stage], _HOPELESS))

    def _forget(self, jobs: Mapping[StageId, StageJob]) -> None:
        """Let go of stages that were terminated and are over, and of jobs of long ago."""
        self._terminated -= {id for id in self._terminated if id not in jobs or jobs[id].is_over}
        needed = {*self.parts.tracker.state.stages, *self._terminated}
        self.parts.service.prune(needed | self.parts.lingering.stages)

    def read_failure(self, place: Place) -> memoryview:
        """Give the bytes of a failure; it nearly always is in a manifest that was just read."""
        return self.parts.values.read(place)

    async def _in(self, pool: ThreadPoolExecutor, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, call, *arguments)

    def _background(self, work: Coroutine[Any, Any, None]) -> None:
        if self._is_closing:
            work.close()
            return
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)

    def _note_end(self, task: asyncio.Future[None]) -> None:
        """Let no future wait for ever when the driver itself has a fault."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._answer_for(error)

    def _answer_for(self, error: BaseException) -> None:
        """Let nobody wait for what a mistake of ours has ended, while there is somebody."""
        if not self._is_closing and (outcomes := self._carry_out(self._give_up(error))):
            self._tell(outcomes)

    def _give_up(self, error: BaseException, event: Any = None) -> list[actions.Action]:
        """Err all that has no outcome: nobody knows what else is wrong, or who would answer."""
        _admit(error)
        return self.parts.tracker.give_up(InternalError.of(error), event)


def _admit(error: BaseException) -> None:
    logger.critical("dask_knot made a mistake, please report it", exc_info=error)


_UNNEEDED = "nobody needs its results any more"
_UNTOLD = "jobs that nobody needs could not be told"
_HOPELESS = "it can never run here"


def _nobody(what: object) -> None:
    """Take what is said before anybody is there to hear it."""
