"""What Dask's own functions find when a task calls them: set per thread, not patched.

`get_worker`, and with it locks, queues and clients, asks one context variable; `secede` and
`rejoin` ask the thread for its pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from dask_knot.errors import PluginError
from dask_knot.internals import enter_pool, enter_worker, leave_pool, leave_worker, present_worker
from dask_knot.task.worker import Absent, JobWorker


def enter(worker: JobWorker) -> None:
    """Let tasks of this thread find a worker, until the thread ends."""
    enter_worker(worker)
    enter_pool()


@contextmanager
def entered(worker: JobWorker) -> Iterator[None]:
    """Let tasks of this thread find a worker for a while."""
    token = enter_worker(worker)
    enter_pool()
    try:
        yield
    finally:
        leave_worker(token)
        leave_pool()


@contextmanager
def unpickling() -> Iterator[None]:
    """Let locks, queues and the like be unpickled: it is for the task that uses them to fail."""
    token = enter_worker(_NotYet())
    try:
        yield
    finally:
        leave_worker(token)


def here() -> JobWorker:
    """Give the worker that tasks of this thread find."""
    worker: JobWorker = present_worker()
    return worker


def fault() -> PluginError | None:
    """Say why this process could not be set up, if it couldn't."""
    worker = present_worker()
    return None if worker is None else worker.fault


class _NotYet:
    """No worker yet: what is unpickled looks for one again when it is used."""

    client = Absent("client")  # a MultiLock looks once only

    def __getattr__(self, name: str) -> NoReturn:
        raise ValueError("this job is still unpickling its tasks")
