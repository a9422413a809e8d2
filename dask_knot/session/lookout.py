"""The lookout: sees what becomes of jobs, and tells the driver."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dask_knot.batch.endings import HOPELESS, UNWATCHED
from dask_knot.batch.service import StageJob
from dask_knot.errors import JobStartError
from dask_knot.plural import many
from dask_knot.run.names import StageId
from dask_knot.session.clockwork import Alarm, Clockwork
from dask_knot.session.driver import Driver
from dask_knot.session.hooks import Hooks, nothing
from dask_knot.session.neighbors import Neighbors
from dask_knot.session.outages import AT_FIRST, Outage, tolerate, words_of_end
from dask_knot.session.overstays import OverstayWatch
from dask_knot.session.purse import Purse
from dask_knot.session.stalls import Stall, StallWatch
from dask_knot.session.starts import StartWatch
from dask_knot.session.watcher import Watcher
from dask_knot.settings.settings import Settings
from dask_knot.tracking import events
from dask_knot.tracking.tracker import Tracker

logger = logging.getLogger(__name__)


class Lookout:
    """Looks at all open stages, at a pace that slows down while nothing happens.

    All that blocks is done by an executor of its own; what is found is handled in the event loop,
    between two looks.

    Parameters
    ----------
    driver : Driver
        Takes what happened.
    tracker : Tracker
        Knows what is open.
    watcher : Watcher
        Reads the store and Batch.
    settings : Settings
        How often to look, for how long to bear what may not pass, and when to give up jobs that
        don't start.
    hooks : Hooks
        Whom to tell what people should see; it is told what has changed.
    clockwork : Clockwork
        Clock and threads.
    """

    def __init__(
        self,
        driver: Driver,
        tracker: Tracker,
        watcher: Watcher,
        settings: Settings,
        hooks: Hooks,
        clockwork: Clockwork,
    ) -> None:
        self._driver = driver
        self._tracker = tracker
        self._service = service = watcher.service
        self._watcher = watcher
        self._tempo = tempo = settings.tempo
        self._is_named = settings.is_named
        self._hooks = hooks
        self._stalls = StallWatch(service, tempo.stuck_after, settings.start_timeout)
        self._overstays = OverstayWatch(service)
        self._starts = StartWatch()
        self.neighbors: Neighbors | None = None  # in a named run
        self.purse: Purse | None = None
        self._outage = Outage(tempo.patience)
        self._clockwork = clockwork
        self._looks = clockwork.executor("watch", 1)
        self._alarm = Alarm(clockwork)
        self._has_rung = False  # a manifest has appeared since the last look
        self._calm_until = float("-inf")  # what rings then waits a moment: more of it may come
        hooks.changed = self._alarm.ring

    def start(self) -> None:
        """Begin to watch."""
        self._looks.submit(nothing)  # while Python 3.12 ends, it starts no thread to close with
        self._driver.background(self._watch_on())

    def close(self) -> None:
        """End all threads that look; blocks."""
        self._looks.shutdown(cancel_futures=True)
        self._watcher.close()

    @contextmanager
    def _listening(self) -> Iterator[None]:
        """Hear of manifests as they appear, where the store and the system can tell."""
        listen = self._clockwork.listen
        bell = None if listen is None else self._watcher.open_doorbell()
        if listen is None or bell is None:
            yield
            return

        def hear() -> None:
            if bell.hear():
                self._has_rung = True
                self._alarm.ring()

        end = listen(bell.descriptor, hear)
        try:
            yield
        finally:  # in this order: another file may soon have the number of the descriptor
            end()
            bell.close()

    async def _watch_on(self) -> None:
        """Watch until the end; a mistake ends what waits, not the watching."""
        with self._listening():
            await self._watch_forever()

    async def _watch_forever(self) -> None:
        while not self._driver.is_closing:
            try:
                await self._watch()
            except Exception as error:
                self._driver.answer_for(error)
            await self._clockwork.sleep(self._tempo.poll_slowest)

    async def _watch(self) -> None:
        tempo, delay = self._tempo, self._tempo.poll_fastest
        while not self._driver.is_closing:
            await self._wait(delay)
            delay = tempo.poll_fastest if await self._look() else delay * 1.3
            delay = min(delay, tempo.poll_slowest)
            await self._beside(self._overstays.end, self._now())
            if self._outage.is_present:
                is_new = self._outage.age(self._now()) < AT_FIRST
                delay = min(1.0, tempo.patience / 5) if is_new else max(1.0, tempo.poll_slowest)
            # Asked each time, just before: what others wait for must not be taken back.
            is_alone = self._tracker.is_mending(self._now()) and (
                self.neighbors is None or await self._beside(self._is_alone)
            )
            self._driver.handle([events.Ticked(is_alone)])

    async def _wait(self, delay: float) -> None:
        """Sleep until the next look or the next plan is due; for ever while there is neither."""
        start = self._now()
        while True:
            look = self._next_look(start, delay) if self._watched() else None
            dues = (look, self._tracker.due(), self._overstays.due())
            ends = [due for due in dues if due is not None]
            if not await self._alarm.sleep(min(ends) - self._now() if ends else None):
                return

    def _next_look(self, start: float, delay: float) -> float:
        """Tell when to look: at once if a manifest has appeared, but not for each of many."""
        return min(start + delay, max(start, self._calm_until) if self._has_rung else start + delay)

    def _watched(self) -> list[StageId]:
        return sorted({*self._tracker.open_stages(), *self._driver.terminated})

    async def _look(self) -> bool:
        """Look at all open stages once; tell whether anything changed."""
        if self._has_rung:
            self._has_rung, self._calm_until = False, self._now() + self._tempo.poll_fastest
        jobs = self._service.jobs
        self._forget(jobs)
        stages = [id for id in self._watched() if id in jobs]
        if not stages:
            return False
        try:
            found, over = await self._beside(self._watcher.look, stages)
            now = self._now()
            tolerate("it could not be shown", self._hooks.found, found)  # first: who waits looks
            started = self._starts.look({id: jobs[id] for id in stages})
            self._driver.handle([*found, *started])
            self._overstays.note(found, now)
            if self.purse is not None and (overdraft := self.purse.overdraft()) is not None:
                self._say(str(overdraft))
                self._driver.end_all(overdraft)
            adoption = self._driver.adoption
            if lost := self._tracker.open_shards(over):
                failed = await self._beside(self._watcher.lost, lost)
                if adoption is None or not await adoption.has_ended(failed):
                    self._driver.handle(failed)
            if adoption is not None:
                self._driver.handle(adoption.settled(stages))
            for stall in await self._beside(self._stalls.look, stages, now):
                self._take_stall(stall)
            if (lasted := self._outage.end(now)) is not None:
                self._say(words_of_end(lasted, f"{many('result', _count(found))} collected"))
        except Exception as error:  # the network, the store or Batch is away for a while
            if not self._driver.is_closing:  # else it is this session that goes
                self._endure(error, stages)
            return False
        return bool(found or lost)

    def _endure(self, error: Exception, stages: Sequence[StageId]) -> None:
        jobs, now = self._service.jobs, self._now()
        are_over = all(jobs[id].is_over for id in stages if id in jobs)
        told = self._outage.endure(error, now, are_over)
        if told is None and self._outage.should_tell(error, now):
            self._say(self._outage.words(_NOT_WATCHED, error, self._clockwork.epoch()))
        if told is not None:
            self._driver.handle([events.SubmissionFailed(id, told) for id in stages])
            # They may run, and nobody waits for them any more, but in a run that outlives us.
            for id in () if self._is_named else stages:
                self._driver.terminate(id, UNWATCHED)

    def _is_alone(self) -> bool:
        """Tell whether nobody else waits for what runs: what can't be found out isn't so."""
        try:
            return self.neighbors is None or not self.neighbors.others()
        except Exception as error:  # the store is away: it is told when jobs are looked at
            logger.debug("other sessions can't be looked for: %s", error)
            return False

    def _take_stall(self, stall: Stall) -> None:
        """Say why jobs wait; those that can never run fail, here and at Batch."""
        message = f"job {stall.job_id} waits: {stall.words}"
        self._say(message)
        if stall.is_hopeless:
            error = JobStartError(f"job {stall.job_id} can't run: {stall.words}", stall.job_id)
            shards = self._tracker.open_shards([stall.stage])
            ending = events.Ending.NOT_STARTED
            self._driver.handle(events.ChildFailed(id, ending, error) for id in shards)
            self._driver.terminate(stall.stage, HOPELESS)

    def _say(self, line: str) -> None:
        """Say something where people look."""
        logger.warning("%s", line)
        tolerate("this could not be shown", self._hooks.notice, line)

    def _forget(self, jobs: Mapping[StageId, StageJob]) -> None:
        """Let go of stages that were terminated and are over, and of jobs of long ago."""
        terminated = self._driver.terminated
        over = {id for id in terminated if id not in jobs or jobs[id].is_over}
        self._driver.forget_terminated(over)
        needed = self._tracker.known_stages() | (terminated - over)
        self._service.prune(needed | self._overstays.stages)

    def _now(self) -> float:
        return self._clockwork.now()

    async def _beside(self, call: Any, *arguments: Any) -> Any:
        return await self._clockwork.run_in(self._looks, call, *arguments)


def _count(found: Sequence[object]) -> int:
    """Count the values in what was found."""
    final = (one.manifest for one in found if isinstance(one, events.ManifestFound))
    return sum(len(manifest.outputs) for manifest in final if manifest.final)


_NOT_WATCHED = "jobs can't be watched at the moment, trying again"
