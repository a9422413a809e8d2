"""The worker, pool and backend that Dask's functions find in a task: set per thread, not patched.

`get_worker`, and with it locks, queues and clients, asks one context variable; `secede` and
`rejoin` ask the thread for its pool; joblib asks for the backend that is called as Dask is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from dask_knot.errors import PluginError
from dask_knot.internals import enter_pool, enter_worker, leave_pool, leave_worker, present_worker
from dask_knot.task.worker import Absence, JobWorker


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
    token = enter_worker(_UnpicklingWorker())
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


def keep_nested_work_here() -> None:
    """Let joblib run what a task asks it to do with Dask in that task, one after another.

    joblib sends each batch of calls with the order to nest further calls on the same cluster, and
    looks for a client as soon as a batch starts. A job has none: it never connects to anything but
    the store.
    """
    joblib = sys.modules.get("joblib.parallel")
    if joblib is not None:  # otherwise no task that was sent here is joblib's
        joblib.register_parallel_backend("dask", joblib.SequentialBackend)


class _UnpicklingWorker:
    """No worker yet: what is unpickled looks for one again when it is used."""

    client = Absence("client")  # a MultiLock looks once only

    def __getattr__(self, name: str) -> NoReturn:
        raise ValueError("this job is still unpickling its tasks")
