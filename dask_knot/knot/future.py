"""MapFuture: a future of all values of a map, which come one after another."""

from __future__ import annotations

import concurrent.futures
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any

from dask.typing import Key

from dask_knot.knot.landings import Landed, Landings, ReadPlaces
from dask_knot.run.frames import brief
from dask_knot.run.maps import PlaceTable
from dask_knot.session.hooks import Outcome

logger = logging.getLogger(__name__)

#: So many items of a map are under way at once: each takes about a kilobyte until it is done.
UNDER_WAY = 200_000
#: Values that are read together while somebody goes through them.
TOGETHER = 1000


@dataclass(frozen=True, slots=True)
class MapCounts:
    """How far a map is.

    Attributes
    ----------
    done, failed : int
        Items that have a value, and those whose function raised, or whose job was lost.
    total : int
        All items that were read so far.
    is_reading : bool
        There may be more.
    """

    done: int = 0
    failed: int = 0
    total: int = 0
    is_reading: bool = True


class MapFuture(concurrent.futures.Future):  # type: ignore[type-arg]
    """A future for the list of all values of a map. `Knot.map` makes it.

    Iterate over it to get each value as soon as it is there, in the order of the items. What was
    computed stays in the run, whatever happens to the future.

    Parameters
    ----------
    name : str
        The name of the map.
    read : callable
        Reads values from the store.

    Attributes
    ----------
    name : str
        The name of the map. The keys of its items begin with it.
    started : float
        When the map began, in seconds since the epoch.
    """

    def __init__(self, name: str, read: ReadPlaces) -> None:
        super().__init__()
        self.name = name
        self.started = time.time()
        self.awaiting: Callable[[], AbstractContextManager[object]] = nullcontext
        self.stopped: Callable[[MapFuture], object] = lambda future: None
        self._news = threading.Condition()
        self._landings = Landings(name, read)
        self._expected = 0
        self._is_reading = True
        self._is_over = self._is_cancelled = False
        self._broken: BaseException | None = None
        self._watchers: list[Callable[[MapFuture], object]] = []
        self._values: list[Any] | None = None

    # As other futures.

    @brief
    def result(self, timeout: float | None = None) -> list[Any]:
        """Wait for all values and return them in the order of the items.

        Parameters
        ----------
        timeout : float, optional
            How many seconds to wait at most.

        Raises
        ------
        Exception
            What the function raised for the first item that failed.
        TimeoutError
            If the values aren't there in time.
        CancelledError
            If the map was cancelled.
        ItemsError
            If reading the items raised an exception.
        """
        with self.awaiting():
            super().result(timeout)
        with self._news:
            if self._values is None:
                self._values = self._landings.values(self._expected)
            return list(self._values)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait for the map, and return the exception that `result` would raise, or None."""
        with self.awaiting():
            return super().exception(timeout)

    def running(self) -> bool:
        """Return True if the map isn't finished."""
        return not self.done()

    def cancel(self) -> bool:
        """Cancel the rest of the map, and return True unless all of it was done.

        Finished values are kept. Jobs that nobody needs any more are stopped.
        """
        if not super().cancel():
            return False
        with self._news:
            is_first, self._is_cancelled = not self._is_cancelled, True
        if is_first:
            self.set_running_or_notify_cancel()
            self._end(concurrent.futures.CancelledError())
        return True

    # As a collection.

    def __len__(self) -> int:
        """The number of items read so far."""
        return self._expected

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        count = self.counts
        done = f"{count.done + count.failed:,} of {self._expected:,}"
        state = "cancelled" if self.cancelled() else "done" if self.done() else "running"
        failed = f"{count.failed:,} failed, " if count.failed else ""
        items = "items read so far" if count.is_reading else "items"
        return f"<{type(self).__name__} {self.name}: {done} {items}, {failed}{state}>"

    def __iter__(self) -> Iterator[Any]:
        """Give the values in the order of the items, each as soon as it is there.

        Raises
        ------
        Exception
            What the function raised for an item, when it is that one's turn.
        """
        number = 0
        while True:
            with self.awaiting(), self._news:
                while not (self._landings.has(number) or self._is_over):
                    self._news.wait()
                stop = number
                while stop < number + TOGETHER and self._landings.has(stop):
                    stop += 1
            if stop == number:
                return self._raise_broken()
            for one in self._landings.read(range(number, stop)):
                yield one.result()
            number = stop

    def as_completed(self) -> Iterator[Landed]:
        """Iterate over the outcomes of items as they come in, including those that failed."""
        seen = 0
        while True:
            with self.awaiting(), self._news:
                while not (len(self._landings.order) > seen or self._is_over):
                    self._news.wait()
                numbers = self._landings.order[seen : seen + TOGETHER]
            if not numbers:
                return self._raise_broken()
            yield from self._landings.read(numbers)
            seen += len(numbers)

    @property
    def counts(self) -> MapCounts:
        """How many items are done, have failed, and are there in all."""
        done, failed = len(self._landings.order), self._landings.failed
        return MapCounts(done - failed, failed, self._expected, self._is_reading)

    def add_progress_callback(self, call: Callable[[MapFuture], object]) -> None:
        """Call a function each time items finish, and when the map ends.

        It is called in the event loop's thread, so it must be quick.
        """
        self._watchers.append(call)

    # For whoever runs it.

    def expect(self, count: int) -> bool:
        """Note so many more items, as soon as there is room; False if nobody wants them."""
        with self._news:
            self._news.wait_for(
                lambda: self._is_over or self._expected - len(self._landings.order) < UNDER_WAY
            )
            if not self._is_over:
                self._expected += count
            return not self._is_over

    def take(self, outcomes: Sequence[Outcome]) -> None:
        """Note the outcomes of items."""
        with self._news:
            self._landings.note(outcomes)
            self._news.notify_all()
        self._tell()

    def end_items(self, error: BaseException | None = None) -> None:
        """Note that there are no more items, and why, if that is an error."""
        with self._news:
            self._is_reading = False
            self._broken = self._broken or error

    @property
    def is_complete(self) -> bool:
        """Whether all items have their outcomes."""
        return not self._is_reading and len(self._landings.order) == self._expected

    @property
    def broken(self) -> BaseException | None:
        """Why there is an end to it before all was done, or could be read."""
        return self._broken

    @property
    def open_keys(self) -> list[Key]:
        """The keys of items without an outcome."""
        with self._news:
            if len(self._landings.order) == self._expected:
                return []
            return [(self.name, n) for n in range(self._expected) if not self._landings.has(n)]

    def places_outside(self, is_own: Callable[[str], bool]) -> PlaceTable:
        """Give the places of values in other objects than our own."""
        return self._landings.places_outside(is_own)

    def settle(self) -> None:
        """Be done, with what is there."""
        with self._news:
            error = self._broken or self._landings.first_error
        with suppress(concurrent.futures.InvalidStateError):  # it was cancelled meanwhile
            if error is None:
                self.set_result(None)
            else:
                self.set_exception(error)
        self._end(self._broken)

    def fail(self, error: BaseException) -> None:
        """Be done with an error: nobody will compute the rest."""
        with self._news:
            self._broken = self._broken or error
        self.settle()

    def _end(self, broken: BaseException | None) -> None:
        with self._news:
            if self._is_over:
                return
            self._is_over, self._is_reading = True, False
            self._broken = self._broken or broken
            self._news.notify_all()
        self.stopped(self)
        self._tell()

    def _tell(self) -> None:
        for call in self._watchers:
            try:
                call(self)
            except Exception:  # the loop has others to serve
                logger.exception("what watches %s raised", self.name)

    def _raise_broken(self) -> None:
        if self._broken is not None:
            raise self._broken
