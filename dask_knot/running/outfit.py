"""Makes a process ready for tasks: its worker, its plugins, and Dask's own local scheduler."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.util import Finalize
from typing import NamedTuple

import dask

from dask_knot.errors import PluginError
from dask_knot.running.inside import enter, entered
from dask_knot.running.jobworker import JobWorker
from dask_knot.running.plugins import Plugin, set_up, tear_down


class Outfit(NamedTuple):
    """What the processes of a job are set up with: the name of its worker, and plugins."""

    name: str
    plugins: Sequence[Plugin]


@contextmanager
def outfitted(outfit: Outfit) -> Iterator[JobWorker]:
    """Set up the process of a job, and tear that down at the end.

    Raises
    ------
    PluginError
        If a plugin raises while it sets up.
    """
    worker = JobWorker(outfit.name)
    try:
        with entered(worker):
            set_up(worker, outfit.plugins)
            yield worker
    finally:
        _leave(worker)


def outfit_process(outfit: Outfit) -> None:
    """Set up a process of a pool inside a job, for as long as it lives.

    The plugins have set up the job itself before; if one raises here nevertheless, each task of
    this process says so.
    """
    worker = JobWorker(outfit.name)
    enter(worker)
    dask.config.set(computing_here(1))
    Finalize(None, _leave, (worker,), exitpriority=10)
    try:
        set_up(worker, outfit.plugins)
    except PluginError as error:
        worker.fault = error


def _leave(worker: JobWorker) -> None:
    tear_down(worker)
    worker.close()


def computing_here(threads: int) -> dict[str, object]:
    """Give the settings with which `dask.compute` inside a task runs in the task's own job."""
    return {"scheduler": dask.config.get("scheduler", None) or "threads", "num_workers": threads}
