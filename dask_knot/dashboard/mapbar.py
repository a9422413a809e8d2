"""The bar of a map on the terminal, or below a notebook's cell, while somebody waits for it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from dask_knot.dashboard.bar import Speed, Standing, bar, summary
from dask_knot.dashboard.terminal import Terminal, is_awaited, terminal

#: Seconds between two looks, at least, and so many times as long as the last one took.
PAUSE, LEISURE = 0.25, 20
#: What is over sooner than after so many seconds has no bar.
AFTER = 0.5
#: The bar stays for so many seconds while nobody waits: who goes through results as they come waits
#: again and again.
STAYS = 2.0


class MapBar:
    """Shows one map.

    All but the words is done in one event loop, that of who watches the map.

    Parameters
    ----------
    look : callable
        Gives its standing now; it must be quick.
    shared : Terminal
        Where it is shown.
    """

    def __init__(self, look: Callable[[], Standing], shared: Terminal = terminal) -> None:
        self._look = look
        self._terminal = shared
        self._start = time.monotonic()
        self._speed = Speed(self._start)
        self._awaited = -STAYS  # when somebody was seen waiting
        self._was_shown = False
        self._task: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Begin to look, in the event loop that is running."""
        self._terminal.open(self)
        self._task = asyncio.ensure_future(self._run())

    def close(self, is_done: bool = True) -> None:
        """Look no more; of a map that is done, and was seen moving, a line stays that sums it up.

        Call it before others learn of the end: what they print should stand below.
        """
        if self._task is None:
            return
        self._task.cancel()
        self._task = None
        if is_done and self._was_shown:
            age = time.monotonic() - self._start
            self._terminal.leave(self, summary(self._look(), age))
        self._terminal.close(self)

    def words(self, now: float) -> str:
        """Draw the bar of this moment; nothing too early, or if nobody waits."""
        standing = self._look()
        self._speed.note(standing.ended, now)
        if is_awaited():
            self._awaited = now
        if now - self._start < AFTER or now - self._awaited >= STAYS:
            return ""
        rate = self._speed.a_second(standing.ended, now)
        columns, is_plain = self._terminal.columns, self._terminal.is_plain
        return bar(standing, rate, now - self._start, columns, is_plain)

    async def _run(self) -> None:
        shown, took = "", 0.0
        with suppress(asyncio.CancelledError):
            while True:
                await asyncio.sleep(max(PAUSE, LEISURE * took))
                start = time.monotonic()
                text = self.words(start)
                took = time.monotonic() - start
                if text != shown:
                    shown, self._was_shown = text, True
                    # A terminal may be stopped, and then takes nothing.
                    await asyncio.to_thread(self._terminal.show, self, text)
