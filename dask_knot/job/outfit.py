"""Makes the processes of a job ready for tasks: their worker, plugins and Dask's own scheduler."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.util import Finalize
from typing import NamedTuple

import dask

from dask_knot.errors import PluginError
from dask_knot.job import present
from dask_knot.job.console import say
from dask_knot.job.plugins import set_up, tear_down
from dask_knot.run import exits
from dask_knot.run.plugins import Plugin
from dask_knot.run.trace import leave_task, leave_trace
from dask_knot.task.context import enter, entered
from dask_knot.task.worker import JobWorker

#: So many seconds may plugins take to tear down, as Batch gives a job that it stops.
PATIENCE = 30.0


class Outfit(NamedTuple):
    """The outfit of a job's processes: the name of its worker, and plugins."""

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
    code = 0
    try:
        with entered(worker):
            set_up(worker, outfit.plugins)
            yield worker
    except BaseException as error:
        code = exits.exit_code(error)
        raise
    finally:
        _leave(worker, code)


def outfit_process(outfit: Outfit) -> None:
    """Set up a process of a pool inside a job, for as long as it lives.

    The plugins have set up the job itself before; if one raises here nevertheless, each task of
    this process says so.
    """
    leave_trace()
    present.write_with(leave_task())
    worker = JobWorker(outfit.name)
    enter(worker)
    dask.config.set(computing_here(1))
    Finalize(None, _leave, (worker,), exitpriority=10)
    try:
        set_up(worker, outfit.plugins)
    except PluginError as error:
        worker.fault = error


def _leave(worker: JobWorker, code: int = 0) -> None:
    """Tear down; a plugin that doesn't come to an end must not keep what waits for this job."""
    watchdog = threading.Timer(PATIENCE, _end_process, (worker, code))
    watchdog.daemon = True
    if worker.plugins:
        watchdog.start()
    tear_down(worker)
    watchdog.cancel()
    worker.close()


def _end_process(worker: JobWorker, code: int) -> None:
    names = ", ".join(map(repr, worker.plugins))
    say(f"plugins ({names}) took more than {PATIENCE:g} s to tear down: not waiting any longer")
    worker.close()
    os._exit(code)


def computing_here(threads: int) -> dict[str, object]:
    """Give the settings with which `dask.compute` inside a task runs in the task's own job."""
    return {"scheduler": dask.config.get("scheduler", None) or "threads", "num_workers": threads}


class FarProcess(SpawnProcess):
    """A process that looks into the current folder for no module while it starts.

    It is told our import path by then, but needs some modules to be told that.
    """

    def start(self) -> None:
        """Start from the root of all folders; it moves to ours itself."""
        here = os.open(os.curdir, os.O_RDONLY)  # its name may be gone
        os.chdir(os.sep)
        try:
            super().start()
        finally:
            os.fchdir(here)
            os.close(here)


class FarContext(SpawnContext):
    """Spawns, since the threads of this process make a fork unsafe."""

    Process = FarProcess


@contextmanager
def processes(cores: int, outfit: Outfit) -> Iterator[ProcessPoolExecutor]:
    """Open a pool; its end is not waited for, as tasks may have left behind what never ends."""
    executor = ProcessPoolExecutor(cores, FarContext(), outfit_process, (outfit,))
    try:
        yield executor
    finally:
        executor.shutdown(wait=False)
