"""The heartbeat of a session of a named run: others see by it that the session is there."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from dask_knot.batch.endings import ENDED_RUN
from dask_knot.errors import JobTerminatedError, KnotError, RunDeletedError
from dask_knot.run.archive import Archive
from dask_knot.run.presence import Beat, Presence, RunEnd
from dask_knot.session.clockwork import Clockwork
from dask_knot.session.outages import tolerate

logger = logging.getLogger(__name__)

#: Seconds between heartbeats where jobs are processes or containers here, and where each of the
#: three requests that one takes costs money.
INTERVAL, INTERVAL_OF_JOBS_THAT_STAY = 2.0, 15.0


@dataclass(slots=True)
class Heart:
    """Beats as long as the session holds the run, and notices what ends it for all of its sessions.

    Trouble of the store never ends it: whoever doesn't see a beat waits for the next one.

    Parameters
    ----------
    record : Archive
        Where it says that the session is there; without patience.
    own : int
        The number of the session.
    interval : float
        Seconds from beat to beat.
    clockwork : Clockwork
        Clock and threads.
    end : callable
        Ends what waits, with an error: the run was deleted, or somebody ended its jobs.
    look_after : callable
        What else is looked after now and then; blocks.
    """

    record: Archive
    own: int
    interval: float
    clockwork: Clockwork
    end: Callable[[KnotError], None]
    look_after: Callable[[], None]
    _beats: Executor = field(init=False)
    _count: int = 0
    _is_deleted: bool = False
    _last_end: RunEnd | None = None
    _has_seen_ends: bool = False

    def __post_init__(self) -> None:
        self._beats = self.clockwork.executor("heart", 1)

    async def beat_on(self) -> None:
        """Beat until cancelled, or the run is deleted."""
        while not self._is_deleted:
            error = await self.clockwork.run_in(self._beats, self._beat)
            if error is not None:
                self.end(error)
            await self.clockwork.sleep(self.interval)

    async def look_for_end(self) -> bool:
        """Tell whether somebody has just ended the run: then what waits errs."""
        error = await self.clockwork.run_in(self._beats, self._look_for_end)
        if error is not None:
            self.end(error)
        return error is not None

    def leave(self) -> None:
        """Say that the session holds the run no longer; blocks, once no more beats may come."""
        self._beats.shutdown(cancel_futures=True)
        if not self._is_deleted:
            self._write(Presence.LEFT)

    def _beat(self) -> KnotError | None:
        if (error := self._write(Presence.OPEN)) is not None:
            self._is_deleted = True
            return error
        tolerate("jobs that nobody needs could not be stopped", self.look_after)
        return self._look_for_end()

    def _write(self, state: Presence) -> RunDeletedError | None:
        try:
            self.record.beat(self.own, Beat(self._count, state, self.interval))
            self._count += 1
        except RunDeletedError as error:
            return error
        except Exception as error:  # the next one may come through
            logger.debug("heartbeat %d of session %d failed: %s", self._count, self.own, error)
        return None

    def _look_for_end(self) -> KnotError | None:
        try:
            found = self.record.read_end()
        except Exception as error:
            logger.debug("the run can't be read: %s", error)
            return None
        is_news = self._has_seen_ends and found != self._last_end
        self._last_end, self._has_seen_ends = found, True
        if not is_news or found is None:
            return None
        return JobTerminatedError(
            f"{ENDED_RUN} by {found.by}; submit again if that wasn't intended"
        )
