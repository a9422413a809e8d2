"""The processes of a job that runs each of its tasks in one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess

from dask_knot.job.outfit import Outfit, outfit_process


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
