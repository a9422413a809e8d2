"""SessionHost: a session in an event loop in a thread of its own, for threads that have none."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from dataclasses import replace
from itertools import groupby
from typing import Any

from dask.typing import Key

from dask_knot.digests.plain import digest
from dask_knot.errors import EngineError
from dask_knot.graphs.annotations import Bounds
from dask_knot.graphs.constants import Constants
from dask_knot.graphs.opening import Digesting, open_tasks
from dask_knot.internals import GraphNode
from dask_knot.runs.notices import announce, withdraw
from dask_knot.session.hooks import Outcome
from dask_knot.session.opening import open_session
from dask_knot.session.premises import premises_of
from dask_knot.session.process import hear_signals, open_here
from dask_knot.session.session import Session
from dask_knot.settings.settings import Settings
from dask_knot.task.items import ItemTask
from dask_knot.task.variables import TaskWithVariables
from dask_knot.tracking import events

logger = logging.getLogger(__name__)

#: For so many seconds who leaves waits until all is submitted that was asked for.
LONGEST_FLUSH = 60.0
#: So many maps may end at once: what users do then may well wait for another one.
FINISHERS = 64

Taker = Callable[[Sequence[Outcome]], None]


class SessionHost:
    """Opens a session, takes graphs from any thread, and hands out their outcomes.

    Parameters
    ----------
    settings : Settings
        What the session is opened with.

    Attributes
    ----------
    session : Session
        Runs the jobs.
    loop : AbstractEventLoop
        Where outcomes come.
    is_closed : bool
        Nothing is taken any more.
    feed : callable
        Waits until all is submitted that others read: jobs that go on are to have all of it.
    """

    def __init__(self, settings: Settings) -> None:
        self._pid = os.getpid()
        self.is_closed = False
        self.feed: Callable[[], object] = lambda: None
        hear_signals()
        self.session: Session = open_session(settings)
        self.session.hooks.outcomes = self._hand_out
        self.session.hooks.notice = _say
        self._takers: dict[Any, Taker] = {}
        self._constants = Constants()
        self._opening = threading.Lock()
        self._closing = threading.RLock()  # a signal may close in the midst of closing
        self._said: set[str] = set()
        self._most: dict[str, int] = {}
        self._jobs = self.session.slots
        self._finisher = ThreadPoolExecutor(FINISHERS, "dask-knot-done")
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="dask-knot-loop", daemon=True)
        self._thread.start()
        self.call(self._start())
        self._notice = announce(self.session.run.name, "", premises_of(self.session))
        open_here.add(self)

    def open(self, tasks: dict[Key, GraphNode], variables: Mapping[str, str]) -> events.Graph:
        """Make a graph of tasks that are all wanted; takes its time.

        Parameters
        ----------
        tasks : dict of Key to GraphNode
            The tasks.
        variables : mapping of str to str
            Variables of the environment that are set for each of them.
        """
        session = self.session
        marker = None if session.prior is None else session.prior.marker
        digesting = Digesting(session.digester, session.digest_of, marker)
        bounds = Bounds(session.size, session.largest)
        with self._opening:
            opened = open_tasks(tasks, bounds, self._constants, digesting)
        for reason, refusal in opened.work.refusals.items() if opened.work else ():
            if reason not in self._said:
                self._said.add(reason)
                logger.info(
                    "%r and tasks like it are computed again each time: %s", refusal.key, reason
                )
        graph = opened.graph
        light = {key: ItemTask.of(node) for key, node in graph.tasks.items()}
        settings = session.settings
        # Without any as well, where threads of one job may run tasks of several maps.
        if variables or (settings.cores > 1 and not settings.processes):
            for key in tasks:
                light[key] = TaskWithVariables(light[key], variables).task()
        return replace(graph, tasks=light, digests=_salted(graph.digests, variables))

    def submit(self, graph: events.Graph) -> None:
        """Compute a graph; its outcomes go to who listens; in any thread but that of the loop.

        Raises
        ------
        EngineError
            If it is closed.
        """
        self.call(self._submit(graph))

    def listen(self, name: str, take: Taker) -> None:
        """Give the outcomes of keys that begin with a name to somebody, in the loop's thread."""
        self._takers[name] = take

    def release(self, name: str, keys: Iterable[Key]) -> None:
        """Let go of keys, and hear no more of a name."""
        self._takers.pop(name, None)
        self.soon(self._release, list(keys))

    def limit(self, name: str, jobs: int | None) -> None:
        """Let at most so many jobs run while a name is under way; None: it is no more."""
        self.soon(self._limit, name, jobs)

    def call(self, work: Coroutine[Any, Any, Any], timeout: float | None = None) -> Any:
        """Run something in the event loop, and wait for it in another thread.

        Raises
        ------
        EngineError
            If the session is closed, or this is a fork of its process.
        """
        try:
            self.check_open()
        except BaseException:
            work.close()
            raise
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def soon(self, call: Callable[..., object], *arguments: Any) -> None:
        """Call something in the event loop, if it still runs."""
        if os.getpid() == self._pid:
            with suppress(RuntimeError):  # it doesn't
                self.loop.call_soon_threadsafe(call, *arguments)

    def finish(self, call: Callable[[], object]) -> None:
        """Call something that may wait for the event loop, or run what users want to be called."""
        with suppress(RuntimeError):  # the interpreter ends
            self._finisher.submit(call)

    def check_open(self) -> None:
        """Raise EngineError if the session is closed, or this is a fork of its process."""
        name = self.session.settings.name
        if os.getpid() != self._pid:
            raise EngineError(
                f"the knot {name!r} belongs to process {self._pid}, of which this is a fork: "
                f"Knot.open({name!r}) opens it here"
            )
        if self.is_closed:
            raise EngineError(f"the knot {name!r} is closed: Knot.open({name!r}) opens it again")

    def close(self, ends: bool = False) -> None:
        """Leave the run, or end all of its jobs; once, and whoever else closes waits for that."""
        self.session.note_interruption()
        if os.getpid() != self._pid:
            return
        # The loop's own thread must not wait for who waits for it.
        is_loop = threading.current_thread() is self._thread
        if self._closing.acquire(blocking=not is_loop):
            try:
                if not self.is_closed:
                    self._close(ends)
            finally:
                self._closing.release()

    def _close(self, ends: bool) -> None:
        leaves = self.session.jobs_stay and not ends
        if leaves:
            self.feed()
            with suppress(FutureTimeoutError, EngineError):
                self.call(self.session.flush(is_leaving=True), LONGEST_FLUSH)
        self.is_closed = True
        self._withdraw()
        with suppress(RuntimeError):
            asyncio.run_coroutine_threadsafe(self.session.leave(), self.loop).result()
        (self.session.end_run_jobs if ends else self.session.let_go)()
        self.session.end()
        open_here.discard(self)
        self._finisher.shutdown(wait=False)
        self.soon(self.loop.stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def close_at_exit(self, timeout: float) -> None:
        """Close while the interpreter ends."""
        if self._thread.is_alive():
            self.close()

    def end_now(self) -> None:
        """Leave the run without the event loop; blocks."""
        self.is_closed = True
        self.session.let_go()
        self.session.end()
        self._withdraw()

    def abandon(self) -> None:
        """Leave everything to the process of which this is a fork."""
        self.is_closed = True

    def _withdraw(self) -> None:
        if self._notice is not None:
            withdraw(self._notice)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
        finally:
            self.loop.close()

    async def _start(self) -> None:
        self.session.start()

    async def _submit(self, graph: events.Graph) -> None:
        if self.session.prior is not None:
            await self.session.prior.recall()
        self.session.submit(graph)

    def _hand_out(self, outcomes: Sequence[Outcome]) -> None:
        done: list[Key] = []
        for name, group in groupby(outcomes, _first_part):
            some = list(group)
            if name in self._takers:
                self._takers[name](some)
            done += [one.key for one in some]
        # Not in the midst of what the tracker has just decided.
        self.loop.call_soon(self._release, done)

    def _release(self, keys: Sequence[Key]) -> None:
        self.session.handle(events.KeyReleased(key, forgotten=True) for key in keys)

    def _limit(self, name: str, jobs: int | None) -> None:
        self._most.pop(name, None)
        if jobs is not None:
            self._most[name] = jobs
        self.session.resize(min([self._jobs, *self._most.values()]))


def _salted(digests: Mapping[Key, bytes], variables: Mapping[str, str]) -> Mapping[Key, bytes]:
    """Make the digests of work that is done with other variables others."""
    if not variables:
        return digests
    salt = repr(sorted(variables.items())).encode()
    return {key: digest(one + salt) for key, one in digests.items()}


def _first_part(outcome: Outcome) -> Any:
    return outcome.key[0] if isinstance(outcome.key, tuple) else outcome.key


def _say(line: str) -> None:
    logger.warning("%s", line)
