"""Starts jobs when they fit and ends them when their time is over: in a thread, or step by step."""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dask_knot.batch.endings import CLOSED
from dask_knot.batch.rules import ENDED, NOT_STARTED, STARTED, TIMED_OUT, JobStatus
from dask_knot.errors import EngineError
from dask_knot.local.capacity import Capacity, Ledger
from dask_knot.local.jobgraph import JobGraph
from dask_knot.local.jobs import AnyJob, Job, Submission
from dask_knot.local.lanes import RunQueue
from dask_knot.local.launcher import ChildProcess, Exit, Launcher

logger = logging.getLogger(__name__)

# Seconds from SIGTERM to SIGKILL. Batch gives 30; here a person waits.
GRACE = 2.0

Order = Callable[[], None]


@dataclass(frozen=True, slots=True)
class _RunningJob:
    job: Job
    gpus: tuple[int, ...]


class Dispatcher:
    """Runs the jobs of a table with a launcher, as far as the capacity allows.

    Everything that changes a job happens under ``lock``. The launcher is called without it, and
    by one thread only: it may block, and its own threads call back here.

    Parameters
    ----------
    capacity
        What the machine has.
    launcher
        What starts processes.
    log_folder
        Where their output goes: ``<log stream name>.log``.
    clock
        Seconds since the epoch.
    has_thread
        Whether a thread waits for what is due; else somebody calls :meth:`step`.
    """

    def __init__(
        self,
        capacity: Capacity,
        launcher: Launcher,
        log_folder: Path,
        clock: Callable[[], float],
        has_thread: bool = True,
    ) -> None:
        self.lock = threading.Condition()
        self.table = JobGraph()
        self._ledger = Ledger(capacity)
        self._launcher = launcher
        self._log_folder = log_folder
        self._clock = clock
        self._has_thread = has_thread
        self._queue = RunQueue()
        self._running: dict[str, _RunningJob] = {}
        self._orders: deque[Order] = deque()
        self._timers: list[tuple[float, int, Order]] = []
        self._ticket = itertools.count()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        launcher.bind(self)

    @property
    def now(self) -> int:
        """Milliseconds since the epoch."""
        return int(self._clock() * 1000)

    @property
    def capacity(self) -> Capacity:
        """The capacity of the machine."""
        return self._ledger.total

    def resize(self, capacity: Capacity) -> None:
        """Change the capacity; what runs goes on even if it does not fit any more."""
        with self.lock:
            self._ledger.total = capacity
            self.lock.notify()

    def submit(self, submission: Submission) -> AnyJob:
        """Take up a job; ``lock`` is held, and what it depends on has been checked."""
        if self._is_closed:
            raise EngineError("the local engine is closed: make a new cluster")
        if self._thread is None and self._has_thread:
            self._thread = threading.Thread(target=self._run, name="knot-dispatch", daemon=True)
            self._thread.start()
        node = self.table.add(submission, self.now)
        self.lock.notify()
        return node

    def stop(self, jobs: Iterable[Job], reason: str) -> None:
        """End jobs, running or not, as terminated; ``lock`` is held."""
        waiting = []
        for job in jobs:
            if job.status in ENDED:
                continue
            job.is_terminated = True
            if job.status in STARTED:
                self._end_softly(job, reason)
            else:
                waiting.append(job)
        self.table.end(waiting, JobStatus.FAILED, reason, self.now)
        self.lock.notify()

    def cancel(self, jobs: Iterable[Job], reason: str) -> None:
        """End jobs that have not started; ``lock`` is held."""
        waiting = [job for job in jobs if job.status not in STARTED | ENDED]
        for job in waiting:
            job.is_cancelled = True
        self.table.end(waiting, JobStatus.FAILED, reason, self.now)
        self.lock.notify()

    def close(self) -> None:
        """End every job at once, the launcher and the thread."""
        with self.lock:
            self._close_table()
        self._launcher.close()
        if self._thread is not None:
            self._thread.join()

    def child_started(self, child_id: str) -> None:
        """Note that a process runs: its time counts from now."""
        with self._lock_or_stop():
            running = self._running.get(child_id)
            if running is None:
                return
            job = running.job
            job.begin_running(self.now)
            if job.submission.timeout is not None:
                self._at(job.submission.timeout, lambda: self._time_out(child_id))
            self.lock.notify()

    def child_exited(self, child_id: str, end: Exit) -> None:
        """Note how a process ended, and what follows from it."""
        with self._lock_or_stop():
            running = self._running.pop(child_id, None)
            if running is None:
                return
            job = running.job
            self._ledger.give_back(job.submission.needs, running.gpus)
            if job.status is JobStatus.STARTING and end.code is not None:
                # A container can end before its start was reported.
                job.begin_running(self.now)
            status = job.end_attempt(end, self.now)
            if status is JobStatus.RUNNABLE:
                self.table.retry(job)
            else:
                self.table.end([job], status, job.attempts[-1].status_reason, self.now)
            self.lock.notify()

    @contextmanager
    def _lock_or_stop(self) -> Iterator[None]:
        """Hold ``lock``; after a mistake of ours all jobs end, as nothing would end them later."""
        with self.lock:
            try:
                yield
            except Exception:
                logger.exception("the local engine stops because of a bug in it")
                self._close_table()

    def step(self) -> float | None:
        """Do all that is due, without waiting.

        Returns
        -------
        float or None
            The time at which something is due by itself; None if nothing is.
        """
        while orders := self._next_orders(may_wait=False):
            self._obey(orders)
        with self.lock:
            return self._timers[0][0] if self._timers and not self._is_closed else None

    def _run(self) -> None:
        while (orders := self._next_orders(may_wait=True)) is not None:
            self._obey(orders)

    def _obey(self, orders: Iterable[Order]) -> None:
        for order in orders:
            try:
                order()
            except Exception:
                logger.exception("the local engine stops because of a bug in it")
                with self.lock:
                    self._close_table()

    def _next_orders(self, may_wait: bool) -> list[Order] | None:
        """Wait until there is something to tell the launcher; None at the end."""
        with self._lock_or_stop():
            while not self._is_closed:
                self._fire_timers()
                self._queue_runnable()
                self._start_what_fits()
                if self._orders or not may_wait:
                    orders = list(self._orders)
                    self._orders.clear()
                    return orders
                self.lock.wait(self._timers[0][0] - self._clock() if self._timers else None)
        return None

    def _queue_runnable(self) -> None:
        while self.table.runnable:
            self._queue.push(self.table.runnable.popleft())

    def _start_what_fits(self) -> None:
        while (job := self._queue.take(self._ledger)) is not None:
            job.begin_attempt()
            gpus = self._ledger.take(job.submission.needs)
            self._running[job.child_id] = _RunningJob(job, gpus)
            child = self._child_process(job, gpus)
            self._orders.append(lambda child=child: self._start(child))  # type: ignore[misc]

    def _child_process(self, job: Job, gpus: tuple[int, ...]) -> ChildProcess:
        return ChildProcess(
            child_id=job.child_id,
            command=job.submission.command,
            environment=job.environment(),
            log_path=self._log_folder / f"{job.attempts[-1].log_stream_name}.log",
            memory=job.submission.needs.memory,
            gpus=gpus,
        )

    def _start(self, child: ChildProcess) -> None:
        try:
            with contextlib.suppress(OSError):  # no job fails for want of a log
                child.log_path.parent.mkdir(parents=True, exist_ok=True)
            self._launcher.start(child)
        except Exception as error:  # also a mistake of the launcher's: the others go on
            reason = f"CannotStartJobError: {error}"
            self.child_exited(child.child_id, Exit(None, reason, NOT_STARTED))

    def _end_softly(self, job: Job, reason: str) -> None:
        """SIGTERM now, SIGKILL after the grace."""
        if job.stop_reason is not None:
            return
        job.stop_reason = reason
        child_id = job.child_id
        self._orders.append(lambda: self._launcher.signal(child_id, signal.SIGTERM))
        self._at(GRACE, lambda: self._kill(child_id))

    def _kill(self, child_id: str) -> None:
        if child_id in self._running:
            self._orders.append(lambda: self._launcher.signal(child_id, signal.SIGKILL))

    def _time_out(self, child_id: str) -> None:
        running = self._running.get(child_id)
        if running is not None:
            self._end_softly(running.job, TIMED_OUT)

    def _at(self, seconds: float, order: Order) -> None:
        # The ticket keeps the heap from comparing functions.
        heapq.heappush(self._timers, (self._clock() + seconds, next(self._ticket), order))

    def _fire_timers(self) -> None:
        while self._timers and self._timers[0][0] <= self._clock():
            heapq.heappop(self._timers)[2]()

    def _close_table(self) -> None:
        self._is_closed = True
        self._running.clear()
        self.table.end(self.table.unfinished(), JobStatus.FAILED, CLOSED, self.now)
        self.lock.notify()
