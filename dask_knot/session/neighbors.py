"""The other sessions of a named run: which of them are still there.

A session of this machine is there as long as its process is. Of others we see the heartbeat only:
it changes, or it hasn't for so long, by our own clock. Clocks of two machines are never compared.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from dask_knot.errors import CorruptObjectError, MissingObjectError
from dask_knot.run.archive import Archive
from dask_knot.run.presence import Beat, Presence, SessionInfo
from dask_knot.runs.machine import runs_here

#: After so many of its own intervals without a heartbeat a session is gone.
MISSED_BEATS = 4
#: A heartbeat is read again after such a part of its interval, at most after so many seconds.
READ_AGAIN, READ_AGAIN_AFTER = 0.5, 5.0
#: The interval of a session that hasn't written any heartbeat yet, in seconds.
UNKNOWN_INTERVAL = 15.0


@dataclass(slots=True)
class _Pulse:
    """What was seen of a session, by our own clock."""

    who: SessionInfo | None = None
    beat: Beat | None = None
    read: float = float("-inf")
    changed: float = 0.0
    is_gone: bool = False
    is_new: bool = True

    @property
    def interval(self) -> float:
        """The seconds between its heartbeats, as it says."""
        return UNKNOWN_INTERVAL if self.beat is None else self.beat.interval


@dataclass(slots=True)
class Neighbors:
    """Knows which sessions of a run are there; blocks, and may be asked by several threads.

    Attributes
    ----------
    record : Archive
        Where sessions say who they are.
    own : int
        The number of our own session.
    now : callable
        Our clock, in seconds, which never goes back.
    """

    record: Archive
    own: int
    now: Callable[[], float]
    _pulses: dict[int, _Pulse] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def is_alive(self, session: int) -> bool:
        """Tell whether a session is there, as far as can be seen from here.

        Raises
        ------
        StoreError
            If the store can't be asked.
        """
        if session == self.own:
            return True
        with self._lock:
            pulse = self._pulses.setdefault(session, _Pulse())
            if not pulse.is_gone:
                self._feel(session, pulse)
            return not pulse.is_gone

    def who(self, session: int) -> SessionInfo | None:
        """Tell who a session is, if it has said so.

        Raises
        ------
        StoreError
            If the store can't be asked.
        """
        with self._lock:
            pulse = self._pulses.setdefault(session, _Pulse())
            self._ask_who(session, pulse)
            return pulse.who

    def others(self) -> list[int]:
        """Number the other sessions that are there.

        Raises
        ------
        StoreError
            If the store can't be asked.
        """
        return [
            number
            for number in self.record.list_sessions()
            if number != self.own and self.is_alive(number)
        ]

    def _feel(self, session: int, pulse: _Pulse) -> None:
        now = self.now()
        if now - pulse.read >= min(pulse.interval * READ_AGAIN, READ_AGAIN_AFTER):
            self._read_beat(session, pulse, now)
        if pulse.beat is not None and pulse.beat.state is not Presence.OPEN:
            pulse.is_gone = True
            return
        self._ask_who(session, pulse)
        here = None if pulse.who is None else runs_here(pulse.who)
        if here and pulse.who is not None and pulse.who.pid == os.getpid():
            here = None  # a session may be gone, as in a notebook, whose process is ours
        if here is not None:
            pulse.is_gone = not here
        elif pulse.who is None and pulse.beat is None:
            pulse.is_gone = True
        else:
            pulse.is_gone = now - pulse.changed > MISSED_BEATS * pulse.interval

    def _read_beat(self, session: int, pulse: _Pulse, now: float) -> None:
        try:
            beat = self.record.read_beat(session)
        except CorruptObjectError:  # it is written again
            beat = pulse.beat
        if pulse.is_new or beat != pulse.beat:
            pulse.changed = now
        pulse.beat, pulse.read, pulse.is_new = beat, now, False

    def _ask_who(self, session: int, pulse: _Pulse) -> None:
        if pulse.who is None:
            try:
                pulse.who = self.record.read_session(session)
            except (CorruptObjectError, MissingObjectError):  # its heartbeat tells
                pulse.who = None
