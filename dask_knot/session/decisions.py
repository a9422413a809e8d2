"""What was decided about plans that are under way, in plain words: for the log, and for people."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from dask_knot.session.outages import tolerate

logger = logging.getLogger(__name__)

#: So many are remembered.
REMEMBERED = 100


class Decision(NamedTuple):
    """A decision: when it was made, in seconds since the epoch, and what and why."""

    when: float
    text: str


class Decisions:
    """Keeps the last decisions. They are noted in the event loop, and read in any thread.

    Parameters
    ----------
    epoch : callable
        Gives the seconds since the epoch.
    notice : callable
        Takes what people should read at once: a line.
    """

    def __init__(self, epoch: Callable[[], float], notice: Callable[[str], object]) -> None:
        self._epoch = epoch
        self._notice = notice
        self._last: deque[Decision] = deque(maxlen=REMEMBERED)

    def note(self, text: str, is_news: bool = False) -> None:
        """Note a decision, and write it into the log; tell people at once if it is news."""
        self._last.append(Decision(self._epoch(), text))
        logger.log(logging.WARNING if is_news else logging.INFO, "%s", text)
        if is_news:
            tolerate("a decision could not be shown", self._notice, text)

    def all(self) -> tuple[Decision, ...]:
        """Give those that are remembered, the oldest first."""
        return tuple(self._last.copy())  # a copy is made in one step
