"""What Dask's own functions find when a task calls them: set per thread, not patched.

`get_worker`, and with it locks, queues and clients, asks one context variable; `secede` and
`rejoin` ask the thread for its pool.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, NoReturn

from distributed import threadpoolexecutor
from distributed.worker import _worker_cvar

from dask_knot.errors import PluginError
from dask_knot.task.worker import Absent, JobWorker


def enter(worker: JobWorker) -> None:
    """Let tasks of this thread find a worker, until the thread ends."""
    _worker_cvar.set(worker)
    threadpoolexecutor.thread_state.executor = _NoPool()


@contextmanager
def entered(worker: JobWorker) -> Iterator[None]:
    """Let tasks of this thread find a worker for a while."""
    token = _worker_cvar.set(worker)
    threadpoolexecutor.thread_state.executor = _NoPool()
    try:
        yield
    finally:
        _worker_cvar.reset(token)
        del threadpoolexecutor.thread_state.executor


@contextmanager
def unpickling() -> Iterator[None]:
    """Let locks, queues and the like be unpickled: it is for the task that uses them to fail."""
    token = _worker_cvar.set(_NotYet())
    try:
        yield
    finally:
        _worker_cvar.reset(token)


def here() -> JobWorker:
    """Give the worker that tasks of this thread find."""
    worker: JobWorker = _worker_cvar.get()
    return worker


def fault() -> PluginError | None:
    """Say why this process could not be set up, if it couldn't."""
    worker = _worker_cvar.get(None)
    return None if worker is None else worker.fault


class _NotYet:
    """No worker yet: what is unpickled looks for one again when it is used."""

    client = Absent("client")  # a MultiLock looks once only

    def __getattr__(self, name: str) -> NoReturn:
        raise ValueError("this job is still unpickling its tasks")


class _NoPool:
    """The thread pool of `secede` and `rejoin`, in which nobody waits for a place."""

    def __init__(self) -> None:
        self._threads = self._rejoin_list = self
        self._rejoin_lock = nullcontext()

    def remove(self, thread: threading.Thread) -> None:
        """Let a thread go on without a place."""

    def append(self, waiting: tuple[threading.Thread, threading.Event]) -> None:
        """Give a thread its place back at once."""
        waiting[1].set()

    def submit(self, call: Callable[[], Any]) -> None:
        """Take the call that wakes a thread which would give its place away."""

    def _adjust_thread_count(self) -> None:
        """Start no thread."""
