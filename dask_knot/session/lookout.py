"""The lookout: sees what becomes of jobs, and tells the driver."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from dask_knot.batch.service import JobService, StageJob
from dask_knot.errors import JobStartError
from dask_knot.run.names import StageId
from dask_knot.session.driver import Driver, Hooks
from dask_knot.session.outages import Outage, tolerate
from dask_knot.session.overstays import OverstayWatch
from dask_knot.session.stalls import Stall, StallWatch
from dask_knot.session.watcher import Watcher
from dask_knot.settings.settings import Tempo
from dask_knot.tracking import actions, events
from dask_knot.tracking.tracker import Tracker

logger = logging.getLogger(__name__)


class Lookout:
    """Looks at all open stages, at a pace that slows down while nothing happens.

    All that blocks is done by the driver's executor for looking; what is found is handled in the
    event loop, between two looks.

    Parameters
    ----------
    driver : Driver
        Takes what happened; has clock, alarm and executors.
    tracker : Tracker
        Knows what is open.
    service : JobService
        Knows the jobs.
    watcher : Watcher
        Reads the store and Batch.
    tempo : Tempo
        How often to look, and for how long to bear an outage.
    hooks : Hooks
        Whom to tell what people should see.
    """

    def __init__(
        self,
        driver: Driver,
        tracker: Tracker,
        service: JobService,
        watcher: Watcher,
        tempo: Tempo,
        hooks: Hooks,
    ) -> None:
        self._driver = driver
        self._tracker = tracker
        self._service = service
        self._watcher = watcher
        self._tempo = tempo
        self._hooks = hooks
        self._stalls = StallWatch(service, tempo.stuck_after)
        self._overstays = OverstayWatch(service)
        self._outage = Outage(tempo.patience)

    async def watch(self) -> None:
        """Watch until the end; a mistake ends what waits, not the watching."""
        while not self._driver.is_closing:
            try:
                await self._watch()
            except Exception as error:
                self._driver.answer_for(error)
            await self._driver.clockwork.sleep(self._tempo.poll_slowest)

    async def _watch(self) -> None:
        tempo, delay = self._tempo, self._tempo.poll_fastest
        while not self._driver.is_closing:
            await self._wait(delay)
            delay = tempo.poll_fastest if await self._look() else delay * 1.3
            delay = min(delay, tempo.poll_slowest)
            await self._beside(self._overstays.end, self._now())
            if self._outage.is_present:
                delay = min(1.0, tempo.patience / 5)
            self._driver.handle([events.Ticked()])

    async def _wait(self, delay: float) -> None:
        """Sleep until the next look or the next plan is due; for ever while there is neither."""
        start = self._now()
        while True:
            look = start + delay if self._watched() else None
            dues = (look, self._tracker.due(), self._overstays.due())
            ends = [due for due in dues if due is not None]
            if not await self._driver.alarm.sleep(min(ends) - self._now() if ends else None):
                return

    def _watched(self) -> list[StageId]:
        return sorted({*self._tracker.open_stages(), *self._driver.terminated})

    async def _look(self) -> bool:
        """Look at all open stages once; tell whether anything changed."""
        jobs = self._service.jobs
        self._forget(jobs)
        stages = [id for id in self._watched() if id in jobs]
        if not stages:
            return False
        try:
            found, over = await self._beside(self._watcher.look, stages)
            self._outage.end()
            tolerate("it could not be shown", self._hooks.found, found)  # first: who waits looks
            self._driver.handle(found)
            self._overstays.note(found, now := self._now())
            if lost := self._tracker.open_shards(over):
                self._driver.handle(await self._beside(self._watcher.lost, lost))
            for stall in await self._beside(self._stalls.look, stages, now):
                self._take_stall(stall)
        except Exception as error:  # the network, the store or Batch is away for a while
            self._endure(error, stages)
            return False
        return bool(found or lost)

    def _endure(self, error: Exception, stages: Sequence[StageId]) -> None:
        told = self._outage.endure(error, self._now())
        if told is not None:
            self._driver.handle([events.SubmissionFailed(id, told) for id in stages])
            for id in stages:  # they may run, and nobody waits for them any more
                self._driver.terminate_stage(actions.TerminateStage(id))

    def _take_stall(self, stall: Stall) -> None:
        """Say why jobs wait; those that can never run fail, here and at Batch."""
        message = f"job {stall.job_id} waits: {stall.words}"
        logger.warning("%s", message)
        tolerate("this could not be shown", self._hooks.notice, message)
        if stall.is_hopeless:
            error = JobStartError(f"job {stall.job_id} can't run: {stall.words}", stall.job_id)
            shards = self._tracker.open_shards([stall.stage])
            ending = events.Ending.NOT_STARTED
            self._driver.handle(events.ChildFailed(id, ending, error) for id in shards)
            self._driver.terminated.add(stall.stage)
            end = self._beside(self._driver.terminate, [stall.stage], _HOPELESS)
            self._driver.background(end)

    def _forget(self, jobs: Mapping[StageId, StageJob]) -> None:
        """Let go of stages that were terminated and are over, and of jobs of long ago."""
        terminated = self._driver.terminated
        terminated -= {id for id in terminated if id not in jobs or jobs[id].is_over}
        needed = self._tracker.known_stages() | terminated
        self._service.prune(needed | self._overstays.stages)

    def _now(self) -> float:
        return self._driver.clockwork.now()

    async def _beside(self, call: Any, *arguments: Any) -> Any:
        return await self._driver.clockwork.run_in(self._driver.looks, call, *arguments)


_HOPELESS = "it can never run here"
