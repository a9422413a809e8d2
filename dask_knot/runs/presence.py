"""The sessions of a run that are there: processes of this machine, heartbeats of others."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dask_knot.errors import CorruptObjectError
from dask_knot.run.presence import Beat, Presence, SessionInfo
from dask_knot.run.run import Run
from dask_knot.runs.machine import runs_here

#: A session whose heartbeat doesn't change for so many of its intervals is gone.
MISSED = 2
#: Seconds between two looks at heartbeats.
PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Observer:
    """Tells which sessions are there; it may take as long as their heartbeats.

    Clocks of two machines are never compared: a heartbeat is seen to change, or not.

    Attributes
    ----------
    report : callable
        Told what is waited for.
    now, pause : callable
        A clock that never goes back, and what waits for so many seconds.
    """

    report: Callable[[str], object]
    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], object] = time.sleep

    def __call__(self, run: Run, sessions: Mapping[int, SessionInfo | None]) -> set[int]:
        """Name the sessions that are there.

        Raises
        ------
        StoreError
            If the store can't be asked.
        """
        alive: set[int] = set()
        beats: dict[int, Beat] = {}
        for number, who in sessions.items():
            beat = _beat(run, number)
            if beat is not None and beat.state is Presence.LEFT:
                continue
            here = None if who is None else runs_here(who)
            if here:
                alive.add(number)
            elif here is None and beat is not None:
                beats[number] = beat
        if beats:
            known = [sessions[number] for number in beats]
            hosts = ", ".join(sorted({"somewhere" if who is None else who.host for who in known}))
            self.report(f"waiting for heartbeats of run {run.name} from {hosts} …")
            alive |= self._watch(run, beats)
        return alive

    def _watch(self, run: Run, beats: Mapping[int, Beat]) -> set[int]:
        start, waiting, alive = self.now(), dict(beats), set()
        while waiting:
            self.pause(PAUSE)
            for number, beat in list(waiting.items()):
                found = _beat(run, number)
                if found is not None and found != beat:
                    del waiting[number]
                    if found.state is Presence.OPEN:
                        alive.add(number)
                elif self.now() - start > MISSED * beat.interval:
                    del waiting[number]
        return alive


def _beat(run: Run, session: int) -> Beat | None:
    try:
        return run.record.read_beat(session)
    except CorruptObjectError:  # it is written again
        return None
