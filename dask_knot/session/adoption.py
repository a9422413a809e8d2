"""Stages that another session of the run submitted, or was to: their jobs are found and watched."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field

from dask_knot.batch.jobs import StageJob
from dask_knot.batch.rules import JobStatus
from dask_knot.batch.service import JobService
from dask_knot.run.names import StageId
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.jobfinder import JobFinder
from dask_knot.session.outages import Outage
from dask_knot.tracking.actions import AdoptStage
from dask_knot.tracking.events import ChildFailed, Ending, StageFound
from dask_knot.tracking.tracker import Tracker

logger = logging.getLogger(__name__)

#: Plans whose jobs are looked for at once.
PLANS_AT_ONCE = 8
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0


@dataclass(slots=True)
class Adoption:
    """Looks for the jobs of stages that the tracker adopts, until they are known or not wanted.

    Belongs to an event loop.

    Parameters
    ----------
    finder : JobFinder
        Finds them.
    service : JobService
        Watches what was found.
    is_wanted : callable
        Whether a stage still has shards that aren't done.
    clockwork : Clockwork
        Clock and threads.
    look_for_end : callable
        Finds out whether somebody has ended the run, and then ends what waits.
    """

    finder: JobFinder
    service: JobService
    is_wanted: Callable[[StageId], bool]
    clockwork: Clockwork
    look_for_end: Callable[[], Awaitable[bool]]
    _finds: Executor = field(init=False)
    _outage: Outage = field(default_factory=lambda: Outage(0.0))
    _sought: dict[int, dict[StageId, int]] = field(default_factory=dict)
    _unsettled: set[StageId] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._finds = self.clockwork.executor("adopt", PLANS_AT_ONCE)

    def note(self, action: AdoptStage) -> bool:
        """Take up a stage; tell whether `seek` is to be called for its plan."""
        plan = action.stage.plan
        is_first = plan not in self._sought
        self._sought.setdefault(plan, {})[action.stage] = action.size
        self._unsettled.add(action.stage)
        return is_first

    async def seek(self, plan: int, found: Callable[[], None]) -> None:
        """Look for the jobs of a plan's stages that were noted; `found` is called after some."""
        pause = FIRST_PAUSE
        try:
            while sought := {id: n for id, n in self._sought[plan].items() if self.is_wanted(id)}:
                known = await self._find(plan, sought)
                noted = self._sought[plan]
                self._sought[plan] = {id: n for id, n in noted.items() if id not in known}
                if known:
                    found()
                if self._sought[plan]:
                    await self.clockwork.sleep(pause)
                    pause = min(pause * 1.5, LONGEST_PAUSE)
        finally:
            del self._sought[plan]

    def settled(self, looked_at: Collection[StageId]) -> list[StageFound]:
        """Tell of adopted stages, once, that they were looked at, and if others may wait for them.

        Parameters
        ----------
        looked_at : collection of StageId
            Stages of which what was over is told.
        """
        told = []
        for id in sorted(self._unsettled.intersection(looked_at)):
            job = self.service.jobs.get(id)
            if job is not None and (job.is_over or job.is_known or not job.is_adopted):
                told.append(StageFound(id, _is_waitable(job)))
        self._unsettled.difference_update(one.stage for one in told)
        return told

    async def has_ended(self, failed: Iterable[ChildFailed]) -> bool:
        """Tell whether jobs that left were ended with the whole run: then nothing is made anew."""
        is_doubtful = any(one.ending is Ending.LEFT for one in failed)
        return is_doubtful and await self.look_for_end()

    def is_settled(self) -> bool:
        """Tell whether all stages that are wanted were looked at."""
        return not any(map(self.is_wanted, self._unsettled))

    def close(self) -> None:
        """End all threads; blocks."""
        self._finds.shutdown(cancel_futures=True)

    async def _find(self, plan: int, sizes: Mapping[StageId, int]) -> set[StageId]:
        try:
            known: set[StageId] = await self.clockwork.run_in(
                self._finds, self.finder.find, plan, sizes
            )
        except Exception as error:  # the store, Batch or the network is away for a while
            self._outage.endure(error, now := self.clockwork.now())
            if self._outage.should_tell(error, now):
                logger.warning("can't look for the jobs of plan %d yet: %s", plan, error)
            return set()
        self._outage.end(self.clockwork.now())
        return known


def _is_waitable(job: StageJob) -> bool:
    """Tell whether Batch takes jobs behind this one, and lets them start."""
    return not (job.is_foreign or job.is_over or job.counts.get(JobStatus.FAILED))


def pauses(adoption: Adoption | None, tracker: Tracker) -> set[asyncio.Future[None]]:
    """Wait a little, if what is held may soon be planned: stages are still to be looked at."""
    if adoption is None or not tracker.is_held or adoption.is_settled():
        return set()
    return {asyncio.ensure_future(adoption.clockwork.sleep(FIRST_PAUSE))}


def say_held(tracker: Tracker) -> None:
    """Say to who leaves that something isn't submitted, if there is such."""
    if tracker.is_held:
        logger.warning(
            "tasks that read values which jobs of other clients are still computing were "
            "not submitted: run the same script again to submit them"
        )
