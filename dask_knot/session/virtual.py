"""Virtual time: an event loop that never sleeps, and executors that do at once what they are given.

With both, a session runs in one thread; hours of Batch take as long as the session's own work. For
tests, and for the simulator that is among the benchmarks.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from typing import Any

from dask_knot.session.clockwork import Clockwork


class AtOnce(Executor):
    """Runs what it is given in the thread that gives it."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it, and give what came out."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class _Selector(selectors.DefaultSelector):
    """Lets the time of its loop pass where others would wait for it."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> Any:
        """Find what is ready now; if nothing is, it is later now."""
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everybody waits, and nothing will come"
            self.loop.seconds += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next call that is due."""

    def __init__(self) -> None:
        self.seconds = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        """Give the seconds that have passed since it was made."""
        return self.seconds

    def clockwork(self) -> Clockwork:
        """Give the clockwork of a session that runs in this loop."""
        at_once = lambda name, count: AtOnce()  # noqa: E731
        return Clockwork(self.time, self.call_later, at_once, self._pass, listen=None)

    def _pass(self, seconds: float) -> None:
        self.seconds += seconds


def run(main: Callable[[VirtualLoop], Coroutine[Any, Any, Any]]) -> Any:
    """Run something in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main(loop))
    finally:
        loop.close()
