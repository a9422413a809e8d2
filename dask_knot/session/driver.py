"""The driver: tells the tracker what happened, and carries out what it decides."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any

from dask_knot.batch.endings import UNNEEDED
from dask_knot.collector import paused_collector
from dask_knot.errors import InternalError
from dask_knot.planning import make_plan
from dask_knot.run.names import ShardId, StageId
from dask_knot.session.adoption import Adoption, pauses
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.decisions import Decisions
from dask_knot.session.failures import Failures
from dask_knot.session.hooks import Hooks, Outcome, nobody
from dask_knot.session.outages import log_mistake
from dask_knot.session.submission import Submitter
from dask_knot.tracking import actions, events
from dask_knot.tracking.tracker import Tracker

logger = logging.getLogger(__name__)


class Driver:
    """Joins the pure tracker with the world, in one event loop.

    What blocks is done by executors: one plans and submits, in order; one deletes; one reads.

    Parameters
    ----------
    tracker : Tracker
        Decides.
    submitter : Submitter
        Puts plans into the store and jobs into the queue.
    failures : Failures
        Reads why keys erred.
    delete : callable
        Deletes objects, by name.
    hooks : Hooks
        Whom to tell.
    clockwork : Clockwork
        Clock and threads.
    """

    def __init__(
        self,
        tracker: Tracker,
        submitter: Submitter,
        failures: Failures,
        delete: Callable[[Sequence[str]], None],
        hooks: Hooks,
        clockwork: Clockwork,
    ) -> None:
        self._tracker = tracker
        self._submitter = submitter
        self._failures = failures
        self._delete = delete
        self._hooks = hooks
        self._clockwork = clockwork
        self.decisions = Decisions(clockwork.epoch, lambda line: hooks.notice(line))
        self._submits = clockwork.executor("submit", 1)
        self._deletes = clockwork.executor("delete", 1)
        self._reads = clockwork.executor("failures", 1)
        self._tasks: set[asyncio.Future[None]] = set()
        self._plans: set[asyncio.Future[None]] = set()  # being made or submitted
        self._terminated: set[StageId] = set()
        self._twins: set[ShardId] = set()  # shards that were started a second time
        self._untold: set[StageId] = set()  # to be told once, of all that happens now
        self.adoption: Adoption | None = None  # of a named run
        self.is_closing = False

    def start(self) -> None:
        """Start all threads: while Python 3.12 ends, it starts none to close with."""
        self._submitter.endurance.start()
        for executor in (self._submits, self._deletes, self._reads):
            executor.submit(nobody, None)

    @paused_collector()  # a manifest tells of thousands of keys
    def handle(self, happened: Iterable[events.Event]) -> None:
        """Tell the tracker what happened, and do what it decides; nothing any more once closed."""
        if self.is_closing:
            return
        now = self._clockwork.now()
        decided: list[actions.Action] = []
        for event in happened:
            try:
                decided += self._tracker.handle(event, now)
            except Exception as error:
                decided += self._give_up(error, event)
        self._carry_out(decided)
        self._end_twins()
        self._hooks.changed()

    def background(self, work: Coroutine[Any, Any, None]) -> asyncio.Future[None] | None:
        """Go on with something beside; what it raises ends what waits, not the driver."""
        if self.is_closing:
            work.close()
            return None
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._note_end)
        return task

    async def flush(self, is_leaving: bool) -> None:
        """Plan and submit at once what waits for that, as far as it doesn't wait for others."""
        if is_leaving:
            self._submitter.endurance.end()  # nobody waits until AWS is back
        self.handle([events.Leaving()])
        others = self.adoption, self._tracker
        while not self.is_closing and (waited := self._plans or pauses(*others)):
            await asyncio.wait(set(waited))

    async def look_up(self, scattered: events.ValuesScattered | None = None) -> None:
        """Learn what others of a named run have written, and write down what was scattered here."""
        recorder = self._submitter.recorder
        if recorder is not None:
            call = (recorder.news,) if scattered is None else (recorder.scatter, scattered)
            self.handle([events.EntriesFound(await self._in(self._submits, *call))])

    @property
    def terminated(self) -> frozenset[StageId]:
        """Stages that were terminated and may still run: nothing else may, so look at these."""
        return frozenset(self._terminated)

    def terminate(self, stage: StageId, reason: str) -> None:
        """End a stage's jobs, which may still be on their way to Batch."""
        self.background(self._terminate(stage, reason))

    def forget_terminated(self, stages: Iterable[StageId]) -> None:
        """Note that jobs which were terminated have ended."""
        self._terminated.difference_update(stages)

    async def close(self) -> None:
        """Stop: nothing more is planned, submitted or told. Threads and jobs are left."""
        self.stop()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop(self) -> None:
        """Take nothing more, and submit nothing more; in any thread, and at once."""
        self.is_closing = True
        self._submitter.close()

    def shut_down_submission(self) -> None:
        """Wait for what is just being submitted; blocks."""
        self._submits.shutdown(cancel_futures=True)

    def shut_down(self) -> None:
        """End all threads; blocks."""
        self._deletes.shutdown(cancel_futures=True)
        self._reads.shutdown(cancel_futures=True)

    def answer_for(self, error: BaseException) -> None:
        """Let nobody wait for what a mistake of ours has ended, while there is somebody."""
        if not self.is_closing:
            self._carry_out(self._give_up(error))

    def end_all(self, error: Exception) -> None:
        """Err all keys without an outcome: their run has come to an end, or the money is spent."""
        if not self.is_closing:
            self._carry_out(self._tracker.give_up(error))

    def _carry_out(self, decided: Iterable[actions.Action]) -> None:
        outcomes: list[Outcome] = []
        failed: list[actions.FailKey] = []
        mistakes: list[actions.Action] = []
        for action in decided:
            if isinstance(action, actions.FinishKey):
                outcomes.append(action)
            elif isinstance(action, actions.FailKey):
                failed.append(action)
            else:
                try:
                    _CARRY_OUT[type(action)](self, action)
                except Exception as error:  # a KeyError: nobody knows how to do that
                    mistakes += self._give_up(error)
        told, far = self._failures.at_hand(failed)
        self._tell([*outcomes, *told])
        if far:
            self.background(self._read_failures(far))
        if mistakes:
            self._carry_out(mistakes)

    async def _read_failures(self, failed: Sequence[actions.FailKey]) -> None:
        self._tell(await self._in(self._reads, self._failures.read, failed))

    def _tell(self, outcomes: Sequence[Outcome]) -> None:
        if outcomes and not self.is_closing:
            self._hooks.tell(outcomes)

    def _plan_on(self, work: Coroutine[Any, Any, None]) -> None:
        if (task := self.background(work)) is not None:
            self._plans.add(task)
            task.add_done_callback(self._plans.discard)

    async def _plan(self, action: actions.MakePlan) -> None:
        try:
            plan = await self._in(self._submits, paused_collector()(make_plan), action.request)
            for reason in plan.reasons:
                logger.debug("plan %d: %s", action.number, reason)
            made = await self._in(self._submits, self._submitter.record, action, plan)
        except Exception as error:
            logger.debug("plan %d failed", action.number, exc_info=True)
            made = [events.PlanningFailed(action.number, InternalError.of(error))]
        self.handle(made)
        self._submitter.told(action.number)

    async def _submit(self, action: actions.SubmitPlan) -> None:
        submit = paused_collector()(lambda: list(self._submitter.submit(action)))
        try:
            failed = await self._in(self._submits, submit)
        except Exception as error:  # a mistake of ours must not leave futures pending
            logger.exception("plan %d could not be submitted", action.number)
            ids = [StageId(action.number, n) for n in range(len(action.plan.stages))]
            failed = [events.SubmissionFailed(id, InternalError.of(error)) for id in ids]
        self.handle(failed)

    def _adopt_stage(self, action: actions.AdoptStage) -> None:
        assert self.adoption is not None  # only of named runs anything is adopted
        if self.adoption.note(action):
            self.background(self.adoption.seek(action.stage.plan, self._hooks.changed))

    async def _terminate(self, id: StageId, reason: str) -> None:
        await self._in(self._submits, self._submitter.terminate, [id], reason)  # once submitted
        if self._submitter.has_job(id):
            self._terminated.add(id)
            self._hooks.changed()

    def _tell_children(self, stage: StageId) -> None:
        if stage not in self._untold:
            self._untold.add(stage)
            self.background(self._write_orders(stage))

    async def _write_orders(self, id: StageId) -> None:
        self._untold.discard(id)
        orders = self._tracker.orders_of(id)
        await self._in(self._deletes, self._submitter.tell_children, id, orders)

    def _start_twin(self, shard: ShardId) -> None:
        self._twins.add(shard)
        self._behind(self._submitter.start_twin, shard)

    def _end_twins(self) -> None:
        """End the twins of shards that are over, and the children that these have overtaken."""
        for shard in [one for one in self._twins if self._tracker.opening(one) is None]:
            self._twins.discard(shard)
            self._submitter.note_overtaken(shard)
            self._behind(self._submitter.end_twin, shard)
            self._tell_children(shard.stage)

    def _delete_objects(self, action: actions.DeleteObjects) -> None:
        self.background(self._delete_behind(action.names))

    async def _delete_behind(self, names: Sequence[str]) -> None:
        try:
            # Behind submissions that are under way: a pack that isn't written yet would stay.
            names = await self._in(self._submits, self._submitter.release, names)
            await self._in(self._deletes, self._delete, names)
        except Exception as error:  # no future depends on it
            logger.warning("objects could not be deleted: %s", error)

    def _behind(self, call: Callable[..., object], *arguments: Any) -> None:
        """Do something that blocks behind all submissions that are under way."""
        self.background(self._in(self._submits, call, *arguments))

    async def _in(self, executor: Executor, call: Callable[..., Any], *arguments: Any) -> Any:
        return await self._clockwork.run_in(executor, call, *arguments)

    def _note_end(self, task: asyncio.Future[None]) -> None:
        """Let no future wait for ever when the driver itself has a fault."""
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.answer_for(error)

    def _give_up(self, error: BaseException, event: Any = None) -> list[actions.Action]:
        """Err all that has no outcome: nobody knows what else is wrong, or who would answer."""
        log_mistake(error)
        return self._tracker.give_up(InternalError.of(error), event)


#: How each action is carried out that isn't an outcome; one that isn't here is a mistake.
_CARRY_OUT: Mapping[type[Any], Callable[[Driver, Any], None]] = {
    actions.MakePlan: lambda d, a: d._plan_on(d._plan(a)),
    actions.SubmitPlan: lambda d, a: d._plan_on(d._submit(a)),
    actions.WithdrawPlan: lambda d, a: d._behind(d._submitter.withdraw, a.number, a.stages),
    actions.AdoptStage: Driver._adopt_stage,
    actions.TerminateStage: lambda d, a: d.terminate(a.stage, UNNEEDED),
    actions.TellChildren: lambda d, a: d._tell_children(a.stage),
    actions.StartTwin: lambda d, a: d._start_twin(a.shard),
    actions.Decided: lambda d, a: d.decisions.note(a.text, a.is_news),
    actions.DeleteObjects: Driver._delete_objects,
    actions.WriteAgain: lambda d, a: d._behind(d._submitter.write_again, a.names),
    actions.Admit: lambda d, a: log_mistake(a.error),
}
