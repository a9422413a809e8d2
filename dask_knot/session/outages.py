"""Errors that may pass, and calls on which no future depends.

Jobs need no client: while the network, the credentials or a disk are away, they go on. So nobody
gives up on them then; what is told is that they can't be watched, and what ends that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from threading import Event
from typing import Any, TypeVar

from dask.utils import format_time

from dask_knot.errors import (
    CredentialsError,
    KnotError,
    StoreAccessError,
    StoreAwayError,
    StoreError,
    StoreGoneError,
    UnreachableError,
)
from dask_knot.session.clockwork import Clockwork

logger = logging.getLogger(__name__)
T = TypeVar("T")

#: For so many seconds an outage is taken for a short one, whose end is looked for often.
AT_FIRST = 60.0
#: Seconds between two tries, at first and later on.
OFTEN, SELDOM = 1.0, 10.0

#: Seconds after the beginning of an outage at which it is told, ...
TOLD_AFTER = (0.0, 60.0, 300.0, 900.0)
#: ... and then always after so many.
TOLD_EVERY = 3600.0
#: Trouble after a pause of so many seconds in which nobody tried is other trouble: the computer has
#: slept.
PAUSE = 60.0


#: How Python says that somebody can't be reached.
_LOST = ConnectionError | TimeoutError


def is_outage(error: Exception) -> bool:
    """Tell what time, or somebody who signs in, ends: whatever was asked for is still there."""
    return isinstance(error, CredentialsError | UnreachableError | StoreAwayError | _LOST)


def is_trouble_of_folder(error: Exception) -> bool:
    """Tell what ends when a disk is mounted again: or never, if its folder was deleted."""
    told = (StoreAwayError, StoreAccessError, StoreGoneError)
    return isinstance(error, StoreError) and not isinstance(error, told)


class Age:
    """How long something has been so, seen now and then.

    Parameters
    ----------
    pause : float
        Whoever wasn't looking for so many seconds begins anew.
    """

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._since: float | None = None
        self._last = 0.0

    def of(self, is_so: bool, now: float) -> float:
        """Note whether it is so, and give the seconds since it is."""
        if not is_so:
            self._since = None
            return 0.0
        if self._since is None or now - self._last > self._pause:
            self._since = now
        self._last = now
        return now - self._since


class Outage:
    """The network, the store or Batch is away: waited for, unless it is more than that.

    Parameters
    ----------
    patience : float
        What isn't known to pass is borne for so many seconds.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._doubt = Age(max(patience, PAUSE))
        self._since: float | None = None
        self._began = ""
        self._told = 0
        self._causes: set[type[Exception]] = set()

    @property
    def is_present(self) -> bool:
        """Whether the last try failed."""
        return self._since is not None

    def age(self, now: float) -> float:
        """Give the seconds since it began."""
        return 0.0 if self._since is None else now - self._since

    def end(self, now: float) -> float | None:
        """Note that all is well; give the seconds that it was not, if it has been told."""
        lasted = self.age(now) if self._told else None
        self._since, self._began, self._told, self._causes = None, "", 0, set()
        self._doubt.of(False, now)
        return lasted

    def endure(self, error: Exception, now: float, are_over: bool = False) -> KnotError | None:
        """Note that a try failed; give the error that is to be told when this is too much.

        A store that is gone for good is too much at once; a permission that is missing, or a
        mistake, after a while. A folder that isn't there is waited for as long as jobs go on, and
        for a while when they `are_over`: nobody knows whether it will ever be back.
        """
        if isinstance(error, StoreGoneError):
            self.end(now)
            return error
        if self._since is None:
            self._since = now
        passes = is_outage(error) or (is_trouble_of_folder(error) and not are_over)
        if self._doubt.of(not passes, now) <= self._patience:
            return None
        self.end(now)
        if isinstance(error, KnotError):
            return error
        told = KnotError(f"jobs could not be watched for {self._patience:g} s: {error}")
        told.__cause__ = error
        return told

    def should_tell(self, error: Exception, now: float) -> bool:
        """Tell whether people should hear of it now: at once, of another cause, and then seldom."""
        is_new = type(error) not in self._causes
        if not is_new and self.age(now) < _due(self._told):
            return False
        self._causes.add(type(error))
        while _due(self._told) <= self.age(now):
            self._told += 1
        return True

    def words(self, what: str, error: Exception, epoch: float) -> str:
        """Say since when something is hindered, why, and that nothing is lost meanwhile.

        Parameters
        ----------
        what : str
            Such as "jobs can't be watched, trying again".
        error : Exception
            Why; it says what to do.
        epoch : float
            Seconds since the epoch.
        """
        self._began = self._began or f"{datetime.fromtimestamp(epoch):%a %H:%M}"
        reason = str(error).rstrip(".")
        return f"{what} since {self._began}: {reason}. {_MEANWHILE}"


_MEANWHILE = "Submitted jobs keep running; their results are collected once this is over"


def _due(told: int) -> float:
    """Tell at which age an outage is told again that was told so often."""
    late = told - len(TOLD_AFTER) + 1
    return TOLD_AFTER[told] if late <= 0 else TOLD_AFTER[-1] + late * TOLD_EVERY


def words_of_end(lasted: float, news: str) -> str:
    """Say that an outage is over."""
    return f"back after {format_time(lasted)}: {news}"


class Endurance:
    """Calls again what fails because of an outage, until it works or nobody waits any more.

    For what has to be done in order, in threads of its own.

    Parameters
    ----------
    clockwork : Clockwork
        Clock, and a way to wait.
    notice : callable
        Takes a line for people, in the event loop.
    """

    def __init__(self, clockwork: Clockwork, notice: Callable[[str], object]) -> None:
        self._clockwork = clockwork
        self._notice = notice
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over = Event()

    def start(self) -> None:
        """Note the event loop in which `notice` listens."""
        self._loop = asyncio.get_running_loop()

    def end(self) -> None:
        """Wait no longer: what fails now raises."""
        self._over.set()

    def call(self, what: str, call: Callable[[], T]) -> T:
        """Call something until it works; `what` says of which hindrance people are told.

        Raises
        ------
        Exception
            What isn't an outage, or what is one when `end` has been called.
        """
        outage, clock = Outage(0.0), self._clockwork
        while True:
            try:
                found = call()
            except Exception as error:
                if self._over.is_set() or not is_outage(error):
                    raise
                now = clock.now()
                outage.endure(error, now)
                if outage.should_tell(error, now):
                    self._say(outage.words(what, error, clock.epoch()))
                wait = clock.pause or self._over.wait
                wait(OFTEN if outage.age(now) < AT_FIRST else SELDOM)
            else:
                lasted = outage.end(clock.now())
                if lasted is not None:
                    self._say(words_of_end(lasted, "it works again"))
                return found

    def _say(self, line: str) -> None:
        logger.warning("%s", line)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(tolerate, "not shown", self._notice, line)


def tolerate(failure: str, call: Callable[..., object], *arguments: Any) -> None:
    """Call something on which no future depends; if it raises, log `failure` and go on."""
    try:
        call(*arguments)
    except Exception as error:
        logger.warning("%s: %s", failure, error)
        logger.debug("%s", failure, exc_info=True)


def log_mistake(error: BaseException) -> None:
    """Write down a mistake of ours, for a report."""
    logger.critical("dask_knot made a mistake, please report it", exc_info=error)
