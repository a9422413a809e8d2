"""Bars of maps on the terminal, or below a notebook's cell, while somebody waits for them."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from dask_knot.batch.rules import JobStatus
from dask_knot.dashboard.bar import Speed, Standing, bar, summary
from dask_knot.dashboard.signs import open_children
from dask_knot.dashboard.terminal import Terminal, is_awaited, terminal
from dask_knot.plural import many
from dask_knot.prices.money import UNKNOWN
from dask_knot.session.session import Session

#: Seconds between two looks, at least, and so many times as long as the last one took.
PAUSE, LEISURE = 0.25, 20
#: What is over sooner than after so many seconds has no bar.
AFTER = 0.5
#: A bar stays for so many seconds while nobody waits: who goes through results as they come waits
#: again and again.
STAYS = 2.0


class Counted(Protocol):
    """A map in numbers."""

    @property
    def done(self) -> int:
        """Items that have a value."""

    @property
    def failed(self) -> int:
        """Items that have none."""

    @property
    def total(self) -> int:
        """All items, as far as they were read."""

    @property
    def is_reading(self) -> bool:
        """Whether there may be more."""


@dataclass(slots=True)
class _Shown:
    """A map that is under way."""

    counts: Callable[[], Counted]
    start: float
    speed: Speed
    has_moved: bool = False  # on the screen


class MapBars:
    """Shows the maps of one session: the bar of the oldest, and how many others there are.

    Parameters
    ----------
    session : Session
        Knows the jobs, and what they cost.
    loop : AbstractEventLoop
        Where they are looked at.
    shared : Terminal
        Where they are shown.
    """

    def __init__(
        self, session: Session, loop: asyncio.AbstractEventLoop, shared: Terminal = terminal
    ) -> None:
        self._session = session
        self._loop = loop
        self._terminal = shared
        self._lock = threading.Lock()
        self._maps: dict[str, _Shown] = {}
        self._awaited = 0.0  # when somebody was seen waiting
        self._text = ""
        self._is_ticking = False

    def begin(self, name: str, counts: Callable[[], Counted]) -> None:
        """Show a map from now on, from any thread.

        Parameters
        ----------
        name : str
            Its name.
        counts : callable
            Counts its items; it must be quick.
        """
        now = time.monotonic()
        with self._lock:
            if not self._maps:
                self._terminal.open(self)
            self._maps[name] = _Shown(counts, now, Speed(now))
        with suppress(RuntimeError):  # the loop has ended: the session is closed
            self._loop.call_soon_threadsafe(self._start_ticking)

    def end(self, name: str, is_done: bool = True) -> None:
        """Show a map no more, from any thread; of one that is done, and was seen, a line stays.

        Call it before others learn of the end: what they print should stand below that line.
        """
        with self._lock:
            shown = self._maps.pop(name, None)
            if shown is None:
                return
            if is_done and shown.has_moved:
                text = summary(self._standing(name, shown), time.monotonic() - shown.start)
                self._terminal.leave(self, text)
            if not self._maps:
                self._terminal.close(self)

    def words(self, now: float) -> str:
        """Say how far the oldest map is; nothing too early, or if nobody waits."""
        with self._lock:
            maps = list(self._maps.items())
        if is_awaited():
            self._awaited = now
        if not maps:
            return ""
        for _, shown in maps:
            counts = shown.counts()
            is_young = now - shown.start < AFTER  # what is there so soon was there before
            note = shown.speed.begin if is_young else shown.speed.note
            note(counts.done + counts.failed, now)
        name, first = maps[0]
        if now - first.start < AFTER or now - self._awaited >= STAYS:
            return ""
        first.has_moved = True
        more = f" and {many('map', len(maps) - 1)} more" if len(maps) > 1 else ""
        standing, seconds = self._standing(name, first), now - first.start
        rate = first.speed.a_second(standing.ended, now)
        columns = self._terminal.columns - len(more)
        return bar(standing, rate, seconds, columns, self._terminal.is_plain) + more

    def _standing(self, name: str, shown: _Shown) -> Standing:
        counts, children = shown.counts(), open_children(self._session)
        return Standing(
            name,
            counts.done,
            counts.failed,
            counts.total,
            counts.is_reading,
            children[JobStatus.RUNNING.value],
            children[JobStatus.RUNNABLE.value],
            _priced(self._session.spending.words()),
        )

    def _start_ticking(self) -> None:
        if not self._is_ticking:
            self._is_ticking = True
            self._loop.call_later(PAUSE, self._tick)

    def _tick(self) -> None:
        start = time.monotonic()
        text = self.words(start)
        if text != self._text:
            self._text = text
            # A terminal may be stopped, and then takes nothing.
            self._loop.run_in_executor(None, self._terminal.show, self, text)
        took = time.monotonic() - start
        self._is_ticking = bool(self._maps)
        if self._is_ticking:
            self._loop.call_later(max(PAUSE, LEISURE * took), self._tick)


def _priced(words: str) -> str:
    """Say of a sum that isn't known what isn't."""
    return f"cost {words}" if words == str(UNKNOWN) else words
