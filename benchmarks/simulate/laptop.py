"""The client's machine: what its calls take, and threads that are busy for as long."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from typing import Any

from benchmarks.simulate.numbers import Numbers
from benchmarks.simulate.timeline import Clock


class Meter:
    """Adds up the seconds of a call while it runs; what nobody runs takes no time.

    Attributes
    ----------
    numbers : Numbers
        What everything takes.
    seconds : float
        Those of the call that runs, so far.
    is_running : bool
        Whether one does.
    """

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.seconds = 0.0
        self.is_running = False

    def spend(self, seconds: float) -> None:
        """Let the call that runs take longer."""
        if self.is_running:
            self.seconds += seconds

    def upload(self, nbytes: float) -> None:
        """Send so many bytes to S3, in one request."""
        self.spend(self.numbers.client_latency + nbytes / self.numbers.client_up)

    def download(self, nbytes: float) -> None:
        """Get so many bytes from S3, in one request."""
        self.spend(self.numbers.client_latency + nbytes / self.numbers.client_down)

    def run(self, call: Callable[[], Any]) -> tuple[Any, float]:
        """Run a call; give what came out, and the seconds that it takes."""
        before = self.seconds, self.is_running
        self.seconds, self.is_running = 0.0, True
        try:
            return call(), self.seconds
        finally:
            self.seconds, self.is_running = before


class Threads(Executor):
    """Threads in virtual time: a call is done when it begins, and its answer comes as it ends.

    What a call gives to threads while it waits for them is done at once; of those threads so many
    work side by side.

    Parameters
    ----------
    clock : Clock
        The one clock of the simulation.
    meter : Meter
        Knows what calls take.
    count : int
        How many there are.
    """

    def __init__(self, clock: Clock, meter: Meter, count: int) -> None:
        self._clock = clock
        self._meter = meter
        self._count = count
        self._idle = count
        self._queue: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it as soon as a thread is idle."""
        future: Future[Any] = Future()
        call = partial(fn, *args, **kwargs)
        if self._meter.is_running:
            tell, seconds = self._done(future, call)
            tell()
            self._meter.spend(seconds / self._count)
        else:
            self._queue.append((future, call))
            self._go_on()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Run nothing more."""
        while self._queue:
            self._queue.popleft()[0].cancel()

    def _go_on(self) -> None:
        while self._idle and self._queue:
            future, call = self._queue.popleft()
            if future.set_running_or_notify_cancel():
                self._idle -= 1
                self._begin(future, call)

    def _begin(self, future: Future[Any], call: Callable[[], Any]) -> None:
        tell, seconds = self._done(future, call)
        if seconds:
            self._clock.call_later(seconds, self._end, tell)
        else:
            self._end(tell)

    def _end(self, tell: Callable[[], object]) -> None:
        self._idle += 1
        tell()
        self._go_on()

    def _done(
        self, future: Future[Any], call: Callable[[], Any]
    ) -> tuple[Callable[[], object], float]:
        """Do it; give what tells its outcome, and the seconds that it takes."""
        try:
            result, seconds = self._meter.run(call)
        except Exception as error:
            return partial(future.set_exception, error), 0.0
        return partial(future.set_result, result), seconds
