"""Trouble of a store that passes: it is full, read-only or away, and a moment later it isn't.

S3 has retries of its own inside obstore; a folder has none but these.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from threading import Event, Lock
from typing import TypeVar

from dask_knot.errors import StoreError

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: Seconds for which a job, which knows no settings before it has read its pack, bears trouble.
IN_JOBS = 30.0
#: Seconds until the first try again, and between later ones at most.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0


class Patience:
    """Calls again what failed, for as long as the trouble is not older than some seconds.

    The trouble counts, not the call: when it has lasted for too long, whatever else is asked of the
    store is asked once, instead of waiting as long again. For several threads.

    Parameters
    ----------
    seconds : float
        How old trouble of one kind may be.
    clock, wait : callable, optional
        Give the time, and let some of it pass.
    """

    def __init__(
        self,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._seconds = seconds
        self._clock = clock
        self._lock = Lock()  # around the two below
        self._since: dict[str, float] = {}
        self._last: dict[str, float] = {}
        self._is_over = Event()
        self._wait = wait or self._is_over.wait

    def end(self) -> None:
        """Wait no longer: whoever waits tries once more."""
        self._is_over.set()

    def call(self, kind: str, call: Callable[[], T], may_pass: Callable[[StoreError], bool]) -> T:
        """Call something until it works.

        Parameters
        ----------
        kind : str
            What is done: a store that is full can be read all the same.
        call : callable
            What is called.
        may_pass : callable
            Whether an error may be gone a moment later.

        Raises
        ------
        StoreError
            The last one, when the trouble is too old, or when it doesn't pass.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                found = call()
            except StoreError as error:
                if not may_pass(error) or self._is_too_old(kind, error):
                    raise
            else:
                self._note_success(kind)
                return found
            self._wait(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _is_too_old(self, kind: str, error: StoreError) -> bool:
        now = self._clock()
        with self._lock:
            if now - self._last.get(kind, now) > max(self._seconds, LONGEST_PAUSE):
                self._since.pop(kind, None)  # nobody has tried for long: this is other trouble
            is_new = kind not in self._since
            since = self._since.setdefault(kind, now)
            self._last[kind] = now
        if is_new and self._seconds and not self._is_over.is_set():
            logger.warning("trying again for %g s: %s", self._seconds, error)
        return self._is_over.is_set() or now - since >= self._seconds

    def _note_success(self, kind: str) -> None:
        if self._since:
            with self._lock:
                self._since.pop(kind, None)
                self._last.pop(kind, None)


#: For what is asked again by whoever asks, or must not wait.
NONE = Patience(0.0)
